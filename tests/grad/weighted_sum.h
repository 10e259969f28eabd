/* A scalar from any output, for tests: the sum of its elements with fixed random weights in [-1, 1). */
#ifndef FOV_TESTS_GRAD_WEIGHTED_SUM_H
#define FOV_TESTS_GRAD_WEIGHTED_SUM_H

#include "base/rng.h"
#include "graph/graph.h"

static double next_weight(fov_rng *rng) {
    return fov_rng_range(rng, -1.0, 1.0);
}

static fov_status sum_infer(fov_node *node) {
    node->shape = (fov_shape){.rank = 0};
    return FOV_OK;
}

static void sum_forward(const fov_step *step) {
    const fov_real *x = step->in[0];
    const size_t count = fov_shape_count(&step->node->input[0]->shape);
    fov_rng rng;
    fov_rng_init(&rng, 99, 0, 0, 0, FOV_RNG_TEST);
    double sum = 0.0;
    for (size_t i = 0; i < count; i++) {
        sum += next_weight(&rng) * (double)x[i];
    }
    *(fov_real *)step->out = (fov_real)sum;
}

static void sum_backward(const fov_step *step) {
    const size_t count = fov_shape_count(&step->node->input[0]->shape);
    fov_rng rng;
    fov_rng_init(&rng, 99, 0, 0, 0, FOV_RNG_TEST);
    for (size_t i = 0; i < count; i++) {
        const fov_real slope = (fov_real)next_weight(&rng) * step->grad_out[0];
        step->grad_in[0][i] = step->accumulate[0] ? step->grad_in[0][i] + slope : slope;
    }
}

static const fov_op weighted_sum = {
    .name = "weighted_sum", .infer = sum_infer, .forward = sum_forward, .backward = sum_backward, .inplace = -1};

static inline fov_node *add_weighted_sum(fov_graph *g, fov_node *x) {
    return fov_graph_add(g, &weighted_sum, NULL, 0, &x, 1, 1);
}

#endif
