/* Option tables: parsing, messages, help, and config files that read back to the same values. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "base/io.h"
#include "base/options.h"

#define CONFIG FOV_TEST_TEMP "/options.ini"

typedef struct settings {
    bool plain, on;
    int64_t count, chosen;
    double rate, free_real;
    const char *name, *out, *kind;
} settings;

static const char *const kinds[] = {"bilinear", "bicubic", NULL};

static const fov_option table[] = {
    {.name = "plain", .type = FOV_OPT_FLAG, .offset = offsetof(settings, plain), .help = "a switch", .fallback = "false", .letter = 'p'},
    {.name = "on",
     .type = FOV_OPT_FLAG,
     .offset = offsetof(settings, on),
     .help = "on unless told otherwise",
     .fallback = "true",
     .letter = 'o'},
    {.name = "count",
     .type = FOV_OPT_INT,
     .offset = offsetof(settings, count),
     .value_name = "N",
     .help = "how many",
     .fallback = "7",
     .min = 1,
     .max = 1e18,
     .letter = 'c'},
    {.name = "chosen",
     .type = FOV_OPT_INT,
     .offset = offsetof(settings, chosen),
     .value_name = "N",
     .help = "from the data",
     .min = 1,
     .max = 100},
    {.name = "rate",
     .type = FOV_OPT_REAL,
     .offset = offsetof(settings, rate),
     .value_name = "X",
     .help = "a rate",
     .fallback = "0.2",
     .min = 0,
     .max = 1},
    {.name = "free-real",
     .type = FOV_OPT_REAL,
     .offset = offsetof(settings, free_real),
     .value_name = "X",
     .help = "no bounds",
     .fallback = "0"},
    {.name = "name", .type = FOV_OPT_STRING, .offset = offsetof(settings, name), .value_name = "TEXT", .help = "a text", .fallback = "abc"},
    {.name = "out",
     .type = FOV_OPT_STRING,
     .offset = offsetof(settings, out),
     .value_name = "DIR",
     .help = "a folder to write a great many different things into, so that this has to wrap"},
    {.name = "kind",
     .type = FOV_OPT_CHOICE,
     .offset = offsetof(settings, kind),
     .value_name = "NAME",
     .help = "a kind",
     .fallback = "bilinear",
     .choices = kinds},
    {.name = NULL},
};

typedef struct late_settings {
    double temperature;
    bool symmetric;
} late_settings;

static const fov_option late_table[] = {
    {.name = "temperature",
     .type = FOV_OPT_REAL,
     .offset = offsetof(late_settings, temperature),
     .value_name = "T",
     .help = "of the loss",
     .fallback = "0.1",
     .min = 0.001,
     .max = 10},
    {.name = "symmetric",
     .type = FOV_OPT_FLAG,
     .offset = offsetof(late_settings, symmetric),
     .help = "both ways",
     .fallback = "false",
     .letter = 's'},
    {.name = NULL},
};

static const char *positional[32];
static size_t positional_count;

static fov_option_set *make(settings *s) {
    fov_option_set *set = NULL;
    *s = (settings){.chosen = 42};
    assert_int_equal(fov_options_new(&set), FOV_OK);
    assert_int_equal(fov_options_add(set, "General", table, s), FOV_OK);
    return set;
}

#define PARSE(set, unknown, ...) parse((set), (unknown), (const char *[]){__VA_ARGS__, NULL})

static fov_status parse(fov_option_set *set, bool unknown, const char *const *words) {
    static char text[32][256];
    char *argv[32];
    int argc = 0;
    for (; words[argc] != NULL; argc++) {
        (void)snprintf(text[argc], sizeof text[argc], "%s", words[argc]);
        argv[argc] = text[argc];
    }
    return fov_options_parse(set, argc, argv, positional, &positional_count, unknown);
}

static void test_defaults(void **state) {
    (void)state;
    settings s;
    fov_option_set *set = make(&s);
    assert_true(!s.plain && s.on && s.count == 7 && s.chosen == 42 && s.rate == 0.2 && s.free_real == 0.0);
    assert_string_equal(s.name, "abc");
    assert_null(s.out);
    assert_ptr_equal(s.kind, kinds[0]);
    assert_int_equal(fov_options_source(set, "count"), FOV_FROM_DEFAULT);
    assert_int_equal(fov_options_source(set, "chosen"), FOV_FROM_NONE);
    assert_int_equal(fov_options_source(set, "nonsense"), FOV_FROM_NONE);
    fov_options_free(set);
    fov_options_free(NULL);
}

static void test_forms(void **state) {
    (void)state;
    settings s;
    fov_option_set *set = make(&s);
    assert_int_equal(PARSE(set, false, "a", "--plain", "--no-on", "--count=12", "--rate", "0.5", "--free-real", "-3e-2", "-",
                           "--name=", "--kind", "bicubic", "b", "--", "--count", "-x"),
                     FOV_OK);
    assert_true(s.plain && !s.on && s.count == 12 && s.rate == 0.5 && s.free_real == -0.03);
    assert_string_equal(s.name, "");
    assert_string_equal(s.kind, "bicubic");
    assert_int_equal(positional_count, 5);
    static const char *const expected[] = {"a", "-", "b", "--count", "-x"};
    for (size_t i = 0; i < 5; i++) {
        assert_string_equal(positional[i], expected[i]);
    }
    assert_int_equal(fov_options_source(set, "rate"), FOV_FROM_USER);
    assert_int_equal(PARSE(set, false, "-pc5", "--on=no", "--name", "--x"), FOV_E_INVALID);
    assert_int_equal(s.count, 5);
    assert_int_equal(PARSE(set, false, "-c", "6", "--name=--x", "--on", "--count=8", "--count", "9"), FOV_OK);
    assert_int_equal(s.count, 9);
    assert_true(s.on);
    assert_string_equal(s.name, "--x");
    fov_options_free(set);
}

static void assert_message(const char *piece) {
    if (strstr(fov_last_error(), piece) == NULL) {
        print_error("wanted '%s' in:\n%s\n", piece, fov_last_error());
        fail();
    }
}

/* All mistakes at once, each with its remedy. */
static void test_problems(void **state) {
    (void)state;
    settings s;
    fov_option_set *set = make(&s);
    assert_int_equal(PARSE(set, false, "--coutn", "--no-onn", "--count=0", "--rate", "1.5", "--chosen=1e6", "--kind=bicubik", "-z",
                           "--free-real=nan", "--plain=maybe", "--zzzzzzzzzz", "--no-count", "--out"),
                     FOV_E_INVALID);
    assert_message("unknown option --coutn; did you mean --count?");
    assert_message("unknown option --no-onn; did you mean --no-on?");
    assert_message("--count: 0 is out of range; it must be at least 1\n");
    assert_message("--rate: 1.5 is out of range; it must be from 0 to 1");
    assert_message("--chosen: '1e6' is not a whole number in plain digits");
    assert_message("--kind: 'bicubik' is not one of bilinear, bicubic; did you mean 'bicubic'?");
    assert_message("unknown option -z");
    assert_message("--free-real: 'nan' is not a number");
    assert_message("--plain: 'maybe' is neither true nor false");
    assert_message("unknown option --zzzzzzzzzz\n");
    assert_message("unknown option --no-count; did you mean --count?");
    assert_message("--out needs a value: --out DIR");
    int lines = 1;
    for (const char *c = fov_last_error(); *c != '\0'; c++) {
        lines += *c == '\n';
    }
    assert_int_equal(lines, 12);
    /* Nothing of it lingers. */
    assert_int_equal(PARSE(set, false, "--count=3"), FOV_OK);
    fov_options_free(set);
}

static void test_late_tables(void **state) {
    (void)state;
    settings s;
    late_settings late = {0};
    fov_option_set *set = make(&s);
    assert_int_equal(PARSE(set, true, "data", "--temperature", "0.5", "--count", "3", "--symmetric", "--rate=0.1", "--temprature=2"),
                     FOV_OK);
    assert_int_equal(positional_count, 1);
    assert_int_equal(fov_options_add(set, "Method", late_table, &late), FOV_OK);
    assert_true(late.temperature == 0.5 && late.symmetric);
    assert_int_equal(fov_options_source(set, "temperature"), FOV_FROM_USER);
    assert_int_equal(fov_options_finish(set), FOV_E_INVALID);
    assert_message("unknown option --temprature; did you mean --temperature?");
    assert_int_equal(fov_options_finish(set), FOV_OK);
    fov_options_free(set);

    set = make(&s);
    assert_int_equal(PARSE(set, true, "--symmetric", "data", "-s", "--temperature=99", "-y"), FOV_OK);
    assert_int_equal(fov_options_add(set, "Method", late_table, &late), FOV_OK);
    assert_int_equal(fov_options_finish(set), FOV_E_INVALID);
    assert_message("--symmetric takes no value, but 'data' follows it");
    assert_message("--temperature: 99 is out of range");
    assert_message("unknown option -y");
    fov_options_free(set);

    set = make(&s);
    assert_int_equal(fov_options_add(set, "Again", table, &s), FOV_E_INVALID);
    assert_message("declared twice");
    assert_null(fov_options_at(set, 9, NULL, NULL, 0));
    fov_options_free(set);
}

static void test_sources(void **state) {
    (void)state;
    settings s;
    fov_option_set *set = make(&s);
    assert_int_equal(PARSE(set, false, "--count=3"), FOV_OK);
    assert_int_equal(fov_options_set(set, "count", "9", FOV_FROM_CONFIG), FOV_OK);
    assert_int_equal(s.count, 3);
    assert_int_equal(fov_options_set(set, "count", "0", FOV_FROM_CONFIG), FOV_E_INVALID); /* checked all the same */
    assert_int_equal(fov_options_set(set, "rate", "0.9", FOV_FROM_CONFIG), FOV_OK);
    assert_true(s.rate == 0.9);
    assert_int_equal(fov_options_set(set, "rat", "0.9", FOV_FROM_CONFIG), FOV_E_INVALID);
    assert_message("did you mean --rate?");
    fov_options_mark(set, "chosen", FOV_FROM_DATA);
    const char *heading = NULL;
    char value[8];
    const fov_option *option = fov_options_at(set, 3, &heading, value, sizeof value);
    assert_string_equal(option->name, "chosen");
    assert_string_equal(heading, "General");
    assert_string_equal(value, "42");
    fov_options_free(set);
}

static void test_help(void **state) {
    (void)state;
    settings s;
    fov_option_set *set = make(&s);
    for (unsigned width = 20; width < 120; width += 7) {
        fov_text text;
        fov_text_init(&text);
        fov_options_help(set, &text, width);
        assert_int_equal(text.status, FOV_OK);
        for (const char *line = text.data; *line != '\0'; line += strcspn(line, "\n") + 1) {
            assert_true(strcspn(line, "\n") <= (width < 50 ? 50 : width));
            assert_true(line[strcspn(line, "\n") - 1] != ' ');
        }
        fov_text_clear(&text);
    }
    fov_text text;
    fov_text_init(&text);
    fov_options_help(set, &text, 100);
    assert_non_null(strstr(text.data, "General:\n  -p, --plain               a switch\n  -o, --[no-]on             on unless"));
    assert_non_null(strstr(text.data, "--rate X              a rate (default 0.2)\n"));
    assert_non_null(strstr(text.data, "--chosen N            from the data (default: chosen from the data)\n"));
    assert_non_null(strstr(text.data, "a kind (bilinear, bicubic; default bilinear)\n"));
    assert_non_null(strstr(text.data, "so that this has\n                            to wrap\n"));
    fov_text_clear(&text);
    fov_options_free(set);
}

static void write_config(const char *text) {
    assert_int_equal(fov_io_write_atomic(CONFIG, text, strlen(text)), FOV_OK);
}

static void test_config(void **state) {
    (void)state;
    settings s;
    fov_option_set *set = make(&s);
    write_config(
        "\xEF\xBB\xBF# comment\r\n; another\r\n[Any heading]\r\ncount = 12 ; inline\r\nname=a = b:c\r\nrate : 0.5\r\nplain = yes\r\n"
        "out = \"long \"\r\n  \" and \\x41\\t\\\"q\\\"\"\r\n");
    assert_int_equal(PARSE(set, false, "--rate=0.75"), FOV_OK);
    assert_int_equal(fov_options_read_ini(set, CONFIG), FOV_OK);
    assert_true(s.count == 12 && s.plain && s.rate == 0.75);
    assert_string_equal(s.name, "a = b:c");
    assert_string_equal(s.out, "long  and A\t\"q\"");
    assert_int_equal(fov_options_source(set, "count"), FOV_FROM_CONFIG);
    assert_int_equal(fov_options_source(set, "rate"), FOV_FROM_USER);
    fov_options_free(set);
}

static void test_config_problems(void **state) {
    (void)state;
    settings s;
    fov_option_set *set = make(&s);
    char text[2048], line[300];
    memset(line, 'x', sizeof line);
    line[sizeof line - 1] = '\0';
    (void)snprintf(
        text, sizeof text,
        "cuont = 3\nrate = 7\nname = a\n  count = 5\nplain\nout = \"x\\q\"\nkind = bicubic\n# %s\nkind = bilinear\nfree-real = %s\n", line,
        line);
    write_config(text);
    assert_int_equal(fov_options_read_ini(set, CONFIG), FOV_E_INVALID);
    assert_message("options.ini:1: unknown setting cuont; did you mean count?");
    assert_message("options.ini:2: rate: 7 is out of range");
    assert_message("options.ini:4: an indented line continues");
    assert_message("options.ini:5: expected name = value");
    assert_message("options.ini:6: out: the quotes or the escapes");
    assert_message("options.ini:9: kind was set on line 7 already");
    assert_message("options.ini:10: the line has more than");
    assert_string_equal(s.name, "abc");
    assert_int_equal(fov_io_write_atomic(CONFIG, "a\0b", 3), FOV_OK);
    assert_int_equal(fov_options_read_ini(set, CONFIG), FOV_E_FORMAT);
    assert_int_equal(fov_options_read_ini(set, FOV_TEST_TEMP "/none.ini"), FOV_E_NOTFOUND);
    fov_options_free(set);
}

/* A method's settings in a config file wait for the method's table, as its options do. */
/* Lines end where the memory does: what lies behind must not be looked at. */
static void test_config_bounds(void **state) {
    (void)state;
    settings s;
    fov_option_set *set = make(&s);
    char text[301];
    memset(text, ' ', 300);
    text[300] = 'x';
    assert_int_equal(fov_options_read_text(set, text, 300, "memory"), FOV_OK);
    text[299] = 'x';
    text[300] = '#';
    assert_int_equal(fov_options_read_text(set, text, 300, "memory"), FOV_E_INVALID);
    assert_message("memory:1: the line has more than");
    fov_options_free(set);
}

static void test_config_late(void **state) {
    (void)state;
    settings s;
    late_settings late = {0};
    fov_option_set *set = make(&s);
    write_config("temperature = 0.3\nsymmetric = true\nno-on = true\nbogus = 1\n");
    assert_int_equal(PARSE(set, true, "--temperature=0.7"), FOV_OK);
    assert_int_equal(fov_options_read_ini(set, CONFIG), FOV_OK);
    assert_int_equal(fov_options_add(set, "Method", late_table, &late), FOV_OK);
    assert_true(late.temperature == 0.7 && late.symmetric);
    assert_int_equal(fov_options_source(set, "symmetric"), FOV_FROM_CONFIG);
    assert_int_equal(fov_options_finish(set), FOV_E_INVALID);
    assert_message("options.ini:4: unknown setting bogus");
    assert_message("options.ini:3: unknown setting no-on");
    fov_options_free(set);
}

static void round_trip(const char *name, int64_t count, double rate, bool flag) {
    settings s, back;
    fov_option_set *set = make(&s), *again = make(&back);
    assert_int_equal(fov_options_set(set, "name", name, FOV_FROM_USER), FOV_OK);
    s.count = count;
    s.free_real = rate;
    s.plain = flag;
    s.on = !flag;
    s.kind = kinds[1];
    fov_options_mark(set, "kind", FOV_FROM_DATA);
    fov_text text;
    fov_text_init(&text);
    fov_options_write_ini(set, &text);
    assert_int_equal(text.status, FOV_OK);
    write_config(text.data);
    const fov_status status = fov_options_read_ini(again, CONFIG);
    if (status != FOV_OK) {
        print_error("%s\n%s\n", fov_last_error(), text.data);
    }
    assert_int_equal(status, FOV_OK);
    assert_string_equal(back.name, name);
    assert_true(back.count == count && back.plain == flag && back.on == !flag && back.kind == kinds[1]);
    assert_memory_equal(&back.free_real, &rate, sizeof rate);
    assert_null(back.out);
    assert_int_equal(fov_options_source(again, "out"), FOV_FROM_NONE);
    assert_int_equal(back.chosen, 42);
    assert_int_equal(fov_options_source(again, "chosen"), FOV_FROM_NONE);
    fov_text_clear(&text);
    fov_options_free(set);
    fov_options_free(again);
}

static void test_round_trip(void **state) {
    (void)state;
    static const char *const names[] = {
        "",
        " ",
        "  lead",
        "trail  ",
        "\t",
        "a;b",
        "a ;b",
        ";",
        "#",
        "# x",
        "a # b",
        "=",
        "= =",
        ":",
        "[x]",
        "\"",
        "\"quoted\"",
        "\\",
        "\\n",
        "a\nb",
        "a\r\nb\n",
        "\n",
        "\xC3\xA9t\xC3\xA9",
        "\xff\xfe raw",
        "\x01\x1f\x7f",
        "'single'",
        "crop(64,0.08,1,bicubic) flip(0.5) | gray(0.2)",
        "true",
        "-1",
        "--name",
        "\xEF\xBB\xBFx",
    };
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        round_trip(names[i], 1, 0.1, i % 2 == 0);
    }
    round_trip("x", 999999999999999999, -1.0 / 3.0, true);
    round_trip("x", 1, 5e-324, false);
    /* Long values of every awkward byte, at every length around the places where lines are cut. */
    char text[600];
    for (size_t length = 60; length < sizeof text; length += length < 130 ? 1 : 41) {
        for (size_t i = 0; i < length; i++) {
            static const char bytes[] = "ab; \"\\\n\xC3\xA9/=#";
            text[i] = bytes[(i * 5 + length) % (sizeof bytes - 1)];
        }
        text[length] = '\0';
        round_trip(text, 1, 1.5, false);
        memset(text, 'p', length);
        round_trip(text, 1, 1.5, false);
        for (size_t i = 0; i + 1 < length; i += 2) {
            text[i] = '\xC3';
            text[i + 1] = '\xA9';
        }
        round_trip(text, 1, 1.5, false);
    }
    assert_int_equal(fov_io_remove(CONFIG), FOV_OK);
}

static void belongs_elsewhere(const void *context, const char *name, fov_text *text) {
    if (strcmp(name, "mask-ratio") == 0) {
        fov_text_add(text, context);
    }
}

static void test_elsewhere(void **state) {
    (void)state;
    settings s;
    fov_option_set *set = make(&s);
    fov_options_know_elsewhere(set, belongs_elsewhere, "--method mae");
    assert_int_equal(PARSE(set, false, "--mask-ratio", "--cuont", "3"), FOV_E_INVALID);
    assert_message("option --mask-ratio is of --method mae\n");
    assert_message("unknown option --cuont; did you mean --count?");
    assert_int_equal(fov_options_read_text(set, "\nmask-ratio = 1\n", 16, "a.ini"), FOV_E_INVALID);
    assert_message("a.ini:2: setting mask-ratio is of --method mae");
    fov_options_free(set);
}

/* Only which values there are counts, not where they came from, nor how they were written. */
static void test_hash(void **state) {
    (void)state;
    static const fov_option more_table[] = {{.name = "more", .type = FOV_OPT_STRING, .offset = 0, .fallback = "usual"}, {.name = NULL}};
    static const fov_option free_table[] = {{.name = "free", .type = FOV_OPT_STRING, .offset = 0, .resumable = true}, {.name = NULL}};
    settings s, s2;
    const char *more = NULL, *free_value = NULL;
    fov_option_set *set = make(&s), *other = make(&s2);
    const uint64_t usual = fov_options_hash(set);
    assert_true(usual != 0);
    assert_int_equal(PARSE(set, false, "--rate", "0.20", "--on", "--out="), FOV_OK);
    assert_true(fov_options_hash(set) == usual);
    assert_int_equal(fov_options_add(set, "More", more_table, &more), FOV_OK); /* of a later version */
    assert_int_equal(fov_options_add(set, "Free", free_table, &free_value), FOV_OK);
    assert_int_equal(PARSE(set, false, "--free", "3"), FOV_OK);
    assert_true(fov_options_hash(set) == usual);

    s.chosen = 5;
    fov_options_mark(set, "chosen", FOV_FROM_DATA);
    assert_int_equal(PARSE(set, false, "--rate", "1e-1"), FOV_OK);
    assert_int_equal(fov_options_read_text(other, "chosen = 5\nrate = 0.1\n", 22, "a.ini"), FOV_OK);
    assert_true(fov_options_hash(set) == fov_options_hash(other));
    assert_true(fov_options_hash(set) != usual);
    s2.rate = 5; /* values do not change places */
    s2.chosen = 1;
    assert_true(fov_options_hash(set) != fov_options_hash(other));
    fov_options_free(set);
    fov_options_free(other);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_defaults),    cmocka_unit_test(test_forms),           cmocka_unit_test(test_problems),
        cmocka_unit_test(test_late_tables), cmocka_unit_test(test_sources),         cmocka_unit_test(test_help),
        cmocka_unit_test(test_config),      cmocka_unit_test(test_config_problems), cmocka_unit_test(test_config_late),
        cmocka_unit_test(test_round_trip),  cmocka_unit_test(test_config_bounds),
        cmocka_unit_test(test_elsewhere),   cmocka_unit_test(test_hash),
    };
    return cmocka_run_group_tests_name("options", tests, NULL, NULL);
}
