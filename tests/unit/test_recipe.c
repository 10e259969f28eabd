/* Recipes as text: what is read is what is written, and every mistake is named with its place, its value and a way out. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "augment/augment.h"

static void expect_text(const char *read, const char *written) {
    fov_recipe recipe;
    fov_text text;
    if (fov_recipe_parse(read, &recipe) != FOV_OK) {
        fail_msg("'%s': %s", read, fov_last_error());
    }
    fov_text_init(&text);
    fov_recipe_text(&recipe, &text);
    assert_int_equal(text.status, FOV_OK);
    assert_string_equal(text.data, written);
    fov_text_clear(&text);
}

static void test_round_trip(void **state) {
    (void)state;
    static const char *const recipes[] = {
        "crop(64,0.08,1,bicubic) flip(0.5) jitter(0.8,0.4,0.4,0.2,0.1) gray(0.2) blur(0.5,0.1,2)",
        "crop(224,0.2,1,bilinear) flip(0.5) | crop(96,0.05,0.14,bicubic,0.5,2) vflip(0.25) pilblur(1,0.1,2) solarize(0.2,128)",
        "resize(32,bicubic)",
        "resize(8192,bilinear) blur(1,0.1,2,23)",
        "crop(1,0,1,bilinear,0.75,1.5) jitter(0.123456789012345,16,0,0,0.5)",
        "2 * crop(224,0.4,1,bicubic) flip(0.5) | 8 * crop(96,0.05,0.4,bicubic) gray(0.2)",
        "resize(8,bilinear) | resize(8,bilinear) | 2 * resize(8,bilinear) | resize(8,bilinear)",
        "16 * resize(8,bilinear)",
        "resize(32,bilinear) posterize(0.5,4) equalize(0.1) autocontrast(0.1) invert(0.1) sharpness(0.5,2) rotate90(1) rotate(1,30,bilinear)",
        "resize(32,bilinear) erase(0.25,0.02,0.33,0.3,3.3,noise) randaugment(1,9,0.5,2,0.5) mixup(0.5,0.8) cutmix(1,1)",
        "resize(32,bilinear) erase(0.25,0.02,0.33,0.3,3.3,128)",
    };
    for (size_t i = 0; i < sizeof recipes / sizeof recipes[0]; i++) {
        expect_text(recipes[i], recipes[i]);
    }
}

static void test_fallbacks_and_spaces(void **state) {
    (void)state;
    expect_text("crop(64)", "crop(64,0.08,1,bilinear)");
    expect_text("crop(64,0.2) flip gray() jitter(1)", "crop(64,0.2,1,bilinear) flip(0.5) gray(0.2) jitter(1,0.4,0.4,0.4,0.1)");
    expect_text("  resize ( 16 )|resize(16)\n\tvflip  ", "resize(16,bilinear) | resize(16,bilinear) vflip(0.5)");
    expect_text("crop(64 , 5e-1, 1.0 , bicubic)blur( 0.5 )solarize", "crop(64,0.5,1,bicubic) blur(0.5,0.1,2) solarize(0.2,128)");
    expect_text("crop(64,0.08,1,bicubic,0.75,1.3333333333333333)", "crop(64,0.08,1,bicubic)");
    expect_text("2*resize(16)|1 * resize(8) | 03 *  resize(4)", "2 * resize(16,bilinear) | resize(8,bilinear) | 3 * resize(4,bilinear)");
}

static void test_parsed_values(void **state) {
    (void)state;
    fov_recipe recipe;
    assert_int_equal(fov_recipe_parse("crop(48,0.1,0.9,bicubic) blur(0.5,0.3,1.5) | resize(40)", &recipe), FOV_OK);
    assert_int_equal(recipe.view_count, 2);
    assert_int_equal(recipe.view[0].image_size, 48);
    assert_int_equal(recipe.view[0].step_count, 2);
    assert_string_equal(recipe.view[0].step[0].augment->name, "crop");
    assert_true(recipe.view[0].step[0].param[0] == 0.1 && recipe.view[0].step[0].param[1] == 0.9);
    assert_true(recipe.view[0].step[0].param[2] == (double)FOV_BICUBIC);
    assert_true(recipe.view[0].step[0].param[3] == 3.0 / 4.0 && recipe.view[0].step[0].param[4] == 4.0 / 3.0);
    assert_string_equal(recipe.view[0].step[1].augment->name, "blur");
    assert_true(recipe.view[0].step[1].param[0] == 0.5 && recipe.view[0].step[1].param[1] == 0.3 && recipe.view[0].step[1].param[3] == 0.0);
    assert_int_equal(recipe.view[1].image_size, 40);
}

static void test_mistakes(void **state) {
    (void)state;
    static const struct {
        const char *recipe, *message;
    } mistakes[] = {
        {"", "view 1, step 1: the recipe ends where the name of a step should stand"},
        {"crop(64) |", "view 2, step 1: the recipe ends where the name of a step should stand"},
        {"| crop(64)", "view 1, step 1: '| crop(64)' stands where the name of a step should"},
        {"crop(64), flip(0.5)", "view 1, step 2: ', flip(0.5)' stands where the name of a step should"},
        {"corp(64)", "view 1, step 1: there is no step 'corp'; did you mean 'crop'?"},
        {"crop(64) jiter(0.8)", "view 1, step 2: there is no step 'jiter'; did you mean 'jitter'?"},
        {"crop(64) | crop(64) grey", "view 2, step 2: there is no step 'grey'; did you mean 'gray'?"},
        {"crop(64) cutout(3)",
         "view 1, step 2: there is no step 'cutout'; later steps are flip, vflip, jitter, gray, blur, pilblur, solarize, "
         "posterize, equalize, autocontrast, invert, sharpness, rotate90, rotate, erase, randaugment, mixup, cutmix"},
        {"cutout(3)", "view 1, step 1: there is no step 'cutout'; first steps are crop, resize"},
        {"crop(64) abcdefghijklmnopqrstuvwxyzabcdefghij",
         "view 1, step 2: there is no step 'abcdefghijklmnopqrstuvwxyzabcde...'; names are shorter"},
        {"flip(0.5)",
         "view 1, step 1: 'flip' cannot open a view; the first step is one of crop, resize with the view's size, as crop(64)"},
        {"crop(64) flip resize(32)", "view 1, step 3: 'resize' opens a view and stands first in it only; later steps are flip, vflip, "
                                     "jitter, gray, blur, pilblur, solarize, posterize, equalize, autocontrast, invert, sharpness, rotate90, "
                                     "rotate, erase, randaugment, mixup, cutmix"},
        {"crop", "view 1, step 1: crop: the size of the view is missing; write crop(64)"},
        {"resize()", "view 1, step 1: resize: the size of the view is missing; write resize(64)"},
        {"crop(0)", "view 1, step 1: crop: size is '0', must be a whole number from 1 to 8192"},
        {"crop(64.5)", "view 1, step 1: crop: size is '64.5', must be a whole number from 1 to 8192"},
        {"crop(8193)", "view 1, step 1: crop: size is '8193', must be a whole number from 1 to 8192"},
        {"crop(64,-0.1)", "view 1, step 1: crop: scale low is '-0.1', must be a number from 0 to 1"},
        {"crop(64,0.5,0.2)", "view 1, step 1: crop(64,0.5,0.2): scale low must not be above scale high"},
        {"crop(64,0.08,1,bicubik)", "view 1, step 1: crop: interpolation is 'bicubik'; did you mean 'bicubic'?"},
        {"crop(64,0.08,1,zzz)", "view 1, step 1: crop: interpolation is 'zzz'; did you mean 'bilinear'?"},
        {"crop(64,0.08,1,bicubic,2,1)", "view 1, step 1: crop(64,0.08,1,bicubic,2,1): ratio low must not be above ratio high"},
        {"crop(64) flip(0.5,1)", "view 1, step 2: flip: got 2 values, takes at most 1: p"},
        {"resize(64,bicubic,3)", "view 1, step 1: resize: got 3 values, takes at most 2: size, interpolation"},
        {"crop(64) gray(1,2,3,4,5,6,7,8,9)", "view 1, step 2: gray: got 9 values, takes at most 1: p"},
        {"crop(64) flip(1.5)", "view 1, step 2: flip: p is '1.5', must be a number from 0 to 1"},
        {"crop(64) flip(half)", "view 1, step 2: flip: p is 'half', must be a number from 0 to 1"},
        {"crop(64) flip(nan)", "view 1, step 2: flip: p is 'nan', must be a number from 0 to 1"},
        {"crop(64) jitter(0.8,0.4,0.4,0.4,0.6)", "view 1, step 2: jitter: hue is '0.6', must be a number from 0 to 0.5"},
        {"crop(64) blur(0.5,2,1)", "view 1, step 2: blur(0.5,2,1): sigma low must not be above sigma high"},
        {"crop(64) blur(0.5,0.1,2,4)",
         "view 1, step 2: blur(0.5,0.1,2,4): kernel must be an odd number, or 0 for a tenth of the side"},
        {"crop(64) pilblur(0.5,2,1)", "view 1, step 2: pilblur(0.5,2,1): sigma low must not be above sigma high"},
        {"crop(64) solarize(0.2,257)", "view 1, step 2: solarize: threshold is '257', must be a number from 0 to 256"},
        {"crop(64) flip(0.5", "view 1, step 2: flip: ')' is missing after '0.5'"},
        {"crop(64) flip(0.5 | crop(64)", "view 1, step 2: flip: ')' is missing after '0.5'"},
        {"crop(64) flip(", "view 1, step 2: flip: value 1 is empty"},
        {"crop(64) jitter(1,,1)", "view 1, step 2: jitter: value 2 is empty"},
        {"crop(64) flip(0.0000000000000000000000000000000000000000000000000000000000000001)",
         "view 1, step 2: flip: value 1, '0.00000000000000...', is too long"},
        {"crop(8) flip flip flip flip flip flip flip flip flip flip flip vflip",
         "view 1, step 13: 'vflip' is one step too many; a view has at most 12"},
        {"0 * crop(8)", "view 1: there can be from 1 to 16 equal views, not 0"},
        {"crop(8) | 17 * crop(8)", "view 2: there can be from 1 to 16 equal views, not 17"},
        {"99999999999999999999999 * crop(8)", "view 1: there can be from 1 to 16 equal views, not 9999999999999999"},
        {"8 crop(8)", "view 1: 'crop(8)' stands where '*', as in '8 * crop(96)', should"},
        {"8", "view 1: the recipe ends where '*', as in '8 * crop(96)', should stand"},
        {"8 *", "view 1, step 1: the recipe ends where the name of a step should stand"},
        {"2 * crop(8) fip(1)", "view 1, step 2: there is no step 'fip'; did you mean 'flip'?"},
        {"2 * crop(8) | fip(1)", "view 3, step 1: there is no step 'fip'; first steps are crop, resize"},
        {"crop(8) 2 * flip(1)", "view 1, step 2: there is no step '2'; later steps are flip, vflip, jitter, gray, blur, pilblur, solarize, "
                                "posterize, equalize, autocontrast, invert, sharpness, rotate90, rotate, erase, randaugment, mixup, cutmix"},
        {"8 * crop(8) | 9 * crop(8)", "the recipe has more than 16 views"},
        {"crop(8) posterize(1,2.5)", "view 1, step 2: posterize: bits is '2.5', must be a whole number from 0 to 8"},
        {"crop(8) erase(1,0.1,0.2,1,1,nois)",
         "view 1, step 2: erase: value is 'nois', must be a whole number from 0 to 255 or the word noise"},
        {"crop(8) erase(1,0.1,0.2,1,1,-1)",
         "view 1, step 2: erase: value is '-1', must be a whole number from 0 to 255 or the word noise"},
        {"crop(8) erase(1,0.3,0.2)", "view 1, step 2: erase(1,0.3,0.2): scale low must not be above scale high"},
        {"crop(8) erase(1,0.1,0.2,2,1)", "view 1, step 2: erase(1,0.1,0.2,2,1): ratio low must not be above ratio high"},
        {"crop(8) rotate(1,30,bicubi)", "view 1, step 2: rotate: interpolation is 'bicubi'; did you mean 'bicubic'?"},
        {"crop(8) randaugment(1,9,0.5,5)", "view 1, step 2: randaugment: count is '5', must be a whole number from 1 to 4"},
        {"crop(8) mixup(1,0)", "view 1, step 2: mixup: alpha is '0', must be a number from 0.01 to 100"},
        {"crop(8) mixup(1) flip(0.5)",
         "view 1, step 3: 'flip' stands after 'mixup', which mixes finished views of a batch and stands last"},
    };
    for (size_t i = 0; i < sizeof mistakes / sizeof mistakes[0]; i++) {
        fov_recipe recipe;
        assert_int_not_equal(fov_recipe_parse(mistakes[i].recipe, &recipe), FOV_OK);
        assert_string_equal(fov_last_error(), mistakes[i].message);
    }
}

static void test_view_limit(void **state) {
    (void)state;
    char text[512] = "resize(8)";
    fov_recipe recipe;
    for (size_t i = 1; i < FOV_MAX_VIEWS; i++) {
        strcat(text, "|resize(8)");
    }
    assert_int_equal(fov_recipe_parse(text, &recipe), FOV_OK);
    assert_int_equal(recipe.view_count, FOV_MAX_VIEWS);
    strcat(text, "|resize(8)");
    assert_int_equal(fov_recipe_parse(text, &recipe), FOV_E_LIMIT);
    assert_string_equal(fov_last_error(), "the recipe has more than 16 views");
}

/* Repeated views are views like all others. */
static void test_repeated_views(void **state) {
    (void)state;
    fov_recipe recipe;
    assert_int_equal(fov_recipe_parse("crop(32) | 3 * crop(16) flip(0.25)", &recipe), FOV_OK);
    assert_int_equal(recipe.view_count, 4);
    for (size_t v = 1; v < 4; v++) {
        assert_int_equal(recipe.view[v].image_size, 16);
        assert_int_equal(recipe.view[v].step_count, 2);
        assert_true(recipe.view[v].step[1].param[0] == 0.25);
    }
}

static void expect_fit(const char *read, fov_pixel_format format, const char *kept, const char *dropped) {
    fov_recipe recipe;
    fov_text text, names;
    fov_text_init(&text);
    fov_text_init(&names);
    assert_int_equal(fov_recipe_parse(read, &recipe), FOV_OK);
    fov_recipe_fit(&recipe, format, &names);
    fov_recipe_text(&recipe, &text);
    assert_string_equal(text.data, kept);
    assert_string_equal(names.data == NULL ? "" : names.data, dropped);
    fov_text_clear(&text);
    fov_text_clear(&names);
}

/* What does not suit the pixels goes, in every view, and is named once. */
static void test_fit(void **state) {
    (void)state;
    const char *all = "crop(8,0.08,1,bilinear) randaugment(1,9,0.5,2,0.5) flip(0.5) gray(0.2) | 2 * resize(8,bilinear) gray(0.2) solarize(0.2,128) invert(0.1)";
    expect_fit(all, (fov_pixel_format){.channels = 3}, all, "");
    expect_fit(all, (fov_pixel_format){.channels = 0}, all, "");
    expect_fit(all, (fov_pixel_format){.channels = 1},
               "crop(8,0.08,1,bilinear) flip(0.5) | 2 * resize(8,bilinear) solarize(0.2,128) invert(0.1)", "randaugment, gray");
    expect_fit(all, (fov_pixel_format){.channels = 3, .deep = true}, "crop(8,0.08,1,bilinear) flip(0.5) | 2 * resize(8,bilinear) invert(0.1)",
               "randaugment, gray, solarize");
}

/* Every step of the registry can be named alone with its fallbacks, and keeps within what the recipe can hold. */
static void test_registry(void **state) {
    (void)state;
    size_t count = 0;
    for (; fov_augment_at(count) != NULL; count++) {
        const fov_augment *augment = fov_augment_at(count);
        char text[128];
        fov_recipe recipe;
        assert_ptr_equal(fov_augment_named(augment->name), augment);
        assert_true(augment->param_count <= FOV_MAX_STEP_PARAMS && augment->shown_count <= augment->param_count);
        assert_true(strlen(augment->summary) > 0);
        (void)snprintf(text, sizeof text, augment->first ? "%s(32)" : "resize(32) %s", augment->name);
        assert_int_equal(fov_recipe_parse(text, &recipe), FOV_OK);
    }
    assert_int_equal(count, 20);
    assert_null(fov_augment_named("nothing"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip), cmocka_unit_test(test_fallbacks_and_spaces), cmocka_unit_test(test_parsed_values),
        cmocka_unit_test(test_mistakes),   cmocka_unit_test(test_view_limit),           cmocka_unit_test(test_registry),
        cmocka_unit_test(test_fit),        cmocka_unit_test(test_repeated_views),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
