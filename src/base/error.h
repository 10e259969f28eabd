/* Raising and forwarding failures inside the library. See include/fovea/status.h for what a caller sees. */
#ifndef FOV_BASE_ERROR_H
#define FOV_BASE_ERROR_H

#include <fovea/status.h>

/* Sets the thread's message and starts its trail. Returns `status`, so that `return FOV_FAIL(FOV_E_IO, "%s: %s", ...)` works.
 * The message names the file or option, the value found, and what to do. */
#define FOV_FAIL(status, ...) fov_fail_at(__FILE__, __LINE__, (status), __VA_ARGS__)

/* Calls; on failure adds this place to the trail and returns the status from the enclosing function. */
#define FOV_TRY(call)                                                 \
    do {                                                              \
        const fov_status fov_try_status = (call);                     \
        if (fov_try_status != FOV_OK) {                               \
            return fov_forward_at(__FILE__, __LINE__, fov_try_status); \
        }                                                             \
    } while (0)

/* As FOV_TRY, but stores the status in `var` and jumps to `label`, where the function cleans up. */
#define FOV_TRY_GOTO(var, label, call)                       \
    do {                                                     \
        (var) = (call);                                      \
        if ((var) != FOV_OK) {                               \
            (void)fov_forward_at(__FILE__, __LINE__, (var)); \
            goto label;                                      \
        }                                                    \
    } while (0)

/* A programmer's mistake: prints the condition and place and aborts, in every build type. Never for bad input. */
#define FOV_ASSERT(cond) ((cond) ? (void)0 : fov_assert_failed(__FILE__, __LINE__, #cond))

fov_status fov_fail_at(const char *file, int line, fov_status status, const char *format, ...) FOV_PRINTF(4, 5);
fov_status fov_forward_at(const char *file, int line, fov_status status);

/* Puts "prefix: " before the thread's current message (used to name the file or the scope once it is known). Returns `status`. */
fov_status fov_fail_prefix(fov_status status, const char *format, ...) FOV_PRINTF(2, 3);

/* Copies a failure from a worker thread into the calling thread: read both with fov_last_error() on the worker. */
fov_status fov_fail_copy(fov_status status, const char *message, const char *trail);

_Noreturn void fov_assert_failed(const char *file, int line, const char *condition);

#endif
