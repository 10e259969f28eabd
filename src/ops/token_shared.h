/* What the token operations and losses have in common: checks of shapes and sizes, and sums over the batch in a fixed order. */
#ifndef FOV_OPS_TOKEN_SHARED_H
#define FOV_OPS_TOKEN_SHARED_H

#include <string.h>

#include "ops/ops.h"

/* Fails unless input i has this rank and type. `wanted` says what it should be: "tokens [n, t, d]". */
FOV_MUST_USE fov_status fov_token_check(const fov_node *node, unsigned i, const char *wanted, unsigned rank, fov_dtype dtype);
/* Fails unless input i has exactly this shape, as `wanted` explains. */
FOV_MUST_USE fov_status fov_token_check_shape(const fov_node *node, unsigned i, const char *wanted, fov_shape shape);
/* bytes = product of factors, or FOV_E_LIMIT. */
FOV_MUST_USE fov_status fov_token_bytes(size_t *bytes, const size_t *factors, size_t count);
/* Sets the node's shape after checking that its elements can be counted in bytes. */
FOV_MUST_USE fov_status fov_token_output(fov_node *node, fov_shape shape);

/* out[width] = sum over i < n of rows[i * stride + ..], added in order of i (after what is in out, when accumulate). On the pool,
 * by columns: the bits do not depend on the number of threads. */
void fov_token_sum(const fov_step *step, fov_real *out, bool accumulate, const fov_real *rows, size_t n, size_t stride, size_t width);

/* The cost of an operation that only moves its output (forward) and its gradient (backward), with `flops` operations in each. */
fov_cost fov_token_move_cost(const fov_node *node, double forward_flops, double backward_flops);

/* y = x, or y += x. */
static inline void fov_token_put(const fov_kernels *k, fov_real *y, const fov_real *x, size_t n, bool accumulate) {
    if (accumulate) {
        k->accumulate(y, x, n);
    } else {
        memcpy(y, x, n * sizeof *y);
    }
}

#endif
