/* Every augmentation step against Pillow and torchvision, on pictures and outputs recorded by make_augment.py (layout described there).
 * Steps that compute in integers or by tables give the same bytes; torchvision's sampled Gaussian blur sums floats in an order of its
 * own, so one byte in a thousand may be off by one. All instruction sets of this processor are run. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "augment/augment.h"

#define MAX_PICTURES 64
#define MAX_VALUES 16

typedef struct test_case {
    char kind[17];
    const fov_image *image;
    size_t width, height, value_count;
    double value[MAX_VALUES];
    const uint8_t *expected;
} test_case;

static uint8_t *file_bytes;
static size_t file_size, first_case;
static fov_image pictures[MAX_PICTURES];
static uint32_t case_count;

static uint32_t u32_at(size_t *at) {
    uint32_t value;
    assert_true(*at + sizeof value <= file_size);
    memcpy(&value, file_bytes + *at, sizeof value);
    *at += sizeof value;
    return value;
}

/* Of width x height pixels like the picture's. */
static size_t bytes_of(const fov_image *image, size_t width, size_t height) {
    return width * height * fov_pixel_bytes(fov_image_format(image));
}

static int load(void **state) {
    (void)state;
    FILE *file = fopen(FOV_TEST_DATA "/golden/augment.bin", "rb");
    assert_non_null(file);
    assert_int_equal(fseek(file, 0, SEEK_END), 0);
    file_size = (size_t)ftell(file);
    rewind(file);
    file_bytes = malloc(file_size);
    assert_non_null(file_bytes);
    assert_int_equal(fread(file_bytes, 1, file_size, file), file_size);
    assert_int_equal(fclose(file), 0);
    assert_memory_equal(file_bytes, "FOVAUG02", 8);
    size_t at = 8;
    const uint32_t picture_count = u32_at(&at);
    assert_true(picture_count <= MAX_PICTURES);
    for (uint32_t i = 0; i < picture_count; i++) {
        pictures[i].width = u32_at(&at);
        pictures[i].height = u32_at(&at);
        pictures[i].channels = u32_at(&at);
        pictures[i].deep = u32_at(&at) == 2;
        const size_t bytes = bytes_of(&pictures[i], pictures[i].width, pictures[i].height);
        pictures[i].pixels = malloc(bytes); /* a copy, so that samples are aligned and their ends guarded */
        assert_non_null(pictures[i].pixels);
        memcpy(pictures[i].pixels, file_bytes + at, bytes);
        at += bytes;
    }
    case_count = u32_at(&at);
    first_case = at;
    return 0;
}

static int unload(void **state) {
    (void)state;
    for (size_t i = 0; i < MAX_PICTURES; i++) {
        free(pictures[i].pixels);
    }
    free(file_bytes);
    return 0;
}

static void next_case(size_t *at, test_case *c) {
    assert_true(*at + 16 <= file_size);
    memcpy(c->kind, file_bytes + *at, 16);
    c->kind[16] = '\0';
    *at += 16;
    c->image = &pictures[u32_at(at)];
    c->width = u32_at(at);
    c->height = u32_at(at);
    c->value_count = u32_at(at);
    assert_true(c->value_count <= MAX_VALUES);
    memcpy(c->value, file_bytes + *at, c->value_count * sizeof(double));
    *at += c->value_count * sizeof(double);
    c->expected = file_bytes + *at;
    *at += bytes_of(c->image, c->width, c->height);
    assert_true(*at <= file_size);
}

static void run_resize(const test_case *c, fov_augmenter *augmenter, uint8_t *out) {
    const fov_resize resize = {
        .left = (size_t)c->value[0],
        .top = (size_t)c->value[1],
        .width = (size_t)c->value[2],
        .height = (size_t)c->value[3],
        .out_width = c->width,
        .out_height = c->height,
        .window_width = c->width,
        .window_height = c->height,
        .interpolation = (fov_interpolation)(int)c->value[4],
        .mirror = c->value[5] != 0.0,
    };
    fov_image image = *c->image;
    if (c->value_count > 6) {
        image.shrink = (unsigned)c->value[6];
        image.full_width = (size_t)c->value[7];
        image.full_height = (size_t)c->value[8];
    }
    assert_int_equal(fov_resize_apply(augmenter, &image, &resize, out), FOV_OK);
}

static void run_preprocess(const test_case *c, fov_augmenter *augmenter, uint8_t *out) {
    fov_preprocess preprocess;
    fov_preprocess_default((size_t)c->value[1], &preprocess);
    preprocess.resize = (size_t)c->value[0];
    preprocess.interpolation = (fov_interpolation)(int)c->value[2];
    assert_int_equal(fov_preprocess_apply(augmenter, &preprocess, c->image, out), FOV_OK);
}

static void run_step(const test_case *c, fov_augmenter *augmenter, uint8_t *out) {
    const fov_augment *augment = fov_augment_named(c->kind);
    assert_non_null(augment);
    fov_augment_plan plan = {.applies = true};
    for (size_t i = 0; i < c->value_count && i < FOV_PLAN_VALUES; i++) {
        plan.value[i] = c->value[i];
    }
    for (size_t i = FOV_PLAN_VALUES; i < c->value_count; i++) {
        plan.order[plan.order_count++] = (uint8_t)c->value[i];
    }
    assert_int_equal(augment->apply(&plan, c->image, augmenter, out), FOV_OK);
}

static int sample_at(const uint8_t *samples, size_t i, bool deep) {
    uint16_t wide;
    if (!deep) {
        return samples[i];
    }
    memcpy(&wide, samples + 2 * i, sizeof wide);
    return wide;
}

/* Samples that differ; *largest is raised to the largest difference. */
static size_t differing(const test_case *c, const uint8_t *out, int *largest) {
    size_t count = 0;
    const bool deep = c->image->deep;
    for (size_t i = 0; i < c->image->channels * c->width * c->height; i++) {
        const int difference = abs(sample_at(out, i, deep) - sample_at(c->expected, i, deep));
        count += difference != 0;
        *largest = difference > *largest ? difference : *largest;
    }
    return count;
}

typedef struct tally {
    size_t cases, bytes, differing;
    int largest;
} tally;

static tally run_kind(const char *kind, const char *set) {
    tally t = {0, 0, 0, 0};
    fov_augmenter *augmenter;
    assert_int_equal(fov_augmenter_new(&augmenter), FOV_OK);
    augmenter->loops = fov_pixel_loops_named(set);
    size_t at = first_case;
    for (uint32_t i = 0; i < case_count; i++) {
        test_case c;
        next_case(&at, &c);
        if (strcmp(c.kind, kind) != 0) {
            continue;
        }
        const size_t bytes = bytes_of(c.image, c.width, c.height);
        uint8_t *out = malloc(bytes);
        assert_non_null(out);
        memset(out, 0xAA, bytes);
        if (strcmp(kind, "resize") == 0) {
            run_resize(&c, augmenter, out);
        } else if (strcmp(kind, "preprocess") == 0) {
            run_preprocess(&c, augmenter, out);
        } else {
            run_step(&c, augmenter, out);
        }
        const size_t wrong = differing(&c, out, &t.largest);
        if (wrong > 0 && strcmp(kind, "blur") != 0) {
            print_error("%s, set %s, case %u: %zu of %zu bytes differ (values %g %g %g %g %g %g)\n", kind, set, i, wrong, bytes, c.value[0],
                        c.value[1], c.value[2], c.value[3], c.value[4], c.value[5]);
        }
        t.differing += wrong;
        t.cases++;
        t.bytes += bytes;
        free(out);
    }
    assert_int_equal(at, file_size);
    fov_augmenter_free(augmenter);
    return t;
}

static const char *const sets[] = {"c", "avx2", "avx512", "avx512vnni"};

static void expect_equal(const char *kind, size_t at_least) {
    for (size_t s = 0; s < sizeof sets / sizeof sets[0]; s++) {
        if (fov_pixel_loops_named(sets[s]) == NULL) {
            assert_true(s > 0);
            continue;
        }
        const tally t = run_kind(kind, sets[s]);
        assert_true(t.cases >= at_least);
        assert_int_equal(t.differing, 0);
    }
}

static void test_resize(void **state) { (void)state, expect_equal("resize", 160); }
static void test_preprocess(void **state) { (void)state, expect_equal("preprocess", 18); }
static void test_jitter(void **state) { (void)state, expect_equal("jitter", 100); }
static void test_gray(void **state) { (void)state, expect_equal("gray", 1); }
static void test_flip(void **state) { (void)state, expect_equal("flip", 4); }
static void test_vflip(void **state) { (void)state, expect_equal("vflip", 4); }
static void test_solarize(void **state) { (void)state, expect_equal("solarize", 8); }
static void test_pilblur(void **state) { (void)state, expect_equal("pilblur", 36); }

static void test_blur(void **state) {
    (void)state;
    for (size_t s = 0; s < sizeof sets / sizeof sets[0]; s++) {
        if (fov_pixel_loops_named(sets[s]) == NULL) {
            continue;
        }
        const tally t = run_kind("blur", sets[s]);
        assert_true(t.cases >= 20);
        assert_true(t.largest <= 1);
        assert_true(1000 * t.differing <= t.bytes);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_resize), cmocka_unit_test(test_preprocess), cmocka_unit_test(test_jitter),
        cmocka_unit_test(test_gray),   cmocka_unit_test(test_flip),       cmocka_unit_test(test_vflip),
        cmocka_unit_test(test_solarize), cmocka_unit_test(test_pilblur),  cmocka_unit_test(test_blur),
    };
    return cmocka_run_group_tests(tests, load, unload);
}
