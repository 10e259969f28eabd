/* The contract for gradient cases: one table entry proves one use of one op against finite differences.
 *
 * Tables: cases_rows.h, cases_images.h, cases_tokens.h, each `static const fov_grad_case cases_NAME[] = {...};`. test_grad_ops.c runs them
 * all in the double build and fails when an op with a backward has no case.
 *
 * What is checked of every case, for every element (a sample of 60 of large tensors) of every trainable parameter: the gradient of
 * sum(weight * output), with fixed random weights, against central differences, sign included; equal bits with plan reuse on and off and
 * with 1 and 3 threads; twice the gradient after two accumulated runs. */
#ifndef FOV_TESTS_GRAD_GRADCHECK_H
#define FOV_TESTS_GRAD_GRADCHECK_H

#include "base/rng.h"
#include "ops/ops.h"

typedef struct fov_grad_case {
    const char *op;   /* the descriptor's name: "linear" */
    const char *what; /* what is special about this case: "no bias, gelu" */
    /* Builds the op and returns its output, of any shape. Every operand that should get a gradient is made with grad_operand (or any
     * fov_parameter of role FOV_PARAM_TRAINABLE); other operands with fov_input or parameters of another role. */
    fov_node *(*build)(fov_graph *g);
    /* Fills a fov_input (any dtype); NULL: reals get N(0, 1), u8 random bytes, int32 zeros. */
    void (*fill)(const char *name, void *data, const fov_shape *shape);
    bool training;    /* as fov_graph_new */
    double tolerance; /* largest |analytic - numeric| over the tensor's largest |numeric|; 0: 1e-7 */
    uint64_t counter; /* fov_run.counter, for ops that draw */
} fov_grad_case;

#define FOV_GRAD_TOLERANCE 1e-7

/* An operand with N(0, 1) entries and a gradient. */
static inline fov_node *grad_operand(fov_graph *g, const char *name, fov_shape shape) {
    return fov_parameter(g, name, shape, (fov_param_spec){.role = FOV_PARAM_TRAINABLE, .init = FOV_INIT_NORMAL, .a = 1.0});
}

#endif
