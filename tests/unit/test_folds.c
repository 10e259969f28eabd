/* Folds are level overall and in every class, depend on the seed alone, and never hold out a whole class. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "base/memory.h"
#include "base/rng.h"
#include "eval/folds.h"

enum { MANY = 503 };

static void count_folds(const uint32_t *fold, const uint32_t *label, size_t count, uint32_t class, uint32_t folds, size_t *least, size_t *most) {
    size_t size[16] = {0};
    for (size_t i = 0; i < count; i++) {
        assert_true(fold[i] < folds);
        size[fold[i]] += class == UINT32_MAX || label[i] == class;
    }
    *least = SIZE_MAX;
    *most = 0;
    for (uint32_t f = 0; f < folds; f++) {
        *least = size[f] < *least ? size[f] : *least;
        *most = size[f] > *most ? size[f] : *most;
    }
}

static void test_level(void **state) {
    (void)state;
    uint32_t label[MANY], fold[MANY];
    fov_rng rng;
    fov_rng_init(&rng, 3, 0, 0, 0, FOV_RNG_TEST);
    for (size_t i = 0; i < MANY; i++) {
        label[i] = fov_rng_uniform(&rng) < 0.6 ? 0 : (uint32_t)(1 + fov_rng_below(&rng, 20));
    }
    for (uint32_t folds = 2; folds <= 7; folds++) {
        assert_int_equal(fov_folds_assign(fold, label, MANY, 21, folds, 9), FOV_OK);
        size_t least = 0, most = 0;
        count_folds(fold, label, MANY, UINT32_MAX, folds, &least, &most);
        assert_true(most - least <= 1);
        for (uint32_t c = 0; c < 21; c++) {
            count_folds(fold, label, MANY, c, folds, &least, &most);
            assert_true(most - least <= 1);
        }
    }
}

/* Two of each of many classes, and as few samples as folds. */
static void test_small(void **state) {
    (void)state;
    uint32_t label[20], fold[20];
    for (uint32_t i = 0; i < 20; i++) {
        label[i] = i / 2;
    }
    assert_int_equal(fov_folds_assign(fold, label, 20, 10, 5, 1), FOV_OK);
    for (size_t i = 0; i < 20; i += 2) {
        assert_int_not_equal(fold[i], fold[i + 1]);
    }
    assert_int_equal(fov_folds_assign(fold, label, 4, 2, 4, 1), FOV_OK);
    size_t least = 0, most = 0;
    count_folds(fold, label, 4, UINT32_MAX, 4, &least, &most);
    assert_int_equal(least, 1);
    assert_int_equal(most, 1);
}

static void test_seed(void **state) {
    (void)state;
    uint32_t label[100], a[100], b[100], c[100];
    for (uint32_t i = 0; i < 100; i++) {
        label[i] = i % 3;
    }
    assert_int_equal(fov_folds_assign(a, label, 100, 3, 5, 7), FOV_OK);
    assert_int_equal(fov_folds_assign(b, label, 100, 3, 5, 7), FOV_OK);
    assert_int_equal(fov_folds_assign(c, label, 100, 3, 5, 8), FOV_OK);
    assert_memory_equal(a, b, sizeof a);
    assert_true(memcmp(a, c, sizeof a) != 0);
}

static void test_no_memory(void **state) {
    (void)state;
    const uint32_t label[4] = {0, 0, 1, 1};
    uint32_t fold[4];
    fov_mem_fail_at(1, 0);
    assert_int_equal(fov_folds_assign(fold, label, 4, 2, 2, 0), FOV_E_NOMEM);
    fov_mem_fail_at(0, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_level),
        cmocka_unit_test(test_small),
        cmocka_unit_test(test_seed),
        cmocka_unit_test(test_no_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
