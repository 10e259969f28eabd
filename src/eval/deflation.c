/* Spectral deflation as a preconditioner. Pixels, and features somewhat less, vary a thousand times as much along a few directions (brightness, a
 * gradient from top to bottom) as along most, and L-BFGS then takes hundreds of steps where tens do: scaling those directions down leaves it a
 * problem that is nearly round. The whole covariance would make it rounder, but costs width^3.
 *
 * The directions are found by orthogonal iteration (Golub and Van Loan, "Matrix computations", section 8.2), which starts at samples, so that it
 * needs no random numbers. They need not be exact: any S that can be inverted has the same minimum. */
#include "eval/deflation.h"

#include <math.h>

#include "base/checked.h"
#include "kernels/gemm.h"

enum {
    MOST = 64,     /* directions */
    SAMPLES = 1024, /* that directions are found from */
    PASSES = 3
};

static double dot(const fov_real *a, const fov_real *b, size_t n) {
    double sum = 0.0;
#pragma omp simd reduction(+ : sum)
    for (size_t i = 0; i < n; i++) {
        sum += (double)a[i] * (double)b[i];
    }
    return sum;
}

/* Gram-Schmidt, twice over for the sake of rounding; a row that depends on those before it is left out. strength gets the lengths. */
static void make_orthonormal(fov_deflation *d) {
    size_t kept = 0;
    for (size_t r = 0; r < d->rank; r++) {
        fov_real *to = d->direction + kept * d->width;
        const fov_real *from = d->direction + r * d->width;
        const double before = sqrt(dot(from, from, d->width));
        for (size_t j = 0; j < d->width; j++) {
            to[j] = from[j];
        }
        for (size_t q = 0; q < 2 * kept; q++) {
            const fov_real *other = d->direction + q % kept * d->width;
            const fov_real along = (fov_real)dot(to, other, d->width);
            for (size_t j = 0; j < d->width; j++) {
                to[j] -= along * other[j];
            }
        }
        const double length = sqrt(dot(to, to, d->width));
        if (length > 1e-4 * before && isfinite(length)) {
            for (size_t j = 0; j < d->width; j++) {
                to[j] = (fov_real)((double)to[j] / length);
            }
            d->strength[kept++] = length;
        }
    }
    d->rank = kept;
}

/* Directions to the covariance times directions. */
static void multiply(fov_deflation *d, const fov_real *x, size_t stride, size_t count, fov_real *along, void *work) {
    const fov_matrix samples = {.data = x, .stride = stride}, directions = {.data = d->direction, .stride = d->width, .transposed = true};
    fov_gemm(d->pool, along, d->rank, samples, directions, count, d->rank, d->width, 0, work);
    for (size_t i = 0; i < count * d->rank; i++) {
        along[i] /= (fov_real)count;
    }
    const fov_matrix shares = {.data = along, .stride = d->rank, .transposed = true};
    fov_gemm(d->pool, d->direction, d->width, shares, samples, d->rank, d->width, count, 0, work);
}

static size_t larger(size_t a, size_t b) { return a > b ? a : b; }

static void *reals(size_t rows, size_t columns) {
    size_t cells = 0;
    /* a product that wraps becomes one that fov_mem_array refuses */
    return fov_mem_array(FOV_MEM_EVAL, fov_mul_size(rows, columns, &cells) ? cells : SIZE_MAX, sizeof(fov_real));
}

static fov_status find_directions(fov_deflation *d, const fov_real *x, size_t count) {
    const size_t step = (count + SAMPLES - 1) / SAMPLES, used = count / step, stride = step * d->width;
    size_t bytes = 0;
    for (size_t rank = 1; rank <= d->rank; rank++) { /* which may fall */
        bytes = larger(bytes, larger(fov_gemm_work(used, rank, d->width), fov_gemm_work(rank, d->width, used)));
    }
    fov_real *along = reals(used, d->rank);
    void *work = fov_mem_alloc(FOV_MEM_EVAL, bytes);
    const bool room = along != NULL && work != NULL;
    for (size_t r = 0; room && r < d->rank; r++) {
        const fov_real *sample = x + used * r / d->rank * stride;
        for (size_t j = 0; j < d->width; j++) {
            d->direction[r * d->width + j] = sample[j];
        }
    }
    for (int pass = 0; room && pass < PASSES && d->rank > 0; pass++) {
        make_orthonormal(d);
        if (d->rank > 0) {
            multiply(d, x, stride, used, along, work);
        }
    }
    make_orthonormal(d);
    fov_mem_free(along);
    fov_mem_free(work);
    return room ? FOV_OK : fov_forward_at(__FILE__, __LINE__, FOV_E_NOMEM);
}

fov_status fov_deflation_init(fov_deflation *d, const fov_real *x, size_t count, size_t width, size_t rows, fov_pool *pool) {
    const size_t half = (count < width ? count : width) / 2; /* a problem that small has no need of more */
    *d = (fov_deflation){.rank = half < MOST ? half : MOST, .width = width, .rest = 1.0, .rows = rows, .pool = pool};
    if (d->rank == 0) {
        return FOV_OK;
    }
    d->direction = reals(d->rank, width);
    d->strength = fov_mem_array(FOV_MEM_EVAL, d->rank, sizeof *d->strength);
    d->scale = fov_mem_array(FOV_MEM_EVAL, d->rank, sizeof *d->scale);
    d->share = reals(rows, d->rank);
    d->change = reals(rows, width);
    if (d->direction == NULL || d->strength == NULL || d->scale == NULL || d->share == NULL || d->change == NULL) {
        return fov_forward_at(__FILE__, __LINE__, FOV_E_NOMEM);
    }
    FOV_TRY(find_directions(d, x, count));
    d->work = fov_mem_alloc(FOV_MEM_EVAL, larger(fov_gemm_work(rows, d->rank, width), fov_gemm_work(rows, width, d->rank)));
    FOV_TRY_ALLOC(d->work);
    return FOV_OK;
}

void fov_deflation_clear(fov_deflation *d) {
    fov_mem_free(d->direction);
    fov_mem_free(d->strength);
    fov_mem_free(d->scale);
    fov_mem_free(d->share);
    fov_mem_free(d->change);
    fov_mem_free(d->work);
    *d = (fov_deflation){0};
}

/* Every direction gets the curvature that a bias has, `factor`: it is a weight too, of a feature that is always 1. Directions that were not found
 * are taken to be as strong as the weakest that was. */
void fov_deflation_set(fov_deflation *d, double factor, double floor) {
    double weakest = d->rank == 0 ? 1.0 : HUGE_VAL;
    for (size_t r = 0; r < d->rank; r++) {
        weakest = fmin(weakest, d->strength[r]);
        d->scale[r] = sqrt(factor / (factor * d->strength[r] + floor));
    }
    d->rest = sqrt(factor / (factor * weakest + floor));
}

void fov_deflation_apply(fov_deflation *d, double *to, const double *from, bool inverse) {
    const size_t cells = d->rows * d->width;
    const double rest = inverse ? 1.0 / d->rest : d->rest;
    for (size_t i = 0; i < cells && d->rank > 0; i++) {
        d->change[i] = (fov_real)from[i];
    }
    for (size_t i = 0; i < cells; i++) {
        to[i] = rest * from[i];
    }
    if (d->rank == 0) {
        return;
    }
    const fov_matrix rows = {.data = d->change, .stride = d->width}, share = {.data = d->share, .stride = d->rank};
    fov_matrix direction = {.data = d->direction, .stride = d->width, .transposed = true};
    fov_gemm(d->pool, d->share, d->rank, rows, direction, d->rows, d->rank, d->width, 0, d->work);
    for (size_t i = 0; i < d->rows * d->rank; i++) {
        const double scale = d->scale[i % d->rank];
        d->share[i] *= (fov_real)((inverse ? 1.0 / scale : scale) - rest);
    }
    direction.transposed = false;
    fov_gemm(d->pool, d->change, d->width, share, direction, d->rows, d->width, d->rank, 0, d->work);
    for (size_t i = 0; i < cells; i++) {
        to[i] += (double)d->change[i];
    }
}
