/* Sharpness with probability p (torchvision RandomAdjustSharpness, Pillow ImageEnhance.Sharpness): d + f (x - d) in float, truncated to 8
 * bits, where d is the picture smoothed by 3 x 3 weights 1 1 1, 1 5 1, 1 1 1 of 13; its outermost pixels are not smoothed. f = 0 gives the
 * smooth picture, 1 the picture itself, more a sharper one.
 *
 * Pillow smooths in float and rounds; the sum is a whole number of thirteenths, which never lie half-way between two bytes, so whole
 * numbers give the same. Plan: value[0] f. */
#include <string.h>

#include "augment/augment.h"

enum { P, FACTOR, PARAM_COUNT };

static const fov_augment_param params[PARAM_COUNT] = {
    {.name = "p", .min = 0.0, .max = 1.0, .fallback = 0.5},
    {.name = "factor", .min = 0.0, .max = 16.0, .fallback = 2.0},
};

static void draw(const double *param, fov_rng *rng, size_t width, size_t height, size_t image_size, fov_augment_plan *plan) {
    fov_draw_chance(param, rng, width, height, image_size, plan);
    plan->value[0] = param[FACTOR];
}

static uint8_t blend(uint32_t smooth, uint8_t value, const float *product) {
    const float blended = (float)smooth + product[255 + (int)value - (int)smooth];
    return (uint8_t)(blended <= 0.0F ? 0 : blended >= 255.0F ? 255 : (int)blended);
}

/* Samples `first` to `last` of a row; `across` samples lie between neighbours, `down` between rows. */
static void sharpen(const uint8_t *row, size_t first, size_t last, size_t across, size_t down, const float *product, uint8_t *out) {
    for (size_t i = first; i < last; i++) {
        const uint8_t *above = row + i - down, *below = row + i + down, *left = row + i - across, *right = row + i + across;
        const uint32_t ring =
            (uint32_t)above[0] + below[0] + left[0] + right[0] + *(above - across) + above[across] + *(below - across) + below[across];
        out[i] = blend((2U * (ring + 5U * row[i]) + 13U) / 26U, row[i], product);
    }
}

static fov_status apply(const fov_augment_plan *plan, const fov_image *image, fov_augmenter *augmenter, uint8_t *output) {
    (void)augmenter;
    const size_t across = image->channels, down = image->width * across;
    const float factor = (float)plan->value[0];
    float product[511];
    for (int i = -255; i <= 255; i++) {
        product[255 + i] = factor * (float)i;
    }
    memcpy(output, image->pixels, image->height * down); /* x is d there, and x + f 0 is x */
    for (size_t y = 1; y + 1 < image->height && image->width > 2; y++) {
        sharpen(image->pixels + y * down, across, down - across, across, down, product, output + y * down);
    }
    return FOV_OK;
}

extern const fov_augment fov_augment_sharpness;
const fov_augment fov_augment_sharpness = {
    .name = "sharpness",
    .summary = "sharper or smoother by a factor",
    .pixels = FOV_PIXELS_BYTES,
    .params = params,
    .param_count = PARAM_COUNT,
    .shown_count = PARAM_COUNT,
    .draw = draw,
    .apply = apply,
};
