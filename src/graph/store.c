/* The flat store of parameters.
 *
 * Parameters are collected first and laid out at commit: trainable ones, then frozen ones, then buffers, each in order of adding, at
 * offsets of whole 64-byte lines in float. Lookup compares 64-bit hashes before names: models have a few hundred parameters, so a scan is
 * enough. */
#include "graph/store.h"

#include <math.h>
#include <string.h>

#include "base/arena.h"
#include "base/checked.h"
#include "base/hash.h"
#include "base/rng.h"

#define OFFSET_UNIT 16 /* elements */

struct fov_store {
    fov_arena arena; /* parameters and their names */
    fov_param **params;
    uint64_t *hashes;
    size_t count, capacity;
    fov_real *values, *grads;
    size_t total, trainable;
    bool committed;
};

fov_status fov_store_new(fov_store **store) {
    *store = fov_mem_zalloc(FOV_MEM_GRAPH, sizeof **store);
    FOV_TRY_ALLOC(*store);
    fov_arena_init(&(*store)->arena, FOV_MEM_GRAPH, 0);
    return FOV_OK;
}

void fov_store_free(fov_store *store) {
    if (store == NULL) {
        return;
    }
    fov_arena_clear(&store->arena);
    fov_mem_free(store->params);
    fov_mem_free(store->hashes);
    fov_mem_free(store->values);
    fov_mem_free(store->grads);
    fov_mem_free(store);
}

fov_param *fov_store_find(const fov_store *store, const char *name) {
    const uint64_t hash = fov_hash_text(name);
    for (size_t i = 0; i < store->count; i++) {
        if (store->hashes[i] == hash && strcmp(store->params[i]->name, name) == 0) {
            return store->params[i];
        }
    }
    return NULL;
}

static fov_status grow(fov_store *store) {
    if (store->count < store->capacity) {
        return FOV_OK;
    }
    const size_t capacity = store->capacity == 0 ? 64 : store->capacity * 2;
    fov_param **params = fov_mem_realloc(FOV_MEM_GRAPH, store->params, capacity * sizeof(fov_param *));
    FOV_TRY_ALLOC(params);
    store->params = params;
    uint64_t *hashes = fov_mem_realloc(FOV_MEM_GRAPH, store->hashes, capacity * sizeof(uint64_t));
    FOV_TRY_ALLOC(hashes);
    store->hashes = hashes;
    store->capacity = capacity;
    return FOV_OK;
}

fov_status fov_store_add(fov_store *store, const char *name, fov_shape shape, fov_param_spec spec, fov_param **param) {
    FOV_ASSERT(!store->committed);
    size_t count = 0, bytes = 0;
    if (!fov_product_size(shape.dim, shape.rank, &count) || !fov_mul_size(count, sizeof(fov_real), &bytes)) {
        char text[128];
        return FOV_FAIL(FOV_E_LIMIT, "parameter \"%s\" of shape %s is too large", name, fov_shape_text(&shape, text, sizeof text));
    }
    FOV_TRY(grow(store));
    fov_param *added = fov_arena_alloc(&store->arena, sizeof *added);
    FOV_TRY_ALLOC(added);
    added->name = fov_arena_strdup(&store->arena, name);
    FOV_TRY_ALLOC(added->name);
    added->shape = shape;
    added->spec = spec;
    added->count = count;
    store->params[store->count] = added;
    store->hashes[store->count] = fov_hash_text(name);
    store->count++;
    *param = added;
    return FOV_OK;
}

static fov_status place_role(fov_store *store, fov_param_role role, size_t *end) {
    for (size_t i = 0; i < store->count; i++) {
        fov_param *param = store->params[i];
        if (param->spec.role != role) {
            continue;
        }
        param->offset = *end;
        size_t next = 0;
        if (!fov_add_size(*end, param->count, &next) || !fov_round_up(next, OFFSET_UNIT, end)) {
            return FOV_FAIL(FOV_E_LIMIT, "the parameters together are too large (at \"%s\")", param->name);
        }
    }
    return FOV_OK;
}

fov_status fov_store_commit(fov_store *store, bool with_grads) {
    FOV_ASSERT(!store->committed);
    size_t end = 0;
    FOV_TRY(place_role(store, FOV_PARAM_TRAINABLE, &end));
    store->trainable = end;
    FOV_TRY(place_role(store, FOV_PARAM_FROZEN, &end));
    FOV_TRY(place_role(store, FOV_PARAM_BUFFER, &end));
    FOV_TRY(place_role(store, FOV_PARAM_COUNTER, &end));
    store->total = end;
    store->values = fov_mem_array(FOV_MEM_GRAPH, store->total, sizeof(fov_real));
    FOV_TRY_ALLOC(store->values);
    if (with_grads) {
        store->grads = fov_mem_array(FOV_MEM_GRAPH, store->trainable, sizeof(fov_real));
        FOV_TRY_ALLOC(store->grads);
    }
    store->committed = true;
    return FOV_OK;
}

bool fov_store_committed(const fov_store *store) {
    return store->committed;
}

size_t fov_store_size(const fov_store *store) {
    return store->count;
}

fov_param *fov_store_at(const fov_store *store, size_t index) {
    FOV_ASSERT(index < store->count);
    return store->params[index];
}

fov_real *fov_store_values(const fov_store *store) {
    return store->values;
}

fov_real *fov_store_grads(const fov_store *store) {
    return store->grads;
}

size_t fov_store_total(const fov_store *store) {
    return store->total;
}

size_t fov_store_trainable(const fov_store *store) {
    return store->trainable;
}

uint64_t fov_store_parameters(const fov_store *store) {
    uint64_t sum = 0;
    for (size_t i = 0; i < store->count; i++) {
        const fov_param *param = store->params[i];
        if (param->spec.role == FOV_PARAM_TRAINABLE || param->spec.role == FOV_PARAM_FROZEN) {
            sum += param->count;
        }
    }
    return sum;
}

fov_real *fov_param_values(const fov_store *store, const fov_param *param) {
    FOV_ASSERT(store->committed);
    return store->values + param->offset;
}

fov_real *fov_param_grads(const fov_store *store, const fov_param *param) {
    FOV_ASSERT(store->committed);
    return param->spec.role == FOV_PARAM_TRAINABLE && store->grads != NULL ? store->grads + param->offset : NULL;
}

bool fov_param_decays(const fov_param *param) {
    const size_t length = strlen(param->name);
    const bool bias = strcmp(param->name, "bias") == 0 || (length >= 5 && strcmp(param->name + length - 5, ".bias") == 0);
    return param->spec.role == FOV_PARAM_TRAINABLE && !param->spec.no_decay && !bias && param->shape.rank > 1;
}

/* One number of a random kind. */
static double draw(fov_rng *rng, const fov_param_spec *spec) {
    if (spec->init == FOV_INIT_UNIFORM) {
        return fov_rng_range(rng, -spec->a, spec->a);
    }
    double x = spec->a * fov_rng_normal(rng);
    while (spec->init == FOV_INIT_TRUNC_NORMAL && fabs(x) > 2.0) {
        x = spec->a * fov_rng_normal(rng);
    }
    return x;
}

static void initialize(const fov_store *store, const fov_param *param, uint64_t seed) {
    fov_real *values = fov_param_values(store, param);
    const fov_param_spec *spec = &param->spec;
    if (spec->init == FOV_INIT_FUNCTION) {
        spec->fill(values, &param->shape, spec->a);
        return;
    }
    fov_rng rng;
    fov_rng_init(&rng, seed, 0, fov_hash_text(param->name), 0, FOV_RNG_INIT);
    for (size_t i = 0; i < param->count; i++) {
        const bool constant = spec->init == FOV_INIT_ZERO || spec->init == FOV_INIT_ONE;
        values[i] = constant ? (fov_real)(spec->init == FOV_INIT_ONE) : (fov_real)draw(&rng, spec);
    }
}

typedef struct initialization {
    const fov_store *store;
    uint64_t seed;
} initialization;

/* From the last parameter on: networks grow towards their end, and what is large should not come last. */
static void initialize_chunk(void *context, size_t chunk, unsigned worker) {
    const initialization *job = context;
    (void)worker;
    initialize(job->store, job->store->params[job->store->count - 1 - chunk], job->seed);
}

void fov_store_initialize(fov_store *store, uint64_t seed, fov_pool *pool) {
    fov_pool_for(pool, store->count, initialize_chunk, &(initialization){store, seed});
}
