/* The settings of `fovea pretrain`, declared once. A missing fallback means: chosen from the pictures (setup.c). */
#include <stddef.h>

#include "graph/plan.h"
#include "train/trainer.h"

#define FIELD(name) offsetof(fov_pretrain_settings, name)
#define WORD(text, field, value, about) .name = text, .type = FOV_OPT_STRING, .offset = FIELD(field), .value_name = value, .help = about
#define WHOLE(text, field, value, about) .name = text, .type = FOV_OPT_INT, .offset = FIELD(field), .value_name = value, .help = about
#define NUMBER(text, field, value, about) .name = text, .type = FOV_OPT_REAL, .offset = FIELD(field), .value_name = value, .help = about
#define SWITCH(text, field, about) .name = text, .type = FOV_OPT_FLAG, .offset = FIELD(field), .help = about
#define CHOICE(text, field, value, about) .name = text, .type = FOV_OPT_CHOICE, .offset = FIELD(field), .value_name = value, .help = about

static const char *const stems[] = {"auto", "imagenet", "cifar", NULL};
static const char *const alphas[] = {"white", "black", "drop", NULL};
static const char *const depths[] = {"8", "16", NULL};
static const char *const statistics[] = {"auto", "data", "imagenet", NULL};
static const char *const caches[] = {"auto", "ram", "none", NULL};
static const char *const shrinks[] = {"auto", "none", NULL};

const fov_option fov_pretrain_options[] = {
    {WORD("out", out, "RUN", "folder of the run; made, never overwritten"), .resumable = true},
    {WORD("method", method, "NAME", "what is learned; 'fovea list' names them"), .fallback = "simclr"},
    {WORD("backbone", backbone, "NAME", "network, such as resnet18 or vit_tiny/8")},
    {CHOICE("stem", stem, "KIND", "first layers of a ResNet: cifar keeps the full resolution"), .fallback = "auto", .choices = stems},
    {WHOLE("image-size", image_size, "N", "side of the views in pixels"), .min = 8, .max = 2048},
    {WHOLE("epochs", epochs, "N", "times each picture is seen"), .min = 1, .max = 1e6},
    {WHOLE("steps", steps, "N", "length in steps instead of epochs"), .min = 1, .max = 1e9},
    {NUMBER("hours", hours, "H", "length by time: as many epochs as fit"), .min = 1e-3, .max = 1e5},
    {WHOLE("batch-size", batch_size, "N", "pictures a step"), .min = 1, .max = 65536},
    {WHOLE("micro-batch", micro_batch, "N", "pictures computed at once, to save memory; divides the batch"), .min = 1, .max = 65536},
    {WHOLE("seed", seed, "N", "names all randomness of the run"), .fallback = "0", .min = 0, .max = 9e15},
    {WHOLE("threads", threads, "N", "threads that compute; results do not depend on it"), .min = 1, .max = 1024, .resumable = true},
    {WHOLE("loader-threads", loader_threads, "N", "threads that read pictures"), .min = 1, .max = 1024, .resumable = true},
    {CHOICE("precision", precision, "KIND", "bf16: operands of linear layers' products are rounded to bfloat16, on processors with AVX512-BF16; sums, weights, convolutions and all else stay float32"), .fallback = "float32", .choices = fov_precision_names},
    {WORD("optimizer", optimizer, "NAME", "sgd, adamw or lars")},
    {NUMBER("lr", lr, "X", "peak learning rate, as used (not scaled by the batch)"), .min = 0.0, .max = 1e4},
    {NUMBER("weight-decay", weight_decay, "X", "of weights, not of biases and norms"), .min = 0.0, .max = 10.0},
    {NUMBER("momentum", momentum, "X", "of sgd and lars"), .min = 0.0, .max = 0.9999},
    {NUMBER("warmup-epochs", warmup_epochs, "X", "epochs in which the learning rate rises"), .min = 0.0, .max = 1e6},
    {NUMBER("clip-norm", clip_norm, "X", "largest norm of the gradient, 0 for none"), .min = 0.0, .max = 1e9},
    {NUMBER("ema", ema, "X", "decay of an average of the weights that is written instead, 0 for none"), .fallback = "0", .min = 0.0, .max = 0.99999},
    {WORD("views", views, "RECIPE", "how views are made: a recipe's name, or 'crop(64) flip(0.5) | crop(64)'")},
    {WHOLE("channels", channels, "N", "channels of a picture: 3 for RGB, 1 for grey, else the planes of its file or files"), .fallback = "3", .min = 1, .max = FOV_MAX_CHANNELS},
    {CHOICE("depth", depth, "BITS", "bits of a channel"), .fallback = "8", .choices = depths},
    {WORD("group", group, "RULE", "ends of the names of files that are planes of one picture, such as '_B02,_B03,_B04,_B08'")},
    {CHOICE("stats", stats, "KIND", "mean and std to normalise by: measured, or ImageNet's (auto: for RGB of 8 bits)"), .fallback = "auto", .choices = statistics},
    {WORD("mean", mean, "LIST", "mean of each channel instead, black 0, white 1, such as 0.5,0.4,0.3")},
    {WORD("std", std, "LIST", "standard deviation of each channel, with --mean")},
    {CHOICE("cache", cache, "KIND", "decoded pictures in memory: in ten epochs or more where they fit a quarter of what is free, always, never"), .fallback = "auto", .choices = caches, .resumable = true},
    {CHOICE("shrink", shrink, "KIND", "photos much larger than their views: decoded at 1/2 to 1/8, or always whole and exact"), .fallback = "auto", .choices = shrinks},
    {CHOICE("recompute", recompute, "KIND", "what is computed again in backward to save memory: cheap values, nothing, all inside of blocks; the results are the same bits"), .fallback = "auto", .choices = fov_recompute_names, .resumable = true},
    {WORD("init", init, "RUN|FILE", "weights to start from: a run directory, or a .safetensors file of Fovea, torchvision or timm")},
    {CHOICE("alpha", alpha, "KIND", "what transparent pixels show"), .fallback = "white", .choices = alphas},
    {NUMBER("max-bad", max_bad, "X", "share of bad files that is accepted"), .fallback = "0.2", .min = 0.0, .max = 1.0, .resumable = true},
    {SWITCH("verify", verify, "decode every picture once before the first step"), .fallback = "true", .resumable = true},
    {SWITCH("follow-links", follow_links, "go into folders that are symbolic links"), .fallback = "false"},
    {WHOLE("save-every", save_every, "N", "steps between checkpoints; every two minutes if not given"), .min = 1, .max = 1e9, .resumable = true},
    {WHOLE("log-every", log_every, "N", "steps between lines of metrics.jsonl"), .fallback = "1", .min = 1, .max = 1e9, .resumable = true},
    {WHOLE("keep", keep, "N", "checkpoints that stay"), .fallback = "2", .min = 2, .max = 1e6, .resumable = true},
    {WORD("config", config, "FILE", "read settings from a file, such as another run's config.ini"), .transient = true, .resumable = true},
    {SWITCH("resume", resume, "go on with the run in --out"), .transient = true, .fallback = "false", .resumable = true},
    {SWITCH("strict-resume", strict_resume, "stop if the newest checkpoint is damaged, do not use an older one"), .transient = true, .fallback = "false", .resumable = true},
    {.name = NULL},
};
