/* fovea bench ops: where the time of a training step goes, operation by operation. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/command.h"
#include "cli/step_options.h"
#include "report/machine.h"

#define LIMITS_SECONDS 0.3

static const fov_option table[] = {
    FOV_STEP_BENCH_OPTIONS,
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
    .fields_size = sizeof(fov_step_bench_settings),
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
    const fov_step_settings *settings;
    group *groups;
    size_t count, repeat;
    double seconds;
    fov_machine machine;
} figures;

static bool same(const group *g, const fov_step_info *info, const char *shape) {
    return g->first.pass == info->pass && g->first.flops == info->flops && strcmp(g->first.op, info->op) == 0 && strcmp(g->shape, shape) == 0;
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

static void print_table(const void *context) {
    const figures *f = context;
    fov_text limits;
    fov_text_init(&limits);
    fov_machine_text(&f->machine, &limits);
    (void)printf("%.1f ms in operations, %s; limits: %s\n", 1e3 * f->seconds, f->settings->precision, limits.data == NULL ? "" : limits.data);
    fov_text_clear(&limits);
    (void)printf("%-8s  %-22s  %-20s  %5s  %9s  %6s  %8s  %7s  %9s\n", "pass", "op", "shape", "times", "ms", "share", "GFLOP/s", "GB/s",
                 "of limit");
    for (size_t i = 0; i < f->count; i++) {
        const group *g = &f->groups[i];
        (void)printf("%-8s  %-22s  %-20s  %5zu  %9.3f  %5.1f%%  %8.1f  %7.1f  %7.0f %%\n", g->first.pass, g->first.op, g->shape, g->count,
                     1e3 * g->seconds, 100.0 * g->seconds / f->seconds, rate(g->flops, g->seconds) * 1e-9,
                     rate(g->bytes, g->seconds) * 1e-9, 100.0 * rate(limit_of(f, g), g->seconds));
    }
}

static void write_json(const void *context, fov_json_writer *w) {
    const figures *f = context;
    fov_json_open(w, NULL, '{');
    fov_json_add_number(w, "ms", 1e3 * f->seconds);
    fov_step_settings_json(f->settings, w);
    fov_machine_json(&f->machine, w);
    fov_json_open(w, "operations", '[');
    for (size_t i = 0; i < f->count; i++) {
        const group *g = &f->groups[i];
        fov_json_open(w, NULL, '{');
        fov_json_add_string(w, "op", g->first.op);
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

static fov_status measure(const void *fields, const fov_common_options *common, const char *const *words, size_t word_count) {
    (void)common, (void)words, (void)word_count;
    const fov_step_bench_settings *s = fields;
    fov_step_bench bench = {0};
    figures f = {.settings = &s->step};
    FOV_TRY(fov_json_check_output(s->json));
    fov_status status = fov_step_bench_init(&bench, &s->step);
    if (status == FOV_OK) {
        status = take_figures(&f, &bench, (size_t)s->repeat);
    }
    if (status == FOV_OK) {
        status = fov_bench_show(s->json, &f, print_table, write_json);
    }
    fov_mem_free(f.groups);
    fov_step_bench_clear(&bench);
    return status;
}
