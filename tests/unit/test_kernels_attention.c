/* Kernels of src/kernels/isa/attention_head.c, in every instruction set of this processor, against a plain double reference: sizes around
 * those of tiles and panels, rows with gaps between them, blocks of queries, gradients added to what is there, large logits, NaN. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdlib.h>

#include "base/rng.h"
#include "kernels/kernels.h"

#define GAP 3 /* numbers between the rows that no kernel may touch */
#define MARK ((fov_real)12345)

static const char *const sets[] = {"c", "avx2", "avx512", "avx512bf16"};

typedef struct sizes {
    size_t t, head;
    double spread; /* of q and k */
    size_t more;   /* numbers between the rows besides */
} sizes;

static size_t stride_of(sizes s) {
    return s.head + GAP + s.more;
}

/* Eight arrays of t rows: inputs and outputs of both passes. */
enum { Q, K, V, DOUT, OUT, DQ, DK, DV, ARRAYS };

typedef struct attention_case {
    sizes s;
    fov_real *array[ARRAYS], *stats, *work;
    double *want[ARRAYS], *want_stats;
} attention_case;

static void *allocate(size_t n, size_t size) {
    void *p = calloc(n, size);
    assert_non_null(p);
    return p;
}

static attention_case case_new(sizes s) {
    attention_case c = {.s = s, .stats = allocate(2 * s.t, sizeof(fov_real)), .want_stats = allocate(2 * s.t, sizeof(double))};
    fov_rng rng;
    fov_rng_init(&rng, 1, s.t, s.head, 0, FOV_RNG_TEST);
    for (unsigned a = 0; a < ARRAYS; a++) {
        c.array[a] = allocate(s.t * stride_of(s), sizeof(fov_real));
        c.want[a] = allocate(s.t * s.head, sizeof(double));
        for (size_t i = 0; i < s.t * stride_of(s); i++) {
            const double x = fov_rng_normal(&rng) * (a == Q || a == K ? s.spread : 1.0);
            c.array[a][i] = i % stride_of(s) < s.head ? (fov_real)x : MARK;
        }
    }
    return c;
}

static void case_free(attention_case *c) {
    for (unsigned a = 0; a < ARRAYS; a++) {
        free(c->array[a]);
        free(c->want[a]);
    }
    free(c->stats);
    free(c->want_stats);
    free(c->work);
}

static double at(const attention_case *c, unsigned array, size_t row, size_t j) {
    return (double)c->array[array][row * stride_of(c->s) + j];
}

static double dot(const attention_case *c, unsigned a, size_t i, unsigned b, size_t j) {
    double sum = 0.0;
    for (size_t l = 0; l < c->s.head; l++) {
        sum += at(c, a, i, l) * at(c, b, j, l);
    }
    return sum;
}

/* One query's share of every result. */
static void reference_row(attention_case *c, double *p, size_t i) {
    const size_t t = c->s.t, head = c->s.head;
    const double scale = 1.0 / sqrt((double)head);
    double top = -INFINITY, sum = 0.0, along = 0.0;
    for (size_t j = 0; j < t; j++) {
        p[j] = dot(c, Q, i, K, j) * scale;
        top = fmax(top, p[j]);
    }
    for (size_t j = 0; j < t; j++) {
        sum += exp(p[j] - top);
    }
    c->want_stats[i] = top / log(2.0);
    c->want_stats[t + i] = 1.0 / sum;
    for (size_t j = 0; j < t; j++) {
        p[j] = exp(p[j] - top) / sum;
        along += p[j] * dot(c, DOUT, i, V, j);
    }
    for (size_t j = 0; j < t; j++) {
        const double ds = p[j] * (dot(c, DOUT, i, V, j) - along) * scale;
        for (size_t l = 0; l < head; l++) {
            c->want[OUT][i * head + l] += p[j] * at(c, V, j, l);
            c->want[DQ][i * head + l] += ds * at(c, K, j, l);
            c->want[DK][j * head + l] += ds * at(c, Q, i, l);
            c->want[DV][j * head + l] += p[j] * at(c, DOUT, i, l);
        }
    }
}

static void reference(attention_case *c) {
    double *p = allocate(c->s.t, sizeof *p);
    for (size_t i = 0; i < c->s.t; i++) {
        reference_row(c, p, i);
    }
    free(p);
}

/* Compares with the reference (plus what was there before), and finds the gaps as they were. */
static void expect(const attention_case *c, unsigned array, const double *before, double tolerance, const char *set) {
    const size_t head = c->s.head, stride = stride_of(c->s);
    double largest = 0.0;
    for (size_t i = 0; i < c->s.t * head; i++) {
        largest = fmax(largest, fabs(c->want[array][i]));
    }
    for (size_t i = 0; i < c->s.t * stride; i++) {
        const size_t row = i / stride, j = i % stride;
        if (j >= head) {
            assert_true(c->array[array][i] == MARK);
            continue;
        }
        const double want = c->want[array][row * head + j] + (before != NULL ? before[row * head + j] : 0.0);
        if (!(fabs((double)c->array[array][i] - want) <= tolerance * (largest + fabs(want)) + 4e-6)) {
            fail_msg("set %s, t %zu, head %zu, array %u: row %zu, number %zu is %.9g, want %.9g (largest %.3g)", set, c->s.t, head, array,
                     row, j, (double)c->array[array][i], want, largest);
        }
    }
}

static fov_attention_head head_of(attention_case *c, const fov_kernels *k, size_t panels) {
    const size_t w = k->tile_columns(), t = c->s.t, head = c->s.head, d = (head + w - 1) / w * w, block = panels * w;
    const size_t most = FOV_ATTENTION_COLUMNS, forward = (2 * t + most) * d + most * t;
    const size_t backward = 2 * (t + block + most) * d + 2 * block * t;
    free(c->work);
    c->work = allocate(forward > backward ? forward : backward, sizeof(fov_real));
    return (fov_attention_head){.q = c->array[Q],
                                .k = c->array[K],
                                .v = c->array[V],
                                .dout = c->array[DOUT],
                                .out = c->array[OUT],
                                .stats = c->stats,
                                .dq = c->array[DQ],
                                .dk = c->array[DK],
                                .dv = c->array[DV],
                                .stride = stride_of(c->s),
                                .out_stride = stride_of(c->s),
                                .t = t,
                                .head = head,
                                .block = block,
                                .scale = (fov_real)(1.0 / sqrt((double)head))};
}

static void check(const fov_kernels *k, sizes s, size_t panels) {
    attention_case c = case_new(s);
    fov_attention_head h = head_of(&c, k, panels), forward = h;
    const double tolerance = 3e-6 * (1.0 + s.spread * s.spread); /* a logit of 50 is known to 3e-6 */
    reference(&c);
    forward.dout = forward.dq = forward.dk = forward.dv = NULL;
    k->attention_forward(&forward, c.work);
    expect(&c, OUT, NULL, tolerance, k->name);
    for (size_t i = 0; i < 2 * s.t; i++) {
        assert_true(fabs((double)c.stats[i] - c.want_stats[i]) <= tolerance * (1.0 + fabs(c.want_stats[i])));
    }
    k->attention_backward(&h, c.work);
    double *before = allocate(s.t * s.head, sizeof *before);
    for (unsigned a = DQ; a <= DV; a++) {
        expect(&c, a, NULL, tolerance, k->name);
    }
    h.accumulate = 1; /* once more, on top: everything doubles */
    k->attention_backward(&h, c.work);
    for (unsigned a = DQ; a <= DV; a++) {
        for (size_t i = 0; i < s.t * s.head; i++) {
            before[i] = c.want[a][i];
        }
        expect(&c, a, before, tolerance, k->name);
    }
    free(before);
    case_free(&c);
}

#define EACH_SET(k)                                                                    \
    for (size_t set_index = 0; set_index < sizeof sets / sizeof sets[0]; set_index++) \
        for (const fov_kernels *k = fov_kernels_named(sets[set_index]); k != NULL; k = NULL)

static void sizes_equal_reference(void **state) {
    (void)state;
    static const size_t tokens[] = {1, 2, 5, 6, 13, 14, 15, 16, 17, 28, 31, 32, 33, 37, 38, 50, 65, 79, 80, 81, 197};
    static const size_t heads[] = {1, 3, 16, 32, 33, 64};
    EACH_SET(k) {
        for (size_t i = 0; i < sizeof tokens / sizeof tokens[0]; i++) {
            for (size_t j = 0; j < sizeof heads / sizeof heads[0]; j++) {
                if (tokens[i] * heads[j] <= 33 * 64 || heads[j] == 64) {
                    check(k, (sizes){tokens[i], heads[j], 1.0, 0}, 1 + (i + j) % 3);
                }
            }
        }
    }
}

/* Rows a multiple of 4 KiB apart lie in the same sets of a cache, and are copied. */
static void far_rows_equal_reference(void **state) {
    (void)state;
    EACH_SET(k) {
        check(k, (sizes){.t = 50, .head = 64, .spread = 1.0, .more = 2048 - 64 - GAP}, 2);
    }
}

/* Logits up to some hundreds: rows that are all but one-hot. */
static void large_logits_equal_reference(void **state) {
    (void)state;
    EACH_SET(k) {
        check(k, (sizes){33, 8, 6.0, 0}, 1);
        check(k, (sizes){50, 64, 4.0, 0}, 2);
    }
}

/* A query beyond all bounds takes one key whole; NaN comes out wherever it went in, and nowhere else. */
static void extremes(void **state) {
    (void)state;
    EACH_SET(k) {
        attention_case c = case_new((sizes){20, 1, 1.0, 0});
        fov_attention_head h = head_of(&c, k, 1);
        const size_t stride = 1 + GAP;
        for (size_t i = 0; i < 20; i++) {
            h.out[i * stride] = c.array[Q][i * stride] = c.array[K][i * stride] = 0;
        }
        c.array[K][7 * stride] = (fov_real)1e18;
        c.array[Q][3 * stride] = (fov_real)1e18;
        c.array[Q][4 * stride] = c.array[Q][18 * stride] = (fov_real)NAN;
        h.dout = NULL;
        k->attention_forward(&h, c.work);
        assert_true(c.array[OUT][3 * stride] == c.array[V][7 * stride]);
        for (size_t i = 0; i < 20; i++) {
            assert_true((i == 4 || i == 18) == (isnan(c.array[OUT][i * stride]) != 0));
        }
        case_free(&c);
    }
}

static void stats_are_optional(void **state) {
    (void)state;
    EACH_SET(k) {
        attention_case c = case_new((sizes){37, 16, 1.0, 0});
        reference(&c);
        fov_attention_head h = head_of(&c, k, 1);
        h.stats = NULL;
        h.dout = NULL;
        k->attention_forward(&h, c.work);
        expect(&c, OUT, NULL, 1e-5, k->name);
        case_free(&c);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sizes_equal_reference),
        cmocka_unit_test(far_rows_equal_reference),
        cmocka_unit_test(large_logits_equal_reference),
        cmocka_unit_test(extremes),
        cmocka_unit_test(stats_are_optional),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
