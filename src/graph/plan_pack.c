/* Packing of pieces with known lifetimes into one block.
 *
 * Choosing offsets that minimise the block is NP-hard (dynamic storage allocation). Greedy by size, each piece into the tightest gap among
 * the placed pieces whose lifetimes meet its own (Pisarchyk and Lee, "Efficient Memory Management for Deep Neural Net Inference", 2020),
 * comes within a few per cent of the lower bound on real networks. Ties are broken by time and node, so that the layout depends on the
 * graph alone. */
#include <stdlib.h>

#include "graph/plan_internal.h"

static bool meet(const fov_piece *a, const fov_piece *b) {
    return a->first <= b->last && b->first <= a->last;
}

static int by_size(const void *left, const void *right) {
    const fov_piece *a = *(const fov_piece *const *)left, *b = *(const fov_piece *const *)right;
    if (a->bytes != b->bytes) {
        return a->bytes > b->bytes ? -1 : 1;
    }
    if (a->first != b->first) {
        return a->first < b->first ? -1 : 1;
    }
    return a < b ? -1 : 1; /* pieces of one array, in order of making */
}

/* Start of the tightest gap for `piece` among `placed`, which are in order of offset. */
static size_t best_gap(const fov_piece *piece, fov_piece *const *placed, size_t count) {
    size_t end = 0, best = SIZE_MAX, best_bytes = SIZE_MAX;
    for (size_t i = 0; i < count; i++) {
        const fov_piece *other = placed[i];
        if (!meet(piece, other)) {
            continue;
        }
        if (other->offset > end && other->offset - end >= piece->bytes && other->offset - end < best_bytes) {
            best = end;
            best_bytes = other->offset - end;
        }
        end = other->offset + other->bytes > end ? other->offset + other->bytes : end;
    }
    return best != SIZE_MAX ? best : end;
}

/* Inserts by offset into the first `count` of `placed`. */
static void insert(fov_piece **placed, size_t count, fov_piece *piece) {
    size_t i = count;
    for (; i > 0 && placed[i - 1]->offset > piece->offset; i--) {
        placed[i] = placed[i - 1];
    }
    placed[i] = piece;
}

size_t fov_plan_pack(fov_piece *pieces, size_t count, bool reuse, fov_piece **placed) {
    size_t total = 0;
    for (size_t i = 0; i < count; i++) {
        pieces[i].offset = total;
        total += pieces[i].bytes;
        placed[i] = &pieces[i];
    }
    if (!reuse) {
        return total;
    }
    qsort(placed, count, sizeof placed[0], by_size);
    total = 0;
    /* The front of `placed` is kept in order of offset, the rest is still in order of size. */
    for (size_t i = 0; i < count; i++) {
        fov_piece *piece = placed[i];
        piece->offset = best_gap(piece, placed, i);
        insert(placed, i, piece);
        total = piece->offset + piece->bytes > total ? piece->offset + piece->bytes : total;
    }
    return total;
}
