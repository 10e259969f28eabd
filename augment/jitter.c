/* Colour jitter with probability p (torchvision ColorJitter on Pillow images): brightness, contrast, saturation and hue in random
 * order, each by a random factor; an operation of strength 0 is left out.
 *
 * Factors are U(max(0, 1 - s), 1 + s), hue U(-h, h). The first three blend the picture x with a plain one d as d + f (x - d) in
 * float, truncated to 8 bits: d is 0, the mean grey, the pixel's grey. With d fixed over the picture the blend is a function of one
 * byte, so a table of 256 does it. Hue turns in 8-bit HSV.
 *
 * On pictures of other than three channels contrast's mean is that of all samples, and saturation and hue, which have no meaning there,
 * are left out.
 *
 * Plan: value[op] is the factor of op (0 brightness, 1 contrast, 2 saturation, 3 hue); order lists the operations to apply. */
#include <string.h>

#include "augment/augment.h"

enum { BRIGHTNESS, CONTRAST, SATURATION, HUE, OPERATIONS };
enum { P, STRENGTH, PARAM_COUNT = STRENGTH + OPERATIONS };

static const fov_augment_param params[PARAM_COUNT] = {
    {.name = "p", .min = 0.0, .max = 1.0, .fallback = 0.8},         {.name = "brightness", .min = 0.0, .max = 16.0, .fallback = 0.4},
    {.name = "contrast", .min = 0.0, .max = 16.0, .fallback = 0.4}, {.name = "saturation", .min = 0.0, .max = 16.0, .fallback = 0.4},
    {.name = "hue", .min = 0.0, .max = 0.5, .fallback = 0.1},
};

static void draw(const double *param, fov_rng *rng, size_t width, size_t height, size_t image_size, fov_augment_plan *plan) {
    (void)width, (void)height, (void)image_size;
    plan->applies = fov_rng_uniform(rng) < param[P];
    uint32_t order[OPERATIONS] = {BRIGHTNESS, CONTRAST, SATURATION, HUE};
    fov_rng_shuffle(rng, order, OPERATIONS);
    for (size_t op = 0; op < OPERATIONS; op++) {
        const double strength = param[STRENGTH + op];
        const double middle = op == HUE ? 0.0 : 1.0;
        const double low = op == HUE || strength < 1.0 ? middle - strength : 0.0;
        plan->value[op] = fov_rng_range(rng, low, middle + strength);
    }
    plan->order_count = 0;
    for (size_t i = 0; i < OPERATIONS; i++) {
        if (param[STRENGTH + order[i]] > 0.0) {
            plan->order[plan->order_count++] = (uint8_t)order[i];
        }
    }
}

static void blend_with(const fov_pixel_loops *loops, int32_t plain, float factor, const uint8_t *in, size_t count, uint8_t *out) {
    uint8_t table[256];
    for (int32_t i = 0; i < 256; i++) {
        const float product = factor * (float)(i - plain);
        const float value = (float)plain + product;
        table[i] = (uint8_t)(value <= 0.0F ? 0 : value >= 255.0F ? 255 : (int)value);
    }
    loops->pixel_table(in, count, table, out);
}

/* What contrast blends with: the mean, rounded. */
static int32_t mean_of(const fov_pixel_loops *loops, const uint8_t *in, size_t pixels, size_t channels) {
    if (channels == 3) {
        return (int32_t)((double)loops->pixel_luma_sum(in, pixels) / (double)pixels + 0.5);
    }
    uint64_t sum = 0;
    for (size_t i = 0; i < pixels * channels; i++) {
        sum += in[i];
    }
    return (int32_t)((double)sum / (double)(pixels * channels) + 0.5);
}

static fov_status apply(const fov_augment_plan *plan, const fov_image *image, fov_augmenter *augmenter, uint8_t *output) {
    const fov_pixel_loops *loops = augmenter->loops;
    const size_t pixels = image->width * image->height, samples = pixels * image->channels;
    const uint8_t *in = image->pixels;
    for (size_t i = 0; i < plan->order_count; i++) {
        const unsigned op = plan->order[i];
        const double factor = plan->value[op];
        if (op == BRIGHTNESS) {
            blend_with(loops, 0, (float)factor, in, samples, output);
        } else if (op == CONTRAST) {
            blend_with(loops, mean_of(loops, in, pixels, image->channels), (float)factor, in, samples, output);
        } else if (image->channels != 3) {
            continue;
        } else if (op == SATURATION) {
            loops->pixel_saturate(in, pixels, (float)factor, output);
        } else {
            loops->pixel_hue(in, pixels, (unsigned)(int)(factor * 255.0) & 255U, output);
        }
        in = output;
    }
    if (in == image->pixels) {
        memcpy(output, in, samples);
    }
    return FOV_OK;
}

extern const fov_augment fov_augment_jitter;
const fov_augment fov_augment_jitter = {
    .name = "jitter",
    .summary = "brightness, contrast, saturation and hue in random order",
    .pixels = FOV_PIXELS_BYTES,
    .params = params,
    .param_count = PARAM_COUNT,
    .shown_count = PARAM_COUNT,
    .draw = draw,
    .apply = apply,
};
