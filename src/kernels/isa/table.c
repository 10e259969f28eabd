/* This instruction set's table, filled from kernels.def. */
#include "kernels/isa.h"

#define FOV_ISA_STRING2(x) #x
#define FOV_ISA_STRING(x) FOV_ISA_STRING2(x)
#define FOV_ISA_TABLE2(suffix) fov_kernels_##suffix
#define FOV_ISA_TABLE(suffix) FOV_ISA_TABLE2(suffix)

extern const fov_kernels FOV_ISA_TABLE(FOV_ISA_SUFFIX);

const fov_kernels FOV_ISA_TABLE(FOV_ISA_SUFFIX) = {
    .name = FOV_ISA_STRING(FOV_ISA_SUFFIX),
#define FOV_KERNEL(result, name, arguments) .name = FOV_ISA_FN(name),
#include "kernels/kernels.def"
#undef FOV_KERNEL
};
