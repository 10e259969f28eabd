/* Shapes and attributes that token operations and losses must refuse, each with a message that names what was needed and what came;
 * and costs, which must grow with the work. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <string.h>

#include "graph/graph.h"
#include "ops/ops.h"

static fov_node *real_of(fov_graph *g, const char *name, fov_shape shape) {
    return fov_input(g, name, FOV_DTYPE_REAL, shape);
}

static fov_node *int_of(fov_graph *g, const char *name, fov_shape shape) {
    return fov_input(g, name, FOV_DTYPE_I32, shape);
}

static fov_node *tokens(fov_graph *g) {
    return real_of(g, "tokens", FOV_SHAPE(2, 5, 8));
}

/* clang-format off */
static fov_node *patchify_rank(fov_graph *g) { return fov_patchify(g, tokens(g), 2); }
static fov_node *patchify_multiple(fov_graph *g) { return fov_patchify(g, real_of(g, "x", FOV_SHAPE(1, 8, 6, 3)), 4); }
static fov_node *patchify_zero(fov_graph *g) { return fov_patchify(g, real_of(g, "x", FOV_SHAPE(1, 8, 6, 3)), 0); }
static fov_node *patchify_bytes(fov_graph *g) { return fov_patchify(g, fov_input(g, "x", FOV_DTYPE_U8, FOV_SHAPE(1, 8, 8, 3)), 4); }
static fov_node *position_short(fov_graph *g) { return fov_add_position(g, tokens(g), real_of(g, "p", FOV_SHAPE(1, 5, 8)), 1); }
static fov_node *position_width(fov_graph *g) { return fov_add_position(g, tokens(g), real_of(g, "p", FOV_SHAPE(1, 5, 7)), 0); }
static fov_node *position_huge(fov_graph *g) { return fov_add_position(g, tokens(g), real_of(g, "p", FOV_SHAPE(1, 5, 8)), SIZE_MAX); }
static fov_node *prepend_width(fov_graph *g) { return fov_prepend_token(g, tokens(g), real_of(g, "t", FOV_SHAPE(1, 1, 9)), NULL); }
static fov_node *prepend_two(fov_graph *g) { return fov_prepend_token(g, tokens(g), real_of(g, "t", FOV_SHAPE(1, 2, 8)), NULL); }
static fov_node *prepend_position(fov_graph *g) { return fov_prepend_token(g, tokens(g), real_of(g, "t", FOV_SHAPE(1, 1, 8)), real_of(g, "p", FOV_SHAPE(2, 3, 8))); }
static fov_node *slice_past(fov_graph *g) { return fov_slice_tokens(g, tokens(g), 3, 3); }
static fov_node *slice_none(fov_graph *g) { return fov_slice_tokens(g, tokens(g), 3, 0); }
static fov_node *slice_huge(fov_graph *g) { return fov_slice_tokens(g, tokens(g), SIZE_MAX, 2); }
static fov_node *gather_real(fov_graph *g) { return fov_gather_tokens(g, tokens(g), real_of(g, "i", FOV_SHAPE(2, 3))); }
static fov_node *gather_batch(fov_graph *g) { return fov_gather_tokens(g, tokens(g), int_of(g, "i", FOV_SHAPE(3, 3))); }
static fov_node *restore_batch(fov_graph *g) { return fov_restore_tokens(g, tokens(g), real_of(g, "t", FOV_SHAPE(1, 1, 8)), int_of(g, "i", FOV_SHAPE(3, 7))); }
static fov_node *restore_token(fov_graph *g) { return fov_restore_tokens(g, tokens(g), real_of(g, "t", FOV_SHAPE(1, 1, 4)), int_of(g, "i", FOV_SHAPE(2, 7))); }
static fov_node *attention_heads(fov_graph *g) { return fov_attention(g, real_of(g, "x", FOV_SHAPE(2, 5, 24)), 3); }
static fov_node *attention_three(fov_graph *g) { return fov_attention(g, real_of(g, "x", FOV_SHAPE(2, 5, 25)), 1); }
static fov_node *attention_none(fov_graph *g) { return fov_attention(g, real_of(g, "x", FOV_SHAPE(2, 5, 24)), 0); }
static fov_node *mean_past(fov_graph *g) { return fov_mean_tokens(g, tokens(g), 5); }
static fov_node *nt_xent_odd(fov_graph *g) { return fov_nt_xent(g, real_of(g, "z", FOV_SHAPE(5, 8)), 0.5); }
static fov_node *nt_xent_cold(fov_graph *g) { return fov_nt_xent(g, real_of(g, "z", FOV_SHAPE(4, 8)), 0.0); }
static fov_node *nt_xent_nan(fov_graph *g) { return fov_nt_xent(g, real_of(g, "z", FOV_SHAPE(4, 8)), (double)NAN); }
static fov_node *nt_xent_rank(fov_graph *g) { return fov_nt_xent(g, tokens(g), 0.5); }
static fov_node *mse_target(fov_graph *g) { return fov_masked_mse(g, tokens(g), real_of(g, "t", FOV_SHAPE(2, 5, 9)), int_of(g, "m", FOV_SHAPE(2, 5)), false); }
static fov_node *mse_mask(fov_graph *g) { return fov_masked_mse(g, tokens(g), tokens(g), int_of(g, "m", FOV_SHAPE(2, 4)), false); }
static fov_node *mse_mask_type(fov_graph *g) { return fov_masked_mse(g, tokens(g), tokens(g), real_of(g, "m", FOV_SHAPE(2, 5)), false); }
static fov_node *mse_single(fov_graph *g) { return fov_masked_mse(g, real_of(g, "a", FOV_SHAPE(2, 5, 1)), real_of(g, "a", FOV_SHAPE(2, 5, 1)), int_of(g, "m", FOV_SHAPE(2, 5)), true); }

static const struct refusal {
    fov_node *(*build)(fov_graph *g);
    const char *says;
} refusals[] = {
    {patchify_rank, "images [n, h, w, c]"}, {patchify_multiple, "8 x 6"}, {patchify_zero, "patch size 0"}, {patchify_bytes, "uint8"},
    {position_short, "[1, 5, 8]"}, {position_width, "[1, 5, 7]"}, {position_huge, "add_position needs"},
    {prepend_width, "[1, 1, 9]"}, {prepend_two, "[1, 2, 8]"}, {prepend_position, "[2, 3, 8]"},
    {slice_past, "3 tokens from 3"}, {slice_none, "0 tokens"}, {slice_huge, "5 tokens"},
    {gather_real, "int32"}, {gather_batch, "[3, 3]"}, {restore_batch, "[3, 7]"}, {restore_token, "[1, 1, 4]"},
    {attention_heads, "3 heads, got [2, 5, 24]"}, {attention_three, "[2, 5, 25]"}, {attention_none, "0 heads"},
    {mean_past, "5 tokens"}, {nt_xent_odd, "even number of rows"}, {nt_xent_cold, "temperature above 0"}, {nt_xent_nan, "temperature above 0"},
    {nt_xent_rank, "features [2 n, d]"}, {mse_target, "[2, 5, 9]"}, {mse_mask, "[2, 4]"}, {mse_mask_type, "int32"}, {mse_single, "at least 2"},
};
/* clang-format on */

static void wrong_shapes_are_refused(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof refusals / sizeof refusals[0]; i++) {
        fov_graph *g = NULL;
        assert_int_equal(fov_graph_new(&g, true), FOV_OK);
        fov_graph_push(g, "here");
        if (refusals[i].build(g) != NULL) {
            fail_msg("case %zu (\"%s\") was accepted", i, refusals[i].says);
        }
        assert_int_equal(fov_graph_status(g), FOV_E_INVALID);
        if (strstr(fov_last_error(), refusals[i].says) == NULL || strstr(fov_last_error(), "here") == NULL) {
            fail_msg("case %zu should say \"%s\", says \"%s\"", i, refusals[i].says, fov_last_error());
        }
        /* "here: OP needs ...": the op is named once, by the graph. */
        const char *op = strstr(fov_last_error(), "here: ") + strlen("here: ");
        if (strncmp(strchr(op, ' '), " needs", strlen(" needs")) != 0) {
            fail_msg("case %zu does not name its op once: \"%s\"", i, fov_last_error());
        }
        fov_graph_free(g);
    }
}

static void overflow_is_refused(void **state) {
    (void)state;
    fov_graph *g = NULL;
    assert_int_equal(fov_graph_new(&g, true), FOV_OK);
    fov_node *x = real_of(g, "x", FOV_SHAPE((size_t)1 << 20, (size_t)1 << 20, 3));
    fov_node *index = int_of(g, "i", FOV_SHAPE((size_t)1 << 20, (size_t)1 << 43));
    assert_null(fov_gather_tokens(g, x, index));
    assert_int_equal(fov_graph_status(g), FOV_E_LIMIT);
    fov_graph_free(g);
}

static void costs_count_the_work(void **state) {
    (void)state;
    fov_graph *g = NULL;
    assert_int_equal(fov_graph_new(&g, true), FOV_OK);
    const fov_node *small = fov_attention(g, real_of(g, "a", FOV_SHAPE(2, 10, 24)), 2);
    const fov_node *large = fov_attention(g, real_of(g, "b", FOV_SHAPE(2, 20, 24)), 2);
    assert_true(small != NULL && large != NULL);
    const fov_cost a = small->op->cost(small);
    const fov_cost b = large->op->cost(large);
    /* 2 products of 2 t t d operations an image */
    assert_true(a.forward_flops >= 2.0 * 2.0 * 2.0 * 10.0 * 10.0 * 8.0);
    assert_true(fabs(b.forward_flops / a.forward_flops - 4.0) < 1e-9 && a.backward_flops > 1.5 * a.forward_flops);
    assert_true(a.forward_bytes == 4.0 * 2.0 * 10.0 * 8.0 * (double)sizeof(fov_real));
    static const char *const names[] = {"patchify",       "add_position", "prepend_token", "slice_tokens", "gather_tokens",
                                        "restore_tokens", "attention",    "mean_tokens",   "nt_xent",      "masked_mse"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        const fov_op *op = fov_op_named(names[i]);
        assert_true(op != NULL && op->cost != NULL && op->backward != NULL);
    }
    fov_graph_free(g);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(wrong_shapes_are_refused),
        cmocka_unit_test(overflow_is_refused),
        cmocka_unit_test(costs_count_the_work),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
