/* Gaussian blur with probability p (torchvision GaussianBlur): k taps exp(-x^2 / (2 sigma^2)) normalised to 1, separable, sigma
 * U(low, high), edges mirrored without repeating the edge, float sums rounded to the nearest integer, halves to even.
 *
 * torchvision convolves with the outer product of the taps; two passes give the same sums up to float rounding, for 2 k instead of
 * k^2 products. Kernel 0 is SimCLR's size, a tenth of the side, made odd: int(.1 H) / 2 * 2 + 1.
 *
 * Plan: value[0] sigma, value[1] kernel size. */
#include <math.h>
#include <string.h>

#include "augment/augment.h"

enum { P, SIGMA_LOW, SIGMA_HIGH, KERNEL, PARAM_COUNT };

#define MAX_KERNEL 1023

static const fov_augment_param params[PARAM_COUNT] = {
    {.name = "p", .min = 0.0, .max = 1.0, .fallback = 0.5},
    {.name = "sigma low", .min = 0.01, .max = 1000.0, .fallback = 0.1},
    {.name = "sigma high", .min = 0.01, .max = 1000.0, .fallback = 2.0},
    {.name = "kernel", .min = 0.0, .max = MAX_KERNEL, .fallback = 0.0},
};

static const char *check(const double *param) {
    if (param[SIGMA_LOW] > param[SIGMA_HIGH]) {
        return "sigma low must not be above sigma high";
    }
    const double kernel = param[KERNEL];
    return kernel == 0.0 || fmod(kernel, 2.0) == 1.0 ? NULL : "kernel must be an odd number, or 0 for a tenth of the side";
}

static void draw(const double *param, fov_rng *rng, size_t width, size_t height, size_t image_size, fov_augment_plan *plan) {
    (void)width, (void)image_size;
    plan->applies = fov_rng_uniform(rng) < param[P];
    plan->value[0] = fov_rng_range(rng, param[SIGMA_LOW], param[SIGMA_HIGH]);
    const size_t tenth = height / 10;
    const size_t simclr = tenth / 2 * 2 + 1;
    plan->value[1] = param[KERNEL] > 0.0 ? param[KERNEL] : (double)(simclr > MAX_KERNEL ? MAX_KERNEL : simclr);
}

static void make_weights(double sigma, size_t taps, float *weights) {
    float sum = 0.0F;
    for (size_t t = 0; t < taps; t++) {
        const float x = ((float)t - (float)(taps / 2)) / (float)sigma;
        weights[t] = (float)exp(-0.5 * (double)(x * x));
        sum += weights[t];
    }
    for (size_t t = 0; t < taps; t++) {
        weights[t] /= sum;
    }
}

/* Row y in floats, with `margin` pixels more at either end. */
static void pad_row(const fov_pixel_loops *loops, const fov_image *image, size_t y, size_t margin, float *padded) {
    const size_t width = image->width, channels = image->channels, count = width * channels;
    float *row = padded + margin * channels;
    if (image->deep) {
        loops->pixel_deep_floats((const uint16_t *)(const void *)image->pixels + y * count, count, row);
    } else {
        loops->pixel_floats(image->pixels + y * count, count, row);
    }
    for (size_t x = 0; x < margin; x++) {
        const size_t left = fov_reflect((ptrdiff_t)x - (ptrdiff_t)margin, width), right = fov_reflect((ptrdiff_t)(width + x), width);
        memcpy(padded + x * channels, row + left * channels, channels * sizeof *row);
        memcpy(row + (width + x) * channels, row + right * channels, channels * sizeof *row);
    }
}

static fov_status apply(const fov_augment_plan *plan, const fov_image *image, fov_augmenter *augmenter, uint8_t *output) {
    const size_t taps = (size_t)plan->value[1], margin = taps / 2;
    const size_t channels = image->channels, height = image->height, row_values = image->width * channels;
    const fov_pixel_loops *loops = augmenter->loops;
    float weights[MAX_KERNEL];
    FOV_ASSERT(taps > 0 && taps <= MAX_KERNEL);
    make_weights(plan->value[0], taps, weights);
    float *padded = fov_augmenter_scratch(augmenter, FOV_SCRATCH_LINE, (image->width + 2 * margin) * channels, sizeof *padded);
    FOV_TRY_ALLOC(padded);
    float *blurred = fov_augmenter_scratch(augmenter, FOV_SCRATCH_ROWS, height, row_values * sizeof *blurred);
    FOV_TRY_ALLOC(blurred);
    const float **rows = fov_augmenter_scratch(augmenter, FOV_SCRATCH_POINTERS, taps, sizeof *rows);
    FOV_TRY_ALLOC(rows);
    for (size_t y = 0; y < height; y++) {
        pad_row(loops, image, y, margin, padded);
        loops->pixel_blur_row(padded, channels, weights, taps, row_values, blurred + y * row_values);
    }
    for (size_t y = 0; y < height; y++) {
        for (size_t t = 0; t < taps; t++) {
            rows[t] = blurred + fov_reflect((ptrdiff_t)(y + t) - (ptrdiff_t)margin, height) * row_values;
        }
        if (image->deep) {
            loops->pixel_deep_blur_column(rows, weights, taps, row_values, (uint16_t *)(void *)output + y * row_values);
        } else {
            loops->pixel_blur_column(rows, weights, taps, row_values, output + y * row_values);
        }
    }
    return FOV_OK;
}

extern const fov_augment fov_augment_blur;
const fov_augment fov_augment_blur = {
    .name = "blur",
    .summary = "Gaussian blur of random width, sampled kernel (torchvision)",
    .pixels = FOV_PIXELS_ANY,
    .params = params,
    .param_count = PARAM_COUNT,
    .shown_count = 3,
    .check = check,
    .draw = draw,
    .apply = apply,
};
