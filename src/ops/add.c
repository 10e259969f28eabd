/* Sum of two tensors of one shape: y = a + b; both gradients are dy. The residual connection of transformers.
 *
 * Elementwise, so the sum may be written over `a` when nobody reads that any more. */
#include <string.h>

#include "ops/ops.h"
#include "ops/row_shared.h"

static fov_status infer(fov_node *node) {
    FOV_TRY(fov_check_real(node, 0));
    FOV_TRY(fov_check_real(node, 1));
    const fov_shape *a = &node->input[0]->shape, *b = &node->input[1]->shape;
    if (!fov_shape_equal(a, b)) {
        char left[128], right[128];
        return FOV_FAIL(FOV_E_INVALID, "needs equal shapes, got %s and %s", fov_shape_text(a, left, sizeof left),
                        fov_shape_text(b, right, sizeof right));
    }
    node->shape = *a;
    return FOV_OK;
}

typedef struct add_pass {
    const fov_step *step;
    size_t count;
    fov_row_cut cut;
} add_pass;

static add_pass pass_of(const fov_step *step) {
    const size_t count = fov_shape_count(&step->node->shape);
    return (add_pass){.step = step, .count = count, .cut = fov_cut_flat(count)};
}

static void forward_chunk(void *context, size_t chunk, unsigned worker) {
    (void)worker;
    const add_pass *pass = context;
    const fov_step *step = pass->step;
    const size_t first = 64 * fov_cut_first(&pass->cut, chunk);
    step->k->add((fov_real *)step->out + first, (const fov_real *)step->in[0] + first, (const fov_real *)step->in[1] + first,
                 fov_cut_flat_count(&pass->cut, chunk, pass->count));
}

static void forward(const fov_step *step) {
    add_pass pass = pass_of(step);
    fov_pool_for(step->pool, pass.cut.chunks, forward_chunk, &pass);
}

static void backward_chunk(void *context, size_t chunk, unsigned worker) {
    (void)worker;
    const add_pass *pass = context;
    const fov_step *step = pass->step;
    const size_t first = 64 * fov_cut_first(&pass->cut, chunk), n = fov_cut_flat_count(&pass->cut, chunk, pass->count);
    for (unsigned i = 0; i < 2; i++) {
        if (step->grad_in[i] == NULL || step->grad_in[i] == step->grad_out) {
            continue;
        }
        if (step->accumulate[i]) {
            step->k->accumulate(step->grad_in[i] + first, step->grad_out + first, n);
        } else {
            memcpy(step->grad_in[i] + first, step->grad_out + first, n * sizeof(fov_real));
        }
    }
}

static void backward(const fov_step *step) {
    add_pass pass = pass_of(step);
    bool all_there = true;
    for (unsigned i = 0; i < 2; i++) {
        all_there = all_there && (step->grad_in[i] == NULL || step->grad_in[i] == step->grad_out);
    }
    if (!all_there) {
        fov_pool_for(step->pool, pass.cut.chunks, backward_chunk, &pass);
    }
}

static fov_cost cost(const fov_node *node) {
    const double n = (double)fov_shape_count(&node->shape), bytes = n * (double)sizeof(fov_real);
    return (fov_cost){n, n, 3.0 * bytes, 3.0 * bytes};
}

const fov_op fov_op_add = {.name = "add", .infer = infer, .forward = forward, .backward = backward, .cost = cost, .inplace = 0,
                           .passes = FOV_READS_IN(0) | FOV_READS_IN(1)};

fov_node *fov_add(fov_graph *g, fov_node *a, fov_node *b) {
    return fov_graph_add(g, &fov_op_add, NULL, 0, (fov_node *const[]){a, b}, 2, 2);
}
