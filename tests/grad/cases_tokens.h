/* Gradient cases of the token operations and the losses; contract in gradcheck.h. */
#ifndef FOV_TESTS_GRAD_CASES_TOKENS_H
#define FOV_TESTS_GRAD_CASES_TOKENS_H

#include <string.h>

#include "grad/gradcheck.h"

/* ---- what inputs hold ---- */

/* "index": each row counts up in steps of 2 modulo 3, so that indices repeat. */
static void token_fill_index(const char *name, void *data, const fov_shape *shape) {
    (void)name;
    int32_t *index = data;
    for (size_t i = 0; i < fov_shape_count(shape); i++) {
        index[i] = (int32_t)((2 * i + i / shape->dim[1]) % 3);
    }
}

/* "restore": places in a rotated order, so that kept tokens (place < k) and mask tokens alternate. */
static void token_fill_restore(const char *name, void *data, const fov_shape *shape) {
    (void)name;
    int32_t *restore = data;
    const size_t t = shape->dim[1];
    for (size_t i = 0; i < fov_shape_count(shape); i++) {
        restore[i] = (int32_t)((i * 3 + i / t) % t);
    }
}

/* "mask": two of three patches count; reals are a saw-tooth with different scales from patch to patch. */
static void token_fill_mask(const char *name, void *data, const fov_shape *shape) {
    const size_t count = fov_shape_count(shape);
    if (strcmp(name, "mask") == 0) {
        for (size_t i = 0; i < count; i++) {
            ((int32_t *)data)[i] = i % 3 != 1;
        }
        return;
    }
    const size_t width = shape->dim[2];
    for (size_t i = 0; i < count; i++) {
        ((fov_real *)data)[i] = (fov_real)((double)((i * 7) % 11) * 0.1 * (double)(1 + i / width));
    }
}

/* ---- patchify ---- */

static fov_node *token_patchify(fov_graph *g) {
    return fov_patchify(g, grad_operand(g, "x", FOV_SHAPE(2, 4, 6, 3)), 2);
}

static fov_node *token_patchify_whole(fov_graph *g) {
    return fov_patchify(g, grad_operand(g, "x", FOV_SHAPE(1, 3, 3, 2)), 3);
}

static fov_node *token_patchify_twice(fov_graph *g) {
    fov_node *x = grad_operand(g, "x", FOV_SHAPE(2, 4, 4, 1));
    return fov_add(g, fov_patchify(g, x, 2), fov_patchify(g, x, 2));
}

/* ---- positions, class token ---- */

static fov_node *token_position(fov_graph *g) {
    return fov_add_position(g, grad_operand(g, "x", FOV_SHAPE(3, 4, 5)), grad_operand(g, "position", FOV_SHAPE(1, 4, 5)), 0);
}

static fov_node *token_position_after_class(fov_graph *g) {
    return fov_add_position(g, grad_operand(g, "x", FOV_SHAPE(2, 3, 7)), grad_operand(g, "position", FOV_SHAPE(1, 6, 7)), 1);
}

static fov_node *token_position_of_value(fov_graph *g) {
    fov_node *position = fov_scale(g, grad_operand(g, "position", FOV_SHAPE(1, 5, 3)), 0.5);
    return fov_add_position(g, fov_scale(g, grad_operand(g, "x", FOV_SHAPE(2, 3, 3)), 2.0), position, 2);
}

static fov_node *token_prepend(fov_graph *g) {
    return fov_prepend_token(g, grad_operand(g, "x", FOV_SHAPE(3, 4, 5)), grad_operand(g, "token", FOV_SHAPE(1, 1, 5)), NULL);
}

static fov_node *token_prepend_position(fov_graph *g) {
    fov_node *position = grad_operand(g, "position", FOV_SHAPE(1, 5, 6));
    fov_node *x = fov_add_position(g, grad_operand(g, "x", FOV_SHAPE(2, 4, 6)), position, 1);
    return fov_prepend_token(g, x, grad_operand(g, "token", FOV_SHAPE(1, 1, 6)), position);
}

static fov_node *token_prepend_values(fov_graph *g) {
    fov_node *token = fov_scale(g, grad_operand(g, "token", FOV_SHAPE(1, 1, 3)), 3.0);
    fov_node *position = fov_scale(g, grad_operand(g, "position", FOV_SHAPE(1, 2, 3)), 0.5);
    return fov_prepend_token(g, fov_scale(g, grad_operand(g, "x", FOV_SHAPE(2, 1, 3)), 2.0), token, position);
}

/* ---- choosing tokens ---- */

static fov_node *token_slice_first(fov_graph *g) {
    return fov_slice_tokens(g, grad_operand(g, "x", FOV_SHAPE(3, 4, 5)), 0, 1);
}

static fov_node *token_slice_middle(fov_graph *g) {
    return fov_slice_tokens(g, fov_scale(g, grad_operand(g, "x", FOV_SHAPE(2, 5, 3)), 2.0), 1, 3);
}

static fov_node *token_slice_overlap(fov_graph *g) {
    fov_node *x = fov_scale(g, grad_operand(g, "x", FOV_SHAPE(2, 5, 3)), 2.0);
    return fov_add(g, fov_slice_tokens(g, x, 0, 3), fov_slice_tokens(g, x, 2, 3));
}

static fov_node *token_gather(fov_graph *g) {
    return fov_gather_tokens(g, grad_operand(g, "x", FOV_SHAPE(3, 4, 5)), fov_input(g, "index", FOV_DTYPE_I32, FOV_SHAPE(3, 2)));
}

static fov_node *token_gather_repeated(fov_graph *g) {
    fov_node *x = fov_scale(g, grad_operand(g, "x", FOV_SHAPE(2, 3, 7)), 2.0);
    return fov_gather_tokens(g, x, fov_input(g, "index", FOV_DTYPE_I32, FOV_SHAPE(2, 6)));
}

static fov_node *token_restore(fov_graph *g) {
    return fov_restore_tokens(g, grad_operand(g, "x", FOV_SHAPE(3, 2, 5)), grad_operand(g, "token", FOV_SHAPE(1, 1, 5)),
                              fov_input(g, "restore", FOV_DTYPE_I32, FOV_SHAPE(3, 7)));
}

static fov_node *token_restore_values(fov_graph *g) {
    fov_node *x = fov_scale(g, grad_operand(g, "x", FOV_SHAPE(2, 3, 4)), 2.0);
    fov_node *token = fov_scale(g, grad_operand(g, "token", FOV_SHAPE(1, 1, 4)), 0.5);
    return fov_restore_tokens(g, x, token, fov_input(g, "restore", FOV_DTYPE_I32, FOV_SHAPE(2, 5)));
}

static fov_node *token_restore_token_only(fov_graph *g) {
    fov_node *x = fov_input(g, "x", FOV_DTYPE_REAL, FOV_SHAPE(2, 3, 4));
    return fov_restore_tokens(g, x, grad_operand(g, "token", FOV_SHAPE(1, 1, 4)), fov_input(g, "restore", FOV_DTYPE_I32, FOV_SHAPE(2, 5)));
}

static void token_fill_restore_only(const char *name, void *data, const fov_shape *shape) {
    if (strcmp(name, "restore") == 0) {
        token_fill_restore(name, data, shape);
    } else {
        token_fill_mask(name, data, shape);
    }
}

static fov_node *token_mean(fov_graph *g) {
    return fov_mean_tokens(g, grad_operand(g, "x", FOV_SHAPE(3, 4, 5)), 0);
}

static fov_node *token_mean_patches(fov_graph *g) {
    fov_node *x = fov_scale(g, grad_operand(g, "x", FOV_SHAPE(2, 6, 3)), 2.0);
    return fov_add(g, fov_mean_tokens(g, x, 1), fov_mean_tokens(g, x, 5));
}

/* ---- attention ---- */

static fov_node *token_attention(fov_graph *g) {
    return fov_attention(g, grad_operand(g, "qkv", FOV_SHAPE(2, 5, 12)), 1);
}

static fov_node *token_attention_heads(fov_graph *g) {
    return fov_attention(g, grad_operand(g, "qkv", FOV_SHAPE(2, 7, 27)), 3);
}

static fov_node *token_attention_blocks(fov_graph *g) {
    return fov_attention(g, grad_operand(g, "qkv", FOV_SHAPE(1, 67, 18)), 3);
}

static fov_node *token_attention_one(fov_graph *g) {
    return fov_attention(g, grad_operand(g, "qkv", FOV_SHAPE(3, 1, 6)), 2);
}

static fov_node *token_attention_twice(fov_graph *g) {
    fov_node *qkv = fov_scale(g, grad_operand(g, "qkv", FOV_SHAPE(2, 66, 6)), 1.5);
    return fov_add(g, fov_attention(g, qkv, 1), fov_attention(g, qkv, 2));
}

/* ---- losses ---- */

static fov_node *token_nt_xent(fov_graph *g) {
    return fov_nt_xent(g, grad_operand(g, "z", FOV_SHAPE(8, 5)), 0.5);
}

static fov_node *token_nt_xent_unit(fov_graph *g) {
    return fov_nt_xent(g, fov_l2norm(g, grad_operand(g, "z", FOV_SHAPE(10, 4)), 1e-12), 0.1);
}

static fov_node *token_nt_xent_blocks(fov_graph *g) {
    return fov_nt_xent(g, fov_l2norm(g, grad_operand(g, "z", FOV_SHAPE(134, 3)), 1e-12), 0.2);
}

static fov_node *token_nt_xent_twice(fov_graph *g) {
    fov_node *z = fov_scale(g, grad_operand(g, "z", FOV_SHAPE(6, 3)), 0.5);
    return fov_add(g, fov_nt_xent(g, z, 0.5), fov_nt_xent(g, z, 1.0));
}

static fov_node *token_masked_mse_of(fov_graph *g, bool normalize, fov_shape shape) {
    fov_node *target = fov_input(g, "target", FOV_DTYPE_REAL, shape);
    fov_node *mask = fov_input(g, "mask", FOV_DTYPE_I32, FOV_SHAPE(shape.dim[0], shape.dim[1]));
    return fov_masked_mse(g, grad_operand(g, "prediction", shape), target, mask, normalize);
}

static fov_node *token_masked_mse(fov_graph *g) {
    return token_masked_mse_of(g, false, FOV_SHAPE(2, 3, 4));
}

static fov_node *token_masked_mse_normalized(fov_graph *g) {
    return token_masked_mse_of(g, true, FOV_SHAPE(3, 5, 12));
}

static fov_node *token_masked_mse_chunks(fov_graph *g) {
    return token_masked_mse_of(g, true, FOV_SHAPE(2, 37, 3));
}

static fov_node *token_masked_mse_twice(fov_graph *g) {
    fov_node *prediction = fov_scale(g, grad_operand(g, "prediction", FOV_SHAPE(2, 3, 4)), 2.0);
    fov_node *target = fov_input(g, "target", FOV_DTYPE_REAL, FOV_SHAPE(2, 3, 4));
    fov_node *mask = fov_input(g, "mask", FOV_DTYPE_I32, FOV_SHAPE(2, 3));
    return fov_add(g, fov_masked_mse(g, prediction, target, mask, false), fov_masked_mse(g, prediction, target, mask, true));
}

static const fov_grad_case cases_tokens[] = {
    {.op = "patchify", .what = "two images, 2 x 3 patches", .build = token_patchify},
    {.op = "patchify", .what = "one patch", .build = token_patchify_whole},
    {.op = "patchify", .what = "used twice", .build = token_patchify_twice},
    {.op = "add_position", .what = "all rows", .build = token_position},
    {.op = "add_position", .what = "from row 1, rows left over", .build = token_position_after_class},
    {.op = "add_position", .what = "embedding is a computed value", .build = token_position_of_value},
    {.op = "prepend_token", .what = "no position", .build = token_prepend},
    {.op = "prepend_token", .what = "position shared with add_position", .build = token_prepend_position},
    {.op = "prepend_token", .what = "operands are computed values", .build = token_prepend_values},
    {.op = "slice_tokens", .what = "first token", .build = token_slice_first},
    {.op = "slice_tokens", .what = "middle of a computed value", .build = token_slice_middle},
    {.op = "slice_tokens", .what = "overlapping slices", .build = token_slice_overlap},
    {.op = "gather_tokens", .what = "fewer tokens", .build = token_gather, .fill = token_fill_index},
    {.op = "gather_tokens", .what = "repeated indices", .build = token_gather_repeated, .fill = token_fill_index},
    {.op = "restore_tokens", .what = "kept and masked", .build = token_restore, .fill = token_fill_restore},
    {.op = "restore_tokens", .what = "operands are computed values", .build = token_restore_values, .fill = token_fill_restore},
    {.op = "restore_tokens", .what = "gradient of the token alone", .build = token_restore_token_only, .fill = token_fill_restore_only},
    {.op = "mean_tokens", .what = "all", .build = token_mean},
    {.op = "mean_tokens", .what = "without the class token, used twice", .build = token_mean_patches},
    {.op = "attention", .what = "1 head", .build = token_attention},
    {.op = "attention", .what = "3 heads", .build = token_attention_heads},
    {.op = "attention", .what = "3 heads, two blocks of queries", .build = token_attention_blocks},
    {.op = "attention", .what = "one token", .build = token_attention_one},
    {.op = "attention", .what = "used twice, two blocks of queries", .build = token_attention_twice},
    {.op = "nt_xent", .what = "rows of any length", .build = token_nt_xent},
    {.op = "nt_xent", .what = "unit rows, temperature 0.1", .build = token_nt_xent_unit},
    {.op = "nt_xent", .what = "three blocks of rows", .build = token_nt_xent_blocks},
    {.op = "nt_xent", .what = "used twice", .build = token_nt_xent_twice},
    {.op = "masked_mse", .what = "plain", .build = token_masked_mse, .fill = token_fill_mask},
    {.op = "masked_mse", .what = "normalised target", .build = token_masked_mse_normalized, .fill = token_fill_mask},
    {.op = "masked_mse", .what = "normalised target, three chunks", .build = token_masked_mse_chunks, .fill = token_fill_mask},
    {.op = "masked_mse", .what = "used twice", .build = token_masked_mse_twice, .fill = token_fill_mask},
};

#endif
