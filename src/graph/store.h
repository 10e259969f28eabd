/* The flat store of parameters: one block of values, one of gradients, and a table of names.
 *
 * Names are torchvision's and timm's. Trainable parameters come first in the flat blocks, so that an optimizer step, EMA or a
 * gradient norm is one pass over a prefix; frozen parameters and buffers (running statistics) follow. */
#ifndef FOV_GRAPH_STORE_H
#define FOV_GRAPH_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/pool.h"
#include "base/real.h"

#define FOV_MAX_RANK 5

typedef struct fov_shape {
    unsigned rank; /* 0: a scalar */
    size_t dim[FOV_MAX_RANK];
} fov_shape;

#define FOV_SHAPE(...) fov_shape_make((const size_t[]){__VA_ARGS__}, sizeof((const size_t[]){__VA_ARGS__}) / sizeof(size_t))
fov_shape fov_shape_make(const size_t *dims, size_t rank);
size_t fov_shape_count(const fov_shape *shape); /* product; infer has checked that it fits */
bool fov_shape_equal(const fov_shape *a, const fov_shape *b);
/* "[2, 64, 64, 3]"; text holds at least 128 bytes. Returns text. */
const char *fov_shape_text(const fov_shape *shape, char *text, size_t size);

typedef enum fov_param_role {
    FOV_PARAM_TRAINABLE,
    FOV_PARAM_FROZEN,  /* saved and loaded, never updated (fixed position embedding) */
    FOV_PARAM_BUFFER,  /* running statistics: written by forward in training */
    FOV_PARAM_COUNTER  /* num_batches_tracked: one number, an I64 scalar in files */
} fov_param_role;

typedef enum fov_layout {
    FOV_LAYOUT_PLAIN,
    FOV_LAYOUT_CONV /* held as [out, kh, kw, in]; files and PyTorch have [out, in, kh, kw] */
} fov_layout;

typedef enum fov_init_kind {
    FOV_INIT_ZERO,
    FOV_INIT_ONE,
    FOV_INIT_NORMAL,       /* N(0, a) */
    FOV_INIT_TRUNC_NORMAL, /* N(0, a) redrawn until |x| <= 2 (absolute, as timm's trunc_normal_) */
    FOV_INIT_UNIFORM,      /* U(-a, a) */
    FOV_INIT_FUNCTION      /* fill(values, shape, context a) */
} fov_init_kind;

typedef void (*fov_fill_fn)(fov_real *values, const fov_shape *shape, double a);

typedef struct fov_param_spec {
    fov_param_role role;
    fov_layout layout;
    fov_init_kind init;
    double a;
    fov_fill_fn fill;
    bool no_decay; /* excluded from weight decay whatever its rank. Rank <= 1 and names ending ".bias" are excluded anyway */
    int layer;     /* index for layer-wise decay, 0 = embedding */
} fov_param_spec;

typedef struct fov_param {
    const char *name;
    fov_shape shape;
    fov_param_spec spec;
    size_t offset, count; /* in elements of the flat blocks; offsets are multiples of 16 */
} fov_param;

typedef struct fov_store fov_store;

FOV_MUST_USE fov_status fov_store_new(fov_store **store);
void fov_store_free(fov_store *store); /* takes NULL */

/* Finds by full name; NULL if absent. */
fov_param *fov_store_find(const fov_store *store, const char *name);
/* Adds; the caller checked that the name is new. Not after commit. Pointers stay valid for the life of the store. */
FOV_MUST_USE fov_status fov_store_add(fov_store *store, const char *name, fov_shape shape, fov_param_spec spec, fov_param **param);
/* Lays out and allocates values (zeroed) and, when `with_grads`, gradients of the trainable prefix. Called once. */
FOV_MUST_USE fov_status fov_store_commit(fov_store *store, bool with_grads);
bool fov_store_committed(const fov_store *store);

size_t fov_store_size(const fov_store *store);                  /* parameters */
fov_param *fov_store_at(const fov_store *store, size_t index);  /* in order of adding */
fov_real *fov_store_values(const fov_store *store);             /* the flat block */
fov_real *fov_store_grads(const fov_store *store);              /* flat, trainable prefix only; NULL without gradients */
size_t fov_store_total(const fov_store *store);                 /* elements in the flat block, padding included */
size_t fov_store_trainable(const fov_store *store);             /* elements in its trainable prefix, padding included */
uint64_t fov_store_parameters(const fov_store *store);          /* sum of counts of trainable and frozen ones, as papers count */
fov_real *fov_param_values(const fov_store *store, const fov_param *param);
fov_real *fov_param_grads(const fov_store *store, const fov_param *param); /* NULL if not trainable or no gradients */
bool fov_param_decays(const fov_param *param);

/* Random initialisation by each spec; a parameter's numbers depend on (seed, its name) alone. */
void fov_store_initialize(fov_store *store, uint64_t seed, fov_pool *pool);

#endif
