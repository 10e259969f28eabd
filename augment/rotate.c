/* The steps `rotate90` and `rotate`: for pictures without an up, such as from microscopes and satellites.
 *
 * rotate90 turns by 0 to 3 quarters of a circle, each as likely, and loses nothing. rotate turns by an angle U(-degrees, degrees) about the
 * middle and fills the corners with 0 (torchvision RandomRotation).
 *
 * Plan: value[0] quarters, or degrees counter-clockwise and value[1] the sampling. */
#include "augment/affine.h"

enum { P, DEGREES, INTERPOLATION, PARAM_COUNT };

static const char *const sampling_names[] = {"nearest", "bilinear", "bicubic", NULL};

static const fov_augment_param quarter_params[] = {{.name = "p", .min = 0.0, .max = 1.0, .fallback = 1.0}};

static const fov_augment_param params[PARAM_COUNT] = {
    {.name = "p", .min = 0.0, .max = 1.0, .fallback = 1.0},
    {.name = "degrees", .min = 0.0, .max = 180.0, .fallback = 180.0},
    {.name = "interpolation", .min = 0.0, .max = 2.0, .fallback = FOV_SAMPLE_NEAREST, .choices = sampling_names},
};

static void draw_quarters(const double *param, fov_rng *rng, size_t width, size_t height, size_t image_size, fov_augment_plan *plan) {
    fov_draw_chance(param, rng, width, height, image_size, plan);
    plan->value[0] = (double)fov_rng_below(rng, 4);
}

static fov_status apply_quarters(const fov_augment_plan *plan, const fov_image *image, fov_augmenter *augmenter, uint8_t *output) {
    (void)augmenter;
    fov_quarter_turn(image, (unsigned)plan->value[0], output);
    return FOV_OK;
}

static void draw(const double *param, fov_rng *rng, size_t width, size_t height, size_t image_size, fov_augment_plan *plan) {
    fov_draw_chance(param, rng, width, height, image_size, plan);
    plan->value[0] = fov_rng_range(rng, -param[DEGREES], param[DEGREES]);
    plan->value[1] = param[INTERPOLATION];
}

static fov_status apply(const fov_augment_plan *plan, const fov_image *image, fov_augmenter *augmenter, uint8_t *output) {
    (void)augmenter;
    fov_affine_rotate(image, plan->value[0], (fov_sampling)(int)plan->value[1], NULL, output);
    return FOV_OK;
}

extern const fov_augment fov_augment_rotate90, fov_augment_rotate;
const fov_augment fov_augment_rotate90 = {
    .name = "rotate90",
    .summary = "turn by a random number of quarters of a circle",
    .pixels = FOV_PIXELS_ANY,
    .params = quarter_params,
    .param_count = 1,
    .shown_count = 1,
    .draw = draw_quarters,
    .apply = apply_quarters,
};
const fov_augment fov_augment_rotate = {
    .name = "rotate",
    .summary = "turn by a random angle, corners black",
    .pixels = FOV_PIXELS_ANY,
    .params = params,
    .param_count = PARAM_COUNT,
    .shown_count = PARAM_COUNT,
    .draw = draw,
    .apply = apply,
};
