/* Every set's saturation against portable C's, for factors of all kinds. A channel's result hangs on it and the grey alone. Sets may tell
 * it from their difference, which is right unless a product lies so near below a whole number that its sum with some greys is rounded up:
 * most factors here are made so that one does. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "augment/pixels.h"
#include "base/rng.h"

static const char *const sets[] = {"avx2", "avx512", "avx512vnni"};

#define ROW ((size_t)256 * 256)
#define PARTS 64 /* of a row: one is used for each factor, the whole row for some */

/* All pairs of red and green, each with some blue. */
static void fill(fov_rng *rng, uint8_t *rgb) {
    for (size_t i = 0; i < ROW; i++) {
        rgb[3 * i] = (uint8_t)i;
        rgb[3 * i + 1] = (uint8_t)(i >> 8);
        rgb[3 * i + 2] = (uint8_t)fov_rng_below(rng, 256);
    }
}

static void compare(const uint8_t *rgb, size_t pixels, float factor, uint8_t *expected, uint8_t *out) {
    fov_pixel_loops_named("c")->pixel_saturate(rgb, pixels, factor, expected);
    for (size_t s = 0; s < 3; s++) {
        const fov_pixel_loops *loops = fov_pixel_loops_named(sets[s]);
        if (loops != NULL) {
            loops->pixel_saturate(rgb, pixels, factor, out);
            for (size_t i = 0; i < 3 * pixels; i++) {
                if (out[i] != expected[i]) {
                    fail_msg("%s: factor %.9g, byte %zu of pixel %zu, %zu %zu %zu, is %u, not %u", sets[s], (double)factor, i % 3, i / 3,
                             (size_t)rgb[i / 3 * 3], (size_t)rgb[i / 3 * 3 + 1], (size_t)rgb[i / 3 * 3 + 2], out[i], expected[i]);
                }
            }
        }
    }
}

/* For factors whole / distance and its neighbours among the floats, `steps` of them to either side. */
static void test_whole_products(void **state) {
    (void)state;
    uint8_t *rgb = malloc(3 * ROW), *expected = malloc(3 * ROW), *out = malloc(3 * ROW);
    assert_true(rgb != NULL && expected != NULL && out != NULL);
    fov_rng rng;
    fov_rng_init(&rng, 7, 0, 0, 0, FOV_RNG_TEST);
    fill(&rng, rgb);
    for (unsigned i = 0; i < 3000; i++) {
        const unsigned distance = 1 + (unsigned)fov_rng_below(&rng, 255), whole = (unsigned)fov_rng_below(&rng, 2 * distance + 8);
        const float middle = (float)whole / (float)distance;
        const float factor = fabsf(middle + (float)fov_rng_range(&rng, -24.0, 24.0) * 0x1p-24F);
        compare(rgb + i % PARTS * 3 * (ROW / PARTS), ROW / PARTS, factor, expected, out);
        compare(rgb + i % PARTS * 3 * (ROW / PARTS), ROW / PARTS, i % 2 == 0 ? middle : nextafterf(middle, 0.0F), expected, out);
    }
    free(rgb);
    free(expected);
    free(out);
}

static void test_all_greys(void **state) {
    (void)state;
    static const float fixed[] = {0.0F, 1e-30F, 0.1F, 0.5F, 0.6F, 1.0F, 1.2F, 1.4F, 1.5F, 2.0F, 2.5F, 16.0F};
    uint8_t *rgb = malloc(3 * ROW), *expected = malloc(3 * ROW), *out = malloc(3 * ROW);
    assert_true(rgb != NULL && expected != NULL && out != NULL);
    fov_rng rng;
    fov_rng_init(&rng, 8, 0, 0, 0, FOV_RNG_TEST);
    fill(&rng, rgb);
    for (size_t i = 0; i < sizeof fixed / sizeof fixed[0]; i++) {
        compare(rgb, ROW, fixed[i], expected, out);
        compare(rgb, ROW, nextafterf(fixed[i], 0.0F), expected, out);
        compare(rgb, ROW, nextafterf(fixed[i], 3.0F), expected, out);
    }
    for (size_t i = 0; i < 100; i++) {
        compare(rgb, ROW, (float)fov_rng_range(&rng, 0.0, 2.1), expected, out);
    }
    free(rgb);
    free(expected);
    free(out);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_whole_products), cmocka_unit_test(test_all_greys)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
