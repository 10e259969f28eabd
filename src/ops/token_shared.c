/* Shape checks and fixed-order sums for the token operations. The sum over a batch is cut by columns, not by rows: each column adds
 * its n rows in order, so no partial results need merging and any number of threads gives the same bits. */
#include "ops/token_shared.h"

#include "base/checked.h"

#define COLUMNS 256 /* of a sum per chunk: 1 KiB of each row, long enough to stream */

static const char *dtype_name(fov_dtype dtype) {
    switch (dtype) {
    case FOV_DTYPE_U8:
        return "uint8";
    case FOV_DTYPE_U16:
        return "uint16";
    case FOV_DTYPE_I32:
        return "int32";
    case FOV_DTYPE_REAL:
    default:
        return "real";
    }
}

fov_status fov_token_check(const fov_node *node, unsigned i, const char *wanted, unsigned rank, fov_dtype dtype) {
    const fov_node *input = node->input[i];
    char text[128];
    if (input->shape.rank != rank || input->dtype != dtype) {
        return FOV_FAIL(FOV_E_INVALID, "needs %s %s as input %u, got %s %s", dtype_name(dtype), wanted, i,
                        dtype_name(input->dtype), fov_shape_text(&input->shape, text, sizeof text));
    }
    for (unsigned a = 0; a < rank; a++) {
        if (input->shape.dim[a] == 0) {
            return FOV_FAIL(FOV_E_INVALID, "needs %s without empty axes as input %u, got %s", wanted, i,
                            fov_shape_text(&input->shape, text, sizeof text));
        }
    }
    return FOV_OK;
}

fov_status fov_token_check_shape(const fov_node *node, unsigned i, const char *wanted, fov_shape shape) {
    const fov_node *input = node->input[i];
    char got[128];
    char need[128];
    if (!fov_shape_equal(&input->shape, &shape)) {
        return FOV_FAIL(FOV_E_INVALID, "needs %s as input %u, here %s, got %s", wanted, i,
                        fov_shape_text(&shape, need, sizeof need), fov_shape_text(&input->shape, got, sizeof got));
    }
    return FOV_OK;
}

fov_status fov_token_bytes(size_t *bytes, const size_t *factors, size_t count) {
    if (!fov_product_size(factors, count, bytes)) {
        return FOV_FAIL(FOV_E_LIMIT, "needs more scratch than this machine can address; use a smaller batch or image");
    }
    return FOV_OK;
}

fov_status fov_token_output(fov_node *node, fov_shape shape) {
    size_t bytes = sizeof(fov_real);
    for (unsigned a = 0; a < shape.rank; a++) {
        if (!fov_mul_size(bytes, shape.dim[a], &bytes)) {
            char text[128];
            return FOV_FAIL(FOV_E_LIMIT, "gives %s, which is larger than this machine can address; use a smaller batch or image",
                            fov_shape_text(&shape, text, sizeof text));
        }
    }
    node->shape = shape;
    node->dtype = FOV_DTYPE_REAL;
    return FOV_OK;
}

typedef struct sum_job {
    const fov_kernels *k;
    fov_real *out;
    const fov_real *rows;
    size_t n, stride, width;
    bool accumulate;
} sum_job;

static void sum_columns(void *context, size_t chunk, unsigned worker) {
    (void)worker;
    const sum_job *job = context;
    const size_t first = chunk * COLUMNS;
    const size_t count = job->width - first < COLUMNS ? job->width - first : COLUMNS;
    fov_token_put(job->k, job->out + first, job->rows + first, count, job->accumulate);
    for (size_t i = 1; i < job->n; i++) {
        job->k->accumulate(job->out + first, job->rows + i * job->stride + first, count);
    }
}

void fov_token_sum(const fov_step *step, fov_real *out, bool accumulate, const fov_real *rows, size_t n, size_t stride, size_t width) {
    sum_job job = {.k = step->k, .out = out, .rows = rows, .n = n, .stride = stride, .width = width, .accumulate = accumulate};
    fov_pool_for(step->pool, (width + COLUMNS - 1) / COLUMNS, sum_columns, &job);
}

fov_cost fov_token_move_cost(const fov_node *node, double forward_flops, double backward_flops) {
    double bytes = (double)fov_shape_count(&node->shape) * (double)sizeof(fov_real);
    for (unsigned i = 0; i < node->input_count; i++) {
        if (node->input[i] != NULL) {
            const double unit = node->input[i]->dtype == FOV_DTYPE_REAL ? (double)sizeof(fov_real) : 4.0;
            bytes += (double)fov_shape_count(&node->input[i]->shape) * unit;
        }
    }
    return (fov_cost){.forward_flops = forward_flops, .backward_flops = backward_flops, .forward_bytes = bytes, .backward_bytes = bytes};
}
