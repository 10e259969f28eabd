/* Growing text, escaping of names from a file system, and the nearest valid name.
 *
 * The distance is Damerau-Levenshtein in its restricted form (optimal string alignment): insertions, deletions, substitutions and
 * swaps of neighbours each cost one, which covers the ways people mistype options, in O(length^2) with three rows. */
#include "base/text.h"

#include <math.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/checked.h"
#include "base/number.h"

enum { FIRST_CAPACITY = 128, DISTANCE_BYTES = 64 };

void fov_text_init(fov_text *text) { *text = (fov_text){0}; }

void fov_text_clear(fov_text *text) {
    fov_mem_free(text->data);
    fov_text_init(text);
}

/* Makes room for `more` bytes and the NUL. */
static bool reserve(fov_text *text, size_t more) {
    size_t needed = 0;
    if (text->status != FOV_OK) {
        return false;
    }
    if (!fov_add_size(text->length, more, &needed) || !fov_add_size(needed, 1, &needed)) {
        text->status = FOV_FAIL(FOV_E_NOMEM, "out of memory: a text longer than memory");
        return false;
    }
    if (needed <= text->capacity) {
        return true;
    }
    size_t capacity = text->capacity == 0 ? FIRST_CAPACITY : text->capacity;
    while (capacity < needed && fov_mul_size(capacity, 2, &capacity)) {
    }
    capacity = capacity < needed ? needed : capacity;
    char *data = fov_mem_realloc(FOV_MEM_BASE, text->data, capacity);
    if (data == NULL) {
        text->status = FOV_E_NOMEM;
        return false;
    }
    text->data = data;
    text->capacity = capacity;
    return true;
}

void fov_text_add_bytes(fov_text *text, const void *bytes, size_t count) {
    if (!reserve(text, count)) {
        return;
    }
    if (count > 0) {
        memcpy(text->data + text->length, bytes, count);
    }
    text->length += count;
    text->data[text->length] = '\0';
}

void fov_text_add(fov_text *text, const char *piece) { fov_text_add_bytes(text, piece, strlen(piece)); }

void fov_text_printf(fov_text *text, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    const int length = fov_number_vprint(NULL, 0, format, arguments);
    va_end(arguments);
    FOV_ASSERT(length >= 0);
    if (!reserve(text, (size_t)length)) {
        return;
    }
    va_start(arguments, format);
    (void)fov_number_vprint(text->data + text->length, (size_t)length + 1, format, arguments);
    va_end(arguments);
    text->length += (size_t)length;
}

/* Bytes of the UTF-8 character at p, of which `left` > 0 may be read; 0 if it is not valid: the ranges of the second byte, from
 * table 3-7 of the Unicode standard, exclude overlong forms, surrogates and what lies above U+10FFFF. */
static size_t utf8_length(const unsigned char *p, size_t left) {
    const unsigned first = p[0];
    if (first < 0x80) {
        return 1;
    }
    if (first < 0xC2 || first > 0xF4) {
        return 0;
    }
    const size_t length = first < 0xE0 ? 2 : first < 0xF0 ? 3 : 4;
    if (left < length) {
        return 0;
    }
    const unsigned low = first == 0xE0 ? 0xA0 : first == 0xF0 ? 0x90 : 0x80;
    const unsigned high = first == 0xED ? 0x9F : first == 0xF4 ? 0x8F : 0xBF;
    if (p[1] < low || p[1] > high) {
        return 0;
    }
    for (size_t i = 2; i < length; i++) {
        if ((p[i] & 0xC0U) != 0x80U) {
            return 0;
        }
    }
    return length;
}

int fov_utf8_valid(const void *bytes, size_t count) {
    const unsigned char *p = bytes;
    size_t at = 0;
    while (at < count) {
        const size_t length = utf8_length(p + at, count - at);
        if (length == 0) {
            return 0;
        }
        at += length;
    }
    return 1;
}

/* C0, DEL, and C1 in its two-byte form: all of them can steer a terminal. */
static bool is_control(const unsigned char *p, size_t length) {
    return p[0] < 0x20 || p[0] == 0x7F || (length == 2 && p[0] == 0xC2 && p[1] < 0xA0);
}

void fov_text_add_escaped(fov_text *text, const char *bytes) {
    const unsigned char *p = (const unsigned char *)bytes;
    size_t left = strlen(bytes);
    fov_text_add_bytes(text, "", 0);
    while (left > 0) {
        const size_t valid = utf8_length(p, left);
        const size_t length = valid == 0 ? 1 : valid;
        if (p[0] == '\t' || p[0] == '\n') {
            fov_text_add(text, p[0] == '\t' ? "\\t" : "\\n");
        } else if (valid == 0 || p[0] == '\\' || is_control(p, length)) {
            for (size_t i = 0; i < length; i++) {
                fov_text_printf(text, "\\x%02X", (unsigned)p[i]);
            }
        } else {
            fov_text_add_bytes(text, p, length);
        }
        p += length;
        left -= length;
    }
}

static unsigned least(unsigned a, unsigned b) { return a < b ? a : b; }

/* One row of the table of distances: row i from rows i - 1 and i - 2. */
static void distance_row(const char *a, const char *b, size_t i, size_t m, unsigned *row, const unsigned *above, const unsigned *above2) {
    row[0] = (unsigned)i;
    for (size_t j = 1; j <= m; j++) {
        const unsigned change = above[j - 1] + (a[i - 1] == b[j - 1] ? 0U : 1U);
        row[j] = least(change, least(above[j], row[j - 1]) + 1U);
        if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) {
            row[j] = least(row[j], above2[j - 2] + 1U);
        }
    }
}

unsigned fov_edit_distance(const char *a, const char *b) {
    unsigned rows[3][DISTANCE_BYTES + 1];
    const size_t length_a = strlen(a);
    const size_t length_b = strlen(b);
    const size_t n = length_a < DISTANCE_BYTES ? length_a : DISTANCE_BYTES;
    const size_t m = length_b < DISTANCE_BYTES ? length_b : DISTANCE_BYTES;
    for (size_t j = 0; j <= m; j++) {
        rows[0][j] = (unsigned)j;
    }
    for (size_t i = 1; i <= n; i++) {
        distance_row(a, b, i, m, rows[i % 3], rows[(i + 2) % 3], rows[(i + 1) % 3]);
    }
    const size_t tail_a = length_a - n;
    const size_t tail_b = length_b - m;
    return rows[n % 3][m] + (unsigned)(tail_a > tail_b ? tail_a : tail_b);
}

const char *fov_nearest_name(const char *name, const char *const *names, size_t count) {
    const size_t length = strlen(name);
    unsigned best = length / 3 > 2 ? (unsigned)(length / 3) + 1 : 3;
    const char *nearest = NULL;
    for (size_t i = 0; i < count; i++) {
        const size_t other = strlen(names[i]);
        const unsigned distance = fov_edit_distance(name, names[i]);
        if (distance < best && distance < (length > other ? length : other)) {
            best = distance;
            nearest = names[i];
        }
    }
    return nearest;
}

void fov_format_count(unsigned long long n, char *text, size_t size) {
    char digits[24];
    char grouped[32];
    const int length = snprintf(digits, sizeof digits, "%llu", n);
    size_t used = 0;
    for (int i = 0; i < length; i++) {
        if (i > 0 && (length - i) % 3 == 0) {
            grouped[used++] = ',';
        }
        grouped[used++] = digits[i];
    }
    grouped[used] = '\0';
    (void)snprintf(text, size, "%s", grouped);
}

void fov_format_bytes(double bytes, char *text, size_t size) {
    static const char *const units[] = {"B", "kB", "MB", "GB", "TB", "PB"};
    const size_t last = sizeof units / sizeof units[0] - 1;
    size_t unit = 0;
    double value = bytes;
    /* 999.95 would be written 1000.0. */
    while (unit < last && fabs(value) >= (unit == 0 ? 999.5 : 999.95)) {
        value /= 1000.0;
        unit++;
    }
    (void)fov_number_print(text, size, "%.*f %s", unit == 0 ? 0 : 1, value, units[unit]);
}

fov_status fov_fail_unknown(const char *kind, const char *name, const char *const *names, size_t count, const char *list) {
    const char *nearest = fov_nearest_name(name, names, count);
    if (nearest != NULL) {
        return FOV_FAIL(FOV_E_INVALID, "there is no %s '%s'; did you mean '%s'?", kind, name, nearest);
    }
    return FOV_FAIL(FOV_E_INVALID, "there is no %s '%s'; '%s' names them all", kind, name, list);
}
