/* fovea bench ops: where the time of a training step goes, operation by operation. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cpu.h"
#include "cli/bench_output.h"
#include "cli/command.h"
#include "cli/step_options.h"
#include "report/machine.h"

typedef struct settings {
    fov_step_settings step;
    int64_t repeat;
    const char *json;
} settings;

#define FIELD(name) offsetof(settings, name)
#define LIMITS_SECONDS 0.3

static const fov_option table[] = {
    FOV_STEP_OPTIONS,
    {.name = "repeat",
     .type = FOV_OPT_INT,
     .offset = FIELD(repeat),
     .value_name = "N",
     .help = "timed steps",
     .fallback = "5",
     .min = 1,
     .max = 1000},
    {.name = "json",
     .type = FOV_OPT_STRING,
     .offset = FIELD(json),
     .value_name = "FILE",
     .help = "write the figures as JSON; - is standard output"},
    {.name = NULL},
};

static fov_status measure(const void *fields, const fov_common_options *common, const char *const *words, size_t word_count);

extern const fov_command fov_bench_ops;
const fov_command fov_bench_ops = {
    .name = "ops",
    .family = "bench",
    .usage = "[options]",
    .summary = "the operations of a training step, each beside the machine's limit",
    .details = "Runs training steps on random pixels and adds up the time of each operation,\n"
               "the same ones together. Limit is what arithmetic or memory would take at this\n"
               "machine's best, whichever is more; values that are in cache, gradients that are\n"
               "passed on without a copy and convolutions with minimal filtering can be faster.\n\n",
    .heading = "Ops",
    .table = table,
    .fields_size = sizeof(settings),
    .body = measure,
};

/* Steps of one op, pass and shape. */
typedef struct group {
    fov_step_info first;
    char shape[128];
    size_t count;
    double seconds, flops, bytes; /* of one training step */
} group;

typedef struct figures {
    group *groups;
    size_t count, repeat;
    double seconds;
    fov_machine machine;
} figures;

static bool same(const group *g, const fov_step_info *info, const char *shape) {
    return g->first.node->op == info->node->op && g->first.pass == info->pass && g->first.variant == info->variant &&
           g->first.flops == info->flops && strcmp(g->shape, shape) == 0;
}

static void add_steps(figures *f, const fov_plan *plan, bool count) {
    char shape[128];
    for (size_t s = 0; s < fov_plan_steps(plan); s++) {
        const fov_step_info info = fov_plan_step_info(plan, s);
        (void)fov_shape_text(&info.node->shape, shape, sizeof shape);
        size_t i = 0;
        while (i < f->count && !same(&f->groups[i], &info, shape)) {
            i++;
        }
        group *g = &f->groups[i];
        if (i == f->count) {
            f->count++;
            *g = (group){.first = info};
            memcpy(g->shape, shape, sizeof g->shape);
        }
        g->seconds += info.seconds / (double)f->repeat;
        f->seconds += info.seconds / (double)f->repeat;
        if (count) {
            g->count++;
            g->flops += info.flops;
            g->bytes += info.bytes;
        }
    }
}

static int by_time(const void *a, const void *b) {
    const double x = ((const group *)a)->seconds, y = ((const group *)b)->seconds;
    return (x < y) - (x > y);
}

static fov_status take_figures(figures *f, fov_step_bench *bench, size_t repeat) {
    const fov_plan *plan = bench->session->plan;
    double seconds;
    f->repeat = repeat;
    f->groups = fov_mem_array(FOV_MEM_BASE, fov_plan_steps(plan), sizeof *f->groups);
    FOV_TRY_ALLOC(f->groups);
    FOV_TRY(fov_step_bench_run(bench, &seconds)); /* warms up */
    fov_plan_time(bench->session->plan, true);
    for (size_t r = 0; r < repeat; r++) {
        FOV_TRY(fov_step_bench_run(bench, &seconds));
        add_steps(f, plan, r == 0);
    }
    qsort(f->groups, f->count, sizeof *f->groups, by_time);
    return fov_machine_measure(&f->machine, bench->pool, LIMITS_SECONDS);
}

/* A gradient that is passed on as it is may take less than the clock can tell. */
static double rate(double amount, double seconds) {
    return seconds > 0.0 ? amount / seconds : 0.0;
}

static double limit_of(const figures *f, const group *g) {
    const fov_limits limits = fov_machine_limits(&f->machine);
    return fov_limit_seconds(&limits, g->flops, g->bytes);
}

static void print_table(const figures *f) {
    (void)printf("%.1f ms in operations; limits: %.0f GFLOP/s, %.1f GB/s read, %.1f GB/s copied, %u thread%s, %s\n", 1e3 * f->seconds,
                 f->machine.flops * 1e-9, f->machine.read * 1e-9, f->machine.copy * 1e-9, f->machine.threads,
                 f->machine.threads == 1 ? "" : "s", fov_isa_name(fov_cpu_isa()));
    (void)printf("%-8s  %-22s  %-20s  %5s  %9s  %6s  %8s  %7s  %9s\n", "pass", "op", "shape", "times", "ms", "share", "GFLOP/s", "GB/s",
                 "of limit");
    for (size_t i = 0; i < f->count; i++) {
        const group *g = &f->groups[i];
        char op[64];
        (void)snprintf(op, sizeof op, "%s%s%s", g->first.node->op->name, g->first.variant == NULL ? "" : " ",
                       g->first.variant == NULL ? "" : g->first.variant);
        (void)printf("%-8s  %-22s  %-20s  %5zu  %9.3f  %5.1f%%  %8.1f  %7.1f  %7.0f %%\n", g->first.pass, op, g->shape, g->count,
                     1e3 * g->seconds, 100.0 * g->seconds / f->seconds, rate(g->flops, g->seconds) * 1e-9,
                     rate(g->bytes, g->seconds) * 1e-9, 100.0 * rate(limit_of(f, g), g->seconds));
    }
}

static void write_json(const settings *s, const figures *f, fov_json_writer *w) {
    fov_json_open(w, NULL, '{');
    fov_step_settings_json(&s->step, w);
    fov_json_add_int(w, "threads", f->machine.threads);
    fov_json_add_string(w, "instruction_set", fov_isa_name(fov_cpu_isa()));
    fov_json_add_number(w, "ms", 1e3 * f->seconds);
    fov_json_add_number(w, "peak_gflops_per_second", f->machine.flops * 1e-9);
    fov_json_add_number(w, "read_gb_per_second", f->machine.read * 1e-9);
    fov_json_add_number(w, "copy_gb_per_second", f->machine.copy * 1e-9);
    fov_json_open(w, "operations", '[');
    for (size_t i = 0; i < f->count; i++) {
        const group *g = &f->groups[i];
        fov_json_open(w, NULL, '{');
        fov_json_add_string(w, "op", g->first.node->op->name);
        fov_json_add_string(w, "variant", g->first.variant);
        fov_json_add_string(w, "pass", g->first.pass);
        fov_json_add_string(w, "shape", g->shape);
        fov_json_add_int(w, "times", (int64_t)g->count);
        fov_json_add_number(w, "ms", 1e3 * g->seconds);
        fov_json_add_number(w, "gflops_per_second", rate(g->flops, g->seconds) * 1e-9);
        fov_json_add_number(w, "gb_per_second", rate(g->bytes, g->seconds) * 1e-9);
        fov_json_add_number(w, "percent_of_limit", 100.0 * rate(limit_of(f, g), g->seconds));
        fov_json_close(w, '}');
    }
    fov_json_close(w, ']');
    fov_json_close(w, '}');
}

static fov_status show(const settings *s, const figures *f) {
    if (s->json == NULL) {
        print_table(f);
        return FOV_OK;
    }
    fov_json_writer writer;
    fov_json_begin(&writer, true);
    write_json(s, f, &writer);
    return fov_bench_write(s->json, &writer);
}

static fov_status measure(const void *fields, const fov_common_options *common, const char *const *words, size_t word_count) {
    (void)common, (void)words, (void)word_count;
    const settings *s = fields;
    fov_step_bench bench = {0};
    figures f = {0};
    FOV_TRY(fov_bench_check_output(s->json));
    fov_status status = fov_step_bench_init(&bench, &s->step);
    if (status == FOV_OK) {
        status = take_figures(&f, &bench, (size_t)s->repeat);
    }
    if (status == FOV_OK) {
        status = show(s, &f);
    }
    fov_mem_free(f.groups);
    fov_step_bench_clear(&bench);
    return status;
}
