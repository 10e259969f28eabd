/* The arithmetic of a training step's products: float32, or operands rounded to bfloat16 with sums in float32. */
#ifndef FOV_KERNELS_PRECISION_H
#define FOV_KERNELS_PRECISION_H

#include "base/error.h"

typedef enum fov_precision { FOV_PRECISION_FLOAT32, FOV_PRECISION_BF16 } fov_precision;

/* "float32", "bf16" with NULL at the end, in the order of fov_precision, and back; anything else is float32. */
extern const char *const fov_precision_names[];
fov_precision fov_precision_named(const char *name);
/* Fails when the processor, this build or FOVEA_ISA lacks what the precision needs. The message speaks of the option --precision. */
FOV_MUST_USE fov_status fov_precision_check(fov_precision precision);

#endif
