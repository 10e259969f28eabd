/* The widest vector of the instruction set that a file of src/kernels/isa is compiled for, as a type with plain arithmetic. */
#ifndef FOV_KERNELS_ISA_VECTOR_H
#define FOV_KERNELS_ISA_VECTOR_H

#include <stdint.h>

#include "kernels/isa.h"

#if defined(__AVX512F__)
#include <immintrin.h>
#define VECTOR_BYTES 64
#elif defined(__AVX2__)
#include <immintrin.h>
#define VECTOR_BYTES 32
#else
#define VECTOR_BYTES 16
#endif

enum { LANES = VECTOR_BYTES / (int)sizeof(fov_real) };

typedef fov_real vec __attribute__((vector_size(VECTOR_BYTES)));
typedef fov_real vec_anywhere __attribute__((vector_size(VECTOR_BYTES), aligned(sizeof(fov_real)), may_alias));
#ifdef FOVEA_DOUBLE
typedef int64_t mask __attribute__((vector_size(VECTOR_BYTES)));
#else
typedef int32_t mask __attribute__((vector_size(VECTOR_BYTES)));
#endif

#define INLINE static inline __attribute__((always_inline, unused))

INLINE vec load(const fov_real *p) {
    return *(const vec_anywhere *)p;
}

INLINE void store(fov_real *p, vec x) {
    *(vec_anywhere *)p = x;
}

/* y where either is NaN. */
INLINE vec larger(vec x, vec y) {
#if defined(__AVX512F__) && !defined(FOVEA_DOUBLE)
    return _mm512_max_ps(x, y);
#elif defined(__AVX2__) && !defined(FOVEA_DOUBLE)
    return _mm256_max_ps(x, y);
#else
    const mask above = x > y;
    return (vec)((above & (mask)x) | (~above & (mask)y));
#endif
}

/* store to an aligned place that nobody reads soon: past the caches where the set can. fence() comes before other threads may look. */
INLINE void stream(fov_real *p, vec x) {
#if defined(__AVX512F__) && !defined(FOVEA_DOUBLE)
    _mm512_stream_ps(p, (__m512)x);
#elif defined(__AVX2__) && !defined(FOVEA_DOUBLE)
    _mm256_stream_ps(p, (__m256)x);
#else
    *(vec *)p = x;
#endif
}

INLINE void fence(void) {
#if defined(__AVX2__)
    _mm_sfence();
#endif
}

/* Whether rows of c numbers at p can be streamed. */
INLINE int streamable(const fov_real *p, size_t c) {
    return (uintptr_t)p % VECTOR_BYTES == 0 && c % LANES == 0;
}

#endif
