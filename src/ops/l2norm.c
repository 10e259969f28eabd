/* Rows of unit length: y = x / max(|x|, eps) on [n, d], as torch.nn.functional.normalize.
 *
 * dx = (dy - y (y . dy)) / |x|; where eps was larger, y is linear in x and dx = dy / eps. Backward needs y and the norms, not x. */
#include "ops/ops.h"
#include "ops/row_shared.h"

typedef struct l2norm_attr {
    double eps;
} l2norm_attr;

static fov_status infer(fov_node *node) {
    FOV_TRY(fov_check_real(node, 0));
    const fov_shape *x = &node->input[0]->shape;
    if (x->rank != 2) {
        char text[128];
        return FOV_FAIL(FOV_E_INVALID, "needs input [n, d], got %s", fov_shape_text(x, text, sizeof text));
    }
    node->shape = *x;
    node->stash_bytes = x->dim[0] * sizeof(fov_real);
    return FOV_OK;
}

typedef struct l2norm_pass {
    const fov_step *step;
    fov_row_cut cut;
} l2norm_pass;

static void forward_chunk(void *context, size_t chunk, unsigned worker) {
    (void)worker;
    const l2norm_pass *pass = context;
    const fov_step *step = pass->step;
    const size_t d = pass->cut.width, first = fov_cut_first(&pass->cut, chunk);
    step->k->l2norm_forward((fov_real *)step->out + first * d, (fov_real *)step->stash + first, (const fov_real *)step->in[0] + first * d,
                            ((const l2norm_attr *)step->node->attr)->eps, fov_cut_count(&pass->cut, chunk), d);
}

static void forward(const fov_step *step) {
    l2norm_pass pass = {.step = step, .cut = fov_cut_shape(&step->node->shape)};
    fov_pool_for(step->pool, pass.cut.chunks, forward_chunk, &pass);
}

static void backward_chunk(void *context, size_t chunk, unsigned worker) {
    (void)worker;
    const l2norm_pass *pass = context;
    const fov_step *step = pass->step;
    const size_t d = pass->cut.width, first = fov_cut_first(&pass->cut, chunk);
    step->k->l2norm_backward(step->grad_in[0] + first * d, step->grad_out + first * d, (const fov_real *)step->out + first * d,
                             (const fov_real *)step->stash + first, step->accumulate[0], fov_cut_count(&pass->cut, chunk), d);
}

static void backward(const fov_step *step) {
    l2norm_pass pass = {.step = step, .cut = fov_cut_shape(&step->node->shape)};
    if (step->grad_in[0] != NULL) {
        fov_pool_for(step->pool, pass.cut.chunks, backward_chunk, &pass);
    }
}

static fov_cost cost(const fov_node *node) {
    const double n = (double)fov_shape_count(&node->shape), bytes = n * (double)sizeof(fov_real);
    return (fov_cost){3.0 * n, 5.0 * n, 2.0 * bytes, 3.0 * bytes};
}

const fov_op fov_op_l2norm = {
    .name = "l2norm", .infer = infer, .forward = forward, .backward = backward, .cost = cost, .reads = FOV_READS_OUT, .inplace = -1};

fov_node *fov_l2norm(fov_graph *g, fov_node *x, double eps) {
    const l2norm_attr attr = {.eps = eps};
    return fov_graph_add(g, &fov_op_l2norm, &attr, sizeof attr, &x, 1, 1);
}
