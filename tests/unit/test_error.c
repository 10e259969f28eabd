/* Messages, trails, forwarding, prefixes, copies and the assertion. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/error.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/text.h"

static fov_status inner(int value) {
    if (value < 0) {
        return FOV_FAIL(FOV_E_INVALID, "value is %d; it must be positive", value);
    }
    return FOV_OK;
}

static fov_status outer(int value) {
    FOV_TRY(inner(value));
    return FOV_OK;
}

static fov_status with_cleanup(int value, int *cleaned) {
    fov_status status = FOV_OK;
    FOV_TRY_GOTO(status, done, outer(value));
done:
    *cleaned = 1;
    return status;
}

static void test_names(void **state) {
    (void)state;
    assert_string_equal(fov_status_name(FOV_OK), "FOV_OK");
    assert_string_equal(fov_status_name(FOV_E_MISMATCH), "FOV_E_MISMATCH");
    assert_string_equal(fov_status_name((fov_status)99), "unknown status");
    for (int i = 0; i <= FOV_E_MISMATCH; i++) {
        for (int j = 0; j < i; j++) {
            assert_string_not_equal(fov_status_name((fov_status)i), fov_status_name((fov_status)j));
        }
    }
}

static void test_trail(void **state) {
    (void)state;
    int cleaned = 0;
    char expected[128];
    assert_int_equal(with_cleanup(3, &cleaned), FOV_OK);
    assert_int_equal(with_cleanup(-3, &cleaned), FOV_E_INVALID);
    assert_int_equal(cleaned, 1);
    assert_string_equal(fov_last_error(), "value is -3; it must be positive");
    int lines[3] = {0, 0, 0};
    assert_int_equal(sscanf(fov_last_trail(), "test_error.c:%d < test_error.c:%d < test_error.c:%d", &lines[0], &lines[1], &lines[2]), 3);
    assert_true(lines[0] < lines[1] && lines[1] < lines[2]);
    (void)snprintf(expected, sizeof expected, "test_error.c:%d < test_error.c:%d < test_error.c:%d", lines[0], lines[1], lines[2]);
    assert_string_equal(fov_last_trail(), expected);
}

static void test_prefix(void **state) {
    (void)state;
    assert_int_equal(inner(-1), FOV_E_INVALID);
    assert_int_equal(fov_fail_prefix(FOV_E_INVALID, "%s", "a.jpg"), FOV_E_INVALID);
    assert_string_equal(fov_last_error(), "a.jpg: value is -1; it must be positive");
    /* Arguments may be the present message. */
    (void)FOV_FAIL(FOV_E_DATA, "again: %s", fov_last_error());
    assert_string_equal(fov_last_error(), "again: a.jpg: value is -1; it must be positive");
}

static void test_cut(void **state) {
    (void)state;
    char text[6001];
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    (void)FOV_FAIL(FOV_E_IO, "%s", text);
    const size_t length = strlen(fov_last_error());
    assert_int_equal(length, 4095);
    assert_string_equal(fov_last_error() + length - 4, "x...");
    (void)FOV_FAIL(FOV_E_IO, "short");
    for (int i = 0; i < 200; i++) {
        (void)fov_forward_at("/deep/in/a/folder/file.c", 10, FOV_E_IO);
    }
    assert_true(strlen(fov_last_trail()) < 1024);
    assert_non_null(strstr(fov_last_trail(), " < file.c:10 < ..."));
    assert_null(strstr(fov_last_trail(), "folder"));
    assert_null(strstr(strstr(fov_last_trail(), "..."), "file.c"));
    /* Never half a character: é is C3 A9. */
    for (size_t i = 0; i + 2 < sizeof text; i += 2) {
        text[i] = '\xC3';
        text[i + 1] = '\xA9';
    }
    for (int shift = 0; shift < 2; shift++) {
        (void)FOV_FAIL(FOV_E_IO, "%s%s", shift == 0 ? "" : "x", text);
        assert_true(fov_utf8_valid(fov_last_error(), strlen(fov_last_error())));
    }
}

static void *fail_elsewhere(void *copy) {
    char *const *texts = copy;
    assert_string_equal(fov_last_error(), "");
    assert_string_equal(fov_last_trail(), "");
    assert_int_equal(outer(-8), FOV_E_INVALID);
    (void)snprintf(texts[0], 128, "%s", fov_last_error());
    (void)snprintf(texts[1], 128, "%s", fov_last_trail());
    return NULL;
}

static void test_threads(void **state) {
    (void)state;
    char message[128];
    char trail[128];
    char *texts[2] = {message, trail};
    pthread_t thread;
    (void)FOV_FAIL(FOV_E_LIMIT, "mine");
    assert_int_equal(pthread_create(&thread, NULL, fail_elsewhere, texts), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_string_equal(fov_last_error(), "mine");
    assert_int_equal(fov_fail_copy(FOV_E_INVALID, message, trail), FOV_E_INVALID);
    assert_string_equal(fov_last_error(), "value is -8; it must be positive");
    assert_string_equal(fov_last_trail(), trail);
    assert_int_equal(fov_fail_copy(FOV_E_INVALID, fov_last_error(), fov_last_trail()), FOV_E_INVALID);
    assert_string_equal(fov_last_error(), "value is -8; it must be positive");
}

static void test_assert(void **state) {
    (void)state;
    const int fine = 1;
    FOV_ASSERT(fine == 1);
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    const pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        const struct rlimit no_core = {0, 0};
        (void)setrlimit(RLIMIT_CORE, &no_core);
        (void)signal(SIGABRT, SIG_DFL);
        (void)dup2(ends[1], STDERR_FILENO);
        FOV_ASSERT(fine == 2);
        _exit(0);
    }
    char text[256] = "";
    (void)close(ends[1]);
    assert_true(read(ends[0], text, sizeof text - 1) > 0);
    (void)close(ends[0]);
    int wait_status = 0;
    assert_int_equal(waitpid(child, &wait_status, 0), child);
    assert_true(WIFSIGNALED(wait_status) && WTERMSIG(wait_status) == SIGABRT);
    assert_non_null(strstr(text, "test_error.c:"));
    assert_non_null(strstr(text, "fine == 2 does not hold"));
}

/* ---- log ---- */

typedef struct heard {
    char lines[8][64];
    fov_log_level levels[8];
    int count;
} heard;

static void listen(void *context, fov_log_level level, const char *line) {
    heard *h = context;
    fov_log(FOV_LOG_ERROR, "a sink that logs");
    if (h->count < 8) {
        (void)snprintf(h->lines[h->count], sizeof h->lines[0], "%s", line);
        h->levels[h->count] = level;
    }
    h->count++;
}

static void test_log(void **state) {
    (void)state;
    heard h = {.count = 0};
    fov_log(FOV_LOG_ERROR, "nobody listens");
    fov_log_set_sink(listen, &h, FOV_LOG_INFO);
    fov_log(FOV_LOG_INFO, "step %d", 7);
    fov_log(FOV_LOG_DEBUG, "too detailed");
    fov_log(FOV_LOG_WARNING, "two\nlines\n");
    assert_int_equal(h.count, 3);
    assert_string_equal(h.lines[0], "step 7");
    assert_int_equal(h.levels[0], FOV_LOG_INFO);
    assert_string_equal(h.lines[1], "two");
    assert_string_equal(h.lines[2], "lines");
    assert_int_equal(h.levels[2], FOV_LOG_WARNING);
    fov_log_set_sink(NULL, NULL, FOV_LOG_DEBUG);
    fov_log(FOV_LOG_ERROR, "nobody listens");
    assert_int_equal(h.count, 3);
}

static void count_line(void *context, fov_log_level level, const char *line) {
    int *count = context;
    (void)level;
    (void)line;
    *count = *count + 1; /* not atomic: the log must not call twice at once */
}

static void *log_much(void *unused) {
    (void)unused;
    for (int i = 0; i < 2000; i++) {
        fov_log(FOV_LOG_INFO, "line %d", i);
    }
    return NULL;
}

static void test_log_threads(void **state) {
    (void)state;
    int count = 0;
    pthread_t threads[4];
    fov_log_set_sink(count_line, &count, FOV_LOG_INFO);
    for (int i = 0; i < 4; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, log_much, NULL), 0);
    }
    for (int i = 0; i < 4; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    }
    fov_log_set_sink(NULL, NULL, FOV_LOG_ERROR);
    assert_int_equal(count, 8000);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names),  cmocka_unit_test(test_trail),  cmocka_unit_test(test_prefix),
        cmocka_unit_test(test_cut),    cmocka_unit_test(test_threads), cmocka_unit_test(test_assert),
        cmocka_unit_test(test_log),    cmocka_unit_test(test_log_threads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
