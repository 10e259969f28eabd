/* What this processor can do, and which of our instruction-set builds to use. */
#ifndef FOV_BASE_CPU_H
#define FOV_BASE_CPU_H

#include <stddef.h>

#include "base/error.h"

typedef enum fov_isa { FOV_ISA_C, FOV_ISA_AVX2, FOV_ISA_AVX512, FOV_ISA_AVX512VNNI, FOV_ISA_AVX512BF16, FOV_ISA_COUNT } fov_isa;

/* avx2 has FMA too; avx512 is F, BW, DQ and VL; avx512vnni adds VNNI and VBMI, which came together (Ice Lake, Zen 4), avx512bf16 the
 * products of bfloat16 pairs (Sapphire Rapids, Zen 4). A family of loops that has nothing to gain from a set uses its build for the next
 * lower one. */

/* Best set that both this processor and this build have; the environment variable FOVEA_ISA (c, avx2, avx512, avx512vnni, avx512bf16) lowers it. An
 * unknown or unavailable value of FOVEA_ISA is an error from fov_cpu_check, and ignored here. */
fov_isa fov_cpu_isa(void);
fov_isa fov_cpu_best(void); /* without the environment */
FOV_MUST_USE fov_status fov_cpu_check(void);
const char *fov_isa_name(fov_isa isa);

/* Processors that the control groups listed in `group_list` (a file like /proc/self/cgroup) allow under `system_root`, rounded up; 0
 * if there is no limit. fov_cpu_count uses it; tests give it folders of their own. */
unsigned fov_cpu_quota(const char *group_list, const char *system_root);

#endif
