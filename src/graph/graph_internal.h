/* What leaf.c, graph.c and the planner know of each other. */
#ifndef FOV_GRAPH_GRAPH_INTERNAL_H
#define FOV_GRAPH_GRAPH_INTERNAL_H

#include "graph/graph.h"

extern const fov_op fov_op_input, fov_op_param;

static inline bool fov_node_is_leaf(const fov_node *node) {
    return node->op == &fov_op_input || node->op == &fov_op_param;
}

/* The store that holds a "param" node's parameter. */
fov_store *fov_node_store(const fov_node *node);

/* Bytes of a node's value: infer and the graph have checked that it fits. */
size_t fov_node_bytes(const fov_node *node);

/* The arena that lives as long as the graph. */
fov_arena *fov_graph_arena(fov_graph *graph);
const char *fov_graph_scope(const fov_graph *graph);
bool fov_graph_failed(const fov_graph *graph);
bool fov_graph_frozen(const fov_graph *graph);

/* Appends a node whose shape and type are set; NULL (with the error recorded) when that fails. */
fov_node *fov_graph_append(fov_graph *graph, const fov_node *node);

#endif
