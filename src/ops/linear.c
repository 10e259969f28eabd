/* Linear layer with bias and activation in one step: y = act(x W^T + b), x [rows, ci], W [co, ci], y [rows, co].
 *
 *   dz = dy act'(z),  dx = dz W,  dW = dz^T x,  db = sum of dz over rows
 *
 * Bias and activation share one pass over y after the product (done inside the product's blocks they would save under 4 % more, measured
 * on fc1 of ViT-tiny), and the bias gradient is summed while dz is in cache. What backward reads differs by activation, hence
 * descriptors of one name: none needs x alone, ReLU also y (its sign tells the slope), GELU x and its pre-activation z, which forward
 * leaves in the stash.
 */
#include "kernels/gemm.h"
#include "ops/ops.h"
#include "ops/row_shared.h"

typedef struct linear_attr {
    fov_act act;
} linear_attr;

typedef struct linear_sizes {
    size_t rows, ci, co;
    fov_row_cut cut;
} linear_sizes;

static linear_sizes sizes_of(const fov_node *node) {
    const fov_shape *weight = &node->input[1]->shape;
    const fov_row_cut cut = fov_cut_shape(&node->shape);
    return (linear_sizes){.rows = cut.rows, .ci = weight->dim[1], .co = weight->dim[0], .cut = cut};
}

static fov_act act_of(const fov_node *node) {
    return ((const linear_attr *)node->attr)->act;
}

/* ---- shape ---- */

static size_t larger(size_t a, size_t b) {
    return a > b ? a : b;
}

/* Backward's scratch: [dz, unless there is no activation] [partial bias gradients] [the products' own]. */
static size_t dz_bytes(const fov_node *node, const linear_sizes *s) {
    return act_of(node) != FOV_ACT_NONE ? (s->rows * s->co * sizeof(fov_real) + 63) / 64 * 64 : 0;
}

static size_t partial_bytes(const fov_node *node, const linear_sizes *s) {
    return node->input[2] != NULL ? (s->cut.chunks * s->co * sizeof(fov_real) + 63) / 64 * 64 : 0;
}

static fov_status infer(fov_node *node) {
    FOV_TRY(fov_check_real(node, 0));
    FOV_TRY(fov_check_real(node, 1));
    const fov_shape *x = &node->input[0]->shape, *weight = &node->input[1]->shape;
    char text[128];
    if (weight->rank != 2) {
        return FOV_FAIL(FOV_E_INVALID, "needs weight [out, in], got %s", fov_shape_text(weight, text, sizeof text));
    }
    if (x->rank == 0 || x->dim[x->rank - 1] != weight->dim[1]) {
        return FOV_FAIL(FOV_E_INVALID, "needs input [.., %zu], got %s", weight->dim[1], fov_shape_text(x, text, sizeof text));
    }
    if (node->input[2] != NULL) {
        FOV_TRY(fov_check_vector(node, 2, "bias", weight->dim[0]));
    }
    node->shape = *x;
    node->shape.dim[x->rank - 1] = weight->dim[0];
    const linear_sizes s = sizes_of(node);
    node->forward_work = fov_gemm_work(s.rows, s.co, s.ci);
    node->stash_bytes = act_of(node) == FOV_ACT_GELU ? s.rows * s.co * sizeof(fov_real) : 0;
    node->backward_work =
        dz_bytes(node, &s) + partial_bytes(node, &s) + larger(fov_gemm_work(s.co, s.ci, s.rows), fov_gemm_work(s.rows, s.ci, s.co));
    return FOV_OK;
}

/* ---- forward ---- */

typedef struct linear_pass {
    const fov_step *step;
    linear_sizes s;
    fov_act act;
    fov_real *dz, *partial; /* backward */
} linear_pass;

static void activate_chunk(void *context, size_t chunk, unsigned worker) {
    (void)worker;
    const linear_pass *pass = context;
    const fov_step *step = pass->step;
    const size_t d = pass->s.co, first = fov_cut_first(&pass->s.cut, chunk) * d, rows = fov_cut_count(&pass->s.cut, chunk);
    fov_real *y = (fov_real *)step->out + first;
    if (pass->act == FOV_ACT_GELU) {
        step->k->linear_bias_gelu(y, (fov_real *)step->stash + first, step->in[2], rows, d);
    } else if (pass->act == FOV_ACT_RELU) {
        step->k->linear_bias_relu(y, step->in[2], rows, d);
    } else {
        step->k->linear_bias(y, step->in[2], rows, d);
    }
}

/* y = gelu(z) once more from the stash, which has the bias in it. */
static void gelu_again_chunk(void *context, size_t chunk, unsigned worker) {
    (void)worker;
    const linear_pass *pass = context;
    const size_t d = pass->s.co, first = fov_cut_first(&pass->s.cut, chunk) * d;
    pass->step->k->linear_bias_gelu((fov_real *)pass->step->out + first, (fov_real *)pass->step->stash + first, NULL,
                                    fov_cut_count(&pass->s.cut, chunk), d);
}

static void gelu_again(const fov_step *step) {
    linear_pass pass = {.step = step, .s = sizes_of(step->node), .act = FOV_ACT_GELU};
    fov_pool_for(step->pool, pass.s.cut.chunks, gelu_again_chunk, &pass);
}

static void forward(const fov_step *step) {
    linear_pass pass = {.step = step, .s = sizes_of(step->node), .act = act_of(step->node)};
    const linear_sizes *s = &pass.s;
    fov_real *product = pass.act == FOV_ACT_GELU ? step->stash : step->out;
    fov_gemm(step->pool, product, s->co, (fov_matrix){step->in[0], s->ci, false}, (fov_matrix){step->in[1], s->ci, true}, s->rows, s->co,
             s->ci, 0, step->work);
    if (pass.act != FOV_ACT_NONE || step->in[2] != NULL) {
        fov_pool_for(step->pool, s->cut.chunks, activate_chunk, &pass);
    }
}

/* ---- backward ---- */

/* dz of a chunk of rows, and its column sums while it is in cache. */
static void slope_chunk(void *context, size_t chunk, unsigned worker) {
    (void)worker;
    const linear_pass *pass = context;
    const fov_step *step = pass->step;
    const size_t d = pass->s.co, first = fov_cut_first(&pass->s.cut, chunk) * d, rows = fov_cut_count(&pass->s.cut, chunk);
    const fov_real *dz = step->grad_out + first;
    if (pass->act != FOV_ACT_NONE) {
        fov_real *out = pass->dz + first;
        if (pass->act == FOV_ACT_GELU) {
            step->k->gelu_backward(out, dz, (const fov_real *)step->stash + first, rows * d);
        } else {
            step->k->relu_backward(out, dz, (const fov_real *)step->out + first, rows * d);
        }
        dz = out;
    }
    if (pass->partial != NULL) {
        step->k->fill(pass->partial + chunk * d, 0, d);
        step->k->column_sums(pass->partial + chunk * d, dz, rows, d);
    }
}

static void backward(const fov_step *step) {
    linear_pass pass = {.step = step, .s = sizes_of(step->node), .act = act_of(step->node)};
    const linear_sizes *s = &pass.s;
    unsigned char *work = step->work;
    const fov_real *dz = step->grad_out;
    if (pass.act != FOV_ACT_NONE) {
        pass.dz = (fov_real *)(void *)work;
        dz = pass.dz;
        work += dz_bytes(step->node, s);
    }
    if (step->grad_in[2] != NULL) {
        pass.partial = (fov_real *)(void *)work;
        work += partial_bytes(step->node, s);
    }
    if (pass.dz != NULL || pass.partial != NULL) {
        fov_pool_for(step->pool, s->cut.chunks, slope_chunk, &pass);
    }
    if (step->grad_in[0] != NULL) {
        fov_gemm(step->pool, step->grad_in[0], s->ci, (fov_matrix){dz, s->co, false}, (fov_matrix){step->in[1], s->ci, false}, s->rows,
                 s->ci, s->co, step->accumulate[0] ? 1 : 0, work);
    }
    if (step->grad_in[1] != NULL) {
        fov_gemm(step->pool, step->grad_in[1], s->ci, (fov_matrix){dz, s->co, true}, (fov_matrix){step->in[0], s->ci, false}, s->co, s->ci,
                 s->rows, step->accumulate[1] ? 1 : 0, work);
    }
    if (step->grad_in[2] != NULL) {
        fov_add_partials(step->k, step->grad_in[2], pass.partial, s->cut.chunks, s->co, step->accumulate[2]);
    }
}

static fov_cost cost(const fov_node *node) {
    const linear_sizes s = sizes_of(node);
    const double rows = (double)s.rows, ci = (double)s.ci, co = (double)s.co;
    const double product = 2.0 * rows * ci * co, bytes = (rows * ci + rows * co + ci * co) * (double)sizeof(fov_real);
    const double products = (node->input[0]->needs_grad ? 1.0 : 0.0) + (node->input[1]->needs_grad ? 1.0 : 0.0);
    return (fov_cost){product, products * product, bytes, products * bytes};
}

#define LINEAR_OP(extra, again_)                                                                                                                   \
    {                                                                                                                                      \
        .name = "linear", .infer = infer, .forward = forward, .backward = backward, .cost = cost,                                          \
        .reads = FOV_READS_IN(0) | FOV_READS_IN(1) | (extra), .again = (again_), .inplace = -1                                             \
    }

const fov_op fov_op_linear = LINEAR_OP(0U, NULL);
static const fov_op linear_relu = LINEAR_OP(FOV_READS_OUT, NULL);
static const fov_op linear_gelu = LINEAR_OP(0U, gelu_again);

fov_node *fov_linear(fov_graph *g, fov_node *x, fov_node *weight, fov_node *bias, fov_act act) {
    const linear_attr attr = {.act = act};
    const fov_op *op = act == FOV_ACT_RELU ? &linear_relu : act == FOV_ACT_GELU ? &linear_gelu : &fov_op_linear;
    return fov_graph_add(g, op, &attr, sizeof attr, (fov_node *const[]){x, weight, bias},
                         3, 2);
}
