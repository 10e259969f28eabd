/* SimCLR (Chen et al. 2020): two views of each picture must find each other among all views of the batch (NT-Xent).
 *
 * Defaults are those of small data and small batches: a two-layer projector with batch-norm, SGD with momentum (AdamW for a ViT, on which
 * large-batch optimizers are known to collapse), lr linear in the batch. Blur and the full colour strength of the paper are for pictures
 * over 64 px; small ones have little fine detail to lose. */
#include <math.h>
#include <stddef.h>

#include "base/error.h"
#include "objectives/objective.h"

typedef struct simclr_options {
    double temperature, strength, crop_min, blur;
    int64_t hidden, out, layers;
} simclr_options;

#define FIELD(name) offsetof(simclr_options, name)

static const fov_option table[] = {
    {.name = "temperature", .type = FOV_OPT_REAL, .offset = FIELD(temperature), .value_name = "T", .help = "divides the similarities", .fallback = "0.2", .min = 1e-3, .max = 100.0},
    {.name = "strength", .type = FOV_OPT_REAL, .offset = FIELD(strength), .value_name = "S", .help = "strength of colour jitter, 1 as in the paper", .min = 0.0, .max = 1.25},
    {.name = "crop-min", .type = FOV_OPT_REAL, .offset = FIELD(crop_min), .value_name = "A", .help = "smallest share of the picture's area that a view shows", .fallback = "0.08", .min = 1e-3, .max = 1.0},
    {.name = "blur", .type = FOV_OPT_REAL, .offset = FIELD(blur), .value_name = "P", .help = "probability of Gaussian blur", .min = 0.0, .max = 1.0},
    {.name = "projector-hidden", .type = FOV_OPT_INT, .offset = FIELD(hidden), .value_name = "N", .help = "units of the projector's hidden layers", .min = 1, .max = 65536},
    {.name = "projector-out", .type = FOV_OPT_INT, .offset = FIELD(out), .value_name = "N", .help = "dimensions that are compared", .fallback = "128", .min = 2, .max = 65536},
    {.name = "projector-layers", .type = FOV_OPT_INT, .offset = FIELD(layers), .value_name = "N", .help = "linear layers of the projector", .fallback = "2", .min = 1, .max = 8},
    {.name = NULL},
};

/* Fields without a fallback start below their bounds: the user has not set them. */
static void prepare(void *options) {
    simclr_options *o = options;
    o->strength = -1.0;
    o->blur = -1.0;
}

static void choose(void *options, const fov_train_facts *facts) {
    simclr_options *o = options;
    const bool small = facts->spec->image_size <= 64;
    if (o->strength < 0.0) {
        o->strength = small ? 0.5 : 1.0;
    }
    if (o->blur < 0.0) {
        o->blur = small ? 0.0 : 0.5;
    }
    if (o->hidden == 0) {
        o->hidden = (int64_t)facts->spec->backbone->width;
    }
}

static void defaults(const void *options, const fov_train_facts *facts, fov_train_defaults *d) {
    (void)options;
    d->batch_size = facts->batch_size > 0 ? facts->batch_size : fov_default_batch(facts, 256);
    d->epochs = fov_default_epochs(facts, 1000000);
    d->momentum = 0.9;
    d->beta1 = 0.9;
    d->beta2 = 0.999;
    const double epochs = facts->epochs > 0 ? (double)facts->epochs : (double)d->epochs;
    d->warmup_epochs = fmin(10.0, epochs / 10.0);
    if ((facts->spec->backbone->gives & FOV_GIVES_TOKENS) != 0) {
        d->optimizer = "adamw";
        d->lr = 5e-4 * (double)d->batch_size / 256.0;
        d->weight_decay = 0.05;
        d->clip_norm = 3.0;
    } else {
        d->optimizer = "sgd";
        d->lr = 0.06 * (double)d->batch_size / 128.0;
        d->weight_decay = 5e-4;
        d->clip_norm = 0.0;
    }
}

static fov_status check(const fov_objective_context *context) {
    if (context->batch_size < 2) {
        return FOV_FAIL(FOV_E_INVALID, "simclr compares the pictures of a batch (--batch-size, --micro-batch): %zu is too few, it takes at least 2", context->batch_size);
    }
    return FOV_OK;
}

static void views(const void *options, const fov_train_facts *facts, fov_text *text) {
    const simclr_options *o = options;
    const double s = o->strength;
    for (int view = 0; view < 2; view++) {
        fov_text_printf(text, "%scrop(%zu,%g,1,bicubic) flip(0.5)", view == 0 ? "" : " | ", facts->spec->image_size, o->crop_min);
        if (s > 0.0) {
            fov_text_printf(text, " jitter(0.8,%g,%g,%g,%g) gray(0.2)", 0.8 * s, 0.8 * s, 0.8 * s, 0.2 * s);
        }
        if (o->blur > 0.0) {
            fov_text_printf(text, " blur(%g,0.1,2)", o->blur);
        }
    }
}

static fov_node *build(fov_graph *g, const fov_objective_context *context) {
    const simclr_options *o = context->options;
    fov_node *x = fov_objective_view(g, context, 2);
    fov_node *h = context->spec->backbone->build(g, context->spec, x, NULL).features;
    fov_graph_push(g, "head");
    const fov_mlp_args projector = {.layers = (size_t)o->layers, .hidden = (size_t)o->hidden, .out = (size_t)o->out, .hidden_norm = true};
    fov_node *z = fov_mlp_head(g, h, &projector);
    fov_graph_pop(g);
    return fov_nt_xent(g, fov_l2norm(g, z, 1e-12), o->temperature);
}

/* Chance level is log(2N - 1); random weights start at it or, since views of one picture look alike, below. */
static void start_loss(const fov_objective_context *context, double *low, double *high) {
    *high = log(2.0 * (double)context->batch_size - 1.0) + 1.0;
    *low = 0.2 * *high;
}

extern const fov_objective fov_objective_simclr;
const fov_objective fov_objective_simclr = {
    .name = "simclr",
    .summary = "contrastive: two views of a picture find each other in the batch",
    .source = "Chen et al. 2020, A Simple Framework for Contrastive Learning of Visual Representations",
    .options = table,
    .options_size = sizeof(simclr_options),
    .prepare = prepare,
    .choose = choose,
    .defaults = defaults,
    .check = check,
    .views = views,
    .view_options = (const char *const[]){"strength", "crop-min", "blur", NULL},
    .build = build,
    .start_loss = start_loss,
};
