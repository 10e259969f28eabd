/* Linear layer with bias and activation in one step: y = act(x W^T + b), x [rows, ci], W [co, ci], y [rows, co].
 *
 *   dz = dy act'(z),  dx = dz W,  dW = dz^T x,  db = sum of dz over rows
 *
 * Bias and activation follow the product part by part, while the part's rows are in cache; dz and the bias gradient are made likewise,
 * part by part before dx = dz W reads them. What backward reads differs by activation, hence descriptors of one name: none needs x
 * alone, ReLU also y (its sign tells the slope), GELU x and its pre-activation z, which forward leaves in the stash.
 */
#include "kernels/gemm.h"
#include "ops/ops.h"
#include "ops/row_shared.h"

typedef struct linear_attr {
    fov_act act;
    bool bf16; /* products; bias, activation and sums are float32 */
} linear_attr;

typedef struct linear_sizes {
    size_t rows, ci, co;
    bool bf16;
} linear_sizes;

static linear_sizes sizes_of(const fov_node *node) {
    const fov_shape *weight = &node->input[1]->shape;
    const size_t ci = weight->dim[1], co = weight->dim[0];
    return (linear_sizes){.rows = co > 0 ? fov_shape_count(&node->shape) / co : 0, .ci = ci, .co = co, .bf16 = ((const linear_attr *)node->attr)->bf16};
}

/* The three products; operands and what is done besides are the caller's to fill in. */
static fov_product forward_product(const linear_sizes *s) {
    return (fov_product){.c_stride = s->co, .a = {NULL, s->ci, false}, .b = {NULL, s->ci, true}, .m = s->rows, .n = s->co, .k = s->ci, .bf16 = s->bf16};
}

static fov_product input_product(const linear_sizes *s) {
    return (fov_product){.c_stride = s->ci, .a = {NULL, s->co, false}, .b = {NULL, s->ci, false}, .m = s->rows, .n = s->ci, .k = s->co, .bf16 = s->bf16};
}

static fov_product weight_product(const linear_sizes *s) {
    return (fov_product){.c_stride = s->ci, .a = {NULL, s->co, true}, .b = {NULL, s->ci, false}, .m = s->co, .n = s->ci, .k = s->rows, .bf16 = s->bf16};
}

static fov_act act_of(const fov_node *node) {
    return ((const linear_attr *)node->attr)->act;
}

/* ---- shape ---- */

static size_t larger(size_t a, size_t b) {
    return a > b ? a : b;
}

/* dz lies in grad_work, which the plan puts over grad_out where that is read by nobody else. Backward's other scratch: [partial bias
 * gradients] [the products' own]. */
static size_t partial_bytes(const fov_node *node, const linear_sizes *s) {
    const fov_product parts = input_product(s);
    return node->input[2] != NULL ? (fov_product_parts(&parts) * s->co * sizeof(fov_real) + 63) / 64 * 64 : 0;
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
    const fov_product y = forward_product(&s), dx = input_product(&s), dw = weight_product(&s);
    node->forward_work = fov_product_work(&y);
    node->stash_bytes = act_of(node) == FOV_ACT_GELU ? s.rows * s.co * sizeof(fov_real) : 0;
    node->grad_work = act_of(node) != FOV_ACT_NONE ? s.rows * s.co * sizeof(fov_real) : 0;
    node->backward_work = partial_bytes(node, &s) + larger(fov_product_work(&dx), fov_product_work(&dw));
    return FOV_OK;
}

/* ---- forward ---- */

typedef struct linear_pass {
    const fov_step *step;
    linear_sizes s;
    fov_act act;
    fov_product product;
    fov_real *dz, *partial; /* backward */
} linear_pass;

static void activate_part(void *context, size_t part) {
    const linear_pass *pass = context;
    const fov_step *step = pass->step;
    size_t first, rows;
    fov_product_part(&pass->product, part, &first, &rows);
    const size_t d = pass->s.co;
    fov_real *y = (fov_real *)step->out + first * d;
    if (pass->act == FOV_ACT_GELU) {
        step->k->linear_bias_gelu(y, (fov_real *)step->stash + first * d, step->in[2], rows, d);
    } else if (pass->act == FOV_ACT_RELU) {
        step->k->linear_bias_relu(y, step->in[2], rows, d);
    } else {
        step->k->linear_bias(y, step->in[2], rows, d);
    }
}

/* y = gelu(z) once more from the stash, which has the bias in it. */
static void gelu_again_part(void *context, size_t part, unsigned worker) {
    (void)worker;
    const linear_pass *pass = context;
    size_t first, rows;
    fov_product_part(&pass->product, part, &first, &rows);
    const size_t at = first * pass->s.co;
    pass->step->k->linear_bias_gelu((fov_real *)pass->step->out + at, (fov_real *)pass->step->stash + at, NULL, rows, pass->s.co);
}

static void gelu_again(const fov_step *step) {
    linear_pass pass = {.step = step, .s = sizes_of(step->node), .act = FOV_ACT_GELU};
    pass.product = forward_product(&pass.s);
    fov_pool_for(step->pool, fov_product_parts(&pass.product), gelu_again_part, &pass);
}

static void forward(const fov_step *step) {
    linear_pass pass = {.step = step, .s = sizes_of(step->node), .act = act_of(step->node)};
    fov_product *p = &pass.product;
    *p = forward_product(&pass.s);
    p->c = pass.act == FOV_ACT_GELU ? step->stash : step->out;
    p->a.data = step->in[0];
    p->b.data = step->in[1];
    p->after = pass.act != FOV_ACT_NONE || step->in[2] != NULL ? activate_part : NULL;
    p->context = &pass;
    fov_product_run(step->pool, p, step->work);
}

/* ---- backward ---- */

/* dz of a part, and its column sums while it is in cache. */
static void slope_part(void *context, size_t part) {
    const linear_pass *pass = context;
    const fov_step *step = pass->step;
    size_t first, rows;
    fov_product_part(&pass->product, part, &first, &rows);
    const size_t d = pass->s.co, at = first * d;
    const fov_real *dz = step->grad_out + at;
    if (pass->act != FOV_ACT_NONE) {
        fov_real *out = pass->dz + at;
        if (pass->act == FOV_ACT_GELU) {
            step->k->gelu_backward(out, dz, (const fov_real *)step->stash + at, rows * d);
        } else {
            step->k->relu_backward(out, dz, (const fov_real *)step->out + at, rows * d);
        }
        dz = out;
    }
    if (pass->partial != NULL) {
        step->k->fill(pass->partial + part * d, 0, d);
        step->k->column_sums(pass->partial + part * d, dz, rows, d);
    }
}

static void slope_chunk(void *context, size_t chunk, unsigned worker) {
    (void)worker;
    slope_part(context, chunk);
}

static void input_gradient(linear_pass *pass, const fov_real *dz, void *work) {
    const fov_step *step = pass->step;
    fov_product *p = &pass->product;
    const bool slope = pass->dz != NULL || pass->partial != NULL;
    if (step->grad_in[0] != NULL) {
        p->c = step->grad_in[0];
        p->a.data = dz;
        p->b.data = step->in[1];
        p->beta = step->accumulate[0] ? 1 : 0;
        p->before = slope ? slope_part : NULL;
        p->context = pass;
        fov_product_run(step->pool, p, work);
    } else if (slope) {
        fov_pool_for(step->pool, fov_product_parts(p), slope_chunk, pass);
    }
}

static void backward(const fov_step *step) {
    linear_pass pass = {.step = step, .s = sizes_of(step->node), .act = act_of(step->node)};
    pass.product = input_product(&pass.s);
    unsigned char *work = step->work;
    const fov_real *dz = step->grad_out;
    if (pass.act != FOV_ACT_NONE) {
        pass.dz = step->grad_work;
        dz = pass.dz;
    }
    if (step->grad_in[2] != NULL) {
        pass.partial = (fov_real *)(void *)work;
        work += partial_bytes(step->node, &pass.s);
    }
    input_gradient(&pass, dz, work);
    if (step->grad_in[1] != NULL) {
        fov_product p = weight_product(&pass.s);
        p.c = step->grad_in[1];
        p.a.data = dz;
        p.b.data = step->in[0];
        p.beta = step->accumulate[1] ? 1 : 0;
        fov_product_run(step->pool, &p, work);
    }
    if (step->grad_in[2] != NULL) {
        fov_add_partials(step->k, step->grad_in[2], pass.partial, fov_product_parts(&pass.product), pass.s.co, step->accumulate[2]);
    }
}

static fov_cost cost(const fov_node *node) {
    const linear_sizes s = sizes_of(node);
    const double rows = (double)s.rows, ci = (double)s.ci, co = (double)s.co;
    const double product = 2.0 * rows * ci * co, bytes = (rows * ci + rows * co + ci * co) * (double)sizeof(fov_real);
    const double products = (node->input[0]->needs_grad ? 1.0 : 0.0) + (node->input[1]->needs_grad ? 1.0 : 0.0);
    return (fov_cost){product, products * product, bytes, products * bytes};
}

#define LINEAR_OP(extra, again_)                                                                                                           \
    {                                                                                                                                      \
        .name = "linear", .infer = infer, .forward = forward, .backward = backward, .cost = cost,                                          \
        .reads = FOV_READS_IN(0) | FOV_READS_IN(1) | (extra), .again = (again_), .inplace = -1                                             \
    }

const fov_op fov_op_linear = LINEAR_OP(0U, NULL);
static const fov_op linear_relu = LINEAR_OP(FOV_READS_OUT, NULL);
static const fov_op linear_gelu = LINEAR_OP(0U, gelu_again);

fov_node *fov_linear(fov_graph *g, fov_node *x, fov_node *weight, fov_node *bias, fov_act act) {
    const linear_attr attr = {.act = act, .bf16 = fov_graph_precision(g) == FOV_PRECISION_BF16};
    const fov_op *op = act == FOV_ACT_RELU ? &linear_relu : act == FOV_ACT_GELU ? &linear_gelu : &fov_op_linear;
    return fov_graph_add(g, op, &attr, sizeof attr, (fov_node *const[]){x, weight, bias}, 3, 2);
}
