/* Every step on pictures of random size, channels and depth, in every instruction set, against portable C; the loops that steps do not
 * reach one by one; and resizes of parts and strips, which must not depend on these. tests/unit/test_pixels_sweep.c goes on for longer. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "pixel_case.h"
#include "strip_case.h"

static fov_augmenter *new_augmenter(void) {
    fov_augmenter *augmenter;
    assert_int_equal(fov_augmenter_new(&augmenter), FOV_OK);
    return augmenter;
}

static void test_steps(void **state) {
    (void)state;
    fov_augmenter *augmenter = new_augmenter();
    for (size_t a = 0; fov_augment_at(a) != NULL; a++) {
        const fov_augment *augment = fov_augment_at(a);
        pixel_tally tally = {0, 0, 0};
        for (uint64_t i = 0; i < 150 && !augment->mixes; i++) {
            assert_true(pixel_run(augmenter, augment, i, &tally));
            if (tally.differing > 0) {
                fail_msg("step %s differs on picture %zu", augment->name, tally.pictures - 1);
            }
        }
    }
    fov_augmenter_free(augmenter);
}

/* Copies the part [left, left + width) x [top, top + height) of a frame. */
static fov_image cut(const fov_image *whole, size_t left, size_t top, size_t width, size_t height) {
    const size_t pixel = fov_pixel_bytes(fov_image_format(whole));
    fov_image part = *whole;
    part.left = left;
    part.top = top;
    part.width = width;
    part.height = height;
    part.pixels = malloc(width * height * pixel);
    assert_non_null(part.pixels);
    for (size_t y = 0; y < height; y++) {
        memcpy(part.pixels + y * width * pixel, whole->pixels + ((top + y) * whole->width + left) * pixel, width * pixel);
    }
    return part;
}

/* The part mirrored at its diagonal. */
static fov_image lay_sideways(const fov_image *part) {
    const size_t pixel = fov_pixel_bytes(fov_image_format(part));
    fov_image lying = strip_sideways(part);
    lying.pixels = malloc(part->width * part->height * pixel);
    assert_non_null(lying.pixels);
    for (size_t i = 0; i < part->width * part->height; i++) {
        const size_t x = i % part->width, y = i / part->width;
        memcpy(lying.pixels + (x * part->height + y) * pixel, part->pixels + i * pixel, pixel);
    }
    return lying;
}

/* The part with rows of planes. */
static fov_image lay_planes(const fov_image *part) {
    fov_image planes = *part;
    const size_t samples = part->width * part->channels;
    planes.planar = true;
    planes.pixels = malloc(part->height * samples);
    assert_non_null(planes.pixels);
    for (size_t i = 0; i < part->height * samples; i++) {
        const size_t at = i % samples;
        planes.pixels[i - at + at % part->channels * part->width + at / part->channels] = part->pixels[i];
    }
    return planes;
}

/* The part again in strips of any heights, which overlap as a decoder's do, downwards or upwards, in any lane. */
static void resize_strips(fov_augmenter *augmenter, fov_rng *rng, const fov_image *part, bool sideways, const fov_resize *z, uint8_t *out) {
    const size_t row_bytes = part->width * fov_pixel_bytes(fov_image_format(part)), lane = pixel_below(rng, FOV_MAX_VIEWS);
    fov_strip strip = {.image = *part, .first = true, .upward = pixel_below(rng, 2) == 0, .sideways = sideways};
    for (size_t done = 0; done < part->height; strip.first = false) {
        const size_t keep = done < FOV_STRIP_OVERLAP ? done : FOV_STRIP_OVERLAP, left = part->height - done;
        const size_t more = 1 + pixel_below(rng, left < 30 ? left : 30);
        const size_t rows = (strip.first || keep == FOV_STRIP_OVERLAP ? more : left) + keep; /* a first one is never that short */
        const size_t top = strip.upward ? part->height - done + keep - rows : done - keep;
        strip.image.pixels = part->pixels + top * row_bytes;
        strip.image.top = part->top + top;
        strip.image.height = rows;
        if (strip.first) {
            assert_int_equal(fov_resize_begin(augmenter, lane, &strip, z, out), FOV_OK);
        }
        fov_resize_feed(augmenter, lane, &strip.image);
        done += rows - keep;
    }
}

/* The same box from the whole frame and from a part that holds it, at any shrink: the same bytes, in every set. */
static void check_part(fov_augmenter *augmenter, fov_rng *rng) {
    static uint8_t expected[40 * 40 * 64], out[40 * 40 * 64];
    const size_t width = pixel_side(rng), height = pixel_side(rng), shrink = (size_t)1 << pixel_below(rng, 4);
    fov_image frame = pixel_picture(rng, pixel_format(rng, FOV_PIXELS_ANY), (width + shrink - 1) / shrink, (height + shrink - 1) / shrink);
    assert_non_null(frame.pixels);
    frame.shrink = (unsigned)shrink;
    frame.full_width = width;
    frame.full_height = height;
    fov_resize z = {.interpolation = pixel_below(rng, 2) == 0 ? FOV_BILINEAR : FOV_BICUBIC, .mirror = pixel_below(rng, 2) == 0};
    z.left = pixel_below(rng, width);
    z.top = pixel_below(rng, height);
    z.width = 1 + pixel_below(rng, width - z.left);
    z.height = 1 + pixel_below(rng, height - z.top);
    z.window_width = z.out_width = 1 + pixel_below(rng, 40);
    z.window_height = z.out_height = 1 + pixel_below(rng, 40);
    const size_t left = pixel_below(rng, z.left / shrink + 1), top = pixel_below(rng, z.top / shrink + 1);
    const size_t right = (z.left + z.width + shrink - 1) / shrink, bottom = (z.top + z.height + shrink - 1) / shrink;
    fov_image part = cut(&frame, left, top, right + pixel_below(rng, frame.width - right + 1) - left,
                         bottom + pixel_below(rng, frame.height - bottom + 1) - top);
    const size_t bytes = z.out_width * z.out_height * fov_pixel_bytes(fov_image_format(&frame));
    for (size_t s = 0; s < PIXEL_SETS; s++) {
        augmenter->loops = fov_pixel_loops_named(pixel_sets[s]);
        if (augmenter->loops != NULL) {
            assert_int_equal(fov_resize_apply(augmenter, &frame, &z, expected), FOV_OK);
            assert_int_equal(fov_resize_apply(augmenter, &part, &z, out), FOV_OK);
            assert_memory_equal(out, expected, bytes);
            memset(out, 0xA5, bytes);
            resize_strips(augmenter, rng, &part, false, &z, out);
            assert_memory_equal(out, expected, bytes);
            if (!frame.deep) {
                fov_image planes = lay_planes(&part);
                memset(out, 0xA5, bytes);
                assert_int_equal(fov_resize_apply(augmenter, &planes, &z, out), FOV_OK);
                assert_memory_equal(out, expected, bytes);
                memset(out, 0xA5, bytes);
                resize_strips(augmenter, rng, &planes, false, &z, out);
                free(planes.pixels);
                assert_memory_equal(out, expected, bytes);
                fov_image lying = lay_sideways(&part);
                memset(out, 0xA5, bytes);
                resize_strips(augmenter, rng, &lying, true, &z, out);
                free(lying.pixels);
                assert_memory_equal(out, expected, bytes);
            }
        }
    }
    free(frame.pixels);
    free(part.pixels);
}

static void test_parts(void **state) {
    (void)state;
    fov_augmenter *augmenter = new_augmenter();
    for (uint64_t i = 0; i < 400; i++) {
        fov_rng rng;
        fov_rng_init(&rng, 78, 0, i, 0, FOV_RNG_TEST);
        check_part(augmenter, &rng);
    }
    fov_augmenter_free(augmenter);
}

/* Evaluation's preprocessing of a shrunk part plans by the full size: its box is the picture, not the part. */
static void test_preprocess_shrunk(void **state) {
    (void)state;
    fov_augmenter *augmenter = new_augmenter();
    fov_rng rng;
    fov_rng_init(&rng, 79, 0, 0, 0, FOV_RNG_TEST);
    fov_image frame = pixel_picture(&rng, (fov_pixel_format){.channels = 2, .deep = true}, 51, 40);
    frame.shrink = 2;
    frame.full_width = 101;
    frame.full_height = 80;
    const fov_preprocess preprocess = {.image_size = 12, .resize = 16, .interpolation = FOV_BICUBIC};
    fov_resize z;
    fov_resize_center(101, 80, 16, 12, FOV_BICUBIC, &z);
    static uint8_t out[12 * 12 * 4], expected[12 * 12 * 4];
    assert_int_equal(fov_preprocess_apply(augmenter, &preprocess, &frame, out), FOV_OK);
    assert_int_equal(fov_resize_apply(augmenter, &frame, &z, expected), FOV_OK);
    assert_memory_equal(out, expected, sizeof out);
    free(frame.pixels);
    fov_augmenter_free(augmenter);
}

/* The loop with a result of its own: the sum of greys. */
static void test_luma(void **state) {
    (void)state;
    fov_rng rng;
    fov_rng_init(&rng, 80, 0, 0, 0, FOV_RNG_TEST);
    for (size_t n = 1; n <= 200; n++) {
        const size_t pixels = n < 200 ? n : ((size_t)1 << 20) + 77; /* more than are summed at once */
        fov_image image = pixel_picture(&rng, (fov_pixel_format){.channels = 3}, pixels, 1);
        for (size_t s = 0; s < PIXEL_SETS; s++) {
            const fov_pixel_loops *loops = fov_pixel_loops_named(pixel_sets[s]);
            if (loops == NULL) {
                continue;
            }
            uint64_t sum = 0;
            for (size_t i = 0; i < pixels; i++) {
                const uint8_t *p = image.pixels + 3 * i;
                sum += (19595U * p[0] + 38470U * p[1] + 7471U * p[2] + 0x8000U) >> 16;
            }
            assert_true(sum == loops->pixel_luma_sum(image.pixels, pixels));
        }
        free(image.pixels);
    }
}

/* Blurs of every number of taps, each of which is a loop of its own in some sets. */
static void test_blur_taps(void **state) {
    (void)state;
    fov_augmenter *augmenter = new_augmenter();
    fov_rng rng;
    fov_rng_init(&rng, 82, 0, 0, 0, FOV_RNG_TEST);
    for (size_t taps = 1; taps <= 33; taps += 2) {
        for (size_t channels = 1; channels <= 4; channels++) {
            fov_image image = pixel_picture(&rng, (fov_pixel_format){.channels = channels}, 20 + pixel_below(&rng, 60), 30);
            const size_t bytes = image.width * image.height * channels;
            const fov_augment_plan plan = {.applies = true, .value = {9.0, (double)taps}};
            uint8_t *expected = malloc(bytes), *out = malloc(bytes);
            assert_true(expected != NULL && out != NULL);
            for (size_t s = 0; s < PIXEL_SETS; s++) {
                augmenter->loops = fov_pixel_loops_named(pixel_sets[s]);
                if (augmenter->loops != NULL) {
                    assert_int_equal(fov_augment_named("blur")->apply(&plan, &image, augmenter, s == 0 ? expected : out), FOV_OK);
                    assert_memory_equal(s == 0 ? expected : out, expected, bytes);
                }
            }
            free(expected);
            free(out);
            free(image.pixels);
        }
    }
    fov_augmenter_free(augmenter);
}

/* Steps that say so work in place. */
static void test_in_place(void **state) {
    (void)state;
    fov_rng rng;
    fov_rng_init(&rng, 81, 0, 0, 0, FOV_RNG_TEST);
    const size_t pixels = 333;
    fov_image image = pixel_picture(&rng, (fov_pixel_format){.channels = 3}, pixels, 1);
    uint8_t table[256], out[999], in_place[999];
    for (size_t i = 0; i < 256; i++) {
        table[i] = (uint8_t)pixel_below(&rng, 256);
    }
    for (size_t s = 0; s < PIXEL_SETS; s++) {
        const fov_pixel_loops *loops = fov_pixel_loops_named(pixel_sets[s]);
        for (size_t loop = 0; loops != NULL && loop < 4; loop++) {
            memcpy(in_place, image.pixels, sizeof in_place);
            const uint8_t *from[2] = {image.pixels, in_place};
            uint8_t *to[2] = {out, in_place};
            for (size_t k = 0; k < 2; k++) {
                if (loop == 0) {
                    loops->pixel_table(from[k], 3 * pixels, table, to[k]);
                } else if (loop == 1) {
                    loops->pixel_gray(from[k], pixels, to[k]);
                } else if (loop == 2) {
                    loops->pixel_saturate(from[k], pixels, 1.7F, to[k]);
                } else {
                    loops->pixel_hue(from[k], pixels, 9, to[k]);
                }
            }
            assert_memory_equal(out, in_place, sizeof out);
            assert_memory_not_equal(out, image.pixels, sizeof out);
        }
    }
    free(image.pixels);
}

/* Steps on channels other than three do what their files say. */
static void test_jitter_without_colour(void **state) {
    (void)state;
    fov_augmenter *augmenter = new_augmenter();
    uint8_t pixels[8] = {0, 100, 50, 200, 10, 90, 247, 100}, out[8];
    const fov_image image = {.pixels = pixels, .width = 4, .height = 1, .channels = 2};
    fov_augment_plan plan = {.applies = true, .value = {1.0, 0.5, 0.3, 0.2}, .order = {3, 1, 2}, .order_count = 3};
    assert_int_equal(fov_augment_named("jitter")->apply(&plan, &image, augmenter, out), FOV_OK);
    for (size_t i = 0; i < 8; i++) { /* the mean of all samples is 99.6 */
        assert_int_equal(out[i], (pixels[i] + 100) / 2);
    }
    plan.order_count = 1; /* hue alone: nothing is left to do */
    assert_int_equal(fov_augment_named("jitter")->apply(&plan, &image, augmenter, out), FOV_OK);
    assert_memory_equal(out, pixels, sizeof pixels);
    fov_augmenter_free(augmenter);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_steps),     cmocka_unit_test(test_parts),    cmocka_unit_test(test_preprocess_shrunk),
        cmocka_unit_test(test_luma),      cmocka_unit_test(test_in_place), cmocka_unit_test(test_jitter_without_colour),
        cmocka_unit_test(test_blur_taps),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
