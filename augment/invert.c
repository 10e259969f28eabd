/* Invert with probability p (torchvision RandomInvert): the largest value minus the sample, which is all its bits turned over. */
#include "augment/augment.h"

static const fov_augment_param params[] = {{.name = "p", .min = 0.0, .max = 1.0, .fallback = 0.5}};

static fov_status apply(const fov_augment_plan *plan, const fov_image *image, fov_augmenter *augmenter, uint8_t *output) {
    (void)plan, (void)augmenter;
    const size_t bytes = image->width * image->height * fov_pixel_bytes(fov_image_format(image));
    for (size_t i = 0; i < bytes; i++) {
        output[i] = (uint8_t)~image->pixels[i];
    }
    return FOV_OK;
}

extern const fov_augment fov_augment_invert;
const fov_augment fov_augment_invert = {
    .name = "invert",
    .summary = "light and dark exchanged",
    .pixels = FOV_PIXELS_ANY,
    .params = params,
    .param_count = 1,
    .shown_count = 1,
    .draw = fov_draw_chance,
    .apply = apply,
};
