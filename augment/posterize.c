/* Posterize with probability p (torchvision RandomPosterize, Pillow ImageOps.posterize): only the `bits` highest bits of a sample stay.
 * Plan: value[0] bits. */
#include "augment/augment.h"

enum { P, BITS, PARAM_COUNT };

static const fov_augment_param params[PARAM_COUNT] = {
    {.name = "p", .min = 0.0, .max = 1.0, .fallback = 0.5},
    {.name = "bits", .min = 0.0, .max = 8.0, .fallback = 4.0, .whole = true},
};

static void draw(const double *param, fov_rng *rng, size_t width, size_t height, size_t image_size, fov_augment_plan *plan) {
    fov_draw_chance(param, rng, width, height, image_size, plan);
    plan->value[0] = param[BITS];
}

static fov_status apply(const fov_augment_plan *plan, const fov_image *image, fov_augmenter *augmenter, uint8_t *output) {
    (void)augmenter;
    const size_t count = image->width * image->height * image->channels;
    const unsigned bits = (unsigned)plan->value[0];
    if (image->deep) {
        const uint16_t *from = (const uint16_t *)(const void *)image->pixels, mask = (uint16_t)(0xFFFF0000U >> bits);
        uint16_t *to = (uint16_t *)(void *)output;
        for (size_t i = 0; i < count; i++) {
            to[i] = from[i] & mask;
        }
        return FOV_OK;
    }
    const uint8_t mask = (uint8_t)(0xFF00U >> bits);
    for (size_t i = 0; i < count; i++) {
        output[i] = image->pixels[i] & mask;
    }
    return FOV_OK;
}

extern const fov_augment fov_augment_posterize;
const fov_augment fov_augment_posterize = {
    .name = "posterize",
    .summary = "only the highest bits of each sample",
    .pixels = FOV_PIXELS_ANY,
    .params = params,
    .param_count = PARAM_COUNT,
    .shown_count = PARAM_COUNT,
    .draw = draw,
    .apply = apply,
};
