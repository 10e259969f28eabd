/* ctest: label=short timeout=120 */
/* The sampler: a permutation per epoch, at any position at once. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/memory.h"
#include "data/sampler.h"

static void test_bijection_small(void **state) {
    (void)state;
    for (size_t count = 1; count <= 200; count++) {
        for (uint64_t epoch = 0; epoch < 3; epoch++) {
            fov_sampler s;
            fov_sampler_init(&s, 5, count, 1);
            uint8_t seen[200] = {0};
            for (size_t i = 0; i < count; i++) {
                const size_t at = fov_sampler_at(&s, epoch, i);
                assert_true(at < count);
                assert_int_equal(seen[at]++, 0);
            }
        }
    }
}

static void test_bijection_million(void **state) {
    (void)state;
    const size_t count = 1000003, batch = 1000;
    uint8_t *seen = fov_mem_zalloc(FOV_MEM_DATA, count);
    uint32_t *sample = fov_mem_array(FOV_MEM_DATA, batch, sizeof *sample);
    assert_non_null(seen);
    assert_non_null(sample);
    fov_sampler s;
    fov_sampler_init(&s, 11, count, batch);
    assert_int_equal(s.steps_per_epoch, 1000);
    size_t in_place = 0;
    double rising = 0.0;
    for (uint64_t step = 0; step < s.steps_per_epoch; step++) {
        uint64_t epoch;
        fov_sampler_batch(&s, step, sample, &epoch);
        assert_int_equal(epoch, 0);
        for (size_t i = 0; i < batch; i++) {
            assert_true(sample[i] < count);
            assert_int_equal(seen[sample[i]]++, 0);
            in_place += sample[i] == step * batch + i;
            rising += i > 0 && sample[i] > sample[i - 1];
        }
    }
    /* A random permutation has one fixed point on average and rises half of the time. */
    assert_true(in_place < 12);
    assert_true(rising > 0.49 * 999000.0 && rising < 0.51 * 999000.0);
    fov_mem_free(seen);
    fov_mem_free(sample);
}

/* Where the first sample goes should be uniform over epochs: chi-square with 9 degrees of freedom, 27.9 is the 0.1 % point. */
static void test_uniform_over_epochs(void **state) {
    (void)state;
    fov_sampler s;
    fov_sampler_init(&s, 3, 10, 1);
    double count[10] = {0};
    for (uint64_t epoch = 0; epoch < 10000; epoch++) {
        count[fov_sampler_at(&s, epoch, 4)]++;
    }
    double chi = 0.0;
    for (size_t i = 0; i < 10; i++) {
        chi += (count[i] - 1000.0) * (count[i] - 1000.0) / 1000.0;
    }
    assert_true(chi < 27.9);
}

static void test_epochs_and_seeds_differ(void **state) {
    (void)state;
    fov_sampler a, b;
    fov_sampler_init(&a, 1, 1000, 10);
    fov_sampler_init(&b, 2, 1000, 10);
    size_t same_epoch = 0, same_seed = 0;
    for (size_t i = 0; i < 1000; i++) {
        same_epoch += fov_sampler_at(&a, 0, i) == fov_sampler_at(&a, 1, i);
        same_seed += fov_sampler_at(&a, 0, i) == fov_sampler_at(&b, 0, i);
        assert_int_equal(fov_sampler_at(&a, 7, i), fov_sampler_at(&a, 7, i));
    }
    assert_true(same_epoch < 15);
    assert_true(same_seed < 15);
}

static void test_batch_matches_positions(void **state) {
    (void)state;
    fov_sampler s;
    fov_sampler_init(&s, 9, 107, 10);
    assert_int_equal(s.steps_per_epoch, 10);
    for (uint64_t step = 0; step < 35; step++) {
        uint32_t sample[10];
        uint64_t epoch;
        fov_sampler_batch(&s, step, sample, &epoch);
        assert_int_equal(epoch, step / 10);
        for (size_t i = 0; i < 10; i++) {
            assert_int_equal(sample[i], fov_sampler_at(&s, epoch, (size_t)(step % 10) * 10 + i));
        }
    }
}

static void test_batch_larger_than_folder(void **state) {
    (void)state;
    fov_sampler s;
    fov_sampler_init(&s, 9, 7, 20);
    assert_int_equal(s.steps_per_epoch, 1);
    uint32_t sample[20], next[20];
    uint64_t epoch;
    size_t times[7] = {0};
    fov_sampler_batch(&s, 4, sample, &epoch);
    assert_int_equal(epoch, 4);
    for (size_t i = 0; i < 20; i++) {
        assert_true(sample[i] < 7);
        times[sample[i]]++;
    }
    for (size_t i = 0; i < 7; i++) {
        assert_true(times[i] == 2 || times[i] == 3);
    }
    fov_sampler_batch(&s, 5, next, &epoch);
    assert_memory_not_equal(sample, next, sizeof sample);
}

/* A position deep in a run of ImageNet's size costs no more than the first: 20,000 far jumps would take hours if they walked. */
static void test_resume_is_immediate(void **state) {
    (void)state;
    fov_sampler s;
    fov_sampler_init(&s, 1, 1281167, 1);
    const double start = fov_clock_seconds();
    uint64_t sum = 0;
    for (uint64_t i = 0; i < 20000; i++) {
        uint32_t sample;
        uint64_t epoch;
        fov_sampler_batch(&s, (UINT64_C(1) << 31) + i * 1281167, &sample, &epoch);
        sum += sample;
    }
    assert_true(sum > 0);
    assert_true(fov_clock_seconds() - start < 20.0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bijection_small),         cmocka_unit_test(test_bijection_million),
        cmocka_unit_test(test_uniform_over_epochs),     cmocka_unit_test(test_epochs_and_seeds_differ),
        cmocka_unit_test(test_batch_matches_positions), cmocka_unit_test(test_batch_larger_than_folder),
        cmocka_unit_test(test_resume_is_immediate),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
