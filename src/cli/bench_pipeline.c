/* fovea bench pipeline: how many pictures a second become views. */
#include <stdio.h>
#include <string.h>

#include "base/cpu.h"
#include "base/log.h"
#include "cli/bad_files.h"
#include "cli/bench_output.h"
#include "cli/command.h"
#include "cli/terminal.h"
#include "report/pipeline_bench.h"

typedef struct settings {
    const char *views, *json, *cache, *shrink, *depth, *group;
    int64_t image_size, threads, batch_size, seed, channels;
    double seconds, max_bad;
    bool follow_links;
} settings;

#define FIELD(name) offsetof(settings, name)

static const char *const caches[] = {"none", "ram", NULL};
static const char *const shrinks[] = {"auto", "none", NULL};
static const char *const depths[] = {"8", "16", NULL};

static const fov_option table[] = {
    {.name = "views", .type = FOV_OPT_STRING, .offset = FIELD(views), .value_name = "RECIPE", .help = "how views are made: a recipe's name, or its text", .fallback = "simclr_blur"},
    {.name = "image-size", .type = FOV_OPT_INT, .offset = FIELD(image_size), .value_name = "N", .help = "side of the views in pixels; a recipe's text has sizes of its own", .fallback = "224", .min = 8, .max = 2048},
    {.name = "threads", .type = FOV_OPT_INT, .offset = FIELD(threads), .value_name = "N", .help = "loader threads; 0: all processors", .fallback = "1", .min = 0, .max = 1024},
    {.name = "batch-size", .type = FOV_OPT_INT, .offset = FIELD(batch_size), .value_name = "N", .help = "pictures a batch", .fallback = "64", .min = 1, .max = 65536},
    {.name = "seconds", .type = FOV_OPT_REAL, .offset = FIELD(seconds), .value_name = "S", .help = "measure for at least so long", .fallback = "5", .min = 0.01, .max = 86400.0},
    {.name = "seed", .type = FOV_OPT_INT, .offset = FIELD(seed), .value_name = "N", .help = "names the random numbers", .fallback = "0", .min = 0, .max = 9e15},
    {.name = "shrink", .type = FOV_OPT_CHOICE, .offset = FIELD(shrink), .value_name = "KIND", .help = "as for pretrain: photos much larger than their views decoded smaller, or always whole and exact", .fallback = "auto", .choices = shrinks},
    {.name = "cache", .type = FOV_OPT_CHOICE, .offset = FIELD(cache), .value_name = "KIND", .help = "ram: keep decoded pictures, so that no decoding is measured", .fallback = "none", .choices = caches},
    {.name = "channels", .type = FOV_OPT_INT, .offset = FIELD(channels), .value_name = "N", .help = "channels of a picture, as for pretrain; 0: 3, or as many as --group names", .fallback = "0", .min = 0, .max = FOV_MAX_CHANNELS},
    {.name = "depth", .type = FOV_OPT_CHOICE, .offset = FIELD(depth), .value_name = "BITS", .help = "bits of a channel", .fallback = "8", .choices = depths},
    {.name = "group", .type = FOV_OPT_STRING, .offset = FIELD(group), .value_name = "RULE", .help = "ends of the names of files that are planes of one picture"},
    {.name = "max-bad", .type = FOV_OPT_REAL, .offset = FIELD(max_bad), .value_name = "X", .help = "share of bad files that is accepted", .fallback = "0.2", .min = 0.0, .max = 1.0},
    {.name = "follow-links", .type = FOV_OPT_FLAG, .offset = FIELD(follow_links), .help = "go into folders that are symbolic links", .fallback = "false"},
    FOV_BENCH_JSON_OPTION(FIELD(json)),
    {.name = NULL},
};

static fov_status measure(const void *fields, const fov_common_options *common, const char *const *words, size_t word_count);

extern const fov_command fov_bench_pipeline;
const fov_command fov_bench_pipeline = {
    .name = "pipeline",
    .family = "bench",
    .usage = "DATA... [options]",
    .summary = "reading, decoding and augmenting pictures, without training",
    .details = "Runs the loader of pretrain over folders, packs or picture files and throws the\n"
               "views away: once through unmeasured, then for --seconds. What a core does is\n"
               "reckoned by CPU time, which other programs disturb less than the clock.\n\n",
    .heading = "Pipeline",
    .table = table,
    .fields_size = sizeof(settings),
    .most_words = SIZE_MAX,
    .body = measure,
};

static void row(const char *name, double value, const char *unit, double per_image, double all) {
    (void)printf("  %-22s%10.0f %s", name, value, unit);
    if (all > 0.0) {
        (void)printf("%*s%3.0f %%", 16 - (int)strlen(unit), "", 100.0 * per_image / all);
    }
    (void)putchar('\n');
}

typedef struct figures {
    fov_pipeline_bench bench;
    fov_recipe recipe;
    fov_pipeline_bench_options options;
} figures;

static void print_table(const void *context) {
    const figures *f = context;
    const fov_pipeline_bench *b = &f->bench;
    const double images = (double)b->images, cpu = b->cpu_seconds / images;
    char size[32], files[32], peak[32], ring[32];
    fov_text text;
    fov_text_init(&text);
    fov_recipe_text(&f->recipe, &text);
    fov_format_count(b->pictures, size, sizeof size);
    fov_format_bytes((double)b->bytes_read / images, files, sizeof files);
    fov_format_bytes((double)b->peak_bytes, peak, sizeof peak);
    fov_format_bytes((double)b->ring_bytes, ring, sizeof ring);
    (void)printf("%s pictures, %s read of each, %u thread%s, %s\nviews: %s\n", size, files, b->threads, b->threads == 1 ? "" : "s",
                 fov_isa_name(fov_cpu_isa()), text.data == NULL ? "" : text.data);
    row("images", images / b->seconds, "/s", 0.0, 0.0);
    row("views", (double)b->views / b->seconds, "/s", 0.0, 0.0);
    row("images per core", 1.0 / cpu, "/s", 0.0, 0.0);
    row("CPU time an image", 1e6 * cpu, "us", cpu, cpu);
    row("  reading", 1e6 * b->read / images, "us", b->read / images, cpu);
    row("  decoding", 1e6 * b->decode / images, "us", b->decode / images, cpu);
    row("  making views", 1e6 * b->make / images, "us", b->make / images, cpu);
    row("  other", 1e6 * b->other / images, "us", b->other / images, cpu);
    (void)printf("%.1f s measured, %s resident at most, of which the ring of batches %s\n", b->seconds, peak, ring);
    fov_text_clear(&text);
}

static void write_json(const void *context, fov_json_writer *writer) {
    const figures *f = context;
    fov_pipeline_bench_json(&f->bench, &f->recipe, &f->options, writer);
}

/* Steps that make no sense on the pictures are no part of what is measured. */
static fov_status fit(fov_recipe *recipe, fov_pixel_format format) {
    fov_text dropped;
    fov_text_init(&dropped);
    fov_recipe_fit(recipe, format, &dropped);
    const fov_status status = dropped.status;
    if (dropped.length > 0) {
        fov_log(FOV_LOG_INFO, "left out, since it makes no sense on these pictures: %s", dropped.data);
    }
    fov_text_clear(&dropped);
    return status;
}

static fov_status measure(const void *fields, const fov_common_options *common, const char *const *words, size_t word_count) {
    (void)common;
    const settings *s = fields;
    figures f;
    fov_pool *pool = NULL;
    fov_index *index = NULL;
    static char verb[] = "checking pictures";
    const fov_pixel_format format = {.channels = fov_group_channels(s->channels, s->group), .deep = strcmp(s->depth, "16") == 0};
    const fov_scan_options scan = {.decode.format = format,
                                   .group = s->group,
                                   .follow_links = s->follow_links,
                                   .max_bad = fov_max_bad(s->max_bad),
                                   .progress = fov_terminal_count,
                                   .context = verb};
    fov_status status = FOV_OK;
    if (word_count == 0) {
        return FOV_FAIL(FOV_E_INVALID, "bench pipeline needs pictures: name a folder or picture files");
    }
    FOV_TRY(fov_json_check_output(s->json));
    FOV_TRY_GOTO(status, done, fov_recipe_read(s->views, (size_t)s->image_size, &f.recipe));
    FOV_TRY_GOTO(status, done, fit(&f.recipe, format));
    FOV_TRY_GOTO(status, done, fov_pool_new(&pool, (unsigned)s->threads));
    FOV_TRY_GOTO(status, done, fov_index_scan(&index, words, word_count, &scan, pool));
    FOV_TRY_GOTO(status, done, fov_tell_bad_files(index, NULL, NULL));
    fov_pool_free(pool); /* its threads and stacks are no part of the pipeline */
    pool = NULL;
    const bool cache = strcmp(s->cache, "ram") == 0;
    f.options = (fov_pipeline_bench_options){.seconds = s->seconds,
                                                .loader = {.batch_size = (size_t)s->batch_size,
                                                           .threads = (unsigned)s->threads,
                                                           .seed = (uint64_t)s->seed,
                                                           .decode.format = format,
                                                           .max_bad = fov_max_bad(s->max_bad),
                                                           .shrink = strcmp(s->shrink, "auto") == 0,
                                                           .cache = cache,
                                                           .cache_bytes = cache ? fov_loader_cache_needs(index, format) : 0}};
    FOV_TRY_GOTO(status, done, fov_pipeline_bench_run(&f.bench, index, &f.recipe, &f.options));
    FOV_TRY_GOTO(status, done, fov_bench_show(s->json, &f, print_table, write_json));
done:
    fov_index_free(index);
    fov_pool_free(pool);
    return status;
}
