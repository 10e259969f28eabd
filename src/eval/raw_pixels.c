/* The crop that the backbone sees, shrunk to at most 32 x 32: small enough for a linear probe in memory and time (3,072 numbers), large enough to
 * hold the colour and layout that a trivial classifier lives on. */
#include "eval/raw_pixels.h"

#include <string.h>

#include "base/hash.h"

size_t fov_raw_pixels_side(size_t image_size) { return image_size < FOV_RAW_PIXELS_MAX ? image_size : FOV_RAW_PIXELS_MAX; }

fov_status fov_raw_pixels_embed(fov_augmenter *augmenter, const fov_preprocess *preprocess, const uint8_t *pixels, size_t count, float *features,
                                uint64_t *hash) {
    const size_t s = preprocess->image_size, side = fov_raw_pixels_side(s), values = side * side * 3;
    uint8_t small[FOV_RAW_PIXELS_MAX * FOV_RAW_PIXELS_MAX * 3];
    uint8_t *whole = fov_mem_alloc(FOV_MEM_EVAL, s * s * 3); /* an fov_image may be written to, the batch may not */
    FOV_TRY_ALLOC(whole);
    fov_status status = FOV_OK;
    for (size_t i = 0; i < count && status == FOV_OK; i++) {
        memcpy(whole, pixels + i * s * s * 3, s * s * 3);
        const fov_image image = {.pixels = whole, .width = s, .height = s, .channels = 3, .capacity = s * s * 3};
        status = fov_image_resize(augmenter, &image, side, side, FOV_BILINEAR, small);
        for (size_t j = 0; j < values; j++) {
            features[i * values + j] = (float)(((double)small[j] / 255.0 - preprocess->mean[j % 3]) / preprocess->std[j % 3]);
        }
        hash[i] = fov_hash64(small, values, 0);
    }
    fov_mem_free(whole);
    return status;
}
