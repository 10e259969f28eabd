/* Leaves of a graph: inputs, whose memory the caller binds to the plan, and parameters, whose memory the store owns.
 *
 * Neither has a step; they exist as ops so that every node has one. */
#include <string.h>

#include "graph/graph_internal.h"

typedef struct param_attr {
    fov_store *store;
} param_attr;

const fov_op fov_op_input = {.name = "input", .inplace = -1};
const fov_op fov_op_param = {.name = "param", .inplace = -1};

fov_store *fov_node_store(const fov_node *node) {
    FOV_ASSERT(node->op == &fov_op_param);
    return ((const param_attr *)node->attr)->store;
}

static fov_node *find_input(const fov_graph *graph, const char *name) {
    for (size_t i = 0; i < fov_graph_size(graph); i++) {
        fov_node *node = fov_graph_node(graph, i);
        if (node->op == &fov_op_input && strcmp(node->input_name, name) == 0) {
            return node;
        }
    }
    return NULL;
}

fov_node *fov_input(fov_graph *graph, const char *name, fov_dtype dtype, fov_shape shape) {
    if (fov_graph_failed(graph)) {
        return NULL;
    }
    fov_node *known = find_input(graph, name);
    if (known != NULL) {
        char was[128], now[128];
        return known->dtype == dtype && fov_shape_equal(&known->shape, &shape)
                   ? known
                   : fov_graph_fail(graph, FOV_E_MISMATCH, "input \"%s\" is declared as %s and again, of another type or shape, as %s",
                                    name, fov_shape_text(&known->shape, was, sizeof was), fov_shape_text(&shape, now, sizeof now));
    }
    fov_node node = {.op = &fov_op_input, .graph = graph, .scope = fov_graph_scope(graph), .shape = shape, .dtype = dtype};
    node.input_name = fov_arena_strdup(fov_graph_arena(graph), name);
    if (node.input_name == NULL) {
        return fov_graph_fail(graph, FOV_E_NOMEM, "out of memory for input \"%s\"", name);
    }
    return fov_graph_append(graph, &node);
}

/* Finds the parameter in the store or adds it; NULL with the error recorded. */
static fov_param *find_or_add(fov_graph *graph, fov_store *store, const char *name, fov_shape shape, fov_param_spec spec) {
    fov_param *param = fov_store_find(store, name);
    if (param == NULL && fov_store_committed(store)) {
        (void)fov_graph_fail(graph, FOV_E_NOTFOUND, "parameter \"%s\" is not in the store, which is laid out already", name);
        return NULL;
    }
    if (param == NULL) {
        const fov_status status = fov_store_add(store, name, shape, spec, &param);
        if (status != FOV_OK) {
            (void)fov_graph_fail(graph, status, "%s", fov_last_error());
            return NULL;
        }
        return param;
    }
    if (!fov_shape_equal(&param->shape, &shape)) {
        char have[128], want[128];
        (void)fov_graph_fail(graph, FOV_E_MISMATCH, "parameter \"%s\" has shape %s, but is used here with shape %s", name,
                             fov_shape_text(&param->shape, have, sizeof have), fov_shape_text(&shape, want, sizeof want));
        return NULL;
    }
    return param;
}

fov_node *fov_parameter(fov_graph *graph, const char *name, fov_shape shape, fov_param_spec spec) {
    if (fov_graph_failed(graph)) {
        return NULL;
    }
    fov_store *store = fov_graph_store(graph);
    FOV_ASSERT(store != NULL);
    const char *scope = fov_graph_scope(graph);
    fov_arena *arena = fov_graph_arena(graph);
    const char *full = fov_arena_printf(arena, "%s%s%s", scope, scope[0] != '\0' ? "." : "", name);
    const param_attr attr = {.store = store};
    fov_node node = {.op = &fov_op_param, .graph = graph, .scope = scope, .shape = shape, .dtype = FOV_DTYPE_REAL};
    node.attr = fov_arena_copy(arena, &attr, sizeof attr);
    if (full == NULL || node.attr == NULL) {
        return fov_graph_fail(graph, FOV_E_NOMEM, "out of memory for parameter \"%s\"", name);
    }
    node.param = find_or_add(graph, store, full, shape, spec);
    if (node.param == NULL) {
        return NULL;
    }
    node.needs_grad = node.param->spec.role == FOV_PARAM_TRAINABLE && !fov_graph_frozen(graph);
    return fov_graph_append(graph, &node);
}
