/* Matrix products against a plain double sum, in every instruction set, and equal bits at every thread count. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <string.h>

#include "base/memory.h"
#include "base/rng.h"
#include "kernels/gemm.h"
#include "kernels/kernels.h"
#include "matrix_case.h"

/* Also: nothing between the rows of c is touched. */
static void check(const fov_real *c, const fov_real *before, size_t stride, fov_matrix a, fov_matrix b, size_t m, size_t n, size_t k,
                  double alpha, double beta) {
    for (size_t i = 0; i < m; i++) {
        for (size_t j = 0; j < stride; j++) {
            double sum = 0;
            double size = 1;
            for (size_t p = 0; j < n && p < k; p++) {
                sum += element(a, i, p) * element(b, p, j);
                size += fabs(element(a, i, p) * element(b, p, j));
            }
            const double old = (double)before[i * stride + j];
            const double want = j < n ? alpha * sum + (beta == 0 ? 0 : beta * old) : old;
            const double error = fabs((double)c[i * stride + j] - want);
            if (j < n ? !(error <= 4e-7 * size + 1e-6) : memcmp(&c[i * stride + j], &before[i * stride + j], sizeof *c) != 0) {
                fail_msg("m %zu n %zu k %zu ta %d tb %d beta %g: [%zu, %zu] is %g, not %g", m, n, k, (int)a.transposed, (int)b.transposed,
                         beta, i, j, (double)c[i * stride + j], want);
            }
        }
    }
}

typedef enum engine { SERIAL, POOLED, KERNEL } engine;

static void one_product(engine which, const fov_kernels *set, fov_pool *pool, const size_t size[3], int ta, int tb, double beta) {
    const size_t m = size[0], n = size[1], k = size[2];
    const fov_matrix a = {random_reals((m + 3) * (k + 3) + 64, 1), (ta ? m : k) + 3, ta != 0};
    const fov_matrix b = {random_reals((n + 5) * (k + 5) + 64, 2), (tb ? k : n) + 5, tb != 0};
    const size_t stride = n + 2;
    fov_real *before = random_reals(m * stride, 3);
    fov_real *c = random_reals(m * stride, 3);
    if (beta == 0) { /* beta 0 must not read C */
        for (size_t i = 0; i < m * stride; i++) {
            c[i] = before[i] = (fov_real)NAN;
        }
    }
    const double alpha = which == POOLED ? 1.0 : 0.5;
    void *work = fov_mem_alloc(FOV_MEM_BASE, fov_gemm_work(m, n, k));
    assert_non_null(work);
    if (which == SERIAL) {
        fov_gemm_serial(c, stride, a, b, m, n, k, (fov_real)alpha, (fov_real)beta);
    } else if (which == POOLED) {
        fov_gemm(pool, c, stride, a, b, m, n, k, (fov_real)beta, work);
    } else {
        set->gemm(c, stride, a.data, a.stride, a.transposed, b.data, b.stride, b.transposed, m, n, k, (fov_real)alpha, (fov_real)beta);
    }
    check(c, before, stride, a, b, m, n, k, alpha, beta);
    fov_mem_free(work);
    fov_mem_free(c);
    fov_mem_free(before);
    fov_mem_free((void *)(uintptr_t)a.data);
    fov_mem_free((void *)(uintptr_t)b.data);
}

static const size_t sizes[][3] = {{1, 1, 1},   {1, 33, 7},   {14, 32, 64},  {13, 31, 17}, {15, 33, 5},   {6, 16, 385}, {29, 65, 400},
                                  {3, 300, 9}, {100, 10, 3}, {57, 47, 769}, {2, 2, 0},    {17, 260, 20}, {230, 5, 33}, {28, 64, 16}};

static void walk(engine which, const fov_kernels *set, fov_pool *pool) {
    for (size_t s = 0; s < sizeof sizes / sizeof sizes[0]; s++) {
        for (int how = 0; how < 8; how++) {
            one_product(which, set, pool, sizes[s], how & 1, how >> 1 & 1, how >> 2 & 1);
        }
    }
}

static void test_serial(void **state) {
    (void)state;
    walk(SERIAL, NULL, NULL);
    one_product(SERIAL, NULL, NULL, sizes[6], 0, 1, 0.25);
}

static void test_every_set(void **state) {
    (void)state;
    const char *const sets[] = {"c", "avx2", "avx512", "avx512bf16"};
    for (size_t i = 0; i < 4; i++) {
        const fov_kernels *set = fov_kernels_named(sets[i]);
        if (set != NULL) {
            walk(KERNEL, set, NULL);
            one_product(KERNEL, set, NULL, sizes[6], 1, 0, 0.25);
        }
    }
}

static void test_pooled(void **state) {
    (void)state;
    fov_pool *pool = NULL;
    assert_int_equal(fov_pool_new(&pool, 2), FOV_OK);
    walk(POOLED, NULL, pool);
    one_product(POOLED, NULL, pool, (const size_t[]){20, 30, 3000}, 1, 0, 0); /* k is cut */
    one_product(POOLED, NULL, pool, (const size_t[]){20, 30, 3000}, 1, 0, 1);
    one_product(POOLED, NULL, pool, (const size_t[]){450, 300, 40}, 0, 1, 0); /* several blocks */
    fov_pool_free(pool);
}

static void test_same_bits_at_any_thread_count(void **state) {
    (void)state;
    const size_t shapes[][3] = {{70, 90, 2500}, {600, 300, 40}};
    for (size_t s = 0; s < 2; s++) {
        const size_t m = shapes[s][0], n = shapes[s][1], k = shapes[s][2];
        fov_real *a = random_reals(m * k, 4);
        fov_real *b = random_reals(n * k, 5);
        fov_real *want = random_reals(m * n, 6);
        fov_real *got = random_reals(m * n, 7);
        void *work = fov_mem_alloc(FOV_MEM_BASE, fov_gemm_work(m, n, k));
        const fov_matrix ma = {a, k, false};
        const fov_matrix mb = {b, k, true};
        fov_gemm(NULL, want, n, ma, mb, m, n, k, 0, work);
        const unsigned threads[] = {1, 2, 3, 8};
        for (size_t t = 0; t < 4; t++) {
            fov_pool *pool = NULL;
            assert_int_equal(fov_pool_new(&pool, threads[t]), FOV_OK);
            memset(got, 0, m * n * sizeof *got);
            fov_gemm(pool, got, n, ma, mb, m, n, k, 0, work);
            assert_memory_equal(got, want, m * n * sizeof *got);
            fov_pool_free(pool);
        }
        fov_mem_free(work);
        fov_mem_free(got);
        fov_mem_free(want);
        fov_mem_free(b);
        fov_mem_free(a);
    }
}

static void test_nothing_to_do(void **state) {
    (void)state;
    assert_int_equal(fov_gemm_work(0, 64, 4096), 0);
    assert_int_equal(fov_gemm_work(64, 0, 4096), 0);
    fov_gemm(NULL, NULL, 64, (fov_matrix){NULL, 4096, false}, (fov_matrix){NULL, 4096, true}, 0, 64, 4096, 0, NULL);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_serial),
        cmocka_unit_test(test_every_set),
        cmocka_unit_test(test_pooled),
        cmocka_unit_test(test_same_bits_at_any_thread_count),
        cmocka_unit_test(test_nothing_to_do),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
