/* Transforms of minimal filtering in every instruction set: a window, a 3 x 3 filter and a tile of gradients of every way, whole or cut off
 * by the picture's edge, against the direct sums in double. */
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

enum { N = 48, STEP = N + 16, TAPS = 3, MOST = FOV_WINOGRAD_MOST * FOV_WINOGRAD_MOST };

typedef struct tile_case {
    fov_winograd_way way;
    fov_winograd_axis axis;
    size_t inside[4];     /* of the window: first and last row, first and last column */
    size_t rows, columns; /* of the output */
    int add;
} tile_case;

/* Cases of a way: what is cut off of the window at the top, bottom, left and right, and of the outputs. */
static const struct {
    size_t window[4], outputs[2];
    int add;
} cuts[] = {
    {{0, 0, 0, 0}, {0, 0}, 0}, {{0, 0, 0, 0}, {0, 0}, 1}, {{1, 0, 0, 1}, {0, 1}, 1}, {{0, 1, 1, 0}, {1, 0}, 0}, {{1, 0, 1, 0}, {1, 1}, 1}};

static tile_case case_of(fov_winograd_way way, size_t i) {
    tile_case c = {.way = way, .axis = fov_winograd_axis_of(way), .add = cuts[i].add};
    for (size_t end = 0; end < 4; end++) {
        c.inside[end] = end % 2 == 0 ? cuts[i].window[end] : c.axis.window - cuts[i].window[end];
    }
    c.rows = c.axis.outputs - cuts[i].outputs[0];
    c.columns = c.axis.outputs - cuts[i].outputs[1];
    return c;
}

/* x [window^2, N], with pixels outside at places that must not be read; w [9, N]; y and dy [outputs^2, N] */
typedef struct arrays {
    fov_real x[MOST * N], w[9 * N], y[MOST * N], dy[MOST * N], dw[9 * N], before_y[MOST * N], before_w[9 * N];
    fov_real v[MOST * STEP], u[MOST * STEP], m[MOST * STEP];
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

/* Along one axis: the pixel of the window that a tap meets for an output; beyond it where there is none. */
static size_t met(fov_winograd_way way, size_t output, size_t tap) {
    const size_t none = FOV_WINOGRAD_MOST;
    switch (way) {
    case FOV_WINOGRAD_WHOLE_2:
        return output + tap >= 1 ? output + tap - 1 : none;
    case FOV_WINOGRAD_STRIDED:
        return 2 * output + tap;
    case FOV_WINOGRAD_STRIDED_BACK:
        return output % 2 == 0 ? (tap == 1 ? output / 2 : none) : tap == 1 ? none : output / 2 + tap / 2;
    default:
        return output + tap;
    }
}

static double pixel(const tile_case *c, const arrays *a, const size_t output[2], size_t tap, size_t i) {
    const size_t row = met(c->way, output[0], tap / TAPS), column = met(c->way, output[1], tap % TAPS);
    return is_inside(c, row, column) ? (double)a->x[(row * c->axis.window + column) * N + i] : 0;
}

static void expect(const fov_kernels *k, const tile_case *c, const char *what, size_t at, double got, double want) {
    if (!(fabs(got - want) <= 1e-4)) {
        fail_msg("%s, way %d, %s[%zu]: got %.9g, want %.9g", k->name, (int)c->way, what, at, got, want);
    }
}

static void multiply(arrays *a, const fov_real *with) {
    for (size_t i = 0; i < MOST * STEP; i++) {
        a->m[i] = a->v[i] * with[i];
    }
}

static void check_output(const fov_kernels *k, const tile_case *c, arrays *a) {
    k->winograd_filter(c->way, a->u, STEP, a->w, N, N);
    multiply(a, a->u);
    k->winograd_output(c->way, a->y, c->axis.outputs * N, N, c->rows, c->columns, a->m, STEP, c->add, N);
    const size_t size = c->axis.outputs;
    for (size_t at = 0; at < size * size * N; at++) {
        const size_t row = at / N / size, column = at / N % size, i = at % N;
        double want = c->add ? (double)a->before_y[at] : 0;
        for (size_t t = 0; t < 9; t++) {
            want += pixel(c, a, (const size_t[]){row, column}, t, i) * (double)a->w[t * N + i];
        }
        expect(k, c, "output", at, (double)a->y[at], row < c->rows && column < c->columns ? want : (double)a->before_y[at]);
    }
}

static void check_weight(const fov_kernels *k, const tile_case *c, arrays *a) {
    k->winograd_gradient(c->way, a->u, STEP, a->dy, c->axis.outputs * N, N, c->rows, c->columns, N);
    multiply(a, a->u);
    k->winograd_filter_gradient(c->way, a->dw, N, a->m, STEP, c->add, N);
    for (size_t at = 0; at < 9 * N; at++) {
        const size_t i = at % N;
        double want = c->add ? (double)a->before_w[at] : 0;
        for (size_t p = 0; p < c->rows * c->columns; p++) {
            const size_t row = p / c->columns, column = p % c->columns;
            want += pixel(c, a, (const size_t[]){row, column}, at / N, i) * (double)a->dy[(row * c->axis.outputs + column) * N + i];
        }
        expect(k, c, "weight", at, (double)a->dw[at], want);
    }
}

static void check(const fov_kernels *k, const tile_case *c, arrays *a) {
    fill(a->x, MOST * N, 1);
    fill(a->w, 9 * N, 2);
    fill(a->y, MOST * N, 3);
    fill(a->before_y, MOST * N, 3);
    fill(a->dy, MOST * N, 4);
    fill(a->dw, 9 * N, 5);
    fill(a->before_w, 9 * N, 5);
    fill(a->v, MOST * STEP, 6);
    fill(a->u, MOST * STEP, 7);
    const size_t size = c->axis.outputs, window = c->axis.window;
    for (size_t p = 0; p < window * window; p++) {
        for (size_t i = 0; i < N && !is_inside(c, p / window, p % window); i++) {
            a->x[p * N + i] = (fov_real)NAN;
        }
    }
    for (size_t p = 0; p < size * size; p++) {
        for (size_t i = 0; i < N && (p / size >= c->rows || p % size >= c->columns); i++) {
            a->dy[p * N + i] = (fov_real)NAN;
        }
    }
    k->winograd_input(c->way, a->v, STEP, a->x + (c->inside[0] * window + c->inside[2]) * N, window * N, N, c->inside, N);
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
        for (size_t i = 0; k != NULL && i < FOV_WINOGRAD_WAYS * (sizeof cuts / sizeof cuts[0]); i++) {
            const tile_case c = case_of(i % FOV_WINOGRAD_WAYS, i / FOV_WINOGRAD_WAYS);
            check(k, &c, a);
        }
    }
    fov_mem_free(a);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_transforms)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
