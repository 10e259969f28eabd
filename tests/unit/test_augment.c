/* The steps as a whole: the same stream gives the same bytes in any order, choices follow their distributions, odd shapes work, memory
 * may run out anywhere, and every instruction set gives the same picture. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "augment/augment.h"

#define FULL                                                                                                                         \
    "crop(24,0.08,1,bicubic) flip(0.5) jitter(0.8,0.4,0.4,0.4,0.1) gray(0.2) blur(0.5,0.1,2) solarize(0.2,128) | "                  \
    "crop(16,0.2,1,bilinear) vflip(0.5) pilblur(0.5,0.1,2) jitter(0.8,0.4,0.4,0.2,0.1)"
#define BYTES_A (3 * 24 * 24)
#define BYTES_B (3 * 16 * 16)

static fov_augmenter *new_augmenter(void) {
    fov_augmenter *augmenter;
    assert_int_equal(fov_augmenter_new(&augmenter), FOV_OK);
    return augmenter;
}

static void parse(const char *text, fov_recipe *recipe) {
    if (fov_recipe_parse(text, recipe) != FOV_OK) {
        fail_msg("%s", fov_last_error());
    }
}

/* A picture of noise over a slope; the caller frees pixels. */
static fov_image make_picture(size_t width, size_t height, uint64_t seed) {
    fov_image image = {.width = width, .height = height, .channels = 3, .capacity = 3 * width * height};
    image.pixels = malloc(image.capacity);
    assert_non_null(image.pixels);
    fov_rng rng;
    fov_rng_init(&rng, seed, 0, 0, 0, FOV_RNG_TEST);
    for (size_t i = 0; i < image.capacity; i++) {
        image.pixels[i] = (uint8_t)((i / 5 + fov_rng_below(&rng, 90)) & 255U);
    }
    return image;
}

static void views_of(fov_augmenter *augmenter, const fov_recipe *recipe, const fov_image *image, uint64_t seed, uint64_t epoch,
                     uint64_t sample, uint8_t *a, uint8_t *b) {
    uint8_t *const outputs[] = {a, b};
    assert_int_equal(fov_augment_views(augmenter, recipe, image, seed, epoch, sample, outputs), FOV_OK);
}

#define SAMPLES 12

static void test_same_in_any_order(void **state) {
    (void)state;
    static uint8_t first[SAMPLES][BYTES_A + BYTES_B], second[BYTES_A + BYTES_B];
    fov_recipe recipe;
    parse(FULL, &recipe);
    fov_augmenter *one = new_augmenter(), *other = new_augmenter();
    fov_image images[SAMPLES];
    for (size_t i = 0; i < SAMPLES; i++) {
        images[i] = make_picture(20 + 7 * i, 60 - 3 * i, i);
        views_of(one, &recipe, &images[i], 5, 3, i, first[i], first[i] + BYTES_A);
    }
    for (size_t i = SAMPLES; i-- > 0;) {
        views_of(other, &recipe, &images[i], 5, 3, i, second, second + BYTES_A);
        assert_memory_equal(first[i], second, sizeof second);
        free(images[i].pixels);
    }
    fov_augmenter_free(one);
    fov_augmenter_free(other);
}

static void test_streams_differ(void **state) {
    (void)state;
    static uint8_t base[2][BYTES_A], other[2][BYTES_A];
    fov_recipe recipe;
    parse("crop(24) jitter(0.8) | crop(24) jitter(0.8)", &recipe);
    fov_augmenter *augmenter = new_augmenter();
    fov_image image = make_picture(50, 40, 1);
    views_of(augmenter, &recipe, &image, 5, 3, 9, base[0], base[1]);
    assert_memory_not_equal(base[0], base[1], BYTES_A);
    for (unsigned change = 0; change < 3; change++) {
        views_of(augmenter, &recipe, &image, 5 + (change == 0), 3 + (change == 1), 9 + (change == 2), other[0], other[1]);
        assert_memory_not_equal(base[0], other[0], BYTES_A);
        assert_memory_not_equal(base[1], other[1], BYTES_A);
    }
    /* a view does not depend on the views beside it */
    parse("crop(24) jitter(0.8)", &recipe);
    views_of(augmenter, &recipe, &image, 5, 3, 9, other[0], NULL);
    assert_memory_equal(base[0], other[0], BYTES_A);
    free(image.pixels);
    fov_augmenter_free(augmenter);
}

typedef struct moments {
    double area, ratio, top, left;
} moments;

static moments crop_moments(size_t width, size_t height, double low) {
    const double param[] = {low, 1.0, FOV_BILINEAR, 3.0 / 4.0, 4.0 / 3.0};
    const int draws = 20000;
    moments m = {0, 0, 0, 0};
    for (int i = 0; i < draws; i++) {
        fov_rng rng;
        fov_augment_plan plan = {.applies = false};
        fov_rng_init(&rng, 1, 0, (uint64_t)i, 0, FOV_RNG_AUGMENT);
        fov_augment_named("crop")->draw(param, &rng, width, height, 64, &plan);
        const fov_resize *r = &plan.resize;
        assert_true(plan.applies && r->width > 0 && r->height > 0);
        assert_true(r->left + r->width <= width && r->top + r->height <= height);
        assert_true(r->out_width == 64 && r->out_height == 64);
        m.area += (double)(r->width * r->height) / (double)(width * height) / draws;
        m.ratio += log((double)r->width / (double)r->height) / draws;
        m.top += (double)r->top / (double)height / draws;
        m.left += (double)r->left / (double)width / draws;
    }
    return m;
}

/* Means of torchvision 0.29's RandomResizedCrop.get_params over 60,000 draws; tolerance: five standard errors of ours and theirs. */
static void test_crop_distribution(void **state) {
    (void)state;
    moments m = crop_moments(500, 375, 0.08);
    assert_true(fabs(m.area - 0.43294) < 0.0090);
    assert_true(fabs(m.ratio - 0.03078) < 0.0068);
    assert_true(fabs(m.top - 0.13974) < 0.0056);
    assert_true(fabs(m.left - 0.21755) < 0.0066);
    m = crop_moments(120, 400, 0.2);
    assert_true(fabs(m.area - 0.29793) < 0.0029);
    assert_true(fabs(m.ratio + 0.12903) < 0.0065);
    assert_true(fabs(m.top - 0.33913) < 0.0075);
    assert_true(fabs(m.left - 0.03759) < 0.0021);
}

static void test_crop_falls_back(void **state) {
    (void)state;
    const double param[] = {0.9, 1.0, FOV_BILINEAR, 3.0 / 4.0, 4.0 / 3.0};
    static const size_t shapes[][6] = {
        /* width, height, then the box */
        {1000, 10, 493, 0, 13, 10},
        {10, 1000, 0, 493, 10, 13},
        {1, 1, 0, 0, 1, 1},
    };
    for (size_t i = 0; i < 3; i++) {
        fov_rng rng;
        fov_augment_plan plan = {.applies = false};
        fov_rng_init(&rng, 1, 0, i, 0, FOV_RNG_AUGMENT);
        fov_augment_named("crop")->draw(param, &rng, shapes[i][0], shapes[i][1], 64, &plan);
        assert_int_equal(plan.resize.left, shapes[i][2]);
        assert_int_equal(plan.resize.top, shapes[i][3]);
        assert_int_equal(plan.resize.width, shapes[i][4]);
        assert_int_equal(plan.resize.height, shapes[i][5]);
    }
}

/* Share of draws that apply: within five standard errors of p, and all or none at the ends. */
static void test_probabilities(void **state) {
    (void)state;
    static const double chances[] = {0.0, 0.1, 0.5, 0.8, 1.0};
    const int draws = 8000;
    for (size_t a = 0; fov_augment_at(a) != NULL; a++) {
        const fov_augment *augment = fov_augment_at(a);
        if (augment->first) {
            continue;
        }
        assert_string_equal(augment->params[0].name, "p");
        for (size_t c = 0; c < 5; c++) {
            double param[FOV_MAX_STEP_PARAMS] = {0};
            for (size_t k = 0; k < augment->param_count; k++) {
                param[k] = k == 0 ? chances[c] : augment->params[k].fallback;
            }
            int applied = 0;
            for (int i = 0; i < draws; i++) {
                fov_rng rng;
                fov_augment_plan plan = {.applies = false};
                fov_rng_init(&rng, 2, 0, (uint64_t)i, 0, FOV_RNG_AUGMENT + (unsigned)a);
                augment->draw(param, &rng, 32, 32, 32, &plan);
                applied += plan.applies;
            }
            const double p = chances[c];
            assert_true(fabs((double)applied - p * draws) <= 5.0 * sqrt(p * (1.0 - p) * draws));
        }
    }
}

/* All 24 orders equally often: chi-square with 23 degrees of freedom stays below 59.2 but once in 20,000. Factors keep to their range. */
static void test_jitter_draws(void **state) {
    (void)state;
    const double param[] = {1.0, 0.4, 1.5, 0.2, 0.1};
    const double low[] = {0.6, 0.0, 0.8, -0.1}, high[] = {1.4, 2.5, 1.2, 0.1};
    const int draws = 24000;
    int count[256] = {0};
    double sum[4] = {0};
    for (int i = 0; i < draws; i++) {
        fov_rng rng;
        fov_augment_plan plan = {.applies = false};
        fov_rng_init(&rng, 3, 0, (uint64_t)i, 0, FOV_RNG_AUGMENT);
        fov_augment_named("jitter")->draw(param, &rng, 32, 32, 32, &plan);
        assert_int_equal(plan.order_count, 4);
        count[plan.order[0] | plan.order[1] << 2 | plan.order[2] << 4 | plan.order[3] << 6]++;
        for (size_t k = 0; k < 4; k++) {
            assert_true(plan.value[k] >= low[k] && plan.value[k] <= high[k]);
            sum[k] += plan.value[k] / draws;
        }
    }
    double chi = 0.0;
    int orders = 0;
    for (size_t i = 0; i < 256; i++) {
        const double expected = draws / 24.0;
        orders += count[i] > 0;
        chi += count[i] > 0 ? ((double)count[i] - expected) * ((double)count[i] - expected) / expected : 0.0;
    }
    assert_int_equal(orders, 24);
    assert_true(chi < 59.2);
    for (size_t k = 0; k < 4; k++) {
        assert_true(fabs(sum[k] - (low[k] + high[k]) / 2.0) < 5.0 * (high[k] - low[k]) / sqrt(12.0 * draws));
    }
}

static void test_jitter_leaves_out(void **state) {
    (void)state;
    const double param[] = {1.0, 0.0, 0.4, 0.0, 0.0};
    fov_rng rng;
    fov_augment_plan plan = {.applies = false};
    fov_rng_init(&rng, 3, 0, 0, 0, FOV_RNG_AUGMENT);
    fov_augment_named("jitter")->draw(param, &rng, 32, 32, 32, &plan);
    assert_int_equal(plan.order_count, 1);
    assert_int_equal(plan.order[0], 1);
}

static void test_flips_undo(void **state) {
    (void)state;
    static const char *const names[] = {"flip", "vflip"};
    fov_augmenter *augmenter = new_augmenter();
    fov_image image = make_picture(13, 9, 4);
    fov_image once = {.pixels = malloc(image.capacity), .width = 13, .height = 9, .channels = 3};
    uint8_t *twice = malloc(image.capacity);
    const fov_augment_plan plan = {.applies = true};
    for (size_t i = 0; i < 2; i++) {
        const fov_augment *augment = fov_augment_named(names[i]);
        assert_int_equal(augment->apply(&plan, &image, augmenter, once.pixels), FOV_OK);
        assert_memory_not_equal(once.pixels, image.pixels, image.capacity);
        assert_int_equal(augment->apply(&plan, &once, augmenter, twice), FOV_OK);
        assert_memory_equal(twice, image.pixels, image.capacity);
    }
    free(image.pixels);
    free(once.pixels);
    free(twice);
    fov_augmenter_free(augmenter);
}

/* A flip right after the resize is done by the resize; with a step that never applies between them it is not. Same bytes. */
static void test_flip_folded(void **state) {
    (void)state;
    static uint8_t plain[BYTES_A], folded[BYTES_A], apart[BYTES_A];
    static const char *const recipes[] = {"resize(24,bicubic)", "resize(24,bicubic) flip(1)", "resize(24,bicubic) vflip(0) flip(1)"};
    uint8_t *outputs[] = {plain, folded, apart};
    fov_augmenter *augmenter = new_augmenter();
    fov_image image = make_picture(40, 31, 6), square = {.pixels = plain, .width = 24, .height = 24, .channels = 3};
    for (size_t i = 0; i < 3; i++) {
        fov_recipe recipe;
        parse(recipes[i], &recipe);
        views_of(augmenter, &recipe, &image, 1, 1, 1, outputs[i], NULL);
    }
    assert_memory_equal(folded, apart, BYTES_A);
    assert_memory_not_equal(folded, plain, BYTES_A);
    const fov_augment_plan plan = {.applies = true};
    assert_int_equal(fov_augment_named("flip")->apply(&plan, &square, augmenter, apart), FOV_OK);
    assert_memory_equal(folded, apart, BYTES_A);
    free(image.pixels);
    fov_augmenter_free(augmenter);
}

static void test_odd_shapes(void **state) {
    (void)state;
    static const size_t shapes[][2] = {{1, 1}, {2, 1}, {1, 2}, {3, 3000}, {5000, 1}, {1, 5000}, {7, 2}, {300, 301}};
    static const char *const recipes[] = {
        FULL,
        "resize(24,bicubic) blur(1,2,2,101) pilblur(1,40,40) | crop(16,1,1,bicubic,100,100) gray(1)",
        "resize(24) | resize(16,bicubic) pilblur(1,0,0)",
    };
    static uint8_t a[BYTES_A], b[BYTES_B];
    fov_augmenter *augmenter = new_augmenter();
    for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++) {
        fov_image image = make_picture(shapes[i][0], shapes[i][1], i);
        for (size_t k = 0; k < 3; k++) {
            fov_recipe recipe;
            parse(recipes[k], &recipe);
            for (uint64_t sample = 0; sample < 6; sample++) {
                views_of(augmenter, &recipe, &image, 1, 1, sample, a, b);
            }
        }
        fov_preprocess preprocess;
        fov_preprocess_default(16, &preprocess);
        assert_int_equal(fov_preprocess_apply(augmenter, &preprocess, &image, b), FOV_OK);
        free(image.pixels);
    }
    /* one colour stays one colour */
    uint8_t pixel[3] = {10, 200, 77};
    const fov_image dot = {.pixels = pixel, .width = 1, .height = 1, .channels = 3};
    fov_recipe recipe;
    parse("crop(16,0.08,1,bicubic) blur(1,0.1,2) pilblur(1,0.1,2)", &recipe);
    views_of(augmenter, &recipe, &dot, 1, 1, 1, b, NULL);
    for (size_t i = 0; i < BYTES_B; i++) {
        assert_int_equal(b[i], pixel[i % 3]);
    }
    fov_augmenter_free(augmenter);
}

/* Small pictures take every step too: steps after the first see a view of one pixel. */
static void test_tiny_views(void **state) {
    (void)state;
    fov_recipe recipe;
    parse("crop(1) flip(1) jitter(1) gray(1) blur(1,0.1,2,9) pilblur(1,0.1,2) solarize(1) vflip(1)", &recipe);
    fov_augmenter *augmenter = new_augmenter();
    fov_image image = make_picture(9, 5, 2);
    uint8_t out[3];
    views_of(augmenter, &recipe, &image, 1, 1, 1, out, NULL);
    assert_true(out[0] == out[1] && out[1] == out[2]);
    free(image.pixels);
    fov_augmenter_free(augmenter);
}

/* The central window of a resize is the same part of the whole resize. */
static void test_window(void **state) {
    (void)state;
    fov_augmenter *augmenter = new_augmenter();
    fov_image image = make_picture(61, 43, 3);
    fov_preprocess preprocess = {.image_size = 16, .resize = 21, .interpolation = FOV_BICUBIC};
    static uint8_t whole[3 * 29 * 21], part[3 * 16 * 16];
    assert_int_equal(fov_image_resize(augmenter, &image, 29, 21, FOV_BICUBIC, whole), FOV_OK);
    assert_int_equal(fov_preprocess_apply(augmenter, &preprocess, &image, part), FOV_OK);
    for (size_t y = 0; y < 16; y++) { /* tops: round(2.5) = 2, round(6.5) = 6 */
        assert_memory_equal(part + 3 * 16 * y, whole + 3 * (29 * (y + 2) + 6), 3 * 16);
    }
    free(image.pixels);
    fov_augmenter_free(augmenter);
}

static void test_preprocess_default(void **state) {
    (void)state;
    static const size_t sizes[][2] = {{32, 32}, {64, 64}, {95, 95}, {96, 109}, {128, 146}, {224, 256}};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        fov_preprocess preprocess;
        fov_preprocess_default(sizes[i][0], &preprocess);
        assert_int_equal(preprocess.resize, sizes[i][1]);
        assert_int_equal(preprocess.image_size, sizes[i][0]);
        assert_int_equal(preprocess.interpolation, FOV_BILINEAR);
        assert_true(preprocess.mean[0] == 0.485 && preprocess.std[2] == 0.225);
    }
}

static void test_refusals(void **state) {
    (void)state;
    uint8_t out[64], pixels[3] = {0};
    uint8_t *const outputs[] = {out};
    const fov_image empty = {.pixels = pixels, .width = 0, .height = 4, .channels = 3};
    const fov_image grey = {.pixels = pixels, .width = 1, .height = 1, .channels = 0};
    const fov_image dot = {.pixels = pixels, .width = 1, .height = 1, .channels = 3};
    fov_augmenter *augmenter = new_augmenter();
    fov_preprocess preprocess;
    fov_recipe recipe;
    fov_preprocess_default(4, &preprocess);
    parse("crop(4)", &recipe);
    assert_int_equal(fov_augment_views(augmenter, &recipe, &empty, 1, 1, 1, outputs), FOV_E_INVALID);
    assert_string_equal(fov_last_error(), "views are made from pictures with pixels, got 0 x 4 x 3");
    assert_int_equal(fov_augment_views(augmenter, &recipe, &grey, 1, 1, 1, outputs), FOV_E_INVALID);
    assert_int_equal(fov_preprocess_apply(augmenter, &preprocess, &empty, out), FOV_E_INVALID);
    assert_int_equal(fov_image_resize(augmenter, &dot, 0, 4, FOV_BILINEAR, out), FOV_E_INVALID);
    assert_int_equal(fov_image_resize(augmenter, &grey, 4, 4, FOV_BILINEAR, out), FOV_E_INVALID);
    preprocess.resize = 3;
    assert_int_equal(fov_preprocess_apply(augmenter, &preprocess, &dot, out), FOV_E_INVALID);
    assert_string_equal(fov_last_error(),
                        "preprocessing resizes the shorter side to 3 but crops 4; the crop must be from 1 to that side");
    fov_augmenter_free(augmenter);
}

/* Whichever allocation fails, the failure is reported, and the next try on the same augmenter gives the right bytes. */
static void test_memory_runs_out(void **state) {
    (void)state;
    static uint8_t right[BYTES_A + BYTES_B], again[BYTES_A + BYTES_B];
    fov_recipe recipe;
    parse("crop(24) vflip(1) blur(1,0.1,2) jitter(1) | crop(16) pilblur(1,1,2) gray(1)", &recipe);
    fov_image image = make_picture(30, 40, 8);
    fov_augmenter *augmenter = new_augmenter();
    views_of(augmenter, &recipe, &image, 1, 1, 1, right, right + BYTES_A);
    fov_augmenter_free(augmenter);
    uint8_t *const outputs[] = {again, again + BYTES_A};
    size_t failures = 0;
    for (uint64_t n = 1;; n++) {
        fov_augmenter *fresh = NULL;
        fov_mem_fail_at(n, 0);
        fov_status status = fov_augmenter_new(&fresh);
        if (status == FOV_OK) {
            status = fov_augment_views(fresh, &recipe, &image, 1, 1, 1, outputs);
        }
        fov_mem_fail_at(0, 0);
        if (status == FOV_OK) {
            fov_augmenter_free(fresh);
            break;
        }
        assert_int_equal(status, FOV_E_NOMEM);
        failures++;
        if (fresh != NULL) {
            views_of(fresh, &recipe, &image, 1, 1, 1, again, again + BYTES_A);
            assert_memory_equal(again, right, sizeof right);
        }
        fov_augmenter_free(fresh);
    }
    assert_true(failures >= 8);
    free(image.pixels);
}

static void test_sets_agree(void **state) {
    (void)state;
    static const char *const sets[] = {"c", "avx2", "avx512", "avx512vnni"};
    static uint8_t first[BYTES_A + BYTES_B], other[BYTES_A + BYTES_B];
    fov_recipe recipe;
    parse(FULL, &recipe);
    fov_augmenter *augmenter = new_augmenter();
    for (uint64_t sample = 0; sample < 30; sample++) {
        fov_image image = make_picture(11 + sample * 3, 90 - sample, sample);
        for (size_t s = 0; s < 4; s++) {
            const fov_pixel_loops *loops = fov_pixel_loops_named(sets[s]);
            if (loops == NULL) {
                continue;
            }
            augmenter->loops = loops;
            uint8_t *out = s == 0 ? first : other;
            views_of(augmenter, &recipe, &image, 1, 1, sample, out, out + BYTES_A);
            assert_memory_equal(out, first, sizeof first);
        }
        free(image.pixels);
    }
    fov_augmenter_free(augmenter);
}

static void test_reflect(void **state) {
    (void)state;
    static const size_t expected[] = {1, 0, 1, 2, 3, 2, 1, 0, 1, 2};
    for (ptrdiff_t i = -1; i < 9; i++) {
        assert_int_equal(fov_reflect(i, 4), expected[i + 1]);
        assert_int_equal(fov_reflect(i, 1), 0);
    }
    assert_int_equal(fov_reflect(-7, 4), 1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_same_in_any_order), cmocka_unit_test(test_streams_differ),    cmocka_unit_test(test_crop_distribution),
        cmocka_unit_test(test_crop_falls_back),   cmocka_unit_test(test_probabilities),     cmocka_unit_test(test_jitter_draws),
        cmocka_unit_test(test_jitter_leaves_out), cmocka_unit_test(test_flips_undo),        cmocka_unit_test(test_flip_folded),
        cmocka_unit_test(test_odd_shapes),        cmocka_unit_test(test_tiny_views),        cmocka_unit_test(test_window),
        cmocka_unit_test(test_preprocess_default), cmocka_unit_test(test_refusals),         cmocka_unit_test(test_memory_runs_out),
        cmocka_unit_test(test_sets_agree),        cmocka_unit_test(test_reflect),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
