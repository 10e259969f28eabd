/* Stochastic gradient descent with momentum, as PyTorch computes it: g += wd w; m = mu m + g; w -= lr m. */
#include "train/optimizer.h"

void fov_momentum_apply(const fov_update *u) {
    const fov_momentum_constants c = {.lr = (fov_real)u->lr,
                                      .weight_decay = (fov_real)u->decay,
                                      .momentum = (fov_real)u->settings->momentum,
                                      .ratio = (fov_real)u->ratio,
                                      .g_scale = (fov_real)u->g_scale};
    u->k->momentum_step(u->values, u->grads, u->slot[0], &c, u->count);
}

extern const fov_optimizer fov_optimizer_sgd;
const fov_optimizer fov_optimizer_sgd = {
    .name = "sgd", .summary = "stochastic gradient descent with momentum", .slots = 1, .apply = fov_momentum_apply};
