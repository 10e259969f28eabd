/* Mean over all pixels: [n, h, w, c] -> [n, c]. Backward: every pixel gets dy / (h w). */
#include "ops/ops.h"
#include "ops/row_shared.h"

static fov_status infer(fov_node *node) {
    const fov_shape *x = &node->input[0]->shape;
    char text[128];
    FOV_TRY(fov_check_real(node, 0));
    if (x->rank != 4 || x->dim[1] * x->dim[2] == 0) {
        return FOV_FAIL(FOV_E_INVALID, "needs input [n, h, w, c], got %s", fov_shape_text(x, text, sizeof text));
    }
    node->shape = FOV_SHAPE(x->dim[0], x->dim[3]);
    return FOV_OK;
}

static void forward_image(void *context, size_t image, unsigned worker) {
    (void)worker;
    const fov_step *step = context;
    const size_t *x = step->node->input[0]->shape.dim;
    const size_t pixels = x[1] * x[2], c = x[3];
    fov_real *y = (fov_real *)step->out + image * c;
    step->k->fill(y, 0, c);
    step->k->column_sums(y, (const fov_real *)step->in[0] + image * pixels * c, pixels, c);
    step->k->scale(y, y, (fov_real)(1.0 / (double)pixels), c);
}

static void backward_image(void *context, size_t image, unsigned worker) {
    (void)worker;
    const fov_step *step = context;
    const size_t *x = step->node->input[0]->shape.dim;
    const size_t pixels = x[1] * x[2], c = x[3];
    const fov_real part = (fov_real)(1.0 / (double)pixels);
    for (size_t i = 0; i < pixels; i++) {
        fov_real *dx = step->grad_in[0] + (image * pixels + i) * c;
        if (step->accumulate[0]) {
            step->k->axpy(dx, step->grad_out + image * c, part, c);
        } else {
            step->k->scale(dx, step->grad_out + image * c, part, c);
        }
    }
}

static void forward(const fov_step *step) {
    fov_pool_for(step->pool, step->node->shape.dim[0], forward_image, (void *)step);
}

static void backward(const fov_step *step) {
    if (step->grad_in[0] != NULL) {
        fov_pool_for(step->pool, step->node->shape.dim[0], backward_image, (void *)step);
    }
}

static fov_cost cost(const fov_node *node) {
    const double n = (double)fov_shape_count(&node->input[0]->shape), bytes = n * (double)sizeof(fov_real);
    return (fov_cost){n, n, bytes, bytes};
}

const fov_op fov_op_global_avgpool = {
    .name = "global_avgpool", .infer = infer, .forward = forward, .backward = backward, .cost = cost, .inplace = -1};

fov_node *fov_global_avgpool(fov_graph *g, fov_node *x) {
    return fov_graph_add(g, &fov_op_global_avgpool, NULL, 0, &x, 1, 1);
}
