/* Gradient cases of the image operations. */
#ifndef FOV_TESTS_GRAD_CASES_IMAGES_H
#define FOV_TESTS_GRAD_CASES_IMAGES_H

#include "grad/gradcheck.h"

typedef struct images_conv {
    size_t n, h, w, ci, co, kh, kw, stride, pad;
    bool bias;
} images_conv;

static fov_node *images_conv2d(fov_graph *g, images_conv c) {
    fov_node *x = grad_operand(g, "x", FOV_SHAPE(c.n, c.h, c.w, c.ci));
    fov_node *weight = grad_operand(g, "weight", FOV_SHAPE(c.co, c.kh, c.kw, c.ci));
    return fov_conv2d(g, x, weight, c.bias ? grad_operand(g, "bias", FOV_SHAPE(c.co)) : NULL, c.stride, c.pad);
}

#define IMAGES_CONV(name, ...)                                                                                                             \
    static fov_node *images_conv_##name(fov_graph *g) {                                                                                    \
        return images_conv2d(g, (images_conv){__VA_ARGS__});                                                                               \
    }
IMAGES_CONV(padded, .n = 3, .h = 5, .w = 6, .ci = 9, .co = 4, .kh = 3, .kw = 3, .stride = 1, .pad = 1, .bias = true)
IMAGES_CONV(valid, .n = 2, .h = 5, .w = 4, .ci = 10, .co = 3, .kh = 3, .kw = 2, .stride = 1, .pad = 0, .bias = false)
IMAGES_CONV(stride_2, .n = 2, .h = 7, .w = 6, .ci = 9, .co = 5, .kh = 3, .kw = 3, .stride = 2, .pad = 1, .bias = false)
IMAGES_CONV(stride_3, .n = 2, .h = 8, .w = 7, .ci = 9, .co = 2, .kh = 2, .kw = 3, .stride = 3, .pad = 1, .bias = true)
IMAGES_CONV(pointwise, .n = 2, .h = 3, .w = 4, .ci = 17, .co = 6, .kh = 1, .kw = 1, .stride = 1, .pad = 0, .bias = true)
IMAGES_CONV(pointwise_stride_2, .n = 3, .h = 5, .w = 4, .ci = 9, .co = 7, .kh = 1, .kw = 1, .stride = 2, .pad = 0, .bias = false)
IMAGES_CONV(stem, .n = 2, .h = 13, .w = 11, .ci = 3, .co = 5, .kh = 7, .kw = 7, .stride = 2, .pad = 3, .bias = false)
IMAGES_CONV(narrow, .n = 20, .h = 4, .w = 4, .ci = 2, .co = 3, .kh = 3, .kw = 3, .stride = 1, .pad = 1, .bias = true)
IMAGES_CONV(two_by_two, .n = 19, .h = 2, .w = 2, .ci = 9, .co = 3, .kh = 3, .kw = 3, .stride = 1, .pad = 1, .bias = false)
IMAGES_CONV(one_pixel, .n = 3, .h = 1, .w = 1, .ci = 9, .co = 3, .kh = 3, .kw = 3, .stride = 2, .pad = 1, .bias = false)
IMAGES_CONV(patches, .n = 2, .h = 8, .w = 8, .ci = 3, .co = 6, .kh = 4, .kw = 4, .stride = 4, .pad = 0, .bias = true)
IMAGES_CONV(wide, .n = 2, .h = 3, .w = 3, .ci = 70, .co = 45, .kh = 3, .kw = 3, .stride = 1, .pad = 1, .bias = false)
/* By minimal filtering: whole tiles, tiles that stick out, several blocks of channels, other paddings. */
IMAGES_CONV(minimal, .n = 3, .h = 4, .w = 8, .ci = 16, .co = 16, .kh = 3, .kw = 3, .stride = 1, .pad = 1, .bias = true)
IMAGES_CONV(minimal_ragged, .n = 2, .h = 7, .w = 6, .ci = 48, .co = 80, .kh = 3, .kw = 3, .stride = 1, .pad = 1, .bias = false)
IMAGES_CONV(minimal_valid, .n = 18, .h = 6, .w = 9, .ci = 16, .co = 32, .kh = 3, .kw = 3, .stride = 1, .pad = 0, .bias = false)
IMAGES_CONV(minimal_wide, .n = 1, .h = 41, .w = 36, .ci = 16, .co = 16, .kh = 3, .kw = 3, .stride = 1, .pad = 2, .bias = false)
#undef IMAGES_CONV

/* x is used twice and the weight is computed: gradients add up, or are written instead of added. */
static fov_node *images_conv_shared(fov_graph *g) {
    fov_node *x = fov_scale(g, grad_operand(g, "x", FOV_SHAPE(2, 4, 4, 9)), 0.5);
    fov_node *weight = fov_scale(g, grad_operand(g, "weight", FOV_SHAPE(9, 3, 3, 9)), 0.5);
    return fov_add(g, x, fov_conv2d(g, fov_conv2d(g, x, weight, NULL, 1, 1), weight, NULL, 1, 1));
}

static fov_node *images_conv_minimal_shared(fov_graph *g) {
    fov_node *x = fov_scale(g, grad_operand(g, "x", FOV_SHAPE(2, 4, 4, 16)), 0.5);
    fov_node *weight = fov_scale(g, grad_operand(g, "weight", FOV_SHAPE(16, 3, 3, 16)), 0.5);
    return fov_add(g, x, fov_conv2d(g, fov_conv2d(g, x, weight, NULL, 1, 1), weight, NULL, 1, 1));
}

/* The same for pictures of few channels. */
static fov_node *images_conv_narrow_shared(fov_graph *g) {
    fov_node *x = fov_scale(g, grad_operand(g, "x", FOV_SHAPE(2, 4, 4, 3)), 0.5);
    fov_node *weight = fov_scale(g, grad_operand(g, "weight", FOV_SHAPE(3, 3, 3, 3)), 0.5);
    return fov_add(g, x, fov_conv2d(g, fov_conv2d(g, x, weight, NULL, 1, 1), weight, NULL, 1, 1));
}

enum { IMAGES_AFFINE = 1, IMAGES_RESIDUAL = 2, IMAGES_RELU = 4 };

static fov_node *images_norm(fov_graph *g, fov_node *x, fov_node *residual, unsigned how) {
    const size_t c = x == NULL ? 1 : x->shape.dim[x->shape.rank - 1];
    const fov_param_spec zero = {.role = FOV_PARAM_BUFFER, .init = FOV_INIT_ZERO};
    const fov_param_spec one = {.role = FOV_PARAM_BUFFER, .init = FOV_INIT_ONE};
    fov_batchnorm_args args = {.eps = 1e-5, .momentum = 0.1, .relu = (how & IMAGES_RELU) != 0, .residual = residual};
    args.running_mean = fov_parameter(g, "running_mean", FOV_SHAPE(c), zero);
    args.running_var = fov_parameter(g, "running_var", FOV_SHAPE(c), one);
    args.counter = fov_parameter(g, "num_batches_tracked", FOV_SHAPE(1), (fov_param_spec){.role = FOV_PARAM_COUNTER});
    if ((how & IMAGES_AFFINE) != 0) {
        args.gamma = grad_operand(g, "gamma", FOV_SHAPE(c));
        args.beta = grad_operand(g, "beta", FOV_SHAPE(c));
    }
    return fov_batchnorm(g, x, &args);
}

static fov_node *images_norm_of(fov_graph *g, fov_shape shape, unsigned how) {
    fov_node *residual = (how & IMAGES_RESIDUAL) != 0 ? grad_operand(g, "residual", shape) : NULL;
    return images_norm(g, grad_operand(g, "x", shape), residual, how);
}

#define IMAGES_NORM(name, how, ...)                                                                                                        \
    static fov_node *images_norm_##name(fov_graph *g) {                                                                                    \
        return images_norm_of(g, FOV_SHAPE(__VA_ARGS__), (how));                                                                           \
    }
IMAGES_NORM(plain, 0, 4, 2, 3, 5)
IMAGES_NORM(affine, IMAGES_AFFINE, 3, 3, 3, 9)
IMAGES_NORM(relu, IMAGES_AFFINE | IMAGES_RELU, 3, 3, 3, 17)
IMAGES_NORM(residual, IMAGES_AFFINE | IMAGES_RESIDUAL, 3, 2, 3, 9)
IMAGES_NORM(residual_relu, IMAGES_AFFINE | IMAGES_RESIDUAL | IMAGES_RELU, 3, 2, 3, 18)
IMAGES_NORM(plain_residual_relu, IMAGES_RESIDUAL | IMAGES_RELU, 3, 2, 3, 4)
IMAGES_NORM(features, IMAGES_AFFINE, 7, 10)
IMAGES_NORM(features_plain, 0, 6, 8)
IMAGES_NORM(features_relu, IMAGES_AFFINE | IMAGES_RELU, 9, 20)
IMAGES_NORM(many_rows, IMAGES_AFFINE | IMAGES_RELU, 5000, 8)
#undef IMAGES_NORM

/* The residual has another consumer, so that its gradient is added to; x and the residual are one value. */
static fov_node *images_norm_shared(fov_graph *g) {
    fov_node *x = fov_scale(g, grad_operand(g, "x", FOV_SHAPE(4, 2, 2, 9)), 1.5);
    fov_node *y = images_norm(g, x, x, IMAGES_AFFINE | IMAGES_RELU | IMAGES_RESIDUAL);
    return fov_add(g, y, x);
}

/* Well separated values: finite differences must not change which one wins. */
static void images_fill_apart(fov_real *values, const fov_shape *shape, double a) {
    const size_t n = fov_shape_count(shape);
    for (size_t i = 0; i < n; i++) {
        values[i] = (fov_real)((double)(i * 7919 % n) * a);
    }
}

static fov_node *images_pool_of(fov_graph *g, fov_shape shape, size_t kernel, size_t stride, size_t pad) {
    const fov_param_spec spec = {.role = FOV_PARAM_TRAINABLE, .init = FOV_INIT_FUNCTION, .fill = images_fill_apart, .a = 0.01};
    return fov_maxpool(g, fov_parameter(g, "x", shape, spec), kernel, stride, pad);
}

static fov_node *images_maxpool_stem(fov_graph *g) {
    return images_pool_of(g, FOV_SHAPE(2, 8, 7, 5), 3, 2, 1);
}

static fov_node *images_maxpool_plain(fov_graph *g) {
    return images_pool_of(g, FOV_SHAPE(2, 6, 6, 17), 2, 2, 0);
}

static fov_node *images_maxpool_overlap(fov_graph *g) {
    fov_node *x = grad_operand(g, "x", FOV_SHAPE(1, 5, 5, 3));
    return fov_add(g, x, fov_maxpool(g, x, 3, 1, 1));
}

static fov_node *images_avgpool(fov_graph *g) {
    return fov_global_avgpool(g, grad_operand(g, "x", FOV_SHAPE(3, 4, 5, 7)));
}

static fov_node *images_avgpool_shared(fov_graph *g) {
    fov_node *x = fov_scale(g, grad_operand(g, "x", FOV_SHAPE(3, 1, 1, 7)), 2.0);
    return fov_add(g, fov_reshape(g, x, FOV_SHAPE(3, 7)), fov_global_avgpool(g, x));
}

/* normalize passes no gradient, but its values must reach the first convolution's weights. */
static fov_node *images_normalize(fov_graph *g) {
    const double mean[3] = {0.4, 0.5, 0.6};
    const double std[3] = {0.2, 0.3, 0.4};
    fov_node *x = fov_normalize(g, fov_input(g, "pixels", FOV_DTYPE_U8, FOV_SHAPE(2, 9, 8, 3)), mean, std);
    return fov_conv2d(g, x, grad_operand(g, "weight", FOV_SHAPE(4, 7, 7, 3)), NULL, 2, 3);
}

static fov_node *images_normalize_words(fov_graph *g) {
    const double mean[5] = {0.4, 0.5, 0.6, 0.1, 0.9};
    const double std[5] = {0.2, 0.3, 0.4, 0.1, 0.5};
    fov_node *x = fov_normalize(g, fov_input(g, "pixels", FOV_DTYPE_U16, FOV_SHAPE(2, 9, 8, 5)), mean, std);
    return fov_conv2d(g, x, grad_operand(g, "weight", FOV_SHAPE(4, 7, 7, 5)), NULL, 2, 3);
}

static const fov_grad_case cases_images[] = {
    {.op = "conv2d", .what = "3x3, padding 1, bias", .build = images_conv_padded},
    {.op = "conv2d", .what = "3x2, no padding", .build = images_conv_valid},
    {.op = "conv2d", .what = "3x3, stride 2", .build = images_conv_stride_2},
    {.op = "conv2d", .what = "2x3, stride 3: some inputs unused", .build = images_conv_stride_3},
    {.op = "conv2d", .what = "1x1", .build = images_conv_pointwise},
    {.op = "conv2d", .what = "1x1, stride 2", .build = images_conv_pointwise_stride_2},
    {.op = "conv2d", .what = "7x7, stride 2, padding 3, 3 channels", .build = images_conv_stem},
    {.op = "conv2d", .what = "2 channels, many images", .build = images_conv_narrow},
    {.op = "conv2d", .what = "2x2 pictures", .build = images_conv_two_by_two},
    {.op = "conv2d", .what = "1x1 pictures, stride 2", .build = images_conv_one_pixel},
    {.op = "conv2d", .what = "patches", .build = images_conv_patches},
    {.op = "conv2d", .what = "several panels", .build = images_conv_wide},
    {.op = "conv2d", .what = "minimal filtering", .build = images_conv_minimal},
    {.op = "conv2d", .what = "minimal filtering, tiles stick out", .build = images_conv_minimal_ragged},
    {.op = "conv2d", .what = "minimal filtering, no padding", .build = images_conv_minimal_valid},
    {.op = "conv2d", .what = "minimal filtering, large picture, padding 2", .build = images_conv_minimal_wide},
    {.op = "conv2d", .what = "minimal filtering, shared input, computed weight", .build = images_conv_minimal_shared},
    {.op = "conv2d", .what = "shared input, computed weight", .build = images_conv_shared},
    {.op = "conv2d", .what = "few channels, shared input, computed weight", .build = images_conv_narrow_shared},
    {.op = "batchnorm", .what = "no affine", .build = images_norm_plain, .training = true},
    {.op = "batchnorm", .what = "affine", .build = images_norm_affine, .training = true},
    {.op = "batchnorm", .what = "relu", .build = images_norm_relu, .training = true},
    {.op = "batchnorm", .what = "residual", .build = images_norm_residual, .training = true},
    {.op = "batchnorm", .what = "residual, relu", .build = images_norm_residual_relu, .training = true},
    {.op = "batchnorm", .what = "no affine, residual, relu", .build = images_norm_plain_residual_relu, .training = true},
    {.op = "batchnorm", .what = "[n, c]", .build = images_norm_features, .training = true},
    {.op = "batchnorm", .what = "[n, c], no affine", .build = images_norm_features_plain, .training = true},
    {.op = "batchnorm", .what = "[n, c], relu", .build = images_norm_features_relu, .training = true},
    {.op = "batchnorm", .what = "several chunks", .build = images_norm_many_rows, .training = true},
    {.op = "batchnorm", .what = "shared residual", .build = images_norm_shared, .training = true},
    {.op = "batchnorm", .what = "running statistics", .build = images_norm_affine},
    {.op = "batchnorm", .what = "running statistics, residual, relu", .build = images_norm_residual_relu},
    {.op = "batchnorm", .what = "running statistics, no affine", .build = images_norm_features_plain},
    {.op = "maxpool", .what = "3x3, stride 2, padding 1", .build = images_maxpool_stem},
    {.op = "maxpool", .what = "2x2", .build = images_maxpool_plain},
    {.op = "maxpool", .what = "overlapping windows, shared input", .build = images_maxpool_overlap},
    {.op = "global_avgpool", .what = "plain", .build = images_avgpool},
    {.op = "global_avgpool", .what = "shared input", .build = images_avgpool_shared},
    {.op = "normalize", .what = "under a stem", .build = images_normalize},
    {.op = "normalize", .what = "words of five channels", .build = images_normalize_words},
};

#endif
