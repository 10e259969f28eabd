/* Gradients that lie in the same bytes.
 *
 * The gradient of a sum is the gradient of both its terms, and many operations make an input's gradient element by element from their
 * output's, which nobody reads afterwards. Such a gradient takes over the bytes of the one it is made from: no copy, a cache that holds twice
 * as much, less memory. All of it rests on one rule: bytes are written only by a step after which nobody but the writer's target needs what
 * was in them. */
#include "graph/plan_internal.h"

static bool reads_bit(uint32_t set, unsigned i) { return (set & FOV_READS_IN(i)) != 0; }

/* Whether input i's gradient could lie where the output's of this step does: it is made here, and nothing was added to it yet. */
static bool may_take(const fov_plan *plan, const fov_node *node, size_t s, unsigned i) {
    if (node->input[i] == NULL || !plan->nodes[node->input[i]->id].wants) {
        return false;
    }
    const fov_plan_node *root = fov_plan_root(plan, node->input[i]);
    const fov_node *source = fov_graph_node(plan->graph, root->root);
    return !fov_node_is_leaf(source) && root->grad == FOV_NO_PIECE && root->grad_first == s && root->grad_second > s &&
           fov_shape_count(&source->shape) == fov_shape_count(&node->shape);
}

static void take(fov_plan *plan, fov_plan_node *root, size_t piece) {
    fov_piece *bytes = &plan->pieces[piece];
    root->grad = piece;
    bytes->last = root->backward_step > bytes->last ? root->backward_step : bytes->last;
}

/* Two gradients share bytes until one of them is added to; by then the other one must have been read for the last time. */
static bool agree(const fov_plan_node *a, const fov_plan_node *b) {
    return a->grad_second > b->backward_step && b->grad_second > a->backward_step;
}

static bool take_passed(fov_plan *plan, const fov_node *node, size_t s, size_t piece) {
    const fov_plan_node *taken[FOV_MAX_INPUTS];
    size_t count = 0;
    for (unsigned i = 0; i < node->input_count; i++) {
        if (!reads_bit(node->op->passes, i) || !may_take(plan, node, s, i)) {
            continue;
        }
        fov_plan_node *root = fov_plan_root(plan, node->input[i]);
        bool fits = true;
        for (size_t k = 0; k < count; k++) {
            fits = fits && agree(taken[k], root);
        }
        if (fits) {
            take(plan, root, piece);
            taken[count++] = root;
        }
    }
    return count > 0;
}

void fov_plan_share_gradient(fov_plan *plan, size_t s) {
    const fov_node *node = plan->steps[s].node;
    const size_t piece = plan->nodes[node->id].grad;
    /* Bytes with another owner, who reads them later, stay as they are. */
    if (plan->options.no_reuse || piece == FOV_NO_PIECE || plan->pieces[piece].last != s || take_passed(plan, node, s, piece)) {
        return;
    }
    for (unsigned i = 0; i < node->input_count; i++) {
        if (reads_bit(node->op->grads_over, i) && may_take(plan, node, s, i)) {
            take(plan, fov_plan_root(plan, node->input[i]), piece);
            return;
        }
    }
    if (node->grad_work > 0) {
        plan->steps[s].grad_work = piece;
    }
}
