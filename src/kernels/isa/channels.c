/* Batch norm on rows of c channels.
 *
 * Memory decides its speed, so every pass walks through its rows in the order of memory. Sums are taken for GROUP vectors of channels and
 * RUN rows at a time in the real type, in registers, and added to the sum in double; the rows of a run are still in the first cache when
 * the next group of channels comes. Results of large tensors are written past the caches: a line that is not read before it is written
 * moves half as many bytes. */
#include "base/checked.h"
#include "kernels/isa_vector.h"

#if defined(__AVX512F__)
enum { GROUP = 4 };
#else
enum { GROUP = 2 };
#endif
enum { RUN = 32, AHEAD = 512 };

/* Several streams at once, some of them behind a mask, are more than the processor foresees. */
INLINE void ask_for(const fov_real *p) {
    __builtin_prefetch(p);
}

/* From a group of channels of a run to the group that comes next, which is asked for meanwhile. */
static size_t next_group(size_t j, size_t c) {
    const size_t width = (size_t)GROUP * LANES;
    return j + 2 * width <= c ? width : RUN * c - j;
}

INLINE void add_to(double *total, vec sum) {
    fov_real one[LANES];
    store(one, sum);
    for (int l = 0; l < LANES; l++) {
        total[l] += (double)one[l];
    }
}

/* ---- forward ---- */

INLINE void sums_run(const int width, double *sums, const fov_real *x, const fov_real *pivot, size_t rows, size_t c, size_t ahead) {
    vec about[GROUP], sum[GROUP] = {{0}}, square[GROUP] = {{0}};
    for (int w = 0; w < width; w++) {
        about[w] = load(pivot + w * LANES);
    }
    for (size_t i = 0; i < rows; i++, x += c) {
#pragma GCC unroll 4
        for (int w = 0; w < width; w++) {
            ask_for(x + ahead + w * LANES);
            const vec a = load(x + w * LANES) - about[w];
            sum[w] += a;
            square[w] += a * a;
        }
    }
    for (int w = 0; w < width; w++) {
        add_to(sums + w * LANES, sum[w]);
        add_to(sums + c + w * LANES, square[w]);
    }
}

void FOV_ISA_FN(bn_sums)(double *sums, const fov_real *x, const fov_real *pivot, size_t rows, size_t c) {
    for (size_t j = 0; j < 2 * c; j++) {
        sums[j] = 0;
    }
    for (size_t first = 0; first < rows; first += RUN) {
        const fov_real *from = x + first * c;
        const size_t count = fov_least_size(rows - first, RUN);
        size_t j = 0;
        for (; j + GROUP * LANES <= c; j += GROUP * LANES) {
            sums_run(GROUP, sums + j, from + j, pivot + j, count, c, next_group(j, c));
        }
        for (; j + LANES <= c; j += LANES) {
            sums_run(1, sums + j, from + j, pivot + j, count, c, LANES);
        }
        for (; j < c; j++) {
            for (size_t i = 0; i < count; i++) {
                const double d = (double)(from[i * c + j] - pivot[j]);
                sums[j] += d;
                sums[c + j] += d * d;
            }
        }
    }
}

typedef struct affine {
    fov_real *y;
    const fov_real *x, *residual, *scale, *shift;
    size_t rows, c;
} affine;

INLINE void apply(const affine *a, const int add, const int relu, const int past) {
    const size_t c = a->c;
    const vec zero = {0};
    for (size_t i = 0; i < a->rows; i++) {
        const fov_real *x = a->x + i * c, *residual = add ? a->residual + i * c : NULL;
        fov_real *y = a->y + i * c;
        size_t j = 0;
#pragma GCC unroll 4
        for (; j + LANES <= c; j += LANES) {
            ask_for(x + j + AHEAD);
            if (add) {
                ask_for(residual + j + AHEAD);
            }
            vec v = load(x + j) * load(a->scale + j) + load(a->shift + j);
            v = add ? v + load(residual + j) : v;
            v = relu ? (vec)((mask)v & ~(mask)(v < zero)) : v;
            if (past) {
                stream(y + j, v);
            } else {
                store(y + j, v);
            }
        }
        for (; j < c; j++) {
            fov_real v = x[j] * a->scale[j] + a->shift[j];
            v = add ? v + residual[j] : v;
            y[j] = relu && v < 0 ? 0 : v;
        }
    }
    if (past) {
        fence();
    }
}

void FOV_ISA_FN(bn_apply)(fov_real *y, const fov_real *x, const fov_real *residual, const fov_real *scale, const fov_real *shift, int relu,
                          int past, size_t rows, size_t c) {
    const affine a = {.y = y, .x = x, .residual = residual, .scale = scale, .shift = shift, .rows = rows, .c = c};
    const int how = (residual != NULL ? 4 : 0) + (relu ? 2 : 0) + (past && residual != y && streamable(y, c) ? 1 : 0);
#define CASE(n)                                                                                                                            \
    case n:                                                                                                                                \
        apply(&a, (n)&4, (n)&2, (n)&1);                                                                                                    \
        break;
    switch (how) { CASE(0) CASE(1) CASE(2) CASE(3) CASE(4) CASE(5) CASE(6) CASE(7) default : break; }
#undef CASE
}

/* ---- backward ---- */

/* How g follows from dy: unmasked, by scale x + shift > 0, by y > 0. */
enum { ALL, BY_X, BY_Y };

/* What happens to g: nothing, it is written, written past the caches, or added. */
enum { DROP, WRITE, WRITE_PAST, ADD };

typedef struct gradient {
    fov_real *dresidual;
    const fov_real *dy, *x, *y, *mean, *scale, *shift;
    size_t rows, c;
} gradient;

INLINE vec positive(vec g, vec out) {
    return (vec)((mask)g & (mask)(out > (vec){0}));
}

INLINE fov_real one_g(const gradient *g, const int how, size_t at, size_t j) {
    if (how == ALL) {
        return g->dy[at];
    }
    return (how == BY_X ? g->x[at] * g->scale[j] + g->shift[j] : g->y[at]) > 0 ? g->dy[at] : 0;
}

INLINE void put(fov_real *to, vec value, const int keep) {
    if (keep == WRITE_PAST) {
        stream(to, value);
    } else if (keep != DROP) {
        store(to, keep == ADD ? value + load(to) : value);
    }
}

INLINE void gradient_sums_run(const int width, double *sums, const gradient *g, size_t first, size_t rows, size_t j, const int how,
                              const int keep) {
    const size_t c = g->c, ahead = width == GROUP ? next_group(j, c) : LANES;
    vec mean[GROUP], scale[GROUP], shift[GROUP], sum[GROUP] = {{0}}, product[GROUP] = {{0}};
    for (int w = 0; w < width; w++) {
        mean[w] = load(g->mean + j + w * LANES);
        scale[w] = how == BY_X ? load(g->scale + j + w * LANES) : mean[w];
        shift[w] = how == BY_X ? load(g->shift + j + w * LANES) : mean[w];
    }
    for (size_t i = first; i < first + rows; i++) {
#pragma GCC unroll 4
        for (int w = 0; w < width; w++) {
            const size_t at = i * c + j + (size_t)w * LANES;
            ask_for(g->x + at + ahead);
            ask_for(g->dy + at + ahead);
            if (how == BY_Y) {
                ask_for(g->y + at + ahead);
            }
            const vec x = load(g->x + at);
            vec d = load(g->dy + at);
            d = how == ALL ? d : positive(d, how == BY_X ? x * scale[w] + shift[w] : load(g->y + at));
            sum[w] += d;
            product[w] += d * (x - mean[w]);
            if (keep != DROP) {
                put(g->dresidual + at, d, keep);
            }
        }
    }
    for (int w = 0; w < width; w++) {
        add_to(sums + j + w * LANES, sum[w]);
        add_to(sums + c + j + w * LANES, product[w]);
    }
}

INLINE void gradient_sums_column(double *sums, const gradient *g, size_t first, size_t rows, size_t j, const int how, const int keep) {
    for (size_t i = first; i < first + rows; i++) {
        const size_t at = i * g->c + j;
        const fov_real d = one_g(g, how, at, j);
        sums[j] += (double)d;
        sums[g->c + j] += (double)d * (double)(g->x[at] - g->mean[j]);
        if (keep != DROP) {
            g->dresidual[at] = keep == ADD ? d + g->dresidual[at] : d;
        }
    }
}

INLINE void gradient_sums(double *sums, const gradient *g, const int how, const int keep) {
    for (size_t first = 0; first < g->rows; first += RUN) {
        const size_t count = fov_least_size(g->rows - first, RUN);
        size_t j = 0;
        for (; j + GROUP * LANES <= g->c; j += GROUP * LANES) {
            gradient_sums_run(GROUP, sums, g, first, count, j, how, keep);
        }
        for (; j + LANES <= g->c; j += LANES) {
            gradient_sums_run(1, sums, g, first, count, j, how, keep);
        }
        for (; j < g->c; j++) {
            gradient_sums_column(sums, g, first, count, j, how, keep);
        }
    }
    if (keep == WRITE_PAST) {
        fence();
    }
}

/* Everything that is decided once a call becomes a constant of its own copy of F. */
#define EACH_HOW(F)                                                                                                                        \
    F(ALL, DROP)                                                                                                                           \
    F(ALL, WRITE) F(ALL, WRITE_PAST) F(ALL, ADD) F(BY_X, DROP) F(BY_X, WRITE) F(BY_X, WRITE_PAST) F(BY_X, ADD) F(BY_Y, DROP)               \
        F(BY_Y, WRITE) F(BY_Y, WRITE_PAST) F(BY_Y, ADD)

static int how_of(const fov_real *scale, const fov_real *y) {
    return scale == NULL ? ALL : (y == NULL ? BY_X : BY_Y);
}

static int keep_of(const fov_real *to, int accumulate, int past, size_t c) {
    if (to == NULL) {
        return DROP;
    }
    return accumulate ? ADD : (past && streamable(to, c) ? WRITE_PAST : WRITE);
}

void FOV_ISA_FN(bn_gradient_sums)(double *sums, fov_real *dresidual, int accumulate, int past, const fov_real *dy, const fov_real *x,
                                  const fov_real *y, const fov_real *mean, const fov_real *scale, const fov_real *shift, size_t rows,
                                  size_t c) {
    const gradient g = {
        .dresidual = dresidual, .dy = dy, .x = x, .y = y, .mean = mean, .scale = scale, .shift = shift, .rows = rows, .c = c};
    const int how = how_of(scale, y), keep = keep_of(dresidual, accumulate, past, c);
    for (size_t j = 0; j < 2 * c; j++) {
        sums[j] = 0;
    }
#define CASE(h, k)                                                                                                                         \
    if (how == (h) && keep == (k)) {                                                                                                       \
        gradient_sums(sums, &g, h, k);                                                                                                     \
        return;                                                                                                                            \
    }
    EACH_HOW(CASE)
#undef CASE
}

typedef struct slopes {
    const fov_real *factor, *center, *slope;
} slopes;

INLINE void gradient_rows(fov_real *dx, const gradient *g, const slopes *s, const int how, const int keep) {
    const size_t c = g->c;
    for (size_t i = 0; i < g->rows; i++) {
        size_t j = 0;
#pragma GCC unroll 4
        for (; j + LANES <= c; j += LANES) {
            const size_t at = i * c + j;
            ask_for(g->x + at + AHEAD);
            ask_for(g->dy + at + AHEAD);
            if (how == BY_Y) {
                ask_for(g->y + at + AHEAD);
            }
            const vec x = load(g->x + at);
            vec d = load(g->dy + at);
            if (how != ALL) {
                d = positive(d, how == BY_X ? x * load(g->scale + j) + load(g->shift + j) : load(g->y + at));
            }
            put(dx + at, load(s->factor + j) * (d - load(s->center + j) - (x - load(g->mean + j)) * load(s->slope + j)), keep);
        }
        for (; j < c; j++) {
            const size_t at = i * c + j;
            const fov_real v = s->factor[j] * (one_g(g, how, at, j) - s->center[j] - (g->x[at] - g->mean[j]) * s->slope[j]);
            dx[at] = keep == ADD ? dx[at] + v : v;
        }
    }
    if (keep == WRITE_PAST) {
        fence();
    }
}

void FOV_ISA_FN(bn_gradient)(fov_real *dx, int accumulate, int past, const fov_real *dy, const fov_real *x, const fov_real *y,
                             const fov_real *mean, const fov_real *scale, const fov_real *shift, const fov_real *factor,
                             const fov_real *center, const fov_real *slope, size_t rows, size_t c) {
    const gradient g = {.dy = dy, .x = x, .y = y, .mean = mean, .scale = scale, .shift = shift, .rows = rows, .c = c};
    const slopes s = {.factor = factor, .center = center, .slope = slope};
    const int how = how_of(scale, y), keep = keep_of(dx, accumulate, past, c);
#define CASE(h, k)                                                                                                                         \
    if (how == (h) && keep == (k)) {                                                                                                       \
        gradient_rows(dx, &g, &s, h, k);                                                                                                   \
        return;                                                                                                                            \
    }
    EACH_HOW(CASE)
#undef CASE
}
