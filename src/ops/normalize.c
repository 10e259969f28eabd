/* Pixels to numbers: y = (x / most - mean[c]) / std[c], most being 255 or 65535. Bytes go by a table of the 256 values of each channel;
 * words by one multiplication and addition in double, over rows of scales and shifts that hold several pixels, so that they are whole
 * vectors. */
#include <math.h>

#include "ops/ops.h"
#include "ops/row_shared.h"

#define WORD_PIXELS 16 /* in a row of scales */

typedef struct normalize_attr {
    double mean[FOV_INPUT_CHANNELS], std[FOV_INPUT_CHANNELS];
} normalize_attr;

static bool is_deep(const fov_node *node) {
    return node->input[0]->dtype == FOV_DTYPE_U16;
}

static fov_status infer(fov_node *node) {
    const normalize_attr *attr = node->attr;
    const fov_shape *x = &node->input[0]->shape;
    char text[128];
    const bool words = is_deep(node), bytes = node->input[0]->dtype == FOV_DTYPE_U8;
    if (x->rank != 4 || x->dim[3] == 0 || x->dim[3] > FOV_INPUT_CHANNELS || !(bytes || words)) {
        return FOV_FAIL(FOV_E_INVALID, "needs bytes or 16-bit words [n, h, w, c] with c <= %d, got %s", FOV_INPUT_CHANNELS,
                        fov_shape_text(x, text, sizeof text));
    }
    for (size_t c = 0; c < x->dim[3]; c++) {
        if (!(attr->std[c] > 0) || !isfinite(attr->mean[c])) {
            return FOV_FAIL(FOV_E_INVALID, "needs a finite mean and a std over 0, got %g and %g for channel %zu", attr->mean[c],
                            attr->std[c], c);
        }
    }
    node->shape = *x;
    node->forward_work = x->dim[3] * (words ? 2 * WORD_PIXELS * sizeof(double) : 256 * sizeof(fov_real));
    return FOV_OK;
}

typedef struct normalize_pass {
    const fov_step *step;
    fov_row_cut cut;
} normalize_pass;

static void byte_chunk(void *context, size_t chunk, unsigned worker) {
    (void)worker;
    const normalize_pass *p = context;
    const size_t first = fov_cut_first(&p->cut, chunk) * p->cut.width;
    p->step->k->byte_table((fov_real *)p->step->out + first, (const uint8_t *)p->step->in[0] + first, p->step->work,
                           fov_cut_count(&p->cut, chunk), p->cut.width);
}

static void word_chunk(void *context, size_t chunk, unsigned worker) {
    (void)worker;
    const normalize_pass *p = context;
    const size_t first = fov_cut_first(&p->cut, chunk) * p->cut.width, period = WORD_PIXELS * p->cut.width;
    const double *scale = p->step->work;
    p->step->k->word_affine((fov_real *)p->step->out + first, (const uint16_t *)p->step->in[0] + first, scale, scale + period, period,
                            fov_cut_count(&p->cut, chunk) * p->cut.width);
}

static void fill_table(const normalize_attr *attr, size_t channels, fov_real *table) {
    for (size_t c = 0; c < channels; c++) {
        for (size_t v = 0; v < 256; v++) {
            table[c * 256 + v] = (fov_real)(((double)v / 255.0 - attr->mean[c]) / attr->std[c]);
        }
    }
}

static void fill_scales(const normalize_attr *attr, size_t channels, double *scale) {
    double *shift = scale + WORD_PIXELS * channels;
    for (size_t i = 0; i < WORD_PIXELS * channels; i++) {
        const size_t c = i % channels;
        scale[i] = 1.0 / (65535.0 * attr->std[c]);
        shift[i] = -attr->mean[c] / attr->std[c];
    }
}

static void forward(const fov_step *step) {
    const size_t channels = step->node->shape.dim[3];
    const bool words = is_deep(step->node);
    if (words) {
        fill_scales(step->node->attr, channels, step->work);
    } else {
        fill_table(step->node->attr, channels, step->work);
    }
    normalize_pass p = {step, fov_cut_shape(&step->node->shape)};
    fov_pool_for(step->pool, p.cut.chunks, words ? word_chunk : byte_chunk, &p);
}

static fov_cost cost(const fov_node *node) {
    const double n = (double)fov_shape_count(&node->shape);
    return (fov_cost){2.0 * n, 0, n * ((is_deep(node) ? 2.0 : 1.0) + (double)sizeof(fov_real)), 0};
}

const fov_op fov_op_normalize = {.name = "normalize", .infer = infer, .forward = forward, .cost = cost, .again = forward, .again_reads = FOV_READS_IN(0), .inplace = -1};

fov_node *fov_normalize(fov_graph *g, fov_node *x, const double *mean, const double *std) {
    normalize_attr attr = {{0}, {0}};
    const size_t channels = x == NULL || x->shape.rank != 4 ? 0 : x->shape.dim[3];
    for (size_t c = 0; c < channels && c < FOV_INPUT_CHANNELS; c++) {
        attr.mean[c] = mean[c];
        attr.std[c] = std[c];
    }
    return fov_graph_add(g, &fov_op_normalize, &attr, sizeof attr, &x, 1, 1);
}
