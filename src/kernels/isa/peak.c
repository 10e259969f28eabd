/* What the machine can do at best, to compare kernels with: multiply-adds in registers, and reading memory in order. */
#include "kernels/isa_vector.h"

enum { CHAINS = 12, STEPS = 256 }; /* independent chains, as many as hide the latency and leave registers for the factors */

double FOV_ISA_FN(peak_multiply_add)(fov_real *out) {
    const vec shrink = load(out), grow = load(out + LANES);
    vec x[CHAINS];
#pragma GCC unroll 12
    for (int i = 0; i < CHAINS; i++) {
        x[i] = grow * (fov_real)i;
    }
    for (int step = 0; step < STEPS; step++) {
#pragma GCC unroll 12
        for (int i = 0; i < CHAINS; i++) {
            x[i] = x[i] * shrink + grow;
        }
    }
#pragma GCC unroll 12
    for (int i = 1; i < CHAINS; i++) {
        x[0] += x[i];
    }
    store(out, x[0] * 0 + shrink);
    return 2.0 * CHAINS * STEPS * LANES;
}

fov_real FOV_ISA_FN(peak_read)(const fov_real *x, size_t n) {
    vec sum[8] = {0};
    for (size_t i = 0; i + 8 * LANES <= n; i += 8 * LANES) {
#pragma GCC unroll 8
        for (size_t j = 0; j < 8; j++) {
            sum[j] += load(x + i + j * LANES);
        }
    }
    fov_real all = 0;
    for (size_t j = 0; j < 8; j++) {
        for (size_t l = 0; l < LANES; l++) {
            all += sum[j][l];
        }
    }
    return all;
}
