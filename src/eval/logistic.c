/* The fit and its predictions. L-BFGS (Liu and Nocedal, 1989, through libLBFGS) because the problem is smooth and convex and has too many
 * unknowns for Newton: unlike gradient descent it has no learning rate to sweep, so that two feature sources are compared and not two tunings.
 * It works on variables in which the curvature is even (see deflation.c), but what ends it is the slope in terms of the weights. */
#include "eval/logistic.h"

#include <lbfgs.h>
#include <limits.h>
#include <math.h>

#include "base/checked.h"
#include "eval/deflation.h"
#include "eval/logistic_loss.h"

enum {
    MEMORY = 10,  /* pairs that L-BFGS keeps */
    ROUNDING = 16 /* libLBFGS built for SSE works on whole vectors past the end */
};

#define EXHAUSTED 1e-3 /* slope that float sums always allow to reach */

fov_status fov_logistic_init(fov_logistic *model, size_t width, size_t classes) {
    *model = (fov_logistic){0};
    size_t count = 0, padded = 0;
    if (!fov_mul_size(width + 1, classes, &count) || count > (size_t)INT_MAX - ROUNDING || !fov_round_up(count, ROUNDING, &padded)) {
        return FOV_FAIL(FOV_E_LIMIT, "a linear probe of %zu features for %zu classes has too many weights", width, classes);
    }
    double *parameters = fov_mem_array(FOV_MEM_EVAL, padded, sizeof *parameters);
    FOV_TRY_ALLOC(parameters);
    *model = (fov_logistic){.width = width, .classes = classes, .parameters = parameters};
    return FOV_OK;
}

void fov_logistic_clear(fov_logistic *model) {
    fov_mem_free(model->parameters);
    *model = (fov_logistic){0};
}

typedef struct fit_state {
    fov_logistic_problem problem;
    fov_deflation deflation;
    double *variable; /* what L-BFGS moves: weights in other variables, then biases */
    double *weight;   /* weights and biases at the last evaluation */
    double *gradient; /* in terms of them */
    double tolerance;
    double slope; /* norm of that gradient over max(1, norm of the parameters) */
    int iterations;
} fit_state;

/* Weights change, biases stay. */
static void change_variables(fit_state *state, double *to, const double *from, bool inverse) {
    const size_t weights = state->problem.classes * state->problem.width;
    fov_deflation_apply(&state->deflation, to, from, inverse);
    for (size_t k = weights; k < weights + state->problem.classes; k++) {
        to[k] = from[k];
    }
}

static double norm(const double *x, size_t count) {
    double square = 0.0;
    for (size_t i = 0; i < count; i++) {
        square += x[i] * x[i];
    }
    return sqrt(square);
}

static lbfgsfloatval_t evaluate(void *instance, const lbfgsfloatval_t *x, lbfgsfloatval_t *g, const int n, const lbfgsfloatval_t step) {
    (void)step;
    fit_state *state = instance;
    change_variables(state, state->weight, x, false);
    const double loss = fov_logistic_evaluate(&state->problem, state->weight, state->gradient);
    state->slope = norm(state->gradient, (size_t)n) / fmax(1.0, norm(state->weight, (size_t)n));
    change_variables(state, g, state->gradient, false);
    return loss;
}

/* After the evaluation of the point that the line search took. */
static int note_iteration(void *instance, const lbfgsfloatval_t *x, const lbfgsfloatval_t *g, const lbfgsfloatval_t fx, const lbfgsfloatval_t xnorm,
                           const lbfgsfloatval_t gnorm, const lbfgsfloatval_t step, int n, int k, int ls) {
    (void)x, (void)g, (void)fx, (void)xnorm, (void)gnorm, (void)step, (void)n, (void)ls;
    fit_state *state = instance;
    state->iterations = k;
    return state->slope <= state->tolerance ? LBFGS_STOP : 0;
}

/* What libLBFGS returned. A line search that finds no lower point where the slope is small means that float sums are exhausted: libLBFGS has
 * then gone back to the best point, which is as good an answer as there is. */
static fov_status judge(int code, double slope, bool *converged) {
    *converged = code >= 0 || (code != LBFGSERR_MAXIMUMITERATION && slope <= EXHAUSTED);
    switch (code) {
    case LBFGS_SUCCESS:
    case LBFGS_STOP:
    case LBFGS_ALREADY_MINIMIZED:
    case LBFGSERR_MAXIMUMITERATION:
    case LBFGSERR_ROUNDING_ERROR:
    case LBFGSERR_MINIMUMSTEP:
    case LBFGSERR_MAXIMUMSTEP:
    case LBFGSERR_MAXIMUMLINESEARCH:
    case LBFGSERR_WIDTHTOOSMALL:
    case LBFGSERR_OUTOFINTERVAL:
    case LBFGSERR_INCORRECT_TMINMAX:
    case LBFGSERR_INCREASEGRADIENT:
        return FOV_OK;
    case LBFGSERR_OUTOFMEMORY:
        return FOV_FAIL(FOV_E_NOMEM, "out of memory in the linear probe's optimizer");
    default:
        return FOV_FAIL(FOV_E_NUMERIC, "the linear probe's optimizer failed with code %d of libLBFGS", code);
    }
}

static fov_status check_finite(const fov_logistic *model) {
    for (size_t i = 0; i < (model->width + 1) * model->classes; i++) {
        if (!isfinite(model->parameters[i])) {
            return FOV_FAIL(FOV_E_NUMERIC, "the linear probe has a weight that is not finite; are the features?");
        }
    }
    return FOV_OK;
}

static fov_status prepare(fit_state *state, const fov_logistic *model, const fov_real *x, const uint32_t *label, size_t count, double c,
                          fov_pool *pool) {
    const size_t unknowns = (model->width + 1) * model->classes;
    FOV_TRY(fov_logistic_problem_init(&state->problem, x, label, count, model->width, model->classes, c, pool));
    FOV_TRY(fov_deflation_init(&state->deflation, x, count, model->width, model->classes, pool));
    /* the curvature of cross-entropy is about p (1 - p): that of a guess, since it falls where predictions get sure */
    fov_deflation_set(&state->deflation, 1.0 / (double)model->classes, 1.0 / (c * (double)count));
    state->variable = fov_mem_array(FOV_MEM_EVAL, unknowns + ROUNDING, sizeof *state->variable);
    FOV_TRY_ALLOC(state->variable);
    state->weight = fov_mem_array(FOV_MEM_EVAL, unknowns, sizeof *state->weight);
    FOV_TRY_ALLOC(state->weight);
    state->gradient = fov_mem_array(FOV_MEM_EVAL, unknowns, sizeof *state->gradient);
    FOV_TRY_ALLOC(state->gradient);
    change_variables(state, state->variable, model->parameters, true);
    return FOV_OK;
}

fov_status fov_logistic_fit(fov_logistic *model, const fov_real *x, const uint32_t *label, size_t count, const fov_logistic_settings *settings,
                            fov_pool *pool, fov_logistic_result *result) {
    FOV_ASSERT(count > 0 && settings->c > 0.0);
    fit_state state = {.slope = HUGE_VAL, .tolerance = settings->tolerance};
    fov_status status = FOV_OK;
    bool converged = false;
    FOV_TRY_GOTO(status, done, prepare(&state, model, x, label, count, settings->c, pool));
    lbfgs_parameter_t parameter;
    lbfgs_parameter_init(&parameter);
    parameter.m = MEMORY;
    parameter.epsilon = 0.0; /* note_iteration decides */
    parameter.max_iterations = settings->max_iterations;
    const int code = lbfgs((int)((model->width + 1) * model->classes), state.variable, NULL, evaluate, note_iteration, &state, &parameter);
    FOV_TRY_GOTO(status, done, judge(code, state.slope, &converged));
    change_variables(&state, model->parameters, state.variable, false);
    FOV_TRY_GOTO(status, done, check_finite(model));
    if (result != NULL) {
        *result = (fov_logistic_result){.iterations = state.iterations, .converged = converged};
    }
done:
    fov_logistic_problem_clear(&state.problem);
    fov_deflation_clear(&state.deflation);
    fov_mem_free(state.variable);
    fov_mem_free(state.weight);
    fov_mem_free(state.gradient);
    return status;
}

static uint32_t largest(const fov_real *z, const double *bias, size_t classes) {
    uint32_t best = 0;
    for (size_t k = 1; k < classes; k++) {
        if ((double)z[k] + bias[k] > (double)z[best] + bias[best]) {
            best = (uint32_t)k;
        }
    }
    return best;
}

static void softmax(double *out, const fov_real *z, const double *bias, size_t classes, uint32_t best) {
    const double top = (double)z[best] + bias[best];
    double sum = 0.0;
    for (size_t k = 0; k < classes; k++) {
        out[k] = exp((double)z[k] + bias[k] - top);
        sum += out[k];
    }
    for (size_t k = 0; k < classes; k++) {
        out[k] /= sum;
    }
}

fov_status fov_logistic_predict(const fov_logistic *model, const fov_real *x, size_t count, uint32_t *predicted, double *probability,
                                fov_pool *pool) {
    fov_logistic_problem problem;
    FOV_TRY(fov_logistic_problem_init(&problem, x, NULL, count, model->width, model->classes, 1.0, pool));
    fov_logistic_logits(&problem, model->parameters);
    const double *bias = model->parameters + model->width * model->classes;
    for (size_t i = 0; i < count; i++) {
        const fov_real *z = problem.logits + i * model->classes;
        const uint32_t best = largest(z, bias, model->classes);
        if (predicted != NULL) {
            predicted[i] = best;
        }
        if (probability != NULL) {
            softmax(probability + i * model->classes, z, bias, model->classes, best);
        }
    }
    fov_logistic_problem_clear(&problem);
    return FOV_OK;
}
