/* Speed of the matrix products of models, each alone, beside the processor's rate of multiply-adds; one line a shape and thread count.
 *
 *     bench_gemm [SECONDS] [NAME] [THREADS...]        default 0.3 "" 1 2; shapes whose name has NAME in it
 *
 * A shape is rows, inputs and outputs of a linear layer or of a 1x1 convolution. Columns: GFLOP/s and percent of the rate of y = x W^T,
 * dx = dz W and dW = dz^T x; best of the repeats that fit into SECONDS. The rate is that of a loop that touches registers alone. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/memory.h"
#include "base/rng.h"
#include "kernels/gemm.h"

typedef struct shape {
    const char *name;
    size_t rows, in, out;
} shape;

static const shape shapes[] = {
    {"vit_tiny qkv", 6304, 192, 576},   {"vit_tiny proj", 6304, 192, 192},  {"vit_tiny fc1", 6304, 192, 768},
    {"vit_tiny fc2", 6304, 768, 192},   {"vit_small qkv", 6304, 384, 1152}, {"vit_small proj", 6304, 384, 384},
    {"vit_small fc1", 6304, 384, 1536}, {"vit_small fc2", 6304, 1536, 384}, {"patches", 6272, 768, 384},
    {"layer1 1x1", 50176, 64, 256},     {"layer1 back", 50176, 256, 64},    {"layer2 1x1", 12544, 128, 512},
    {"layer2 back", 12544, 512, 128},   {"layer3 1x1", 3136, 256, 1024},    {"layer3 back", 3136, 1024, 256},
    {"layer4 1x1", 784, 512, 2048},     {"layer4 back", 784, 2048, 512},    {"projector", 512, 512, 512},
};

#if defined(__x86_64__)
#include <immintrin.h>

enum { CHAINS = 20 };

/* Independent chains, as many as hide the latency. */
__attribute__((target("avx512f"), noinline)) static float spin(size_t n) {
    __m512 x[CHAINS];
    const __m512 a = _mm512_set1_ps(0.999F), b = _mm512_set1_ps(1e-7F);
    for (int i = 0; i < CHAINS; i++) {
        x[i] = _mm512_set1_ps((float)i);
    }
    for (size_t r = 0; r < n; r++) {
#pragma GCC unroll 20
        for (int i = 0; i < CHAINS; i++) {
            x[i] = _mm512_fmadd_ps(x[i], a, b);
        }
    }
    for (int i = 1; i < CHAINS; i++) {
        x[0] = _mm512_add_ps(x[0], x[i]);
    }
    return _mm512_cvtss_f32(x[0]);
}

static double rate_now(void) {
    double best = 0;
    volatile float keep = 0;
    for (int r = 0; r < 8; r++) {
        const size_t n = 200000;
        const double begun = fov_clock_seconds();
        keep = keep + spin(n);
        const double seconds = fov_clock_seconds() - begun;
        const double rate = (double)n * CHAINS * 32 / seconds * 1e-9;
        best = rate > best ? rate : best;
    }
    return best;
}
#else
static double rate_now(void) {
    return 0;
}
#endif

static fov_real *numbers(size_t n, unsigned stream) {
    fov_real *x = fov_mem_alloc(FOV_MEM_BASE, n * sizeof *x);
    fov_rng rng;
    fov_rng_init(&rng, 1, 0, stream, 0, FOV_RNG_TEST);
    for (size_t i = 0; x != NULL && i < n; i++) {
        x[i] = (fov_real)fov_rng_range(&rng, -1, 1);
    }
    return x;
}

typedef struct product {
    fov_real *c;
    fov_matrix a, b;
    size_t m, n, k;
} product;

static double speed(fov_pool *pool, const product *p, double limit) {
    void *work = fov_mem_alloc(FOV_MEM_BASE, fov_gemm_work(p->m, p->n, p->k));
    double best = 1e30, total = 0;
    for (int r = 0; work != NULL && (r < 4 || total < limit); r++) {
        const double begun = fov_clock_seconds();
        fov_gemm(pool, p->c, p->n, p->a, p->b, p->m, p->n, p->k, 0, work);
        const double seconds = fov_clock_seconds() - begun;
        total += seconds;
        best = r > 0 && seconds < best ? seconds : best;
    }
    fov_mem_free(work);
    return 2e-9 * (double)p->m * (double)p->n * (double)p->k / best;
}

static int run(const shape *s, unsigned threads, double limit) {
    fov_pool *pool = NULL;
    fov_real *x = numbers(s->rows * s->in, 1), *w = numbers(s->in * s->out, 2), *z = numbers(s->rows * s->out, 3);
    fov_real *dx = numbers(s->rows * s->in, 4), *dw = numbers(s->in * s->out, 5);
    if (x == NULL || w == NULL || z == NULL || dx == NULL || dw == NULL || fov_pool_new(&pool, threads) != FOV_OK) {
        (void)fprintf(stderr, "bench_gemm: %s\n", fov_last_error());
        return 1;
    }
    const product passes[3] = {
        {z, {x, s->in, false}, {w, s->in, true}, s->rows, s->out, s->in},
        {dx, {z, s->out, false}, {w, s->in, false}, s->rows, s->in, s->out},
        {dw, {z, s->out, true}, {x, s->in, false}, s->out, s->in, s->rows},
    };
    const double rate = rate_now() * threads;
    (void)printf("%-15s %5zu x %4zu x %4zu, %u threads, rate %5.1f:", s->name, s->rows, s->in, s->out, threads, rate);
    for (int i = 0; i < 3; i++) {
        const double gflops = speed(pool, &passes[i], limit);
        (void)printf(" %6.1f (%3.0f %%)", gflops, 100 * gflops / rate);
    }
    (void)printf("\n");
    (void)fflush(stdout);
    fov_pool_free(pool);
    fov_mem_free(x);
    fov_mem_free(w);
    fov_mem_free(z);
    fov_mem_free(dx);
    fov_mem_free(dw);
    return 0;
}

int main(int argc, char **argv) {
    const double limit = argc > 1 ? strtod(argv[1], NULL) : 0.3;
    const unsigned usual[] = {1, 2};
    const char *name = argc > 2 ? argv[2] : "";
    const int counts = argc > 3 ? argc - 3 : 2;
    for (int t = 0; t < counts; t++) {
        const unsigned threads = argc > 3 ? (unsigned)strtoul(argv[t + 3], NULL, 10) : usual[t];
        for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++) {
            if (strstr(shapes[i].name, name) != NULL && run(&shapes[i], threads, limit) != 0) {
                return 1;
            }
        }
    }
    return 0;
}
