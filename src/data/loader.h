/* The loader: threads that read, decode and augment, and a ring of batches with back-pressure. What a batch holds depends on the
 * seed and its number alone, never on threads or depth. */
#ifndef FOV_DATA_LOADER_H
#define FOV_DATA_LOADER_H

#include "augment/mix.h"
#include "data/index.h"
#include "data/sampler.h"

typedef struct fov_batch {
    uint64_t step;            /* number of the batch since the start of training */
    uint64_t epoch;
    size_t count;             /* samples, always the loader's batch size */
    const uint32_t *sample;   /* index of each sample in the index, [count] */
    uint8_t *view[FOV_MAX_VIEWS]; /* view v: [count, s_v, s_v, channels], uint8 or uint16 as options.decode.format says; views of one size follow each other in memory, view after view,
                                     so that view[0] of two 64 px views is also [2 * count, 64, 64, 3]. The first view of each size is
                                     64-byte aligned, those behind it are too when count * s_v * s_v * 3 is a multiple of 64 */
    fov_mix mix[FOV_MAX_VIEWS];   /* what each view was mixed by; kind FOV_MIX_NONE: each sample shows its own picture alone */
} fov_batch;

typedef struct fov_loader_options {
    size_t batch_size;
    unsigned threads;   /* of its own; 0: as many as processors */
    unsigned depth;     /* batches in the ring; 0: 3 */
    uint64_t seed;
    uint64_t first_step;
    uint64_t last_step;  /* stop after this many steps in total */
    fov_decode_options decode;
    double stall_seconds;     /* a sample that takes longer is named in a warning; 0: 30 */
    double stall_limit;       /* and ends the run with FOV_E_STALLED; 0: 300 */
    double max_bad;           /* share of an epoch's samples that may be bad at run time, rounded up to whole pictures; 0: 0.01 */
    bool cache;               /* keep decoded pictures in memory when they fit `cache_bytes` */
    size_t cache_bytes;
    /* Takes warnings, on the thread that calls fov_loader_next; NULL: they go to the log. */
    void (*warn)(void *context, const char *line);
    void *context;
    bool shrink;              /* decode photos smaller where every crop stays twice the size of its view; else always whole and exact */
} fov_loader_options;

/* Bytes of all pictures of the index, decoded: what a cache needs. SIZE_MAX when that is more than can be said. */
size_t fov_loader_cache_needs(const fov_index *index, fov_pixel_format format);

typedef struct fov_loader fov_loader;

/* Keeps index and recipe. A picture that went bad is replaced by another, chosen by (seed, epoch, sample), and named in a warning once;
 * sample[] then holds the replacement. */
FOV_MUST_USE fov_status fov_loader_new(fov_loader **loader, const fov_index *index, const fov_recipe *recipe,
                                       const fov_loader_options *options);
void fov_loader_free(fov_loader *loader); /* stops and joins its threads; takes NULL */

/* Waits for the next batch, in order of steps; NULL batch after the last. It stays valid until given back. Called from one thread.
 * FOV_E_DATA when more than max_bad of an epoch is bad, FOV_E_STALLED when a file does not come, FOV_E_INVALID when all batches are out;
 * the first two, and whatever a thread fails with, are final. */
FOV_MUST_USE fov_status fov_loader_next(fov_loader *loader, const fov_batch **batch);
void fov_loader_give_back(fov_loader *loader, const fov_batch *batch);

typedef struct fov_loader_stats {
    double wait_seconds;      /* time fov_loader_next waited */
    double cpu_seconds;       /* of the loader's threads */
    /* CPU time of some samples, the same everywhere: opening and reading files with their headers, decoding, making views. For shares of
     * cpu_seconds. */
    double read_seconds, decode_seconds, view_seconds;
    uint64_t samples, substituted;
    uint64_t bytes_read;      /* of picture files */
    size_t bytes;             /* ring and caches */
} fov_loader_stats;
fov_loader_stats fov_loader_get_stats(const fov_loader *loader);

/* Reading for evaluation: files to preprocessed bytes. */
typedef fov_status (*fov_block_fn)(void *context, size_t first, size_t count, const uint8_t *pixels);
typedef struct fov_evaluation {
    const fov_preprocess *preprocess;
    fov_decode_options decode;
    size_t block; /* samples in a call of fn, the last has what is left */
    /* Where a picture that went bad since the scan is noted; black stands in its place. NULL: it fails the call. */
    fov_lost *lost;
    fov_pool *pool;
    fov_block_fn fn; /* called for consecutive blocks, in index order, with pixels [count, s, s, c] as decode.format says */
    void *context;
} fov_evaluation;
FOV_MUST_USE fov_status fov_loader_evaluate(const fov_index *index, const fov_evaluation *evaluation);

#endif
