/* Inside of a plan, shared by plan_layout.c (order, lifetimes, packing), plan_recompute.c (what is not kept), plan_gradient.c, plan_join.c
 * (steps that run passes of each other), plan_run.c (execution) and plan_describe.c (text). */
#ifndef FOV_GRAPH_PLAN_INTERNAL_H
#define FOV_GRAPH_PLAN_INTERNAL_H

#include "graph/graph_internal.h"
#include "graph/plan.h"

#define FOV_NO_PIECE SIZE_MAX
#define FOV_NO_STEP SIZE_MAX
#define FOV_STEP_KEPT (SIZE_MAX - 1) /* `last` of what stays readable after the run */

typedef enum fov_piece_kind { FOV_PIECE_VALUE, FOV_PIECE_GRAD, FOV_PIECE_STASH, FOV_PIECE_WORK } fov_piece_kind;

/* What happens to a value between its last reader in forward and its first in backward. */
typedef enum fov_plan_drop {
    FOV_DROP_NOT,   /* it stays where it is */
    FOV_DROP_AGAIN, /* rebuilt by the op's `again` from a stash that stays */
    FOV_DROP_RERUN  /* rebuilt with its stash by running forward once more */
} fov_plan_drop;

/* A range of the block, in use during steps first..last (both inclusive). */
typedef struct fov_piece {
    fov_piece_kind kind;
    uint32_t node;
    size_t offset, bytes; /* multiples of FOV_ALIGN */
    size_t first, last;
} fov_piece;

typedef struct fov_plan_node {
    uint32_t root; /* itself, where a chain of alias ops starts, or the parameter's first node: whose bytes and gradient these are */
    bool active;   /* outputs or loss depend on it */
    bool wants;    /* has a gradient: some trainable parameter with room for gradients lies below */
    bool reached;  /* the loss's gradient comes here */
    bool kept;     /* an output or the loss */
    bool late;     /* of a root: some backward step reads the value */
    fov_plan_drop drop;
    unsigned depth; /* plan_recompute.c */
    size_t forward_step, backward_step;
    size_t again_step;               /* where the dropped value is rebuilt; FOV_NO_STEP when nobody asks for it */
    size_t last_use;                 /* of a root's value, over forward and, unless it is rebuilt, backward */
    size_t last_late;                /* of a root's rebuilt value */
    size_t grad_first;               /* of a root: first backward step that writes its gradient */
    size_t grad_second;              /* of a root: first step that adds to it; FOV_NO_STEP none */
    size_t value, grad, stash;       /* pieces; value and grad of roots */
    size_t value_again, stash_again; /* pieces of what is rebuilt; FOV_NO_PIECE where value and stash serve */
    const void *bound;               /* of an input: the caller's memory */
} fov_plan_node;

typedef struct fov_plan_step {
    const fov_node *node;
    bool backward;
    fov_plan_drop again;                 /* rebuilds the node's value, how */
    bool first_done;                     /* the step before runs its first pass */
    size_t left_to;                      /* the step that runs its last pass; FOV_NO_STEP: itself */
    bool read_later;                     /* and others read its result as well */
    size_t before, rebuilt;              /* whose last pass this one runs, to make its operand or residual, or input 0 again */
    size_t work, worker_work, grad_work; /* pieces */
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
    size_t block_bytes, packed_bytes, separate_bytes; /* as it is; with packing; if every piece had its own bytes */
    fov_store **stores;                               /* whose gradients a run replaces */
    size_t store_count;
    fov_real **idle;                 /* gradients that no step writes: a run zeroes them */
    size_t *idle_counts, idle_count; /* their elements, how many there are */
    fov_step *running;               /* what each step got in this run */
    bool timed, ran;
};

/* Fills everything but the block. */
FOV_MUST_USE fov_status fov_plan_layout(fov_plan *plan, fov_node *const *outputs, size_t output_count);

/* Sets `late` and `drop` of all nodes by the plan's options; `chain` bounds how many values in a row are rebuilt from each other (0: none).
 * `border` is scratch, one for each node, all false. */
void fov_plan_choose_drops(fov_plan *plan, unsigned chain, bool *border);

/* Lets gradients that backward step `s` makes take over the bytes of the one it reads, whose piece is known; sets the step's grad_work if
 * that can lie there. */
void fov_plan_share_gradient(fov_plan *plan, size_t s);

/* Whether the backward steps of `node` and of its first input follow each other and are joined: one runs a pass of the other. */
bool fov_plan_joins_backward(const fov_plan *plan, const fov_node *node);
/* Joins steps (sets first_done, left_to and what belongs to it); then lets the bytes that joined steps need live through both. */
void fov_plan_join_steps(fov_plan *plan);
void fov_plan_join_pieces(fov_plan *plan);

/* The last lines of fov_plan_describe. */
void fov_plan_describe_memory(const fov_plan *plan, fov_text *text);

/* What steps read by their op's declaration: input i of a backward step, and of a step that rebuilds in the given way. */
static inline bool fov_backward_reads(const fov_node *node, unsigned i) {
    return (node->op->reads & FOV_READS_IN(i)) != 0;
}
static inline bool fov_again_reads(const fov_node *node, fov_plan_drop how, unsigned i) {
    return how == FOV_DROP_RERUN || (node->op->again_reads & FOV_READS_IN(i)) != 0;
}

static inline bool fov_plan_has_step(const fov_plan *plan, const fov_node *node) {
    return plan->nodes[node->id].active && !fov_node_is_leaf(node) && !node->op->alias;
}

static inline fov_plan_node *fov_plan_root(const fov_plan *plan, const fov_node *node) {
    return &plan->nodes[plan->nodes[node->id].root];
}

static inline bool fov_plan_step_reads(const fov_plan_step *step, unsigned i) {
    const fov_node *node = step->node;
    return node->input[i] != NULL &&
           (step->backward ? fov_backward_reads(node, i) : step->again == FOV_DROP_NOT || fov_again_reads(node, step->again, i));
}

/* Gives each piece its offset; returns the bytes needed. `placed` has room for `count` pointers. */
size_t fov_plan_pack(fov_piece *pieces, size_t count, bool reuse, fov_piece **placed);

#endif
