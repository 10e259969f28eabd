/* Measuring the loader as training uses it: the same threads, ring and steps, and a consumer that gives every batch back at once.
 *
 * Rates by the clock say what a training run would see on this machine now; rates by CPU time say what the code costs, also while other
 * programs run. The loader times the parts of some samples; the CPU time of its threads is split as theirs. */
#include "report/pipeline_bench.h"

#include <string.h>

#include "base/clock.h"
#include "base/cpu.h"

typedef struct mark {
    double seconds, cpu;
    fov_loader_stats stats;
} mark;

static mark mark_now(const fov_loader *loader) {
    return (mark){.seconds = fov_clock_seconds(), .cpu = fov_clock_cpu_seconds(), .stats = fov_loader_get_stats(loader)};
}

/* Batches until `seconds` are over or `most` of them were made. */
static fov_status run_for(fov_loader *loader, double seconds, uint64_t most, uint64_t *batches) {
    const double begun = fov_clock_seconds();
    *batches = 0;
    while (*batches < most && (*batches == 0 || fov_clock_seconds() - begun < seconds)) {
        const fov_batch *batch = NULL;
        FOV_TRY(fov_loader_next(loader, &batch));
        FOV_ASSERT(batch != NULL);
        fov_loader_give_back(loader, batch);
        (*batches)++;
    }
    return FOV_OK;
}

static void fill_in(fov_pipeline_bench *b, const mark *from, const mark *to) {
    b->seconds = to->seconds - from->seconds;
    b->cpu_seconds = to->cpu - from->cpu;
    b->bytes_read = to->stats.bytes_read - from->stats.bytes_read;
    b->substituted = to->stats.substituted;
    b->ring_bytes = to->stats.bytes;
    const double read = to->stats.read_seconds - from->stats.read_seconds, decode = to->stats.decode_seconds - from->stats.decode_seconds;
    const double make = to->stats.view_seconds - from->stats.view_seconds, timed = read + decode + make;
    const double share = timed > 0.0 ? (to->stats.cpu_seconds - from->stats.cpu_seconds) / timed : 0.0;
    b->read = read * share;
    b->decode = decode * share;
    b->make = make * share;
    b->other = b->cpu_seconds - b->read - b->decode - b->make;
}

fov_status fov_pipeline_bench_run(fov_pipeline_bench *bench, const fov_index *index, const fov_recipe *recipe,
                                  const fov_pipeline_bench_options *options) {
    *bench = (fov_pipeline_bench){.pictures = fov_index_count(index),
                                  .batch_size = options->loader.batch_size,
                                  .threads = options->loader.threads > 0 ? options->loader.threads : fov_cpu_count(),
                                  .started_bytes = fov_mem_resident_now().now_bytes};
    fov_loader_options endless = options->loader;
    endless.threads = bench->threads;
    endless.first_step = 0;
    endless.last_step = UINT64_MAX;
    fov_loader *loader = NULL;
    FOV_TRY(fov_loader_new(&loader, index, recipe, &endless));
    fov_status status = FOV_OK;
    const uint64_t round = (bench->pictures + bench->batch_size - 1) / bench->batch_size;
    uint64_t batches = 0;
    FOV_TRY_GOTO(status, done, run_for(loader, options->seconds, round, &batches));
    const mark from = mark_now(loader);
    FOV_TRY_GOTO(status, done, run_for(loader, options->seconds, UINT64_MAX, &batches));
    const mark to = mark_now(loader);
    fill_in(bench, &from, &to);
    bench->images = batches * bench->batch_size;
    bench->views = bench->images * recipe->view_count;
    bench->peak_bytes = fov_mem_resident_now().peak_bytes;
done:
    fov_loader_free(loader);
    return status;
}

void fov_pipeline_bench_json(const fov_pipeline_bench *b, const fov_recipe *recipe, const fov_pipeline_bench_options *options,
                             fov_json_writer *w) {
    const double images = (double)b->images;
    fov_text text;
    fov_text_init(&text);
    fov_recipe_text(recipe, &text);
    fov_json_open(w, NULL, '{');
    fov_json_add_number(w, "images_per_second", images / b->seconds);
    fov_json_add_number(w, "views_per_second", (double)b->views / b->seconds);
    fov_json_add_number(w, "images_per_cpu_second", images / b->cpu_seconds);
    fov_json_add_int(w, "images", (int64_t)b->images);
    fov_json_add_int(w, "views", (int64_t)b->views);
    fov_json_add_number(w, "seconds", b->seconds);
    fov_json_add_number(w, "cpu_seconds", b->cpu_seconds);
    fov_json_open(w, "cpu_seconds_per_image", '{');
    fov_json_add_number(w, "read", b->read / images);
    fov_json_add_number(w, "decode", b->decode / images);
    fov_json_add_number(w, "views", b->make / images);
    fov_json_add_number(w, "other", b->other / images);
    fov_json_close(w, '}');
    fov_json_add_int(w, "bytes_read", (int64_t)b->bytes_read);
    fov_json_add_int(w, "pictures", (int64_t)b->pictures);
    fov_json_add_int(w, "substituted", (int64_t)b->substituted);
    fov_json_add_int(w, "ring_bytes", (int64_t)b->ring_bytes);
    fov_json_add_int(w, "started_bytes", (int64_t)b->started_bytes);
    fov_json_add_int(w, "peak_bytes", (int64_t)b->peak_bytes);
    fov_json_add_int(w, "threads", b->threads);
    fov_json_add_int(w, "batch_size", (int64_t)b->batch_size);
    fov_json_add_int(w, "seed", (int64_t)options->loader.seed);
    fov_json_add_bool(w, "shrink", options->loader.shrink);
    fov_json_add_bool(w, "cache", options->loader.cache);
    fov_json_add_string(w, "instruction_set", fov_isa_name(fov_cpu_isa()));
    fov_json_add_string(w, "views_recipe", text.data);
    fov_json_close(w, '}');
    if (text.status != FOV_OK) {
        w->text.status = text.status;
    }
    fov_text_clear(&text);
}
