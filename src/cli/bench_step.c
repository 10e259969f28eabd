/* fovea bench step: how fast this machine trains, without data. */
#include <stdio.h>

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
#define MOST_STEPS 1000
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
     .max = MOST_STEPS},
    {.name = "json",
     .type = FOV_OPT_STRING,
     .offset = FIELD(json),
     .value_name = "FILE",
     .help = "write the figures as JSON; - is standard output"},
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
    .fields_size = sizeof(settings),
    .body = measure,
};

typedef struct figures {
    double seconds[MOST_STEPS]; /* sorted */
    size_t steps, images, peak_bytes, plan_bytes;
    double flops; /* of a step */
    fov_machine machine;
} figures;

static double median_of(const figures *f) {
    return 0.5 * (f->seconds[(f->steps - 1) / 2] + f->seconds[f->steps / 2]);
}

static fov_status take_figures(figures *f, fov_step_bench *bench, size_t steps) {
    FOV_TRY(fov_step_bench_run(bench, &f->seconds[0])); /* warms up */
    for (f->steps = 0; f->steps < steps; f->steps++) {
        FOV_TRY(fov_step_bench_run(bench, &f->seconds[f->steps]));
    }
    fov_sort_seconds(f->seconds, f->steps);
    const fov_cost cost = fov_plan_cost(bench->session->plan);
    f->images = bench->views * bench->session->options.batch_size;
    f->flops = cost.forward_flops + cost.backward_flops;
    f->plan_bytes = fov_plan_bytes(bench->session->plan);
    f->peak_bytes = fov_mem_resident_now().peak_bytes; /* before the limits are measured, which takes memory too */
    return fov_machine_measure(&f->machine, bench->pool, LIMITS_SECONDS);
}

static void print_table(const settings *s, const figures *f) {
    char peak[32], block[32];
    const double median = median_of(f), rate = f->flops / median;
    fov_format_bytes((double)f->peak_bytes, peak, sizeof peak);
    fov_format_bytes((double)f->plan_bytes, block, sizeof block);
    (void)printf("%s on %s, %lld px, %zu images a step, %u thread%s, %s, %s\n", s->step.method, s->step.backbone,
                 (long long)s->step.image_size, f->images, f->machine.threads, f->machine.threads == 1 ? "" : "s",
                 fov_isa_name(fov_cpu_isa()), s->step.precision);
    (void)printf("  images      %8.1f /s\n", (double)f->images / median);
    (void)printf("  one step    %8.1f ms (%.1f to %.1f, %zu steps)\n", 1e3 * median, 1e3 * f->seconds[0], 1e3 * f->seconds[f->steps - 1],
                 f->steps);
    (void)printf("  arithmetic  %8.1f GFLOP/s, %.0f %% of this machine's %.0f in float32\n", rate * 1e-9, 100.0 * rate / f->machine.flops,
                 f->machine.flops * 1e-9);
    (void)printf("  memory      %8s resident at most, of which %s for the plan\n", peak, block);
}

static void write_json(const settings *s, const figures *f, fov_json_writer *w) {
    const double median = median_of(f), rate = f->flops / median;
    fov_json_open(w, NULL, '{');
    fov_json_add_number(w, "images_per_second", (double)f->images / median);
    fov_json_add_int(w, "peak_bytes", (int64_t)f->peak_bytes);
    fov_json_add_int(w, "plan_bytes", (int64_t)f->plan_bytes);
    fov_json_add_number(w, "step_ms", 1e3 * median);
    fov_json_add_number(w, "step_ms_least", 1e3 * f->seconds[0]);
    fov_json_add_number(w, "step_ms_most", 1e3 * f->seconds[f->steps - 1]);
    fov_json_add_int(w, "steps", (int64_t)f->steps);
    fov_json_add_int(w, "images", (int64_t)f->images);
    fov_json_add_number(w, "gflops_per_second", rate * 1e-9);
    fov_json_add_number(w, "peak_gflops_per_second", f->machine.flops * 1e-9);
    fov_json_add_number(w, "percent_of_peak", 100.0 * rate / f->machine.flops);
    fov_step_settings_json(&s->step, w);
    fov_json_add_int(w, "threads", f->machine.threads);
    fov_json_add_string(w, "instruction_set", fov_isa_name(fov_cpu_isa()));
    fov_json_close(w, '}');
}

static fov_status measure(const void *fields, const fov_common_options *common, const char *const *words, size_t word_count) {
    (void)common, (void)words, (void)word_count;
    const settings *s = fields;
    fov_step_bench bench = {0};
    static figures f; /* large */
    FOV_TRY(fov_bench_check_output(s->json));
    fov_status status = fov_step_bench_init(&bench, &s->step);
    if (status == FOV_OK) {
        status = take_figures(&f, &bench, (size_t)s->repeat);
    }
    fov_step_bench_clear(&bench);
    FOV_TRY(status);
    if (s->json == NULL) {
        print_table(s, &f);
        return FOV_OK;
    }
    fov_json_writer writer;
    fov_json_begin(&writer, true);
    write_json(s, &f, &writer);
    return fov_bench_write(s->json, &writer);
}
