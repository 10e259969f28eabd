/* Autocontrast with probability p (torchvision RandomAutocontrast, Pillow ImageOps.autocontrast): each channel is stretched so that its
 * darkest byte becomes 0 and its lightest 255. With s = 255 / (high - low), byte i becomes int(i s - low s), clamped. */
#include "augment/tone.h"

static const fov_augment_param params[] = {{.name = "p", .min = 0.0, .max = 1.0, .fallback = 0.5}};

static void stretch(const uint32_t *count, size_t pixels, uint8_t *table) {
    (void)pixels;
    int low = 0, high = 255;
    while (low < 255 && count[low] == 0) {
        low++;
    }
    while (high > 0 && count[high] == 0) {
        high--;
    }
    const double scale = high > low ? 255.0 / (high - low) : 1.0;
    const double offset = high > low ? -low * scale : 0.0;
    for (int i = 0; i < 256; i++) {
        const int value = (int)(i * scale + offset);
        table[i] = (uint8_t)(value < 0 ? 0 : value > 255 ? 255 : value);
    }
}

static fov_status apply(const fov_augment_plan *plan, const fov_image *image, fov_augmenter *augmenter, uint8_t *output) {
    (void)plan, (void)augmenter;
    fov_tone_apply(image, stretch, output);
    return FOV_OK;
}

extern const fov_augment fov_augment_autocontrast;
const fov_augment fov_augment_autocontrast = {
    .name = "autocontrast",
    .summary = "each channel stretched to the full range",
    .pixels = FOV_PIXELS_BYTES,
    .params = params,
    .param_count = 1,
    .shown_count = 1,
    .draw = fov_draw_chance,
    .apply = apply,
};
