/* One op with random operands: equal bits at 1, 2, 3 and 8 threads, and gradients that add to what is there. */
#ifndef FOV_TESTS_TOKEN_CASE_H
#define FOV_TESTS_TOKEN_CASE_H

#include "graph/graph.h"
#include "token_step.h"

static inline fov_graph *new_graph(void) {
    fov_graph *g = NULL;
    assert_int_equal(fov_graph_new(&g, true), FOV_OK);
    return g;
}

static inline fov_node *real_input(fov_graph *g, const char *name, fov_shape shape) {
    return fov_input(g, name, FOV_DTYPE_REAL, shape);
}

typedef struct op_case {
    fov_node *node;
    fov_real *in[FOV_MAX_INPUTS];       /* reals; NULL where the input is int32 or absent */
    const int32_t *index[FOV_MAX_INPUTS];
    bool wants[FOV_MAX_INPUTS];         /* gradient wanted */
    fov_real *out, *grad_out;
    fov_real *grad[FOV_MAX_INPUTS];
} op_case;

static inline size_t count_of(const fov_node *node) {
    return fov_shape_count(&node->shape);
}

static inline op_case case_new(fov_node *node) {
    op_case c = {.node = node};
    assert_non_null(node);
    for (unsigned i = 0; i < node->input_count; i++) {
        if (node->input[i] != NULL && node->input[i]->dtype == FOV_DTYPE_REAL) {
            c.in[i] = token_numbers(count_of(node->input[i]), 1.0, 10 + i);
            c.grad[i] = token_block(count_of(node->input[i]) * sizeof(fov_real));
            c.wants[i] = true;
        }
    }
    c.out = token_block(count_of(node) * sizeof(fov_real));
    c.grad_out = token_numbers(count_of(node), 1.0, 77);
    return c;
}

static inline void case_clear(op_case *c) {
    for (unsigned i = 0; i < c->node->input_count; i++) {
        fov_mem_free(c->in[i]);
        fov_mem_free(c->grad[i]);
    }
    fov_mem_free(c->out);
    fov_mem_free(c->grad_out);
}

static inline token_step step_of(const op_case *c, fov_real *out, fov_real *const *grad) {
    token_step t = {.out = out, .grad_out = c->grad_out};
    for (unsigned i = 0; i < c->node->input_count; i++) {
        t.in[i] = c->in[i] != NULL ? (const void *)c->in[i] : (const void *)c->index[i];
        t.grad_in[i] = c->wants[i] ? grad[i] : NULL;
    }
    return t;
}

/* Runs at 1 thread into c->out and c->grad, then at 2, 3 and 8 and demands equal bits. */
static inline void run_all_threads(op_case *c) {
    const token_step first = step_of(c, c->out, c->grad);
    token_run(c->node, &first, 1);
    static const unsigned threads[] = {2, 3, 8};
    for (size_t k = 0; k < 3; k++) {
        fov_real *grad[FOV_MAX_INPUTS] = {0};
        fov_real *out = token_block(count_of(c->node) * sizeof *out);
        for (unsigned i = 0; i < c->node->input_count; i++) {
            grad[i] = c->wants[i] ? token_block(count_of(c->node->input[i]) * sizeof(fov_real)) : NULL;
        }
        const token_step again = step_of(c, out, grad);
        token_run(c->node, &again, threads[k]);
        assert_memory_equal(out, c->out, count_of(c->node) * sizeof *out);
        for (unsigned i = 0; i < c->node->input_count; i++) {
            if (grad[i] != NULL) {
                assert_memory_equal(grad[i], c->grad[i], count_of(c->node->input[i]) * sizeof(fov_real));
            }
            fov_mem_free(grad[i]);
        }
        fov_mem_free(out);
    }
}

/* A run with `accumulate` must add c->grad to what is there. */
static inline void check_accumulate(const op_case *c) {
    fov_real *grad[FOV_MAX_INPUTS] = {0};
    fov_real *out = token_block(count_of(c->node) * sizeof *out);
    for (unsigned i = 0; i < c->node->input_count; i++) {
        grad[i] = c->wants[i] ? token_numbers(count_of(c->node->input[i]), 1.0, 40 + i) : NULL;
    }
    token_step t = step_of(c, out, grad);
    for (unsigned i = 0; i < FOV_MAX_INPUTS; i++) {
        t.accumulate[i] = true;
    }
    token_run(c->node, &t, 2);
    for (unsigned i = 0; i < c->node->input_count; i++) {
        if (grad[i] == NULL) {
            continue;
        }
        const size_t n = count_of(c->node->input[i]);
        fov_real *before = token_numbers(n, 1.0, 40 + i);
        for (size_t j = 0; j < n; j++) {
            const double want = (double)before[j] + (double)c->grad[i][j];
            assert_true(fabs((double)grad[i][j] - want) <= 3e-6 * (1.0 + fabs(want)));
        }
        fov_mem_free(before);
        fov_mem_free(grad[i]);
    }
    fov_mem_free(out);
}

#endif
