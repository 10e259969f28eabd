/* fovea plan: what one training step computes, in which memory, at what cost. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "cli/command.h"
#include "cli/terminal.h"
#include "train/optimizer.h"
#include "train/session.h"

typedef struct plan_options {
    const char *method, *backbone, *stem, *depth, *recompute, *precision;
    int64_t image_size, channels, batch_size, threads, repeat;
    bool reuse, steps;
} plan_options;

#define FIELD(name) offsetof(plan_options, name)

static const char *const stems[] = {"imagenet", "cifar", NULL};
static const char *const depths[] = {"8", "16", NULL};

static const fov_option table[] = {
    {.name = "method", .type = FOV_OPT_STRING, .offset = FIELD(method), .value_name = "NAME", .help = "objective", .fallback = "simclr"},
    {.name = "backbone", .type = FOV_OPT_STRING, .offset = FIELD(backbone), .value_name = "NAME", .help = "network", .fallback = "resnet18"},
    {.name = "stem", .type = FOV_OPT_CHOICE, .offset = FIELD(stem), .value_name = "KIND", .help = "first layers of a ResNet", .fallback = "imagenet", .choices = stems},
    {.name = "image-size", .type = FOV_OPT_INT, .offset = FIELD(image_size), .value_name = "N", .help = "side of the views in pixels", .fallback = "64", .min = 8, .max = 2048},
    {.name = "channels", .type = FOV_OPT_INT, .offset = FIELD(channels), .value_name = "N", .help = "channels of the pictures", .fallback = "3", .min = 1, .max = FOV_MAX_CHANNELS},
    {.name = "depth", .type = FOV_OPT_CHOICE, .offset = FIELD(depth), .value_name = "BITS", .help = "bits of a channel", .fallback = "8", .choices = depths},
    {.name = "batch-size", .type = FOV_OPT_INT, .offset = FIELD(batch_size), .value_name = "N", .help = "pictures a step", .fallback = "64", .min = 1, .max = 65536},
    {.name = "threads", .type = FOV_OPT_INT, .offset = FIELD(threads), .value_name = "N", .help = "threads that compute", .fallback = "0", .min = 0, .max = 1024},
    {.name = "repeat", .type = FOV_OPT_INT, .offset = FIELD(repeat), .value_name = "N", .help = "timed steps; 0: do not run", .fallback = "3", .min = 0, .max = 1000},
    {.name = "precision", .type = FOV_OPT_CHOICE, .offset = FIELD(precision), .value_name = "KIND", .help = "as for pretrain: of linear layers' products", .fallback = "float32", .choices = fov_precision_names},
    {.name = "reuse", .type = FOV_OPT_FLAG, .offset = FIELD(reuse), .help = "share memory between values of different lifetimes", .fallback = "true"},
    {.name = "recompute", .type = FOV_OPT_CHOICE, .offset = FIELD(recompute), .value_name = "KIND", .help = "as for pretrain: what is computed again in backward to save memory", .fallback = "auto", .choices = fov_recompute_names},
    {.name = "steps", .type = FOV_OPT_FLAG, .offset = FIELD(steps), .help = "list every operation, not only the sums", .fallback = "true"},
    {.name = NULL},
};

static fov_status plan(const void *fields, const fov_common_options *common, const char *const *words, size_t word_count);

const fov_command fov_command_plan = {
    .name = "plan",
    .usage = "[options]",
    .summary = "show the operations, memory and cost of a training step",
    .details = "Plans one step of a method on a backbone, runs it on random pixels and prints\n"
               "each operation with its shape, place in memory, cost and time.\n\n",
    .heading = "Plan",
    .table = table,
    .fields_size = sizeof(plan_options),
    .body = plan,
};

/* One batch of pixels that mean nothing. */
typedef struct noise {
    fov_batch batch;
    uint8_t *pixels;
    uint32_t *sample;
} noise;

static fov_status noise_init(noise *n, const fov_session_options *o, size_t views) {
    const fov_pixel_format format = {.channels = o->spec.channels, .deep = o->deep};
    const size_t image = o->spec.image_size * o->spec.image_size * fov_pixel_bytes(format), bytes = o->batch_size * image;
    *n = (noise){.pixels = fov_mem_array(FOV_MEM_DATA, views, bytes), .sample = fov_mem_array(FOV_MEM_DATA, o->batch_size, sizeof *n->sample)};
    FOV_TRY_ALLOC(n->pixels);
    FOV_TRY_ALLOC(n->sample);
    fov_rng rng;
    fov_rng_init(&rng, 0, 0, 0, 0, FOV_RNG_TEST);
    for (size_t i = 0; i < views * bytes; i++) {
        n->pixels[i] = (uint8_t)fov_rng_u32(&rng);
    }
    n->batch = (fov_batch){.count = o->batch_size, .sample = n->sample};
    for (size_t v = 0; v < views; v++) {
        n->batch.view[v] = n->pixels + v * bytes;
    }
    for (size_t i = 0; i < o->batch_size; i++) {
        n->sample[i] = (uint32_t)i;
    }
    return FOV_OK;
}

static fov_status measure(const plan_options *p, fov_session *session, const fov_session_options *o, size_t views) {
    noise n;
    fov_status status = noise_init(&n, o, views);
    fov_step_result result;
    if (status == FOV_OK) {
        status = fov_session_step(session, &n.batch, 0.0, &result); /* warms up */
    }
    fov_plan_time(session->plan, true);
    const double begun = fov_clock_seconds();
    for (int64_t i = 0; i < p->repeat && status == FOV_OK; i++) {
        status = fov_session_step(session, &n.batch, 0.0, &result);
    }
    if (status == FOV_OK) {
        const double seconds = (fov_clock_seconds() - begun) / (double)p->repeat;
        const fov_cost cost = fov_plan_cost(session->plan);
        (void)printf("one step: %.1f ms, %.1f images/s, %.1f GFLOP/s\n", 1e3 * seconds, (double)(views * o->batch_size) / seconds,
                     (cost.forward_flops + cost.backward_flops) / seconds * 1e-9);
    }
    fov_mem_free(n.pixels);
    fov_mem_free(n.sample);
    return status;
}

static void print_plan(const plan_options *p, const fov_session *session) {
    char memory[32], parameters[32];
    fov_text text;
    fov_text_init(&text);
    const fov_cost cost = fov_plan_cost(session->plan);
    fov_format_bytes((double)fov_plan_bytes(session->plan), memory, sizeof memory);
    fov_format_count(fov_store_parameters(session->store), parameters, sizeof parameters);
    if (p->steps) {
        fov_plan_describe(session->plan, &text);
        (void)fputs(text.data == NULL ? "" : text.data, stdout);
    }
    (void)printf("%zu operations, %s parameters, %s of memory, %.2f GFLOP forward, %.2f backward\n", fov_plan_steps(session->plan), parameters, memory,
                 cost.forward_flops * 1e-9, cost.backward_flops * 1e-9);
    fov_text_clear(&text);
}

/* The objective's own choices for this backbone, image size and batch. */
static fov_status objective_setup(const fov_objective *objective, fov_session_options *o, void *fields, size_t *views) {
    const fov_train_facts facts = {.images = 1000 * o->batch_size, .median_side = o->spec.image_size, .batch_size = o->batch_size, .epochs = 100, .spec = &o->spec};
    fov_train_defaults defaults;
    fov_recipe recipe;
    fov_text text;
    fov_text_init(&text);
    if (objective->choose != NULL) {
        objective->choose(fields, &facts);
    }
    if (objective->adjust != NULL) {
        objective->adjust(fields, &o->spec);
    }
    objective->defaults(fields, &facts, &defaults);
    objective->views(fields, &facts, &text);
    fov_status status = text.status == FOV_OK ? fov_recipe_parse(text.data, &recipe) : text.status;
    fov_text_clear(&text);
    FOV_TRY(status);
    *views = recipe.view_count;
    o->optimizer = fov_optimizer_named(defaults.optimizer);
    o->settings = (fov_optimizer_settings){.weight_decay = defaults.weight_decay, .momentum = defaults.momentum, .beta1 = defaults.beta1, .beta2 = defaults.beta2, .eps = 1e-8, .trust = 1e-3};
    const fov_objective_context context = {.options = fields, .spec = &o->spec, .batch_size = o->batch_size};
    return objective->check == NULL ? FOV_OK : objective->check(&context);
}

static fov_status show(const plan_options *p, const fov_objective *objective, fov_session_options *o, void *fields) {
    fov_session *session = NULL;
    size_t views = 0;
    FOV_TRY(fov_backbone_parse(p->backbone, (size_t)p->image_size, &o->spec));
    if ((o->spec.backbone->gives & objective->needs) != objective->needs) {
        return FOV_FAIL(FOV_E_INVALID, "method %s cannot train %s; 'fovea list' shows what there is", objective->name, p->backbone);
    }
    o->spec.small_stem = strcmp(p->stem, "cifar") == 0 && o->spec.patch == 0;
    o->spec.channels = (size_t)p->channels;
    o->deep = strcmp(p->depth, "16") == 0;
    for (size_t c = 0; c < o->spec.channels; c++) { /* of pixels that mean nothing */
        o->mean[c] = 0.5;
        o->std[c] = 0.25;
    }
    FOV_TRY(objective_setup(objective, o, fields, &views));
    FOV_TRY(fov_session_new(&session, o));
    fov_status status = p->repeat > 0 ? measure(p, session, o, views) : FOV_OK;
    if (status == FOV_OK) {
        print_plan(p, session);
    }
    fov_session_free(session);
    return status;
}

static fov_status plan(const void *fields, const fov_common_options *common, const char *const *words, size_t word_count) {
    (void)common, (void)words, (void)word_count;
    const plan_options *p = fields;
    const fov_objective *objective = NULL;
    FOV_TRY(fov_objective_find(p->method, &objective));
    fov_session_options o = {.objective = objective,
                             .batch_size = (size_t)p->batch_size,
                             .micro_batch = (size_t)p->batch_size,
                             .precision = fov_precision_named(p->precision),
                             .plan = {.no_reuse = !p->reuse, .recompute = fov_recompute_named(p->recompute)}};
    fov_option_set *own = NULL;
    void *own_fields = fov_mem_zalloc(FOV_MEM_TRAIN, objective->options_size + 1);
    fov_status status = own_fields == NULL ? FOV_E_NOMEM : fov_options_new(&own);
    if (status == FOV_OK && objective->prepare != NULL) {
        objective->prepare(own_fields);
    }
    if (status == FOV_OK) {
        status = fov_options_add(own, objective->name, objective->options, own_fields);
    }
    if (status == FOV_OK) {
        status = fov_pool_new(&o.pool, (unsigned)p->threads);
    }
    if (status == FOV_OK) {
        o.objective_options = own_fields;
        status = show(p, objective, &o, own_fields);
    }
    fov_pool_free(o.pool);
    fov_options_free(own);
    fov_mem_free(own_fields);
    return status;
}
