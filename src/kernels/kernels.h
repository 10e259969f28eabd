/* The table of kernels: serial inner loops, one build per instruction set, chosen once at run time.
 *
 * A kernel works on plain arrays on the calling thread and cannot fail: shapes were checked when the graph was built. Ops cut work
 * into chunks (base/pool.h) and call kernels on each. kernels.def lists every kernel; src/kernels/isa/ NAME.c is compiled once per set
 * with FOV_ISA_FN(name) expanding to fov_NAME_SET. Every kernel is tested in each set against a plain double reference. */
#ifndef FOV_KERNELS_KERNELS_H
#define FOV_KERNELS_KERNELS_H

#include <stddef.h>
#include <stdint.h>

#include "base/real.h"
#include "kernels/winograd.h"

/* u = ratio (g_scale g + weight_decay w); m = momentum m + u; w -= lr m: SGD with ratio 1, LARS with its trust ratio. */
typedef struct fov_momentum_constants {
    fov_real lr, weight_decay, momentum, ratio, g_scale;
} fov_momentum_constants;

/* AdamW (Loshchilov and Hutter 2017): correction1 = 1 / (1 - beta1^t), correction2 = 1 / sqrt(1 - beta2^t). */
typedef struct fov_adamw_constants {
    fov_real lr, weight_decay, beta1, beta2, eps, correction1, correction2, g_scale;
} fov_adamw_constants;

#define FOV_ATTENTION_COLUMNS ((size_t)96) /* most queries of a panel of logits, a multiple of every tile_columns */

/* One head of one image: t rows of `head` numbers each, `stride` numbers apart in q, k, v and their gradients, out_stride in out and dout.
 * stats has two numbers for each row, which forward writes (unless NULL) and backward reads: t times the largest logit, times log2 e,
 * then t times one over the sum of exponentials. Backward takes `block` queries at a time, a multiple of tile_columns; it reads q, k, v,
 * out and dout, and writes dq, dk and dv, or adds to them when `accumulate`. `next`, next_out and next_stats say how far behind q, out and
 * stats those of the next call lie, which are prefetched (`next` 0: unknown): then q, k and v of a row lie out_stride apart, as do
 * their gradients, and stride is three times that. */
typedef struct fov_attention_head {
    const fov_real *q, *k, *v, *dout;
    fov_real *out, *stats, *dq, *dk, *dv;
    size_t stride, out_stride, t, head, block, next, next_out, next_stats;
    fov_real scale;
    int accumulate;
} fov_attention_head;

typedef struct fov_kernels {
    const char *name; /* "c", "avx2", "avx512", "avx512bf16" */
#define FOV_KERNEL(result, name, arguments) result(*name) arguments;
#include "kernels/kernels.def"
#undef FOV_KERNEL
} fov_kernels;

const fov_kernels *fov_kernels_get(void);              /* the set of fov_cpu_isa(); never NULL */
const fov_kernels *fov_kernels_named(const char *set); /* NULL if this build or processor lacks it */

#endif
