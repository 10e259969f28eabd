/* Pictures to features: an eval-mode graph with a fixed batch.
 *
 * The batch is always full, black pictures filling the rest, so that every picture goes through the same arithmetic whether it comes alone or
 * with others: features do not depend on how many pictures there are, nor on which. (In the portable set, whose products OpenBLAS does, the place
 * of a picture in its batch decides its last bits.) */
#include "eval/encoder.h"

#include <math.h>
#include <string.h>

#include "base/checked.h"
#include "base/rng.h"
#include "data/loader.h"
#include "eval/encoder_internal.h"

/* Enough rows to keep every core busy; large pictures do so with fewer, and their maps are what memory goes to. */
static size_t batch_for(size_t image_size) { return image_size >= 160 ? 32 : 64; }

static fov_status build(fov_encoder *e) {
    const size_t s = e->spec.image_size;
    FOV_TRY(fov_store_new(&e->store));
    FOV_TRY(fov_graph_new(&e->graph, false));
    fov_graph_use_store(e->graph, e->store);
    const fov_dtype dtype = e->preprocess.format.deep ? FOV_DTYPE_U16 : FOV_DTYPE_U8;
    fov_node *x = fov_input(e->graph, "pixels", dtype, FOV_SHAPE(e->batch, s, s, e->spec.channels));
    x = fov_normalize(e->graph, x, e->preprocess.mean, e->preprocess.std);
    e->features = e->spec.backbone->build(e->graph, &e->spec, x, NULL).features;
    FOV_TRY(fov_graph_status(e->graph));
    FOV_TRY(fov_store_commit(e->store, false));
    FOV_TRY(fov_plan_new(&e->plan, e->graph, &e->features, 1, NULL, e->pool, &(fov_plan_options){0}));
    return fov_plan_bind(e->plan, "pixels", e->staging);
}

fov_status fov_encoder_new(fov_encoder **encoder, const fov_backbone_spec *spec, const fov_preprocess *preprocess, fov_pool *pool) {
    FOV_ASSERT(spec->image_size == preprocess->image_size && spec->channels == preprocess->format.channels);
    fov_encoder *e = fov_mem_zalloc(FOV_MEM_EVAL, sizeof *e);
    FOV_TRY_ALLOC(e);
    *e = (fov_encoder){.spec = *spec, .preprocess = *preprocess, .pool = pool, .batch = batch_for(spec->image_size)};
    fov_metadata_init(&e->provenance);
    fov_status status = FOV_OK;
    if (!fov_product_size((const size_t[]){spec->image_size, spec->image_size, fov_pixel_bytes(preprocess->format)}, 3, &e->image_bytes)) {
        status = FOV_FAIL(FOV_E_LIMIT, "an image size of %zu px is too large", spec->image_size);
        goto failed;
    }
    e->staging = fov_mem_array(FOV_MEM_EVAL, e->batch, e->image_bytes);
    if (e->staging == NULL) {
        status = FOV_E_NOMEM;
        goto failed;
    }
    FOV_TRY_GOTO(status, failed, build(e));
    *encoder = e;
    return FOV_OK;
failed:
    fov_encoder_free(e);
    return status;
}

void fov_encoder_free(fov_encoder *e) {
    if (e == NULL) {
        return;
    }
    fov_plan_free(e->plan);
    fov_graph_free(e->graph);
    fov_store_free(e->store);
    fov_metadata_clear(&e->provenance);
    fov_mem_free(e->staging);
    fov_mem_free(e);
}

fov_status fov_encoder_random(fov_encoder **encoder, const fov_backbone_spec *spec, const fov_preprocess *preprocess, uint64_t seed, fov_pool *pool) {
    FOV_TRY(fov_encoder_new(encoder, spec, preprocess, pool));
    fov_store_initialize((*encoder)->store, seed, pool);
    return FOV_OK;
}

const fov_backbone_spec *fov_encoder_spec(const fov_encoder *e) { return &e->spec; }
const fov_preprocess *fov_encoder_preprocess(const fov_encoder *e) { return &e->preprocess; }
size_t fov_encoder_width(const fov_encoder *e) { return e->spec.backbone->width; }
fov_store *fov_encoder_store(const fov_encoder *e) { return e->store; }

const fov_metadata *fov_encoder_provenance(const fov_encoder *e, size_t *count) {
    *count = e->provenance.count;
    return e->provenance.item;
}

/* At most one batch. */
static fov_status embed_batch(fov_encoder *e, const uint8_t *pixels, size_t count, float *features) {
    memcpy(e->staging, pixels, count * e->image_bytes);
    memset(e->staging + count * e->image_bytes, 0, (e->batch - count) * e->image_bytes);
    FOV_TRY(fov_plan_run(e->plan, &(fov_run){.forward_only = true}));
    const fov_real *values = fov_plan_value(e->plan, e->features);
    for (size_t i = 0; i < count * fov_encoder_width(e); i++) {
        features[i] = (float)values[i];
    }
    return FOV_OK;
}

fov_status fov_encoder_embed(fov_encoder *e, const uint8_t *pixels, size_t count, float *features) {
    for (size_t first = 0; first < count; first += e->batch) {
        const size_t some = count - first < e->batch ? count - first : e->batch;
        FOV_TRY(embed_batch(e, pixels + first * e->image_bytes, some, features + first * fov_encoder_width(e)));
    }
    return FOV_OK;
}

/* ---- an index ---- */

typedef struct walk {
    fov_encoder *encoder;
    float *features;
    size_t total;
    void (*progress)(void *context, size_t done, size_t total);
    void *context;
} walk;

static fov_status embed_block(void *context, size_t first, size_t count, const uint8_t *pixels) {
    const walk *w = context;
    FOV_TRY(fov_encoder_embed(w->encoder, pixels, count, w->features + first * fov_encoder_width(w->encoder)));
    if (w->progress != NULL) {
        w->progress(w->context, first + count, w->total);
    }
    return FOV_OK;
}

fov_scan_options fov_encoder_scan(const fov_encoder *e, const char *group) {
    const char *rule = group != NULL ? group : e->preprocess.group;
    return (fov_scan_options){.decode = fov_preprocess_decode(&e->preprocess),
                              .group = rule[0] == '\0' ? NULL : rule,
                              .group_of_weights = group == NULL,
                              .channels_of_weights = true};
}

/* Rows move up into the places of lost ones, which come in the order of the index. */
static void close_gaps(float *features, size_t count, size_t width, const fov_lost *lost) {
    for (size_t k = 0; k < lost->count; k++) {
        const size_t from = lost->item[k].picture + 1, upto = k + 1 < lost->count ? lost->item[k + 1].picture : count;
        memmove(features + (from - 1 - k) * width, features + from * width, (upto - from) * width * sizeof *features);
    }
}

fov_status fov_encoder_embed_index(fov_encoder *e, const fov_index *index, fov_lost *lost, float *features,
                                   void (*progress)(void *context, size_t done, size_t total), void *context) {
    walk w = {.encoder = e, .features = features, .total = fov_index_count(index), .progress = progress, .context = context};
    const fov_evaluation evaluation = {.preprocess = &e->preprocess,
                                       .decode = fov_preprocess_decode(&e->preprocess),
                                       .block = e->batch,
                                       .lost = lost,
                                       .pool = e->pool,
                                       .fn = embed_block,
                                       .context = &w};
    FOV_TRY(fov_loader_evaluate(index, &evaluation));
    close_gaps(features, w.total, fov_encoder_width(e), lost);
    return FOV_OK;
}

/* ---- comparing ---- */

static void fill_noise(uint8_t *pixels, size_t count) {
    fov_rng rng;
    fov_rng_init(&rng, 0, 0, 0, 0, FOV_RNG_TEST);
    for (size_t i = 0; i < count; i++) {
        pixels[i] = (uint8_t)fov_rng_below(&rng, 256);
    }
}

fov_status fov_encoder_compare(fov_encoder *a, fov_encoder *b, size_t pictures, double *largest) {
    if (a->image_bytes != b->image_bytes || fov_encoder_width(a) != fov_encoder_width(b)) {
        return FOV_FAIL(FOV_E_MISMATCH, "features of %zu numbers from %zu px cannot be compared with %zu from %zu px", fov_encoder_width(a),
                        a->spec.image_size, fov_encoder_width(b), b->spec.image_size);
    }
    const size_t width = fov_encoder_width(a);
    fov_status status = FOV_OK;
    uint8_t *pixels = fov_mem_array(FOV_MEM_EVAL, pictures, a->image_bytes);
    float *first = fov_mem_array(FOV_MEM_EVAL, pictures * width, sizeof *first), *second = fov_mem_array(FOV_MEM_EVAL, pictures * width, sizeof *second);
    if (pixels == NULL || first == NULL || second == NULL) {
        status = FOV_E_NOMEM;
        goto done;
    }
    fill_noise(pixels, pictures * a->image_bytes);
    FOV_TRY_GOTO(status, done, fov_encoder_embed(a, pixels, pictures, first));
    FOV_TRY_GOTO(status, done, fov_encoder_embed(b, pixels, pictures, second));
    *largest = 0.0;
    for (size_t i = 0; i < pictures * width; i++) {
        const double difference = fabs((double)first[i] - (double)second[i]);
        *largest = difference > *largest || isnan(difference) ? difference : *largest;
    }
done:
    fov_mem_free(pixels);
    fov_mem_free(first);
    fov_mem_free(second);
    return status;
}
