/* Pictures to features for callers outside: an encoder, and a reader and an augmenter for each of its threads.
 *
 * Files are read and prepared side by side, a block at a time. Messages of failures belong to threads, so that a file that failed is read
 * once more on the caller's thread: this leaves the message where the caller looks for it, and always that of the first such file. */
#include <fovea/encoder.h>

#include "augment/codec.h"
#include "base/checked.h"
#include "base/cpu.h"
#include "data/picture.h"
#include "eval/encoder.h"

#define BLOCK 64 /* whole batches of every encoder */

typedef struct worker {
    fov_picture_reader reader;
    fov_augmenter *augmenter;
} worker;

struct fov_embedder {
    fov_pool *pool;
    fov_encoder *encoder;
    worker *workers; /* [fov_pool_threads] */
    fov_decode_options decode;
    uint8_t *pixels; /* [BLOCK, s, s, c] */
    size_t image_bytes;
};

static fov_status open_parts(fov_embedder *e, const char *weights, unsigned threads) {
    FOV_TRY(fov_pool_new(&e->pool, threads));
    FOV_TRY(fov_encoder_open(&e->encoder, weights, NULL, 0, e->pool));
    const size_t side = fov_embedder_image_size(e);
    e->decode = fov_preprocess_decode(fov_encoder_preprocess(e->encoder));
    if (!fov_product_size((const size_t[]){side, side, fov_pixel_bytes(e->decode.format)}, 3, &e->image_bytes)) {
        return FOV_FAIL(FOV_E_LIMIT, "%s is for pictures of %zu px, which is too large", weights, side);
    }
    e->pixels = fov_mem_array(FOV_MEM_EVAL, BLOCK, e->image_bytes);
    FOV_TRY_ALLOC(e->pixels);
    e->workers = fov_mem_array(FOV_MEM_EVAL, fov_pool_threads(e->pool), sizeof *e->workers);
    FOV_TRY_ALLOC(e->workers);
    for (unsigned i = 0; i < fov_pool_threads(e->pool); i++) {
        FOV_TRY(fov_picture_reader_init(&e->workers[i].reader));
        FOV_TRY(fov_augmenter_new(&e->workers[i].augmenter));
    }
    return FOV_OK;
}

fov_status fov_embedder_open(fov_embedder **embedder, const char *weights, unsigned threads) {
    if (embedder == NULL || weights == NULL || weights[0] == '\0') {
        return FOV_FAIL(FOV_E_INVALID, "no weights are named: give a run directory or a .safetensors file");
    }
    FOV_TRY(fov_cpu_check());
    FOV_TRY(fov_pool_check_stack());
    fov_embedder *e = fov_mem_zalloc(FOV_MEM_EVAL, sizeof *e);
    FOV_TRY_ALLOC(e);
    fov_status status = FOV_OK;
    FOV_TRY_GOTO(status, failed, open_parts(e, weights, threads));
    *embedder = e;
    return FOV_OK;
failed:
    fov_embedder_close(e);
    return status;
}

void fov_embedder_close(fov_embedder *e) {
    if (e == NULL) {
        return;
    }
    for (unsigned i = 0; e->workers != NULL && i < fov_pool_threads(e->pool); i++) {
        fov_picture_reader_clear(&e->workers[i].reader);
        fov_augmenter_free(e->workers[i].augmenter);
    }
    fov_mem_free(e->workers);
    fov_mem_free(e->pixels);
    fov_encoder_free(e->encoder);
    fov_pool_free(e->pool);
    fov_mem_free(e);
}

size_t fov_embedder_width(const fov_embedder *e) { return e == NULL ? 0 : fov_encoder_width(e->encoder); }
size_t fov_embedder_image_size(const fov_embedder *e) { return e == NULL ? 0 : fov_encoder_preprocess(e->encoder)->image_size; }

size_t fov_embedder_channels(const fov_embedder *e) { return e == NULL ? 0 : e->decode.format.channels; }
unsigned fov_embedder_depth(const fov_embedder *e) { return e == NULL ? 0 : e->decode.format.deep ? 16 : 8; }

static fov_status check_call(const fov_embedder *e, size_t count, const float *features) {
    if (e == NULL) {
        return FOV_FAIL(FOV_E_INVALID, "the embedder is NULL; open one with fov_embedder_open");
    }
    if (features == NULL && count > 0) {
        return FOV_FAIL(FOV_E_INVALID, "features is NULL; give room for %zu x %zu numbers", count, fov_embedder_width(e));
    }
    return FOV_OK;
}

/* ---- files ---- */

typedef struct block {
    fov_embedder *embedder;
    const char *const *paths;
    fov_status status[BLOCK];
} block;

static fov_status prepare(block *b, size_t i, unsigned w) {
    const fov_embedder *e = b->embedder;
    worker *self = &e->workers[w];
    FOV_TRY(fov_picture_read(&self->reader, b->paths[i], &e->decode));
    FOV_TRY(fov_preprocess_apply(self->augmenter, fov_encoder_preprocess(e->encoder), &self->reader.image, e->pixels + i * e->image_bytes));
    return FOV_OK;
}

static void prepare_chunk(void *context, size_t chunk, unsigned w) {
    block *b = context;
    b->status[chunk] = prepare(b, chunk, w);
}

static fov_status embed_block(fov_embedder *e, const char *const *paths, size_t count, float *features) {
    block b = {.embedder = e, .paths = paths};
    fov_pool_for(e->pool, count, prepare_chunk, &b);
    for (size_t i = 0; i < count; i++) {
        if (b.status[i] != FOV_OK) {
            FOV_TRY(prepare(&b, i, 0));
        }
    }
    FOV_TRY(fov_encoder_embed(e->encoder, e->pixels, count, features));
    return FOV_OK;
}

fov_status fov_embedder_embed_files(fov_embedder *e, const char *const *paths, size_t count, float *features) {
    FOV_TRY(check_call(e, count, features));
    const char *group = fov_encoder_preprocess(e->encoder)->group;
    FOV_TRY(fov_pool_check_stack());
    if (group[0] != '\0') {
        return FOV_FAIL(FOV_E_UNSUPPORTED, "these weights take pictures whose planes lie in several files ('%s'); put the planes together and give pixels",
                        group);
    }
    for (size_t i = 0; i < count; i++) {
        if (paths == NULL || paths[i] == NULL) {
            return FOV_FAIL(FOV_E_INVALID, "file %zu of %zu has no name", i + 1, count);
        }
    }
    for (size_t first = 0; first < count; first += BLOCK) {
        const size_t some = count - first < BLOCK ? count - first : BLOCK;
        FOV_TRY(embed_block(e, paths + first, some, features + first * fov_embedder_width(e)));
    }
    return FOV_OK;
}

fov_status fov_embedder_embed_file(fov_embedder *e, const char *path, float *features) {
    FOV_TRY(fov_embedder_embed_files(e, &path, 1, features));
    return FOV_OK;
}

/* ---- pixels ---- */

fov_status fov_embedder_embed_pixels(fov_embedder *e, const void *pixels, size_t width, size_t height, float *features) {
    FOV_TRY(check_call(e, 1, features));
    if (pixels == NULL || width == 0 || height == 0) {
        return FOV_FAIL(FOV_E_INVALID, "a picture of %zu x %zu pixels%s has no features", width, height, pixels == NULL ? " at NULL" : "");
    }
    FOV_TRY(fov_pool_check_stack());
    const fov_decode_options caps = {.max_side = FOV_IMAGE_MAX_SIDE, .max_pixels = FOV_IMAGE_MAX_PIXELS};
    const fov_pixel_format format = e->decode.format;
    FOV_TRY(fov_image_check_caps("picture", width, height, &caps));
    /* Only read: fov_image owns its pixels elsewhere, and so has no const. */
    const fov_image image = {.pixels = (uint8_t *)(uintptr_t)pixels, .width = width, .height = height, .channels = format.channels, .deep = format.deep};
    FOV_TRY(fov_preprocess_apply(e->workers[0].augmenter, fov_encoder_preprocess(e->encoder), &image, e->pixels));
    FOV_TRY(fov_encoder_embed(e->encoder, e->pixels, 1, features));
    return FOV_OK;
}

fov_status fov_embedder_embed_rgb(fov_embedder *e, const uint8_t *pixels, size_t width, size_t height, float *features) {
    FOV_TRY(check_call(e, 1, features));
    if (fov_embedder_channels(e) != 3 || fov_embedder_depth(e) != 8) {
        return FOV_FAIL(FOV_E_MISMATCH, "these weights take pictures of %zu channels of %u bits, not RGB of 8; give them in that form, as pixels",
                        fov_embedder_channels(e), fov_embedder_depth(e));
    }
    FOV_TRY(fov_embedder_embed_pixels(e, pixels, width, height, features));
    return FOV_OK;
}
