/* Layer norm (Ba et al. 2016) over the last axis: y = (x - mean) / sqrt(var + eps) gamma + beta, variance biased.
 *
 * With h = (x - mean) rstd and g = dy gamma:  dx = rstd (g - mean(g) - h mean(g h)),  dgamma = sum dy h,  dbeta = sum dy over rows.
 * Forward stashes mean and rstd of each row; h is computed again from x, which costs less than keeping it. */
#include "ops/ops.h"
#include "ops/row_shared.h"

typedef struct layernorm_attr {
    double eps;
} layernorm_attr;

static fov_status infer(fov_node *node) {
    FOV_TRY(fov_check_real(node, 0));
    const fov_shape *x = &node->input[0]->shape;
    if (x->rank == 0 || fov_shape_count(x) == 0) {
        return FOV_FAIL(FOV_E_INVALID, "needs input [.., d], got a scalar or nothing");
    }
    const size_t d = x->dim[x->rank - 1];
    FOV_TRY(fov_check_vector(node, 1, "weight", d));
    FOV_TRY(fov_check_vector(node, 2, "bias", d));
    node->shape = *x;
    const fov_row_cut cut = fov_cut_shape(x);
    node->stash_bytes = 2 * cut.rows * sizeof(fov_real);
    node->backward_work = 2 * cut.chunks * d * sizeof(fov_real);
    return FOV_OK;
}

typedef struct layernorm_pass {
    const fov_step *step;
    fov_row_cut cut;
    fov_real *dgamma, *dbeta; /* partial sums [chunks, d] each */
} layernorm_pass;

static void forward_chunk(void *context, size_t chunk, unsigned worker) {
    (void)worker;
    const layernorm_pass *pass = context;
    const fov_step *step = pass->step;
    const size_t d = pass->cut.width, first = fov_cut_first(&pass->cut, chunk);
    step->k->layernorm_forward((fov_real *)step->out + first * d, (fov_real *)step->stash + 2 * first,
                               (const fov_real *)step->in[0] + first * d, step->in[1], step->in[2],
                               ((const layernorm_attr *)step->node->attr)->eps, fov_cut_count(&pass->cut, chunk), d);
}

static void forward(const fov_step *step) {
    layernorm_pass pass = {.step = step, .cut = fov_cut_shape(&step->node->shape)};
    fov_pool_for(step->pool, pass.cut.chunks, forward_chunk, &pass);
}

static void backward_chunk(void *context, size_t chunk, unsigned worker) {
    (void)worker;
    const layernorm_pass *pass = context;
    const fov_step *step = pass->step;
    const size_t d = pass->cut.width, first = fov_cut_first(&pass->cut, chunk), rows = fov_cut_count(&pass->cut, chunk);
    const fov_real *x = (const fov_real *)step->in[0] + first * d, *dy = step->grad_out + first * d;
    const fov_real *stats = (const fov_real *)step->stash + 2 * first;
    fov_real *dx = step->grad_in[0] != NULL ? step->grad_in[0] + first * d : NULL, *dgamma = NULL, *dbeta = NULL;
    if (pass->dgamma != NULL) {
        dgamma = pass->dgamma + chunk * d;
        dbeta = pass->dbeta + chunk * d;
        step->k->fill(dgamma, 0, d);
        step->k->fill(dbeta, 0, d);
    }
    step->k->layernorm_backward(dx, dgamma, dbeta, dy, x, stats, step->in[1], step->accumulate[0], rows, d);
}

static void backward(const fov_step *step) {
    layernorm_pass pass = {.step = step, .cut = fov_cut_shape(&step->node->shape)};
    const size_t d = pass.cut.width;
    if (step->grad_in[1] != NULL || step->grad_in[2] != NULL) {
        pass.dgamma = step->work;
        pass.dbeta = pass.dgamma + pass.cut.chunks * d;
    }
    fov_pool_for(step->pool, pass.cut.chunks, backward_chunk, &pass);
    if (step->grad_in[1] != NULL) {
        fov_add_partials(step->k, step->grad_in[1], pass.dgamma, pass.cut.chunks, d, step->accumulate[1]);
    }
    if (step->grad_in[2] != NULL) {
        fov_add_partials(step->k, step->grad_in[2], pass.dbeta, pass.cut.chunks, d, step->accumulate[2]);
    }
}

static fov_cost cost(const fov_node *node) {
    const double n = (double)fov_shape_count(&node->shape), bytes = n * (double)sizeof(fov_real);
    return (fov_cost){8.0 * n, 14.0 * n, 2.0 * bytes, 3.0 * bytes};
}

const fov_op fov_op_layernorm = {.name = "layernorm",
                                 .infer = infer,
                                 .forward = forward,
                                 .backward = backward,
                                 .cost = cost,
                                 .reads = FOV_READS_IN(0) | FOV_READS_IN(1),
                                 .again = forward,
                                 .again_reads = FOV_READS_IN(0) | FOV_READS_IN(1) | FOV_READS_IN(2),
                                 .inplace = -1};

fov_node *fov_layernorm(fov_graph *g, fov_node *x, fov_node *gamma, fov_node *beta, double eps) {
    const layernorm_attr attr = {.eps = eps};
    return fov_graph_add(g, &fov_op_layernorm, &attr, sizeof attr, (fov_node *const[]){x, gamma, beta}, 3, 3);
}
