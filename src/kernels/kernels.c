/* Chooses the table of kernels for this processor, once.
 *
 * A table of function pointers, rather than the compiler's function multi-versioning, so that a test can run every set side by side
 * and FOVEA_ISA can lower the choice. */
#include "kernels/kernels.h"

#include <stdatomic.h>
#include <string.h>

#include "base/cpu.h"

extern const fov_kernels fov_kernels_c;
#ifdef FOV_HAVE_X86
extern const fov_kernels fov_kernels_avx2;
extern const fov_kernels fov_kernels_avx512;
extern const fov_kernels fov_kernels_avx512bf16;
#endif

static const fov_kernels *const tables[FOV_ISA_COUNT] = {
    [FOV_ISA_C] = &fov_kernels_c,
#ifdef FOV_HAVE_X86
    [FOV_ISA_AVX2] = &fov_kernels_avx2,
    [FOV_ISA_AVX512] = &fov_kernels_avx512,
    [FOV_ISA_AVX512VNNI] = &fov_kernels_avx512,
    [FOV_ISA_AVX512BF16] = &fov_kernels_avx512bf16,
#endif
};

const fov_kernels *fov_kernels_get(void) {
    /* Threads that arrive together store the same value. */
    static _Atomic(const fov_kernels *) chosen;
    const fov_kernels *table = atomic_load_explicit(&chosen, memory_order_relaxed);
    if (table == NULL) {
        table = tables[fov_cpu_isa()];
        atomic_store_explicit(&chosen, table, memory_order_relaxed);
    }
    return table;
}

const fov_kernels *fov_kernels_named(const char *set) {
    const fov_isa best = fov_cpu_best();
    for (int isa = 0; isa <= (int)best; isa++) {
        if (strcmp(tables[isa]->name, set) == 0) {
            return tables[isa];
        }
    }
    return NULL;
}
