/* Steps that map each byte by a table: counting bytes, and the mapping. */
#ifndef FOV_AUGMENT_TONE_H
#define FOV_AUGMENT_TONE_H

#include "augment/augment.h"

/* How often each byte occurs in each channel of a picture of 8 bits: count[channel][byte]. */
void fov_tone_count(const fov_image *image, uint32_t (*count)[256]);

/* Maps a picture of 8 bits: by table[channel], or all channels by table[0] when `shared`. output is apart from the picture. */
void fov_tone_map(const fov_image *image, uint8_t (*table)[256], bool shared, uint8_t *output);

#endif
