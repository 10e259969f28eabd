/* The resize of a picture whose columns come as rows: what a quarter turn makes of strips. The bytes are those of resize.c.
 *
 * Here the pass that comes first runs across rows, each of which is given out to the few sums that it belongs to: those are all that is
 * kept of a picture of any height and width, where the other way round the result of a whole pass would have to be. Sums are exact, so
 * neither their order nor that of the rows is seen in them. Finished rows go through the second pass sixteen at a time and are turned as
 * they leave it. */
#include <string.h>

#include "augment/resize.h"
#include "base/checked.h"

/* Rows that output i waits for, as numbers of their coming: [first, end). */
static size_t first_row(const fov_resizer *r, size_t i) {
    return r->upward ? r->height - r->x.start[i] - r->x.taps[i] : r->x.start[i];
}

static size_t end_row(const fov_resizer *r, size_t i) {
    return first_row(r, i) + r->x.taps[i];
}

/* The output that is number k to be finished. */
static size_t in_order(const fov_resizer *r, size_t k) {
    return r->upward ? r->x.count - 1 - k : k;
}

/* The most outputs that wait for one row. */
static size_t most_open(const fov_resizer *r) {
    size_t most = 0, finished = 0;
    for (size_t k = 0; k < r->x.count; k++) {
        while (end_row(r, in_order(r, finished)) <= first_row(r, in_order(r, k))) {
            finished++;
        }
        most = k + 1 - finished > most ? k + 1 - finished : most;
    }
    return most;
}

/* An axis that gives four rows back one by one: the second pass leaves them in a form that only the set knows. */
static fov_status make_rows_apart(fov_augmenter *augmenter, size_t lane, fov_resizer *r) {
    const fov_span four = {.size = 4, .extent = 4.0};
    FOV_TRY(fov_resize_axis(augmenter, fov_lane_slot(lane, FOV_SCRATCH_POINTERS), augmenter->loops, &four,
                            (fov_axis_outputs){.out = 4, .count = 4}, &r->sideways.apart));
    return FOV_OK;
}

static fov_status make_room(fov_augmenter *augmenter, size_t lane, fov_resizer *r) {
    fov_sideways *const s = &r->sideways;
    s->samples = r->width * r->channels;
    s->open = most_open(r);
    s->group_bytes = fov_slack_bytes(4 * r->y.count * r->channels);
    const size_t sums = fov_slack_bytes(s->samples * sizeof *s->sums), row = fov_slack_bytes(s->samples),
                 out = fov_slack_bytes(r->y.count * r->channels);
    size_t sums_bytes, bytes;
    if (!fov_mul_size(s->open, sums, &sums_bytes) || !fov_add_size(sums_bytes, FOV_PACK_ROWS * row, &bytes) ||
        !fov_add_size(bytes, FOV_PACK_GROUPS * s->group_bytes + out, &bytes)) {
        return FOV_FAIL(FOV_E_LIMIT, "a resize of columns of %zu pixels needs more memory than there can be", r->width);
    }
    uint8_t *block = fov_augmenter_scratch(augmenter, fov_lane_slot(lane, FOV_SCRATCH_ROWS), bytes, 1);
    FOV_TRY_ALLOC(block);
    s->sums = (int32_t *)(void *)block;
    s->sums_step = sums / sizeof *s->sums;
    s->rows = block + sums_bytes;
    s->row_step = row;
    s->groups = s->rows + FOV_PACK_ROWS * row;
    s->out = s->groups + FOV_PACK_GROUPS * s->group_bytes;
    FOV_TRY_ALLOC(fov_augmenter_scratch(augmenter, FOV_SCRATCH_PACKED, fov_pack_bytes(r->width, r->channels), 1));
    return FOV_OK;
}

fov_status fov_sideways_begin(fov_augmenter *augmenter, size_t lane) {
    fov_resizer *const r = &augmenter->resizer[lane];
    FOV_TRY(make_rows_apart(augmenter, lane, r));
    FOV_TRY(make_room(augmenter, lane, r));
    return FOV_OK;
}

/* A finished column of the picture to its place. */
static void put_column(const fov_resizer *r, size_t i) {
    const size_t pixel = r->channels, across = r->samples, column = r->mirror ? r->x.count - 1 - i : i;
    uint8_t *to = r->output + column * pixel;
    for (size_t y = 0; y < r->y.count; y++, to += across) {
        for (size_t c = 0; c < pixel; c++) {
            to[c] = r->sideways.out[y * pixel + c];
        }
    }
}

/* The second pass over the rows that were kept. */
static void flush(fov_resizer *r, uint8_t *packed) {
    fov_sideways *const s = &r->sideways;
    const uint8_t *rows[FOV_PACK_ROWS];
    uint8_t *out[FOV_PACK_GROUPS];
    for (size_t k = 0; k < FOV_PACK_ROWS; k++) {
        rows[k] = s->rows + (k < s->kept ? k : s->kept - 1) * s->row_step;
    }
    for (size_t g = 0; g < FOV_PACK_GROUPS; g++) {
        out[g] = s->groups + g * s->group_bytes;
    }
    r->loops->pixel_pack(rows, 1, r->width, r->channels, packed);
    r->loops->pixel_columns(packed, &r->y, r->channels, false, out);
    for (size_t k = 0; k < s->kept; k++) {
        const uint8_t *const group = out[k / 4];
        r->loops->pixel_rows(&group, &s->apart, k % 4, r->y.count * r->channels, s->out);
        put_column(r, in_order(r, r->made - s->kept + k));
    }
    s->kept = 0;
}

/* Gives row t of the box out to the sums it belongs to; those that it completes are rounded and kept. */
static void take_row(fov_resizer *r, const uint8_t *row, size_t t, uint8_t *packed) {
    fov_sideways *const s = &r->sideways;
    const size_t came = r->upward ? r->height - 1 - t : t;
    for (size_t k = r->made; k < r->x.count && first_row(r, in_order(r, k)) <= came; k++) {
        const size_t i = in_order(r, k);
        const int32_t weight = r->x.weights[i * r->x.groups * 4 + (t - 4 * r->x.first[i])];
        r->loops->pixel_sum_row(row, weight, s->samples, first_row(r, i) == came, s->sums + k % s->open * s->sums_step);
    }
    for (; r->made < r->x.count && end_row(r, in_order(r, r->made)) == came + 1; r->made++) {
        if (s->kept == FOV_PACK_ROWS) {
            flush(r, packed);
        }
        r->loops->pixel_sum_bytes(s->sums + r->made % s->open * s->sums_step, s->samples, s->rows + s->kept * s->row_step);
        s->kept++;
    }
}

void fov_sideways_feed(fov_resizer *r, const uint8_t *pixels, size_t row_bytes, size_t first, size_t end, uint8_t *packed) {
    for (size_t k = first; k < end && r->made < r->x.count; k++) {
        const size_t t = r->upward ? end - 1 - (k - first) : k, came = r->upward ? r->height - 1 - t : t;
        if (came == r->next) {
            take_row(r, pixels + (t - first) * row_bytes, t, packed);
            r->next++;
        }
    }
    if (r->made == r->x.count && r->sideways.kept > 0) {
        flush(r, packed);
    }
}
