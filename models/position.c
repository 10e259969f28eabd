/* Position embeddings: the fixed sines and cosines of MAE (He et al. 2021), and resampling to another grid. */
#include <math.h>
#include <string.h>

#include "base/memory.h"
#include "models/blocks.h"

/* One axis: [sin(p w_k) | cos(p w_k)], k < quarter, w_k = 10000^(-k / quarter). */
static void encode_axis(fov_real *row, size_t position, size_t quarter) {
    for (size_t k = 0; k < quarter; k++) {
        const double angle = (double)position * pow(10000.0, -(double)k / (double)quarter);
        row[k] = (fov_real)sin(angle);
        row[quarter + k] = (fov_real)cos(angle);
    }
}

void fov_position_sincos(fov_real *values, const fov_shape *shape, double unused) {
    (void)unused;
    const size_t d = shape->dim[2];
    const size_t grid = (size_t)(sqrt((double)(shape->dim[1] - 1)) + 0.5);
    FOV_ASSERT(d % 4 == 0 && grid * grid + 1 == shape->dim[1]);
    for (size_t c = 0; c < d; c++) {
        values[c] = 0;
    }
    for (size_t y = 0; y < grid; y++) {
        for (size_t x = 0; x < grid; x++) {
            fov_real *row = values + (1 + y * grid + x) * d;
            encode_axis(row, x, d / 4);
            encode_axis(row + d / 2, y, d / 4);
        }
    }
}

/* Keys' cubic with a = -0.5, the kernel of antialiased resampling in Pillow and PyTorch. */
static double cubic(double t) {
    t = fabs(t);
    if (t < 1.0) {
        return (1.5 * t - 2.5) * t * t + 1.0;
    }
    return t < 2.0 ? ((-0.5 * t + 2.5) * t - 4.0) * t + 2.0 : 0.0;
}

/* Weights of one output position over all `from` inputs; zero outside the kernel's support. */
static void axis_weights(size_t from, size_t to, size_t i, double *weight) {
    const double scale = (double)from / (double)to, filter = scale > 1.0 ? scale : 1.0;
    const double centre = ((double)i + 0.5) * scale;
    double sum = 0.0;
    for (size_t x = 0; x < from; x++) {
        weight[x] = cubic(((double)x - centre + 0.5) / filter);
        sum += weight[x];
    }
    for (size_t x = 0; x < from; x++) {
        weight[x] /= sum;
    }
}

/* out[to][inner] = W in[from][inner], rows `stride` floats apart. */
static void resize_axis(const float *in, size_t from, float *out, size_t to, size_t inner, double *weight) {
    for (size_t i = 0; i < to; i++) {
        axis_weights(from, to, i, weight);
        for (size_t c = 0; c < inner; c++) {
            double sum = 0.0;
            for (size_t x = 0; x < from; x++) {
                sum += weight[x] * (double)in[x * inner + c];
            }
            out[i * inner + c] = (float)sum;
        }
    }
}

fov_status fov_position_resize(const float *position, size_t from, size_t to, size_t d, float *out) {
    float *half = fov_mem_array(FOV_MEM_GRAPH, from * to * d, sizeof *half);
    double *weight = fov_mem_array(FOV_MEM_GRAPH, from, sizeof *weight);
    const fov_status status = half == NULL || weight == NULL ? FOV_E_NOMEM : FOV_OK;
    if (status == FOV_OK) {
        memcpy(out, position, d * sizeof *out);
        for (size_t y = 0; y < from; y++) { /* columns: [from, from, d] -> [from, to, d] */
            resize_axis(position + (1 + y * from) * d, from, half + y * to * d, to, d, weight);
        }
        resize_axis(half, from, out + d, to, to * d, weight); /* rows: [from, to d] -> [to, to d] */
    }
    fov_mem_free(weight);
    fov_mem_free(half);
    return status;
}
