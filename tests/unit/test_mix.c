/* Mixing the pictures of a batch: against the plain formula, for bytes and words, odd batches and every lambda; drawn once a batch; and in
 * the loader the same with any number of threads, which is what mixing its unmixed batch gives. */
#include <ftw.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "augment/augment.h"
#include "base/io.h"
#include "data/loader.h"

#define SIDE 6
#define MOST 5 /* pictures */
#define CHANNELS 3
#define SAMPLES (SIDE * SIDE * CHANNELS)

static void fill(uint16_t *values, size_t count, unsigned largest) {
    fov_rng rng;
    fov_rng_init(&rng, largest, 0, 0, 0, FOV_RNG_TEST);
    for (size_t i = 0; i < count; i++) {
        const uint64_t kind = fov_rng_below(&rng, 8);
        values[i] = (uint16_t)(kind == 0 ? 0 : kind == 1 ? largest : fov_rng_below(&rng, largest + 1));
    }
}

/* What sample i of picture p becomes, from the definition alone. */
static unsigned expected(const fov_mix *mix, const uint16_t *values, size_t count, size_t p, size_t i) {
    const size_t x = i / CHANNELS % SIDE, y = i / CHANNELS / SIDE;
    const unsigned own = values[p * SAMPLES + i], other = values[(count - 1 - p) * SAMPLES + i];
    if (mix->kind == FOV_MIX_MIXUP) {
        return (unsigned)floor(mix->lambda * own + (1.0 - mix->lambda) * other + 0.5); /* exact: lambda has 16 bits */
    }
    const bool inside = x >= mix->left && x < mix->left + mix->width && y >= mix->top && y < mix->top + mix->height;
    return mix->kind == FOV_MIX_CUTMIX && inside ? other : own;
}

static void check_mix(const fov_mix *mix, size_t count, bool deep) {
    static uint16_t values[MOST * SAMPLES], mixed[MOST * SAMPLES];
    uint8_t *bytes = (uint8_t *)mixed;
    fill(values, count * SAMPLES, deep ? 65535 : 255);
    for (size_t i = 0; i < count * SAMPLES; i++) {
        if (deep) {
            mixed[i] = values[i];
        } else {
            bytes[i] = (uint8_t)values[i];
        }
    }
    fov_mix_apply(mix, bytes, count, SIDE, (fov_pixel_format){.channels = CHANNELS, .deep = deep});
    for (size_t p = 0; p < count; p++) {
        for (size_t i = 0; i < SAMPLES; i++) {
            const size_t at = p * SAMPLES + i;
            assert_int_equal(deep ? mixed[at] : bytes[at], expected(mix, values, count, p, i));
        }
    }
}

static void test_formula(void **state) {
    (void)state;
    static const double lambdas[] = {0.0, 1.0 / 65536, 0.25, 0.3000030517578125, 0.5, 0.999984741210937500, 1.0};
    for (size_t count = 1; count <= MOST; count++) {
        for (int deep = 0; deep < 2; deep++) {
            for (size_t k = 0; k < sizeof lambdas / sizeof lambdas[0]; k++) {
                check_mix(&(fov_mix){.kind = FOV_MIX_MIXUP, .lambda = lambdas[k]}, count, deep);
            }
            check_mix(&(fov_mix){.kind = FOV_MIX_NONE, .lambda = 1.0, .width = SIDE, .height = SIDE}, count, deep);
            check_mix(&(fov_mix){.kind = FOV_MIX_CUTMIX, .left = 1, .top = 2, .width = 3, .height = 4}, count, deep);
            check_mix(&(fov_mix){.kind = FOV_MIX_CUTMIX, .left = 0, .top = 0, .width = SIDE, .height = SIDE}, count, deep);
            check_mix(&(fov_mix){.kind = FOV_MIX_CUTMIX, .left = 5, .top = 5, .width = 0, .height = 1}, count, deep);
        }
    }
}

static fov_recipe recipe_of(const char *text) {
    fov_recipe recipe;
    if (fov_recipe_parse(text, &recipe) != FOV_OK) {
        fail_msg("%s", fov_last_error());
    }
    return recipe;
}

/* Boxes lie inside and are what lambda says; lambda of mixup is whole 65536ths; extreme alphas give numbers. */
static void test_draws(void **state) {
    (void)state;
    static const char *const texts[] = {"resize(33) mixup(1,0.01)",  "resize(33) mixup(1,100)", "resize(33) mixup(1,1)",
                                        "resize(33) cutmix(1,0.01)", "resize(33) cutmix(1,1)",  "resize(1) cutmix(1,1)"};
    for (size_t t = 0; t < sizeof texts / sizeof texts[0]; t++) {
        const fov_recipe recipe = recipe_of(texts[t]);
        const size_t side = recipe.view[0].image_size;
        for (uint64_t step = 0; step < 3000; step++) {
            const fov_mix mix = fov_mix_draw(&recipe.view[0], 1, 2, step, 0);
            assert_true(mix.lambda >= 0.0 && mix.lambda <= 1.0);
            if (t < 3) {
                assert_int_equal(mix.kind, FOV_MIX_MIXUP);
                assert_true(mix.lambda * 65536 == floor(mix.lambda * 65536));
            } else {
                assert_int_equal(mix.kind, FOV_MIX_CUTMIX);
                assert_true(mix.left + mix.width <= side && mix.top + mix.height <= side);
                assert_true(fabs((1.0 - mix.lambda) * (double)(side * side) - (double)(mix.width * mix.height)) < 1e-9);
            }
        }
    }
}

/* The first step that applies is done: half mixup, the rest cutmix. Names of streams all matter. */
static void test_choice(void **state) {
    (void)state;
    const fov_recipe recipe = recipe_of("resize(16) flip(0.5) mixup(0.5,1) cutmix(0.5,1)");
    size_t count[3] = {0};
    for (uint64_t step = 0; step < 4000; step++) {
        count[fov_mix_draw(&recipe.view[0], 1, 0, step, 0).kind]++;
    }
    assert_true(count[FOV_MIX_MIXUP] > 1840 && count[FOV_MIX_MIXUP] < 2160); /* five standard errors */
    assert_true(count[FOV_MIX_CUTMIX] > 860 && count[FOV_MIX_CUTMIX] < 1140);
    const fov_recipe sure = recipe_of("resize(16) mixup(1,1)");
    const double first = fov_mix_draw(&sure.view[0], 1, 2, 3, 0).lambda;
    assert_true(first == fov_mix_draw(&sure.view[0], 1, 2, 3, 0).lambda);
    assert_true(first != fov_mix_draw(&sure.view[0], 9, 2, 3, 0).lambda && first != fov_mix_draw(&sure.view[0], 1, 9, 3, 0).lambda);
    assert_true(first != fov_mix_draw(&sure.view[0], 1, 2, 9, 0).lambda && first != fov_mix_draw(&sure.view[0], 1, 2, 3, 9).lambda);
    const fov_recipe plain = recipe_of("resize(16) flip(0.5)");
    assert_int_equal(fov_mix_draw(&plain.view[0], 1, 2, 3, 0).kind, FOV_MIX_NONE);
    assert_null(fov_recipe_mixes(&plain));
    assert_string_equal(fov_recipe_mixes(&recipe), "mixup");
}

/* ---- in the loader ---- */

#define PICTURES 11
#define BATCH 4
#define STEPS 7
#define VIEW_BYTES (BATCH * 16 * 16 * 3)

static int remove_one(const char *path, const struct stat *info, int type, struct FTW *walk) {
    (void)info, (void)type, (void)walk;
    return remove(path);
}

static void make_pictures(const char *top) {
    assert_int_equal(fov_io_mkdir(top, true), FOV_OK);
    for (size_t p = 0; p < PICTURES; p++) {
        uint8_t pixels[20 * 18 * 3];
        char path[600];
        for (size_t i = 0; i < sizeof pixels; i++) {
            pixels[i] = (uint8_t)(i * (p + 3) / 5 + p * 21);
        }
        (void)snprintf(path, sizeof path, "%s/%02zu.png", top, p);
        assert_int_equal(fov_image_write_png(path, pixels, 20, 18, (fov_pixel_format){0}), FOV_OK);
    }
}

static void load_all(const fov_index *index, const char *text, unsigned threads, uint8_t *views, fov_mix *mixes) {
    const fov_recipe recipe = recipe_of(text);
    const fov_loader_options options = {.batch_size = BATCH, .threads = threads, .seed = 5, .last_step = STEPS};
    fov_loader *loader;
    assert_int_equal(fov_loader_new(&loader, index, &recipe, &options), FOV_OK);
    for (size_t step = 0; step < STEPS; step++) {
        const fov_batch *batch;
        assert_int_equal(fov_loader_next(loader, &batch), FOV_OK);
        for (size_t v = 0; v < 2; v++) {
            memcpy(views + (2 * step + v) * VIEW_BYTES, batch->view[v], VIEW_BYTES);
            mixes[2 * step + v] = batch->mix[v];
        }
        fov_loader_give_back(loader, batch);
    }
    fov_loader_free(loader);
}

static void test_loader(void **state) {
    (void)state;
    char top[512];
    (void)snprintf(top, sizeof top, "%s/mix-%ld", FOV_TEST_TEMP, (long)getpid());
    make_pictures(top);
    static uint8_t plain[2 * STEPS * VIEW_BYTES], mixed[2 * STEPS * VIEW_BYTES];
    static fov_mix mixes[2 * STEPS];
    const char *root = top;
    const fov_scan_options scan = {.verify = true};
    fov_index *index;
    assert_int_equal(fov_index_scan(&index, &root, 1, &scan, NULL), FOV_OK);
    load_all(index, "crop(16) flip(0.5) | crop(16) flip(0.5)", 2, plain, mixes);
    for (size_t i = 0; i < 2 * STEPS; i++) {
        assert_int_equal(mixes[i].kind, FOV_MIX_NONE);
        assert_true(mixes[i].lambda == 1.0);
    }
    const char *text = "crop(16) flip(0.5) mixup(0.7,1) | crop(16) flip(0.5) cutmix(1,1)";
    const fov_recipe recipe = recipe_of(text);
    for (unsigned threads = 1; threads <= 5; threads += 2) {
        size_t mixups = 0;
        load_all(index, text, threads, mixed, mixes);
        for (size_t i = 0; i < 2 * STEPS; i++) {
            const fov_mix wanted = fov_mix_draw(&recipe.view[i % 2], 5, i / 2 / (PICTURES / BATCH), i / 2, (unsigned)(i % 2));
            static uint8_t again[VIEW_BYTES];
            mixups += mixes[i].kind == FOV_MIX_MIXUP;
            memcpy(again, plain + i * VIEW_BYTES, VIEW_BYTES);
            fov_mix_apply(&mixes[i], again, BATCH, 16, (fov_pixel_format){.channels = 3});
            assert_memory_equal(again, mixed + i * VIEW_BYTES, VIEW_BYTES);
            assert_int_equal(mixes[i].kind, wanted.kind);
            assert_true(mixes[i].lambda == wanted.lambda && mixes[i].left == wanted.left && mixes[i].height == wanted.height);
        }
        assert_true(mixups > 0 && mixups < STEPS);
    }
    fov_index_free(index);
    (void)nftw(top, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_formula),
        cmocka_unit_test(test_draws),
        cmocka_unit_test(test_choice),
        cmocka_unit_test(test_loader),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
