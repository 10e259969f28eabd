/* fovea embed: pictures to feature vectors. */
#include <stdio.h>
#include <string.h>

#include "base/checked.h"
#include "base/io.h"
#include "base/log.h"
#include "cli/bad_files.h"
#include "cli/command.h"
#include "cli/terminal.h"
#include "eval/encoder.h"
#include "eval/feature_file.h"

typedef struct settings {
    const char *weights, *out, *backbone, *group;
    int64_t image_size, threads;
    double max_bad;
    bool overwrite, follow_links;
} settings;

#define FIELD(name) offsetof(settings, name)

static const fov_option table[] = {
    {.name = "weights", .type = FOV_OPT_STRING, .offset = FIELD(weights), .value_name = "RUN|FILE", .help = "a run directory, or a .safetensors file of Fovea, torchvision or timm", .letter = 'w'},
    {.name = "out", .type = FOV_OPT_STRING, .offset = FIELD(out), .value_name = "FILE.npy", .help = "the NumPy file to write; the paths go to FILE.tsv", .letter = 'o'},
    {.name = "backbone", .type = FOV_OPT_STRING, .offset = FIELD(backbone), .value_name = "NAME", .help = "what the weights are for, if the file does not tell"},
    {.name = "group", .type = FOV_OPT_STRING, .offset = FIELD(group), .value_name = "RULE", .help = "endings of the files whose planes form one picture; without it as in pre-training, '': each file is one"},
    {.name = "image-size", .type = FOV_OPT_INT, .offset = FIELD(image_size), .value_name = "PX", .help = "side that pictures are brought to; 0: the weights' own", .fallback = "0", .min = 0, .max = 4096},
    {.name = "threads", .type = FOV_OPT_INT, .offset = FIELD(threads), .value_name = "N", .help = "threads; 0: all processors", .fallback = "0", .min = 0, .max = 1024},
    {.name = "max-bad", .type = FOV_OPT_REAL, .offset = FIELD(max_bad), .value_name = "SHARE", .help = "share of bad files above which to give up", .fallback = "0.2", .min = 0.0, .max = 1.0},
    {.name = "follow-links", .type = FOV_OPT_FLAG, .offset = FIELD(follow_links), .help = "go into folders that are symbolic links", .fallback = "false"},
    {.name = "overwrite", .type = FOV_OPT_FLAG, .offset = FIELD(overwrite), .help = "replace the outputs if they exist", .fallback = "false"},
    {.name = NULL},
};

static fov_status embed(const void *fields, const fov_common_options *common, const char *const *words, size_t word_count);

const fov_command fov_command_embed = {
    .name = "embed",
    .usage = "--weights RUN|FILE DATA... --out FILE.npy [options]",
    .summary = "turn pictures into feature vectors",
    .details = "DATA is one or more folders (searched recursively), picture files or packs.\n"
               "FILE.npy gets one row for each picture, float32; FILE.tsv one line with its\n"
               "path, in the same order. Pictures that cannot be read are left out and listed\n"
               "in FILE.bad.tsv.\n\n",
    .heading = "Embedding",
    .table = table,
    .fields_size = sizeof(settings),
    .most_words = SIZE_MAX,
    .body = embed,
};

/* The files that are written, from FILE.npy. */
typedef struct outputs {
    char *paths, *bad;
} outputs;

static fov_status check_outputs(const settings *s, outputs *out) {
    static const char *const features[] = {".npy", NULL}, *const paths[] = {".tsv", NULL};
    FOV_TRY(fov_io_check_output(s->out, features, s->overwrite));
    const int length = (int)strlen(s->out) - 4;
    out->paths = fov_mem_printf(FOV_MEM_BASE, "%.*s.tsv", length, s->out);
    out->bad = fov_mem_printf(FOV_MEM_BASE, "%.*s.bad.tsv", length, s->out);
    FOV_TRY_ALLOC(out->paths);
    FOV_TRY_ALLOC(out->bad);
    FOV_TRY(fov_io_check_output(out->paths, paths, s->overwrite));
    return fov_io_check_output(out->bad, paths, s->overwrite);
}

static fov_status scan(const settings *s, const fov_encoder *encoder, const char *const *data, size_t count, fov_pool *pool, fov_index **index) {
    static char verb[] = "checking pictures";
    fov_scan_options options = fov_encoder_scan(encoder, s->group);
    options.verify = true;
    options.follow_links = s->follow_links;
    options.max_bad = fov_max_bad(s->max_bad);
    options.progress = fov_terminal_count;
    options.context = verb;
    FOV_TRY(fov_index_scan(index, data, count, &options, pool));
    return FOV_OK;
}

/* Paths without features are no result: they would only stand in the way of the next try. */
static fov_status write_features(const char *path, const char *paths, const float *features, size_t count, size_t width) {
    fov_status status = fov_features_write(path, features, count, width);
    if (status != FOV_OK) {
        char *message = fov_mem_strdup(FOV_MEM_EVAL, fov_last_error());
        if (fov_io_remove(paths) != FOV_OK && message != NULL) { /* the first failure is the one to tell */
            status = fov_fail_copy(status, message, fov_last_trail());
        }
        fov_mem_free(message);
    }
    return status;
}

static fov_status embed_index(const settings *s, fov_encoder *encoder, const fov_index *index, const outputs *out) {
    static char verb[] = "embedding";
    const size_t width = fov_encoder_width(encoder), count = fov_index_count(index);
    size_t numbers = 0;
    if (!fov_mul_size(count, width, &numbers)) {
        return FOV_FAIL(FOV_E_LIMIT, "%zu pictures are too many for one file of features", count);
    }
    float *features = fov_mem_array(FOV_MEM_EVAL, numbers, sizeof *features);
    FOV_TRY_ALLOC(features);
    fov_status status = FOV_OK;
    fov_lost lost = {.max_bad = fov_max_bad(s->max_bad)};
    FOV_TRY_GOTO(status, done, fov_encoder_embed_index(encoder, index, &lost, features, fov_terminal_count, verb));
    FOV_TRY_GOTO(status, done, fov_tell_bad_files(index, &lost, out->bad));
    FOV_TRY_GOTO(status, done, fov_features_write_paths(out->paths, index, &lost));
    FOV_TRY_GOTO(status, done, write_features(s->out, out->paths, features, count - lost.count, width));
    (void)printf("features: %s  %zu pictures x %zu, float32\npaths:    %s\n", s->out, count - lost.count, width, out->paths);
done:
    fov_lost_clear(&lost);
    fov_mem_free(features);
    return status;
}

static fov_status embed(const void *fields, const fov_common_options *common, const char *const *words, size_t word_count) {
    (void)common;
    const settings *s = fields;
    fov_pool *pool = NULL;
    fov_encoder *encoder = NULL;
    fov_index *index = NULL;
    outputs out = {0};
    fov_status status = FOV_OK;
    if (s->weights == NULL || s->out == NULL || word_count == 0) {
        return FOV_FAIL(FOV_E_INVALID, "embed needs %s",
                        s->weights == NULL ? "--weights RUN or --weights FILE.safetensors" : s->out == NULL ? "--out FILE.npy" : "a folder or picture files");
    }
    FOV_TRY_GOTO(status, done, check_outputs(s, &out));
    FOV_TRY_GOTO(status, done, fov_pool_new(&pool, (unsigned)s->threads));
    FOV_TRY_GOTO(status, done, fov_encoder_open(&encoder, s->weights, s->backbone, (size_t)s->image_size, pool));
    FOV_TRY_GOTO(status, done, scan(s, encoder, words, word_count, pool, &index));
    FOV_TRY_GOTO(status, done, embed_index(s, encoder, index, &out));
done:
    fov_index_free(index);
    fov_encoder_free(encoder);
    fov_pool_free(pool);
    fov_mem_free(out.paths);
    fov_mem_free(out.bad);
    return status;
}
