/* The registry of optimizers, and the walk over parameters that they share. Sums run over pieces of fixed length, so that they do not depend
 * on how many threads there are. Decay follows the parameter: none for biases and norms. */
#include "train/optimizer.h"

#include <math.h>
#include <string.h>

#include "base/registry.h"

#define FOV_ENTRY(name) extern const fov_optimizer fov_optimizer_##name;
#include "optimizers.inc"
#undef FOV_ENTRY

static const fov_optimizer *const optimizers[] = {
#define FOV_ENTRY(name) &fov_optimizer_##name,
#include "optimizers.inc"
#undef FOV_ENTRY
};

FOV_REGISTRY_LOOKUP(optimizer, optimizers)
FOV_REGISTRY_FIND(optimizer, "optimizer", "fovea list", optimizers)

#define PIECE 32768 /* elements; 128 KiB of each block stay in L2 while a piece is worked on */

/* A part of a parameter. */
typedef struct fov_optimizer_piece {
    size_t param, first, count;
} fov_optimizer_piece;

static fov_status cut_parameters(fov_optimizer_state *state) {
    const size_t most = fov_store_trainable(state->store) / PIECE + fov_store_size(state->store) + 1;
    state->pieces = fov_mem_array(FOV_MEM_TRAIN, most, sizeof *state->pieces);
    FOV_TRY_ALLOC(state->pieces);
    for (size_t p = 0; p < fov_store_size(state->store); p++) {
        const fov_param *param = fov_store_at(state->store, p);
        for (size_t first = 0; first < param->count && param->spec.role == FOV_PARAM_TRAINABLE; first += PIECE) {
            const size_t left = param->count - first;
            state->pieces[state->piece_count++] = (fov_optimizer_piece){.param = p, .first = first, .count = left < PIECE ? left : PIECE};
        }
    }
    return FOV_OK;
}

fov_status fov_optimizer_init(fov_optimizer_state *state, const fov_optimizer *optimizer, const fov_optimizer_settings *settings,
                              fov_store *store) {
    *state = (fov_optimizer_state){.optimizer = optimizer, .settings = *settings, .store = store};
    state->ratios = fov_mem_array(FOV_MEM_TRAIN, fov_store_size(store) + 1, sizeof *state->ratios);
    bool complete = state->ratios != NULL && cut_parameters(state) == FOV_OK;
    for (unsigned s = 0; s < optimizer->slots && complete; s++) {
        state->slot[s] = fov_mem_array(FOV_MEM_TRAIN, fov_store_trainable(store), sizeof(fov_real));
        complete = state->slot[s] != NULL;
    }
    if (!complete) {
        fov_optimizer_clear(state);
        return FOV_E_NOMEM;
    }
    return FOV_OK;
}

void fov_optimizer_clear(fov_optimizer_state *state) {
    fov_mem_free(state->ratios);
    fov_mem_free(state->pieces);
    for (unsigned s = 0; s < FOV_MAX_SLOTS; s++) {
        fov_mem_free(state->slot[s]);
    }
    *state = (fov_optimizer_state){0};
}

typedef struct walk {
    fov_optimizer_state *state;
    double lr, g_scale;
    uint64_t t;
    fov_average average;
} walk;

static fov_update update_of(const walk *w, const fov_param *param, size_t first, size_t count) {
    fov_optimizer_state *state = w->state;
    const size_t at = param->offset + first;
    fov_update update = {.k = fov_kernels_get(),
                         .values = fov_store_values(state->store) + at,
                         .grads = fov_store_grads(state->store) + at,
                         .count = count,
                         .lr = w->lr,
                         .g_scale = w->g_scale,
                         .decay = fov_param_decays(param) ? state->settings.weight_decay : 0.0,
                         .ratio = 1.0,
                         .t = w->t,
                         .settings = &state->settings};
    for (unsigned s = 0; s < state->optimizer->slots; s++) {
        update.slot[s] = state->slot[s] + at;
    }
    return update;
}

/* One parameter: its norms in fixed pieces, then its trust ratio. */
static void find_ratio(void *context, size_t index, unsigned worker) {
    (void)worker;
    const walk *w = context;
    const fov_param *param = fov_store_at(w->state->store, index);
    w->state->ratios[index] = 1.0;
    if (param->spec.role != FOV_PARAM_TRAINABLE) {
        return;
    }
    double weights = 0.0, grads = 0.0;
    for (size_t first = 0; first < param->count; first += PIECE) {
        const size_t count = param->count - first < PIECE ? param->count - first : PIECE;
        const fov_update update = update_of(w, param, first, count);
        weights += update.k->sum_squares(update.values, count);
        grads += update.k->decayed_squares(update.grads, update.values, (fov_real)update.g_scale, (fov_real)update.decay, count);
    }
    const fov_update whole = update_of(w, param, 0, param->count);
    w->state->ratios[index] = w->state->optimizer->ratio(&whole, param, sqrt(weights), sqrt(grads));
}

static void update_piece(void *context, size_t index, unsigned worker) {
    (void)worker;
    const walk *w = context;
    const fov_optimizer_piece *piece = &w->state->pieces[index];
    const fov_param *param = fov_store_at(w->state->store, piece->param);
    fov_update update = update_of(w, param, piece->first, piece->count);
    update.ratio = w->state->ratios[piece->param];
    w->state->optimizer->apply(&update);
    if (w->average.values != NULL) {
        update.k->ema_step(w->average.values + param->offset + piece->first, update.values, (fov_real)w->average.decay, piece->count);
    }
}

void fov_optimizer_step(fov_optimizer_state *state, double lr, double g_scale, uint64_t t, fov_average average, fov_pool *pool) {
    walk w = {.state = state, .lr = lr, .g_scale = g_scale, .t = t, .average = average};
    const size_t count = fov_store_size(state->store);
    for (size_t i = 0; i < count; i++) {
        state->ratios[i] = 1.0;
    }
    if (state->optimizer->layerwise) {
        fov_pool_for(pool, count, find_ratio, &w);
    }
    fov_pool_for(pool, state->piece_count, update_piece, &w);
}

#define NORM_CHUNKS 64

typedef struct norm_sums {
    const fov_real *grads;
    size_t count;
    double sum[NORM_CHUNKS];
} norm_sums;

static void add_squares(void *context, size_t chunk, unsigned worker) {
    (void)worker;
    norm_sums *sums = context;
    const size_t length = (sums->count + NORM_CHUNKS - 1) / NORM_CHUNKS, first = chunk * length;
    const size_t count = first >= sums->count ? 0 : sums->count - first < length ? sums->count - first : length;
    sums->sum[chunk] = count == 0 ? 0.0 : fov_kernels_get()->sum_squares(sums->grads + first, count);
}

double fov_gradient_norm(const fov_store *store, fov_pool *pool) {
    norm_sums sums = {.grads = fov_store_grads(store), .count = fov_store_trainable(store)};
    fov_pool_for(pool, NORM_CHUNKS, add_squares, &sums);
    double total = 0.0;
    for (size_t i = 0; i < NORM_CHUNKS; i++) {
        total += sums.sum[i];
    }
    return sqrt(total);
}
