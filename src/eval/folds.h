/* Stratified folds for cross-validation. */
#ifndef FOV_EVAL_FOLDS_H
#define FOV_EVAL_FOLDS_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

/* Writes the fold, 0 .. folds - 1, of each of `count` samples. Samples of a class are spread as evenly as can be, and so are all samples: sizes
 * differ by at most one in both. A class with two samples or more is never held out as a whole. Depends on labels and seed alone. folds >= 2,
 * count >= folds, labels < classes. */
FOV_MUST_USE fov_status fov_folds_assign(uint32_t *fold, const uint32_t *label, size_t count, size_t classes, uint32_t folds, uint64_t seed);

#endif
