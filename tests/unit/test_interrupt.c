/* Signals become a flag; a second one ends the process. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/interrupt.h"

static void test_flag(void **state) {
    (void)state;
    static const int signals[] = {SIGINT, SIGTERM, SIGUSR1};
    assert_int_equal(fov_interrupt_install(), FOV_OK);
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(fov_interrupt_pending(), 0);
        assert_int_equal(raise(signals[i]), 0);
        assert_int_equal(fov_interrupt_pending(), signals[i]);
        assert_int_equal(fov_interrupt_pending(), signals[i]);
        fov_interrupt_clear();
    }
}

static void test_by_hand(void **state) {
    (void)state;
    assert_int_equal(fov_interrupt_install(), FOV_OK);
    fov_interrupt_raise(SIGTERM);
    assert_int_equal(fov_interrupt_pending(), SIGTERM);
    /* A flag raised by hand is not a first signal: this one must be survived. */
    assert_int_equal(raise(SIGINT), 0);
    assert_int_equal(fov_interrupt_pending(), SIGINT);
    fov_interrupt_clear();
    assert_int_equal(fov_interrupt_pending(), 0);
}

static int status_after(int first, int second) {
    const pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        const fov_status status = fov_interrupt_install();
        (void)raise(first);
        if (status == FOV_OK && fov_interrupt_pending() == first) {
            (void)raise(second);
        }
        _exit(1);
    }
    int wait_status = 0;
    assert_int_equal(waitpid(child, &wait_status, 0), child);
    assert_true(WIFEXITED(wait_status));
    return WEXITSTATUS(wait_status);
}

static void test_second(void **state) {
    (void)state;
    assert_int_equal(status_after(SIGINT, SIGINT), 128 + SIGINT);
    assert_int_equal(status_after(SIGUSR1, SIGTERM), 128 + SIGTERM);
    assert_int_equal(status_after(SIGTERM, SIGUSR1), 128 + SIGUSR1);
}

/* A read in progress goes on after the signal. */
static void test_restart(void **state) {
    (void)state;
    int ends[2];
    assert_int_equal(fov_interrupt_install(), FOV_OK);
    assert_int_equal(pipe(ends), 0);
    const pid_t parent = getpid();
    const pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        (void)usleep(50000);
        (void)kill(parent, SIGUSR1);
        (void)usleep(50000);
        _exit(write(ends[1], "x", 1) == 1 ? 0 : 1);
    }
    char byte = 0;
    assert_int_equal(read(ends[0], &byte, 1), 1);
    assert_int_equal(byte, 'x');
    assert_int_equal(fov_interrupt_pending(), SIGUSR1);
    int wait_status = 0;
    assert_int_equal(waitpid(child, &wait_status, 0), child);
    assert_int_equal(wait_status, 0);
    fov_interrupt_clear();
    (void)close(ends[0]);
    (void)close(ends[1]);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_flag),
        cmocka_unit_test(test_by_hand),
        cmocka_unit_test(test_second),
        cmocka_unit_test(test_restart),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
