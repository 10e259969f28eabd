/* The planner: packing against a brute-force lifetime check, equal bits with and without reuse, and what a run promises. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <string.h>

#include "grad/weighted_sum.h"
#include "graph/plan_internal.h"
#include "kernels/gemm.h"
#include "ops/ops.h"

static void require(fov_status status) {
    if (status != FOV_OK) {
        fail_msg("%s: %s (%s)", fov_status_name(status), fov_last_error(), fov_last_trail());
    }
}

static fov_node *parameter(fov_graph *g, const char *name, fov_shape shape) {
    return fov_parameter(g, name, shape, (fov_param_spec){.init = FOV_INIT_NORMAL, .a = 0.5});
}

/* ---- a network to plan: a graph, its store and two plans ---- */

typedef struct network {
    fov_store *store;
    fov_graph *graph;
    fov_node *loss, *output;
} network;

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

static void network_free(network *net) {
    fov_graph_free(net->graph);
    fov_store_free(net->store);
}

static fov_plan *plan_of(const network *net, fov_pool *pool, fov_plan_options options, const void *input) {
    fov_plan *plan = NULL;
    require(fov_plan_new(&plan, net->graph, &net->output, 1, net->loss, pool, &options));
    require(fov_plan_bind(plan, "input", input));
    return plan;
}

static fov_real *new_input(void) {
    fov_real *input = fov_mem_array(FOV_MEM_BASE, 48, sizeof *input);
    assert_non_null(input);
    for (size_t i = 0; i < 48; i++) {
        input[i] = (fov_real)(0.1 * (double)(i % 7) - 0.2);
    }
    return input;
}

/* ---- lifetimes by brute force ---- */

typedef struct touches {
    size_t first, last;
} touches;

static void touch(touches *seen, size_t piece, size_t step) {
    if (piece == FOV_NO_PIECE) {
        return;
    }
    seen[piece].first = step < seen[piece].first ? step : seen[piece].first;
    seen[piece].last = step > seen[piece].last ? step : seen[piece].last;
}

/* Every piece that a step may read or write, by the op's contract alone; `s` is when: another step may run a pass of it. */
static void touch_step(const fov_plan *plan, touches *seen, const fov_plan_step *step, size_t s) {
    const fov_node *node = step->node;
    touch(seen, step->work, s);
    touch(seen, step->worker_work, s);
    touch(seen, step->grad_work, s);
    const fov_plan_node *info = &plan->nodes[node->id];
    const bool late = step->backward || step->again != FOV_DROP_NOT;
    touch(seen, late && info->stash_again != FOV_NO_PIECE ? info->stash_again : info->stash, s);
    if (!step->backward || (node->op->reads & FOV_READS_OUT) != 0) {
        touch(seen, late && info->value_again != FOV_NO_PIECE ? info->value_again : info->value, s);
    }
    if (step->backward) {
        touch(seen, plan->nodes[node->id].grad, s);
    }
    for (unsigned i = 0; i < node->input_count; i++) {
        if (node->input[i] == NULL) {
            continue;
        }
        const fov_plan_node *root = &plan->nodes[plan->nodes[node->input[i]->id].root];
        const uint32_t reads = step->backward ? node->op->reads : step->again == FOV_DROP_AGAIN ? node->op->again_reads : ~(uint32_t)0;
        if ((reads & FOV_READS_IN(i)) != 0) {
            touch(seen, late && root->value_again != FOV_NO_PIECE ? root->value_again : root->value, s);
        }
        if (step->backward && plan->nodes[node->input[i]->id].wants) {
            touch(seen, root->grad, s);
        }
    }
}

static void check_packing(const fov_plan *plan) {
    touches *seen = fov_mem_array(FOV_MEM_BASE, plan->piece_count + 1, sizeof *seen);
    assert_non_null(seen);
    for (size_t i = 0; i < plan->piece_count; i++) {
        seen[i] = (touches){SIZE_MAX, 0};
    }
    for (size_t s = 0; s < plan->step_count; s++) {
        touch_step(plan, seen, &plan->steps[s], s);
        for (size_t t = s; plan->steps[t].left_to != FOV_NO_STEP;) {
            t = plan->steps[t].left_to;
            touch_step(plan, seen, &plan->steps[s], t);
        }
        if (s + 1 < plan->step_count && plan->steps[s + 1].first_done) {
            touch_step(plan, seen, &plan->steps[s + 1], s);
        }
    }
    for (size_t id = 0; id < plan->node_count; id++) {
        if (plan->nodes[id].kept) {
            touch(seen, plan->nodes[plan->nodes[id].root].value, SIZE_MAX);
        }
    }
    if (plan->loss != NULL) {
        touch(seen, plan->nodes[plan->nodes[plan->loss->id].root].grad, plan->forward_count);
    }
    for (size_t i = 0; i < plan->piece_count; i++) {
        const fov_piece *a = &plan->pieces[i];
        assert_true(seen[i].first <= seen[i].last);
        assert_int_equal(a->offset % FOV_ALIGN, 0);
        assert_true(a->offset + a->bytes <= plan->block_bytes);
        for (size_t j = 0; j < i; j++) {
            const fov_piece *b = &plan->pieces[j];
            const bool alive_together = seen[i].first <= seen[j].last && seen[j].first <= seen[i].last;
            const bool overlap = a->offset < b->offset + b->bytes && b->offset < a->offset + a->bytes;
            if (alive_together && overlap) {
                fail_msg("pieces %zu (node %u) and %zu (node %u) are alive together and overlap", i, a->node, j, b->node);
            }
        }
    }
    fov_mem_free(seen);
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

static void same_run(const network *net, fov_plan *a, fov_plan *b, fov_real *grads) {
    const size_t bytes = fov_store_trainable(net->store) * sizeof(fov_real);
    const size_t output_bytes = fov_shape_count(&net->output->shape) * sizeof(fov_real);
    const fov_run run = {.loss_scale = 0.5};
    require(fov_plan_run(a, &run));
    memcpy(grads, fov_store_grads(net->store), bytes);
    require(fov_plan_run(b, &run));
    assert_true(isfinite((double)*fov_plan_value(a, net->loss)));
    assert_memory_equal(grads, fov_store_grads(net->store), bytes);
    assert_memory_equal(fov_plan_value(a, net->loss), fov_plan_value(b, net->loss), sizeof(fov_real));
    assert_memory_equal(fov_plan_value(a, net->output), fov_plan_value(b, net->output), output_bytes);
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

/* ---- products and batch-norms, which run passes of each other ---- */

static const fov_shape joined_shape = {.rank = 4, .dim = {8, 9, 9, 16}}; /* 648 rows: more than two chunks */

enum { RESIDUAL_SIDE = 18 }; /* so that there are more numbers than scratch takes */

/* relu(norm(x W) + residual), or without relu */
static fov_node *any_layer(fov_graph *g, const char *name, fov_node *x, size_t out, size_t size, size_t stride, fov_node *residual,
                           bool relu) {
    const fov_param_spec one = {.init = FOV_INIT_ONE}, moving = {.role = FOV_PARAM_BUFFER};
    fov_graph_push(g, "%s", name);
    x = fov_conv2d(g, x, parameter(g, "conv", FOV_SHAPE(out, size, size, x->shape.dim[3])), NULL, stride, size / 2);
    const fov_batchnorm_args norm = {.gamma = fov_parameter(g, "weight", FOV_SHAPE(out), one),
                                     .beta = parameter(g, "bias", FOV_SHAPE(out)),
                                     .running_mean = fov_parameter(g, "mean", FOV_SHAPE(out), moving),
                                     .running_var = fov_parameter(g, "var", FOV_SHAPE(out), moving),
                                     .residual = residual,
                                     .eps = 1e-5,
                                     .momentum = 0.1,
                                     .relu = relu};
    x = fov_batchnorm(g, x, &norm);
    fov_graph_pop(g);
    return x;
}

static fov_node *joined_layer(fov_graph *g, const char *name, fov_node *x, size_t out, size_t stride, fov_node *residual) {
    return any_layer(g, name, x, out, 1, stride, residual, true);
}

static void finish_network(network *net) {
    net->loss = add_weighted_sum(net->graph, net->output);
    require(fov_graph_status(net->graph));
    require(fov_store_commit(net->store, true));
    fov_store_initialize(net->store, 5, NULL);
}

/* Residual blocks; the first one has a layer of its own on the short way. `wide`: channels of the sums. */
static void residual_network(network *net, size_t side, size_t wide) {
    require(fov_store_new(&net->store));
    require(fov_graph_new(&net->graph, true));
    fov_graph *g = net->graph;
    fov_graph_use_store(g, net->store);
    fov_node *x = joined_layer(g, "stem", fov_input(g, "input", FOV_DTYPE_REAL, FOV_SHAPE(8, side, side, 16)), 64, 1, NULL);
    for (unsigned b = 0; b < 3; b++) {
        fov_graph_push(g, "block%u", b);
        fov_graph_block_begin(g);
        fov_node *identity = b == 0 ? any_layer(g, "short", x, wide, 1, 1, NULL, false) : x;
        fov_node *y = joined_layer(g, "one", x, 64, 1, NULL);
        y = any_layer(g, "two", y, 64, 3, 1, NULL, true); /* runs no passes, so that not everything hangs together */
        x = joined_layer(g, "three", y, wide, 1, identity);
        fov_graph_block_end(g);
        fov_graph_pop(g);
    }
    net->output = joined_layer(g, "last", x, 8, 2, NULL);
    finish_network(net);
}

/* Sums of sums: each norm but the last is first read by the next one, so that passes are left from step to step to the product in the end,
 * with `wide` channels. `crossed`: a product reads them too, between their first reader and the step that this is left to. */
static void chain_network(network *net, size_t side, size_t wide, bool crossed) {
    fov_node *earlier = NULL;
    require(fov_store_new(&net->store));
    require(fov_graph_new(&net->graph, true));
    fov_graph *g = net->graph;
    fov_graph_use_store(g, net->store);
    fov_node *x = joined_layer(g, "stem", fov_input(g, "input", FOV_DTYPE_REAL, FOV_SHAPE(8, side, side, 16)), 64, 1, NULL), *sum = NULL;
    static const char *const names[] = {"one", "two", "three", "four"};
    fov_graph_block_begin(g);
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        fov_node *next = any_layer(g, names[i], crossed && i >= 2 ? earlier : x, wide, 1, 1, sum, false);
        earlier = sum;
        sum = next;
    }
    fov_graph_block_end(g);
    net->output = joined_layer(g, "last", sum, 8, 1, NULL);
    finish_network(net);
}

/* `both`: channels with which 1 x 1 convolutions make both gradients in one pass. */
static void joined_network(network *net, bool both) {
    const size_t width = both ? 64 : 24, middle = both ? 96 : 40;
    require(fov_store_new(&net->store));
    require(fov_graph_new(&net->graph, true));
    fov_graph *g = net->graph;
    fov_graph_use_store(g, net->store);
    fov_node *x = fov_input(g, "input", FOV_DTYPE_REAL, joined_shape);
    fov_graph_block_begin(g);
    fov_node *a = joined_layer(g, "a", x, width, 1, NULL);
    fov_node *b = joined_layer(g, "b", a, middle, 1, NULL);
    fov_node *c = joined_layer(g, "c", b, width, 1, a);
    fov_graph_block_end(g);
    net->output = joined_layer(g, "d", c, 8, 2, NULL);
    finish_network(net);
}

/* A convolution whose rows are complete only when its bias is added, and a norm of them. */
static void biased_network(network *net) {
    const fov_param_spec one = {.init = FOV_INIT_ONE}, moving = {.role = FOV_PARAM_BUFFER};
    require(fov_store_new(&net->store));
    require(fov_graph_new(&net->graph, true));
    fov_graph *g = net->graph;
    fov_graph_use_store(g, net->store);
    fov_node *x = joined_layer(g, "a", fov_input(g, "input", FOV_DTYPE_REAL, joined_shape), 64, 1, NULL);
    x = fov_conv2d(g, x, parameter(g, "conv", FOV_SHAPE(64, 1, 1, 64)), fov_parameter(g, "conv_bias", FOV_SHAPE(64), one), 1, 0);
    const fov_batchnorm_args norm = {.gamma = fov_parameter(g, "weight", FOV_SHAPE(64), one),
                                     .beta = parameter(g, "bias", FOV_SHAPE(64)),
                                     .running_mean = fov_parameter(g, "mean", FOV_SHAPE(64), moving),
                                     .running_var = fov_parameter(g, "var", FOV_SHAPE(64), moving),
                                     .eps = 1e-5,
                                     .momentum = 0.1};
    net->output = joined_layer(g, "b", fov_batchnorm(g, x, &norm), 8, 1, NULL);
    finish_network(net);
}

static size_t passes_of_others(const fov_plan *plan) {
    size_t count = 0;
    for (size_t s = 0; s < plan->step_count; s++) {
        count += (plan->steps[s].first_done ? 1U : 0U) + (plan->steps[s].left_to != FOV_NO_STEP ? 1U : 0U);
    }
    return count;
}

/* Passes that are left to a step further on: within forward, within rebuilding, to make an operand again. */
typedef struct far_passes {
    size_t forward, again, rebuilt;
} far_passes;

static void count_far_passes(const fov_plan *plan, far_passes *far) {
    for (size_t s = 0; s < plan->step_count; s++) {
        const fov_plan_step *step = &plan->steps[s];
        if (step->left_to != FOV_NO_STEP && plan->steps[step->left_to].node->op->row_passes != NULL) {
            *(step->again == FOV_DROP_NOT ? &far->forward : &far->again) += 1;
        }
        far->rebuilt += step->rebuilt != FOV_NO_STEP ? 1 : 0;
    }
}

/* expected: how many passes neighbours run, or 0 for any number. */
static far_passes passes_leave_the_bits(network net, size_t expected) {
    far_passes far = {0};
    fov_pool *pool = NULL;
    const size_t count = (size_t)8 * RESIDUAL_SIDE * RESIDUAL_SIDE * 16;
    require(fov_pool_new(&pool, 3));
    fov_real *input = fov_mem_array(FOV_MEM_BASE, count, sizeof *input);
    fov_real *grads = fov_mem_array(FOV_MEM_BASE, fov_store_trainable(net.store), sizeof *grads);
    assert_true(input != NULL && grads != NULL);
    fov_rng rng;
    fov_rng_init(&rng, 3, 0, 0, 0, FOV_RNG_TEST);
    for (size_t i = 0; i < count; i++) {
        input[i] = (fov_real)fov_rng_range(&rng, -1.0, 2.0);
    }
    fov_plan *apart = plan_of(&net, NULL, (fov_plan_options){.no_reuse = true, .poison = true}, input);
    assert_int_equal(passes_of_others(apart), 0);
    for (unsigned way = 0; way < 6; way++) {
        const fov_plan_options options = {.poison = true, .recompute = (fov_recompute)(way / 2)};
        fov_plan *joined = plan_of(&net, way % 2 == 0 ? NULL : pool, options, input);
        assert_true(expected == 0 || !fov_product_bits_free() || passes_of_others(joined) == expected);
        count_far_passes(joined, &far);
        check_packing(joined);
        same_run(&net, joined, apart, grads);
        fov_plan_free(joined);
    }
    fov_plan_free(apart);
    fov_pool_free(pool);
    fov_mem_free(input);
    fov_mem_free(grads);
    network_free(&net);
    return far;
}

/* Forward: sums of all four, results of a and b; backward: sums of a and b, results of b and c. */
static void passes_run_by_neighbours_leave_the_bits(void **state) {
    (void)state;
    for (unsigned both = 0; both < 2; both++) {
        network net = {0};
        joined_network(&net, both == 1);
        (void)passes_leave_the_bits(net, 10);
    }
    network net = {0};
    biased_network(&net);
    (void)passes_leave_the_bits(net, 0);
}

static void passes_run_further_on_leave_the_bits(void **state) {
    (void)state;
    network net = {0};
    residual_network(&net, RESIDUAL_SIDE, 96);
    const far_passes far = passes_leave_the_bits(net, 0);
    assert_true(far.forward > 0);
    /* Where products run no passes, rebuilding does not make this network smaller, so that nothing is rebuilt. */
    assert_int_equal(far.again > 0, fov_product_bits_free());
    assert_int_equal(far.rebuilt > 0, fov_product_bits_free());
    residual_network(&net, 2, 8256); /* rows that do not fit a slab */
    assert_true(passes_leave_the_bits(net, 0).forward > 0);
}

/* Steps that a pass of the step is carried on by, one after the other. */
static size_t longest_chain(const fov_plan *plan) {
    size_t most = 0;
    for (size_t s = 0; s < plan->step_count; s++) {
        size_t length = 0;
        for (size_t t = s; plan->steps[t].left_to != FOV_NO_STEP; t = plan->steps[t].left_to) {
            length++;
        }
        most = length > most ? length : most;
    }
    return most;
}

/* Without backward nothing of a step is kept for longer than its own passes need it. Returns the longest chain. */
static size_t forward_leaves_the_bits(const network *net, const fov_real *input) {
    const size_t bytes = fov_shape_count(&net->output->shape) * sizeof(fov_real);
    const network forward = {.graph = net->graph, .store = net->store, .output = net->output};
    fov_plan *joined = plan_of(&forward, NULL, (fov_plan_options){.poison = true}, input);
    fov_plan *apart = plan_of(&forward, NULL, (fov_plan_options){.poison = true, .no_reuse = true}, input);
    const size_t chain = longest_chain(joined);
    check_packing(joined);
    require(fov_plan_run(joined, &(fov_run){.forward_only = true}));
    require(fov_plan_run(apart, &(fov_run){.forward_only = true}));
    assert_memory_equal(fov_plan_value(joined, net->output), fov_plan_value(apart, net->output), bytes);
    fov_plan_free(joined);
    fov_plan_free(apart);
    return chain;
}

static void passes_left_from_step_to_step_leave_the_bits(void **state) {
    (void)state;
    static const size_t wide[] = {96, 8256}; /* the latter are rows that do not fit a slab, and so pass through memory */
    for (size_t i = 0; i < 2; i++) {
        network net = {0};
        const size_t side = i == 0 ? RESIDUAL_SIDE : 2, count = 8 * side * side * 16;
        fov_real *input = fov_mem_array(FOV_MEM_BASE, count, sizeof *input);
        assert_non_null(input);
        for (size_t k = 0; k < count; k++) {
            input[k] = (fov_real)(0.01 * (double)(k % 177) - 0.8);
        }
        chain_network(&net, side, wide[i], false);
        assert_true(forward_leaves_the_bits(&net, input) >= 3);
        assert_true(passes_leave_the_bits(net, 0).forward > 0);
        chain_network(&net, side, wide[i], true);
        assert_int_equal(forward_leaves_the_bits(&net, input), fov_product_bits_free() ? 2 : 1); /* the last two, which no product reads */
        (void)passes_leave_the_bits(net, 0);
        fov_mem_free(input);
    }
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
    random_network(&net, 8, 12);
    for (uint64_t n = 1; n < 100; n++) {
        fov_plan *plan = NULL;
        fov_mem_fail_at(n, 0);
        const fov_status status = fov_plan_new(&plan, net.graph, &net.output, 1, net.loss, NULL, NULL);
        fov_mem_fail_at(0, 0);
        fov_plan_free(plan);
        if (status == FOV_OK) {
            assert_true(n > 2);
            network_free(&net);
            return;
        }
        assert_int_equal(status, FOV_E_NOMEM);
    }
    fail_msg("the plan never came through");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(packing_never_overlaps_what_is_alive),
        cmocka_unit_test(reuse_poison_and_threads_leave_the_bits),
        cmocka_unit_test(passes_run_by_neighbours_leave_the_bits),
        cmocka_unit_test(passes_run_further_on_leave_the_bits),
        cmocka_unit_test(passes_left_from_step_to_step_leave_the_bits),
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
