/* Any bytes as JSON; what is accepted must survive being written and read again. */
#include <stddef.h>
#include <stdint.h>

#include "base/json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void copy(fov_json_writer *w, const char *key, const fov_json *json) {
    double number = 0.0;
    if (fov_json_is_object(json) || fov_json_is_array(json)) {
        const bool object = fov_json_is_object(json);
        fov_json_open(w, key, object ? '{' : '[');
        for (const fov_json *item = fov_json_first(json); item != NULL; item = fov_json_next(item)) {
            copy(w, object ? fov_json_key(item) : NULL, item);
        }
        fov_json_close(w, object ? '}' : ']');
    } else if (fov_json_number(json, &number)) {
        fov_json_add_number(w, key, number);
    } else {
        fov_json_add_string(w, key, fov_json_string(json));
    }
}

static void assert_equal(const fov_json *a, const fov_json *b) {
    double x = 0.0, y = 0.0;
    FOV_ASSERT(fov_json_count(a) == fov_json_count(b));
    FOV_ASSERT(fov_json_number(a, &x) == fov_json_number(b, &y) && !(x < y) && !(x > y));
    const fov_json *other = fov_json_first(b);
    for (const fov_json *item = fov_json_first(a); item != NULL; item = fov_json_next(item), other = fov_json_next(other)) {
        assert_equal(item, other);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    fov_json *json = NULL;
    if (fov_json_parse(data, size, 16, "input", &json) == FOV_OK) {
        fov_json_writer w;
        fov_json_begin(&w, size % 2 == 0);
        copy(&w, NULL, json);
        fov_json *again = NULL;
        FOV_ASSERT(w.text.status == FOV_OK);
        FOV_ASSERT(fov_json_parse(w.text.data, w.text.length, 16, "own", &again) == FOV_OK);
        assert_equal(json, again);
        fov_json_free(again);
        fov_json_clear(&w);
    }
    fov_json_free(json);
    return 0;
}
