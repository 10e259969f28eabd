/* Accuracies and their percentile bootstrap (Efron, "Bootstrap methods: another look at the jackknife", 1979): draw as many samples as there
 * are, with replacement, many times, and take the 2.5th and 97.5th percentile of the means. It needs no assumption about the predictor, and
 * the same code gives the interval of a paired difference, where a formula for independent samples would be too wide.
 *
 * Resample r draws from stream r whatever is measured, so that every predictor on a test set meets the same resamples. Sums are of whole
 * numbers: no order of adding changes them. */
#include "eval/metrics.h"

#include <math.h>
#include <stdlib.h>

#include "base/checked.h"
#include "base/rng.h"

typedef struct bootstrap {
    const int8_t *value;
    size_t count;
    uint64_t seed;
    double *mean; /* [FOV_BOOTSTRAP_RESAMPLES] */
} bootstrap;

static void resample(void *context, size_t chunk, unsigned worker) {
    (void)worker;
    const bootstrap *b = context;
    fov_rng rng;
    fov_rng_init(&rng, b->seed, chunk, 0, 0, FOV_RNG_BOOTSTRAP);
    int64_t sum = 0;
    for (size_t i = 0; i < b->count; i++) {
        sum += b->value[fov_rng_below(&rng, b->count)];
    }
    b->mean[chunk] = (double)sum / (double)b->count;
}

static int compare_doubles(const void *a, const void *b) {
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Between the two nearest of the sorted values, as numpy.percentile. */
static double percentile(const double *sorted, size_t count, double share) {
    const double place = share * (double)(count - 1);
    const size_t below = (size_t)place;
    const size_t above = below + 1 < count ? below + 1 : below;
    return sorted[below] + (place - (double)below) * (sorted[above] - sorted[below]);
}

static fov_status interval_of_mean(fov_interval *interval, const int8_t *value, size_t count, uint64_t seed, fov_pool *pool) {
    double *mean = fov_mem_array(FOV_MEM_EVAL, FOV_BOOTSTRAP_RESAMPLES, sizeof *mean);
    FOV_TRY_ALLOC(mean);
    bootstrap b = {.value = value, .count = count, .seed = seed, .mean = mean};
    fov_pool_for(pool, FOV_BOOTSTRAP_RESAMPLES, resample, &b);
    qsort(mean, FOV_BOOTSTRAP_RESAMPLES, sizeof *mean, compare_doubles);
    interval->low = percentile(mean, FOV_BOOTSTRAP_RESAMPLES, 0.025);
    interval->high = percentile(mean, FOV_BOOTSTRAP_RESAMPLES, 0.975);
    fov_mem_free(mean);
    return FOV_OK;
}

static void count_confusion(fov_metrics *m, const uint32_t *label, const uint32_t *predicted, int8_t *hit) {
    for (size_t i = 0; i < m->count; i++) {
        FOV_ASSERT(label[i] < m->classes && predicted[i] < m->classes);
        m->confusion[label[i] * m->classes + predicted[i]]++;
        hit[i] = label[i] == predicted[i];
        m->correct += label[i] == predicted[i];
    }
}

static void find_worst(fov_metrics *m) {
    double worst = 2.0;
    for (size_t c = 0; c < m->classes; c++) {
        const uint32_t *row = m->confusion + c * m->classes;
        uint64_t total = 0;
        for (size_t k = 0; k < m->classes; k++) {
            total += row[k];
        }
        m->per_class[c] = total == 0 ? (double)NAN : (double)row[c] / (double)total;
        if (m->per_class[c] < worst) { /* false for NaN */
            worst = m->per_class[c];
            m->worst_class = c;
        }
    }
}

fov_status fov_metrics_init(fov_metrics *m, const uint32_t *label, const uint32_t *predicted, size_t count, size_t classes, uint64_t seed,
                            fov_pool *pool) {
    FOV_ASSERT(count > 0 && classes > 0);
    *m = (fov_metrics){.count = count, .classes = classes};
    fov_status status = FOV_OK;
    size_t cells = 0;
    int8_t *hit = NULL;
    if (!fov_mul_size(classes, classes, &cells)) {
        return FOV_FAIL(FOV_E_LIMIT, "%zu classes are too many for a confusion matrix", classes);
    }
    hit = fov_mem_array(FOV_MEM_EVAL, count, sizeof *hit);
    m->confusion = fov_mem_array(FOV_MEM_EVAL, cells, sizeof *m->confusion);
    m->per_class = fov_mem_array(FOV_MEM_EVAL, classes, sizeof *m->per_class);
    if (hit == NULL || m->confusion == NULL || m->per_class == NULL) {
        status = fov_forward_at(__FILE__, __LINE__, FOV_E_NOMEM);
        goto done;
    }
    count_confusion(m, label, predicted, hit);
    m->accuracy = (double)m->correct / (double)count;
    find_worst(m);
    FOV_TRY_GOTO(status, done, interval_of_mean(&m->interval, hit, count, seed, pool));
done:
    fov_mem_free(hit);
    if (status != FOV_OK) {
        fov_metrics_clear(m);
    }
    return status;
}

void fov_metrics_clear(fov_metrics *m) {
    fov_mem_free(m->per_class);
    fov_mem_free(m->confusion);
    *m = (fov_metrics){0};
}

fov_status fov_metrics_difference(fov_difference *difference, const uint32_t *label, const uint32_t *a, const uint32_t *b, size_t count,
                                  uint64_t seed, fov_pool *pool) {
    FOV_ASSERT(count > 0);
    int8_t *gain = fov_mem_array(FOV_MEM_EVAL, count, sizeof *gain);
    FOV_TRY_ALLOC(gain);
    int64_t sum = 0;
    for (size_t i = 0; i < count; i++) {
        gain[i] = (int8_t)((a[i] == label[i]) - (b[i] == label[i]));
        sum += gain[i];
    }
    difference->mean = (double)sum / (double)count;
    const fov_status status = interval_of_mean(&difference->interval, gain, count, seed, pool);
    fov_mem_free(gain);
    return status;
}
