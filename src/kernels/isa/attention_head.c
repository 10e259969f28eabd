/* Attention of one head of one image, forward and backward, from register tiles that read their operands as they lie.
 *
 * Logits are kept transposed, in panels [keys, queries]: a vector holds one key's logits for as many queries, so maxima, sums and
 * exponentials of the softmax need no reduction across lanes, and the panel is at once the operand A, in the order in which a tile reads
 * it, of the products with as many rows as queries (p v, ds k). Products with as many rows as keys (p^T dout, ds^T q) read it by rows,
 * whose distance is a constant. Only what lies across a panel, queries and dout, is copied, to be transposed: the rest lies in L2, from
 * where tiles have it early enough. A last few queries that would leave most of their vector empty (65 tokens: 64 and one) get their
 * logits one by one; from the softmax on they are a vector like the others.
 *
 * A short sequence is one panel, which stays in L1. Forward makes one panel at a time. Backward makes p and ds for a block of queries that
 * fit L2 together, then adds the block to dk and dv. With p = softmax(s), D_i = dout_i . out_i:  ds = p (dout v^T - D) (Dao et al. 2022,
 * section 3.1 and appendix B).
 *
 * Exponentials are of base 2, and log2 e is in the scale of the logits: 2^x = 2^n 2^r, n = round(x), and 2^r a polynomial of degree 5
 * fitted for the least largest relative error (9e-8) that is 1 at 0. AVX-512 has instructions for r and for 2^n p; elsewhere exponents
 * below -125 count as -125, so that no subnormal numbers arise. NaN stays NaN. */
#include <math.h>

#include "kernels/isa_tile.h"

#if defined(__AVX2__)
#include <immintrin.h>
#endif

#define LOG2_E ((fov_real)1.44269504088896340736)
#define LOWEST_EXPONENT (-125)

#define PANEL_BYTES ((size_t)24 << 10) /* a panel that stays in L1 beside its operands */

enum { LINE = 64 / (int)sizeof(fov_real), TILE_AHEAD = 2 * LINE /* numbers that a step of a tile asks for */ };

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

#else

#define ROUND_MAGIC 12582912.0F /* 1.5 * 2^23: adding it leaves the nearest integer in the low bits */

INLINE vec power_of_two(vec r) {
    vec p = every(1.326472725e-3F);
    p = p * r + 9.671512688e-3F;
    p = p * r + 5.550733744e-2F;
    p = p * r + 2.402224208e-1F;
    p = p * r + 6.931469776e-1F;
    return p * r + 1.0F;
}

INLINE vec exp2_of(vec x) {
#if defined(__AVX512F__)
    const vec r = _mm512_reduce_ps(x, _MM_FROUND_TO_NEAREST_INT); /* 0 of an infinite x */
    return _mm512_scalef_ps(power_of_two(r), x - r);
#else
    x = larger(every(LOWEST_EXPONENT), x);
    const vec shifted = x + ROUND_MAGIC;
    const vec r = x - (shifted - ROUND_MAGIC);
    return (vec)((mask)power_of_two(r) + ((mask)shifted << 23)); /* the magic number's own bits are shifted out */
#endif
}

#endif

/* ---- the next head ---- */

/* Rows that the next head will read, and of a short one those that it will write: short pieces far apart, which the processor's own
 * prefetching does not see coming. Tiles ask for them in the course of the whole pass, array by array, where q, k and v are one array, as
 * are their gradients. All that long heads touch would push p and ds out of L2. */
typedef struct rows_ahead {
    const char *at;
    size_t rows;
} rows_ahead;

enum { MOST_ARRAYS = 4 };

typedef struct fetch {
    const fov_attention_head *h;
    rows_ahead array[MOST_ARRAYS];
    size_t arrays, now, row;    /* the array and the row of it that come next */
    uint32_t steps;             /* that ask for a row */
    uint64_t asked, done, pace; /* rows asked for; products of numbers done; rows for each of these, times 2^32 */
} fetch;

static void will_need(fetch *f, const fov_real *first, size_t rows) {
    f->array[f->arrays++] = (rows_ahead){(const char *)first, rows};
}

/* For a pass that makes so many products of numbers. A line of stats that came late would hold up all stores behind it. */
static fetch fetch_next(const fov_attention_head *h, size_t products) {
    fetch f = {.h = h, .steps = (uint32_t)((h->head + TILE_AHEAD - 1) / TILE_AHEAD)};
    if (h->next == 0) {
        return f;
    }
    for (size_t i = 0; i < 2 * h->t && h->stats != NULL; i += LINE) {
        __builtin_prefetch(h->stats + h->next_stats + i, 1);
    }
    const int is_short = h->t <= FOV_ATTENTION_COLUMNS, backward = h->dout != NULL;
    will_need(&f, h->q + h->next, 3 * h->t);
    if (is_short || backward) {
        will_need(&f, h->out + h->next_out, h->t);
    }
    if (backward) {
        will_need(&f, h->dout + h->next_out, h->t);
    }
    if (is_short && backward) {
        will_need(&f, h->dq + h->next, 3 * h->t);
    }
    size_t rows = 0;
    for (size_t i = 0; i < f.arrays; i++) {
        rows += f.array[i].rows;
    }
    f.pace = ((uint64_t)rows << 32) / products + 1;
    return f;
}

/* What a tile that makes so many products asks for: as many rows as are due then, slowly where there is time. */
static tile_ahead rows_due(fetch *f, size_t products, const tile_operands *o) {
    f->done += products;
    const uint64_t due = f->done * f->pace >> 32;
    if (f->now == f->arrays || f->asked >= due) {
        return (tile_ahead){.at = (const char *)o->b, .count = 1}; /* what is there already, all the time */
    }
    const uint64_t steps = (due - f->asked) * f->steps;
    unsigned slower = 0;
    while (slower < 3 && steps << (slower + 1) <= o->k) {
        slower++;
    }
    const rows_ahead *x = &f->array[f->now];
    const size_t count = (size_t)f->steps << slower, step = TILE_AHEAD * sizeof(fov_real) >> slower,
                 stride = f->h->out_stride * sizeof(fov_real);
    const tile_ahead ahead = {.at = x->at + f->row * stride, .step = step, .jump = stride - (count - 1) * step, .count = count};
    const size_t taken = ((uint32_t)o->k / f->steps) >> slower, left = x->rows - f->row;
    f->asked += taken < left ? taken : left;
    f->row += taken;
    if (taken >= left) {
        f->row = 0;
        f->now++;
    }
    return ahead;
}

/* ---- tiles ---- */

/* wide: A by columns of a panel of logits; broad, tall and slim: A by rows, C three, two and one vector wide. */
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

#if defined(__AVX512F__)
enum { BROAD_ROWS = 9 };
#define EACH_BROAD(X) X(1) X(2) X(3) X(4) X(5) X(6) X(7) X(8) X(9)
#else
enum { BROAD_ROWS = 4 };
#define EACH_BROAD(X) X(1) X(2) X(3) X(4)
#endif

#define TILE(n)                                                                                                                            \
    static void broad_##n(fov_real *c, size_t c_stride, const tile_operands *o, const fov_real *alpha, int add) {                          \
        tile_of(n, 3, 0, c, c_stride, o, alpha, add);                                                                                      \
    }
EACH_BROAD(TILE)
#undef TILE

typedef void (*tile_fn)(fov_real *c, size_t c_stride, const tile_operands *o, const fov_real *alpha, int add);

#define WIDE(n) wide_##n,
#define TALL(n) tall_##n,
#define SLIM(n) slim_##n,
#define BROAD(n) broad_##n,
static const tile_fn wide[TILE_ROWS + 1] = {NULL, EACH_TILE(WIDE)};
static const tile_fn tall[TILE_ROWS + 1] = {NULL, EACH_TILE(TALL)};
static const tile_fn slim[TILE_ROWS + 1] = {NULL, EACH_TILE(SLIM)};
static const tile_fn broad[BROAD_ROWS + 1] = {NULL, EACH_BROAD(BROAD)};

/* How m rows are cut into tiles of nearly one size, of at most `most`. */
typedef struct tile_cut {
    size_t tiles, least, longer; /* the first `longer` have one row more than the others */
} tile_cut;

INLINE tile_cut cut_rows(size_t m, size_t most) {
    const uint32_t tiles = (uint32_t)((m + most - 1) / most);
    return (tile_cut){tiles, (uint32_t)m / tiles, (uint32_t)m % tiles};
}

INLINE size_t rows_of_tile(const tile_cut *cut, size_t tile) {
    return cut->least + (tile < cut->longer ? 1 : 0);
}

INLINE size_t padded(size_t width) {
    return (width + TILE_COLUMNS - 1) / TILE_COLUMNS * TILE_COLUMNS;
}

/* C [m, width] (+)= alpha A B for tiles of one kind, alpha a number for each row (NULL: 1). */
typedef struct product {
    const tile_fn *tiles;
    size_t m, width;
    tile_operands o;
    const fov_real *alpha;
    int add;
} product;

static void multiply(fov_real *c, size_t c_stride, const product *x, fetch *f) {
    _Alignas(64) fov_real buffer[TILE_ROWS * TILE_COLUMNS];
    const tile_cut cut = cut_rows(x->m, TILE_ROWS);
    tile_operands o = x->o;
    for (size_t j = 0; j < x->width; j += TILE_COLUMNS, o.b += TILE_COLUMNS) {
        for (size_t t = 0, first = 0, rows; t < cut.tiles; t++, first += rows) {
            rows = rows_of_tile(&cut, t);
            const fov_real *alpha = x->alpha == NULL ? NULL : x->alpha + first;
            fov_real *to = c + first * c_stride + j;
            o.a = x->o.a + first * o.a_row;
            o.ahead = rows_due(f, rows * TILE_COLUMNS * o.k, &o);
            if (x->width - j >= TILE_COLUMNS) {
                prefetch_tile(rows, to, c_stride);
                x->tiles[rows](to, c_stride, &o, alpha, x->add);
            } else {
                x->tiles[rows](buffer, TILE_COLUMNS, &o, alpha, 0);
                store_narrow(to, c_stride, buffer, rows, x->width - j, x->add ? 1 : 0);
            }
        }
    }
}

/* ---- rows of a head ---- */

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

/* ---- panels of logits ---- */

/* A panel [t, columns] of `count` queries from `first`, the last `few` of which are taken one by one; the others fill `vectors`. */
typedef struct panel {
    size_t columns, first, count, few, vectors;
} panel;

/* Queries at the end that would fill less than a quarter of a vector; with at least four keys. */
INLINE size_t few_of(size_t t) {
    return t >= 4 && t % LANES <= LANES / 4 ? t % LANES : 0;
}

/* Of the panels that cover `count` queries from `first`, the one that begins `done` behind. */
static panel panel_at(const fov_attention_head *h, size_t columns, size_t first, size_t done, size_t count) {
    const size_t whole = h->t - few_of(h->t);
    panel x = {.columns = columns, .first = first + done, .count = count - done < columns ? count - done : columns};
    const size_t end = x.first + x.count;
    x.few = end <= whole ? 0 : end - (x.first > whole ? x.first : whole);
    x.vectors = (x.count - x.few + LANES - 1) / LANES;
    return x;
}

/* Columns of all panels: one panel of all queries, where that leaves room in L1. */
INLINE size_t columns_of(size_t t, size_t block) {
    const size_t all = (t + LANES - 1) / LANES * LANES;
    const int fits = all <= FOV_ATTENTION_COLUMNS && all * t * sizeof(fov_real) <= PANEL_BYTES;
    const size_t columns = fits ? all : TILE_COLUMNS;
    return columns < block ? columns : block;
}

/* Vectors of a panel that a tile takes together, `at` of them done. */
INLINE size_t vectors_at(const panel *x, size_t at) {
    const size_t left = x->vectors - at;
    return left == 3 ? 3 : (left > 1 ? 2 : 1);
}

/* y = alpha A B, the vectors of a panel; the others keep what they have. tops, where not NULL, are raised to the largest of each column. */
static void logits(fetch *f, fov_real *y, const panel *x, rows_of_head a, const fov_real *b, fov_real alpha, fov_real *tops) {
    const fov_attention_head *h = f->h;
    static const tile_fn *const kinds[4] = {NULL, slim, tall, broad};
    fov_real alphas[TILE_ROWS];
    for (size_t i = 0; i < TILE_ROWS; i++) {
        alphas[i] = alpha;
    }
    for (size_t at = 0, n; at < x->vectors; at += n) {
        n = vectors_at(x, at);
        const tile_cut cut = cut_rows(h->t, n == 3 ? BROAD_ROWS : TILE_ROWS);
        for (size_t i = 0, key = 0, here; i < cut.tiles; i++, key += here) {
            here = rows_of_tile(&cut, i);
            tile_operands o = {.a = a.data + key * a.stride,
                               .b = b + at * LANES,
                               .a_row = a.stride,
                               .a_step = 1,
                               .b_row = x->vectors * LANES,
                               .segment = h->head,
                               .k = h->head,
                               .tops = tops == NULL ? NULL : tops + at * LANES};
            o.ahead = rows_due(f, here * n * LANES * h->head, &o);
            kinds[n][here](y + key * x->columns + at * LANES, x->columns, &o, alpha == 1 ? NULL : alphas, 0);
        }
    }
}

/* p = 2^(p - top) of a vector of queries, and one over the sums. */
INLINE void softmax_columns(fov_real *p, size_t columns, size_t t, const fov_real *tops, fov_real *inverse) {
    const vec top = load(tops);
    vec sum = {0};
    for (size_t key = 0; key < t; key++) {
        const vec value = exp2_of(load(p + key * columns) - top);
        store(p + key * columns, value);
        sum += value;
    }
    store(inverse, 1 / sum);
}

/* C = alpha A B, A the columns of a panel, for its queries' rows of out or dq. */
static void multiply_queries(fov_real *c, size_t c_stride, fetch *f, const panel *x, const fov_real *a, rows_of_head b,
                             const fov_real *alpha, int add) {
    const product y = {.tiles = wide,
                       .m = x->count,
                       .width = f->h->head,
                       .o = {.a = a, .b = b.data, .a_row = 1, .a_step = x->columns, .b_row = b.stride, .segment = f->h->t, .k = f->h->t},
                       .alpha = alpha,
                       .add = add};
    multiply(c + x->first * c_stride, c_stride, &y, f);
}

/* ---- the last few queries ---- */

typedef fov_real quad __attribute__((vector_size(4 * sizeof(fov_real)), aligned(sizeof(fov_real)), may_alias));

/* The sums of four vectors. */
INLINE void sums_of_four(quad *sums, vec a, vec b, vec c, vec d) {
#if defined(__AVX512F__) && !defined(FOVEA_DOUBLE)
    const __m512 ab = _mm512_unpacklo_ps(a, b) + _mm512_unpackhi_ps(a, b), cd = _mm512_unpacklo_ps(c, d) + _mm512_unpackhi_ps(c, d);
    const __m512d low = _mm512_unpacklo_pd(_mm512_castps_pd(ab), _mm512_castps_pd(cd));
    const __m512d high = _mm512_unpackhi_pd(_mm512_castps_pd(ab), _mm512_castps_pd(cd));
    const __m512 four = _mm512_castpd_ps(low) + _mm512_castpd_ps(high);
    const __m256 half = _mm512_castps512_ps256(four) + _mm512_extractf32x8_ps(four, 1);
    *sums = _mm256_castps256_ps128(half) + _mm256_extractf128_ps(half, 1);
#elif defined(__AVX2__) && !defined(FOVEA_DOUBLE)
    const __m256 four = _mm256_hadd_ps(_mm256_hadd_ps(a, b), _mm256_hadd_ps(c, d));
    *sums = _mm256_castps256_ps128(four) + _mm256_extractf128_ps(four, 1);
#else
    *sums = (quad){0};
    for (size_t i = 0; i < LANES; i++) {
        *sums += (quad){a[i], b[i], c[i], d[i]};
    }
#endif
}

/* dots[i] = x_i . y_i for i < 4, of rows that lie x_stride and y_stride apart. */
INLINE void dots_of_rows(quad *dots, const fov_real *x, size_t x_stride, const fov_real *y, size_t y_stride, size_t width) {
    vec sum[4] = {{0}, {0}, {0}, {0}};
    size_t j = 0;
#pragma GCC unroll 4
    for (; j + LANES <= width; j += LANES) {
        for (size_t i = 0; i < 4; i++) {
            sum[i] += load(x + i * x_stride + j) * load(y + i * y_stride + j);
        }
    }
    sums_of_four(dots, sum[0], sum[1], sum[2], sum[3]);
    for (; j < width; j++) {
        *dots += (quad){x[j], x[x_stride + j], x[2 * x_stride + j], x[3 * x_stride + j]} *
                 (quad){y[j], y[y_stride + j], y[2 * y_stride + j], y[3 * y_stride + j]};
    }
}

/* The same, without a loop for the usual length. */
INLINE void dots_of_four(quad *dots, const fov_real *x, size_t x_stride, const fov_real *y, size_t y_stride, size_t width) {
    if (width == 4 * LANES) {
        dots_of_rows(dots, x, x_stride, y, y_stride, 4 * LANES);
    } else {
        dots_of_rows(dots, x, x_stride, y, y_stride, width);
    }
}

/* y = alpha A b of a panel's last few queries, b_stride apart, in the vector behind the others, of which the rest stays as it is. tops as
 * for logits. */
static void few_logits(const fov_attention_head *h, fov_real *y, const panel *x, rows_of_head a, const fov_real *b, size_t b_stride,
                       fov_real alpha, fov_real *tops) {
    for (size_t i = x->count - x->few; i < x->count; i++) {
        quad most = -(fov_real)INFINITY - (quad){0};
        for (size_t done = 0; done < h->t; done += 4) {
            const size_t key = done + 4 <= h->t ? done : h->t - 4;
            quad four;
            dots_of_four(&four, b + i * b_stride, 0, a.data + key * a.stride, a.stride, h->head);
            four *= alpha;
            fov_real *to = y + key * x->columns + i;
            to[0] = four[0];
            to[x->columns] = four[1];
            to[2 * x->columns] = four[2];
            to[3 * x->columns] = four[3];
            for (size_t j = 0; j < 4; j++) {
                most[j] = four[j] > most[j] ? four[j] : most[j];
            }
        }
        for (size_t j = 0; j < 4 && tops != NULL; j++) {
            tops[i] = most[j] > tops[i] ? most[j] : tops[i];
        }
    }
}

/* ---- forward ---- */

typedef struct forward_work {
    rows_of_head keys, values;
    fov_real *queries, *p; /* operand B [head, columns], a panel of logits */
} forward_work;

static void forward_panel(fetch *f, const forward_work *w, const panel *x) {
    const fov_attention_head *h = f->h;
    const size_t t = h->t, whole = x->count - x->few;
    const fov_real *q = h->q + x->first * h->stride;
    _Alignas(64) fov_real inverse[FOV_ATTENTION_COLUMNS], tops[FOV_ATTENTION_COLUMNS];
    FOV_ISA_FN(pack_lanes)(w->queries, x->vectors * LANES, q, h->stride, whole, h->head);
    for (size_t i = 0; i < x->columns; i++) {
        tops[i] = -(fov_real)INFINITY;
    }
    few_logits(h, w->p, x, w->keys, q, h->stride, h->scale * LOG2_E, tops);
    logits(f, w->p, x, w->keys, w->queries, h->scale * LOG2_E, tops);
    for (size_t i = 0; i < x->count; i += LANES) {
        softmax_columns(w->p + i, x->columns, t, tops + i, inverse + i);
    }
    for (size_t i = 0; i < x->count && h->stats != NULL; i++) {
        h->stats[x->first + i] = tops[i];
        h->stats[t + x->first + i] = inverse[i];
    }
    multiply_queries(h->out, h->out_stride, f, x, w->p, w->values, inverse, 0);
}

void FOV_ISA_FN(attention_forward)(const fov_attention_head *h, fov_real *work) {
    const size_t t = h->t, wide_head = padded(h->head), columns = columns_of(t, FOV_ATTENTION_COLUMNS);
    forward_work w = {.keys = rows_from(h->k, h->stride, t, h->head, work),
                      .values = rows_from(h->v, h->stride, t, h->head, work + t * wide_head),
                      .queries = work + 2 * t * wide_head};
    w.p = w.queries + columns * wide_head;
    fetch f = fetch_next(h, 2 * t * t * h->head);
    for (size_t first = 0; first < t; first += columns) {
        const panel x = panel_at(h, columns, first, 0, t - first);
        forward_panel(&f, &w, &x);
    }
}

/* ---- backward ---- */

typedef struct backward_work {
    rows_of_head keys, values;
    fov_real *queries, *dout;               /* copies of a block of queries, where those are needed */
    fov_real *query_columns, *dout_columns; /* operands B of p and dp, of one panel of logits: [head, columns] */
    fov_real *p, *ds;                       /* [panels of a block, keys, columns] */
} backward_work;

static backward_work lay_out(const fov_attention_head *h, fov_real *work) {
    const size_t wide_head = padded(h->head), most = FOV_ATTENTION_COLUMNS;
    backward_work w = {.keys = rows_from(h->k, h->stride, h->t, h->head, work),
                       .values = rows_from(h->v, h->stride, h->t, h->head, work + h->t * wide_head)};
    w.queries = work + 2 * h->t * wide_head;
    w.dout = w.queries + h->block * wide_head;
    w.query_columns = w.dout + h->block * wide_head;
    w.dout_columns = w.query_columns + most * wide_head;
    w.p = w.dout_columns + most * wide_head;
    w.ds = w.p + h->block * h->t;
    return w;
}

/* What belongs to each query: forward's stats, and scale D. */
typedef struct query_numbers {
    _Alignas(64) fov_real top[FOV_ATTENTION_COLUMNS];
    _Alignas(64) fov_real inverse[FOV_ATTENTION_COLUMNS];
    _Alignas(64) fov_real along[FOV_ATTENTION_COLUMNS];
} query_numbers;

/* Zeros beyond the last. */
static void number_queries(const fov_attention_head *h, query_numbers *n, const panel *x) {
    const fov_real *out = h->out + x->first * h->out_stride, *dout = h->dout + x->first * h->out_stride;
    const size_t step = x->count < 4 ? 1 : 4, stride = x->count < 4 ? 0 : h->out_stride; /* a few rows one by one */
    for (size_t done = 0; done < x->count; done += step) {
        const size_t i = done + step <= x->count ? done : x->count - step;
        dots_of_four((quad *)(n->along + i), out + i * h->out_stride, stride, dout + i * h->out_stride, stride, h->head);
    }
    for (size_t i = 0; i < x->columns; i++) {
        n->top[i] = i < x->count ? h->stats[x->first + i] : 0;
        n->inverse[i] = i < x->count ? h->stats[h->t + x->first + i] : 0;
        n->along[i] = i < x->count ? n->along[i] * h->scale : 0;
    }
}

/* p = probabilities from logits, ds = p (scale ds - D), for `rows` vectors that lie `stride` apart. */
INLINE void slopes(fov_real *p, fov_real *ds, size_t rows, size_t stride, vec top, vec inverse, vec along, fov_real scale) {
    for (size_t i = 0; i < rows; i++, p += stride, ds += stride) {
        const vec value = exp2_of(load(p) - top) * inverse;
        store(p, value);
        store(ds, value * (load(ds) * scale - along));
    }
}

/* p and ds of a panel of queries, and their dq. */
static void backward_panel(fetch *f, const backward_work *w, fov_real *p, fov_real *ds, const panel *x) {
    const fov_attention_head *h = f->h;
    const size_t t = h->t, head = h->head, whole = x->count - x->few;
    const fov_real *q = h->q + x->first * h->stride, *dout = h->dout + x->first * h->out_stride;
    query_numbers n;
    number_queries(h, &n, x);
    FOV_ISA_FN(pack_lanes)(w->query_columns, x->vectors * LANES, q, h->stride, whole, head);
    FOV_ISA_FN(pack_lanes)(w->dout_columns, x->vectors * LANES, dout, h->out_stride, whole, head);
    few_logits(h, p, x, w->keys, q, h->stride, h->scale * LOG2_E, NULL);
    few_logits(h, ds, x, w->values, dout, h->out_stride, 1, NULL);
    logits(f, p, x, w->keys, w->query_columns, h->scale * LOG2_E, NULL);
    logits(f, ds, x, w->values, w->dout_columns, 1, NULL);
    for (size_t i = 0; i < x->count; i += LANES) {
        slopes(p + i, ds + i, t, x->columns, load(n.top + i), load(n.inverse + i), load(n.along + i), h->scale);
    }
    multiply_queries(h->dq, h->stride, f, x, ds, w->keys, NULL, h->accumulate);
}

/* dv (+)= p^T dout and dk (+)= ds^T q for a block of queries. */
static void backward_keys(fetch *f, const backward_work *w, size_t columns, size_t first, size_t count) {
    const fov_attention_head *h = f->h;
    const rows_of_head queries = rows_from(h->q + first * h->stride, h->stride, count, h->head, w->queries);
    const rows_of_head dout = rows_from(h->dout + first * h->out_stride, h->out_stride, count, h->head, w->dout);
    product x = {.tiles = tall, .m = h->t, .width = h->head, .add = h->accumulate || first > 0};
    x.o = (tile_operands){.a = w->p, .b = dout.data, .a_row = columns, .a_step = 1, .b_row = dout.stride, .k = count};
    x.o.a_jump = h->t * columns;
    x.o.segment = columns;
    multiply(h->dv, h->stride, &x, f);
    x.o.a = w->ds;
    x.o.b = queries.data;
    x.o.b_row = queries.stride;
    multiply(h->dk, h->stride, &x, f);
}

void FOV_ISA_FN(attention_backward)(const fov_attention_head *h, fov_real *work) {
    const backward_work w = lay_out(h, work);
    const size_t columns = columns_of(h->t, h->block);
    fetch f = fetch_next(h, 5 * h->t * h->t * h->head);
    for (size_t first = 0; first < h->t; first += h->block) {
        const size_t count = h->t - first < h->block ? h->t - first : h->block;
        for (size_t done = 0; done < count; done += columns) {
            const panel x = panel_at(h, columns, first, done, count);
            backward_panel(&f, &w, w.p + done * h->t, w.ds + done * h->t, &x);
        }
        backward_keys(&f, &w, columns, first, count);
    }
}
