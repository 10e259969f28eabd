/* The planner: packing against a brute-force lifetime check, equal bits with and without reuse, and what a run promises. */
#include "plan_case.h"

/* ---- random networks ---- */

/* A random graph of row ops over [rows, d] values: every new node takes earlier ones, so that fan-out, aliases, in-place
 * chains and dead ends all occur. */
static void random_network(network *net, uint64_t seed, size_t length) {
    enum { ROWS = 6, D = 8, MOST = 64 };
    fov_rng rng;
    fov_rng_init(&rng, seed, 0, 0, 0, FOV_RNG_TEST);
    require(fov_store_new(&net->store));
    require(fov_graph_new(&net->graph, true));
    fov_graph *g = net->graph;
    fov_graph_use_store(g, net->store);
    fov_node *made[MOST + 2] = {parameter(g, "x", FOV_SHAPE(ROWS, D)), fov_input(g, "input", FOV_DTYPE_REAL, FOV_SHAPE(ROWS, D))};
    size_t count = 2;
    while (count < length + 2 && count < MOST + 2) {
        /* Mostly recent nodes, as in a network; sometimes old ones, as skip connections. */
        const size_t reach = fov_rng_below(&rng, 4) == 0 ? count : (count < 3 ? count : 3);
        fov_node *a = made[count - 1 - fov_rng_below(&rng, reach)], *b = made[count - 1 - fov_rng_below(&rng, reach)];
        fov_node *next = NULL;
        fov_graph_push(g, "n%zu", count);
        if (count % 5 == 2) { /* blocks of five; what comes after the last one is outside */
            if (count > 2) {
                fov_graph_block_end(g);
            }
            fov_graph_block_begin(g);
        }
        switch (fov_rng_below(&rng, 8)) {
        case 0:
            next = fov_scale(g, a, 0.9);
            break;
        case 1:
            next = fov_l2norm(g, a, 1e-12);
            break;
        case 2:
            next = fov_layernorm(g, a, parameter(g, "weight", FOV_SHAPE(D)), parameter(g, "bias", FOV_SHAPE(D)), 1e-5);
            break;
        case 3:
            next = fov_linear(g, a, parameter(g, "weight", FOV_SHAPE(D, D)), parameter(g, "bias", FOV_SHAPE(D)), FOV_ACT_GELU);
            break;
        case 4:
            next = fov_linear(g, a, parameter(g, "weight", FOV_SHAPE(D, D)), NULL, FOV_ACT_RELU);
            break;
        case 5:
            next = fov_reshape(g, fov_scale(g, fov_reshape(g, a, FOV_SHAPE(D, ROWS)), 1.1), FOV_SHAPE(ROWS, D));
            break;
        case 6:
            next = fov_add(g, a, fov_stop(g, b));
            break;
        default:
            next = fov_add(g, a, b);
            break;
        }
        fov_graph_pop(g);
        made[count++] = next;
    }
    fov_graph_block_end(g);
    net->output = made[count / 2];
    net->loss = add_weighted_sum(g, fov_add(g, made[count - 1], made[0]));
    require(fov_graph_status(g));
    require(fov_store_commit(net->store, true));
    fov_store_initialize(net->store, seed, NULL);
}

static fov_real *new_input(void) {
    fov_real *input = fov_mem_array(FOV_MEM_BASE, 48, sizeof *input);
    assert_non_null(input);
    for (size_t i = 0; i < 48; i++) {
        input[i] = (fov_real)(0.1 * (double)(i % 7) - 0.2);
    }
    return input;
}

static void packing_never_overlaps_what_is_alive(void **state) {
    (void)state;
    fov_real *input = new_input();
    size_t again = 0;
    for (uint64_t seed = 0; seed < 60; seed++) {
        network net;
        random_network(&net, seed, 4 + seed % 50);
        fov_plan *packed = plan_of(&net, NULL, (fov_plan_options){0}, input);
        fov_plan *separate = plan_of(&net, NULL, (fov_plan_options){.no_reuse = true}, input);
        fov_plan *all_kept = plan_of(&net, NULL, (fov_plan_options){.recompute = FOV_RECOMPUTE_NONE}, input);
        fov_plan *blocks = plan_of(&net, NULL, (fov_plan_options){.recompute = FOV_RECOMPUTE_BLOCKS}, input);
        check_packing(packed);
        check_packing(separate);
        check_packing(all_kept);
        check_packing(blocks);
        assert_true(fov_plan_bytes(packed) <= fov_plan_bytes(separate));
        assert_true(fov_plan_bytes(packed) <= fov_plan_bytes(all_kept) + fov_plan_bytes(all_kept) / 50);
        again += blocks->step_count - all_kept->step_count;
        fov_plan_free(blocks);
        fov_plan_free(all_kept);
        fov_plan_free(packed);
        fov_plan_free(separate);
        network_free(&net);
    }
    assert_true(again > 60);
    fov_mem_free(input);
}

static void reuse_poison_and_threads_leave_the_bits(void **state) {
    (void)state;
    fov_real *input = new_input();
    fov_pool *pool = NULL;
    require(fov_pool_new(&pool, 3));
    for (uint64_t seed = 100; seed < 130; seed++) {
        network net;
        random_network(&net, seed, 4 + seed % 50);
        fov_real *grads = fov_mem_array(FOV_MEM_BASE, fov_store_trainable(net.store), sizeof *grads);
        assert_non_null(grads);
        fov_plan *packed = plan_of(&net, NULL, (fov_plan_options){.poison = true}, input);
        fov_plan *separate = plan_of(&net, NULL, (fov_plan_options){.no_reuse = true, .poison = true}, input);
        fov_plan *threaded = plan_of(&net, pool, (fov_plan_options){0}, input);
        fov_plan *all_kept = plan_of(&net, NULL, (fov_plan_options){.poison = true, .recompute = FOV_RECOMPUTE_NONE}, input);
        fov_plan *blocks = plan_of(&net, pool, (fov_plan_options){.poison = true, .recompute = FOV_RECOMPUTE_BLOCKS}, input);
        same_run(&net, packed, separate, grads);
        same_run(&net, packed, threaded, grads);
        same_run(&net, packed, all_kept, grads);
        same_run(&net, packed, blocks, grads);
        fov_plan_free(blocks);
        fov_plan_free(all_kept);
        fov_plan_free(packed);
        fov_plan_free(separate);
        fov_plan_free(threaded);
        fov_mem_free(grads);
        network_free(&net);
    }
    fov_pool_free(pool);
    fov_mem_free(input);
}

/* ---- a chain, by hand ---- */

static void chain_is_packed_tightly(void **state) {
    (void)state;
    network net = {0};
    require(fov_store_new(&net.store));
    require(fov_graph_new(&net.graph, false));
    fov_graph_use_store(net.graph, net.store);
    fov_node *x = fov_input(net.graph, "input", FOV_DTYPE_REAL, FOV_SHAPE(100, 64));
    for (unsigned i = 0; i < 20; i++) {
        x = i % 2 == 0 ? fov_l2norm(net.graph, x, 1e-12) : fov_scale(net.graph, x, 2.0);
    }
    fov_plan *packed = NULL, *separate = NULL;
    require(fov_plan_new(&packed, net.graph, &x, 1, NULL, NULL, NULL));
    require(fov_plan_new(&separate, net.graph, &x, 1, NULL, NULL, &(fov_plan_options){.no_reuse = true}));
    const size_t tensor = 6400 * sizeof(fov_real), stash = 448 * (sizeof(fov_real) / 4);
    /* Two tensors and a stash at any time: scale works in place, l2norm from one to the other. */
    assert_true(fov_plan_bytes(packed) <= 2 * tensor + 2 * stash);
    assert_true(fov_plan_bytes(separate) >= 20 * tensor);
    assert_int_equal(fov_plan_steps(packed), 20);
    fov_plan_free(packed);
    fov_plan_free(separate);
    network_free(&net);
}

static void nodes_that_nothing_depends_on_do_not_run(void **state) {
    (void)state;
    network net = {0};
    require(fov_store_new(&net.store));
    require(fov_graph_new(&net.graph, false));
    fov_graph *g = net.graph;
    fov_graph_use_store(g, net.store);
    fov_node *x = parameter(g, "x", FOV_SHAPE(4, 8)), *unused = fov_input(g, "unused", FOV_DTYPE_REAL, FOV_SHAPE(4, 8));
    fov_node *y = fov_scale(g, x, 2.0);
    fov_node *side = fov_scale(g, fov_add(g, y, unused), 3.0); /* neither output nor loss needs it */
    fov_node *other = fov_l2norm(g, y, 1e-12);                 /* an output: forward only */
    net.loss = add_weighted_sum(g, y);
    assert_non_null(side);
    require(fov_store_commit(net.store, true));
    fov_store_initialize(net.store, 1, NULL);
    fov_plan *plan = NULL;
    require(fov_plan_new(&plan, g, &other, 1, net.loss, NULL, &(fov_plan_options){.poison = true}));
    /* Forward: scale, l2norm, sum. Backward: sum, scale. */
    assert_int_equal(fov_plan_steps(plan), 5);
    require(fov_plan_run(plan, &(fov_run){0})); /* "unused" need not be bound */
    double squares = 0.0;
    for (size_t i = 0; i < 8; i++) {
        squares += (double)fov_plan_value(plan, other)[i] * (double)fov_plan_value(plan, other)[i];
    }
    assert_true(fabs(squares - 1.0) < 1e-5);
    fov_plan_free(plan);
    network_free(&net);
}

/* One parameter times two, summed: the gradient is twice the sum's weights. */
static void gradients_add_up_only_when_asked(void **state) {
    (void)state;
    network net = {0};
    require(fov_store_new(&net.store));
    require(fov_graph_new(&net.graph, false));
    fov_graph_use_store(net.graph, net.store);
    net.loss = add_weighted_sum(net.graph, fov_scale(net.graph, parameter(net.graph, "x", FOV_SHAPE(40)), 2.0));
    require(fov_store_commit(net.store, true));
    fov_store_initialize(net.store, 1, NULL);
    fov_plan *plan = NULL;
    require(fov_plan_new(&plan, net.graph, NULL, 0, net.loss, NULL, NULL));
    fov_rng rng;
    fov_rng_init(&rng, 99, 0, 0, 0, FOV_RNG_TEST);
    const fov_real *grads = fov_store_grads(net.store);
    const fov_run runs[] = {{0}, {0}, {.keep_grads = true}, {.keep_grads = true, .loss_scale = 0.25}, {.forward_only = true}};
    const double factors[] = {2.0, 2.0, 4.0, 4.5, 4.5};
    const double weight = next_weight(&rng);
    for (size_t i = 0; i < 5; i++) {
        require(fov_plan_run(plan, &runs[i]));
        assert_true(fabs((double)grads[0] - factors[i] * weight) < 1e-6);
    }
    fov_plan_free(plan);
    network_free(&net);
}

/* What stood in the gradients before is gone: a parameter that was asked for twice adds up its own two parts alone, and one that the loss
 * does not reach has no gradient. */
static void old_gradients_are_replaced(void **state) {
    (void)state;
    network net = {0};
    require(fov_store_new(&net.store));
    require(fov_graph_new(&net.graph, false));
    fov_graph *g = net.graph;
    fov_graph_use_store(g, net.store);
    fov_node *twice = fov_add(g, fov_scale(g, parameter(g, "x", FOV_SHAPE(40)), 2.0),
                              fov_scale(g, fov_reshape(g, parameter(g, "x", FOV_SHAPE(40)), FOV_SHAPE(40)), 3.0));
    fov_node *apart = parameter(g, "apart", FOV_SHAPE(20));
    net.loss = add_weighted_sum(g, twice);
    require(fov_store_commit(net.store, true));
    fov_store_initialize(net.store, 1, NULL);
    fov_plan *plan = NULL;
    require(fov_plan_new(&plan, g, NULL, 0, net.loss, NULL, NULL));
    fov_rng rng;
    fov_rng_init(&rng, 99, 0, 0, 0, FOV_RNG_TEST);
    const double weight = next_weight(&rng);
    const fov_real *x = fov_param_grads(net.store, fov_store_find(net.store, "x")), *rest = fov_param_grads(net.store, apart->param);
    for (size_t i = 0; i < fov_store_trainable(net.store); i++) {
        fov_store_grads(net.store)[i] = 7;
    }
    require(fov_plan_run(plan, &(fov_run){0}));
    assert_true(fabs((double)x[0] - 5.0 * weight) < 1e-5);
    assert_true(rest[0] == 0 && rest[19] == 0);
    require(fov_plan_run(plan, &(fov_run){.keep_grads = true}));
    assert_true(fabs((double)x[0] - 10.0 * weight) < 1e-5);
    fov_plan_free(plan);
    network_free(&net);
}

static void bad_requests_are_refused(void **state) {
    (void)state;
    network net = {0};
    require(fov_store_new(&net.store));
    require(fov_graph_new(&net.graph, false));
    fov_graph *g = net.graph;
    fov_graph_use_store(g, net.store);
    fov_node *x = fov_input(g, "x", FOV_DTYPE_REAL, FOV_SHAPE(8)), *y = fov_scale(g, x, 2.0), *w = parameter(g, "w", FOV_SHAPE(8));
    fov_node *frozen_loss = add_weighted_sum(g, y), *loss = add_weighted_sum(g, fov_add(g, w, y));
    fov_plan *plan = NULL;
    assert_int_equal(fov_plan_new(&plan, g, &y, 1, NULL, NULL, NULL), FOV_E_INVALID); /* store not laid out */
    assert_non_null(strstr(fov_last_error(), "\"w\""));
    require(fov_store_commit(net.store, true));
    assert_int_equal(fov_plan_new(&plan, g, NULL, 0, NULL, NULL, NULL), FOV_E_INVALID);
    assert_int_equal(fov_plan_new(&plan, g, NULL, 0, y, NULL, NULL), FOV_E_INVALID);
    assert_non_null(strstr(fov_last_error(), "[8]"));
    assert_int_equal(fov_plan_new(&plan, g, NULL, 0, frozen_loss, NULL, NULL), FOV_E_INVALID);
    assert_non_null(strstr(fov_last_error(), "trainable"));
    assert_null(plan);
    require(fov_plan_new(&plan, g, &y, 1, loss, NULL, NULL));
    assert_int_equal(fov_plan_run(plan, &(fov_run){0}), FOV_E_INVALID);
    assert_non_null(strstr(fov_last_error(), "\"x\""));
    fov_real *data = new_input();
    assert_int_equal(fov_plan_bind(plan, "z", data), FOV_E_NOTFOUND);
    assert_int_equal(fov_plan_bind(plan, "x", data + 1), FOV_E_INVALID);
    require(fov_plan_bind(plan, "x", data));
    require(fov_plan_run(plan, &(fov_run){0}));
    assert_true(fov_plan_value(plan, y)[1] == data[1] * 2);
    fov_plan_free(plan);
    fov_plan_free(NULL);
    fov_graph_push(g, "broken");
    assert_null(fov_reshape(g, y, FOV_SHAPE(9)));
    assert_int_equal(fov_plan_new(&plan, g, &y, 1, NULL, NULL, NULL), FOV_E_INVALID);
    assert_ptr_equal(strstr(fov_last_error(), "broken: reshape"), fov_last_error());
    fov_mem_free(data);
    network_free(&net);
}

/* ---- the description ---- */

static void description_lists_every_step(void **state) {
    (void)state;
    fov_real *input = new_input();
    network net;
    random_network(&net, 3, 20);
    fov_plan *plan = plan_of(&net, NULL, (fov_plan_options){0}, input);
    fov_text text;
    fov_text_init(&text);
    fov_plan_describe(plan, NULL, &text);
    assert_int_equal(text.status, FOV_OK);
    size_t lines = 0;
    for (const char *p = text.data; *p != '\0'; p++) {
        lines += *p == '\n';
    }
    assert_int_equal(lines, fov_plan_steps(plan) + 5);
    assert_non_null(strstr(text.data, "\npeak: "));
    assert_non_null(strstr(text.data, "\nrecompute auto: "));
    assert_non_null(strstr(text.data, "\n0 passes are run by the step before or after\n"));
    assert_non_null(strstr(text.data, "weighted_sum"));
    assert_non_null(strstr(text.data, "backward"));
    assert_null(strstr(text.data, " us"));
    fov_text_clear(&text);
    fov_plan_time(plan, true);
    require(fov_plan_run(plan, &(fov_run){0}));
    fov_text_init(&text);
    fov_plan_describe(plan, NULL, &text);
    assert_non_null(strstr(text.data, " us   GFLOP/s    GB/s\n"));
    const fov_cost cost = fov_plan_cost(plan);
    assert_true(cost.forward_flops > 0.0 && cost.backward_flops > cost.forward_flops);
    fov_text_clear(&text);
    fov_plan_free(plan);
    network_free(&net);
    fov_mem_free(input);
}

static void work_takes_as_long_as_its_slower_part(void **state) {
    (void)state;
    const fov_limits limits = {.flops = 1e9, .bytes = 1e8};
    assert_float_equal(fov_limit_seconds(&limits, 3e9, 1e8), 3.0, 1e-12); /* arithmetic: 3 s beside 1 s of memory */
    assert_float_equal(fov_limit_seconds(&limits, 1e9, 4e8), 4.0, 1e-12);
    assert_float_equal(fov_limit_seconds(&limits, 0.0, 0.0), 0.0, 1e-12);
}

static void every_allocation_may_fail(void **state) {
    (void)state;
    network net;
    size_t advised = 0;
    random_network(&net, 8, 12);
    for (uint64_t n = 1; n < 100; n++) {
        fov_plan *plan = NULL;
        fov_mem_fail_at(n, 0);
        const fov_status status = fov_plan_new(&plan, net.graph, &net.output, 1, net.loss, NULL, NULL);
        fov_mem_fail_at(0, 0);
        fov_plan_free(plan);
        if (status == FOV_OK) {
            assert_true(n > 2);
            assert_int_equal(advised, 1); /* where it is the block that is too large */
            network_free(&net);
            return;
        }
        assert_int_equal(status, FOV_E_NOMEM);
        advised += strstr(fov_last_error(), "lower --batch-size") != NULL;
    }
    fail_msg("the plan never came through");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(packing_never_overlaps_what_is_alive),
        cmocka_unit_test(reuse_poison_and_threads_leave_the_bits),
        cmocka_unit_test(chain_is_packed_tightly),
        cmocka_unit_test(nodes_that_nothing_depends_on_do_not_run),
        cmocka_unit_test(gradients_add_up_only_when_asked),
        cmocka_unit_test(old_gradients_are_replaced),
        cmocka_unit_test(bad_requests_are_refused),
        cmocka_unit_test(description_lists_every_step),
        cmocka_unit_test(work_takes_as_long_as_its_slower_part),
        cmocka_unit_test(every_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
