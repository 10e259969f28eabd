/* The step is that of a training session, optimizer included; its rate of learning is 0, so that weights stay where they are and noise
 * does not train. */
#include "report/step_bench.h"

#include <string.h>

#include "base/clock.h"
#include "base/rng.h"
#include "kernels/precision.h"
#include "train/optimizer.h"

static fov_status make_noise(fov_step_bench *b) {
    const fov_session_options *o = &b->session->options;
    const fov_pixel_format format = {.channels = o->spec.channels, .deep = o->deep};
    const size_t image = o->spec.image_size * o->spec.image_size * fov_pixel_bytes(format), bytes = o->batch_size * image;
    b->pixels = fov_mem_array(FOV_MEM_DATA, b->views, bytes);
    FOV_TRY_ALLOC(b->pixels);
    b->sample = fov_mem_array(FOV_MEM_DATA, o->batch_size, sizeof *b->sample);
    FOV_TRY_ALLOC(b->sample);
    fov_rng rng;
    fov_rng_init(&rng, 0, 0, 0, 0, FOV_RNG_TEST);
    for (size_t i = 0; i < b->views * bytes; i++) {
        b->pixels[i] = (uint8_t)fov_rng_u32(&rng);
    }
    b->batch = (fov_batch){.count = o->batch_size, .sample = b->sample};
    for (size_t v = 0; v < b->views; v++) {
        b->batch.view[v] = b->pixels + v * bytes;
    }
    for (size_t i = 0; i < o->batch_size; i++) {
        b->sample[i] = (uint32_t)i;
    }
    return FOV_OK;
}

/* The objective's own choices for this backbone, image size and batch. */
static fov_status choose(fov_step_bench *b, fov_session_options *o) {
    const fov_objective *objective = o->objective;
    const fov_train_facts facts = {
        .images = 1000 * o->batch_size, .median_side = o->spec.image_size, .batch_size = o->batch_size, .epochs = 100, .spec = &o->spec};
    fov_train_defaults defaults;
    fov_recipe recipe;
    fov_text text;
    fov_text_init(&text);
    if (objective->choose != NULL) {
        objective->choose(b->own_fields, &facts);
    }
    if (objective->adjust != NULL) {
        objective->adjust(b->own_fields, &o->spec);
    }
    objective->defaults(b->own_fields, &facts, &defaults);
    objective->views(b->own_fields, &facts, &text);
    const fov_status status = text.status == FOV_OK ? fov_recipe_parse(text.data, &recipe) : text.status;
    fov_text_clear(&text);
    FOV_TRY(status);
    b->views = recipe.view_count;
    o->optimizer = fov_optimizer_named(defaults.optimizer);
    o->settings = (fov_optimizer_settings){.weight_decay = defaults.weight_decay,
                                           .momentum = defaults.momentum,
                                           .beta1 = defaults.beta1,
                                           .beta2 = defaults.beta2,
                                           .eps = 1e-8,
                                           .trust = 1e-3};
    o->clip_norm = defaults.clip_norm;
    const fov_objective_context context = {.options = b->own_fields, .spec = &o->spec, .batch_size = o->batch_size};
    return objective->check == NULL ? FOV_OK : objective->check(&context);
}

static fov_status set_up(const fov_step_settings *s, const fov_objective *objective, fov_session_options *o) {
    FOV_TRY(fov_backbone_parse(s->backbone, (size_t)s->image_size, &o->spec));
    FOV_TRY(fov_objective_check_backbone(objective, o->spec.backbone));
    o->spec.small_stem = strcmp(s->stem, "cifar") == 0;
    if (o->spec.small_stem && o->spec.patch > 0) {
        return FOV_FAIL(FOV_E_INVALID, "--stem is for ResNets; %s has patches (write '%s/8')", o->spec.backbone->name,
                        o->spec.backbone->name);
    }
    o->spec.channels = (size_t)s->channels;
    FOV_TRY(o->spec.backbone->check(&o->spec));
    o->deep = strcmp(s->depth, "16") == 0;
    for (size_t c = 0; c < o->spec.channels; c++) { /* of pixels that mean nothing */
        o->mean[c] = 0.5;
        o->std[c] = 0.25;
    }
    return FOV_OK;
}

fov_status fov_step_bench_init(fov_step_bench *bench, const fov_step_settings *s) {
    const fov_objective *objective = NULL;
    *bench = (fov_step_bench){0};
    FOV_TRY(fov_objective_find(s->method, &objective));
    fov_session_options o = {.objective = objective,
                             .batch_size = (size_t)s->batch_size,
                             .micro_batch = (size_t)s->batch_size,
                             .precision = fov_precision_named(s->precision),
                             .conv = fov_conv_choice_named(s->conv),
                             .plan = {.no_reuse = !s->reuse, .recompute = fov_recompute_named(s->recompute)}};
    bench->own_fields = fov_mem_zalloc(FOV_MEM_TRAIN, objective->options_size + 1);
    FOV_TRY_ALLOC(bench->own_fields);
    FOV_TRY(fov_options_new(&bench->own));
    if (objective->prepare != NULL) {
        objective->prepare(bench->own_fields);
    }
    FOV_TRY(fov_options_add(bench->own, objective->name, objective->options, bench->own_fields));
    FOV_TRY(fov_pool_new(&bench->pool, (unsigned)s->threads));
    o.pool = bench->pool;
    o.objective_options = bench->own_fields;
    FOV_TRY(set_up(s, objective, &o));
    FOV_TRY(choose(bench, &o));
    FOV_TRY(fov_session_new(&bench->session, &o));
    return make_noise(bench);
}

void fov_step_bench_clear(fov_step_bench *bench) {
    fov_session_free(bench->session);
    fov_pool_free(bench->pool);
    fov_options_free(bench->own);
    fov_mem_free(bench->own_fields);
    fov_mem_free(bench->pixels);
    fov_mem_free(bench->sample);
    *bench = (fov_step_bench){0};
}

fov_status fov_step_bench_run(fov_step_bench *bench, double *seconds) {
    fov_step_result result;
    const double begun = fov_clock_seconds();
    FOV_TRY(fov_session_step(bench->session, &bench->batch, 0.0, &result));
    *seconds = fov_clock_seconds() - begun;
    bench->batch.step++;
    if (!result.finite) {
        return FOV_FAIL(FOV_E_NUMERIC, "the step is not finite (loss %g, gradient norm %g), so its time means nothing", result.loss,
                        result.grad_norm);
    }
    return FOV_OK;
}

void fov_step_settings_json(const fov_step_settings *s, fov_json_writer *w) {
    fov_json_add_string(w, "method", s->method);
    fov_json_add_string(w, "backbone", s->backbone);
    fov_json_add_string(w, "stem", s->stem);
    fov_json_add_int(w, "image_size", s->image_size);
    fov_json_add_int(w, "channels", s->channels);
    fov_json_add_string(w, "depth", s->depth);
    fov_json_add_int(w, "batch_size", s->batch_size);
    fov_json_add_string(w, "precision", s->precision);
    fov_json_add_string(w, "conv", s->conv);
    fov_json_add_string(w, "recompute", s->recompute);
    fov_json_add_bool(w, "reuse", s->reuse);
}
