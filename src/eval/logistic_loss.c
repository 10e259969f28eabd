/* Objective and gradient, the only costly part of a fit:
 *
 *   f(W, b) = 1/n sum_i [ log sum_k exp(z_ik) - z_i,label(i) ] + |W|^2 / (2 c n)      z = X W^T + b
 *   df/dz_ik = (p_ik - [k = label(i)]) / n      df/dW = (df/dz)^T X + W / (c n)      df/db = sum_i df/dz_i
 *
 * Divided by c n, so that the size of f and of its gradient, and with it the tolerance, does not depend on how many samples there are. The two
 * products run in float on our matrix kernels, which is ten times as fast as double and accurate to 1e-6 of the gradient; everything that sums
 * over samples outside them is in double, by chunks of fixed size added in order. */
#include "eval/logistic_loss.h"

#include <math.h>

#include "base/checked.h"
#include "kernels/gemm.h"

enum { ROWS = 256 };

static size_t chunks_of(size_t count) { return (count + ROWS - 1) / ROWS; }

static void *numbers(size_t rows, size_t columns, size_t size) {
    size_t cells = 0;
    /* a product that wraps becomes one that fov_mem_array refuses */
    return fov_mem_array(FOV_MEM_EVAL, fov_mul_size(rows, columns, &cells) ? cells : SIZE_MAX, size);
}

fov_status fov_logistic_problem_init(fov_logistic_problem *p, const fov_real *x, const uint32_t *label, size_t count, size_t width, size_t classes,
                                     double c, fov_pool *pool) {
    *p = (fov_logistic_problem){.x = x, .label = label, .count = count, .width = width, .classes = classes, .c = c, .pool = pool};
    p->weight = numbers(classes, width, sizeof *p->weight);
    p->logits = numbers(count, classes, sizeof *p->logits);
    p->gradient = numbers(classes, width, sizeof *p->gradient);
    p->loss = numbers(chunks_of(count), 1, sizeof *p->loss);
    p->bias = numbers(chunks_of(count), classes, sizeof *p->bias);
    const size_t forward = fov_gemm_work(count, classes, width), backward = fov_gemm_work(classes, width, count);
    p->work = fov_mem_alloc(FOV_MEM_EVAL, forward > backward ? forward : backward);
    if (p->weight == NULL || p->logits == NULL || p->gradient == NULL || p->loss == NULL || p->bias == NULL || p->work == NULL) {
        fov_logistic_problem_clear(p);
        return fov_forward_at(__FILE__, __LINE__, FOV_E_NOMEM);
    }
    return FOV_OK;
}

void fov_logistic_problem_clear(fov_logistic_problem *p) {
    fov_mem_free(p->weight);
    fov_mem_free(p->logits);
    fov_mem_free(p->gradient);
    fov_mem_free(p->loss);
    fov_mem_free(p->bias);
    fov_mem_free(p->work);
    *p = (fov_logistic_problem){0};
}

void fov_logistic_logits(fov_logistic_problem *p, const double *parameters) {
    for (size_t i = 0; i < p->classes * p->width; i++) {
        p->weight[i] = (fov_real)parameters[i];
    }
    const fov_matrix x = {.data = p->x, .stride = p->width};
    const fov_matrix weight = {.data = p->weight, .stride = p->width, .transposed = true};
    fov_gemm(p->pool, p->logits, p->classes, x, weight, p->count, p->classes, p->width, 0, p->work);
}

typedef struct residual_job {
    fov_logistic_problem *problem;
    const double *bias;
} residual_job;

/* Turns a row of logits into residuals p - onehot; returns its cross-entropy. */
static double residual_row(fov_real *z, const double *bias, size_t classes, uint32_t label, double *bias_gradient) {
    double largest = -HUGE_VAL, sum = 0.0;
    for (size_t k = 0; k < classes; k++) {
        largest = fmax(largest, (double)z[k] + bias[k]);
    }
    const double target = (double)z[label] + bias[label];
    for (size_t k = 0; k < classes; k++) {
        const double e = exp((double)z[k] + bias[k] - largest);
        sum += e;
        z[k] = (fov_real)e;
    }
    for (size_t k = 0; k < classes; k++) {
        const double residual = (double)z[k] / sum - (k == label ? 1.0 : 0.0);
        z[k] = (fov_real)residual;
        bias_gradient[k] += residual;
    }
    return log(sum) + largest - target;
}

static void residual_chunk(void *context, size_t chunk, unsigned worker) {
    (void)worker;
    const residual_job *job = context;
    const fov_logistic_problem *p = job->problem;
    double *bias = p->bias + chunk * p->classes;
    for (size_t k = 0; k < p->classes; k++) {
        bias[k] = 0.0;
    }
    const size_t end = (chunk + 1) * ROWS < p->count ? (chunk + 1) * ROWS : p->count;
    double loss = 0.0;
    for (size_t i = chunk * ROWS; i < end; i++) {
        loss += residual_row(p->logits + i * p->classes, job->bias, p->classes, p->label[i], bias);
    }
    p->loss[chunk] = loss;
}

double fov_logistic_evaluate(fov_logistic_problem *p, const double *parameters, double *gradient) {
    const size_t weights = p->classes * p->width, chunks = chunks_of(p->count);
    fov_logistic_logits(p, parameters);
    residual_job job = {.problem = p, .bias = parameters + weights};
    fov_pool_for(p->pool, chunks, residual_chunk, &job);
    const fov_matrix residual = {.data = p->logits, .stride = p->classes, .transposed = true};
    const fov_matrix x = {.data = p->x, .stride = p->width};
    fov_gemm(p->pool, p->gradient, p->width, residual, x, p->classes, p->width, p->count, 0, p->work);

    const double n = (double)p->count, decay = 1.0 / (p->c * n);
    double loss = 0.0, square = 0.0;
    for (size_t chunk = 0; chunk < chunks; chunk++) {
        loss += p->loss[chunk];
    }
    for (size_t i = 0; i < weights; i++) {
        square += parameters[i] * parameters[i];
        gradient[i] = (double)p->gradient[i] / n + parameters[i] * decay;
    }
    for (size_t k = 0; k < p->classes; k++) {
        double sum = 0.0;
        for (size_t chunk = 0; chunk < chunks; chunk++) {
            sum += p->bias[chunk * p->classes + k];
        }
        gradient[weights + k] = sum / n;
    }
    return loss / n + 0.5 * decay * square;
}
