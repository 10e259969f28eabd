/* JSON: what is refused, and that what is written reads back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <locale.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/json.h"
#include "base/number.h"
#include "base/text.h"
#include "locale_case.h"

static fov_status parse(const char *text, fov_json **json) {
    return fov_json_parse(text, strlen(text), 8, "test", json);
}

static void test_good(void **state) {
    (void)state;
    static const char *const good[] = {
        "0",
        "-0",
        " [ ] ",
        "{}",
        "\t\n\r null ",
        "[1,2.5,-3e2,4E+1,0.5e-1]",
        "\"\\u00e9\\ud83d\\ude00\\n\\\"\\\\\\/\\b\\f\\t\\r\"",
        "[[[[[[[[0]]]]]]]]",
        "{\"a\":{\"a\":1},\"b\":[true,false,null]}",
        "\"\xC3\xA9\"",
        "12345678901234567890",
        "{\"\":1,\"A\":1,\"a\":1}",
        "1e999",
    };
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        fov_json *json = NULL;
        const fov_status status = parse(good[i], &json);
        if (status != FOV_OK) {
            print_error("%s: %s\n", good[i], fov_last_error());
        }
        assert_int_equal(status, FOV_OK);
        assert_non_null(json);
        fov_json_free(json);
    }
}

static void test_bad(void **state) {
    (void)state;
    static const char *const bad[] = {
        "",
        " ",
        "{",
        "}",
        "[",
        "]",
        "[1,]",
        "[,1]",
        "[1 2]",
        "{\"a\"}",
        "{\"a\":}",
        "{\"a\":1,}",
        "{a:1}",
        "{'a':1}",
        "01",
        "1.",
        ".5",
        "+1",
        "-",
        "1e",
        "1e+",
        "0x1",
        "NaN",
        "Infinity",
        "tru",
        "nulll",
        "\"",
        "\"\\\"",
        "\"\\x\"",
        "\"\\u12g4\"",
        "\"\\u0000\"",
        "\"\\ud800\"",
        "\"\\udc00\"",
        "\"\\ud800\\u0041\"",
        "\"\n\"",
        "\"\t\"",
        "\"\xff\"",
        "\"\xC3\"",
        "\xEF\xBB\xBF{}",
        "[1]x",
        "{}{}",
        "1 2",
        "[1]//",
        "\x0b[]",
        "{\"a\":1,\"a\":2}",
        "{\"a\":1,\"\\u0061\":2}",
        "[{\"x\":[{\"k\":1,\"z\":2,\"k\":3}]}]",
        "1111111111111111111111111111111111111111111111111111111111111111",
        "\"\\",
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        fov_json *json = NULL;
        const fov_status status = parse(bad[i], &json);
        if (status != FOV_E_FORMAT) {
            print_error("accepted or other status %s: %s\n", fov_status_name(status), bad[i]);
        }
        assert_int_equal(status, FOV_E_FORMAT);
        assert_null(json);
        assert_non_null(strstr(fov_last_error(), "test: "));
    }
    fov_json *json = NULL;
    assert_int_equal(fov_json_parse("1\0", 2, 8, "test", &json), FOV_E_FORMAT); /* a zero byte follows */
    assert_int_equal(parse("{\"a\":1,\"a\":2}", &json), FOV_E_FORMAT);
    assert_non_null(strstr(fov_last_error(), "'a' occurs twice"));
}

/* Every prefix of a good text is bad, and exactly `size` bytes are looked at. */
static void test_truncated(void **state) {
    (void)state;
    static const char text[] = "{\"name\":[1,-2.5e3,true,null,\"x\\u00e9\\ud83d\\ude00\"],\"b\":{}}";
    for (size_t size = 0; size < sizeof text - 1; size++) {
        char *copy = malloc(size + 1);
        assert_non_null(copy);
        memcpy(copy, text, size);
        fov_json *json = NULL;
        assert_int_equal(fov_json_parse(copy, size, 8, "cut", &json), FOV_E_FORMAT);
        free(copy);
    }
}

static void test_limits(void **state) {
    (void)state;
    fov_json *json = NULL;
    assert_int_equal(parse("[[[[[[[[[0]]]]]]]]]", &json), FOV_E_LIMIT);
    const size_t deep = 1000000;
    char *text = malloc(deep);
    assert_non_null(text);
    memset(text, '[', deep);
    assert_int_equal(fov_json_parse(text, deep, 1000000, "deep", &json), FOV_E_LIMIT);
    memset(text, '[', 1000);
    memset(text + 1000, ']', 1000);
    assert_int_equal(fov_json_parse(text, 2000, 1000000, "deep", &json), FOV_OK);
    fov_json_free(json);
    free(text);
    const size_t size = 2 * (size_t)FOV_JSON_MAX_VALUES + 1;
    text = malloc(size);
    assert_non_null(text);
    for (size_t i = 0; i < size; i++) {
        text[i] = i == 0 ? '[' : i + 1 == size ? ']' : i % 2 == 1 ? '0' : ',';
    }
    assert_int_equal(fov_json_parse(text, size, 8, "wide", &json), FOV_E_LIMIT);
    free(text);
}

static void test_looking(void **state) {
    (void)state;
    fov_json *json = NULL;
    assert_int_equal(
        parse("{\"n\":9007199254740991,\"big\":9007199254740993,\"neg\":-1,\"half\":0.5,\"s\":\"t\",\"l\":[1,2,3],\"inf\":1e999,\"A\":1}",
              &json),
        FOV_OK);
    uint64_t n = 0;
    double x = 0.0;
    assert_true(fov_json_u64(fov_json_get(json, "n"), &n));
    assert_int_equal(n, 9007199254740991ULL);
    assert_false(fov_json_u64(fov_json_get(json, "big"), &n));
    assert_false(fov_json_u64(fov_json_get(json, "neg"), &n));
    assert_false(fov_json_u64(fov_json_get(json, "half"), &n));
    assert_false(fov_json_u64(fov_json_get(json, "s"), &n));
    assert_false(fov_json_u64(NULL, &n));
    assert_false(fov_json_number(fov_json_get(json, "inf"), &x));
    assert_true(fov_json_number(fov_json_get(json, "half"), &x) && x == 0.5);
    assert_string_equal(fov_json_string(fov_json_get(json, "s")), "t");
    assert_null(fov_json_string(fov_json_get(json, "n")));
    assert_null(fov_json_get(json, "a")); /* case counts */
    assert_null(fov_json_get(fov_json_get(json, "l"), "s"));
    assert_true(fov_json_is_array(fov_json_get(json, "l")) && fov_json_is_object(json));
    assert_int_equal(fov_json_count(fov_json_get(json, "l")), 3);
    assert_int_equal(fov_json_count(json), 8);
    size_t seen = 0;
    for (const fov_json *item = fov_json_first(json); item != NULL; item = fov_json_next(item)) {
        seen += fov_json_key(item) != NULL;
    }
    assert_int_equal(seen, 8);
    fov_json_free(json);
    fov_json_free(NULL);
}

static void test_writer(void **state) {
    (void)state;
    fov_json_writer w;
    for (int pretty = 0; pretty < 2; pretty++) {
        fov_json_begin(&w, pretty != 0);
        fov_json_open(&w, NULL, '{');
        fov_json_add_string(&w, "s\"\\\n", "\x01\x7f\xC3\xA9\xff\xE2\x82");
        fov_json_add_string(&w, "none", NULL);
        fov_json_add_int(&w, "i", INT64_MIN);
        fov_json_add_number(&w, "n", 0.1);
        fov_json_add_number(&w, "nan", NAN);
        fov_json_add_bool(&w, "b", true);
        fov_json_open(&w, "l", '[');
        fov_json_add_bool(&w, NULL, false);
        fov_json_open(&w, NULL, '{');
        fov_json_close(&w, '{');
        fov_json_close(&w, ']');
        fov_json_close(&w, '}');
        assert_int_equal(w.text.status, FOV_OK);
        fov_json *json = NULL;
        assert_int_equal(fov_json_parse(w.text.data, w.text.length, 8, "own", &json), FOV_OK);
        assert_string_equal(fov_json_string(fov_json_get(json, "s\"\\\n")), "\x01\x7f\xC3\xA9\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD");
        fov_json_free(json);
        if (pretty == 0) {
            assert_string_equal(w.text.data, "{\"s\\\"\\\\\\n\":\"\\u0001\x7f\xC3\xA9\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD\",\"none\":null,"
                                             "\"i\":-9223372036854775808,\"n\":0.1,\"nan\":null,\"b\":true,\"l\":[false,{}]}");
        } else {
            assert_non_null(strstr(w.text.data, "\n  \"l\": [\n    false,\n    {}\n  ]\n}"));
        }
        fov_json_clear(&w);
    }
}

static void assert_number(double value, const char *expected) {
    char text[40];
    fov_number_text(value, text, sizeof text);
    assert_string_equal(text, expected);
}

static void test_numbers(void **state) {
    (void)state;
    assert_number(0.1, "0.1");
    assert_number(1.0 / 3.0, "0.3333333333333333");
    assert_number(100000.0, "100000");
    assert_number(-0.0, "-0");
    assert_number(1e22, "1e+22");
    assert_number(5e-324, "5e-324");
    assert_number(1.7976931348623157e308, "1.7976931348623157e+308");
    assert_number(INFINITY, "inf");
    uint64_t state64 = 1;
    for (int i = 0; i < 20000; i++) {
        state64 = state64 * 6364136223846793005ULL + 1442695040888963407ULL;
        double value = 0.0, back = 0.0;
        memcpy(&value, &state64, sizeof value);
        if (isfinite(value)) {
            char text[40];
            fov_number_text(value, text, sizeof text);
            assert_true(fov_number_parse(text, &back));
            assert_memory_equal(&back, &value, sizeof value);
        }
    }
    static const char *const bad[] = {"", " 1", "1 ", "nan", "inf", "0x10", "1e400", "1,5", "--1", "1e", ".", "e5"};
    double value = 0.0;
    int64_t integer = 0;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_false(fov_number_parse(bad[i], &value));
        assert_false(fov_integer_parse(bad[i], &integer));
    }
    assert_true(fov_integer_parse("-9223372036854775808", &integer) && integer == INT64_MIN);
    assert_false(fov_integer_parse("9223372036854775808", &integer));
    assert_false(fov_integer_parse("1.0", &integer));
}

/* A program with a decimal comma must not change our files. */
static void test_locale(void **state) {
    (void)state;
    char folder[600], number[40], command[640];
    (void)snprintf(folder, sizeof folder, "%s/json-%ld", FOV_TEST_TEMP, (long)getpid());
    assert_int_equal(mkdir(folder, 0700), 0);
    const bool entered = enter_comma_locale(folder);
    (void)snprintf(command, sizeof command, "rm -rf '%s'", folder);
    assert_int_equal(system(command), 0);
    if (!entered) {
        skip();
    }
    double value = 0.0;
    (void)snprintf(number, sizeof number, "%g", 0.25);
    assert_string_equal(number, "0,25");
    fov_text text;
    fov_text_init(&text);
    fov_text_printf(&text, "%g %.1f", 0.25, 1.5);
    assert_string_equal(text.data, "0.25 1.5");
    fov_text_clear(&text);
    (void)FOV_FAIL(FOV_E_INVALID, "%g", 0.25);
    assert_string_equal(fov_last_error(), "0.25");
    fov_format_bytes(2.5e6, number, sizeof number);
    assert_string_equal(number, "2.5 MB");
    assert_number(0.25, "0.25");
    assert_true(fov_number_parse("0.25", &value) && value == 0.25);
    assert_non_null(setlocale(LC_NUMERIC, "C"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good),    cmocka_unit_test(test_bad),    cmocka_unit_test(test_truncated), cmocka_unit_test(test_limits),
        cmocka_unit_test(test_looking), cmocka_unit_test(test_writer), cmocka_unit_test(test_numbers),   cmocka_unit_test(test_locale),
    };
    return cmocka_run_group_tests_name("json", tests, NULL, NULL);
}
