/* Any bytes as a config file; what is accepted must survive being written and read again. */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/options.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

typedef struct settings {
    bool flag;
    int64_t count;
    double rate;
    const char *name, *kind;
} settings;

static const char *const kinds[] = {"bilinear", "bicubic", NULL};
static const fov_option table[] = {
    {.name = "flag", .type = FOV_OPT_FLAG, .offset = offsetof(settings, flag), .fallback = "true"},
    {.name = "count", .type = FOV_OPT_INT, .offset = offsetof(settings, count), .fallback = "1", .min = 1, .max = 1e12},
    {.name = "rate", .type = FOV_OPT_REAL, .offset = offsetof(settings, rate), .fallback = "0.5"},
    {.name = "name", .type = FOV_OPT_STRING, .offset = offsetof(settings, name)},
    {.name = "kind", .type = FOV_OPT_CHOICE, .offset = offsetof(settings, kind), .fallback = "bilinear", .choices = kinds},
    {.name = NULL},
};

/* Reads the text into fresh settings and writes them out. */
static fov_status pass(const void *data, size_t size, fov_text *out) {
    fov_option_set *set = NULL;
    settings s = {0};
    FOV_ASSERT(fov_options_new(&set) == FOV_OK && fov_options_add(set, "All", table, &s) == FOV_OK);
    const fov_status status = fov_options_read_text(set, data, size, "input");
    if (status == FOV_OK) {
        fov_options_write_ini(set, out);
        FOV_ASSERT(out->status == FOV_OK);
    }
    fov_options_free(set);
    return status;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    fov_text first, second, third;
    fov_text_init(&first);
    fov_text_init(&second);
    fov_text_init(&third);
    if (pass(data, size, &first) == FOV_OK) {
        /* The first text says where each value came from; from the second on it stays the same. */
        FOV_ASSERT(pass(first.data, first.length, &second) == FOV_OK);
        FOV_ASSERT(pass(second.data, second.length, &third) == FOV_OK);
        FOV_ASSERT(strcmp(second.data, third.data) == 0);
    }
    fov_text_clear(&first);
    fov_text_clear(&second);
    fov_text_clear(&third);
    return 0;
}
