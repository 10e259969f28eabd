/* A loader thread: claim a sample, read and decode its picture, make its views, report.
 *
 * A sample is named by (seed, epoch, sample), and so is its substitute when the picture cannot be read: which thread makes it, and
 * when, changes nothing. */
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "data/loader_internal.h"

#define SUBSTITUTE_TRIES 32
#define SUBSTITUTE_STREAM 1u /* the `view` part of FOV_RNG_ORDER streams; the permutation uses 0 */
/* A look at the clock of CPU time is a call to the system, which small pictures would feel: only every so many samples are timed. The clock
 * on the wall costs nothing, but counts what other programs do meanwhile. */
#define TIMED_EVERY 8

/* One sample to make: a place in a batch and what belongs there. */
typedef struct ticket {
    fov_loader_slot *slot;
    size_t place;
    size_t picture;  /* index of the picture; a substitute's in the end */
    uint64_t stream; /* names the sample's random numbers */
    uint64_t epoch;
    bool substituted;
    bool timed;                      /* one of those whose parts are timed */
    double now, read, decode, views; /* CPU seconds of its parts; now: when the last one ended */
    size_t bytes;                    /* of files */
    uint8_t *view[FOV_MAX_VIEWS];    /* where they go */
} ticket;

void fov_loader_fail(fov_loader *loader, fov_status status) {
    char *message = fov_mem_strdup(FOV_MEM_DATA, fov_last_error()), *trail = fov_mem_strdup(FOV_MEM_DATA, fov_last_trail());
    (void)pthread_mutex_lock(&loader->lock);
    if (loader->status == FOV_OK) {
        loader->status = status;
        loader->message = message;
        loader->trail = trail;
        message = trail = NULL;
    }
    (void)pthread_cond_broadcast(&loader->work);
    (void)pthread_cond_broadcast(&loader->ready);
    (void)pthread_mutex_unlock(&loader->lock);
    fov_mem_free(message);
    fov_mem_free(trail);
}

static double thread_seconds(void) {
    struct timespec t;
    return clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t) == 0 ? (double)t.tv_sec + 1e-9 * (double)t.tv_nsec : 0.0;
}

static void start_part(ticket *t) {
    if (t->timed) {
        t->now = thread_seconds();
    }
}

/* The part that just ended took the time since the one before. */
static void end_part(ticket *t, double *part) {
    if (t->timed) {
        const double now = thread_seconds();
        *part += now - t->now;
        t->now = now;
    }
}

/* Starts a batch in its slot. Under the lock. */
static void open_slot(fov_loader *loader, fov_loader_slot *slot) {
    fov_sampler_batch(&loader->sampler, loader->claim_step, slot->sample, &slot->batch.epoch);
    slot->batch.step = loader->claim_step;
    slot->remaining = loader->options.batch_size;
    slot->substituted = 0;
    slot->state = FOV_SLOT_FILLING;
}

/* Waits for a sample to make; false when there is none left or the loader stops. */
static bool claim(fov_loader_worker *worker, ticket *t) {
    fov_loader *loader = worker->loader;
    (void)pthread_mutex_lock(&loader->lock);
    bool go = false;
    for (;;) {
        fov_loader_slot *slot = &loader->slot[loader->claim_step % loader->options.depth];
        if (atomic_load(&loader->stop) || loader->status != FOV_OK || loader->claim_step >= loader->options.last_step) {
            break;
        }
        if (loader->claim_sample > 0 || slot->state == FOV_SLOT_FREE) {
            if (loader->claim_sample == 0) {
                open_slot(loader, slot);
            }
            const size_t place = loader->claim_sample++;
            /* A batch larger than the folder repeats pictures: each pass over them gets random numbers of its own. */
            const uint64_t pass = place / loader->sampler.count;
            *t = (ticket){.slot = slot,
                          .place = place,
                          .picture = slot->sample[place],
                          .epoch = slot->batch.epoch,
                          .timed = place % TIMED_EVERY == 0};
            t->stream = t->picture + pass * loader->sampler.count;
            if (loader->claim_sample == loader->options.batch_size) {
                loader->claim_sample = 0;
                loader->claim_step++;
            }
            go = true;
            break;
        }
        (void)pthread_cond_wait(&loader->work, &loader->lock);
    }
    (void)pthread_mutex_unlock(&loader->lock);
    return go;
}

/* Tells the watchdog which file this thread is at from now on. */
static void announce(fov_loader_worker *worker, size_t picture) {
    (void)pthread_mutex_lock(&worker->loader->lock);
    worker->busy = true;
    worker->named = false;
    worker->picture = picture;
    worker->since = fov_clock_seconds();
    (void)pthread_mutex_unlock(&worker->loader->lock);
}

/* Decodes the opened picture whole and keeps it. One that is damaged somewhere may still give the part, as it would without a cache: what
 * is learned must not depend on that. */
static fov_status decode_whole(fov_loader_worker *worker, const ticket *t, const fov_decode_part *part, const fov_image **image) {
    fov_loader *loader = worker->loader;
    size_t width, height;
    const fov_status status = fov_picture_decode(&worker->reader, NULL, image);
    if (status == FOV_OK) {
        if (!atomic_load(&loader->stop)) {
            fov_pixel_cache_put(&loader->cache, t->picture, *image);
        }
        return FOV_OK;
    }
    if (status == FOV_E_NOMEM || atomic_load(&loader->stop)) {
        return fov_forward_at(__FILE__, __LINE__, status);
    }
    FOV_TRY(fov_picture_open(&worker->reader, loader->index, t->picture, &loader->options.decode, &width, &height));
    FOV_TRY(fov_picture_decode(&worker->reader, part, image));
    return FOV_OK;
}

typedef struct strip_taker {
    fov_loader_worker *worker;
    ticket *t;
} strip_taker;

/* Opens the views with a strip. That is time of making views, not of decoding. */
static fov_status take_strip(void *context, const fov_strip *strip) {
    const strip_taker *taker = context;
    end_part(taker->t, &taker->t->decode);
    FOV_TRY(fov_views_strip(taker->worker->augmenter, taker->worker->loader->recipe, strip, taker->t->view));
    end_part(taker->t, &taker->t->views);
    return FOV_OK;
}

/* Decodes the part, or opens the views with its strips where it is large; *image is then NULL. */
static fov_status decode_part(fov_loader_worker *worker, ticket *t, const fov_decode_part *part, const fov_image **image) {
    strip_taker taker = {worker, t};
    if (!fov_picture_by_strips(&worker->reader, part)) {
        FOV_TRY(fov_picture_decode(&worker->reader, part, image));
        return FOV_OK;
    }
    *image = NULL;
    FOV_TRY(fov_picture_decode_strips(&worker->reader, part, take_strip, &taker));
    return FOV_OK;
}

/* Pixels of one picture, or the part of it that the views drawn for the ticket look at: borrowed from the cache or from the reader; NULL
 * when the views are opened already. */
static fov_status load(fov_loader_worker *worker, ticket *t, const fov_image **image) {
    fov_loader *loader = worker->loader;
    const uint64_t seed = loader->options.seed;
    fov_decode_part part;
    size_t width, height;
    announce(worker, t->picture);
    const bool cached = fov_pixel_cache_get(&loader->cache, t->picture, &worker->cached);
    if (cached) {
        fov_views_draw(worker->augmenter, loader->recipe, worker->cached.width, worker->cached.height, seed, t->epoch, t->stream);
        fov_views_part(worker->augmenter, loader->recipe, loader->options.shrink, &part);
        *image = &worker->cached;
        if (part.shrink == 1) {
            return FOV_OK;
        }
    }
    start_part(t);
    FOV_TRY(fov_picture_open(&worker->reader, loader->index, t->picture, &loader->options.decode, &width, &height));
    end_part(t, &t->read);
    t->bytes += (size_t)worker->reader.what.length;
    if (atomic_load(&loader->stop)) {
        return FOV_OK; /* perhaps left behind in read(2): index and recipe may be gone */
    }
    fov_views_draw(worker->augmenter, loader->recipe, width, height, seed, t->epoch, t->stream);
    fov_views_part(worker->augmenter, loader->recipe, loader->options.shrink, &part);
    const bool keep = !cached && part.shrink == 1 && loader->cache.entry != NULL;
    FOV_TRY(keep ? decode_whole(worker, t, &part, image) : decode_part(worker, t, &part, image));
    end_part(t, &t->decode);
    return FOV_OK;
}

/* Names a bad picture in a warning, once; the thread that takes batches says it. */
static void note_bad(fov_loader *loader, size_t picture) {
    char *example = fov_mem_strdup(FOV_MEM_DATA, fov_last_error());
    (void)pthread_mutex_lock(&loader->lock);
    const uint8_t bit = (uint8_t)(1u << (picture % 8));
    const bool known = (loader->warned[picture / 8] & bit) != 0;
    loader->warned[picture / 8] |= bit;
    if (!known) {
        fov_text_printf(&loader->warnings, "a picture cannot be read and is replaced by others: %s\n", fov_last_error());
    }
    if (loader->bad_example == NULL) {
        loader->bad_example = example;
        example = NULL;
    }
    (void)pthread_mutex_unlock(&loader->lock);
    fov_mem_free(example);
}

/* Loads the ticket's picture or, if it is bad, others drawn from a stream that the sample names. */
static fov_status load_or_substitute(fov_loader_worker *worker, ticket *t, const fov_image **image) {
    fov_loader *loader = worker->loader;
    fov_rng rng;
    fov_rng_init(&rng, loader->options.seed, t->epoch, t->stream, SUBSTITUTE_STREAM, FOV_RNG_ORDER);
    fov_status status = load(worker, t, image);
    for (unsigned tries = 0; status != FOV_OK; tries++) {
        if (status == FOV_E_NOMEM || atomic_load(&loader->stop)) {
            return fov_forward_at(__FILE__, __LINE__, status);
        }
        note_bad(loader, t->picture);
        if (tries == SUBSTITUTE_TRIES) {
            return fov_fail_prefix(FOV_E_DATA, "%d pictures in a row cannot be read, the last", SUBSTITUTE_TRIES + 1);
        }
        t->substituted = true;
        t->picture = (size_t)fov_rng_below(&rng, loader->sampler.count);
        status = load(worker, t, image);
    }
    return FOV_OK;
}

static fov_status make_sample(fov_loader_worker *worker, ticket *t) {
    fov_loader *loader = worker->loader;
    const fov_pixel_format format = loader->options.decode.format;
    const fov_image *image;
    for (size_t v = 0; v < loader->recipe->view_count; v++) {
        const size_t side = loader->recipe->view[v].image_size;
        t->view[v] = t->slot->batch.view[v] + t->place * side * side * fov_pixel_bytes(format);
    }
    FOV_TRY(load_or_substitute(worker, t, &image));
    if (atomic_load(&loader->stop)) {
        return FOV_OK;
    }
    start_part(t);
    FOV_TRY(image == NULL ? fov_views_finish(worker->augmenter, loader->recipe, format, t->view)
                          : fov_views_apply(worker->augmenter, loader->recipe, image, t->view));
    end_part(t, &t->views);
    return FOV_OK;
}

/* All pictures of a batch are made and nobody else looks at it yet: mixes the views that ask for it. Without the lock. */
static void mix_batch(const fov_loader *loader, fov_batch *batch) {
    for (size_t v = 0; v < loader->recipe->view_count; v++) {
        const fov_view_recipe *view = &loader->recipe->view[v];
        batch->mix[v] = fov_mix_draw(view, loader->options.seed, batch->epoch, batch->step, (unsigned)v);
        fov_mix_apply(&batch->mix[v], batch->view[v], batch->count, view->image_size, loader->options.decode.format);
    }
}

static void finish(fov_loader_worker *worker, const ticket *t) {
    fov_loader *loader = worker->loader;
    (void)pthread_mutex_lock(&loader->lock);
    worker->busy = false;
    worker->cpu_seconds = thread_seconds();
    t->slot->sample[t->place] = (uint32_t)t->picture;
    t->slot->substituted += t->substituted;
    loader->stats.substituted += t->substituted;
    loader->stats.samples++;
    loader->stats.read_seconds += t->read;
    loader->stats.decode_seconds += t->decode;
    loader->stats.view_seconds += t->views;
    loader->stats.bytes_read += t->bytes;
    if (--t->slot->remaining == 0) {
        (void)pthread_mutex_unlock(&loader->lock);
        mix_batch(loader, &t->slot->batch);
        (void)pthread_mutex_lock(&loader->lock);
        t->slot->state = FOV_SLOT_READY;
        (void)pthread_cond_broadcast(&loader->ready);
    }
    (void)pthread_mutex_unlock(&loader->lock);
}

void *fov_loader_work(void *context) {
    fov_loader_worker *worker = context;
    ticket t;
    while (claim(worker, &t)) {
        const fov_status status = make_sample(worker, &t);
        if (atomic_load(&worker->loader->stop)) {
            break;
        }
        if (status == FOV_OK) {
            finish(worker, &t);
        } else {
            fov_loader_fail(worker->loader, status);
        }
    }
    (void)pthread_mutex_lock(&worker->loader->lock);
    worker->busy = false;
    worker->cpu_seconds = thread_seconds();
    (void)pthread_mutex_unlock(&worker->loader->lock);
    return NULL;
}
