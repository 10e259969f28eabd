/* Attention of one head of one image, forward and backward, from register tiles whose operands are packed once a head.
 *
 * Logits are kept transposed, in panels [keys, TILE_COLUMNS queries]: a vector holds one key's logits for as many queries, so maxima, sums
 * and exponentials of the softmax need no reduction across lanes, and the panel is at once the operand A, in the order in which a tile
 * reads it, of the products with as many rows as queries (p v, ds k). Products with as many rows as keys (p^T dout, ds^T q) read it by
 * rows, whose distance is a constant.
 *
 * Forward makes one panel, over all keys, in L1 or L2. Backward makes p and ds for a block of queries that fit L2 together, then adds the
 * block to dk and dv. With p = softmax(s), D_i = dout_i . out_i:  ds = p (dout v^T - D) (Dao et al. 2022, section 3.1 and appendix B).
 *
 * Exponentials are of base 2, and log2 e is in the scale of the logits: 2^x = 2^n 2^r, n = round(x), and 2^r a polynomial of degree 5
 * fitted for the least largest relative error (9e-8) that is 1 at 0. Exponents below -125 count as -125, so that no subnormal numbers
 * arise; NaN stays NaN. */
#include <math.h>

#include "kernels/isa_tile.h"

#if defined(__AVX2__)
#include <immintrin.h>
#endif

#define LOG2_E ((fov_real)1.44269504088896340736)
#define LOWEST_EXPONENT (-125)

enum { LINE = 64 / (int)sizeof(fov_real) };

/* ---- vectors ---- */

INLINE vec every(fov_real x) {
    return x - (vec){0};
}

#ifdef FOVEA_DOUBLE

INLINE vec exp2_of(vec x) {
    for (size_t i = 0; i < LANES; i++) {
        x[i] = exp2(x[i]);
    }
    return x;
}

INLINE vec larger(vec x, vec y) {
    for (size_t i = 0; i < LANES; i++) {
        x[i] = x[i] > y[i] ? x[i] : y[i];
    }
    return x;
}

#else

typedef int32_t int_vec __attribute__((vector_size(VECTOR_BYTES)));

/* y where either is NaN. */
INLINE vec larger(vec x, vec y) {
#if defined(__AVX512F__)
    return _mm512_max_ps(x, y);
#elif defined(__AVX2__)
    return _mm256_max_ps(x, y);
#else
    const int_vec above = x > y;
    return (vec)((above & (int_vec)x) | (~above & (int_vec)y));
#endif
}

#define ROUND_MAGIC 12582912.0F /* 1.5 * 2^23: adding it leaves the nearest integer in the low bits */

INLINE vec exp2_of(vec x) {
    x = larger(every(LOWEST_EXPONENT), x);
    const vec shifted = x + ROUND_MAGIC;
    const vec r = x - (shifted - ROUND_MAGIC);
    vec p = every(1.326472725e-3F);
    p = p * r + 9.671512688e-3F;
    p = p * r + 5.550733744e-2F;
    p = p * r + 2.402224208e-1F;
    p = p * r + 6.931469776e-1F;
    p = p * r + 1.0F;
    return (vec)((int_vec)p + ((int_vec)shifted << 23)); /* the magic number's own bits are shifted out */
}

#endif

/* ---- tiles ---- */

/* wide: A by columns of a panel of logits; tall and slim: A by rows of panels, C two vectors and one vector wide. */
#define TILE(n)                                                                                                                            \
    static void wide_##n(fov_real *c, size_t c_stride, const tile_operands *o, const fov_real *alpha, int add) {                           \
        tile_of(n, 2, 1, c, c_stride, o, alpha, add);                                                                                      \
    }                                                                                                                                      \
    static void tall_##n(fov_real *c, size_t c_stride, const tile_operands *o, const fov_real *alpha, int add) {                           \
        tile_of(n, 2, TILE_COLUMNS, c, c_stride, o, alpha, add);                                                                           \
    }                                                                                                                                      \
    static void slim_##n(fov_real *c, size_t c_stride, const tile_operands *o, const fov_real *alpha, int add) {                           \
        tile_of(n, 1, TILE_COLUMNS, c, c_stride, o, alpha, add);                                                                           \
    }
EACH_TILE(TILE)
#undef TILE

typedef void (*tile_fn)(fov_real *c, size_t c_stride, const tile_operands *o, const fov_real *alpha, int add);

#define WIDE(n) wide_##n,
#define TALL(n) tall_##n,
#define SLIM(n) slim_##n,
static const tile_fn wide[TILE_ROWS + 1] = {NULL, EACH_TILE(WIDE)};
static const tile_fn tall[TILE_ROWS + 1] = {NULL, EACH_TILE(TALL)};
static const tile_fn slim[TILE_ROWS + 1] = {NULL, EACH_TILE(SLIM)};

/* How m rows are cut into tiles of nearly one size. */
INLINE size_t tiles_of(size_t m) {
    return (m + TILE_ROWS - 1) / TILE_ROWS;
}

INLINE size_t tile_first(size_t m, size_t tile) {
    return m * tile / tiles_of(m);
}

INLINE size_t padded(size_t width) {
    return (width + TILE_COLUMNS - 1) / TILE_COLUMNS * TILE_COLUMNS;
}

/* C [m, width] (+)= alpha A B for tiles of one kind: A's rows lie a_row apart, B's panels of all k rows follow each other. alpha has a
 * number for each row when alpha_step is 1, TILE_ROWS of them when it is 0. */
typedef struct product {
    const tile_fn *tiles;
    size_t a_row, m, width;
    tile_operands o;
    const fov_real *alpha;
    size_t alpha_step;
    int add;
} product;

static void multiply(fov_real *c, size_t c_stride, const product *x) {
    _Alignas(64) fov_real buffer[TILE_ROWS * TILE_COLUMNS];
    for (size_t t = 0; t < tiles_of(x->m); t++) {
        const size_t first = tile_first(x->m, t), rows = tile_first(x->m, t + 1) - first;
        const fov_real *alpha = x->alpha + first * x->alpha_step;
        tile_operands o = x->o;
        o.a += first * x->a_row;
        for (size_t j = 0; j < x->width; j += TILE_COLUMNS, o.b += TILE_COLUMNS * o.k) {
            fov_real *to = c + first * c_stride + j;
            if (x->width - j >= TILE_COLUMNS) {
                x->tiles[rows](to, c_stride, &o, alpha, x->add);
                continue;
            }
            x->tiles[rows](buffer, TILE_COLUMNS, &o, alpha, 0);
            store_narrow(to, c_stride, buffer, rows, x->width - j, x->add ? 1 : 0);
        }
    }
}

/* Rows of x as panels [n, TILE_COLUMNS], zeros beyond `head`: operand B with n steps, or operand A with n rows. */
static void pack_panels(fov_real *panels, const fov_real *x, size_t stride, size_t n, size_t head) {
    for (size_t j = 0; j < head; j += TILE_COLUMNS) {
        const size_t lanes = head - j < TILE_COLUMNS ? head - j : TILE_COLUMNS;
        FOV_ISA_FN(pack_rows)(panels + j * n, TILE_COLUMNS, TILE_COLUMNS, x + j, stride, lanes, n);
    }
}

INLINE void ask(const fov_real *row, size_t n) {
    for (size_t j = 0; j < n; j += LINE) {
        __builtin_prefetch(row + j, 0, 2);
    }
}

INLINE void ask_to_write(const fov_real *row, size_t n) {
    for (size_t j = 0; j < n; j += LINE) {
        __builtin_prefetch(row + j, 1, 2);
    }
}

/* Brings part `part` of `parts` of the rows into L2 that this head will write and the next will read: rows are short pieces far apart,
 * which the processor's own prefetching does not see coming. Inline, as compilers take a function that only prefetches for one without
 * effects, and drop its calls. */
INLINE void prefetch_rows(const fov_attention_head *h, size_t part, size_t parts) {
    for (size_t i = h->t * part / parts; i < h->t * (part + 1) / parts; i++) {
        const size_t row = i * h->stride, next = row + h->next, out = i * h->out_stride, next_out = out + h->next_out;
        ask(h->q + next, h->head);
        ask(h->k + next, h->head);
        ask(h->v + next, h->head);
        if (h->dout == NULL) {
            ask_to_write(h->out + out, h->head);
            continue;
        }
        ask(h->out + next_out, h->head);
        ask(h->dout + next_out, h->head);
        ask_to_write(h->dq + row, h->head);
        ask_to_write(h->dk + row, h->head);
        ask_to_write(h->dv + row, h->head);
    }
}

/* ---- panels of logits ---- */

/* y [rows of a tile, TILE_COLUMNS] = alpha A B for `vectors` vectors of queries; A: rows of the t in panels, from row `first`. */
INLINE void logits_tile(const fov_attention_head *h, fov_real *y, size_t first, size_t rows, size_t vectors, const fov_real *panels,
                        const fov_real *columns, const fov_real *alpha) {
    const tile_operands o = {.a = panels + first * TILE_COLUMNS,
                             .b = columns,
                             .a_step = 1,
                             .a_jump = h->t * TILE_COLUMNS,
                             .segment = TILE_COLUMNS,
                             .k = h->head};
    (vectors > 1 ? tall : slim)[rows](y + first * TILE_COLUMNS, TILE_COLUMNS, &o, alpha, 0);
}

INLINE void fill_alpha(fov_real alpha[TILE_ROWS], fov_real value) {
    for (size_t i = 0; i < TILE_ROWS; i++) {
        alpha[i] = value;
    }
}

/* p = 2^(p - top), column by column; returns the sums. */
INLINE vec softmax_columns(fov_real *p, vec top, size_t t) {
    vec sum = {0};
    for (size_t key = 0; key < t; key++, p += TILE_COLUMNS) {
        const vec value = exp2_of(load(p) - top);
        store(p, value);
        sum += value;
    }
    return sum;
}

INLINE vec column_tops(const fov_real *p, vec top, size_t rows) {
    for (size_t i = 0; i < rows; i++) {
        top = larger(top, load(p + i * TILE_COLUMNS));
    }
    return top;
}

/* ---- forward ---- */

/* p = the probabilities of `vectors` vectors of queries, but for the factor 1 / sum of each. */
static void forward_panel(const fov_attention_head *h, fov_real *p, fov_real inverse[TILE_COLUMNS], fov_real tops[TILE_COLUMNS],
                          const fov_real *keys, const fov_real *queries, size_t query, size_t vectors) {
    const size_t tiles = tiles_of(h->t), panels = (h->t + TILE_COLUMNS - 1) / TILE_COLUMNS;
    fov_real alpha[TILE_ROWS];
    fill_alpha(alpha, h->scale * LOG2_E);
    vec top[2] = {every(-(fov_real)INFINITY), every(-(fov_real)INFINITY)};
    for (size_t i = 0; i < tiles; i++) {
        const size_t first = tile_first(h->t, i), rows = tile_first(h->t, i + 1) - first;
        prefetch_rows(h, query / TILE_COLUMNS * tiles + i, panels * tiles);
        logits_tile(h, p, first, rows, vectors, keys, queries, alpha);
        for (size_t v = 0; v < vectors; v++) {
            top[v] = column_tops(p + first * TILE_COLUMNS + v * LANES, top[v], rows);
        }
    }
    for (size_t v = 0; v < vectors; v++) {
        store(inverse + v * LANES, 1 / softmax_columns(p + v * LANES, top[v], h->t));
        store(tops + v * LANES, top[v]);
    }
}

void FOV_ISA_FN(attention_forward)(const fov_attention_head *h, fov_real *work) {
    const size_t t = h->t, head = h->head, wide_head = padded(head);
    fov_real *keys = work, *values = keys + t * wide_head, *queries = values + t * wide_head, *p = queries + TILE_COLUMNS * wide_head;
    pack_panels(keys, h->k, h->stride, t, head);
    pack_panels(values, h->v, h->stride, t, head);
    for (size_t first = 0; first < t; first += TILE_COLUMNS) {
        const size_t count = t - first < TILE_COLUMNS ? t - first : TILE_COLUMNS;
        _Alignas(64) fov_real inverse[TILE_COLUMNS], tops[TILE_COLUMNS];
        FOV_ISA_FN(pack_lanes)(queries, TILE_COLUMNS, h->q + first * h->stride, h->stride, count, head);
        forward_panel(h, p, inverse, tops, keys, queries, first, count > LANES ? 2 : 1);
        for (size_t i = 0; i < count && h->stats != NULL; i++) {
            h->stats[2 * (first + i)] = tops[i];
            h->stats[2 * (first + i) + 1] = inverse[i];
        }
        const product pv = {.tiles = wide,
                            .a_row = 1,
                            .m = count,
                            .width = head,
                            .o = {.a = p, .b = values, .a_step = TILE_COLUMNS, .segment = t, .k = t},
                            .alpha = inverse,
                            .alpha_step = 1};
        multiply(h->out + first * h->out_stride, h->out_stride, &pv);
    }
}

/* ---- backward ---- */

typedef struct backward_work {
    fov_real *keys, *values;                /* panels [t, TILE_COLUMNS] */
    fov_real *queries, *dout;               /* panels of a block of queries */
    fov_real *query_columns, *dout_columns; /* operands B of p and dp, of one panel of logits: [head, TILE_COLUMNS] */
    fov_real *p, *ds;                       /* [panels of a block, keys, TILE_COLUMNS] */
} backward_work;

static backward_work lay_out(const fov_attention_head *h, fov_real *work) {
    const size_t wide_head = padded(h->head);
    backward_work w = {.keys = work};
    w.values = w.keys + h->t * wide_head;
    w.queries = w.values + h->t * wide_head;
    w.dout = w.queries + h->block * wide_head;
    w.query_columns = w.dout + h->block * wide_head;
    w.dout_columns = w.query_columns + TILE_COLUMNS * wide_head;
    w.p = w.dout_columns + TILE_COLUMNS * wide_head;
    w.ds = w.p + h->block * h->t;
    return w;
}

/* What belongs to each query: forward's stats, and D. */
typedef struct query_numbers {
    _Alignas(64) fov_real top[TILE_COLUMNS];
    _Alignas(64) fov_real inverse[TILE_COLUMNS];
    _Alignas(64) fov_real along[TILE_COLUMNS];
} query_numbers;

/* Of `count` queries from `first`; zeros beyond. */
static void number_queries(const fov_attention_head *h, query_numbers *n, size_t first, size_t count) {
    for (size_t i = 0; i < TILE_COLUMNS; i++) {
        n->top[i] = n->inverse[i] = n->along[i] = 0;
    }
    for (size_t i = 0; i < count; i++) {
        const fov_real *out = h->out + (first + i) * h->out_stride, *dout = h->dout + (first + i) * h->out_stride;
        fov_real sum = 0;
#pragma omp simd reduction(+ : sum)
        for (size_t j = 0; j < h->head; j++) {
            sum += out[j] * dout[j];
        }
        n->top[i] = h->stats[2 * (first + i)];
        n->inverse[i] = h->stats[2 * (first + i) + 1];
        n->along[i] = sum;
    }
}

/* p and ds of a panel of queries, and their dq. */
static void backward_panel(const fov_attention_head *h, const backward_work *w, fov_real *p, fov_real *ds, size_t first, size_t count) {
    const size_t head = h->head, vectors = count > LANES ? 2 : 1;
    query_numbers n;
    fov_real scale2[TILE_ROWS], scale[TILE_ROWS], one[TILE_ROWS];
    fill_alpha(scale2, h->scale * LOG2_E);
    fill_alpha(scale, h->scale);
    fill_alpha(one, 1);
    number_queries(h, &n, first, count);
    FOV_ISA_FN(pack_lanes)(w->query_columns, TILE_COLUMNS, h->q + first * h->stride, h->stride, count, head);
    FOV_ISA_FN(pack_lanes)(w->dout_columns, TILE_COLUMNS, h->dout + first * h->out_stride, h->out_stride, count, head);
    const size_t tiles = tiles_of(h->t), panels = (h->t + TILE_COLUMNS - 1) / TILE_COLUMNS;
    for (size_t i = 0; i < tiles; i++) {
        prefetch_rows(h, first / TILE_COLUMNS * tiles + i, panels * tiles);
        const size_t key = tile_first(h->t, i), rows = tile_first(h->t, i + 1) - key;
        fov_real *pi = p + key * TILE_COLUMNS, *di = ds + key * TILE_COLUMNS;
        logits_tile(h, p, key, rows, vectors, w->keys, w->query_columns, scale2);
        logits_tile(h, ds, key, rows, vectors, w->values, w->dout_columns, one);
        for (size_t v = 0; v < vectors * LANES; v += LANES) {
            const vec top = load(n.top + v), inverse = load(n.inverse + v), along = load(n.along + v);
            for (size_t at = v; at < rows * TILE_COLUMNS; at += TILE_COLUMNS) {
                const vec value = exp2_of(load(pi + at) - top) * inverse;
                store(pi + at, value);
                store(di + at, value * (load(di + at) - along));
            }
        }
    }
    const product dq = {.tiles = wide,
                        .a_row = 1,
                        .m = count,
                        .width = head,
                        .o = {.a = ds, .b = w->keys, .a_step = TILE_COLUMNS, .segment = h->t, .k = h->t},
                        .alpha = scale,
                        .add = h->accumulate};
    multiply(h->dq + first * h->stride, h->stride, &dq);
}

/* dv (+)= p^T dout and dk (+)= scale ds^T q for a block of queries. */
static void backward_keys(const fov_attention_head *h, const backward_work *w, size_t first, size_t count) {
    fov_real scale[TILE_ROWS], one[TILE_ROWS];
    fill_alpha(scale, h->scale);
    fill_alpha(one, 1);
    pack_panels(w->queries, h->q + first * h->stride, h->stride, count, h->head);
    pack_panels(w->dout, h->dout + first * h->out_stride, h->out_stride, count, h->head);
    product x = {.tiles = tall,
                 .a_row = TILE_COLUMNS,
                 .m = h->t,
                 .width = h->head,
                 .o = {.a = w->p, .b = w->dout, .a_step = 1, .a_jump = h->t * TILE_COLUMNS, .segment = TILE_COLUMNS, .k = count},
                 .alpha = one,
                 .add = h->accumulate || first > 0};
    multiply(h->dv, h->stride, &x);
    x.o.a = w->ds;
    x.o.b = w->queries;
    x.alpha = scale;
    multiply(h->dk, h->stride, &x);
}

void FOV_ISA_FN(attention_backward)(const fov_attention_head *h, fov_real *work) {
    const backward_work w = lay_out(h, work);
    pack_panels(w.keys, h->k, h->stride, h->t, h->head);
    pack_panels(w.values, h->v, h->stride, h->t, h->head);
    for (size_t first = 0; first < h->t; first += h->block) {
        const size_t count = h->t - first < h->block ? h->t - first : h->block;
        for (size_t done = 0; done < count; done += TILE_COLUMNS) {
            const size_t here = count - done < TILE_COLUMNS ? count - done : TILE_COLUMNS;
            backward_panel(h, &w, w.p + done * h->t, w.ds + done * h->t, first + done, here);
        }
        backward_keys(h, &w, first, count);
    }
}
