/* fovea bench kernels: what this machine can do at best, and how near to it matrix products come. */
#include <stdio.h>
#include <string.h>

#include "base/cpu.h"
#include "cli/bench_output.h"
#include "cli/command.h"
#include "kernels/precision.h"
#include "report/machine.h"
#include "report/product_bench.h"

typedef struct settings {
    const char *json, *precision, *shape;
    int64_t threads;
    double seconds;
} settings;

#define FIELD(name) offsetof(settings, name)
#define LIMITS_SECONDS 0.6

static const fov_option table[] = {
    {.name = "threads",
     .type = FOV_OPT_INT,
     .offset = FIELD(threads),
     .value_name = "N",
     .help = "threads that compute; 0: all processors",
     .fallback = "1",
     .min = 0,
     .max = 1024},
    {.name = "precision",
     .type = FOV_OPT_CHOICE,
     .offset = FIELD(precision),
     .value_name = "KIND",
     .help = "of the products' operands",
     .fallback = "float32",
     .choices = fov_precision_names},
    {.name = "shape",
     .type = FOV_OPT_STRING,
     .offset = FIELD(shape),
     .value_name = "NAME",
     .help = "only products whose name has this in it"},
    {.name = "seconds",
     .type = FOV_OPT_REAL,
     .offset = FIELD(seconds),
     .value_name = "S",
     .help = "for each product at least so long",
     .fallback = "0.1",
     .min = 0.001,
     .max = 3600.0},
    {.name = "json",
     .type = FOV_OPT_STRING,
     .offset = FIELD(json),
     .value_name = "FILE",
     .help = "write the figures as JSON; - is standard output"},
    {.name = NULL},
};

static fov_status measure(const void *fields, const fov_common_options *common, const char *const *words, size_t word_count);

extern const fov_command fov_bench_kernels;
const fov_command fov_bench_kernels = {
    .name = "kernels",
    .family = "bench",
    .usage = "[options]",
    .summary = "the machine's limits, and the matrix products of models",
    .details = "Measures multiply-adds in registers and memory read and copied in order, on one\n"
               "thread and on all; then products as layers of models do them: forward (y), with\n"
               "respect to the input (dx) and to the weights (dW). Percentages are of this\n"
               "machine's multiply-adds in float32. For other operations see 'bench ops'.\n\n",
    .heading = "Kernels",
    .table = table,
    .fields_size = sizeof(settings),
    .body = measure,
};

static bool wanted(const settings *s, const fov_product_shape *shape) {
    return s->shape == NULL || strstr(shape->name, s->shape) != NULL;
}

static void print_limits(const fov_machine *m) {
    (void)printf("%s, 1 thread / %u: multiply-adds %.0f / %.0f GFLOP/s, memory read %.1f / %.1f GB/s, copied %.1f / %.1f GB/s\n",
                 fov_isa_name(fov_cpu_isa()), m->threads, m->flops_one * 1e-9, m->flops * 1e-9, m->read_one * 1e-9, m->read * 1e-9,
                 m->copy_one * 1e-9, m->copy * 1e-9);
    (void)printf("%-15s  %7s  %5s  %5s  %16s  %16s  %16s\n", "product", "rows", "in", "out", "y, GFLOP/s", "dx, GFLOP/s", "dW, GFLOP/s");
}

static void write_limits(const settings *s, const fov_machine *m, fov_json_writer *w) {
    fov_json_add_string(w, "instruction_set", fov_isa_name(fov_cpu_isa()));
    fov_json_add_string(w, "precision", s->precision);
    fov_json_add_int(w, "threads", m->threads);
    fov_json_add_number(w, "peak_gflops_per_second_one_thread", m->flops_one * 1e-9);
    fov_json_add_number(w, "peak_gflops_per_second", m->flops * 1e-9);
    fov_json_add_number(w, "read_gb_per_second_one_thread", m->read_one * 1e-9);
    fov_json_add_number(w, "read_gb_per_second", m->read * 1e-9);
    fov_json_add_number(w, "copy_gb_per_second_one_thread", m->copy_one * 1e-9);
    fov_json_add_number(w, "copy_gb_per_second", m->copy * 1e-9);
}

static void show_product(const fov_product_shape *shape, const double rates[3], double peak, fov_json_writer *w) {
    static const char *const passes[] = {"y", "dx", "dw"};
    if (w == NULL) {
        (void)printf("%-15s  %7zu  %5zu  %5zu", shape->name, shape->rows, shape->in, shape->out);
        for (int i = 0; i < 3; i++) {
            (void)printf("  %8.1f (%3.0f %%)", rates[i] * 1e-9, 100.0 * rates[i] / peak);
        }
        (void)putchar('\n');
        (void)fflush(stdout);
        return;
    }
    fov_json_open(w, NULL, '{');
    fov_json_add_string(w, "name", shape->name);
    fov_json_add_int(w, "rows", (int64_t)shape->rows);
    fov_json_add_int(w, "in", (int64_t)shape->in);
    fov_json_add_int(w, "out", (int64_t)shape->out);
    for (int i = 0; i < 3; i++) {
        fov_json_open(w, passes[i], '{');
        fov_json_add_number(w, "gflops_per_second", rates[i] * 1e-9);
        fov_json_add_number(w, "percent_of_peak", 100.0 * rates[i] / peak);
        fov_json_close(w, '}');
    }
    fov_json_close(w, '}');
}

static fov_status check_shape(const settings *s) {
    for (const fov_product_shape *shape = fov_product_shapes; shape->name != NULL; shape++) {
        if (wanted(s, shape)) {
            return FOV_OK;
        }
    }
    fov_text names;
    fov_text_init(&names);
    for (const fov_product_shape *shape = fov_product_shapes; shape->name != NULL; shape++) {
        fov_text_printf(&names, "%s%s", shape == fov_product_shapes ? "" : ", ", shape->name);
    }
    const fov_status status = FOV_FAIL(FOV_E_INVALID, "--shape: no product has '%s' in its name; there are %s", s->shape,
                                       names.data == NULL ? "none" : names.data);
    fov_text_clear(&names);
    return status;
}

static fov_status run(const settings *s, fov_pool *pool, fov_json_writer *w) {
    fov_machine machine;
    FOV_TRY(fov_machine_measure(&machine, pool, LIMITS_SECONDS));
    if (w == NULL) {
        print_limits(&machine);
    } else {
        fov_json_open(w, NULL, '{');
        write_limits(s, &machine, w);
        fov_json_open(w, "products", '[');
    }
    const bool bf16 = fov_precision_named(s->precision) == FOV_PRECISION_BF16;
    for (const fov_product_shape *shape = fov_product_shapes; shape->name != NULL; shape++) {
        double rates[3];
        if (wanted(s, shape)) {
            FOV_TRY(fov_product_bench(rates, shape, bf16, pool, s->seconds));
            show_product(shape, rates, machine.flops, w);
        }
    }
    if (w != NULL) {
        fov_json_close(w, ']');
        fov_json_close(w, '}');
    }
    return FOV_OK;
}

static fov_status measure(const void *fields, const fov_common_options *common, const char *const *words, size_t word_count) {
    (void)common, (void)words, (void)word_count;
    const settings *s = fields;
    fov_pool *pool = NULL;
    FOV_TRY(fov_precision_check(fov_precision_named(s->precision)));
    FOV_TRY(check_shape(s));
    FOV_TRY(fov_bench_check_output(s->json));
    FOV_TRY(fov_pool_new(&pool, (unsigned)s->threads));
    fov_json_writer writer;
    fov_json_begin(&writer, true);
    fov_status status = run(s, pool, s->json == NULL ? NULL : &writer);
    if (status == FOV_OK && s->json != NULL) {
        status = fov_bench_write(s->json, &writer);
    } else {
        fov_json_clear(&writer);
    }
    fov_pool_free(pool);
    return status;
}
