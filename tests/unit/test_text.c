/* Text buffers, escaping, UTF-8, the nearest name, counts, bytes and clocks. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <stdlib.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/hash.h"
#include "base/text.h"

static void test_growth(void **state) {
    (void)state;
    fov_text text;
    fov_text_init(&text);
    for (int i = 0; i < 1000; i++) {
        fov_text_printf(&text, "%d,", i);
    }
    fov_text_add(&text, "end");
    fov_text_add_bytes(&text, "a\0b", 3);
    assert_int_equal(text.status, FOV_OK);
    assert_int_equal(text.length, 10 * 2 + 90 * 3 + 900 * 4 + 6);
    assert_memory_equal(text.data, "0,1,2,3,", 8);
    assert_memory_equal(text.data + text.length - 6, "enda\0b", 7);
    fov_text_clear(&text);
    assert_null(text.data);
    assert_int_equal(fov_mem_stats_tag(FOV_MEM_BASE).live_blocks, 0);
}

static void test_out_of_memory(void **state) {
    (void)state;
    fov_text text;
    fov_text_init(&text);
    fov_text_add(&text, "kept");
    fov_mem_fail_at(1, 0);
    for (int i = 0; i < 100; i++) {
        fov_text_printf(&text, "%d", i);
    }
    fov_text_add(&text, "more");
    assert_int_equal(text.status, FOV_E_NOMEM);
    assert_memory_equal(text.data, "kept", 4);
    assert_int_equal(strlen(text.data), text.length);
    assert_true(text.length < 128);
    fov_text_clear(&text);
    assert_int_equal(text.status, FOV_OK);
}

static void assert_escaped(const char *bytes, const char *expected) {
    fov_text text;
    fov_text_init(&text);
    fov_text_add_escaped(&text, bytes);
    assert_string_equal(text.data, expected);
    fov_text_clear(&text);
}

static void test_escaped(void **state) {
    (void)state;
    assert_escaped("", "");
    assert_escaped("plain name.jpg", "plain name.jpg");
    assert_escaped("caf\xC3\xA9/\xE2\x82\xAC/\xF0\x9F\x90\xA2", "caf\xC3\xA9/\xE2\x82\xAC/\xF0\x9F\x90\xA2");
    assert_escaped("a\tb\nc\rd", "a\\tb\\nc\\x0Dd");
    assert_escaped("\x1B[31mred\x7F", "\\x1B[31mred\\x7F");
    assert_escaped("C:\\x", "C:\\x5Cx");
    assert_escaped("bad\xFF\xC3", "bad\\xFF\\xC3");
    assert_escaped("\xC3(", "\\xC3(");
    assert_escaped("\xC2\x9B" "31m", "\\xC2\\x9B" "31m");
    assert_escaped("\xED\xA0\x80", "\\xED\\xA0\\x80");
}

static void test_utf8(void **state) {
    (void)state;
    static const char *const valid[] = {"", "a", "\xC2\x80", "\xDF\xBF", "\xE0\xA0\x80", "\xED\x9F\xBF", "\xEE\x80\x80", "\xEF\xBF\xBF",
                                        "\xF0\x90\x80\x80", "\xF4\x8F\xBF\xBF"};
    static const char *const invalid[] = {"\x80", "\xC0\x80", "\xC1\xBF", "\xC2", "\xC2\x41", "\xE0\x9F\xBF", "\xED\xA0\x80", "\xE2\x82",
                                          "\xF0\x8F\xBF\xBF", "\xF4\x90\x80\x80", "\xF5\x80\x80\x80", "\xF0\x90\x80", "\xE2\x82\x41", "\xFF"};
    for (size_t i = 0; i < sizeof valid / sizeof valid[0]; i++) {
        assert_true(fov_utf8_valid(valid[i], strlen(valid[i])));
    }
    for (size_t i = 0; i < sizeof invalid / sizeof invalid[0]; i++) {
        assert_false(fov_utf8_valid(invalid[i], strlen(invalid[i])));
    }
    /* Every code point is valid, and no other four bytes are: 0x10FFFF + 1 less the 0x800 surrogates. */
    size_t counted = 0;
    for (unsigned first = 0x80; first < 0x100; first++) {
        for (unsigned second = 0; second < 0x100; second++) {
            const unsigned char pair[4] = {(unsigned char)first, (unsigned char)second, 0x80, 0x80};
            counted += fov_utf8_valid(pair, 2) ? 1U : 0U;
            counted += fov_utf8_valid(pair, 3) ? 64U : 0U;
            counted += fov_utf8_valid(pair, 4) ? 4096U : 0U;
        }
    }
    assert_int_equal(counted, 0x110000 - 0x800 - 0x80);
}

static void test_distance(void **state) {
    (void)state;
    assert_int_equal(fov_edit_distance("", ""), 0);
    assert_int_equal(fov_edit_distance("", "abc"), 3);
    assert_int_equal(fov_edit_distance("kitten", "sitting"), 3);
    assert_int_equal(fov_edit_distance("epohcs", "epochs"), 1);
    assert_int_equal(fov_edit_distance("ca", "abc"), 3);
    assert_int_equal(fov_edit_distance("batch-size", "batchsize"), 1);
    char a[101];
    char b[91];
    memset(a, 'a', 100);
    memset(b, 'a', 90);
    a[100] = b[90] = '\0';
    assert_int_equal(fov_edit_distance(a, b), 36);
}

static void test_nearest(void **state) {
    (void)state;
    static const char *const names[] = {"batch-size", "epochs", "seed", "lr", "image-size"};
    assert_string_equal(fov_nearest_name("bacth-size", names, 5), "batch-size");
    assert_string_equal(fov_nearest_name("epoch", names, 5), "epochs");
    assert_string_equal(fov_nearest_name("img-size", names, 5), "image-size");
    assert_string_equal(fov_nearest_name("lr", names, 5), "lr");
    assert_null(fov_nearest_name("temperature", names, 5));
    assert_null(fov_nearest_name("xy", names, 5));
    assert_null(fov_nearest_name("seed", names, 0));
}

static void assert_count(unsigned long long n, const char *expected) {
    char text[32];
    fov_format_count(n, text, sizeof text);
    assert_string_equal(text, expected);
}

static void assert_bytes(double bytes, const char *expected) {
    char text[32];
    fov_format_bytes(bytes, text, sizeof text);
    assert_string_equal(text, expected);
}

static void test_format(void **state) {
    (void)state;
    assert_count(0, "0");
    assert_count(999, "999");
    assert_count(1000, "1,000");
    assert_count(1234567, "1,234,567");
    assert_count(18446744073709551615ULL, "18,446,744,073,709,551,615");
    assert_bytes(0, "0 B");
    assert_bytes(999, "999 B");
    assert_bytes(1000, "1.0 kB");
    assert_bytes(12.3e6, "12.3 MB");
    assert_bytes(999.96e6, "1.0 GB");
    assert_bytes(2.5e18, "2500.0 PB");
}

static void assert_duration(double seconds, const char *expected) {
    char text[32];
    fov_clock_format(seconds, text, sizeof text);
    assert_string_equal(text, expected);
}

static void test_clock(void **state) {
    (void)state;
    assert_duration(0.0, "0.0 s");
    assert_duration(4.12, "4.1 s");
    assert_duration(41.0, "41 s");
    assert_duration(59.7, "1 min 00 s");
    assert_duration(185.0, "3 min 05 s");
    assert_duration(3599.9, "1 h 00 min");
    assert_duration(7800.0, "2 h 10 min");
    assert_duration(360000.0, "100 h 00 min");
    assert_duration(-41.0, "-41 s");
    assert_duration((double)NAN, "unknown");
    const double wall = fov_clock_seconds();
    const double cpu = fov_clock_cpu_seconds();
    const struct timespec pause = {.tv_nsec = 20000000};
    assert_int_equal(nanosleep(&pause, NULL), 0);
    const double slept = fov_clock_seconds() - wall;
    assert_true(slept >= 0.019 && slept < 30.0);
    assert_true(fov_clock_cpu_seconds() - cpu < slept);
    char utc[21];
    struct tm parts = {0};
    fov_clock_utc(utc, sizeof utc);
    assert_int_equal(strlen(utc), 20);
    const char *end = strptime(utc, "%Y-%m-%dT%H:%M:%SZ", &parts);
    assert_non_null(end);
    assert_true(labs((long)(timegm(&parts) - time(NULL))) <= 2);
    fov_clock_utc(utc, 5);
    assert_int_equal(strlen(utc), 4);
}

static void test_hash(void **state) {
    (void)state;
    /* From the reference program: xxhsum -H3 of nothing and of "abc". */
    assert_true(fov_hash64("", 0, 0) == 0x2D06800538D394C2ULL);
    assert_true(fov_hash64("abc", 3, 0) == 0x78AF5F94892F3950ULL);
    assert_true(fov_hash_text("abc") == fov_hash64("abc", 3, 0));
    assert_true(fov_hash64("abc", 3, 1) != fov_hash64("abc", 3, 0));
    unsigned char bytes[300];
    for (size_t i = 0; i < sizeof bytes; i++) {
        bytes[i] = (unsigned char)(i * 31);
    }
    const uint64_t whole = fov_hash64(bytes, sizeof bytes, 0);
    for (size_t i = 0; i < sizeof bytes; i++) {
        bytes[i] ^= 1U;
        assert_true(fov_hash64(bytes, sizeof bytes, 0) != whole);
        bytes[i] ^= 1U;
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_growth),   cmocka_unit_test(test_out_of_memory), cmocka_unit_test(test_escaped),
        cmocka_unit_test(test_utf8),     cmocka_unit_test(test_distance),      cmocka_unit_test(test_nearest),
        cmocka_unit_test(test_format),   cmocka_unit_test(test_clock),         cmocka_unit_test(test_hash),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
