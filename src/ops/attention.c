/* Multi-head self-attention in one piece: softmax(q k^T / sqrt(d / heads)) v (Vaswani et al. 2017, section 3.2).
 *
 * One (image, head) is one call of a kernel (kernels/isa/attention_head.c), and no two write the same numbers. Its logits live in the
 * worker's scratch; only two numbers a row are kept for backward, which computes the probabilities again from them (as FlashAttention, Dao
 * et al. 2022), a block of queries at a time. A block's p and ds, all keys wide, stay in a core's L2 cache; the blocks of a head are added
 * to dk and dv in order. What the next head reads and writes is fetched meanwhile. A chunk is one head, so that threads finish together,
 * or up to three where there are many images of few tokens, whose heads are short: the next head is then mostly of the same chunk. */
#include <math.h>

#include "base/checked.h"
#include "ops/token_shared.h"

#define BLOCK_BYTES ((size_t)192 << 10) /* of p, and as much of ds: 224 queries of 197 keys */
#define MANY_IMAGES 16                  /* chunks enough to share evenly */
#define FEW_TOKENS 96                   /* a head takes some 20 us at most */
#define MOST_HEADS 3                    /* of a chunk: all six of an image left a thread waiting for up to 60 us of 450 */

typedef struct attention_attr {
    size_t heads;
} attention_attr;

static size_t heads_of(const fov_node *node) {
    return ((const attention_attr *)node->attr)->heads;
}

/* Queries that backward takes at a time: panels of `columns`, at least one, no more than there are. */
static size_t block_of(size_t t, size_t columns) {
    const size_t fit = BLOCK_BYTES / sizeof(fov_real) / t / columns, all = (t + columns - 1) / columns;
    return columns * (fit == 0 ? 1 : (fit < all ? fit : all));
}

/* Scratch of a worker, see kernels.def: what backward or forward needs most of. */
static fov_status scratch_bytes(size_t *bytes, size_t t, size_t head) {
    const size_t columns = fov_kernels_get()->tile_columns(), block = block_of(t, columns);
    size_t d = 0, rows = 0, panels = 0, logits = 0;
    const size_t most = 2 * block > FOV_ATTENTION_COLUMNS ? 2 * block : FOV_ATTENTION_COLUMNS;
    const bool fits = fov_round_up(head, columns, &d) && fov_add_size(t, block + FOV_ATTENTION_COLUMNS, &rows) &&
                      fov_product_size((const size_t[]){2, rows, d, sizeof(fov_real)}, 4, &panels) &&
                      fov_product_size((const size_t[]){most, t, sizeof(fov_real)}, 3, &logits) && fov_add_size(panels, logits, bytes);
    return fits ? FOV_OK : FOV_FAIL(FOV_E_LIMIT, "needs more scratch than this machine can address; use a smaller image");
}

static fov_status infer(fov_node *node) {
    const size_t heads = heads_of(node);
    FOV_TRY(fov_token_check(node, 0, "tokens [n, t, 3 d]", 3, FOV_DTYPE_REAL));
    const size_t *x = node->input[0]->shape.dim;
    if (heads == 0 || x[2] % 3 != 0 || (x[2] / 3) % heads != 0) {
        char text[128];
        return FOV_FAIL(FOV_E_INVALID, "needs input [n, t, 3 d] with d a multiple of its %zu heads, got %s", heads,
                        fov_shape_text(&node->input[0]->shape, text, sizeof text));
    }
    FOV_TRY(fov_token_bytes(&node->stash_bytes, (const size_t[]){x[0], heads, x[1], 2 * sizeof(fov_real)}, 4));
    FOV_TRY(scratch_bytes(&node->worker_work, x[1], x[2] / 3 / heads));
    return fov_token_output(node, FOV_SHAPE(x[0], x[1], x[2] / 3));
}

/* Heads of a chunk: an even share of an image's, or one. */
static size_t heads_per_chunk(const fov_node *node) {
    size_t heads = node->shape.dim[0] >= MANY_IMAGES && node->shape.dim[1] <= FEW_TOKENS ? MOST_HEADS : 1;
    while (heads_of(node) % heads != 0) {
        heads--;
    }
    return heads;
}

/* Where a head's numbers begin in [n, t, width], `which` counting the heads of all images. */
static size_t place_of(const fov_node *node, size_t which, size_t width) {
    const size_t *shape = node->shape.dim, heads = heads_of(node);
    return which / heads * shape[1] * width + which % heads * (shape[2] / heads);
}

/* The head that this worker is likely to do next: of its chunk, or of the chunk that is free when each worker has taken one. */
static size_t next_of(const fov_step *step, size_t which) {
    const size_t per = heads_per_chunk(step->node);
    return (which + 1) % per != 0 ? which + 1 : (which / per + fov_pool_threads(step->pool)) * per;
}

/* A head's operands; those of backward are NULL in forward. */
static fov_attention_head head_of(const fov_step *step, size_t which) {
    const size_t *shape = step->node->shape.dim, t = shape[1], d = shape[2], heads = heads_of(step->node), head = d / heads;
    const size_t in = place_of(step->node, which, 3 * d), out = place_of(step->node, which, d), next = next_of(step, which);
    const fov_real *q = (const fov_real *)step->in[0] + in;
    fov_attention_head h = {.q = q, .k = q + d, .v = q + 2 * d, .out = (fov_real *)step->out + out};
    if (next < shape[0] * heads) {
        h.next = place_of(step->node, next, 3 * d) - in;
        h.next_out = place_of(step->node, next, d) - out;
        h.next_stats = 2 * (next - which) * t;
    }
    h.stride = 3 * d;
    h.out_stride = d;
    h.t = t;
    h.head = head;
    h.block = block_of(t, step->k->tile_columns());
    h.scale = (fov_real)(1.0 / sqrt((double)head));
    h.stats = step->stash == NULL ? NULL : (fov_real *)step->stash + 2 * which * t;
    if (step->grad_in[0] != NULL) {
        h.dout = step->grad_out + out;
        h.dq = step->grad_in[0] + in;
        h.dk = h.dq + d;
        h.dv = h.dk + d;
        h.accumulate = step->accumulate[0];
    }
    return h;
}

static void forward_chunk(void *context, size_t chunk, unsigned worker) {
    const fov_step *step = context;
    const size_t per = heads_per_chunk(step->node);
    for (size_t which = chunk * per; which < (chunk + 1) * per; which++) {
        const fov_attention_head h = head_of(step, which);
        step->k->attention_forward(&h, fov_step_worker(step, worker));
    }
}

static void backward_chunk(void *context, size_t chunk, unsigned worker) {
    const fov_step *step = context;
    const size_t per = heads_per_chunk(step->node);
    for (size_t which = chunk * per; which < (chunk + 1) * per; which++) {
        const fov_attention_head h = head_of(step, which);
        step->k->attention_backward(&h, fov_step_worker(step, worker));
    }
}

static size_t chunks_of(const fov_node *node) {
    return node->shape.dim[0] * heads_of(node) / heads_per_chunk(node);
}

static void forward(const fov_step *step) {
    fov_pool_for(step->pool, chunks_of(step->node), forward_chunk, (void *)step);
}

static void backward(const fov_step *step) {
    if (step->grad_in[0] != NULL) {
        fov_pool_for(step->pool, chunks_of(step->node), backward_chunk, (void *)step);
    }
}

/* Operations a logit besides those of products, as the kernel does them, a multiply-add counted as two. */
enum {
    EXPONENTIAL = 13,                        /* what is left of rounding 1 + 1, polynomial 10, power of two 1 */
    SOFTMAX = EXPONENTIAL + 1 + 1 + 1 + 1,   /* scale, largest, difference from it, sum */
    SLOPES = EXPONENTIAL + 1 + 1 + 1 + 2 + 1 /* scale, difference from the largest, over the sum; scaled dp - D, times p */
};

/* Two products forward, five backward. */
static fov_cost cost(const fov_node *node) {
    const size_t *shape = node->shape.dim, heads = heads_of(node);
    const double logits = (double)shape[0] * (double)heads * (double)shape[1] * (double)shape[1];
    const double product = 2.0 * logits * (double)(shape[2] / heads);
    const double tokens = (double)fov_shape_count(&node->shape) * (double)sizeof(fov_real);
    return (fov_cost){.forward_flops = 2.0 * product + SOFTMAX * logits,
                      .backward_flops = 5.0 * product + SLOPES * logits,
                      .forward_bytes = 4.0 * tokens,
                      .backward_bytes = 8.0 * tokens};
}

const fov_op fov_op_attention = {.name = "attention",
                                 .infer = infer,
                                 .forward = forward,
                                 .backward = backward,
                                 .cost = cost,
                                 .reads = FOV_READS_IN(0) | FOV_READS_OUT,
                                 .inplace = -1};

fov_node *fov_attention(fov_graph *g, fov_node *qkv, size_t heads) {
    const attention_attr attr = {.heads = heads};
    return fov_graph_add(g, &fov_op_attention, &attr, sizeof attr, (fov_node *const[]){qkv}, 1, 1);
}
