/* JSON through cJSON, with the checks cJSON leaves to its caller. The only user of cJSON.h is json.c. */
#ifndef FOV_BASE_JSON_H
#define FOV_BASE_JSON_H

#include <stdbool.h>
#include <stdint.h>

#include "base/text.h"

typedef struct cJSON fov_json;

#define FOV_JSON_MAX_VALUES 2000000 /* per document; each costs about 80 bytes */

/* Parses exactly `size` bytes (no NUL needed). Refuses invalid UTF-8, anything RFC 8259 does not allow, \u0000, nesting over
 * `max_depth`, more than FOV_JSON_MAX_VALUES values, duplicate keys in any object, and anything but white space after the value.
 * `what` names the source in messages. The caller frees with fov_json_free. */
FOV_MUST_USE fov_status fov_json_parse(const void *bytes, size_t size, unsigned max_depth, const char *what, fov_json **json);
void fov_json_free(fov_json *json);

/* Looking. All borrow. NULL or false when absent or of another type. */
const fov_json *fov_json_get(const fov_json *object, const char *key);
const fov_json *fov_json_first(const fov_json *container); /* first member or element */
const fov_json *fov_json_next(const fov_json *item);
const char *fov_json_key(const fov_json *item);
bool fov_json_is_object(const fov_json *json);
bool fov_json_is_array(const fov_json *json);
size_t fov_json_count(const fov_json *json);
const char *fov_json_string(const fov_json *json);               /* NULL unless a string */
bool fov_json_number(const fov_json *json, double *value);
bool fov_json_u64(const fov_json *json, uint64_t *value);        /* a non-negative integer below 2^53 */

/* Making: a writer straight to text, so that numbers keep their shortest exact form and order is ours. */
typedef struct fov_json_writer {
    fov_text text;
    unsigned depth;
    bool comma, pretty;
} fov_json_writer;
void fov_json_begin(fov_json_writer *w, bool pretty);
void fov_json_clear(fov_json_writer *w);
void fov_json_open(fov_json_writer *w, const char *key, char bracket); /* '{' or '['; key NULL inside arrays and at the top */
void fov_json_close(fov_json_writer *w, char bracket); /* either bracket of the pair */
void fov_json_add_string(fov_json_writer *w, const char *key, const char *value); /* NULL value: null */
void fov_json_add_number(fov_json_writer *w, const char *key, double value);      /* shortest form that reads back; NaN, Inf: null */
void fov_json_add_int(fov_json_writer *w, const char *key, int64_t value);
void fov_json_add_bool(fov_json_writer *w, const char *key, bool value);

#endif
