/* ResNet (He et al. 2015), v1.5: the stride of a bottleneck sits in its 3x3 convolution. Names, shapes and initialisation are torchvision's. */
#include <math.h>
#include <stdio.h>

#include "base/error.h"
#include "models/blocks.h"
#include "models/backbone.h"

typedef struct resnet_shape {
    size_t blocks[4];
    bool bottleneck;
} resnet_shape;

static const resnet_shape shape18 = {{2, 2, 2, 2}, false};
static const resnet_shape shape34 = {{3, 4, 6, 3}, false};
static const resnet_shape shape50 = {{3, 4, 6, 3}, true};

/* NAME.weight with torchvision's kaiming normal over fan-out. */
static fov_node *conv(fov_graph *g, fov_node *x, const char *name, size_t out, size_t kernel, size_t stride, int layer) {
    if (x == NULL) {
        return NULL;
    }
    const size_t in = x->shape.dim[x->shape.rank - 1];
    const fov_param_spec spec = {.layout = FOV_LAYOUT_CONV,
                                 .init = FOV_INIT_NORMAL,
                                 .a = sqrt(2.0 / (double)(kernel * kernel * out)),
                                 .layer = layer};
    fov_graph_push(g, "%s", name);
    fov_node *weight = fov_parameter(g, "weight", FOV_SHAPE(out, kernel, kernel, in), spec);
    fov_node *y = weight == NULL ? NULL : fov_conv2d(g, x, weight, NULL, stride, (kernel - 1) / 2);
    fov_graph_pop(g);
    return y;
}

static fov_node *norm(fov_graph *g, fov_node *x, const char *name, bool relu, int layer) {
    return fov_batchnorm_layer(g, x, name, &(fov_batchnorm_layer_args){.affine = true, .relu = relu, .gamma = 1.0, .layer = layer});
}

/* One residual block under the current scope. */
static fov_node *block(fov_graph *g, fov_node *x, const fov_backbone_spec *spec, size_t width, size_t stride, int layer) {
    if (x == NULL) {
        return NULL;
    }
    const resnet_shape *shape = spec->backbone->shape;
    const size_t out = shape->bottleneck ? 4 * width : width;
    fov_node *y = x, *identity = x;
    if (shape->bottleneck) { /* next to what makes x, so that a pass over x runs beside the product */
        y = norm(g, conv(g, y, "conv1", width, 1, 1, layer), "bn1", true, layer);
    }
    if (stride != 1 || x->shape.dim[3] != out) {
        fov_graph_push(g, "downsample");
        identity = norm(g, conv(g, x, "0", out, 1, stride, layer), "1", false, layer);
        fov_graph_pop(g);
    }
    if (shape->bottleneck) {
        y = norm(g, conv(g, y, "conv2", width, 3, stride, layer), "bn2", true, layer);
        y = conv(g, y, "conv3", out, 1, 1, layer);
    } else {
        y = norm(g, conv(g, y, "conv1", width, 3, stride, layer), "bn1", true, layer);
        y = conv(g, y, "conv2", out, 3, 1, layer);
    }
    if (identity == NULL) {
        return NULL;
    }
    const fov_batchnorm_layer_args last = {
        .affine = true, .relu = true, .gamma = spec->zero_residual ? 0.0 : 1.0, .residual = identity, .layer = layer};
    return fov_batchnorm_layer(g, y, shape->bottleneck ? "bn3" : "bn2", &last);
}

static fov_backbone_out build(fov_graph *g, const fov_backbone_spec *spec, fov_node *x, fov_node *keep) {
    const resnet_shape *shape = spec->backbone->shape;
    fov_backbone_out out = {0};
    if (keep != NULL) {
        (void)fov_graph_fail(g, FOV_E_INVALID, "%s has no tokens to drop; a masked objective needs a ViT", spec->backbone->name);
        return out;
    }
    x = conv(g, x, "conv1", 64, spec->small_stem ? 3 : 7, spec->small_stem ? 1 : 2, 0);
    x = norm(g, x, "bn1", true, 0);
    if (!spec->small_stem) {
        x = x == NULL ? NULL : fov_maxpool(g, x, 3, 2, 1);
    }
    for (size_t stage = 0; stage < 4; stage++) {
        fov_graph_push(g, "layer%zu", stage + 1);
        for (size_t j = 0; j < shape->blocks[stage]; j++) {
            fov_graph_push(g, "%zu", j);
            fov_graph_block_begin(g);
            x = block(g, x, spec, (size_t)64 << stage, stage > 0 && j == 0 ? 2 : 1, (int)stage + 1);
            fov_graph_block_end(g);
            fov_graph_pop(g);
        }
        fov_graph_pop(g);
    }
    out.map = x;
    out.features = x == NULL ? NULL : fov_global_avgpool(g, x);
    return out;
}

static fov_status check(const fov_backbone_spec *spec) {
    const size_t least = spec->small_stem ? 8 : 32;
    if (spec->image_size < least) {
        return FOV_FAIL(FOV_E_INVALID, "%s with the %s stem needs images of at least %zu px, got %zu", spec->backbone->name,
                        spec->small_stem ? "cifar" : "imagenet", least, spec->image_size);
    }
    return FOV_OK;
}

#define RESNET(id, text, dims, shape_)                                                                                                       \
    const fov_backbone fov_backbone_##id = {.name = #id,                                                                                     \
                                            .family = "resnet",                                                                              \
                                            .summary = text,                                                                                 \
                                            .gives = FOV_GIVES_MAP,                                                                          \
                                            .width = dims,                                                                                   \
                                            .shape = &shape_,                                                                                \
                                            .check = check,                                                                                  \
                                            .build = build}

extern const fov_backbone fov_backbone_resnet18, fov_backbone_resnet34, fov_backbone_resnet50;
RESNET(resnet18, "ResNet-18, 11.2 M parameters, features of 512", 512, shape18);
RESNET(resnet34, "ResNet-34, 21.3 M parameters, features of 512", 512, shape34);
RESNET(resnet50, "ResNet-50, 23.5 M parameters, features of 2048", 2048, shape50);
