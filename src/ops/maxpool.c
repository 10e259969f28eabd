/* Largest value of each window, with minus infinity outside the picture. Ties go to the first tap in scan order, and a NaN wins, as in
 * PyTorch.
 *
 * The winning tap is kept as one byte an output; backward adds dy there, one picture a chunk since windows overlap. Rows
 * of dx are zeroed when the first window reaches them, so that they are still in cache when dy is added. */
#include "ops/ops.h"
#include "ops/row_shared.h"

#define MAX_KERNEL 15 /* taps fit a byte */

typedef struct pool_attr {
    size_t kernel, stride, pad;
} pool_attr;

static fov_status infer(fov_node *node) {
    const pool_attr *a = node->attr;
    const fov_shape *x = &node->input[0]->shape;
    char text[128];
    FOV_TRY(fov_check_real(node, 0));
    if (x->rank != 4 || fov_shape_count(x) == 0) {
        return FOV_FAIL(FOV_E_INVALID, "needs input [n, h, w, c], got %s", fov_shape_text(x, text, sizeof text));
    }
    if (a->kernel == 0 || a->kernel > MAX_KERNEL || a->stride == 0 || 2 * a->pad > a->kernel) {
        return FOV_FAIL(FOV_E_INVALID,
                        "needs a window of 1 to %d, stride >= 1 and padding of at most half the window, got %zu, %zu and %zu", MAX_KERNEL,
                        a->kernel, a->stride, a->pad);
    }
    if (x->dim[1] + 2 * a->pad < a->kernel || x->dim[2] + 2 * a->pad < a->kernel) {
        return FOV_FAIL(FOV_E_INVALID, "needs pictures of at least its window %zu less padding %zu, got %s", a->kernel, a->pad,
                        fov_shape_text(x, text, sizeof text));
    }
    node->shape = FOV_SHAPE(x->dim[0], (x->dim[1] + 2 * a->pad - a->kernel) / a->stride + 1,
                            (x->dim[2] + 2 * a->pad - a->kernel) / a->stride + 1, x->dim[3]);
    node->stash_bytes = fov_shape_count(&node->shape);
    return FOV_OK;
}

/* Taps of an output coordinate inside the picture, and the input coordinate of the first. */
typedef struct window {
    size_t first, last, from;
} window;

static window window_of(const pool_attr *a, size_t at, size_t extent) {
    const size_t origin = at * a->stride;
    window w = {origin < a->pad ? a->pad - origin : 0, a->kernel, 0};
    w.from = origin + w.first - a->pad;
    if (w.last > extent + a->pad - origin) {
        w.last = extent + a->pad - origin;
    }
    return w;
}

static void forward_row(void *context, size_t chunk, unsigned worker) {
    (void)worker;
    const fov_step *step = context;
    const pool_attr *a = step->node->attr;
    const size_t *in = step->node->input[0]->shape.dim;
    const size_t *out = step->node->shape.dim;
    const window y = window_of(a, chunk % out[1], in[1]);
    const fov_real *image = (const fov_real *)step->in[0] + chunk / out[1] * in[1] * in[2] * in[3];
    for (size_t i = 0; i < out[2]; i++) {
        const window x = window_of(a, i, in[2]);
        const size_t at = (chunk * out[2] + i) * out[3];
        const size_t taps[4] = {y.first, y.last, x.first, x.last};
        step->k->maxpool_pixel((fov_real *)step->out + at, step->stash == NULL ? NULL : (uint8_t *)step->stash + at,
                               image + (y.from * in[2] + x.from) * in[3], in[2] * in[3], taps, a->kernel, in[3]);
    }
}

static void backward_image(void *context, size_t n, unsigned worker) {
    (void)worker;
    const fov_step *step = context;
    const pool_attr *a = step->node->attr;
    const size_t *in = step->node->input[0]->shape.dim;
    const size_t *out = step->node->shape.dim;
    const size_t row = in[2] * in[3];
    fov_real *image = step->grad_in[0] + n * in[1] * row;
    size_t begun = step->accumulate[0] ? in[1] : 0; /* rows of dx that are there */
    for (size_t j = 0; j < out[1]; j++) {
        const window y = window_of(a, j, in[1]);
        const size_t end = j + 1 < out[1] ? y.from + y.last - y.first : in[1];
        if (end > begun) {
            step->k->fill(image + begun * row, 0, (end - begun) * row);
            begun = end;
        }
        for (size_t i = 0; i < out[2]; i++) {
            const window x = window_of(a, i, in[2]);
            const size_t at = ((n * out[1] + j) * out[2] + i) * out[3];
            const size_t taps[4] = {y.first, y.last, x.first, x.last};
            step->k->maxpool_pixel_backward(image + y.from * row + x.from * in[3], row, step->grad_out + at,
                                            (const uint8_t *)step->stash + at, taps, a->kernel, in[3]);
        }
    }
}

static void forward(const fov_step *step) {
    const size_t *out = step->node->shape.dim;
    fov_pool_for(step->pool, out[0] * out[1], forward_row, (void *)step);
}

static void backward(const fov_step *step) {
    if (step->grad_in[0] != NULL) {
        fov_pool_for(step->pool, step->node->shape.dim[0], backward_image, (void *)step);
    }
}

static fov_cost cost(const fov_node *node) {
    const pool_attr *a = node->attr;
    const double out = (double)fov_shape_count(&node->shape), in = (double)fov_shape_count(&node->input[0]->shape);
    const double taps = (double)(a->kernel * a->kernel), bytes = (in + out) * (double)sizeof(fov_real) + out;
    return (fov_cost){out * taps, out * taps, bytes, bytes};
}

const fov_op fov_op_maxpool = {.name = "maxpool", .infer = infer, .forward = forward, .backward = backward, .cost = cost, .inplace = -1};

fov_node *fov_maxpool(fov_graph *g, fov_node *x, size_t kernel, size_t stride, size_t pad) {
    const pool_attr attr = {.kernel = kernel, .stride = stride, .pad = pad};
    return fov_graph_add(g, &fov_op_maxpool, &attr, sizeof attr, &x, 1, 1);
}
