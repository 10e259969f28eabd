/* The loop: next batch, step, schedule, log, checkpoint, until the end, a signal or a failure.
 *
 * Whatever depends on the clock (when to save, what is printed) never touches a weight: two runs of the same settings are the same bits. */
#include "train/trainer.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/interrupt.h"
#include "base/json.h"
#include "train/checkpoint.h"
#include "train/finish.h"
#include "train/run_dir.h"
#include "train/schedule.h"
#include "train/setup.h"
#include "weights/backbone_file.h"

#define SAVE_SECONDS 120.0    /* between checkpoints without --save-every */
#define FAILED_SAVES_LIMIT 3  /* in a row */
#define NOT_FINITE_LIMIT 3    /* steps in a row */
#define TIMED_STEPS 3         /* for --hours */

typedef struct trainer {
    fov_setup setup;
    fov_run_dir run;
    fov_pool *pool;
    fov_index *index;
    fov_session *session;
    fov_loader *loader;
    const fov_train_observer *observer;
    fov_checkpoint_state state;
    unsigned failed_saves, not_finite;
    double step_seconds, last_save, waited; /* waited: of the loader, at the last report */
    double reported, cpu_begun;
    size_t cache_bytes; /* for decoded pictures */
    fov_text unwritten; /* lines of metrics.jsonl that a full disk refused, tried again with the next */
} trainer;

/* ---- before the first step ---- */

static fov_session_options session_options(const trainer *t) {
    const fov_setup *setup = &t->setup;
    const fov_pretrain_settings *s = setup->settings;
    fov_session_options o = {.objective = setup->objective,
                             .objective_options = setup->objective_options,
                             .spec = setup->spec,
                             .batch_size = (size_t)s->batch_size,
                             .micro_batch = (size_t)s->micro_batch,
                             .deep = setup->preprocess.format.deep,
                             .optimizer = setup->optimizer,
                             .settings = {.weight_decay = s->weight_decay,
                                          .momentum = s->momentum,
                                          .beta1 = setup->proposed.beta1,
                                          .beta2 = setup->proposed.beta2,
                                          .eps = 1e-8,
                                          .trust = 1e-3},
                             .precision = fov_precision_named(s->precision),
                             .clip_norm = s->clip_norm,
                             .ema_decay = s->ema,
                             .seed = (uint64_t)s->seed,
                             .settings_hash = fov_options_hash(setup->options),
                             .pool = t->pool,
                             .plan = {.recompute = fov_recompute_named(s->recompute)}};
    memcpy(o.mean, setup->preprocess.mean, sizeof o.mean);
    memcpy(o.std, setup->preprocess.std, sizeof o.std);
    return o;
}

/* Room for decoded pictures. What is free changes from call to call: it decides about speed alone. */
static fov_status choose_cache(trainer *t) {
    const char *kind = t->setup.settings->cache;
    const size_t there = fov_mem_available();
    if (strcmp(kind, "none") == 0) {
        return FOV_OK;
    }
    t->cache_bytes = there / 4;
    if (strcmp(kind, "ram") == 0) {
        t->cache_bytes = fov_loader_cache_needs(t->index, t->setup.preprocess.format);
        if (t->cache_bytes > there) {
            char needed[32], free[32];
            fov_format_bytes((double)t->cache_bytes, needed, sizeof needed);
            fov_format_bytes((double)there, free, sizeof free);
            return FOV_FAIL(FOV_E_NOMEM, "--cache ram: all pictures decoded take %s, there are %s free; leave it out, or give fewer or smaller pictures",
                            needed, free);
        }
    }
    return FOV_OK;
}

/* How often each picture must come for keeping it to be worth while: what it saves is half a decoding, and a system that has to find memory
 * first, as virtual machines do, takes several to give it. */
#define CACHE_EPOCHS 10.0

static bool cache_pays(const trainer *t) {
    const double pictures = (double)(t->setup.steps - t->state.step) * (double)t->setup.settings->batch_size;
    return strcmp(t->setup.settings->cache, "ram") == 0 || pictures >= CACHE_EPOCHS * (double)fov_index_count(t->index);
}

static void warn(void *context, const char *line) {
    trainer *t = context;
    fov_run_dir_say(&t->run, FOV_LOG_WARNING, "%s", line);
}

/* Pictures that were all decoded before are not expected to go bad; without that look the run bears what the scan would have. */
static fov_status make_loader(trainer *t, fov_loader **loader) {
    const fov_pretrain_settings *s = t->setup.settings;
    const fov_loader_options options = {.batch_size = (size_t)s->batch_size,
                                        .threads = (unsigned)s->loader_threads,
                                        .seed = (uint64_t)s->seed,
                                        .first_step = t->state.step,
                                        .last_step = t->setup.steps,
                                        .decode = fov_preprocess_decode(&t->setup.preprocess),
                                        .max_bad = s->verify ? 0.0 : fov_max_bad(s->max_bad),
                                        .cache = t->cache_bytes > 0 && cache_pays(t),
                                        .cache_bytes = t->cache_bytes,
                                        .warn = warn,
                                        .context = t,
                                        .shrink = strcmp(s->shrink, "auto") == 0};
    return fov_loader_new(loader, t->index, &t->setup.recipe, &options);
}

/* --hours: a few real steps on real batches, thrown away afterwards. */
static fov_status time_steps(trainer *t) {
    fov_loader *loader = NULL;
    FOV_TRY(make_loader(t, &loader));
    fov_status status = FOV_OK;
    double begun = 0.0;
    for (int i = 0; i <= TIMED_STEPS && status == FOV_OK; i++) {
        begun = i == 1 ? fov_clock_seconds() : begun; /* the first one warms up */
        const fov_batch *batch = NULL;
        fov_step_result result;
        status = fov_loader_next(loader, &batch);
        if (status == FOV_OK && batch != NULL) {
            status = fov_session_step(t->session, batch, 0.0, &result);
            fov_loader_give_back(loader, batch);
        }
    }
    fov_loader_free(loader);
    FOV_TRY(status);
    fov_setup_fit_hours(&t->setup, (fov_clock_seconds() - begun) / TIMED_STEPS);
    return FOV_OK;
}

static fov_status make_session(trainer *t) {
    const fov_session_options options = session_options(t);
    const bool again = t->session != NULL;
    fov_session_free(t->session);
    t->session = NULL;
    FOV_TRY(fov_session_new(&t->session, &options));
    if (!again) {
        fov_session_warn_of_memory(t->session, fov_mem_available());
    }
    return FOV_OK;
}

static fov_status write_config(trainer *t) {
    fov_text text;
    fov_text_init(&text);
    fov_options_write_ini(t->setup.options, &text);
    const fov_status status = text.status == FOV_OK ? fov_io_write_atomic(t->run.config, text.data, text.length) : text.status;
    fov_text_clear(&text);
    return status;
}

/* That a disk is full should not be found out by the first save, when there is work to lose. */
static fov_status check_room(trainer *t) {
    enum { FEWEST_KEPT = 3 }; /* two, and the one that is being written */
    const uint64_t one = fov_checkpoint_bytes(t->session);
    FOV_TRY(fov_io_check_room(t->run.path, "save a checkpoint", one));
    if (!t->setup.settings->resume && !fov_io_has_room(t->run.path, FEWEST_KEPT * one)) {
        char needed[32];
        fov_format_bytes((double)(FEWEST_KEPT * one), needed, sizeof needed);
        fov_run_dir_say(&t->run, FOV_LOG_WARNING, "%s: checkpoints of a long run take %s, and less than that is free; make room", t->run.path, needed);
    }
    return FOV_OK;
}

static fov_status begin_new(trainer *t) {
    if (fov_setup_needs_timing(&t->setup)) {
        FOV_TRY(time_steps(t));
        FOV_TRY(make_session(t));
    }
    if (t->setup.settings->init != NULL) {
        FOV_TRY(fov_backbone_load(t->session->store, &t->setup.spec, t->setup.settings->init));
    }
    FOV_TRY(fov_index_write_bad(t->index, NULL, t->run.bad));
    return write_config(t); /* last: a folder with settings is a run that can be resumed */
}

static fov_status begin_resumed(trainer *t) {
    const uint64_t data = t->state.data_hash;
    const fov_status status = fov_checkpoint_load(t->run.checkpoints, t->session, &t->state, t->setup.settings->strict_resume);
    if (status == FOV_E_NOTFOUND) { /* stopped before its first checkpoint: the same as from the start */
        if (t->setup.settings->init != NULL) {
            FOV_TRY(fov_backbone_load(t->session->store, &t->setup.spec, t->setup.settings->init));
        }
        t->state = (fov_checkpoint_state){.data_hash = data};
        return FOV_OK;
    }
    FOV_TRY(status);
    if (t->state.data_hash != data) {
        return FOV_FAIL(FOV_E_MISMATCH, "the pictures differ from those that %s began with; give the same folders, or start a new run", t->run.path);
    }
    return FOV_OK;
}

static fov_status begin(trainer *t, const char *const *data, size_t data_count) {
    fov_pretrain_settings *s = t->setup.settings;
    FOV_TRY(fov_pool_new(&t->pool, (unsigned)s->threads));
    FOV_TRY(fov_setup_scan(&t->setup, data, data_count, t->observer, t->pool, &t->index));
    t->state.data_hash = fov_index_hash(t->index);
    if (fov_interrupt_pending() != 0) {
        return FOV_FAIL(FOV_E_INTERRUPTED, "stopped by signal %d before the first step", fov_interrupt_pending());
    }
    FOV_TRY(fov_setup_resolve(&t->setup, t->index, t->pool, t->observer));
    FOV_TRY(choose_cache(t));
    FOV_TRY(fov_run_dir_open(&t->run));
    FOV_TRY(make_session(t));
    FOV_TRY(check_room(t));
    FOV_TRY(s->resume ? begin_resumed(t) : begin_new(t));
    FOV_TRY(fov_run_dir_open_metrics(&t->run, t->state.step));
    if (t->observer->resolved != NULL) {
        t->observer->resolved(t->observer->context, t->setup.options, t->index);
    }
    char bytes[32], parameters[32], count[32];
    fov_format_count(fov_store_parameters(t->session->store), parameters, sizeof parameters);
    fov_format_count(fov_index_count(t->index), count, sizeof count);
    fov_format_bytes((double)fov_plan_bytes(t->session->plan), bytes, sizeof bytes);
    fov_run_dir_say(&t->run, FOV_LOG_INFO, "%s: %s pictures, step %" PRIu64 " of %" PRIu64 ", %s parameters, %s for a step",
                    s->resume ? "resuming" : "starting", count, t->state.step, t->setup.steps, parameters, bytes);
    return FOV_OK;
}

/* ---- saving ---- */

static fov_status write_state(trainer *t) {
    FOV_TRY(fov_checkpoint_save(t->run.checkpoints, t->session, &t->state, (size_t)t->setup.settings->keep));
    return fov_finish_weights(&t->setup, t->session, &t->state, t->run.weights);
}

static fov_status save(trainer *t) {
    t->last_save = fov_clock_seconds();
    const fov_status status = write_state(t);
    if (status == FOV_OK) {
        t->failed_saves = 0;
        return FOV_OK;
    }
    if (++t->failed_saves >= FAILED_SAVES_LIMIT) {
        return fov_fail_prefix(status, "%u saves in a row failed", t->failed_saves);
    }
    fov_run_dir_say(&t->run, FOV_LOG_WARNING, "%s; the checkpoint before stands, trying again later", fov_last_error());
    return FOV_OK;
}

static fov_status save_if_due(trainer *t) {
    const fov_pretrain_settings *s = t->setup.settings;
    const bool due = s->save_every > 0 ? t->state.step % (uint64_t)s->save_every == 0 : fov_clock_seconds() - t->last_save >= SAVE_SECONDS;
    return due && t->state.step < t->setup.steps ? save(t) : FOV_OK;
}

/* The last save has no "later": it must succeed. */
static fov_status save_now(trainer *t) {
    const fov_status status = write_state(t);
    return status == FOV_OK ? FOV_OK : fov_fail_prefix(status, "the run could not be saved at step %" PRIu64, t->state.step);
}

/* ---- reporting ---- */

static fov_status flush_metrics(trainer *t) {
    if (t->unwritten.length > 0) {
        FOV_TRY(fov_appender_write(t->run.metrics_file, t->unwritten.data, t->unwritten.length));
        fov_text_clear(&t->unwritten);
        fov_text_init(&t->unwritten);
    }
    return FOV_OK;
}

/* A line that cannot be written must not end a run that can go on: the next save decides that. */
static fov_status write_metrics(trainer *t, const fov_train_progress *p, double grad_norm) {
    fov_json_writer w;
    fov_json_begin(&w, false);
    fov_json_open(&w, NULL, '{');
    fov_json_add_int(&w, "step", (int64_t)p->step);
    fov_json_add_int(&w, "epoch", (int64_t)p->epoch);
    fov_json_add_number(&w, "loss", p->loss);
    fov_json_add_number(&w, "grad_norm", grad_norm);
    fov_json_add_number(&w, "lr", p->lr);
    fov_json_add_number(&w, "images_per_second", p->images_per_second);
    fov_json_add_number(&w, "data_wait", p->data_wait);
    fov_json_add_number(&w, "data_cpu", p->data_cpu);
    fov_json_close(&w, '}');
    const bool waiting = t->unwritten.length > 0;
    fov_text_printf(&t->unwritten, "%s\n", w.text.data == NULL ? "" : w.text.data);
    const fov_status status = w.text.status != FOV_OK ? w.text.status : t->unwritten.status;
    fov_json_clear(&w);
    FOV_TRY(status);
    if (flush_metrics(t) != FOV_OK && !waiting) {
        fov_run_dir_say(&t->run, FOV_LOG_WARNING, "%s; trying again later", fov_last_error());
    }
    return FOV_OK;
}

static fov_status report(trainer *t, uint64_t epoch, double lr, const fov_step_result *result) {
    const double now = fov_clock_seconds(), took = now - t->reported, cpu = fov_clock_cpu_seconds() - t->cpu_begun;
    const fov_loader_stats data = fov_loader_get_stats(t->loader);
    const double views = (double)(t->setup.recipe.view_count * (size_t)t->setup.settings->batch_size);
    t->step_seconds = t->step_seconds == 0.0 ? took : 0.9 * t->step_seconds + 0.1 * took;
    const fov_train_progress p = {.step = t->state.step,
                                  .steps = t->setup.steps,
                                  .epoch = epoch + 1,
                                  .epochs = t->setup.facts.epochs,
                                  .loss = result->loss,
                                  .lr = lr,
                                  .images_per_second = views / t->step_seconds,
                                  .data_wait = took > 0.0 ? fmin(1.0, (data.wait_seconds - t->waited) / took) : 0.0,
                                  .data_cpu = cpu > 0.0 ? fmin(1.0, data.cpu_seconds / cpu) : 0.0,
                                  .seconds_left = (double)(t->setup.steps - t->state.step) * t->step_seconds};
    t->reported = now;
    t->waited = data.wait_seconds;
    if (t->observer->progress != NULL) {
        t->observer->progress(t->observer->context, &p);
    }
    const bool logged = t->state.step % (uint64_t)t->setup.settings->log_every == 0 || t->state.step == t->setup.steps;
    return logged ? write_metrics(t, &p, result->grad_norm) : FOV_OK;
}

/* Random weights have a known loss: anything else means that data or settings are not what they seem. */
static void check_start(trainer *t, double loss) {
    double low = 0.0, high = 0.0;
    t->setup.objective->start_loss(&t->session->context, &low, &high);
    if (t->setup.settings->init == NULL && (loss < low || loss > high)) {
        fov_run_dir_say(&t->run, FOV_LOG_WARNING, "the first loss is %.4g, but random weights give %.3g to %.3g: are the pictures all alike?", loss, low,
                        high);
    }
}

static fov_status check_finite(trainer *t, const fov_step_result *result) {
    if (result->finite) {
        t->not_finite = 0;
        return FOV_OK;
    }
    t->state.skipped++;
    fov_run_dir_say(&t->run, FOV_LOG_WARNING, "step %" PRIu64 ": loss %g, gradient norm %g: not finite, this update is left out", t->state.step + 1,
                    result->loss, result->grad_norm);
    if (++t->not_finite < NOT_FINITE_LIMIT) {
        return FOV_OK;
    }
    const bool saved = fov_io_kind(t->run.weights) == FOV_PATH_FILE;
    return FOV_FAIL(FOV_E_NUMERIC, "loss or gradient was not finite %u steps in a row at step %" PRIu64 "; a run keeps its settings, so begin a new one "
                                   "with a smaller --lr or --clip-norm 1; %s%s",
                    t->not_finite, t->state.step + 1,
                    saved ? "if the loss was good when weights were last saved, begin with those by --init " : "nothing was saved before that",
                    saved ? t->run.weights : "");
}

/* ---- the loop ---- */

static fov_status step(trainer *t, const fov_batch *batch) {
    const double lr = fov_schedule_cosine(t->state.step, t->setup.warmup_steps, t->setup.steps, t->setup.settings->lr, 0.0);
    fov_step_result result = {0};
    FOV_TRY(fov_session_step(t->session, batch, lr, &result));
    if (t->state.step == 0) {
        check_start(t, result.loss);
    }
    FOV_TRY(check_finite(t, &result));
    t->state.step++;
    return report(t, batch->epoch, lr, &result);
}

/* No further batch comes. When it is for pictures that cannot be read, what was learned so far is kept, to go on with once they can. */
static fov_status end_without_batch(trainer *t, fov_status status) {
    char message[2048];
    if (status != FOV_E_DATA || t->state.step == 0) {
        return fov_forward_at(__FILE__, __LINE__, status);
    }
    (void)snprintf(message, sizeof message, "%s", fov_last_error());
    if (save_now(t) != FOV_OK) {
        fov_run_dir_say(&t->run, FOV_LOG_WARNING, "%s", fov_last_error());
        return FOV_FAIL(status, "%s", message);
    }
    return FOV_FAIL(status, "%s; saved at step %" PRIu64 " of %" PRIu64 ": put the files back as they were, and continue with the same command and --resume",
                    message, t->state.step, t->setup.steps);
}

static fov_status loop(trainer *t) {
    t->last_save = t->reported = fov_clock_seconds();
    while (t->state.step < t->setup.steps) {
        const fov_batch *batch = NULL;
        const fov_status got = fov_loader_next(t->loader, &batch);
        if (got != FOV_OK) {
            return end_without_batch(t, got);
        }
        FOV_ASSERT(batch != NULL && batch->step == t->state.step);
        const fov_status status = step(t, batch);
        fov_loader_give_back(t->loader, batch);
        FOV_TRY(status);
        if (fov_interrupt_pending() != 0) {
            FOV_TRY(save_now(t));
            return FOV_FAIL(FOV_E_INTERRUPTED, "stopped by signal %d, saved at step %" PRIu64 " of %" PRIu64 "; continue with the same command and --resume",
                            fov_interrupt_pending(), t->state.step, t->setup.steps);
        }
        FOV_TRY(save_if_due(t));
    }
    FOV_TRY(save_now(t));
    if (t->state.skipped > 0) {
        fov_run_dir_say(&t->run, FOV_LOG_WARNING, "%" PRIu64 " updates were left out, because they were not finite", t->state.skipped);
    }
    fov_run_dir_say(&t->run, FOV_LOG_INFO, "done: %" PRIu64 " steps", t->state.step);
    return FOV_OK;
}

static fov_status train(trainer *t, const char *const *data, size_t data_count) {
    FOV_TRY(begin(t, data, data_count));
    t->cpu_begun = fov_clock_cpu_seconds();
    FOV_TRY(make_loader(t, &t->loader));
    const fov_status status = loop(t);
    return status == FOV_OK ? flush_metrics(t) : status;
}

static fov_status check_arguments(const fov_pretrain_settings *settings, size_t data_count) {
    const bool no_data = data_count == 0, no_out = settings->out == NULL || settings->out[0] == '\0';
    if (!no_data && !no_out) {
        return FOV_OK;
    }
    return FOV_FAIL(FOV_E_INVALID, "%s%s%s: fovea pretrain DATA... --out RUN", no_data ? "name the pictures" : "", no_data && no_out ? " and " : "",
                    no_out ? "say where the run goes" : "");
}

fov_status fov_pretrain(fov_option_set *options, fov_pretrain_settings *settings, const char *const *data, size_t data_count,
                        const fov_train_observer *observer) {
    static const fov_train_observer silent;
    trainer t = {.observer = observer == NULL ? &silent : observer};
    fov_text_init(&t.unwritten);
    fov_status status = fov_setup_begin(&t.setup, options, settings);
    if (status == FOV_OK) {
        status = check_arguments(settings, data_count);
    }
    if (status == FOV_OK) {
        status = fov_run_dir_check(&t.run, settings->out, settings->resume);
    }
    if (status == FOV_OK) {
        status = train(&t, data, data_count);
    }
    if (status != FOV_OK && t.run.log_file != NULL) {
        fov_finish_failure(&t.run, status);
    }
    fov_text_clear(&t.unwritten);
    fov_loader_free(t.loader);
    fov_session_free(t.session);
    fov_index_free(t.index);
    fov_pool_free(t.pool);
    const fov_status closed = fov_run_dir_close(&t.run);
    fov_setup_clear(&t.setup);
    return status != FOV_OK ? status : closed;
}
