/* How good predictions are, and how sure one can be of it. */
#ifndef FOV_EVAL_METRICS_H
#define FOV_EVAL_METRICS_H

#include "base/memory.h"
#include "base/pool.h"

#define FOV_BOOTSTRAP_RESAMPLES 1000

typedef struct fov_interval {
    double low, high; /* 95 % */
} fov_interval;

typedef struct fov_metrics {
    size_t count, classes, correct;
    double accuracy; /* top-1, 0 .. 1 */
    fov_interval interval;
    double *per_class;      /* [classes], recall of each class; NaN for a class without samples */
    size_t worst_class;     /* the first of those with the lowest recall */
    uint32_t *confusion;    /* [classes, classes]: row is the true class, column the predicted one */
} fov_metrics;

/* label and predicted [count], all below `classes`; count and classes at least 1. The caller clears. */
FOV_MUST_USE fov_status fov_metrics_init(fov_metrics *metrics, const uint32_t *label, const uint32_t *predicted, size_t count, size_t classes,
                                         uint64_t seed, fov_pool *pool);
void fov_metrics_clear(fov_metrics *metrics); /* takes one that is all zero */

/* Accuracy of `a` minus accuracy of `b` on the same samples, with a paired interval: both are judged on the same resample, so that what is
 * hard for both cancels. */
typedef struct fov_difference {
    double mean;
    fov_interval interval;
} fov_difference;
FOV_MUST_USE fov_status fov_metrics_difference(fov_difference *difference, const uint32_t *label, const uint32_t *a, const uint32_t *b, size_t count,
                                               uint64_t seed, fov_pool *pool);

#endif
