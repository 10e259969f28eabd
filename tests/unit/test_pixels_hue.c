/* ctest: label=medium timeout=900 */
/* Every set's hue against portable C's. 2^24 colours times 256 shifts are too many, but hue is F(h + shift, s, v) with h a function of the
 * differences between channels, and s of the largest and the range. So these prove it:
 *   - all shifts of all colours whose smallest channel is 0, which have all differences: a wrong h would show at some shift;
 *   - all shifts of all (largest, range) with h = 0: F is right for whatever s the set found.
 * Besides, all 2^24 colours at some shifts. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "augment/pixels.h"

static const char *const sets[] = {"avx2", "avx512", "avx512vnni"};

#define ROW ((size_t)256 * 256)

/* The colours of one value of red, 2^16 of them, in every set. */
static void compare(const uint8_t *rgb, unsigned shift, uint8_t *expected, uint8_t *out) {
    fov_pixel_loops_named("c")->pixel_hue(rgb, ROW, shift, expected);
    for (size_t s = 0; s < 3; s++) {
        const fov_pixel_loops *loops = fov_pixel_loops_named(sets[s]);
        if (loops != NULL) {
            loops->pixel_hue(rgb, ROW, shift, out);
            assert_memory_equal(out, expected, 3 * ROW);
        }
    }
}

/* All colours with one channel given. */
static void fill(size_t channel, unsigned value, uint8_t *rgb) {
    for (size_t i = 0; i < ROW; i++) {
        rgb[3 * i + channel] = (uint8_t)value;
        rgb[3 * i + (channel + 1) % 3] = (uint8_t)(i >> 8);
        rgb[3 * i + (channel + 2) % 3] = (uint8_t)i;
    }
}

static void test_all_colours(void **state) {
    (void)state;
    static const unsigned shifts[] = {0, 1, 25, 43, 85, 128, 170, 213, 255};
    uint8_t *rgb = malloc(3 * ROW), *expected = malloc(3 * ROW), *out = malloc(3 * ROW);
    assert_true(rgb != NULL && expected != NULL && out != NULL);
    for (unsigned red = 0; red < 256; red++) {
        fill(0, red, rgb);
        for (size_t k = 0; k < sizeof shifts / sizeof shifts[0]; k++) {
            compare(rgb, shifts[k], expected, out);
        }
    }
    free(rgb);
    free(expected);
    free(out);
}

static void test_all_differences(void **state) {
    (void)state;
    uint8_t *rgb = malloc(3 * ROW), *expected = malloc(3 * ROW), *out = malloc(3 * ROW);
    assert_true(rgb != NULL && expected != NULL && out != NULL);
    for (size_t channel = 0; channel < 3; channel++) {
        fill(channel, 0, rgb);
        for (unsigned shift = 0; shift < 256; shift++) {
            compare(rgb, shift, expected, out);
        }
    }
    free(rgb);
    free(expected);
    free(out);
}

static void test_all_shifts(void **state) {
    (void)state;
    uint8_t *rgb = malloc(3 * ROW), *expected = malloc(3 * ROW), *out = malloc(3 * ROW);
    assert_true(rgb != NULL && expected != NULL && out != NULL);
    for (size_t i = 0; i < ROW; i++) { /* reds of value i / 256 and every saturation that it allows */
        const uint8_t value = (uint8_t)(i >> 8), low = (uint8_t)i;
        rgb[3 * i] = value;
        rgb[3 * i + 1] = rgb[3 * i + 2] = low < value ? low : value;
    }
    for (unsigned shift = 0; shift < 256; shift++) {
        compare(rgb, shift, expected, out);
    }
    free(rgb);
    free(expected);
    free(out);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_all_colours), cmocka_unit_test(test_all_differences),
                                       cmocka_unit_test(test_all_shifts)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
