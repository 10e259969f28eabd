/* Convolution: out[n, y, x, :] = bias + sum over kh, kw of in[n, y s + kh - p, x s + kw - p, :] W[:, kh, kw, :]^T, zeros outside the
 * picture.
 *
 * The direct passes are in conv_gather.c (forward and input gradient) and conv_weight.c (weight gradient); conv_winograd.c and
 * conv_winograd_weight.c take over where minimal filtering saves products, and conv_point.c where the window is one pixel. Which way is a
 * matter of shape alone. */
#include "base/checked.h"
#include "ops/conv.h"
#include "ops/ops.h"
#include "ops/row_shared.h"

typedef struct conv_attr {
    size_t stride, pad;
    fov_conv_choice choice;
} conv_attr;

static fov_conv conv_of(const fov_node *node) {
    const conv_attr *attr = node->attr;
    const size_t *x = node->input[0]->shape.dim;
    const size_t *w = node->input[1]->shape.dim;
    fov_conv c = {
        .n = x[0], .h = x[1], .w = x[2], .ci = x[3], .kh = w[1], .kw = w[2], .co = w[0], .stride = attr->stride, .pad = attr->pad};
    c.oh = (c.h + 2 * c.pad - c.kh) / c.stride + 1;
    c.ow = (c.w + 2 * c.pad - c.kw) / c.stride + 1;
    return c;
}

static fov_status check(const fov_node *node) {
    const conv_attr *attr = node->attr;
    const fov_shape *x = &node->input[0]->shape;
    const fov_shape *w = &node->input[1]->shape;
    char text[128];
    FOV_TRY(fov_check_real(node, 0));
    FOV_TRY(fov_check_real(node, 1));
    if (w->rank != 4 || fov_shape_count(w) == 0) {
        return FOV_FAIL(FOV_E_INVALID, "needs weight [out, kh, kw, in], got %s", fov_shape_text(w, text, sizeof text));
    }
    if (x->rank != 4 || x->dim[3] != w->dim[3] || fov_shape_count(x) == 0) {
        return FOV_FAIL(FOV_E_INVALID, "needs input [n, h, w, %zu], got %s", w->dim[3], fov_shape_text(x, text, sizeof text));
    }
    if (attr->stride == 0 || attr->pad >= w->dim[1] || attr->pad >= w->dim[2]) {
        return FOV_FAIL(FOV_E_INVALID, "needs stride >= 1 and padding smaller than its window %zu x %zu, got stride %zu, padding %zu",
                        w->dim[1], w->dim[2], attr->stride, attr->pad);
    }
    if (x->dim[1] + 2 * attr->pad < w->dim[1] || x->dim[2] + 2 * attr->pad < w->dim[2]) {
        return FOV_FAIL(FOV_E_INVALID, "needs pictures of at least its window %zu x %zu less padding %zu, got %s", w->dim[1], w->dim[2],
                        attr->pad, fov_shape_text(x, text, sizeof text));
    }
    if (node->input[2] != NULL) {
        FOV_TRY(fov_check_vector(node, 2, "bias", w->dim[0]));
    }
    return FOV_OK;
}

/* ---- which way ---- */

typedef struct conv_bytes {
    fov_conv_bytes forward, input, weight;
} conv_bytes;

/* A way to do all three passes. */
typedef struct conv_way {
    const char *name;
    conv_bytes (*bytes)(const fov_conv *c);
    void (*forward)(const fov_step *step, const fov_conv *c, fov_real *out, const fov_real *in, const fov_real *weight);
    void (*input)(const fov_step *step, const fov_conv *c, fov_real *din, const fov_real *dout, const fov_real *weight, bool add);
    void (*weight)(const fov_step *step, const fov_conv *c, fov_real *dweight, const fov_real *dout, const fov_real *in, bool add);
} conv_way;

static conv_bytes winograd_bytes(const fov_conv *c) {
    return (conv_bytes){fov_winograd_forward_bytes(c), fov_winograd_input_gradient_bytes(c), fov_winograd_weight_gradient_bytes(c)};
}

static conv_bytes direct_bytes(const fov_conv *c) {
    return (conv_bytes){fov_conv_forward_bytes(c), fov_conv_input_gradient_bytes(c), fov_conv_weight_gradient_bytes(c)};
}

static conv_bytes point_bytes(const fov_conv *c) {
    return (conv_bytes){fov_point_forward_bytes(c), fov_point_input_gradient_bytes(c), fov_point_weight_gradient_bytes(c)};
}

static const conv_way winograd = {"winograd", winograd_bytes, fov_winograd_forward, fov_winograd_input_gradient,
                                  fov_winograd_weight_gradient};
static const conv_way direct = {"direct", direct_bytes, fov_conv_forward, fov_conv_input_gradient, fov_conv_weight_gradient};
static const conv_way point = {"product", point_bytes, fov_point_forward, fov_point_input_gradient, fov_point_weight_gradient};

static const conv_way *way_of(const fov_node *node, const fov_conv *c) {
    const fov_conv_choice choice = ((const conv_attr *)node->attr)->choice;
    if (choice == FOV_CONV_DIRECT) {
        return &direct;
    }
    if (fov_point_suits(c)) {
        return &point;
    }
    return (choice == FOV_CONV_WINOGRAD ? fov_winograd_able(c) : fov_winograd_suits(c)) ? &winograd : &direct;
}

/* The output's pixels as rows, for the bias. */
static fov_row_cut bias_cut(const fov_node *node) {
    return fov_cut_shape(&node->shape);
}

static fov_status infer(fov_node *node) {
    FOV_TRY(check(node));
    const conv_attr *attr = node->attr;
    const size_t *x = node->input[0]->shape.dim;
    const size_t *w = node->input[1]->shape.dim;
    node->shape = FOV_SHAPE(x[0], (x[1] + 2 * attr->pad - w[1]) / attr->stride + 1, (x[2] + 2 * attr->pad - w[2]) / attr->stride + 1, w[0]);
    const fov_conv c = conv_of(node);
    const conv_bytes bytes = way_of(node, &c)->bytes(&c);
    const size_t bias = node->input[2] == NULL ? 0 : bias_cut(node).chunks * c.co * sizeof(fov_real);
    node->forward_work = bytes.forward.work;
    node->backward_work = fov_most_size(fov_most_size(bytes.input.work, bytes.weight.work), bias);
    node->worker_work = fov_most_size(bytes.forward.worker, fov_most_size(bytes.input.worker, bytes.weight.worker));
    return FOV_OK;
}

typedef struct bias_pass {
    const fov_step *step;
    fov_row_cut cut;
} bias_pass;

static void bias_chunk(void *context, size_t chunk, unsigned worker) {
    (void)worker;
    const bias_pass *p = context;
    fov_real *y = (fov_real *)p->step->out + fov_cut_first(&p->cut, chunk) * p->cut.width;
    p->step->k->linear_bias(y, p->step->in[2], fov_cut_count(&p->cut, chunk), p->cut.width);
}

static void forward(const fov_step *step) {
    const fov_conv c = conv_of(step->node);
    way_of(step->node, &c)->forward(step, &c, step->out, step->in[0], step->in[1]);
    if (step->in[2] != NULL) {
        bias_pass p = {step, bias_cut(step->node)};
        fov_pool_for(step->pool, p.cut.chunks, bias_chunk, &p);
    }
}

static void bias_gradient_chunk(void *context, size_t chunk, unsigned worker) {
    (void)worker;
    const bias_pass *p = context;
    const size_t d = p->cut.width;
    fov_real *sums = (fov_real *)p->step->work + chunk * d;
    p->step->k->fill(sums, 0, d);
    p->step->k->column_sums(sums, p->step->grad_out + fov_cut_first(&p->cut, chunk) * d, fov_cut_count(&p->cut, chunk), d);
}

static void backward(const fov_step *step) {
    const fov_conv c = conv_of(step->node);
    const conv_way *way = way_of(step->node, &c);
    const fov_conv_gradients both = {.din = step->grad_in[0],
                                     .dweight = step->grad_in[1],
                                     .dout = step->grad_out,
                                     .in = step->in[0],
                                     .weight = step->in[1],
                                     .add_in = step->accumulate[0],
                                     .add_weight = step->accumulate[1],
                                     .dout_later = step->grad_in[2] != NULL};
    const bool done = way == &point && both.din != NULL && both.dweight != NULL && fov_point_gradients(step, &c, &both);
    if (step->grad_in[0] != NULL && !done) {
        way->input(step, &c, step->grad_in[0], step->grad_out, step->in[1], step->accumulate[0]);
    }
    if (step->grad_in[1] != NULL && !done) {
        way->weight(step, &c, step->grad_in[1], step->grad_out, step->in[0], step->accumulate[1]);
    }
    if (step->grad_in[2] != NULL) {
        bias_pass p = {step, bias_cut(step->node)};
        fov_pool_for(step->pool, p.cut.chunks, bias_gradient_chunk, &p);
        fov_add_partials(step->k, step->grad_in[2], step->work, p.cut.chunks, c.co, step->accumulate[2]);
    }
}

/* Counted as a direct convolution with every tap, the custom of papers. */
static fov_cost cost(const fov_node *node) {
    const fov_conv c = conv_of(node);
    const double out = (double)fov_shape_count(&node->shape);
    const double in = (double)fov_shape_count(&node->input[0]->shape);
    const double weight = (double)fov_shape_count(&node->input[1]->shape);
    const double flops = 2.0 * out * (double)(c.kh * c.kw * c.ci);
    const double bytes = (in + out + weight) * (double)sizeof(fov_real);
    const double passes = (node->input[0]->needs_grad ? 1.0 : 0.0) + (node->input[1]->needs_grad ? 1.0 : 0.0);
    return (fov_cost){flops, passes * flops, bytes, passes * bytes};
}

static const char *variant(const fov_node *node) {
    const fov_conv c = conv_of(node);
    return way_of(node, &c)->name;
}

static unsigned joins(const fov_node *node, bool backward) {
    const fov_conv c = conv_of(node);
    const unsigned able = way_of(node, &c) == &point ? fov_point_joins(&c, backward) : 0U;
    return backward || node->input[2] == NULL ? able : able & ~FOV_JOINS_FIRST; /* a bias is added to rows that are complete */
}

const fov_op fov_op_conv2d = {.name = "conv2d",
                              .infer = infer,
                              .forward = forward,
                              .backward = backward,
                              .cost = cost,
                              .variant = variant,
                              .joins = joins,
                              .reads = FOV_READS_IN(0) | FOV_READS_IN(1),
                              .inplace = -1};

fov_node *fov_conv2d(fov_graph *g, fov_node *x, fov_node *weight, fov_node *bias, size_t stride, size_t pad) {
    const conv_attr attr = {.stride = stride, .pad = pad, .choice = g == NULL ? FOV_CONV_AUTO : fov_graph_conv(g)};
    return fov_graph_add(g, &fov_op_conv2d, &attr, sizeof attr, (fov_node *const[]){x, weight, bias}, 3, 2);
}
