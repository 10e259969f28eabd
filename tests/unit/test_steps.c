/* The steps that turn, map, sharpen and erase, beyond Pillow's kinds of pictures: every channel is treated as a picture of its own, 16 bits
 * as 8 bits with more digits, quarter turns undo each other, noise is what it says, and memory may run out anywhere. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "augment/augment.h"

#define SIDE 17
#define PIXELS (SIDE * SIDE)

static fov_augmenter *augmenter;

static int setup(void **state) {
    (void)state;
    return fov_augmenter_new(&augmenter) == FOV_OK ? 0 : 1;
}

static int teardown(void **state) {
    (void)state;
    fov_augmenter_free(augmenter);
    return 0;
}

/* Noise between two bytes, `channels` a pixel. */
static fov_image make(uint8_t *bytes, size_t channels, uint64_t low, uint64_t high) {
    fov_rng rng;
    fov_rng_init(&rng, channels, 0, 0, 0, FOV_RNG_TEST);
    for (size_t i = 0; i < PIXELS * channels; i++) {
        bytes[i] = (uint8_t)(low + fov_rng_below(&rng, high - low));
    }
    return (fov_image){.pixels = bytes, .width = SIDE, .height = SIDE, .channels = channels};
}

static void apply(const char *name, const fov_augment_plan *plan, const fov_image *image, uint8_t *out) {
    assert_int_equal(fov_augment_named(name)->apply(plan, image, augmenter, out), FOV_OK);
}

typedef struct use {
    const char *name;
    fov_augment_plan plan;
    bool deep; /* also for 16 bits */
} use;

static const use uses[] = {
    {"posterize", {.value = {3}}, false}, /* of 16 bits the highest of 16, see test_deep_bits */
    {"invert", {.applies = true}, true},
    {"equalize", {.applies = true}, false},
    {"autocontrast", {.applies = true}, false},
    {"sharpness", {.value = {1.7}}, false},
    {"rotate90", {.value = {0}}, true},
    {"rotate90", {.value = {1}}, true},
    {"rotate90", {.value = {2}}, true},
    {"rotate90", {.value = {3}}, true},
    {"rotate", {.value = {33.3, 0}}, true},
    {"rotate", {.value = {-71.5, 1}}, true},
    {"rotate", {.value = {140.0, 2}}, true},
    {"rotate", {.value = {90.0, 2}}, true},
    {"erase", {.value = {77}, .resize = {.left = 3, .top = 5, .width = 9, .height = 2}}, true},
};

static void test_channels_alone(void **state) {
    (void)state;
    static const size_t counts[] = {1, 2, 3, 4, 5, 32};
    static uint8_t bytes[PIXELS * 32], out[PIXELS * 32], plane[PIXELS], one[PIXELS];
    for (size_t u = 0; u < sizeof uses / sizeof uses[0]; u++) {
        for (size_t k = 0; k < sizeof counts / sizeof counts[0]; k++) {
            const size_t channels = counts[k];
            const fov_image image = make(bytes, channels, 20, 230);
            const fov_image alone = {.pixels = plane, .width = SIDE, .height = SIDE, .channels = 1};
            apply(uses[u].name, &uses[u].plan, &image, out);
            for (size_t c = 0; c < channels; c++) {
                for (size_t i = 0; i < PIXELS; i++) {
                    plane[i] = bytes[i * channels + c];
                }
                apply(uses[u].name, &uses[u].plan, &alone, one);
                for (size_t i = 0; i < PIXELS; i++) {
                    assert_int_equal(out[i * channels + c], one[i]);
                }
            }
        }
    }
}

/* Bytes times 257 give the bytes' result again in the upper half; nearest and exact steps times 257, too. */
static void test_deep(void **state) {
    (void)state;
    static const size_t counts[] = {1, 3, 4};
    static uint8_t bytes[PIXELS * 4], out[PIXELS * 4];
    static uint16_t words[PIXELS * 4], deep_out[PIXELS * 4];
    for (size_t u = 0; u < sizeof uses / sizeof uses[0]; u++) {
        for (size_t k = 0; k < sizeof counts / sizeof counts[0] && uses[u].deep; k++) {
            const fov_image image = make(bytes, counts[k], 0, 256);
            for (size_t i = 0; i < PIXELS * counts[k]; i++) {
                words[i] = (uint16_t)(bytes[i] * 257U);
            }
            const fov_image deep = {.pixels = (uint8_t *)words, .width = SIDE, .height = SIDE, .channels = counts[k], .deep = true};
            apply(uses[u].name, &uses[u].plan, &image, out);
            apply(uses[u].name, &uses[u].plan, &deep, (uint8_t *)deep_out);
            const bool smooth = strcmp(uses[u].name, "rotate") == 0 && uses[u].plan.value[1] > 0.0;
            for (size_t i = 0; i < PIXELS * counts[k]; i++) {
                assert_int_equal(deep_out[i] / 257U, out[i]);
                assert_true(smooth || deep_out[i] % 257U == 0);
            }
        }
    }
}

static void test_deep_bits(void **state) {
    (void)state;
    uint16_t words[] = {0, 1, 0x1234, 0x7FFF, 0x8000, 0xABCD, 0xFFFF, 0x0FF0, 0xF00F}, out[9];
    const fov_image image = {.pixels = (uint8_t *)words, .width = 3, .height = 3, .channels = 1, .deep = true};
    for (unsigned bits = 0; bits <= 8; bits++) {
        apply("posterize", &(fov_augment_plan){.value = {bits}}, &image, (uint8_t *)out);
        for (size_t i = 0; i < 9; i++) {
            assert_int_equal(out[i], words[i] >> (16 - bits) << (16 - bits));
        }
    }
}

static void test_quarters_undo(void **state) {
    (void)state;
    static uint8_t bytes[PIXELS * 3], turned[PIXELS * 3], back[PIXELS * 3];
    const fov_image image = make(bytes, 3, 0, 256), half = {.pixels = turned, .width = SIDE, .height = SIDE, .channels = 3};
    for (unsigned turns = 1; turns < 4; turns++) {
        apply("rotate90", &(fov_augment_plan){.value = {turns}}, &image, turned);
        assert_memory_not_equal(turned, bytes, sizeof bytes);
        apply("rotate90", &(fov_augment_plan){.value = {4 - turns}}, &half, back);
        assert_memory_equal(back, bytes, sizeof bytes);
    }
    /* counter-clockwise: the right upper corner goes to the left */
    apply("rotate90", &(fov_augment_plan){.value = {1}}, &image, turned);
    assert_memory_equal(turned, bytes + 3 * (SIDE - 1), 3);
}

/* Mean, deviation and every byte's share of a channel's noise, against those of a rounded and clamped normal variate. */
static void expect_noise(const uint8_t *samples, size_t count, size_t step, double mean, double deviation) {
    double sum = 0.0, squares = 0.0, want = 0.0, want_squares = 0.0, chi = 0.0, seen[256] = {0.0};
    for (size_t i = 0; i < count; i++) {
        sum += samples[i * step];
        squares += (double)samples[i * step] * samples[i * step];
        seen[samples[i * step]] += 1.0;
    }
    for (int byte = 0; byte < 256; byte++) { /* P(byte): the normal law between its borders, all beyond at the ends */
        const double low = byte == 0 ? -99.0 : ((byte - 0.5) / 255.0 - mean) / deviation,
                     high = byte == 255 ? 99.0 : ((byte + 0.5) / 255.0 - mean) / deviation;
        const double p = 0.5 * (erf(high / sqrt(2.0)) - erf(low / sqrt(2.0)));
        chi += (seen[byte] - p * (double)count) * (seen[byte] - p * (double)count) / (p * (double)count);
        want += p * byte;
        want_squares += p * byte * byte;
    }
    const double n = (double)count, variance = squares / n - sum / n * (sum / n), want_variance = want_squares - want * want;
    assert_true(chi < 255.0 + 5.0 * sqrt(2.0 * 255.0));
    assert_true(fabs(sum / n - want) < 5.0 * sqrt(want_variance / n));
    assert_true(fabs(variance / want_variance - 1.0) < 5.0 * sqrt(2.0 / n));
}

static void test_noise(void **state) {
    (void)state;
    enum { WIDE = 200 };
    static uint8_t bytes[WIDE * WIDE * 3], out[WIDE * WIDE * 3], again[WIDE * WIDE * 3];
    static const double mean[] = {0.485, 0.456, 0.406}, deviation[] = {0.229, 0.224, 0.225};
    const fov_image image = {.pixels = bytes, .width = WIDE, .height = WIDE, .channels = 3};
    const fov_image grey = {.pixels = bytes, .width = WIDE, .height = WIDE, .channels = 1};
    fov_augment_plan plan = {.value = {FOV_PARAM_WORD, 0.625}, .resize = {.width = WIDE, .height = WIDE}};
    apply("erase", &plan, &image, out);
    for (size_t c = 0; c < 3; c++) {
        expect_noise(out + c, WIDE * WIDE, 3, mean[c], deviation[c]);
    }
    apply("erase", &plan, &grey, again);
    expect_noise(again, WIDE * WIDE, 1, 0.449, 0.226);
    apply("erase", &plan, &image, again);
    assert_memory_equal(again, out, sizeof out);
    static uint16_t words[WIDE * WIDE * 3], deep_out[WIDE * WIDE * 3];
    const fov_image deep = {.pixels = (uint8_t *)words, .width = WIDE, .height = WIDE, .channels = 3, .deep = true};
    apply("erase", &plan, &deep, (uint8_t *)deep_out);
    for (size_t i = 0; i < sizeof out; i++) {
        assert_int_equal(deep_out[i], out[i] * 257U);
    }
    plan.value[1] = 0.25;
    apply("erase", &plan, &image, again);
    assert_memory_not_equal(again, out, sizeof out);
    /* outside of the box nothing changes */
    plan.resize = (fov_resize){.left = 190, .top = 7, .width = 10, .height = 1};
    apply("erase", &plan, &image, out);
    size_t changed = 0;
    for (size_t i = 0; i < sizeof out; i++) {
        const size_t x = i / 3 % WIDE, y = i / 3 / WIDE;
        changed += out[i] != 0;
        assert_true(out[i] == 0 || (x >= 190 && y == 7));
    }
    assert_true(changed > 20);
}

#define ALL                                                                                                                                \
    "rotate90(1) rotate(1,180,bilinear) sharpness(1,2) posterize(1,6) invert(1) autocontrast(1) equalize(1) "                              \
    "randaugment(1,9,3,4,0.9) erase(1,0.02,0.33,0.3,3.3,noise)"

static fov_status views_of(fov_augmenter *with, size_t side, uint64_t sample, uint8_t *out) {
    static uint8_t bytes[PIXELS * 3];
    const fov_image image = make(bytes, 3, 10, 240);
    char text[400] = "";
    fov_recipe recipe;
    uint8_t *const outputs[] = {out};
    (void)snprintf(text, sizeof text, "crop(%zu) %s", side, ALL);
    if (fov_recipe_parse(text, &recipe) != FOV_OK) {
        fail_msg("%s", fov_last_error());
    }
    return fov_augment_views(with, &recipe, &image, 4, 1, sample, outputs);
}

/* All of them together, down to views of one pixel, in any order of samples. */
static void test_all_together(void **state) {
    (void)state;
    static const size_t sides[] = {1, 2, 3, 16, 31};
    static uint8_t first[40][31 * 31 * 3], again[31 * 31 * 3];
    for (size_t s = 0; s < sizeof sides / sizeof sides[0]; s++) {
        for (uint64_t sample = 0; sample < 40; sample++) {
            assert_int_equal(views_of(augmenter, sides[s], sample, first[sample]), FOV_OK);
        }
        for (uint64_t sample = 40; sample-- > 0;) {
            assert_int_equal(views_of(augmenter, sides[s], sample, again), FOV_OK);
            assert_memory_equal(first[sample], again, sides[s] * sides[s] * 3);
        }
    }
}

static void test_memory_runs_out(void **state) {
    (void)state;
    static uint8_t right[PIXELS * 3], again[PIXELS * 3];
    uint64_t sample = 0;
    assert_int_equal(views_of(augmenter, SIDE, sample, right), FOV_OK);
    size_t failures = 0;
    for (uint64_t n = 1;; n++) {
        fov_augmenter *fresh = NULL;
        assert_int_equal(fov_augmenter_new(&fresh), FOV_OK);
        fov_mem_fail_at(n, 0);
        const fov_status status = views_of(fresh, SIDE, sample, again);
        fov_mem_fail_at(0, 0);
        const bool failed = status != FOV_OK;
        if (failed) {
            assert_int_equal(status, FOV_E_NOMEM);
            failures++;
            assert_int_equal(views_of(fresh, SIDE, sample, again), FOV_OK);
        }
        assert_memory_equal(again, right, sizeof right);
        fov_augmenter_free(fresh);
        if (!failed) {
            break;
        }
    }
    assert_true(failures >= 3);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_channels_alone),  cmocka_unit_test(test_deep),  cmocka_unit_test(test_deep_bits),
        cmocka_unit_test(test_quarters_undo),   cmocka_unit_test(test_noise), cmocka_unit_test(test_all_together),
        cmocka_unit_test(test_memory_runs_out),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
