/* Statistics of pictures. Each thread keeps sums of its own, in integers that cannot overflow: 4,096 pictures of 8,192 x 8,192 pixels of 16
 * bits have sums below 2^54 and sums of squares below 2^70. Integers add up to the same in any order, so that threads need no order, and
 * the variance is a difference of whole numbers: nothing cancels. */
#include "data/statistics.h"

#include <math.h>
#include <string.h>

#include "base/checked.h"
#include "base/interrupt.h"
#include "data/picture.h"
#include "data/sampler.h"

#define BLOCK 64       /* pictures between two looks at signals */
#define LEAST_STD 1e-5 /* a channel below varies by less than a step of 8 bits in a thousand pixels */

__extension__ typedef unsigned __int128 uint128;

typedef struct measurer {
    fov_picture_reader reader;
    fov_augmenter *augmenter;
    uint8_t *pixels; /* of one prepared picture */
    uint64_t sum[FOV_MAX_CHANNELS];
    uint128 squares[FOV_MAX_CHANNELS];
    size_t pictures;
    fov_status status; /* FOV_E_NOMEM ends it all; what else is wrong is the picture's fault */
} measurer;

typedef struct job {
    const fov_index *index;
    const fov_preprocess *preprocess;
    fov_decode_options decode;
    fov_sampler sampler;
    measurer *measurers; /* one a thread */
    size_t first;
} job;

static void add_pixels(measurer *m, const fov_preprocess *preprocess) {
    const size_t channels = preprocess->format.channels, count = preprocess->image_size * preprocess->image_size;
    const uint16_t *words = (const uint16_t *)(const void *)m->pixels;
    for (size_t c = 0; c < channels; c++) {
        uint64_t sum = 0, squares = 0; /* 2^26 pixels of 2^32 at most */
        for (size_t i = 0; i < count; i++) {
            const uint64_t value = preprocess->format.deep ? words[i * channels + c] : m->pixels[i * channels + c];
            sum += value;
            squares += value * value;
        }
        m->sum[c] += sum;
        m->squares[c] += squares;
    }
    m->pictures++;
}

static fov_status measure(const job *j, measurer *m, size_t picture) {
    size_t width, height;
    FOV_TRY(fov_picture_open(&m->reader, j->index, picture, &j->decode, &width, &height));
    FOV_TRY(fov_picture_preprocess(&m->reader, m->augmenter, j->preprocess, m->pixels));
    add_pixels(m, j->preprocess);
    return FOV_OK;
}

static void measure_chunk(void *context, size_t chunk, unsigned worker) {
    const job *j = context;
    measurer *m = &j->measurers[worker];
    const fov_status status = measure(j, m, fov_sampler_at(&j->sampler, 0, j->first + chunk));
    m->status = status == FOV_E_NOMEM ? status : m->status;
}

static fov_status run(job *j, size_t total, fov_pool *pool, void (*progress)(void *context, size_t done, size_t total), void *context) {
    for (j->first = 0; j->first < total; j->first += BLOCK) {
        const size_t left = total - j->first, count = left < BLOCK ? left : BLOCK;
        fov_pool_for(pool, count, measure_chunk, j);
        for (unsigned t = 0; t < fov_pool_threads(pool); t++) {
            if (j->measurers[t].status != FOV_OK) {
                return FOV_FAIL(FOV_E_NOMEM, "out of memory for measuring the pictures");
            }
        }
        if (fov_interrupt_pending() != 0) {
            return FOV_FAIL(FOV_E_INTERRUPTED, "stopped by signal %d before the first step", fov_interrupt_pending());
        }
        if (progress != NULL) {
            progress(context, j->first + count, total);
        }
    }
    return FOV_OK;
}

/* Adds up the threads and divides. */
static fov_status conclude(const job *j, unsigned threads, fov_statistics *s) {
    const double most = j->preprocess->format.deep ? 65535.0 : 255.0;
    measurer all = {.pictures = 0};
    for (unsigned t = 0; t < threads; t++) {
        all.pictures += j->measurers[t].pictures;
        for (size_t c = 0; c < FOV_MAX_CHANNELS; c++) {
            all.sum[c] += j->measurers[t].sum[c];
            all.squares[c] += j->measurers[t].squares[c];
        }
    }
    if (all.pictures == 0) {
        return FOV_FAIL(FOV_E_DATA, "none of the pictures can be read; --verify names what is wrong with them");
    }
    *s = (fov_statistics){.pictures = all.pictures};
    const uint128 n = (uint128)all.pictures * j->preprocess->image_size * j->preprocess->image_size;
    for (size_t c = 0; c < j->preprocess->format.channels; c++) {
        const uint128 spread = n * all.squares[c] - (uint128)all.sum[c] * all.sum[c]; /* n^2 times the variance */
        s->mean[c] = (double)all.sum[c] / (double)n / most;
        s->std[c] = sqrt((double)spread) / (double)n / most;
        s->flat[c] = s->std[c] < LEAST_STD;
        s->std[c] = s->flat[c] ? 1.0 / 255.0 : s->std[c];
    }
    return FOV_OK;
}

static fov_status make_measurers(job *j, unsigned threads) {
    const size_t side = j->preprocess->image_size;
    size_t bytes;
    j->measurers = fov_mem_array(FOV_MEM_DATA, threads, sizeof *j->measurers);
    FOV_TRY_ALLOC(j->measurers);
    if (!fov_product_size((const size_t[]){side, side, fov_pixel_bytes(j->preprocess->format)}, 3, &bytes)) {
        return FOV_FAIL(FOV_E_LIMIT, "views of %zu pixels are too large", side);
    }
    for (unsigned t = 0; t < threads; t++) {
        measurer *m = &j->measurers[t];
        FOV_TRY(fov_picture_reader_init(&m->reader));
        m->reader.by_pieces = true;
        FOV_TRY(fov_augmenter_new(&m->augmenter));
        m->pixels = fov_mem_alloc(FOV_MEM_DATA, bytes);
        FOV_TRY_ALLOC(m->pixels);
    }
    return FOV_OK;
}

fov_status fov_statistics_measure(fov_statistics *statistics, const fov_index *index, const fov_preprocess *preprocess, uint64_t seed,
                                  fov_pool *pool, void (*progress)(void *context, size_t done, size_t total), void *context) {
    const size_t count = fov_index_count(index), total = count < FOV_STATISTICS_PICTURES ? count : FOV_STATISTICS_PICTURES;
    const unsigned threads = fov_pool_threads(pool);
    job j = {.index = index, .preprocess = preprocess, .decode = fov_preprocess_decode(preprocess)};
    fov_sampler_init(&j.sampler, seed, count, 1);
    fov_status status = FOV_OK;
    FOV_TRY_GOTO(status, done, make_measurers(&j, threads));
    FOV_TRY_GOTO(status, done, run(&j, total, pool, progress, context));
    FOV_TRY_GOTO(status, done, conclude(&j, threads, statistics));
done:
    for (unsigned t = 0; t < threads && j.measurers != NULL; t++) {
        fov_picture_reader_clear(&j.measurers[t].reader);
        fov_augmenter_free(j.measurers[t].augmenter);
        fov_mem_free(j.measurers[t].pixels);
    }
    fov_mem_free(j.measurers);
    return status;
}
