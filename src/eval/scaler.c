/* Standardised features make one grid of regularisation strengths fit any backbone: the scale of features is arbitrary (random weights give
 * features of 1e-3, pixels some of 1), while the penalty of a regression is not free of it. Dividing by one number would do for the scale
 * alone; dividing each feature by its own also lets L-BFGS converge in tens of steps, since it evens out the curvature.
 *
 * Two passes in double: the mean first, then squares of what is left, so that a large mean does not drown a small variance. */
#include "eval/scaler.h"

#include <math.h>

enum { COLUMNS = 64, ROWS = 256 };

/* A standard deviation below this share of the mean is rounding in float features. */
#define CONSTANT 1e-6

typedef struct scaler_job {
    const fov_scaler *scaler;
    const float *features;
    const uint32_t *rows;
    size_t count;
    fov_real *out;
} scaler_job;

static const float *row_of(const scaler_job *job, size_t i) {
    return job->features + (job->rows == NULL ? i : job->rows[i]) * job->scaler->width;
}

static void fit_columns(void *context, size_t chunk, unsigned worker) {
    (void)worker;
    const scaler_job *job = context;
    const size_t width = job->scaler->width, first = chunk * COLUMNS;
    const size_t columns = width - first < COLUMNS ? width - first : COLUMNS;
    double mean[COLUMNS] = {0}, square[COLUMNS] = {0};
    for (size_t i = 0; i < job->count; i++) {
        const float *row = row_of(job, i) + first;
        for (size_t j = 0; j < columns; j++) {
            mean[j] += (double)row[j];
        }
    }
    for (size_t j = 0; j < columns; j++) {
        mean[j] /= (double)job->count;
    }
    for (size_t i = 0; i < job->count; i++) {
        const float *row = row_of(job, i) + first;
        for (size_t j = 0; j < columns; j++) {
            const double away = (double)row[j] - mean[j];
            square[j] += away * away;
        }
    }
    for (size_t j = 0; j < columns; j++) {
        const double std = sqrt(square[j] / (double)job->count);
        job->scaler->mean[first + j] = mean[j];
        job->scaler->factor[first + j] = std > CONSTANT * fabs(mean[j]) && std > 1e-30 ? 1.0 / std : 0.0;
    }
}

fov_status fov_scaler_init(fov_scaler *scaler, const float *features, const uint32_t *rows, size_t count, size_t width, fov_pool *pool) {
    FOV_ASSERT(count > 0);
    *scaler = (fov_scaler){.width = width};
    scaler->mean = fov_mem_array(FOV_MEM_EVAL, width, sizeof *scaler->mean);
    scaler->factor = fov_mem_array(FOV_MEM_EVAL, width, sizeof *scaler->factor);
    if (scaler->mean == NULL || scaler->factor == NULL) {
        fov_scaler_clear(scaler);
        return fov_forward_at(__FILE__, __LINE__, FOV_E_NOMEM);
    }
    scaler_job job = {.scaler = scaler, .features = features, .rows = rows, .count = count};
    fov_pool_for(pool, (width + COLUMNS - 1) / COLUMNS, fit_columns, &job);
    return FOV_OK;
}

void fov_scaler_clear(fov_scaler *scaler) {
    fov_mem_free(scaler->mean);
    fov_mem_free(scaler->factor);
    *scaler = (fov_scaler){0};
}

static void apply_rows(void *context, size_t chunk, unsigned worker) {
    (void)worker;
    const scaler_job *job = context;
    const size_t width = job->scaler->width;
    const size_t end = (chunk + 1) * ROWS < job->count ? (chunk + 1) * ROWS : job->count;
    for (size_t i = chunk * ROWS; i < end; i++) {
        const float *row = row_of(job, i);
        fov_real *out = job->out + i * width;
        for (size_t j = 0; j < width; j++) {
            out[j] = (fov_real)(((double)row[j] - job->scaler->mean[j]) * job->scaler->factor[j]);
        }
    }
}

void fov_scaler_apply(const fov_scaler *scaler, fov_real *out, const float *features, const uint32_t *rows, size_t count, fov_pool *pool) {
    scaler_job job = {.scaler = scaler, .features = features, .rows = rows, .count = count, .out = out};
    fov_pool_for(pool, (count + ROWS - 1) / ROWS, apply_rows, &job);
}
