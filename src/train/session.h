/* A session: everything that one training step computes with - weights, gradients, optimizer state, the plan - and nothing about files. */
#ifndef FOV_TRAIN_SESSION_H
#define FOV_TRAIN_SESSION_H

#include "data/loader.h"
#include "graph/plan.h"
#include "objectives/objective.h"
#include "train/optimizer.h"

typedef struct fov_session_options {
    const fov_objective *objective;
    const void *objective_options; /* borrowed */
    fov_backbone_spec spec;        /* as adjusted by the objective */
    size_t batch_size, micro_batch; /* images; micro_batch divides batch_size */
    bool deep;         /* pixels have 16 bits a sample */
    double mean[FOV_MAX_CHANNELS], std[FOV_MAX_CHANNELS];
    const fov_optimizer *optimizer;
    fov_optimizer_settings settings;
    fov_precision precision;
    fov_conv_choice conv;
    double clip_norm;  /* 0: none */
    double ema_decay;  /* 0: no average is kept */
    uint64_t seed;
    uint64_t settings_hash; /* fov_options_hash of what all this came from, kept with checkpoints; 0: not known */
    fov_pool *pool;    /* borrowed; may be NULL */
    fov_plan_options plan;
} fov_session_options;

typedef struct fov_session {
    fov_session_options options;
    fov_objective_context context;
    fov_store *store;
    fov_graph *graph;
    fov_plan *plan;
    fov_node *loss;
    fov_optimizer_state optimizer;
    fov_real *average;  /* exponential moving average of the trainable prefix; NULL when ema_decay is 0 */
    fov_real *buffers;  /* copy of everything after the trainable prefix, to undo a step that was not finite */
    uint8_t *staging;   /* views of one micro-batch; NULL when micro_batch is batch_size */
    fov_objective_input *extra; /* the int32 inputs of the objective, bound to the plan; owned */
    size_t extra_count;
    uint64_t updates;   /* done so far: t of the optimizer */
} fov_session;

/* Builds the graph, plans it and initialises weights from the seed. */
FOV_MUST_USE fov_status fov_session_new(fov_session **session, const fov_session_options *options);
void fov_session_free(fov_session *session); /* takes NULL */
/* Warns, with what to lower, where a step needs more than `available` bytes: its memory is taken by the first run, and a system that cannot
 * give it then ends the process without a word. */
void fov_session_warn_of_memory(const fov_session *session, size_t available);

typedef struct fov_step_result {
    double loss, grad_norm; /* mean over micro-batches; norm before clipping */
    bool finite;            /* false: nothing was updated, running statistics were put back */
} fov_step_result;

/* Forward and backward on a batch, then one update with this lr. The weights after it depend on the weights before, the batch, lr and the
 * seed alone. */
FOV_MUST_USE fov_status fov_session_step(fov_session *session, const fov_batch *batch, double lr, fov_step_result *result);

#endif
