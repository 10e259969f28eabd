/* The step `gray`: grey in all three channels with probability p (torchvision RandomGrayscale): L = (19595 R + 38470 G + 7471 B +
 * 2^15) / 2^16. */
#include "augment/augment.h"

static const fov_augment_param params[] = {{.name = "p", .min = 0.0, .max = 1.0, .fallback = 0.2}};

static void draw(const double *param, fov_rng *rng, size_t width, size_t height, size_t image_size, fov_augment_plan *plan) {
    (void)width, (void)height, (void)image_size;
    plan->applies = fov_rng_uniform(rng) < param[0];
}

static fov_status apply(const fov_augment_plan *plan, const fov_image *image, fov_augmenter *augmenter, uint8_t *output) {
    (void)plan;
    augmenter->loops->pixel_gray(image->pixels, image->width * image->height, output);
    return FOV_OK;
}

extern const fov_augment fov_augment_gray;
const fov_augment fov_augment_gray = {
    .name = "gray",
    .summary = "grey in all channels",
    .params = params,
    .param_count = 1,
    .shown_count = 1,
    .draw = draw,
    .apply = apply,
};
