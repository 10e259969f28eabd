/* Limits of the machine. Each is the best of repeated short tries: other programs only make them slower.
 *
 * Threads get equal chunks, one each; memory is larger than the caches, so that each try reads it from outside. */
#include "report/machine.h"

#include <string.h>

#include "base/clock.h"
#include "base/cpu.h"
#include "base/memory.h"
#include "kernels/kernels.h"

enum { NUMBERS = 64 * 1024 * 1024 / sizeof(fov_real), ROUNDS = 512, FACTORS = 64 };

typedef struct trial {
    const fov_kernels *kernels;
    fov_real *from, *to;
    size_t threads;
    double *done; /* of each chunk: operations or bytes */
} trial;

static void compute_chunk(void *context, size_t chunk, unsigned worker) {
    (void)worker;
    const trial *t = context;
    _Alignas(64) fov_real factors[FACTORS];
    for (size_t i = 0; i < FACTORS; i++) {
        factors[i] = (fov_real)0.5;
    }
    for (size_t r = 0; r < ROUNDS; r++) {
        t->done[chunk] += t->kernels->peak_multiply_add(factors);
    }
}

static void read_chunk(void *context, size_t chunk, unsigned worker) {
    (void)worker;
    const trial *t = context;
    const size_t first = NUMBERS * chunk / t->threads, n = NUMBERS * (chunk + 1) / t->threads - first;
    t->to[chunk * 64] = t->kernels->peak_read(t->from + first, n);
    t->done[chunk] += (double)(n * sizeof(fov_real));
}

static void copy_chunk(void *context, size_t chunk, unsigned worker) {
    (void)worker;
    const trial *t = context;
    const size_t first = NUMBERS * chunk / t->threads, n = NUMBERS * (chunk + 1) / t->threads - first;
    memcpy(t->to + first, t->from + first, n * sizeof(fov_real));
    t->done[chunk] += 2.0 * (double)(n * sizeof(fov_real));
}

/* Work a second: the best of tries in `seconds`, three at least. */
static double best_rate(trial *t, fov_pool *pool, fov_chunk_fn fn, double seconds) {
    const double begun = fov_clock_seconds();
    double best = 0.0;
    for (int i = 0; i < 3 || fov_clock_seconds() - begun < seconds; i++) {
        memset(t->done, 0, t->threads * sizeof *t->done);
        const double start = fov_clock_seconds();
        fov_pool_for(pool, t->threads, fn, t);
        const double took = fov_clock_seconds() - start;
        double all = 0.0;
        for (size_t c = 0; c < t->threads; c++) {
            all += t->done[c];
        }
        best = all / took > best ? all / took : best;
    }
    return best;
}

static void measure(fov_machine *m, trial *t, fov_pool *pool, double seconds) {
    const double each = seconds / 6.0;
    t->threads = 1;
    m->flops_one = best_rate(t, NULL, compute_chunk, each);
    m->read_one = best_rate(t, NULL, read_chunk, each);
    m->copy_one = best_rate(t, NULL, copy_chunk, each);
    t->threads = m->threads;
    m->flops = best_rate(t, pool, compute_chunk, each);
    m->read = best_rate(t, pool, read_chunk, each);
    m->copy = best_rate(t, pool, copy_chunk, each);
}

fov_status fov_machine_measure(fov_machine *machine, fov_pool *pool, double seconds) {
    trial t = {.kernels = fov_kernels_get()};
    *machine = (fov_machine){.threads = fov_pool_threads(pool)};
    fov_status status = FOV_E_NOMEM;
    t.from = fov_mem_array(FOV_MEM_BASE, NUMBERS, sizeof(fov_real));
    t.to = fov_mem_array(FOV_MEM_BASE, NUMBERS, sizeof(fov_real));
    t.done = fov_mem_array(FOV_MEM_BASE, machine->threads, sizeof *t.done);
    if (t.from != NULL && t.to != NULL && t.done != NULL) {
        memset(t.from, 0, NUMBERS * sizeof(fov_real)); /* pages that were never written are one page of zeros */
        memset(t.to, 0, NUMBERS * sizeof(fov_real));
        measure(machine, &t, pool, seconds);
        status = FOV_OK;
    }
    fov_mem_free(t.from);
    fov_mem_free(t.to);
    fov_mem_free(t.done);
    return status;
}

fov_limits fov_machine_limits(const fov_machine *machine) {
    return (fov_limits){.flops = machine->flops, .bytes = machine->read > machine->copy ? machine->read : machine->copy};
}

void fov_machine_text(const fov_machine *m, fov_text *text) {
    fov_text_printf(text, "%.1f GFLOP/s, %.1f GB/s read, %.1f GB/s copied on %u thread%s", m->flops * 1e-9, m->read * 1e-9, m->copy * 1e-9, m->threads, m->threads == 1 ? "" : "s");
}

void fov_machine_json(const fov_machine *m, fov_json_writer *w) {
    fov_json_add_int(w, "threads", m->threads);
    fov_json_add_string(w, "instruction_set", fov_isa_name(fov_cpu_isa()));
    fov_json_add_number(w, "peak_gflops_per_second_one_thread", m->flops_one * 1e-9);
    fov_json_add_number(w, "peak_gflops_per_second", m->flops * 1e-9);
    fov_json_add_number(w, "read_gb_per_second_one_thread", m->read_one * 1e-9);
    fov_json_add_number(w, "read_gb_per_second", m->read * 1e-9);
    fov_json_add_number(w, "copy_gb_per_second_one_thread", m->copy_one * 1e-9);
    fov_json_add_number(w, "copy_gb_per_second", m->copy * 1e-9);
}
