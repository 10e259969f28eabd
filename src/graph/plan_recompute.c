/* Which values a plan does not keep from forward to backward, but rebuilds.
 *
 * Most of a training step's memory holds values that wait for backward. Many of them are one pass over memory away from others that wait as
 * well: a batch-norm's output from its input and statistics, a GELU's from its input. FOV_RECOMPUTE_AUTO drops those. Where a value is rebuilt
 * from one that was dropped too (the sums that residual blocks hand on), both must be there at once, so a chain of them saves nothing at
 * first, but the more the further backward has come; how long chains may be is tried out by plan_layout.c.
 *
 * FOV_RECOMPUTE_BLOCKS keeps what passes between blocks and runs their forward again (Chen et al. 2016, "Training Deep Nets with Sublinear
 * Memory Cost"). */
#include "base/options.h"
#include "graph/plan_internal.h"

const char *const fov_recompute_names[] = {"auto", "none", "blocks", NULL};

fov_recompute fov_recompute_named(const char *name) {
    return (fov_recompute)fov_option_choice(fov_recompute_names, name);
}

#define TOO_DEEP 1000000U
#define SMALL_STASH 8 /* a stash is worth keeping when it has at most this part of the value's bytes */

static const fov_node *source_of(const fov_plan *plan, const fov_node *node) {
    return fov_graph_node(plan->graph, plan->nodes[node->id].root);
}

static void mark_late(fov_plan *plan) {
    for (size_t id = 0; id < plan->node_count; id++) {
        const fov_node *node = fov_graph_node(plan->graph, id);
        if (!plan->nodes[id].reached || !fov_plan_has_step(plan, node)) {
            continue;
        }
        if ((node->op->reads & FOV_READS_OUT) != 0) {
            fov_plan_root(plan, node)->late = true;
        }
        for (unsigned i = 0; i < node->input_count; i++) {
            if (node->input[i] != NULL && fov_backward_reads(node, i)) {
                fov_plan_root(plan, node->input[i])->late = true;
            }
        }
    }
    for (size_t id = 0; id < plan->node_count; id++) { /* an output that is an alias keeps its root's bytes */
        if (plan->nodes[id].kept) {
            plan->nodes[plan->nodes[id].root].kept = true;
        }
    }
}

/* How many values in a row are rebuilt to get this one by `again`; TOO_DEEP when it rests on one that nobody would keep. */
static unsigned depth_of(const fov_plan *plan, const fov_node *node) {
    unsigned depth = 1;
    for (unsigned i = 0; i < node->input_count; i++) {
        if (node->input[i] == NULL || !fov_again_reads(node, FOV_DROP_AGAIN, i)) {
            continue;
        }
        const fov_node *source = source_of(plan, node->input[i]);
        const fov_plan_node *info = &plan->nodes[source->id];
        const bool stays = fov_node_is_leaf(source) || info->kept || (info->late && info->drop == FOV_DROP_NOT);
        const unsigned below = stays ? 0 : info->depth;
        depth = below + 1 > depth ? below + 1 : depth;
    }
    return depth > TOO_DEEP ? TOO_DEEP : depth;
}

/* Drops the value and, on the way, what it is rebuilt from and would not be kept for anyone else. */
static void drop_by_again(fov_plan *plan, const fov_node *node) {
    plan->nodes[node->id].drop = FOV_DROP_AGAIN;
    for (unsigned i = 0; i < node->input_count; i++) {
        if (node->input[i] == NULL || !fov_again_reads(node, FOV_DROP_AGAIN, i)) {
            continue;
        }
        const fov_node *source = source_of(plan, node->input[i]);
        const fov_plan_node *info = &plan->nodes[source->id];
        if (!fov_node_is_leaf(source) && !info->kept && !info->late && info->drop == FOV_DROP_NOT) {
            drop_by_again(plan, source);
        }
    }
}

static void drop_cheap(fov_plan *plan, unsigned chain) {
    for (size_t id = 0; id < plan->node_count; id++) {
        const fov_node *node = fov_graph_node(plan->graph, id);
        fov_plan_node *info = &plan->nodes[id];
        const bool able = fov_plan_has_step(plan, node) && node->op->again != NULL && !info->kept;
        info->depth = info->drop == FOV_DROP_NOT && able ? depth_of(plan, node) : TOO_DEEP;
        if (info->late && info->depth <= chain) {
            drop_by_again(plan, node);
        }
    }
}

/* Whether a value enters or leaves a block: one of its readers is in another than the node that made it. */
static void mark_borders(const fov_plan *plan, bool *border) {
    for (size_t id = 0; id < plan->node_count; id++) {
        const fov_node *node = fov_graph_node(plan->graph, id);
        for (unsigned i = 0; i < node->input_count; i++) {
            if (node->input[i] != NULL) {
                const fov_node *source = source_of(plan, node->input[i]);
                border[source->id] = border[source->id] || source->block != node->block;
            }
        }
    }
}

static void drop_blocks(fov_plan *plan, const bool *border) {
    for (size_t id = 0; id < plan->node_count; id++) {
        const fov_node *node = fov_graph_node(plan->graph, id);
        fov_plan_node *info = &plan->nodes[id];
        if (node->block == 0 || border[id] || info->kept || !fov_plan_has_step(plan, node)) {
            continue;
        }
        const bool small = node->stash_bytes <= fov_node_bytes(node) / SMALL_STASH;
        if (node->op->again != NULL && (node->op->once || small)) {
            info->drop = FOV_DROP_AGAIN;
        } else if (!node->op->once) {
            info->drop = FOV_DROP_RERUN;
        }
    }
}

void fov_plan_choose_drops(fov_plan *plan, unsigned chain, bool *border) {
    mark_late(plan);
    if (plan->options.recompute == FOV_RECOMPUTE_BLOCKS) {
        mark_borders(plan, border);
        drop_blocks(plan, border);
    }
    if (plan->options.recompute != FOV_RECOMPUTE_NONE) {
        drop_cheap(plan, chain);
    }
}
