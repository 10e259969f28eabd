/* The steps `mixup` (Zhang et al. 2018) and `cutmix` (Yun et al. 2019), one draw a batch as in timm's "batch" mode.
 *
 * lambda ~ Beta(alpha, alpha). cutmix gives the partner a box of int(side sqrt(1 - lambda)) pixels a side about a uniform middle, cut at
 * the edges; lambda then is the share outside of it. Partners are each other's, so a pair is mixed in one pass and needs no copy.
 *
 * Plan: value[0] lambda, and the box in resize.left, top, width, height. */
#include "augment/mix.h"

#include <math.h>
#include <string.h>

#include "augment/augment.h"

enum { P, ALPHA, PARAM_COUNT };

#define ONE 65536U /* lambda = 1 */

static const fov_augment_param mixup_params[PARAM_COUNT] = {
    {.name = "p", .min = 0.0, .max = 1.0, .fallback = 1.0},
    {.name = "alpha", .min = 0.01, .max = 100.0, .fallback = 0.8},
};
static const fov_augment_param cutmix_params[PARAM_COUNT] = {
    {.name = "p", .min = 0.0, .max = 1.0, .fallback = 1.0},
    {.name = "alpha", .min = 0.01, .max = 100.0, .fallback = 1.0},
};

/* Logarithm of a Gamma(alpha, 1) variate (Marsaglia and Tsang, "A simple method for generating gamma variables", 2000): rejection for
 * alpha + 1 and a power of a uniform for the rest. As a logarithm, since for small alpha the variate itself is below every double. */
static double log_gamma_variate(fov_rng *rng, double alpha) {
    const double d = alpha + 1.0 - 1.0 / 3.0, c = 1.0 / sqrt(9.0 * d);
    const double power = log(1.0 - fov_rng_uniform(rng)) / alpha;
    for (;;) {
        const double x = fov_rng_normal(rng), root = 1.0 + c * x, v = root * root * root;
        const double u = 1.0 - fov_rng_uniform(rng);
        if (root > 0.0 && log(u) < 0.5 * x * x + d - d * v + d * log(v)) {
            return log(d * v) + power;
        }
    }
}

static double beta_variate(fov_rng *rng, double alpha) {
    const double first = log_gamma_variate(rng, alpha), second = log_gamma_variate(rng, alpha);
    return 1.0 / (1.0 + exp(second - first));
}

static void draw_mixup(const double *param, fov_rng *rng, size_t width, size_t height, size_t image_size, fov_augment_plan *plan) {
    fov_draw_chance(param, rng, width, height, image_size, plan);
    plan->value[0] = beta_variate(rng, param[ALPHA]);
}

/* The part of [middle - cut / 2, middle + (cut + 1) / 2) that lies in [0, side). */
static void cut_side(fov_rng *rng, size_t side, double share, size_t *start, size_t *length) {
    const size_t cut = (size_t)((double)side * share), middle = (size_t)fov_rng_below(rng, side);
    const size_t end = middle + (cut + 1) / 2;
    *start = middle > cut / 2 ? middle - cut / 2 : 0;
    *length = (end < side ? end : side) - *start;
}

static void draw_cutmix(const double *param, fov_rng *rng, size_t width, size_t height, size_t image_size, fov_augment_plan *plan) {
    fov_draw_chance(param, rng, width, height, image_size, plan);
    const double share = sqrt(1.0 - beta_variate(rng, param[ALPHA]));
    fov_resize *box = &plan->resize;
    cut_side(rng, height, share, &box->top, &box->height);
    cut_side(rng, width, share, &box->left, &box->width);
    plan->value[0] = 1.0 - (double)(box->width * box->height) / (double)(width * height);
}

extern const fov_augment fov_augment_mixup, fov_augment_cutmix;
const fov_augment fov_augment_mixup = {
    .name = "mixup",
    .summary = "last: each picture of a batch blended with another",
    .pixels = FOV_PIXELS_ANY,
    .params = mixup_params,
    .param_count = PARAM_COUNT,
    .shown_count = PARAM_COUNT,
    .mixes = true,
    .draw = draw_mixup,
};
const fov_augment fov_augment_cutmix = {
    .name = "cutmix",
    .summary = "last: a box of each picture of a batch taken from another",
    .pixels = FOV_PIXELS_ANY,
    .params = cutmix_params,
    .param_count = PARAM_COUNT,
    .shown_count = PARAM_COUNT,
    .mixes = true,
    .draw = draw_cutmix,
};

const char *fov_recipe_mixes(const fov_recipe *recipe) {
    for (size_t v = 0; v < recipe->view_count; v++) {
        for (size_t s = 0; s < recipe->view[v].step_count; s++) {
            if (recipe->view[v].step[s].augment->mixes) {
                return recipe->view[v].step[s].augment->name;
            }
        }
    }
    return NULL;
}

fov_mix fov_mix_draw(const fov_view_recipe *view, uint64_t seed, uint64_t epoch, uint64_t step, unsigned index) {
    for (size_t s = 0; s < view->step_count; s++) {
        const fov_augment *augment = view->step[s].augment;
        if (!augment->mixes) {
            continue;
        }
        fov_rng rng;
        fov_augment_plan plan = {.applies = false};
        /* no sample has this stream: for this step of the view, samples draw nothing */
        fov_rng_init(&rng, seed, epoch, step, index, (unsigned)FOV_RNG_AUGMENT + (unsigned)s);
        augment->draw(view->step[s].param, &rng, view->image_size, view->image_size, view->image_size, &plan);
        if (plan.applies) {
            const bool blends = augment == &fov_augment_mixup;
            return (fov_mix){.kind = blends ? FOV_MIX_MIXUP : FOV_MIX_CUTMIX,
                             .lambda = blends ? rint(plan.value[0] * ONE) / ONE : plan.value[0],
                             .left = plan.resize.left,
                             .top = plan.resize.top,
                             .width = plan.resize.width,
                             .height = plan.resize.height};
        }
    }
    return (fov_mix){.kind = FOV_MIX_NONE, .lambda = 1.0};
}

static void blend_bytes(uint8_t *restrict a, uint8_t *restrict b, size_t count, uint32_t own) {
    for (size_t i = 0; i < count; i++) {
        const uint32_t x = a[i], y = b[i];
        a[i] = (uint8_t)((own * x + (ONE - own) * y + ONE / 2) >> 16);
        b[i] = (uint8_t)((own * y + (ONE - own) * x + ONE / 2) >> 16);
    }
}

static void blend_words(uint16_t *restrict a, uint16_t *restrict b, size_t count, uint32_t own) {
    for (size_t i = 0; i < count; i++) { /* at most 65536 * 65535 + 32768, which 32 bits hold */
        const uint32_t x = a[i], y = b[i];
        a[i] = (uint16_t)((own * x + (ONE - own) * y + ONE / 2) >> 16);
        b[i] = (uint16_t)((own * y + (ONE - own) * x + ONE / 2) >> 16);
    }
}

static void swap_bytes(uint8_t *restrict a, uint8_t *restrict b, size_t count) {
    for (size_t i = 0; i < count; i++) {
        const uint8_t kept = a[i];
        a[i] = b[i];
        b[i] = kept;
    }
}

void fov_mix_apply(const fov_mix *mix, uint8_t *pixels, size_t count, size_t side, fov_pixel_format format) {
    const size_t bytes = fov_pixel_bytes(format), picture = side * side * bytes;
    const uint32_t own = (uint32_t)(mix->lambda * ONE);
    for (size_t i = 0; i < count / 2 && mix->kind != FOV_MIX_NONE; i++) {
        uint8_t *a = pixels + i * picture, *b = pixels + (count - 1 - i) * picture;
        if (mix->kind == FOV_MIX_MIXUP && format.deep) {
            blend_words((uint16_t *)(void *)a, (uint16_t *)(void *)b, picture / 2, own);
        } else if (mix->kind == FOV_MIX_MIXUP) {
            blend_bytes(a, b, picture, own);
        }
        for (size_t y = mix->top; y < mix->top + mix->height && mix->kind == FOV_MIX_CUTMIX; y++) {
            const size_t at = (y * side + mix->left) * bytes;
            swap_bytes(a + at, b + at, mix->width * bytes);
        }
    }
}
