/* Speed of each convolution of ResNet-18 at 64 x 64 pixels, each pass alone; prints one JSON line a shape and thread count.
 *
 *     bench_conv [BATCH] [REPEATS] [THREADS...]        default 128 5 1 2
 *
 * GFLOP/s count every tap of the window, also those outside the picture; best of the repeats. */
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/memory.h"
#include "base/rng.h"
#include "ops/ops.h"

typedef struct shape {
    const char *name;
    size_t hw, ci, co, k, stride, pad;
} shape;

static const shape shapes[] = {
    {"conv1", 64, 3, 64, 7, 2, 3},           {"layer1", 16, 64, 64, 3, 1, 1},  {"layer2.0.conv1", 16, 64, 128, 3, 2, 1},
    {"layer2.0.down", 16, 64, 128, 1, 2, 0}, {"layer2", 8, 128, 128, 3, 1, 1}, {"layer3.0.conv1", 8, 128, 256, 3, 2, 1},
    {"layer3.0.down", 8, 128, 256, 1, 2, 0}, {"layer3", 4, 256, 256, 3, 1, 1}, {"layer4.0.conv1", 4, 256, 512, 3, 2, 1},
    {"layer4.0.down", 4, 256, 512, 1, 2, 0}, {"layer4", 2, 512, 512, 3, 1, 1},
};

static fov_real *numbers(size_t n, unsigned stream) {
    fov_real *x = fov_mem_alloc(FOV_MEM_BASE, n * sizeof *x);
    fov_rng rng;
    fov_rng_init(&rng, 1, 0, stream, 0, FOV_RNG_TEST);
    for (size_t i = 0; x != NULL && i < n; i++) {
        x[i] = (fov_real)fov_rng_range(&rng, -1, 1);
    }
    return x;
}

static double best_of(void (*pass)(const fov_step *), const fov_step *step, int repeats) {
    double best = 1e30;
    for (int r = 0; r <= repeats; r++) { /* one to warm up */
        const double begun = fov_clock_seconds();
        pass(step);
        const double seconds = fov_clock_seconds() - begun;
        best = r > 0 && seconds < best ? seconds : best;
    }
    return best;
}

static int fail(const char *what) {
    (void)fprintf(stderr, "bench_conv: %s: %s\n", what, fov_last_error());
    return 1;
}

static int run_node(const shape *s, const fov_node *node, size_t batch, int repeats, unsigned threads) {
    const size_t in = batch * s->hw * s->hw * s->ci, out = fov_shape_count(&node->shape), weight = s->co * s->k * s->k * s->ci;
    const size_t work = node->forward_work > node->backward_work ? node->forward_work : node->backward_work;
    fov_pool *pool = NULL;
    if (fov_pool_new(&pool, threads) != FOV_OK) {
        return fail("pool");
    }
    fov_step step = {.node = node, .k = fov_kernels_get(), .pool = pool, .accumulate = {false, true}};
    fov_real *x = numbers(in, 1), *w = numbers(weight, 2), *y = numbers(out, 3), *dx = numbers(in, 4), *dw = numbers(weight, 5);
    step.in[0] = x;
    step.in[1] = w;
    step.out = y;
    step.grad_out = y;
    step.work = fov_mem_alloc(FOV_MEM_BASE, work);
    step.worker_base = fov_mem_alloc(FOV_MEM_BASE, (node->worker_work + 64) * threads);
    const double flops = 2e-9 * (double)(out * s->k * s->k * s->ci);
    const double forward = best_of(node->op->forward, &step, repeats);
    step.grad_in[0] = dx;
    const double back = best_of(node->op->backward, &step, repeats);
    step.grad_in[0] = NULL;
    step.grad_in[1] = dw;
    const double back_weight = best_of(node->op->backward, &step, repeats);
    (void)printf("{\"shape\": \"%s\", \"batch\": %zu, \"threads\": %u, \"gflop\": %.3f, \"forward\": %.1f, \"input_gradient\": %.1f, "
                 "\"weight_gradient\": %.1f, \"milliseconds\": [%.2f, %.2f, %.2f]}\n",
                 s->name, batch, threads, flops, flops / forward, flops / back, flops / back_weight, 1e3 * forward, 1e3 * back,
                 1e3 * back_weight);
    void *const blocks[] = {x, w, y, dx, dw, step.work, step.worker_base};
    for (size_t i = 0; i < sizeof blocks / sizeof blocks[0]; i++) {
        fov_mem_free(blocks[i]);
    }
    fov_pool_free(pool);
    return 0;
}

static int run_shape(const shape *s, size_t batch, int repeats, unsigned threads) {
    fov_graph *graph = NULL;
    if (fov_graph_new(&graph, true) != FOV_OK) {
        return fail("graph");
    }
    fov_node *x = fov_input(graph, "x", FOV_DTYPE_REAL, FOV_SHAPE(batch, s->hw, s->hw, s->ci));
    fov_node *w = fov_input(graph, "w", FOV_DTYPE_REAL, FOV_SHAPE(s->co, s->k, s->k, s->ci));
    const fov_node *node = fov_conv2d(graph, x, w, NULL, s->stride, s->pad);
    const int status = node == NULL ? fail(s->name) : run_node(s, node, batch, repeats, threads);
    fov_graph_free(graph);
    return status;
}

int main(int argc, char **argv) {
    const size_t batch = argc > 1 ? strtoul(argv[1], NULL, 10) : 128;
    const int repeats = argc > 2 ? atoi(argv[2]) : 5;
    const unsigned both[] = {1, 2};
    const int count = argc > 3 ? argc - 3 : 2;
    int status = 0;
    for (size_t i = 0; status == 0 && i < sizeof shapes / sizeof shapes[0]; i++) {
        for (int t = 0; status == 0 && t < count; t++) {
            status = run_shape(&shapes[i], batch, repeats, argc > 3 ? (unsigned)atoi(argv[3 + t]) : both[t]);
        }
    }
    return status;
}
