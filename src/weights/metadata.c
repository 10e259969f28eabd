/* What a weight file says about itself, as "fovea.*" texts in its metadata: enough to rebuild the backbone and to prepare pictures for it
 * without any other file. "format": "pt" is what the Python loaders expect. */
#include "weights/metadata.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/number.h"

#define LARGEST_IMAGE 65536

void fov_metadata_init(fov_metadata_list *list) {
    *list = (fov_metadata_list){0};
    fov_arena_init(&list->arena, FOV_MEM_FILE, 2048);
}

void fov_metadata_clear(fov_metadata_list *list) {
    fov_arena_clear(&list->arena);
    list->count = 0;
}

fov_status fov_metadata_add(fov_metadata_list *list, const char *key, const char *format, ...) {
    if (list->count == FOV_METADATA_MAX) {
        return FOV_FAIL(FOV_E_LIMIT, "metadata '%s' does not fit: there are %d entries already", key, FOV_METADATA_MAX);
    }
    va_list arguments;
    va_start(arguments, format);
    const int length = vsnprintf(NULL, 0, format, arguments);
    va_end(arguments);
    char *value = length < 0 ? NULL : fov_arena_alloc(&list->arena, (size_t)length + 1);
    FOV_TRY_ALLOC(value);
    va_start(arguments, format);
    (void)vsnprintf(value, (size_t)length + 1, format, arguments);
    va_end(arguments);
    const char *kept = fov_arena_strdup(&list->arena, key);
    FOV_TRY_ALLOC(kept);
    list->item[list->count++] = (fov_metadata){.key = kept, .value = value};
    return FOV_OK;
}

static fov_status add_triple(fov_metadata_list *list, const char *key, const double values[3]) {
    char text[3][40];
    for (size_t i = 0; i < 3; i++) {
        fov_number_text(values[i], text[i], sizeof text[i]);
    }
    return fov_metadata_add(list, key, "%s,%s,%s", text[0], text[1], text[2]);
}

fov_status fov_metadata_describe(fov_metadata_list *list, const fov_backbone_spec *spec, const fov_preprocess *preprocess) {
    char backbone[64];
    fov_backbone_text(spec, backbone, sizeof backbone);
    FOV_TRY(fov_metadata_add(list, "format", "pt"));
    FOV_TRY(fov_metadata_add(list, "fovea.version", "%s", FOVEA_VERSION));
    FOV_TRY(fov_metadata_add(list, "fovea.backbone", "%s", backbone));
    FOV_TRY(fov_metadata_add(list, "fovea.stem", "%s", spec->small_stem ? "small" : "standard"));
    FOV_TRY(fov_metadata_add(list, "fovea.image_size", "%zu", preprocess->image_size));
    FOV_TRY(fov_metadata_add(list, "fovea.resize", "%zu", preprocess->resize));
    FOV_TRY(fov_metadata_add(list, "fovea.interpolation", "%s", preprocess->interpolation == FOV_BICUBIC ? "bicubic" : "bilinear"));
    FOV_TRY(add_triple(list, "fovea.mean", preprocess->mean));
    FOV_TRY(add_triple(list, "fovea.std", preprocess->std));
    return FOV_OK;
}

/* ---- reading ---- */

static fov_status get(const fov_safetensors *file, const char *key, const char **value) {
    *value = fov_safetensors_metadata(file, key);
    return *value != NULL ? FOV_OK : FOV_FAIL(FOV_E_FORMAT, "the weight file says what backbone it is for, but lacks '%s'", key);
}

/* Values come from a stranger: what could steer a terminal is escaped in messages. */
static fov_status wrong(const char *key, const char *value, const char *wanted) {
    fov_text shown;
    fov_text_init(&shown);
    fov_text_add_escaped(&shown, value);
    const fov_status status = FOV_FAIL(FOV_E_FORMAT, "the weight file has '%s' = '%.80s', which is not %s", key,
                                       shown.data == NULL ? "" : shown.data, wanted);
    fov_text_clear(&shown);
    return status;
}

/* No backbone's name has anything to escape, so the escaped name means the same and is safe to repeat in a message. */
static fov_status read_backbone(const char *name, size_t image_size, fov_backbone_spec *spec) {
    fov_text plain;
    fov_text_init(&plain);
    fov_text_add_escaped(&plain, name);
    const fov_status status = plain.status == FOV_OK ? fov_backbone_parse(plain.data, image_size, spec) : plain.status;
    fov_text_clear(&plain);
    return status;
}

static fov_status get_size(const fov_safetensors *file, const char *key, size_t *size) {
    const char *text = NULL;
    int64_t value = 0;
    FOV_TRY(get(file, key, &text));
    if (!fov_integer_parse(text, &value) || value < 1 || value > LARGEST_IMAGE) {
        return wrong(key, text, "a number of pixels from 1 to 65536");
    }
    *size = (size_t)value;
    return FOV_OK;
}

/* One of two words; *second tells which. */
static fov_status get_either(const fov_safetensors *file, const char *key, const char *first, const char *other, bool *second) {
    const char *text = NULL;
    char wanted[64];
    FOV_TRY(get(file, key, &text));
    *second = strcmp(text, other) == 0;
    if (!*second && strcmp(text, first) != 0) {
        (void)snprintf(wanted, sizeof wanted, "%s or %s", first, other);
        return wrong(key, text, wanted);
    }
    return FOV_OK;
}

static fov_status get_triple(const fov_safetensors *file, const char *key, double smallest, double values[3]) {
    const char *text = NULL;
    FOV_TRY(get(file, key, &text));
    const char *at = text;
    for (size_t i = 0; i < 3; i++) {
        const size_t length = strcspn(at, ",");
        char number[64];
        const bool last = at[length] == '\0';
        if (length >= sizeof number || last != (i == 2)) {
            return wrong(key, text, "three numbers with commas between");
        }
        memcpy(number, at, length);
        number[length] = '\0';
        if (!fov_number_parse(number, &values[i]) || values[i] < smallest || values[i] > 1e6) {
            return wrong(key, text, "three numbers in a sensible range");
        }
        at += length + 1;
    }
    return FOV_OK;
}

fov_status fov_metadata_read(const fov_safetensors *file, fov_backbone_spec *spec, fov_preprocess *preprocess) {
    const char *backbone = fov_safetensors_metadata(file, "fovea.backbone");
    if (backbone == NULL) {
        return FOV_FAIL(
            FOV_E_NOTFOUND,
            "the weight file does not say what backbone it is for (no 'fovea.backbone' in its metadata); name it with --backbone");
    }
    fov_preprocess read = {0};
    bool small_stem = false, bicubic = false;
    FOV_TRY(get_size(file, "fovea.image_size", &read.image_size));
    FOV_TRY(get_size(file, "fovea.resize", &read.resize));
    FOV_TRY(get_either(file, "fovea.stem", "standard", "small", &small_stem));
    FOV_TRY(get_either(file, "fovea.interpolation", "bilinear", "bicubic", &bicubic));
    FOV_TRY(get_triple(file, "fovea.mean", -1e6, read.mean));
    FOV_TRY(get_triple(file, "fovea.std", 1e-6, read.std));
    read.interpolation = bicubic ? FOV_BICUBIC : FOV_BILINEAR;
    if (read.resize < read.image_size) {
        return FOV_FAIL(FOV_E_FORMAT, "the weight file resizes to %zu pixels and then crops %zu, which is more", read.resize,
                        read.image_size);
    }
    FOV_TRY(read_backbone(backbone, read.image_size, spec));
    spec->small_stem = small_stem;
    *preprocess = read;
    return FOV_OK;
}
