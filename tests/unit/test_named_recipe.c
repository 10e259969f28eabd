/* Named recipes: each is a recipe at any size, objectives propose what they are named after, and a wrong name is answered with a near one.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "augment/augment.h"
#include "train_case.h"

/* Reading the name gives what reading its text gives, and that is written as it stands. */
static void test_each_is_a_recipe(void **state) {
    (void)state;
    static const size_t sizes[] = {8, 32, 64, 95, 96, 128, 224, 8192};
    size_t count = 0;
    for (; fov_named_recipe_at(count) != NULL; count++) {
        const fov_named_recipe *named = fov_named_recipe_at(count);
        const fov_augment *step = fov_augment_named(named->name);
        assert_true(strlen(named->summary) > 0 && (step == NULL || !step->first)); /* else the name would be read as a step */
        for (size_t s = 0; s < sizeof sizes / sizeof sizes[0]; s++) {
            fov_recipe recipe;
            fov_text text, again;
            fov_text_init(&text);
            fov_text_init(&again);
            require(fov_named_recipe_text(named->name, sizes[s], &text));
            require(fov_recipe_parse(text.data, &recipe));
            fov_recipe_text(&recipe, &again);
            assert_string_equal(again.data, text.data);
            assert_int_equal(recipe.view[0].image_size, sizes[s]);
            fov_text_clear(&text);
            fov_text_clear(&again);
        }
    }
    assert_true(count >= 15);
}

static size_t local_side(size_t image_size) {
    fov_recipe recipe;
    require(fov_recipe_read("dino", image_size, &recipe));
    assert_int_equal(recipe.view_count, 10);
    assert_int_equal(recipe.view[1].image_size, image_size);
    assert_int_equal(recipe.view[2].image_size, recipe.view[9].image_size);
    return recipe.view[2].image_size;
}

static void test_local_views(void **state) {
    (void)state;
    assert_int_equal(local_side(224), 96);
    assert_int_equal(local_side(192), 80);
    assert_int_equal(local_side(128), 48);
    assert_int_equal(local_side(96), 48);
    assert_int_equal(local_side(64), 28);
    assert_int_equal(local_side(32), 12);
    assert_int_equal(local_side(1), 4);
}

static void expect_proposed(const char *method, const char *backbone, size_t image_size, const char *name) {
    train_case c;
    fov_recipe own, named;
    fov_text text;
    case_open(&c, fov_objective_named(method), backbone, image_size, 4, NULL, false);
    fov_text_init(&text);
    c.objective->views(c.options, &c.facts, &text);
    require(fov_recipe_parse(text.data, &own));
    require(fov_recipe_read(name, image_size, &named));
    assert_int_equal(own.view_count, named.view_count);
    for (size_t v = 0; v < own.view_count; v++) {
        named.view[v].repeats = own.view[v].repeats; /* how equal views are written does not matter */
        assert_int_equal(own.view[v].step_count, named.view[v].step_count);
        assert_memory_equal(own.view[v].step, named.view[v].step, own.view[v].step_count * sizeof own.view[v].step[0]);
    }
    fov_text_clear(&text);
    case_close(&c);
}

static void test_objectives_propose_them(void **state) {
    (void)state;
    expect_proposed("simclr", "resnet18", 64, "simclr");
    expect_proposed("simclr", "resnet18", 224, "simclr_blur");
    expect_proposed("mae", "vit_tiny/16", 224, "mae");
}

static void test_wrong_names(void **state) {
    (void)state;
    fov_recipe recipe;
    assert_int_equal(fov_recipe_read("simcrl", 64, &recipe), FOV_E_INVALID);
    assert_string_equal(fov_last_error(), "there is no recipe 'simcrl'; did you mean 'simclr'?");
    assert_int_equal(fov_recipe_read("xyzzyx", 64, &recipe), FOV_E_INVALID);
    assert_string_equal(fov_last_error(), "there is no recipe 'xyzzyx'; 'fovea list recipes' names them all");
    assert_int_equal(fov_recipe_read("crop", 64, &recipe), FOV_E_INVALID);
    assert_string_equal(fov_last_error(), "view 1, step 1: crop: the size of the view is missing; write crop(64)");
    assert_int_equal(fov_recipe_read("flip", 64, &recipe), FOV_E_INVALID);
    assert_string_equal(fov_last_error(), "there is no recipe 'flip'; 'fovea list recipes' names them all");
    assert_int_equal(fov_recipe_read("", 64, &recipe), FOV_E_INVALID);
    assert_int_equal(fov_recipe_read("dino", 9000, &recipe), FOV_E_INVALID);
    require(fov_recipe_read("crop(32)", 64, &recipe)); /* a text has its own size */
    assert_int_equal(recipe.view[0].image_size, 32);
}

static void test_memory_runs_out(void **state) {
    (void)state;
    size_t failures = 0;
    for (uint64_t n = 1;; n++) {
        fov_recipe recipe;
        fov_mem_fail_at(n, 0);
        const fov_status status = fov_recipe_read("swav", 224, &recipe);
        fov_mem_fail_at(0, 0);
        if (status == FOV_OK) {
            break;
        }
        assert_int_equal(status, FOV_E_NOMEM);
        failures++;
    }
    assert_true(failures >= 1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_is_a_recipe), cmocka_unit_test(test_local_views),     cmocka_unit_test(test_objectives_propose_them),
        cmocka_unit_test(test_wrong_names),      cmocka_unit_test(test_memory_runs_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
