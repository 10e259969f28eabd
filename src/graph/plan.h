/* A plan: a graph's steps in order and one block of memory in which values, gradients, stashes and scratch are packed by lifetime. */
#ifndef FOV_GRAPH_PLAN_H
#define FOV_GRAPH_PLAN_H

#include "base/text.h"
#include "graph/graph.h"

typedef struct fov_plan fov_plan;

/* Which values are not kept from forward to backward, but computed again just before they are needed there. The numbers are the same bits.
 */
typedef enum fov_recompute {
    FOV_RECOMPUTE_AUTO, /* those that a pass over memory gives back (fov_op.again), as far as that makes the block smaller */
    FOV_RECOMPUTE_NONE,
    FOV_RECOMPUTE_BLOCKS /* all inside of blocks (fov_graph_block_begin): about a third more time, least memory */
} fov_recompute;

/* "auto", "none", "blocks" with NULL at the end, in the order of fov_recompute, and back; anything else is auto. */
extern const char *const fov_recompute_names[];
fov_recompute fov_recompute_named(const char *name);

typedef struct fov_plan_options {
    fov_recompute recompute;
    bool no_reuse; /* every tensor its own bytes, every step on its own; a test demands the same bits both ways */
    bool poison;   /* fill dead ranges with NaN (debug builds set it) */
} fov_plan_options;

/* Plans forward of `outputs` (kept readable until the next run) and, when `loss` (a scalar) is not NULL, backward from it into the
 * gradients of its stores. All stores must be committed. Keeps graph and pool; borrows `outputs`. Fails with the graph's first
 * error, if it has one. */
FOV_MUST_USE fov_status fov_plan_new(fov_plan **plan, fov_graph *graph, fov_node *const *outputs, size_t output_count, fov_node *loss,
                                     fov_pool *pool, const fov_plan_options *options);
void fov_plan_free(fov_plan *plan); /* takes NULL */

/* Points an input at the caller's memory (64-byte aligned, shape and type as declared), which must stay valid during runs. */
FOV_MUST_USE fov_status fov_plan_bind(fov_plan *plan, const char *input_name, const void *data);

typedef struct fov_run {
    uint64_t seed, counter; /* passed to ops that draw */
    double loss_scale;      /* gradient of the loss; 0 means 1. Set to 1 / n when n micro-batches are accumulated */
    bool keep_grads;        /* add to the gradients that are there instead of replacing them */
    bool forward_only;
} fov_run;

/* Runs. All inputs must be bound. */
FOV_MUST_USE fov_status fov_plan_run(fov_plan *plan, const fov_run *run);
/* Value of an output (or the loss) after a run. */
const fov_real *fov_plan_value(const fov_plan *plan, const fov_node *node);

size_t fov_plan_bytes(const fov_plan *plan); /* the one block */
/* What helps where that is too much, for the end of a message. */
#define FOV_PLAN_ADVICE "lower --batch-size or --image-size, or compute more of it again (--recompute blocks)"
size_t fov_plan_steps(const fov_plan *plan);
fov_cost fov_plan_cost(const fov_plan *plan); /* of all steps */

/* What a machine can do at best: operations and bytes of memory a second. */
typedef struct fov_limits {
    double flops, bytes;
} fov_limits;
/* The least time that so much work can take. */
double fov_limit_seconds(const fov_limits *limits, double flops, double bytes);

typedef struct fov_step_info {
    const fov_node *node;
    const char *pass;    /* "forward", "backward" or "again" */
    char op[32];         /* its name, and which of its ways it goes when there are several: "conv2d winograd" */
    double flops, bytes; /* by the op's cost; of a value that is rebuilt from its stash only bytes */
    double seconds;      /* of the last timed run, 0 before */
} fov_step_info;
fov_step_info fov_plan_step_info(const fov_plan *plan, size_t step);

/* The table that `fovea plan` prints: step, pass, op, scope, shape, offset, bytes, GFLOP, and of the last timed run microseconds and rates;
 * percent of the machine's limits unless those are NULL. It ends with the step in which most memory is in use and for what, with what is
 * computed again in backward, and with how many passes a step runs for its neighbour, whose time is counted there. */
void fov_plan_describe(const fov_plan *plan, const fov_limits *limits, fov_text *text);
void fov_plan_time(fov_plan *plan, bool on); /* measure each step in later runs */

#endif
