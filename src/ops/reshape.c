/* The same elements in the same order under another shape: the same bytes, forward and backward. */
#include "base/checked.h"
#include "ops/ops.h"

typedef struct reshape_attr {
    fov_shape shape;
} reshape_attr;

static fov_status infer(fov_node *node) {
    const fov_shape *from = &node->input[0]->shape, *to = &((const reshape_attr *)node->attr)->shape;
    size_t count = 0;
    if (!fov_product_size(to->dim, to->rank, &count) || count != fov_shape_count(from)) {
        char left[128], right[128];
        return FOV_FAIL(FOV_E_INVALID, "needs as many elements as its input, got %s for %s", fov_shape_text(to, right, sizeof right),
                        fov_shape_text(from, left, sizeof left));
    }
    node->shape = *to;
    node->dtype = node->input[0]->dtype;
    return FOV_OK;
}

const fov_op fov_op_reshape = {.name = "reshape", .infer = infer, .inplace = -1, .alias = true};

fov_node *fov_reshape(fov_graph *g, fov_node *x, fov_shape shape) {
    const reshape_attr attr = {.shape = shape};
    return fov_graph_add(g, &fov_op_reshape, &attr, sizeof attr, &x, 1, 1);
}
