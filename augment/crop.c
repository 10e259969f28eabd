/* Random resized crop (torchvision RandomResizedCrop): a box of random area and aspect ratio, resized to the view's size.
 *
 * Up to ten tries: area = H W U(low, high), ratio = exp U(ln r0, ln r1), w = round sqrt(area ratio), h = round sqrt(area / ratio),
 * taken if it fits, at a uniform place; else the largest central box with the ratio clamped to [r0, r1]. The picture is cropped
 * first, so the filter never sees pixels outside the box. */
#include <math.h>

#include "augment/box.h"

enum { SCALE_LOW, SCALE_HIGH, INTERPOLATION, RATIO_LOW, RATIO_HIGH, PARAM_COUNT };

static const fov_augment_param params[PARAM_COUNT] = {
    {.name = "scale low", .min = 0.0, .max = 1.0, .fallback = 0.08},
    {.name = "scale high", .min = 0.0, .max = 1.0, .fallback = 1.0},
    {.name = "interpolation", .min = 0.0, .max = 1.0, .fallback = FOV_BILINEAR, .choices = fov_interpolation_names},
    {.name = "ratio low", .min = 0.01, .max = 100.0, .fallback = 3.0 / 4.0},
    {.name = "ratio high", .min = 0.01, .max = 100.0, .fallback = 4.0 / 3.0},
};

static const char *check(const double *param) { return fov_box_check(param + SCALE_LOW, param + RATIO_LOW); }

static bool try_box(const double *param, fov_rng *rng, size_t width, size_t height, fov_resize *box) {
    double w, h;
    fov_box_sides(rng, param + SCALE_LOW, param + RATIO_LOW, width, height, &w, &h);
    if (w < 1.0 || h < 1.0 || w > (double)width || h > (double)height) {
        return false;
    }
    box->width = (size_t)w;
    box->height = (size_t)h;
    fov_box_place(rng, width, height, box);
    return true;
}

static size_t side(double length, size_t limit) {
    const double rounded = rint(length);
    return rounded < 1.0 ? 1 : rounded > (double)limit ? limit : (size_t)rounded;
}

static void central_box(const double *param, size_t width, size_t height, fov_resize *box) {
    const double ratio = (double)width / (double)height;
    box->width = ratio > param[RATIO_HIGH] ? side((double)height * param[RATIO_HIGH], width) : width;
    box->height = ratio < param[RATIO_LOW] ? side((double)width / param[RATIO_LOW], height) : height;
    box->left = (width - box->width) / 2;
    box->top = (height - box->height) / 2;
}

static void draw(const double *param, fov_rng *rng, size_t width, size_t height, size_t image_size, fov_augment_plan *plan) {
    fov_resize *box = &plan->resize;
    *box = (fov_resize){
        .out_width = image_size,
        .out_height = image_size,
        .window_width = image_size,
        .window_height = image_size,
        .interpolation = (fov_interpolation)(int)param[INTERPOLATION],
    };
    bool found = false;
    for (int i = 0; i < FOV_BOX_TRIES && !found; i++) {
        found = try_box(param, rng, width, height, box);
    }
    if (!found) {
        central_box(param, width, height, box);
    }
    plan->applies = true;
}

static fov_status apply(const fov_augment_plan *plan, const fov_image *image, fov_augmenter *augmenter, uint8_t *output) {
    return fov_resize_apply(augmenter, image, &plan->resize, output);
}

extern const fov_augment fov_augment_crop;
const fov_augment fov_augment_crop = {
    .name = "crop",
    .summary = "random resized crop: box of random area and ratio, resized",
    .pixels = FOV_PIXELS_ANY,
    .params = params,
    .param_count = PARAM_COUNT,
    .shown_count = 3,
    .first = true,
    .check = check,
    .draw = draw,
    .apply = apply,
};
