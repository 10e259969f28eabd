/* Image buffers, recognition by content, dispatch to the codecs and EXIF orientation.
 *
 * Names and extensions are never looked at: the first bytes say what a file is. The orientation is applied by one strided copy: for
 * each of the eight cases the source position is linear in the output position, so a start and two steps describe it. */
#include "augment/image.h"

#include <string.h>

#include "augment/codec.h"
#include "augment/exif.h"
#include "base/checked.h"

struct fov_decoder {
    fov_jpeg *jpeg;
    fov_png *png;
    fov_image upright; /* decoded pixels before they are turned */
    size_t warnings;
    /* the file that was opened and not yet read */
    const uint8_t *bytes;
    size_t size;
    fov_decode_options options; /* complete */
    fov_image_info info;
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

fov_pixel_format fov_image_format(const fov_image *image) { return (fov_pixel_format){.channels = image->channels, .deep = image->deep}; }

const char *fov_image_kinds(void) { return "JPEG or PNG"; }

fov_image_kind fov_image_sniff(const uint8_t *bytes, size_t size) {
    static const uint8_t png[8] = {0x89, 'P', 'N', 'G', '\r', '\n', 0x1A, '\n'};
    if (size >= 3 && bytes[0] == 0xFF && bytes[1] == 0xD8 && bytes[2] == 0xFF) {
        return FOV_IMAGE_JPEG;
    }
    return size >= sizeof png && memcmp(bytes, png, sizeof png) == 0 ? FOV_IMAGE_PNG : FOV_IMAGE_UNKNOWN;
}

fov_status fov_image_check_caps(const char *kind, size_t width, size_t height, const fov_decode_options *options) {
    size_t pixels = 0;
    if (width > options->max_side || height > options->max_side) {
        return FOV_FAIL(FOV_E_LIMIT, "%s of %zu x %zu pixels: a side is over the limit of %zu", kind, width, height, options->max_side);
    }
    if (!fov_mul_size(width, height, &pixels) || pixels > options->max_pixels) {
        return FOV_FAIL(FOV_E_LIMIT, "%s of %zu x %zu pixels: over the limit of %zu pixels", kind, width, height, options->max_pixels);
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

fov_status fov_image_orient(const fov_image *from, unsigned orientation, fov_image *to) {
    const bool swap = orientation >= 5 && orientation <= 8;
    const size_t width = swap ? from->height : from->width, height = swap ? from->width : from->height;
    const size_t channels = fov_pixel_bytes(fov_image_format(from)); /* bytes of a pixel, which move together */
    FOV_ASSERT(from != to);
    FOV_TRY(fov_image_resize_storage(to, width, height, fov_image_format(from)));
    const turn t = turn_of(orientation, (ptrdiff_t)from->width, (ptrdiff_t)from->height);
    uint8_t *out = to->pixels;
    for (size_t y = 0; y < height; y++) {
        ptrdiff_t source = (t.start + (ptrdiff_t)y * t.down) * (ptrdiff_t)channels;
        for (size_t x = 0; x < width; x++, out += channels, source += t.across * (ptrdiff_t)channels) {
            memcpy(out, from->pixels + source, channels);
        }
    }
    return FOV_OK;
}

/* ---- decoder ---- */

fov_status fov_decoder_new(fov_decoder **decoder) {
    fov_status status = FOV_OK;
    fov_decoder *made = fov_mem_zalloc(FOV_MEM_IMAGE, sizeof *made);
    *decoder = NULL;
    FOV_TRY_ALLOC(made);
    FOV_TRY_GOTO(status, done, fov_jpeg_new(&made->jpeg));
    FOV_TRY_GOTO(status, done, fov_png_new(&made->png));
    *decoder = made;
    made = NULL;
done:
    fov_decoder_free(made);
    return status;
}

void fov_decoder_free(fov_decoder *decoder) {
    if (decoder != NULL) {
        fov_jpeg_free(decoder->jpeg);
        fov_png_free(decoder->png);
        fov_image_clear(&decoder->upright);
        fov_mem_free(decoder);
    }
}

size_t fov_decoder_warnings(const fov_decoder *decoder) {
    return decoder->warnings;
}

static fov_decode_options complete(const fov_decode_options *options) {
    fov_decode_options full = options != NULL ? *options : (fov_decode_options){0};
    if (full.max_side == 0 || full.max_side > FOV_IMAGE_MAX_SIDE) {
        full.max_side = FOV_IMAGE_MAX_SIDE;
    }
    if (full.max_pixels == 0) {
        full.max_pixels = FOV_IMAGE_MAX_PIXELS;
    }
    return full;
}

static fov_status refuse_unknown(const uint8_t *bytes, size_t size) {
    if (size < 4) {
        return FOV_FAIL(FOV_E_FORMAT, "only %zu bytes: neither a JPEG nor a PNG image", size);
    }
    return FOV_FAIL(FOV_E_UNSUPPORTED, "starts with the bytes %02x %02x %02x %02x: neither a JPEG nor a PNG image; convert it to one",
                    bytes[0], bytes[1], bytes[2], bytes[3]);
}

static fov_status decode_kind(fov_decoder *decoder, fov_image_kind kind, const uint8_t *bytes, size_t size,
                              const fov_decode_options *options, fov_image *image) {
    return kind == FOV_IMAGE_JPEG ? fov_jpeg_decode(decoder->jpeg, bytes, size, options, image, &decoder->warnings)
                                  : fov_png_decode(decoder->png, bytes, size, options, image, &decoder->warnings);
}

static unsigned orientation_of(fov_image_kind kind, const uint8_t *bytes, size_t size) {
    return kind == FOV_IMAGE_JPEG ? fov_exif_orientation_jpeg(bytes, size) : fov_exif_orientation_png(bytes, size);
}

fov_status fov_decoder_open(fov_decoder *decoder, const uint8_t *bytes, size_t size, const fov_decode_options *options,
                            fov_image_info *info) {
    decoder->bytes = NULL;
    decoder->options = complete(options);
    decoder->warnings = 0;
    const fov_image_kind kind = fov_image_sniff(bytes, size);
    *info = (fov_image_info){.kind = kind};
    if (kind == FOV_IMAGE_UNKNOWN) {
        return refuse_unknown(bytes, size);
    }
    if (kind == FOV_IMAGE_JPEG) {
        FOV_TRY(fov_jpeg_probe(decoder->jpeg, bytes, size, &decoder->options, info));
    } else {
        FOV_TRY(fov_png_probe(bytes, size, &decoder->options, info));
    }
    info->orientation = orientation_of(kind, bytes, size);
    if (!decoder->options.keep_orientation && info->orientation >= 5) {
        const size_t width = info->width;
        info->width = info->height;
        info->height = width;
    }
    decoder->bytes = bytes;
    decoder->size = size;
    decoder->info = *info;
    return FOV_OK;
}

fov_status fov_decoder_read(fov_decoder *decoder, const fov_decode_part *part, fov_image *image) {
    (void)part;
    FOV_ASSERT(decoder->bytes != NULL);
    const uint8_t *bytes = decoder->bytes;
    const unsigned orientation = decoder->options.keep_orientation ? 1 : decoder->info.orientation;
    decoder->bytes = NULL;
    if (orientation == 1) {
        FOV_TRY(decode_kind(decoder, decoder->info.kind, bytes, decoder->size, &decoder->options, image));
        return FOV_OK;
    }
    FOV_TRY(decode_kind(decoder, decoder->info.kind, bytes, decoder->size, &decoder->options, &decoder->upright));
    FOV_TRY(fov_image_orient(&decoder->upright, orientation, image));
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
