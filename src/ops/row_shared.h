/* How row operations cut their work: by shape alone, so that partial results and their order do not depend on the number of threads. */
#ifndef FOV_OPS_ROW_SHARED_H
#define FOV_OPS_ROW_SHARED_H

#include "graph/graph.h"

#define FOV_ROWS_CHUNK_ELEMENTS ((size_t)16384) /* 64 KiB of float: a chunk's operands stay in the second-level cache */
#define FOV_ROWS_MAX_CHUNKS ((size_t)64)        /* bounds partial sums; enough for 16 threads to share evenly */

typedef struct fov_row_cut {
    size_t rows, width; /* the whole, as [rows, width] */
    size_t per, chunks; /* rows of a chunk (the last may have fewer), number of chunks */
} fov_row_cut;

static inline fov_row_cut fov_cut_rows(size_t rows, size_t width) {
    size_t per = FOV_ROWS_CHUNK_ELEMENTS / (width > 0 ? width : 1);
    const size_t least = (rows + FOV_ROWS_MAX_CHUNKS - 1) / FOV_ROWS_MAX_CHUNKS;
    per = per > least ? per : least;
    per = per > 0 ? per : 1;
    return (fov_row_cut){.rows = rows, .width = width, .per = per, .chunks = (rows + per - 1) / per};
}

/* All but the last axis as rows. */
static inline fov_row_cut fov_cut_shape(const fov_shape *shape) {
    const size_t width = shape->rank > 0 ? shape->dim[shape->rank - 1] : 1;
    return fov_cut_rows(width > 0 ? fov_shape_count(shape) / width : 0, width);
}

/* A flat array: chunks of whole vectors. */
static inline fov_row_cut fov_cut_flat(size_t count) {
    return fov_cut_rows((count + 63) / 64, 64);
}

static inline size_t fov_cut_first(const fov_row_cut *cut, size_t chunk) {
    return chunk * cut->per;
}

static inline size_t fov_cut_count(const fov_row_cut *cut, size_t chunk) {
    const size_t left = cut->rows - chunk * cut->per;
    return left < cut->per ? left : cut->per;
}

/* Elements of a chunk of fov_cut_flat(count), from element 64 * fov_cut_first. */
static inline size_t fov_cut_flat_count(const fov_row_cut *cut, size_t chunk, size_t count) {
    const size_t first = 64 * fov_cut_first(cut, chunk), most = 64 * fov_cut_count(cut, chunk);
    return count - first < most ? count - first : most;
}

/* Rows of `width` numbers that a pass beside a product takes at a time (fov_row_passes.chunk): half a cache of the second level, with the
 * other operand beside it. */
static inline size_t fov_pass_rows(size_t width) {
    enum { NUMBERS = 28672, LEAST = 56, MOST = 224 };
    const size_t rows = NUMBERS / width;
    return rows < LEAST ? LEAST : rows > MOST ? MOST : rows;
}

/* y (+)= the `parts` rows of partial [parts, d], added in order. */
void fov_add_partials(const fov_kernels *k, fov_real *y, const fov_real *partial, size_t parts, size_t d, bool accumulate);

/* Fails unless the operand is of reals and its last axis is `last`, or of rank 1 when `vector`. Messages as infer gives them. */
FOV_MUST_USE fov_status fov_check_real(const fov_node *node, unsigned input);
FOV_MUST_USE fov_status fov_check_vector(const fov_node *node, unsigned input, const char *name, size_t length);

#endif
