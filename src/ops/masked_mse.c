/* The loss of MAE (He et al. 2021): mean over masked patches of the mean squared difference to the patch's pixels, which may first be
 * brought to zero mean and unit variance within the patch: (x - mean) / sqrt(var + 1e-6), var unbiased, as the authors' code has it.
 *
 * Mean and scale of each masked patch are found in double (a flat patch has a variance near 0, where float would cancel) and kept for
 * backward. Chunks of 32 patches leave one sum each; these are added in order. Without any masked patch loss and gradients are 0. */
#include <math.h>

#include "ops/token_shared.h"

#define CHUNK_ROWS 32
#define VARIANCE_EPS 1e-6

typedef struct masked_mse_attr {
    bool normalize_target;
} masked_mse_attr;

typedef struct patch_scale {
    fov_real mean, rstd;
} patch_scale;

static size_t rows_of(const fov_node *node) {
    return node->input[0]->shape.dim[0] * node->input[0]->shape.dim[1];
}

static size_t chunks_of(size_t rows) {
    return (rows + CHUNK_ROWS - 1) / CHUNK_ROWS;
}

static fov_status infer(fov_node *node) {
    FOV_TRY(fov_token_check(node, 0, "predictions [n, t, p]", 3, FOV_DTYPE_REAL));
    FOV_TRY(fov_token_check(node, 1, "targets [n, t, p]", 3, FOV_DTYPE_REAL));
    FOV_TRY(fov_token_check(node, 2, "mask [n, t]", 2, FOV_DTYPE_I32));
    const size_t *x = node->input[0]->shape.dim;
    FOV_TRY(fov_token_check_shape(node, 1, "targets of the predictions' shape", node->input[0]->shape));
    FOV_TRY(fov_token_check_shape(node, 2, "a mask [n, t]", FOV_SHAPE(x[0], x[1])));
    if (((const masked_mse_attr *)node->attr)->normalize_target && x[2] < 2) {
        return FOV_FAIL(FOV_E_INVALID, "needs patches of at least 2 numbers to normalise them, got %zu", x[2]);
    }
    FOV_TRY(fov_token_bytes(&node->stash_bytes, (const size_t[]){x[0], x[1], sizeof(patch_scale)}, 3));
    FOV_TRY(fov_token_bytes(&node->forward_work, (const size_t[]){chunks_of(x[0] * x[1]), sizeof(double)}, 2));
    return fov_token_output(node, (fov_shape){.rank = 0});
}

static size_t masked_count(const fov_step *step) {
    const int32_t *mask = step->in[2];
    const size_t rows = rows_of(step->node);
    size_t count = 0;
    for (size_t i = 0; i < rows; i++) {
        count += mask[i] != 0;
    }
    return count;
}

static patch_scale scale_of(const fov_step *step, const fov_real *target, size_t width) {
    if (!((const masked_mse_attr *)step->node->attr)->normalize_target) {
        return (patch_scale){.mean = 0, .rstd = 1};
    }
    double mean = 0.0;
    double squares = 0.0;
    step->k->patch_moments(&mean, &squares, target, width);
    const double variance = squares / (double)(width - 1);
    return (patch_scale){.mean = (fov_real)mean, .rstd = (fov_real)(1.0 / sqrt(variance + VARIANCE_EPS))};
}

static void forward_chunk(void *context, size_t chunk, unsigned worker) {
    (void)worker;
    const fov_step *step = context;
    const size_t width = step->node->input[0]->shape.dim[2];
    const size_t rows = rows_of(step->node);
    const size_t end = rows - chunk * CHUNK_ROWS < CHUNK_ROWS ? rows : (chunk + 1) * CHUNK_ROWS;
    const int32_t *mask = step->in[2];
    patch_scale *kept = step->stash;
    double sum = 0.0;
    for (size_t i = chunk * CHUNK_ROWS; i < end; i++) {
        if (mask[i] == 0) {
            continue;
        }
        const fov_real *target = (const fov_real *)step->in[1] + i * width;
        const patch_scale scale = scale_of(step, target, width);
        if (kept != NULL) {
            kept[i] = scale;
        }
        sum += step->k->patch_error((const fov_real *)step->in[0] + i * width, target, scale.mean, scale.rstd, width);
    }
    ((double *)step->work)[chunk] = sum;
}

typedef struct backward_job {
    const fov_step *step;
    fov_real factor;
} backward_job;

static void backward_chunk(void *context, size_t chunk, unsigned worker) {
    (void)worker;
    const backward_job *job = context;
    const fov_step *step = job->step;
    const size_t width = step->node->input[0]->shape.dim[2];
    const size_t rows = rows_of(step->node);
    const size_t end = rows - chunk * CHUNK_ROWS < CHUNK_ROWS ? rows : (chunk + 1) * CHUNK_ROWS;
    const int32_t *mask = step->in[2];
    const patch_scale *kept = step->stash;
    for (size_t i = chunk * CHUNK_ROWS; i < end; i++) {
        fov_real *grad = step->grad_in[0] + i * width;
        if (mask[i] != 0) {
            step->k->patch_error_backward(grad, (const fov_real *)step->in[0] + i * width, (const fov_real *)step->in[1] + i * width,
                                          kept[i].mean, kept[i].rstd, job->factor, step->accumulate[0], width);
        } else if (!step->accumulate[0]) {
            step->k->fill(grad, 0, width);
        }
    }
}

static void forward(const fov_step *step) {
    const size_t chunks = chunks_of(rows_of(step->node));
    fov_pool_for(step->pool, chunks, forward_chunk, (void *)step);
    const double *sums = step->work;
    double sum = 0.0;
    for (size_t i = 0; i < chunks; i++) {
        sum += sums[i];
    }
    const size_t count = masked_count(step);
    const double numbers = (double)count * (double)step->node->input[0]->shape.dim[2];
    *(fov_real *)step->out = (fov_real)(count == 0 ? 0.0 : sum / numbers);
}

static void backward(const fov_step *step) {
    const size_t width = step->node->input[0]->shape.dim[2];
    const size_t rows = rows_of(step->node);
    if (step->grad_in[0] != NULL) {
        const size_t count = masked_count(step);
        const double numbers = (double)(count == 0 ? 1 : count) * (double)width;
        backward_job job = {.step = step, .factor = (fov_real)(2.0 * (double)step->grad_out[0] / numbers)};
        fov_pool_for(step->pool, chunks_of(rows), backward_chunk, &job);
    }
    if (step->grad_in[1] != NULL && !step->accumulate[1]) {
        step->k->fill(step->grad_in[1], 0, rows * width);
    }
}

static fov_cost cost(const fov_node *node) {
    const double count = (double)fov_shape_count(&node->input[0]->shape);
    const double bytes = count * (double)sizeof(fov_real);
    const double moments = ((const masked_mse_attr *)node->attr)->normalize_target ? 4.0 : 0.0;
    return (fov_cost){.forward_flops = (5.0 + moments) * count,
                      .backward_flops = 4.0 * count,
                      .forward_bytes = 2.0 * bytes,
                      .backward_bytes = 3.0 * bytes};
}

const fov_op fov_op_masked_mse = {.name = "masked_mse",
                                  .infer = infer,
                                  .forward = forward,
                                  .backward = backward,
                                  .cost = cost,
                                  .reads = FOV_READS_IN(0) | FOV_READS_IN(1) | FOV_READS_IN(2),
                                  .inplace = -1};

fov_node *fov_masked_mse(fov_graph *g, fov_node *prediction, fov_node *target, fov_node *mask, bool normalize_target) {
    const masked_mse_attr attr = {.normalize_target = normalize_target};
    return fov_graph_add(g, &fov_op_masked_mse, &attr, sizeof attr, (fov_node *const[]){prediction, target, mask}, 3, 3);
}
