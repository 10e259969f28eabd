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

static const char *const alpha_names[] = {[FOV_ALPHA_WHITE] = "white", [FOV_ALPHA_BLACK] = "black", [FOV_ALPHA_DROP] = "drop", NULL};

bool fov_alpha_parse(const char *text, fov_alpha *alpha) {
    for (size_t i = 0; alpha_names[i] != NULL; i++) {
        if (strcmp(alpha_names[i], text) == 0) {
            *alpha = (fov_alpha)i;
            return true;
        }
    }
    return false;
}

void fov_channel_numbers_text(const double *values, size_t channels, fov_text *text) {
    for (size_t c = 0; c < channels; c++) {
        char number[40];
        fov_number_text(values[c], number, sizeof number);
        fov_text_printf(text, "%s%s", c > 0 ? "," : "", number);
    }
}

size_t fov_channel_numbers_parse(const char *text, double values[FOV_MAX_CHANNELS]) {
    for (size_t c = 0; c < FOV_MAX_CHANNELS; c++) {
        char number[64];
        const size_t length = strcspn(text, ",");
        if (length >= sizeof number) {
            return 0;
        }
        memcpy(number, text, length);
        number[length] = '\0';
        if (!fov_number_parse(number, &values[c])) {
            return 0;
        }
        if (text[length] == '\0') {
            return c + 1;
        }
        text += length + 1;
    }
    return 0;
}

static fov_status add_numbers(fov_metadata_list *list, const char *key, const double *values, size_t channels) {
    fov_text text;
    fov_text_init(&text);
    fov_channel_numbers_text(values, channels, &text);
    const fov_status status = text.status == FOV_OK ? fov_metadata_add(list, key, "%s", text.data) : text.status;
    fov_text_clear(&text);
    return status;
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
    FOV_TRY(fov_metadata_add(list, "fovea.channels", "%zu", preprocess->format.channels));
    FOV_TRY(fov_metadata_add(list, "fovea.depth", "%d", preprocess->format.deep ? 16 : 8));
    FOV_TRY(fov_metadata_add(list, "fovea.alpha", "%s", alpha_names[preprocess->alpha]));
    if (preprocess->group[0] != '\0') {
        FOV_TRY(fov_metadata_add(list, "fovea.group", "%s", preprocess->group));
    }
    FOV_TRY(add_numbers(list, "fovea.mean", preprocess->mean, preprocess->format.channels));
    FOV_TRY(add_numbers(list, "fovea.std", preprocess->std, preprocess->format.channels));
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

static fov_status get_numbers(const fov_safetensors *file, const char *key, size_t channels, double smallest, double values[FOV_MAX_CHANNELS]) {
    const char *text = NULL;
    char wanted[80];
    FOV_TRY(get(file, key, &text));
    (void)snprintf(wanted, sizeof wanted, "a list of numbers in a sensible range, one for each of %zu channels", channels);
    if (fov_channel_numbers_parse(text, values) != channels) {
        return wrong(key, text, wanted);
    }
    for (size_t c = 0; c < channels; c++) {
        if (values[c] < smallest || values[c] > 1e6) {
            return wrong(key, text, wanted);
        }
    }
    return FOV_OK;
}

/* How files become pixels. Files of earlier versions say nothing of it: they are for RGB of 8 bits, on white. */
static fov_status read_format(const fov_safetensors *file, fov_preprocess *read) {
    const char *channels = fov_safetensors_metadata(file, "fovea.channels"), *alpha = fov_safetensors_metadata(file, "fovea.alpha");
    const char *group = fov_safetensors_metadata(file, "fovea.group");
    int64_t count = 3;
    if (channels != NULL && (!fov_integer_parse(channels, &count) || count < 1 || count > (int64_t)FOV_MAX_CHANNELS)) {
        return wrong("fovea.channels", channels, "a number of channels from 1 to 32");
    }
    read->format.channels = (size_t)count;
    if (fov_safetensors_metadata(file, "fovea.depth") != NULL) {
        FOV_TRY(get_either(file, "fovea.depth", "8", "16", &read->format.deep));
    }
    if (alpha != NULL && !fov_alpha_parse(alpha, &read->alpha)) {
        return wrong("fovea.alpha", alpha, "white, black or drop");
    }
    if (group != NULL && (group[0] == '\0' || strlen(group) >= sizeof read->group)) {
        return wrong("fovea.group", group, "a naming rule");
    }
    (void)snprintf(read->group, sizeof read->group, "%s", group == NULL ? "" : group);
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
    FOV_TRY(read_format(file, &read));
    FOV_TRY(get_numbers(file, "fovea.mean", read.format.channels, -1e6, read.mean));
    FOV_TRY(get_numbers(file, "fovea.std", read.format.channels, FOV_LEAST_STD, read.std));
    read.interpolation = bicubic ? FOV_BICUBIC : FOV_BILINEAR;
    if (read.resize < read.image_size) {
        return FOV_FAIL(FOV_E_FORMAT, "the weight file resizes to %zu pixels and then crops %zu, which is more", read.resize,
                        read.image_size);
    }
    FOV_TRY(read_backbone(backbone, read.image_size, spec));
    spec->small_stem = small_stem;
    spec->channels = read.format.channels;
    *preprocess = read;
    return FOV_OK;
}
