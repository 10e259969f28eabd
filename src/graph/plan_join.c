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

static void leave(fov_plan *plan, size_t s, size_t runner) {
    plan->steps[s].left_to = runner;
    plan->steps[runner].before = s;
}

static void join_neighbours(fov_plan *plan) {
    for (size_t s = 1; s < plan->step_count; s++) {
        fov_plan_step *before = &plan->steps[s - 1], *after = &plan->steps[s];
        if (before->backward != after->backward || before->again != FOV_DROP_NOT || after->again != FOV_DROP_NOT) {
            continue;
        }
        const bool follows = !after->backward && after->node->input[0] == before->node;
        const joint how = after->backward ? joint_backward(plan, before->node, after->node)
                          : follows       ? joint_of(before->node, after->node, false)
                                          : JOINT_NONE;
        after->first_done = how == JOINT_FIRST;
        if (how == JOINT_LAST) {
            leave(plan, s - 1, s);
            before->read_later = true;
        }
    }
}

/* The first step after `from` that reads the value that step s makes. */
static size_t reader_after(const fov_plan *plan, size_t s, size_t from) {
    const uint32_t id = plan->steps[s].node->id;
    const size_t again = plan->nodes[id].again_step;
    const size_t end = again != FOV_NO_STEP && again > s ? again : plan->step_count; /* then another step makes it */
    for (size_t t = from + 1; t < end; t++) {
        const fov_plan_step *step = &plan->steps[t];
        bool reads = step->backward && step->node->id == id && (step->node->op->reads & FOV_READS_OUT) != 0;
        for (unsigned i = 0; i < step->node->input_count; i++) {
            reads = reads || (fov_plan_step_reads(step, i) && plan->nodes[step->node->input[i]->id].root == id);
        }
        if (reads) {
            return t;
        }
    }
    return FOV_NO_STEP;
}

/* Whether the step's last pass can run within another one's, which reads its rows among others, and reads them nowhere else. */
static bool fits_within(const fov_plan_step *step, const fov_plan_step *reader) {
    const fov_node *node = reader->node;
    if (reader->backward || reader->again != step->again || node->op->row_passes == NULL || reader->before != FOV_NO_STEP) {
        return false;
    }
    uint32_t places = 0;
    for (unsigned i = 0; i < node->input_count; i++) {
        places |= node->input[i] == step->node ? FOV_READS_IN(i) : 0U;
    }
    return places != 0 && places == node->op->row_passes->within;
}

static bool fits_rebuilding(const fov_plan *plan, const fov_plan_step *step, const fov_plan_step *reader) {
    const fov_node *node = reader->node;
    return step->again == FOV_DROP_AGAIN && reader->backward && node->input[0] == step->node && runs(node, true, FOV_JOINS_REBUILT) &&
           plan->nodes[node->input[0]->id].wants && node->input[1] != NULL && plan->nodes[node->input[1]->id].wants;
}

/* Whether the step may wait until `runner`: with its own pass it runs those that were left to it, which others may read before. */
static bool may_wait(const fov_plan *plan, size_t s, size_t runner) {
    for (size_t t = plan->steps[s].before; t != FOV_NO_STEP; t = plan->steps[t].before) {
        if (reader_after(plan, t, s) <= runner) {
            return false;
        }
    }
    return true;
}

/* A value that waits for its first reader, however far away. */
static void leave_to_readers(fov_plan *plan) {
    for (size_t s = 0; s < plan->step_count; s++) {
        fov_plan_step *step = &plan->steps[s];
        const bool able = step->node->op->row_passes != NULL && !step->backward && step->again != FOV_DROP_RERUN;
        const size_t runner = able && step->left_to == FOV_NO_STEP ? reader_after(plan, s, s) : FOV_NO_STEP;
        if (runner == FOV_NO_STEP || !may_wait(plan, s, runner)) {
            continue;
        }
        const bool read_later = plan->nodes[step->node->id].kept || reader_after(plan, s, runner) != FOV_NO_STEP;
        if (fits_within(step, &plan->steps[runner])) {
            leave(plan, s, runner);
            step->read_later = read_later;
        } else if (!read_later && fits_rebuilding(plan, step, &plan->steps[runner])) {
            step->left_to = runner;
            plan->steps[runner].rebuilt = s;
        }
    }
}

void fov_plan_join_steps(fov_plan *plan) {
    if (!plan->options.no_reuse) {
        join_neighbours(plan);
        leave_to_readers(plan);
    }
}

static void keep_piece(fov_plan *plan, size_t piece, size_t last) {
    if (piece != FOV_NO_PIECE && plan->pieces[piece].last < last) {
        plan->pieces[piece].last = last;
    }
}

/* All that a step of forward or of rebuilding reads and writes lives until its last pass has run, which may run within one that is left
 * too. */
static void keep_until_left(fov_plan *plan, size_t s) {
    const fov_plan_step *step = &plan->steps[s];
    const fov_plan_node *info = &plan->nodes[step->node->id];
    const bool again = step->again != FOV_DROP_NOT;
    size_t last = s;
    while (plan->steps[last].left_to != FOV_NO_STEP) {
        last = plan->steps[last].left_to;
    }
    keep_piece(plan, step->work, last);
    keep_piece(plan, info->stash, last);
    keep_piece(plan, again ? info->value_again : info->value, last);
    for (unsigned i = 0; i < step->node->input_count; i++) {
        if (fov_plan_step_reads(step, i)) {
            const fov_plan_node *root = fov_plan_root(plan, step->node->input[i]);
            keep_piece(plan, again && root->value_again != FOV_NO_PIECE ? root->value_again : root->value, last);
        }
    }
}

/* Whether step s and the one after it are joined. */
static bool joined(const fov_plan *plan, size_t s) {
    return s + 1 < plan->step_count && (plan->steps[s].left_to == s + 1 || plan->steps[s + 1].first_done);
}

void fov_plan_join_pieces(fov_plan *plan) {
    for (size_t i = 0; i < plan->piece_count; i++) {
        fov_piece *piece = &plan->pieces[i];
        piece->first -= piece->first > 0 && joined(plan, piece->first - 1) ? 1 : 0;
        piece->last += joined(plan, piece->last) ? 1 : 0;
    }
    for (size_t s = 0; s < plan->step_count; s++) {
        if (plan->steps[s].left_to != FOV_NO_STEP && !plan->steps[s].backward) {
            keep_until_left(plan, s);
        }
    }
}
