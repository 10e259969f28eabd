/* Included first by every file in augment/isa: names functions after the instruction set they are compiled for.
 *
 * Sums and products here must round one by one, so that every set gives the bits of the formula: fusing them is turned off. */
#ifndef FOV_AUGMENT_ISA_PIXEL_LOOPS_H
#define FOV_AUGMENT_ISA_PIXEL_LOOPS_H

#include "augment/pixels.h"

#ifndef FOV_ISA_SUFFIX
#error "files in augment/isa are compiled once per instruction set, with FOV_ISA_SUFFIX set"
#endif

#if defined(__clang__)
#pragma STDC FP_CONTRACT OFF
#else
#pragma GCC optimize("fp-contract=off")
#endif

#define FOV_PIXEL_PASTE2(name, suffix) fov_##name##_##suffix
#define FOV_PIXEL_PASTE(name, suffix) FOV_PIXEL_PASTE2(name, suffix)
#define FOV_PIXEL_FN(name) FOV_PIXEL_PASTE(name, FOV_ISA_SUFFIX)

#define FOV_PIXEL_LOOP(result, name, arguments) result FOV_PIXEL_FN(name) arguments;
#include "augment/pixels.def"
#undef FOV_PIXEL_LOOP

static inline int32_t fov_clip8(int32_t value) { return value < 0 ? 0 : value > 255 ? 255 : value; }

#endif
