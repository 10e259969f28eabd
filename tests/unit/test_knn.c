/* Nearest neighbours against a naive reference, on votes worked out by hand, and with equal bits at every thread count. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <string.h>

#include "base/rng.h"
#include "eval/knn.h"

enum { TRAIN = 150, TEST = 70, WIDTH = 19, CLASSES = 4 };

typedef struct data {
    float train[TRAIN * WIDTH], test[TEST * WIDTH];
    uint32_t label[TRAIN];
} data;

static void make(data *d) {
    fov_rng rng;
    fov_rng_init(&rng, 11, 0, 0, 0, FOV_RNG_TEST);
    for (size_t i = 0; i < TRAIN; i++) {
        d->label[i] = (uint32_t)fov_rng_below(&rng, CLASSES);
        const double length = fov_rng_range(&rng, 0.1, 10.0); /* must not matter */
        for (size_t j = 0; j < WIDTH; j++) {
            d->train[i * WIDTH + j] = (float)(length * (fov_rng_normal(&rng) + (j % CLASSES == d->label[i] ? 0.7 : 0.0)));
        }
    }
    for (size_t i = 0; i < TEST * WIDTH; i++) {
        d->test[i] = (float)(3.0 * fov_rng_normal(&rng));
    }
}

static double cosine(const float *a, const float *b) {
    double ab = 0.0, aa = 0.0, bb = 0.0;
    for (size_t j = 0; j < WIDTH; j++) {
        ab += (double)a[j] * (double)b[j];
        aa += (double)a[j] * (double)a[j];
        bb += (double)b[j] * (double)b[j];
    }
    return ab / sqrt(aa * bb);
}

/* The k nearest by k searches for the largest that is left. */
static uint32_t naive(const data *d, const float *query, size_t k, double temperature) {
    double near[TRAIN], vote[CLASSES] = {0};
    for (size_t i = 0; i < TRAIN; i++) {
        near[i] = cosine(query, d->train + i * WIDTH);
    }
    for (size_t n = 0; n < k; n++) {
        size_t best = 0;
        for (size_t i = 1; i < TRAIN; i++) {
            best = near[i] > near[best] ? i : best;
        }
        vote[d->label[best]] += exp(near[best] / temperature);
        near[best] = -2.0;
    }
    uint32_t winner = 0;
    for (uint32_t c = 1; c < CLASSES; c++) {
        winner = vote[c] > vote[winner] ? c : winner;
    }
    return winner;
}

static void test_reference(void **state) {
    (void)state;
    static data d;
    make(&d);
    const size_t ks[] = {1, 2, 5, 20, TRAIN};
    const double temperatures[] = {0.07, 1.0};
    for (size_t i = 0; i < sizeof ks / sizeof ks[0]; i++) {
        for (size_t t = 0; t < 2; t++) {
            uint32_t predicted[TEST];
            assert_int_equal(fov_knn_predict(predicted, d.train, d.label, TRAIN, d.test, TEST, WIDTH, CLASSES, ks[i], temperatures[t], NULL), FOV_OK);
            for (size_t q = 0; q < TEST; q++) {
                assert_int_equal(predicted[q], naive(&d, d.test + q * WIDTH, ks[i], temperatures[t]));
            }
        }
    }
}

/* One near sample of class 1 against two farther ones of class 0: the temperature decides. */
static void test_weights(void **state) {
    (void)state;
    const float train[] = {1.0F, 0.0F, 0.8F, 0.6F, 0.8F, -0.6F}, test[] = {5.0F, 0.0F};
    const uint32_t label[] = {1, 0, 0};
    uint32_t predicted = 9;
    /* exp(1 / .07) against 2 exp(.8 / .07): the ratio is exp(.2 / .07) / 2 = 8.7 */
    assert_int_equal(fov_knn_predict(&predicted, train, label, 3, test, 1, 2, 2, 3, 0.07, NULL), FOV_OK);
    assert_int_equal(predicted, 1);
    /* exp(.2) / 2 = .61 */
    assert_int_equal(fov_knn_predict(&predicted, train, label, 3, test, 1, 2, 2, 3, 1.0, NULL), FOV_OK);
    assert_int_equal(predicted, 0);
}

/* Equal cosines: the lower index counts as nearer, equal votes go to the lower class, and a row of zeros does no harm. */
static void test_ties(void **state) {
    (void)state;
    const float train[] = {2.0F, 0.0F, 1.0F, 0.0F, 0.0F, 0.0F}, test[] = {1.0F, 0.0F, 0.0F, 0.0F};
    const uint32_t label[] = {2, 1, 0};
    uint32_t predicted[2] = {9, 9};
    assert_int_equal(fov_knn_predict(predicted, train, label, 3, test, 2, 2, 3, 1, 0.07, NULL), FOV_OK);
    assert_int_equal(predicted[0], 2);
    assert_int_equal(predicted[1], 2);
    assert_int_equal(fov_knn_predict(predicted, train, label, 3, test, 2, 2, 3, 2, 0.07, NULL), FOV_OK);
    assert_int_equal(predicted[0], 1);
    assert_int_equal(predicted[1], 1);
}

static void test_threads(void **state) {
    (void)state;
    static data d;
    make(&d);
    uint32_t one[TEST], many[TEST];
    assert_int_equal(fov_knn_predict(one, d.train, d.label, TRAIN, d.test, TEST, WIDTH, CLASSES, 20, 0.07, NULL), FOV_OK);
    for (unsigned threads = 2; threads <= 8; threads *= 2) {
        fov_pool *pool = NULL;
        assert_int_equal(fov_pool_new(&pool, threads), FOV_OK);
        assert_int_equal(fov_knn_predict(many, d.train, d.label, TRAIN, d.test, TEST, WIDTH, CLASSES, 20, 0.07, pool), FOV_OK);
        assert_memory_equal(one, many, sizeof one);
        fov_pool_free(pool);
    }
}

static void test_no_memory(void **state) {
    (void)state;
    const float train[] = {1.0F, 2.0F};
    const uint32_t label[] = {0, 1};
    uint32_t predicted = 0;
    const size_t live = fov_mem_stats_all().live_blocks;
    for (uint64_t n = 1; n <= 5; n++) {
        fov_mem_fail_at(n, 0);
        assert_int_equal(fov_knn_predict(&predicted, train, label, 2, train, 1, 1, 2, 1, 0.07, NULL), FOV_E_NOMEM);
        assert_int_equal(fov_mem_stats_all().live_blocks, live);
    }
    fov_mem_fail_at(0, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reference), cmocka_unit_test(test_weights),   cmocka_unit_test(test_ties),
        cmocka_unit_test(test_threads),   cmocka_unit_test(test_no_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
