/* A training step of a method on pixels that mean nothing, to look at and to measure: forward, backward and optimizer, without data. */
#ifndef FOV_REPORT_STEP_BENCH_H
#define FOV_REPORT_STEP_BENCH_H

#include "base/json.h"
#include "train/session.h"

/* As options of the commands name them. */
typedef struct fov_step_settings {
    const char *method, *backbone, *stem, *depth, *recompute, *precision, *conv;
    int64_t image_size, channels, batch_size, threads;
    bool reuse;
} fov_step_settings;

typedef struct fov_step_bench {
    fov_session *session;
    fov_pool *pool;
    size_t views;        /* of a picture */
    fov_option_set *own; /* the method's options and their fields, and a batch of noise */
    void *own_fields;
    fov_batch batch;
    uint8_t *pixels;
    uint32_t *sample;
} fov_step_bench;

/* Builds it with the method's own choices for this backbone, size and batch. Clear it in any case, also after an error. */
FOV_MUST_USE fov_status fov_step_bench_init(fov_step_bench *bench, const fov_step_settings *settings);
void fov_step_bench_clear(fov_step_bench *bench);

/* One step; it takes `*seconds`. A step that is not finite does less work and is an error. */
FOV_MUST_USE fov_status fov_step_bench_run(fov_step_bench *bench, double *seconds);

/* The settings as members of the JSON object that is open. */
void fov_step_settings_json(const fov_step_settings *settings, fov_json_writer *writer);

#endif
