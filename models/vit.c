/* Vision transformer (Dosovitskiy et al. 2020) with timm's names. Two starts: timm's (truncated normal, learned positions), and that of MAE
 * (xavier, fixed sine-cosine positions) when the spec asks for fixed positions. */
#include <math.h>

#include "base/error.h"
#include "models/backbone.h"
#include "models/blocks.h"

typedef struct vit_shape {
    size_t depth, heads;
} vit_shape;

static const vit_shape shape_tiny = {12, 3}, shape_small = {12, 6}, shape_base = {12, 12};

/* patch_embed.proj: a convolution whose stride is its kernel, then tokens in raster order. */
static fov_node *patch_embed(fov_graph *g, const fov_backbone_spec *spec, fov_node *x) {
    const size_t d = spec->backbone->width, p = spec->patch, fan_in = p * p * spec->channels;
    const double bound = spec->fixed_position ? sqrt(6.0 / (double)(fan_in + d)) : 1.0 / sqrt((double)fan_in);
    const fov_param_spec weight_spec = {.layout = FOV_LAYOUT_CONV, .init = FOV_INIT_UNIFORM, .a = bound};
    const fov_param_spec bias_spec = {.init = FOV_INIT_UNIFORM, .a = 1.0 / sqrt((double)fan_in)};
    fov_graph_push(g, "patch_embed.proj");
    fov_node *weight = fov_parameter(g, "weight", FOV_SHAPE(d, p, p, spec->channels), weight_spec);
    fov_node *bias = fov_parameter(g, "bias", FOV_SHAPE(d), bias_spec);
    x = weight == NULL || bias == NULL || x == NULL ? NULL : fov_conv2d(g, x, weight, bias, p, 0);
    x = x == NULL ? NULL : fov_reshape(g, x, FOV_SHAPE(x->shape.dim[0], x->shape.dim[1] * x->shape.dim[2], d));
    fov_graph_pop(g);
    return x;
}

static fov_backbone_out build(fov_graph *g, const fov_backbone_spec *spec, fov_node *x, fov_node *keep) {
    const vit_shape *shape = spec->backbone->shape;
    const size_t d = spec->backbone->width, patches = fov_backbone_patches(spec);
    const fov_linear_init init = spec->fixed_position ? FOV_LINEAR_XAVIER : FOV_LINEAR_TRUNC_NORMAL;
    fov_param_spec position_spec = {.init = FOV_INIT_TRUNC_NORMAL, .a = 0.02};
    if (spec->fixed_position) {
        position_spec = (fov_param_spec){.role = FOV_PARAM_FROZEN, .init = FOV_INIT_FUNCTION, .fill = fov_position_sincos};
    }
    const fov_param_spec token_spec = {.init = FOV_INIT_NORMAL, .a = spec->fixed_position ? 0.02 : 1e-6};
    fov_node *token = fov_parameter(g, "cls_token", FOV_SHAPE(1, 1, d), token_spec);
    fov_node *position = fov_parameter(g, "pos_embed", FOV_SHAPE(1, 1 + patches, d), position_spec);
    x = patch_embed(g, spec, x);
    fov_backbone_out out = {0};
    if (x == NULL || token == NULL || position == NULL) {
        return out;
    }
    x = fov_add_position(g, x, position, 1);
    if (keep != NULL) {
        x = fov_gather_tokens(g, x, keep);
    }
    x = fov_prepend_token(g, x, token, position);
    for (size_t i = 0; i < shape->depth; i++) {
        fov_graph_push(g, "blocks.%zu", i);
        x = fov_transformer_block(g, x, shape->heads, init, (int)i + 1);
        fov_graph_pop(g);
    }
    out.tokens = fov_layernorm_layer(g, x, "norm", (int)shape->depth + 1);
    fov_node *first = out.tokens == NULL ? NULL : fov_slice_tokens(g, out.tokens, 0, 1);
    out.features = first == NULL ? NULL : fov_reshape(g, first, FOV_SHAPE(first->shape.dim[0], d));
    return out;
}

static fov_status check(const fov_backbone_spec *spec) {
    if (spec->image_size < spec->patch || spec->image_size % spec->patch != 0) {
        const size_t below = spec->image_size / spec->patch * spec->patch;
        return FOV_FAIL(FOV_E_INVALID, "%s/%zu needs an image size that is a multiple of its patch, got %zu; try %zu", spec->backbone->name,
                        spec->patch, spec->image_size, below == 0 ? spec->patch : below);
    }
    return FOV_OK;
}

#define VIT(id, text, dims, shape_)                                                                                                          \
    const fov_backbone fov_backbone_##id = {.name = #id,                                                                                     \
                                            .family = "vit",                                                                                 \
                                            .summary = text,                                                                                 \
                                            .gives = FOV_GIVES_TOKENS | FOV_GIVES_DROP,                                                      \
                                            .width = dims,                                                                                   \
                                            .shape = &shape_,                                                                                \
                                            .check = check,                                                                                  \
                                            .build = build}

extern const fov_backbone fov_backbone_vit_tiny, fov_backbone_vit_small, fov_backbone_vit_base;
VIT(vit_tiny, "ViT-Tiny, 5.5 M parameters, features of 192", 192, shape_tiny);
VIT(vit_small, "ViT-Small, 21.7 M parameters, features of 384", 384, shape_small);
VIT(vit_base, "ViT-Base, 85.8 M parameters, features of 768", 768, shape_base);
