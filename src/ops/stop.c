/* The value of a node without its gradient: targets of BYOL, SimSiam and DINO. The same bytes, so it costs nothing. */
#include "ops/ops.h"

static fov_status infer(fov_node *node) {
    node->shape = node->input[0]->shape;
    node->dtype = node->input[0]->dtype;
    node->needs_grad = false;
    return FOV_OK;
}

const fov_op fov_op_stop = {.name = "stop", .infer = infer, .inplace = -1, .alias = true};

fov_node *fov_stop(fov_graph *g, fov_node *x) {
    return fov_graph_add(g, &fov_op_stop, NULL, 0, &x, 1, 1);
}
