/* What a benchmark found, for people or for programs. */
#ifndef FOV_CLI_BENCH_OUTPUT_H
#define FOV_CLI_BENCH_OUTPUT_H

#include "base/json.h"
#include "base/options.h"

/* The row of an option table for --json, into a `const char *` at the offset. */
#define FOV_BENCH_JSON_OPTION(offset_) {.name = "json", .type = FOV_OPT_STRING, .offset = (offset_), .value_name = "FILE", .help = "write the figures as JSON; - is standard output"}

/* Before the work: whether FILE can be written, and is not there or holds JSON. NULL and "-" always can. */
FOV_MUST_USE fov_status fov_json_check_output(const char *path);
/* Prints the table when path is NULL; else writes the JSON to the file, or for "-" to standard output. Both get `figures`. */
FOV_MUST_USE fov_status fov_bench_show(const char *path, const void *figures, void (*table)(const void *figures), void (*json)(const void *figures, fov_json_writer *writer));

#endif
