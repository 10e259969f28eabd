/* Image operations in float: convolutions against the direct loop in double, batch norm and pooling against their definitions, equal
 * bits at 1, 2, 3 and 8 threads, and what bad shapes are told. Gradients are proved in tests/grad. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "ops/conv.h"
#include "token_step.h"

static fov_graph *graph_new(bool training) {
    fov_graph *g = NULL;
    assert_int_equal(fov_graph_new(&g, training), FOV_OK);
    return g;
}

static fov_node *real_input(fov_graph *g, const char *name, fov_shape shape) {
    return fov_input(g, name, FOV_DTYPE_REAL, shape);
}

static size_t count_of(const fov_node *node) {
    return fov_shape_count(&node->shape);
}

/* ---- convolution ---- */

typedef struct conv_case {
    size_t n, h, w, ci, co, kh, kw, stride, pad;
} conv_case;

static const conv_case convs[] = {
    {3, 16, 16, 64, 64, 3, 3, 1, 1}, {2, 8, 8, 128, 64, 3, 3, 1, 1},  {16, 4, 4, 64, 96, 3, 3, 1, 1},  {29, 2, 2, 64, 32, 3, 3, 1, 1},
    {4, 16, 16, 32, 64, 3, 3, 2, 1}, {4, 16, 16, 32, 64, 1, 1, 2, 0}, {5, 6, 7, 40, 33, 1, 1, 1, 0},   {3, 32, 32, 3, 64, 7, 7, 2, 3},
    {20, 9, 9, 3, 5, 3, 3, 2, 1},    {2, 16, 16, 3, 40, 8, 8, 8, 0},  {1, 5, 6, 12, 12, 3, 3, 1, 1},   {2, 7, 9, 13, 35, 5, 3, 2, 2},
    {15, 1, 1, 16, 16, 3, 3, 1, 1},  {2, 40, 40, 64, 8, 3, 3, 1, 1},  {1, 64, 64, 3, 16, 7, 7, 2, 3},  {2, 9, 9, 16, 20, 3, 3, 3, 1},
    {2, 12, 12, 64, 64, 3, 3, 1, 1}, {2, 7, 7, 96, 64, 3, 3, 1, 1},   {33, 4, 4, 128, 64, 3, 3, 1, 1}, {2, 13, 10, 64, 64, 3, 3, 1, 0},
    {5, 3, 3, 64, 48, 3, 3, 1, 1},   {3, 24, 24, 48, 64, 3, 3, 2, 1}, {2, 31, 23, 64, 64, 3, 3, 2, 1}, {60, 3, 3, 32, 512, 3, 3, 1, 1},
    {3, 7, 7, 528, 512, 3, 3, 1, 1}, {3, 5, 5, 64, 64, 3, 3, 1, 1},   {3, 6, 6, 96, 64, 3, 3, 1, 1},   {2, 14, 14, 48, 64, 3, 3, 1, 1},
    {3, 9, 7, 24, 33, 1, 1, 2, 0},   {2, 10, 8, 16, 40, 1, 1, 3, 0},  {2, 9, 9, 96, 80, 3, 3, 1, 1},
    {3, 13, 9, 64, 96, 1, 1, 1, 0},  {2, 9, 9, 256, 64, 1, 1, 1, 0},  {37, 16, 16, 64, 512, 3, 3, 2, 1},
};

typedef struct conv_arrays {
    fov_real *x, *w, *b, *dy, *out, *dx, *dw, *db;
} conv_arrays;

static fov_node *conv_node(fov_graph *g, const conv_case *c) {
    return fov_conv2d(g, real_input(g, "x", FOV_SHAPE(c->n, c->h, c->w, c->ci)), real_input(g, "w", FOV_SHAPE(c->co, c->kh, c->kw, c->ci)),
                      real_input(g, "b", FOV_SHAPE(c->co)), c->stride, c->pad);
}

static conv_arrays conv_operands(const fov_node *node) {
    conv_arrays a;
    a.x = token_numbers(count_of(node->input[0]), 1, 1);
    a.w = token_numbers(count_of(node->input[1]), 1, 2);
    a.b = token_numbers(count_of(node->input[2]), 1, 3);
    a.dy = token_numbers(count_of(node), 1, 4);
    a.out = token_numbers(count_of(node), 1, 5);
    a.dx = token_numbers(count_of(node->input[0]), 1, 6);
    a.dw = token_numbers(count_of(node->input[1]), 1, 7);
    a.db = token_numbers(count_of(node->input[2]), 1, 8);
    return a;
}

static void conv_clear(conv_arrays *a) {
    fov_real *const blocks[] = {a->x, a->w, a->b, a->dy, a->out, a->dx, a->dw, a->db};
    for (size_t i = 0; i < 8; i++) {
        fov_mem_free(blocks[i]);
    }
}

static void conv_run(const fov_node *node, const conv_arrays *a, unsigned threads, bool accumulate) {
    const token_step t = {.in = {a->x, a->w, a->b},
                          .out = a->out,
                          .grad_out = a->dy,
                          .grad_in = {a->dx, a->dw, a->db},
                          .accumulate = {accumulate, accumulate, accumulate}};
    token_run(node, &t, threads);
}

typedef struct conv_want {
    double *out, *dx, *dw, *db;
} conv_want;

static double *zeros(size_t n) {
    double *x = fov_mem_array(FOV_MEM_BASE, n, sizeof *x);
    assert_non_null(x);
    return x;
}

/* One output number's part in everything. */
static void direct_one(const conv_case *c, const conv_arrays *a, conv_want *want, size_t at, const size_t place[4]) {
    double sum = (double)a->b[place[3]];
    const double dy = (double)a->dy[at];
    for (size_t tap = 0; tap < c->kh * c->kw; tap++) {
        const size_t y = place[1] * c->stride + tap / c->kw, x = place[2] * c->stride + tap % c->kw;
        if (y < c->pad || x < c->pad || y - c->pad >= c->h || x - c->pad >= c->w) {
            continue;
        }
        const size_t in = ((place[0] * c->h + y - c->pad) * c->w + x - c->pad) * c->ci, w = (place[3] * c->kh * c->kw + tap) * c->ci;
        for (size_t k = 0; k < c->ci; k++) {
            sum += (double)a->x[in + k] * (double)a->w[w + k];
            want->dx[in + k] += dy * (double)a->w[w + k];
            want->dw[w + k] += dy * (double)a->x[in + k];
        }
    }
    want->out[at] = sum;
    want->db[place[3]] += dy;
}

static conv_want direct(const conv_case *c, const fov_node *node, const conv_arrays *a) {
    conv_want want = {zeros(count_of(node)), zeros(count_of(node->input[0])), zeros(count_of(node->input[1])), zeros(c->co)};
    const size_t *dim = node->shape.dim;
    for (size_t at = 0; at < count_of(node); at++) {
        const size_t place[4] = {at / (dim[1] * dim[2] * dim[3]), at / (dim[2] * dim[3]) % dim[1], at / dim[3] % dim[2], at % dim[3]};
        direct_one(c, a, &want, at, place);
    }
    return want;
}

static void add_numbers(double *x, size_t n, unsigned stream) {
    fov_real *old = token_numbers(n, 1, stream);
    for (size_t i = 0; i < n; i++) {
        x[i] += (double)old[i];
    }
    fov_mem_free(old);
}

static void test_conv(void **state) {
    (void)state;
    size_t minimal = 0;
    for (size_t i = 0; i < sizeof convs / sizeof convs[0]; i++) {
        fov_graph *g = graph_new(true);
        const fov_node *node = conv_node(g, &convs[i]);
        assert_non_null(node);
        conv_arrays a = conv_operands(node);
        const conv_case *c = &convs[i];
        const fov_conv whole = {c->n, c->h, c->w, c->ci, c->kh, c->kw, c->co, node->shape.dim[1], node->shape.dim[2], c->stride, c->pad};
        const double tolerance = fov_winograd_suits(&whole) ? 3e-5 : 3e-6; /* minimal filtering costs a digit */
        minimal += fov_winograd_suits(&whole);
        conv_want want = direct(&convs[i], node, &a);
        conv_run(node, &a, 2, false);
        token_expect("out", a.out, want.out, count_of(node), tolerance);
        token_expect("dx", a.dx, want.dx, count_of(node->input[0]), tolerance);
        token_expect("dw", a.dw, want.dw, count_of(node->input[1]), tolerance);
        token_expect("db", a.db, want.db, convs[i].co, tolerance);
        conv_clear(&a);
        a = conv_operands(node);
        conv_run(node, &a, 1, true); /* gradients add to what is there */
        add_numbers(want.dx, count_of(node->input[0]), 6);
        add_numbers(want.dw, count_of(node->input[1]), 7);
        add_numbers(want.db, convs[i].co, 8);
        token_expect("added dx", a.dx, want.dx, count_of(node->input[0]), tolerance);
        token_expect("added dw", a.dw, want.dw, count_of(node->input[1]), tolerance);
        token_expect("added db", a.db, want.db, convs[i].co, tolerance);
        conv_clear(&a);
        double *const blocks[] = {want.out, want.dx, want.dw, want.db};
        for (size_t b = 0; b < 4; b++) {
            fov_mem_free(blocks[b]);
        }
        fov_graph_free(g);
    }
    assert_true(minimal >= 5 && minimal < sizeof convs / sizeof convs[0]); /* both ways were taken */
}

/* Which way a shape is computed. */
static void test_conv_way(void **state) {
    (void)state;
    static const struct {
        conv_case shape;
        const char *way;
    } ways[] = {{{2, 8, 8, 64, 64, 3, 3, 1, 1}, "winograd"}, {{2, 24, 24, 64, 64, 3, 3, 2, 1}, "winograd"},
                {{2, 8, 8, 64, 64, 3, 3, 2, 1}, "direct"},   {{2, 2, 2, 64, 64, 3, 3, 1, 1}, "winograd"},
                {{2, 1, 1, 64, 64, 3, 3, 1, 1}, "direct"},   {{2, 8, 8, 64, 64, 1, 1, 2, 0}, "product"}};
    for (size_t i = 0; i < sizeof ways / sizeof ways[0]; i++) {
        fov_graph *g = graph_new(true);
        const fov_node *node = conv_node(g, &ways[i].shape);
        assert_non_null(node);
        assert_string_equal(node->op->variant(node), ways[i].way);
        fov_graph_free(g);
    }
}

static void test_conv_same_bits(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof convs / sizeof convs[0]; i++) {
        fov_graph *g = graph_new(true);
        const fov_node *node = conv_node(g, &convs[i]);
        conv_arrays one = conv_operands(node);
        conv_run(node, &one, 1, true);
        for (unsigned threads = 2; threads <= 8; threads = threads == 3 ? 8 : threads + 1) {
            conv_arrays many = conv_operands(node);
            conv_run(node, &many, threads, true);
            assert_memory_equal(many.out, one.out, count_of(node) * sizeof(fov_real));
            assert_memory_equal(many.dx, one.dx, count_of(node->input[0]) * sizeof(fov_real));
            assert_memory_equal(many.dw, one.dw, count_of(node->input[1]) * sizeof(fov_real));
            assert_memory_equal(many.db, one.db, convs[i].co * sizeof(fov_real));
            conv_clear(&many);
        }
        conv_clear(&one);
        fov_graph_free(g);
    }
}

/* ---- batch norm ---- */

enum { NORM_INPUTS = 7 }; /* x, mean, var, counter, gamma, beta, residual */

static fov_node *norm_node(fov_graph *g, fov_shape shape, bool relu) {
    const size_t c = shape.dim[shape.rank - 1];
    fov_batchnorm_args args = {.eps = 1e-5, .momentum = 0.1, .relu = relu};
    args.running_mean = real_input(g, "mean", FOV_SHAPE(c));
    args.running_var = real_input(g, "var", FOV_SHAPE(c));
    args.counter = real_input(g, "counter", FOV_SHAPE(1));
    args.gamma = real_input(g, "gamma", FOV_SHAPE(c));
    args.beta = real_input(g, "beta", FOV_SHAPE(c));
    args.residual = real_input(g, "residual", shape);
    return fov_batchnorm(g, real_input(g, "x", shape), &args);
}

typedef struct norm_arrays {
    fov_real *in[NORM_INPUTS], *grad[NORM_INPUTS], *out, *dy;
} norm_arrays;

static norm_arrays norm_run(const fov_node *node, unsigned threads) {
    norm_arrays a;
    token_step t = {.grad_out = NULL};
    for (unsigned i = 0; i < NORM_INPUTS; i++) {
        a.in[i] = token_numbers(count_of(node->input[i]), 1, 30 + i);
        a.grad[i] = token_block(count_of(node->input[i]) * sizeof(fov_real));
        t.in[i] = a.in[i];
        t.grad_in[i] = i == 0 || i >= 4 ? a.grad[i] : NULL;
    }
    for (size_t i = 0; i < count_of(node->input[2]); i++) {
        a.in[2][i] = (fov_real)(1 + fabs((double)a.in[2][i]));
    }
    a.out = token_block(count_of(node) * sizeof(fov_real));
    a.dy = token_numbers(count_of(node), 1, 40);
    t.out = a.out;
    t.grad_out = a.dy;
    token_run(node, &t, threads);
    return a;
}

static void norm_clear(norm_arrays *a) {
    for (size_t i = 0; i < NORM_INPUTS; i++) {
        fov_mem_free(a->in[i]);
        fov_mem_free(a->grad[i]);
    }
    fov_mem_free(a->out);
    fov_mem_free(a->dy);
}

static void norm_check(const fov_node *node, size_t j) {
    const bool training = fov_graph_training(node->graph);
    norm_arrays a = norm_run(node, 2);
    const size_t c = node->shape.dim[node->shape.rank - 1], rows = count_of(node) / c;
    const double n = (double)rows;
    fov_real *mean_before = token_numbers(c, 1, 31), *var_before = token_numbers(c, 1, 32), *count_before = token_numbers(1, 1, 33);
    const double old_mean = (double)mean_before[j], old_var = 1 + fabs((double)var_before[j]);
    double mean = 0, var = 0;
    for (size_t i = 0; i < rows; i++) {
        mean += (double)a.in[0][i * c + j] / n;
    }
    for (size_t i = 0; i < rows; i++) {
        var += pow((double)a.in[0][i * c + j] - mean, 2) / n;
    }
    assert_true(fabs((double)a.in[1][j] - (training ? 0.9 * old_mean + 0.1 * mean : old_mean)) < 1e-6);
    assert_true(fabs((double)a.in[2][j] - (training ? 0.9 * old_var + 0.1 * var * n / (n - 1) : old_var)) < 1e-6);
    assert_true(fabs((double)a.in[3][0] - (double)count_before[0] - (training ? 1 : 0)) < 1e-6);
    mean = training ? mean : old_mean;
    var = training ? var : old_var;
    for (size_t i = j; i < rows * c; i += c) {
        const double y = (double)a.in[4][j] * ((double)a.in[0][i] - mean) / sqrt(var + 1e-5) + (double)a.in[5][j] + (double)a.in[6][i];
        assert_true(fabs((double)a.out[i] - fmax(y, 0)) < 1e-5);
    }
    fov_mem_free(mean_before);
    fov_mem_free(var_before);
    fov_mem_free(count_before);
    norm_clear(&a);
}

static void test_norm(void **state) {
    (void)state;
    const fov_shape shapes[] = {FOV_SHAPE(5, 6, 7, 19), FOV_SHAPE(9, 33), FOV_SHAPE(40, 16, 16, 8)};
    for (size_t s = 0; s < 3; s++) {
        fov_graph *g = graph_new(true);
        const fov_node *node = norm_node(g, shapes[s], true);
        assert_non_null(node);
        norm_check(node, 0);
        norm_check(node, shapes[s].dim[shapes[s].rank - 1] - 1);
        fov_graph_free(g);
        g = graph_new(false);
        norm_check(norm_node(g, shapes[s], true), 3);
        fov_graph_free(g);
    }
}

/* A mean a thousand times the deviation: the variance keeps its digits. */
static void test_norm_far_from_zero(void **state) {
    (void)state;
    enum { ROWS = 700, C = 19 };
    fov_graph *g = graph_new(true);
    const fov_node *node = norm_node(g, FOV_SHAPE(ROWS, C), false);
    token_step t = {.out = token_block(ROWS * C * sizeof(fov_real))};
    fov_real *in[NORM_INPUTS];
    for (unsigned i = 0; i < NORM_INPUTS; i++) {
        t.in[i] = in[i] = token_numbers(count_of(node->input[i]), 1, 30 + i);
    }
    double mean = 0, var = 0;
    for (size_t i = 0; i < ROWS * C; i++) {
        in[0][i] += 1000;
        mean += i % C == 7 ? (double)in[0][i] / ROWS : 0;
    }
    for (size_t i = 7; i < ROWS * C; i += C) {
        var += pow((double)in[0][i] - mean, 2) / ROWS;
    }
    const double expected = 0.9 * (double)in[2][7] + 0.1 * var * ROWS / (ROWS - 1);
    token_run(node, &t, 2);
    assert_true(fabs((double)in[2][7] - expected) < 1e-6 * fabs(expected));
    for (unsigned i = 0; i < NORM_INPUTS; i++) {
        fov_mem_free(in[i]);
    }
    fov_mem_free(t.out);
    fov_graph_free(g);
}

static void test_norm_same_bits(void **state) {
    (void)state;
    fov_graph *g = graph_new(true);
    const fov_node *node = norm_node(g, FOV_SHAPE(40, 16, 16, 19), true);
    norm_arrays one = norm_run(node, 1);
    for (unsigned threads = 2; threads <= 8; threads = threads == 3 ? 8 : threads + 1) {
        norm_arrays many = norm_run(node, threads);
        assert_memory_equal(many.out, one.out, count_of(node) * sizeof(fov_real));
        for (unsigned i = 0; i < NORM_INPUTS; i++) {
            assert_memory_equal(many.in[i], one.in[i], count_of(node->input[i]) * sizeof(fov_real));
            if (i == 0 || i >= 4) {
                assert_memory_equal(many.grad[i], one.grad[i], count_of(node->input[i]) * sizeof(fov_real));
            }
        }
        norm_clear(&many);
    }
    norm_clear(&one);
    fov_graph_free(g);
}

/* A residual that is the input itself: its gradient is that of both ways together. */
static void test_norm_own_residual(void **state) {
    (void)state;
    const fov_shape shape = FOV_SHAPE(6, 5);
    for (int accumulate = 0; accumulate < 2; accumulate++) {
        fov_graph *g = graph_new(true);
        const fov_node *node = norm_node(g, shape, true);
        fov_real *in[NORM_INPUTS], *apart[2], *together = token_numbers(30, 1, 50), *before = token_numbers(30, 1, 50);
        token_step t = {.out = token_block(30 * sizeof(fov_real)), .grad_out = token_numbers(30, 1, 40)};
        for (unsigned i = 0; i < NORM_INPUTS; i++) {
            t.in[i] = in[i] = token_numbers(count_of(node->input[i]), 1, 30 + i);
        }
        t.in[6] = in[0];
        t.grad_in[0] = apart[0] = token_block(30 * sizeof(fov_real));
        t.grad_in[6] = apart[1] = token_block(30 * sizeof(fov_real));
        token_run(node, &t, 2);
        t.grad_in[0] = t.grad_in[6] = together;
        t.accumulate[0] = accumulate != 0; /* as a plan sets them: the first writes or adds, the second adds */
        t.accumulate[6] = true;
        token_run(node, &t, 2);
        for (size_t i = 0; i < 30; i++) {
            const double want = (double)apart[0][i] + (double)apart[1][i] + (accumulate != 0 ? (double)before[i] : 0);
            assert_true(fabs((double)together[i] - want) < 1e-5);
        }
        for (unsigned i = 0; i < NORM_INPUTS; i++) {
            fov_mem_free(in[i]);
        }
        void *const blocks[] = {apart[0], apart[1], together, before, t.out, (void *)(uintptr_t)t.grad_out};
        for (size_t i = 0; i < sizeof blocks / sizeof blocks[0]; i++) {
            fov_mem_free(blocks[i]);
        }
        fov_graph_free(g);
    }
}

/* ---- pooling and bytes ---- */

static void test_pools(void **state) {
    (void)state;
    fov_graph *g = graph_new(true);
    fov_node *x = real_input(g, "x", FOV_SHAPE(2, 5, 4, 3));
    const fov_node *max = fov_maxpool(g, x, 3, 2, 1);
    const fov_node *mean = fov_global_avgpool(g, x);
    assert_int_equal(max->shape.dim[1], 3);
    assert_int_equal(max->shape.dim[2], 2);
    fov_real *in = token_numbers(120, 1, 1), *out = token_block(36 * sizeof *out), *average = token_block(6 * sizeof *average);
    in[(1 * 4 + 1) * 3] = in[(1 * 4 + 2) * 3] = 50; /* a tie in window (1, 1): the first in scan order gets the gradient */
    fov_real *dy = token_numbers(36, 1, 2), *dx = token_block(120 * sizeof *dx);
    const token_step t = {.in = {in}, .out = out, .grad_out = dy, .grad_in = {dx}};
    token_run(max, &t, 2);
    const token_step mean_step = {.in = {in}, .out = average, .grad_out = NULL};
    token_run(mean, &mean_step, 2);
    for (size_t i = 0; i < 36; i++) {
        const size_t image = i / 18, oy = i / 6 % 3, ox = i / 3 % 2, c = i % 3;
        double best = -1e9;
        for (size_t p = 0; p < 20; p++) {
            const size_t iy = p / 4, ix = p % 4;
            const bool inside = iy + 1 >= 2 * oy && iy + 1 < 2 * oy + 3 && ix + 1 >= 2 * ox && ix + 1 < 2 * ox + 3;
            best = inside ? fmax(best, (double)in[(image * 20 + p) * 3 + c]) : best;
        }
        assert_true((double)out[i] == best);
    }
    const double tied =
        (double)dy[(0 * 2 + 0) * 3] + (double)dy[(0 * 2 + 1) * 3] + (double)dy[(1 * 2 + 0) * 3] + (double)dy[(1 * 2 + 1) * 3];
    assert_true(fabs((double)dx[(1 * 4 + 1) * 3] - tied) < 1e-6);
    assert_true(dx[(1 * 4 + 2) * 3] == 0);
    for (size_t i = 0; i < 6; i++) {
        double sum = 0;
        for (size_t p = 0; p < 20; p++) {
            sum += (double)in[(i / 3 * 20 + p) * 3 + i % 3] / 20;
        }
        assert_true(fabs((double)average[i] - sum) < 1e-6 * 50);
    }
    void *const blocks[] = {in, out, average, dy, dx};
    for (size_t i = 0; i < 5; i++) {
        fov_mem_free(blocks[i]);
    }
    fov_graph_free(g);
}

static void test_normalize(void **state) {
    (void)state;
    const double mean[4] = {0.485, 0.456, 0.406, 0.1}, std[4] = {0.229, 0.224, 0.225, 2};
    const size_t channels[] = {1, 3, 4};
    for (size_t s = 0; s < 3; s++) {
        const size_t c = channels[s];
        fov_graph *g = graph_new(false);
        const fov_node *node = fov_normalize(g, fov_input(g, "x", FOV_DTYPE_U8, FOV_SHAPE(9, 64, 64, c)), mean, std);
        assert_non_null(node);
        uint8_t *x = token_block(count_of(node));
        fov_real *y = token_block(count_of(node) * sizeof *y);
        for (size_t i = 0; i < count_of(node); i++) {
            x[i] = (uint8_t)(i * 101 % 256);
        }
        const token_step t = {.in = {x}, .out = y};
        token_run(node, &t, 3);
        for (size_t i = 0; i < count_of(node); i++) {
            assert_true(y[i] == (fov_real)((x[i] / 255.0 - mean[i % c]) / std[i % c]));
        }
        fov_mem_free(x);
        fov_mem_free(y);
        fov_graph_free(g);
    }
}

static void test_normalize_words(void **state) {
    (void)state;
    double mean[FOV_INPUT_CHANNELS], std[FOV_INPUT_CHANNELS];
    for (size_t c = 0; c < FOV_INPUT_CHANNELS; c++) {
        mean[c] = 0.01 * (double)c;
        std[c] = 0.3 / (double)(1 + c);
    }
    const size_t channels[] = {1, 2, 3, 5, FOV_INPUT_CHANNELS};
    for (size_t s = 0; s < 5; s++) {
        const size_t c = channels[s];
        fov_graph *g = graph_new(false);
        const fov_node *node = fov_normalize(g, fov_input(g, "x", FOV_DTYPE_U16, FOV_SHAPE(9, 17, 31, c)), mean, std);
        assert_non_null(node);
        uint16_t *x = token_block(count_of(node) * sizeof *x);
        fov_real *y = token_block(count_of(node) * sizeof *y);
        for (size_t i = 0; i < count_of(node); i++) {
            x[i] = (uint16_t)(i * 40503 % 65536);
        }
        const token_step t = {.in = {x}, .out = y};
        token_run(node, &t, 3);
        for (size_t i = 0; i < count_of(node); i++) {
            const double want = ((double)x[i] / 65535.0 - mean[i % c]) / std[i % c];
            assert_true(fabs((double)y[i] - want) <= 1e-6 * fmax(1.0, fabs(want)));
        }
        fov_mem_free(x);
        fov_mem_free(y);
        fov_graph_free(g);
    }
    fov_graph *g = graph_new(false);
    assert_null(fov_normalize(g, fov_input(g, "x", FOV_DTYPE_U8, FOV_SHAPE(1, 2, 2, FOV_INPUT_CHANNELS + 1)), mean, std));
    assert_non_null(strstr(fov_last_error(), "c <= 32"));
    fov_graph_free(g);
}

/* ---- messages ---- */

static void expect_message(fov_graph *g, const fov_node *node, const char *part) {
    assert_null(node);
    assert_int_not_equal(fov_graph_status(g), FOV_OK);
    if (strstr(fov_last_error(), part) == NULL) {
        fail_msg("\"%s\" does not say \"%s\"", fov_last_error(), part);
    }
    fov_graph_free(g);
}

static void test_messages(void **state) {
    (void)state;
    fov_graph *g = graph_new(true);
    fov_node *x = real_input(g, "x", FOV_SHAPE(1, 2, 2, 8));
    expect_message(g, fov_conv2d(g, x, real_input(g, "w", FOV_SHAPE(4, 3, 3, 9)), NULL, 1, 1),
                   "needs input [n, h, w, 9], got [1, 2, 2, 8]");
    g = graph_new(true);
    x = real_input(g, "x", FOV_SHAPE(1, 2, 2, 8));
    expect_message(g, fov_conv2d(g, x, real_input(g, "w", FOV_SHAPE(4, 5, 5, 8)), NULL, 1, 1), "at least its window 5 x 5");
    g = graph_new(true);
    x = real_input(g, "x", FOV_SHAPE(1, 2, 2, 8));
    expect_message(g, fov_conv2d(g, x, real_input(g, "w", FOV_SHAPE(4, 1, 1, 8)), NULL, 0, 0), "stride >= 1");
    g = graph_new(true);
    x = real_input(g, "x", FOV_SHAPE(1, 2, 2, 8));
    expect_message(g, fov_conv2d(g, x, real_input(g, "w", FOV_SHAPE(4, 1, 1, 8)), real_input(g, "b", FOV_SHAPE(5)), 1, 0),
                   "needs bias [4]");
    g = graph_new(true);
    expect_message(g, norm_node(g, FOV_SHAPE(1, 8), false), "more than one value per channel");
    g = graph_new(true);
    expect_message(g, fov_maxpool(g, real_input(g, "x", FOV_SHAPE(1, 2, 2, 8)), 3, 2, 2), "padding of at most half the window");
    g = graph_new(true);
    expect_message(g, fov_normalize(g, real_input(g, "x", FOV_SHAPE(1, 2, 2, 3)), (const double[]){0, 0, 0}, (const double[]){1, 1, 1}),
                   "needs bytes");
    g = graph_new(true);
    expect_message(g, fov_global_avgpool(g, real_input(g, "x", FOV_SHAPE(2, 3))), "needs input [n, h, w, c]");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_conv),
        cmocka_unit_test(test_conv_same_bits),
        cmocka_unit_test(test_conv_way),
        cmocka_unit_test(test_norm),
        cmocka_unit_test(test_norm_far_from_zero),
        cmocka_unit_test(test_norm_same_bits),
        cmocka_unit_test(test_pools),
        cmocka_unit_test(test_normalize),
        cmocka_unit_test(test_messages),
        cmocka_unit_test(test_norm_own_residual),
        cmocka_unit_test(test_normalize_words),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
