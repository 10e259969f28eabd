/* Gradients of every op against finite differences, in double, sign included; see gradcheck.h for what is asked of each case.
 *
 * ctest: label=short timeout=300 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "grad/cases_images.h"
#include "grad/cases_rows.h"
#include "grad/cases_tokens.h"
#include "grad/weighted_sum.h"
#include "graph/plan.h"

#define MAX_CASES 256
#define MAX_TENSOR_SAMPLES 60
#define MAX_INPUTS 8
#define LENGTH(array) (sizeof(array) / sizeof((array)[0]))

/* ---- one case, built once ---- */

typedef struct setup {
    const fov_grad_case *c;
    fov_pool *pool;
    fov_store *store;
    fov_graph *graph;
    fov_plan *plan;
    fov_node *loss;
    void *inputs[MAX_INPUTS];
    size_t input_count;
    fov_real *start; /* the store's values before any run */
} setup;

static void require(fov_status status) {
    if (status != FOV_OK) {
        fail_msg("%s: %s (%s)", fov_status_name(status), fov_last_error(), fov_last_trail());
    }
}

static void fill_default(const fov_node *node, void *data, fov_rng *rng) {
    const size_t count = fov_shape_count(&node->shape);
    for (size_t i = 0; i < count; i++) {
        if (node->dtype == FOV_DTYPE_REAL) {
            ((fov_real *)data)[i] = (fov_real)fov_rng_normal(rng);
        } else if (node->dtype == FOV_DTYPE_U8) {
            ((uint8_t *)data)[i] = (uint8_t)fov_rng_below(rng, 256);
        } else if (node->dtype == FOV_DTYPE_U16) {
            ((uint16_t *)data)[i] = (uint16_t)fov_rng_below(rng, 65536);
        } else {
            ((int32_t *)data)[i] = 0;
        }
    }
}

static void bind_inputs(setup *s) {
    fov_rng rng;
    fov_rng_init(&rng, 3, 0, 0, 0, FOV_RNG_TEST);
    for (size_t i = 0; i < fov_graph_size(s->graph); i++) {
        const fov_node *node = fov_graph_node(s->graph, i);
        if (node->input_name == NULL) {
            continue;
        }
        assert_true(s->input_count < MAX_INPUTS);
        void *data = fov_mem_array(FOV_MEM_BASE, fov_shape_count(&node->shape), sizeof(fov_real));
        assert_non_null(data);
        s->inputs[s->input_count++] = data;
        if (s->c->fill != NULL) {
            s->c->fill(node->input_name, data, &node->shape);
        } else {
            fill_default(node, data, &rng);
        }
        require(fov_plan_bind(s->plan, node->input_name, data));
    }
}

static void set_up(setup *s, const fov_grad_case *c, unsigned threads, fov_plan_options options) {
    *s = (setup){.c = c};
    require(fov_pool_new(&s->pool, threads));
    require(fov_store_new(&s->store));
    require(fov_graph_new(&s->graph, c->training));
    fov_graph_use_store(s->graph, s->store);
    fov_node *out = c->build(s->graph);
    s->loss = add_weighted_sum(s->graph, out);
    require(fov_graph_status(s->graph));
    require(fov_store_commit(s->store, true));
    fov_store_initialize(s->store, 11, NULL);
    const size_t total = fov_store_total(s->store);
    s->start = fov_mem_array(FOV_MEM_BASE, total, sizeof(fov_real));
    assert_non_null(s->start);
    memcpy(s->start, fov_store_values(s->store), total * sizeof(fov_real));
    require(fov_plan_new(&s->plan, s->graph, NULL, 0, s->loss, s->pool, &options));
    bind_inputs(s);
}

static void tear_down(setup *s) {
    fov_plan_free(s->plan);
    fov_graph_free(s->graph);
    fov_store_free(s->store);
    fov_pool_free(s->pool);
    for (size_t i = 0; i < s->input_count; i++) {
        fov_mem_free(s->inputs[i]);
    }
    fov_mem_free(s->start);
}

/* Runs from the starting values; running statistics that an earlier run moved are put back. */
static double run(setup *s, bool keep_grads, bool forward_only) {
    for (size_t i = 0; i < fov_store_size(s->store); i++) {
        const fov_param *param = fov_store_at(s->store, i);
        if (param->spec.role != FOV_PARAM_TRAINABLE) {
            memcpy(fov_param_values(s->store, param), s->start + param->offset, param->count * sizeof(fov_real));
        }
    }
    const fov_run request = {.seed = 5, .counter = s->c->counter, .keep_grads = keep_grads, .forward_only = forward_only};
    require(fov_plan_run(s->plan, &request));
    return (double)*fov_plan_value(s->plan, s->loss);
}

/* ---- checks ---- */

static double at_offset(setup *s, fov_real *value, fov_real start, double offset) {
    *value = start + (fov_real)offset;
    const double loss = run(s, false, true);
    *value = start;
    return loss;
}

/* Fourth-order central difference. */
static double slope_wide(setup *s, fov_real *value) {
    const double h = 1e-4;
    const fov_real x = *value;
    const double near = at_offset(s, value, x, h) - at_offset(s, value, x, -h);
    const double far = at_offset(s, value, x, 2 * h) - at_offset(s, value, x, -2 * h);
    return (8.0 * near - far) / (12.0 * h);
}

/* Second order with a small step, for a point that has a kink (ReLU, maximum) within the wide one's reach. */
static double slope_narrow(setup *s, fov_real *value) {
    const double h = 1e-6;
    const fov_real x = *value;
    return (at_offset(s, value, x, h) - at_offset(s, value, x, -h)) / (2 * h);
}

static void check_tensor(setup *s, const fov_param *param, const fov_real *grads) {
    const double tolerance = s->c->tolerance > 0.0 ? s->c->tolerance : FOV_GRAD_TOLERANCE;
    const fov_real *analytic = grads + param->offset;
    fov_real *values = fov_param_values(s->store, param);
    double largest = 0.0;
    for (size_t i = 0; i < param->count; i++) {
        assert_true(isfinite((double)analytic[i]));
        largest = fmax(largest, fabs((double)analytic[i]));
    }
    /* A gradient that vanishes by symmetry (a bias before a norm) is compared absolutely. */
    const double allowed = tolerance * fmax(largest, 1e-3);
    const size_t stride = param->count > MAX_TENSOR_SAMPLES ? param->count / MAX_TENSOR_SAMPLES | 1 : 1;
    for (size_t i = 0; i < param->count; i += stride) {
        double numeric = slope_wide(s, &values[i]);
        if (fabs(numeric - (double)analytic[i]) > allowed) {
            numeric = slope_narrow(s, &values[i]);
        }
        if (fabs(numeric - (double)analytic[i]) > allowed) {
            fail_msg("%s (%s): d loss / d %s[%zu] is %.12g, finite differences give %.12g (allowed difference %.3g)", s->c->op, s->c->what,
                     param->name, i, (double)analytic[i], numeric, allowed);
        }
    }
}

static void check_same(const fov_grad_case *c, const fov_real *grads, double loss, unsigned threads, bool no_reuse, const char *what) {
    setup other;
    set_up(&other, c, threads, (fov_plan_options){.no_reuse = no_reuse, .poison = true});
    const double other_loss = run(&other, false, false);
    if (memcmp(&loss, &other_loss, sizeof loss) != 0 ||
        memcmp(grads, fov_store_grads(other.store), fov_store_trainable(other.store) * sizeof(fov_real)) != 0) {
        fail_msg("%s (%s): bits differ with %s", c->op, c->what, what);
    }
    tear_down(&other);
}

static void check_accumulation(setup *s, const fov_real *grads) {
    (void)run(s, false, false);
    (void)run(s, true, false);
    const fov_real *twice = fov_store_grads(s->store);
    for (size_t i = 0; i < fov_store_trainable(s->store); i++) {
        const double once = (double)grads[i], sum = (double)twice[i];
        /* Not bit for bit: partial sums may meet the first run's gradient in another order. */
        if (fabs(sum - 2.0 * once) > 1e-9 * fmax(1.0, fabs(once))) {
            fail_msg("%s (%s): accumulating twice gives %.12g for a gradient of %.12g (element %zu)", s->c->op, s->c->what, sum, once, i);
        }
    }
}

static void check_case(void **state) {
    const fov_grad_case *c = *state;
    setup s;
    set_up(&s, c, 1, (fov_plan_options){0});
    const double loss = run(&s, false, false);
    assert_true(isfinite(loss));
    const size_t trainable = fov_store_trainable(s.store);
    fov_real *grads = fov_mem_array(FOV_MEM_BASE, trainable, sizeof(fov_real));
    assert_non_null(grads);
    memcpy(grads, fov_store_grads(s.store), trainable * sizeof(fov_real));
    check_accumulation(&s, grads);
    check_same(c, grads, loss, 1, false, "poisoned dead ranges");
    check_same(c, grads, loss, 1, true, "plan reuse off");
    check_same(c, grads, loss, 3, false, "3 threads");
    size_t checked = 0;
    for (size_t i = 0; i < fov_store_size(s.store); i++) {
        const fov_param *param = fov_store_at(s.store, i);
        if (param->spec.role == FOV_PARAM_TRAINABLE) {
            check_tensor(&s, param, grads);
            checked++;
        }
    }
    assert_true(checked > 0);
    fov_mem_free(grads);
    tear_down(&s);
}

/* ---- all cases, all ops ---- */

static fov_grad_case all[MAX_CASES];
static size_t all_count;

static void collect(const fov_grad_case *cases, size_t count) {
    for (size_t i = 0; i < count && all_count < MAX_CASES; i++) {
        all[all_count++] = cases[i];
    }
}

static void every_op_has_a_case(void **state) {
    (void)state;
    size_t missing = 0;
    for (size_t i = 0; fov_op_at(i) != NULL; i++) {
        const fov_op *op = fov_op_at(i);
        assert_ptr_equal(fov_op_named(op->name), op);
        bool found = op->backward == NULL;
        for (size_t j = 0; j < all_count && !found; j++) {
            found = strcmp(all[j].op, op->name) == 0;
        }
        if (!found) {
            print_error("op %s has a backward and no gradient case\n", op->name);
            missing++;
        }
    }
    assert_int_equal(missing, 0);
}

int main(void) {
    static struct CMUnitTest tests[MAX_CASES + 1];
    static char names[MAX_CASES][96];
    collect(cases_images, LENGTH(cases_images));
    collect(cases_rows, LENGTH(cases_rows));
    collect(cases_tokens, LENGTH(cases_tokens));
    tests[0] = (struct CMUnitTest)cmocka_unit_test(every_op_has_a_case);
    for (size_t i = 0; i < all_count; i++) {
        (void)snprintf(names[i], sizeof names[i], "%s: %s", all[i].op, all[i].what);
        tests[i + 1] = (struct CMUnitTest){.name = names[i], .test_func = check_case, .initial_state = &all[i]};
    }
    return _cmocka_run_group_tests("gradients of ops", tests, all_count + 1, NULL, NULL);
}
