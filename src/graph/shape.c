/* Shapes: at most FOV_MAX_RANK dimensions by value, so that they need no owner. */
#include <stdio.h>

#include "graph/store.h"

fov_shape fov_shape_make(const size_t *dims, size_t rank) {
    FOV_ASSERT(rank <= FOV_MAX_RANK);
    fov_shape shape = {.rank = (unsigned)rank};
    for (size_t i = 0; i < rank; i++) {
        shape.dim[i] = dims[i];
    }
    return shape;
}

size_t fov_shape_count(const fov_shape *shape) {
    size_t count = 1;
    for (unsigned i = 0; i < shape->rank; i++) {
        count *= shape->dim[i];
    }
    return count;
}

bool fov_shape_equal(const fov_shape *a, const fov_shape *b) {
    if (a->rank != b->rank) {
        return false;
    }
    for (unsigned i = 0; i < a->rank; i++) {
        if (a->dim[i] != b->dim[i]) {
            return false;
        }
    }
    return true;
}

const char *fov_shape_text(const fov_shape *shape, char *text, size_t size) {
    size_t used = 0;
    int n = snprintf(text, size, "[");
    for (unsigned i = 0; i < shape->rank && n >= 0 && used + (size_t)n < size; i++) {
        used += (size_t)n;
        n = snprintf(text + used, size - used, "%s%zu", i > 0 ? ", " : "", shape->dim[i]);
    }
    if (n >= 0 && used + (size_t)n < size) {
        used += (size_t)n;
        (void)snprintf(text + used, size - used, "]");
    }
    return text;
}
