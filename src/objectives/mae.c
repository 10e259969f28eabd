/* Masked autoencoder (He et al. 2021): the encoder sees a quarter of the patches, a small decoder paints the rest.
 *
 * Which patches: per sample, uniform noise per patch, the ones with the least are kept. The encoder runs on those alone. */
#include <math.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/memory.h"
#include "base/rng.h"
#include "objectives/objective.h"

typedef struct mae_options {
    double mask_ratio, crop_min;
    int64_t width, depth, heads;
    bool norm_pixels;
} mae_options;

#define FIELD(name) offsetof(mae_options, name)

static const fov_option table[] = {
    {.name = "mask-ratio", .type = FOV_OPT_REAL, .offset = FIELD(mask_ratio), .value_name = "R", .help = "share of patches that are hidden", .fallback = "0.75", .min = 0.05, .max = 0.95},
    {.name = "crop-min", .type = FOV_OPT_REAL, .offset = FIELD(crop_min), .value_name = "A", .help = "smallest share of the picture's area that a view shows", .fallback = "0.2", .min = 1e-3, .max = 1.0},
    {.name = "decoder-width", .type = FOV_OPT_INT, .offset = FIELD(width), .value_name = "N", .help = "width of the decoder", .min = 4, .max = 4096},
    {.name = "decoder-depth", .type = FOV_OPT_INT, .offset = FIELD(depth), .value_name = "N", .help = "blocks of the decoder", .min = 1, .max = 64},
    {.name = "decoder-heads", .type = FOV_OPT_INT, .offset = FIELD(heads), .value_name = "N", .help = "attention heads of the decoder", .min = 1, .max = 64},
    {.name = "norm-pixels", .type = FOV_OPT_FLAG, .offset = FIELD(norm_pixels), .help = "each target patch has zero mean and unit variance", .fallback = "true"},
    {.name = NULL},
};

/* The paper's decoder (512 wide, 8 blocks, 16 heads) goes with a ViT-Base; smaller backbones get half of it. */
static void choose(void *options, const fov_train_facts *facts) {
    mae_options *o = options;
    const bool base = facts->spec->backbone->width >= 768;
    if (o->width == 0) {
        o->width = base ? 512 : 256;
    }
    if (o->depth == 0) {
        o->depth = base ? 8 : 4;
    }
    if (o->heads == 0) {
        o->heads = base ? 16 : 8;
    }
}

static void defaults(const void *options, const fov_train_facts *facts, fov_train_defaults *d) {
    (void)options;
    *d = (fov_train_defaults){.optimizer = "adamw", .weight_decay = 0.05, .momentum = 0.9, .beta1 = 0.9, .beta2 = 0.95};
    d->batch_size = facts->batch_size > 0 ? facts->batch_size : fov_default_batch(facts, 256);
    d->epochs = fov_default_epochs(facts, 2000000);
    d->lr = 1.5e-4 * (double)d->batch_size / 256.0;
    const double epochs = facts->epochs > 0 ? (double)facts->epochs : (double)d->epochs;
    d->warmup_epochs = fmin(40.0, epochs / 10.0);
}

static void adjust(const void *options, fov_backbone_spec *spec) {
    (void)options;
    spec->fixed_position = true;
}

static fov_status check(const fov_objective_context *context) {
    const mae_options *o = context->options;
    const size_t patches = fov_backbone_patches(context->spec);
    const size_t kept = (size_t)((double)patches * (1.0 - o->mask_ratio));
    if (kept == 0 || kept == patches) {
        return FOV_FAIL(FOV_E_INVALID, "--mask-ratio %g of %zu patches leaves %zu to look at; larger pictures or smaller patches give more, another ratio masks fewer", o->mask_ratio,
                        patches, kept);
    }
    if (o->width % 4 != 0 || o->width % o->heads != 0) {
        return FOV_FAIL(FOV_E_INVALID, "--decoder-width %lld must be a multiple of 4 and of --decoder-heads %lld", (long long)o->width,
                        (long long)o->heads);
    }
    return FOV_OK;
}

static void views(const void *options, const fov_train_facts *facts, fov_text *text) {
    const mae_options *o = options;
    fov_text_printf(text, "crop(%zu,%g,1,bicubic) flip(0.5)", facts->spec->image_size, o->crop_min);
}

static size_t kept_patches(const fov_objective_context *context) {
    const mae_options *o = context->options;
    return (size_t)((double)fov_backbone_patches(context->spec) * (1.0 - o->mask_ratio));
}

static fov_node *build(fov_graph *g, const fov_objective_context *context) {
    const mae_options *o = context->options;
    const fov_backbone_spec *spec = context->spec;
    const size_t n = context->batch_size, patches = fov_backbone_patches(spec);
    fov_node *x = fov_objective_view(g, context, 1);
    fov_node *keep = fov_input(g, "keep", FOV_DTYPE_I32, FOV_SHAPE(n, kept_patches(context)));
    fov_node *restore = fov_input(g, "restore", FOV_DTYPE_I32, FOV_SHAPE(n, 1 + patches));
    fov_node *mask = fov_input(g, "mask", FOV_DTYPE_I32, FOV_SHAPE(n, patches));
    fov_node *tokens = spec->backbone->build(g, spec, x, keep).tokens;
    fov_graph_push(g, "head");
    const fov_mae_decoder_args decoder = {.width = (size_t)o->width, .depth = (size_t)o->depth, .heads = (size_t)o->heads};
    fov_node *prediction = fov_mae_decoder(g, spec, tokens, restore, &decoder);
    fov_graph_pop(g);
    return fov_masked_mse(g, prediction, fov_patchify(g, x, spec->patch), mask, o->norm_pixels);
}

typedef struct noisy_patch {
    double noise;
    int32_t patch;
} noisy_patch;

static int by_noise(const void *a, const void *b) {
    const noisy_patch *x = a, *y = b;
    if (x->noise != y->noise) {
        return x->noise < y->noise ? -1 : 1;
    }
    return x->patch < y->patch ? -1 : x->patch > y->patch;
}

/* One sample's patches from least noise to most: the first `kept` are seen. */
static void draw_order(noisy_patch *order, size_t patches, uint64_t seed, uint64_t epoch, uint32_t sample) {
    fov_rng rng;
    fov_rng_init(&rng, seed, epoch, sample, 0, FOV_RNG_MASK);
    for (size_t p = 0; p < patches; p++) {
        order[p] = (noisy_patch){.noise = fov_rng_uniform(&rng), .patch = (int32_t)p};
    }
    qsort(order, patches, sizeof *order, by_noise);
}

static void fill_sample(const char *name, int32_t *row, const noisy_patch *order, size_t patches, size_t kept) {
    const bool keep = strcmp(name, "keep") == 0, restore = strcmp(name, "restore") == 0;
    for (size_t rank = 0; rank < patches; rank++) {
        const size_t p = (size_t)order[rank].patch;
        if (keep) {
            if (rank < kept) {
                row[rank] = order[rank].patch;
            }
        } else if (restore) {
            row[1 + p] = (int32_t)(1 + rank); /* past 1 + kept: the mask token */
        } else {
            row[p] = rank >= kept;
        }
    }
    if (restore) {
        row[0] = 0; /* the class token */
    }
}

static fov_status fill(const fov_objective_context *context, const fov_objective_input *inputs, size_t input_count, uint64_t seed,
                       uint64_t epoch, const uint32_t *sample) {
    const size_t patches = fov_backbone_patches(context->spec), kept = kept_patches(context);
    noisy_patch *order = fov_mem_array(FOV_MEM_TRAIN, patches, sizeof *order);
    FOV_TRY_ALLOC(order);
    for (size_t i = 0; i < context->batch_size; i++) {
        draw_order(order, patches, seed, epoch, sample[i]);
        for (size_t k = 0; k < input_count; k++) {
            const size_t row = inputs[k].count / context->batch_size;
            fill_sample(inputs[k].name, inputs[k].values + i * row, order, patches, kept);
        }
    }
    fov_mem_free(order);
    return FOV_OK;
}

/* Targets of unit variance and a prediction near zero: about 1. */
static void start_loss(const fov_objective_context *context, double *low, double *high) {
    (void)context;
    *low = 0.05;
    *high = 3.0;
}

extern const fov_objective fov_objective_mae;
const fov_objective fov_objective_mae = {
    .name = "mae",
    .summary = "masked images: paint the hidden patches from those that are seen (ViT only)",
    .source = "He et al. 2021, Masked Autoencoders Are Scalable Vision Learners",
    .needs = FOV_GIVES_TOKENS | FOV_GIVES_DROP,
    .takes_mixed = true,
    .options = table,
    .options_size = sizeof(mae_options),
    .choose = choose,
    .defaults = defaults,
    .adjust = adjust,
    .check = check,
    .views = views,
    .view_options = (const char *const[]){"crop-min", NULL},
    .build = build,
    .fill = fill,
    .start_loss = start_loss,
};
