/* Builders of the operations. One file each in src/ops: shape rule, forward, backward and cost together; ops.def lists them.
 *
 * Images are [n, h, w, c], tokens [n, t, c], features [n, d]. A NULL input that is not optional makes a builder return NULL. */
#ifndef FOV_OPS_OPS_H
#define FOV_OPS_OPS_H

#include "graph/graph.h"

typedef enum fov_act { FOV_ACT_NONE, FOV_ACT_RELU, FOV_ACT_GELU } fov_act; /* GELU: exact, x * Phi(x) */

/* All op descriptors by name, for tests that walk them; NULL past the end. */
const fov_op *fov_op_at(size_t index);
const fov_op *fov_op_named(const char *name);

/* ---- images ---- */
#define FOV_INPUT_CHANNELS 32
/* uint8 or uint16 [n, h, w, c] -> (x / 255 - mean[c]) / std[c], x / 65535 for uint16. c <= FOV_INPUT_CHANNELS. No gradient. */
fov_node *fov_normalize(fov_graph *g, fov_node *x, const double *mean, const double *std);
/* x [n, h, w, ci], weight [co, kh, kw, ci], bias [co] or NULL -> [n, oh, ow, co]; zero padding, oh = (h + 2 pad - kh) / stride + 1. */
fov_node *fov_conv2d(fov_graph *g, fov_node *x, fov_node *weight, fov_node *bias, size_t stride, size_t pad);
/* Normalises over all but the last axis ([n, h, w, c] or [n, c]); gamma and beta may be NULL (affine off). In training uses the
 * batch's mean and biased variance and moves the running buffers by `momentum` (running variance takes the unbiased one; counter
 * adds 1); else uses the running buffers. Then adds `residual` (same shape, or NULL), then ReLU if asked. */
typedef struct fov_batchnorm_args {
    fov_node *gamma, *beta, *running_mean, *running_var, *counter, *residual;
    double eps, momentum;
    bool relu;
} fov_batchnorm_args;
fov_node *fov_batchnorm(fov_graph *g, fov_node *x, const fov_batchnorm_args *args);
fov_node *fov_maxpool(fov_graph *g, fov_node *x, size_t kernel, size_t stride, size_t pad);
fov_node *fov_global_avgpool(fov_graph *g, fov_node *x); /* [n, h, w, c] -> [n, c] */

/* ---- rows ---- */
/* x [.., ci], weight [co, ci], bias [co] or NULL -> act(x W^T + b) [.., co]. */
fov_node *fov_linear(fov_graph *g, fov_node *x, fov_node *weight, fov_node *bias, fov_act act);
fov_node *fov_layernorm(fov_graph *g, fov_node *x, fov_node *gamma, fov_node *beta, double eps); /* over the last axis */
fov_node *fov_add(fov_graph *g, fov_node *a, fov_node *b);                                         /* same shapes */
fov_node *fov_scale(fov_graph *g, fov_node *x, double factor);
fov_node *fov_l2norm(fov_graph *g, fov_node *x, double eps); /* rows of [n, d]: x / max(|x|, eps) */
fov_node *fov_stop(fov_graph *g, fov_node *x);               /* the value, without its gradient */
fov_node *fov_reshape(fov_graph *g, fov_node *x, fov_shape shape);

/* ---- tokens ---- */
/* [n, h, w, c] -> [n, (h/p)(w/p), p*p*c], patches in raster order, inside a patch (row, column, channel). */
fov_node *fov_patchify(fov_graph *g, fov_node *x, size_t patch);
/* x [n, t, d] + position [1, p, d] rows first..first+t-1. */
fov_node *fov_add_position(fov_graph *g, fov_node *x, fov_node *position, size_t first);
/* token [1, 1, d] (+ position [1, p, d] row 0, or NULL) in front: [n, t + 1, d]. */
fov_node *fov_prepend_token(fov_graph *g, fov_node *x, fov_node *token, fov_node *position);
fov_node *fov_slice_tokens(fov_graph *g, fov_node *x, size_t first, size_t count); /* [n, count, d] */
fov_node *fov_gather_tokens(fov_graph *g, fov_node *x, fov_node *index);           /* index int32 [n, k] -> [n, k, d] */
/* x [n, k, d], token [1, 1, d], restore int32 [n, t]: out[i] = restore[i] < k ? x[restore[i]] : token; [n, t, d]. */
fov_node *fov_restore_tokens(fov_graph *g, fov_node *x, fov_node *token, fov_node *restore);
/* qkv [n, t, 3 d] with rows (q of all heads | k | v) -> softmax(q k^T / sqrt(d / heads)) v, [n, t, d]. */
fov_node *fov_attention(fov_graph *g, fov_node *qkv, size_t heads);
fov_node *fov_mean_tokens(fov_graph *g, fov_node *x, size_t first); /* mean of tokens first.. -> [n, d] */

/* ---- losses: scalars ---- */
/* z [2 n, d], rows of unit length, first all first views, then all second: mean over 2 n rows of NT-Xent (SimCLR, Chen et al. 2020). */
fov_node *fov_nt_xent(fov_graph *g, fov_node *z, double temperature);
/* prediction and target [n, t, p], mask int32 [n, t] (1: counts): mean over masked patches of the mean squared difference; with
 * normalize_target each target patch is first brought to zero mean and unit (unbiased) variance + 1e-6 (MAE, He et al. 2021).
 * No gradient to the target. */
fov_node *fov_masked_mse(fov_graph *g, fov_node *prediction, fov_node *target, fov_node *mask, bool normalize_target);

#endif
