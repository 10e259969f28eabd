/* Products by rows: B is packed once, then each part makes whole rows of C from its own rows of A as they lie; and pairs, whose second
 * product takes these rows while they are in cache. */
#include "kernels/gemm_scheme.h"

enum { SLAB_NUMBERS = 16384 /* rows of A that are made at a time: they stay in L1 or near it */ };

static void whole_panel_chunk(void *context, size_t chunk, unsigned worker) {
    (void)worker;
    const fov_scheme *s = context;
    const size_t index = chunk / s->panels, panel = chunk % s->panels;
    const size_t from = fov_cut_at(s->k, index, s->depths), depth = fov_cut_at(s->k, index + 1, s->depths) - from;
    fov_pack_panel(s, s->packed_b + from * s->panels * s->width + panel * depth * s->width, panel, from, depth);
}

/* What a tile of a part asks for, one range of memory after the other. */
typedef struct wanted {
    const fov_real *from[7];
    size_t numbers[7], count, all;
} wanted;

static void want(wanted *w, const fov_real *rows, size_t numbers) {
    if (rows != NULL) {
        w->from[w->count] = rows;
        w->numbers[w->count++] = numbers;
        w->all += numbers;
    }
}

/* Tiles whose rows of A are made at a time. */
static size_t slab_of(const fov_scheme *s) {
    return fov_most_size(SLAB_NUMBERS / (s->p->k * s->height + 1), 1);
}

/* Rows of A that come next: those of the tile below, or if they are made, of the slab below with what they are made from; after the last
 * one those of the part that this thread will probably do next. And what is read when this part is done. */
static wanted wanted_by(const fov_scheme *s, size_t part, size_t t, size_t from) {
    const fov_product *p = s->p;
    wanted w = {.count = 0};
    const size_t end = fov_part_first(s, part + 1), below = t + (p->make == NULL ? 1 : slab_of(s));
    const size_t next =
        below < end ? below
                    : fov_least_size(fov_part_first(s, fov_least_size(part + s->threads, s->parts - 1)) + below - end, s->tiles - 1);
    const size_t row = fov_tile_first(s, next), numbers = s->height * p->a.stride;
    for (size_t i = 0; i < 2 && p->make_reads[i] != NULL; i++) {
        want(&w, p->make_reads[i] + row * p->a.stride, numbers);
    }
    if (p->a.data != NULL) {
        want(&w, p->a.data + row * p->a.stride + (p->make == NULL ? from : 0), numbers);
    }
    for (size_t i = 0; i < 2 && p->after_reads[i] != NULL; i++) {
        want(&w, p->after_reads[i] + fov_tile_first(s, t) * p->c_stride, s->height * p->c_stride);
    }
    if (p->e != NULL) {
        want(&w, p->e + fov_tile_first(s, t) * p->e_columns, s->height * p->e_columns);
    }
    for (size_t i = 0; i < 2 && p->e_reads[i] != NULL; i++) {
        if (p->e_reads[i] != p->after_reads[0] && p->e_reads[i] != p->after_reads[1]) {
            want(&w, p->e_reads[i] + fov_tile_first(s, t) * p->e_columns, s->height * p->e_columns);
        }
    }
    return w;
}

/* The share of one of `count` panels. */
static fov_asking share_of(const wanted *w, size_t index, size_t count, size_t depth) {
    size_t at = w->all * index / count, i = 0;
    for (; i + 1 < w->count && at >= w->numbers[i]; i++) {
        at -= w->numbers[i];
    }
    return (fov_asking){w->from[i] + at, fov_ceil_div(w->all, fov_most_size(count * depth, 1))};
}

void fov_make_rows(const fov_scheme *s, size_t begin, size_t end, fov_real *to) {
    const size_t row = fov_tile_first(s, begin);
    s->p->make(s->p->context, row, fov_tile_first(s, end) - row, to);
}

/* A part's rows as they lie against the panels of B: some of these stay in cache while all rows meet them, and what comes next is asked
 * for. */
static void multiply_rows(const fov_scheme *s, size_t part, fov_side b, size_t from, size_t depth, fov_real beta) {
    const fov_product *p = s->p;
    fov_side a = {.begin = fov_part_first(s, part), .end = fov_part_first(s, part + 1), .direct = true};
    a.data = p->a.data + fov_tile_first(s, a.begin) * p->a.stride + from;
    const size_t groups = fov_most_size(fov_ceil_div(s->panels * s->width * depth, FOV_GROUP_PACKED), 1), slab = slab_of(s);
    for (size_t g = 0; g < groups; g++) {
        const size_t begin = fov_cut_at(s->panels, g, groups), end = fov_cut_at(s->panels, g + 1, groups);
        for (size_t t = a.begin; t < a.end; t++) {
            if (p->make != NULL && from + g == 0 && (t - a.begin) % slab == 0) {
                fov_make_rows(s, t, fov_least_size(t + slab, a.end), NULL);
            }
            const wanted w = wanted_by(s, part, t, from);
            for (size_t j = begin; j < end; j++) {
                fov_multiply_tile(s, p->c, p->c_stride, a, b, t, j, depth, beta, share_of(&w, j - begin, end - begin, depth));
            }
        }
    }
}

/* The same with A packed. */
static void multiply_packed(const fov_scheme *s, size_t part, fov_side b, size_t from, size_t depth, fov_real beta) {
    _Alignas(64) fov_real packed[FOV_PART_PANELS];
    const fov_side a = {.begin = fov_part_first(s, part), .end = fov_part_first(s, part + 1), .data = packed};
    for (size_t t = a.begin; t < a.end; t++) {
        fov_pack_tile(s, packed + (t - a.begin) * s->a_panel, t, from, depth);
    }
    for (size_t j = b.begin; j < b.end; j++) {
        for (size_t t = a.begin; t < a.end; t++) {
            fov_multiply_tile(s, s->p->c, s->p->c_stride, a, b, t, j, depth, beta, (fov_asking){b.data, 0});
        }
    }
}

static void part_chunk(void *context, size_t part, unsigned worker) {
    (void)worker;
    const fov_scheme *s = context;
    const fov_product *p = s->p;
    if (p->before != NULL) {
        p->before(p->context, part);
    }
    for (size_t i = 0; i < s->depths; i++) {
        const size_t from = fov_cut_at(s->k, i, s->depths), depth = fov_cut_at(s->k, i + 1, s->depths) - from;
        const fov_side b = {.end = s->panels, .data = s->packed_b + from * s->panels * s->width};
        (s->direct_a ? multiply_rows : multiply_packed)(s, part, b, from, depth, i == 0 ? p->beta : 1);
    }
    if (p->after != NULL) {
        p->after(p->context, part);
    }
}

void fov_run_by_rows(fov_pool *pool, fov_scheme *s, fov_real *work) {
    s->packed_b = work;
    s->threads = fov_pool_threads(pool);
    fov_pool_for(pool, s->depths * s->panels, whole_panel_chunk, s);
    fov_pool_for(pool, s->parts, part_chunk, s);
}

/* ---- pairs: by rows, and a second product of these rows ---- */

/* What one thread does in a row: the tiles whose rows D has still to take, and where they are. */
typedef struct pair {
    fov_side rows;
    size_t made; /* first tile whose rows are still to be made */
    fov_real *slab, *slab_e, *d;
    fov_real beta;
} pair;

/* D += A^T E of the rows that wait. */
static void take_rows(const fov_scheme *s, pair *q) {
    const fov_product *p = s->p;
    const size_t first = fov_tile_first(s, q->rows.begin), depth = fov_tile_first(s, q->rows.end) - first,
                 tiles = fov_ceil_div(p->k, s->height);
    const fov_real *e = p->e == NULL ? q->slab_e : p->e + first * p->e_columns;
    if (p->e == NULL) {
        p->make_e(p->context, first, depth, q->slab_e);
    }
    for (size_t j = 0; j < p->e_columns; j += s->width) {
        for (size_t t = 0; t < tiles; t++) {
            const size_t row = fov_cut_at(p->k, t, tiles);
            s->kernels->gemm_tile_at(q->d + row * p->e_columns + j, p->e_columns, fov_cut_at(p->k, t + 1, tiles) - row, s->width,
                                     q->rows.data + row, 1, p->a.stride, e + j, p->e_columns, depth, q->beta);
        }
    }
    q->rows.begin = q->rows.end;
    q->beta = 1;
}

static void pair_part(const fov_scheme *s, pair *q, size_t part) {
    const fov_product *p = s->p;
    const size_t end = fov_part_first(s, part + 1);
    const fov_side b = {.end = s->panels, .data = s->packed_b};
    for (size_t t = fov_part_first(s, part); t < end; t++) {
        if (q->rows.begin == t) {
            q->rows.data = p->a.data == NULL ? q->slab : p->a.data + fov_tile_first(s, t) * p->a.stride;
        }
        if (p->make != NULL && q->made == t) {
            q->made = fov_least_size(fov_least_size(t + slab_of(s), end), q->rows.begin + s->round);
            const size_t along = fov_tile_first(s, t) - fov_tile_first(s, q->rows.begin);
            fov_make_rows(s, t, q->made, p->a.data == NULL ? q->slab + along * p->a.stride : NULL);
        }
        const wanted w = wanted_by(s, part, t, 0);
        for (size_t j = 0; j < s->panels; j++) {
            fov_multiply_tile(s, p->c, p->c_stride, q->rows, b, t, j, s->k, p->beta, share_of(&w, j, s->panels, s->k));
        }
        q->rows.end = t + 1;
        if (q->rows.end - q->rows.begin == s->round) {
            take_rows(s, q);
        }
    }
    if (p->after != NULL) {
        p->after(p->context, part);
    }
}

static void pair_chunk(void *context, size_t run, unsigned worker) {
    (void)worker;
    const fov_scheme *s = context;
    const fov_product *p = s->p;
    _Alignas(64) fov_real slab[FOV_PART_NUMBERS];
    const size_t begin = fov_cut_at(s->parts, run, s->runs), end = fov_cut_at(s->parts, run + 1, s->runs), first = fov_part_first(s, begin);
    pair q = {.rows = {.begin = first, .end = first, .direct = true}, .made = first, .slab = slab};
    q.slab_e = slab + s->round * s->height * p->k;
    q.d = s->sums + run * p->k * p->e_columns;
    for (size_t part = begin; part < end; part++) {
        pair_part(s, &q, part);
    }
    if (q.rows.end > q.rows.begin) {
        take_rows(s, &q);
    }
}

void fov_run_pairs(fov_pool *pool, fov_scheme *s, fov_real *work) {
    const fov_product *p = s->p;
    const fov_product second = {.c = p->d, .c_stride = p->e_columns, .m = p->k, .n = p->e_columns, .beta = p->d_beta};
    s->packed_b = work;
    s->sums = work + s->panels * s->width * s->k;
    s->threads = 1; /* the part below is this thread's next one */
    fov_pool_for(pool, s->panels, whole_panel_chunk, s);
    fov_pool_for(pool, s->runs, pair_chunk, s);
    fov_scheme sum = {.p = &second, .kernels = s->kernels, .sums = s->sums, .cuts = s->runs};
    fov_add_sums(pool, &sum);
}
