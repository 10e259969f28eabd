/* A static graph: model code builds nodes, nothing runs. plan.h turns a graph into ordered steps and one block of memory.
 *
 * One node is one value. A builder never fails in the model's hands: the first error is kept with its scope, further builders
 * return NULL for NULL inputs, and fov_graph_status (or the plan) reports it. */
#ifndef FOV_GRAPH_GRAPH_H
#define FOV_GRAPH_GRAPH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/pool.h"
#include "base/real.h"
#include "graph/store.h"
#include "kernels/kernels.h"
#include "kernels/precision.h"

#define FOV_MAX_INPUTS 8

typedef struct fov_graph fov_graph;
typedef struct fov_node fov_node;
typedef struct fov_op fov_op;
typedef struct fov_step fov_step;

typedef enum fov_dtype { FOV_DTYPE_REAL, FOV_DTYPE_U8, FOV_DTYPE_U16, FOV_DTYPE_I32 } fov_dtype;

/* What an operation costs, for `fovea plan` and benchmarks. Bytes count each operand once. */
typedef struct fov_cost {
    double forward_flops, backward_flops, forward_bytes, backward_bytes;
} fov_cost;

/* What backward needs kept after forward: bits of fov_op.reads. Gradients of the output are always there. */
#define FOV_READS_OUT (1U << 31)
#define FOV_READS_IN(i) (1U << (i))

/* An operation that walks over the rows of its operand (input 0; backward grad_out) in a first pass and makes those of its result (out;
 * backward grad_in[0]) in a last one, with something in between that needs all rows. Where the step before makes the operand in rows, it
 * can run the first pass on those that it has in cache, and the step after the last pass just before it reads rows (see fov_op.joins).
 * Whoever runs them, chunks and bits are the same. */
typedef struct fov_row_passes {
    size_t (*chunk)(const fov_node *node); /* rows of a chunk of the first pass; the last chunk may have fewer */
    /* Once before a pass; says what it reads besides, in rows as wide as those of the operand, to be asked for in time; NULL: nothing.
     * Whether the last pass only writes its result, so that it may go elsewhere. */
    bool (*start)(const fov_step *step, bool last, const fov_real *reads[2]);
    void (*first)(const fov_step *step, size_t chunk);
    /* Any rows, in any order. `to`: where they go, if that may be elsewhere, and a copy where they belong if the step's result is read
     * later; NULL: where they belong. */
    void (*last)(const fov_step *step, size_t row, size_t rows, fov_real *to);
    /* An input, as FOV_READS_IN bit, of which making the output reads the same rows as it makes, so that the last pass of the step that
     * makes this input can run within (fov_step.before); 0: none. */
    uint32_t within;
} fov_row_passes;

/* Bits of fov_op.joins: a step of the node runs the last pass of the step before, the first pass of the step after; its backward step makes
 * input 0, where it was not kept, by the last pass of the step that rebuilds it (fov_step.rebuilt), if both inputs get gradients. */
#define FOV_JOINS_LAST 1U
#define FOV_JOINS_FIRST 2U
#define FOV_JOINS_REBUILT 4U

struct fov_op {
    const char *name;
    /* Checks shapes and attributes; sets node->shape, dtype, and the byte counts below. Fails with a message that says what was
     * needed and what came ("needs input [.., 384], got [.., 192]"); the graph adds the scope. */
    fov_status (*infer)(fov_node *node);
    void (*forward)(const fov_step *step);
    void (*backward)(const fov_step *step);       /* NULL: gradients do not pass */
    fov_cost (*cost)(const fov_node *node);       /* NULL: free */
    const char *(*variant)(const fov_node *node); /* name of the way that its shape is computed by; NULL: there is one */
    uint32_t reads;
    /* Rebuilds the output, bit for bit, from the stash and the inputs named in `again_reads`, for a plan that did not keep it until
     * backward. Gets out, in, stash and forward_work as forward does. A cheap pass over memory, or NULL. */
    void (*again)(const fov_step *step);
    uint32_t again_reads; /* FOV_READS_IN bits */
    bool once;            /* forward does more than write output and stash (running statistics): a step runs it once */
    int inplace;          /* index of the input whose memory forward may reuse for its output, -1 none. Never one that backward reads */
    /* Inputs, as FOV_READS_IN bits, whose gradient is grad_out as it is: where a plan has set grad_in[i] == grad_out, backward has nothing
     * to do. */
    uint32_t passes;
    uint32_t grads_over; /* inputs whose gradient, when it is not added to another, backward may write over grad_out: element by element */
    const fov_row_passes *row_passes;                       /* NULL: none */
    unsigned (*joins)(const fov_node *node, bool backward); /* which passes of its neighbours a step runs; NULL: none */
    bool alias; /* the output is the same bytes as input 0 (reshape): no forward, no memory; gradient passes as it is */
};

struct fov_node {
    const fov_op *op;
    fov_graph *graph;
    uint32_t id;       /* position in build order, which is a topological order */
    const char *scope; /* "layer1.0.conv1"; "" at the top */
    fov_shape shape;
    fov_dtype dtype;
    unsigned input_count;
    fov_node *input[FOV_MAX_INPUTS]; /* optional inputs may be NULL */
    const void *attr;                /* the op's own struct, in the graph's arena */
    fov_param *param;                /* op "param": the parameter */
    const char *input_name;          /* op "input": its name */
    bool needs_grad;
    uint32_t block; /* see fov_graph_block_begin; 0 outside of blocks */
    /* set by infer, all in bytes: */
    size_t stash_bytes;                 /* kept from forward to backward */
    size_t forward_work, backward_work; /* scratch during one pass */
    size_t worker_work;                 /* scratch per pool worker, both passes */
    size_t grad_work;                   /* scratch of backward that may be grad_out's own memory; 0, or the bytes of grad_out */
};

/* What an op's forward and backward get. All pointers are aligned to 64 bytes and never overlap unless the op declares inplace, alias,
 * passes, grads_over or grad_work. */
struct fov_step {
    const fov_node *node;
    const fov_kernels *k;
    fov_pool *pool;
    void *out;                         /* in backward: valid when reads has FOV_READS_OUT */
    const void *in[FOV_MAX_INPUTS];    /* in backward: valid where reads says so; parameters are always valid */
    const fov_real *grad_out;          /* backward only */
    fov_real *grad_in[FOV_MAX_INPUTS]; /* backward only; NULL where no gradient is wanted */
    bool accumulate[FOV_MAX_INPUTS];   /* add to grad_in[i] instead of writing it */
    void *stash;
    void *grad_work;                /* grad_work bytes, grad_out itself or undefined */
    void *work;                     /* forward_work or backward_work bytes, contents undefined */
    unsigned char *worker_base;     /* see fov_step_worker */
    const fov_step *before, *after; /* the step whose last pass, whose first pass this one runs; NULL: none */
    const fov_step *rebuilt;        /* the step whose last pass makes input 0 of a backward step; NULL: it is there */
    bool first_done, last_left;     /* the first pass was run already; the last one will be */
    bool read_later;                /* of last_left: not only the step that runs it reads the result */
    bool training;
    uint64_t seed, counter; /* for ops that draw: counter is the training step */
};

/* Scratch of `node->worker_work` bytes that belongs to this worker during a chunk. */
void *fov_step_worker(const fov_step *step, unsigned worker);

/* ---- building ---- */

/* training: batch-norm uses and updates batch statistics, dropping is on. */
FOV_MUST_USE fov_status fov_graph_new(fov_graph **graph, bool training);
void fov_graph_free(fov_graph *graph);               /* takes NULL; frees nodes, not stores */
fov_status fov_graph_status(const fov_graph *graph); /* first error; its message is made current again */
bool fov_graph_training(const fov_graph *graph);
size_t fov_graph_size(const fov_graph *graph);
fov_node *fov_graph_node(const fov_graph *graph, size_t id);

/* Scopes name errors and parameters: push "layer1", push "0", param "conv1.weight" -> "layer1.0.conv1.weight". */
void fov_graph_push(fov_graph *graph, const char *format, ...) FOV_PRINTF(2, 3);
void fov_graph_pop(fov_graph *graph);
/* The store that parameters are looked up in and added to from now on. Keeps the pointer. */
void fov_graph_use_store(fov_graph *graph, fov_store *store);
fov_store *fov_graph_store(const fov_graph *graph);
/* Precision of the products of nodes that are built from now on, where an operation knows more than float32. */
void fov_graph_use_precision(fov_graph *graph, fov_precision precision);
fov_precision fov_graph_precision(const fov_graph *graph);
/* How convolutions built from now on are computed (ops/conv2d.c), to compare the ways. AUTO: what suits the shape. DIRECT: all of them
 * directly. WINOGRAD: wherever minimal filtering is possible, also where it saves nothing; the others as AUTO. */
typedef enum fov_conv_choice { FOV_CONV_AUTO, FOV_CONV_DIRECT, FOV_CONV_WINOGRAD } fov_conv_choice;
/* "auto", "direct", "winograd" with NULL at the end, in that order, and back; anything else is auto. */
extern const char *const fov_conv_choice_names[];
fov_conv_choice fov_conv_choice_named(const char *name);
void fov_graph_use_conv(fov_graph *graph, fov_conv_choice choice);
fov_conv_choice fov_graph_conv(const fov_graph *graph);
/* From now on nodes and parameters pass no gradient (a teacher); false ends it. */
void fov_graph_freeze(fov_graph *graph, bool frozen);

/* Nodes added between the two belong to one block, such as a residual block: a plan with FOV_RECOMPUTE_BLOCKS keeps what enters and leaves
 * it until backward, and computes the rest again. Blocks do not nest. */
void fov_graph_block_begin(fov_graph *graph);
void fov_graph_block_end(fov_graph *graph);

/* Records an error at the current scope unless one is there already; returns NULL so that builders can `return` it. */
fov_node *fov_graph_fail(fov_graph *graph, fov_status status, const char *format, ...) FOV_PRINTF(3, 4);

/* Adds a node. `attr` (attr_size bytes, may be NULL) is copied. Inputs may be NULL only where the op says so: `required` is the
 * number of leading inputs that must not be. Returns NULL after an error. */
fov_node *fov_graph_add(fov_graph *graph, const fov_op *op, const void *attr, size_t attr_size, fov_node *const *inputs,
                        unsigned input_count, unsigned required);

/* Leaves. */
fov_node *fov_input(fov_graph *graph, const char *name, fov_dtype dtype, fov_shape shape);
/* Finds "scope.name" in the current store or adds it. A second call with the same name shares the parameter (shapes must agree). */
fov_node *fov_parameter(fov_graph *graph, const char *name, fov_shape shape, fov_param_spec spec);

#endif
