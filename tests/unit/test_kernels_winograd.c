/* Winograd's transforms in every instruction set: a 6 x 6 window, a 3 x 3 filter and a 4 x 4 tile of gradients, whole or cut off by the
 * picture's edge, against the direct sums in double. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>

#include "base/memory.h"
#include "base/rng.h"
#include "kernels/kernels.h"

enum { N = 48, STEP = N + 16, WINDOW = 6, TILE = 4, TAPS = 3 };

typedef struct tile_case {
    size_t inside[4];     /* of the window: first and last row, first and last column */
    size_t rows, columns; /* of the output */
    int add;
} tile_case;

static const tile_case cases[] = {
    {{0, 6, 0, 6}, 4, 4, 0}, {{1, 6, 0, 5}, 4, 3, 1}, {{0, 4, 1, 6}, 2, 4, 0}, {{1, 3, 1, 4}, 1, 2, 1}, {{2, 5, 0, 6}, 3, 1, 0}};

/* x [36, N], with pixels outside at places that must not be read; w [9, N]; y and dy [16, N] */
typedef struct arrays {
    fov_real x[36 * N], w[9 * N], y[16 * N], dy[16 * N], dw[9 * N], before_y[16 * N], before_w[9 * N];
    fov_real v[36 * STEP], u[36 * STEP], m[36 * STEP];
} arrays;

static void fill(fov_real *x, size_t n, unsigned stream) {
    fov_rng rng;
    fov_rng_init(&rng, 4, 0, stream, 0, FOV_RNG_TEST);
    for (size_t i = 0; i < n; i++) {
        x[i] = (fov_real)fov_rng_normal(&rng);
    }
}

static bool is_inside(const tile_case *c, size_t row, size_t column) {
    return row >= c->inside[0] && row < c->inside[1] && column >= c->inside[2] && column < c->inside[3];
}

static double pixel(const tile_case *c, const arrays *a, size_t row, size_t column, size_t i) {
    return is_inside(c, row, column) ? (double)a->x[(row * WINDOW + column) * N + i] : 0;
}

static void expect(const fov_kernels *k, const char *what, size_t at, double got, double want) {
    if (!(fabs(got - want) <= 1e-4)) {
        fail_msg("%s %s[%zu]: got %.9g, want %.9g", k->name, what, at, got, want);
    }
}

static void multiply(arrays *a, const fov_real *with) {
    for (size_t i = 0; i < 36 * STEP; i++) {
        a->m[i] = a->v[i] * with[i];
    }
}

static void check_output(const fov_kernels *k, const tile_case *c, arrays *a) {
    k->winograd_filter(a->u, STEP, a->w, N, N);
    multiply(a, a->u);
    k->winograd_output(a->y, TILE * N, N, c->rows, c->columns, a->m, STEP, c->add, N);
    for (size_t at = 0; at < 16 * N; at++) {
        const size_t row = at / N / TILE, column = at / N % TILE, i = at % N;
        double want = c->add ? (double)a->before_y[at] : 0;
        for (size_t t = 0; t < 9; t++) {
            want += pixel(c, a, row + t / TAPS, column + t % TAPS, i) * (double)a->w[t * N + i];
        }
        expect(k, "output", at, (double)a->y[at], row < c->rows && column < c->columns ? want : (double)a->before_y[at]);
    }
}

static void check_weight(const fov_kernels *k, const tile_case *c, arrays *a) {
    k->winograd_gradient(a->u, STEP, a->dy, TILE * N, N, c->rows, c->columns, N);
    multiply(a, a->u);
    k->winograd_filter_gradient(a->dw, N, a->m, STEP, c->add, N);
    for (size_t at = 0; at < 9 * N; at++) {
        const size_t i = at % N;
        double want = c->add ? (double)a->before_w[at] : 0;
        for (size_t p = 0; p < c->rows * c->columns; p++) {
            const size_t row = p / c->columns, column = p % c->columns;
            want += pixel(c, a, row + at / N / TAPS, column + at / N % TAPS, i) * (double)a->dy[(row * TILE + column) * N + i];
        }
        expect(k, "weight", at, (double)a->dw[at], want);
    }
}

static void check(const fov_kernels *k, const tile_case *c, arrays *a) {
    fill(a->x, 36 * N, 1);
    fill(a->w, 9 * N, 2);
    fill(a->y, 16 * N, 3);
    fill(a->before_y, 16 * N, 3);
    fill(a->dy, 16 * N, 4);
    fill(a->dw, 9 * N, 5);
    fill(a->before_w, 9 * N, 5);
    fill(a->v, 36 * STEP, 6);
    fill(a->u, 36 * STEP, 7);
    for (size_t p = 0; p < 36; p++) {
        for (size_t i = 0; i < N && !is_inside(c, p / WINDOW, p % WINDOW); i++) {
            a->x[p * N + i] = (fov_real)NAN;
        }
    }
    for (size_t p = 0; p < 16; p++) {
        for (size_t i = 0; i < N && (p / TILE >= c->rows || p % TILE >= c->columns); i++) {
            a->dy[p * N + i] = (fov_real)NAN;
        }
    }
    k->winograd_input(a->v, STEP, a->x + (c->inside[0] * WINDOW + c->inside[2]) * N, WINDOW * N, N, c->inside, N);
    check_output(k, c, a);
    check_weight(k, c, a);
}

static void test_transforms(void **state) {
    (void)state;
    const char *const sets[] = {"c", "avx2", "avx512", "avx512bf16"};
    arrays *a = fov_mem_zalloc(FOV_MEM_BASE, sizeof *a);
    assert_non_null(a);
    for (size_t s = 0; s < 4; s++) {
        const fov_kernels *k = fov_kernels_named(sets[s]);
        for (size_t i = 0; k != NULL && i < sizeof cases / sizeof cases[0]; i++) {
            check(k, &cases[i], a);
        }
    }
    fov_mem_free(a);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_transforms)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
