/* Equalize with probability p (torchvision RandomEqualize, Pillow ImageOps.equalize): each channel's bytes are spread evenly.
 *
 * The pixels but those of the lightest byte in use, divided by 255, are the step; byte i becomes (step / 2 + pixels darker than i) / step,
 * all in whole numbers, at most 255. A channel of one byte, or with too few pixels for a step, stays. */
#include "augment/tone.h"

static const fov_augment_param params[] = {{.name = "p", .min = 0.0, .max = 1.0, .fallback = 0.5}};

static void spread(const uint32_t *count, size_t pixels, uint8_t *table) {
    size_t lightest = 255;
    while (lightest > 0 && count[lightest] == 0) {
        lightest--;
    }
    const size_t step = (pixels - count[lightest]) / 255;
    size_t darker = step / 2;
    for (size_t i = 0; i < 256; i++) {
        const size_t value = step > 0 ? darker / step : i;
        table[i] = (uint8_t)(value < 255 ? value : 255);
        darker += count[i];
    }
}

static fov_status apply(const fov_augment_plan *plan, const fov_image *image, fov_augmenter *augmenter, uint8_t *output) {
    (void)plan, (void)augmenter;
    fov_tone_apply(image, spread, output);
    return FOV_OK;
}

extern const fov_augment fov_augment_equalize;
const fov_augment fov_augment_equalize = {
    .name = "equalize",
    .summary = "bytes of each channel spread evenly",
    .pixels = FOV_PIXELS_BYTES,
    .params = params,
    .param_count = 1,
    .shown_count = 1,
    .draw = fov_draw_chance,
    .apply = apply,
};
