/* One training step: micro-batches forward and backward with gradients added up, norm, clipping, update, average.
 *
 * A step that is not finite is undone: weights were not touched yet, and the running statistics that forward moved are put back. */
#include "train/session.h"

#include <math.h>
#include <string.h>

#include "base/log.h"

/* An objective that declares its pictures itself may know bytes only. */
static fov_status check_view(const fov_session *s) {
    const fov_session_options *o = &s->options;
    for (size_t i = 0; i < fov_graph_size(s->graph); i++) {
        const fov_node *node = fov_graph_node(s->graph, i);
        const bool is_view = node->input_name != NULL && strcmp(node->input_name, "view") == 0;
        if (is_view && (node->dtype != (o->deep ? FOV_DTYPE_U16 : FOV_DTYPE_U8) || node->shape.dim[3] != o->spec.channels)) {
            return FOV_FAIL(FOV_E_UNSUPPORTED, "method %s cannot take pictures of %zu channels of %d bits", o->objective->name, o->spec.channels,
                            o->deep ? 16 : 8);
        }
    }
    return FOV_OK;
}

static fov_status build(fov_session *s) {
    const fov_session_options *o = &s->options;
    s->context = (fov_objective_context){.options = o->objective_options, .spec = &s->options.spec, .batch_size = o->micro_batch, .deep = o->deep};
    memcpy(s->context.mean, o->mean, sizeof o->mean);
    memcpy(s->context.std, o->std, sizeof o->std);
    FOV_TRY(fov_precision_check(o->precision));
    FOV_TRY(fov_store_new(&s->store));
    FOV_TRY(fov_graph_new(&s->graph, true));
    fov_graph_use_store(s->graph, s->store);
    fov_graph_use_precision(s->graph, o->precision);
    fov_graph_use_conv(s->graph, o->conv);
    s->loss = o->objective->build(s->graph, &s->context);
    FOV_TRY(fov_graph_status(s->graph));
    FOV_TRY(check_view(s));
    FOV_TRY(fov_store_commit(s->store, true));
    fov_store_initialize(s->store, o->seed, o->pool);
    FOV_TRY(fov_plan_new(&s->plan, s->graph, NULL, 0, s->loss, o->pool, &o->plan));
    return FOV_OK;
}

static size_t buffer_count(const fov_session *s) { return fov_store_total(s->store) - fov_store_trainable(s->store); }

static bool is_extra(const fov_node *node) { return node->input_name != NULL && node->dtype == FOV_DTYPE_I32; }

/* Binds a block of our own to each int32 input, in the order of the graph. */
static fov_status bind_extras(fov_session *s) {
    const size_t nodes = fov_graph_size(s->graph);
    for (size_t i = 0; i < nodes; i++) {
        s->extra_count += is_extra(fov_graph_node(s->graph, i));
    }
    s->extra = fov_mem_array(FOV_MEM_TRAIN, s->extra_count + 1, sizeof *s->extra);
    FOV_TRY_ALLOC(s->extra);
    size_t at = 0;
    for (size_t i = 0; i < nodes; i++) {
        const fov_node *node = fov_graph_node(s->graph, i);
        if (is_extra(node)) {
            fov_objective_input *extra = &s->extra[at];
            *extra = (fov_objective_input){.name = node->input_name, .count = fov_shape_count(&node->shape)};
            extra->values = fov_mem_array(FOV_MEM_TRAIN, extra->count, sizeof *extra->values);
            FOV_TRY_ALLOC(extra->values);
            FOV_TRY(fov_plan_bind(s->plan, extra->name, extra->values));
            at++;
        }
    }
    return FOV_OK;
}

static size_t image_bytes(const fov_session_options *o) {
    return o->spec.image_size * o->spec.image_size * fov_pixel_bytes((fov_pixel_format){.channels = o->spec.channels, .deep = o->deep});
}

static fov_status allocate(fov_session *s) {
    const fov_session_options *o = &s->options;
    FOV_TRY(fov_optimizer_init(&s->optimizer, o->optimizer, &o->settings, s->store));
    s->buffers = fov_mem_array(FOV_MEM_TRAIN, buffer_count(s), sizeof(fov_real));
    FOV_TRY_ALLOC(s->buffers);
    if (o->ema_decay > 0.0) {
        const size_t bytes = fov_store_trainable(s->store) * sizeof(fov_real);
        s->average = fov_mem_alloc(FOV_MEM_TRAIN, bytes);
        FOV_TRY_ALLOC(s->average);
        memcpy(s->average, fov_store_values(s->store), bytes);
    }
    if (o->micro_batch != o->batch_size) {
        s->staging = fov_mem_array(FOV_MEM_TRAIN, FOV_MAX_VIEWS * o->micro_batch, image_bytes(o));
        FOV_TRY_ALLOC(s->staging);
    }
    return bind_extras(s);
}

fov_status fov_session_new(fov_session **session, const fov_session_options *options) {
    FOV_ASSERT(options->micro_batch > 0 && options->batch_size % options->micro_batch == 0);
    fov_session *s = fov_mem_zalloc(FOV_MEM_TRAIN, sizeof *s);
    FOV_TRY_ALLOC(s);
    s->options = *options;
    fov_status status = build(s);
    if (status == FOV_OK) {
        status = allocate(s);
    }
    if (status != FOV_OK) {
        fov_session_free(s);
        return status;
    }
    *session = s;
    return FOV_OK;
}

void fov_session_free(fov_session *s) {
    if (s == NULL) {
        return;
    }
    for (size_t i = 0; i < s->extra_count && s->extra != NULL; i++) {
        fov_mem_free(s->extra[i].values);
    }
    fov_mem_free(s->extra);
    fov_mem_free(s->staging);
    fov_mem_free(s->buffers);
    fov_mem_free(s->average);
    fov_optimizer_clear(&s->optimizer);
    fov_plan_free(s->plan);
    fov_graph_free(s->graph);
    fov_store_free(s->store);
    fov_mem_free(s);
}

void fov_session_warn_of_memory(const fov_session *s, size_t available) {
    const size_t needed = fov_plan_bytes(s->plan);
    char need[32], there[32];
    if (needed > available) {
        fov_format_bytes((double)needed, need, sizeof need);
        fov_format_bytes((double)available, there, sizeof there);
        fov_log(FOV_LOG_WARNING, "a step needs %s of memory and %s are free: the system may end this run; %s", need, there, FOV_PLAN_ADVICE);
    }
}

/* Points "view" at the pictures of one micro-batch: all views of its samples, view after view. */
static fov_status bind_views(fov_session *s, const fov_batch *batch, size_t first) {
    const fov_session_options *o = &s->options;
    if (s->staging == NULL) {
        return fov_plan_bind(s->plan, "view", batch->view[0]);
    }
    const size_t image = image_bytes(o), bytes = o->micro_batch * image;
    for (size_t v = 0; v < FOV_MAX_VIEWS && batch->view[v] != NULL; v++) {
        memcpy(s->staging + v * bytes, batch->view[v] + first * image, bytes);
    }
    return fov_plan_bind(s->plan, "view", s->staging);
}

static fov_status fill_extras(fov_session *s, const fov_batch *batch, size_t first) {
    return s->extra_count == 0 ? FOV_OK
                               : s->options.objective->fill(&s->context, s->extra, s->extra_count, s->options.seed, batch->epoch,
                                                            batch->sample + first);
}

static fov_status accumulate(fov_session *s, const fov_batch *batch, fov_step_result *result) {
    const size_t micro = s->options.micro_batch, parts = s->options.batch_size / micro;
    double loss = 0.0;
    for (size_t part = 0; part < parts; part++) {
        FOV_TRY(bind_views(s, batch, part * micro));
        FOV_TRY(fill_extras(s, batch, part * micro));
        const fov_run run = {.seed = s->options.seed, .counter = batch->step, .loss_scale = 1.0 / (double)parts, .keep_grads = part > 0};
        FOV_TRY(fov_plan_run(s->plan, &run));
        loss += (double)*fov_plan_value(s->plan, s->loss);
    }
    result->loss = loss / (double)parts;
    result->grad_norm = fov_gradient_norm(s->store, s->options.pool);
    return FOV_OK;
}

fov_status fov_session_step(fov_session *s, const fov_batch *batch, double lr, fov_step_result *result) {
    FOV_ASSERT(batch->count == s->options.batch_size);
    fov_real *buffers = fov_store_values(s->store) + fov_store_trainable(s->store);
    const size_t buffer_bytes = buffer_count(s) * sizeof(fov_real);
    memcpy(s->buffers, buffers, buffer_bytes);
    FOV_TRY(accumulate(s, batch, result));
    result->finite = isfinite(result->loss) && isfinite(result->grad_norm);
    if (!result->finite) {
        memcpy(buffers, s->buffers, buffer_bytes);
        return FOV_OK;
    }
    const double clip = s->options.clip_norm;
    const double scale = clip > 0.0 && result->grad_norm > clip ? clip / (result->grad_norm + 1e-6) : 1.0;
    s->updates++;
    const fov_average average = {.values = s->average, .decay = s->options.ema_decay};
    fov_optimizer_step(&s->optimizer, lr, scale, s->updates, average, s->options.pool);
    return FOV_OK;
}
