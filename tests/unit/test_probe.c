/* The verdict's wording for every finding, the JSON read back, and raw pixels as features. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <string.h>

#include "base/json.h"
#include "eval/probe_internal.h"
#include "eval/raw_pixels.h"

/* Accuracies of the linear probes and the intervals that decide. */
static void fill(fov_probe_report *r, const double accuracy[3], fov_difference random, fov_difference pixels) {
    *r = (fov_probe_report){.test_count = 500, .linear_gain = random, .linear_over_pixels = pixels};
    for (size_t s = 0; s < 3; s++) {
        r->result[s].linear.accuracy = accuracy[s];
    }
    fov_probe_judge(r);
}

static void test_helped(void **state) {
    (void)state;
    fov_probe_report r;
    fill(&r, (const double[]){0.841, 0.623, 0.4}, (fov_difference){0.218, {0.199, 0.237}}, (fov_difference){0.441, {0.4, 0.48}});
    assert_int_equal(r.finding, FOV_PROBE_HELPED);
    assert_string_equal(r.verdict, "Pre-training helped: linear probe 84.1 % against 62.3 % with random weights (+21.8 points, 95 % interval "
                                   "19.9 to 23.7).");
    assert_string_equal(r.note, "");
}

static void test_no_evidence(void **state) {
    (void)state;
    fov_probe_report r;
    fill(&r, (const double[]){0.63, 0.62, 0.62}, (fov_difference){0.01, {-0.012, 0.03}}, (fov_difference){0.01, {-0.02, 0.03}});
    assert_int_equal(r.finding, FOV_PROBE_NO_EVIDENCE);
    assert_string_equal(r.verdict, "No evidence that pre-training helped: linear probe 63.0 % against 62.0 % with random weights (+1.0 points, "
                                   "95 % interval -1.2 to 3.0).");
    assert_string_equal(r.note, "Raw pixels do about as well: 62.0 %.");
    /* an interval that ends at zero excludes nothing */
    fill(&r, (const double[]){0.63, 0.62, 0.4}, (fov_difference){0.01, {0.0, 0.03}}, (fov_difference){0.23, {0.2, 0.3}});
    assert_int_equal(r.finding, FOV_PROBE_NO_EVIDENCE);
}

static void test_hurt(void **state) {
    (void)state;
    fov_probe_report r;
    fill(&r, (const double[]){0.5, 0.6, 0.7}, (fov_difference){-0.1, {-0.13, -0.07}}, (fov_difference){-0.2, {-0.25, -0.16}});
    assert_int_equal(r.finding, FOV_PROBE_HURT);
    assert_string_equal(r.verdict, "Pre-training hurt: linear probe 50.0 % against 60.0 % with random weights (-10.0 points, 95 % interval -13.0 "
                                   "to -7.0).");
    assert_string_equal(r.note, "Raw pixels do better: 70.0 % (+20.0 points, 95 % interval 16.0 to 25.0).");
}

static void test_notes(void **state) {
    (void)state;
    fov_probe_report r;
    fill(&r, (const double[]){1.0, 1.0, 0.9}, (fov_difference){0.0, {0.0, 0.0}}, (fov_difference){0.1, {0.05, 0.2}});
    assert_int_equal(r.finding, FOV_PROBE_NO_EVIDENCE);
    assert_non_null(strstr(r.note, "too easy"));
    r = (fov_probe_report){.test_count = 30, .linear_over_pixels = {0.1, {0.05, 0.2}}};
    fov_probe_judge(&r);
    assert_string_equal(r.note, "There are only 30 test pictures: the interval is rough.");
}

/* ---- JSON ---- */

static void make_report(fov_probe_report *r) {
    static const uint32_t label[] = {0, 0, 1}, predicted[] = {0, 1, 1};
    *r = (fov_probe_report){.backbone = "resnet18", .image_size = 64, .pixels_side = 32, .classes = 2, .train_count = 4, .test_count = 3, .k = 2};
    r->class_name = fov_mem_array(FOV_MEM_EVAL, 2, sizeof *r->class_name);
    r->class_name[0] = fov_mem_strdup(FOV_MEM_EVAL, "quote \" and \xff");
    r->class_name[1] = fov_mem_strdup(FOV_MEM_EVAL, "b");
    r->train_per_class = fov_mem_array(FOV_MEM_EVAL, 2, sizeof *r->train_per_class);
    r->test_per_class = fov_mem_array(FOV_MEM_EVAL, 2, sizeof *r->test_per_class);
    for (size_t s = 0; s < FOV_PROBE_SOURCES; s++) {
        r->result[s].choice = (fov_probe_choice){.tried = 2, .best = 1, .c = {0.001, 0.01}, .accuracy = {0.5, 0.75}, .folds = 4};
        assert_int_equal(fov_metrics_init(&r->result[s].linear, label, predicted, 3, 2, 1, NULL), FOV_OK);
        assert_int_equal(fov_metrics_init(&r->result[s].knn, label, label, 3, 2, 1, NULL), FOV_OK);
    }
    fov_probe_judge(r);
}

static double number_at(const fov_json *json, const char *key) {
    double value = -1.0;
    assert_true(fov_json_number(fov_json_get(json, key), &value));
    return value;
}

static void test_json(void **state) {
    (void)state;
    fov_probe_report r;
    fov_text text;
    fov_json *json = NULL;
    make_report(&r);
    fov_text_init(&text);
    assert_int_equal(fov_probe_json(&r, &(fov_probe_inputs){.weights = "run"}, &text), FOV_OK);
    assert_int_equal(fov_json_parse(text.data, text.length, 16, "report", &json), FOV_OK);
    assert_string_equal(fov_json_string(fov_json_get(json, "finding")), "no evidence");
    assert_string_equal(fov_json_string(fov_json_get(fov_json_get(json, "settings"), "weights")), "run");
    assert_null(fov_json_get(fov_json_get(json, "settings"), "test"));
    const fov_json *linear = fov_json_get(fov_json_get(fov_json_get(json, "results"), "random"), "linear");
    assert_true(fabs(number_at(linear, "top1") - 2.0 / 3.0) < 1e-15);
    assert_true(fabs(number_at(linear, "worst_class") - 0.5) < 1e-15);
    assert_true(fabs(number_at(linear, "c") - 0.01) < 1e-15);
    assert_int_equal(fov_json_count(fov_json_get(linear, "cross_validation")), 2);
    assert_int_equal(fov_json_count(fov_json_get(linear, "per_class")), 2);
    const fov_json *row = fov_json_first(fov_json_get(linear, "confusion"));
    double cell = 0.0;
    assert_int_equal(fov_json_count(row), 2);
    assert_true(fov_json_number(fov_json_next(fov_json_first(row)), &cell) && cell >= 1.0 && cell <= 1.0);
    fov_json_free(json);
    fov_text_clear(&text);
    fov_probe_report_clear(&r);
}

/* ---- raw pixels ---- */

static void test_raw_pixels(void **state) {
    (void)state;
    enum { SIDE = 64, BYTES = SIDE * SIDE * 3 };
    static uint8_t pixels[3 * BYTES];
    static float features[3 * FOV_RAW_PIXELS_MAX * FOV_RAW_PIXELS_MAX * 3];
    uint64_t hash[3];
    fov_preprocess preprocess;
    fov_augmenter *augmenter = NULL;
    fov_preprocess_default(SIDE, &preprocess);
    for (size_t i = 0; i < BYTES; i++) {
        pixels[i] = pixels[BYTES + i] = (uint8_t)(i % 3 == 0 ? 200 : 50); /* two that are equal */
        pixels[2 * BYTES + i] = (uint8_t)(i % 251);
    }
    assert_int_equal(fov_augmenter_new(&augmenter), FOV_OK);
    assert_int_equal(fov_raw_pixels_embed(augmenter, &preprocess, pixels, 3, features, hash), FOV_OK);
    fov_augmenter_free(augmenter);
    assert_true(hash[0] == hash[1] && hash[0] != hash[2]);
    for (size_t i = 0; i < 32 * 32 * 3; i++) {
        const double want = ((i % 3 == 0 ? 200.0 : 50.0) / 255.0 - preprocess.mean[i % 3]) / preprocess.std[i % 3];
        assert_true(fabs((double)features[i] - want) < 1e-6);
    }
    assert_int_equal(fov_raw_pixels_side(24), 24);
    assert_int_equal(fov_raw_pixels_side(224), 32);
}

/* Words, and two channels. */
static void test_raw_pixels_of_other_formats(void **state) {
    (void)state;
    enum { SIDE = 40 };
    static uint16_t pixels[SIDE * SIDE * 2];
    static float features[FOV_RAW_PIXELS_MAX * FOV_RAW_PIXELS_MAX * 2];
    uint64_t hash[1];
    fov_preprocess preprocess;
    fov_augmenter *augmenter = NULL;
    fov_preprocess_default(SIDE, &preprocess);
    preprocess.format = (fov_pixel_format){.channels = 2, .deep = true};
    for (size_t i = 0; i < SIDE * SIDE * 2; i++) {
        pixels[i] = i % 2 == 0 ? 1000 : 60000;
    }
    assert_int_equal(fov_augmenter_new(&augmenter), FOV_OK);
    assert_int_equal(fov_raw_pixels_embed(augmenter, &preprocess, (const uint8_t *)pixels, 1, features, hash), FOV_OK);
    fov_augmenter_free(augmenter);
    for (size_t i = 0; i < 32 * 32 * 2; i++) {
        const double want = ((i % 2 == 0 ? 1000.0 : 60000.0) / 65535.0 - preprocess.mean[i % 2]) / preprocess.std[i % 2];
        assert_true(fabs((double)features[i] - want) < 1e-5);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_helped), cmocka_unit_test(test_no_evidence), cmocka_unit_test(test_hurt),
        cmocka_unit_test(test_notes),  cmocka_unit_test(test_json),        cmocka_unit_test(test_raw_pixels),
        cmocka_unit_test(test_raw_pixels_of_other_formats),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
