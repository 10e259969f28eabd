/* JSON: read through cJSON after a strict check of the text (json_check.c), written directly.
 *
 * cJSON's allocation hooks are global to the process and would reach into a program that uses cJSON itself, so its nodes come from malloc;
 * their number is capped by the check. Duplicate keys are found by sorting the keys of each object: two readers that pick different ones of
 * a pair would see two different files. */
#include "base/json.h"

#include <cJSON.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/json_check.h"
#include "base/number.h"

#define CJSON_DEPTH 1000U /* cJSON's own limit */

/* ---- reading ---- */

static int compare_keys(const void *a, const void *b) {
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static fov_status check_keys(const cJSON *object, const char *what) {
    const size_t count = fov_json_count(object);
    if (count < 2) {
        return FOV_OK;
    }
    const char **keys = fov_mem_array(FOV_MEM_FILE, count, sizeof *keys);
    FOV_TRY_ALLOC(keys);
    size_t n = 0;
    for (const cJSON *item = object->child; item != NULL; item = item->next) {
        keys[n++] = item->string;
    }
    qsort(keys, n, sizeof *keys, compare_keys);
    fov_status status = FOV_OK;
    for (size_t i = 1; i < n && status == FOV_OK; i++) {
        if (strcmp(keys[i - 1], keys[i]) == 0) {
            fov_text shown;
            fov_text_init(&shown);
            fov_text_add_escaped(&shown, keys[i]);
            status =
                FOV_FAIL(FOV_E_FORMAT, "%s: the name '%.200s' occurs twice in one JSON object", what, shown.data == NULL ? "" : shown.data);
            fov_text_clear(&shown);
        }
    }
    fov_mem_free(keys);
    return status;
}

/* Recursion is bounded by the depth that was checked before. */
static fov_status check_duplicates(const cJSON *json, const char *what) {
    if (cJSON_IsObject(json)) {
        FOV_TRY(check_keys(json, what));
    }
    for (const cJSON *item = json->child; item != NULL; item = item->next) {
        if (item->child != NULL) {
            FOV_TRY(check_duplicates(item, what));
        }
    }
    return FOV_OK;
}

fov_status fov_json_parse(const void *bytes, size_t size, unsigned max_depth, const char *what, fov_json **json) {
    *json = NULL;
    FOV_TRY(fov_json_check(bytes, size, max_depth < CJSON_DEPTH ? max_depth : CJSON_DEPTH, what));
    cJSON *parsed = cJSON_ParseWithLengthOpts(bytes, size, NULL, false);
    if (parsed == NULL) {
        /* The text is valid, so only memory can have failed. */
        return FOV_FAIL(FOV_E_NOMEM, "%s: out of memory while reading %zu bytes of JSON", what, size);
    }
    const fov_status status = check_duplicates(parsed, what);
    if (status != FOV_OK) {
        cJSON_Delete(parsed);
        return fov_forward_at(__FILE__, __LINE__, status);
    }
    *json = parsed;
    return FOV_OK;
}

void fov_json_free(fov_json *json) {
    cJSON_Delete(json);
}

const fov_json *fov_json_get(const fov_json *object, const char *key) {
    return cJSON_IsObject(object) ? cJSON_GetObjectItemCaseSensitive(object, key) : NULL;
}

const fov_json *fov_json_first(const fov_json *container) {
    return container == NULL ? NULL : container->child;
}

const fov_json *fov_json_next(const fov_json *item) {
    return item == NULL ? NULL : item->next;
}

const char *fov_json_key(const fov_json *item) {
    return item == NULL ? NULL : item->string;
}

bool fov_json_is_object(const fov_json *json) {
    return cJSON_IsObject(json) != 0;
}

bool fov_json_is_array(const fov_json *json) {
    return cJSON_IsArray(json) != 0;
}

size_t fov_json_count(const fov_json *json) {
    size_t count = 0;
    for (const cJSON *item = json == NULL ? NULL : json->child; item != NULL; item = item->next) {
        count++;
    }
    return count;
}

const char *fov_json_string(const fov_json *json) {
    return cJSON_GetStringValue(json);
}

bool fov_json_number(const fov_json *json, double *value) {
    if (!cJSON_IsNumber(json) || !isfinite(json->valuedouble)) {
        return false;
    }
    *value = json->valuedouble;
    return true;
}

bool fov_json_u64(const fov_json *json, uint64_t *value) {
    double number = 0.0;
    if (!fov_json_number(json, &number) || signbit(number) || number >= 9007199254740992.0 || number != trunc(number)) {
        return false;
    }
    *value = (uint64_t)number;
    return true;
}

/* ---- writing ---- */

void fov_json_begin(fov_json_writer *w, bool pretty) {
    *w = (fov_json_writer){.pretty = pretty};
    fov_text_init(&w->text);
}

void fov_json_clear(fov_json_writer *w) {
    fov_text_clear(&w->text);
    *w = (fov_json_writer){0};
}

static void new_line(fov_json_writer *w) {
    if (w->pretty) {
        fov_text_add(&w->text, "\n");
        for (unsigned i = 0; i < w->depth; i++) {
            fov_text_add(&w->text, "  ");
        }
    }
}

/* Bytes of the UTF-8 sequence that starts here; 0 if it is broken. */
static size_t sequence_length(const unsigned char *at) {
    const size_t length = at[0] < 0x80 ? 1 : at[0] >= 0xF0 ? 4 : at[0] >= 0xE0 ? 3 : 2;
    for (size_t i = 1; i < length; i++) {
        if ((at[i] & 0xC0) != 0x80) {
            return 0;
        }
    }
    return fov_utf8_valid(at, length) ? length : 0;
}

static void add_escape(fov_text *text, unsigned char byte) {
    static const char plain[] = "\"\\\b\f\n\r\t", letters[] = "\"\\bfnrt";
    const char *found = byte == 0 ? NULL : strchr(plain, byte);
    if (found != NULL) {
        fov_text_printf(text, "\\%c", letters[found - plain]);
    } else {
        fov_text_printf(text, "\\u%04x", byte);
    }
}

static bool needs_escape(unsigned char byte) {
    return byte < 0x20 || byte == '"' || byte == '\\';
}

/* File names need not be UTF-8 while JSON must be: broken bytes become U+FFFD. */
static void add_quoted(fov_text *text, const char *value) {
    fov_text_add(text, "\"");
    const unsigned char *at = (const unsigned char *)value;
    const unsigned char *start = at;
    while (*at != '\0') {
        const size_t length = sequence_length(at);
        if (length > 0 && !needs_escape(*at)) {
            at += length;
            continue;
        }
        fov_text_add_bytes(text, start, (size_t)(at - start));
        if (length == 0) {
            fov_text_add(text, "\xEF\xBF\xBD");
        } else {
            add_escape(text, *at);
        }
        start = ++at;
    }
    fov_text_add_bytes(text, start, (size_t)(at - start));
    fov_text_add(text, "\"");
}

static void before_value(fov_json_writer *w, const char *key) {
    if (w->comma) {
        fov_text_add(&w->text, ",");
    }
    if (w->depth > 0) {
        new_line(w);
    }
    if (key != NULL) {
        add_quoted(&w->text, key);
        fov_text_add(&w->text, w->pretty ? ": " : ":");
    }
    w->comma = true;
}

void fov_json_open(fov_json_writer *w, const char *key, char bracket) {
    before_value(w, key);
    fov_text_add_bytes(&w->text, &bracket, 1);
    w->depth++;
    w->comma = false;
}

void fov_json_close(fov_json_writer *w, char bracket) {
    FOV_ASSERT(w->depth > 0);
    w->depth--;
    if (w->comma) {
        new_line(w);
    }
    const char close = bracket == '{' || bracket == '}' ? '}' : ']';
    fov_text_add_bytes(&w->text, &close, 1);
    w->comma = true;
}

void fov_json_add_string(fov_json_writer *w, const char *key, const char *value) {
    before_value(w, key);
    if (value == NULL) {
        fov_text_add(&w->text, "null");
    } else {
        add_quoted(&w->text, value);
    }
}

void fov_json_add_number(fov_json_writer *w, const char *key, double value) {
    before_value(w, key);
    char text[40] = "null";
    if (isfinite(value)) {
        fov_number_text(value, text, sizeof text);
    }
    fov_text_add(&w->text, text);
}

void fov_json_add_int(fov_json_writer *w, const char *key, int64_t value) {
    before_value(w, key);
    fov_text_printf(&w->text, "%lld", (long long)value);
}

void fov_json_add_bool(fov_json_writer *w, const char *key, bool value) {
    before_value(w, key);
    fov_text_add(&w->text, value ? "true" : "false");
}
