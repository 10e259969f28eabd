/* The registry of operations, read from ops.def: one descriptor fov_op_NAME per line. */
#include <string.h>

#include "ops/ops.h"

#define FOV_ENTRY(name) extern const fov_op fov_op_##name;
#include "ops.inc"
#undef FOV_ENTRY

static const fov_op *const ops[] = {
#define FOV_ENTRY(name) &fov_op_##name,
#include "ops.inc"
#undef FOV_ENTRY
};

const fov_op *fov_op_at(size_t index) {
    return index < sizeof ops / sizeof ops[0] ? ops[index] : NULL;
}

const fov_op *fov_op_named(const char *name) {
    for (size_t i = 0; i < sizeof ops / sizeof ops[0]; i++) {
        if (strcmp(ops[i]->name, name) == 0) {
            return ops[i];
        }
    }
    return NULL;
}
