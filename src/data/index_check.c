/* The checks: is a file a picture, how large, and is it whole?
 *
 * The first 64 KiB tell what a file is by content and nearly always hold the header; only pictures are read further, so a scan passes
 * by archives and films at no cost. Files are judged in parallel, each into its own entry, so the result does not depend on threads. */
#include "data/index_internal.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#include "base/io_fault.h"
#include "data/picture.h"

#define HEAD_BYTES ((size_t)65536)
#define FILES_PER_CHUNK ((size_t)4)
#define FILES_PER_WAVE ((size_t)1024) /* between two reports of progress */

typedef struct checker {
    fov_picture_reader reader;
    unsigned char *head; /* HEAD_BYTES + FOV_DECODE_PADDING */
} checker;

typedef struct check_job {
    fov_scan *scan;
    checker *checkers; /* one per worker */
    size_t first, count;
} check_job;

void fov_scan_mark_bad(fov_scan_entry *entry, fov_bad_reason reason, const char *format, ...) {
    char text[512];
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    entry->message = fov_mem_strdup(FOV_MEM_DATA, text);
    entry->outcome = entry->message == NULL ? FOV_SCAN_FATAL : FOV_SCAN_BAD;
    entry->code = entry->message == NULL ? (uint8_t)FOV_E_NOMEM : (uint8_t)reason;
}

/* A failure of ours, not of the file. */
static void mark_fatal(fov_scan_entry *entry, fov_status status) {
    entry->message = fov_mem_strdup(FOV_MEM_DATA, fov_last_error());
    entry->outcome = FOV_SCAN_FATAL;
    entry->code = (uint8_t)status;
}

static bool named_as_picture(const char *path) {
    static const char *const extensions[] = {"jpg", "jpeg", "png", "webp", "gif", "bmp", "tif", "tiff"};
    const char *dot = strrchr(fov_path_base(path), '.');
    if (dot == NULL) {
        return false;
    }
    for (size_t i = 0; i < sizeof extensions / sizeof *extensions; i++) {
        if (strcasecmp(dot + 1, extensions[i]) == 0) {
            return true;
        }
    }
    return false;
}

/* What a file that is neither JPEG nor PNG holds, for the message. */
static const char *content_name(const unsigned char *head, size_t size) {
    static const struct {
        size_t offset;
        const char *magic, *name;
    } known[] = {{0, "GIF8", "GIF"},   {8, "WEBP", "WebP"},     {0, "BM", "BMP"},        {0, "II*", "TIFF"},
                 {0, "MM", "TIFF"},    {4, "ftypavif", "AVIF"}, {4, "ftypheic", "HEIC"}, {0, "<!DOCTYPE", "HTML"},
                 {0, "<html", "HTML"}, {0, "%PDF", "PDF"},      {0, "<svg", "SVG"}};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        const size_t length = strlen(known[i].magic);
        if (known[i].offset + length <= size && memcmp(head + known[i].offset, known[i].magic, length) == 0) {
            return known[i].name;
        }
    }
    return "something else";
}

/* Reads the start of a file, for which fov_io_read has no form. O_NONBLOCK and the check of the kind keep a file that became a FIFO
 * since it was listed from blocking us. False when the entry is settled. */
static bool read_head(checker *c, fov_scan_entry *entry, size_t *got) {
    const int file = fov_sys_open(entry->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY, 0);
    if (file < 0) {
        fov_scan_mark_bad(entry, FOV_BAD_UNREADABLE, "cannot be opened: %s", strerror(errno));
        return false;
    }
    struct stat info;
    ssize_t n = -1;
    *got = 0;
    bool settled = true;
    if (fstat(file, &info) != 0) {
        fov_scan_mark_bad(entry, FOV_BAD_UNREADABLE, "cannot be looked at: %s", strerror(errno));
    } else if (!S_ISREG(info.st_mode)) {
        fov_scan_mark_bad(entry, FOV_BAD_SPECIAL, "not a regular file any more");
    } else {
        entry->bytes = (uint64_t)info.st_size;
        do {
            n = fov_sys_read(file, c->head + *got, HEAD_BYTES - *got);
            *got += n > 0 ? (size_t)n : 0;
        } while (n > 0 && *got < HEAD_BYTES);
        settled = n < 0;
        if (settled) {
            fov_scan_mark_bad(entry, FOV_BAD_UNREADABLE, "cannot be read: %s", strerror(errno));
        }
    }
    (void)fov_sys_close(file);
    memset(c->head + *got, 0, FOV_DECODE_PADDING);
    return !settled;
}

static void settle(fov_scan_entry *entry, fov_status status, size_t width, size_t height) {
    switch (status) {
    case FOV_OK:
        entry->outcome = FOV_SCAN_GOOD;
        entry->width = (uint32_t)width;
        entry->height = (uint32_t)height;
        break;
    case FOV_E_NOMEM:
        mark_fatal(entry, status);
        break;
    case FOV_E_LIMIT:
        fov_scan_mark_bad(entry, FOV_BAD_TOO_LARGE, "%s", fov_last_error());
        break;
    case FOV_E_UNSUPPORTED:
        fov_scan_mark_bad(entry, FOV_BAD_UNSUPPORTED, "%s", fov_last_error());
        break;
    default:
        fov_scan_mark_bad(entry, FOV_BAD_CORRUPT, "%s", fov_last_error());
        break;
    }
}

/* The bytes to judge: the head when it is the whole file, else all of it. False when the entry is settled. */
static bool read_whole(checker *c, fov_scan_entry *entry, size_t got, const unsigned char **bytes, size_t *size) {
    *bytes = c->head;
    *size = got;
    if (entry->bytes <= got) {
        return true;
    }
    const fov_status status =
        fov_io_read_into(entry->path, FOV_PICTURE_MAX_BYTES, FOV_DECODE_PADDING, &c->reader.blob, &c->reader.capacity);
    if (status == FOV_E_NOMEM) {
        mark_fatal(entry, status);
    } else if (status != FOV_OK) {
        fov_scan_mark_bad(entry, FOV_BAD_UNREADABLE, "%s", fov_last_error());
    }
    *bytes = c->reader.blob.data;
    *size = c->reader.blob.size;
    return status == FOV_OK;
}

static void check_picture(checker *c, const fov_scan_options *options, fov_scan_entry *entry, size_t got) {
    const unsigned char *bytes;
    size_t size;
    fov_image_info info = {0};
    const fov_decode_options decode = fov_picture_padded(&options->decode);
    if (!options->verify) {
        fov_status status = fov_image_probe(c->reader.decoder, c->head, got, &decode, &info);
        if (status == FOV_E_FORMAT && entry->bytes > got) {
            if (!read_whole(c, entry, got, &bytes, &size)) {
                return;
            }
            status = fov_image_probe(c->reader.decoder, bytes, size, &decode, &info);
        }
        settle(entry, status, info.width, info.height);
        return;
    }
    if (!read_whole(c, entry, got, &bytes, &size)) {
        return;
    }
    const fov_status status = fov_image_decode(c->reader.decoder, bytes, size, &decode, &c->reader.image);
    settle(entry, status, c->reader.image.width, c->reader.image.height);
}

static void check_entry(checker *c, const fov_scan_options *options, fov_scan_entry *entry) {
    size_t got;
    if (entry->outcome != FOV_SCAN_PENDING || !read_head(c, entry, &got)) {
        return;
    }
    const bool named = named_as_picture(entry->path);
    if (fov_image_sniff(c->head, got) == FOV_IMAGE_UNKNOWN) {
        if (!named) {
            entry->outcome = FOV_SCAN_IGNORED;
        } else if (got == 0) {
            fov_scan_mark_bad(entry, FOV_BAD_EMPTY, "the file is empty (0 bytes)");
        } else {
            fov_scan_mark_bad(entry, FOV_BAD_NOT_IMAGE, "holds %s, not JPEG or PNG; convert it to PNG", content_name(c->head, got));
        }
        return;
    }
    if (entry->bytes > FOV_PICTURE_MAX_BYTES) {
        fov_scan_mark_bad(entry, FOV_BAD_TOO_LARGE, "%llu bytes, over the limit of 1 GiB", (unsigned long long)entry->bytes);
        return;
    }
    check_picture(c, options, entry, got);
}

static void check_chunk(void *context, size_t chunk, unsigned worker) {
    const check_job *job = context;
    const size_t begin = chunk * FILES_PER_CHUNK;
    const size_t end = begin + FILES_PER_CHUNK < job->count ? begin + FILES_PER_CHUNK : job->count;
    for (size_t i = begin; i < end; i++) {
        check_entry(&job->checkers[worker], job->scan->options, &job->scan->entry[job->first + i]);
    }
}

static fov_status first_fatal(const fov_scan_entry *entry, size_t count) {
    for (size_t i = 0; i < count; i++) {
        if (entry[i].outcome == FOV_SCAN_FATAL) {
            const char *message = entry[i].message == NULL ? "out of memory while checking pictures" : entry[i].message;
            return FOV_FAIL((fov_status)entry[i].code, "%s", message);
        }
    }
    return FOV_OK;
}

static fov_status check_waves(fov_scan *scan, fov_pool *pool, checker *checkers) {
    for (size_t first = 0; first < scan->entry_count; first += FILES_PER_WAVE) {
        const size_t left = scan->entry_count - first, count = left < FILES_PER_WAVE ? left : FILES_PER_WAVE;
        check_job job = {.scan = scan, .checkers = checkers, .first = first, .count = count};
        fov_pool_for(pool, (count + FILES_PER_CHUNK - 1) / FILES_PER_CHUNK, check_chunk, &job);
        FOV_TRY(first_fatal(scan->entry + first, count));
        if (scan->options->progress != NULL) {
            scan->options->progress(scan->options->context, first + count, scan->entry_count);
        }
    }
    return FOV_OK;
}

fov_status fov_scan_check(fov_scan *scan, fov_pool *pool) {
    const unsigned threads = fov_pool_threads(pool);
    checker *checkers = fov_mem_array(FOV_MEM_DATA, threads, sizeof *checkers);
    FOV_TRY_ALLOC(checkers);
    fov_status status = FOV_OK;
    for (unsigned t = 0; t < threads && status == FOV_OK; t++) {
        status = fov_picture_reader_init(&checkers[t].reader);
        if (status == FOV_OK) {
            checkers[t].head = fov_mem_alloc(FOV_MEM_DATA, HEAD_BYTES + FOV_DECODE_PADDING);
            status = checkers[t].head == NULL ? FOV_E_NOMEM : FOV_OK;
        }
    }
    if (status == FOV_OK) {
        status = check_waves(scan, pool, checkers);
    }
    for (unsigned t = 0; t < threads; t++) {
        fov_picture_reader_clear(&checkers[t].reader);
        fov_mem_free(checkers[t].head);
    }
    fov_mem_free(checkers);
    return status == FOV_OK ? FOV_OK : fov_forward_at(__FILE__, __LINE__, status);
}
