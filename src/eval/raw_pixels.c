/* The crop that the backbone sees, shrunk to at most 32 x 32: small enough for a linear probe in memory and time (3,072 numbers in colour),
 * large enough to hold the colour and layout that a trivial classifier lives on. */
#include "eval/raw_pixels.h"

#include <string.h>

#include "base/hash.h"

size_t fov_raw_pixels_side(size_t image_size) {
    return image_size < FOV_RAW_PIXELS_MAX ? image_size : FOV_RAW_PIXELS_MAX;
}

static void to_features(const fov_preprocess *preprocess, const uint8_t *pixels, size_t values, float *features) {
    const size_t channels = preprocess->format.channels;
    for (size_t j = 0; j < values; j++) {
        const size_t c = j % channels;
        const double share =
            preprocess->format.deep ? (double)((const uint16_t *)(const void *)pixels)[j] / 65535.0 : (double)pixels[j] / 255.0;
        features[j] = (float)((share - preprocess->mean[c]) / preprocess->std[c]);
    }
}

fov_status fov_raw_pixels_embed(fov_augmenter *augmenter, const fov_preprocess *preprocess, const uint8_t *pixels, size_t count,
                                float *features, uint64_t *hash) {
    const fov_pixel_format format = preprocess->format;
    const size_t s = preprocess->image_size, side = fov_raw_pixels_side(s), values = side * side * format.channels;
    const size_t bytes = s * s * fov_pixel_bytes(format), small_bytes = side * side * fov_pixel_bytes(format);
    fov_status status = FOV_OK;
    uint8_t *whole = fov_mem_alloc(FOV_MEM_EVAL, bytes); /* an fov_image may be written to, the batch may not */
    uint8_t *small = fov_mem_alloc(FOV_MEM_EVAL, small_bytes);
    if (whole == NULL || small == NULL) {
        status = fov_forward_at(__FILE__, __LINE__, FOV_E_NOMEM);
    }
    for (size_t i = 0; i < count && status == FOV_OK; i++) {
        memcpy(whole, pixels + i * bytes, bytes);
        const fov_image image = {
            .pixels = whole, .width = s, .height = s, .channels = format.channels, .deep = format.deep, .capacity = bytes};
        status = fov_image_resize(augmenter, &image, side, side, FOV_BILINEAR, small);
        if (status == FOV_OK) {
            to_features(preprocess, small, values, features + i * values);
            hash[i] = fov_hash64(small, small_bytes, 0);
        }
    }
    fov_mem_free(whole);
    fov_mem_free(small);
    return status;
}
