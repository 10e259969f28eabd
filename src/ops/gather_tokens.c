/* Picks tokens by index: out[n, i] = x[n, index[n, i]]. Used to drop the masked tokens of MAE (He et al. 2021).
 *
 * Backward scatters one image per chunk, in order of i, so that repeated indices add up without races and always in the same order. */
#include "ops/token_shared.h"

static fov_status infer(fov_node *node) {
    FOV_TRY(fov_token_check(node, 0, "tokens [n, t, d]", 3, FOV_DTYPE_REAL));
    FOV_TRY(fov_token_check(node, 1, "indices [n, k]", 2, FOV_DTYPE_I32));
    const size_t *x = node->input[0]->shape.dim;
    const size_t *index = node->input[1]->shape.dim;
    FOV_TRY(fov_token_check_shape(node, 1, "indices [n, k]", FOV_SHAPE(x[0], index[1])));
    return fov_token_output(node, FOV_SHAPE(x[0], index[1], x[2]));
}

static void forward_chunk(void *context, size_t chunk, unsigned worker) {
    (void)worker;
    const fov_step *step = context;
    const size_t *x = step->node->input[0]->shape.dim;
    const size_t k = step->node->shape.dim[1];
    const int32_t *index = (const int32_t *)step->in[1] + chunk * k;
    const fov_real *from = (const fov_real *)step->in[0] + chunk * x[1] * x[2];
    fov_real *out = (fov_real *)step->out + chunk * k * x[2];
    for (size_t i = 0; i < k; i++) {
        FOV_ASSERT(index[i] >= 0 && (size_t)index[i] < x[1]);
        memcpy(out + i * x[2], from + (size_t)index[i] * x[2], x[2] * sizeof *out);
    }
}

static void backward_chunk(void *context, size_t chunk, unsigned worker) {
    (void)worker;
    const fov_step *step = context;
    const size_t *x = step->node->input[0]->shape.dim;
    const size_t k = step->node->shape.dim[1];
    const int32_t *index = (const int32_t *)step->in[1] + chunk * k;
    const fov_real *grad_out = step->grad_out + chunk * k * x[2];
    fov_real *grad = step->grad_in[0] + chunk * x[1] * x[2];
    if (!step->accumulate[0]) {
        step->k->fill(grad, 0, x[1] * x[2]);
    }
    for (size_t i = 0; i < k; i++) {
        step->k->accumulate(grad + (size_t)index[i] * x[2], grad_out + i * x[2], x[2]);
    }
}

static void forward(const fov_step *step) {
    fov_pool_for(step->pool, step->node->shape.dim[0], forward_chunk, (void *)step);
}

static void backward(const fov_step *step) {
    if (step->grad_in[0] != NULL) {
        fov_pool_for(step->pool, step->node->shape.dim[0], backward_chunk, (void *)step);
    }
}

static fov_cost cost(const fov_node *node) {
    const double count = (double)fov_shape_count(&node->shape);
    const double bytes = 2.0 * count * (double)sizeof(fov_real) + 4.0 * (double)fov_shape_count(&node->input[1]->shape);
    const double all = (double)fov_shape_count(&node->input[0]->shape) * (double)sizeof(fov_real);
    return (fov_cost){.backward_flops = count, .forward_bytes = bytes, .backward_bytes = bytes + all};
}

const fov_op fov_op_gather_tokens = {.name = "gather_tokens",
                                     .infer = infer,
                                     .forward = forward,
                                     .backward = backward,
                                     .cost = cost,
                                     .reads = FOV_READS_IN(1),
                                     .inplace = -1};

fov_node *fov_gather_tokens(fov_graph *g, fov_node *x, fov_node *index) {
    return fov_graph_add(g, &fov_op_gather_tokens, NULL, 0, (fov_node *const[]){x, index}, 2, 2);
}
