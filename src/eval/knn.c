/* Nearest neighbours by brute force: all cosines of a block of test samples at once as one matrix product of unit rows, then the k largest of
 * each row by insertion. An index structure would pay from millions of samples on, and would no longer be exact.
 *
 * A row of zeros has no direction; it stays zero and is equally far from everything. */
#include "eval/knn.h"

#include <math.h>

#include "base/checked.h"
#include "kernels/gemm.h"

enum { TEST_ROWS = 32, UNIT_ROWS = 256 };

typedef struct unit_job {
    const float *features;
    fov_real *unit;
    size_t count, width;
} unit_job;

static void unit_chunk(void *context, size_t chunk, unsigned worker) {
    (void)worker;
    const unit_job *job = context;
    const size_t end = (chunk + 1) * UNIT_ROWS < job->count ? (chunk + 1) * UNIT_ROWS : job->count;
    for (size_t i = chunk * UNIT_ROWS; i < end; i++) {
        const float *from = job->features + i * job->width;
        fov_real *to = job->unit + i * job->width;
        double square = 0.0;
        for (size_t j = 0; j < job->width; j++) {
            square += (double)from[j] * (double)from[j];
        }
        const double scale = square > 0.0 ? 1.0 / sqrt(square) : 0.0;
        for (size_t j = 0; j < job->width; j++) {
            to[j] = (fov_real)((double)from[j] * scale);
        }
    }
}

/* Rows of unit length; NULL when out of memory. */
static fov_real *unit_rows(const float *features, size_t count, size_t width, fov_pool *pool) {
    size_t cells = 0;
    fov_real *unit = fov_mul_size(count, width, &cells) ? fov_mem_array(FOV_MEM_EVAL, cells, sizeof *unit) : NULL;
    if (unit != NULL) {
        unit_job job = {.features = features, .unit = unit, .count = count, .width = width};
        fov_pool_for(pool, (count + UNIT_ROWS - 1) / UNIT_ROWS, unit_chunk, &job);
    }
    return unit;
}

typedef struct neighbour {
    fov_real cosine;
    uint32_t index;
} neighbour;

typedef struct knn_job {
    const fov_real *train, *test;
    const uint32_t *label;
    size_t count, test_count, width, classes, k;
    double temperature;
    uint32_t *predicted;
    /* scratch of each worker */
    fov_real *cosine; /* [threads, TEST_ROWS, count] */
    neighbour *near;  /* [threads, k] */
    double *vote;     /* [threads, classes] */
} knn_job;

/* The k largest, in falling order; later equals stay behind earlier ones. */
static void find_nearest(neighbour *near, size_t k, const fov_real *cosine, size_t count) {
    size_t held = 0;
    for (size_t i = 0; i < count; i++) {
        if (held == k && !(cosine[i] > near[k - 1].cosine)) {
            continue;
        }
        size_t at = held < k ? held++ : k - 1;
        for (; at > 0 && cosine[i] > near[at - 1].cosine; at--) {
            near[at] = near[at - 1];
        }
        near[at] = (neighbour){cosine[i], (uint32_t)i};
    }
}

static uint32_t winner(const knn_job *job, const neighbour *near, double *vote) {
    for (size_t c = 0; c < job->classes; c++) {
        vote[c] = 0.0;
    }
    for (size_t n = 0; n < job->k; n++) {
        vote[job->label[near[n].index]] += exp((double)near[n].cosine / job->temperature);
    }
    uint32_t best = 0;
    for (size_t c = 1; c < job->classes; c++) {
        best = vote[c] > vote[best] ? (uint32_t)c : best;
    }
    return best;
}

static void knn_chunk(void *context, size_t chunk, unsigned worker) {
    const knn_job *job = context;
    const size_t first = chunk * TEST_ROWS;
    const size_t rows = job->test_count - first < TEST_ROWS ? job->test_count - first : TEST_ROWS;
    fov_real *cosine = job->cosine + (size_t)worker * TEST_ROWS * job->count;
    neighbour *near = job->near + (size_t)worker * job->k;
    const fov_matrix test = {.data = job->test + first * job->width, .stride = job->width};
    const fov_matrix train = {.data = job->train, .stride = job->width, .transposed = true};
    fov_gemm_serial(cosine, job->count, test, train, rows, job->count, job->width, 1, 0);
    for (size_t i = 0; i < rows; i++) {
        find_nearest(near, job->k, cosine + i * job->count, job->count);
        job->predicted[first + i] = winner(job, near, job->vote + (size_t)worker * job->classes);
    }
}

fov_status fov_knn_predict(uint32_t *predicted, const float *train, const uint32_t *label, size_t count, const float *test, size_t test_count,
                           size_t width, size_t classes, size_t k, double temperature, fov_pool *pool) {
    FOV_ASSERT(k >= 1 && k <= count && count <= UINT32_MAX && classes >= 1);
    const size_t threads = fov_pool_threads(pool);
    size_t cells = 0;
    if (!fov_product_size((const size_t[]){threads, TEST_ROWS, count}, 3, &cells)) {
        return FOV_FAIL(FOV_E_LIMIT, "%zu training pictures are too many for nearest neighbours", count);
    }
    fov_status status = FOV_OK;
    fov_real *unit_train = unit_rows(train, count, width, pool), *unit_test = unit_rows(test, test_count, width, pool);
    knn_job job = {.train = unit_train, .test = unit_test, .label = label, .count = count, .test_count = test_count, .width = width,
                   .classes = classes, .k = k, .temperature = temperature, .predicted = predicted};
    job.cosine = fov_mem_array(FOV_MEM_EVAL, cells, sizeof *job.cosine);
    job.near = fov_mem_array(FOV_MEM_EVAL, threads * k, sizeof *job.near);
    job.vote = fov_mem_array(FOV_MEM_EVAL, threads * classes, sizeof *job.vote);
    if (unit_train == NULL || unit_test == NULL || job.cosine == NULL || job.near == NULL || job.vote == NULL) {
        status = fov_forward_at(__FILE__, __LINE__, FOV_E_NOMEM);
        goto done;
    }
    fov_pool_for(pool, (test_count + TEST_ROWS - 1) / TEST_ROWS, knn_chunk, &job);
done:
    fov_mem_free(unit_train);
    fov_mem_free(unit_test);
    fov_mem_free(job.cosine);
    fov_mem_free(job.near);
    fov_mem_free(job.vote);
    return status;
}
