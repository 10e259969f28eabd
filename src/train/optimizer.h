/* Optimizers: how gradients move weights. One file each, one line in optimizers.def. Order of operations as in RECIPES of their sources:
 * PyTorch for sgd and adamw, MoCo v3 and Barlow Twins for lars. */
#ifndef FOV_TRAIN_OPTIMIZER_H
#define FOV_TRAIN_OPTIMIZER_H

#include "base/pool.h"
#include "graph/store.h"
#include "kernels/kernels.h"

#define FOV_MAX_SLOTS 2

typedef struct fov_optimizer_settings {
    double weight_decay; /* of parameters that decay (fov_param_decays) */
    double momentum, beta1, beta2, eps, trust; /* trust: eta of LARS */
} fov_optimizer_settings;

/* What one parameter's update needs. Pointers are at the parameter's first element. */
typedef struct fov_update {
    const fov_kernels *k;
    fov_real *values;
    const fov_real *grads;
    fov_real *slot[FOV_MAX_SLOTS];
    size_t count;
    double lr, g_scale;
    double decay;    /* weight_decay, or 0 where the parameter is excluded */
    double ratio;    /* as `ratio` returned it, else 1 */
    uint64_t t;      /* 1 for the first update */
    const fov_optimizer_settings *settings;
} fov_update;

typedef struct fov_optimizer {
    const char *name, *summary;
    unsigned slots; /* blocks of state as long as the trainable prefix, zero at the start */
    bool layerwise; /* needs the norms of each weight and its decayed gradient first */
    /* Trust ratio of a parameter from those norms. NULL unless layerwise. */
    double (*ratio)(const fov_update *update, const fov_param *param, double weight_norm, double grad_norm);
    /* Updates `count` elements; called on pieces of a parameter, from any thread. */
    void (*apply)(const fov_update *update);
} fov_optimizer;

const fov_optimizer *fov_optimizer_at(size_t index);        /* NULL past the end */
const fov_optimizer *fov_optimizer_named(const char *name); /* NULL if unknown */
FOV_MUST_USE fov_status fov_optimizer_find(const char *name, const fov_optimizer **found); /* names the nearest if unknown */

/* Momentum with the update's ratio: `apply` of sgd (ratio 1) and lars. Slot 0 is the momentum. */
void fov_momentum_apply(const fov_update *update);

/* Weights, gradients and state of a run. */
typedef struct fov_optimizer_state {
    const fov_optimizer *optimizer;
    fov_optimizer_settings settings;
    fov_store *store;               /* borrowed; committed with gradients */
    fov_real *slot[FOV_MAX_SLOTS];  /* owned, fov_store_trainable elements each */
    double *ratios;                 /* owned, one per parameter of the store */
    struct fov_optimizer_piece *pieces; /* owned: where trainable parameters are cut, a chunk of work each */
    size_t piece_count;
} fov_optimizer_state;

FOV_MUST_USE fov_status fov_optimizer_init(fov_optimizer_state *state, const fov_optimizer *optimizer, const fov_optimizer_settings *settings,
                                           fov_store *store);
void fov_optimizer_clear(fov_optimizer_state *state);

/* An average to move along with the weights: average = decay average + (1 - decay) weights, over the trainable prefix. */
typedef struct fov_average {
    fov_real *values; /* NULL: none */
    double decay;
} fov_average;

/* One update: w <- step(w, g_scale * g), then the average, piece by piece while it is in cache. t counts updates from 1. */
void fov_optimizer_step(fov_optimizer_state *state, double lr, double g_scale, uint64_t t, fov_average average, fov_pool *pool);
/* Euclidean norm of all gradients, in double, summed in fixed pieces; NaN or infinite when any gradient is. */
double fov_gradient_norm(const fov_store *store, fov_pool *pool);

#endif
