/* Pictures as features without any network: what a backbone has to beat. */
#ifndef FOV_EVAL_RAW_PIXELS_H
#define FOV_EVAL_RAW_PIXELS_H

#include "augment/recipe.h"

#define FOV_RAW_PIXELS_MAX 32 /* side */

/* Side of the picture that becomes features: the image size, at most FOV_RAW_PIXELS_MAX. */
size_t fov_raw_pixels_side(size_t image_size);
/* pixels [count, s, s, c], preprocessed -> features [count, side * side * c]: shrunk (bilinear, antialiased) and normalised as for the
 * backbone. hash [count] gets a hash of each small picture: equal pictures have equal ones. */
FOV_MUST_USE fov_status fov_raw_pixels_embed(fov_augmenter *augmenter, const fov_preprocess *preprocess, const uint8_t *pixels, size_t count,
                                             float *features, uint64_t *hash);

#endif
