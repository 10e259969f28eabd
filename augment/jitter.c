/* Colour jitter with probability p (torchvision ColorJitter on Pillow images): brightness, contrast, saturation and hue in random
 * order, each by a random factor; an operation of strength 0 is left out.
 *
 * Factors are U(max(0, 1 - s), 1 + s), hue U(-h, h). The first three blend the picture x with a plain one d as d + f (x - d) in
 * float, truncated to 8 bits: d is 0, the mean grey, the pixel's grey. With d fixed over the picture the blend is a function of one
 * byte, so a table of 256 does it; saturation takes its products f i from a table, for i = x - d. Hue turns in 8-bit HSV.
 *
 * Plan: value[op] is the factor of op (0 brightness, 1 contrast, 2 saturation, 3 hue); order lists the operations to apply. */
#include <string.h>

#include "augment/augment.h"

enum { BRIGHTNESS, CONTRAST, SATURATION, HUE, OPERATIONS };
enum { P, STRENGTH, PARAM_COUNT = STRENGTH + OPERATIONS };

static const fov_augment_param params[PARAM_COUNT] = {
    {.name = "p", .min = 0.0, .max = 1.0, .fallback = 0.8},
    {.name = "brightness", .min = 0.0, .max = 16.0, .fallback = 0.4},
    {.name = "contrast", .min = 0.0, .max = 16.0, .fallback = 0.4},
    {.name = "saturation", .min = 0.0, .max = 16.0, .fallback = 0.4},
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

static void blend_with(int32_t plain, float factor, const uint8_t *in, size_t count, uint8_t *out) {
    uint8_t table[256];
    for (int32_t i = 0; i < 256; i++) {
        const float product = factor * (float)(i - plain);
        const float value = (float)plain + product;
        table[i] = (uint8_t)(value <= 0.0F ? 0 : value >= 255.0F ? 255 : (int)value);
    }
    for (size_t i = 0; i < count; i++) {
        out[i] = table[in[i]];
    }
}

static void saturate(const fov_pixel_loops *loops, float factor, const uint8_t *in, const uint8_t *luma, size_t pixels, uint8_t *out) {
    float product[511];
    for (int32_t i = -255; i <= 255; i++) {
        product[255 + i] = factor * (float)i;
    }
    loops->pixel_saturate(in, luma, pixels, product, out);
}

static fov_status apply(const fov_augment_plan *plan, const fov_image *image, fov_augmenter *augmenter, uint8_t *output) {
    const fov_pixel_loops *loops = augmenter->loops;
    const size_t pixels = image->width * image->height;
    uint8_t *luma = fov_augmenter_scratch(augmenter, FOV_SCRATCH_LUMA, pixels, 1);
    FOV_TRY_ALLOC(luma);
    const uint8_t *in = image->pixels;
    for (size_t i = 0; i < plan->order_count; i++) {
        const unsigned op = plan->order[i];
        const double factor = plan->value[op];
        if (op == BRIGHTNESS) {
            blend_with(0, (float)factor, in, 3 * pixels, output);
        } else if (op == CONTRAST) {
            const uint64_t sum = loops->pixel_luma(in, pixels, luma);
            blend_with((int32_t)((double)sum / (double)pixels + 0.5), (float)factor, in, 3 * pixels, output);
        } else if (op == SATURATION) {
            (void)loops->pixel_luma(in, pixels, luma);
            saturate(loops, (float)factor, in, luma, pixels, output);
        } else {
            loops->pixel_hue(in, pixels, (unsigned)(int)(factor * 255.0) & 255U, output);
        }
        in = output;
    }
    if (in == image->pixels) {
        memcpy(output, in, 3 * pixels);
    }
    return FOV_OK;
}

extern const fov_augment fov_augment_jitter;
const fov_augment fov_augment_jitter = {
    .name = "jitter",
    .summary = "brightness, contrast, saturation and hue in random order",
    .params = params,
    .param_count = PARAM_COUNT,
    .shown_count = PARAM_COUNT,
    .draw = draw,
    .apply = apply,
};
