/* Row kernels of every instruction set against plain double references, at sizes that leave remainders of every vector width. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <string.h>

#include "base/rng.h"
#include "kernels/kernels.h"

#define MOST 4096

static const char *const sets[] = {"c", "avx2", "avx512", "avx512bf16"};
static const size_t widths[] = {1, 2, 3, 7, 8, 15, 16, 17, 31, 33, 64, 100, 257};
#define WIDTHS (sizeof widths / sizeof widths[0])
#define ROWS ((size_t)5)

/* Guard elements behind every result show a write past its end. */
static fov_real a[MOST], b[MOST], c[MOST], d[MOST], e[MOST];
#define GUARD ((fov_real)-12345)

static void fill(fov_real *x, size_t n, unsigned view, double scale) {
    fov_rng rng;
    fov_rng_init(&rng, 1, 0, n, view, FOV_RNG_TEST);
    for (size_t i = 0; i < n; i++) {
        x[i] = (fov_real)(scale * fov_rng_normal(&rng));
    }
    x[n] = GUARD;
}

static void near(fov_real got, double want, double scale, const char *set, const char *what, size_t i) {
    const double allowed = 8.0 * (double)FOV_REAL_EPS * fmax(scale, fabs(want));
    if (!(fabs((double)got - want) <= allowed)) {
        fail_msg("%s, %s: element %zu is %.9g, want %.9g (allowed difference %.3g)", set, what, i, (double)got, want, allowed);
    }
}

static double phi(double x) {
    return 0.5 * erfc(-x * sqrt(0.5));
}

static double gelu_slope(double x) {
    return phi(x) + x * exp(-0.5 * x * x) / sqrt(2.0 * acos(-1.0));
}

static void activations(const fov_kernels *k) {
    for (size_t w = 0; w < WIDTHS; w++) {
        const size_t width = widths[w], n = ROWS * width;
        for (int with_bias = 0; with_bias < 2; with_bias++) {
            fill(a, n, 1, 2.0);
            fill(b, width, 2, 1.0);
            memcpy(c, a, sizeof a);
            memcpy(d, a, sizeof a);
            fill(e, n, 3, 1.0);
            const fov_real *bias = with_bias ? b : NULL;
            k->linear_bias(c, bias, ROWS, width);
            k->linear_bias_relu(d, bias, ROWS, width);
            assert_true(c[n] == GUARD && d[n] == GUARD);
            for (size_t i = 0; i < n; i++) {
                const double want = (double)a[i] + (with_bias ? (double)b[i % width] : 0.0);
                near(c[i], want, 1.0, k->name, "linear_bias", i);
                near(d[i], fmax(want, 0.0), 1.0, k->name, "linear_bias_relu", i);
            }
            k->linear_bias_gelu(e, a, bias, ROWS, width);
            assert_true(e[n] == GUARD && a[n] == GUARD);
            for (size_t i = 0; i < n; i++) {
                near(a[i], (double)c[i], 1.0, k->name, "linear_bias_gelu z", i);
                near(e[i], (double)a[i] * phi((double)a[i]), 0.1, k->name, "linear_bias_gelu y", i);
            }
        }
    }
}

static void slopes(const fov_kernels *k) {
    for (size_t w = 0; w < WIDTHS; w++) {
        const size_t n = widths[w];
        fill(a, n, 1, 1.0);
        fill(b, n, 2, 2.0);
        fill(c, n, 3, 1.0);
        fill(d, n, 3, 1.0);
        b[n / 2] = 0;
        k->relu_backward(c, a, b, n);
        k->gelu_backward(d, a, b, n);
        assert_true(c[n] == GUARD && d[n] == GUARD);
        for (size_t i = 0; i < n; i++) {
            near(c[i], b[i] > 0 ? (double)a[i] : 0.0, 0.0, k->name, "relu_backward", i);
            near(d[i], (double)a[i] * gelu_slope((double)b[i]), 1.0, k->name, "gelu_backward", i);
        }
    }
}

/* Over the whole line, in relative precision even where Phi is 1e-30. */
static void gelu_tails(const fov_kernels *k) {
    const size_t n = 3001;
    for (size_t i = 0; i < n; i++) {
        a[i] = (fov_real)(-11.0 + 22.0 * (double)i / (double)(n - 1));
        d[i] = 1;
    }
    memcpy(b, a, sizeof a);
    k->linear_bias_gelu(c, b, NULL, 1, n);
    k->gelu_backward(e, d, a, n);
    for (size_t i = 0; i < n; i++) {
        const double x = (double)a[i], want = x * phi(x);
        /* x^2 is rounded before the exponential: relative error grows as x^2 / 2 roundings. */
        const double allowed = (double)FOV_REAL_EPS * (4.0 + x * x) * fabs(want);
        if (!(fabs((double)c[i] - want) <= allowed)) {
            fail_msg("%s: gelu(%.9g) is %.9g, want %.9g", k->name, x, (double)c[i], want);
        }
        near(e[i], gelu_slope(x), 1.0, k->name, "gelu slope", i);
    }
    const fov_real extremes[] = {(fov_real)0, (fov_real)1e4, (fov_real)-1e4, (fov_real)1e30, (fov_real)-1e30};
    memcpy(a, extremes, sizeof extremes);
    k->linear_bias_gelu(c, a, NULL, 1, 5);
    assert_true(c[0] == 0 && c[1] == extremes[1] && c[3] == extremes[3]);
    assert_true(fabs((double)c[2]) < 1e-30 && fabs((double)c[4]) < 1e-6);
    a[0] = (fov_real)NAN;
    k->linear_bias_gelu(c, a, NULL, 1, 1);
    assert_true(isnan((double)c[0]));
    k->gelu_backward(c, d, a, 1);
    assert_true(isnan((double)c[0]));
}

static void sums(const fov_kernels *k) {
    for (size_t w = 0; w < WIDTHS; w++) {
        const size_t width = widths[w], n = ROWS * width;
        fill(a, n, 1, 1.0);
        fill(b, width, 2, 1.0);
        memcpy(c, b, sizeof b);
        k->column_sums(c, a, ROWS, width);
        assert_true(c[width] == GUARD);
        for (size_t j = 0; j < width; j++) {
            double want = (double)b[j];
            for (size_t r = 0; r < ROWS; r++) {
                want += (double)a[r * width + j];
            }
            near(c[j], want, 2.0, k->name, "column_sums", j);
        }
    }
}

typedef struct row_stats {
    double mean, rstd;
} row_stats;

static row_stats stats_of(const fov_real *x, size_t n, double eps) {
    double sum = 0.0, squares = 0.0;
    for (size_t j = 0; j < n; j++) {
        sum += (double)x[j];
    }
    for (size_t j = 0; j < n; j++) {
        squares += ((double)x[j] - sum / (double)n) * ((double)x[j] - sum / (double)n);
    }
    return (row_stats){sum / (double)n, 1.0 / sqrt(squares / (double)n + eps)};
}

static void layernorm_rows_forward(const fov_kernels *k) {
    const double eps = 1e-3;
    for (size_t w = 0; w < WIDTHS; w++) {
        const size_t width = widths[w], n = ROWS * width;
        fov_real gamma[258], beta[258], stats[2 * ROWS + 1];
        fill(a, n, 1, 1.0);
        fill(gamma, width, 2, 1.0);
        fill(beta, width, 3, 1.0);
        fill(c, n, 4, 1.0);
        stats[2 * ROWS] = GUARD;
        k->layernorm_forward(c, stats, a, gamma, beta, eps, ROWS, width);
        assert_true(c[n] == GUARD && stats[2 * ROWS] == GUARD);
        for (size_t i = 0; i < n; i++) {
            const row_stats s = stats_of(a + i / width * width, width, eps);
            const size_t j = i % width;
            const double want = ((double)a[i] - s.mean) * s.rstd * (double)gamma[j] + (double)beta[j];
            near(c[i], want, width == 1 ? 4.0 : 4.0 * (1.0 + s.rstd), k->name, "layernorm_forward", i);
        }
    }
}

/* dx of one element by the formula. */
static double layernorm_slope(const fov_real *x, const fov_real *dy, const fov_real *gamma, row_stats s, size_t n, size_t at) {
    double sum = 0.0, along = 0.0;
    for (size_t j = 0; j < n; j++) {
        sum += (double)dy[j] * (double)gamma[j];
        along += (double)dy[j] * (double)gamma[j] * ((double)x[j] - s.mean) * s.rstd;
    }
    return s.rstd * ((double)dy[at] * (double)gamma[at] - sum / (double)n - ((double)x[at] - s.mean) * s.rstd * along / (double)n);
}

static void layernorm_rows_backward(const fov_kernels *k, int accumulate) {
    for (size_t w = 1; w < WIDTHS; w++) {
        const size_t width = widths[w], n = ROWS * width;
        fov_real gamma[258], dgamma[258], dbeta[258], stats[2 * ROWS];
        fill(a, n, 1, 1.0);
        fill(b, n, 2, 1.0);
        fill(gamma, width, 3, 1.0);
        fill(dgamma, width, 4, 1.0);
        fill(dbeta, width, 4, 1.0);
        fill(c, n, 5, 1.0);
        memcpy(d, c, sizeof c);
        row_stats s[ROWS];
        for (size_t r = 0; r < ROWS; r++) {
            s[r] = stats_of(a + r * width, width, 0.1);
            stats[2 * r] = (fov_real)s[r].mean;
            stats[2 * r + 1] = (fov_real)s[r].rstd;
        }
        memcpy(e, dgamma, sizeof dgamma);
        if (width % 2 == 0) { /* together, and one without the other */
            k->layernorm_backward(c, dgamma, dbeta, b, a, stats, gamma, accumulate, ROWS, width);
        } else {
            k->layernorm_backward(c, NULL, NULL, b, a, stats, gamma, accumulate, ROWS, width);
            k->layernorm_backward(NULL, dgamma, dbeta, b, a, stats, gamma, accumulate, ROWS, width);
        }
        assert_true(c[n] == GUARD && dgamma[width] == GUARD && dbeta[width] == GUARD);
        for (size_t i = 0; i < n; i++) {
            const size_t r = i / width;
            const double want = layernorm_slope(a + r * width, b + r * width, gamma, s[r], width, i % width);
            near(c[i], want + (accumulate ? (double)d[i] : 0.0), 40.0, k->name, "layernorm_backward", i);
        }
        for (size_t j = 0; j < width; j++) {
            double gamma_sum = (double)e[j], beta_sum = (double)e[j];
            for (size_t r = 0; r < ROWS; r++) {
                gamma_sum += (double)b[r * width + j] * ((double)a[r * width + j] - s[r].mean) * s[r].rstd;
                beta_sum += (double)b[r * width + j];
            }
            near(dgamma[j], gamma_sum, 10.0, k->name, "layernorm_backward gamma", j);
            near(dbeta[j], beta_sum, 10.0, k->name, "layernorm_backward beta", j);
        }
    }
}

static void l2norm_rows(const fov_kernels *k, double eps, int accumulate) {
    for (size_t w = 0; w < WIDTHS; w++) {
        const size_t width = widths[w], n = ROWS * width;
        fov_real norms[ROWS];
        fill(a, n, 1, 1.0);
        fill(b, n, 2, 1.0);
        fill(c, n, 3, 1.0);
        fill(d, n, 3, 1.0);
        memset(a, 0, width * sizeof(fov_real)); /* a row of zeros divides by eps */
        k->l2norm_forward(e, norms, a, eps, ROWS, width);
        k->l2norm_backward(c, b, e, norms, accumulate, ROWS, width);
        assert_true(c[n] == GUARD);
        for (size_t i = 0; i < n; i++) {
            const size_t first = i / width * width;
            double squares = 0.0, along = 0.0;
            for (size_t j = first; j < first + width; j++) {
                squares += (double)a[j] * (double)a[j];
                along += (double)a[j] * (double)b[j];
            }
            const double norm = sqrt(squares), by = fmax(norm, eps);
            near(e[i], (double)a[i] / by, 1.0, k->name, "l2norm_forward", i);
            const double slope = ((double)b[i] - (norm > eps ? (double)a[i] * along / squares : 0.0)) / by;
            near(c[i], slope + (accumulate ? (double)d[i] : 0.0), fmax(1.0, 4.0 / by), k->name, "l2norm_backward", i);
        }
    }
}

static void check_set(void **state) {
    const fov_kernels *k = fov_kernels_named(*state);
    if (k == NULL) {
        skip(); /* not on this processor */
    }
    assert_string_equal(k->name, (const char *)*state);
    activations(k);
    slopes(k);
    gelu_tails(k);
    sums(k);
    layernorm_rows_forward(k);
    layernorm_rows_backward(k, 0);
    layernorm_rows_backward(k, 1);
    l2norm_rows(k, 1e-3, 0);
    l2norm_rows(k, 1e-3, 1);
    l2norm_rows(k, 5.0, 1);
}

int main(void) {
    struct CMUnitTest tests[4];
    for (size_t i = 0; i < 4; i++) {
        tests[i] = (struct CMUnitTest){.name = sets[i], .test_func = check_set, .initial_state = (void *)(uintptr_t)sets[i]};
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
