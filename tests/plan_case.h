/* Networks to plan, and what is demanded of their plans: pieces that are alive together lie apart, and two plans give the same bits. */
#ifndef FOV_TESTS_PLAN_CASE_H
#define FOV_TESTS_PLAN_CASE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <string.h>

#include "grad/weighted_sum.h"
#include "graph/plan_internal.h"
#include "ops/ops.h"

static void require(fov_status status) {
    if (status != FOV_OK) {
        fail_msg("%s: %s (%s)", fov_status_name(status), fov_last_error(), fov_last_trail());
    }
}

static fov_node *parameter(fov_graph *g, const char *name, fov_shape shape) {
    return fov_parameter(g, name, shape, (fov_param_spec){.init = FOV_INIT_NORMAL, .a = 0.5});
}

/* A graph, its store, and what a plan is asked for. */
typedef struct network {
    fov_store *store;
    fov_graph *graph;
    fov_node *loss, *output;
} network;

static void network_free(network *net) {
    fov_graph_free(net->graph);
    fov_store_free(net->store);
}

static fov_plan *plan_of(const network *net, fov_pool *pool, fov_plan_options options, const void *input) {
    fov_plan *plan = NULL;
    require(fov_plan_new(&plan, net->graph, &net->output, 1, net->loss, pool, &options));
    require(fov_plan_bind(plan, "input", input));
    return plan;
}

/* ---- lifetimes by brute force ---- */

typedef struct touches {
    size_t first, last;
} touches;

static void touch(touches *seen, size_t piece, size_t step) {
    if (piece == FOV_NO_PIECE) {
        return;
    }
    seen[piece].first = step < seen[piece].first ? step : seen[piece].first;
    seen[piece].last = step > seen[piece].last ? step : seen[piece].last;
}

/* Every piece that a step may read or write, by the op's contract alone; `s` is when: another step may run a pass of it. */
static void touch_step(const fov_plan *plan, touches *seen, const fov_plan_step *step, size_t s) {
    const fov_node *node = step->node;
    touch(seen, step->work, s);
    touch(seen, step->worker_work, s);
    touch(seen, step->grad_work, s);
    const fov_plan_node *info = &plan->nodes[node->id];
    const bool late = step->backward || step->again != FOV_DROP_NOT;
    touch(seen, late && info->stash_again != FOV_NO_PIECE ? info->stash_again : info->stash, s);
    if (!step->backward || (node->op->reads & FOV_READS_OUT) != 0) {
        touch(seen, late && info->value_again != FOV_NO_PIECE ? info->value_again : info->value, s);
    }
    if (step->backward) {
        touch(seen, plan->nodes[node->id].grad, s);
    }
    for (unsigned i = 0; i < node->input_count; i++) {
        if (node->input[i] == NULL) {
            continue;
        }
        const fov_plan_node *root = &plan->nodes[plan->nodes[node->input[i]->id].root];
        const uint32_t reads = step->backward ? node->op->reads : step->again == FOV_DROP_AGAIN ? node->op->again_reads : ~(uint32_t)0;
        if ((reads & FOV_READS_IN(i)) != 0) {
            touch(seen, late && root->value_again != FOV_NO_PIECE ? root->value_again : root->value, s);
        }
        if (step->backward && plan->nodes[node->input[i]->id].wants) {
            touch(seen, root->grad, s);
        }
    }
}

static void check_packing(const fov_plan *plan) {
    touches *seen = fov_mem_array(FOV_MEM_BASE, plan->piece_count + 1, sizeof *seen);
    assert_non_null(seen);
    for (size_t i = 0; i < plan->piece_count; i++) {
        seen[i] = (touches){SIZE_MAX, 0};
    }
    for (size_t s = 0; s < plan->step_count; s++) {
        touch_step(plan, seen, &plan->steps[s], s);
        for (size_t t = s; plan->steps[t].left_to != FOV_NO_STEP;) {
            t = plan->steps[t].left_to;
            touch_step(plan, seen, &plan->steps[s], t);
        }
        if (s + 1 < plan->step_count && plan->steps[s + 1].first_done) {
            touch_step(plan, seen, &plan->steps[s + 1], s);
        }
    }
    for (size_t id = 0; id < plan->node_count; id++) {
        if (plan->nodes[id].kept) {
            touch(seen, plan->nodes[plan->nodes[id].root].value, SIZE_MAX);
        }
    }
    if (plan->loss != NULL) {
        touch(seen, plan->nodes[plan->nodes[plan->loss->id].root].grad, plan->forward_count);
    }
    for (size_t i = 0; i < plan->piece_count; i++) {
        const fov_piece *a = &plan->pieces[i];
        assert_true(seen[i].first <= seen[i].last);
        assert_int_equal(a->offset % FOV_ALIGN, 0);
        assert_true(a->offset + a->bytes <= plan->block_bytes);
        for (size_t j = 0; j < i; j++) {
            const fov_piece *b = &plan->pieces[j];
            const bool alive_together = seen[i].first <= seen[j].last && seen[j].first <= seen[i].last;
            const bool overlap = a->offset < b->offset + b->bytes && b->offset < a->offset + a->bytes;
            if (alive_together && overlap) {
                fail_msg("pieces %zu (node %u) and %zu (node %u) are alive together and overlap", i, a->node, j, b->node);
            }
        }
    }
    fov_mem_free(seen);
}

static void same_run(const network *net, fov_plan *a, fov_plan *b, fov_real *grads) {
    const size_t bytes = fov_store_trainable(net->store) * sizeof(fov_real);
    const size_t output_bytes = fov_shape_count(&net->output->shape) * sizeof(fov_real);
    const fov_run run = {.loss_scale = 0.5};
    require(fov_plan_run(a, &run));
    memcpy(grads, fov_store_grads(net->store), bytes);
    require(fov_plan_run(b, &run));
    assert_true(isfinite((double)*fov_plan_value(a, net->loss)));
    assert_memory_equal(grads, fov_store_grads(net->store), bytes);
    assert_memory_equal(fov_plan_value(a, net->loss), fov_plan_value(b, net->loss), sizeof(fov_real));
    assert_memory_equal(fov_plan_value(a, net->output), fov_plan_value(b, net->output), output_bytes);
}

#endif
