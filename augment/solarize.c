/* Solarize with probability p (Pillow ImageOps.solarize): bytes at or above the threshold become 255 - byte. Plan: value[0] is the
 * threshold. */
#include "augment/augment.h"

enum { P, THRESHOLD, PARAM_COUNT };

static const fov_augment_param params[PARAM_COUNT] = {
    {.name = "p", .min = 0.0, .max = 1.0, .fallback = 0.2},
    {.name = "threshold", .min = 0.0, .max = 256.0, .fallback = 128.0},
};

static void draw(const double *param, fov_rng *rng, size_t width, size_t height, size_t image_size, fov_augment_plan *plan) {
    (void)width, (void)height, (void)image_size;
    plan->applies = fov_rng_uniform(rng) < param[P];
    plan->value[0] = param[THRESHOLD];
}

static fov_status apply(const fov_augment_plan *plan, const fov_image *image, fov_augmenter *augmenter, uint8_t *output) {
    uint8_t table[256];
    for (unsigned i = 0; i < 256; i++) {
        table[i] = (uint8_t)((double)i < plan->value[0] ? i : 255 - i);
    }
    augmenter->loops->pixel_table(image->pixels, image->width * image->height * image->channels, table, output);
    return FOV_OK;
}

extern const fov_augment fov_augment_solarize;
const fov_augment fov_augment_solarize = {
    .name = "solarize",
    .summary = "bytes at or above a threshold inverted",
    .pixels = FOV_PIXELS_BYTES,
    .params = params,
    .param_count = PARAM_COUNT,
    .shown_count = PARAM_COUNT,
    .draw = draw,
    .apply = apply,
};
