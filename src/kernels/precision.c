/* Names of precisions, and what they need of the processor. */
#include "kernels/precision.h"

#include "base/cpu.h"
#include "base/options.h"

const char *const fov_precision_names[] = {"float32", "bf16", NULL};

fov_precision fov_precision_named(const char *name) {
    return (fov_precision)fov_option_choice(fov_precision_names, name);
}

fov_status fov_precision_check(fov_precision precision) {
    if (precision == FOV_PRECISION_FLOAT32 || fov_cpu_isa() >= FOV_ISA_AVX512BF16) {
        return FOV_OK;
    }
    if (fov_cpu_best() < FOV_ISA_AVX512BF16) {
        return FOV_FAIL(FOV_E_UNSUPPORTED, "--precision bf16 needs AVX512-BF16, which this processor lacks; use float32");
    }
    return FOV_FAIL(FOV_E_UNSUPPORTED, "--precision bf16 needs AVX512-BF16, which FOVEA_ISA=%s leaves out; unset it, or use float32",
                    fov_isa_name(fov_cpu_isa()));
}
