/* Pieces that several models are built from. Parameters live under the scope that the piece is given. */
#ifndef FOV_MODELS_BLOCKS_H
#define FOV_MODELS_BLOCKS_H

#include "ops/ops.h"

/* How the linear layers of a transformer start: timm's truncated normal (0.02) or MAE's xavier uniform. Biases start at 0. */
typedef enum fov_linear_init { FOV_LINEAR_TRUNC_NORMAL, FOV_LINEAR_XAVIER, FOV_LINEAR_TORCH } fov_linear_init;

/* NAME.weight [out, in] and NAME.bias [out] (bias false: none) on x [.., in]. FOV_LINEAR_TORCH: both uniform in +-1/sqrt(in), PyTorch's own
 * default. `layer` is the index for layer-wise decay. */
fov_node *fov_linear_layer(fov_graph *g, fov_node *x, const char *name, size_t out, bool bias, fov_act act, fov_linear_init init, int layer);

/* NAME.weight and NAME.bias on the last axis, eps 1e-6 as ViT and MAE have it. */
fov_node *fov_layernorm_layer(fov_graph *g, fov_node *x, const char *name, int layer);

/* Batch-norm under NAME: weight, bias (unless `affine` is false), running_mean, running_var, num_batches_tracked; eps 1e-5, momentum 0.1.
 * `gamma` is the initial weight. Adds residual (or NULL), then ReLU if asked. */
typedef struct fov_batchnorm_layer_args {
    bool affine, relu;
    double gamma;
    fov_node *residual;
    int layer;
} fov_batchnorm_layer_args;
fov_node *fov_batchnorm_layer(fov_graph *g, fov_node *x, const char *name, const fov_batchnorm_layer_args *args);

/* One pre-norm transformer block (ViT, Dosovitskiy et al. 2020) under the current scope: norm1, attn.qkv, attn.proj, norm2, mlp.fc1, mlp.fc2.
 * x [n, t, d] -> [n, t, d]; the hidden layer has 4 d units. */
fov_node *fov_transformer_block(fov_graph *g, fov_node *x, size_t heads, fov_linear_init init, int layer);

/* Fills [1, 1 + grid^2, d] with fixed 2-D sine and cosine embeddings (MAE): the first half of d encodes the column, the second the row, each
 * [sin | cos] of 10000^(-k / (d/4)); the class token's row is zero. d must be a multiple of 4. A fov_fill_fn. */
void fov_position_sincos(fov_real *values, const fov_shape *shape, double unused);

/* Resamples the grid part of a position embedding [1, 1 + from^2, d] -> [1, 1 + to^2, d]: separable cubic (a = -0.5) with antialiasing, as
 * timm does. The class token's row is copied. Fails only when out of memory. */
FOV_MUST_USE fov_status fov_position_resize(const float *position, size_t from, size_t to, size_t d, float *out);

#endif
