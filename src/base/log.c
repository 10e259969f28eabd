/* Hands log lines to the sink, one at a time.
 *
 * Lines are formatted on the stack: a log line must never fail, nor change the failure message it may be about. A mutex keeps the
 * sink from two threads; a sink that logs would wait for itself, so lines from inside the sink are dropped. */
#include "base/log.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "base/number.h"

enum { LINE_BYTES = 8192 };

static struct {
    fov_log_sink sink;
    void *context;
    fov_log_level level;
} output;

static pthread_mutex_t one_at_a_time = PTHREAD_MUTEX_INITIALIZER;
static _Thread_local bool inside_sink;

void fov_log_set_sink(fov_log_sink sink, void *context, fov_log_level level) {
    (void)pthread_mutex_lock(&one_at_a_time);
    output.sink = sink;
    output.context = context;
    output.level = level;
    (void)pthread_mutex_unlock(&one_at_a_time);
}

/* A text of several lines becomes several calls. */
static void deliver(fov_log_level level, char *text) {
    char *line = text;
    for (char *end = strchr(line, '\n'); end != NULL; end = strchr(line, '\n')) {
        *end = '\0';
        output.sink(output.context, level, line);
        line = end + 1;
    }
    if (*line != '\0' || line == text) {
        output.sink(output.context, level, line);
    }
}

void fov_log(fov_log_level level, const char *format, ...) {
    if (output.sink == NULL || level > output.level || inside_sink) {
        return;
    }
    char text[LINE_BYTES];
    va_list arguments;
    va_start(arguments, format);
    const int length = fov_number_vprint(text, sizeof text, format, arguments);
    va_end(arguments);
    if (length < 0) {
        return;
    }
    (void)pthread_mutex_lock(&one_at_a_time);
    inside_sink = true;
    deliver(level, text);
    inside_sink = false;
    (void)pthread_mutex_unlock(&one_at_a_time);
}
