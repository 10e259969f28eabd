/* fovea plan: what one training step computes, in which memory, at what cost. */
#include <stdio.h>

#include "cli/command.h"
#include "cli/step_options.h"
#include "report/machine.h"

typedef struct plan_options {
    fov_step_settings step;
    int64_t repeat;
    bool steps;
} plan_options;

#define FIELD(name) offsetof(plan_options, name)

static const fov_option table[] = {
    FOV_STEP_OPTIONS,
    {.name = "repeat", .type = FOV_OPT_INT, .offset = FIELD(repeat), .value_name = "N", .help = "timed steps; 0: do not run", .fallback = "3", .min = 0, .max = 1000},
    {.name = "steps", .type = FOV_OPT_FLAG, .offset = FIELD(steps), .help = "list every operation, not only the sums", .fallback = "true"},
    {.name = NULL},
};

static fov_status plan(const void *fields, const fov_common_options *common, const char *const *words, size_t word_count);

const fov_command fov_command_plan = {
    .name = "plan",
    .usage = "[options]",
    .summary = "show the operations, memory and cost of a training step",
    .details = "Plans one step of a method on a backbone, runs it on random pixels and prints\n"
               "each operation with its shape, place in memory, cost, time and what share of\n"
               "this machine's measured limit (arithmetic or memory) it reaches. Convolutions\n"
               "count every product, so those with minimal filtering can pass 100 %.\n\n",
    .heading = "Plan",
    .table = table,
    .fields_size = sizeof(plan_options),
    .body = plan,
};

#define LIMITS_SECONDS 0.15

/* Runs the steps; *seconds is that of one. */
static fov_status measure(fov_step_bench *bench, int64_t repeat, double *seconds) {
    double one, all = 0.0;
    FOV_TRY(fov_step_bench_run(bench, &one)); /* warms up */
    fov_plan_time(bench->session->plan, true);
    for (int64_t i = 0; i < repeat; i++) {
        FOV_TRY(fov_step_bench_run(bench, &one));
        all += one;
    }
    *seconds = all / (double)repeat;
    return FOV_OK;
}

/* machine NULL: not measured. */
static fov_status print_plan(const plan_options *p, const fov_session *session, const fov_machine *machine) {
    char memory[32], parameters[32];
    fov_text text;
    fov_text_init(&text);
    const fov_cost cost = fov_plan_cost(session->plan);
    fov_format_bytes((double)fov_plan_bytes(session->plan), memory, sizeof memory);
    fov_format_count(fov_store_parameters(session->store), parameters, sizeof parameters);
    if (p->steps && machine != NULL) {
        fov_text_add(&text, "this machine: ");
        fov_machine_text(machine, &text);
        fov_text_add(&text, "\n");
    }
    if (p->steps) {
        const fov_limits limits = machine == NULL ? (fov_limits){0} : fov_machine_limits(machine);
        fov_plan_describe(session->plan, machine == NULL ? NULL : &limits, &text);
    }
    fov_text_printf(&text, "%zu operations, %s parameters, %s of memory, %.2f GFLOP forward, %.2f backward\n",
                    fov_plan_steps(session->plan), parameters, memory, cost.forward_flops * 1e-9, cost.backward_flops * 1e-9);
    const fov_status status = text.status;
    if (status == FOV_OK) {
        (void)fputs(text.data, stdout);
    }
    fov_text_clear(&text);
    return status;
}

static fov_status show(const plan_options *p, fov_step_bench *bench) {
    if (p->repeat == 0) {
        return print_plan(p, bench->session, NULL);
    }
    fov_machine machine;
    double seconds = 0.0;
    FOV_TRY(measure(bench, p->repeat, &seconds));
    FOV_TRY(fov_machine_measure(&machine, bench->pool, LIMITS_SECONDS));
    const fov_cost cost = fov_plan_cost(bench->session->plan);
    const double flops = (cost.forward_flops + cost.backward_flops) / seconds;
    FOV_TRY(print_plan(p, bench->session, &machine));
    (void)printf("one step: %.1f ms, %.1f images/s, %.1f GFLOP/s, %.0f %% of this machine's %.0f\n", 1e3 * seconds,
                 (double)(bench->views * bench->session->options.batch_size) / seconds, flops * 1e-9, 100.0 * flops / machine.flops,
                 machine.flops * 1e-9);
    return FOV_OK;
}

static fov_status plan(const void *fields, const fov_common_options *common, const char *const *words, size_t word_count) {
    (void)common, (void)words, (void)word_count;
    const plan_options *p = fields;
    fov_step_bench bench;
    fov_status status = fov_step_bench_init(&bench, &p->step);
    if (status == FOV_OK) {
        status = show(p, &bench);
    }
    fov_step_bench_clear(&bench);
    return status;
}
