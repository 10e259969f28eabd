/* Objective and gradient, the only costly part of a fit:
 *
 *   f(W, b) = 1/n sum_i [ log sum_k exp(z_ik) - z_i,label(i) ] + |W|^2 / (2 c n)      z = X W^T + b
 *   df/dz_ik = (p_ik - [k = label(i)]) / n      df/dW = (df/dz)^T X + W / (c n)      df/db = sum_i df/dz_i
 *
 * Divided by c n, so that the size of f and of its gradient, and with it the tolerance, does not depend on how many samples there are. The two
 * products run in float on our matrix kernels, which is ten times as fast as double and accurate to 1e-6 of the gradient; everything that sums
 * over samples outside them is in double.
 *
 * With few classes an evaluation costs what it takes to read X. So a block of rows goes through both products while it is in cache, with classes
 * in rows (z^T = W X^T), since the kernels fill up columns, not rows. Blocks are dealt to a fixed number of parts, whose sums are added in order. */
#include "eval/logistic_loss.h"

#include <math.h>

#include "base/checked.h"
#include "kernels/gemm.h"
#include "kernels/kernels.h"

enum { ROWS = 64, PARTS = 16 };

static size_t blocks_of(size_t count) { return (count + ROWS - 1) / ROWS; }
static size_t parts_of(size_t count) { return blocks_of(count) < PARTS ? blocks_of(count) : PARTS; }

static void *numbers(size_t rows, size_t columns, size_t size) {
    size_t cells = 0;
    /* a product that wraps becomes one that fov_mem_array refuses */
    return fov_mem_array(FOV_MEM_EVAL, fov_mul_size(rows, columns, &cells) ? cells : SIZE_MAX, size);
}

fov_status fov_logistic_problem_init(fov_logistic_problem *p, const fov_real *x, const uint32_t *label, size_t count, size_t width, size_t classes,
                                     double c, fov_pool *pool) {
    *p = (fov_logistic_problem){.x = x, .label = label, .count = count, .width = width, .classes = classes, .c = c, .pool = pool};
    size_t cells = 0;
    p->weight = numbers(classes, width, sizeof *p->weight);
    p->logits = numbers(blocks_of(count) * ROWS, classes, sizeof *p->logits);
    p->gradient = numbers(fov_mul_size(parts_of(count), classes, &cells) ? cells : SIZE_MAX, width, sizeof *p->gradient);
    p->loss = numbers(parts_of(count), 1, sizeof *p->loss);
    p->bias = numbers(parts_of(count), classes, sizeof *p->bias);
    p->work = fov_mem_alloc(FOV_MEM_EVAL, fov_gemm_work(count, classes, width));
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

static void round_weights(fov_logistic_problem *p, const double *parameters) {
    for (size_t i = 0; i < p->classes * p->width; i++) {
        p->weight[i] = (fov_real)parameters[i];
    }
}

void fov_logistic_logits(fov_logistic_problem *p, const double *parameters) {
    round_weights(p, parameters);
    const fov_matrix x = {.data = p->x, .stride = p->width};
    const fov_matrix weight = {.data = p->weight, .stride = p->width, .transposed = true};
    fov_gemm(p->pool, p->logits, p->classes, x, weight, p->count, p->classes, p->width, 0, p->work);
}

/* Turns the logits of a sample, one in each row of z, into residuals p - onehot; returns its cross-entropy. */
static double take_residual(fov_real *z, size_t stride, const double *bias, size_t classes, uint32_t label, double *bias_gradient) {
    double largest = -HUGE_VAL, sum = 0.0;
    for (size_t k = 0; k < classes; k++) {
        const double logit = (double)z[k * stride] + bias[k];
        largest = logit > largest ? logit : largest; /* not fmax: gcc 12 for aarch64 crashes where it vectorises that */
    }
    const double target = (double)z[label * stride] + bias[label];
    for (size_t k = 0; k < classes; k++) {
        const double e = exp((double)z[k * stride] + bias[k] - largest);
        sum += e;
        z[k * stride] = (fov_real)e;
    }
    for (size_t k = 0; k < classes; k++) {
        const double residual = (double)z[k * stride] / sum - (k == label ? 1.0 : 0.0);
        z[k * stride] = (fov_real)residual;
        bias_gradient[k] += residual;
    }
    return log(sum) + largest - target;
}

typedef struct sum_job {
    fov_logistic_problem *problem;
    const double *bias;
} sum_job;

static void sum_part(void *context, size_t part, unsigned worker) {
    (void)worker;
    const sum_job *job = context;
    const fov_logistic_problem *p = job->problem;
    const size_t blocks = blocks_of(p->count), parts = parts_of(p->count), first = blocks * part / parts, end = blocks * (part + 1) / parts;
    const fov_matrix weight = {.data = p->weight, .stride = p->width};
    double *bias = p->bias + part * p->classes, loss = 0.0;
    for (size_t k = 0; k < p->classes; k++) {
        bias[k] = 0.0;
    }
    for (size_t block = first; block < end; block++) {
        const size_t row = block * ROWS, rows = p->count - row < ROWS ? p->count - row : ROWS;
        fov_real *z = p->logits + row * p->classes; /* [classes, rows] */
        const fov_matrix residual = {.data = z, .stride = rows};
        fov_matrix x = {.data = p->x + row * p->width, .stride = p->width, .transposed = true};
        fov_gemm_serial(z, rows, weight, x, p->classes, rows, p->width, 1, 0);
        for (size_t i = 0; i < rows; i++) {
            loss += take_residual(z + i, rows, job->bias, p->classes, p->label[row + i], bias);
        }
        x.transposed = false;
        fov_gemm_serial(p->gradient + part * p->classes * p->width, p->width, residual, x, p->classes, p->width, rows, 1, block == first ? 0 : 1);
    }
    p->loss[part] = loss;
}

/* Adds the parts of a class's gradient to the first. */
static void add_parts(void *context, size_t k, unsigned worker) {
    (void)worker;
    const fov_logistic_problem *p = context;
    for (size_t part = 1; part < parts_of(p->count); part++) {
        fov_kernels_get()->accumulate(p->gradient + k * p->width, p->gradient + (part * p->classes + k) * p->width, p->width);
    }
}

double fov_logistic_evaluate(fov_logistic_problem *p, const double *parameters, double *gradient) {
    const size_t weights = p->classes * p->width, parts = parts_of(p->count);
    round_weights(p, parameters);
    sum_job job = {.problem = p, .bias = parameters + weights};
    fov_pool_for(p->pool, parts, sum_part, &job);
    fov_pool_for(p->pool, p->classes, add_parts, p);

    const double n = (double)p->count, decay = 1.0 / (p->c * n);
    double loss = 0.0, square = 0.0;
    for (size_t part = 0; part < parts; part++) {
        loss += p->loss[part];
    }
    for (size_t i = 0; i < weights; i++) {
        square += parameters[i] * parameters[i];
        gradient[i] = (double)p->gradient[i] / n + parameters[i] * decay;
    }
    for (size_t k = 0; k < p->classes; k++) {
        double sum = 0.0;
        for (size_t part = 0; part < parts; part++) {
            sum += p->bias[part * p->classes + k];
        }
        gradient[weights + k] = sum / n;
    }
    return loss / n + 0.5 * decay * square;
}
