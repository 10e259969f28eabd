/* Puts a learned token in front of each image's tokens: out[n, 0] = token + position[0, 0], out[n, 1..t] = x[n].
 *
 * The class token of ViT. Its position is row 0 of the embedding, added here because MAE drops masked tokens between the two. */
#include "ops/token_shared.h"

static fov_status infer(fov_node *node) {
    FOV_TRY(fov_token_check(node, 0, "tokens [n, t, d]", 3, FOV_DTYPE_REAL));
    FOV_TRY(fov_token_check(node, 1, "token [1, 1, d]", 3, FOV_DTYPE_REAL));
    const size_t *x = node->input[0]->shape.dim;
    FOV_TRY(fov_token_check_shape(node, 1, "a token [1, 1, d]", FOV_SHAPE(1, 1, x[2])));
    if (node->input_count > 2 && node->input[2] != NULL) {
        FOV_TRY(fov_token_check(node, 2, "position embedding [1, p, d]", 3, FOV_DTYPE_REAL));
        const size_t *position = node->input[2]->shape.dim;
        FOV_TRY(fov_token_check_shape(node, 2, "a position embedding [1, p, d]", FOV_SHAPE(1, position[1], x[2])));
    }
    return fov_token_output(node, FOV_SHAPE(x[0], x[1] + 1, x[2]));
}

static void forward_chunk(void *context, size_t chunk, unsigned worker) {
    (void)worker;
    const fov_step *step = context;
    const size_t *shape = step->node->shape.dim;
    const size_t d = shape[2];
    const size_t count = (shape[1] - 1) * d;
    fov_real *out = (fov_real *)step->out + chunk * (count + d);
    if (step->in[2] != NULL) {
        step->k->add(out, step->in[1], step->in[2], d);
    } else {
        memcpy(out, step->in[1], d * sizeof *out);
    }
    memcpy(out + d, (const fov_real *)step->in[0] + chunk * count, count * sizeof *out);
}

static void backward_chunk(void *context, size_t chunk, unsigned worker) {
    (void)worker;
    const fov_step *step = context;
    const size_t *shape = step->node->shape.dim;
    const size_t d = shape[2];
    const size_t count = (shape[1] - 1) * d;
    fov_token_put(step->k, step->grad_in[0] + chunk * count, step->grad_out + chunk * (count + d) + d, count, step->accumulate[0]);
}

static void forward(const fov_step *step) {
    fov_pool_for(step->pool, step->node->shape.dim[0], forward_chunk, (void *)step);
}

static void backward(const fov_step *step) {
    const size_t *shape = step->node->shape.dim;
    if (step->grad_in[0] != NULL) {
        fov_pool_for(step->pool, shape[0], backward_chunk, (void *)step);
    }
    if (step->grad_in[1] != NULL) {
        fov_token_sum(step, step->grad_in[1], step->accumulate[1], step->grad_out, shape[0], shape[1] * shape[2], shape[2]);
    }
    if (step->grad_in[2] == NULL) {
        return;
    }
    if (!step->accumulate[2]) {
        step->k->fill(step->grad_in[2], 0, fov_shape_count(&step->node->input[2]->shape));
    }
    fov_token_sum(step, step->grad_in[2], step->accumulate[2], step->grad_out, shape[0], shape[1] * shape[2], shape[2]);
}

static fov_cost cost(const fov_node *node) {
    const double rows = (double)(node->shape.dim[0] * node->shape.dim[2]);
    return fov_token_move_cost(node, rows, rows);
}

const fov_op fov_op_prepend_token = {
    .name = "prepend_token", .infer = infer, .forward = forward, .backward = backward, .cost = cost, .reads = 0, .inplace = -1};

fov_node *fov_prepend_token(fov_graph *g, fov_node *x, fov_node *token, fov_node *position) {
    return fov_graph_add(g, &fov_op_prepend_token, NULL, 0, (fov_node *const[]){x, token, position}, 3, 2);
}
