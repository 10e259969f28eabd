/* Accuracies on a table worked out by hand, and bootstrap intervals against theory: their width, their coverage, and the gain of pairing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <string.h>

#include "base/rng.h"
#include "eval/metrics.h"

/* As assert_float_equal, in double. */
static void assert_near(double a, double b, double tolerance) {
    if (!(fabs(a - b) <= tolerance)) {
        fail_msg("%.17g is not within %g of %.17g", a, tolerance, b);
    }
}

static void test_known(void **state) {
    (void)state;
    const uint32_t label[] = {0, 0, 0, 0, 1, 1, 2, 2, 2, 2};
    const uint32_t predicted[] = {0, 0, 0, 1, 1, 2, 2, 2, 0, 1};
    fov_metrics m;
    assert_int_equal(fov_metrics_init(&m, label, predicted, 10, 4, 1, NULL), FOV_OK);
    assert_int_equal(m.correct, 6);
    assert_near(m.accuracy, 0.6, 1e-12);
    assert_near(m.per_class[0], 0.75, 1e-12);
    assert_near(m.per_class[1], 0.5, 1e-12);
    assert_near(m.per_class[2], 0.5, 1e-12);
    assert_true(isnan(m.per_class[3]));
    assert_int_equal(m.worst_class, 1); /* the first of the two */
    const uint32_t confusion[16] = {3, 1, 0, 0, 0, 1, 1, 0, 1, 1, 2, 0, 0, 0, 0, 0};
    assert_memory_equal(m.confusion, confusion, sizeof confusion);
    assert_true(m.interval.low < 0.6 && m.interval.high > 0.6 && m.interval.low >= 0.0 && m.interval.high <= 1.0);
    fov_metrics_clear(&m);
}

static void test_extremes(void **state) {
    (void)state;
    const uint32_t label[] = {0, 1, 1}, wrong[] = {1, 0, 0};
    fov_metrics m;
    assert_int_equal(fov_metrics_init(&m, label, label, 3, 2, 1, NULL), FOV_OK);
    assert_near(m.interval.low, 1.0, 0.0);
    assert_near(m.interval.high, 1.0, 0.0);
    fov_metrics_clear(&m);
    assert_int_equal(fov_metrics_init(&m, label, wrong, 3, 2, 1, NULL), FOV_OK);
    assert_near(m.accuracy, 0.0, 0.0);
    assert_near(m.interval.high, 0.0, 0.0);
    fov_metrics_clear(&m);
}

enum { SAMPLES = 400 };

/* Right with probability `p`. */
static void fill(uint32_t *label, uint32_t *predicted, double p, fov_rng *rng) {
    for (size_t i = 0; i < SAMPLES; i++) {
        label[i] = (uint32_t)fov_rng_below(rng, 2);
        predicted[i] = fov_rng_uniform(rng) < p ? label[i] : 1 - label[i];
    }
}

/* Of 100 data sets, about 95 have an interval around the true accuracy; fewer than 86 or all 100 by chance: below 1 in 1000 (binomial, with the
 * small bias of the method). The width is that of the normal approximation. */
static void test_coverage(void **state) {
    (void)state;
    uint32_t label[SAMPLES], predicted[SAMPLES];
    fov_rng rng;
    fov_rng_init(&rng, 5, 0, 0, 0, FOV_RNG_TEST);
    unsigned covered = 0;
    for (uint64_t set = 0; set < 100; set++) {
        fill(label, predicted, 0.8, &rng);
        fov_metrics m;
        assert_int_equal(fov_metrics_init(&m, label, predicted, SAMPLES, 2, set, NULL), FOV_OK);
        covered += m.interval.low <= 0.8 && m.interval.high >= 0.8;
        const double width = 2.0 * 1.96 * sqrt(m.accuracy * (1.0 - m.accuracy) / SAMPLES);
        assert_near(m.interval.high - m.interval.low, width, 0.15 * width);
        fov_metrics_clear(&m);
    }
    assert_in_range(covered, 86, 99);
}

/* b is a with a few more mistakes: unpaired intervals overlap, the paired one excludes zero. */
static void test_paired(void **state) {
    (void)state;
    uint32_t label[SAMPLES], a[SAMPLES], b[SAMPLES];
    fov_rng rng;
    fov_rng_init(&rng, 6, 0, 0, 0, FOV_RNG_TEST);
    fill(label, a, 0.7, &rng);
    memcpy(b, a, sizeof b);
    size_t spoiled = 0;
    for (size_t i = 0; i < SAMPLES && spoiled < 12; i++) {
        if (a[i] == label[i]) {
            b[i] = 1 - label[i];
            spoiled++;
        }
    }
    fov_metrics ma, mb;
    fov_difference d, back, none;
    assert_int_equal(fov_metrics_init(&ma, label, a, SAMPLES, 2, 1, NULL), FOV_OK);
    assert_int_equal(fov_metrics_init(&mb, label, b, SAMPLES, 2, 1, NULL), FOV_OK);
    assert_int_equal(fov_metrics_difference(&d, label, a, b, SAMPLES, 1, NULL), FOV_OK);
    assert_int_equal(fov_metrics_difference(&back, label, b, a, SAMPLES, 1, NULL), FOV_OK);
    assert_int_equal(fov_metrics_difference(&none, label, a, a, SAMPLES, 1, NULL), FOV_OK);
    assert_near(d.mean, 12.0 / SAMPLES, 1e-12);
    assert_true(mb.interval.high > ma.interval.low);
    assert_true(d.interval.low > 0.0 && d.interval.low < d.mean && d.interval.high > d.mean);
    assert_near(back.mean, -d.mean, 1e-12);
    assert_near(back.interval.low, -d.interval.high, 1e-12);
    assert_near(none.mean, 0.0, 0.0);
    assert_near(none.interval.low, 0.0, 0.0);
    assert_near(none.interval.high, 0.0, 0.0);
    fov_metrics_clear(&ma);
    fov_metrics_clear(&mb);
}

static void test_threads(void **state) {
    (void)state;
    uint32_t label[SAMPLES], predicted[SAMPLES];
    fov_rng rng;
    fov_rng_init(&rng, 7, 0, 0, 0, FOV_RNG_TEST);
    fill(label, predicted, 0.6, &rng);
    fov_metrics one, many;
    assert_int_equal(fov_metrics_init(&one, label, predicted, SAMPLES, 2, 3, NULL), FOV_OK);
    for (unsigned threads = 2; threads <= 8; threads += 3) {
        fov_pool *pool = NULL;
        assert_int_equal(fov_pool_new(&pool, threads), FOV_OK);
        assert_int_equal(fov_metrics_init(&many, label, predicted, SAMPLES, 2, 3, pool), FOV_OK);
        assert_memory_equal(&one.interval, &many.interval, sizeof one.interval);
        fov_metrics_clear(&many);
        fov_pool_free(pool);
    }
    fov_metrics_clear(&one);
}

static void test_no_memory(void **state) {
    (void)state;
    const uint32_t label[] = {0, 1};
    fov_metrics m;
    for (uint64_t n = 1; n <= 4; n++) {
        fov_mem_fail_at(n, 0);
        assert_int_equal(fov_metrics_init(&m, label, label, 2, 2, 0, NULL), FOV_E_NOMEM);
        assert_null(m.confusion);
    }
    fov_mem_fail_at(0, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_known),    cmocka_unit_test(test_extremes), cmocka_unit_test(test_coverage),
        cmocka_unit_test(test_paired),   cmocka_unit_test(test_threads),  cmocka_unit_test(test_no_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
