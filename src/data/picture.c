/* One picture: files or a record of a pack to bytes to pixels, with buffers that stay with the thread.
 *
 * Files are read with read(2), not mapped: a file that shrinks or fails while it is mapped ends the process with SIGBUS, one
 * that fails in read(2) is an ordinary error. Large ones are read in pieces, and their pixels come in strips: a thread then needs the same
 * memory for a photo of any size. Their records in packs are read twice: for the checksum, then for the pixels. */
#include "data/picture.h"

#include <string.h>

#include "data/pack_table.h"
#include "data/picture_feed.h"
#include "data/picture_group.h"

/* Up to which a picture is decoded into a frame; strips of a larger one are still in a cache near by when the views look at them. */
#define FRAME_BYTES ((size_t)128 << 10)
#define STRIP_BYTES ((size_t)256 << 10) /* of raw pixels, and */
#define GROUP_ROWS ((size_t)4)          /* twice these rows, however wide */

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "raw pixels of 16 bits are little-endian in packs and used in place");

fov_status fov_picture_reader_init(fov_picture_reader *reader) {
    *reader = (fov_picture_reader){0};
    fov_image_init(&reader->image);
    fov_text_init(&reader->path);
    return fov_decoder_new(&reader->decoder);
}

void fov_picture_reader_clear(fov_picture_reader *reader) {
    fov_decoder_free(reader->decoder);
    fov_image_clear(&reader->image);
    fov_blob_clear(&reader->blob);
    fov_text_clear(&reader->path);
    fov_picture_group_free(reader->group);
    fov_picture_feed_clear(&reader->feed);
    *reader = (fov_picture_reader){0};
}

fov_decode_options fov_picture_padded(const fov_decode_options *options) {
    fov_decode_options padded = options != NULL ? *options : (fov_decode_options){0};
    padded.padding = FOV_DECODE_PADDING;
    return padded;
}

static fov_status name_failure(const fov_picture_reader *reader, fov_status status) {
    if (reader->feed.file != NULL && reader->feed.failed) {
        return fov_forward_at(__FILE__, __LINE__, status); /* has its name */
    }
    fov_text name;
    fov_text_init(&name);
    status = fov_fail_prefix(status, "%s", fov_picture_name(&name, reader->path.data));
    fov_text_clear(&name);
    return status;
}

/* Empties the path and keeps its memory: a sample costs no allocation. */
static void forget_path(fov_picture_reader *reader) {
    if (reader->path.status != FOV_OK) {
        fov_text_clear(&reader->path);
    }
    reader->path.length = 0;
}

/* What was opened is a file of `length` bytes. */
static fov_status end_open(fov_picture_reader *reader, fov_status status, const fov_image_info *info, size_t length,
                           const fov_decode_options *options, size_t *width, size_t *height) {
    *width = info->width;
    *height = info->height;
    if (status != FOV_OK) {
        return name_failure(reader, status);
    }
    _Static_assert((int)FOV_IMAGE_JPEG == (int)FOV_PACK_JPEG && (int)FOV_IMAGE_TIFF == (int)FOV_PACK_TIFF, "kinds are numbered alike");
    reader->what = (fov_pack_record){.length = length,
                                     .kind = (fov_pack_kind)info->kind,
                                     .width = (uint32_t)info->width,
                                     .height = (uint32_t)info->height,
                                     .channels = info->channels_in_file,
                                     .deep = info->bits > 8,
                                     .upright = options->keep_orientation};
    return FOV_OK;
}

/* Opens the picture file that lies in the blob. */
static fov_status open_bytes(fov_picture_reader *reader, const fov_decode_options *options, size_t *width, size_t *height) {
    fov_image_info info;
    const fov_status status = fov_decoder_open(reader->decoder, reader->blob.data, reader->blob.size, options, &info);
    return end_open(reader, status, &info, reader->blob.size, options, width, height);
}

/* Opens the picture file that the feed has begun. */
static fov_status open_feed(fov_picture_reader *reader, const fov_decode_options *options, size_t *width, size_t *height) {
    fov_image_info info;
    const fov_status status = fov_decoder_open_source(reader->decoder, &reader->feed.source, options, &info);
    return end_open(reader, status, &info, reader->feed.source.size, options, width, height);
}

static fov_status open_whole(fov_picture_reader *reader, const fov_decode_options *options, size_t *width, size_t *height) {
    FOV_TRY(fov_io_read_into(reader->path.data, FOV_PICTURE_MAX_BYTES, FOV_DECODE_PADDING, &reader->blob, &reader->capacity));
    return open_bytes(reader, options, width, height);
}

/* A file that is not small, in pieces if its kind can be. */
static fov_status open_large(fov_picture_reader *reader, const fov_decode_options *options, size_t *width, size_t *height) {
    fov_file *file;
    const uint8_t *head;
    size_t got;
    FOV_TRY(fov_file_open(&file, reader->path.data));
    const uint64_t size = fov_file_size(file);
    if (size == 0 || size > FOV_PICTURE_MAX_BYTES) {
        fov_file_close(file);
        return open_whole(reader, options, width, height);
    }
    fov_picture_feed_begin(&reader->feed, file, 0, (size_t)size, reader->path.data);
    FOV_TRY(reader->feed.source.get(&reader->feed, 0, 1, &head, &got));
    if (!fov_image_by_pieces(fov_image_sniff(head, got))) {
        fov_picture_feed_end(&reader->feed);
        return open_whole(reader, options, width, height);
    }
    return open_feed(reader, options, width, height);
}

fov_status fov_picture_open(fov_picture_reader *reader, const fov_index *index, size_t i, const fov_decode_options *options, size_t *width,
                            size_t *height) {
    const fov_decode_options padded = fov_picture_padded(options);
    size_t number;
    forget_path(reader);
    fov_index_path(index, i, &reader->path);
    FOV_TRY(reader->path.status);
    const fov_pack *pack = fov_index_pack(index, i, &number);
    if (pack != NULL) {
        const fov_pack_record record = fov_pack_at(pack, number);
        return fov_picture_open_record(reader, pack, &record, &padded, width, height);
    }
    fov_picture_feed_end(&reader->feed);
    reader->grouped = index->entry[i].place == FOV_PLACE_GROUP;
    if (reader->grouped) {
        FOV_TRY(fov_picture_find_group(reader, index, i));
        return fov_picture_open_group(reader, &padded, width, height);
    }
    bool large;
    FOV_TRY(fov_io_read_small(reader->path.data, reader->by_pieces ? FOV_PICTURE_WHOLE_BYTES : FOV_PICTURE_MAX_BYTES, FOV_PICTURE_MAX_BYTES,
                              FOV_DECODE_PADDING, &reader->blob, &reader->capacity, &large));
    return large ? open_large(reader, &padded, width, height) : open_bytes(reader, &padded, width, height);
}

static bool over_limits(const fov_pack_record *record, const fov_decode_options *options) {
    return (options->max_pixels > 0 && (size_t)record->width * record->height > options->max_pixels) ||
           (options->max_side > 0 && (record->width > options->max_side || record->height > options->max_side));
}

static bool same_format(const fov_pack_record *record, fov_pixel_format format) {
    return record->channels == (format.channels == 0 ? 3 : format.channels) && record->deep == format.deep;
}

bool fov_picture_record_fits(const fov_pack_record *record, const fov_decode_options *options) {
    const bool plain = record->kind == FOV_PACK_JPEG || record->kind == FOV_PACK_PNG; /* every build decodes those */
    const bool usual = options->format.channels == 0 || options->format.channels == 1 || options->format.channels == 3;
    return !over_limits(record, options) && (record->kind == FOV_PACK_RAW ? same_format(record, options->format) : plain && usual) &&
           !(options->keep_orientation && !record->upright);
}

/* Raw pixels are used where they lie. */
static fov_status open_raw(fov_picture_reader *reader, const fov_pack_record *record, const fov_decode_options *options) {
    if (!same_format(record, options->format)) {
        (void)FOV_FAIL(FOV_E_UNSUPPORTED, "holds raw pixels of %u channels of %u bits, not %zu of %u; give --channels %u --depth %u",
                       record->channels, record->deep ? 16u : 8u, options->format.channels == 0 ? 3 : options->format.channels,
                       options->format.deep ? 16u : 8u, record->channels, record->deep ? 16u : 8u);
        return name_failure(reader, FOV_E_UNSUPPORTED);
    }
    if (over_limits(record, options)) {
        (void)FOV_FAIL(FOV_E_LIMIT, "raw pixels, %u x %u of them: over the limit", record->width, record->height);
        return name_failure(reader, FOV_E_LIMIT);
    }
    reader->pixels = (fov_image){
        .pixels = reader->blob.data, .width = record->width, .height = record->height, .channels = record->channels, .deep = record->deep};
    return FOV_OK;
}

/* The record's bytes, or a feed that has seen them all once. */
static fov_status read_record(fov_picture_reader *reader, const fov_pack *pack, const fov_pack_record *what) {
    const char *shown = reader->path.data;
    fov_picture_feed_end(&reader->feed);
    if (!reader->by_pieces || what->length <= FOV_PICTURE_WHOLE_BYTES ||
        !(what->kind == FOV_PACK_RAW || fov_image_by_pieces((fov_image_kind)what->kind))) {
        FOV_TRY(fov_pack_read(pack, what, shown, FOV_DECODE_PADDING, &reader->blob, &reader->capacity));
        return FOV_OK;
    }
    fov_file *file;
    uint64_t hash;
    FOV_TRY(fov_file_share(fov_pack_file(pack), &file));
    fov_picture_feed_begin(&reader->feed, file, what->offset, (size_t)what->length, shown);
    FOV_TRY(fov_picture_feed_hash(&reader->feed, &hash));
    FOV_TRY(fov_pack_compare(what, hash, shown));
    return FOV_OK;
}

fov_status fov_picture_open_record(fov_picture_reader *reader, const fov_pack *pack, const fov_pack_record *record,
                                   const fov_decode_options *options, size_t *width, size_t *height) {
    const fov_pack_record what = *record;
    fov_decode_options padded = fov_picture_padded(options);
    padded.keep_orientation |= what.upright;
    reader->grouped = false;
    FOV_TRY(read_record(reader, pack, &what));
    *width = what.width;
    *height = what.height;
    if (what.kind == FOV_PACK_RAW) {
        reader->what = what;
        reader->what.name = NULL; /* the pack's, which may go */
        return open_raw(reader, &what, &padded);
    }
    FOV_TRY(reader->feed.file != NULL ? open_feed(reader, &padded, width, height) : open_bytes(reader, &padded, width, height));
    const bool same = *width == what.width && *height == what.height;
    if (reader->what.kind != what.kind || !(same || padded.keep_orientation > what.upright)) {
        (void)FOV_FAIL(FOV_E_FORMAT, "the pack says %s of %u x %u, but this is %s of %zu x %zu; pack the pictures again",
                       fov_pack_kind_name(what.kind), what.width, what.height, fov_pack_kind_name(reader->what.kind), *width, *height);
        return name_failure(reader, FOV_E_FORMAT);
    }
    return FOV_OK;
}

fov_status fov_picture_decode(fov_picture_reader *reader, const fov_decode_part *part, const fov_image **image) {
    if (reader->grouped) {
        return fov_picture_decode_group(reader, part, image);
    }
    if (reader->what.kind == FOV_PACK_RAW) {
        if (reader->feed.file != NULL) {
            const fov_picture_feed *f = &reader->feed;
            FOV_TRY(fov_file_read(f->file, f->shown, f->offset, f->source.size, FOV_DECODE_PADDING, &reader->blob, &reader->capacity));
            reader->pixels.pixels = reader->blob.data;
        }
        *image = &reader->pixels;
        return FOV_OK;
    }
    const fov_status status = fov_decoder_read(reader->decoder, part, &reader->image);
    *image = &reader->image;
    return status == FOV_OK ? FOV_OK : name_failure(reader, status);
}

bool fov_picture_by_strips(const fov_picture_reader *reader, const fov_decode_part *part) {
    if (reader->grouped || reader->what.kind == FOV_PACK_RAW) {
        return !reader->grouped && reader->feed.file != NULL;
    }
    return fov_decoder_part_bytes(reader->decoder, part) > FRAME_BYTES;
}

/* Rows of raw pixels as they lie, each whole. */
static fov_status feed_strips(fov_picture_reader *reader, const fov_decode_part *part, fov_strip_fn take, void *context) {
    const fov_image *whole = &reader->pixels;
    const fov_byte_source *source = &reader->feed.source;
    const size_t row_bytes = whole->width * fov_pixel_bytes(fov_image_format(whole)), rows = STRIP_BYTES / row_bytes + 2 * GROUP_ROWS;
    const size_t top = part == NULL || part->width == 0 ? 0 : part->top;
    const size_t bottom = part == NULL || part->width == 0 ? whole->height : top + part->height;
    fov_strip strip = {.image = *whole, .first = true};
    for (size_t y = top;; y += strip.image.height - FOV_STRIP_OVERLAP, strip.first = false) {
        const uint8_t *bytes;
        size_t got;
        strip.image.top = y;
        strip.image.height = rows < bottom - y ? rows : bottom - y;
        FOV_TRY(source->get(source->context, y * row_bytes, strip.image.height * row_bytes, &bytes, &got));
        strip.image.pixels = (uint8_t *)(uintptr_t)bytes; /* which nobody who takes strips writes to */
        strip.image.full_width = whole->width;
        strip.image.full_height = whole->height;
        FOV_TRY(take(context, &strip));
        if (y + strip.image.height == bottom) {
            return FOV_OK;
        }
    }
}

fov_status fov_picture_decode_strips(fov_picture_reader *reader, const fov_decode_part *part, fov_strip_fn take, void *context) {
    if (reader->what.kind == FOV_PACK_RAW) {
        FOV_TRY(feed_strips(reader, part, take, context));
        return FOV_OK;
    }
    const fov_status status = fov_decoder_read_strips(reader->decoder, part, take, context);
    return status == FOV_OK ? FOV_OK : name_failure(reader, status);
}

typedef struct preprocessing {
    fov_augmenter *augmenter;
    const fov_preprocess *preprocess;
    uint8_t *output;
} preprocessing;

static fov_status preprocess_strip(void *context, const fov_strip *strip) {
    const preprocessing *p = context;
    return fov_preprocess_strip(p->augmenter, p->preprocess, strip, p->output);
}

fov_status fov_picture_preprocess(fov_picture_reader *reader, fov_augmenter *augmenter, const fov_preprocess *preprocess, uint8_t *output) {
    preprocessing p = {augmenter, preprocess, output};
    const fov_image *image;
    if (fov_picture_by_strips(reader, NULL)) {
        FOV_TRY(fov_picture_decode_strips(reader, NULL, preprocess_strip, &p));
        return FOV_OK;
    }
    FOV_TRY(fov_picture_decode(reader, NULL, &image));
    FOV_TRY(fov_preprocess_apply(augmenter, preprocess, image, output));
    return FOV_OK;
}

size_t fov_picture_file_bytes(const fov_picture_reader *reader) {
    return reader->feed.file != NULL ? reader->feed.source.size : reader->blob.size;
}

fov_status fov_picture_check(fov_picture_reader *reader) {
    const fov_image *image;
    if (reader->grouped || reader->what.kind == FOV_PACK_RAW) {
        FOV_TRY(fov_picture_decode(reader, NULL, &image));
        return FOV_OK;
    }
    const fov_status status = fov_decoder_check(reader->decoder);
    return status == FOV_OK ? FOV_OK : name_failure(reader, status);
}

fov_status fov_picture_read(fov_picture_reader *reader, const char *path, const fov_decode_options *options) {
    const fov_decode_options padded = fov_picture_padded(options);
    FOV_TRY(fov_io_read_into(path, FOV_PICTURE_MAX_BYTES, FOV_DECODE_PADDING, &reader->blob, &reader->capacity));
    const fov_status status = fov_image_decode(reader->decoder, reader->blob.data, reader->blob.size, &padded, &reader->image);
    if (status != FOV_OK) {
        fov_text name;
        fov_text_init(&name);
        (void)fov_fail_prefix(status, "%s", fov_picture_name(&name, path));
        fov_text_clear(&name);
    }
    return status;
}

const char *fov_picture_name(fov_text *text, const char *path) {
    fov_text_clear(text);
    fov_text_init(text);
    fov_text_add_escaped(text, path);
    return text->status == FOV_OK && text->data != NULL ? text->data : "(a file)";
}

const char *fov_picture_reason(const char *path) {
    fov_text name;
    fov_text_init(&name);
    const char *message = fov_last_error(), *shown = fov_picture_name(&name, path);
    const size_t length = strlen(shown);
    if (strncmp(message, shown, length) == 0 && strncmp(message + length, ": ", 2) == 0) {
        message += length + 2;
    }
    fov_text_clear(&name);
    return message;
}
