/* How fast pictures become views: the loader run without training. */
#ifndef FOV_REPORT_PIPELINE_BENCH_H
#define FOV_REPORT_PIPELINE_BENCH_H

#include "base/json.h"
#include "data/loader.h"

typedef struct fov_pipeline_bench_options {
    fov_loader_options loader; /* first_step and last_step are not looked at */
    double seconds;            /* measured for at least this long, in whole batches */
} fov_pipeline_bench_options;

typedef struct fov_pipeline_bench {
    uint64_t images, views;           /* made while measuring */
    double seconds, cpu_seconds;      /* by the clock, and of all threads of the process */
    double read, decode, make, other; /* cpu_seconds by what they went into; other: outside the loader's threads */
    uint64_t bytes_read;              /* of picture files */
    uint64_t substituted;             /* pictures that could not be read and were replaced, since the start */
    size_t pictures, batch_size, ring_bytes;
    size_t started_bytes, peak_bytes; /* resident before the loader was made, and the most since the process began; 0 where unknown */
    unsigned threads;
} fov_pipeline_bench;

/* Runs a loader over the pictures: first unmeasured, once through the folder or for options->seconds, whichever ends first, so that files
 * are in the page cache, buffers have grown and all threads run; then measures. */
FOV_MUST_USE fov_status fov_pipeline_bench_run(fov_pipeline_bench *bench, const fov_index *index, const fov_recipe *recipe,
                                               const fov_pipeline_bench_options *options);

/* One JSON object with all of it, settings included. */
void fov_pipeline_bench_json(const fov_pipeline_bench *bench, const fov_recipe *recipe, const fov_pipeline_bench_options *options,
                             fov_json_writer *writer);

#endif
