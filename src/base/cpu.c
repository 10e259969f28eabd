/* Instruction set and processor count.
 *
 * The compiler's own feature test is used, since it also asks whether the operating system saves the wide registers. Processors are
 * those of the affinity mask, cut to the control group's quota: a container that may use two of 64 processors is slower with 64
 * threads than with two. */
#include "base/cpu.h"

#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/pool.h"

enum { MAX_PROCESSORS = 1 << 16 };

const char *fov_isa_name(fov_isa isa) {
    static const char *const names[FOV_ISA_COUNT] = {"c", "avx2", "avx512", "avx512vnni", "avx512bf16"};
    return (unsigned)isa < FOV_ISA_COUNT ? names[isa] : "unknown";
}

fov_isa fov_cpu_best(void) {
#ifdef FOV_HAVE_X86
    __builtin_cpu_init();
    const bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("bmi2");
    const bool avx512 = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
                        __builtin_cpu_supports("avx512vl");
    const bool vnni = __builtin_cpu_supports("avx512vnni") && __builtin_cpu_supports("avx512vbmi");
    const bool bf16 = vnni && __builtin_cpu_supports("avx512bf16");
    if (avx2) {
        return !avx512 ? FOV_ISA_AVX2 : bf16 ? FOV_ISA_AVX512BF16 : vnni ? FOV_ISA_AVX512VNNI : FOV_ISA_AVX512;
    }
#endif
    return FOV_ISA_C;
}

/* The set named by FOVEA_ISA; FOV_ISA_COUNT if the variable is unset or names none. */
static fov_isa isa_wanted(const char *value) {
    for (int isa = 0; value != NULL && isa < FOV_ISA_COUNT; isa++) {
        if (strcmp(value, fov_isa_name((fov_isa)isa)) == 0) {
            return (fov_isa)isa;
        }
    }
    return FOV_ISA_COUNT;
}

fov_isa fov_cpu_isa(void) {
    const fov_isa best = fov_cpu_best();
    const fov_isa wanted = isa_wanted(getenv("FOVEA_ISA"));
    return wanted < best ? wanted : best;
}

fov_status fov_cpu_check(void) {
    const char *value = getenv("FOVEA_ISA");
    const fov_isa wanted = isa_wanted(value);
    if (value == NULL || *value == '\0') {
        return FOV_OK;
    }
    if (wanted == FOV_ISA_COUNT) {
        return FOV_FAIL(FOV_E_INVALID, "FOVEA_ISA is \"%s\"; it can be c, avx2, avx512, avx512vnni or avx512bf16, or unset", value);
    }
    if (wanted > fov_cpu_best()) {
        return FOV_FAIL(FOV_E_INVALID, "FOVEA_ISA is %s, but this processor or build offers %s at most", value,
                        fov_isa_name(fov_cpu_best()));
    }
    return FOV_OK;
}

/* Processors in the affinity mask; the mask grows until the kernel's fits. */
static unsigned affinity_count(void) {
    for (int capacity = 1024; capacity <= MAX_PROCESSORS; capacity *= 4) {
        cpu_set_t *set = CPU_ALLOC((size_t)capacity);
        if (set == NULL) {
            break;
        }
        const size_t bytes = CPU_ALLOC_SIZE((size_t)capacity);
        const int count = sched_getaffinity(0, bytes, set) == 0 ? CPU_COUNT_S(bytes, set) : 0;
        CPU_FREE(set);
        if (count > 0) {
            return (unsigned)count;
        }
    }
    const long online = sysconf(_SC_NPROCESSORS_ONLN);
    return online > 0 ? (unsigned)online : 1;
}

unsigned fov_cpu_count(void) {
    const unsigned allowed = affinity_count();
    const unsigned quota = fov_cpu_quota("/proc/self/cgroup", "/sys/fs/cgroup");
    return quota > 0 && quota < allowed ? quota : allowed;
}
