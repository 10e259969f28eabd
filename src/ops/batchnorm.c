/* Batch normalisation with residual and ReLU in the same pass: y = relu(gamma (x - mean) rstd + beta + residual) (Ioffe and Szegedy 2015).
 *
 * With g = dy where y > 0:  dbeta = sum g,  dgamma = rstd sum g (x - mean),  dresidual = g,
 *   dx = gamma rstd (g - mean(g) - (x - mean) rstd^2 mean(g (x - mean)))       training
 *   dx = gamma rstd g                                                          running statistics
 *
 * Memory decides its speed, so each direction makes two passes, sums and numbers, which the steps before and after run where they can, on
 * rows that they have in cache (fov_row_passes). Sums of squares are taken about the first row of their chunk, which keeps the variance
 * exact when the mean is large, in float over short runs of rows and in double beyond; each chunk's sums are kept and added in order. The
 * ReLU mask is found again from x where there is no residual, which costs no memory traffic, and from y where there is one; in that case
 * the first backward pass writes g where dresidual belongs, and the second one reads it there. */
#include <math.h>

#include "base/checked.h"
#include "ops/ops.h"
#include "ops/row_shared.h"

enum { IN_X, IN_MEAN, IN_VAR, IN_COUNTER, IN_GAMMA, IN_BETA, IN_RESIDUAL, IN_COUNT };

/* Tensors of this many numbers are not found in a cache again. */
#define PAST_COUNT ((size_t)4 << 20)

typedef struct bn_attr {
    double eps, momentum;
    bool relu;
} bn_attr;

static size_t chunk_rows(const fov_node *node) {
    return fov_pass_rows(node->shape.dim[node->shape.rank - 1]);
}

static fov_row_cut cut_of(const fov_node *node) {
    fov_row_cut cut = fov_cut_shape(&node->shape);
    cut.per = chunk_rows(node);
    cut.chunks = (cut.rows + cut.per - 1) / cut.per;
    return cut;
}

static fov_status infer(fov_node *node) {
    const fov_shape *x = &node->input[IN_X]->shape;
    char text[128];
    FOV_TRY(fov_check_real(node, IN_X));
    const size_t c = x->rank == 0 ? 0 : x->dim[x->rank - 1];
    if ((x->rank != 2 && x->rank != 4) || fov_shape_count(x) == 0) {
        return FOV_FAIL(FOV_E_INVALID, "needs input [n, h, w, c] or [n, c], got %s", fov_shape_text(x, text, sizeof text));
    }
    node->shape = *x;
    const fov_row_cut cut = cut_of(node);
    if (fov_graph_training(node->graph) && cut.rows < 2) {
        return FOV_FAIL(FOV_E_INVALID, "needs more than one value per channel in training, got %s", fov_shape_text(x, text, sizeof text));
    }
    FOV_TRY(fov_check_vector(node, IN_MEAN, "running mean", c));
    FOV_TRY(fov_check_vector(node, IN_VAR, "running variance", c));
    if (node->input[IN_GAMMA] != NULL) {
        FOV_TRY(fov_check_vector(node, IN_GAMMA, "gamma", c));
    }
    if (node->input[IN_BETA] != NULL) {
        FOV_TRY(fov_check_vector(node, IN_BETA, "beta", c));
    }
    if (node->input[IN_RESIDUAL] != NULL && !fov_shape_equal(&node->input[IN_RESIDUAL]->shape, x)) {
        return FOV_FAIL(FOV_E_INVALID, "needs a residual of its input's shape, got %s",
                        fov_shape_text(&node->input[IN_RESIDUAL]->shape, text, sizeof text));
    }
    node->stash_bytes = 2 * c * sizeof(fov_real);
    node->forward_work = 2 * cut.chunks * c * sizeof(double) + 4 * c * sizeof(fov_real);
    node->backward_work = 2 * cut.chunks * c * sizeof(double) + 6 * c * sizeof(fov_real);
    return FOV_OK;
}

typedef struct bn_pass {
    const fov_step *step;
    fov_row_cut cut;
    bool relu, training;
    double *sums;                      /* [chunks, 2, c] */
    fov_real *mean, *rstd;             /* of the statistics in use */
    fov_real *scale, *shift;           /* y = scale x + shift */
    fov_real *factor, *center, *slope; /* dx = factor (g - center - (x - mean) slope) */
    bool masked;                       /* g stands in dresidual */
    bool passed;                       /* dresidual is dy, and lies there already */
    bool add_x, add_residual;          /* dx and dresidual are added to, not written */
    bool past;                         /* results go past the caches: they are larger than those */
    const fov_real *made;              /* the residual of the rows at hand, if it was made for them; NULL: it is in memory */
} bn_pass;

static bn_pass pass_of(const fov_step *step) {
    const bn_attr *attr = step->node->attr;
    bn_pass p = {
        .step = step, .cut = cut_of(step->node), .relu = attr->relu, .training = fov_graph_training(step->node->graph), .sums = step->work};
    const size_t c = p.cut.width;
    p.past = p.cut.rows * c >= PAST_COUNT;
    fov_real *rest = (fov_real *)(void *)(p.sums + 2 * p.cut.chunks * c);
    p.scale = rest;
    p.shift = rest + c;
    p.factor = rest + 2 * c;
    p.center = rest + 3 * c;
    p.slope = rest + 4 * c;
    if (step->stash != NULL) {
        p.mean = step->stash;
        p.rstd = p.mean + c;
    } else { /* nothing is kept for backward */
        p.mean = rest + 2 * c;
        p.rstd = rest + 3 * c;
    }
    return p;
}

/* ---- forward ---- */

/* Passes with sums begin at the end, which whoever wrote the operand has left in cache, and leave the beginning there for the next pass. */
static size_t from_the_end(const bn_pass *p, size_t index) {
    return p->cut.chunks - 1 - index;
}

/* Sums of x and of its square: taken about the chunk's first row, and then moved to zero, for which double has the digits. */
static void sums_of(const bn_pass *p, size_t chunk) {
    const size_t c = p->cut.width;
    const double rows = (double)fov_cut_count(&p->cut, chunk);
    const fov_real *x = (const fov_real *)p->step->in[IN_X] + fov_cut_first(&p->cut, chunk) * c;
    double *sums = p->sums + 2 * chunk * c;
    p->step->k->bn_sums(sums, x, x, fov_cut_count(&p->cut, chunk), c);
    for (size_t i = 0; i < c; i++) {
        const double pivot = (double)x[i];
        sums[c + i] += pivot * (2.0 * sums[i] + rows * pivot);
        sums[i] += rows * pivot;
    }
}

static void sums_chunk(void *context, size_t index, unsigned worker) {
    (void)worker;
    sums_of(context, from_the_end(context, index));
}

enum { TOTAL_CHANNELS = 128 };

/* Adds the chunks' sums of some channels to those of the first chunk, in order. */
static void total_chunk(void *context, size_t part, unsigned worker) {
    (void)worker;
    const bn_pass *p = context;
    const size_t all = 2 * p->cut.width, first = part * TOTAL_CHANNELS;
    const size_t last = all - first < TOTAL_CHANNELS ? all : first + TOTAL_CHANNELS;
    for (size_t chunk = 1; chunk < p->cut.chunks; chunk++) {
        for (size_t i = first; i < last; i++) {
            p->sums[i] += p->sums[chunk * all + i];
        }
    }
}

/* Both sums of every channel, to the front of `sums`. */
static void sum_up(const bn_pass *p, fov_chunk_fn chunk) {
    if (!p->step->first_done) {
        fov_pool_for(p->step->pool, p->cut.chunks, chunk, (void *)p);
    }
    fov_pool_for(p->step->pool, (2 * p->cut.width + TOTAL_CHANNELS - 1) / TOTAL_CHANNELS, total_chunk, (void *)p);
}

static void batch_statistics(const bn_pass *p) {
    const bn_attr *attr = p->step->node->attr;
    const double n = (double)p->cut.rows;
    fov_real *running_mean = (fov_real *)p->step->in[IN_MEAN];
    fov_real *running_var = (fov_real *)p->step->in[IN_VAR];
    fov_real *counter = (fov_real *)p->step->in[IN_COUNTER];
    sum_up(p, sums_chunk);
    for (size_t i = 0; i < p->cut.width; i++) {
        const double mean = p->sums[i] / n;
        const double var = fmax(p->sums[p->cut.width + i] / n - mean * mean, 0.0);
        p->mean[i] = (fov_real)mean;
        p->rstd[i] = (fov_real)(1.0 / sqrt(var + attr->eps));
        running_mean[i] = (fov_real)((1.0 - attr->momentum) * (double)running_mean[i] + attr->momentum * mean);
        running_var[i] = (fov_real)((1.0 - attr->momentum) * (double)running_var[i] + attr->momentum * var * n / (n - 1.0));
    }
    if (counter != NULL) {
        counter[0] += 1;
    }
}

static void running_statistics(const bn_pass *p) {
    const bn_attr *attr = p->step->node->attr;
    const fov_real *mean = p->step->in[IN_MEAN];
    const fov_real *var = p->step->in[IN_VAR];
    for (size_t i = 0; i < p->cut.width; i++) {
        p->mean[i] = mean[i];
        p->rstd[i] = (fov_real)(1.0 / sqrt((double)var[i] + attr->eps));
    }
}

static void affine(const bn_pass *p) {
    const fov_real *gamma = p->step->in[IN_GAMMA];
    const fov_real *beta = p->step->in[IN_BETA];
    for (size_t i = 0; i < p->cut.width; i++) {
        const double scale = (gamma == NULL ? 1.0 : (double)gamma[i]) * (double)p->rstd[i];
        p->scale[i] = (fov_real)scale;
        p->shift[i] = (fov_real)((beta == NULL ? 0.0 : (double)beta[i]) - scale * (double)p->mean[i]);
    }
}

/* `to`: where the rows are wanted; NULL: where they belong. */
static void apply_rows(const bn_pass *p, size_t row, size_t rows, bool past, fov_real *to) {
    const size_t c = p->cut.width, first = row * c;
    const fov_real *in = p->step->in[IN_RESIDUAL], *x = (const fov_real *)p->step->in[IN_X] + first;
    const fov_real *residual = p->made != NULL ? p->made : in == NULL ? NULL : in + first;
    fov_real *place = (fov_real *)p->step->out + first;
    if (to != NULL) {
        p->step->k->bn_apply(to, x, residual, p->scale, p->shift, p->relu, false, rows, c);
    }
    if (to == NULL || p->step->read_later) {
        p->step->k->bn_apply(place, x, residual, p->scale, p->shift, p->relu, past, rows, c);
    }
}

enum { SLAB_NUMBERS = 8192 }; /* of a residual that is made here: with x and y it stays in the first cache */

/* Rows whose residual is made by the last pass of another step, a few at a time. */
static void apply_within(const bn_pass *p, size_t row, size_t rows, bool past, fov_real *to) {
    const size_t c = p->cut.width;
    _Alignas(64) fov_real slab[SLAB_NUMBERS];
    bn_pass piece = *p;
    for (size_t done = 0, count; done < rows; done += count) {
        const bool fits = c <= SLAB_NUMBERS;
        count = fov_least_size(rows - done, fits ? SLAB_NUMBERS / c : rows);
        const fov_step *before = p->step->before;
        before->node->op->row_passes->last(before, row + done, count, fits ? slab : NULL);
        piece.made = fits ? slab : NULL;
        apply_rows(&piece, row + done, count, past, to == NULL ? NULL : to + done * c);
    }
}

static void result_rows(const bn_pass *p, size_t row, size_t rows, bool past, fov_real *to) {
    (p->step->before != NULL ? apply_within : apply_rows)(p, row, rows, past, to);
}

static void apply_chunk(void *context, size_t chunk, unsigned worker) {
    (void)worker;
    const bn_pass *p = context;
    result_rows(p, fov_cut_first(&p->cut, chunk), fov_cut_count(&p->cut, chunk), p->past, NULL);
}

static void forward(const fov_step *step) {
    bn_pass p = pass_of(step);
    if (p.training) {
        batch_statistics(&p);
    } else {
        running_statistics(&p);
    }
    affine(&p);
    if (!step->last_left) {
        fov_pool_for(step->pool, p.cut.chunks, apply_chunk, &p);
    }
}

/* The output once more, by the statistics that forward left. */
static void again(const fov_step *step) {
    bn_pass p = pass_of(step);
    affine(&p);
    if (!step->last_left) {
        fov_pool_for(step->pool, p.cut.chunks, apply_chunk, &p);
    }
}

/* ---- backward ---- */

/* Where the mask of a chunk comes from: y with a residual, x without. */
static const fov_real *mask_source(const bn_pass *p, size_t first) {
    return p->relu && p->step->node->input[IN_RESIDUAL] != NULL ? (const fov_real *)p->step->out + first : NULL;
}

/* `past`: dresidual is written past the caches. Over dy, whose lines are in cache just then, nothing is gained by that. */
static void gradient_sums_of(const bn_pass *p, size_t chunk, bool past) {
    const size_t c = p->cut.width, first = fov_cut_first(&p->cut, chunk) * c;
    fov_real *dresidual = p->passed ? NULL : p->step->grad_in[IN_RESIDUAL];
    p->step->k->bn_gradient_sums(p->sums + 2 * chunk * c, dresidual == NULL ? NULL : dresidual + first, p->add_residual,
                                 past && dresidual != p->step->grad_out, p->step->grad_out + first,
                                 (const fov_real *)p->step->in[IN_X] + first, mask_source(p, first), p->mean, p->relu ? p->scale : NULL,
                                 p->shift, fov_cut_count(&p->cut, chunk), c);
}

static void gradient_sums_chunk(void *context, size_t index, unsigned worker) {
    (void)worker;
    const bn_pass *p = context;
    gradient_sums_of(p, from_the_end(p, index), p->past);
}

static void gradient_rows(const bn_pass *p, size_t row, size_t rows, bool past, fov_real *to) {
    const size_t c = p->cut.width, first = row * c;
    const fov_real *g = (p->masked ? p->step->grad_in[IN_RESIDUAL] : p->step->grad_out) + first;
    const fov_real *y = p->masked ? NULL : mask_source(p, first);
    p->step->k->bn_gradient(to != NULL ? to : p->step->grad_in[IN_X] + first, p->add_x, past && p->step->grad_in[IN_X] != p->step->grad_out,
                            g, (const fov_real *)p->step->in[IN_X] + first, y, p->mean, p->relu && !p->masked ? p->scale : NULL, p->shift,
                            p->factor, p->center, p->slope, rows, c);
}

static void gradient_chunk(void *context, size_t chunk, unsigned worker) {
    (void)worker;
    const bn_pass *p = context;
    gradient_rows(p, fov_cut_first(&p->cut, chunk), fov_cut_count(&p->cut, chunk), p->past, NULL);
}

static void add_to(fov_real *to, size_t i, double value, bool accumulate) {
    if (to != NULL) {
        to[i] = (fov_real)((accumulate ? (double)to[i] : 0.0) + value);
    }
}

static void coefficients(bn_pass *p) {
    const size_t c = p->cut.width;
    const fov_step *step = p->step;
    const double n = (double)p->cut.rows;
    for (size_t i = 0; i < c; i++) {
        const double rstd = (double)p->rstd[i];
        const double sum = p->sums[i];
        const double product = p->sums[p->cut.width + i];
        add_to(step->grad_in[IN_GAMMA], i, product * rstd, step->accumulate[IN_GAMMA]);
        add_to(step->grad_in[IN_BETA], i, sum, step->accumulate[IN_BETA]);
        p->factor[i] = p->scale[i];
        p->center[i] = (fov_real)(p->training ? sum / n : 0.0);
        p->slope[i] = (fov_real)(p->training ? product / n * rstd * rstd : 0.0);
    }
}

static bn_pass backward_pass_of(const fov_step *step) {
    bn_pass p = pass_of(step);
    /* A residual that is the input itself shares its gradient; the residual's part is then the one that comes first. */
    const bool shared = step->grad_in[IN_X] != NULL && step->grad_in[IN_X] == step->grad_in[IN_RESIDUAL];
    p.add_x = shared || step->accumulate[IN_X];
    p.add_residual = shared ? step->accumulate[IN_X] : step->accumulate[IN_RESIDUAL];
    p.passed = !p.relu && step->grad_in[IN_RESIDUAL] == step->grad_out;
    p.masked = step->grad_in[IN_RESIDUAL] != NULL && !p.add_residual;
    return p;
}

static void backward(const fov_step *step) {
    bn_pass p = backward_pass_of(step);
    if (!step->first_done) {
        affine(&p);
    }
    sum_up(&p, gradient_sums_chunk);
    coefficients(&p);
    if (step->grad_in[IN_X] != NULL && !step->last_left) {
        fov_pool_for(step->pool, p.cut.chunks, gradient_chunk, &p);
    }
}

/* ---- passes for other steps ---- */

static bool start_pass(const fov_step *step, bool last, const fov_real *reads[2]) {
    const bool backwards = step->grad_out != NULL;
    const bn_pass p = backwards ? backward_pass_of(step) : pass_of(step);
    if (backwards && !last) {
        affine(&p);
    }
    const fov_real *besides = backwards ? mask_source(&p, 0) : step->in[IN_RESIDUAL];
    if (last && backwards) {
        besides = p.masked ? step->grad_in[IN_RESIDUAL] : step->grad_out;
    }
    reads[0] = last || backwards ? step->in[IN_X] : NULL;
    reads[1] = last || backwards ? besides : NULL;
    return !backwards || !p.add_x;
}

static void first_pass(const fov_step *step, size_t chunk) {
    if (step->grad_out != NULL) {
        bn_pass p = backward_pass_of(step);
        gradient_sums_of(&p, chunk, false);
    } else {
        bn_pass p = pass_of(step);
        if (p.training) {
            sums_of(&p, chunk);
        }
    }
}

static void last_pass(const fov_step *step, size_t row, size_t rows, fov_real *to) {
    if (step->grad_out != NULL) {
        bn_pass p = backward_pass_of(step);
        gradient_rows(&p, row, rows, false, to);
    } else {
        bn_pass p = pass_of(step);
        result_rows(&p, row, rows, to != NULL && p.past, to);
    }
}

static fov_cost cost(const fov_node *node) {
    const double n = (double)fov_shape_count(&node->shape), bytes = n * (double)sizeof(fov_real);
    const double residual = node->input[IN_RESIDUAL] != NULL ? 1.0 : 0.0;
    return (fov_cost){(6.0 + residual) * n, 11.0 * n, (3.0 + residual) * bytes, (5.0 + 2.0 * residual) * bytes};
}

static const fov_row_passes row_passes = {
    .chunk = chunk_rows, .start = start_pass, .first = first_pass, .last = last_pass, .within = FOV_READS_IN(IN_RESIDUAL)};

#define BN_READS (FOV_READS_IN(IN_X) | FOV_READS_IN(IN_GAMMA) | FOV_READS_IN(IN_BETA))
#define BN_OP(extra, over, ...)                                                                                                            \
    {                                                                                                                                      \
        .name = "batchnorm", .infer = infer, .forward = forward, .backward = backward, .cost = cost, .reads = BN_READS | (extra),          \
        .again = again, .again_reads = BN_READS | FOV_READS_IN(IN_RESIDUAL), .once = true, .row_passes = &row_passes, .inplace = (over),   \
        __VA_ARGS__                                                                                                                        \
    }

const fov_op fov_op_batchnorm = BN_OP(0U, -1, .grads_over = FOV_READS_IN(IN_X));
static const fov_op with_residual = BN_OP(0U, IN_RESIDUAL, .passes = FOV_READS_IN(IN_RESIDUAL));
static const fov_op with_residual_relu = BN_OP(FOV_READS_OUT, IN_RESIDUAL, .grads_over = FOV_READS_IN(IN_RESIDUAL));

fov_node *fov_batchnorm(fov_graph *g, fov_node *x, const fov_batchnorm_args *args) {
    const bn_attr attr = {.eps = args->eps, .momentum = args->momentum, .relu = args->relu};
    fov_node *const inputs[IN_COUNT] = {[IN_X] = x,
                                        [IN_MEAN] = args->running_mean,
                                        [IN_VAR] = args->running_var,
                                        [IN_COUNTER] = args->counter,
                                        [IN_GAMMA] = args->gamma,
                                        [IN_BETA] = args->beta,
                                        [IN_RESIDUAL] = args->residual};
    const fov_op *op = args->residual == NULL ? &fov_op_batchnorm : args->relu ? &with_residual_relu : &with_residual;
    return fov_graph_add(g, op, &attr, sizeof attr, inputs, IN_COUNT, IN_COUNTER);
}
