/* Reading for evaluation: every picture once, in the order of the index, without any chance in it.
 *
 * The caller computes with the same pool that reads, so blocks are read and computed in turn; a picture that fails ends the call,
 * since features of another picture in its place would be wrong without anyone knowing. */
#include "base/checked.h"
#include "data/loader.h"
#include "data/picture.h"

typedef struct evaluator {
    fov_picture_reader reader;
    fov_augmenter *augmenter;
    /* the worker's failure that comes first in the index */
    fov_status status;
    size_t sample;
    char *message, *trail;
} evaluator;

typedef struct block_job {
    const fov_index *index;
    const fov_preprocess *preprocess;
    const fov_decode_options *decode;
    evaluator *evaluators; /* one per worker */
    uint8_t *pixels;
    size_t first;
} block_job;

static void note_failure(evaluator *e, size_t sample, fov_status status) {
    if (e->status != FOV_OK && e->sample < sample) {
        return;
    }
    fov_mem_free(e->message);
    fov_mem_free(e->trail);
    e->status = status;
    e->sample = sample;
    e->message = fov_mem_strdup(FOV_MEM_DATA, fov_last_error());
    e->trail = fov_mem_strdup(FOV_MEM_DATA, fov_last_trail());
}

static void read_sample(void *context, size_t chunk, unsigned worker) {
    const block_job *job = context;
    evaluator *e = &job->evaluators[worker];
    const size_t sample = job->first + chunk, side = job->preprocess->image_size;
    const fov_pixel_format format = job->decode == NULL ? (fov_pixel_format){0} : job->decode->format;
    size_t width, height;
    fov_status status = fov_picture_open(&e->reader, job->index, sample, job->decode, &width, &height);
    if (status == FOV_OK) {
        status =
            fov_picture_preprocess(&e->reader, e->augmenter, job->preprocess, job->pixels + chunk * side * side * fov_pixel_bytes(format));
    }
    if (status != FOV_OK) {
        note_failure(e, sample, status);
    }
}

static fov_status first_failure(const evaluator *evaluators, unsigned threads) {
    const evaluator *first = NULL;
    for (unsigned t = 0; t < threads; t++) {
        if (evaluators[t].status != FOV_OK && (first == NULL || evaluators[t].sample < first->sample)) {
            first = &evaluators[t];
        }
    }
    if (first == NULL) {
        return FOV_OK;
    }
    return fov_fail_copy(first->status, first->message == NULL ? "a picture cannot be read" : first->message,
                         first->trail == NULL ? "" : first->trail);
}

static fov_status run_blocks(block_job *job, size_t block, fov_pool *pool, fov_block_fn fn, void *context) {
    const size_t count = fov_index_count(job->index);
    for (job->first = 0; job->first < count; job->first += block) {
        const size_t left = count - job->first, size = left < block ? left : block;
        fov_pool_for(pool, size, read_sample, job);
        const fov_status status = first_failure(job->evaluators, fov_pool_threads(pool));
        if (status != FOV_OK && status != FOV_E_NOMEM) {
            return fov_fail_prefix(status, "a picture cannot be read; if it changed after the check, run again when nobody writes to it");
        }
        FOV_TRY(status);
        FOV_TRY(fn(context, job->first, size, job->pixels));
    }
    return FOV_OK;
}

fov_status fov_loader_evaluate(const fov_index *index, const fov_preprocess *preprocess, const fov_decode_options *decode, size_t block,
                               fov_pool *pool, fov_block_fn fn, void *context) {
    const fov_pixel_format format = decode == NULL ? (fov_pixel_format){0} : decode->format;
    const size_t factors[4] = {block, preprocess->image_size, preprocess->image_size, fov_pixel_bytes(format)};
    size_t bytes;
    if (block == 0 || !fov_product_size(factors, 4, &bytes)) {
        return FOV_FAIL(FOV_E_INVALID, "blocks of %zu pictures of %zu pixels cannot be read; change the batch size", block,
                        preprocess->image_size);
    }
    const unsigned threads = fov_pool_threads(pool);
    fov_status status = FOV_OK;
    block_job job = {.index = index, .preprocess = preprocess, .decode = decode};
    job.evaluators = fov_mem_array(FOV_MEM_DATA, threads, sizeof *job.evaluators);
    FOV_TRY_ALLOC(job.evaluators);
    job.pixels = fov_mem_alloc(FOV_MEM_DATA, bytes);
    if (job.pixels == NULL) {
        status = fov_forward_at(__FILE__, __LINE__, FOV_E_NOMEM);
        goto done;
    }
    for (unsigned t = 0; t < threads; t++) {
        FOV_TRY_GOTO(status, done, fov_picture_reader_init(&job.evaluators[t].reader));
        job.evaluators[t].reader.by_pieces = true;
        FOV_TRY_GOTO(status, done, fov_augmenter_new(&job.evaluators[t].augmenter));
    }
    FOV_TRY_GOTO(status, done, run_blocks(&job, block, pool, fn, context));
done:
    for (unsigned t = 0; t < threads; t++) {
        fov_picture_reader_clear(&job.evaluators[t].reader);
        fov_augmenter_free(job.evaluators[t].augmenter);
        fov_mem_free(job.evaluators[t].message);
        fov_mem_free(job.evaluators[t].trail);
    }
    fov_mem_free(job.evaluators);
    fov_mem_free(job.pixels);
    return status;
}
