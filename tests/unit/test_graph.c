/* Building graphs: scopes, the first error and its place, sharing, freezing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "graph/graph_internal.h"
#include "ops/ops.h"

typedef struct fixture {
    fov_store *store;
    fov_graph *graph;
} fixture;

static int set_up(void **state) {
    static fixture f;
    assert_int_equal(fov_store_new(&f.store), FOV_OK);
    assert_int_equal(fov_graph_new(&f.graph, true), FOV_OK);
    fov_graph_use_store(f.graph, f.store);
    *state = &f;
    return 0;
}

static int tear_down(void **state) {
    fixture *f = *state;
    fov_graph_free(f->graph);
    fov_store_free(f->store);
    return 0;
}

static const fov_param_spec trained = {.role = FOV_PARAM_TRAINABLE, .init = FOV_INIT_NORMAL, .a = 1.0};

static fov_node *parameter(fov_graph *g, const char *name, fov_shape shape) {
    return fov_parameter(g, name, shape, trained);
}

static void scopes_name_parameters_and_nodes(void **state) {
    fixture *f = *state;
    fov_node *top = parameter(f->graph, "cls_token", FOV_SHAPE(1, 1, 4));
    fov_graph_push(f->graph, "layer%d", 1);
    fov_graph_push(f->graph, "%d", 0);
    fov_node *inner = parameter(f->graph, "conv1.weight", FOV_SHAPE(2, 4));
    fov_node *scaled = fov_scale(f->graph, inner, 2.0);
    fov_graph_pop(f->graph);
    fov_node *outer = fov_scale(f->graph, scaled, 2.0);
    fov_graph_pop(f->graph);
    assert_string_equal(top->param->name, "cls_token");
    assert_string_equal(inner->param->name, "layer1.0.conv1.weight");
    assert_string_equal(scaled->scope, "layer1.0");
    assert_string_equal(outer->scope, "layer1");
    assert_string_equal(top->scope, "");
    assert_int_equal(fov_graph_size(f->graph), 4);
    assert_ptr_equal(fov_graph_node(f->graph, 2), scaled);
    assert_int_equal(scaled->id, 2);
    assert_true(fov_graph_training(f->graph));
    assert_ptr_equal(fov_graph_store(f->graph), f->store);
    assert_int_equal(fov_graph_status(f->graph), FOV_OK);
}

static void first_error_is_kept_with_its_scope(void **state) {
    fixture *f = *state;
    fov_node *x = fov_input(f->graph, "x", FOV_DTYPE_REAL, FOV_SHAPE(2, 5, 192));
    fov_graph_push(f->graph, "blocks.3");
    fov_graph_push(f->graph, "attn.qkv");
    fov_node *y = fov_linear(f->graph, x, parameter(f->graph, "weight", FOV_SHAPE(8, 384)), NULL, FOV_ACT_NONE);
    assert_null(y);
    fov_graph_pop(f->graph);
    /* Whatever comes after is silent. */
    assert_null(fov_add(f->graph, y, x));
    assert_null(fov_reshape(f->graph, x, FOV_SHAPE(3)));
    assert_null(parameter(f->graph, "late", FOV_SHAPE(3)));
    assert_null(fov_input(f->graph, "late", FOV_DTYPE_REAL, FOV_SHAPE(3)));
    assert_null(fov_store_find(f->store, "blocks.3.late"));
    fov_graph_pop(f->graph);
    assert_int_equal(fov_graph_status(f->graph), FOV_E_INVALID);
    assert_string_equal(fov_last_error(), "blocks.3.attn.qkv: linear needs input [.., 384], got [2, 5, 192]");
}

static void missing_input_is_an_error(void **state) {
    fixture *f = *state;
    assert_null(fov_scale(f->graph, NULL, 1.0));
    assert_int_equal(fov_graph_status(f->graph), FOV_E_INVALID);
    assert_string_equal(fov_last_error(), "scale needs input 0");
}

static void models_can_fail_themselves(void **state) {
    fixture *f = *state;
    fov_graph_push(f->graph, "head");
    assert_null(fov_graph_fail(f->graph, FOV_E_UNSUPPORTED, "no %d layers", 9));
    assert_null(fov_graph_fail(f->graph, FOV_E_LIMIT, "second"));
    fov_graph_pop(f->graph);
    assert_int_equal(fov_graph_status(f->graph), FOV_E_UNSUPPORTED);
    assert_string_equal(fov_last_error(), "head: no 9 layers");
}

/* Each line: what is wrong, and words its message must hold. */
static fov_node *wrong_add(fov_graph *g) {
    return fov_add(g, parameter(g, "a", FOV_SHAPE(2, 3)), parameter(g, "b", FOV_SHAPE(3, 2)));
}
static fov_node *wrong_bias(fov_graph *g) {
    return fov_linear(g, parameter(g, "x", FOV_SHAPE(2, 3)), parameter(g, "w", FOV_SHAPE(4, 3)), parameter(g, "b", FOV_SHAPE(3)),
                      FOV_ACT_RELU);
}
static fov_node *wrong_weight(fov_graph *g) {
    return fov_linear(g, parameter(g, "x", FOV_SHAPE(2, 3)), parameter(g, "w", FOV_SHAPE(3)), NULL, FOV_ACT_NONE);
}
static fov_node *wrong_norm(fov_graph *g) {
    return fov_layernorm(g, parameter(g, "x", FOV_SHAPE(2, 3)), parameter(g, "w", FOV_SHAPE(4)), parameter(g, "b", FOV_SHAPE(3)), 1e-6);
}
static fov_node *wrong_reshape(fov_graph *g) {
    return fov_reshape(g, parameter(g, "x", FOV_SHAPE(2, 3)), FOV_SHAPE(7));
}
static fov_node *wrong_rank(fov_graph *g) {
    return fov_l2norm(g, parameter(g, "x", FOV_SHAPE(2, 3, 4)), 1e-12);
}
static fov_node *wrong_type(fov_graph *g) {
    return fov_scale(g, fov_input(g, "i", FOV_DTYPE_I32, FOV_SHAPE(2)), 1.0);
}
static fov_node *wrong_sharing(fov_graph *g) {
    (void)parameter(g, "w", FOV_SHAPE(2, 3));
    return parameter(g, "w", FOV_SHAPE(3, 2));
}
static fov_node *wrong_input(fov_graph *g) {
    (void)fov_input(g, "view", FOV_DTYPE_U8, FOV_SHAPE(2, 3));
    return fov_input(g, "view", FOV_DTYPE_REAL, FOV_SHAPE(2, 3));
}
static fov_node *wrong_size(fov_graph *g) {
    return fov_input(g, "view", FOV_DTYPE_REAL, FOV_SHAPE(SIZE_MAX / 4, 3));
}

static void errors_say_what_was_needed(void **state) {
    (void)state;
    static const struct {
        fov_node *(*build)(fov_graph *g);
        fov_status status;
        const char *words;
    } cases[] = {
        {wrong_add, FOV_E_INVALID, "add needs equal shapes, got [2, 3] and [3, 2]"},
        {wrong_bias, FOV_E_INVALID, "linear needs bias [4], got [3]"},
        {wrong_weight, FOV_E_INVALID, "linear needs weight [out, in], got [3]"},
        {wrong_norm, FOV_E_INVALID, "layernorm needs weight [3], got [4]"},
        {wrong_reshape, FOV_E_INVALID, "reshape needs as many elements as its input, got [7] for [2, 3]"},
        {wrong_rank, FOV_E_INVALID, "l2norm needs input [n, d], got [2, 3, 4]"},
        {wrong_type, FOV_E_INVALID, "scale needs real numbers in input 0"},
        {wrong_sharing, FOV_E_MISMATCH, "parameter \"s.w\" has shape [2, 3], but is used here with shape [3, 2]"},
        {wrong_input, FOV_E_MISMATCH, "input \"view\" is declared"},
        {wrong_size, FOV_E_LIMIT, "too large"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        fixture f;
        assert_int_equal(fov_store_new(&f.store), FOV_OK);
        assert_int_equal(fov_graph_new(&f.graph, false), FOV_OK);
        fov_graph_use_store(f.graph, f.store);
        fov_graph_push(f.graph, "s");
        assert_null(cases[i].build(f.graph));
        assert_int_equal(fov_graph_status(f.graph), cases[i].status);
        assert_ptr_equal(strstr(fov_last_error(), "s: "), fov_last_error());
        if (strstr(fov_last_error(), cases[i].words) == NULL) {
            fail_msg("\"%s\" does not hold \"%s\"", fov_last_error(), cases[i].words);
        }
        fov_graph_free(f.graph);
        fov_store_free(f.store);
    }
}

static void parameters_and_inputs_are_shared_by_name(void **state) {
    fixture *f = *state;
    fov_node *a = parameter(f->graph, "w", FOV_SHAPE(2, 3)), *b = parameter(f->graph, "w", FOV_SHAPE(2, 3));
    assert_ptr_equal(a->param, b->param);
    assert_int_equal(fov_store_size(f->store), 1);
    fov_node *x = fov_input(f->graph, "x", FOV_DTYPE_I32, FOV_SHAPE(4));
    assert_ptr_equal(fov_input(f->graph, "x", FOV_DTYPE_I32, FOV_SHAPE(4)), x);
    /* Another store has its own parameter of that name. */
    fov_store *other = NULL;
    assert_int_equal(fov_store_new(&other), FOV_OK);
    fov_graph_use_store(f->graph, other);
    fov_node *c = parameter(f->graph, "w", FOV_SHAPE(2, 3));
    assert_ptr_not_equal(c->param, a->param);
    assert_ptr_equal(fov_node_store(c), other);
    assert_ptr_equal(fov_node_store(a), f->store);
    fov_store_free(other);
}

static void laid_out_store_takes_no_more(void **state) {
    fixture *f = *state;
    (void)parameter(f->graph, "w", FOV_SHAPE(2, 3));
    assert_int_equal(fov_store_commit(f->store, true), FOV_OK);
    assert_non_null(parameter(f->graph, "w", FOV_SHAPE(2, 3)));
    assert_null(parameter(f->graph, "v", FOV_SHAPE(2, 3)));
    assert_int_equal(fov_graph_status(f->graph), FOV_E_NOTFOUND);
    assert_non_null(strstr(fov_last_error(), "\"v\""));
}

static void gradients_stop_where_they_should(void **state) {
    fixture *f = *state;
    fov_graph *g = f->graph;
    fov_node *w = parameter(g, "w", FOV_SHAPE(2, 3));
    fov_node *x = fov_input(g, "x", FOV_DTYPE_REAL, FOV_SHAPE(2, 3));
    assert_true(w->needs_grad);
    assert_false(x->needs_grad);
    assert_false(fov_scale(g, x, 2.0)->needs_grad);
    assert_true(fov_add(g, x, w)->needs_grad);
    assert_false(fov_stop(g, w)->needs_grad);
    assert_true(fov_reshape(g, w, FOV_SHAPE(6))->needs_grad);
    assert_false(fov_parameter(g, "fixed", FOV_SHAPE(2), (fov_param_spec){.role = FOV_PARAM_FROZEN})->needs_grad);
    fov_graph_freeze(g, true);
    assert_false(parameter(g, "w", FOV_SHAPE(2, 3))->needs_grad);
    assert_false(fov_scale(g, w, 2.0)->needs_grad);
    fov_graph_freeze(g, false);
    assert_true(fov_scale(g, w, 2.0)->needs_grad);
}

/* Out of memory anywhere is an error of the graph, never a crash. */
static void every_allocation_may_fail(void **state) {
    (void)state;
    for (uint64_t n = 1; n < 200; n++) {
        fov_mem_fail_at(n, 1);
        fov_store *store = NULL;
        fov_graph *graph = NULL;
        fov_status status = fov_store_new(&store);
        if (status == FOV_OK) {
            status = fov_graph_new(&graph, true);
        }
        if (status == FOV_OK) {
            fov_graph_use_store(graph, store);
            fov_graph_push(graph, "blocks.%d", 0);
            fov_node *x = parameter(graph, "x", FOV_SHAPE(4, 3));
            (void)fov_add(graph, fov_scale(graph, x, 2.0), fov_input(graph, "y", FOV_DTYPE_REAL, FOV_SHAPE(4, 3)));
            fov_graph_pop(graph);
            status = fov_graph_status(graph);
        }
        fov_mem_fail_at(0, 0);
        fov_graph_free(graph);
        fov_store_free(store);
        if (status == FOV_OK) {
            assert_true(n > 4);
            return;
        }
        assert_int_equal(status, FOV_E_NOMEM);
    }
    fail_msg("the graph never came through");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(scopes_name_parameters_and_nodes, set_up, tear_down),
        cmocka_unit_test_setup_teardown(first_error_is_kept_with_its_scope, set_up, tear_down),
        cmocka_unit_test_setup_teardown(missing_input_is_an_error, set_up, tear_down),
        cmocka_unit_test_setup_teardown(models_can_fail_themselves, set_up, tear_down),
        cmocka_unit_test(errors_say_what_was_needed),
        cmocka_unit_test_setup_teardown(parameters_and_inputs_are_shared_by_name, set_up, tear_down),
        cmocka_unit_test_setup_teardown(laid_out_store_takes_no_more, set_up, tear_down),
        cmocka_unit_test_setup_teardown(gradients_stop_where_they_should, set_up, tear_down),
        cmocka_unit_test(every_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
