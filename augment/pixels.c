/* Chooses the build of the pixel loops that fits the processor. */
#include <string.h>

#include "augment/pixels.h"
#include "base/cpu.h"

extern const fov_pixel_loops fov_pixel_loops_c;
#ifdef FOV_HAVE_X86
extern const fov_pixel_loops fov_pixel_loops_avx2, fov_pixel_loops_avx512, fov_pixel_loops_avx512vnni;
#endif

static const fov_pixel_loops *loops_of(fov_isa isa) {
#ifdef FOV_HAVE_X86
    if (isa >= FOV_ISA_AVX512VNNI) {
        return &fov_pixel_loops_avx512vnni;
    }
    if (isa == FOV_ISA_AVX512) {
        return &fov_pixel_loops_avx512;
    }
    if (isa == FOV_ISA_AVX2) {
        return &fov_pixel_loops_avx2;
    }
#endif
    (void)isa;
    return &fov_pixel_loops_c;
}

const fov_pixel_loops *fov_pixel_loops_get(void) { return loops_of(fov_cpu_isa()); }

const fov_pixel_loops *fov_pixel_loops_named(const char *set) {
    for (int isa = FOV_ISA_C; isa <= (int)fov_cpu_best(); isa++) {
        const fov_pixel_loops *loops = loops_of((fov_isa)isa);
        if (strcmp(loops->name, set) == 0) {
            return loops;
        }
    }
    return NULL;
}
