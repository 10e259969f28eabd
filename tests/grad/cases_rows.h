/* Gradient cases of the row operations. */
#ifndef FOV_TESTS_GRAD_CASES_ROWS_H
#define FOV_TESTS_GRAD_CASES_ROWS_H

#include "grad/gradcheck.h"

static fov_node *rows_linear(fov_graph *g, size_t rows, size_t ci, size_t co, bool bias, fov_act act) {
    fov_node *x = grad_operand(g, "x", FOV_SHAPE(rows, ci));
    fov_node *b = bias ? grad_operand(g, "bias", FOV_SHAPE(co)) : NULL;
    return fov_linear(g, x, grad_operand(g, "weight", FOV_SHAPE(co, ci)), b, act);
}

static fov_node *rows_linear_plain(fov_graph *g) {
    return rows_linear(g, 7, 5, 3, true, FOV_ACT_NONE);
}

static fov_node *rows_linear_no_bias(fov_graph *g) {
    return rows_linear(g, 1, 9, 4, false, FOV_ACT_NONE);
}

static fov_node *rows_linear_relu(fov_graph *g) {
    return rows_linear(g, 6, 5, 7, true, FOV_ACT_RELU);
}

static fov_node *rows_linear_gelu(fov_graph *g) {
    return rows_linear(g, 6, 5, 7, true, FOV_ACT_GELU);
}

static fov_node *rows_linear_relu_no_bias(fov_graph *g) {
    return rows_linear(g, 5, 3, 8, false, FOV_ACT_RELU);
}

static fov_node *rows_linear_gelu_no_bias(fov_graph *g) {
    return rows_linear(g, 5, 3, 8, false, FOV_ACT_GELU);
}

/* More rows than one chunk: partial sums of the bias gradient, and a long reduction in the weight gradient. */
static fov_node *rows_linear_many(fov_graph *g) {
    return rows_linear(g, 20000, 3, 2, true, FOV_ACT_GELU);
}

static fov_node *rows_linear_tokens(fov_graph *g) {
    fov_node *x = grad_operand(g, "x", FOV_SHAPE(2, 5, 6));
    return fov_linear(g, x, grad_operand(g, "weight", FOV_SHAPE(4, 6)), grad_operand(g, "bias", FOV_SHAPE(4)), FOV_ACT_NONE);
}

/* One weight used twice: its gradients add up; x has two consumers, so the second one accumulates. */
static fov_node *rows_linear_shared(fov_graph *g) {
    fov_node *x = grad_operand(g, "x", FOV_SHAPE(4, 6));
    fov_node *h = fov_scale(g, x, 1.5);
    fov_node *a = fov_linear(g, h, grad_operand(g, "weight", FOV_SHAPE(6, 6)), NULL, FOV_ACT_RELU);
    fov_node *b = fov_linear(g, a, grad_operand(g, "weight", FOV_SHAPE(6, 6)), NULL, FOV_ACT_GELU);
    return fov_add(g, fov_add(g, h, a), b);
}

/* A weight that is itself computed: its gradient is a planned piece, written instead of added to. */
static fov_node *rows_linear_computed_weight(fov_graph *g) {
    fov_node *weight = fov_scale(g, grad_operand(g, "weight", FOV_SHAPE(3, 5)), 0.5);
    fov_node *bias = fov_scale(g, grad_operand(g, "bias", FOV_SHAPE(3)), -2.0);
    return fov_linear(g, grad_operand(g, "x", FOV_SHAPE(4, 5)), weight, bias, FOV_ACT_GELU);
}

static fov_node *rows_linear_input(fov_graph *g) {
    fov_node *x = fov_input(g, "x", FOV_DTYPE_REAL, FOV_SHAPE(4, 5));
    return fov_linear(g, x, grad_operand(g, "weight", FOV_SHAPE(3, 5)), grad_operand(g, "bias", FOV_SHAPE(3)), FOV_ACT_NONE);
}

static fov_node *rows_layernorm(fov_graph *g, fov_shape shape, double eps) {
    const size_t d = shape.dim[shape.rank - 1];
    return fov_layernorm(g, grad_operand(g, "x", shape), grad_operand(g, "weight", FOV_SHAPE(d)), grad_operand(g, "bias", FOV_SHAPE(d)),
                         eps);
}

static fov_node *rows_layernorm_small(fov_graph *g) {
    return rows_layernorm(g, FOV_SHAPE(5, 7), 1e-6);
}

static fov_node *rows_layernorm_tokens(fov_graph *g) {
    return rows_layernorm(g, FOV_SHAPE(2, 3, 37), 1e-5);
}

static fov_node *rows_layernorm_large_eps(fov_graph *g) {
    return rows_layernorm(g, FOV_SHAPE(3, 4), 1.0);
}

static fov_node *rows_layernorm_many(fov_graph *g) {
    return rows_layernorm(g, FOV_SHAPE(9000, 4), 1e-3);
}

/* The input has a second consumer that wrote its gradient first. */
static fov_node *rows_layernorm_residual(fov_graph *g) {
    fov_node *x = fov_scale(g, grad_operand(g, "x", FOV_SHAPE(3, 6)), 2.0);
    fov_node *y = fov_layernorm(g, x, grad_operand(g, "weight", FOV_SHAPE(6)), grad_operand(g, "bias", FOV_SHAPE(6)), 1e-6);
    return fov_add(g, x, y);
}

static fov_node *rows_add(fov_graph *g) {
    return fov_add(g, grad_operand(g, "a", FOV_SHAPE(3, 5)), grad_operand(g, "b", FOV_SHAPE(3, 5)));
}

static fov_node *rows_add_itself(fov_graph *g) {
    fov_node *x = fov_scale(g, grad_operand(g, "x", FOV_SHAPE(33000)), 0.5);
    return fov_add(g, x, x);
}

static fov_node *rows_scale(fov_graph *g) {
    fov_node *x = grad_operand(g, "x", FOV_SHAPE(70));
    return fov_add(g, fov_scale(g, x, -2.5), fov_scale(g, fov_scale(g, x, 3.0), 0.25));
}

static fov_node *rows_l2norm(fov_graph *g) {
    return fov_l2norm(g, grad_operand(g, "x", FOV_SHAPE(5, 9)), 1e-12);
}

static fov_node *rows_l2norm_eps(fov_graph *g) {
    return fov_l2norm(g, grad_operand(g, "x", FOV_SHAPE(3, 4)), 50.0);
}

static fov_node *rows_l2norm_twice(fov_graph *g) {
    fov_node *x = fov_scale(g, grad_operand(g, "x", FOV_SHAPE(4, 6)), 2.0);
    return fov_add(g, fov_l2norm(g, x, 1e-12), fov_l2norm(g, fov_add(g, x, x), 1e-12));
}

static fov_node *rows_stop(fov_graph *g) {
    fov_node *fixed = fov_stop(g, fov_scale(g, fov_input(g, "fixed", FOV_DTYPE_REAL, FOV_SHAPE(4, 3)), 2.0));
    return fov_l2norm(g, fov_add(g, grad_operand(g, "x", FOV_SHAPE(4, 3)), fixed), 1e-12);
}

/* The gradient comes through views of other shapes as well as directly. */
static fov_node *rows_reshape(fov_graph *g) {
    fov_node *x = fov_scale(g, grad_operand(g, "x", FOV_SHAPE(4, 6)), 2.0);
    fov_node *rows = fov_l2norm(g, fov_reshape(g, x, FOV_SHAPE(3, 8)), 1e-12);
    fov_node *back = fov_reshape(g, fov_reshape(g, rows, FOV_SHAPE(24)), FOV_SHAPE(4, 6));
    return fov_add(g, fov_add(g, back, x), fov_l2norm(g, x, 1e-12));
}

static fov_node *rows_reshape_parameter(fov_graph *g) {
    fov_node *x = grad_operand(g, "x", FOV_SHAPE(2, 3, 4));
    return fov_l2norm(g, fov_add(g, fov_reshape(g, x, FOV_SHAPE(6, 4)), fov_reshape(g, x, FOV_SHAPE(6, 4))), 1e-12);
}

/* A teacher's parameters are used in a frozen scope beside the student's. */
static fov_node *rows_frozen(fov_graph *g) {
    fov_node *x = grad_operand(g, "x", FOV_SHAPE(4, 5));
    fov_param_spec spec = {.role = FOV_PARAM_FROZEN, .init = FOV_INIT_NORMAL, .a = 1.0};
    fov_graph_freeze(g, true);
    fov_node *input = fov_input(g, "other", FOV_DTYPE_REAL, FOV_SHAPE(4, 5));
    fov_node *teacher = fov_linear(g, input, fov_parameter(g, "teacher", FOV_SHAPE(5, 5), spec), NULL, FOV_ACT_GELU);
    fov_graph_freeze(g, false);
    return fov_l2norm(g, fov_add(g, x, teacher), 1e-12);
}

static const fov_grad_case cases_rows[] = {
    {.op = "linear", .what = "bias", .build = rows_linear_plain},
    {.op = "linear", .what = "one row, no bias", .build = rows_linear_no_bias},
    {.op = "linear", .what = "relu", .build = rows_linear_relu},
    {.op = "linear", .what = "gelu", .build = rows_linear_gelu},
    {.op = "linear", .what = "relu, no bias", .build = rows_linear_relu_no_bias},
    {.op = "linear", .what = "gelu, no bias", .build = rows_linear_gelu_no_bias},
    {.op = "linear", .what = "many rows", .build = rows_linear_many},
    {.op = "linear", .what = "tokens", .build = rows_linear_tokens},
    {.op = "linear", .what = "shared weight", .build = rows_linear_shared},
    {.op = "linear", .what = "computed weight", .build = rows_linear_computed_weight},
    {.op = "linear", .what = "no gradient to the input", .build = rows_linear_input},
    {.op = "layernorm", .what = "small", .build = rows_layernorm_small},
    {.op = "layernorm", .what = "tokens", .build = rows_layernorm_tokens},
    {.op = "layernorm", .what = "large eps", .build = rows_layernorm_large_eps},
    {.op = "layernorm", .what = "many rows", .build = rows_layernorm_many},
    {.op = "layernorm", .what = "residual", .build = rows_layernorm_residual},
    {.op = "add", .what = "two parameters", .build = rows_add},
    {.op = "add", .what = "a tensor to itself", .build = rows_add_itself},
    {.op = "scale", .what = "chain", .build = rows_scale},
    {.op = "l2norm", .what = "rows", .build = rows_l2norm},
    {.op = "l2norm", .what = "shorter than eps", .build = rows_l2norm_eps},
    {.op = "l2norm", .what = "two consumers", .build = rows_l2norm_twice},
    {.op = "stop", .what = "beside a parameter", .build = rows_stop},
    {.op = "reshape", .what = "views and the tensor itself", .build = rows_reshape},
    {.op = "reshape", .what = "views of a parameter", .build = rows_reshape_parameter},
    {.op = "linear", .what = "frozen scope", .build = rows_frozen},
};

#endif
