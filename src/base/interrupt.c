/* Signals as a flag. The handler does the one thing that is safe at any moment: it stores a number. System calls are restarted, so
 * that no read or write in progress fails because somebody pressed a key. */
#include "base/interrupt.h"

#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

static atomic_int pending;  /* what the training loop sees */
static atomic_int received; /* set by signals only: a flag raised by hand must not turn the first signal into a second */

static void on_signal(int signal) {
    int none = 0;
    if (!atomic_compare_exchange_strong(&received, &none, signal)) {
        _exit(128 + signal);
    }
    atomic_store(&pending, signal);
}

fov_status fov_interrupt_install(void) {
    static const int signals[] = {SIGINT, SIGTERM, SIGUSR1};
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_handler = on_signal;
    action.sa_flags = SA_RESTART;
    (void)sigemptyset(&action.sa_mask);
    for (size_t i = 0; i < sizeof signals / sizeof signals[0]; i++) {
        if (sigaction(signals[i], &action, NULL) != 0) {
            return FOV_FAIL(FOV_E_IO, "cannot handle signal %d: %s", signals[i], strerror(errno));
        }
    }
    return FOV_OK;
}

int fov_interrupt_pending(void) { return atomic_load(&pending); }

void fov_interrupt_raise(int signal) { atomic_store(&pending, signal); }

void fov_interrupt_clear(void) {
    atomic_store(&pending, 0);
    atomic_store(&received, 0);
}
