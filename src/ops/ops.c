/* The registry of operations, read from ops.def: one descriptor fov_op_NAME per line. */
#include "base/registry.h"
#include "ops/ops.h"

#define FOV_ENTRY(name) extern const fov_op fov_op_##name;
#include "ops.inc"
#undef FOV_ENTRY

static const fov_op *const ops[] = {
#define FOV_ENTRY(name) &fov_op_##name,
#include "ops.inc"
#undef FOV_ENTRY
};

FOV_REGISTRY_LOOKUP(op, ops)
