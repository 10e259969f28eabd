/* The run directory: all that is needed to understand, resume and redo a run. Held by one process at a time, never overwritten silently. */
#ifndef FOV_TRAIN_RUN_DIR_H
#define FOV_TRAIN_RUN_DIR_H

#include "base/io.h"
#include "base/lock.h"
#include "base/options.h"

#include <fovea/log.h>

typedef struct fov_run_dir {
    char *path, *config, *metrics, *log, *bad, *checkpoints, *weights;
    fov_lock *lock;
    fov_appender *metrics_file, *log_file;
    bool resumes;
} fov_run_dir;

/* Names the files below `path`; with `resume` the run must be there, else it must not, and its place must be writable. Makes nothing. A folder
 * with no more than the first files of a run that never began is taken as free. */
FOV_MUST_USE fov_status fov_run_dir_check(fov_run_dir *run, const char *path, bool resume);
/* Makes the folder, takes the lock, removes what a killed process left half written, and opens log.txt. */
FOV_MUST_USE fov_status fov_run_dir_open(fov_run_dir *run);
/* Opens metrics.jsonl without the lines after `step` (a run that resumes writes them again). */
FOV_MUST_USE fov_status fov_run_dir_open_metrics(fov_run_dir *run, uint64_t step);
/* Lets go of everything. Closing reports what could not be written. */
FOV_MUST_USE fov_status fov_run_dir_close(fov_run_dir *run);

/* A line to log.txt, with the time, and to the log sink. */
void fov_run_dir_say(fov_run_dir *run, fov_log_level level, const char *format, ...) FOV_PRINTF(3, 4);

#endif
