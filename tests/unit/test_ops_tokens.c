/* Token operations in float: values and gradients against naive double loops, equal bits at any number of threads, and adding into
 * gradients that are there already. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "token_case.h"

/* ---- moves: an index map from output element to input element says it all ---- */

typedef size_t (*source_fn)(const op_case *c, size_t out_index);

#define FROM_INPUT_1 ((size_t)1 << 40)

/* out[i] = x[source(i)] (or input 1 where marked); the gradients are the transposed map. */
static void check_move(op_case *c, source_fn source) {
    run_all_threads(c);
    double *want[2] = {0};
    for (unsigned i = 0; i < 2 && i < c->node->input_count; i++) {
        if (c->wants[i]) {
            want[i] = fov_mem_zalloc(FOV_MEM_BASE, count_of(c->node->input[i]) * sizeof(double));
            assert_non_null(want[i]);
        }
    }
    for (size_t i = 0; i < count_of(c->node); i++) {
        const size_t from = source(c, i);
        const unsigned which = from >= FROM_INPUT_1;
        const size_t place = which ? from - FROM_INPUT_1 : from;
        assert_true(c->out[i] == c->in[which][place]);
        want[which][place] += (double)c->grad_out[i];
    }
    for (unsigned i = 0; i < 2; i++) {
        if (want[i] != NULL) {
            token_expect("gradient", c->grad[i], want[i], count_of(c->node->input[i]), 2e-6);
            fov_mem_free(want[i]);
        }
    }
    check_accumulate(c);
    case_clear(c);
}

static size_t patchify_source(const op_case *c, size_t i) {
    const size_t *x = c->node->input[0]->shape.dim;
    const size_t p = 4;
    const size_t width = p * p * x[3];
    const size_t across = x[2] / p;
    const size_t token = i / width % c->node->shape.dim[1];
    const size_t n = i / width / c->node->shape.dim[1];
    const size_t row = token / across * p + i % width / (p * x[3]);
    const size_t column = token % across * p + i % width / x[3] % p;
    return ((n * x[1] + row) * x[2] + column) * x[3] + i % x[3];
}

static void patchify_moves(void **state) {
    (void)state;
    fov_graph *g = new_graph();
    op_case c = case_new(fov_patchify(g, real_input(g, "x", FOV_SHAPE(3, 8, 12, 3)), 4));
    check_move(&c, patchify_source);
    fov_graph_free(g);
}

static size_t slice_source(const op_case *c, size_t i) {
    const size_t d = c->node->shape.dim[2];
    const size_t k = c->node->shape.dim[1];
    const size_t t = c->node->input[0]->shape.dim[1];
    return ((i / d / k) * t + 2 + i / d % k) * d + i % d;
}

static void slice_moves(void **state) {
    (void)state;
    fov_graph *g = new_graph();
    op_case c = case_new(fov_slice_tokens(g, real_input(g, "x", FOV_SHAPE(5, 7, 9)), 2, 4));
    check_move(&c, slice_source);
    fov_graph_free(g);
}

static const int32_t picks[] = {4, 0, 4, 2, /**/ 1, 1, 1, 1, /**/ 3, 2, 1, 0};

static size_t gather_source(const op_case *c, size_t i) {
    const size_t d = c->node->shape.dim[2];
    const size_t t = c->node->input[0]->shape.dim[1];
    return (i / d / 4 * t + (size_t)picks[i / d]) * d + i % d;
}

static void gather_moves(void **state) {
    (void)state;
    fov_graph *g = new_graph();
    fov_node *index = fov_input(g, "index", FOV_DTYPE_I32, FOV_SHAPE(3, 4));
    op_case c = case_new(fov_gather_tokens(g, real_input(g, "x", FOV_SHAPE(3, 5, 19)), index));
    c.index[1] = picks;
    check_move(&c, gather_source);
    fov_graph_free(g);
}

static const int32_t places[] = {4, 0, 3, 1, 2, /**/ 0, 1, 2, 3, 4, /**/ 3, 4, 1, 0, 2};

static size_t restore_source(const op_case *c, size_t i) {
    const size_t d = c->node->shape.dim[2];
    const size_t place = (size_t)places[i / d];
    return place < 2 ? (i / d / 5 * 2 + place) * d + i % d : FROM_INPUT_1 + i % d;
}

static void restore_moves(void **state) {
    (void)state;
    fov_graph *g = new_graph();
    fov_node *restore = fov_input(g, "restore", FOV_DTYPE_I32, FOV_SHAPE(3, 5));
    fov_node *token = real_input(g, "token", FOV_SHAPE(1, 1, 300));
    op_case c = case_new(fov_restore_tokens(g, real_input(g, "x", FOV_SHAPE(3, 2, 300)), token, restore));
    c.index[2] = places;
    check_move(&c, restore_source);
    fov_graph_free(g);
}

/* A mask token may be frozen while its tokens are not, and the other way round. */
static void restore_one_gradient(void **state) {
    (void)state;
    for (unsigned without = 0; without < 2; without++) {
        fov_graph *g = new_graph();
        fov_node *restore = fov_input(g, "restore", FOV_DTYPE_I32, FOV_SHAPE(3, 5));
        fov_node *token = real_input(g, "token", FOV_SHAPE(1, 1, 8));
        op_case c = case_new(fov_restore_tokens(g, real_input(g, "x", FOV_SHAPE(3, 2, 8)), token, restore));
        c.index[2] = places;
        c.wants[without] = false;
        run_all_threads(&c);
        double sum = 0.0;
        double want = 0.0;
        for (size_t i = 0; i < count_of(c.node); i++) {
            want += (places[i / 8] >= 2) == (without == 0) ? (double)c.grad_out[i] : 0.0;
        }
        const unsigned with = 1 - without;
        for (size_t i = 0; i < count_of(c.node->input[with]); i++) {
            sum += (double)c.grad[with][i];
        }
        assert_true(fabs(sum - want) < 1e-5);
        case_clear(&c);
        fov_graph_free(g);
    }
}

static void positions_and_class_token(void **state) {
    (void)state;
    enum { N = 5, T = 4, D = 70, P = 6 };
    fov_graph *g = new_graph();
    op_case c = case_new(fov_add_position(g, real_input(g, "x", FOV_SHAPE(N, T, D)), real_input(g, "position", FOV_SHAPE(1, P, D)), 1));
    run_all_threads(&c);
    double want[P * D] = {0};
    for (size_t i = 0; i < N * T * D; i++) {
        assert_true(c.out[i] == c.in[0][i] + c.in[1][D + i % (T * D)]);
        assert_true(c.grad[0][i] == c.grad_out[i]);
        want[D + i % (T * D)] += (double)c.grad_out[i];
    }
    token_expect("position", c.grad[1], want, P * D, 2e-6);
    check_accumulate(&c);
    case_clear(&c);

    fov_node *token = real_input(g, "token", FOV_SHAPE(1, 1, D));
    op_case e = case_new(fov_prepend_token(g, real_input(g, "x", FOV_SHAPE(N, T, D)), token, real_input(g, "position", FOV_SHAPE(1, P, D))));
    run_all_threads(&e);
    double want_token[P * D] = {0};
    for (size_t i = 0; i < N * (T + 1) * D; i++) {
        const size_t n = i / ((T + 1) * D);
        const size_t within = i % ((T + 1) * D);
        const size_t from = n * T * D + within - D;
        assert_true(e.out[i] == (within < D ? e.in[1][within] + e.in[2][within] : e.in[0][from]));
        if (within < D) {
            want_token[within] += (double)e.grad_out[i];
        } else {
            assert_true(e.grad[0][from] == e.grad_out[i]);
        }
    }
    token_expect("token", e.grad[1], want_token, D, 2e-6);
    token_expect("position", e.grad[2], want_token, P * D, 2e-6);
    check_accumulate(&e);
    case_clear(&e);
    fov_graph_free(g);
}

static void mean_of_tokens(void **state) {
    (void)state;
    enum { N = 3, T = 11, D = 37 };
    for (size_t first = 0; first < 2; first++) {
        fov_graph *g = new_graph();
        op_case c = case_new(fov_mean_tokens(g, real_input(g, "x", FOV_SHAPE(N, T, D)), first));
        run_all_threads(&c);
        double want[N * D] = {0};
        double grad[N * T * D] = {0};
        for (size_t i = 0; i < N * T * D; i++) {
            const size_t to = i / (T * D) * D + i % D;
            if (i / D % T >= first) {
                want[to] += (double)c.in[0][i] / (double)(T - first);
                grad[i] = (double)c.grad_out[to] / (double)(T - first);
            }
        }
        token_expect("mean", c.out, want, N * D, 1e-6);
        token_expect("gradient", c.grad[0], grad, N * T * D, 1e-6);
        check_accumulate(&c);
        case_clear(&c);
        fov_graph_free(g);
    }
}

/* ---- attention ---- */

typedef struct naive_attention {
    size_t t, d, heads;
    const fov_real *qkv, *grad_out;
    double *out, *grad;
} naive_attention;

/* One row of one head of one image: value, then its share of the gradients. */
static void naive_row(const naive_attention *a, size_t image, size_t head, size_t row, double *p) {
    const size_t width = a->d / a->heads;
    const size_t base = image * a->t * 3 * a->d + head * width;
    const double scale = 1.0 / sqrt((double)width);
    double top = -INFINITY;
    for (size_t j = 0; j < a->t; j++) {
        p[j] = 0.0;
        for (size_t c = 0; c < width; c++) {
            p[j] += scale * (double)a->qkv[base + row * 3 * a->d + c] * (double)a->qkv[base + j * 3 * a->d + a->d + c];
        }
        top = fmax(top, p[j]);
    }
    double sum = 0.0;
    for (size_t j = 0; j < a->t; j++) {
        p[j] = exp(p[j] - top);
        sum += p[j];
    }
    const size_t out = image * a->t * a->d + row * a->d + head * width;
    double dot = 0.0;
    for (size_t j = 0; j < a->t; j++) {
        p[j] /= sum;
        for (size_t c = 0; c < width; c++) {
            const double v = (double)a->qkv[base + j * 3 * a->d + 2 * a->d + c];
            const double g = (double)a->grad_out[out + c];
            a->out[out + c] += p[j] * v;
            a->grad[base + j * 3 * a->d + 2 * a->d + c] += p[j] * g;
            dot += p[j] * v * g;
        }
    }
    for (size_t j = 0; j < a->t; j++) {
        double dp = 0.0;
        for (size_t c = 0; c < width; c++) {
            dp += (double)a->grad_out[out + c] * (double)a->qkv[base + j * 3 * a->d + 2 * a->d + c];
        }
        const double ds = p[j] * (dp - dot) * scale;
        for (size_t c = 0; c < width; c++) {
            a->grad[base + row * 3 * a->d + c] += ds * (double)a->qkv[base + j * 3 * a->d + a->d + c];
            a->grad[base + j * 3 * a->d + a->d + c] += ds * (double)a->qkv[base + row * 3 * a->d + c];
        }
    }
}

static void check_attention(size_t n, size_t t, size_t d, size_t heads, double scale) {
    fov_graph *g = new_graph();
    op_case c = case_new(fov_attention(g, real_input(g, "qkv", FOV_SHAPE(n, t, 3 * d)), heads));
    for (size_t i = 0; i < n * t * 3 * d; i++) {
        c.in[0][i] *= (fov_real)(i % (3 * d) < 2 * d ? scale : 1.0);
    }
    run_all_threads(&c);
    double *out = fov_mem_zalloc(FOV_MEM_BASE, n * t * d * sizeof *out);
    double *grad = fov_mem_zalloc(FOV_MEM_BASE, n * t * 3 * d * sizeof *grad);
    double *p = fov_mem_zalloc(FOV_MEM_BASE, t * sizeof *p);
    assert_true(out != NULL && grad != NULL && p != NULL);
    const naive_attention a = {.t = t, .d = d, .heads = heads, .qkv = c.in[0], .grad_out = c.grad_out, .out = out, .grad = grad};
    for (size_t i = 0; i < n * heads * t; i++) {
        naive_row(&a, i / (heads * t), i / t % heads, i % t, p);
    }
    token_expect("attention", c.out, out, n * t * d, 1e-5 * (1.0 + scale));
    token_expect("gradient of qkv", c.grad[0], grad, n * t * 3 * d, 1e-5 * (1.0 + scale));
    check_accumulate(&c);
    fov_mem_free(out);
    fov_mem_free(grad);
    fov_mem_free(p);
    case_clear(&c);
    fov_graph_free(g);
}

static void attention_equals_naive(void **state) {
    (void)state;
    check_attention(1, 1, 4, 1, 1.0);
    check_attention(2, 5, 8, 1, 1.0);
    check_attention(2, 17, 12, 3, 1.0);
    check_attention(1, 64, 6, 3, 1.0);
    check_attention(2, 65, 24, 3, 1.0);
    check_attention(1, 197, 16, 1, 1.0);
    check_attention(2, 9, 8, 2, 6.0);
    check_attention(16, 3, 24, 6, 1.0); /* several heads of an image in a chunk: three, two, one */
    check_attention(17, 2, 8, 4, 1.0);
    check_attention(16, 2, 10, 5, 1.0);
}

/* Without a backward pass there is no stash; the values must be the same. */
static void forward_only_equals(void **state) {
    (void)state;
    fov_graph *g = new_graph();
    fov_node *nodes[] = {fov_attention(g, real_input(g, "qkv", FOV_SHAPE(2, 70, 12)), 2),
                         fov_nt_xent(g, real_input(g, "z", FOV_SHAPE(140, 5)), 0.5)};
    for (size_t i = 0; i < 2; i++) {
        op_case c = case_new(nodes[i]);
        token_step t = step_of(&c, c.out, c.grad);
        token_run(c.node, &t, 2);
        fov_real *out = token_block(count_of(c.node) * sizeof *out);
        t.out = out;
        t.grad_out = NULL;
        token_run(c.node, &t, 2);
        assert_memory_equal(out, c.out, count_of(c.node) * sizeof *out);
        fov_mem_free(out);
        case_clear(&c);
    }
    fov_graph_free(g);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(patchify_moves),
        cmocka_unit_test(slice_moves),
        cmocka_unit_test(gather_moves),
        cmocka_unit_test(restore_moves),
        cmocka_unit_test(restore_one_gradient),
        cmocka_unit_test(positions_and_class_token),
        cmocka_unit_test(mean_of_tokens),
        cmocka_unit_test(attention_equals_naive),
        cmocka_unit_test(forward_only_equals),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
