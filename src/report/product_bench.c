/* Products of random matrices, as linear layers and 1 x 1 convolutions call them, without what else these do. */
#include "report/product_bench.h"

#include "base/clock.h"
#include "base/memory.h"
#include "base/rng.h"
#include "kernels/gemm.h"

const fov_product_shape fov_product_shapes[] = {
    {"vit_tiny qkv", 6304, 192, 576},
    {"vit_tiny proj", 6304, 192, 192},
    {"vit_tiny fc1", 6304, 192, 768},
    {"vit_tiny fc2", 6304, 768, 192},
    {"vit_small qkv", 6304, 384, 1152},
    {"vit_small proj", 6304, 384, 384},
    {"vit_small fc1", 6304, 384, 1536},
    {"vit_small fc2", 6304, 1536, 384},
    {"patches", 6272, 768, 384},
    {"layer1 conv3", 50176, 64, 256},
    {"layer1 conv1", 50176, 256, 64},
    {"layer2 conv3", 12544, 128, 512},
    {"layer2 conv1", 12544, 512, 128},
    {"layer3 conv3", 3136, 256, 1024},
    {"layer3 conv1", 3136, 1024, 256},
    {"layer4 conv3", 784, 512, 2048},
    {"layer4 conv1", 784, 2048, 512},
    {"projector", 512, 512, 512},
    {NULL, 0, 0, 0},
};

static fov_real *numbers(size_t n, unsigned stream) {
    fov_real *x = fov_mem_array(FOV_MEM_BASE, n, sizeof *x);
    fov_rng rng;
    fov_rng_init(&rng, 1, 0, stream, 0, FOV_RNG_TEST);
    for (size_t i = 0; x != NULL && i < n; i++) {
        x[i] = (fov_real)fov_rng_range(&rng, -1, 1);
    }
    return x;
}

static fov_status rate_of(double *rate, const fov_product *p, fov_pool *pool, double limit) {
    void *work = fov_mem_alloc(FOV_MEM_BASE, fov_product_work(p));
    FOV_TRY_ALLOC(work);
    double best = 1e30, total = 0;
    for (int r = 0; r < 4 || total < limit; r++) {
        const double begun = fov_clock_seconds();
        fov_product_run(pool, p, work);
        const double seconds = fov_clock_seconds() - begun;
        total += seconds;
        best = r > 0 && seconds < best ? seconds : best;
    }
    fov_mem_free(work);
    *rate = 2.0 * (double)p->m * (double)p->n * (double)p->k / best;
    return FOV_OK;
}

fov_status fov_product_bench(double rates[3], const fov_product_shape *s, bool bf16, fov_pool *pool, double seconds) {
    fov_real *x = numbers(s->rows * s->in, 1), *w = numbers(s->in * s->out, 2), *z = numbers(s->rows * s->out, 3);
    fov_real *dx = numbers(s->rows * s->in, 4), *dw = numbers(s->in * s->out, 5);
    fov_status status = x == NULL || w == NULL || z == NULL || dx == NULL || dw == NULL ? FOV_E_NOMEM : FOV_OK;
    const fov_product passes[3] = {
        {.c = z, .c_stride = s->out, .a = {x, s->in, false}, .b = {w, s->in, true}, .m = s->rows, .n = s->out, .k = s->in, .bf16 = bf16},
        {.c = dx, .c_stride = s->in, .a = {z, s->out, false}, .b = {w, s->in, false}, .m = s->rows, .n = s->in, .k = s->out, .bf16 = bf16},
        {.c = dw, .c_stride = s->in, .a = {z, s->out, true}, .b = {x, s->in, false}, .m = s->out, .n = s->in, .k = s->rows, .bf16 = bf16},
    };
    for (int i = 0; i < 3 && status == FOV_OK; i++) {
        status = rate_of(&rates[i], &passes[i], pool, seconds);
    }
    fov_mem_free(x);
    fov_mem_free(w);
    fov_mem_free(z);
    fov_mem_free(dx);
    fov_mem_free(dw);
    return status;
}
