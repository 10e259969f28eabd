/* The fit and its predictions. L-BFGS (Liu and Nocedal, 1989, through libLBFGS) because the problem is smooth and convex and has too many
 * unknowns for Newton: unlike gradient descent it has no learning rate to sweep, so that two feature sources are compared and not two tunings. */
#include "eval/logistic.h"

#include <lbfgs.h>
#include <limits.h>
#include <math.h>

#include "base/checked.h"
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

static lbfgsfloatval_t evaluate(void *instance, const lbfgsfloatval_t *x, lbfgsfloatval_t *g, const int n, const lbfgsfloatval_t step) {
    (void)n;
    (void)step;
    return fov_logistic_evaluate(instance, x, g);
}

typedef struct fit_state {
    fov_logistic_problem problem; /* first: evaluate takes it for the whole */
    int iterations;
    double slope; /* norm of the gradient over max(1, norm of the parameters) */
} fit_state;

static int note_iteration(void *instance, const lbfgsfloatval_t *x, const lbfgsfloatval_t *g, const lbfgsfloatval_t fx, const lbfgsfloatval_t xnorm,
                           const lbfgsfloatval_t gnorm, const lbfgsfloatval_t step, int n, int k, int ls) {
    (void)x, (void)g, (void)fx, (void)step, (void)n, (void)ls;
    fit_state *state = instance;
    state->iterations = k;
    state->slope = gnorm / fmax(1.0, xnorm);
    return 0;
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

fov_status fov_logistic_fit(fov_logistic *model, const fov_real *x, const uint32_t *label, size_t count, const fov_logistic_settings *settings,
                            fov_pool *pool, fov_logistic_result *result) {
    FOV_ASSERT(count > 0 && settings->c > 0.0);
    fit_state state = {.slope = HUGE_VAL};
    fov_status status = FOV_OK;
    bool converged = false;
    FOV_TRY(fov_logistic_problem_init(&state.problem, x, label, count, model->width, model->classes, settings->c, pool));
    lbfgs_parameter_t parameter;
    lbfgs_parameter_init(&parameter);
    parameter.m = MEMORY;
    parameter.epsilon = settings->tolerance;
    parameter.max_iterations = settings->max_iterations;
    const int unknowns = (int)((model->width + 1) * model->classes);
    const int code = lbfgs(unknowns, model->parameters, NULL, evaluate, note_iteration, &state, &parameter);
    FOV_TRY_GOTO(status, done, judge(code, state.slope, &converged));
    FOV_TRY_GOTO(status, done, check_finite(model));
    if (result != NULL) {
        *result = (fov_logistic_result){.iterations = state.iterations, .converged = converged};
    }
done:
    fov_logistic_problem_clear(&state.problem);
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
