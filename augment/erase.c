/* Random erasing with probability p (Zhong et al., "Random Erasing Data Augmentation", AAAI 2020; torchvision RandomErasing): a box is
 * overwritten with one value or with noise.
 *
 * Up to ten tries: area = H W U(low, high), ratio = exp U(ln r0, ln r1), h = round sqrt(area ratio), w = round sqrt(area / ratio), taken if
 * it is smaller than the picture both ways, at a uniform place; else nothing is erased.
 *
 * The references draw noise N(0, 1) on pictures that have mean and deviation taken out; here those come after, so noise is m + d N(0, 1),
 * rounded to a byte and clamped, with ImageNet's mean m and deviation d of the channel, or their averages where the channels are not R, G
 * and B. Of 16 bits, samples are the byte times 257.
 *
 * Plan: resize.left, top, width and height of the box (width 0: none), value[0] the value or FOV_PARAM_WORD for noise, value[1] names the
 * noise: a multiple of 2^-53 in [0, 1). */
#include <math.h>
#include <string.h>

#include "augment/box.h"

enum { P, SCALE_LOW, SCALE_HIGH, RATIO_LOW, RATIO_HIGH, VALUE, PARAM_COUNT };

static const fov_augment_param params[PARAM_COUNT] = {
    {.name = "p", .min = 0.0, .max = 1.0, .fallback = 0.5},
    {.name = "scale low", .min = 0.0, .max = 1.0, .fallback = 0.02},
    {.name = "scale high", .min = 0.0, .max = 1.0, .fallback = 0.33},
    {.name = "ratio low", .min = 0.01, .max = 100.0, .fallback = 0.3},
    {.name = "ratio high", .min = 0.01, .max = 100.0, .fallback = 3.3},
    {.name = "value", .min = 0.0, .max = 255.0, .fallback = 0.0, .word = "noise", .whole = true},
};

static const char *check(const double *param) { return fov_box_check(param + SCALE_LOW, param + RATIO_LOW); }

static bool try_box(const double *param, fov_rng *rng, size_t width, size_t height, fov_resize *box) {
    double w, h;
    fov_box_sides(rng, param + SCALE_LOW, param + RATIO_LOW, width, height, &h, &w);
    if (h >= (double)height || w >= (double)width) {
        return false;
    }
    box->width = (size_t)w;
    box->height = (size_t)h;
    fov_box_place(rng, width, height, box);
    return true;
}

static void draw(const double *param, fov_rng *rng, size_t width, size_t height, size_t image_size, fov_augment_plan *plan) {
    fov_draw_chance(param, rng, width, height, image_size, plan);
    plan->value[0] = param[VALUE];
    plan->value[1] = fov_rng_uniform(rng);
    plan->resize = (fov_resize){.width = 0};
    for (int i = 0; i < FOV_BOX_TRIES && plan->applies; i++) {
        if (try_box(param, rng, width, height, &plan->resize)) {
            return;
        }
    }
}

/* The law of a channel's noise: a number u of 32 bits stands for the first byte b with u <= limit[b], and start[u >> 24] is not above it. A
 * few comparisons a sample instead of a logarithm and a cosine. */
typedef struct law {
    uint32_t limit[256];
    uint8_t start[256];
} law;

static void make_law(double mean, double deviation, law *l) {
    size_t b = 0;
    for (size_t i = 0; i < 256; i++) {
        const double border = (((double)i + 0.5) / 255.0 - mean) / deviation;
        l->limit[i] = i == 255 ? UINT32_MAX : (uint32_t)(0.5 * erfc(-border / sqrt(2.0)) * 4294967295.0);
    }
    for (size_t k = 0; k < 256; k++) {
        while (l->limit[b] < (uint32_t)k << 24) {
            b++;
        }
        l->start[k] = (uint8_t)b;
    }
}

static uint8_t noise(const law *l, fov_rng *rng) {
    const uint32_t u = fov_rng_u32(rng);
    size_t b = l->start[u >> 24];
    while (u > l->limit[b]) {
        b++;
    }
    return (uint8_t)b;
}

static void fill_noise(const fov_augment_plan *plan, const fov_image *image, uint8_t *output) {
    static const double mean[] = {0.485, 0.456, 0.406, 0.449}, deviation[] = {0.229, 0.224, 0.225, 0.226};
    const fov_resize *box = &plan->resize;
    const size_t depth = image->deep ? 2 : 1, bytes = image->channels * depth;
    law laws[3];
    fov_rng rng;
    fov_rng_init(&rng, (uint64_t)(plan->value[1] * 0x1p53), 0, 0, 0, FOV_RNG_AUGMENT);
    for (size_t c = 0; c < 3; c++) {
        const size_t k = image->channels == 3 ? c : 3;
        make_law(mean[k], deviation[k], &laws[c]);
    }
    for (size_t y = 0; y < box->height; y++) {
        uint8_t *row = output + ((box->top + y) * image->width + box->left) * bytes;
        for (size_t i = 0; i < box->width * image->channels; i++) {
            const uint8_t value = noise(&laws[i % 3], &rng); /* of other channel counts than 3, all laws are one */
            for (size_t d = 0; d < depth; d++) {
                row[i * depth + d] = value;
            }
        }
    }
}

static fov_status apply(const fov_augment_plan *plan, const fov_image *image, fov_augmenter *augmenter, uint8_t *output) {
    (void)augmenter;
    const fov_resize *box = &plan->resize;
    const size_t bytes = fov_pixel_bytes(fov_image_format(image));
    memcpy(output, image->pixels, image->width * image->height * bytes);
    if (plan->value[0] == FOV_PARAM_WORD) {
        fill_noise(plan, image, output);
        return FOV_OK;
    }
    for (size_t y = 0; y < box->height; y++) {
        memset(output + ((box->top + y) * image->width + box->left) * bytes, (int)plan->value[0], box->width * bytes);
    }
    return FOV_OK;
}

extern const fov_augment fov_augment_erase;
const fov_augment fov_augment_erase = {
    .name = "erase",
    .summary = "a box overwritten with a value or with noise",
    .pixels = FOV_PIXELS_ANY,
    .params = params,
    .param_count = PARAM_COUNT,
    .shown_count = PARAM_COUNT,
    .check = check,
    .draw = draw,
    .apply = apply,
};
