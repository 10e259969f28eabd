/* The ring of batches.
 *
 * Threads take samples from one counter, in order, and write them into the slot of their batch; a batch is handed out when its last
 * sample is in. A slot is reused only when its batch was given back: that bounds memory and stops threads that run ahead. Working by
 * sample, not by batch, keeps all threads on the batch that is waited for. No wait is without a deadline: a file that does not
 * come is named, and ends the run in the end. */
#include "data/loader.h"

#include <errno.h>
#include <math.h>
#include <signal.h>
#include <string.h>
#include <time.h>

#include "base/checked.h"
#include "base/clock.h"
#include "base/log.h"
#include "data/loader_internal.h"

#define ABANDON_SECONDS 2.0 /* how long to wait for a stuck thread after the run ended on it */
#define MAX_DEPTH 1024u
#define MAX_THREADS 1024u

/* ---- making ---- */

static fov_status take_options(fov_loader *loader, const fov_loader_options *options) {
    fov_loader_options *o = &loader->options;
    *o = *options;
    const size_t count = fov_index_count(loader->index);
    if (o->batch_size == 0 || o->batch_size > UINT32_MAX || count == 0 || loader->recipe->view_count == 0) {
        return FOV_FAIL(FOV_E_INVALID, "a loader needs pictures, views and a batch size; it was given %zu, %zu and %zu", count,
                        loader->recipe->view_count, o->batch_size);
    }
    if (o->threads > MAX_THREADS || o->depth > MAX_DEPTH) {
        return FOV_FAIL(FOV_E_INVALID, "%u loader threads and a depth of %u: at most %u and %u can be used", o->threads, o->depth,
                        MAX_THREADS, MAX_DEPTH);
    }
    o->threads = o->threads > 0 ? o->threads : fov_cpu_count();
    o->depth = o->depth > 0 ? o->depth : 3;
    o->stall_seconds = o->stall_seconds > 0.0 ? o->stall_seconds : 30.0;
    o->stall_limit = o->stall_limit > 0.0 ? o->stall_limit : 300.0;
    o->max_bad = o->max_bad > 0.0 ? o->max_bad : 0.01;
    fov_sampler_init(&loader->sampler, o->seed, count, o->batch_size);
    /* One bad picture is always borne; it comes once per pass over the folder. */
    const size_t passes = o->batch_size > count ? (o->batch_size + count - 1) / count : 1;
    const double pictures = ceil(fmin(o->max_bad, 1.0) * (double)count);
    loader->bad_allowed = (size_t)fmax(pictures, 1.0) * passes;
    loader->claim_step = loader->next_step = o->first_step;
    loader->bad_epoch = o->first_step / loader->sampler.steps_per_epoch;
    return FOV_OK;
}

/* Offsets of the views in a slot's memory: views of one size follow each other without gaps, each size starts aligned. */
static fov_status lay_out(const fov_recipe *recipe, size_t batch_size, fov_pixel_format format, size_t *offset, size_t *total) {
    bool placed[FOV_MAX_VIEWS] = {false};
    *total = 0;
    for (size_t first = 0; first < recipe->view_count; first++) {
        const size_t side = recipe->view[first].image_size;
        const size_t factors[4] = {batch_size, side, side, fov_pixel_bytes(format)};
        size_t bytes;
        bool fits = fov_product_size(factors, 4, &bytes);
        for (size_t v = first; v < recipe->view_count && fits; v++) {
            if (!placed[v] && recipe->view[v].image_size == side) {
                placed[v] = true;
                offset[v] = *total;
                fits = fov_add_size(*total, bytes, total);
            }
        }
        if (!fits || !fov_round_up(*total, FOV_ALIGN, total)) {
            return FOV_FAIL(FOV_E_LIMIT, "a batch of %zu pictures of %zu pixels does not fit in memory; make it smaller", batch_size, side);
        }
    }
    return FOV_OK;
}

static fov_status make_ring(fov_loader *loader) {
    const size_t batch_size = loader->options.batch_size;
    size_t offset[FOV_MAX_VIEWS], bytes = 0;
    FOV_TRY(lay_out(loader->recipe, batch_size, loader->options.decode.format, offset, &bytes));
    loader->slot = fov_mem_array(FOV_MEM_DATA, loader->options.depth, sizeof *loader->slot);
    FOV_TRY_ALLOC(loader->slot);
    for (unsigned d = 0; d < loader->options.depth; d++) {
        fov_loader_slot *slot = &loader->slot[d];
        slot->sample = fov_mem_array(FOV_MEM_DATA, batch_size, sizeof *slot->sample);
        FOV_TRY_ALLOC(slot->sample);
        slot->pixels = fov_mem_alloc(FOV_MEM_DATA, bytes);
        FOV_TRY_ALLOC(slot->pixels);
        slot->batch.count = batch_size;
        slot->batch.sample = slot->sample;
        for (size_t v = 0; v < loader->recipe->view_count; v++) {
            slot->batch.view[v] = slot->pixels + offset[v];
        }
        loader->ring_bytes += bytes + batch_size * sizeof *slot->sample;
    }
    return FOV_OK;
}

static fov_status make_locks(fov_loader *loader) {
    pthread_condattr_t monotonic;
    int error = pthread_condattr_init(&monotonic);
    if (error == 0) {
        error = pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
        error = error == 0 ? pthread_mutex_init(&loader->lock, NULL) : error;
        error = error == 0 ? pthread_cond_init(&loader->work, NULL) : error;
        error = error == 0 ? pthread_cond_init(&loader->ready, &monotonic) : error;
        (void)pthread_condattr_destroy(&monotonic);
    }
    return error == 0 ? FOV_OK : FOV_FAIL(FOV_E_LIMIT, "cannot make the locks of the loader: %s", strerror(error));
}

/* Threads take no signals: those are the program's, whose main thread looks at them between steps. */
static fov_status start_threads(fov_loader *loader) {
    sigset_t all, before;
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    int error = 0;
    unsigned t = 0;
    for (; t < loader->options.threads && error == 0; t++) {
        error = pthread_create(&loader->worker[t].thread, NULL, fov_loader_work, &loader->worker[t]);
        loader->worker[t].started = error == 0;
    }
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (error != 0) {
        return FOV_FAIL(FOV_E_LIMIT, "cannot start loader thread %u of %u: %s; ask for fewer threads", t, loader->options.threads,
                        strerror(error));
    }
    return FOV_OK;
}

static fov_status make_workers(fov_loader *loader) {
    loader->worker = fov_mem_array(FOV_MEM_DATA, loader->options.threads, sizeof *loader->worker);
    FOV_TRY_ALLOC(loader->worker);
    for (unsigned t = 0; t < loader->options.threads; t++) {
        fov_loader_worker *worker = &loader->worker[t];
        worker->loader = loader;
        FOV_TRY(fov_picture_reader_init(&worker->reader));
        worker->reader.by_pieces = true;
        FOV_TRY(fov_augmenter_new(&worker->augmenter));
    }
    return start_threads(loader);
}

static fov_status make_parts(fov_loader *loader, const fov_loader_options *options) {
    FOV_TRY(take_options(loader, options));
    loader->warned = fov_mem_array(FOV_MEM_DATA, fov_index_count(loader->index) / 8 + 1, 1);
    FOV_TRY_ALLOC(loader->warned);
    FOV_TRY(make_ring(loader));
    if (options->cache) {
        FOV_TRY(fov_pixel_cache_init(&loader->cache, loader->index, options->decode.format, options->cache_bytes));
    }
    return make_workers(loader);
}

fov_status fov_loader_new(fov_loader **out, const fov_index *index, const fov_recipe *recipe, const fov_loader_options *options) {
    *out = NULL;
    fov_loader *loader = fov_mem_zalloc(FOV_MEM_DATA, sizeof *loader);
    FOV_TRY_ALLOC(loader);
    loader->index = index;
    loader->recipe = recipe;
    atomic_init(&loader->stop, false);
    atomic_init(&loader->cache.bytes, 0);
    fov_status status = make_locks(loader);
    if (status != FOV_OK) {
        fov_mem_free(loader);
        return fov_forward_at(__FILE__, __LINE__, status);
    }
    status = make_parts(loader, options);
    if (status != FOV_OK) {
        fov_loader_free(loader);
        return fov_forward_at(__FILE__, __LINE__, status);
    }
    *out = loader;
    return FOV_OK;
}

/* ---- ending ---- */

/* Joins all threads; false if one is stuck in the operating system for longer than can be waited. */
static bool join_threads(fov_loader *loader) {
    struct timespec deadline;
    (void)clock_gettime(CLOCK_REALTIME, &deadline); /* the clock of pthread_timedjoin_np */
    const double wait = loader->stalled ? ABANDON_SECONDS : loader->options.stall_limit;
    deadline.tv_sec += (time_t)ceil(fmin(wait, 1e6));
    bool all = true;
    for (unsigned t = 0; t < loader->options.threads && loader->worker != NULL; t++) {
        fov_loader_worker *worker = &loader->worker[t];
        if (!worker->started || pthread_timedjoin_np(worker->thread, NULL, &deadline) == 0) {
            continue;
        }
        all = false;
        (void)pthread_detach(worker->thread);
    }
    return all;
}

void fov_loader_free(fov_loader *loader) {
    if (loader == NULL) {
        return;
    }
    (void)pthread_mutex_lock(&loader->lock);
    atomic_store(&loader->stop, true);
    (void)pthread_cond_broadcast(&loader->work);
    (void)pthread_mutex_unlock(&loader->lock);
    if (!join_threads(loader)) {
        /* Its memory is still in use by that thread, so it is given up rather than freed. */
        fov_log(FOV_LOG_WARNING, "a loader thread is stuck in the operating system and is left behind");
        return;
    }
    for (unsigned t = 0; t < loader->options.threads && loader->worker != NULL; t++) {
        fov_picture_reader_clear(&loader->worker[t].reader);
        fov_augmenter_free(loader->worker[t].augmenter);
    }
    for (unsigned d = 0; d < loader->options.depth && loader->slot != NULL; d++) {
        fov_mem_free(loader->slot[d].sample);
        fov_mem_free(loader->slot[d].pixels);
    }
    fov_mem_free(loader->worker);
    fov_mem_free(loader->slot);
    fov_pixel_cache_clear(&loader->cache);
    fov_mem_free(loader->warned);
    fov_text_clear(&loader->warnings);
    fov_mem_free(loader->message);
    fov_mem_free(loader->trail);
    fov_mem_free(loader->bad_example);
    (void)pthread_cond_destroy(&loader->work);
    (void)pthread_cond_destroy(&loader->ready);
    (void)pthread_mutex_destroy(&loader->lock);
    fov_mem_free(loader);
}

/* ---- watching; all under the lock ---- */

/* Says what the threads, or the watch itself, had to warn of: without the lock, since whoever hears it may take his time. */
static void say_warnings(fov_loader *loader) {
    fov_text warnings = loader->warnings;
    if (warnings.data == NULL && warnings.status == FOV_OK) {
        return;
    }
    fov_text_init(&loader->warnings);
    (void)pthread_mutex_unlock(&loader->lock);
    char *line = warnings.data;
    for (char *end = line == NULL ? NULL : strchr(line, '\n'); end != NULL; end = strchr(line, '\n')) {
        *end = '\0';
        if (loader->options.warn != NULL) {
            loader->options.warn(loader->options.context, line);
        } else {
            fov_log(FOV_LOG_WARNING, "%s", line);
        }
        line = end + 1;
    }
    fov_text_clear(&warnings);
    (void)pthread_mutex_lock(&loader->lock);
}

/* Names the files that took longer than `seconds`, up to three; returns how many there are. */
static size_t slow_files(fov_loader *loader, double seconds, bool unnamed_only, fov_text *files) {
    const double now = fov_clock_seconds();
    size_t count = 0;
    fov_text name;
    fov_text_init(&name);
    for (unsigned t = 0; t < loader->options.threads; t++) {
        fov_loader_worker *worker = &loader->worker[t];
        if (!worker->busy || now - worker->since < seconds || (unnamed_only && worker->named)) {
            continue;
        }
        worker->named = true;
        if (count < 3) {
            fov_text_printf(files, "%s'%s'", count == 0 ? "" : ", ", fov_index_name(loader->index, worker->picture, &name));
        }
        count++;
    }
    fov_text_clear(&name);
    return count;
}

static fov_status check_stall(fov_loader *loader) {
    fov_text files;
    fov_text_init(&files);
    fov_status status = FOV_OK;
    if (slow_files(loader, loader->options.stall_limit, false, &files) > 0) {
        loader->stalled = true;
        status = FOV_FAIL(FOV_E_STALLED, "reading %s takes more than %.3g s; is the disk or network folder there?",
                          files.data == NULL ? "a file" : files.data, loader->options.stall_limit);
    } else if (slow_files(loader, loader->options.stall_seconds, true, &files) > 0) {
        fov_text_printf(&loader->warnings, "reading %s takes more than %.3g s; training waits for it\n", files.data == NULL ? "a file" : files.data,
                        loader->options.stall_seconds);
    }
    fov_text_clear(&files);
    return status;
}

/* Sleeps until a batch is ready or it is time to look for stalls. */
static void wait_ready(fov_loader *loader) {
    const double slice = fmin(1.0, fmax(0.005, fmin(loader->options.stall_seconds, loader->options.stall_limit) / 4.0));
    struct timespec until;
    (void)clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_nsec += (long)(slice * 1e9);
    while (until.tv_nsec >= 1000000000L) {
        until.tv_nsec -= 1000000000L;
        until.tv_sec++;
    }
    (void)pthread_cond_timedwait(&loader->ready, &loader->lock, &until);
}

/* Waits for the slot's batch. The order of the tests makes a batch that is complete come out before any failure after it. */
static fov_status wait_for(fov_loader *loader, const fov_loader_slot *slot) {
    fov_status status = FOV_OK;
    const double start = fov_clock_seconds();
    while (slot->state != FOV_SLOT_READY && loader->status == FOV_OK && status == FOV_OK) {
        wait_ready(loader);
        say_warnings(loader);
        if (slot->state != FOV_SLOT_READY) {
            status = check_stall(loader);
        }
    }
    loader->stats.wait_seconds += fov_clock_seconds() - start;
    if (status == FOV_OK) { /* else its message stands, which a listener's own failure would replace */
        say_warnings(loader);
    }
    /* After a stall nothing comes out any more, even if the file did come in the end. */
    if (loader->status != FOV_OK && (loader->stalled || slot->state != FOV_SLOT_READY)) {
        const char *message = loader->message == NULL ? "a loader thread failed" : loader->message;
        return fov_fail_copy(loader->status, message, loader->trail == NULL ? "" : loader->trail);
    }
    return status;
}

/* Adds a batch's bad samples to its epoch's. Counted as batches are handed out, so that a run ends at the same step every time. */
static fov_status count_bad(fov_loader *loader, const fov_loader_slot *slot) {
    if (slot->batch.epoch != loader->bad_epoch) {
        loader->bad_epoch = slot->batch.epoch;
        loader->bad_in_epoch = 0;
    }
    loader->bad_in_epoch += slot->substituted;
    if (loader->bad_in_epoch <= loader->bad_allowed) {
        return FOV_OK;
    }
    return FOV_FAIL(FOV_E_DATA,
                    "%zu samples of epoch %llu could not be read, at most %zu (%.3g %% of %zu pictures) are borne: %s; check the files",
                    loader->bad_in_epoch, (unsigned long long)loader->bad_epoch + 1, loader->bad_allowed, 100.0 * loader->options.max_bad,
                    loader->sampler.count, loader->bad_example == NULL ? "see the log" : loader->bad_example);
}

/* ---- handing out ---- */

fov_status fov_loader_next(fov_loader *loader, const fov_batch **batch) {
    *batch = NULL;
    (void)pthread_mutex_lock(&loader->lock);
    fov_status status = FOV_OK;
    fov_loader_slot *slot = &loader->slot[loader->next_step % loader->options.depth];
    const bool end = loader->next_step >= loader->options.last_step;
    if (!end && slot->state == FOV_SLOT_HELD) {
        status = FOV_FAIL(FOV_E_INVALID, "all %u batches of the loader are out; give one back first", loader->options.depth);
        (void)pthread_mutex_unlock(&loader->lock);
        return status;
    }
    if (!end) {
        status = wait_for(loader, slot);
        status = status == FOV_OK ? count_bad(loader, slot) : status;
    }
    if (!end && status == FOV_OK) {
        slot->state = FOV_SLOT_HELD;
        loader->next_step++;
        *batch = &slot->batch;
    }
    (void)pthread_mutex_unlock(&loader->lock);
    if (status != FOV_OK) {
        fov_loader_fail(loader, status);
        return fov_forward_at(__FILE__, __LINE__, status);
    }
    return FOV_OK;
}

void fov_loader_give_back(fov_loader *loader, const fov_batch *batch) {
    if (batch == NULL) {
        return;
    }
    (void)pthread_mutex_lock(&loader->lock);
    for (unsigned d = 0; d < loader->options.depth; d++) {
        if (&loader->slot[d].batch == batch) {
            FOV_ASSERT(loader->slot[d].state == FOV_SLOT_HELD);
            loader->slot[d].state = FOV_SLOT_FREE;
        }
    }
    (void)pthread_cond_broadcast(&loader->work);
    (void)pthread_mutex_unlock(&loader->lock);
}

fov_loader_stats fov_loader_get_stats(const fov_loader *loader) {
    fov_loader *inside = (fov_loader *)(uintptr_t)loader; /* only to lock */
    (void)pthread_mutex_lock(&inside->lock);
    fov_loader_stats stats = loader->stats;
    for (unsigned t = 0; t < loader->options.threads; t++) {
        stats.cpu_seconds += loader->worker[t].cpu_seconds;
    }
    stats.bytes = loader->ring_bytes + atomic_load(&inside->cache.bytes);
    (void)pthread_mutex_unlock(&inside->lock);
    return stats;
}
