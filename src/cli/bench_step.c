/* fovea bench step: how fast this machine trains, without data. */
#include <stdio.h>
#include <stdlib.h>

#include "base/cpu.h"
#include "cli/command.h"
#include "cli/step_options.h"
#include "report/machine.h"

#define LIMITS_SECONDS 0.3

static const fov_option table[] = {
    FOV_STEP_BENCH_OPTIONS,
    {.name = NULL},
};

static fov_status measure(const void *fields, const fov_common_options *common, const char *const *words, size_t word_count);

extern const fov_command fov_bench_step;
const fov_command fov_bench_step = {
    .name = "step",
    .family = "bench",
    .usage = "[options]",
    .summary = "whole training steps: forward, backward and optimizer",
    .details = "Trains on random pixels in memory. The first step is not counted; images a\n"
               "second are views, by the median step.\n\n",
    .heading = "Step",
    .table = table,
    .fields_size = sizeof(fov_step_bench_settings),
    .body = measure,
};

typedef struct figures {
    const fov_step_settings *settings;
    double seconds[FOV_MOST_REPEATS]; /* sorted */
    size_t steps, images, peak_bytes, plan_bytes;
    double median, rate; /* of a step, and operations a second */
    fov_machine machine;
} figures;

static int by_size(const void *a, const void *b) {
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static fov_status take_figures(figures *f, fov_step_bench *bench, size_t steps) {
    FOV_TRY(fov_step_bench_run(bench, &f->seconds[0])); /* warms up */
    for (f->steps = 0; f->steps < steps; f->steps++) {
        FOV_TRY(fov_step_bench_run(bench, &f->seconds[f->steps]));
    }
    qsort(f->seconds, f->steps, sizeof *f->seconds, by_size);
    f->median = 0.5 * (f->seconds[(f->steps - 1) / 2] + f->seconds[f->steps / 2]);
    const fov_cost cost = fov_plan_cost(bench->session->plan);
    f->rate = (cost.forward_flops + cost.backward_flops) / f->median;
    f->images = bench->views * bench->session->options.batch_size;
    f->plan_bytes = fov_plan_bytes(bench->session->plan);
    f->peak_bytes = fov_mem_resident_now().peak_bytes; /* before the limits are measured, which takes memory too */
    return fov_machine_measure(&f->machine, bench->pool, LIMITS_SECONDS);
}

static void print_table(const void *context) {
    const figures *f = context;
    const fov_step_settings *s = f->settings;
    char peak[32], block[32];
    fov_format_bytes((double)f->peak_bytes, peak, sizeof peak);
    fov_format_bytes((double)f->plan_bytes, block, sizeof block);
    (void)printf("%s on %s, %lld px, %zu images a step, %u thread%s, %s, %s\n", s->method, s->backbone, (long long)s->image_size, f->images, f->machine.threads,
                 f->machine.threads == 1 ? "" : "s", fov_isa_name(fov_cpu_isa()), s->precision);
    (void)printf("  images      %8.1f /s\n", (double)f->images / f->median);
    (void)printf("  one step    %8.1f ms (%.1f to %.1f, %zu steps)\n", 1e3 * f->median, 1e3 * f->seconds[0], 1e3 * f->seconds[f->steps - 1], f->steps);
    (void)printf("  arithmetic  %8.1f GFLOP/s, %.0f %% of this machine's %.0f in float32\n", f->rate * 1e-9, 100.0 * f->rate / f->machine.flops, f->machine.flops * 1e-9);
    (void)printf("  memory      %8s resident at most, of which %s for the plan\n", peak, block);
}

static void write_json(const void *context, fov_json_writer *w) {
    const figures *f = context;
    fov_json_open(w, NULL, '{');
    fov_json_add_number(w, "images_per_second", (double)f->images / f->median);
    fov_json_add_int(w, "peak_bytes", (int64_t)f->peak_bytes);
    fov_json_add_int(w, "plan_bytes", (int64_t)f->plan_bytes);
    fov_json_add_number(w, "step_ms", 1e3 * f->median);
    fov_json_add_number(w, "step_ms_least", 1e3 * f->seconds[0]);
    fov_json_add_number(w, "step_ms_most", 1e3 * f->seconds[f->steps - 1]);
    fov_json_add_int(w, "steps", (int64_t)f->steps);
    fov_json_add_int(w, "images", (int64_t)f->images);
    fov_json_add_number(w, "gflops_per_second", f->rate * 1e-9);
    fov_json_add_number(w, "percent_of_peak", 100.0 * f->rate / f->machine.flops);
    fov_step_settings_json(f->settings, w);
    fov_machine_json(&f->machine, w);
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
    fov_step_bench_clear(&bench);
    return status;
}
