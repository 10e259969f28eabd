/* Takes a run of tokens of each image: out[n, i] = x[n, first + i]. The gradient of the tokens left out is zero. */
#include "ops/token_shared.h"

typedef struct slice_attr {
    size_t first, count;
} slice_attr;

static fov_status infer(fov_node *node) {
    const slice_attr *attr = node->attr;
    FOV_TRY(fov_token_check(node, 0, "tokens [n, t, d]", 3, FOV_DTYPE_REAL));
    const size_t *x = node->input[0]->shape.dim;
    if (attr->count == 0 || attr->first > x[1] || x[1] - attr->first < attr->count) {
        return FOV_FAIL(FOV_E_INVALID, "needs a range within the %zu tokens of its input, got %zu tokens from %zu", x[1],
                        attr->count, attr->first);
    }
    return fov_token_output(node, FOV_SHAPE(x[0], attr->count, x[2]));
}

static void forward_chunk(void *context, size_t chunk, unsigned worker) {
    (void)worker;
    const fov_step *step = context;
    const slice_attr *attr = step->node->attr;
    const size_t *x = step->node->input[0]->shape.dim;
    const size_t count = attr->count * x[2];
    memcpy((fov_real *)step->out + chunk * count, (const fov_real *)step->in[0] + (chunk * x[1] + attr->first) * x[2],
           count * sizeof(fov_real));
}

static void backward_chunk(void *context, size_t chunk, unsigned worker) {
    (void)worker;
    const fov_step *step = context;
    const slice_attr *attr = step->node->attr;
    const size_t *x = step->node->input[0]->shape.dim;
    const size_t count = attr->count * x[2];
    const size_t before = attr->first * x[2];
    fov_real *grad = step->grad_in[0] + chunk * x[1] * x[2];
    if (!step->accumulate[0]) {
        step->k->fill(grad, 0, before);
        step->k->fill(grad + before + count, 0, x[1] * x[2] - before - count);
    }
    fov_token_put(step->k, grad + before, step->grad_out + chunk * count, count, step->accumulate[0]);
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
    const double bytes = 2.0 * (double)fov_shape_count(&node->shape) * (double)sizeof(fov_real);
    const double all = (double)fov_shape_count(&node->input[0]->shape) * (double)sizeof(fov_real);
    return (fov_cost){.forward_bytes = bytes, .backward_bytes = bytes / 2.0 + all};
}

const fov_op fov_op_slice_tokens = {
    .name = "slice_tokens", .infer = infer, .forward = forward, .backward = backward, .cost = cost, .reads = 0, .inplace = -1};

fov_node *fov_slice_tokens(fov_graph *g, fov_node *x, size_t first, size_t count) {
    const slice_attr attr = {.first = first, .count = count};
    return fov_graph_add(g, &fov_op_slice_tokens, &attr, sizeof attr, (fov_node *const[]){x}, 1, 1);
}
