/* LARS (You et al. 2017) as MoCo v3 and Barlow Twins use it: for tensors of more than one dimension the decayed gradient is scaled by
 * eta |w| / |g + wd w| (1 when either norm is 0), then momentum; vectors (norms, biases) get plain momentum at the same lr. */
#include "train/optimizer.h"

static double ratio(const fov_update *u, const fov_param *param, double weight_norm, double grad_norm) {
    if (param->shape.rank <= 1 || weight_norm == 0.0 || grad_norm == 0.0) {
        return 1.0;
    }
    return u->settings->trust * weight_norm / grad_norm;
}

extern const fov_optimizer fov_optimizer_lars;
const fov_optimizer fov_optimizer_lars = {.name = "lars",
                                          .summary = "momentum with a step per layer in proportion to its weights, for large batches",
                                          .slots = 1,
                                          .layerwise = true,
                                          .ratio = ratio,
                                          .apply = fov_momentum_apply};
