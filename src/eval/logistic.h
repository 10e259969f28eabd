/* Multinomial logistic regression with an L2 penalty, by L-BFGS. */
#ifndef FOV_EVAL_LOGISTIC_H
#define FOV_EVAL_LOGISTIC_H

#include <stdbool.h>

#include "base/memory.h"
#include "base/pool.h"
#include "base/real.h"

typedef struct fov_logistic {
    size_t width, classes;
    double *parameters; /* weights [classes, width], then biases [classes] */
} fov_logistic;

/* All zero: the start of a fit. */
FOV_MUST_USE fov_status fov_logistic_init(fov_logistic *model, size_t width, size_t classes);
void fov_logistic_clear(fov_logistic *model); /* takes one that is all zero */

typedef struct fov_logistic_settings {
    double c;            /* weight of the data: the smaller, the stronger the penalty */
    double tolerance;    /* of the gradient's norm over max(1, norm of the parameters); the objective as in logistic_loss.h */
    int max_iterations;
} fov_logistic_settings;

typedef struct fov_logistic_result {
    int iterations;
    bool converged; /* to the tolerance, or as far as float sums allow */
} fov_logistic_result;

/* Minimises  .5 |W|^2 + c sum_i CE(W x_i + b, label_i)  from where the model stands; the bias is not penalised (as in scikit-learn and CLIP's
 * probe; with two classes this is the two-row softmax, not the one-row sigmoid). x [count, width]. result may be NULL. */
FOV_MUST_USE fov_status fov_logistic_fit(fov_logistic *model, const fov_real *x, const uint32_t *label, size_t count,
                                         const fov_logistic_settings *settings, fov_pool *pool, fov_logistic_result *result);

/* predicted [count] (ties: the lower class) and probability [count, classes]; either may be NULL. */
FOV_MUST_USE fov_status fov_logistic_predict(const fov_logistic *model, const fov_real *x, size_t count, uint32_t *predicted, double *probability,
                                             fov_pool *pool);

#endif
