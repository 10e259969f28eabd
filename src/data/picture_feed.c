/* Files in pieces, so that a thread's memory does not grow with them: one window of the file is in memory, which moves on with what is
 * asked for. Read with pread into our own memory, as all pictures are, not mapped: see picture.c. */
#include "data/picture_feed.h"

#include <string.h>

#include "base/hash.h"

#define WINDOW_BYTES ((size_t)512 << 10)

static fov_status make_room(fov_picture_feed *feed, size_t bytes) {
    if (bytes <= feed->capacity) {
        return FOV_OK;
    }
    unsigned char *grown = fov_mem_realloc(FOV_MEM_FILE, feed->window, bytes);
    FOV_TRY_ALLOC(grown);
    feed->window = grown;
    feed->capacity = bytes;
    return FOV_OK;
}

/* Moves the window so that it begins at `at` and holds `count` bytes, or up to the end. */
static fov_status move_to(fov_picture_feed *feed, size_t at, size_t count) {
    const size_t room = count > WINDOW_BYTES ? count : WINDOW_BYTES, left = feed->source.size - at, wanted = room < left ? room : left;
    const size_t kept = at >= feed->low && at < feed->high ? feed->high - at : 0;
    FOV_TRY(make_room(feed, room + FOV_DECODE_PADDING));
    if (kept > 0) {
        memmove(feed->window, feed->window + (at - feed->low), kept);
    }
    feed->low = at;
    feed->high = at + kept;
    FOV_TRY(fov_file_read_to(feed->file, feed->shown, feed->offset + feed->high, wanted - kept, feed->window + kept));
    feed->high = at + wanted;
    memset(feed->window + wanted, 0, FOV_DECODE_PADDING);
    return FOV_OK;
}

static fov_status get(void *context, size_t at, size_t count, const uint8_t **bytes, size_t *got) {
    fov_picture_feed *feed = context;
    const size_t left = feed->source.size - at, wanted = count < left ? count : left;
    if (at < feed->low || at >= feed->high || wanted > feed->high - at) {
        const fov_status status = move_to(feed, at, wanted);
        if (status != FOV_OK) {
            feed->failed = true;
            return fov_forward_at(__FILE__, __LINE__, status);
        }
    }
    *bytes = feed->window + (at - feed->low);
    *got = feed->high - at;
    return FOV_OK;
}

void fov_picture_feed_begin(fov_picture_feed *feed, fov_file *file, uint64_t offset, size_t size, const char *shown) {
    fov_picture_feed_end(feed);
    feed->file = file;
    feed->offset = offset;
    feed->shown = shown;
    feed->low = feed->high = 0;
    feed->failed = false;
    feed->source = (fov_byte_source){.size = size, .get = get, .context = feed};
}

void fov_picture_feed_end(fov_picture_feed *feed) {
    fov_file_close(feed->file);
    feed->file = NULL;
}

void fov_picture_feed_clear(fov_picture_feed *feed) {
    fov_picture_feed_end(feed);
    fov_mem_free(feed->window);
    *feed = (fov_picture_feed){0};
}

fov_status fov_picture_feed_hash(fov_picture_feed *feed, uint64_t *hash) {
    fov_hasher *hasher = fov_hasher_new(0);
    FOV_TRY_ALLOC(hasher);
    fov_status status = FOV_OK;
    const uint8_t *bytes = NULL;
    for (size_t at = 0, got = 0; at < feed->source.size && status == FOV_OK; at += got) {
        status = get(feed, at, 1, &bytes, &got);
        if (status == FOV_OK) {
            fov_hasher_add(hasher, bytes, got);
        }
    }
    *hash = fov_hasher_end(hasher);
    FOV_TRY(status);
    return FOV_OK;
}
