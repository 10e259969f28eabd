/* What this machine can do at best, measured, for a percentage beside what a kernel does. */
#ifndef FOV_REPORT_MACHINE_H
#define FOV_REPORT_MACHINE_H

#include "base/error.h"
#include "base/json.h"
#include "base/pool.h"
#include "graph/plan.h"

typedef struct fov_machine {
    unsigned threads;
    /* On one thread and on all: operations a second (a multiply-add is two), bytes a second read in order from memory, and copied (counting
     * both ways). Best of several tries. */
    double flops_one, flops, read_one, read, copy_one, copy;
} fov_machine;

/* Measures for about `seconds` in all, in 128 MiB of its own; call it when nothing else runs. */
FOV_MUST_USE fov_status fov_machine_measure(fov_machine *machine, fov_pool *pool, double seconds);

/* "532 GFLOP/s, 76.1 GB/s read, 52.8 GB/s copied on 2 threads" */
void fov_machine_text(const fov_machine *machine, fov_text *text);
/* The same and what one thread does, the number of threads and the instruction set, as members of the JSON object that is open. */
void fov_machine_json(const fov_machine *machine, fov_json_writer *writer);
/* All threads' limits, as a plan's description wants them. */
fov_limits fov_machine_limits(const fov_machine *machine);

#endif
