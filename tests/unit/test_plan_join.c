/* Passes of batch-norms that products beside them or further on run: the same bits as apart, and nothing is read before it is there. */
#include "kernels/gemm.h"
#include "plan_case.h"

static const fov_shape joined_shape = {.rank = 4, .dim = {8, 9, 9, 16}}; /* 648 rows: more than two chunks */

/* Channels and pixels of a network: the sums of residuals have `wide` channels, what lies between them has `narrow` ones. */
typedef struct extent {
    size_t side, narrow, wide;
} extent;

static const extent usual = {12, 64, 96};  /* 1152 rows: a product has several parts */
static const extent broad = {2, 16, 8256}; /* rows that do not fit a slab, and so pass through memory */
enum { INPUT_COUNT = 8 * 12 * 12 * 16 };   /* enough for all of them */

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

/* Residual blocks; the first one has a layer of its own on the short way. */
static void residual_network(network *net, extent e) {
    require(fov_store_new(&net->store));
    require(fov_graph_new(&net->graph, true));
    fov_graph *g = net->graph;
    fov_graph_use_store(g, net->store);
    fov_node *x = joined_layer(g, "stem", fov_input(g, "input", FOV_DTYPE_REAL, FOV_SHAPE(8, e.side, e.side, 16)), e.narrow, 1, NULL);
    for (unsigned b = 0; b < 3; b++) {
        fov_graph_push(g, "block%u", b);
        fov_graph_block_begin(g);
        fov_node *identity = b == 0 ? any_layer(g, "short", x, e.wide, 1, 1, NULL, false) : x;
        fov_node *y = joined_layer(g, "one", x, e.narrow, 1, NULL);
        y = any_layer(g, "two", y, e.narrow, 3, 1, NULL, true); /* runs no passes, so that not everything hangs together */
        x = joined_layer(g, "three", y, e.wide, 1, identity);
        fov_graph_block_end(g);
        fov_graph_pop(g);
    }
    net->output = joined_layer(g, "last", x, 8, 2, NULL);
    finish_network(net);
}

/* Sums of sums: each norm but the last is first read by the next one, so that passes are left from step to step to the product in the end,
 * with `wide` channels. `crossed`: a product reads them too, between their first reader and the step that this is left to. */
static void chain_network(network *net, extent e, bool crossed) {
    fov_node *earlier = NULL;
    require(fov_store_new(&net->store));
    require(fov_graph_new(&net->graph, true));
    fov_graph *g = net->graph;
    fov_graph_use_store(g, net->store);
    fov_node *x = joined_layer(g, "stem", fov_input(g, "input", FOV_DTYPE_REAL, FOV_SHAPE(8, e.side, e.side, 16)), e.narrow, 1, NULL);
    fov_node *sum = NULL;
    static const char *const names[] = {"one", "two", "three", "four"}, *const crossings[] = {"across_one", "across_two"};
    fov_graph_block_begin(g);
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        fov_node *from = x;
        if (crossed && i >= 2) { /* by few channels, because wide x wide weights would take long where arithmetic is emulated */
            from = any_layer(g, crossings[i - 2], earlier, e.narrow, 1, 1, NULL, false);
        }
        fov_node *next = any_layer(g, names[i], from, e.wide, 1, 1, sum, false);
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
    require(fov_pool_new(&pool, 3));
    fov_real *input = fov_mem_array(FOV_MEM_BASE, INPUT_COUNT, sizeof *input);
    fov_real *grads = fov_mem_array(FOV_MEM_BASE, fov_store_trainable(net.store), sizeof *grads);
    assert_true(input != NULL && grads != NULL);
    fov_rng rng;
    fov_rng_init(&rng, 3, 0, 0, 0, FOV_RNG_TEST);
    for (size_t i = 0; i < INPUT_COUNT; i++) {
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
    residual_network(&net, usual);
    const far_passes far = passes_leave_the_bits(net, 0);
    assert_true(far.forward > 0);
    /* Where products run no passes, rebuilding does not make this network smaller, so that nothing is rebuilt. */
    assert_int_equal(far.again > 0, fov_product_bits_free());
    assert_int_equal(far.rebuilt > 0, fov_product_bits_free());
    residual_network(&net, broad);
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
    const extent extents[] = {usual, broad};
    for (size_t i = 0; i < 2; i++) {
        network net = {0};
        fov_real *input = fov_mem_array(FOV_MEM_BASE, INPUT_COUNT, sizeof *input);
        assert_non_null(input);
        for (size_t k = 0; k < INPUT_COUNT; k++) {
            input[k] = (fov_real)(0.01 * (double)(k % 177) - 0.8);
        }
        chain_network(&net, extents[i], false);
        assert_true(forward_leaves_the_bits(&net, input) >= 3);
        assert_true(passes_leave_the_bits(net, 0).forward > 0);
        chain_network(&net, extents[i], true);
        assert_int_equal(forward_leaves_the_bits(&net, input), fov_product_bits_free() ? 2 : 1); /* the last two, which no product reads */
        (void)passes_leave_the_bits(net, 0);
        fov_mem_free(input);
    }
}
int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(passes_run_by_neighbours_leave_the_bits),
        cmocka_unit_test(passes_run_further_on_leave_the_bits),
        cmocka_unit_test(passes_left_from_step_to_step_leave_the_bits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
