/* What tests of objectives and sessions share: an objective with its options set by name, a backbone, a session, and a batch whose pixels,
 * like weights where a test asks for it, come from a formula that make_step.py computes too. */
#ifndef FOV_TESTS_TRAIN_CASE_H
#define FOV_TESTS_TRAIN_CASE_H

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "train/session.h"
#include "weights/store_file.h"

#define CASE_SAMPLES 16

static inline void require(fov_status status) {
    if (status != FOV_OK) {
        fail_msg("%s: %s (%s)", fov_status_name(status), fov_last_error(), fov_last_trail());
    }
}

/* ---- numbers by formula ---- */

/* FNV-1a of the name; number i of a tensor is drawn from splitmix64 of that plus i. */
static inline uint64_t formula_key(const char *name) {
    uint64_t hash = 0xCBF29CE484222325U;
    for (; *name != '\0'; name++) {
        hash = (hash ^ (unsigned char)*name) * 0x100000001B3U;
    }
    return hash;
}

static inline uint64_t formula_bits(uint64_t key, uint64_t i) {
    uint64_t z = key + (i + 1) * 0x9E3779B97F4A7C15U;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9U;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBU;
    return z ^ (z >> 31);
}

/* In [-1, 1), 24 bits: exact in float. */
static inline float formula_unit(uint64_t key, uint64_t i) {
    return (float)((double)(formula_bits(key, i) >> 40) * 0x1p-23 - 1.0);
}

/* A tensor's starting values in file layout, by its shape and name: uniform by fan-in, near 1 for gains, small for biases. */
static inline void formula_weight(const char *name, unsigned rank, size_t fan_in, size_t count, float *out) {
    const size_t length = strlen(name);
    const bool gain = length >= 6 && strcmp(name + length - 6, "weight") == 0;
    const uint64_t key = formula_key(name);
    const float bound = (float)sqrt(3.0 / (double)fan_in);
    for (size_t i = 0; i < count; i++) {
        const float u = formula_unit(key, i);
        out[i] = rank > 1 ? bound * u : gain ? 1.0F + 0.25F * u : 0.1F * u;
    }
}

/* Gives every trainable parameter its formula's values. */
static inline void formula_weights(fov_store *store) {
    for (size_t p = 0; p < fov_store_size(store); p++) {
        const fov_param *param = fov_store_at(store, p);
        if (param->spec.role == FOV_PARAM_TRAINABLE) {
            float *values = fov_mem_array(FOV_MEM_BASE, param->count, sizeof *values);
            assert_non_null(values);
            formula_weight(param->name, param->shape.rank, param->count / param->shape.dim[0], param->count, values);
            fov_param_from_file(store, param, values);
            fov_mem_free(values);
        }
    }
}

/* ---- an objective on a backbone ---- */

typedef struct train_case {
    const fov_objective *objective;
    fov_option_set *set;
    void *options; /* of the objective */
    fov_backbone_spec spec;
    fov_train_facts facts;
    uint32_t sample[CASE_SAMPLES];
    fov_batch batch;
    uint8_t *pixels;
} train_case;

/* Pixels of the batch by formula, in the memory that all views share. */
static inline void case_fill_pixels(train_case *c, const char *name) {
    const size_t bytes = FOV_MAX_VIEWS * c->batch.count * c->spec.image_size * c->spec.image_size * 3;
    const uint64_t key = formula_key(name);
    for (size_t i = 0; i < bytes; i++) {
        c->pixels[i] = (uint8_t)(formula_bits(key, i) >> 56);
    }
}

/* settings: name, value, ..., NULL; names that the objective lacks are passed over when `lenient`. */
static inline void case_settings(train_case *c, const char *const *settings, bool lenient) {
    for (size_t i = 0; settings != NULL && settings[i] != NULL; i += 2) {
        bool known = false;
        for (const fov_option *o = c->objective->options; o->name != NULL; o++) {
            known = known || strcmp(o->name, settings[i]) == 0;
        }
        if (known || !lenient) {
            require(fov_options_set(c->set, settings[i], settings[i + 1], FOV_FROM_USER));
        }
    }
}

static inline void case_open(train_case *c, const fov_objective *objective, const char *backbone, size_t image_size, size_t batch,
                             const char *const *settings, bool lenient) {
    *c = (train_case){.objective = objective};
    assert_non_null(objective);
    assert_true(batch <= CASE_SAMPLES);
    require(fov_backbone_parse(backbone, image_size, &c->spec));
    c->options = fov_mem_zalloc(FOV_MEM_TRAIN, objective->options_size);
    assert_non_null(c->options);
    if (objective->prepare != NULL) {
        objective->prepare(c->options);
    }
    require(fov_options_new(&c->set));
    require(fov_options_add(c->set, "method", objective->options, c->options));
    case_settings(c, settings, lenient);
    c->facts = (fov_train_facts){.images = 1000, .median_side = image_size, .batch_size = batch, .epochs = 10, .steps = 100, .spec = &c->spec};
    if (objective->choose != NULL) {
        objective->choose(c->options, &c->facts);
    }
    if (objective->adjust != NULL) {
        objective->adjust(c->options, &c->spec);
    }
    const size_t view = batch * image_size * image_size * 3;
    c->pixels = fov_mem_alloc(FOV_MEM_TRAIN, FOV_MAX_VIEWS * view);
    assert_non_null(c->pixels);
    c->batch = (fov_batch){.count = batch, .sample = c->sample};
    for (size_t i = 0; i < batch; i++) {
        c->sample[i] = (uint32_t)(3 + 7 * i);
    }
    for (size_t v = 0; v < FOV_MAX_VIEWS; v++) {
        c->batch.view[v] = c->pixels + v * view;
    }
    case_fill_pixels(c, "view");
}

/* Pictures of another format, whose numbers are the same for 8 and 16 bits. */
static inline void case_format(train_case *c, size_t channels, bool deep) {
    const size_t values = c->batch.count * c->spec.image_size * c->spec.image_size * channels, view = values * (deep ? 2 : 1);
    const uint64_t key = formula_key("format");
    c->spec.channels = channels;
    fov_mem_free(c->pixels);
    c->pixels = fov_mem_alloc(FOV_MEM_TRAIN, FOV_MAX_VIEWS * view);
    assert_non_null(c->pixels);
    for (size_t v = 0; v < FOV_MAX_VIEWS; v++) {
        c->batch.view[v] = c->pixels + v * view;
    }
    for (size_t i = 0; i < FOV_MAX_VIEWS * values; i++) {
        const uint8_t byte = (uint8_t)(formula_bits(key, i) >> 56);
        if (deep) {
            ((uint16_t *)(void *)c->pixels)[i] = (uint16_t)(257 * byte);
        } else {
            c->pixels[i] = byte;
        }
    }
}

static inline void case_close(train_case *c) {
    fov_mem_free(c->pixels);
    fov_mem_free(c->options);
    fov_options_free(c->set);
}

static inline fov_session_options case_session_options(const train_case *c, const char *optimizer) {
    fov_session_options options = {.objective = c->objective,
                                 .objective_options = c->options,
                                 .spec = c->spec,
                                 .batch_size = c->batch.count,
                                 .micro_batch = c->batch.count,
                                 .mean = {0.485, 0.456, 0.406},
                                 .std = {0.229, 0.224, 0.225},
                                 .optimizer = fov_optimizer_named(optimizer),
                                 .settings = {.weight_decay = 0.05, .momentum = 0.9, .beta1 = 0.9, .beta2 = 0.95, .eps = 1e-8, .trust = 1e-3},
                                 .seed = 5};
    for (size_t i = 3; i < c->spec.channels; i++) {
        options.mean[i] = 0.5;
        options.std[i] = 0.25;
    }
    return options;
}

/* Small heads, for tests that only need some head. Names that an objective lacks are passed over. */
static const char *const case_small_heads[] = {"projector-hidden", "32", "projector-out", "16", "decoder-width", "32",
                                               "decoder-depth", "1", "decoder-heads", "4", NULL};

/* The first backbone of the registry that gives what the objective needs, as text, with few patches at 32 px. */
static inline void case_backbone(const fov_objective *objective, char *text, size_t size) {
    const fov_backbone *backbone = NULL;
    for (size_t i = 0; (backbone = fov_backbone_at(i)) != NULL; i++) {
        if ((backbone->gives & objective->needs) == objective->needs) {
            (void)snprintf(text, size, "%s%s", backbone->name, (backbone->gives & FOV_GIVES_TOKENS) != 0 ? "/16" : "");
            return;
        }
    }
    fail_msg("no backbone gives what %s needs", objective->name);
}

#endif
