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
    {.name = "threads", .type = FOV_OPT_INT, .offset = FIELD(threads), .value_name = "N", .help = "threads that compute; 0: all processors", .fallback = "1", .min = 0, .max = 1024},
    {.name = "precision", .type = FOV_OPT_CHOICE, .offset = FIELD(precision), .value_name = "KIND", .help = "of the products' operands", .fallback = "float32", .choices = fov_precision_names},
    {.name = "shape", .type = FOV_OPT_STRING, .offset = FIELD(shape), .value_name = "NAME", .help = "only products whose name has this in it"},
    {.name = "seconds", .type = FOV_OPT_REAL, .offset = FIELD(seconds), .value_name = "S", .help = "for each product at least so long", .fallback = "0.1", .min = 0.001, .max = 3600.0},
    FOV_BENCH_JSON_OPTION(FIELD(json)),
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

#define MOST_PRODUCTS 64

typedef struct figures {
    const settings *settings;
    fov_machine machine;
    const fov_product_shape *shape[MOST_PRODUCTS];
    double rates[MOST_PRODUCTS][3];
    size_t count;
} figures;

static void print_table(const void *context) {
    const figures *f = context;
    const fov_machine *m = &f->machine;
    (void)printf("%s, 1 thread / %u: multiply-adds %.0f / %.0f GFLOP/s, memory read %.1f / %.1f GB/s, copied %.1f / %.1f GB/s\n", fov_isa_name(fov_cpu_isa()), m->threads,
                 m->flops_one * 1e-9, m->flops * 1e-9, m->read_one * 1e-9, m->read * 1e-9, m->copy_one * 1e-9, m->copy * 1e-9);
    (void)printf("%-15s  %7s  %5s  %5s  %16s  %16s  %16s\n", "product", "rows", "in", "out", "y, GFLOP/s", "dx, GFLOP/s", "dW, GFLOP/s");
    for (size_t p = 0; p < f->count; p++) {
        const fov_product_shape *shape = f->shape[p];
        (void)printf("%-15s  %7zu  %5zu  %5zu", shape->name, shape->rows, shape->in, shape->out);
        for (int i = 0; i < 3; i++) {
            (void)printf("  %8.1f (%3.0f %%)", f->rates[p][i] * 1e-9, 100.0 * f->rates[p][i] / m->flops);
        }
        (void)putchar('\n');
    }
}

static void write_json(const void *context, fov_json_writer *w) {
    static const char *const passes[] = {"y", "dx", "dw"};
    const figures *f = context;
    fov_json_open(w, NULL, '{');
    fov_machine_json(&f->machine, w);
    fov_json_add_string(w, "precision", f->settings->precision);
    fov_json_open(w, "products", '[');
    for (size_t p = 0; p < f->count; p++) {
        const fov_product_shape *shape = f->shape[p];
        fov_json_open(w, NULL, '{');
        fov_json_add_string(w, "name", shape->name);
        fov_json_add_int(w, "rows", (int64_t)shape->rows);
        fov_json_add_int(w, "in", (int64_t)shape->in);
        fov_json_add_int(w, "out", (int64_t)shape->out);
        for (int i = 0; i < 3; i++) {
            fov_json_open(w, passes[i], '{');
            fov_json_add_number(w, "gflops_per_second", f->rates[p][i] * 1e-9);
            fov_json_add_number(w, "percent_of_peak", 100.0 * f->rates[p][i] / f->machine.flops);
            fov_json_close(w, '}');
        }
        fov_json_close(w, '}');
    }
    fov_json_close(w, ']');
    fov_json_close(w, '}');
}

/* The products that were asked for. */
static fov_status choose(figures *f) {
    const char *part = f->settings->shape;
    fov_text names;
    fov_text_init(&names);
    for (const fov_product_shape *shape = fov_product_shapes; shape->name != NULL; shape++) {
        if (part == NULL || strstr(shape->name, part) != NULL) {
            FOV_ASSERT(f->count < MOST_PRODUCTS);
            f->shape[f->count++] = shape;
        }
        fov_text_printf(&names, "%s%s", shape == fov_product_shapes ? "" : ", ", shape->name);
    }
    const fov_status status = f->count > 0 ? FOV_OK : FOV_FAIL(FOV_E_INVALID, "--shape: no product has '%s' in its name; there are %s", part, names.data == NULL ? "none" : names.data);
    fov_text_clear(&names);
    return status;
}

static fov_status measure(const void *fields, const fov_common_options *common, const char *const *words, size_t word_count) {
    (void)common, (void)words, (void)word_count;
    const settings *s = fields;
    const fov_precision precision = fov_precision_named(s->precision);
    figures f = {.settings = s};
    fov_pool *pool = NULL;
    FOV_TRY(fov_precision_check(precision));
    FOV_TRY(choose(&f));
    FOV_TRY(fov_json_check_output(s->json));
    FOV_TRY(fov_pool_new(&pool, (unsigned)s->threads));
    fov_status status = fov_machine_measure(&f.machine, pool, LIMITS_SECONDS);
    for (size_t p = 0; p < f.count && status == FOV_OK; p++) {
        status = fov_product_bench(f.rates[p], f.shape[p], precision == FOV_PRECISION_BF16, pool, s->seconds);
    }
    if (status == FOV_OK) {
        status = fov_bench_show(s->json, &f, print_table, write_json);
    }
    fov_pool_free(pool);
    return status;
}
