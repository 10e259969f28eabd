/* Image buffers, recognition by content, dispatch to the codecs, parts of pictures and EXIF orientation.
 *
 * Names and extensions are never looked at: the first bytes say what a file is. The orientation is applied by one strided copy: for
 * each of the eight cases the source position is linear in the output position, so a start and two steps describe it. A part is first
 * mapped outwards to the shrunk frame as it is shown, then turned back to the frame as it lies in the file: there are no roundings in the
 * second step, so a part of a turned picture is that part of the picture turned as a whole. */
#include "augment/image.h"

#include <string.h>

#include "augment/codec.h"
#include "base/checked.h"

/* What files begin with. `codec` is NULL where this build lacks it. */
typedef struct signature {
    fov_image_kind kind;
    const char *name;
    size_t count; /* patterns */
    struct {
        size_t offset, length;
        const char *bytes;
    } pattern[4];
    const fov_codec *codec;
} signature;

static const signature signatures[] = {
    {.kind = FOV_IMAGE_JPEG, .name = "JPEG", .count = 1, .pattern = {{0, 3, "\xFF\xD8\xFF"}}, .codec = &fov_codec_jpeg},
    {.kind = FOV_IMAGE_PNG, .name = "PNG", .count = 1, .pattern = {{0, 8, "\x89PNG\r\n\x1A\n"}}, .codec = &fov_codec_png},
    {.kind = FOV_IMAGE_WEBP,
     .name = "WebP",
     .count = 1,
     .pattern = {{8, 4, "WEBP"}},
#ifdef FOV_HAVE_WEBP
     .codec = &fov_codec_webp
#endif
    },
    {.kind = FOV_IMAGE_TIFF,
     .name = "TIFF",
     .count = 4,
     .pattern = {{0, 4, "II*\0"}, {0, 4, "MM\0*"}, {0, 4, "II+\0"}, {0, 4, "MM\0+"}},
#ifdef FOV_HAVE_TIFF
     .codec = &fov_codec_tiff
#endif
    },
};
enum { KINDS = sizeof signatures / sizeof signatures[0], KEPT_BYTES = 16 << 20, HEAD_BYTES = 16 };

struct fov_decoder {
    void *state[KINDS];      /* of the codecs that were needed so far */
    const signature *opened; /* of the file that was opened and not yet read */
    fov_codec_file file;
    fov_image upright; /* decoded pixels before they are turned */
    fov_image strip;   /* rows on their way; or a frame that is given as one strip */
};

void fov_image_init(fov_image *image) {
    *image = (fov_image){0};
}

void fov_image_clear(fov_image *image) {
    fov_mem_free(image->pixels);
    *image = (fov_image){0};
}

fov_status fov_image_resize_storage(fov_image *image, size_t width, size_t height, fov_pixel_format format) {
    const size_t factors[3] = {width, height, fov_pixel_bytes(format)};
    size_t bytes = 0;
    if (width == 0 || height == 0 || format.channels > FOV_MAX_CHANNELS || !fov_product_size(factors, 3, &bytes)) {
        return FOV_FAIL(FOV_E_INVALID, "image of %zu x %zu pixels with %zu channels: not a size memory can have", width, height,
                        format.channels);
    }
    if (bytes > image->capacity) {
        fov_image_clear(image); /* first, so that old and new never stand side by side */
        image->pixels = fov_mem_alloc(FOV_MEM_IMAGE, bytes);
        FOV_TRY_ALLOC(image->pixels);
        image->capacity = bytes;
    }
    *image = (fov_image){.pixels = image->pixels,
                         .width = width,
                         .height = height,
                         .channels = format.channels == 0 ? 3 : format.channels,
                         .deep = format.deep,
                         .capacity = image->capacity};
    return FOV_OK;
}

fov_pixel_format fov_image_format(const fov_image *image) {
    return (fov_pixel_format){.channels = image->channels, .deep = image->deep};
}

const char *fov_image_kinds(void) {
#if defined(FOV_HAVE_WEBP) && defined(FOV_HAVE_TIFF)
    return "JPEG, PNG, WebP or TIFF";
#elif defined(FOV_HAVE_WEBP)
    return "JPEG, PNG or WebP";
#elif defined(FOV_HAVE_TIFF)
    return "JPEG, PNG or TIFF";
#else
    return "JPEG or PNG";
#endif
}

static const signature *recognise(const uint8_t *bytes, size_t size) {
    for (size_t k = 0; k < KINDS; k++) {
        const signature *const s = &signatures[k];
        for (size_t i = 0; i < s->count; i++) {
            if (size >= s->pattern[i].offset + s->pattern[i].length &&
                memcmp(bytes + s->pattern[i].offset, s->pattern[i].bytes, s->pattern[i].length) == 0) {
                return s;
            }
        }
    }
    return NULL;
}

fov_image_kind fov_image_sniff(const uint8_t *bytes, size_t size) {
    const signature *const s = recognise(bytes, size);
    return s != NULL && s->codec != NULL ? s->kind : FOV_IMAGE_UNKNOWN;
}

fov_status fov_image_check_caps(const char *kind, size_t width, size_t height, const fov_decode_options *options) {
    size_t pixels = 0;
    if (width > options->max_side || height > options->max_side) {
        return FOV_FAIL(FOV_E_LIMIT, "%s of %zu x %zu pixels: a side is over the limit of %zu", kind, width, height, options->max_side);
    }
    if (!fov_mul_size(width, height, &pixels) || pixels > options->max_pixels) {
        return FOV_FAIL(FOV_E_LIMIT, "%s of %zu x %zu pixels: over the limit of %zu pixels", kind, width, height, options->max_pixels);
    }
    if (pixels > FOV_IMAGE_MAX_BYTES / fov_pixel_bytes(options->format)) {
        return FOV_FAIL(FOV_E_LIMIT, "%s of %zu x %zu pixels of %zu bytes: over the limit of %zu MiB", kind, width, height,
                        fov_pixel_bytes(options->format), FOV_IMAGE_MAX_BYTES >> 20);
    }
    return FOV_OK;
}

/* ---- orientation ---- */

/* Source pixel of output (x, y) is start + x * across + y * down, in pixels; the inverse of what the tag's table calls "0th row, 0th
 * column" (TIFF 6.0, Orientation). */
typedef struct turn {
    ptrdiff_t start, across, down;
} turn;

static turn turn_of(unsigned orientation, ptrdiff_t width, ptrdiff_t height) {
    const ptrdiff_t right = width - 1, bottom = (height - 1) * width;
    switch (orientation) {
    case 2:
        return (turn){right, -1, width};
    case 3:
        return (turn){bottom + right, -1, -width};
    case 4:
        return (turn){bottom, 1, -width};
    case 5:
        return (turn){0, width, 1};
    case 6:
        return (turn){bottom, -width, 1};
    case 7:
        return (turn){bottom + right, -width, -1};
    case 8:
        return (turn){right, width, -1};
    default:
        return (turn){0, 1, width};
    }
}

static inline void copy_turned(const uint8_t *from, turn t, uint8_t *out, size_t width, size_t height, size_t pixel) {
    for (size_t y = 0; y < height; y++) {
        const uint8_t *source = from + (t.start + (ptrdiff_t)y * t.down) * (ptrdiff_t)pixel;
        for (size_t x = 0; x < width; x++, out += pixel, source += t.across * (ptrdiff_t)pixel) {
            memcpy(out, source, pixel);
        }
    }
}

fov_status fov_image_orient(const fov_image *from, unsigned orientation, fov_image *to) {
    const bool swap = orientation >= 5 && orientation <= 8;
    const size_t width = swap ? from->height : from->width, height = swap ? from->width : from->height;
    const size_t pixel = fov_pixel_bytes(fov_image_format(from));
    FOV_ASSERT(from != to);
    FOV_TRY(fov_image_resize_storage(to, width, height, fov_image_format(from)));
    const turn t = turn_of(orientation, (ptrdiff_t)from->width, (ptrdiff_t)from->height);
    if (pixel == 3) { /* a copy whose size is known is a few moves, not a call */
        copy_turned(from->pixels, t, to->pixels, width, height, 3);
    } else {
        copy_turned(from->pixels, t, to->pixels, width, height, pixel);
    }
    return FOV_OK;
}

/* Where a window of the picture as it is shown lies in the file. The frame's sides are those of the window's frame as shown. */
static fov_window turn_back(fov_window shown, unsigned orientation, size_t frame_width, size_t frame_height) {
    fov_window in_file = shown;
    if (orientation >= 5) {
        in_file = (fov_window){.left = shown.top, .top = shown.left, .width = shown.height, .height = shown.width, .shrink = shown.shrink};
        const size_t width = frame_width;
        frame_width = frame_height;
        frame_height = width;
    }
    if (orientation == 2 || orientation == 3 || orientation == 7 || orientation == 8) {
        in_file.left = frame_width - in_file.left - in_file.width;
    }
    if (orientation == 3 || orientation == 4 || orientation == 6 || orientation == 7) {
        in_file.top = frame_height - in_file.top - in_file.height;
    }
    in_file.planar = false; /* pixels are turned as they lie */
    return in_file;
}

/* ---- decoder ---- */

fov_status fov_decoder_new(fov_decoder **decoder) {
    *decoder = fov_mem_zalloc(FOV_MEM_IMAGE, sizeof **decoder);
    FOV_TRY_ALLOC(*decoder);
    return FOV_OK;
}

static void *state_of(const fov_decoder *decoder, const signature *s) {
    return decoder->state[s - signatures];
}

/* Ends what was opened, if anything is. */
static void close_file(fov_decoder *decoder) {
    if (decoder->opened != NULL) {
        decoder->opened->codec->close(state_of(decoder, decoder->opened));
        decoder->opened = NULL;
    }
}

void fov_decoder_free(fov_decoder *decoder) {
    if (decoder == NULL) {
        return;
    }
    close_file(decoder);
    for (size_t k = 0; k < KINDS; k++) {
        if (decoder->state[k] != NULL) {
            signatures[k].codec->clear(decoder->state[k]);
            fov_mem_free(decoder->state[k]);
        }
    }
    fov_image_clear(&decoder->upright);
    fov_image_clear(&decoder->strip);
    fov_mem_free(decoder);
}

size_t fov_decoder_warnings(const fov_decoder *decoder) {
    return decoder->file.warnings;
}

void *fov_codec_scratch(uint8_t **scratch, size_t *capacity, size_t bytes) {
    if (bytes > *capacity) {
        fov_mem_free(*scratch);
        *scratch = fov_mem_alloc(FOV_MEM_IMAGE, bytes);
        *capacity = *scratch != NULL ? bytes : 0;
    }
    return *scratch;
}

void fov_codec_trim(uint8_t **scratch, size_t *capacity) {
    if (*capacity > KEPT_BYTES) {
        fov_mem_free(*scratch);
        *scratch = NULL;
        *capacity = 0;
    }
}

static fov_decode_options complete(const fov_decode_options *options) {
    fov_decode_options full = options != NULL ? *options : (fov_decode_options){0};
    if (full.max_side == 0 || full.max_side > FOV_IMAGE_MAX_SIDE) {
        full.max_side = FOV_IMAGE_MAX_SIDE;
    }
    if (full.max_pixels == 0) {
        full.max_pixels = FOV_IMAGE_MAX_PIXELS;
    }
    if (full.format.channels == 0) {
        full.format.channels = 3;
    }
    return full;
}

static fov_status refuse_unknown(const signature *s, const uint8_t *bytes, size_t size) {
    if (s != NULL) {
        return FOV_FAIL(FOV_E_UNSUPPORTED, "a %s picture, which this build cannot read, it was made without that library; convert it to %s",
                        s->name, fov_image_kinds());
    }
    if (size < 4) {
        return FOV_FAIL(FOV_E_FORMAT, "only %zu bytes: not a picture; what is read is %s", size, fov_image_kinds());
    }
    return FOV_FAIL(FOV_E_UNSUPPORTED, "starts with the bytes %02x %02x %02x %02x, which is not %s; convert it to one", bytes[0], bytes[1],
                    bytes[2], bytes[3], fov_image_kinds());
}

static bool is_known(const signature *s) {
    return s != NULL && s->codec != NULL;
}

bool fov_image_by_pieces(fov_image_kind kind) {
    for (size_t k = 0; k < KINDS; k++) {
        if (signatures[k].kind == kind) {
            return is_known(&signatures[k]) && signatures[k].codec->by_pieces;
        }
    }
    return false;
}

fov_status fov_codec_piece(const fov_codec_file *file, size_t at, size_t count, fov_piece *piece) {
    static const uint8_t nothing[1]; /* at the end, a place to which 0 can be added */
    const size_t left = file->size - at;
    *piece = (fov_piece){.bytes = nothing, .at = at};
    if (file->source == NULL) {
        piece->bytes = file->bytes + at;
        piece->size = left;
    } else if (left > 0) {
        FOV_TRY(file->source->get(file->source->context, at, count < left ? count : left, &piece->bytes, &piece->size));
    }
    return FOV_OK;
}

/* Opens decoder->file, whose signature was found. */
static fov_status open_file(fov_decoder *decoder, const signature *s, fov_image_info *info) {
    if (decoder->file.options.format.channels > FOV_MAX_CHANNELS) {
        return FOV_FAIL(FOV_E_INVALID, "pictures of %zu channels are asked for; at most %zu can be", decoder->file.options.format.channels,
                        FOV_MAX_CHANNELS);
    }
    if (state_of(decoder, s) == NULL) {
        decoder->state[s - signatures] = fov_mem_zalloc(FOV_MEM_IMAGE, s->codec->state_bytes);
        FOV_TRY_ALLOC(state_of(decoder, s));
    }
    decoder->file.info.kind = s->kind;
    decoder->file.info.orientation = 1;
    decoder->opened = s;
    const fov_status status = s->codec->open(state_of(decoder, s), &decoder->file);
    *info = decoder->file.info;
    if (status != FOV_OK) {
        close_file(decoder);
        FOV_TRY(status);
    }
    if (!decoder->file.options.keep_orientation && info->orientation >= 5) {
        const size_t width = info->width;
        info->width = info->height;
        info->height = width;
    }
    return FOV_OK;
}

/* The window of a frame of width x height pixels, as shown, that holds the part (NULL: all) shrunk as far as the file can be. */
static fov_status find_window(const fov_decode_part *part, size_t width, size_t height, unsigned most_shrink, fov_window *window) {
    const fov_decode_part whole = {
        .width = width, .height = height, .shrink = part != NULL ? part->shrink : 1, .planar = part != NULL && part->planar};
    const fov_decode_part *const p = part == NULL || part->width == 0 ? &whole : part;
    const unsigned shrink = p->shrink <= 1 ? 1 : p->shrink < most_shrink ? p->shrink : most_shrink;
    if ((shrink & (shrink - 1)) != 0 || p->shrink > 8 || p->height == 0 || p->left >= width || p->width > width - p->left ||
        p->top >= height || p->height > height - p->top) {
        return FOV_FAIL(FOV_E_INVALID,
                        "part of %zu x %zu pixels at (%zu, %zu), shrunk by %u: not within a picture of %zu x %zu, or not 1, 2, 4 or 8",
                        p->width, p->height, p->left, p->top, p->shrink, width, height);
    }
    window->shrink = shrink;
    window->planar = p->planar;
    window->left = p->left / shrink;
    window->top = p->top / shrink;
    window->width = fov_ceil_div(p->left + p->width, shrink) - window->left;
    window->height = fov_ceil_div(p->top + p->height, shrink) - window->top;
    return FOV_OK;
}

/* The picture that was opened, as it is shown. */
typedef struct shown_frame {
    unsigned orientation; /* that is applied */
    size_t width, height;
    fov_window window; /* of it, as shown */
} shown_frame;

static fov_status find_frame(const fov_decoder *decoder, const fov_decode_part *part, shown_frame *f) {
    const fov_codec_file *const file = &decoder->file;
    *f = (shown_frame){.orientation = file->options.keep_orientation ? 1 : file->info.orientation};
    f->width = f->orientation >= 5 ? file->info.height : file->info.width;
    f->height = f->orientation >= 5 ? file->info.width : file->info.height;
    return find_window(part, f->width, f->height, file->most_shrink, &f->window);
}

static fov_window window_in_file(const shown_frame *f) {
    const size_t shrink = f->window.shrink;
    return f->orientation == 1 ? f->window
                               : turn_back(f->window, f->orientation, fov_ceil_div(f->width, shrink), fov_ceil_div(f->height, shrink));
}

static void set_place(const shown_frame *f, fov_image *image) {
    image->left = f->window.left;
    image->top = f->window.top;
    image->shrink = f->window.shrink;
    image->full_width = f->width;
    image->full_height = f->height;
}

/* Decodes a window as shown into the image. */
static fov_status read_window(fov_decoder *decoder, const shown_frame *f, fov_image *image) {
    const fov_window window = window_in_file(f);
    fov_image *const upright = f->orientation == 1 ? image : &decoder->upright;
    FOV_TRY(decoder->opened->codec->read(state_of(decoder, decoder->opened), &decoder->file, &window, upright));
    if (f->orientation != 1) {
        FOV_TRY(fov_image_orient(upright, f->orientation, image));
    }
    set_place(f, image);
    return FOV_OK;
}

fov_status fov_decoder_read(fov_decoder *decoder, const fov_decode_part *part, fov_image *image) {
    FOV_ASSERT(decoder->opened != NULL);
    shown_frame frame;
    fov_status status = find_frame(decoder, part, &frame);
    if (status == FOV_OK) {
        status = read_window(decoder, &frame, image);
    }
    close_file(decoder);
    FOV_TRY(status);
    return FOV_OK;
}

size_t fov_decoder_part_bytes(const fov_decoder *decoder, const fov_decode_part *part) {
    FOV_ASSERT(decoder->opened != NULL);
    shown_frame f;
    if (find_frame(decoder, part, &f) != FOV_OK) {
        return 0;
    }
    const size_t bytes = f.window.width * f.window.height * fov_pixel_bytes(decoder->file.options.format);
    return f.orientation == 1 ? bytes : 2 * bytes;
}

/* The part as its strips are passed on: sideways where it is turned by a quarter. */
static fov_codec_strips strips_of(fov_decoder *decoder, const shown_frame *f, fov_strip_fn take, void *context) {
    static const unsigned rest[] = {0, 1, 2, 3, 4, 1, 4, 3, 2}; /* by orientation, what is left to do with strips */
    fov_codec_strips strips = {.take = take, .context = context, .turned = &decoder->upright};
    fov_image *const whole = &strips.whole;
    strips.orientation = rest[f->orientation];
    strips.sideways = f->orientation >= 5;
    whole->left = strips.sideways ? f->window.top : f->window.left;
    whole->top = strips.sideways ? f->window.left : f->window.top;
    whole->full_width = strips.sideways ? f->height : f->width;
    whole->full_height = strips.sideways ? f->width : f->height;
    whole->shrink = f->window.shrink;
    return strips;
}

static fov_status read_strips(fov_decoder *decoder, const shown_frame *f, fov_strip_fn take, void *context) {
    const fov_window window = window_in_file(f);
    const fov_codec_file *const file = &decoder->file;
    if (!file->by_rows || file->options.lenient || (f->orientation >= 5 && file->options.format.deep)) {
        FOV_TRY(read_window(decoder, f, &decoder->strip));
        const fov_strip all = {.image = decoder->strip, .first = true};
        FOV_TRY(take(context, &all));
        return FOV_OK;
    }
    fov_codec_strips strips = strips_of(decoder, f, take, context);
    decoder->file.strips = &strips;
    const fov_status status = decoder->opened->codec->read(state_of(decoder, decoder->opened), &decoder->file, &window, &decoder->strip);
    decoder->file.strips = NULL;
    FOV_TRY(status);
    FOV_TRY(fov_codec_strips_end(&strips, &window, &decoder->strip));
    return FOV_OK;
}

fov_status fov_decoder_read_strips(fov_decoder *decoder, const fov_decode_part *part, fov_strip_fn take, void *context) {
    FOV_ASSERT(decoder->opened != NULL);
    shown_frame frame;
    fov_status status = find_frame(decoder, part, &frame);
    if (status == FOV_OK) {
        status = read_strips(decoder, &frame, take, context);
    }
    close_file(decoder);
    FOV_TRY(status);
    return FOV_OK;
}

static fov_status take_nothing(void *context, const fov_strip *strip) {
    (void)context, (void)strip;
    return FOV_OK;
}

fov_status fov_decoder_check(fov_decoder *decoder) {
    FOV_ASSERT(decoder->opened != NULL);
    const fov_codec *const codec = decoder->opened->codec;
    bool sound = false;
    const fov_status status = codec->check == NULL ? FOV_OK : codec->check(state_of(decoder, decoder->opened), &decoder->file, &sound);
    if (status != FOV_OK || sound) {
        close_file(decoder);
        FOV_TRY(status);
        return FOV_OK;
    }
    FOV_TRY(fov_decoder_read_strips(decoder, NULL, take_nothing, NULL));
    return FOV_OK;
}

fov_status fov_decoder_open(fov_decoder *decoder, const uint8_t *bytes, size_t size, const fov_decode_options *options,
                            fov_image_info *info) {
    const signature *const s = recognise(bytes, size);
    close_file(decoder);
    decoder->file = (fov_codec_file){.bytes = bytes, .size = size, .options = complete(options), .most_shrink = 1};
    *info = (fov_image_info){.kind = FOV_IMAGE_UNKNOWN};
    if (!is_known(s)) {
        return refuse_unknown(s, bytes, size);
    }
    FOV_TRY(open_file(decoder, s, info));
    return FOV_OK;
}

fov_status fov_decoder_open_source(fov_decoder *decoder, const fov_byte_source *source, const fov_decode_options *options,
                                   fov_image_info *info) {
    fov_piece head;
    close_file(decoder);
    decoder->file = (fov_codec_file){.size = source->size, .source = source, .options = complete(options), .most_shrink = 1};
    *info = (fov_image_info){.kind = FOV_IMAGE_UNKNOWN};
    FOV_TRY(fov_codec_piece(&decoder->file, 0, HEAD_BYTES, &head));
    const signature *const s = recognise(head.bytes, head.size);
    if (!is_known(s) || !s->codec->by_pieces) {
        return refuse_unknown(s, head.bytes, head.size);
    }
    FOV_TRY(open_file(decoder, s, info));
    return FOV_OK;
}

fov_status fov_image_decode(fov_decoder *decoder, const uint8_t *bytes, size_t size, const fov_decode_options *options, fov_image *image) {
    fov_image_info info;
    FOV_TRY(fov_decoder_open(decoder, bytes, size, options, &info));
    FOV_TRY(fov_decoder_read(decoder, NULL, image));
    return FOV_OK;
}

fov_status fov_image_probe(fov_decoder *decoder, const uint8_t *bytes, size_t size, const fov_decode_options *options,
                           fov_image_info *info) {
    FOV_TRY(fov_decoder_open(decoder, bytes, size, options, info));
    return FOV_OK;
}

fov_status fov_image_encode_jpeg(const uint8_t *pixels, size_t width, size_t height, size_t channels, int quality, fov_blob *blob) {
    *blob = (fov_blob){0};
    if ((channels != 1 && channels != 3) || width - 1 >= FOV_IMAGE_MAX_SIDE || height - 1 >= FOV_IMAGE_MAX_SIDE || quality < 1 ||
        quality > 100) {
        return FOV_FAIL(FOV_E_INVALID, "a JPEG has 1 or 3 channels, sides of 1 to %zu and quality 1 to 100, not %zu, %zu x %zu and %d",
                        FOV_IMAGE_MAX_SIDE, channels, width, height, quality);
    }
    FOV_TRY(fov_codec_jpeg_encode(pixels, width, height, channels, quality, blob));
    return FOV_OK;
}

fov_status fov_image_write_jpeg(const char *path, const uint8_t *pixels, size_t width, size_t height, size_t channels, int quality) {
    fov_blob blob;
    fov_status status = fov_image_encode_jpeg(pixels, width, height, channels, quality, &blob);
    status = status != FOV_OK ? fov_fail_prefix(status, "%s", path) : fov_io_write_atomic(path, blob.data, blob.size);
    fov_blob_clear(&blob);
    return status;
}
