/* Layers with their parameters, and the transformer block that ViT and the MAE decoder share. */
#include "models/blocks.h"

#include <math.h>
#include <stdio.h>

/* Parameter specification of a layer's part. */
static fov_param_spec spec_of(fov_init_kind init, double a, int layer) {
    return (fov_param_spec){.role = FOV_PARAM_TRAINABLE, .init = init, .a = a, .layer = layer};
}

static size_t last_dim(const fov_node *x) { return x->shape.dim[x->shape.rank - 1]; }

static fov_param_spec weight_spec(fov_linear_init init, size_t in, size_t out, int layer) {
    switch (init) {
    case FOV_LINEAR_XAVIER:
        return spec_of(FOV_INIT_UNIFORM, sqrt(6.0 / (double)(in + out)), layer);
    case FOV_LINEAR_TORCH:
        return spec_of(FOV_INIT_UNIFORM, 1.0 / sqrt((double)in), layer);
    case FOV_LINEAR_TRUNC_NORMAL:
    default:
        return spec_of(FOV_INIT_TRUNC_NORMAL, 0.02, layer);
    }
}

fov_node *fov_linear_layer(fov_graph *g, fov_node *x, const char *name, size_t out, bool bias, fov_act act, fov_linear_init init, int layer) {
    if (x == NULL) {
        return NULL;
    }
    const size_t in = last_dim(x);
    fov_graph_push(g, "%s", name);
    fov_node *weight = fov_parameter(g, "weight", FOV_SHAPE(out, in), weight_spec(init, in, out, layer));
    fov_node *shift = NULL;
    if (bias) {
        const fov_param_spec spec = init == FOV_LINEAR_TORCH ? weight_spec(init, in, out, layer) : spec_of(FOV_INIT_ZERO, 0.0, layer);
        shift = fov_parameter(g, "bias", FOV_SHAPE(out), spec);
    }
    fov_node *y = weight == NULL || (bias && shift == NULL) ? NULL : fov_linear(g, x, weight, shift, act);
    fov_graph_pop(g);
    return y;
}

fov_node *fov_layernorm_layer(fov_graph *g, fov_node *x, const char *name, int layer) {
    if (x == NULL) {
        return NULL;
    }
    const size_t d = last_dim(x);
    fov_graph_push(g, "%s", name);
    fov_node *gamma = fov_parameter(g, "weight", FOV_SHAPE(d), spec_of(FOV_INIT_ONE, 0.0, layer));
    fov_node *beta = fov_parameter(g, "bias", FOV_SHAPE(d), spec_of(FOV_INIT_ZERO, 0.0, layer));
    fov_node *y = gamma == NULL || beta == NULL ? NULL : fov_layernorm(g, x, gamma, beta, 1e-6);
    fov_graph_pop(g);
    return y;
}

fov_node *fov_batchnorm_layer(fov_graph *g, fov_node *x, const char *name, const fov_batchnorm_layer_args *args) {
    if (x == NULL) {
        return NULL;
    }
    const fov_shape per_channel = FOV_SHAPE(last_dim(x));
    const fov_param_spec buffer = {.role = FOV_PARAM_BUFFER, .init = FOV_INIT_ZERO, .layer = args->layer};
    fov_param_spec ones = buffer;
    ones.init = FOV_INIT_ONE;
    fov_param_spec counter = buffer;
    counter.role = FOV_PARAM_COUNTER;
    fov_graph_push(g, "%s", name);
    fov_batchnorm_args norm = {.residual = args->residual, .eps = 1e-5, .momentum = 0.1, .relu = args->relu};
    if (args->affine) {
        norm.gamma = fov_parameter(g, "weight", per_channel, spec_of(args->gamma == 0.0 ? FOV_INIT_ZERO : FOV_INIT_ONE, 0.0, args->layer));
        norm.beta = fov_parameter(g, "bias", per_channel, spec_of(FOV_INIT_ZERO, 0.0, args->layer));
    }
    norm.running_mean = fov_parameter(g, "running_mean", per_channel, buffer);
    norm.running_var = fov_parameter(g, "running_var", per_channel, ones);
    norm.counter = fov_parameter(g, "num_batches_tracked", fov_shape_make(NULL, 0), counter);
    fov_node *y = norm.counter == NULL ? NULL : fov_batchnorm(g, x, &norm);
    fov_graph_pop(g);
    return y;
}

fov_node *fov_transformer_block(fov_graph *g, fov_node *x, size_t heads, fov_linear_init init, int layer) {
    if (x == NULL) {
        return NULL;
    }
    const size_t d = last_dim(x);
    fov_graph_block_begin(g);
    fov_node *y = fov_layernorm_layer(g, x, "norm1", layer);
    fov_graph_push(g, "attn");
    y = fov_linear_layer(g, y, "qkv", 3 * d, true, FOV_ACT_NONE, init, layer);
    y = fov_attention(g, y, heads);
    y = fov_linear_layer(g, y, "proj", d, true, FOV_ACT_NONE, init, layer);
    fov_graph_pop(g);
    x = fov_add(g, x, y);
    y = fov_layernorm_layer(g, x, "norm2", layer);
    fov_graph_push(g, "mlp");
    y = fov_linear_layer(g, y, "fc1", 4 * d, true, FOV_ACT_GELU, init, layer);
    y = fov_linear_layer(g, y, "fc2", d, true, FOV_ACT_NONE, init, layer);
    fov_graph_pop(g);
    x = fov_add(g, x, y);
    fov_graph_block_end(g);
    return x;
}
