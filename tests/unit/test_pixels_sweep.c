/* ctest: label=medium timeout=900 */
/* 10,000 random pictures per step through every instruction set: no byte may differ from portable C's. Prints the counts. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "pixel_case.h"

#define PICTURES 10000

static void test_sweep(void **state) {
    (void)state;
    fov_augmenter *augmenter;
    assert_int_equal(fov_augmenter_new(&augmenter), FOV_OK);
    size_t differing = 0;
    for (size_t a = 0; fov_augment_at(a) != NULL; a++) {
        const fov_augment *augment = fov_augment_at(a);
        pixel_tally tally = {0, 0, 0};
        if (augment->mixes) {
            continue;
        }
        for (uint64_t i = 0; i < PICTURES; i++) {
            assert_true(pixel_run(augmenter, augment, 1000 + i, &tally));
        }
        print_message("%-10s %zu pictures, %zu bytes a set, %zu differ\n", augment->name, tally.pictures, tally.bytes, tally.differing);
        differing += tally.differing;
    }
    assert_int_equal(differing, 0);
    fov_augmenter_free(augmenter);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_sweep)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
