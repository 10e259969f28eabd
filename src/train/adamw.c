/* AdamW (Loshchilov and Hutter 2017) as PyTorch computes it: decay first, apart from the moments. */
#include <math.h>

#include "train/optimizer.h"

static void apply(const fov_update *u) {
    const double t = (double)u->t;
    const fov_adamw_constants c = {.lr = (fov_real)u->lr,
                                   .weight_decay = (fov_real)u->decay,
                                   .beta1 = (fov_real)u->settings->beta1,
                                   .beta2 = (fov_real)u->settings->beta2,
                                   .eps = (fov_real)u->settings->eps,
                                   .correction1 = (fov_real)(1.0 / (1.0 - pow(u->settings->beta1, t))),
                                   .correction2 = (fov_real)(1.0 / sqrt(1.0 - pow(u->settings->beta2, t))),
                                   .g_scale = (fov_real)u->g_scale};
    u->k->adamw_step(u->values, u->grads, u->slot[0], u->slot[1], &c, u->count);
}

extern const fov_optimizer fov_optimizer_adamw;
const fov_optimizer fov_optimizer_adamw = {
    .name = "adamw", .summary = "Adam with decoupled weight decay, for transformers", .slots = 2, .apply = apply};
