/* The failure message and trail of each thread.
 *
 * Both live in fixed thread-local buffers, so that raising a failure cannot itself fail: it needs no memory, not even when the
 * failure is that memory ran out. A message is formatted aside first, because its arguments may point into the present one. */
#include "base/error.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/number.h"

enum { MESSAGE_BYTES = 4096, TRAIL_BYTES = 1024, PLACE_BYTES = 96 };

static const char cut_mark[] = "...";
static const char trail_cut_mark[] = " < ...";

static _Thread_local char message[MESSAGE_BYTES];
static _Thread_local char trail[TRAIL_BYTES];

const char *fov_status_name(fov_status status) {
    switch (status) {
    case FOV_OK:
        return "FOV_OK";
    case FOV_E_INVALID:
        return "FOV_E_INVALID";
    case FOV_E_IO:
        return "FOV_E_IO";
    case FOV_E_FORMAT:
        return "FOV_E_FORMAT";
    case FOV_E_UNSUPPORTED:
        return "FOV_E_UNSUPPORTED";
    case FOV_E_LIMIT:
        return "FOV_E_LIMIT";
    case FOV_E_NOMEM:
        return "FOV_E_NOMEM";
    case FOV_E_NOTFOUND:
        return "FOV_E_NOTFOUND";
    case FOV_E_EXISTS:
        return "FOV_E_EXISTS";
    case FOV_E_LOCKED:
        return "FOV_E_LOCKED";
    case FOV_E_DATA:
        return "FOV_E_DATA";
    case FOV_E_NUMERIC:
        return "FOV_E_NUMERIC";
    case FOV_E_STALLED:
        return "FOV_E_STALLED";
    case FOV_E_INTERRUPTED:
        return "FOV_E_INTERRUPTED";
    case FOV_E_MISMATCH:
        return "FOV_E_MISMATCH";
    }
    return "unknown status";
}

const char *fov_last_error(void) { return message; }

const char *fov_last_trail(void) { return trail; }

static const char *file_name(const char *file) {
    const char *slash = strrchr(file, '/');
    return slash != NULL ? slash + 1 : file;
}

/* Marks a text that filled its buffer as cut, without leaving half a UTF-8 character before the mark. */
static void mark_cut(char *text, size_t size) {
    size_t end = size - sizeof cut_mark;
    while (end > 0 && ((unsigned char)text[end] & 0xC0U) == 0x80U) {
        end--;
    }
    memcpy(text + end, cut_mark, sizeof cut_mark);
}

/* Formats into `text`, which holds MESSAGE_BYTES. */
static void format_message(char *text, const char *format, va_list arguments) FOV_PRINTF(2, 0);
static void format_message(char *text, const char *format, va_list arguments) {
    const int length = fov_number_vprint(text, MESSAGE_BYTES, format, arguments);
    if (length < 0) {
        (void)snprintf(text, MESSAGE_BYTES, "%s", format);
    } else if (length >= MESSAGE_BYTES) {
        mark_cut(text, MESSAGE_BYTES);
    }
}

fov_status fov_fail_at(const char *file, int line, fov_status status, const char *format, ...) {
    char text[MESSAGE_BYTES];
    va_list arguments;
    va_start(arguments, format);
    format_message(text, format, arguments);
    va_end(arguments);
    memcpy(message, text, strlen(text) + 1);
    (void)snprintf(trail, sizeof trail, "%s:%d", file_name(file), line);
    return status;
}

fov_status fov_forward_at(const char *file, int line, fov_status status) {
    char place[PLACE_BYTES];
    const size_t used = strlen(trail);
    if (used >= sizeof trail_cut_mark - 1 && strcmp(trail + used - (sizeof trail_cut_mark - 1), trail_cut_mark) == 0) {
        return status;
    }
    (void)snprintf(place, sizeof place, "%s%s:%d", used > 0 ? " < " : "", file_name(file), line);
    const bool fits = used + strlen(place) + sizeof trail_cut_mark <= sizeof trail;
    (void)snprintf(trail + used, sizeof trail - used, "%s", fits ? place : trail_cut_mark);
    return status;
}

fov_status fov_fail_prefix(fov_status status, const char *format, ...) {
    char text[MESSAGE_BYTES];
    va_list arguments;
    va_start(arguments, format);
    format_message(text, format, arguments);
    va_end(arguments);
    const size_t used = strlen(text);
    const int length = snprintf(text + used, sizeof text - used, ": %s", message);
    if (length >= 0 && (size_t)length >= sizeof text - used) {
        mark_cut(text, sizeof text);
    }
    memcpy(message, text, strlen(text) + 1);
    return status;
}

/* memmove, because the texts may be this thread's own. */
static void copy_text(char *to, size_t size, const char *from) {
    const size_t length = strlen(from);
    const size_t kept = length < size ? length : size - 1;
    memmove(to, from, kept);
    to[kept] = '\0';
    if (kept < length) {
        mark_cut(to, size);
    }
}

fov_status fov_fail_copy(fov_status status, const char *other_message, const char *other_trail) {
    copy_text(message, sizeof message, other_message);
    copy_text(trail, sizeof trail, other_trail);
    return status;
}

_Noreturn void fov_assert_failed(const char *file, int line, const char *condition) {
    (void)fprintf(stderr, "fovea: internal error at %s:%d: %s does not hold\n", file_name(file), line, condition);
    abort();
}
