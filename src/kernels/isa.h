/* Included first by every file in src/kernels/isa: names functions after the instruction set they are compiled for. */
#ifndef FOV_KERNELS_ISA_H
#define FOV_KERNELS_ISA_H

#include "kernels/kernels.h"

#ifndef FOV_ISA_SUFFIX
#error "files in src/kernels/isa are compiled once per instruction set, with FOV_ISA_SUFFIX set"
#endif

#define FOV_ISA_PASTE2(name, suffix) fov_##name##_##suffix
#define FOV_ISA_PASTE(name, suffix) FOV_ISA_PASTE2(name, suffix)
#define FOV_ISA_FN(name) FOV_ISA_PASTE(name, FOV_ISA_SUFFIX)

/* Prototypes of this set's kernels. */
#define FOV_KERNEL(result, name, arguments) result FOV_ISA_FN(name) arguments;
#include "kernels/kernels.def"
#undef FOV_KERNEL

#endif
