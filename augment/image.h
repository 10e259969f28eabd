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

typedef struct fov_decode_options {
    size_t max_side;   /* 0: 65,500 */
    size_t max_pixels; /* 0: 128 Mi */
    fov_alpha alpha;
    bool keep_orientation; /* do not apply EXIF orientation */
    bool lenient;          /* accept truncated data with a warning count instead of refusing */
} fov_decode_options;

typedef enum fov_image_kind { FOV_IMAGE_UNKNOWN, FOV_IMAGE_JPEG, FOV_IMAGE_PNG } fov_image_kind;
fov_image_kind fov_image_sniff(const uint8_t *bytes, size_t size); /* by content */

typedef struct fov_image_info {
    fov_image_kind kind;
    size_t width, height; /* after orientation */
    unsigned channels_in_file, bits;
    unsigned orientation; /* EXIF 1..8 */
} fov_image_info;

/* A decoder keeps its codec state and scratch between images: one per thread. */
typedef struct fov_decoder fov_decoder;
FOV_MUST_USE fov_status fov_decoder_new(fov_decoder **decoder);
void fov_decoder_free(fov_decoder *decoder); /* takes NULL */

/* Decodes a JPEG or PNG held in memory to RGB, 8 bits. Refuses with FOV_E_FORMAT (malformed, truncated), FOV_E_UNSUPPORTED or
 * FOV_E_LIMIT and a short reason without the file's name, which the caller prefixes. `bytes` should be followed by padding readable
 * bytes (FOV_DECODE_PADDING) for speed; `size` does not count them. */
#define FOV_DECODE_PADDING 8192
FOV_MUST_USE fov_status fov_image_decode(fov_decoder *decoder, const uint8_t *bytes, size_t size, const fov_decode_options *options,
                                         fov_image *image);
/* Header only. */
FOV_MUST_USE fov_status fov_image_probe(fov_decoder *decoder, const uint8_t *bytes, size_t size, const fov_decode_options *options,
                                        fov_image_info *info);

/* Writing PNG and JPEG, for pictures we show and test data we make. */
FOV_MUST_USE fov_status fov_image_write_png(const char *path, const uint8_t *pixels, size_t width, size_t height, size_t channels);

#endif
