/* Pillow's antialiased resize, bit for bit: separable convolution, horizontal pass first, rounded to bytes between the passes.
 *
 * Along an axis with scale = in / out and s = max(scale, 1), output i has its centre at c = origin + (i + .5) scale and weighs input x by
 * f((x - c + .5) / s) over c -+ support * s, normalised to 1; f is the triangle (support 1) or the cubic with a = -1/2 (support 2).
 * Weights are held in 22 fraction bits, so sums are exact in 32-bit integers and free of the order of addition.
 *
 * Samples of 16 bits are resized as Pillow resizes mode "F", not "I;16": float pixels, sums in double, rounded to float after each pass;
 * then to the nearest integer, halves to even, clamped. (Pillow's own "I;16" rounds and wraps between the passes.)
 *
 * The filter sees nothing outside the box. On a shrunk frame the box's ends may lie between pixels: the filter then sees the pixels that
 * the box touches, as Pillow does with a box of floats on the picture cropped to them.
 *
 * Rows are filtered horizontally in groups of four, four groups at a time, when the vertical pass first needs one of them, into a ring of
 * the groups that one output looks at. The work set stays in cache, and a large picture needs no copy of itself, nor to be there as a
 * whole: it may come in strips, downwards or upwards. Groups are counted from the top of the box either way, so that sums are the same.
 * Strips of columns are resize_sideways.c's. */
#include <math.h>
#include <string.h>

#include "augment/resize.h"
#include "base/checked.h"

#define GROUP 4
#define MAX_SIDE ((size_t)1 << 20)

static fov_span box_span(size_t left, size_t width, size_t shrink) {
    const size_t start = left / shrink, end = (left + width + shrink - 1) / shrink;
    return (fov_span){start, end - start, (double)(left % shrink) / (double)shrink, (double)width / (double)shrink};
}

/* Inputs of each output, then their groups of four: the most that one output has, and where each begins. */
static void axis_places(const fov_filter *filter, double support, fov_filter_axis *axis) {
    const size_t quads = (filter->in + GROUP - 1) / GROUP;
    axis->groups = 0;
    axis->tap_limit = 0;
    for (size_t i = 0; i < axis->count; i++) {
        const double center = filter->origin + ((double)(axis->offset + i) + 0.5) * filter->scale;
        const double low = center - support + 0.5, high = center + support + 0.5;
        const size_t start = low > 0.0 ? (size_t)low : 0;
        const size_t end = (size_t)high > filter->in ? filter->in : (size_t)high;
        axis->start[i] = (uint32_t)start;
        axis->taps[i] = (uint32_t)(end - start);
        axis->first[i] = (uint32_t)(start / GROUP);
        axis->span[i] = (uint32_t)((end + GROUP - 1) / GROUP - start / GROUP);
        axis->groups = axis->span[i] > axis->groups ? axis->span[i] : axis->groups;
        axis->tap_limit = axis->taps[i] > axis->tap_limit ? axis->taps[i] : axis->tap_limit;
    }
    for (size_t i = 0; i < axis->count; i++) { /* all outputs have `groups` groups, inside the input */
        const size_t last = quads - axis->groups, first = axis->first[i];
        if (first > last) {
            axis->span[i] += (uint32_t)(first - last);
            axis->first[i] = (uint32_t)last;
        }
    }
}

fov_status fov_resize_axis(fov_augmenter *augmenter, fov_scratch slot, const fov_pixel_loops *loops, const fov_span *in, fov_axis_outputs o,
                           fov_filter_axis *axis) {
    const fov_filter filter = {.origin = in->origin, .scale = in->extent / (double)o.out, .in = in->size, .bicubic = o.bicubic};
    const double support = (o.bicubic ? 2.0 : 1.0) * (filter.scale < 1.0 ? 1.0 : filter.scale);
    const size_t widest = (size_t)ceil(support) * 2 + 1, tap_limit = widest < in->size ? widest : in->size;
    const size_t groups = (tap_limit + 2 * (GROUP - 1)) / GROUP;
    const size_t weight = o.deep ? sizeof(double) : sizeof(int32_t);
    const size_t per_output = groups * GROUP * weight + 4 * sizeof(uint32_t), tile = tap_limit * FOV_FILTER_TILE * sizeof(double);
    size_t bytes;
    if (!fov_mul_size(o.count, per_output, &bytes) || !fov_add_size(bytes, tile, &bytes)) {
        return FOV_FAIL(FOV_E_LIMIT, "resize from %zu to %zu needs more weights than memory can hold", in->size, o.out);
    }
    char *block = fov_augmenter_scratch(augmenter, slot, bytes, 1);
    FOV_TRY_ALLOC(block);
    *axis = (fov_filter_axis){.in = in->size, .offset = o.offset, .count = o.count};
    axis->tile = (double *)(void *)block;
    axis->real = o.deep ? (double *)(void *)(block + tile) : NULL;
    axis->weights = o.deep ? NULL : (int32_t *)(void *)(block + tile);
    axis->first = (uint32_t *)(void *)(block + tile + o.count * groups * GROUP * weight);
    axis->span = axis->first + o.count;
    axis->start = axis->span + o.count;
    axis->taps = axis->start + o.count;
    axis_places(&filter, support, axis);
    FOV_ASSERT(axis->groups <= groups && axis->tap_limit <= tap_limit);
    if (o.deep) {
        loops->pixel_weights_real(&filter, axis);
    } else {
        loops->pixel_weights(&filter, axis);
    }
    return FOV_OK;
}

/* Groups in the ring: those that one output looks at, and what comes along with the last of them. */
static size_t ring_groups(const fov_resizer *r) {
    return r->y.groups + FOV_PACK_GROUPS - 1;
}

static void *group_at(const fov_resizer *r, size_t group) {
    return r->ring + group % ring_groups(r) * r->group_bytes;
}

/* Rows of the box that a strip has: [first, end). */
typedef struct strip_rows {
    const uint8_t *pixels; /* of the box's first column in the first of them */
    size_t row_bytes, first, end;
} strip_rows;

static void group_rows(const fov_resizer *r, const strip_rows *s, size_t group, const void **rows) {
    for (size_t k = 0; k < GROUP; k++) {
        const size_t row = GROUP * group + k; /* rows past the end have weight 0 */
        rows[k] = s->pixels + ((row < r->height ? row : r->height - 1) - s->first) * s->row_bytes;
    }
}

static bool has_group(const fov_resizer *r, const strip_rows *s, size_t group) {
    const size_t end = GROUP * (group + 1);
    return group != SIZE_MAX && GROUP * group >= s->first && (end < r->height ? end : r->height) <= s->end;
}

/* The group after this one on the way; SIZE_MAX, which no strip has, past the last. */
static size_t group_after(const fov_resizer *r, size_t group) {
    if (r->upward) {
        return group - 1;
    }
    return GROUP * (group + 1) < r->height ? group + 1 : SIZE_MAX;
}

/* Puts the next group into the ring, of bytes the next four where the strip has them: they cost the same together. */
static void fill_groups(fov_resizer *r, const strip_rows *s, uint8_t *packed) {
    const void *rows[FOV_PACK_ROWS];
    uint8_t *out[FOV_PACK_GROUPS];
    size_t group = r->next;
    if (r->deep) {
        group_rows(r, s, group, rows);
        r->loops->pixel_deep_pack((const uint16_t *const *)(const void *)rows, r->width, r->channels, (double *)(void *)packed);
        r->loops->pixel_deep_columns((const double *)(const void *)packed, &r->x, r->channels, r->mirror, group_at(r, group));
        r->next = group_after(r, group);
        return;
    }
    for (size_t k = 0; k < FOV_PACK_GROUPS; k++) {
        if (k > 0 && !has_group(r, s, r->next)) { /* the one before once more, to where nobody looks */
            memcpy(rows + GROUP * k, rows + GROUP * (k - 1), GROUP * sizeof *rows);
            out[k] = r->ring + ring_groups(r) * r->group_bytes;
            continue;
        }
        group_rows(r, s, r->next, rows + GROUP * k);
        out[k] = group_at(r, r->next);
        r->next = group_after(r, r->next);
    }
    r->loops->pixel_pack((const uint8_t *const *)(const void *)rows, r->plane, r->width, r->channels, packed);
    r->loops->pixel_columns(packed, &r->x, r->channels, r->mirror, out);
}

/* Output i, whose groups are all in the ring. */
static void make_row(const fov_resizer *r, size_t i) {
    void *const out = r->output + i * r->samples * (r->deep ? 2 : 1);
    for (size_t g = 0; g < r->y.span[i]; g++) {
        r->group[g] = group_at(r, r->y.first[i] + g);
    }
    if (r->deep) {
        r->loops->pixel_deep_rows((const float *const *)(const void *)r->group, &r->y, i, r->samples, out);
    } else {
        r->loops->pixel_rows((const uint8_t *const *)(const void *)r->group, &r->y, i, r->samples, out);
    }
}

/* Whether groups that output i looks at are still to come. */
static bool waits(const fov_resizer *r, size_t i) {
    return r->upward ? r->next != SIZE_MAX && r->next >= r->y.first[i] : r->next < r->y.first[i] + r->y.span[i];
}

/* Makes all outputs that the strip completes; what it has of others goes into the ring. */
static void run(fov_resizer *r, const strip_rows *s, uint8_t *packed) {
    for (; r->made < r->y.count; r->made++) {
        const size_t i = r->upward ? r->y.count - 1 - r->made : r->made;
        while (waits(r, i)) {
            if (!has_group(r, s, r->next)) {
                return;
            }
            fill_groups(r, s, packed);
        }
        make_row(r, i);
    }
}

static fov_status check(const fov_image *image, const fov_resize *z) {
    if (image->channels == 0 || image->channels > FOV_MAX_CHANNELS || image->width == 0 || image->height == 0 || image->width > MAX_SIDE ||
        image->height > MAX_SIDE) {
        return FOV_FAIL(FOV_E_INVALID, "resize takes pictures of 1 to %zu channels and sides from 1 to %zu, got %zu x %zu x %zu",
                        FOV_MAX_CHANNELS, MAX_SIDE, image->width, image->height, image->channels);
    }
    if (z->window_width == 0 || z->window_height == 0 || z->window_width > MAX_SIDE || z->window_height > MAX_SIDE) {
        return FOV_FAIL(FOV_E_INVALID, "resize makes pictures with sides from 1 to %zu, asked for %zu x %zu", MAX_SIDE, z->window_width,
                        z->window_height);
    }
    FOV_ASSERT(z->width > 0 && z->height > 0);
    FOV_ASSERT(z->window_left + z->window_width <= z->out_width && z->window_top + z->window_height <= z->out_height);
    return FOV_OK;
}

fov_scratch fov_lane_slot(size_t lane, fov_scratch slot) {
    return lane == 0 ? slot : FOV_SCRATCH_LANES + (fov_scratch)(FOV_LANE_SLOTS * (lane - 1) + (slot - FOV_SCRATCH_AXIS_X));
}

static fov_status make_buffers(fov_augmenter *augmenter, size_t lane, fov_resizer *r) {
    const size_t packed = r->deep ? r->width * fov_deep_lanes(r->channels) * sizeof(double) : fov_pack_bytes(r->width, r->channels);
    FOV_TRY_ALLOC(fov_augmenter_scratch(augmenter, FOV_SCRATCH_PACKED, packed, 1));
    r->group_bytes = r->deep ? GROUP * r->samples * sizeof(float) : fov_slack_bytes(GROUP * r->samples);
    r->ring = fov_augmenter_scratch(augmenter, fov_lane_slot(lane, FOV_SCRATCH_ROWS), ring_groups(r) + 1, r->group_bytes);
    FOV_TRY_ALLOC(r->ring);
    r->group = fov_augmenter_scratch(augmenter, fov_lane_slot(lane, FOV_SCRATCH_POINTERS), r->y.groups, sizeof *r->group);
    FOV_TRY_ALLOC(r->group);
    return FOV_OK;
}

/* Columns that are summed up one by one want each weight as a number, not as a set's vectors. */
static fov_status make_axes(fov_augmenter *augmenter, size_t lane, const fov_resize *z, const fov_span *x, const fov_span *y) {
    fov_resizer *const r = &augmenter->resizer[lane];
    const bool bicubic = z->interpolation == FOV_BICUBIC;
    const fov_axis_outputs across = {z->out_width, z->window_left, z->window_width, bicubic, r->deep};
    const fov_axis_outputs down = {z->out_height, z->window_top, z->window_height, bicubic, r->deep};
    const fov_pixel_loops *const loops = r->by_columns ? fov_pixel_loops_named("c") : r->loops;
    FOV_TRY(fov_resize_axis(augmenter, fov_lane_slot(lane, FOV_SCRATCH_AXIS_X), loops, x, across, &r->x));
    FOV_TRY(fov_resize_axis(augmenter, fov_lane_slot(lane, FOV_SCRATCH_AXIS_Y), r->loops, y, down, &r->y));
    return FOV_OK;
}

/* Room for strips of rows. */
static fov_status begin_rows(fov_augmenter *augmenter, size_t lane) {
    fov_resizer *const r = &augmenter->resizer[lane];
    FOV_TRY(make_buffers(augmenter, lane, r));
    const size_t last = r->y.count - 1;
    r->next = r->upward ? r->y.first[last] + r->y.span[last] - 1 : r->y.first[0];
    return FOV_OK;
}

fov_status fov_resize_begin(fov_augmenter *augmenter, size_t lane, const fov_strip *strip, const fov_resize *resize, uint8_t *output) {
    const fov_image *image = &strip->image;
    FOV_TRY(check(image, resize));
    const fov_resize *z = resize;
    const size_t shrink = image->shrink > 1 ? image->shrink : 1;
    const fov_span x = box_span(z->left, z->width, shrink), y = box_span(z->top, z->height, shrink);
    const fov_span *const along = strip->sideways ? &y : &x, *const down = strip->sideways ? &x : &y;
    fov_resizer *r = &augmenter->resizer[lane];
    *r = (fov_resizer){.loops = augmenter->loops, .output = output, .deep = image->deep, .upward = strip->upward};
    r->by_columns = strip->sideways;
    r->left = along->start;
    r->top = down->start;
    r->width = along->size;
    r->height = down->size;
    r->channels = image->channels;
    r->mirror = z->mirror;
    r->plane = image->planar ? image->width : 1;
    r->samples = z->window_width * image->channels;
    FOV_ASSERT(r->deep + r->by_columns + image->planar <= 1);
    FOV_TRY(make_axes(augmenter, lane, z, &x, &y));
    FOV_TRY(r->by_columns ? fov_sideways_begin(augmenter, lane) : begin_rows(augmenter, lane));
    return FOV_OK;
}

void fov_resize_feed(fov_augmenter *augmenter, size_t lane, const fov_image *strip) {
    fov_resizer *r = &augmenter->resizer[lane];
    if (strip->top + strip->height <= r->top || strip->top >= r->top + r->height) {
        return;
    }
    const size_t pixel = fov_pixel_bytes(fov_image_format(strip)), skipped = strip->top < r->top ? r->top - strip->top : 0;
    FOV_ASSERT(r->left >= strip->left && r->left + r->width <= strip->left + strip->width);
    strip_rows rows = {
        .row_bytes = strip->width * pixel, .first = strip->top + skipped - r->top, .end = strip->top + strip->height - r->top};
    rows.pixels = strip->pixels + skipped * rows.row_bytes + (r->left - strip->left) * (strip->planar ? 1 : pixel);
    uint8_t *const packed = augmenter->scratch[FOV_SCRATCH_PACKED].bytes;
    if (r->by_columns) {
        const size_t end = rows.end < r->height ? rows.end : r->height;
        fov_sideways_feed(r, rows.pixels, rows.row_bytes, rows.first, end, packed);
    } else {
        run(r, &rows, packed);
    }
}

fov_status fov_resize_apply(fov_augmenter *augmenter, const fov_image *image, const fov_resize *resize, uint8_t *output) {
    const fov_strip all = {.image = *image, .first = true};
    FOV_TRY(fov_resize_begin(augmenter, 0, &all, resize, output));
    fov_resize_feed(augmenter, 0, image);
    FOV_ASSERT(augmenter->resizer[0].made == augmenter->resizer[0].y.count);
    return FOV_OK;
}

/* (size - window) / 2, halves to even, as Python's round. */
static size_t center_offset(size_t size, size_t window) {
    const size_t spare = size - window, half = spare / 2;
    return spare % 2 == 0 ? half : half + half % 2;
}

void fov_resize_center(size_t width, size_t height, size_t shorter, size_t window, fov_interpolation interpolation, fov_resize *resize) {
    FOV_ASSERT(width > 0 && height > 0 && window > 0 && shorter >= window);
    const bool wide = width > height;
    const size_t out_width = wide ? shorter * width / height : shorter;
    const size_t out_height = wide ? shorter : shorter * height / width;
    *resize = (fov_resize){
        .width = width,
        .height = height,
        .out_width = out_width,
        .out_height = out_height,
        .window_left = center_offset(out_width, window),
        .window_top = center_offset(out_height, window),
        .window_width = window,
        .window_height = window,
        .interpolation = interpolation,
    };
}
