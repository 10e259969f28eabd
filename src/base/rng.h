/* Counter-based random numbers: Philox4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011).
 *
 * A stream is named by what it is for, never by who draws it: (seed, epoch, sample, view, op). The same name gives the same
 * numbers on any thread, in any order, after any resume. */
#ifndef FOV_BASE_RNG_H
#define FOV_BASE_RNG_H

#include <stddef.h>
#include <stdint.h>

/* The raw function: 128-bit counter and 64-bit key to 128 random bits. */
void fov_philox(const uint32_t counter[4], const uint32_t key[2], uint32_t out[4]);

typedef struct fov_rng {
    uint32_t key[2];
    uint32_t counter[4];
    uint32_t buffer[4];
    unsigned used; /* words of buffer handed out */
} fov_rng;

/* Purposes: the `op` part of a stream's name. One entry per independent use, never renumbered. */
typedef enum fov_rng_op {
    FOV_RNG_INIT = 1,     /* parameter initialisation; sample = hash of the name */
    FOV_RNG_ORDER = 2,    /* epoch permutation */
    FOV_RNG_MASK = 3,     /* patch masks */
    FOV_RNG_DROP = 4,     /* drop path */
    FOV_RNG_BOOTSTRAP = 5,
    FOV_RNG_FOLDS = 6,
    FOV_RNG_TEST = 7,
    FOV_RNG_AUGMENT = 64  /* + index of the step in its recipe */
} fov_rng_op;

/* epoch < 2^32, view and op < 2^16 each. */
void fov_rng_init(fov_rng *rng, uint64_t seed, uint64_t epoch, uint64_t sample, unsigned view, unsigned op);

uint32_t fov_rng_u32(fov_rng *rng);
uint64_t fov_rng_u64(fov_rng *rng);
double fov_rng_uniform(fov_rng *rng);                         /* [0, 1), 53 bits */
double fov_rng_range(fov_rng *rng, double low, double high);  /* [low, high) */
uint64_t fov_rng_below(fov_rng *rng, uint64_t bound);         /* [0, bound), unbiased; bound > 0 */
double fov_rng_normal(fov_rng *rng);                          /* N(0, 1), Box-Muller */
void fov_rng_shuffle(fov_rng *rng, uint32_t *items, size_t count);

#endif
