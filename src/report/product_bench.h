/* Speed of the matrix products of models, each alone. */
#ifndef FOV_REPORT_PRODUCT_BENCH_H
#define FOV_REPORT_PRODUCT_BENCH_H

#include <stdbool.h>

#include "base/error.h"
#include "base/pool.h"

/* A linear layer, or a 1 x 1 convolution with its pixels as rows. */
typedef struct fov_product_shape {
    const char *name;
    size_t rows, in, out;
} fov_product_shape;

/* The layers of ViT-Ti/16 and ViT-S/16 at 224 px with 32 pictures, of ResNet-50 at 224 px with 16, and a projector; name NULL at the end.
 */
extern const fov_product_shape fov_product_shapes[];

/* Operations a second of y = x W^T, dx = dz W and dW = dz^T x; the best of the repeats that fit into `seconds` each, four at least. */
FOV_MUST_USE fov_status fov_product_bench(double rates[3], const fov_product_shape *shape, bool bf16, fov_pool *pool, double seconds);

#endif
