/* Products cut into parts, with work done besides, in float and bfloat16: against double sums, and equal bits at every thread count. */
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

/* The nearest bfloat16, ties to even. */
static double rounded(double number) {
    int exponent;
    const double fraction = frexp(number, &exponent); /* 8 bits of it stay; nearbyint rounds ties to even */
    return ldexp(nearbyint(fraction * 256.0), exponent - 8);
}

static double operand(fov_matrix x, size_t i, size_t j, bool bf16) {
    return bf16 ? rounded(element(x, i, j)) : element(x, i, j);
}

/* What a test's callbacks know. */
typedef struct beside {
    const fov_product *p;
    const fov_real *source; /* of A, which `before` copies */
    fov_real *a;
    double *sums;                  /* of C's rows, made by `after` */
    unsigned char *before, *after; /* how often each part came */
} beside;

static void copy_part(void *context, size_t part) {
    beside *b = context;
    size_t first, rows;
    fov_product_part(b->p, part, &first, &rows);
    const size_t stride = b->p->a.stride;
    if (!b->p->a.transposed) {
        memcpy(b->a + first * stride, b->source + first * stride, rows * stride * sizeof *b->a);
    }
    b->before[part]++;
}

static void sum_part(void *context, size_t part) {
    beside *b = context;
    size_t first, rows;
    fov_product_part(b->p, part, &first, &rows);
    for (size_t i = first; i < first + rows; i++) {
        for (size_t j = 0; j < b->p->n; j++) {
            b->sums[i] += (double)b->p->c[i * b->p->c_stride + j];
        }
    }
    b->after[part]++;
}

static void check_part_counts(const fov_product *p, const beside *b) {
    const size_t parts = fov_product_parts(p);
    size_t next = 0;
    for (size_t part = 0; part < parts; part++) {
        size_t first, rows;
        fov_product_part(p, part, &first, &rows);
        assert_int_equal(first, next);
        assert_int_not_equal(rows, 0);
        next = first + rows;
        assert_int_equal(b->before[part], 1);
        assert_int_equal(b->after[part], 1);
    }
    assert_int_equal(next, p->m);
}

/* A few rows and columns of large products, all of small ones. */
static void check_numbers(const fov_product *p, const fov_real *before, const double *sums) {
    const size_t down = p->m > 60 ? p->m / 23 : 1, across = p->n > 60 ? p->n / 29 : 1;
    for (size_t i = 0; i < p->m; i += down) {
        double total = 0;
        for (size_t j = 0; j < p->n; j++) {
            total += (double)p->c[i * p->c_stride + j];
        }
        assert_true(total == sums[i]);
        for (size_t j = 0; j < p->n; j += across) {
            double sum = p->beta == 0 ? 0 : (double)before[i * p->c_stride + j], size = 1;
            for (size_t q = 0; q < p->k; q++) {
                const double product = operand(p->a, i, q, p->bf16) * operand(p->b, q, j, p->bf16);
                sum += product;
                size += fabs(product);
            }
            const double got = (double)p->c[i * p->c_stride + j];
            if (!(fabs(got - sum) <= 4e-7 * size + 1e-6)) {
                fail_msg("m %zu n %zu k %zu ta %d tb %d bf16 %d: [%zu, %zu] is %g, not %g", p->m, p->n, p->k, (int)p->a.transposed,
                         (int)p->b.transposed, (int)p->bf16, i, j, got, sum);
            }
        }
        for (size_t j = p->n; j < p->c_stride; j++) {
            assert_memory_equal(&p->c[i * p->c_stride + j], &before[i * p->c_stride + j], sizeof *before);
        }
    }
}

/* `gap` numbers lie between rows. */
static void one_product(fov_pool *pool, const size_t size[3], size_t gap, bool ta, bool tb, bool bf16, bool add) {
    const size_t m = size[0], n = size[1], k = size[2], c_stride = n + gap;
    const size_t a_stride = (ta ? m : k) + gap, b_stride = (tb ? k : n) + gap;
    const size_t a_count = (ta ? k : m) * a_stride, b_count = (tb ? n : k) * b_stride;
    fov_real *source = random_reals(a_count, 1), *b = random_reals(b_count, 2), *c = random_reals(m * c_stride, 3);
    fov_real *before = random_reals(m * c_stride, 3);
    double *sums = fov_mem_array(FOV_MEM_BASE, m + 1, sizeof *sums);
    fov_real *a = fov_mem_array(FOV_MEM_BASE, a_count + 1, sizeof *a);
    for (size_t i = 0; i < m * c_stride && !add; i++) { /* nor may C be read then */
        c[i] = before[i] = (fov_real)NAN;
    }
    fov_product p = {.c = c, .c_stride = c_stride, .a = {a, a_stride, ta}, .b = {b, b_stride, tb}, .m = m, .n = n, .k = k, .beta = add};
    p.bf16 = bf16;
    beside context = {.p = &p, .source = source, .a = a, .sums = sums, .before = fov_mem_zalloc(FOV_MEM_BASE, m + 1)};
    context.after = fov_mem_zalloc(FOV_MEM_BASE, m + 1);
    if (ta) {
        memcpy(a, source, a_count * sizeof *a);
    }
    p.before = copy_part;
    p.after = sum_part;
    p.context = &context;
    void *work = fov_mem_alloc(FOV_MEM_BASE, fov_product_work(&p));
    assert_non_null(work);
    fov_product_run(pool, &p, work);
    check_part_counts(&p, &context);
    check_numbers(&p, before, sums);
    void *const used[] = {work, context.after, context.before, a, sums, before, c, b, source};
    for (size_t i = 0; i < sizeof used / sizeof used[0]; i++) {
        fov_mem_free(used[i]);
    }
}

static bool has_tiles(void) {
    return strcmp(fov_kernels_get()->name, "c") != 0;
}

static const size_t sizes[][3] = {{1, 1, 1},      {5, 33, 7},     {14, 32, 64},    {3, 300, 9},    {57, 47, 769},
                                  {2, 2, 0},      {230, 5, 33},   {300, 96, 130},  {500, 64, 256}, {250, 200, 600},
                                  {64, 96, 1500}, {20, 30, 3001}, {300, 290, 1100}};

static void test_every_way(void **state) {
    (void)state;
    fov_pool *pool = NULL;
    assert_int_equal(fov_pool_new(&pool, 2), FOV_OK);
    for (size_t s = 0; s < sizeof sizes / sizeof sizes[0]; s++) {
        for (unsigned how = 0; how < 16; how++) {
            const bool bf16 = (how & 4) != 0;
            if (!bf16 || has_tiles()) {
                one_product(pool, sizes[s], 0, (how & 1) != 0, (how & 2) != 0, bf16, (how & 8) != 0);
                one_product(pool, sizes[s], 3, (how & 1) != 0, (how & 2) != 0, bf16, (how & 8) != 0);
            }
        }
    }
    one_product(pool, (const size_t[]){30, 2100, 2100}, 0, false, true, false, false); /* B too large to be packed as a whole */
    fov_pool_free(pool);
}

static void test_same_bits(void **state) {
    (void)state;
    const size_t shapes[][3] = {{600, 300, 400}, {600, 64, 200}, {64, 96, 2500}, {300, 290, 1100}};
    for (size_t s = 0; s < 16; s++) {
        const size_t m = shapes[s / 4][0], n = shapes[s / 4][1], k = shapes[s / 4][2];
        const bool turned = s % 2 == 1, bf16 = s / 2 % 2 == 1;
        if (bf16 && !has_tiles()) {
            continue;
        }
        fov_real *a = random_reals(m * k, 4), *b = random_reals(n * k, 5), *want = random_reals(m * n, 6), *got = random_reals(m * n, 7);
        fov_product p = {.c = want, .c_stride = n, .a = {a, turned ? m : k, turned}, .b = {b, n, false}, .m = m, .n = n, .k = k};
        p.bf16 = bf16;
        void *work = fov_mem_alloc(FOV_MEM_BASE, fov_product_work(&p));
        fov_product_run(NULL, &p, work);
        p.c = got;
        const unsigned threads[] = {1, 2, 3, 8};
        for (size_t t = 0; t < 4; t++) {
            fov_pool *pool = NULL;
            assert_int_equal(fov_pool_new(&pool, threads[t]), FOV_OK);
            memset(got, 0, m * n * sizeof *got);
            fov_product_run(pool, &p, work);
            assert_memory_equal(got, want, m * n * sizeof *got);
            fov_pool_free(pool);
        }
        void *const used[] = {work, got, want, b, a};
        for (size_t i = 0; i < 5; i++) {
            fov_mem_free(used[i]);
        }
    }
}

/* ---- pairs ---- */

typedef struct pair_case {
    size_t m, n, k, e, part_rows;
    bool add, second_add, made, alone; /* C, D are added to; rows of A are made; and have no memory */
} pair_case;

static void make_pair_rows(void *context, size_t row, size_t rows, fov_real *to) {
    const beside *b = context;
    const size_t stride = b->p->a.stride;
    memcpy(to != NULL ? to : b->a + row * stride, b->source + row * stride, rows * stride * sizeof *to);
}

static double column_product(const fov_real *a, size_t a_stride, const fov_real *b, size_t b_stride, size_t n) {
    double sum = 0;
    for (size_t i = 0; i < n; i++) {
        sum += (double)a[i * a_stride] * (double)b[i * b_stride];
    }
    return sum;
}

static void one_pair(const pair_case *t) {
    fov_real *source = random_reals(t->m * t->k, 1), *b = random_reals(t->k * t->n, 2), *e = random_reals(t->m * t->e, 3);
    fov_real *c_old = random_reals(t->m * t->n, 4), *d_old = random_reals(t->k * t->e, 5), *a = random_reals(t->m * t->k, 6);
    fov_real *c = random_reals(t->m * t->n, 7), *d = random_reals(t->k * t->e, 8), *d_first = random_reals(t->k * t->e, 9);
    double *sums = fov_mem_array(FOV_MEM_BASE, t->m, sizeof *sums);
    fov_product p = {.c = c, .c_stride = t->n, .a = {t->made ? a : source, t->k, false}, .b = {b, t->n, false}, .m = t->m, .n = t->n};
    p.k = t->k;
    p.part_rows = t->part_rows;
    p.beta = t->add;
    p.e = e;
    p.e_columns = t->e;
    p.d = d;
    p.d_beta = t->second_add;
    beside context = {.p = &p, .source = source, .a = a, .sums = sums, .after = fov_mem_zalloc(FOV_MEM_BASE, t->m)};
    p.context = &context;
    p.after = sum_part;
    p.make = t->made ? make_pair_rows : NULL;
    p.a.data = t->alone ? NULL : p.a.data;
    assert_true(fov_product_pairs(&p));
    void *work = fov_mem_alloc(FOV_MEM_BASE, fov_product_work(&p));
    for (unsigned threads = 1; threads < 5; threads += 2) {
        fov_pool *pool = NULL;
        assert_int_equal(fov_pool_new(&pool, threads), FOV_OK);
        memcpy(c, c_old, t->m * t->n * sizeof *c);
        memcpy(d, d_old, t->k * t->e * sizeof *d);
        memset(sums, 0, t->m * sizeof *sums);
        fov_product_run(pool, &p, work);
        assert_true(threads == 1 || memcmp(d, d_first, t->k * t->e * sizeof *d) == 0);
        memcpy(d_first, d, t->k * t->e * sizeof *d);
        fov_pool_free(pool);
    }
    for (size_t part = 0; part < fov_product_parts(&p); part++) {
        assert_int_equal(context.after[part], 2);
    }
    p.a.data = source;
    check_numbers(&p, c_old, sums);
    for (size_t i = 0; i < t->k; i++) {
        for (size_t j = 0; j < t->e; j += 3) {
            const double want = (t->second_add ? (double)d_old[i * t->e + j] : 0) + column_product(source + i, t->k, e + j, t->e, t->m);
            assert_true(fabs((double)d[i * t->e + j] - want) < 2e-7 * (double)t->m + 1e-6);
        }
    }
    void *const used[] = {source, b, e, c_old, d_old, a, c, d, d_first, sums, context.after, work};
    for (size_t i = 0; i < sizeof used / sizeof used[0]; i++) {
        fov_mem_free(used[i]);
    }
}

static void test_pairs(void **state) {
    (void)state;
    static const pair_case cases[] = {
        {700, 64, 96, 64, 224, false, false, false, false}, {701, 40, 33, 64, 112, true, false, true, false},
        {555, 64, 500, 96, 56, false, true, true, true},    {2000, 256, 64, 256, 112, true, true, true, true},
        {3001, 64, 256, 64, 224, false, false, true, true}, {113, 32, 14, 32, 112, false, false, true, true},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0] && has_tiles(); i++) {
        one_pair(&cases[i]);
    }
}

/* Too much of B or D, columns of E that are no whole vectors, one part, parts unsaid, rows of A across: not as a pair. */
static void test_what_is_no_pair(void **state) {
    (void)state;
    const fov_product fits = {.m = 1000, .n = 64, .k = 128, .part_rows = 112, .e_columns = 64};
    fov_product p[7] = {fits, fits, fits, fits, fits, fits, fits};
    p[0].k = 600;
    p[1].n = 1024;
    p[2].e_columns = 1024;
    p[3].e_columns = 65;
    p[4].m = 112;
    p[5].part_rows = 0;
    p[6].a.transposed = true;
    assert_int_equal(fov_product_pairs(&fits), has_tiles());
    for (size_t i = 0; i < 7; i++) {
        assert_false(fov_product_pairs(&p[i]));
    }
}

/* Panels and tiles of every set. */
static void test_bf16_kernels(void **state) {
    (void)state;
    const char *const sets[] = {"c", "avx2", "avx512", "avx512bf16"};
    for (size_t s = 0; s < 4; s++) {
        const fov_kernels *set = fov_kernels_named(sets[s]);
        for (size_t k = 1; set != NULL && k < 80; k += 13) {
            const size_t rows = set->tile_rows() - k % 3, width = set->tile_columns(), columns = k % 2 == 0 ? width : width - 5;
            const size_t pairs = (k + 1) / 2;
            fov_real *a = random_reals(rows * k, 1), *b = random_reals(k * columns, 2), *c = random_reals(rows * columns, 3);
            fov_real *before = random_reals(rows * columns, 3);
            uint32_t *left = fov_mem_array(FOV_MEM_BASE, pairs * rows, sizeof *left);
            uint32_t *right = fov_mem_array(FOV_MEM_BASE, pairs * width, sizeof *right);
            set->bf16_pack_lanes(left, rows, a, k, rows, k);
            set->bf16_pack_rows(right, width, b, columns, columns, k);
            set->bf16_tile(c, columns, rows, columns, left, right, pairs, 1);
            for (size_t i = 0; i < rows; i++) {
                for (size_t j = 0; j < columns; j++) {
                    double sum = (double)before[i * columns + j];
                    for (size_t q = 0; q < k; q++) {
                        sum += rounded((double)a[i * k + q]) * rounded((double)b[q * columns + j]);
                    }
                    assert_true(fabs((double)c[i * columns + j] - sum) < 2e-6 * (double)(k + 1));
                }
            }
            void *const used[] = {right, left, before, c, b, a};
            for (size_t i = 0; i < 6; i++) {
                fov_mem_free(used[i]);
            }
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_way),       cmocka_unit_test(test_same_bits),    cmocka_unit_test(test_pairs),
        cmocka_unit_test(test_what_is_no_pair), cmocka_unit_test(test_bf16_kernels),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
