/* Counting and mapping bytes. Both are memory bound: tables of 256 bytes stay in the first cache. */
#include "augment/tone.h"

#include <string.h>

static void count_bytes(const fov_image *image, size_t pixels, uint32_t (*count)[256]) {
    memset(count, 0, image->channels * sizeof *count);
    for (size_t i = 0; i < pixels; i++) {
        for (size_t c = 0; c < image->channels; c++) {
            count[c][image->pixels[i * image->channels + c]]++;
        }
    }
}

void fov_tone_apply(const fov_image *image, void (*make)(const uint32_t *count, size_t pixels, uint8_t *table), uint8_t *output) {
    const size_t channels = image->channels, pixels = image->width * image->height;
    uint32_t count[FOV_MAX_CHANNELS][256];
    uint8_t table[FOV_MAX_CHANNELS][256];
    count_bytes(image, pixels, count);
    for (size_t c = 0; c < channels; c++) {
        make(count[c], pixels, table[c]);
    }
    for (size_t i = 0; i < pixels; i++) {
        for (size_t c = 0; c < channels; c++) {
            output[i * channels + c] = table[c][image->pixels[i * channels + c]];
        }
    }
}
