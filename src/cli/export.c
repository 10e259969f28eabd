/* fovea export: weights for torchvision, timm or another program, written and read back. */
#include <stdio.h>

#include "cli/command.h"
#include "cli/terminal.h"
#include "eval/encoder.h"
#include "export/export.h"

#define COMPARED_PICTURES 4
#define LARGEST_DIFFERENCE 1e-6

typedef struct settings {
    const char *weights, *out, *backbone;
    int64_t image_size, threads;
    bool overwrite;
} settings;

#define FIELD(name) offsetof(settings, name)

static const fov_option table[] = {
    {.name = "weights", .type = FOV_OPT_STRING, .offset = FIELD(weights), .value_name = "RUN|FILE", .help = "a run directory, or a .safetensors file of Fovea, torchvision or timm", .letter = 'w'},
    {.name = "out", .type = FOV_OPT_STRING, .offset = FIELD(out), .value_name = "FILE", .help = "the .safetensors file to write", .letter = 'o'},
    {.name = "backbone", .type = FOV_OPT_STRING, .offset = FIELD(backbone), .value_name = "NAME", .help = "what the weights are for, if the file does not tell"},
    {.name = "image-size", .type = FOV_OPT_INT, .offset = FIELD(image_size), .value_name = "PX", .help = "side of the pictures it is meant for; 0: the weights' own", .fallback = "0", .min = 0, .max = 4096},
    {.name = "threads", .type = FOV_OPT_INT, .offset = FIELD(threads), .value_name = "N", .help = "threads; 0: all processors", .fallback = "0", .min = 0, .max = 1024},
    {.name = "overwrite", .type = FOV_OPT_FLAG, .offset = FIELD(overwrite), .help = "replace the output if it exists", .fallback = "false"},
    {.name = NULL},
};

static fov_status export_weights(const void *fields, const fov_common_options *common, const char *const *words, size_t word_count);

const fov_command fov_command_export = {
    .name = "export",
    .usage = "--weights RUN|FILE --out FILE.safetensors [options]",
    .summary = "write the backbone for torchvision, timm or another program",
    .details = "Names and shapes are torchvision's (ResNet) or timm's (ViT); load the file with\n"
               "safetensors and load_state_dict. Backbone, preprocessing and origin stand in its\n"
               "metadata. The file is read back, and the largest difference is printed.\n\n",
    .heading = "Export",
    .table = table,
    .fields_size = sizeof(settings),
    .most_words = SIZE_MAX,
    .body = export_weights,
};

static void add_numbers(fov_text *text, const char *name, const double *values, size_t channels) {
    fov_text_add(text, name);
    for (size_t c = 0; c < channels; c++) {
        fov_text_printf(text, " %g", values[c]);
    }
}

static void print_result(const settings *s, const fov_encoder *encoder, const fov_export_result *result, double features) {
    const fov_preprocess *p = fov_encoder_preprocess(encoder);
    fov_text numbers;
    fov_text_init(&numbers);
    add_numbers(&numbers, ", mean", p->mean, p->format.channels);
    add_numbers(&numbers, ", std", p->std, p->format.channels);
    char format[40], backbone[64], parameters[32], bytes[32];
    (void)snprintf(format, sizeof format, "%zu %s of %d bits", p->format.channels, p->format.channels == 1 ? "channel" : "channels", p->format.deep ? 16 : 8);
    fov_backbone_text(fov_encoder_spec(encoder), backbone, sizeof backbone);
    fov_format_count(result->parameters, parameters, sizeof parameters);
    fov_format_bytes((double)result->bytes, bytes, sizeof bytes);
    (void)printf("weights:    %s\n"
                 "backbone:   %s%s, features of %zu, %s parameters, %zu tensors, %s\n"
                 "pictures:   %s, shorter side to %zu px (%s), centre crop %zu px%s\n"
                 "read back:  largest difference of weights %g, of features %g\n",
                 s->out, backbone, fov_encoder_spec(encoder)->small_stem ? " (small stem)" : "", fov_encoder_width(encoder), parameters, result->tensors,
                 bytes, format, p->resize, p->interpolation == FOV_BICUBIC ? "bicubic" : "bilinear", p->image_size,
                 numbers.data == NULL ? "" : numbers.data, result->largest_difference, features);
    fov_text_clear(&numbers);
}

/* Opens what was written as any reader would, and compares features. */
static fov_status compare(const settings *s, fov_encoder *encoder, fov_pool *pool, double *largest) {
    fov_encoder *back = NULL;
    fov_status status = FOV_OK;
    FOV_TRY_GOTO(status, done, fov_encoder_open(&back, s->out, NULL, 0, pool));
    FOV_TRY_GOTO(status, done, fov_encoder_compare(encoder, back, COMPARED_PICTURES, largest));
    if (!(*largest <= LARGEST_DIFFERENCE)) {
        status = FOV_FAIL(FOV_E_MISMATCH, "%s gives other features than %s, by up to %g; do not use it", s->out, s->weights, *largest);
    }
done:
    fov_encoder_free(back);
    return status;
}

static fov_status export_weights(const void *fields, const fov_common_options *common, const char *const *words, size_t word_count) {
    (void)common;
    const settings *s = fields;
    fov_pool *pool = NULL;
    fov_encoder *encoder = NULL;
    fov_export_result result = {0};
    double features = 0.0;
    size_t count = 0;
    fov_status status = FOV_OK;
    if (word_count > 0) {
        return FOV_FAIL(FOV_E_INVALID, "export takes options only, got '%s'; did you mean --weights %s?", words[0], words[0]);
    }
    if (s->weights == NULL || s->out == NULL) {
        return FOV_FAIL(FOV_E_INVALID, "export needs %s", s->weights == NULL ? "--weights RUN or --weights FILE.safetensors" : "--out FILE.safetensors");
    }
    FOV_TRY(fov_export_check(s->out, s->overwrite));
    FOV_TRY_GOTO(status, done, fov_pool_new(&pool, (unsigned)s->threads));
    FOV_TRY_GOTO(status, done, fov_encoder_open(&encoder, s->weights, s->backbone, (size_t)s->image_size, pool));
    const fov_metadata *provenance = fov_encoder_provenance(encoder, &count);
    FOV_TRY_GOTO(status, done, fov_export_weights(&result, fov_encoder_store(encoder), fov_encoder_spec(encoder), fov_encoder_preprocess(encoder),
                                                  provenance, count, s->out));
    FOV_TRY_GOTO(status, done, compare(s, encoder, pool, &features));
    print_result(s, encoder, &result, features);
done:
    fov_encoder_free(encoder);
    fov_pool_free(pool);
    return status;
}
