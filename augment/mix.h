/* Mixing the pictures of a batch: what the steps `mixup` and `cutmix` at the end of a view do when all its pictures are made.
 *
 * Sample i is mixed with sample count - 1 - i (of an odd count, the middle one stays). Of several mixing steps the first that applies is
 * done: "mixup(0.5,0.8) cutmix(1,1)" takes either, half the time. */
#ifndef FOV_AUGMENT_MIX_H
#define FOV_AUGMENT_MIX_H

#include "augment/recipe.h"

typedef enum fov_mix_kind { FOV_MIX_NONE, FOV_MIX_MIXUP, FOV_MIX_CUTMIX } fov_mix_kind;

typedef struct fov_mix {
    fov_mix_kind kind;
    double lambda;                   /* share of a view that is its own picture's; 1 - lambda is its partner's. NONE: 1 */
    size_t left, top, width, height; /* cutmix: the box that is the partner's */
} fov_mix;

const char *fov_recipe_mixes(const fov_recipe *recipe); /* name of the first step that mixes, or NULL */

/* What is done to view number `index` of the batch of `step` (counted from the start of training); (seed, epoch, step, index) name it. */
fov_mix fov_mix_draw(const fov_view_recipe *view, uint64_t seed, uint64_t epoch, uint64_t step, unsigned index);

/* Mixes a view in place: pixels [count, side, side, channels] of this format.
 * mixup:  a sample x with its partner's y becomes round(lambda x + (1 - lambda) y), halves up; lambda is a multiple of 2^-16, so that it is
 *         computed exactly. cutmix: the partner's pixels in the box. */
void fov_mix_apply(const fov_mix *mix, uint8_t *pixels, size_t count, size_t side, fov_pixel_format format);

#endif
