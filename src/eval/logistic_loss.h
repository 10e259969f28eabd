/* The objective of logistic regression and its gradient. Private to logistic*.c and its test. */
#ifndef FOV_EVAL_LOGISTIC_LOSS_H
#define FOV_EVAL_LOGISTIC_LOSS_H

#include "eval/logistic.h"

typedef struct fov_logistic_problem {
    const fov_real *x; /* [count, width] */
    const uint32_t *label;
    size_t count, width, classes;
    double c;
    fov_pool *pool;
    /* scratch */
    fov_real *weight;   /* [classes, width] */
    fov_real *logits;   /* [count, classes]; while evaluating, [classes, rows] for each block of rows, then residuals */
    fov_real *gradient; /* [parts, classes, width] */
    double *loss;       /* [parts] */
    double *bias;       /* [parts, classes] */
    void *work;
} fov_logistic_problem;

/* Borrows x and label. label may be NULL for fov_logistic_logits alone. The caller clears. */
FOV_MUST_USE fov_status fov_logistic_problem_init(fov_logistic_problem *problem, const fov_real *x, const uint32_t *label, size_t count, size_t width,
                                                  size_t classes, double c, fov_pool *pool);
void fov_logistic_problem_clear(fov_logistic_problem *problem);

/* (.5 |W|^2 + c sum_i CE_i) / (c count), and its gradient in the layout of the parameters. */
double fov_logistic_evaluate(fov_logistic_problem *problem, const double *parameters, double *gradient);
/* problem->logits = x W^T, without the bias. */
void fov_logistic_logits(fov_logistic_problem *problem, const double *parameters);

#endif
