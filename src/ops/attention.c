/* Multi-head self-attention in one piece: softmax(q k^T / sqrt(d / heads)) v (Vaswani et al. 2017, section 3.2).
 *
 * One chunk is one (image, head). Its logits live in the worker's scratch, 64 query rows at a time, and stay in cache; only the log of
 * each row's sum is kept for backward, which computes the probabilities again from it (as FlashAttention, Dao et al. 2022). With
 * p = softmax(s) and dp = dout v^T:  dv = p^T dout,  ds = p (dp - sum_j p dp),  dq = ds k / sqrt,  dk = ds^T q / sqrt.
 * Query blocks of one head are added to dk and dv in order by the same chunk, so no two chunks write the same numbers. */
#include <math.h>

#include "kernels/gemm.h"
#include "ops/token_shared.h"

#define QUERY_ROWS 64 /* 64 x 197 floats are 50 KiB: two such blocks fit a core's L2 cache */

typedef struct attention_attr {
    size_t heads;
} attention_attr;

/* Sizes and strides of one call. */
typedef struct attention_dims {
    size_t n, t, d, heads, head;
    fov_real scale;
} attention_dims;

static attention_dims dims_of(const fov_node *node) {
    const size_t *shape = node->shape.dim;
    const size_t heads = ((const attention_attr *)node->attr)->heads;
    attention_dims m = {.n = shape[0], .t = shape[1], .d = shape[2], .heads = heads, .head = shape[2] / heads};
    m.scale = (fov_real)(1.0 / sqrt((double)m.head));
    return m;
}

static fov_status infer(fov_node *node) {
    const size_t heads = ((const attention_attr *)node->attr)->heads;
    FOV_TRY(fov_token_check(node, 0, "tokens [n, t, 3 d]", 3, FOV_DTYPE_REAL));
    const size_t *x = node->input[0]->shape.dim;
    if (heads == 0 || x[2] % 3 != 0 || (x[2] / 3) % heads != 0) {
        char text[128];
        return FOV_FAIL(FOV_E_INVALID, "needs input [n, t, 3 d] with d a multiple of its %zu heads, got %s", heads,
                        fov_shape_text(&node->input[0]->shape, text, sizeof text));
    }
    const size_t rows = x[1] < QUERY_ROWS ? x[1] : QUERY_ROWS;
    FOV_TRY(fov_token_bytes(&node->stash_bytes, (const size_t[]){x[0], heads, x[1], sizeof(fov_real)}, 4));
    FOV_TRY(fov_token_bytes(&node->worker_work, (const size_t[]){2, rows, x[1], sizeof(fov_real)}, 4));
    return fov_token_output(node, FOV_SHAPE(x[0], x[1], x[2] / 3));
}

static fov_matrix rows_of(const fov_real *data, size_t stride) {
    return (fov_matrix){.data = data, .stride = stride, .transposed = false};
}

static fov_matrix columns_of(const fov_real *data, size_t stride) {
    return (fov_matrix){.data = data, .stride = stride, .transposed = true};
}

static void forward_chunk(void *context, size_t chunk, unsigned worker) {
    const fov_step *step = context;
    const attention_dims m = dims_of(step->node);
    const size_t image = chunk / m.heads;
    const size_t head = chunk % m.heads;
    const fov_real *q = (const fov_real *)step->in[0] + image * m.t * 3 * m.d + head * m.head;
    const fov_real *k = q + m.d;
    const fov_real *v = k + m.d;
    fov_real *out = (fov_real *)step->out + image * m.t * m.d + head * m.head;
    fov_real *lse = step->stash == NULL ? NULL : (fov_real *)step->stash + chunk * m.t;
    fov_real *p = fov_step_worker(step, worker);
    for (size_t first = 0; first < m.t; first += QUERY_ROWS) {
        const size_t rows = m.t - first < QUERY_ROWS ? m.t - first : QUERY_ROWS;
        fov_gemm_serial(p, m.t, rows_of(q + first * 3 * m.d, 3 * m.d), columns_of(k, 3 * m.d), rows, m.t, m.head, m.scale, 0);
        step->k->softmax_rows(p, lse == NULL ? NULL : lse + first, p, rows, m.t);
        fov_gemm_serial(out + first * m.d, m.d, rows_of(p, m.t), rows_of(v, 3 * m.d), rows, m.head, m.t, 1, 0);
    }
}

static void backward_chunk(void *context, size_t chunk, unsigned worker) {
    const fov_step *step = context;
    const attention_dims m = dims_of(step->node);
    const size_t stride = 3 * m.d;
    const size_t start = (chunk / m.heads) * m.t * stride + (chunk % m.heads) * m.head;
    const fov_real *q = (const fov_real *)step->in[0] + start;
    const fov_real *k = q + m.d;
    const fov_real *v = k + m.d;
    fov_real *dq = step->grad_in[0] + start;
    fov_real *dk = dq + m.d;
    fov_real *dv = dk + m.d;
    const fov_real *dout = step->grad_out + (chunk / m.heads) * m.t * m.d + (chunk % m.heads) * m.head;
    const fov_real *lse = (const fov_real *)step->stash + chunk * m.t;
    const fov_real keep = step->accumulate[0] ? 1 : 0;
    fov_real *p = fov_step_worker(step, worker);
    fov_real *dp = p + (m.t < QUERY_ROWS ? m.t : QUERY_ROWS) * m.t;
    for (size_t first = 0; first < m.t; first += QUERY_ROWS) {
        const size_t rows = m.t - first < QUERY_ROWS ? m.t - first : QUERY_ROWS;
        const fov_real beta = first == 0 ? keep : 1;
        const fov_real *dout_rows = dout + first * m.d;
        const fov_real *q_rows = q + first * stride;
        fov_gemm_serial(p, m.t, rows_of(q_rows, stride), columns_of(k, stride), rows, m.t, m.head, m.scale, 0);
        step->k->softmax_from_lse(p, lse + first, rows, m.t);
        fov_gemm_serial(dv, stride, columns_of(p, m.t), rows_of(dout_rows, m.d), m.t, m.head, rows, 1, beta);
        fov_gemm_serial(dp, m.t, rows_of(dout_rows, m.d), columns_of(v, stride), rows, m.t, m.head, 1, 0);
        step->k->softmax_backward_rows(dp, p, rows, m.t);
        fov_gemm_serial(dq + first * stride, stride, rows_of(dp, m.t), rows_of(k, stride), rows, m.head, m.t, m.scale, keep);
        fov_gemm_serial(dk, stride, columns_of(dp, m.t), rows_of(q_rows, stride), m.t, m.head, rows, m.scale, beta);
    }
}

static void forward(const fov_step *step) {
    const attention_dims m = dims_of(step->node);
    fov_pool_for(step->pool, m.n * m.heads, forward_chunk, (void *)step);
}

static void backward(const fov_step *step) {
    const attention_dims m = dims_of(step->node);
    if (step->grad_in[0] != NULL) {
        fov_pool_for(step->pool, m.n * m.heads, backward_chunk, (void *)step);
    }
}

/* Two products forward, five backward; a softmax counted as 8 operations a logit. */
static fov_cost cost(const fov_node *node) {
    const attention_dims m = dims_of(node);
    const double logits = (double)m.n * (double)m.heads * (double)m.t * (double)m.t;
    const double product = 2.0 * logits * (double)m.head;
    const double tokens = (double)fov_shape_count(&node->shape) * (double)sizeof(fov_real);
    return (fov_cost){.forward_flops = 2.0 * product + 8.0 * logits,
                      .backward_flops = 5.0 * product + 12.0 * logits,
                      .forward_bytes = 4.0 * tokens,
                      .backward_bytes = 7.0 * tokens};
}

const fov_op fov_op_attention = {.name = "attention",
                                 .infer = infer,
                                 .forward = forward,
                                 .backward = backward,
                                 .cost = cost,
                                 .reads = FOV_READS_IN(0),
                                 .inplace = -1};

fov_node *fov_attention(fov_graph *g, fov_node *qkv, size_t heads) {
    const attention_attr attr = {.heads = heads};
    return fov_graph_add(g, &fov_op_attention, &attr, sizeof attr, (fov_node *const[]){qkv}, 1, 1);
}
