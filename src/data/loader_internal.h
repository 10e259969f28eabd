/* The loader's inside: loader.c owns the ring and hands out batches, loader_worker.c makes samples, loader_cache.c keeps pixels. */
#ifndef FOV_DATA_LOADER_INTERNAL_H
#define FOV_DATA_LOADER_INTERNAL_H

#include <pthread.h>
#include <stdatomic.h>

#include "data/loader.h"
#include "data/picture.h"

/* ---- decoded pictures kept in memory; filled as they are first read, never emptied ---- */

typedef struct fov_pixel_cache {
    _Atomic(uint8_t *) *entry; /* per picture: its pixels in `block`; NULL until read. The array is NULL when the cache is off */
    uint8_t *block;
    const fov_index *index;
    fov_pixel_format format;
    atomic_size_t bytes; /* of the block that are taken */
} fov_pixel_cache;

/* Turned on when the pixels of the whole index fit. */
FOV_MUST_USE fov_status fov_pixel_cache_init(fov_pixel_cache *cache, const fov_index *index, fov_pixel_format format, size_t limit);
void fov_pixel_cache_clear(fov_pixel_cache *cache);
/* Borrows the picture's pixels; false when it is not there. */
bool fov_pixel_cache_get(fov_pixel_cache *cache, size_t picture, fov_image *image);
/* Keeps a copy, if nobody did and the picture still has the size it had when it was scanned. */
void fov_pixel_cache_put(fov_pixel_cache *cache, size_t picture, const fov_image *image);

/* ---- ring ---- */

typedef enum fov_slot_state { FOV_SLOT_FREE, FOV_SLOT_FILLING, FOV_SLOT_READY, FOV_SLOT_HELD } fov_slot_state;

typedef struct fov_loader_slot {
    fov_batch batch; /* first, so that a batch leads back to its slot */
    uint32_t *sample;
    uint8_t *pixels; /* all views */
    size_t remaining, substituted;
    fov_slot_state state;
} fov_loader_slot;

typedef struct fov_loader_worker {
    fov_loader *loader;
    pthread_t thread;
    bool started;
    /* the thread's own */
    fov_picture_reader reader;
    fov_augmenter *augmenter;
    fov_image cached; /* borrowed from the cache */
    /* under the lock, for the watchdog and the statistics */
    bool busy, named;
    size_t picture;
    double since;
    double cpu_seconds;
} fov_loader_worker;

struct fov_loader {
    const fov_index *index;
    const fov_recipe *recipe;
    fov_loader_options options; /* zeros replaced by defaults */
    fov_sampler sampler;
    fov_pixel_cache cache;
    size_t ring_bytes;
    size_t bad_allowed; /* per epoch */

    fov_loader_slot *slot;     /* [depth]; step s lives in slot s mod depth */
    fov_loader_worker *worker; /* [threads] */
    atomic_bool stop;

    pthread_mutex_t lock; /* guards all that follows, and the state of slots and workers */
    pthread_cond_t work;  /* a slot became free, or stop */
    pthread_cond_t ready; /* a batch became ready, or a failure */
    uint64_t claim_step;  /* next sample to make */
    size_t claim_sample;
    uint64_t next_step; /* next batch to hand out */
    fov_status status;  /* first failure, with its message */
    char *message, *trail;
    bool stalled;
    uint8_t *warned;   /* per picture: named in a warning as bad */
    fov_text warnings; /* lines that are still to be said */
    char *bad_example; /* message of the first bad picture */
    uint64_t bad_epoch;
    size_t bad_in_epoch;
    fov_loader_stats stats;
};

void *fov_loader_work(void *worker); /* main function of a thread */
/* Records the calling thread's failure, if it is the first, and wakes everybody. Takes the lock. */
void fov_loader_fail(fov_loader *loader, fov_status status);

#endif
