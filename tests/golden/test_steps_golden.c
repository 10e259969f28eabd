/* The steps that turn, map, sharpen and erase against Pillow, torchvision and timm, on pictures and outputs recorded by make_steps.py
 * (layout described there): the same bytes, without exception. Pictures of 1 and 4 channels are among them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "augment/augment.h"

#define MAX_VALUES 16

typedef struct recording {
    uint8_t *bytes;
    size_t size, at;
} recording;

static fov_image *pictures;
static recording file;
static size_t first_case;
static uint32_t case_count;

static void take(void *to, size_t size) {
    assert_true(size <= file.size - file.at);
    memcpy(to, file.bytes + file.at, size);
    file.at += size;
}

static uint32_t take_u32(void) {
    uint32_t value;
    take(&value, sizeof value);
    return value;
}

static int load(void **state) {
    (void)state;
    FILE *stream = fopen(FOV_TEST_DATA "/golden/steps.bin", "rb");
    assert_non_null(stream);
    assert_int_equal(fseek(stream, 0, SEEK_END), 0);
    file.size = (size_t)ftell(stream);
    rewind(stream);
    file.bytes = malloc(file.size);
    assert_non_null(file.bytes);
    assert_int_equal(fread(file.bytes, 1, file.size, stream), file.size);
    assert_int_equal(fclose(stream), 0);
    assert_memory_equal(file.bytes, "FOVSTP01", 8);
    file.at = 8;
    const uint32_t count = take_u32();
    pictures = calloc(count, sizeof *pictures);
    assert_non_null(pictures);
    for (uint32_t i = 0; i < count; i++) {
        pictures[i] = (fov_image){.width = take_u32(), .height = 0};
        pictures[i].height = take_u32();
        pictures[i].channels = take_u32();
        pictures[i].pixels = file.bytes + file.at;
        file.at += pictures[i].width * pictures[i].height * pictures[i].channels;
    }
    case_count = take_u32();
    first_case = file.at;
    return 0;
}

static int unload(void **state) {
    (void)state;
    free(pictures);
    free(file.bytes);
    return 0;
}

static fov_augment_plan plan_of(const char *kind, const double *value, size_t count) {
    fov_augment_plan plan = {.applies = true};
    if (strcmp(kind, "erase") == 0) {
        plan.resize =
            (fov_resize){.left = (size_t)value[0], .top = (size_t)value[1], .width = (size_t)value[2], .height = (size_t)value[3]};
        plan.value[0] = value[4];
    } else if (strcmp(kind, "randaugment") == 0) {
        for (size_t i = 0; i + 1 < count; i += 2) {
            plan.order[plan.order_count] = (uint8_t)value[i];
            plan.value[plan.order_count++] = value[i + 1];
        }
    } else {
        for (size_t i = 0; i < count; i++) {
            plan.value[i] = value[i];
        }
    }
    return plan;
}

static size_t run_case(const char *kind, const fov_image *image, const double *value, size_t count, fov_augmenter *augmenter) {
    const size_t bytes = image->width * image->height * image->channels;
    const uint8_t *expected = file.bytes + file.at;
    const fov_augment_plan plan = plan_of(kind, value, count);
    uint8_t *out = malloc(bytes);
    assert_non_null(out);
    memset(out, 0xAA, bytes);
    assert_int_equal(fov_augment_named(kind)->apply(&plan, image, augmenter, out), FOV_OK);
    size_t wrong = 0;
    for (size_t i = 0; i < bytes; i++) {
        wrong += out[i] != expected[i];
    }
    if (wrong > 0) {
        print_error("%s on %zu x %zu x %zu: %zu of %zu bytes differ (values %g %g %g %g)\n", kind, image->width, image->height,
                    image->channels, wrong, bytes, value[0], value[1], value[2], value[3]);
    }
    free(out);
    return wrong;
}

static void expect_equal(const char *kind, size_t at_least) {
    fov_augmenter *augmenter;
    assert_int_equal(fov_augmenter_new(&augmenter), FOV_OK);
    size_t cases = 0, wrong = 0;
    file.at = first_case;
    for (uint32_t i = 0; i < case_count; i++) {
        char name[17] = "";
        double value[MAX_VALUES] = {0};
        take(name, 16);
        const fov_image *image = &pictures[take_u32()];
        const uint32_t count = take_u32();
        assert_true(count <= MAX_VALUES);
        take(value, count * sizeof *value);
        if (strcmp(name, kind) == 0) {
            cases++;
            wrong += run_case(kind, image, value, count, augmenter);
        }
        file.at += image->width * image->height * image->channels;
    }
    assert_int_equal(file.at, file.size);
    fov_augmenter_free(augmenter);
    assert_true(cases >= at_least);
    assert_int_equal(wrong, 0);
}

static void test_posterize(void **state) {
    (void)state, expect_equal("posterize", 56);
}
static void test_equalize(void **state) {
    (void)state, expect_equal("equalize", 7);
}
static void test_autocontrast(void **state) {
    (void)state, expect_equal("autocontrast", 7);
}
static void test_invert(void **state) {
    (void)state, expect_equal("invert", 7);
}
static void test_sharpness(void **state) {
    (void)state, expect_equal("sharpness", 64);
}
static void test_rotate90(void **state) {
    (void)state, expect_equal("rotate90", 12);
}
static void test_rotate(void **state) {
    (void)state, expect_equal("rotate", 156);
}
static void test_erase(void **state) {
    (void)state, expect_equal("erase", 8);
}
static void test_randaugment(void **state) {
    (void)state, expect_equal("randaugment", 153);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_posterize), cmocka_unit_test(test_equalize),  cmocka_unit_test(test_autocontrast),
        cmocka_unit_test(test_invert),    cmocka_unit_test(test_sharpness), cmocka_unit_test(test_rotate90),
        cmocka_unit_test(test_rotate),    cmocka_unit_test(test_erase),     cmocka_unit_test(test_randaugment),
    };
    return cmocka_run_group_tests(tests, load, unload);
}
