/* Short names for arithmetic of 32 bits a lane, for the colour steps. */
#ifndef FOV_AUGMENT_ISA_PIXEL_LANES_H
#define FOV_AUGMENT_ISA_PIXEL_LANES_H

#include "augment/isa/pixel_simd.h"

#if FOV_ISA_LEVEL > 0

#define I32(x) FOV_VEC(set1_epi32)(x)
#define F32(x) FOV_VEC(set1_ps)(x)
#define ADD FOV_VEC(add_epi32)
#define SUB FOV_VEC(sub_epi32)
#define MUL FOV_VEC(mullo_epi32)
#define FLOAT FOV_VEC(cvtepi32_ps)
#define WHOLE FOV_VEC(cvttps_epi32)

#define VECTORS 4 /* stored together */

#endif
#endif
