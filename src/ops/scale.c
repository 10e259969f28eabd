/* A tensor times a constant: y = factor x, dx = factor dy. */
#include "ops/ops.h"
#include "ops/row_shared.h"

typedef struct scale_attr {
    double factor;
} scale_attr;

static fov_status infer(fov_node *node) {
    FOV_TRY(fov_check_real(node, 0));
    node->shape = node->input[0]->shape;
    return FOV_OK;
}

typedef struct scale_pass {
    const fov_kernels *k;
    fov_real *y;
    const fov_real *x;
    fov_real factor;
    bool accumulate;
    size_t count;
    fov_row_cut cut;
} scale_pass;

static void scale_chunk(void *context, size_t chunk, unsigned worker) {
    (void)worker;
    const scale_pass *pass = context;
    const size_t first = 64 * fov_cut_first(&pass->cut, chunk), n = fov_cut_flat_count(&pass->cut, chunk, pass->count);
    if (pass->accumulate) {
        pass->k->axpy(pass->y + first, pass->x + first, pass->factor, n);
    } else {
        pass->k->scale(pass->y + first, pass->x + first, pass->factor, n);
    }
}

static void run(const fov_step *step, fov_real *y, const fov_real *x, bool accumulate) {
    const size_t count = fov_shape_count(&step->node->shape);
    scale_pass pass = {.k = step->k,
                       .y = y,
                       .x = x,
                       .factor = (fov_real)((const scale_attr *)step->node->attr)->factor,
                       .accumulate = accumulate,
                       .count = count,
                       .cut = fov_cut_flat(count)};
    fov_pool_for(step->pool, pass.cut.chunks, scale_chunk, &pass);
}

static void forward(const fov_step *step) {
    run(step, step->out, step->in[0], false);
}

static void backward(const fov_step *step) {
    if (step->grad_in[0] != NULL) {
        run(step, step->grad_in[0], step->grad_out, step->accumulate[0]);
    }
}

static fov_cost cost(const fov_node *node) {
    const double n = (double)fov_shape_count(&node->shape), bytes = n * (double)sizeof(fov_real);
    return (fov_cost){n, n, 2.0 * bytes, 2.0 * bytes};
}

const fov_op fov_op_scale = {.name = "scale", .infer = infer, .forward = forward, .backward = backward, .cost = cost, .inplace = 0,
                             .grads_over = FOV_READS_IN(0)};

fov_node *fov_scale(fov_graph *g, fov_node *x, double factor) {
    const scale_attr attr = {.factor = factor};
    return fov_graph_add(g, &fov_op_scale, &attr, sizeof attr, &x, 1, 1);
}
