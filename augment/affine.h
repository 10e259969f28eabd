/* Turning, shearing and shifting pictures as Pillow's Image.transform and Image.rotate do, of any channels and depth. */
#ifndef FOV_AUGMENT_AFFINE_H
#define FOV_AUGMENT_AFFINE_H

#include "augment/augment.h"

typedef enum fov_sampling { FOV_SAMPLE_NEAREST, FOV_SAMPLE_BILINEAR, FOV_SAMPLE_BICUBIC } fov_sampling;

/* Output pixel (x, y) is the picture at (m[0] x + m[1] y + m[2], m[3] x + m[4] y + m[5]), in coordinates where pixel 0 reaches from 0 to 1;
 * outside the picture it is fill[channel], a byte each (times 257 for 16 bits), or 0 where fill is NULL. output: the picture's size, apart
 * from it. Sides below 2^15. */
void fov_affine_apply(const fov_image *image, const double m[6], fov_sampling sampling, const uint8_t *fill, uint8_t *output);

/* Turns about the middle, counter-clockwise; the corners are filled. */
void fov_affine_rotate(const fov_image *image, double degrees, fov_sampling sampling, const uint8_t *fill, uint8_t *output);

/* Turns by a quarter of a circle, `turns` (0 to 3) times, counter-clockwise; exact. One or three turns give a picture of height x width. */
void fov_quarter_turn(const fov_image *image, unsigned turns, uint8_t *output);

#endif
