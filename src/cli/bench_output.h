/* Where the benchmarks' --json goes. */
#ifndef FOV_CLI_BENCH_OUTPUT_H
#define FOV_CLI_BENCH_OUTPUT_H

#include "base/json.h"

/* Before measuring: whether FILE can be written. NULL and "-" always can. */
FOV_MUST_USE fov_status fov_bench_check_output(const char *path);
/* Writes what the writer holds to the file, or for "-" to standard output, and clears the writer. */
FOV_MUST_USE fov_status fov_bench_write(const char *path, fov_json_writer *writer);

#endif
