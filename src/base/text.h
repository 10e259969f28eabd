/* A growing text buffer, and helpers for names that came from a file system. */
#ifndef FOV_BASE_TEXT_H
#define FOV_BASE_TEXT_H

#include "base/memory.h"

typedef struct fov_text {
    char *data; /* always NUL-terminated once anything was added; may be NULL when empty */
    size_t length, capacity;
    fov_status status; /* first failure; later calls do nothing, so callers check once */
} fov_text;

void fov_text_init(fov_text *text);
void fov_text_clear(fov_text *text);
void fov_text_add(fov_text *text, const char *piece);
void fov_text_add_bytes(fov_text *text, const void *bytes, size_t count);
void fov_text_printf(fov_text *text, const char *format, ...) FOV_PRINTF(2, 3);
/* Adds a path or any bytes with control characters, backslash and invalid UTF-8 written as \xHH, tab and newline as \t and \n. */
void fov_text_add_escaped(fov_text *text, const char *bytes);

int fov_utf8_valid(const void *bytes, size_t count);

/* Levenshtein distance with transpositions, for "did you mean". Bytes after the 64th only count by their number. */
unsigned fov_edit_distance(const char *a, const char *b);
/* Nearest of `count` names within distance max(2, length / 3), and less than a name's length; NULL if none is near. */
const char *fov_nearest_name(const char *name, const char *const *names, size_t count);
/* FOV_E_INVALID: "there is no KIND 'NAME'; did you mean 'NEAREST'?", or, when none is near, "...; 'LIST' names them all". */
fov_status fov_fail_unknown(const char *kind, const char *name, const char *const *names, size_t count, const char *list);

/* "1,234,567" and "12.3 MB"; text holds at least 32 bytes. */
void fov_format_count(unsigned long long n, char *text, size_t size);
void fov_format_bytes(double bytes, char *text, size_t size);

#endif
