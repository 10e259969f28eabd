/* Included first by every file in augment/isa: names functions after the instruction set they are compiled for.
 *
 * Sums and products here must round one by one, so that every set gives the bits of the formula: fusing them is turned off.
 *
 * FOV_ISA_LEVEL is 0 for portable C, the reference; 1 for AVX2 with FMA; 2 for AVX-512 with F, BW, DQ and VL; 3 for that with VNNI and
 * VBMI besides. */
#ifndef FOV_AUGMENT_ISA_PIXEL_LOOPS_H
#define FOV_AUGMENT_ISA_PIXEL_LOOPS_H

#include <string.h>

#include "augment/pixels.h"

#if !defined(FOV_ISA_SUFFIX) || !defined(FOV_ISA_LEVEL)
#error "files in augment/isa are compiled once per instruction set, with FOV_ISA_SUFFIX and FOV_ISA_LEVEL set"
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

static inline int32_t fov_clip8(int32_t value) {
    return value < 0 ? 0 : value > 255 ? 255 : value;
}

/* A pixel of a few bytes; those of three without a call. */
static inline void fov_copy_pixel(uint8_t *restrict to, const uint8_t *restrict from, size_t bytes) {
    if (bytes == 3) {
        to[0] = from[0];
        to[1] = from[1];
        to[2] = from[2];
    } else {
        memcpy(to, from, bytes);
    }
}

#define FOV_RESIZE_BITS 22 /* fraction bits of a resize's weights */

/* Into every caller, so that what the caller knows as a constant is one. */
#define FOV_INLINE static inline __attribute__((always_inline))

#endif
