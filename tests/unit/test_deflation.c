/* Deflation: S and its inverse, symmetry, the strongest direction found, features that say nothing, and what it is for: few iterations where
 * features vary together, as pixels do. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <string.h>

#include "base/rng.h"
#include "eval/deflation.h"
#include "eval/logistic.h"

enum { COUNT = 300, WIDTH = 90, ROWS = 3, CELLS = ROWS * WIDTH };
enum { MOST_ITERATIONS = 24 };

/* Noise, and a brightness that all features share and that is many times as strong. */
static void make(fov_real *x, uint32_t *label) {
    fov_rng rng;
    fov_rng_init(&rng, 1, 0, 0, 0, FOV_RNG_TEST);
    for (size_t i = 0; i < COUNT; i++) {
        const double shared = 10.0 * fov_rng_normal(&rng);
        label[i] = (uint32_t)fov_rng_below(&rng, ROWS);
        for (size_t j = 0; j < WIDTH; j++) {
            x[i * WIDTH + j] = (fov_real)(shared + fov_rng_normal(&rng) + (j % ROWS == label[i] ? 0.3 : 0.0));
        }
    }
}

static void fill(double *v, uint64_t seed) {
    fov_rng rng;
    fov_rng_init(&rng, seed, 0, 0, 0, FOV_RNG_TEST);
    for (size_t i = 0; i < CELLS; i++) {
        v[i] = fov_rng_normal(&rng);
    }
}

static double product(const double *a, const double *b) {
    double sum = 0.0;
    for (size_t i = 0; i < CELLS; i++) {
        sum += a[i] * b[i];
    }
    return sum;
}

static void test_change(void **state) {
    (void)state;
    static fov_real x[COUNT * WIDTH];
    static uint32_t label[COUNT];
    double a[CELLS], b[CELLS], sa[CELLS], sb[CELLS], back[CELLS];
    fov_deflation d;
    make(x, label);
    fill(a, 2);
    fill(b, 3);
    assert_int_equal(fov_deflation_init(&d, x, COUNT, WIDTH, ROWS, NULL), FOV_OK);
    fov_deflation_set(&d, 1.0, 0.1);
    fov_deflation_apply(&d, sa, a, false);
    fov_deflation_apply(&d, sb, b, false);
    assert_true(fabs(product(sa, b) - product(a, sb)) < 1e-4 * sqrt(product(sa, sa) * product(b, b)));
    fov_deflation_apply(&d, back, sa, true);
    for (size_t i = 0; i < CELLS; i++) {
        assert_true(fabs(back[i] - a[i]) < 1e-4);
        a[i] = 1.0; /* along the brightness, whose variance is 100 WIDTH */
    }
    fov_deflation_apply(&d, sa, a, false);
    assert_true(product(sa, sa) < 0.01 * product(a, a));
    fov_deflation_clear(&d);
}

/* Constant features, standardised, are zeros: there is no direction, and all weights change alike. */
static void test_nothing(void **state) {
    (void)state;
    static const fov_real zeros[COUNT * WIDTH];
    double a[CELLS], half[CELLS];
    fov_deflation d;
    fill(a, 4);
    const size_t counts[] = {COUNT, 2, 1};
    for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++) {
        assert_int_equal(fov_deflation_init(&d, zeros, counts[i], WIDTH, ROWS, NULL), FOV_OK);
        fov_deflation_set(&d, 1.0, 3.0);
        fov_deflation_apply(&d, half, a, false);
        for (size_t j = 0; j < CELLS; j++) {
            assert_true(fabs(half[j] - 0.5 * a[j]) <= 1e-15 * fabs(a[j])); /* a division away from half, so maybe a rounding */
        }
        fov_deflation_clear(&d);
    }
}

static void test_iterations(void **state) {
    (void)state;
    static fov_real x[COUNT * WIDTH];
    static uint32_t label[COUNT];
    fov_logistic model;
    fov_logistic_result result;
    make(x, label);
    assert_int_equal(fov_logistic_init(&model, WIDTH, ROWS), FOV_OK);
    assert_int_equal(fov_logistic_fit(&model, x, label, COUNT, &(fov_logistic_settings){.c = 0.1, .tolerance = 1e-5, .max_iterations = 500}, NULL,
                                      &result),
                     FOV_OK);
    assert_true(result.converged);
    if (result.iterations > MOST_ITERATIONS) {
        fail_msg("%d iterations, more than %d", result.iterations, MOST_ITERATIONS);
    }
    fov_logistic_clear(&model);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_change), cmocka_unit_test(test_nothing), cmocka_unit_test(test_iterations)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
