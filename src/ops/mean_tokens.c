/* Mean of each image's tokens from `first` on: out[n, d] = sum_{i >= first} x[n, i, d] / (t - first).
 *
 * first = 1 leaves out a class token. One chunk is one image: tokens are added in order, whatever the number of threads. */
#include "ops/token_shared.h"

typedef struct mean_attr {
    size_t first;
} mean_attr;

static fov_status infer(fov_node *node) {
    const size_t first = ((const mean_attr *)node->attr)->first;
    FOV_TRY(fov_token_check(node, 0, "tokens [n, t, d]", 3, FOV_DTYPE_REAL));
    const size_t *x = node->input[0]->shape.dim;
    if (first >= x[1]) {
        return FOV_FAIL(FOV_E_INVALID, "needs at least one token from %zu on, got %zu tokens", first, x[1]);
    }
    return fov_token_output(node, FOV_SHAPE(x[0], x[2]));
}

static void forward_chunk(void *context, size_t chunk, unsigned worker) {
    (void)worker;
    const fov_step *step = context;
    const size_t *x = step->node->input[0]->shape.dim;
    const size_t first = ((const mean_attr *)step->node->attr)->first;
    const fov_real *from = (const fov_real *)step->in[0] + chunk * x[1] * x[2];
    fov_real *out = (fov_real *)step->out + chunk * x[2];
    memcpy(out, from + first * x[2], x[2] * sizeof *out);
    for (size_t i = first + 1; i < x[1]; i++) {
        step->k->accumulate(out, from + i * x[2], x[2]);
    }
    step->k->scale(out, out, (fov_real)(1.0 / (double)(x[1] - first)), x[2]);
}

static void backward_chunk(void *context, size_t chunk, unsigned worker) {
    (void)worker;
    const fov_step *step = context;
    const size_t *x = step->node->input[0]->shape.dim;
    const size_t first = ((const mean_attr *)step->node->attr)->first;
    const fov_real factor = (fov_real)(1.0 / (double)(x[1] - first));
    const fov_real *grad_out = step->grad_out + chunk * x[2];
    fov_real *grad = step->grad_in[0] + chunk * x[1] * x[2];
    if (!step->accumulate[0]) {
        step->k->fill(grad, 0, first * x[2]);
    }
    for (size_t i = first; i < x[1]; i++) {
        if (step->accumulate[0]) {
            step->k->axpy(grad + i * x[2], grad_out, factor, x[2]);
        } else {
            step->k->scale(grad + i * x[2], grad_out, factor, x[2]);
        }
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
    const double count = (double)fov_shape_count(&node->input[0]->shape);
    return fov_token_move_cost(node, count, count);
}

const fov_op fov_op_mean_tokens = {
    .name = "mean_tokens", .infer = infer, .forward = forward, .backward = backward, .cost = cost, .reads = 0, .inplace = -1};

fov_node *fov_mean_tokens(fov_graph *g, fov_node *x, size_t first) {
    const mean_attr attr = {.first = first};
    return fov_graph_add(g, &fov_op_mean_tokens, &attr, sizeof attr, (fov_node *const[]){x}, 1, 1);
}
