/* RandAugment (Cubuk et al. 2019) in timm's form "rand-m9-mstd0.5-inc1": `count` operations, drawn from fifteen with replacement, each done
 * with probability `each`, at strength u = M / 10 with M ~ N(magnitude, noise) clamped to [0, 10] and, where it has two directions, either.
 *
 *     autocontrast, equalize, invert               as they are
 *     color, contrast, brightness, sharpness       factor max(0.1, 1 +- 0.9 u)
 *     rotate by +-30 u degrees                     shear along x or y by +-0.3 u
 *     posterize to 4 - int(4 u) bits               translate along x or y by +-0.45 u of the side
 *     solarize at 256 - int(256 u)                 solarize add: min(128, int(110 u)) more for bytes below 128
 *
 * An operation that is also a step is that step's `apply` with a plan of its own; the others are affine maps and a table. Turned pictures
 * are bicubic, with ImageNet's mean colour where nothing was.
 *
 * Plan: order[i] operation, value[i] its argument, in the order of application. */
#include <math.h>
#include <string.h>

#include "augment/affine.h"

extern const fov_augment fov_augment_autocontrast, fov_augment_equalize, fov_augment_invert, fov_augment_posterize, fov_augment_solarize,
    fov_augment_sharpness, fov_augment_jitter;

enum { P, MAGNITUDE, NOISE, COUNT, EACH, PARAM_COUNT };

enum {
    AUTOCONTRAST,
    EQUALIZE,
    INVERT,
    ROTATE,
    POSTERIZE,
    SOLARIZE,
    SOLARIZE_ADD,
    COLOR,
    CONTRAST,
    BRIGHTNESS,
    SHARPNESS,
    SHEAR_X,
    SHEAR_Y,
    TRANSLATE_X,
    TRANSLATE_Y,
    OPERATIONS
};

static const fov_augment_param params[PARAM_COUNT] = {
    {.name = "p", .min = 0.0, .max = 1.0, .fallback = 1.0},
    {.name = "magnitude", .min = 0.0, .max = 10.0, .fallback = 9.0},
    {.name = "noise", .min = 0.0, .max = 10.0, .fallback = 0.5},
    {.name = "count", .min = 1.0, .max = FOV_PLAN_VALUES, .fallback = 2.0, .whole = true},
    {.name = "each", .min = 0.0, .max = 1.0, .fallback = 0.5},
};

static double argument_of(unsigned operation, double u, double sign) {
    switch (operation) {
    case ROTATE:
        return sign * u * 30.0;
    case POSTERIZE:
        return 4.0 - trunc(u * 4.0);
    case SOLARIZE:
        return 256.0 - fmin(256.0, trunc(u * 256.0));
    case SOLARIZE_ADD:
        return fmin(128.0, trunc(u * 110.0));
    case COLOR:
    case CONTRAST:
    case BRIGHTNESS:
    case SHARPNESS:
        return fmax(0.1, 1.0 + sign * u * 0.9);
    case SHEAR_X:
    case SHEAR_Y:
        return sign * u * 0.3;
    case TRANSLATE_X:
    case TRANSLATE_Y:
        return sign * u * 0.45;
    default:
        return 0.0;
    }
}

static void draw(const double *param, fov_rng *rng, size_t width, size_t height, size_t image_size, fov_augment_plan *plan) {
    fov_draw_chance(param, rng, width, height, image_size, plan);
    plan->order_count = 0;
    for (size_t i = 0; i < (size_t)param[COUNT]; i++) {
        const unsigned operation = (unsigned)fov_rng_below(rng, OPERATIONS);
        const bool done = fov_rng_uniform(rng) < param[EACH];
        const double magnitude = param[MAGNITUDE] + param[NOISE] * fov_rng_normal(rng);
        const double sign = fov_rng_below(rng, 2) == 0 ? 1.0 : -1.0;
        if (done) {
            plan->order[plan->order_count] = (uint8_t)operation;
            plan->value[plan->order_count++] = argument_of(operation, fmax(0.0, fmin(magnitude, 10.0)) / 10.0, sign);
        }
    }
}

static void add_to_dark(const fov_image *image, int amount, fov_augmenter *augmenter, uint8_t *output) {
    uint8_t table[256];
    for (int i = 0; i < 256; i++) {
        const int more = i + amount < 255 ? i + amount : 255;
        table[i] = (uint8_t)(i < 128 ? more : i);
    }
    augmenter->loops->pixel_table(image->pixels, image->width * image->height * image->channels, table, output);
}

static void move(unsigned operation, double by, const fov_image *image, uint8_t *output) {
    static const uint8_t fill[FOV_MAX_CHANNELS] = {124, 116, 104};
    double m[6] = {1.0, 0.0, 0.0, 0.0, 1.0, 0.0};
    if (operation == ROTATE) {
        fov_affine_rotate(image, by, FOV_SAMPLE_BICUBIC, fill, output);
        return;
    }
    m[1] = operation == SHEAR_X ? by : 0.0;
    m[2] = operation == TRANSLATE_X ? by * (double)image->width : 0.0;
    m[3] = operation == SHEAR_Y ? by : 0.0;
    m[5] = operation == TRANSLATE_Y ? by * (double)image->height : 0.0;
    fov_affine_apply(image, m, FOV_SAMPLE_BICUBIC, fill, output);
}

static fov_status run(unsigned operation, double argument, const fov_image *image, fov_augmenter *augmenter, uint8_t *output) {
    static const fov_augment *const step[OPERATIONS] = {
        [AUTOCONTRAST] = &fov_augment_autocontrast,
        [EQUALIZE] = &fov_augment_equalize,
        [INVERT] = &fov_augment_invert,
        [POSTERIZE] = &fov_augment_posterize,
        [SOLARIZE] = &fov_augment_solarize,
        [SHARPNESS] = &fov_augment_sharpness,
        [COLOR] = &fov_augment_jitter,
        [CONTRAST] = &fov_augment_jitter,
        [BRIGHTNESS] = &fov_augment_jitter,
    };
    if (operation == SOLARIZE_ADD) {
        add_to_dark(image, (int)argument, augmenter, output);
        return FOV_OK;
    }
    if (step[operation] == NULL) {
        move(operation, argument, image, output);
        return FOV_OK;
    }
    fov_augment_plan plan = {.applies = true, .value = {argument}};
    if (step[operation] == &fov_augment_jitter) { /* one of its own operations: 0 brightness, 1 contrast, 2 saturation */
        plan.order[0] = operation == BRIGHTNESS ? 0 : operation == CONTRAST ? 1 : 2;
        plan.order_count = 1;
        plan.value[plan.order[0]] = argument;
    }
    return step[operation]->apply(&plan, image, augmenter, output);
}

static fov_status apply(const fov_augment_plan *plan, const fov_image *image, fov_augmenter *augmenter, uint8_t *output) {
    const size_t bytes = image->width * image->height * fov_pixel_bytes(fov_image_format(image));
    uint8_t *between = output;
    if (plan->order_count == 0) {
        memcpy(output, image->pixels, bytes);
    } else if (plan->order_count > 1) {
        between = fov_augmenter_scratch(augmenter, FOV_SCRATCH_LAYER, bytes, 1);
        FOV_TRY_ALLOC(between);
    }
    fov_image now = *image;
    for (size_t i = 0; i < plan->order_count; i++) {
        uint8_t *to = (plan->order_count - 1 - i) % 2 == 0 ? output : between; /* the last one into output */
        FOV_TRY(run(plan->order[i], plan->value[i], &now, augmenter, to));
        now.pixels = to;
    }
    return FOV_OK;
}

extern const fov_augment fov_augment_randaugment;
const fov_augment fov_augment_randaugment = {
    .name = "randaugment",
    .summary = "random operations of fifteen, at one strength (RandAugment)",
    .pixels = FOV_PIXELS_RGB,
    .params = params,
    .param_count = PARAM_COUNT,
    .shown_count = PARAM_COUNT,
    .draw = draw,
    .apply = apply,
};
