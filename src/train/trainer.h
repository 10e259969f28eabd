/* Pre-training: from an index of pictures to a run directory with weights. */
#ifndef FOV_TRAIN_TRAINER_H
#define FOV_TRAIN_TRAINER_H

#include "base/options.h"
#include "data/index.h"
#include "objectives/objective.h"

/* Settings of `fovea pretrain`; the table is fov_pretrain_options. Zero or NULL means: choose from the data. */
typedef struct fov_pretrain_settings {
    const char *out;       /* run directory */
    const char *method, *backbone, *stem; /* stem "auto", "imagenet", "cifar" */
    int64_t image_size, epochs, steps, batch_size, micro_batch, seed, threads, loader_threads, save_every, log_every, keep;
    double hours;
    const char *precision; /* one of fov_precision_names */
    const char *optimizer;
    double lr, weight_decay, momentum, warmup_epochs, clip_norm, ema;
    const char *views;     /* recipe text, or the name of a recipe, instead of the objective's own; in the end text */
    int64_t channels;      /* of a picture */
    const char *depth;     /* bits of a channel, "8" or "16" */
    const char *group;     /* naming rule of pictures whose planes lie in several files; NULL: none */
    const char *stats;     /* "auto", "data", "imagenet" */
    const char *mean, *std; /* numbers with commas between, one a channel */
    const char *cache;     /* "auto", "ram", "none" */
    const char *shrink;    /* "auto", "none" */
    const char *recompute; /* "auto", "none", "blocks" */
    const char *init;      /* safetensors file to start from */
    const char *alpha;     /* "white", "black", "drop" */
    const char *config;    /* file of settings; what the command line says is stronger */
    double max_bad;
    bool resume, strict_resume, verify, follow_links;
} fov_pretrain_settings;

extern const fov_option fov_pretrain_options[];

typedef struct fov_train_progress {
    uint64_t step, steps, epoch, epochs;
    double loss, lr, images_per_second, seconds_left;
    double data_wait; /* share of the time since the last report spent waiting for data, 0..1 */
    double data_cpu;  /* share of the CPU time since the first step spent on data */
} fov_train_progress;

/* What the run says while it goes; all may be NULL. */
typedef struct fov_train_observer {
    void *context;
    void (*resolved)(void *context, const fov_option_set *options, const fov_index *index); /* before the first step */
    void (*scanning)(void *context, size_t done, size_t total);
    void (*measuring)(void *context, size_t done, size_t total); /* mean and standard deviation of the pictures */
    void (*progress)(void *context, const fov_train_progress *progress);
} fov_train_observer;

/* Runs to the end, to a signal, or to a failure. `options` holds the settings table already parsed (with late tables allowed: the
 * objective's options are added here). FOV_E_INTERRUPTED after a signal, with everything saved. */
FOV_MUST_USE fov_status fov_pretrain(fov_option_set *options, fov_pretrain_settings *settings, const char *const *data, size_t data_count,
                                     const fov_train_observer *observer);

#endif
