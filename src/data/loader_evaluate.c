/* Reading for evaluation: every picture once, in the order of the index, without any chance in it.
 *
 * The caller computes with the same pool that reads, so blocks are read and computed in turn. No other picture takes the place of one that
 * fails: features of it would be wrong without anyone knowing. */
#include <string.h>

#include "base/checked.h"
#include "data/loader.h"
#include "data/picture.h"

typedef struct reader {
    fov_picture_reader reader;
    fov_augmenter *augmenter;
} reader;

/* Why a sample of the block failed. */
typedef struct failure {
    fov_status status;
    char *path, *message;
    uint64_t bytes;
} failure;

typedef struct block_job {
    const fov_index *index;
    const fov_evaluation *how;
    reader *readers;   /* one per worker */
    failure *failures; /* one per sample of a block */
    uint8_t *pixels;
    size_t image_bytes, first;
} block_job;

static void note_failure(const reader *r, failure *f, fov_status status) {
    const char *path = r->reader.path.data == NULL ? "" : r->reader.path.data;
    f->message = fov_mem_strdup(FOV_MEM_DATA, fov_picture_reason(path));
    f->path = fov_mem_strdup(FOV_MEM_DATA, path);
    f->bytes = fov_picture_file_bytes(&r->reader);
    f->status = f->message == NULL || f->path == NULL ? FOV_E_NOMEM : status;
}

static void read_sample(void *context, size_t chunk, unsigned worker) {
    const block_job *job = context;
    reader *r = &job->readers[worker];
    uint8_t *pixels = job->pixels + chunk * job->image_bytes;
    size_t width, height;
    fov_status status = fov_picture_open(&r->reader, job->index, job->first + chunk, &job->how->decode, &width, &height);
    if (status == FOV_OK) {
        status = fov_picture_preprocess(&r->reader, r->augmenter, job->how->preprocess, pixels);
    }
    if (status != FOV_OK) {
        memset(pixels, 0, job->image_bytes);
        note_failure(r, &job->failures[chunk], status);
    }
}

/* Settles one failure: the picture is lost, or the call is. */
static fov_status settle(const block_job *job, size_t sample, failure *f) {
    if (f->status == FOV_E_NOMEM) { /* ours, not the picture's */
        return fov_fail_copy(f->status, f->message == NULL ? "out of memory while reading pictures" : f->message, "");
    }
    if (job->how->lost == NULL) {
        fov_text name;
        fov_text_init(&name);
        const fov_status status =
            FOV_FAIL(f->status, "a picture cannot be read; if it changed after the check, run again when nobody writes to it: %s: %s",
                     fov_picture_name(&name, f->path), f->message);
        fov_text_clear(&name);
        return status;
    }
    const fov_bad_file file = {.path = f->path, .message = f->message, .reason = fov_bad_reason_of(f->status), .bytes = f->bytes};
    *f = (failure){0};
    return fov_lost_add(job->how->lost, job->index, sample, &file);
}

static fov_status run_blocks(block_job *job) {
    const size_t count = fov_index_count(job->index), block = job->how->block;
    for (job->first = 0; job->first < count; job->first += block) {
        const size_t left = count - job->first, size = left < block ? left : block;
        fov_pool_for(job->how->pool, size, read_sample, job);
        for (size_t i = 0; i < size; i++) {
            if (job->failures[i].status != FOV_OK) {
                FOV_TRY(settle(job, job->first + i, &job->failures[i]));
            }
        }
        FOV_TRY(job->how->fn(job->how->context, job->first, size, job->pixels));
    }
    return FOV_OK;
}

static fov_status make_room(block_job *job, size_t bytes) {
    const unsigned threads = fov_pool_threads(job->how->pool);
    job->readers = fov_mem_array(FOV_MEM_DATA, threads, sizeof *job->readers);
    FOV_TRY_ALLOC(job->readers);
    job->failures = fov_mem_array(FOV_MEM_DATA, job->how->block, sizeof *job->failures);
    FOV_TRY_ALLOC(job->failures);
    job->pixels = fov_mem_alloc(FOV_MEM_DATA, bytes);
    FOV_TRY_ALLOC(job->pixels);
    for (unsigned t = 0; t < threads; t++) {
        FOV_TRY(fov_picture_reader_init(&job->readers[t].reader));
        job->readers[t].reader.by_pieces = true;
        FOV_TRY(fov_augmenter_new(&job->readers[t].augmenter));
    }
    return FOV_OK;
}

static void clear(block_job *job) {
    for (unsigned t = 0; job->readers != NULL && t < fov_pool_threads(job->how->pool); t++) {
        fov_picture_reader_clear(&job->readers[t].reader);
        fov_augmenter_free(job->readers[t].augmenter);
    }
    for (size_t i = 0; job->failures != NULL && i < job->how->block; i++) {
        fov_mem_free(job->failures[i].path);
        fov_mem_free(job->failures[i].message);
    }
    fov_mem_free(job->readers);
    fov_mem_free(job->failures);
    fov_mem_free(job->pixels);
}

fov_status fov_loader_evaluate(const fov_index *index, const fov_evaluation *evaluation) {
    const size_t side = evaluation->preprocess->image_size;
    const size_t factors[4] = {side, side, fov_pixel_bytes(evaluation->decode.format), evaluation->block};
    size_t bytes;
    if (evaluation->block == 0 || !fov_product_size(factors, 4, &bytes)) {
        return FOV_FAIL(FOV_E_INVALID, "blocks of %zu pictures of %zu pixels cannot be read; change the batch size", evaluation->block,
                        side);
    }
    block_job job = {.index = index, .how = evaluation, .image_bytes = bytes / evaluation->block};
    fov_status status = FOV_OK;
    FOV_TRY_GOTO(status, done, make_room(&job, bytes));
    FOV_TRY_GOTO(status, done, run_blocks(&job));
done:
    clear(&job);
    return status;
}
