/* Numbers as text. A program that embeds the library may have set a locale with a decimal comma; our files may not depend on that, so
 * both directions run under the C locale of the calling thread.
 *
 * Shortest form by trying: 17 significant digits always read back (IEEE 754), so the first precision that does is the shortest. */
#include "base/number.h"

#include <errno.h>
#include <locale.h>
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static pthread_once_t once = PTHREAD_ONCE_INIT;
static locale_t c_locale;

static void make_locale(void) {
    c_locale = newlocale(LC_ALL_MASK, "C", (locale_t)0);
}

/* The locale to restore; (locale_t)0 when the C locale could not be had, which leaves things as they are. */
static locale_t enter_c_locale(void) {
    (void)pthread_once(&once, make_locale);
    return c_locale == (locale_t)0 ? (locale_t)0 : uselocale(c_locale);
}

static void leave_c_locale(locale_t before) {
    if (before != (locale_t)0) {
        (void)uselocale(before);
    }
}

void fov_number_text(double value, char *text, size_t size) {
    if (isnan(value) || isinf(value)) {
        (void)snprintf(text, size, "%s", isnan(value) ? "nan" : value > 0.0 ? "inf" : "-inf");
        return;
    }
    const locale_t before = enter_c_locale();
    if (fabs(value) < 1e15 && value == trunc(value)) {
        (void)snprintf(text, size, "%.0f", value);
    } else {
        for (int precision = 1; precision <= 17; precision++) {
            (void)snprintf(text, size, "%.*g", precision, value);
            const double back = strtod(text, NULL);
            if (memcmp(&back, &value, sizeof back) == 0) {
                break;
            }
        }
    }
    leave_c_locale(before);
}

int fov_number_vprint(char *text, size_t size, const char *format, va_list arguments) {
    const locale_t before = enter_c_locale();
    const int length = vsnprintf(text, size, format, arguments);
    leave_c_locale(before);
    return length;
}

int fov_number_print(char *text, size_t size, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    const int length = fov_number_vprint(text, size, format, arguments);
    va_end(arguments);
    return length;
}

bool fov_number_parse(const char *text, double *value) {
    if (text[0] == '\0' || strspn(text, "0123456789+-.eE") != strlen(text)) {
        return false;
    }
    const locale_t before = enter_c_locale();
    char *end = NULL;
    const double number = strtod(text, &end);
    leave_c_locale(before);
    if (end == text || *end != '\0' || !isfinite(number)) {
        return false;
    }
    *value = number;
    return true;
}

bool fov_integer_parse(const char *text, int64_t *value) {
    const char *digits = text + (text[0] == '-' || text[0] == '+' ? 1 : 0);
    if (digits[0] == '\0' || strspn(digits, "0123456789") != strlen(digits)) {
        return false;
    }
    errno = 0;
    const long long number = strtoll(text, NULL, 10);
    if (errno == ERANGE) {
        return false;
    }
    *value = number;
    return true;
}
