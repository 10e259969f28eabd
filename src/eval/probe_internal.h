/* The parts of a probe. Private to probe*.c and their tests. */
#ifndef FOV_EVAL_PROBE_INTERNAL_H
#define FOV_EVAL_PROBE_INTERNAL_H

#include "eval/probe.h"

/* Everything about the pictures of one index that a probe computes with. */
typedef struct fov_probe_features {
    size_t count, width[FOV_PROBE_SOURCES];
    float *value[FOV_PROBE_SOURCES]; /* [count, width] */
    uint32_t *label;                 /* [count] */
    uint64_t *hash;                  /* [count], of the raw pixels */
} fov_probe_features;

/* Reads every picture once. stage titles the progress. The caller clears, also after a failure. */
FOV_MUST_USE fov_status fov_probe_collect(fov_probe_features *features, fov_encoder *pretrained, fov_encoder *random, const fov_index *index,
                                          const fov_probe_settings *settings, const char *stage, fov_pool *pool);
void fov_probe_features_clear(fov_probe_features *features);

/* Linear probe: chooses C on the training features, fits on all of them, predicts the test features. */
typedef struct fov_linear_task {
    const float *train, *test;
    const uint32_t *label;
    size_t count, test_count, width, classes;
    const fov_probe_settings *settings;
    const char *stage;
    fov_pool *pool;
} fov_linear_task;
FOV_MUST_USE fov_status fov_probe_linear(const fov_linear_task *task, fov_probe_choice *choice, uint32_t *predicted);

/* Fills finding, verdict and note from the figures. */
void fov_probe_judge(fov_probe_report *report);

#endif
