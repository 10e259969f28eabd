/* Making, binding and running a plan: each step gets its pointers from the layout and runs on the pool. */
#include <string.h>

#include "base/clock.h"
#include "graph/plan_internal.h"

static fov_status check_request(const fov_graph *graph, fov_node *const *outputs, size_t output_count, const fov_node *loss) {
    FOV_TRY(fov_graph_status(graph));
    for (size_t i = 0; i < output_count; i++) {
        if (outputs[i] == NULL || outputs[i]->graph != graph) {
            return FOV_FAIL(FOV_E_INVALID, "output %zu of the plan is not a node of its graph", i);
        }
    }
    if (loss != NULL && (loss->graph != graph || fov_shape_count(&loss->shape) != 1 || loss->dtype != FOV_DTYPE_REAL)) {
        char text[128];
        return FOV_FAIL(FOV_E_INVALID, "the loss must be a real scalar of the graph, got %s of shape %s", loss->op->name,
                        fov_shape_text(&loss->shape, text, sizeof text));
    }
    if (output_count == 0 && loss == NULL) {
        return FOV_FAIL(FOV_E_INVALID, "a plan needs outputs or a loss");
    }
    return FOV_OK;
}

fov_status fov_plan_new(fov_plan **plan_out, fov_graph *graph, fov_node *const *outputs, size_t output_count, fov_node *loss,
                        fov_pool *pool, const fov_plan_options *options) {
    *plan_out = NULL;
    FOV_TRY(check_request(graph, outputs, output_count, loss));
    fov_status status = FOV_OK;
    fov_plan *plan = fov_mem_zalloc(FOV_MEM_GRAPH, sizeof *plan);
    FOV_TRY_ALLOC(plan);
    fov_arena_init(&plan->arena, FOV_MEM_GRAPH, 0);
    plan->graph = graph;
    plan->pool = pool;
    plan->loss = loss;
    plan->options = options != NULL ? *options : (fov_plan_options){0};
#ifdef FOVEA_DEBUG
    plan->options.poison = true;
#endif
    FOV_TRY_GOTO(status, done, fov_plan_layout(plan, outputs, output_count));
    plan->block = fov_mem_alloc(FOV_MEM_PLAN, plan->block_bytes);
    if (plan->block == NULL) {
        char bytes[32];
        fov_format_bytes((double)plan->block_bytes, bytes, sizeof bytes);
        status = FOV_FAIL(FOV_E_NOMEM, "out of memory: a step needs %s at once; %s", bytes, FOV_PLAN_ADVICE);
        goto done;
    }
    *plan_out = plan;
    plan = NULL;
done:
    fov_plan_free(plan);
    return status;
}

void fov_plan_free(fov_plan *plan) {
    if (plan == NULL) {
        return;
    }
    fov_mem_free(plan->block);
    fov_arena_clear(&plan->arena);
    fov_mem_free(plan);
}

fov_status fov_plan_bind(fov_plan *plan, const char *input_name, const void *data) {
    if (data == NULL || (uintptr_t)data % FOV_ALIGN != 0) {
        return FOV_FAIL(FOV_E_INVALID, "memory bound to input \"%s\" must be aligned to %d bytes", input_name, FOV_ALIGN);
    }
    for (size_t id = 0; id < plan->node_count; id++) {
        const fov_node *node = fov_graph_node(plan->graph, id);
        if (node->op == &fov_op_input && strcmp(node->input_name, input_name) == 0) {
            plan->nodes[id].bound = data;
            return FOV_OK;
        }
    }
    return FOV_FAIL(FOV_E_NOTFOUND, "the graph has no input \"%s\"", input_name);
}

static void *piece_at(const fov_plan *plan, size_t piece) {
    return piece != FOV_NO_PIECE ? plan->block + plan->pieces[piece].offset : NULL;
}

/* The bytes of a node's value, which the caller knows to be alive. After forward (`late`) those of the rebuilt one, if it was dropped. */
static const void *value_of(const fov_plan *plan, const fov_node *node, bool late) {
    const fov_plan_node *root = &plan->nodes[plan->nodes[node->id].root];
    const fov_node *source = fov_graph_node(plan->graph, root->root);
    if (source->op == &fov_op_param) {
        return fov_param_values(fov_node_store(source), source->param);
    }
    if (source->op == &fov_op_input) {
        return root->bound;
    }
    return piece_at(plan, late && root->value_again != FOV_NO_PIECE ? root->value_again : root->value);
}

static fov_real *grad_of(const fov_plan *plan, const fov_node *node) {
    const fov_plan_node *root = &plan->nodes[plan->nodes[node->id].root];
    const fov_node *source = fov_graph_node(plan->graph, root->root);
    return source->op == &fov_op_param ? fov_param_grads(fov_node_store(source), source->param) : piece_at(plan, root->grad);
}

/* Leaves are readable at any time; other values only where a lifetime was kept for it. */
static bool readable(const fov_plan *plan, const fov_node *node, const fov_plan_step *step, unsigned i) {
    const fov_node *source = fov_graph_node(plan->graph, plan->nodes[node->id].root);
    if (fov_node_is_leaf(source)) {
        return true;
    }
    return step->backward ? fov_backward_reads(step->node, i) : step->again == FOV_DROP_NOT || fov_again_reads(step->node, step->again, i);
}

static void fill_backward(const fov_plan *plan, const fov_plan_step *planned, const fov_run *run, fov_step *step) {
    const fov_node *node = planned->node;
    step->grad_out = grad_of(plan, node);
    for (unsigned i = 0; i < node->input_count; i++) {
        if (node->input[i] != NULL && plan->nodes[node->input[i]->id].wants) {
            step->grad_in[i] = grad_of(plan, node->input[i]);
            const fov_node *source = fov_graph_node(plan->graph, plan->nodes[node->input[i]->id].root);
            step->accumulate[i] = planned->accumulate[i] || (run->keep_grads && source->op == &fov_op_param);
        }
    }
}

static fov_step step_of(const fov_plan *plan, const fov_plan_step *planned, const fov_run *run) {
    const fov_node *node = planned->node;
    const fov_plan_node *info = &plan->nodes[node->id];
    const bool late = planned->backward || planned->again != FOV_DROP_NOT;
    fov_step step = {.node = node,
                     .k = fov_kernels_get(),
                     .pool = plan->pool,
                     .stash = piece_at(plan, late && info->stash_again != FOV_NO_PIECE ? info->stash_again : info->stash),
                     .grad_work = piece_at(plan, planned->grad_work),
                     .work = piece_at(plan, planned->work),
                     .worker_base = piece_at(plan, planned->worker_work),
                     .first_done = planned->first_done,
                     .last_left = planned->left_to != FOV_NO_STEP,
                     .read_later = planned->read_later,
                     .training = fov_graph_training(plan->graph),
                     .seed = run->seed,
                     .counter = run->counter};
    if (!planned->backward || (node->op->reads & FOV_READS_OUT) != 0) {
        step.out = piece_at(plan, late && info->value_again != FOV_NO_PIECE ? info->value_again : info->value);
    }
    for (unsigned i = 0; i < node->input_count; i++) {
        if (node->input[i] != NULL && readable(plan, node->input[i], planned, i)) {
            step.in[i] = value_of(plan, node->input[i], late);
        }
    }
    if (planned->backward) {
        fill_backward(plan, planned, run, &step);
    }
    return step;
}

static void run_step(const fov_plan *plan, size_t s, const fov_run *run) {
    const fov_plan_step *planned = &plan->steps[s];
    const fov_op *op = planned->node->op;
    fov_step *step = &plan->running[s];
    *step = step_of(plan, planned, run);
    step->before = planned->before == FOV_NO_STEP ? NULL : &plan->running[planned->before];
    step->rebuilt = planned->rebuilt == FOV_NO_STEP ? NULL : &plan->running[planned->rebuilt];
    if (s + 1 < plan->step_count && plan->steps[s + 1].first_done) {
        plan->running[s + 1] = step_of(plan, &plan->steps[s + 1], run);
        step->after = &plan->running[s + 1];
    }
    if (planned->backward) {
        op->backward(step);
    } else if (planned->again == FOV_DROP_AGAIN) {
        op->again(step);
    } else {
        op->forward(step);
    }
}

void *fov_step_worker(const fov_step *step, unsigned worker) {
    const size_t each = (step->node->worker_work + FOV_ALIGN - 1) / FOV_ALIGN * FOV_ALIGN;
    return step->worker_base != NULL ? step->worker_base + worker * each : NULL;
}

/* All bits set is a NaN in both widths, and -1 as an index. */
static void poison_dead(const fov_plan *plan, size_t s) {
    for (size_t i = 0; i < plan->piece_count; i++) {
        if (plan->pieces[i].last == s) {
            memset(plan->block + plan->pieces[i].offset, 0xff, plan->pieces[i].bytes);
        }
    }
}

static void start_backward(const fov_plan *plan, const fov_run *run) {
    for (size_t i = 0; i < plan->idle_count && !run->keep_grads; i++) {
        memset(plan->idle[i], 0, plan->idle_counts[i] * sizeof(fov_real));
    }
    /* A loss that is a parameter itself has its gradient in the store. */
    const fov_plan_node *root = &plan->nodes[plan->nodes[plan->loss->id].root];
    fov_real *seed = grad_of(plan, plan->loss);
    const fov_real scale = run->loss_scale != 0.0 ? (fov_real)run->loss_scale : (fov_real)1;
    *seed = root->grad != FOV_NO_PIECE ? scale : *seed + scale;
}

static fov_status check_bound(const fov_plan *plan) {
    for (size_t id = 0; id < plan->node_count; id++) {
        const fov_node *node = fov_graph_node(plan->graph, id);
        if (node->op == &fov_op_input && plan->nodes[id].active && plan->nodes[id].bound == NULL) {
            return FOV_FAIL(FOV_E_INVALID, "input \"%s\" of the plan has no memory bound (fov_plan_bind)", node->input_name);
        }
    }
    return FOV_OK;
}

fov_status fov_plan_run(fov_plan *plan, const fov_run *run) {
    FOV_TRY(check_bound(plan));
    if (plan->options.poison) {
        memset(plan->block, 0xff, plan->block_bytes);
    }
    const size_t end = run->forward_only || plan->loss == NULL ? plan->forward_count : plan->step_count;
    for (size_t s = 0; s < end; s++) {
        if (s == plan->forward_count) {
            start_backward(plan, run);
        }
        const double start = plan->timed ? fov_clock_seconds() : 0.0;
        run_step(plan, s, run);
        if (plan->timed) {
            plan->steps[s].microseconds = (fov_clock_seconds() - start) * 1e6;
        }
        if (plan->options.poison) {
            poison_dead(plan, s);
        }
    }
    if (end == plan->forward_count && plan->loss != NULL && !run->forward_only) {
        start_backward(plan, run); /* the loss is a parameter: no backward step, but a gradient */
    }
    plan->ran = true;
    return FOV_OK;
}

const fov_real *fov_plan_value(const fov_plan *plan, const fov_node *node) {
    FOV_ASSERT(node->graph == plan->graph && (plan->nodes[node->id].kept || fov_node_is_leaf(node)));
    return value_of(plan, node, false);
}

size_t fov_plan_bytes(const fov_plan *plan) {
    return plan->block_bytes;
}

size_t fov_plan_steps(const fov_plan *plan) {
    return plan->step_count;
}

void fov_plan_time(fov_plan *plan, bool on) {
    plan->timed = on;
}
