/* The step `pilblur`: Gaussian blur with probability p as Pillow's ImageFilter.GaussianBlur makes it, sigma U(low, high).
 *
 * Three extended box filters an axis, all horizontal ones first, rounded to bytes after each (Gwosdek, Grewenig, Bruhn, Weickert,
 * "Theoretical foundations of Gaussian convolution by extended box filtering", SSVM 2011). The box has fractional radius R: 2 r + 1
 * full samples, r = int(R), and two ends of part weight. With s = sigma^2 / 3, l = floor((sqrt(12 s + 1) - 1) / 2):
 * R = l + (2 l + 1) (l (l + 1) - 3 s) / (6 (s - (l + 1)^2)). Edges repeat. Single precision where Pillow has it.
 *
 * Plan: value[0] sigma. */
#include <math.h>
#include <string.h>

#include "augment/augment.h"

enum { P, SIGMA_LOW, SIGMA_HIGH, PARAM_COUNT };

#define PASSES 3

static const fov_augment_param params[PARAM_COUNT] = {
    {.name = "p", .min = 0.0, .max = 1.0, .fallback = 0.5},
    {.name = "sigma low", .min = 0.0, .max = 1000.0, .fallback = 0.1},
    {.name = "sigma high", .min = 0.0, .max = 1000.0, .fallback = 2.0},
};

static const char *check(const double *param) {
    return param[SIGMA_LOW] > param[SIGMA_HIGH] ? "sigma low must not be above sigma high" : NULL;
}

static void draw(const double *param, fov_rng *rng, size_t width, size_t height, size_t image_size, fov_augment_plan *plan) {
    (void)width, (void)height, (void)image_size;
    plan->applies = fov_rng_uniform(rng) < param[P];
    plan->value[0] = fov_rng_range(rng, param[SIGMA_LOW], param[SIGMA_HIGH]);
}

static fov_box box_of(float sigma) {
    const float share = sigma * sigma / (float)PASSES;
    const float length = (float)sqrt(12.0 * (double)share + 1.0);
    const float whole = (float)floor(((double)length - 1.0) / 2.0);
    const float numerator = (2.0F * whole + 1.0F) * (whole * (whole + 1.0F) - 3.0F * share);
    const float denominator = 6.0F * (share - (whole + 1.0F) * (whole + 1.0F));
    const float radius = whole + numerator / denominator;
    fov_box box;
    box.radius = (size_t)radius;
    box.inner = (uint32_t)(16777216.0F / (radius * 2.0F + 1.0F));
    box.outer = (16777216U - (uint32_t)(2 * box.radius + 1) * box.inner) / 2U;
    return box;
}

/* In place: the row is first copied with its ends repeated. */
static void filter_row(const fov_pixel_loops *loops, const fov_box *box, size_t width, size_t channels, uint8_t *padded, uint8_t *row) {
    const size_t margin = box->radius + 1;
    for (size_t pass = 0; pass < PASSES; pass++) {
        memcpy(padded + margin * channels, row, width * channels);
        for (size_t x = 0; x < margin; x++) {
            memcpy(padded + x * channels, row, channels);
            memcpy(padded + (margin + width + x) * channels, row + (width - 1) * channels, channels);
        }
        loops->pixel_box_row(padded, channels, box, width * channels, row);
    }
}

static void filter_columns(const fov_pixel_loops *loops, const fov_box *box, const uint8_t *in, size_t row_bytes, size_t height,
                           const uint8_t **rows, uint8_t *out) {
    const ptrdiff_t margin = (ptrdiff_t)box->radius + 1, last = (ptrdiff_t)height - 1;
    for (size_t y = 0; y < height; y++) {
        for (ptrdiff_t k = -margin; k <= margin; k++) {
            const ptrdiff_t at = (ptrdiff_t)y + k;
            rows[k + margin] = in + (size_t)(at < 0 ? 0 : at > last ? last : at) * row_bytes;
        }
        loops->pixel_box_column(rows, box, row_bytes, out + y * row_bytes);
    }
}

static fov_status apply(const fov_augment_plan *plan, const fov_image *image, fov_augmenter *augmenter, uint8_t *output) {
    const size_t width = image->width, height = image->height, channels = image->channels, row_bytes = width * channels;
    const size_t bytes = row_bytes * height;
    const fov_box box = box_of((float)plan->value[0]);
    const size_t window = 2 * box.radius + 3;
    memcpy(output, image->pixels, bytes);
    if (plan->value[0] <= 0.0) {
        return FOV_OK;
    }
    uint8_t *padded = fov_augmenter_scratch(augmenter, FOV_SCRATCH_LINE, width + window, channels);
    FOV_TRY_ALLOC(padded);
    uint8_t *between = fov_augmenter_scratch(augmenter, FOV_SCRATCH_ROWS, bytes, 1);
    FOV_TRY_ALLOC(between);
    const uint8_t **rows = fov_augmenter_scratch(augmenter, FOV_SCRATCH_POINTERS, window, sizeof *rows);
    FOV_TRY_ALLOC(rows);
    for (size_t y = 0; y < height; y++) {
        filter_row(augmenter->loops, &box, width, channels, padded, output + y * row_bytes);
    }
    filter_columns(augmenter->loops, &box, output, row_bytes, height, rows, between);
    filter_columns(augmenter->loops, &box, between, row_bytes, height, rows, output);
    memcpy(between, output, bytes);
    filter_columns(augmenter->loops, &box, between, row_bytes, height, rows, output);
    return FOV_OK;
}

extern const fov_augment fov_augment_pilblur;
const fov_augment fov_augment_pilblur = {
    .name = "pilblur",
    .summary = "Gaussian blur of random width, three box filters (Pillow)",
    .pixels = FOV_PIXELS_BYTES,
    .params = params,
    .param_count = PARAM_COUNT,
    .shown_count = PARAM_COUNT,
    .check = check,
    .draw = draw,
    .apply = apply,
};
