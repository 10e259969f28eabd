/* What the fuzz targets of picture formats have in common: arbitrary bytes, up to 1 Mpx, decoded strictly and leniently. */
#ifndef FOV_TESTS_FUZZ_PICTURE_H
#define FOV_TESTS_FUZZ_PICTURE_H

#include <stdlib.h>
#include <string.h>

#include "augment/image.h"

static void demand(bool condition) {
    if (!condition) {
        abort();
    }
}

static void compare(fov_decoder *decoder, const uint8_t *data, size_t size, fov_decode_options options, const fov_image *strict,
                    fov_image *other) {
    fov_image_info info;
    demand(fov_image_probe(decoder, data, size, &options, &info) == FOV_OK);
    demand(info.width == strict->width && info.height == strict->height);
    options.lenient = true;
    demand(fov_image_decode(decoder, data, size, &options, other) == FOV_OK);
    demand(other->width == strict->width && other->height == strict->height);
    demand(memcmp(other->pixels, strict->pixels, strict->width * strict->height * 3) == 0);
}

/* No crash, no hang, and strict, lenient and probe agree where the strict decoder accepts. Bytes of another kind are passed over. */
static int fuzz_picture(fov_image_kind kind, const uint8_t *data, size_t size) {
    static fov_decoder *decoder; /* kept: errors must leave it usable */
    static fov_image image, other;
    fov_decode_options options = {.max_pixels = (size_t)1 << 20};
    if (fov_image_sniff(data, size) != kind) {
        return 0;
    }
    demand(decoder != NULL || fov_decoder_new(&decoder) == FOV_OK);
    if (fov_image_decode(decoder, data, size, &options, &image) == FOV_OK) {
        compare(decoder, data, size, options, &image, &other);
        return 0;
    }
    options.lenient = true;
    options.alpha = FOV_ALPHA_DROP;
    (void)!fov_image_decode(decoder, data, size, &options, &other);
    return 0;
}

#endif
