/* The parameter store: layout, lookup, initialisation. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/memory.h"
#include "graph/store.h"

static fov_store *new_store(void) {
    fov_store *store = NULL;
    assert_int_equal(fov_store_new(&store), FOV_OK);
    return store;
}

static fov_param *add(fov_store *store, const char *name, fov_shape shape, fov_param_spec spec) {
    fov_param *param = NULL;
    assert_int_equal(fov_store_add(store, name, shape, spec, &param), FOV_OK);
    return param;
}

static void shapes(void **state) {
    (void)state;
    const fov_shape a = FOV_SHAPE(2, 64, 64, 3), b = FOV_SHAPE(2, 64, 64), c = FOV_SHAPE(2, 64, 63), scalar = {.rank = 0};
    char text[128];
    assert_int_equal(fov_shape_count(&a), 2 * 64 * 64 * 3);
    assert_int_equal(fov_shape_count(&scalar), 1);
    assert_true(fov_shape_equal(&a, &a));
    assert_false(fov_shape_equal(&a, &b));
    assert_false(fov_shape_equal(&b, &c));
    assert_string_equal(fov_shape_text(&a, text, sizeof text), "[2, 64, 64, 3]");
    assert_string_equal(fov_shape_text(&scalar, text, sizeof text), "[]");
}

static void layout_puts_trainable_first(void **state) {
    (void)state;
    fov_store *store = new_store();
    fov_param *mean = add(store, "bn.running_mean", FOV_SHAPE(5), (fov_param_spec){.role = FOV_PARAM_BUFFER});
    fov_param *weight = add(store, "conv.weight", FOV_SHAPE(5, 3, 3, 2), (fov_param_spec){.role = FOV_PARAM_TRAINABLE});
    fov_param *counter = add(store, "bn.num_batches_tracked", FOV_SHAPE(1), (fov_param_spec){.role = FOV_PARAM_COUNTER});
    fov_param *position = add(store, "pos_embed", FOV_SHAPE(1, 3, 4), (fov_param_spec){.role = FOV_PARAM_FROZEN});
    fov_param *bias = add(store, "conv.bias", FOV_SHAPE(5), (fov_param_spec){.role = FOV_PARAM_TRAINABLE});
    assert_false(fov_store_committed(store));
    assert_int_equal(fov_store_commit(store, true), FOV_OK);
    assert_true(fov_store_committed(store));
    assert_int_equal(weight->offset, 0);
    assert_int_equal(bias->offset, 96); /* 90 rounded up */
    assert_int_equal(fov_store_trainable(store), 112);
    assert_int_equal(position->offset, 112);
    assert_int_equal(mean->offset, 128);
    assert_int_equal(counter->offset, 144);
    assert_int_equal(fov_store_total(store), 160);
    assert_int_equal(fov_store_parameters(store), 90 + 5 + 12);
    assert_int_equal(fov_store_size(store), 5);
    assert_ptr_equal(fov_store_at(store, 0), mean);
    assert_ptr_equal(fov_store_find(store, "pos_embed"), position);
    assert_null(fov_store_find(store, "pos_embe"));
    assert_ptr_equal(fov_param_values(store, bias), fov_store_values(store) + 96);
    assert_ptr_equal(fov_param_grads(store, bias), fov_store_grads(store) + 96);
    assert_null(fov_param_grads(store, position));
    assert_null(fov_param_grads(store, mean));
    for (size_t i = 0; i < fov_store_total(store); i++) {
        assert_true(fov_store_values(store)[i] == 0);
    }
    fov_store_free(store);
}

static void pointers_survive_growth(void **state) {
    (void)state;
    fov_store *store = new_store();
    fov_param *params[300];
    for (unsigned i = 0; i < 300; i++) {
        char name[32];
        (void)snprintf(name, sizeof name, "block.%u.weight", i);
        params[i] = add(store, name, FOV_SHAPE(i + 1), (fov_param_spec){.role = FOV_PARAM_TRAINABLE});
    }
    assert_int_equal(fov_store_commit(store, false), FOV_OK);
    assert_null(fov_store_grads(store));
    for (unsigned i = 0; i < 300; i++) {
        assert_ptr_equal(fov_store_find(store, params[i]->name), params[i]);
        assert_int_equal(params[i]->count, i + 1);
        assert_int_equal(params[i]->offset % 16, 0);
        assert_true(i == 0 || params[i]->offset >= params[i - 1]->offset + params[i - 1]->count);
        assert_null(fov_param_grads(store, params[i]));
    }
    fov_store_free(store);
}

static void decay_follows_rank_and_name(void **state) {
    (void)state;
    fov_store *store = new_store();
    const fov_param_spec spec = {.role = FOV_PARAM_TRAINABLE};
    assert_true(fov_param_decays(add(store, "fc.weight", FOV_SHAPE(3, 4), spec)));
    assert_false(fov_param_decays(add(store, "norm.weight", FOV_SHAPE(4), spec)));
    assert_false(fov_param_decays(add(store, "fc.bias", FOV_SHAPE(1, 4), spec)));
    assert_false(fov_param_decays(add(store, "bias", FOV_SHAPE(1, 4), spec)));
    assert_true(fov_param_decays(add(store, "unbias", FOV_SHAPE(1, 4), spec)));
    const fov_param_spec no_decay = {.role = FOV_PARAM_TRAINABLE, .no_decay = true};
    assert_false(fov_param_decays(add(store, "pos_embed", FOV_SHAPE(1, 5, 4), no_decay)));
    assert_false(fov_param_decays(add(store, "fixed", FOV_SHAPE(3, 4), (fov_param_spec){.role = FOV_PARAM_FROZEN})));
    fov_store_free(store);
}

static void fill_count_up(fov_real *values, const fov_shape *shape, double a) {
    for (size_t i = 0; i < fov_shape_count(shape); i++) {
        values[i] = (fov_real)(a + (double)i);
    }
}

static void moments(const fov_real *x, size_t n, double *mean, double *deviation, double *largest) {
    double sum = 0.0, squares = 0.0;
    *largest = 0.0;
    for (size_t i = 0; i < n; i++) {
        sum += (double)x[i];
        squares += (double)x[i] * (double)x[i];
        *largest = fmax(*largest, fabs((double)x[i]));
    }
    *mean = sum / (double)n;
    *deviation = sqrt(squares / (double)n - *mean * *mean);
}

static void initialisation_has_the_asked_distribution(void **state) {
    (void)state;
    fov_store *store = new_store();
    const fov_shape shape = FOV_SHAPE(100, 200);
    fov_param *normal = add(store, "normal", shape, (fov_param_spec){.init = FOV_INIT_NORMAL, .a = 0.02});
    fov_param *cut = add(store, "cut", shape, (fov_param_spec){.init = FOV_INIT_TRUNC_NORMAL, .a = 2.0});
    fov_param *uniform = add(store, "uniform", shape, (fov_param_spec){.init = FOV_INIT_UNIFORM, .a = 0.3});
    fov_param *one = add(store, "one", FOV_SHAPE(7), (fov_param_spec){.init = FOV_INIT_ONE});
    fov_param *function =
        add(store, "function", FOV_SHAPE(2, 3), (fov_param_spec){.init = FOV_INIT_FUNCTION, .a = 0.5, .fill = fill_count_up});
    assert_int_equal(fov_store_commit(store, false), FOV_OK);
    fov_store_initialize(store, 1, NULL);
    double mean, deviation, largest;
    moments(fov_param_values(store, normal), normal->count, &mean, &deviation, &largest);
    assert_true(fabs(mean) < 6e-4 && fabs(deviation - 0.02) < 5e-4 && largest > 0.06);
    moments(fov_param_values(store, cut), cut->count, &mean, &deviation, &largest);
    /* N(0, 2) cut at one standard deviation: deviation 2 sqrt(1 - 2 phi(1) / (2 Phi(1) - 1)) = 1.0794. */
    assert_true(fabs(mean) < 0.03 && fabs(deviation - 1.0794) < 0.02 && largest <= 2.0 && largest > 1.99);
    moments(fov_param_values(store, uniform), uniform->count, &mean, &deviation, &largest);
    assert_true(fabs(mean) < 6e-3 && fabs(deviation - 0.3 / sqrt(3.0)) < 3e-3 && largest <= 0.3 && largest > 0.299);
    for (size_t i = 0; i < 7; i++) {
        assert_true(fov_param_values(store, one)[i] == 1);
    }
    assert_true(fov_param_values(store, function)[5] == (fov_real)5.5);
    fov_store_free(store);
}

/* A parameter's numbers depend on seed and name, not on its neighbours or on threads. */
static void initialisation_depends_on_seed_and_name_alone(void **state) {
    (void)state;
    const fov_param_spec spec = {.init = FOV_INIT_NORMAL, .a = 1.0};
    fov_store *a = new_store(), *b = new_store();
    fov_param *in_a = add(a, "fc.weight", FOV_SHAPE(4, 9), spec);
    (void)add(b, "before", FOV_SHAPE(33), spec);
    fov_param *in_b = add(b, "fc.weight", FOV_SHAPE(4, 9), spec);
    fov_param *other = add(b, "fc2.weight", FOV_SHAPE(4, 9), spec);
    assert_int_equal(fov_store_commit(a, false), FOV_OK);
    assert_int_equal(fov_store_commit(b, false), FOV_OK);
    fov_store_initialize(a, 5, NULL);
    fov_pool *pool = NULL;
    assert_int_equal(fov_pool_new(&pool, 3), FOV_OK);
    fov_store_initialize(b, 5, pool);
    fov_pool_free(pool);
    const size_t bytes = 36 * sizeof(fov_real);
    assert_memory_equal(fov_param_values(a, in_a), fov_param_values(b, in_b), bytes);
    assert_memory_not_equal(fov_param_values(b, in_b), fov_param_values(b, other), bytes);
    fov_store_initialize(b, 6, NULL);
    assert_memory_not_equal(fov_param_values(a, in_a), fov_param_values(b, in_b), bytes);
    fov_store_free(a);
    fov_store_free(b);
}

static void sizes_that_overflow_are_refused(void **state) {
    (void)state;
    fov_store *store = new_store();
    fov_param *param = NULL;
    assert_int_equal(fov_store_add(store, "huge", FOV_SHAPE(SIZE_MAX / 2, 3), (fov_param_spec){0}, &param), FOV_E_LIMIT);
    assert_non_null(strstr(fov_last_error(), "huge"));
    (void)add(store, "big1", FOV_SHAPE(SIZE_MAX / 8), (fov_param_spec){0});
    for (unsigned i = 0; i < 9; i++) {
        char name[16];
        (void)snprintf(name, sizeof name, "more%u", i);
        (void)add(store, name, FOV_SHAPE(SIZE_MAX / 8), (fov_param_spec){0});
    }
    assert_int_equal(fov_store_commit(store, true), FOV_E_LIMIT);
    fov_store_free(store);
    fov_store_free(NULL);
}

static void every_allocation_may_fail(void **state) {
    (void)state;
    for (uint64_t n = 1; n < 100; n++) {
        fov_mem_fail_at(n, 0);
        fov_store *store = NULL;
        fov_param *param = NULL;
        fov_status status = fov_store_new(&store);
        if (status == FOV_OK) {
            status = fov_store_add(store, "fc.weight", FOV_SHAPE(3, 4), (fov_param_spec){0}, &param);
        }
        if (status == FOV_OK) {
            status = fov_store_commit(store, true);
        }
        fov_mem_fail_at(0, 0);
        fov_store_free(store);
        if (status == FOV_OK) {
            assert_true(n > 4);
            return;
        }
        assert_int_equal(status, FOV_E_NOMEM);
    }
    fail_msg("the store never came through");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(shapes),
        cmocka_unit_test(layout_puts_trainable_first),
        cmocka_unit_test(pointers_survive_growth),
        cmocka_unit_test(decay_follows_rank_and_name),
        cmocka_unit_test(initialisation_has_the_asked_distribution),
        cmocka_unit_test(initialisation_depends_on_seed_and_name_alone),
        cmocka_unit_test(sizes_that_overflow_are_refused),
        cmocka_unit_test(every_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
