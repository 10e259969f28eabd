/* Runs one op alone, without a plan: forward and backward of a node over plain arrays, on a pool of a chosen size. Memory that an op
 * must not rely on is filled with NaN. Used by the unit and golden tests of the token operations. */
#ifndef FOV_TESTS_TOKEN_STEP_H
#define FOV_TESTS_TOKEN_STEP_H

#include <math.h>
#include <string.h>

#include "base/memory.h"
#include "base/rng.h"
#include "ops/ops.h"

typedef struct token_step {
    const void *in[FOV_MAX_INPUTS];
    void *out;
    const fov_real *grad_out; /* NULL: forward only, and without a stash */
    fov_real *grad_in[FOV_MAX_INPUTS];
    bool accumulate[FOV_MAX_INPUTS];
} token_step;

static inline void *token_block(size_t bytes) {
    void *block = fov_mem_alloc(FOV_MEM_BASE, bytes);
    assert_non_null(block);
    memset(block, 0xff, bytes);
    return block;
}

static inline fov_real *token_numbers(size_t n, double scale, uint64_t seed) {
    fov_real *x = token_block(n * sizeof *x);
    fov_rng rng;
    fov_rng_init(&rng, seed, 0, 0, 0, FOV_RNG_TEST);
    for (size_t i = 0; i < n; i++) {
        x[i] = (fov_real)(scale * fov_rng_normal(&rng));
    }
    return x;
}

static inline void token_run_with(const fov_node *node, const token_step *t, unsigned threads, const fov_kernels *k) {
    assert_non_null(node);
    fov_pool *pool = NULL;
    if (threads > 1) {
        assert_int_equal(fov_pool_new(&pool, threads), FOV_OK);
    }
    const size_t each = (node->worker_work + FOV_ALIGN - 1) / FOV_ALIGN * FOV_ALIGN;
    void *stash = t->grad_out != NULL ? token_block(node->stash_bytes) : NULL;
    void *forward_work = token_block(node->forward_work);
    void *backward_work = token_block(node->backward_work);
    void *workers = token_block(each * threads);
    fov_step step = {.node = node, .k = k, .pool = pool, .out = t->out, .stash = stash, .work = forward_work, .worker_base = workers};
    memcpy(step.in, t->in, sizeof step.in);
    node->op->forward(&step);
    if (t->grad_out != NULL) {
        memset(workers, 0xff, each * threads);
        for (unsigned i = 0; i < node->input_count; i++) {
            step.in[i] = (node->op->reads & FOV_READS_IN(i)) != 0 ? t->in[i] : NULL;
        }
        step.out = (node->op->reads & FOV_READS_OUT) != 0 ? t->out : NULL;
        step.work = backward_work;
        step.grad_out = t->grad_out;
        memcpy(step.grad_in, t->grad_in, sizeof step.grad_in);
        memcpy(step.accumulate, t->accumulate, sizeof step.accumulate);
        node->op->backward(&step);
    }
    fov_mem_free(stash);
    fov_mem_free(forward_work);
    fov_mem_free(backward_work);
    fov_mem_free(workers);
    fov_pool_free(pool);
}

static inline void token_run(const fov_node *node, const token_step *t, unsigned threads) {
    token_run_with(node, t, threads, fov_kernels_get());
}

/* Fails unless |got - want| <= tolerance times the largest |want|. */
static inline void token_expect(const char *what, const fov_real *got, const double *want, size_t n, double tolerance) {
    double top = 0.0;
    for (size_t i = 0; i < n; i++) {
        top = fmax(top, fabs(want[i]));
    }
    for (size_t i = 0; i < n; i++) {
        if (!(fabs((double)got[i] - want[i]) <= tolerance * top)) {
            fail_msg("%s[%zu]: got %.9g, want %.9g (largest %.3g)", what, i, (double)got[i], want[i], top);
        }
    }
}

#endif
