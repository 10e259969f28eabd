/* What the row operations share: checks of operands, and sums of partial results in a fixed order. */
#include "ops/row_shared.h"

void fov_add_partials(const fov_kernels *k, fov_real *y, const fov_real *partial, size_t parts, size_t d, bool accumulate) {
    if (!accumulate) {
        k->fill(y, 0, d);
    }
    k->column_sums(y, partial, parts, d);
}

fov_status fov_check_real(const fov_node *node, unsigned input) {
    return node->input[input]->dtype == FOV_DTYPE_REAL ? FOV_OK
                                                       : FOV_FAIL(FOV_E_INVALID, "needs real numbers in input %u, got integers", input);
}

fov_status fov_check_vector(const fov_node *node, unsigned input, const char *name, size_t length) {
    FOV_TRY(fov_check_real(node, input));
    const fov_shape *shape = &node->input[input]->shape;
    char text[128];
    return shape->rank == 1 && shape->dim[0] == length
               ? FOV_OK
               : FOV_FAIL(FOV_E_INVALID, "needs %s [%zu], got %s", name, length, fov_shape_text(shape, text, sizeof text));
}
