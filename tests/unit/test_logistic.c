/* Logistic regression: its gradient by finite differences, separable classes, scikit-learn's solutions (make_probe.py), the linear probe's choice
 * of C, and equal bits at every thread count. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/rng.h"
#include "eval/logistic.h"
#include "eval/logistic_loss.h"
#include "eval/probe_internal.h"
#include "eval/scaler.h"
#include "weights/safetensors.h"

/* As assert_float_equal, in double. */
static void assert_near(double a, double b, double tolerance) {
    if (!(fabs(a - b) <= tolerance)) {
        fail_msg("%.17g is not within %g of %.17g", a, tolerance, b);
    }
}

enum { COUNT = 700, WIDTH = 23, CLASSES = 5 };

typedef struct data {
    float raw[COUNT * WIDTH];
    fov_real x[COUNT * WIDTH];
    uint32_t label[COUNT];
} data;

/* Gaussian clouds `apart` standard deviations from the origin. */
static void make(data *d, double apart, uint64_t seed) {
    fov_rng rng;
    fov_rng_init(&rng, seed, 0, 0, 0, FOV_RNG_TEST);
    for (size_t i = 0; i < COUNT; i++) {
        d->label[i] = (uint32_t)fov_rng_below(&rng, CLASSES);
        for (size_t j = 0; j < WIDTH; j++) {
            d->raw[i * WIDTH + j] = (float)(fov_rng_normal(&rng) + (j % CLASSES == d->label[i] ? apart : 0.0));
            d->x[i * WIDTH + j] = (fov_real)d->raw[i * WIDTH + j];
        }
    }
}

/* Central differences, in random directions: sums in float are smooth to about 1e-7 of the loss, so the step is large. */
static void test_gradient(void **state) {
    (void)state;
    static data d;
    make(&d, 1.0, 1);
    fov_logistic_problem problem;
    assert_int_equal(fov_logistic_problem_init(&problem, d.x, d.label, COUNT, WIDTH, CLASSES, 0.02, NULL), FOV_OK);
    enum { N = (WIDTH + 1) * CLASSES };
    double at[N], gradient[N], unused[N], probe[N];
    fov_rng rng;
    fov_rng_init(&rng, 2, 0, 0, 0, FOV_RNG_TEST);
    for (size_t i = 0; i < N; i++) {
        at[i] = 0.3 * fov_rng_normal(&rng);
    }
    (void)fov_logistic_evaluate(&problem, at, gradient);
    for (size_t i = 0; i < N; i++) { /* one unknown at a time */
        const double step = 0.02;
        memcpy(probe, at, sizeof probe);
        probe[i] = at[i] + step;
        const double above = fov_logistic_evaluate(&problem, probe, unused);
        probe[i] = at[i] - step;
        const double below = fov_logistic_evaluate(&problem, probe, unused);
        assert_near(gradient[i], (above - below) / (2.0 * step), 1e-4);
    }
    fov_logistic_problem_clear(&problem);
}

/* At zero the loss is log(classes), whatever the data. */
static void test_start(void **state) {
    (void)state;
    static data d;
    make(&d, 1.0, 1);
    fov_logistic_problem problem;
    assert_int_equal(fov_logistic_problem_init(&problem, d.x, d.label, COUNT, WIDTH, CLASSES, 1.0, NULL), FOV_OK);
    double zero[(WIDTH + 1) * CLASSES] = {0}, gradient[(WIDTH + 1) * CLASSES];
    assert_near(fov_logistic_evaluate(&problem, zero, gradient), log(CLASSES), 1e-6);
    fov_logistic_problem_clear(&problem);
}

static size_t count_right(const uint32_t *a, const uint32_t *b, size_t count) {
    size_t right = 0;
    for (size_t i = 0; i < count; i++) {
        right += a[i] == b[i];
    }
    return right;
}

static void test_separable(void **state) {
    (void)state;
    static data d, other;
    static uint32_t predicted[COUNT];
    make(&d, 5.0, 3);
    make(&other, 5.0, 4);
    fov_logistic model;
    fov_logistic_result result;
    assert_int_equal(fov_logistic_init(&model, WIDTH, CLASSES), FOV_OK);
    assert_int_equal(fov_logistic_fit(&model, d.x, d.label, COUNT, &(fov_logistic_settings){.c = 1.0, .tolerance = 1e-4, .max_iterations = 300}, NULL,
                                      &result),
                     FOV_OK);
    assert_true(result.converged);
    assert_int_equal(fov_logistic_predict(&model, d.x, COUNT, predicted, NULL, NULL), FOV_OK);
    assert_int_equal(count_right(predicted, d.label, COUNT), COUNT);
    assert_int_equal(fov_logistic_predict(&model, other.x, COUNT, predicted, NULL, NULL), FOV_OK);
    assert_true(count_right(predicted, other.label, COUNT) >= COUNT - 2);
    fov_logistic_clear(&model);
}

static void test_threads(void **state) {
    (void)state;
    static data d;
    make(&d, 0.5, 5);
    double first[(WIDTH + 1) * CLASSES] = {0};
    const unsigned threads[] = {1, 2, 3, 8};
    for (size_t t = 0; t < 4; t++) {
        fov_pool *pool = NULL;
        fov_logistic model;
        assert_int_equal(fov_pool_new(&pool, threads[t]), FOV_OK);
        assert_int_equal(fov_logistic_init(&model, WIDTH, CLASSES), FOV_OK);
        assert_int_equal(fov_logistic_fit(&model, d.x, d.label, COUNT,
                                          &(fov_logistic_settings){.c = 0.1, .tolerance = 1e-5, .max_iterations = 200}, pool, NULL),
                         FOV_OK);
        if (t == 0) {
            memcpy(first, model.parameters, sizeof first);
        }
        assert_memory_equal(first, model.parameters, sizeof first);
        fov_logistic_clear(&model);
        fov_pool_free(pool);
    }
}

/* ---- scikit-learn ---- */

static const fov_tensor *find(const fov_safetensors *file, const char *name, const char *part) {
    char full[64];
    (void)snprintf(full, sizeof full, "%s%s", name, part);
    const fov_tensor *tensor = fov_safetensors_find(file, full);
    assert_non_null(tensor);
    return tensor;
}

static fov_real *load_x(const fov_safetensors *file, const char *name, size_t *rows, size_t *width) {
    const fov_tensor *tensor = find(file, name, "");
    *rows = (size_t)tensor->dim[0];
    *width = (size_t)tensor->dim[1];
    fov_real *x = fov_mem_array(FOV_MEM_EVAL, *rows * *width, sizeof *x);
    for (size_t i = 0; i < *rows * *width; i++) {
        float value = 0.0F;
        memcpy(&value, tensor->data + i * sizeof value, sizeof value);
        x[i] = (fov_real)value;
    }
    return x;
}

static void expect_close(const fov_tensor *want, const double *got, size_t count) {
    assert_int_equal(want->bytes, count * sizeof(double));
    for (size_t i = 0; i < count; i++) {
        double value = 0.0;
        memcpy(&value, want->data + i * sizeof value, sizeof value);
        assert_near(got[i], value, 1e-3);
    }
}

static void compare_one(const fov_safetensors *file, const char *name, fov_real *const x[2], const size_t rows[2], size_t width, size_t classes) {
    const uint32_t *label = (const void *)find(file, "label", "")->data;
    double c = 0.0, probability[512];
    uint32_t predicted[128];
    memcpy(&c, find(file, name, ".c")->data, sizeof c);
    fov_logistic model;
    assert_int_equal(fov_logistic_init(&model, width, classes), FOV_OK);
    uint32_t *labels = fov_mem_alloc(FOV_MEM_EVAL, rows[0] * sizeof *labels);
    memcpy(labels, label, rows[0] * sizeof *labels);
    assert_int_equal(fov_logistic_fit(&model, x[0], labels, rows[0], &(fov_logistic_settings){.c = c, .tolerance = 1e-6, .max_iterations = 1000}, NULL, NULL),
                     FOV_OK);
    expect_close(find(file, name, ".weight"), model.parameters, width * classes);
    expect_close(find(file, name, ".bias"), model.parameters + width * classes, classes);
    assert_int_equal(fov_logistic_predict(&model, x[1], rows[1], predicted, probability, NULL), FOV_OK);
    expect_close(find(file, name, ".probability"), probability, rows[1] * classes);
    assert_memory_equal(predicted, find(file, name, ".predicted")->data, rows[1] * sizeof *predicted);
    fov_mem_free(labels);
    fov_logistic_clear(&model);
}

static void test_scikit_learn(void **state) {
    (void)state;
    fov_safetensors *file = NULL;
    assert_int_equal(fov_safetensors_open(&file, FOV_TEST_DATA "/golden/probe.safetensors"), FOV_OK);
    size_t rows[2], width = 0;
    fov_real *x[2] = {load_x(file, "x", &rows[0], &width), load_x(file, "test", &rows[1], &width)};
    const size_t classes = (size_t)find(file, "c0", ".weight")->dim[0];
    assert_true(rows[1] <= 128 && rows[1] * classes <= 512);
    compare_one(file, "c0", x, rows, width, classes);
    compare_one(file, "c1", x, rows, width, classes);
    compare_one(file, "c2", x, rows, width, classes);
    fov_mem_free(x[0]);
    fov_mem_free(x[1]);
    fov_safetensors_close(file);
}

/* ---- standardising and the choice of C ---- */

static void test_scaler(void **state) {
    (void)state;
    const float features[] = {1.0F, 7.0F, 1000.0F, 3.0F, 7.0F, 1002.0F, 50.0F, 7.0F, -9.0F};
    const uint32_t rows[] = {0, 1};
    fov_real out[6];
    fov_scaler scaler;
    assert_int_equal(fov_scaler_init(&scaler, features, rows, 2, 3, NULL), FOV_OK);
    fov_scaler_apply(&scaler, out, features, rows, 2, NULL);
    const double want[] = {-1.0, 0.0, -1.0, 1.0, 0.0, 1.0}; /* the constant feature is left out */
    for (size_t i = 0; i < 6; i++) {
        assert_near((double)out[i], want[i], 1e-6);
    }
    fov_scaler_clear(&scaler);
}

/* The probe of one source, with the features multiplied by `scale`. */
static void run_probe(const data *d, double scale, fov_pool *pool, fov_probe_choice *choice, uint32_t *predicted) {
    static float features[COUNT * WIDTH];
    for (size_t i = 0; i < COUNT * WIDTH; i++) {
        features[i] = (float)(scale * (double)d->raw[i]);
    }
    enum { TRAIN = 300 };
    const fov_probe_settings settings = {.seed = 4};
    const fov_linear_task task = {.train = features, .test = features + TRAIN * WIDTH, .label = d->label, .count = TRAIN, .test_count = COUNT - TRAIN,
                                  .width = WIDTH, .classes = CLASSES, .settings = &settings, .pool = pool};
    assert_int_equal(fov_probe_linear(&task, choice, predicted), FOV_OK);
}

/* Overlapping clouds: the best C is inside the grid, the held-out estimate is honest, and neither scale nor threads change the outcome. */
static void test_choice(void **state) {
    (void)state;
    static data d;
    make(&d, 0.8, 6);
    fov_probe_choice choice, scaled, threaded;
    uint32_t predicted[COUNT - 300], again[COUNT - 300];
    run_probe(&d, 1.0, NULL, &choice, predicted);
    assert_int_equal(choice.folds, 5);
    assert_true(choice.tried >= 3 && choice.best < choice.tried);
    assert_true(choice.c[choice.best] > 1e-6 && choice.c[choice.best] < 100.0);
    for (size_t g = 0; g < choice.tried; g++) {
        assert_true(choice.accuracy[g] <= choice.accuracy[choice.best]);
    }
    const double accuracy = (double)count_right(predicted, d.label + 300, COUNT - 300) / (COUNT - 300.0);
    assert_true(accuracy > 0.4);
    assert_near(accuracy, choice.accuracy[choice.best], 0.12);
    run_probe(&d, 1024.0, NULL, &scaled, again); /* a power of two: not even rounding differs */
    assert_int_equal(scaled.best, choice.best);
    assert_memory_equal(predicted, again, sizeof again);
    fov_pool *pool = NULL;
    assert_int_equal(fov_pool_new(&pool, 3), FOV_OK);
    run_probe(&d, 1.0, pool, &threaded, again);
    fov_pool_free(pool);
    assert_memory_equal(predicted, again, sizeof again);
    assert_memory_equal(choice.loss, threaded.loss, sizeof choice.loss);
}

/* Every allocation may fail; nothing leaks and the status says so. */
static void test_no_memory(void **state) {
    (void)state;
    static data d;
    make(&d, 2.0, 7);
    const fov_probe_settings settings = {.seed = 4};
    const fov_linear_task task = {.train = d.raw, .test = d.raw, .label = d.label, .count = 60, .test_count = 5, .width = WIDTH, .classes = CLASSES,
                                  .settings = &settings};
    fov_probe_choice choice;
    uint32_t predicted[5];
    const size_t live = fov_mem_stats_all().live_blocks;
    assert_int_equal(fov_probe_linear(&task, &choice, predicted), FOV_OK);
    fov_status status = FOV_E_NOMEM;
    for (uint64_t n = 1; status == FOV_E_NOMEM; n += n < 40 ? 1 : 17) {
        fov_mem_fail_at(n, 0);
        status = fov_probe_linear(&task, &choice, predicted);
        fov_mem_fail_at(0, 0);
        assert_true(status == FOV_E_NOMEM || status == FOV_OK);
        assert_int_equal(fov_mem_stats_all().live_blocks, live);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_gradient),     cmocka_unit_test(test_start),  cmocka_unit_test(test_separable), cmocka_unit_test(test_threads),
        cmocka_unit_test(test_scikit_learn), cmocka_unit_test(test_scaler), cmocka_unit_test(test_choice),    cmocka_unit_test(test_no_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
