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
#define NO_WEIGHT 0x1p-27F /* of the brightest sample it is less than the rounding of the sum */
#define STRIP 224          /* samples of 16 bits */

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

/* FOV_PACK_ROWS rows from y in floats, a sample of all rows after the other, with `margin` pixels more at either end. Past the last row it
 * comes again. */
static void pad_rows(const fov_pixel_loops *loops, const fov_image *image, size_t y, size_t margin, float *padded) {
    const size_t width = image->width, channels = image->channels, count = width * channels, pixel = channels * FOV_PACK_ROWS;
    const void *from[FOV_PACK_ROWS];
    float *const inside = padded + margin * pixel;
    for (size_t r = 0; r < FOV_PACK_ROWS; r++) {
        const size_t row = y + r < image->height ? y + r : image->height - 1;
        from[r] = image->pixels + row * count * (image->deep ? 2 : 1);
    }
    if (image->deep) {
        loops->pixel_deep_floats((const uint16_t *const *)(const void *)from, count, inside);
    } else {
        loops->pixel_floats((const uint8_t *const *)(const void *)from, count, inside);
    }
    for (size_t x = 0; x < margin; x++) {
        const size_t left = fov_reflect((ptrdiff_t)x - (ptrdiff_t)margin, width), right = fov_reflect((ptrdiff_t)(width + x), width);
        memcpy(padded + x * pixel, inside + left * pixel, pixel * sizeof *inside);
        memcpy(inside + (width + x) * pixel, inside + right * pixel, pixel * sizeof *inside);
    }
}

static size_t whole_rows(size_t n) {
    return (n + FOV_PACK_ROWS - 1) / FOV_PACK_ROWS * FOV_PACK_ROWS;
}

/* Between the passes: rows `stride` floats apart, each in strips of FOV_PACK_ROWS samples `strip` floats apart. Of bytes the rows of a
 * strip follow each other, with a line of the cache after the last, so that strips do not fight for the same places in it. */
typedef struct layout {
    size_t stride, strip;
} layout;

static layout layout_of(const fov_image *image) {
    if (image->deep) {
        return (layout){.stride = whole_rows(image->width * image->channels), .strip = FOV_PACK_ROWS};
    }
    return (layout){.stride = FOV_PACK_ROWS, .strip = (whole_rows(image->height) + 1) * FOV_PACK_ROWS};
}

/* The vertical pass. rows: height + taps - 1 pointers. */
static void blur_columns(const fov_pixel_loops *loops, const fov_image *image, const float *blurred, const layout *lie,
                         const float *weights, size_t taps, const float **rows, uint8_t *output) {
    const size_t height = image->height, count = image->width * image->channels;
    for (size_t y = 0; y < height + taps - 1; y++) {
        rows[y] = blurred + fov_reflect((ptrdiff_t)y - (ptrdiff_t)(taps / 2), height) * lie->stride;
    }
    if (!image->deep) {
        loops->pixel_blur_columns(rows, lie->strip, weights, taps, height, count, output);
        return;
    }
    for (size_t at = 0; at < count; at += STRIP) { /* whose rows of one sum stay in the first cache */
        const size_t width = count - at < STRIP ? count - at : STRIP;
        for (size_t y = 0; y < height; y++) {
            loops->pixel_deep_blur_column(rows + y, weights, taps, width, (uint16_t *)(void *)output + y * count + at);
        }
        for (size_t y = 0; y < height + taps - 1; y++) {
            rows[y] += width;
        }
    }
}

static fov_status apply(const fov_augment_plan *plan, const fov_image *image, fov_augmenter *augmenter, uint8_t *output) {
    const size_t channels = image->channels, height = image->height, count = image->width * channels;
    float all[MAX_KERNEL], *weights = all;
    size_t taps = (size_t)plan->value[1];
    FOV_ASSERT(taps > 0 && taps <= MAX_KERNEL);
    make_weights(plan->value[0], taps, weights);
    while (taps > 1 && weights[0] < NO_WEIGHT && weights[taps - 1] < NO_WEIGHT) {
        weights++;
        taps -= 2;
    }
    const size_t margin = taps / 2;
    const size_t stride = whole_rows(count), samples = stride + 2 * margin * channels;
    float *padded = fov_augmenter_scratch(augmenter, FOV_SCRATCH_LINE, samples, FOV_PACK_ROWS * sizeof *padded);
    FOV_TRY_ALLOC(padded);
    const layout lie = layout_of(image);
    float *blurred = fov_augmenter_scratch(augmenter, FOV_SCRATCH_ROWS, whole_rows(height) + 1, stride * sizeof *blurred);
    FOV_TRY_ALLOC(blurred);
    const float **rows = fov_augmenter_scratch(augmenter, FOV_SCRATCH_POINTERS, height + taps, sizeof *rows);
    FOV_TRY_ALLOC(rows);
    memset(padded + (samples - (stride - count)) * FOV_PACK_ROWS, 0, (stride - count) * FOV_PACK_ROWS * sizeof *padded);
    for (size_t y = 0; y < height; y += FOV_PACK_ROWS) {
        pad_rows(augmenter->loops, image, y, margin, padded);
        augmenter->loops->pixel_blur_rows(padded, channels, weights, taps, count, blurred + y * lie.stride, lie.stride, lie.strip);
    }
    blur_columns(augmenter->loops, image, blurred, &lie, weights, taps, rows, output);
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
