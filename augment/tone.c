/* Counting and mapping bytes. Both are memory bound: tables of 256 bytes stay in the first cache. */
#include "augment/tone.h"

#include <string.h>

void fov_tone_count(const fov_image *image, uint32_t (*count)[256]) {
    const size_t channels = image->channels, pixels = image->width * image->height;
    memset(count, 0, channels * sizeof *count);
    for (size_t i = 0; i < pixels; i++) {
        for (size_t c = 0; c < channels; c++) {
            count[c][image->pixels[i * channels + c]]++;
        }
    }
}

void fov_tone_map(const fov_image *image, uint8_t (*table)[256], bool shared, uint8_t *output) {
    const size_t channels = shared ? 1 : image->channels;
    const size_t count = image->width * image->height * image->channels / channels;
    for (size_t i = 0; i < count; i++) {
        for (size_t c = 0; c < channels; c++) {
            output[i * channels + c] = table[c][image->pixels[i * channels + c]];
        }
    }
}
