/* Bytes to numbers: y = (x / 255 - mean[c]) / std[c], by a table of the 256 values of each channel. */
#include <math.h>

#include "ops/ops.h"
#include "ops/row_shared.h"

#define MAX_CHANNELS 4

typedef struct normalize_attr {
    double mean[MAX_CHANNELS], std[MAX_CHANNELS];
} normalize_attr;

static fov_status infer(fov_node *node) {
    const normalize_attr *attr = node->attr;
    const fov_shape *x = &node->input[0]->shape;
    char text[128];
    if (x->rank != 4 || x->dim[3] == 0 || x->dim[3] > MAX_CHANNELS || node->input[0]->dtype != FOV_DTYPE_U8) {
        return FOV_FAIL(FOV_E_INVALID, "needs bytes [n, h, w, c] with c <= %d, got %s", MAX_CHANNELS, fov_shape_text(x, text, sizeof text));
    }
    for (size_t c = 0; c < x->dim[3]; c++) {
        if (!(attr->std[c] > 0) || !isfinite(attr->mean[c])) {
            return FOV_FAIL(FOV_E_INVALID, "needs a finite mean and a std over 0, got %g and %g for channel %zu", attr->mean[c],
                            attr->std[c], c);
        }
    }
    node->shape = *x;
    node->forward_work = 256 * x->dim[3] * sizeof(fov_real);
    return FOV_OK;
}

typedef struct normalize_pass {
    const fov_step *step;
    fov_row_cut cut;
} normalize_pass;

static void forward_chunk(void *context, size_t chunk, unsigned worker) {
    (void)worker;
    const normalize_pass *p = context;
    const size_t first = fov_cut_first(&p->cut, chunk) * p->cut.width;
    p->step->k->byte_table((fov_real *)p->step->out + first, (const uint8_t *)p->step->in[0] + first, p->step->work,
                           fov_cut_count(&p->cut, chunk), p->cut.width);
}

static void forward(const fov_step *step) {
    const normalize_attr *attr = step->node->attr;
    const size_t channels = step->node->shape.dim[3];
    fov_real *table = step->work; /* [c, 256] */
    for (size_t c = 0; c < channels; c++) {
        for (size_t v = 0; v < 256; v++) {
            table[c * 256 + v] = (fov_real)(((double)v / 255.0 - attr->mean[c]) / attr->std[c]);
        }
    }
    normalize_pass p = {step, fov_cut_shape(&step->node->shape)};
    fov_pool_for(step->pool, p.cut.chunks, forward_chunk, &p);
}

static fov_cost cost(const fov_node *node) {
    const double n = (double)fov_shape_count(&node->shape);
    return (fov_cost){2.0 * n, 0, n * (1.0 + (double)sizeof(fov_real)), 0};
}

const fov_op fov_op_normalize = {.name = "normalize", .infer = infer, .forward = forward, .cost = cost, .inplace = -1};

fov_node *fov_normalize(fov_graph *g, fov_node *x, const double *mean, const double *std) {
    normalize_attr attr = {{0}, {0}};
    const size_t channels = x == NULL || x->shape.rank != 4 ? 0 : x->shape.dim[3];
    for (size_t c = 0; c < channels && c < MAX_CHANNELS; c++) {
        attr.mean[c] = mean[c];
        attr.std[c] = std[c];
    }
    return fov_graph_add(g, &fov_op_normalize, &attr, sizeof attr, &x, 1, 1);
}
