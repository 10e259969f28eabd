/* Puts kept tokens back into their places and a learned mask token into the others (MAE's decoder, He et al. 2021):
 * out[n, i] = restore[n, i] < k ? x[n, restore[n, i]] : token.
 *
 * Backward scatters one image per chunk. The mask token's gradient is first summed within each image, then over images in order. */
#include "ops/token_shared.h"

static fov_status infer(fov_node *node) {
    FOV_TRY(fov_token_check(node, 0, "tokens [n, k, d]", 3, FOV_DTYPE_REAL));
    FOV_TRY(fov_token_check(node, 1, "token [1, 1, d]", 3, FOV_DTYPE_REAL));
    FOV_TRY(fov_token_check(node, 2, "places [n, t]", 2, FOV_DTYPE_I32));
    const size_t *x = node->input[0]->shape.dim;
    const size_t *restore = node->input[2]->shape.dim;
    FOV_TRY(fov_token_check_shape(node, 1, "a token [1, 1, d]", FOV_SHAPE(1, 1, x[2])));
    FOV_TRY(fov_token_check_shape(node, 2, "places [n, t]", FOV_SHAPE(x[0], restore[1])));
    FOV_TRY(fov_token_bytes(&node->backward_work, (const size_t[]){x[0], x[2], sizeof(fov_real)}, 3));
    return fov_token_output(node, FOV_SHAPE(x[0], restore[1], x[2]));
}

static void forward_chunk(void *context, size_t chunk, unsigned worker) {
    (void)worker;
    const fov_step *step = context;
    const size_t *x = step->node->input[0]->shape.dim;
    const size_t t = step->node->shape.dim[1];
    const int32_t *restore = (const int32_t *)step->in[2] + chunk * t;
    const fov_real *from = (const fov_real *)step->in[0] + chunk * x[1] * x[2];
    fov_real *out = (fov_real *)step->out + chunk * t * x[2];
    for (size_t i = 0; i < t; i++) {
        FOV_ASSERT(restore[i] >= 0);
        const size_t place = (size_t)restore[i];
        memcpy(out + i * x[2], place < x[1] ? from + place * x[2] : step->in[1], x[2] * sizeof *out);
    }
}

static void backward_chunk(void *context, size_t chunk, unsigned worker) {
    (void)worker;
    const fov_step *step = context;
    const size_t *x = step->node->input[0]->shape.dim;
    const size_t t = step->node->shape.dim[1];
    const int32_t *restore = (const int32_t *)step->in[2] + chunk * t;
    const fov_real *grad_out = step->grad_out + chunk * t * x[2];
    fov_real *grad = step->grad_in[0] == NULL ? NULL : step->grad_in[0] + chunk * x[1] * x[2];
    fov_real *token = (fov_real *)step->work + chunk * x[2];
    step->k->fill(token, 0, x[2]);
    if (grad != NULL && !step->accumulate[0]) {
        step->k->fill(grad, 0, x[1] * x[2]);
    }
    for (size_t i = 0; i < t; i++) {
        const size_t place = (size_t)restore[i];
        fov_real *to = place >= x[1] ? token : (grad == NULL ? NULL : grad + place * x[2]);
        if (to != NULL) {
            step->k->accumulate(to, grad_out + i * x[2], x[2]);
        }
    }
}

static void forward(const fov_step *step) {
    fov_pool_for(step->pool, step->node->shape.dim[0], forward_chunk, (void *)step);
}

static void backward(const fov_step *step) {
    const size_t *x = step->node->input[0]->shape.dim;
    fov_pool_for(step->pool, x[0], backward_chunk, (void *)step);
    if (step->grad_in[1] != NULL) {
        fov_token_sum(step, step->grad_in[1], step->accumulate[1], step->work, x[0], x[2], x[2]);
    }
}

static fov_cost cost(const fov_node *node) {
    return fov_token_move_cost(node, 0.0, (double)fov_shape_count(&node->shape));
}

const fov_op fov_op_restore_tokens = {.name = "restore_tokens",
                                      .infer = infer,
                                      .forward = forward,
                                      .backward = backward,
                                      .cost = cost,
                                      .reads = FOV_READS_IN(2),
                                      .inplace = -1};

fov_node *fov_restore_tokens(fov_graph *g, fov_node *x, fov_node *token, fov_node *restore) {
    return fov_graph_add(g, &fov_op_restore_tokens, NULL, 0, (fov_node *const[]){x, token, restore}, 3, 3);
}
