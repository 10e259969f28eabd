/* 8-bit images in memory and how they are decoded. Nothing here knows files or the graph. */
#ifndef FOV_AUGMENT_IMAGE_H
#define FOV_AUGMENT_IMAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/memory.h"

/* Pixels are interleaved, rows follow each other without gaps: pixels[(y * width + x) * channels + c]. channels is 3 (RGB). */
typedef struct fov_image {
    uint8_t *pixels;
    size_t width, height, channels;
    size_t capacity; /* bytes that pixels can hold; images are reused */
} fov_image;

void fov_image_init(fov_image *image);
void fov_image_clear(fov_image *image);
/* Makes room for width x height x channels; contents undefined. */
FOV_MUST_USE fov_status fov_image_resize_storage(fov_image *image, size_t width, size_t height, size_t channels);

typedef enum fov_alpha { FOV_ALPHA_WHITE, FOV_ALPHA_BLACK, FOV_ALPHA_DROP } fov_alpha; /* composite on a colour, or ignore as Pillow does */

/* All zero is the default; NULL for the whole means the default. */
typedef struct fov_decode_options {
    size_t max_side;   /* 0: 65,500, which is also the most */
    size_t max_pixels; /* 0: 128 Mi */
    fov_alpha alpha;
    bool keep_orientation; /* do not apply EXIF orientation */
    bool lenient;          /* accept truncated data with a warning count instead of refusing */
    size_t padding;        /* bytes that may be read after `size` (FOV_DECODE_PADDING is worth while); they never count as data */
} fov_decode_options;

typedef enum fov_image_kind { FOV_IMAGE_UNKNOWN, FOV_IMAGE_JPEG, FOV_IMAGE_PNG } fov_image_kind;
fov_image_kind fov_image_sniff(const uint8_t *bytes, size_t size); /* by content */

typedef struct fov_image_info {
    fov_image_kind kind;
    size_t width, height;      /* as fov_image_decode would give them: after orientation unless keep_orientation */
    unsigned channels_in_file; /* 1 gray, 2 gray and alpha, 3 colour (also palette), 4 colour and alpha or CMYK; tRNS is not counted */
    unsigned bits;             /* per sample, or per palette index */
    unsigned orientation;      /* EXIF 1..8 */
} fov_image_info;

/* A decoder keeps its codec state and scratch between images: one per thread. */
typedef struct fov_decoder fov_decoder;
FOV_MUST_USE fov_status fov_decoder_new(fov_decoder **decoder);
void fov_decoder_free(fov_decoder *decoder); /* takes NULL */

/* Decodes a JPEG or PNG held in memory to RGB, 8 bits. Refuses with FOV_E_FORMAT (malformed, truncated), FOV_E_UNSUPPORTED or
 * FOV_E_LIMIT and a short reason without the file's name, which the caller prefixes (fov_fail_prefix). After a refusal the image's
 * contents are undefined but its storage is still owned and usable. The pixels depend on the bytes and options alone, never on what
 * the decoder saw before. Where `bytes` is followed by padding readable bytes (FOV_DECODE_PADDING), options->padding may say so, for
 * speed; `size` does not count them.
 *
 * Meaning of the pixels: JPEG by libjpeg's accurate integer DCT with smooth chroma upsampling; CMYK and YCCK as Adobe writes them
 * (inverted) with R = round(C K / 255). PNG samples of 16 bits are rounded to 8, round(v 255 / 65535), gamma and colour profiles are
 * ignored, and transparency is composited after that: round((c a + b (255 - a)) / 255) over b = 255 (white) or 0 (black). */
#define FOV_DECODE_PADDING 8192
FOV_MUST_USE fov_status fov_image_decode(fov_decoder *decoder, const uint8_t *bytes, size_t size, const fov_decode_options *options,
                                         fov_image *image);
/* Header only. */
FOV_MUST_USE fov_status fov_image_probe(fov_decoder *decoder, const uint8_t *bytes, size_t size, const fov_decode_options *options,
                                        fov_image_info *info);
/* Oddities passed over in the last fov_image_decode by this decoder: harmless ones, and with `lenient` the damage. */
size_t fov_decoder_warnings(const fov_decoder *decoder);

/* Turns an image as EXIF orientation 1..8 asks: `to` (another image) becomes what a viewer shows. */
FOV_MUST_USE fov_status fov_image_orient(const fov_image *from, unsigned orientation, fov_image *to);

/* Writing PNG (1 gray, 2 gray and alpha, 3 RGB or 4 RGBA channels) and JPEG (1 or 3 channels, quality 1..100, 4:2:0), for pictures
 * we show and test data we make. The file appears whole or not at all. */
FOV_MUST_USE fov_status fov_image_write_png(const char *path, const uint8_t *pixels, size_t width, size_t height, size_t channels);
FOV_MUST_USE fov_status fov_image_write_jpeg(const char *path, const uint8_t *pixels, size_t width, size_t height, size_t channels,
                                             int quality);

#endif
