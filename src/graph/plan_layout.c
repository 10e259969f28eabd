/* From a graph to steps and pieces.
 *
 * Forward runs the nodes that outputs or loss depend on in build order, which is topological; backward runs those with a gradient in the
 * reverse order. A piece's lifetime is an interval of step numbers: a value lives from its producer to its last reader, where readers in
 * backward are known from fov_op.reads; a gradient from its first writer to its producer's backward step; a stash from forward to backward.
 *
 * An alias op (reshape) has no step: it shares value and gradient with its root. An op that may work in place takes over its input's piece
 * when nobody reads that input later. */
#include <string.h>

#include "base/checked.h"
#include "graph/plan_internal.h"

/* Round up to whole lines; graph and steps have checked that sums of sizes fit. */
static size_t lines(size_t bytes) {
    return (bytes + FOV_ALIGN - 1) / FOV_ALIGN * FOV_ALIGN;
}

static const fov_node *node_at(const fov_plan *plan, size_t id) {
    return fov_graph_node(plan->graph, id);
}

/* ---- what is needed ---- */

static void mark_active(fov_plan *plan, fov_node *const *outputs, size_t output_count) {
    for (size_t i = 0; i < output_count; i++) {
        plan->nodes[outputs[i]->id].active = true;
        plan->nodes[outputs[i]->id].kept = true;
    }
    if (plan->loss != NULL) {
        plan->nodes[plan->loss->id].active = true;
        plan->nodes[plan->loss->id].kept = true;
    }
    for (size_t id = plan->node_count; id-- > 0;) {
        const fov_node *node = node_at(plan, id);
        for (unsigned i = 0; plan->nodes[id].active && i < node->input_count; i++) {
            if (node->input[i] != NULL) {
                plan->nodes[node->input[i]->id].active = true;
            }
        }
    }
}

/* A parameter that was asked for twice has two nodes; the first one stands for both. */
static uint32_t find_root(const fov_plan *plan, const fov_node *node) {
    if (node->op->alias) {
        return plan->nodes[node->input[0]->id].root;
    }
    for (uint32_t id = 0; id < node->id && node->param != NULL; id++) {
        if (node_at(plan, id)->param == node->param) {
            return id;
        }
    }
    return node->id;
}

static void mark_roots(fov_plan *plan) {
    for (size_t id = 0; id < plan->node_count; id++) {
        plan->nodes[id] = (fov_plan_node){.root = find_root(plan, node_at(plan, id)),
                                          .forward_step = FOV_NO_STEP,
                                          .backward_step = FOV_NO_STEP,
                                          .again_step = FOV_NO_STEP,
                                          .grad_first = FOV_NO_STEP,
                                          .grad_second = FOV_NO_STEP,
                                          .value = FOV_NO_PIECE,
                                          .grad = FOV_NO_PIECE,
                                          .stash = FOV_NO_PIECE,
                                          .value_again = FOV_NO_PIECE,
                                          .stash_again = FOV_NO_PIECE};
    }
}

static bool wants(const fov_plan *plan, const fov_node *node) {
    if (!node->needs_grad) {
        return false;
    }
    if (node->op == &fov_op_param) {
        return fov_param_grads(fov_node_store(node), node->param) != NULL;
    }
    for (unsigned i = 0; i < node->input_count; i++) {
        if (node->input[i] != NULL && plan->nodes[node->input[i]->id].wants) {
            return true;
        }
    }
    return false;
}

/* Which nodes the gradient reaches, from the loss down. */
static fov_status mark_gradients(fov_plan *plan) {
    if (plan->loss == NULL) {
        return FOV_OK;
    }
    for (size_t id = 0; id < plan->node_count; id++) {
        plan->nodes[id].wants = wants(plan, node_at(plan, id));
    }
    if (!plan->nodes[plan->loss->id].wants) {
        return FOV_FAIL(FOV_E_INVALID, "the loss (%s, scope \"%s\") depends on no trainable parameter whose store has gradients",
                        plan->loss->op->name, plan->loss->scope);
    }
    plan->nodes[plan->loss->id].reached = true;
    for (size_t id = plan->node_count; id-- > 0;) {
        const fov_node *node = node_at(plan, id);
        for (unsigned i = 0; plan->nodes[id].reached && i < node->input_count; i++) {
            if (node->input[i] != NULL && plan->nodes[node->input[i]->id].wants) {
                plan->nodes[node->input[i]->id].reached = true;
            }
        }
    }
    return FOV_OK;
}

/* ---- steps ---- */

static size_t add_step(fov_plan *plan, const fov_node *node, bool backward, fov_plan_drop again) {
    plan->steps[plan->step_count] = (fov_plan_step){.node = node,
                                                    .backward = backward,
                                                    .again = again,
                                                    .left_to = FOV_NO_STEP,
                                                    .before = FOV_NO_STEP,
                                                    .rebuilt = FOV_NO_STEP,
                                                    .work = FOV_NO_PIECE,
                                                    .worker_work = FOV_NO_PIECE,
                                                    .grad_work = FOV_NO_PIECE};
    return plan->step_count++;
}

/* The value is read by the next backward step: if it was dropped, it is rebuilt now, and before it what it is rebuilt from. */
static void need_value(fov_plan *plan, const fov_node *node) {
    fov_plan_node *root = fov_plan_root(plan, node);
    const fov_node *source = node_at(plan, root->root);
    if (root->drop == FOV_DROP_NOT || root->again_step != FOV_NO_STEP) {
        return;
    }
    for (unsigned i = 0; i < source->input_count; i++) {
        if (source->input[i] != NULL && fov_again_reads(source, root->drop, i)) {
            need_value(plan, source->input[i]);
        }
    }
    root->again_step = add_step(plan, source, false, root->drop);
}

/* What the backward step of the node reads; and of those that are joined to it, between which nothing may come. */
static void need_reads(fov_plan *plan, const fov_node *node) {
    if ((node->op->reads & FOV_READS_OUT) != 0) {
        need_value(plan, node);
    }
    for (unsigned i = 0; i < node->input_count; i++) {
        if (node->input[i] != NULL && fov_backward_reads(node, i)) {
            need_value(plan, node->input[i]);
        }
    }
    if (fov_plan_joins_backward(plan, node)) {
        need_reads(plan, node->input[0]);
    }
}

static void add_backward(fov_plan *plan, const fov_node *node) {
    need_reads(plan, node);
    plan->nodes[node->id].backward_step = add_step(plan, node, true, FOV_DROP_NOT);
}

static fov_status make_steps(fov_plan *plan) {
    plan->steps = fov_arena_alloc(&plan->arena, (3 * plan->node_count + 1) * sizeof *plan->steps);
    FOV_TRY_ALLOC(plan->steps);
    plan->step_count = 0;
    for (size_t id = 0; id < plan->node_count; id++) {
        const fov_node *node = node_at(plan, id);
        if (fov_plan_has_step(plan, node)) {
            plan->nodes[id].forward_step = add_step(plan, node, false, FOV_DROP_NOT);
        }
    }
    plan->forward_count = plan->step_count;
    for (size_t id = plan->node_count; id-- > 0;) {
        const fov_node *node = node_at(plan, id);
        if (plan->nodes[id].reached && fov_plan_has_step(plan, node)) {
            add_backward(plan, node);
        }
    }
    fov_plan_join_steps(plan);
    return FOV_OK;
}

/* An input of a backward step gets a gradient. */
static bool gives_gradient(const fov_plan *plan, const fov_node *node, unsigned i) {
    return node->input[i] != NULL && plan->nodes[node->input[i]->id].wants;
}

static void note_use(fov_plan *plan, const fov_node *node, size_t step) {
    fov_plan_node *root = fov_plan_root(plan, node);
    size_t *last = root->again_step != FOV_NO_STEP && step >= root->again_step ? &root->last_late : &root->last_use;
    *last = step > *last ? step : *last;
}

/* Last uses of values and first writes of gradients, step by step; sets the accumulate flags on the way. */
static void trace_steps(fov_plan *plan) {
    if (plan->loss != NULL) {
        fov_plan_root(plan, plan->loss)->grad_first = plan->forward_count; /* seeded before the first backward step */
    }
    for (size_t s = 0; s < plan->step_count; s++) {
        fov_plan_step *step = &plan->steps[s];
        const fov_node *node = step->node;
        if (!step->backward || (node->op->reads & FOV_READS_OUT) != 0) {
            note_use(plan, node, s);
        }
        for (unsigned i = 0; i < node->input_count; i++) {
            if (fov_plan_step_reads(step, i)) {
                note_use(plan, node->input[i], s);
            }
            if (step->backward && gives_gradient(plan, node, i)) {
                fov_plan_node *root = fov_plan_root(plan, node->input[i]);
                step->accumulate[i] = root->grad_first != FOV_NO_STEP;
                size_t *which = step->accumulate[i] ? &root->grad_second : &root->grad_first;
                *which = *which != FOV_NO_STEP ? *which : s;
            }
        }
    }
    for (size_t id = 0; id < plan->node_count; id++) {
        if (plan->nodes[id].kept) {
            note_use(plan, node_at(plan, id), FOV_STEP_KEPT);
        }
    }
}

/* ---- pieces ---- */

static size_t add_piece(fov_plan *plan, fov_piece_kind kind, const fov_node *node, size_t bytes, size_t first, size_t last) {
    if (bytes == 0) {
        return FOV_NO_PIECE;
    }
    plan->pieces[plan->piece_count] = (fov_piece){.kind = kind, .node = node->id, .bytes = lines(bytes), .first = first, .last = last};
    return plan->piece_count++;
}

/* The piece that `node` may take over from its input, or FOV_NO_PIECE. */
static size_t inplace_piece(const fov_plan *plan, const fov_node *node) {
    const int which = node->op->inplace;
    if (plan->options.no_reuse || which < 0 || (unsigned)which >= node->input_count || node->input[which] == NULL) {
        return FOV_NO_PIECE;
    }
    const fov_plan_node *source = fov_plan_root(plan, node->input[which]);
    if (source->value == FOV_NO_PIECE || source->last_use != plan->nodes[node->id].forward_step ||
        fov_node_bytes(node) != fov_node_bytes(node->input[which])) {
        return FOV_NO_PIECE;
    }
    for (unsigned i = 0; i < node->input_count; i++) {
        if (i != (unsigned)which && node->input[i] != NULL && fov_plan_root(plan, node->input[i])->value == source->value) {
            return FOV_NO_PIECE;
        }
    }
    return source->value;
}

static void add_value(fov_plan *plan, const fov_node *node) {
    fov_plan_node *info = &plan->nodes[node->id];
    info->value = inplace_piece(plan, node);
    if (info->value != FOV_NO_PIECE) {
        plan->pieces[info->value].last = info->last_use;
    } else {
        info->value = add_piece(plan, FOV_PIECE_VALUE, node, fov_node_bytes(node), info->forward_step, info->last_use);
    }
}

static fov_status add_work(fov_plan *plan, size_t s) {
    fov_plan_step *step = &plan->steps[s];
    const fov_node *node = step->node;
    step->work = add_piece(plan, FOV_PIECE_WORK, node, step->backward ? node->backward_work : node->forward_work, s, s);
    size_t all = 0;
    if (!fov_mul_size(lines(node->worker_work), fov_pool_threads(plan->pool), &all)) {
        return FOV_FAIL(FOV_E_LIMIT, "%s: %s needs too much scratch memory for %u threads", node->scope, node->op->name,
                        fov_pool_threads(plan->pool));
    }
    step->worker_work = add_piece(plan, FOV_PIECE_WORK, node, all, s, s);
    return FOV_OK;
}

static size_t latest(size_t a, size_t b) {
    return b != FOV_NO_STEP && b > a ? b : a;
}

/* What is kept from forward for backward; a value whose forward runs again has a stash each time. */
static void add_stash(fov_plan *plan, const fov_node *node) {
    fov_plan_node *info = &plan->nodes[node->id];
    const bool rerun = info->again_step != FOV_NO_STEP && info->drop == FOV_DROP_RERUN;
    const size_t last = rerun ? info->forward_step : latest(latest(info->forward_step, info->backward_step), info->again_step);
    info->stash = add_piece(plan, FOV_PIECE_STASH, node, node->stash_bytes, info->forward_step, last);
    if (rerun) {
        info->stash_again =
            add_piece(plan, FOV_PIECE_STASH, node, node->stash_bytes, info->again_step, latest(info->again_step, info->backward_step));
    }
}

/* The gradient of the step's node, unless it took over another's bytes, and what is made of it. */
static void add_gradient(fov_plan *plan, size_t s) {
    const fov_node *node = plan->steps[s].node;
    fov_plan_node *info = &plan->nodes[node->id];
    if (info->grad == FOV_NO_PIECE) {
        info->grad = add_piece(plan, FOV_PIECE_GRAD, node, fov_shape_count(&node->shape) * sizeof(fov_real), info->grad_first, s);
    }
    fov_plan_share_gradient(plan, s);
    if (plan->steps[s].grad_work == FOV_NO_PIECE) {
        plan->steps[s].grad_work = add_piece(plan, FOV_PIECE_WORK, node, node->grad_work, s, s);
    }
}

static fov_status make_pieces(fov_plan *plan) {
    plan->pieces = fov_arena_alloc(&plan->arena, (5 * plan->node_count + 3 * plan->step_count + 1) * sizeof *plan->pieces);
    FOV_TRY_ALLOC(plan->pieces);
    plan->piece_count = 0;
    for (size_t s = 0; s < plan->step_count; s++) {
        const fov_node *node = plan->steps[s].node;
        fov_plan_node *info = &plan->nodes[node->id];
        FOV_TRY(add_work(plan, s));
        if (plan->steps[s].backward) {
            add_gradient(plan, s);
        } else if (plan->steps[s].again != FOV_DROP_NOT) {
            info->value_again = add_piece(plan, FOV_PIECE_VALUE, node, fov_node_bytes(node), s, info->last_late);
        } else {
            add_value(plan, node);
            add_stash(plan, node);
        }
    }
    return FOV_OK;
}

static fov_status check_total(fov_plan *plan) {
    size_t total = 0;
    for (size_t i = 0; i < plan->piece_count; i++) {
        if (!fov_add_size(total, plan->pieces[i].bytes, &total)) {
            return FOV_FAIL(FOV_E_LIMIT, "the plan's %zu tensors are too large together; use a smaller batch", plan->piece_count);
        }
    }
    plan->separate_bytes = total;
    return FOV_OK;
}

static bool known_store(const fov_plan *plan, const fov_store *store) {
    for (size_t i = 0; i < plan->store_count; i++) {
        if (plan->stores[i] == store) {
            return true;
        }
    }
    return false;
}

/* Collects the stores whose gradients this plan writes, and checks that all are laid out. */
static fov_status find_stores(fov_plan *plan) {
    plan->stores = fov_arena_alloc(&plan->arena, (plan->node_count + 1) * sizeof *plan->stores);
    FOV_TRY_ALLOC(plan->stores);
    for (size_t id = 0; id < plan->node_count; id++) {
        const fov_node *node = node_at(plan, id);
        if (node->op != &fov_op_param) {
            continue;
        }
        fov_store *store = fov_node_store(node);
        if (!fov_store_committed(store)) {
            return FOV_FAIL(FOV_E_INVALID, "the store of parameter \"%s\" must be laid out (fov_store_commit) before planning",
                            node->param->name);
        }
        if (fov_store_grads(store) != NULL && !known_store(plan, store)) {
            plan->stores[plan->store_count++] = store;
        }
    }
    return FOV_OK;
}

static bool step_writes_gradient(const fov_plan *plan, const fov_param *param) {
    for (size_t id = 0; id < plan->node_count; id++) {
        const fov_plan_node *root = fov_plan_root(plan, node_at(plan, id));
        if (node_at(plan, id)->param == param && root->grad_first != FOV_NO_STEP) {
            return plan->loss == NULL || root != fov_plan_root(plan, plan->loss); /* which is seeded, not written */
        }
    }
    return false;
}

static fov_status find_idle(fov_plan *plan) {
    size_t most = 0;
    for (size_t i = 0; i < plan->store_count; i++) {
        most += fov_store_size(plan->stores[i]);
    }
    plan->idle = fov_arena_alloc(&plan->arena, (most + 1) * sizeof *plan->idle);
    FOV_TRY_ALLOC(plan->idle);
    plan->idle_counts = fov_arena_alloc(&plan->arena, (most + 1) * sizeof *plan->idle_counts);
    FOV_TRY_ALLOC(plan->idle_counts);
    for (size_t i = 0; i < plan->store_count; i++) {
        for (size_t p = 0; p < fov_store_size(plan->stores[i]); p++) {
            const fov_param *param = fov_store_at(plan->stores[i], p);
            fov_real *grads = fov_param_grads(plan->stores[i], param);
            if (grads != NULL && !step_writes_gradient(plan, param)) {
                plan->idle[plan->idle_count] = grads;
                plan->idle_counts[plan->idle_count++] = param->count;
            }
        }
    }
    return FOV_OK;
}

/* Steps and packed pieces with chains of rebuilt values of at most `chain`. */
static fov_status lay_out(fov_plan *plan, fov_node *const *outputs, size_t output_count, unsigned chain) {
    bool *border = fov_arena_alloc(&plan->arena, plan->node_count + 1);
    FOV_TRY_ALLOC(border);
    memset(border, 0, plan->node_count + 1);
    mark_roots(plan);
    mark_active(plan, outputs, output_count);
    FOV_TRY(mark_gradients(plan));
    fov_plan_choose_drops(plan, chain, border);
    FOV_TRY(make_steps(plan));
    trace_steps(plan);
    FOV_TRY(make_pieces(plan));
    fov_plan_join_pieces(plan);
    FOV_TRY(check_total(plan));
    fov_piece **placed = fov_arena_alloc(&plan->arena, (plan->piece_count + 1) * sizeof *placed);
    FOV_TRY_ALLOC(placed);
    plan->packed_bytes = fov_plan_pack(plan->pieces, plan->piece_count, true, placed);
    plan->block_bytes = plan->packed_bytes;
    if (plan->options.no_reuse) {
        plan->block_bytes = fov_plan_pack(plan->pieces, plan->piece_count, false, placed);
    }
    return FOV_OK;
}

/* Longer chains keep less, but rebuild more at once: the shortest one that is within 2 % of the smallest block is taken. */
static fov_status find_chain(fov_plan *plan, fov_node *const *outputs, size_t output_count, unsigned *chain) {
    static const unsigned chains[] = {0, 1, 2, 4, 8};
    size_t bytes[sizeof chains / sizeof *chains], least = SIZE_MAX;
    for (size_t i = 0; i < sizeof chains / sizeof *chains; i++) {
        FOV_TRY(lay_out(plan, outputs, output_count, chains[i]));
        bytes[i] = plan->packed_bytes;
        least = bytes[i] < least ? bytes[i] : least;
    }
    size_t best = 0;
    while (bytes[best] - least > least / 50) {
        best++;
    }
    *chain = chains[best];
    return FOV_OK;
}

fov_status fov_plan_layout(fov_plan *plan, fov_node *const *outputs, size_t output_count) {
    unsigned chain = 0;
    plan->node_count = fov_graph_size(plan->graph);
    plan->nodes = fov_arena_alloc(&plan->arena, (plan->node_count + 1) * sizeof *plan->nodes);
    FOV_TRY_ALLOC(plan->nodes);
    FOV_TRY(find_stores(plan));
    if (plan->loss != NULL && plan->options.recompute != FOV_RECOMPUTE_NONE) {
        FOV_TRY(find_chain(plan, outputs, output_count, &chain));
    }
    FOV_TRY(lay_out(plan, outputs, output_count, chain));
    plan->running = fov_arena_alloc(&plan->arena, (plan->step_count + 1) * sizeof *plan->running);
    FOV_TRY_ALLOC(plan->running);
    return find_idle(plan);
}
