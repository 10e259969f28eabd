/* Building a graph: nodes in an arena, a stack of scopes, and the first error.
 *
 * Models are written as if nothing could fail. Once an error is recorded every builder returns NULL, so that the message names the place
 * where things first went wrong and no other. */
#include "graph/graph.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/checked.h"
#include "base/options.h"
#include "graph/graph_internal.h"

#define MAX_SCOPES 32

struct fov_graph {
    fov_arena arena; /* nodes, attributes, names */
    fov_node **nodes;
    size_t count, capacity;
    const char *scopes[MAX_SCOPES + 1]; /* full names; [0] is "" */
    unsigned depth;
    fov_store *store;
    bool training, frozen;
    fov_precision precision;
    fov_conv_choice conv;
    uint32_t block, blocks; /* the one that is open, how many there were */
    fov_status status;
    char message[512];
};

fov_status fov_graph_new(fov_graph **graph, bool training) {
    *graph = fov_mem_zalloc(FOV_MEM_GRAPH, sizeof **graph);
    FOV_TRY_ALLOC(*graph);
    fov_arena_init(&(*graph)->arena, FOV_MEM_GRAPH, 0);
    (*graph)->scopes[0] = "";
    (*graph)->training = training;
    return FOV_OK;
}

void fov_graph_free(fov_graph *graph) {
    if (graph == NULL) {
        return;
    }
    fov_arena_clear(&graph->arena);
    fov_mem_free(graph->nodes);
    fov_mem_free(graph);
}

fov_status fov_graph_status(const fov_graph *graph) {
    return graph->status == FOV_OK ? FOV_OK : FOV_FAIL(graph->status, "%s", graph->message);
}

bool fov_graph_training(const fov_graph *graph) {
    return graph->training;
}

void fov_graph_use_precision(fov_graph *graph, fov_precision precision) {
    graph->precision = precision;
}

fov_precision fov_graph_precision(const fov_graph *graph) {
    return graph->precision;
}

const char *const fov_conv_choice_names[] = {"auto", "direct", "winograd", NULL};

fov_conv_choice fov_conv_choice_named(const char *name) {
    return (fov_conv_choice)fov_option_choice(fov_conv_choice_names, name);
}

void fov_graph_use_conv(fov_graph *graph, fov_conv_choice choice) {
    graph->conv = choice;
}

fov_conv_choice fov_graph_conv(const fov_graph *graph) {
    return graph->conv;
}

size_t fov_graph_size(const fov_graph *graph) {
    return graph->count;
}

fov_node *fov_graph_node(const fov_graph *graph, size_t id) {
    FOV_ASSERT(id < graph->count);
    return graph->nodes[id];
}

fov_arena *fov_graph_arena(fov_graph *graph) {
    return &graph->arena;
}

const char *fov_graph_scope(const fov_graph *graph) {
    return graph->scopes[graph->depth];
}

bool fov_graph_failed(const fov_graph *graph) {
    return graph->status != FOV_OK;
}

bool fov_graph_frozen(const fov_graph *graph) {
    return graph->frozen;
}

void fov_graph_push(fov_graph *graph, const char *format, ...) {
    FOV_ASSERT(graph->depth < MAX_SCOPES);
    char name[128];
    va_list arguments;
    va_start(arguments, format);
    const int length = vsnprintf(name, sizeof name, format, arguments);
    va_end(arguments);
    FOV_ASSERT(length > 0 && (size_t)length < sizeof name);
    const char *outer = fov_graph_scope(graph);
    const char *full = fov_arena_printf(&graph->arena, "%s%s%s", outer, outer[0] != '\0' ? "." : "", name);
    if (full == NULL) {
        (void)fov_graph_fail(graph, FOV_E_NOMEM, "out of memory for the scope \"%s\"", name);
        full = outer; /* the stack must stay in step with the pops to come */
    }
    graph->scopes[++graph->depth] = full;
}

void fov_graph_pop(fov_graph *graph) {
    FOV_ASSERT(graph->depth > 0);
    graph->depth--;
}

void fov_graph_use_store(fov_graph *graph, fov_store *store) {
    graph->store = store;
}

fov_store *fov_graph_store(const fov_graph *graph) {
    return graph->store;
}

void fov_graph_freeze(fov_graph *graph, bool frozen) {
    graph->frozen = frozen;
}

void fov_graph_block_begin(fov_graph *graph) {
    FOV_ASSERT(graph->block == 0);
    graph->block = ++graph->blocks;
}

void fov_graph_block_end(fov_graph *graph) {
    graph->block = 0;
}

fov_node *fov_graph_fail(fov_graph *graph, fov_status status, const char *format, ...) {
    if (graph->status != FOV_OK) {
        return NULL;
    }
    graph->status = status;
    const char *scope = fov_graph_scope(graph);
    int used = scope[0] != '\0' ? snprintf(graph->message, sizeof graph->message, "%s: ", scope) : 0;
    if (used < 0 || (size_t)used >= sizeof graph->message) {
        used = 0;
    }
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(graph->message + used, sizeof graph->message - (size_t)used, format, arguments);
    va_end(arguments);
    return NULL;
}

static size_t dtype_bytes(fov_dtype dtype) {
    switch (dtype) {
    case FOV_DTYPE_U8:
        return 1;
    case FOV_DTYPE_U16:
        return sizeof(uint16_t);
    case FOV_DTYPE_I32:
        return sizeof(int32_t);
    case FOV_DTYPE_REAL:
        break;
    }
    return sizeof(fov_real);
}

size_t fov_node_bytes(const fov_node *node) {
    return fov_shape_count(&node->shape) * dtype_bytes(node->dtype);
}

static bool fits(const fov_node *node) {
    size_t count = 0, bytes = 0;
    return fov_product_size(node->shape.dim, node->shape.rank, &count) && fov_mul_size(count, dtype_bytes(node->dtype), &bytes) &&
           bytes <= SIZE_MAX / 8;
}

fov_node *fov_graph_append(fov_graph *graph, const fov_node *node) {
    if (!fits(node)) {
        char text[128];
        return fov_graph_fail(graph, FOV_E_LIMIT, "%s gives %s, which is too large", node->op->name,
                              fov_shape_text(&node->shape, text, sizeof text));
    }
    if (graph->count == graph->capacity) {
        const size_t capacity = graph->capacity == 0 ? 256 : graph->capacity * 2;
        fov_node **nodes = fov_mem_realloc(FOV_MEM_GRAPH, graph->nodes, capacity * sizeof(fov_node *));
        if (nodes == NULL) {
            return fov_graph_fail(graph, FOV_E_NOMEM, "out of memory for node %zu", graph->count);
        }
        graph->nodes = nodes;
        graph->capacity = capacity;
    }
    fov_node *added = fov_arena_copy(&graph->arena, node, sizeof *node);
    if (added == NULL) {
        return fov_graph_fail(graph, FOV_E_NOMEM, "out of memory for node %zu", graph->count);
    }
    added->id = (uint32_t)graph->count;
    graph->nodes[graph->count++] = added;
    return added;
}

/* Copies inputs and says whether all required ones are there and belong to this graph. */
static bool take_inputs(fov_graph *graph, fov_node *node, fov_node *const *inputs, unsigned count, unsigned required) {
    for (unsigned i = 0; i < count; i++) {
        if (inputs[i] == NULL && i < required) {
            (void)fov_graph_fail(graph, FOV_E_INVALID, "%s needs input %u", node->op->name, i);
            return false;
        }
        FOV_ASSERT(inputs[i] == NULL || inputs[i]->graph == graph);
        node->input[i] = inputs[i];
        node->needs_grad = node->needs_grad || (inputs[i] != NULL && inputs[i]->needs_grad);
    }
    node->input_count = count;
    return true;
}

fov_node *fov_graph_add(fov_graph *graph, const fov_op *op, const void *attr, size_t attr_size, fov_node *const *inputs,
                        unsigned input_count, unsigned required) {
    if (fov_graph_failed(graph)) {
        return NULL;
    }
    FOV_ASSERT(input_count <= FOV_MAX_INPUTS);
    fov_node node = {.op = op, .graph = graph, .scope = fov_graph_scope(graph), .dtype = FOV_DTYPE_REAL, .block = graph->block};
    if (!take_inputs(graph, &node, inputs, input_count, required)) {
        return NULL;
    }
    node.needs_grad = node.needs_grad && !graph->frozen && (op->backward != NULL || op->alias);
    if (attr != NULL) {
        node.attr = fov_arena_copy(&graph->arena, attr, attr_size);
        if (node.attr == NULL) {
            return fov_graph_fail(graph, FOV_E_NOMEM, "out of memory for %s", op->name);
        }
    }
    const fov_status status = op->infer(&node);
    if (status != FOV_OK) {
        return fov_graph_fail(graph, status, "%s %s", op->name, fov_last_error());
    }
    return fov_graph_append(graph, &node);
}
