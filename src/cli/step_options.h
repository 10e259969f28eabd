/* The options of commands that look at one training step: rows of an option table, for fields that begin with fov_step_settings. */
#ifndef FOV_CLI_STEP_OPTIONS_H
#define FOV_CLI_STEP_OPTIONS_H

#include "base/options.h"
#include "cli/bench_output.h"
#include "kernels/precision.h"
#include "report/step_bench.h"

extern const char *const fov_stem_names[], *const fov_depth_names[];

#define FOV_STEP_FIELD(name) offsetof(fov_step_settings, name)
/* clang-format off */
#define FOV_STEP_OPTIONS \
    {.name = "method", .type = FOV_OPT_STRING, .offset = FOV_STEP_FIELD(method), .value_name = "NAME", .help = "objective", .fallback = "simclr"}, \
    {.name = "backbone", .type = FOV_OPT_STRING, .offset = FOV_STEP_FIELD(backbone), .value_name = "NAME", .help = "network", .fallback = "resnet18"}, \
    {.name = "stem", .type = FOV_OPT_CHOICE, .offset = FOV_STEP_FIELD(stem), .value_name = "KIND", .help = "first layers of a ResNet", .fallback = "imagenet", .choices = fov_stem_names}, \
    {.name = "image-size", .type = FOV_OPT_INT, .offset = FOV_STEP_FIELD(image_size), .value_name = "N", .help = "side of the views in pixels", .fallback = "64", .min = 8, .max = 2048}, \
    {.name = "channels", .type = FOV_OPT_INT, .offset = FOV_STEP_FIELD(channels), .value_name = "N", .help = "channels of the pictures", .fallback = "3", .min = 1, .max = FOV_MAX_CHANNELS}, \
    {.name = "depth", .type = FOV_OPT_CHOICE, .offset = FOV_STEP_FIELD(depth), .value_name = "BITS", .help = "bits of a channel", .fallback = "8", .choices = fov_depth_names}, \
    {.name = "batch-size", .type = FOV_OPT_INT, .offset = FOV_STEP_FIELD(batch_size), .value_name = "N", .help = "pictures a step", .fallback = "64", .min = 1, .max = 65536}, \
    {.name = "threads", .type = FOV_OPT_INT, .offset = FOV_STEP_FIELD(threads), .value_name = "N", .help = "threads that compute; 0: all processors", .fallback = "0", .min = 0, .max = 1024}, \
    {.name = "precision", .type = FOV_OPT_CHOICE, .offset = FOV_STEP_FIELD(precision), .value_name = "KIND", .help = "as for pretrain: of linear layers' products", .fallback = "float32", .choices = fov_precision_names}, \
    {.name = "conv", .type = FOV_OPT_CHOICE, .offset = FOV_STEP_FIELD(conv), .value_name = "WAY", .help = "how convolutions are computed, to compare the ways", .fallback = "auto", .choices = fov_conv_choice_names}, \
    {.name = "reuse", .type = FOV_OPT_FLAG, .offset = FOV_STEP_FIELD(reuse), .help = "share memory between values of different lifetimes", .fallback = "true"}, \
    {.name = "recompute", .type = FOV_OPT_CHOICE, .offset = FOV_STEP_FIELD(recompute), .value_name = "KIND", .help = "as for pretrain: what is computed again in backward to save memory", .fallback = "auto", .choices = fov_recompute_names}

/* Settings of the benchmarks of a step, and the rows for what they have besides. */
typedef struct fov_step_bench_settings {
    fov_step_settings step;
    int64_t repeat;
    const char *json;
} fov_step_bench_settings;

#define FOV_MOST_REPEATS 1000
#define FOV_STEP_BENCH_OPTIONS \
    FOV_STEP_OPTIONS, \
    {.name = "repeat", .type = FOV_OPT_INT, .offset = offsetof(fov_step_bench_settings, repeat), .value_name = "N", .help = "timed steps", .fallback = "5", .min = 1, .max = FOV_MOST_REPEATS}, \
    FOV_BENCH_JSON_OPTION(offsetof(fov_step_bench_settings, json))
/* clang-format on */

#endif
