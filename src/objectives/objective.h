/* Objectives: what is learned. One file each, one line in objectives.def; see docs/HACKING.md. */
#ifndef FOV_OBJECTIVES_OBJECTIVE_H
#define FOV_OBJECTIVES_OBJECTIVE_H

#include "augment/recipe.h"
#include "base/options.h"
#include "models/backbone.h"
#include "models/heads.h"

/* What is known before training: the facts that defaults follow. */
typedef struct fov_train_facts {
    size_t images;       /* in the index */
    size_t median_side;  /* median shorter side of the pictures */
    size_t batch_size;   /* images a step (0 while the default is being chosen) */
    size_t epochs, steps; /* total (0 while being chosen) */
    const fov_backbone_spec *spec;
} fov_train_facts;

/* Optimisation settings that an objective proposes; the user may override each. */
typedef struct fov_train_defaults {
    const char *optimizer; /* "sgd", "adamw", "lars" */
    double lr;             /* peak, already scaled to the batch */
    double weight_decay, momentum, beta1, beta2;
    double warmup_epochs;
    size_t batch_size, epochs;
    double clip_norm; /* 0: none */
} fov_train_defaults;

/* One use of the objective: its options, bound to a graph. */
typedef struct fov_objective_context {
    const void *options;           /* the objective's own struct */
    const fov_backbone_spec *spec;
    size_t batch_size;             /* images of one micro-batch */
    bool deep;                     /* pixels have 16 bits a sample, else 8 */
    double mean[FOV_MAX_CHANNELS], std[FOV_MAX_CHANNELS]; /* normalisation of inputs */
} fov_objective_context;

/* An int32 input that the objective declared in `build`: `count` numbers, sample after sample. */
typedef struct fov_objective_input {
    const char *name;
    int32_t *values;
    size_t count;
} fov_objective_input;

typedef struct fov_objective {
    const char *name;     /* "simclr" */
    const char *summary;  /* one line for `fovea list` */
    const char *source;   /* paper */
    unsigned needs;       /* FOV_GIVES_* bits of the backbone */
    bool takes_mixed;     /* its views may be mixed of two pictures (mixup, cutmix): the loss does not ask which picture a view shows */
    const fov_option *options; /* table over `options_size` bytes; may be just the end marker */
    size_t options_size;
    /* Gives fields without a fallback a value that says "not set" when 0 would not; called on zeroed options before parsing. May be NULL. */
    void (*prepare)(void *options);
    /* Chooses what the user left open (fields as `prepare` left them, or 0) from the facts. */
    void (*choose)(void *options, const fov_train_facts *facts);
    void (*defaults)(const void *options, const fov_train_facts *facts, fov_train_defaults *defaults);
    /* The spec may be adjusted (fixed position embedding, zero-initialised residual). May be NULL. */
    void (*adjust)(const void *options, fov_backbone_spec *spec);
    /* Checks options against backbone and batch. May be NULL. */
    fov_status (*check)(const fov_objective_context *context);
    /* The views as recipe text; all views of image_size. */
    void (*views)(const void *options, const fov_train_facts *facts, fov_text *text);
    const char *const *view_options; /* names of options that nothing but these views follows, NULL after the last; NULL: none */
    /* Builds the loss. Input "view" comes from fov_objective_view; further inputs the objective declares itself (int32) and fills in `fill`. The backbone is built at the top scope; heads below "head". Returns the scalar loss (NULL after an error). */
    fov_node *(*build)(fov_graph *g, const fov_objective_context *context);
    /* Fills the objective's own inputs for one micro-batch, those that are given. sample[batch] and epoch name the random streams (seed,
     * epoch, sample, view, FOV_RNG_MASK). May be NULL when there are none. */
    fov_status (*fill)(const fov_objective_context *context, const fov_objective_input *inputs, size_t input_count, uint64_t seed,
                       uint64_t epoch, const uint32_t *sample);
    /* Loss expected from random weights: low and high bounds; the trainer warns when the first loss lies outside. */
    void (*start_loss)(const fov_objective_context *context, double *low, double *high);
} fov_objective;

/* The input "view", all views of all samples: uint8 or uint16 [views * batch, s, s, c], view after view, as numbers that the context's mean and
 * std have normalised. NULL after an error. */
fov_node *fov_objective_view(fov_graph *g, const fov_objective_context *context, size_t views);

/* Defaults that objectives share. Batch: what a step of this image size can hold (256 images up to 64 px, 128 up to 128 px, else 64), at most
 * `largest`, and at most a quarter of the images. Epochs: `samples` pictures in total, between 20 and 800 epochs. */
size_t fov_default_batch(const fov_train_facts *facts, size_t largest);
size_t fov_default_epochs(const fov_train_facts *facts, size_t samples);

/* The first backbone of the registry that gives what the objective needs. */
const fov_backbone *fov_objective_backbone(const fov_objective *objective);
/* FOV_E_INVALID, naming the backbones that it can train, when this one does not give what the objective needs. */
FOV_MUST_USE fov_status fov_objective_check_backbone(const fov_objective *objective, const fov_backbone *backbone);

/* Adds the objective's options to a set, over `options` as fov_options_add has them; the set then also tells which names are another method's. */
FOV_MUST_USE fov_status fov_objective_add_options(const fov_objective *objective, fov_option_set *set, const char *heading, void *options);

const fov_objective *fov_objective_at(size_t index);        /* NULL past the end */
const fov_objective *fov_objective_named(const char *name); /* NULL if unknown */
FOV_MUST_USE fov_status fov_objective_find(const char *name, const fov_objective **found); /* names the nearest if unknown */
/* A table of the options of all objectives by name alone, which takes any values: for settings whose method is not known. Every entry writes
 * its value to the start of the struct, at most a pointer. The caller frees the table by fov_mem_free. */
FOV_MUST_USE fov_status fov_objective_option_names(fov_option **table);

#endif
