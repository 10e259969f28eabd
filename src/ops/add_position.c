/* Adds position embeddings to tokens: out[n, t, d] = x[n, t, d] + position[0, first + t, d].
 *
 * `first` is 1 where row 0 of the embedding belongs to a class token that comes later. Each image is one chunk; the gradient of the
 * embedding is a sum over the batch in image order. */
#include "ops/token_shared.h"

typedef struct position_attr {
    size_t first;
} position_attr;

static fov_status infer(fov_node *node) {
    const size_t first = ((const position_attr *)node->attr)->first;
    FOV_TRY(fov_token_check(node, 0, "tokens [n, t, d]", 3, FOV_DTYPE_REAL));
    FOV_TRY(fov_token_check(node, 1, "position embedding [1, p, d]", 3, FOV_DTYPE_REAL));
    const size_t *x = node->input[0]->shape.dim;
    const size_t *position = node->input[1]->shape.dim;
    if (position[0] != 1 || position[2] != x[2] || first > position[1] || position[1] - first < x[1]) {
        return FOV_FAIL(FOV_E_INVALID, "needs a position embedding [1, p, %zu] with p >= %zu + %zu, got [%zu, %zu, %zu]", x[2],
                        first, x[1], position[0], position[1], position[2]);
    }
    return fov_token_output(node, node->input[0]->shape);
}

static void forward_chunk(void *context, size_t chunk, unsigned worker) {
    (void)worker;
    const fov_step *step = context;
    const size_t *x = step->node->shape.dim;
    const size_t first = ((const position_attr *)step->node->attr)->first;
    const size_t count = x[1] * x[2];
    step->k->add((fov_real *)step->out + chunk * count, (const fov_real *)step->in[0] + chunk * count,
                 (const fov_real *)step->in[1] + first * x[2], count);
}

static void backward_chunk(void *context, size_t chunk, unsigned worker) {
    (void)worker;
    const fov_step *step = context;
    const size_t count = step->node->shape.dim[1] * step->node->shape.dim[2];
    fov_token_put(step->k, step->grad_in[0] + chunk * count, step->grad_out + chunk * count, count, step->accumulate[0]);
}

static void forward(const fov_step *step) {
    fov_pool_for(step->pool, step->node->shape.dim[0], forward_chunk, (void *)step);
}

static void backward(const fov_step *step) {
    const size_t *x = step->node->shape.dim;
    const size_t first = ((const position_attr *)step->node->attr)->first;
    if (step->grad_in[0] != NULL && step->grad_in[0] != step->grad_out) {
        fov_pool_for(step->pool, x[0], backward_chunk, (void *)step);
    }
    if (step->grad_in[1] == NULL) {
        return;
    }
    if (!step->accumulate[1]) {
        step->k->fill(step->grad_in[1], 0, fov_shape_count(&step->node->input[1]->shape));
    }
    fov_token_sum(step, step->grad_in[1] + first * x[2], step->accumulate[1], step->grad_out, x[0], x[1] * x[2], x[1] * x[2]);
}

static fov_cost cost(const fov_node *node) {
    const double count = (double)fov_shape_count(&node->shape);
    return fov_token_move_cost(node, count, count);
}

const fov_op fov_op_add_position = {
    .name = "add_position", .infer = infer, .forward = forward, .backward = backward, .cost = cost, .reads = 0, .inplace = 0, .passes = FOV_READS_IN(0)};

fov_node *fov_add_position(fov_graph *g, fov_node *x, fov_node *position, size_t first) {
    const position_attr attr = {.first = first};
    return fov_graph_add(g, &fov_op_add_position, &attr, sizeof attr, (fov_node *const[]){x, position}, 2, 2);
}
