/* Kernels of matmul.c's packing and images.c in every instruction set against plain double references. Odd sizes reach every tail. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdbool.h>
#include <string.h>

#include "base/memory.h"
#include "base/rng.h"
#include "kernels/kernels.h"

#define TOLERANCE 2e-6

static fov_real *numbers(size_t n, double mean, unsigned stream) {
    fov_real *x = fov_mem_alloc(FOV_MEM_BASE, n * sizeof *x);
    assert_non_null(x);
    fov_rng rng;
    fov_rng_init(&rng, 2, 0, stream, 0, FOV_RNG_TEST);
    for (size_t i = 0; i < n; i++) {
        x[i] = (fov_real)(mean + fov_rng_normal(&rng));
    }
    return x;
}

static void expect(const char *set, const char *what, size_t i, double got, double want, double size) {
    if (!(fabs(got - want) <= TOLERANCE * size)) {
        fail_msg("%s %s[%zu]: got %.9g, want %.9g", set, what, i, got, want);
    }
}

static const size_t rows_of[] = {1, 2, 31, 32, 33, 67, 100};
static const size_t channels_of[] = {1, 3, 4, 8, 15, 16, 17, 40, 67};

typedef void (*check_fn)(const fov_kernels *k, size_t rows, size_t c);

static void each_set(check_fn check) {
    const char *const sets[] = {"c", "avx2", "avx512", "avx512bf16"};
    for (size_t s = 0; s < 4; s++) {
        const fov_kernels *k = fov_kernels_named(sets[s]);
        for (size_t i = 0; k != NULL && i < sizeof rows_of / sizeof rows_of[0]; i++) {
            for (size_t j = 0; j < sizeof channels_of / sizeof channels_of[0]; j++) {
                check(k, rows_of[i], channels_of[j]);
            }
        }
    }
}

/* A mean of 1000 standard deviations must not hurt the variance. */
static void check_sums(const fov_kernels *k, size_t rows, size_t c) {
    fov_real *x = numbers(rows * c, 1000, 1);
    double *sums = fov_mem_array(FOV_MEM_BASE, 2 * c, sizeof *sums);
    assert_non_null(sums);
    k->bn_sums(sums, x, x, rows, c);
    for (size_t j = 0; j < c; j++) {
        double sum = 0, square = 0, size = 1e-3;
        for (size_t i = 0; i < rows; i++) {
            const double d = (double)x[i * c + j] - (double)x[j];
            sum += d;
            square += d * d;
            size += fabs(d);
        }
        expect(k->name, "sum", j, sums[j], sum, size);
        expect(k->name, "square", j, sums[c + j], square, square + 1e-3);
    }
    fov_mem_free(sums);
    fov_mem_free(x);
}

static void check_apply(const fov_kernels *k, size_t rows, size_t c) {
    fov_real *x = numbers(rows * c, 0, 1), *residual = numbers(rows * c, 0, 2), *y = numbers(rows * c, 0, 3);
    fov_real *scale = numbers(c, 1, 4), *shift = numbers(c, 0, 5);
    for (int how = 0; how < 6; how++) { /* relu or not; no residual, a residual, the residual in y's place */
        const int relu = how & 1;
        if (how >= 4) {
            memcpy(y, residual, rows * c * sizeof *y);
        }
        k->bn_apply(y, x, how < 2 ? NULL : how < 4 ? residual : y, scale, shift, relu, rows % 2 == 0, rows, c);
        for (size_t i = 0; i < rows * c; i++) {
            const double sum = (double)x[i] * (double)scale[i % c] + (double)shift[i % c] + (how < 2 ? 0 : (double)residual[i]);
            expect(k->name, "apply", i, (double)y[i], relu ? fmax(sum, 0) : sum, 10);
        }
    }
    void *const blocks[] = {x, residual, y, scale, shift};
    for (size_t i = 0; i < 5; i++) {
        fov_mem_free(blocks[i]);
    }
}

typedef struct norm {
    fov_real *dy, *x, *y, *mean, *scale, *shift, *factor, *center, *slope;
} norm;

/* how: 0 no mask, 1 from x, 2 from y */
static double g_of(const norm *n, int how, size_t i, size_t c) {
    const size_t j = i % c;
    const double out = how == 1 ? (double)(n->x[i] * n->scale[j] + n->shift[j]) : (double)n->y[i];
    return how == 0 || out > 0 ? (double)n->dy[i] : 0;
}

static void check_sums_of(const fov_kernels *k, const norm *n, int how, int keep, size_t rows, size_t c) {
    double *sums = fov_mem_array(FOV_MEM_BASE, 2 * c, sizeof *sums);
    fov_real *kept = numbers(rows * c, 0, 20), *before = numbers(rows * c, 0, 20);
    k->bn_gradient_sums(sums, keep == 0 ? NULL : kept, keep == 2, rows % 2 == 0, n->dy, n->x, how == 2 ? n->y : NULL, n->mean,
                        how == 0 ? NULL : n->scale, n->shift, rows, c);
    for (size_t j = 0; j < c; j++) {
        double sum = 0, product = 0;
        for (size_t i = 0; i < rows; i++) {
            const double g = g_of(n, how, i * c + j, c);
            sum += g;
            product += g * ((double)n->x[i * c + j] - (double)n->mean[j]);
            const double want = keep == 0 ? (double)before[i * c + j] : keep == 1 ? g : g + (double)before[i * c + j];
            expect(k->name, "dresidual", i * c + j, (double)kept[i * c + j], want, 1);
        }
        expect(k->name, "gradient sum", j, sums[j], sum, (double)rows);
        expect(k->name, "gradient product", j, sums[c + j], product, 2 * (double)rows);
    }
    fov_mem_free(sums);
    fov_mem_free(kept);
    fov_mem_free(before);
}

static void check_gradient_of(const fov_kernels *k, const norm *n, int how, int accumulate, size_t rows, size_t c) {
    fov_real *dx = numbers(rows * c, 0, 21), *before = numbers(rows * c, 0, 21);
    k->bn_gradient(dx, accumulate, rows % 2 == 0, n->dy, n->x, how == 2 ? n->y : NULL, n->mean, how == 0 ? NULL : n->scale, n->shift,
                   n->factor, n->center, n->slope, rows, c);
    for (size_t i = 0; i < rows * c; i++) {
        const size_t j = i % c;
        const double inner = g_of(n, how, i, c) - (double)n->center[j] - ((double)n->x[i] - (double)n->mean[j]) * (double)n->slope[j];
        expect(k->name, "dx", i, (double)dx[i], (double)n->factor[j] * inner + (accumulate ? (double)before[i] : 0), 20);
    }
    fov_mem_free(dx);
    fov_mem_free(before);
}

static void check_gradients(const fov_kernels *k, size_t rows, size_t c) {
    norm n = {numbers(rows * c, 0, 1), numbers(rows * c, 0, 2), numbers(rows * c, 0, 3), numbers(c, 0, 4), numbers(c, 1, 5),
              numbers(c, 0, 6),        numbers(c, 1, 7),        numbers(c, 0, 8),        numbers(c, 0, 9)};
    for (size_t i = 0; i < rows * c; i++) { /* keep clear of the kink, where rounding may decide */
        const size_t j = i % c;
        n.x[i] = fabs((double)(n.x[i] * n.scale[j] + n.shift[j])) < 1e-4 ? n.x[i] + 1 : n.x[i];
    }
    for (int how = 0; how < 3; how++) {
        for (int keep = 0; keep < 3; keep++) {
            check_sums_of(k, &n, how, keep, rows, c);
        }
        check_gradient_of(k, &n, how, 0, rows, c);
        check_gradient_of(k, &n, how, 1, rows, c);
    }
    fov_real *const blocks[] = {n.dy, n.x, n.y, n.mean, n.scale, n.shift, n.factor, n.center, n.slope};
    for (size_t i = 0; i < 9; i++) {
        fov_mem_free(blocks[i]);
    }
}

/* Ties go to the first tap, a NaN wins. `rows` picks how much of a 3 x 3 window is inside. */
static void check_maxpool(const fov_kernels *k, size_t rows, size_t c) {
    const size_t taps[4] = {rows % 2, 3 - rows % 3 / 2, rows % 3 == 0, 3};
    fov_real *x = numbers(9 * c, 0, 1), *y = numbers(c, 0, 2), *plain = numbers(c, 0, 3), *dx = numbers(9 * c, 0, 4),
             *before = numbers(9 * c, 0, 4);
    uint8_t *index = fov_mem_alloc(FOV_MEM_BASE, c);
    assert_non_null(index);
    for (size_t i = 0; i < 9 * c; i++) {
        x[i] = (fov_real)(round((double)x[i] * 1.5) / 1.5);
    }
    x[4 * c] = (fov_real)NAN;
    const size_t start = (taps[0] * 3 + taps[2]) * c;
    k->maxpool_pixel(y, index, x + start, 3 * c, taps, 3, c);
    k->maxpool_pixel(plain, NULL, x + start, 3 * c, taps, 3, c);
    k->maxpool_pixel_backward(dx + start, 3 * c, y, index, taps, 3, c);
    for (size_t j = 0; j < c; j++) {
        size_t best = taps[0] * 3 + taps[2];
        for (size_t t = best; t < 9; t++) {
            const bool inside = t / 3 >= taps[0] && t / 3 < taps[1] && t % 3 >= taps[2] && t % 3 < taps[3];
            if (inside && !isnan((double)x[best * c + j]) && !(x[t * c + j] <= x[best * c + j])) {
                best = t;
            }
        }
        assert_int_equal(index[j], best);
        assert_memory_equal(&y[j], &x[best * c + j], sizeof *y);
        assert_memory_equal(&plain[j], &y[j], sizeof *y);
        for (size_t t = 0; t < 9 && j > 0; t++) {
            expect(k->name, "pool gradient", t, (double)dx[t * c + j], (double)before[t * c + j] + (t == best ? (double)y[j] : 0), 4);
        }
    }
    fov_mem_free(index);
    void *const blocks[] = {x, y, plain, dx, before};
    for (size_t i = 0; i < 5; i++) {
        fov_mem_free(blocks[i]);
    }
}

static void check_bytes(const fov_kernels *k, size_t rows, size_t c) {
    fov_real *table = numbers(256 * c, 0, 1), *y = numbers(rows * c, 0, 2);
    uint8_t *x = fov_mem_alloc(FOV_MEM_BASE, rows * c);
    assert_non_null(x);
    for (size_t i = 0; i < rows * c; i++) {
        x[i] = (uint8_t)(i * 37 % 256);
    }
    k->byte_table(y, x, table, rows, c);
    for (size_t i = 0; i < rows * c; i++) {
        assert_memory_equal(&y[i], &table[i % c * 256 + x[i]], sizeof *y);
    }
    fov_mem_free(x);
    fov_mem_free(y);
    fov_mem_free(table);
}

static void check_words(const fov_kernels *k, size_t rows, size_t c) {
    const size_t n = rows * c, period = 16 * c;
    fov_real *y = numbers(n, 0, 2);
    uint16_t *x = fov_mem_array(FOV_MEM_BASE, n, sizeof *x);
    double *scale = fov_mem_array(FOV_MEM_BASE, 2 * period, sizeof *scale), *shift = scale + period;
    assert_true(x != NULL && scale != NULL);
    for (size_t i = 0; i < period; i++) {
        scale[i] = 1e-5 * (double)(1 + i % c);
        shift[i] = -0.1 * (double)(i % c);
    }
    for (size_t i = 0; i < n; i++) {
        x[i] = (uint16_t)(i * 40503 % 65536);
    }
    k->word_affine(y, x, scale, shift, period, n);
    for (size_t i = 0; i < n; i++) {
        const double want = (double)x[i] * 1e-5 * (double)(1 + i % c) - 0.1 * (double)(i % c);
        if (!(fabs((double)y[i] - want) <= 1e-7 * fmax(1.0, fabs(want)))) {
            fail_msg("%s: word %zu is %.9g, not %.9g", k->name, i, (double)y[i], want);
        }
    }
    fov_mem_free(x);
    fov_mem_free(y);
    fov_mem_free(scale);
}

/* rows: numbers along k; c: lanes */
static void check_packing(const fov_kernels *k, size_t rows, size_t c) {
    const size_t width = c + rows % 3 * 5, row_stride = width + 2;
    fov_real *x = numbers(rows * c + 7 * (rows + c), 0, 1), *y = numbers(rows * row_stride, 0, 2),
             *before = numbers(rows * row_stride, 0, 2);
    k->pack_lanes(y, width, x, rows + 3, c, rows);
    for (size_t i = 0; i < rows; i++) {
        for (size_t l = 0; l < width; l++) {
            expect(k->name, "lanes", i * width + l, (double)y[i * width + l], l < c ? (double)x[l * (rows + 3) + i] : 0, 0);
        }
    }
    memcpy(y, before, rows * row_stride * sizeof *y);
    k->pack_rows(y, row_stride, width, x, c + 3, c, rows);
    for (size_t i = 0; i < rows * row_stride; i++) {
        const size_t l = i % row_stride;
        const double want = l >= width ? (double)before[i] : l < c ? (double)x[i / row_stride * (c + 3) + l] : 0;
        expect(k->name, "rows", i, (double)y[i], want, 0);
    }
    fov_mem_free(x);
    fov_mem_free(y);
    fov_mem_free(before);
}

static void test_sums(void **state) {
    (void)state;
    each_set(check_sums);
}

static void test_apply(void **state) {
    (void)state;
    each_set(check_apply);
}

static void test_gradients(void **state) {
    (void)state;
    each_set(check_gradients);
}

static void test_maxpool(void **state) {
    (void)state;
    each_set(check_maxpool);
}

static void test_bytes(void **state) {
    (void)state;
    each_set(check_bytes);
    each_set(check_words);
}

static void test_packing(void **state) {
    (void)state;
    each_set(check_packing);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sums),    cmocka_unit_test(test_apply), cmocka_unit_test(test_gradients),
        cmocka_unit_test(test_maxpool), cmocka_unit_test(test_bytes), cmocka_unit_test(test_packing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
