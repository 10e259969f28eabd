/* A change of variables that evens out the curvature of a linear model along the strongest directions of its samples. */
#ifndef FOV_EVAL_DEFLATION_H
#define FOV_EVAL_DEFLATION_H

#include <stdbool.h>

#include "base/memory.h"
#include "base/pool.h"
#include "base/real.h"

typedef struct fov_deflation {
    size_t rank, width;
    fov_real *direction; /* [rank, width], orthonormal */
    double *strength;    /* [rank], variance along each */
    double *scale, rest; /* [rank] and of all that is orthogonal to them, see fov_deflation_set */
    fov_pool *pool;
    /* scratch, for `rows` rows */
    size_t rows;
    fov_real *share;  /* [rows, rank] */
    fov_real *change; /* [rows, width] */
    void *work;
} fov_deflation;

/* Finds the directions of x [count, width], which is standardised; rows: how many rows are changed at once. The caller clears, also after a
 * failure. */
FOV_MUST_USE fov_status fov_deflation_init(fov_deflation *deflation, const fov_real *x, size_t count, size_t width, size_t rows, fov_pool *pool);
void fov_deflation_clear(fov_deflation *deflation);

/* For a function whose curvature along a direction of variance v is  factor v + floor. Once, before applying. */
void fov_deflation_set(fov_deflation *deflation, double factor, double floor);
/* to = from S, S = rest I + Q^T (diag(scale) - rest I) Q, or from S^-1; [rows, width] both, which may be the same. S is symmetric: it takes
 * variables to weights, and the gradient of weights to that of variables. */
void fov_deflation_apply(fov_deflation *deflation, double *to, const double *from, bool inverse);

#endif
