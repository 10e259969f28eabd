/* Size arithmetic over several factors; the two-operand forms are inline in the header. */
#include "base/checked.h"

bool fov_product_size(const size_t *factors, size_t count, size_t *out) {
    size_t product = 1;
    /* A zero anywhere makes the product zero, however large the factors before it are. */
    for (size_t i = 0; i < count; i++) {
        if (factors[i] == 0) {
            *out = 0;
            return true;
        }
    }
    for (size_t i = 0; i < count; i++) {
        if (!fov_mul_size(product, factors[i], &product)) {
            return false;
        }
    }
    *out = product;
    return true;
}

bool fov_round_up(size_t n, size_t unit, size_t *out) {
    size_t raised = 0;
    if (!fov_add_size(n, unit - 1, &raised)) {
        return false;
    }
    *out = raised & ~(unit - 1);
    return true;
}
