/* Steps that run a pass of their neighbour.
 *
 * A batch-norm goes through memory several times, and does little with each number; the product before or after it has the same rows in
 * cache while it waits for its own arithmetic. So the step that makes a batch-norm's operand runs the first pass over it (sums), part by
 * part as the product completes rows, and the step that reads the result has the last pass make rows just before it multiplies them. Which
 * steps do so follows from the order of steps alone. What either needs then lives through both steps. With no_reuse every step is on its
 * own. */
#include "graph/plan_internal.h"

/* What one step of two that follow each other runs of the other one: `maker` makes what `reader` reads. */
typedef enum joint { JOINT_NONE, JOINT_FIRST, JOINT_LAST } joint;

static bool runs(const fov_node *node, bool backward, unsigned what) {
    return node->op->joins != NULL && (node->op->joins(node, backward) & what) != 0;
}

static joint joint_of(const fov_node *maker, const fov_node *reader, bool backward) {
    if (reader->op->row_passes != NULL && runs(maker, backward, FOV_JOINS_FIRST)) {
        return JOINT_FIRST;
    }
    return maker->op->row_passes != NULL && runs(reader, backward, FOV_JOINS_LAST) ? JOINT_LAST : JOINT_NONE;
}

/* In backward `above` makes the gradient of its first input, `below`, which only reads it where it hands one on itself. */
static joint joint_backward(const fov_plan *plan, const fov_node *above, const fov_node *below) {
    const bool reads_rows = below->input[0] != NULL && plan->nodes[below->input[0]->id].wants;
    return above->input[0] == below && plan->nodes[below->id].wants && reads_rows ? joint_of(above, below, true) : JOINT_NONE;
}

bool fov_plan_joins_backward(const fov_plan *plan, const fov_node *node) {
    for (size_t id = node->id; id-- > 0;) {
        const fov_node *below = fov_graph_node(plan->graph, id);
        if (plan->nodes[id].reached && fov_plan_has_step(plan, below)) {
            return joint_backward(plan, node, below) != JOINT_NONE;
        }
    }
    return false;
}

void fov_plan_join_steps(fov_plan *plan) {
    for (size_t s = 1; s < plan->step_count && !plan->options.no_reuse; s++) {
        fov_plan_step *before = &plan->steps[s - 1], *after = &plan->steps[s];
        if (before->backward != after->backward || before->again != FOV_DROP_NOT || after->again != FOV_DROP_NOT) {
            continue;
        }
        const bool follows = !after->backward && after->node->input[0] == before->node;
        const joint how = after->backward ? joint_backward(plan, before->node, after->node)
                          : follows       ? joint_of(before->node, after->node, false)
                                          : JOINT_NONE;
        after->first_done = how == JOINT_FIRST;
        before->last_left = how == JOINT_LAST;
    }
}

/* Whether step s and the one after it are joined. */
static bool joined(const fov_plan *plan, size_t s) {
    return s + 1 < plan->step_count && (plan->steps[s].last_left || plan->steps[s + 1].first_done);
}

void fov_plan_join_pieces(fov_plan *plan) {
    for (size_t i = 0; i < plan->piece_count; i++) {
        fov_piece *piece = &plan->pieces[i];
        piece->first -= piece->first > 0 && joined(plan, piece->first - 1) ? 1 : 0;
        piece->last += joined(plan, piece->last) ? 1 : 0;
    }
}
