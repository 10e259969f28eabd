/* Philox against the reference's known answers, the naming of streams, and the distributions drawn from them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"

/* kat_vectors of the Random123 distribution, philox4x32 10. */
static void test_known_answers(void **state) {
    (void)state;
    static const struct {
        uint32_t counter[4], key[2], expected[4];
    } cases[] = {
        {{0, 0, 0, 0}, {0, 0}, {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
        {{0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff},
         {0xffffffff, 0xffffffff},
         {0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}},
        {{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344},
         {0xa4093822, 0x299f31d0},
         {0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        uint32_t out[4] = {0};
        fov_philox(cases[i].counter, cases[i].key, out);
        assert_memory_equal(out, cases[i].expected, sizeof out);
    }
}

/* The first number of a stream is the raw function at the documented place. */
static void test_naming(void **state) {
    (void)state;
    fov_rng rng;
    uint32_t out[4];
    const uint64_t seed = 0x0123456789ABCDEFULL;
    const uint32_t key[2] = {0x89ABCDEF, 0x01234567};
    fov_rng_init(&rng, seed, 7, 1234567, 3, FOV_RNG_AUGMENT);
    for (uint32_t block = 0; block < 3; block++) {
        fov_philox((const uint32_t[4]){block, 1234567, 7, 3U << 16 | 64U}, key, out);
        for (int i = 0; i < 4; i++) {
            assert_int_equal(fov_rng_u32(&rng), out[i]);
        }
    }
    fov_rng_init(&rng, seed, 0, 0, 0, FOV_RNG_TEST);
    fov_philox((const uint32_t[4]){0, 0, 0, 7}, key, out);
    assert_true(fov_rng_u64(&rng) == ((uint64_t)out[1] << 32 | out[0]));
}

static int compare_u64(const void *a, const void *b) {
    const uint64_t x = *(const uint64_t *)a;
    const uint64_t y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

/* Names that differ in one part, also in the sample's upper half, begin differently: 64-bit values, so no chance meeting either. */
static void test_streams_differ(void **state) {
    (void)state;
    enum { PART = 4, COUNT = PART * PART * PART * PART * PART * PART };
    uint64_t *first = malloc(COUNT * sizeof *first);
    assert_non_null(first);
    for (unsigned i = 0; i < COUNT; i++) {
        unsigned part[6];
        for (unsigned j = 0, rest = i; j < 6; j++, rest /= PART) {
            part[j] = rest % PART;
        }
        fov_rng rng;
        fov_rng_init(&rng, part[0], part[1], part[2] | (uint64_t)part[3] << 32, part[4], part[5] + 1);
        first[i] = fov_rng_u64(&rng);
    }
    qsort(first, COUNT, sizeof *first, compare_u64);
    for (unsigned i = 1; i < COUNT; i++) {
        assert_true(first[i] != first[i - 1]);
    }
    free(first);
}

static void test_extremes(void **state) {
    (void)state;
    fov_rng a;
    fov_rng b;
    fov_rng_init(&a, UINT64_MAX, UINT32_MAX, UINT64_MAX, UINT16_MAX, UINT16_MAX);
    fov_rng_init(&b, UINT64_MAX, UINT32_MAX, UINT64_MAX, UINT16_MAX, UINT16_MAX);
    for (int i = 0; i < 100; i++) {
        assert_true(fov_rng_u64(&a) == fov_rng_u64(&b));
    }
}

static void test_uniform(void **state) {
    (void)state;
    enum { COUNT = 200000, BINS = 64 };
    fov_rng rng;
    double sum = 0.0;
    double chi = 0.0;
    unsigned bins[BINS] = {0};
    fov_rng_init(&rng, 1, 0, 0, 0, FOV_RNG_TEST);
    for (int i = 0; i < COUNT; i++) {
        const double u = fov_rng_uniform(&rng);
        assert_true(u >= 0.0 && u < 1.0);
        sum += u;
        bins[(size_t)(u * BINS)]++;
    }
    for (int i = 0; i < BINS; i++) {
        const double expected = (double)COUNT / BINS;
        chi += (bins[i] - expected) * (bins[i] - expected) / expected;
    }
    assert_true(fabs(sum / COUNT - 0.5) < 5.0 / sqrt(12.0 * COUNT));
    assert_true(chi > 63.0 - 5.0 * sqrt(126.0) && chi < 63.0 + 5.0 * sqrt(126.0));
    for (int i = 0; i < 1000; i++) {
        const double r = fov_rng_range(&rng, -2.0, 3.0);
        assert_true(r >= -2.0 && r < 3.0);
        const double narrow = fov_rng_range(&rng, 1.0, nextafter(1.0, 2.0));
        assert_true(narrow == 1.0);
    }
    assert_true(fov_rng_range(&rng, 4.0, 4.0) == 4.0);
}

static void test_normal(void **state) {
    (void)state;
    enum { COUNT = 200000 };
    fov_rng rng;
    double moments[5] = {0.0};
    int beyond = 0;
    fov_rng_init(&rng, 2, 0, 0, 0, FOV_RNG_TEST);
    for (int i = 0; i < COUNT; i++) {
        const double x = fov_rng_normal(&rng);
        assert_true(isfinite(x));
        beyond += fabs(x) > 1.959963985 ? 1 : 0;
        for (int k = 1; k <= 4; k++) {
            moments[k] += pow(x, k) / COUNT;
        }
    }
    const double unit = 1.0 / sqrt(COUNT);
    assert_true(fabs(moments[1]) < 5.0 * unit);
    assert_true(fabs(moments[2] - 1.0) < 5.0 * sqrt(2.0) * unit);
    assert_true(fabs(moments[3]) < 5.0 * sqrt(15.0) * unit);
    assert_true(fabs(moments[4] - 3.0) < 5.0 * sqrt(96.0) * unit);
    assert_true(fabs(beyond / (double)COUNT - 0.05) < 5.0 * sqrt(0.05 * 0.95) * unit);
}

static void test_below(void **state) {
    (void)state;
    fov_rng rng;
    unsigned counts[7] = {0};
    int upper = 0;
    fov_rng_init(&rng, 3, 0, 0, 0, FOV_RNG_TEST);
    for (int i = 0; i < 70000; i++) {
        const uint64_t n = fov_rng_below(&rng, 7);
        assert_true(n < 7);
        counts[n]++;
    }
    for (int i = 0; i < 7; i++) {
        assert_in_range(counts[i], 10000 - 500, 10000 + 500);
    }
    assert_true(fov_rng_below(&rng, 1) == 0);
    /* With a bound of 3/4 of the range, taking a remainder would favour the lower third by two to one. */
    const uint64_t bound = 3ULL << 62;
    for (int i = 0; i < 30000; i++) {
        const uint64_t n = fov_rng_below(&rng, bound);
        assert_true(n < bound);
        upper += n >= bound / 3 ? 1 : 0;
    }
    assert_in_range(upper, 20000 - 500, 20000 + 500);
}

static void test_shuffle(void **state) {
    (void)state;
    fov_rng rng;
    unsigned orders[27] = {0};
    fov_rng_init(&rng, 4, 0, 0, 0, FOV_RNG_ORDER);
    for (int i = 0; i < 60000; i++) {
        uint32_t items[3] = {0, 1, 2};
        fov_rng_shuffle(&rng, items, 3);
        orders[items[0] * 9 + items[1] * 3 + items[2]]++;
    }
    unsigned seen = 0;
    for (int i = 0; i < 27; i++) {
        if (orders[i] > 0) {
            assert_in_range(orders[i], 10000 - 500, 10000 + 500);
            seen++;
        }
    }
    assert_int_equal(seen, 6);
    uint32_t many[1000];
    unsigned char found[1000] = {0};
    for (uint32_t i = 0; i < 1000; i++) {
        many[i] = i;
    }
    fov_rng_shuffle(&rng, many, 1000);
    unsigned fixed = 0;
    for (uint32_t i = 0; i < 1000; i++) {
        found[many[i]] = 1;
        fixed += many[i] == i ? 1U : 0U;
    }
    assert_null(memchr(found, 0, sizeof found));
    assert_true(fixed < 10);
    fov_rng_shuffle(&rng, many, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_known_answers), cmocka_unit_test(test_naming), cmocka_unit_test(test_streams_differ),
        cmocka_unit_test(test_extremes),      cmocka_unit_test(test_uniform), cmocka_unit_test(test_normal),
        cmocka_unit_test(test_below),         cmocka_unit_test(test_shuffle),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
