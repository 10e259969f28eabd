/* Standardising: each feature minus its mean, over its standard deviation, both of the rows it was fitted to. */
#ifndef FOV_EVAL_SCALER_H
#define FOV_EVAL_SCALER_H

#include "base/memory.h"
#include "base/pool.h"
#include "base/real.h"

typedef struct fov_scaler {
    size_t width;
    double *mean, *factor; /* factor: 1 / std; 0 for a feature that is constant up to rounding, which is thereby left out */
} fov_scaler;

/* features [.., width]; rows: indices of the `count` rows to use, or NULL for the first `count`. The caller clears. */
FOV_MUST_USE fov_status fov_scaler_init(fov_scaler *scaler, const float *features, const uint32_t *rows, size_t count, size_t width, fov_pool *pool);
void fov_scaler_clear(fov_scaler *scaler); /* takes one that is all zero */
/* Row i of out [count, width] is row rows[i] (or i) of the features, standardised. */
void fov_scaler_apply(const fov_scaler *scaler, fov_real *out, const float *features, const uint32_t *rows, size_t count, fov_pool *pool);

#endif
