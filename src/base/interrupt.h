/* Signals as flags: the handler only sets a flag; the training loop looks at it between steps. */
#ifndef FOV_BASE_INTERRUPT_H
#define FOV_BASE_INTERRUPT_H

#include "base/error.h"

/* Installs handlers for SIGINT, SIGTERM and SIGUSR1. The first signal sets the flag; a second one leaves at once with 128 + its
 * number. Only the program calls this. */
FOV_MUST_USE fov_status fov_interrupt_install(void);
int fov_interrupt_pending(void);        /* number of the signal received, 0 if none */
void fov_interrupt_raise(int signal);   /* sets the flag by hand (tests, and a library caller that wants to stop) */
void fov_interrupt_clear(void);

#endif
