/* Kernels of src/kernels/isa/tokens.c, in every instruction set of this processor, against plain double references: odd sizes, large
 * and infinite logits, NaN. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdlib.h>

#include "base/rng.h"
#include "kernels/kernels.h"

#define MAX_COLUMNS 300
#define ROWS 3

static const char *const sets[] = {"c", "avx2", "avx512", "avx512bf16"};
static const size_t sizes[] = {1, 2, 3, 7, 15, 16, 17, 31, 33, 64, 65, 127, 197, 256, 299};

#define EACH_SET(k)                                                                    \
    for (size_t set_index = 0; set_index < sizeof sets / sizeof sets[0]; set_index++) \
        for (const fov_kernels *k = fov_kernels_named(sets[set_index]); k != NULL; k = NULL)

static fov_real *numbers(size_t n, double scale, unsigned seed) {
    fov_real *x = malloc(n * sizeof *x);
    assert_non_null(x);
    fov_rng rng;
    fov_rng_init(&rng, seed, 0, n, 0, FOV_RNG_TEST);
    for (size_t i = 0; i < n; i++) {
        x[i] = (fov_real)(scale * fov_rng_normal(&rng));
    }
    return x;
}

static void close_to(double got, double want, double tolerance, const char *set, size_t n) {
    if (!(fabs(got - want) <= tolerance)) {
        fail_msg("set %s, n %zu: got %.9g, want %.9g (within %.2g)", set, n, got, want, tolerance);
    }
}

static double reference_lse(const fov_real *x, size_t n) {
    double top = (double)x[0];
    for (size_t i = 1; i < n; i++) {
        top = (double)x[i] > top ? (double)x[i] : top; /* not fmax: gcc 12 for aarch64 crashes where it vectorises that */
    }
    double sum = 0.0;
    for (size_t i = 0; i < n; i++) {
        sum += exp((double)x[i] - top);
    }
    return top + log(sum);
}

/* exp alone: softmax_both_ways with a shift of 0 one way and infinity the other. */
static void exp_of(const fov_kernels *k, fov_real *y, size_t n) {
    fov_real *far = malloc(n * sizeof *far);
    assert_non_null(far);
    for (size_t i = 0; i < n; i++) {
        far[i] = (fov_real)INFINITY;
    }
    k->softmax_both_ways(y, 0, far, n);
    free(far);
}

static void exp_is_accurate(void **state) {
    (void)state;
    enum { COUNT = 20001 };
    EACH_SET(k) {
        fov_real *x = malloc(COUNT * sizeof *x);
        fov_real *y = malloc(COUNT * sizeof *y);
        assert_true(x != NULL && y != NULL);
        for (size_t i = 0; i < COUNT; i++) {
            y[i] = x[i] = (fov_real)(-87.3 * (double)i / (COUNT - 1));
        }
        exp_of(k, y, COUNT);
        double worst = 0.0;
        for (size_t i = 0; i < COUNT; i++) {
            worst = fmax(worst, fabs((double)y[i] / exp((double)x[i]) - 1.0));
        }
        close_to(worst, 0.0, 2e-7, k->name, COUNT);
        assert_true(y[0] == (fov_real)1);
        free(x);
        free(y);
    }
}

static void exp_handles_edges(void **state) {
    (void)state;
    EACH_SET(k) {
        for (size_t n = 1; n <= 40; n += 13) {
            fov_real y[40];
            static const double edges[] = {-100.0, -1e6};
            for (size_t e = 0; e < 2; e++) {
                for (size_t i = 0; i < n; i++) {
                    y[i] = (fov_real)edges[e];
                }
                exp_of(k, y, n);
                for (size_t i = 0; i < n; i++) {
                    close_to((double)y[i], 0.0, 1e-37, k->name, n);
                }
            }
            for (size_t i = 0; i < n; i++) {
                y[i] = (fov_real)NAN;
            }
            exp_of(k, y, n);
            for (size_t i = 0; i < n; i++) {
                assert_true(isnan(y[i]));
            }
        }
    }
}

static void lse_equals_reference(void **state) {
    (void)state;
    static const double scales[] = {0.0, 1.0, 30.0, 1000.0};
    EACH_SET(k) {
        for (size_t s = 0; s < sizeof sizes / sizeof sizes[0]; s++) {
            for (size_t c = 0; c < sizeof scales / sizeof scales[0]; c++) {
                const size_t n = sizes[s];
                fov_real *x = numbers(ROWS * n, scales[c], 1);
                fov_real lse[ROWS];
                k->lse_rows(lse, x, ROWS, n);
                for (size_t r = 0; r < ROWS; r++) {
                    const double want = reference_lse(x + r * n, n);
                    close_to((double)lse[r], want, 2e-7 * (fabs(want) + 1.0), k->name, n);
                }
                free(x);
            }
        }
    }
}

static void lse_of_extreme_logits(void **state) {
    (void)state;
    EACH_SET(k) {
        for (size_t s = 1; s < sizeof sizes / sizeof sizes[0]; s++) {
            const size_t n = sizes[s];
            fov_real x[MAX_COLUMNS];
            fov_real lse = 0;
            for (size_t i = 0; i < n; i++) {
                x[i] = (fov_real)(i == n - 1 ? 1e30 : (i == 0 ? -INFINITY : -1e30));
            }
            k->lse_rows(&lse, x, 1, n);
            close_to((double)lse / 1e30, 1.0, 1e-6, k->name, n);
            for (size_t i = 0; i < n; i++) {
                x[i] = i == n / 2 ? (fov_real)NAN : (fov_real)0;
            }
            k->lse_rows(&lse, x, 1, n);
            assert_true(isnan(lse));
        }
    }
}

static void both_ways_equals_reference(void **state) {
    (void)state;
    EACH_SET(k) {
        for (size_t s = 0; s < sizeof sizes / sizeof sizes[0]; s++) {
            const size_t n = sizes[s];
            fov_real *y = numbers(n, 3.0, 4);
            fov_real *before = numbers(n, 3.0, 4);
            fov_real *lse = numbers(n, 1.0, 5);
            for (size_t i = 0; i < n; i++) {
                lse[i] += 12;
            }
            y[n / 2] = before[n / 2] = -(fov_real)INFINITY;
            k->softmax_both_ways(y, (fov_real)11.5, lse, n);
            for (size_t i = 0; i < n; i++) {
                const double want = exp((double)before[i] - 11.5) + exp((double)before[i] - (double)lse[i]);
                close_to((double)y[i], want, 4e-6 * want, k->name, n);
            }
            free(y);
            free(before);
            free(lse);
        }
    }
}

static void check_patch(const fov_kernels *k, size_t n, double offset) {
    fov_real *x = numbers(n, 0.3, 6);
    fov_real *prediction = numbers(n, 1.0, 7);
    fov_real *grad = numbers(n, 1.0, 8);
    fov_real *fresh = malloc(n * sizeof *fresh);
    assert_non_null(fresh);
    double mean = 0.0;
    for (size_t i = 0; i < n; i++) {
        x[i] += (fov_real)offset;
        mean += (double)x[i] / (double)n;
    }
    double squares = 0.0;
    for (size_t i = 0; i < n; i++) {
        squares += ((double)x[i] - mean) * ((double)x[i] - mean);
    }
    double got_mean = 0.0;
    double got_squares = -1.0;
    k->patch_moments(&got_mean, &got_squares, x, n);
    close_to(got_mean, mean, 1e-12 * (fabs(mean) + 1.0), k->name, n);
    close_to(got_squares, squares, 1e-10 * squares + 1e-24, k->name, n);
    const fov_real centre = (fov_real)mean;
    double error = 0.0;
    for (size_t i = 0; i < n; i++) {
        const double d = (double)prediction[i] - ((double)x[i] - (double)centre) * 1.75;
        error += d * d;
    }
    close_to(k->patch_error(prediction, x, centre, (fov_real)1.75, n), error, 1e-6 * error + 1e-13, k->name, n);
    k->patch_error_backward(fresh, prediction, x, centre, (fov_real)1.75, (fov_real)0.5, 0, n);
    k->patch_error_backward(grad, prediction, x, centre, (fov_real)1.75, (fov_real)0.5, 1, n);
    fov_real *before = numbers(n, 1.0, 8);
    for (size_t i = 0; i < n; i++) {
        const double want = 0.5 * ((double)prediction[i] - ((double)x[i] - (double)centre) * 1.75);
        close_to((double)fresh[i], want, 1e-6, k->name, n);
        close_to((double)grad[i], want + (double)before[i], 2e-6, k->name, n);
    }
    free(x);
    free(prediction);
    free(grad);
    free(fresh);
    free(before);
}

static void patch_errors_equal_reference(void **state) {
    (void)state;
    EACH_SET(k) {
        for (size_t s = 0; s < sizeof sizes / sizeof sizes[0]; s++) {
            check_patch(k, sizes[s], 0.0);
            check_patch(k, sizes[s], 50.0);
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(exp_is_accurate),       cmocka_unit_test(exp_handles_edges),
        cmocka_unit_test(lse_equals_reference),  cmocka_unit_test(lse_of_extreme_logits),
        cmocka_unit_test(both_ways_equals_reference), cmocka_unit_test(patch_errors_equal_reference),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
