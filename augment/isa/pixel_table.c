/* This instruction set's table of pixel loops, filled from pixels.def. */
#include "augment/isa/pixel_loops.h"

#define STRING2(x) #x
#define STRING(x) STRING2(x)

extern const fov_pixel_loops FOV_PIXEL_FN(pixel_loops);

const fov_pixel_loops FOV_PIXEL_FN(pixel_loops) = {
    .name = STRING(FOV_ISA_SUFFIX),
#if FOV_ISA_LEVEL > 0
    .jpeg = true,
#endif
#define FOV_PIXEL_LOOP(result, name, arguments) .name = FOV_PIXEL_FN(name),
#include "augment/pixels.def"
#undef FOV_PIXEL_LOOP
};
