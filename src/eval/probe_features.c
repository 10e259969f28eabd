/* Features of all three sources in one pass over the files: decoding and cropping cost as much as a small backbone, so each picture is read once
 * and its crop goes to both encoders and to the shrinking. */
#include <math.h>

#include "base/checked.h"
#include "data/loader.h"
#include "eval/probe_internal.h"
#include "eval/raw_pixels.h"

enum { BLOCK = 64 };

typedef struct collection {
    fov_probe_features *features;
    fov_encoder *encoder[2]; /* by source */
    fov_augmenter *augmenter;
    const fov_preprocess *preprocess;
    const fov_index *index;
    const fov_probe_settings *settings;
    const char *stage;
} collection;

static fov_status check_finite(const collection *c, fov_probe_source source, size_t first, size_t count) {
    const size_t width = c->features->width[source];
    const float *value = c->features->value[source] + first * width;
    for (size_t i = 0; i < count * width; i++) {
        if (!isfinite(value[i])) {
            fov_text name;
            fov_text_init(&name);
            const fov_status status =
                FOV_FAIL(FOV_E_NUMERIC, "the %s weights give features that are not finite for %s; the training diverged or the file is damaged",
                         fov_probe_source_name(source), fov_index_name(c->index, first + i / width, &name));
            fov_text_clear(&name);
            return status;
        }
    }
    return FOV_OK;
}

static fov_status take_block(void *context, size_t first, size_t count, const uint8_t *pixels) {
    collection *c = context;
    fov_probe_features *f = c->features;
    for (unsigned source = FOV_PROBE_PRETRAINED; source <= FOV_PROBE_RANDOM; source++) {
        FOV_TRY(fov_encoder_embed(c->encoder[source], pixels, count, f->value[source] + first * f->width[source]));
        FOV_TRY(check_finite(c, (fov_probe_source)source, first, count));
    }
    FOV_TRY(fov_raw_pixels_embed(c->augmenter, c->preprocess, pixels, count, f->value[FOV_PROBE_PIXELS] + first * f->width[FOV_PROBE_PIXELS],
                                 f->hash + first));
    if (c->settings->progress != NULL) {
        c->settings->progress(c->settings->context, c->stage, first + count, f->count);
    }
    return FOV_OK;
}

static fov_status make_room(fov_probe_features *f) {
    for (unsigned source = 0; source < FOV_PROBE_SOURCES; source++) {
        size_t cells = 0;
        if (!fov_mul_size(f->count, f->width[source], &cells)) {
            return FOV_FAIL(FOV_E_LIMIT, "%zu pictures with %zu features each are too many", f->count, f->width[source]);
        }
        f->value[source] = fov_mem_array(FOV_MEM_EVAL, cells, sizeof(float));
        FOV_TRY_ALLOC(f->value[source]);
    }
    f->label = fov_mem_array(FOV_MEM_EVAL, f->count, sizeof *f->label);
    FOV_TRY_ALLOC(f->label);
    f->hash = fov_mem_array(FOV_MEM_EVAL, f->count, sizeof *f->hash);
    FOV_TRY_ALLOC(f->hash);
    return FOV_OK;
}

fov_status fov_probe_collect(fov_probe_features *features, fov_encoder *pretrained, fov_encoder *random, const fov_index *index,
                             const fov_probe_settings *settings, const char *stage, fov_pool *pool) {
    const fov_preprocess *preprocess = fov_encoder_preprocess(pretrained);
    const size_t side = fov_raw_pixels_side(preprocess->image_size);
    *features = (fov_probe_features){.count = fov_index_count(index)};
    features->width[FOV_PROBE_PRETRAINED] = fov_encoder_width(pretrained);
    features->width[FOV_PROBE_RANDOM] = fov_encoder_width(random);
    features->width[FOV_PROBE_PIXELS] = side * side * preprocess->format.channels;
    FOV_TRY(make_room(features));
    for (size_t i = 0; i < features->count; i++) {
        features->label[i] = (uint32_t)fov_index_label(index, i);
    }
    collection c = {.features = features, .encoder = {pretrained, random}, .preprocess = preprocess, .index = index, .settings = settings,
                    .stage = stage};
    FOV_TRY(fov_augmenter_new(&c.augmenter));
    /* No picture may be lost here: labels, classes and folds are settled. The check lies minutes back at most, and says what to do. */
    const fov_evaluation evaluation = {
        .preprocess = preprocess, .decode = fov_preprocess_decode(preprocess), .block = BLOCK, .pool = pool, .fn = take_block, .context = &c};
    const fov_status status = fov_loader_evaluate(index, &evaluation);
    fov_augmenter_free(c.augmenter);
    return status;
}

void fov_probe_features_clear(fov_probe_features *features) {
    for (unsigned source = 0; source < FOV_PROBE_SOURCES; source++) {
        fov_mem_free(features->value[source]);
    }
    fov_mem_free(features->label);
    fov_mem_free(features->hash);
    *features = (fov_probe_features){0};
}
