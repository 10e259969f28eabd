/* Steps that map the bytes of each channel by a table that follows from how often they occur. */
#ifndef FOV_AUGMENT_TONE_H
#define FOV_AUGMENT_TONE_H

#include "augment/augment.h"

/* Maps a picture of 8 bits, each channel by the table that `make` fills from its counts (of 256 bytes, over `pixels` pixels). output is apart
 * from the picture. */
void fov_tone_apply(const fov_image *image, void (*make)(const uint32_t *count, size_t pixels, uint8_t *table), uint8_t *output);

#endif
