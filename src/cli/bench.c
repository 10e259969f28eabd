/* fovea bench: how fast parts of the program are on this machine. A family: each benchmark is a command of its own, listed in benches.def. */
#include <stddef.h>

#include "cli/command.h"

#define FOV_ENTRY(name) extern const fov_command fov_bench_##name;
#include "benches.inc"
#undef FOV_ENTRY

static const fov_command *const benches[] = {
#define FOV_ENTRY(name) &fov_bench_##name,
#include "benches.inc"
#undef FOV_ENTRY
    NULL,
};

extern const fov_command fov_command_bench;
const fov_command fov_command_bench = {
    .name = "bench",
    .usage = "WHAT ...",
    .summary = "measure how fast this machine does the work",
    .details = "Measures a part of training alone and prints what it found, as a table or, with\n"
               "--json, for other programs. WHAT is one of:\n\n",
    .parts = benches,
};
