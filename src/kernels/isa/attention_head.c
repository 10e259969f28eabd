/* Attention of one head of one image, forward and backward, from register tiles that read their operands as they lie.
 *
 * Logits are kept transposed, in panels [keys, TILE_COLUMNS queries]: a vector holds one key's logits for as many queries, so maxima, sums
 * and exponentials of the softmax need no reduction across lanes, and the panel is at once the operand A, in the order in which a tile
 * reads it, of the products with as many rows as queries (p v, ds k). Products with as many rows as keys (p^T dout, ds^T q) read it by
 * rows, whose distance is a constant. Only what lies across a panel, queries and dout, is copied, to be transposed: the rest lies in L2,
 * from where tiles have it early enough. A last few queries that would leave most of their vector empty (65 tokens: 64 and one) are taken
 * one by one instead, keys across.
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

/* wide: A by columns of a panel of logits; tall and slim: A by rows, C two vectors and one vector wide. */
#define TILE(n)                                                                                                                            \
    static void wide_##n(fov_real *c, size_t c_stride, const tile_operands *o, const fov_real *alpha, int add) {                           \
        tile_of(n, 2, 1, c, c_stride, o, alpha, add);                                                                                      \
    }                                                                                                                                      \
    static void tall_##n(fov_real *c, size_t c_stride, const tile_operands *o, const fov_real *alpha, int add) {                           \
        tile_of(n, 2, 0, c, c_stride, o, alpha, add);                                                                                      \
    }                                                                                                                                      \
    static void slim_##n(fov_real *c, size_t c_stride, const tile_operands *o, const fov_real *alpha, int add) {                           \
        tile_of(n, 1, 0, c, c_stride, o, alpha, add);                                                                                      \
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

/* C [m, width] (+)= alpha A B for tiles of one kind. alpha has a number for each row when alpha_step is 1, TILE_ROWS of them when it is 0. */
typedef struct product {
    const tile_fn *tiles;
    size_t m, width;
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
        o.a += first * o.a_row;
        for (size_t j = 0; j < x->width; j += TILE_COLUMNS, o.b += TILE_COLUMNS) {
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

/* Rows that a tile can read at its full width: their first numbers are `stride` apart. */
typedef struct rows_of_head {
    const fov_real *data;
    size_t stride;
} rows_of_head;

/* Such are rows as they lie, but where the last tile would read beyond them, or where one tile's rows share so few sets of L1 that they
 * push each other out. Those are copied, with zeros beyond `head`. */
static rows_of_head rows_from(const fov_real *x, size_t stride, size_t n, size_t head, fov_real *copy) {
    if (head % TILE_COLUMNS == 0 && stride * sizeof *x % 4096 != 0) {
        return (rows_of_head){x, stride};
    }
    FOV_ISA_FN(pack_rows)(copy, padded(head), padded(head), x, stride, head, n);
    return (rows_of_head){copy, padded(head)};
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

/* Rows `first` and on of a panel of logits y = alpha A B, for `vectors` vectors of queries. */
INLINE void logits_tile(const fov_attention_head *h, fov_real *y, size_t first, size_t rows, size_t vectors, rows_of_head a,
                        const fov_real *columns, const fov_real *alpha) {
    const tile_operands o = {.a = a.data + first * a.stride,
                             .b = columns,
                             .a_row = a.stride,
                             .a_step = 1,
                             .b_row = vectors * LANES,
                             .segment = h->head,
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

/* ---- the last few queries ---- */

/* Queries that would fill less than a third of their vector are taken one by one, keys across. */
INLINE size_t few_of(size_t t) {
    return t % LANES <= LANES / 3 ? t % LANES : 0;
}

INLINE size_t few_stride(size_t t) {
    return (t + LANES - 1) / LANES * LANES;
}

/* The sums of four vectors. */
INLINE void sums_of_four(fov_real to[4], vec a, vec b, vec c, vec d) {
#if defined(__AVX512F__) && !defined(FOVEA_DOUBLE)
    const __m512 ab = _mm512_unpacklo_ps(a, b) + _mm512_unpackhi_ps(a, b), cd = _mm512_unpacklo_ps(c, d) + _mm512_unpackhi_ps(c, d);
    const __m512d low = _mm512_unpacklo_pd(_mm512_castps_pd(ab), _mm512_castps_pd(cd));
    const __m512d high = _mm512_unpackhi_pd(_mm512_castps_pd(ab), _mm512_castps_pd(cd));
    const __m512 four = _mm512_castpd_ps(low) + _mm512_castpd_ps(high);
    const __m256 half = _mm512_castps512_ps256(four) + _mm512_extractf32x8_ps(four, 1);
    _mm_storeu_ps(to, _mm256_castps256_ps128(half) + _mm256_extractf128_ps(half, 1));
#elif defined(__AVX2__) && !defined(FOVEA_DOUBLE)
    const __m256 four = _mm256_hadd_ps(_mm256_hadd_ps(a, b), _mm256_hadd_ps(c, d));
    _mm_storeu_ps(to, _mm256_castps256_ps128(four) + _mm256_extractf128_ps(four, 1));
#else
    to[0] = to[1] = to[2] = to[3] = 0;
    for (size_t i = 0; i < LANES; i++) {
        to[0] += a[i];
        to[1] += b[i];
        to[2] += c[i];
        to[3] += d[i];
    }
#endif
}

/* to[i] = x_i . y_i for i < 4, of rows that lie x_stride and y_stride apart; of the last of n rows for i from n. */
INLINE void dots_of_four(fov_real to[4], const fov_real *x, size_t x_stride, const fov_real *y, size_t y_stride, size_t n, size_t width) {
    const fov_real *a[4], *b[4];
    for (size_t i = 0; i < 4; i++) {
        a[i] = x + (i < n ? i : n - 1) * x_stride;
        b[i] = y + (i < n ? i : n - 1) * y_stride;
    }
    vec sum[4] = {{0}, {0}, {0}, {0}};
    size_t j = 0;
    for (; j + LANES <= width; j += LANES) {
        for (size_t i = 0; i < 4; i++) {
            sum[i] += load(a[i] + j) * load(b[i] + j);
        }
    }
    sums_of_four(to, sum[0], sum[1], sum[2], sum[3]);
    for (; j < width; j++) {
        for (size_t i = 0; i < 4; i++) {
            to[i] += a[i][j] * b[i][j];
        }
    }
}

/* y [few_stride(t)] = x . row for each of t rows. */
static void dots(fov_real *y, const fov_real *x, rows_of_head rows, size_t t, size_t width) {
    for (size_t first = 0; first < t; first += 4) {
        dots_of_four(y + first, x, 0, rows.data + first * rows.stride, rows.stride, t - first, width);
    }
}

/* p = the probabilities of one query, but for the factor 1 / sum, from its products with the keys. */
static void softmax_row(fov_real *p, size_t t, fov_real scale, fov_real *top, fov_real *inverse) {
    const size_t stride = few_stride(t);
    fov_real lanes[LANES], sums[4];
    for (size_t i = t; i < stride; i++) {
        p[i] = -(fov_real)INFINITY;
    }
    vec most = every(-(fov_real)INFINITY), total = {0};
    for (size_t i = 0; i < stride; i += LANES) {
        const vec x = load(p + i) * scale;
        store(p + i, x);
        most = larger(most, x);
    }
    store(lanes, most);
    fov_real highest = lanes[0];
    for (size_t i = 1; i < LANES; i++) {
        highest = lanes[i] > highest ? lanes[i] : highest;
    }
    for (size_t i = 0; i < stride; i += LANES) {
        const vec x = exp2_of(load(p + i) - highest);
        store(p + i, x);
        total += x;
    }
    sums_of_four(sums, total, total, total, total);
    *top = highest;
    *inverse = 1 / sums[0];
}

/* C [m, head] = alpha A B for A's rows of t numbers, B's rows as many as they are long. */
static void multiply_few(fov_real *c, size_t c_stride, const fov_attention_head *h, const fov_real *a, rows_of_head b, size_t m,
                         const fov_real *alpha, int add) {
    const product x = {.tiles = tall,
                       .m = m,
                       .width = h->head,
                       .o = {.a = a, .b = b.data, .a_row = few_stride(h->t), .a_step = 1, .b_row = b.stride, .segment = h->t, .k = h->t},
                       .alpha = alpha,
                       .add = add};
    multiply(c, c_stride, &x);
}

/* ---- forward ---- */

typedef struct forward_work {
    rows_of_head keys, values;
    fov_real *queries, *p; /* columns [head, TILE_COLUMNS]; a panel of logits, or a few rows of them */
} forward_work;

/* p = the probabilities of `vectors` vectors of queries, but for the factor 1 / sum of each. */
static void forward_panel(const fov_attention_head *h, const forward_work *w, fov_real inverse[TILE_COLUMNS], fov_real tops[TILE_COLUMNS],
                          size_t query, size_t vectors) {
    const size_t tiles = tiles_of(h->t), panels = (h->t + TILE_COLUMNS - 1) / TILE_COLUMNS;
    fov_real alpha[TILE_ROWS];
    fill_alpha(alpha, h->scale * LOG2_E);
    vec top[2] = {every(-(fov_real)INFINITY), every(-(fov_real)INFINITY)};
    for (size_t i = 0; i < tiles; i++) {
        const size_t first = tile_first(h->t, i), rows = tile_first(h->t, i + 1) - first;
        prefetch_rows(h, query / TILE_COLUMNS * tiles + i, panels * tiles);
        logits_tile(h, w->p, first, rows, vectors, w->keys, w->queries, alpha);
        for (size_t v = 0; v < vectors; v++) {
            top[v] = column_tops(w->p + first * TILE_COLUMNS + v * LANES, top[v], rows);
        }
    }
    for (size_t v = 0; v < vectors; v++) {
        store(inverse + v * LANES, 1 / softmax_columns(w->p + v * LANES, top[v], h->t));
        store(tops + v * LANES, top[v]);
    }
}

static void keep_stats(const fov_attention_head *h, const fov_real *tops, const fov_real *inverse, size_t first, size_t count) {
    for (size_t i = 0; i < count && h->stats != NULL; i++) {
        h->stats[first + i] = tops[i];
        h->stats[h->t + first + i] = inverse[i];
    }
}

static void forward_few(const fov_attention_head *h, const forward_work *w, size_t first, size_t count) {
    const size_t stride = few_stride(h->t);
    fov_real inverse[TILE_ROWS], tops[TILE_ROWS];
    for (size_t i = 0; i < count; i++) {
        dots(w->p + i * stride, h->q + (first + i) * h->stride, w->keys, h->t, h->head);
        softmax_row(w->p + i * stride, h->t, h->scale * LOG2_E, &tops[i], &inverse[i]);
    }
    keep_stats(h, tops, inverse, first, count);
    multiply_few(h->out + first * h->out_stride, h->out_stride, h, w->p, w->values, count, inverse, 0);
}

void FOV_ISA_FN(attention_forward)(const fov_attention_head *h, fov_real *work) {
    const size_t t = h->t, head = h->head, wide_head = padded(head), few = few_of(t);
    const forward_work w = {.keys = rows_from(h->k, h->stride, t, head, work),
                            .values = rows_from(h->v, h->stride, t, head, work + t * wide_head),
                            .queries = work + 2 * t * wide_head,
                            .p = work + (2 * t + TILE_COLUMNS) * wide_head};
    for (size_t first = 0; first < t - few; first += TILE_COLUMNS) {
        const size_t count = t - few - first < TILE_COLUMNS ? t - few - first : TILE_COLUMNS;
        _Alignas(64) fov_real inverse[TILE_COLUMNS], tops[TILE_COLUMNS];
        const size_t vectors = count > LANES ? 2 : 1;
        FOV_ISA_FN(pack_lanes)(w.queries, vectors * LANES, h->q + first * h->stride, h->stride, count, head);
        forward_panel(h, &w, inverse, tops, first, vectors);
        keep_stats(h, tops, inverse, first, count);
        const product pv = {
            .tiles = wide,
            .m = count,
            .width = head,
            .o = {.a = w.p, .b = w.values.data, .a_row = 1, .a_step = TILE_COLUMNS, .b_row = w.values.stride, .segment = t, .k = t},
            .alpha = inverse,
            .alpha_step = 1};
        multiply(h->out + first * h->out_stride, h->out_stride, &pv);
    }
    if (few > 0) {
        forward_few(h, &w, t - few, few);
    }
}

/* ---- backward ---- */

typedef struct backward_work {
    rows_of_head keys, values;
    fov_real *queries, *dout;               /* copies of a block of queries, where those are needed */
    fov_real *query_columns, *dout_columns; /* operands B of p and dp, of one panel of logits: [head, TILE_COLUMNS] */
    fov_real *p, *ds;                       /* [panels of a block, keys, TILE_COLUMNS] */
    fov_real *few_p, *few_ds;               /* [few, few_stride] */
} backward_work;

static backward_work lay_out(const fov_attention_head *h, fov_real *work) {
    const size_t wide_head = padded(h->head);
    backward_work w = {.keys = rows_from(h->k, h->stride, h->t, h->head, work),
                       .values = rows_from(h->v, h->stride, h->t, h->head, work + h->t * wide_head)};
    w.queries = work + 2 * h->t * wide_head;
    w.dout = w.queries + h->block * wide_head;
    w.query_columns = w.dout + h->block * wide_head;
    w.dout_columns = w.query_columns + TILE_COLUMNS * wide_head;
    w.p = w.dout_columns + TILE_COLUMNS * wide_head;
    w.ds = w.p + h->block * h->t;
    w.few_p = w.ds + h->block * h->t;
    w.few_ds = w.few_p + TILE_COLUMNS * h->t;
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
    const size_t at = first * h->out_stride;
    for (size_t i = 0; i < count; i += 4) {
        dots_of_four(n->along + i, h->out + at + i * h->out_stride, h->out_stride, h->dout + at + i * h->out_stride, h->out_stride, count - i,
                     h->head);
    }
    for (size_t i = 0; i < TILE_COLUMNS; i++) {
        n->top[i] = i < count ? h->stats[first + i] : 0;
        n->inverse[i] = i < count ? h->stats[h->t + first + i] : 0;
        n->along[i] = i < count ? n->along[i] : 0;
    }
}

/* p = probabilities from logits, ds = p (ds - D), of `vectors` vectors of queries. */
INLINE void slopes(fov_real *p, fov_real *ds, const query_numbers *n, size_t rows, const size_t vectors) {
    vec top[2], inverse[2], along[2];
    for (size_t v = 0; v < vectors; v++) {
        top[v] = load(n->top + v * LANES);
        inverse[v] = load(n->inverse + v * LANES);
        along[v] = load(n->along + v * LANES);
    }
    for (size_t i = 0; i < rows; i++, p += TILE_COLUMNS, ds += TILE_COLUMNS) {
        for (size_t v = 0; v < vectors; v++) {
            const vec value = exp2_of(load(p + v * LANES) - top[v]) * inverse[v];
            store(p + v * LANES, value);
            store(ds + v * LANES, value * (load(ds + v * LANES) - along[v]));
        }
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
    FOV_ISA_FN(pack_lanes)(w->query_columns, vectors * LANES, h->q + first * h->stride, h->stride, count, head);
    FOV_ISA_FN(pack_lanes)(w->dout_columns, vectors * LANES, h->dout + first * h->out_stride, h->out_stride, count, head);
    const size_t tiles = tiles_of(h->t), panels = (h->t + TILE_COLUMNS - 1) / TILE_COLUMNS;
    for (size_t i = 0; i < tiles; i++) {
        prefetch_rows(h, first / TILE_COLUMNS * tiles + i, panels * tiles);
        const size_t key = tile_first(h->t, i), rows = tile_first(h->t, i + 1) - key;
        logits_tile(h, p, key, rows, vectors, w->keys, w->query_columns, scale2);
        logits_tile(h, ds, key, rows, vectors, w->values, w->dout_columns, one);
    }
    if (vectors > 1) {
        slopes(p, ds, &n, h->t, 2);
    } else {
        slopes(p, ds, &n, h->t, 1);
    }
    const product dq = {
        .tiles = wide,
        .m = count,
        .width = head,
        .o = {.a = ds, .b = w->keys.data, .a_row = 1, .a_step = TILE_COLUMNS, .b_row = w->keys.stride, .segment = h->t, .k = h->t},
        .alpha = scale,
        .add = h->accumulate};
    multiply(h->dq + first * h->stride, h->stride, &dq);
}

/* The same for a few queries; p and ds: where the first one's column begins in its panel. */
static void backward_few(const fov_attention_head *h, const backward_work *w, fov_real *p, fov_real *ds, size_t first, size_t count) {
    const size_t t = h->t, stride = few_stride(t);
    query_numbers n;
    fov_real scale[TILE_ROWS];
    fill_alpha(scale, h->scale);
    number_queries(h, &n, first, count);
    for (size_t i = 0; i < count; i++) {
        fov_real *pi = w->few_p + i * stride, *di = w->few_ds + i * stride;
        dots(pi, h->q + (first + i) * h->stride, w->keys, t, h->head);
        dots(di, h->dout + (first + i) * h->out_stride, w->values, t, h->head);
        for (size_t j = 0; j < stride; j += LANES) {
            const vec value = exp2_of(load(pi + j) * (h->scale * LOG2_E) - n.top[i]) * n.inverse[i];
            store(pi + j, value);
            store(di + j, value * (load(di + j) - n.along[i]));
        }
        for (size_t key = 0; key < t; key++) {
            p[key * TILE_COLUMNS + i] = pi[key];
            ds[key * TILE_COLUMNS + i] = di[key];
        }
    }
    multiply_few(h->dq + first * h->stride, h->stride, h, w->few_ds, w->keys, count, scale, h->accumulate);
}

/* dv (+)= p^T dout and dk (+)= scale ds^T q for a block of queries. */
static void backward_keys(const fov_attention_head *h, const backward_work *w, size_t first, size_t count) {
    fov_real scale[TILE_ROWS], one[TILE_ROWS];
    fill_alpha(scale, h->scale);
    fill_alpha(one, 1);
    const rows_of_head queries = rows_from(h->q + first * h->stride, h->stride, count, h->head, w->queries);
    const rows_of_head dout = rows_from(h->dout + first * h->out_stride, h->out_stride, count, h->head, w->dout);
    product x = {.tiles = tall, .m = h->t, .width = h->head, .alpha = one, .add = h->accumulate || first > 0};
    x.o = (tile_operands){.a = w->p, .b = dout.data, .a_row = TILE_COLUMNS, .a_step = 1, .b_row = dout.stride, .k = count};
    x.o.a_jump = h->t * TILE_COLUMNS;
    x.o.segment = TILE_COLUMNS;
    multiply(h->dv, h->stride, &x);
    x.o.a = w->ds;
    x.o.b = queries.data;
    x.o.b_row = queries.stride;
    x.alpha = scale;
    multiply(h->dk, h->stride, &x);
}

void FOV_ISA_FN(attention_backward)(const fov_attention_head *h, fov_real *work) {
    const backward_work w = lay_out(h, work);
    const size_t whole = h->t - few_of(h->t);
    for (size_t first = 0; first < h->t; first += h->block) {
        const size_t count = h->t - first < h->block ? h->t - first : h->block;
        for (size_t done = 0, here; done < count; done += here) {
            const size_t place = done / TILE_COLUMNS * TILE_COLUMNS * h->t + done % TILE_COLUMNS, query = first + done;
            if (query == whole) {
                here = count - done;
                backward_few(h, &w, w.p + place, w.ds + place, query, here);
            } else {
                here = whole - query < TILE_COLUMNS ? whole - query : TILE_COLUMNS;
                here = here < count - done ? here : count - done;
                backward_panel(h, &w, w.p + place, w.ds + place, query, here);
            }
        }
        backward_keys(h, &w, first, count);
    }
}
