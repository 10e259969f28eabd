/* Inside of a plan, shared by plan_layout.c (order, lifetimes, packing), plan_run.c (execution) and plan_describe.c (text). */
#ifndef FOV_GRAPH_PLAN_INTERNAL_H
#define FOV_GRAPH_PLAN_INTERNAL_H

#include "graph/graph_internal.h"
#include "graph/plan.h"

#define FOV_NO_PIECE SIZE_MAX
#define FOV_NO_STEP SIZE_MAX
#define FOV_STEP_KEPT (SIZE_MAX - 1) /* `last` of what stays readable after the run */

typedef enum fov_piece_kind { FOV_PIECE_VALUE, FOV_PIECE_GRAD, FOV_PIECE_STASH, FOV_PIECE_WORK } fov_piece_kind;

/* A range of the block, in use during steps first..last (both inclusive). */
typedef struct fov_piece {
    fov_piece_kind kind;
    uint32_t node;
    size_t offset, bytes; /* multiples of FOV_ALIGN */
    size_t first, last;
} fov_piece;

typedef struct fov_plan_node {
    uint32_t root; /* itself, or where a chain of alias ops starts: the node whose bytes and gradient these are */
    bool active;   /* outputs or loss depend on it */
    bool wants;    /* has a gradient: some trainable parameter with room for gradients lies below */
    bool reached;  /* the loss's gradient comes here */
    bool kept;     /* an output or the loss */
    size_t forward_step, backward_step;
    size_t last_use;           /* of a root's value, over forward and backward */
    size_t grad_first;         /* of a root: first backward step that writes its gradient */
    size_t value, grad, stash; /* pieces; value and grad of roots */
    const void *bound;         /* of an input: the caller's memory */
} fov_plan_node;

typedef struct fov_plan_step {
    const fov_node *node;
    bool backward;
    size_t work, worker_work; /* pieces */
    bool accumulate[FOV_MAX_INPUTS];
    double microseconds;
} fov_plan_step;

struct fov_plan {
    fov_arena arena;
    fov_graph *graph;
    fov_pool *pool;
    fov_node *loss; /* NULL: forward only */
    fov_plan_options options;
    size_t node_count;
    fov_plan_node *nodes;
    size_t step_count, forward_count;
    fov_plan_step *steps;
    size_t piece_count;
    fov_piece *pieces;
    unsigned char *block;
    size_t block_bytes, separate_bytes; /* with packing; if every piece had its own bytes */
    fov_store **stores;                 /* whose gradients a run zeroes */
    size_t store_count;
    bool timed, ran;
};

/* Fills everything but the block. */
FOV_MUST_USE fov_status fov_plan_layout(fov_plan *plan, fov_node *const *outputs, size_t output_count);

/* Gives each piece its offset; returns the bytes needed. `placed` has room for `count` pointers. */
size_t fov_plan_pack(fov_piece *pieces, size_t count, bool reuse, fov_piece **placed);

#endif
