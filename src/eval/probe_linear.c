/* The linear probe of one feature source.
 *
 * C walks 1e-6, 1e-5, ... up to 1e3, from strong to weak regularisation; each fold keeps its model and goes on from it, since neighbouring problems
 * have neighbouring solutions. For each C the folds' held-out pictures together give one accuracy. Weak regularisation is where fits are slow
 * and, past the best C, where they are useless: past C = 1e-3 the walk ends after two steps in a row that gain neither accuracy nor cross-entropy,
 * or after one that does so and loses more than a standard error of the accuracy. The model of the chosen C is then fitted to all training
 * pictures, from where the first fold stood at that C. Each fold standardises by its own training part: the held-out part stays unseen in every
 * respect. */
#include <math.h>
#include <string.h>

#include "base/checked.h"
#include "eval/folds.h"
#include "eval/logistic.h"
#include "eval/probe_internal.h"
#include "eval/scaler.h"

enum { MIN_TRIED = 4 };

/* Fits of the walk only rank values of C; the final one is what is reported. */
static const fov_logistic_settings walk_settings = {.tolerance = 1e-3, .max_iterations = 100};
static const fov_logistic_settings final_settings = {.tolerance = 1e-4, .max_iterations = 1000};

typedef struct fold_state {
    uint32_t *rows; /* [count]: those to fit first, then those held out */
    size_t fit_count;
    fov_scaler scaler;
    fov_logistic model;
} fold_state;

typedef struct walk {
    const fov_linear_task *task;
    fold_state *fold;
    uint32_t folds;
    fov_real *x;         /* [count, width], rows of a fold, standardised */
    uint32_t *label;     /* [count], in the same order */
    double *probability; /* [count, classes] */
    uint32_t *predicted; /* [count] */
    fov_logistic start;  /* the first fold's model at the best C so far */
} walk;

static void tick(const fov_linear_task *task, size_t done, size_t total) {
    if (task->settings->progress != NULL) {
        task->settings->progress(task->settings->context, task->stage, done, total);
    }
}

static fov_status prepare_fold(walk *w, uint32_t which, const uint32_t *assigned) {
    const fov_linear_task *t = w->task;
    fold_state *fold = &w->fold[which];
    fold->rows = fov_mem_array(FOV_MEM_EVAL, t->count, sizeof *fold->rows);
    FOV_TRY_ALLOC(fold->rows);
    size_t held = t->count;
    for (size_t i = 0; i < t->count; i++) {
        if (assigned[i] == which) {
            fold->rows[--held] = (uint32_t)i;
        } else {
            fold->rows[fold->fit_count++] = (uint32_t)i;
        }
    }
    FOV_TRY(fov_scaler_init(&fold->scaler, t->train, fold->rows, fold->fit_count, t->width, t->pool));
    return fov_logistic_init(&fold->model, t->width, t->classes);
}

static fov_status prepare(walk *w) {
    const fov_linear_task *t = w->task;
    uint32_t *assigned = fov_mem_array(FOV_MEM_EVAL, t->count, sizeof *assigned);
    FOV_TRY_ALLOC(assigned);
    fov_status status = fov_folds_assign(assigned, t->label, t->count, t->classes, w->folds, t->settings->seed);
    for (uint32_t f = 0; f < w->folds && status == FOV_OK; f++) {
        status = prepare_fold(w, f, assigned);
    }
    fov_mem_free(assigned);
    return status;
}

/* Fits one fold at C and adds what its held-out pictures say. */
static fov_status run_fold(walk *w, fold_state *fold, double c, size_t *correct, double *loss) {
    const fov_linear_task *t = w->task;
    const size_t held = t->count - fold->fit_count;
    for (size_t i = 0; i < t->count; i++) {
        w->label[i] = t->label[fold->rows[i]];
    }
    fov_scaler_apply(&fold->scaler, w->x, t->train, fold->rows, t->count, t->pool);
    fov_logistic_settings settings = walk_settings;
    settings.c = c;
    FOV_TRY(fov_logistic_fit(&fold->model, w->x, w->label, fold->fit_count, &settings, t->pool, NULL));
    FOV_TRY(fov_logistic_predict(&fold->model, w->x + fold->fit_count * t->width, held, w->predicted, w->probability, t->pool));
    for (size_t i = 0; i < held; i++) {
        const uint32_t label = w->label[fold->fit_count + i];
        *correct += w->predicted[i] == label;
        *loss -= log(fmax(w->probability[i * t->classes + label], 1e-300));
    }
    return FOV_OK;
}

static void copy_model(fov_logistic *to, const fov_logistic *from) {
    memcpy(to->parameters, from->parameters, (from->width + 1) * from->classes * sizeof *from->parameters);
}

static fov_status choose(walk *w, fov_probe_choice *choice) {
    const fov_linear_task *t = w->task;
    size_t without_gain = 0;
    double lowest_loss = HUGE_VAL;
    choice->folds = w->folds;
    for (size_t g = 0; g < FOV_PROBE_MAX_GRID && (g < MIN_TRIED || without_gain < 2); g++) {
        size_t correct = 0;
        double loss = 0.0;
        choice->c[g] = pow(10.0, (double)g - 6.0);
        for (uint32_t f = 0; f < w->folds; f++) {
            FOV_TRY(run_fold(w, &w->fold[f], choice->c[g], &correct, &loss));
            tick(t, g * w->folds + f + 1, FOV_PROBE_MAX_GRID * w->folds + 1);
        }
        choice->accuracy[g] = (double)correct / (double)t->count;
        choice->loss[g] = loss / (double)t->count;
        choice->tried = g + 1;
        const double gain = choice->accuracy[g] - choice->accuracy[choice->best];
        const bool better = g == 0 || gain > 0.0 || (gain == 0.0 && choice->loss[g] < choice->loss[choice->best]);
        const double error = sqrt(choice->accuracy[choice->best] * (1.0 - choice->accuracy[choice->best]) / (double)t->count);
        without_gain = better || choice->loss[g] < lowest_loss ? 0 : without_gain + (gain < -error ? 2 : 1);
        if (better) {
            choice->best = g;
            copy_model(&w->start, &w->fold[0].model);
        }
        lowest_loss = fmin(lowest_loss, choice->loss[g]);
    }
    return FOV_OK;
}

static fov_status fit_all(walk *w, fov_probe_choice *choice, uint32_t *predicted) {
    const fov_linear_task *t = w->task;
    fov_scaler scaler = {0};
    fov_logistic model = {0};
    fov_logistic_result result = {0};
    fov_real *test = NULL;
    fov_status status = FOV_OK;
    fov_logistic_settings settings = final_settings;
    settings.c = choice->c[choice->best];
    FOV_TRY_GOTO(status, done, fov_scaler_init(&scaler, t->train, NULL, t->count, t->width, t->pool));
    FOV_TRY_GOTO(status, done, fov_logistic_init(&model, t->width, t->classes));
    copy_model(&model, &w->start);
    test = fov_mem_array(FOV_MEM_EVAL, t->test_count * t->width, sizeof *test);
    if (test == NULL) {
        status = fov_forward_at(__FILE__, __LINE__, FOV_E_NOMEM);
        goto done;
    }
    fov_scaler_apply(&scaler, w->x, t->train, NULL, t->count, t->pool);
    fov_scaler_apply(&scaler, test, t->test, NULL, t->test_count, t->pool);
    FOV_TRY_GOTO(status, done, fov_logistic_fit(&model, w->x, t->label, t->count, &settings, t->pool, &result));
    FOV_TRY_GOTO(status, done, fov_logistic_predict(&model, test, t->test_count, predicted, NULL, t->pool));
    choice->converged = result.converged;
    choice->iterations = result.iterations;
    tick(t, FOV_PROBE_MAX_GRID * w->folds + 1, FOV_PROBE_MAX_GRID * w->folds + 1);
done:
    fov_mem_free(test);
    fov_logistic_clear(&model);
    fov_scaler_clear(&scaler);
    return status;
}

fov_status fov_probe_linear(const fov_linear_task *task, fov_probe_choice *choice, uint32_t *predicted) {
    fold_state fold[FOV_PROBE_FOLDS] = {0};
    walk w = {.task = task, .fold = fold, .folds = task->count < FOV_PROBE_FOLDS ? (uint32_t)task->count : FOV_PROBE_FOLDS};
    fov_status status = FOV_OK;
    *choice = (fov_probe_choice){0};
    w.x = fov_mem_array(FOV_MEM_EVAL, task->count * task->width, sizeof *w.x);
    w.label = fov_mem_array(FOV_MEM_EVAL, task->count, sizeof *w.label);
    w.predicted = fov_mem_array(FOV_MEM_EVAL, task->count, sizeof *w.predicted);
    w.probability = fov_mem_array(FOV_MEM_EVAL, task->count * task->classes, sizeof *w.probability);
    if (w.x == NULL || w.label == NULL || w.predicted == NULL || w.probability == NULL) {
        status = fov_forward_at(__FILE__, __LINE__, FOV_E_NOMEM);
        goto done;
    }
    FOV_TRY_GOTO(status, done, fov_logistic_init(&w.start, task->width, task->classes));
    FOV_TRY_GOTO(status, done, prepare(&w));
    FOV_TRY_GOTO(status, done, choose(&w, choice));
    FOV_TRY_GOTO(status, done, fit_all(&w, choice, predicted));
done:
    for (uint32_t f = 0; f < FOV_PROBE_FOLDS; f++) {
        fov_mem_free(fold[f].rows);
        fov_scaler_clear(&fold[f].scaler);
        fov_logistic_clear(&fold[f].model);
    }
    fov_logistic_clear(&w.start);
    fov_mem_free(w.x);
    fov_mem_free(w.label);
    fov_mem_free(w.predicted);
    fov_mem_free(w.probability);
    return status;
}
