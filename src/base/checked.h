/* Size arithmetic that cannot wrap: every size that depends on a file, an option or a shape goes through these. */
#ifndef FOV_BASE_CHECKED_H
#define FOV_BASE_CHECKED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Each returns true and stores the result, or returns false on overflow and leaves *out alone. */
static inline bool fov_add_size(size_t a, size_t b, size_t *out) { return !__builtin_add_overflow(a, b, out); }
static inline bool fov_mul_size(size_t a, size_t b, size_t *out) { return !__builtin_mul_overflow(a, b, out); }
static inline bool fov_add_u64(uint64_t a, uint64_t b, uint64_t *out) { return !__builtin_add_overflow(a, b, out); }
static inline bool fov_mul_u64(uint64_t a, uint64_t b, uint64_t *out) { return !__builtin_mul_overflow(a, b, out); }

static inline size_t fov_least_size(size_t a, size_t b) { return a < b ? a : b; }
static inline size_t fov_most_size(size_t a, size_t b) { return a > b ? a : b; }
/* a / b, rounded up; a + b must not wrap. */
static inline size_t fov_ceil_div(size_t a, size_t b) { return (a + b - 1) / b; }

/* Product of `count` factors. */
bool fov_product_size(const size_t *factors, size_t count, size_t *out);
/* Rounds up to a multiple of `unit` (a power of two). */
bool fov_round_up(size_t n, size_t unit, size_t *out);

#endif
