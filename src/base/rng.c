/* Philox4x32-10 (Salmon, Moraes, Dror, Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC 2011) and what is drawn from it.
 *
 * Ten rounds, each of two 32 x 32 -> 64 bit products whose halves are swapped and mixed with the key, which itself moves by a
 * constant each round. A bijection of the counter for every key, so one stream never repeats within 2^32 blocks; it passes BigCrush.
 * Counter-based, because a stream can then be named by its use and entered anywhere: nothing needs saving for a resume.
 *
 * A stream's name has 192 bits (seed 64, epoch 32, sample 64, view 16, op 16), key and counter 160 besides the 32 that count blocks:
 *
 *     counter = (block, low half of sample, epoch, view << 16 | op)        key = seed ^ mix(high half of sample)
 *
 * mix is a bijection with mix(0) = 0. Within one seed all names therefore have streams of their own; and so have all names of all
 * seeds as long as samples stay below 2^32, as indices do. Only samples that are 64-bit hashes can, under two different seeds, meet
 * in one stream, with the chance of a 64-bit coincidence. */
#include "base/rng.h"

#include <math.h>

#include "base/error.h"

__extension__ typedef unsigned __int128 uint128;

#define PI 3.14159265358979323846

enum { ROUNDS = 10 };

void fov_philox(const uint32_t counter[4], const uint32_t key[2], uint32_t out[4]) {
    uint32_t c0 = counter[0], c1 = counter[1], c2 = counter[2], c3 = counter[3];
    uint32_t k0 = key[0], k1 = key[1];
    for (int round = 0; round < ROUNDS; round++) {
        const uint64_t p0 = (uint64_t)0xD2511F53U * c0;
        const uint64_t p1 = (uint64_t)0xCD9E8D57U * c2;
        c0 = (uint32_t)(p1 >> 32) ^ c1 ^ k0;
        c2 = (uint32_t)(p0 >> 32) ^ c3 ^ k1;
        c1 = (uint32_t)p1;
        c3 = (uint32_t)p0;
        k0 += 0x9E3779B9U;
        k1 += 0xBB67AE85U;
    }
    out[0] = c0;
    out[1] = c1;
    out[2] = c2;
    out[3] = c3;
}

/* The finaliser of MurmurHash3 (Austin Appleby), a bijection of 64 bits that keeps 0. */
static uint64_t mix(uint64_t x) {
    x = (x ^ (x >> 33)) * 0xFF51AFD7ED558CCDULL;
    x = (x ^ (x >> 33)) * 0xC4CEB9FE1A85EC53ULL;
    return x ^ (x >> 33);
}

void fov_rng_init(fov_rng *rng, uint64_t seed, uint64_t epoch, uint64_t sample, unsigned view, unsigned op) {
    FOV_ASSERT(epoch <= UINT32_MAX && view <= UINT16_MAX && op <= UINT16_MAX);
    const uint64_t key = seed ^ mix(sample >> 32);
    *rng = (fov_rng){
        .key = {(uint32_t)key, (uint32_t)(key >> 32)},
        .counter = {0, (uint32_t)sample, (uint32_t)epoch, (uint32_t)view << 16 | (uint32_t)op},
        .used = 4,
    };
}

uint32_t fov_rng_u32(fov_rng *rng) {
    if (rng->used == 4) {
        fov_philox(rng->counter, rng->key, rng->buffer);
        rng->counter[0]++;
        rng->used = 0;
    }
    return rng->buffer[rng->used++];
}

uint64_t fov_rng_u64(fov_rng *rng) {
    const uint64_t low = fov_rng_u32(rng);
    return low | (uint64_t)fov_rng_u32(rng) << 32;
}

double fov_rng_uniform(fov_rng *rng) { return (double)(fov_rng_u64(rng) >> 11) * 0x1p-53; }

double fov_rng_range(fov_rng *rng, double low, double high) {
    const double value = low + (high - low) * fov_rng_uniform(rng);
    /* The sum may round up to the end that does not belong. */
    return value < high || high <= low ? value : nextafter(high, low);
}

/* Lemire, "Fast random integer generation in an interval", 2019: the high half of a product, rejecting the few low halves that would
 * favour some values; a division is needed only when one of them is near. */
uint64_t fov_rng_below(fov_rng *rng, uint64_t bound) {
    FOV_ASSERT(bound > 0);
    uint128 product = (uint128)fov_rng_u64(rng) * bound;
    if ((uint64_t)product < bound) {
        const uint64_t threshold = (0 - bound) % bound;
        while ((uint64_t)product < threshold) {
            product = (uint128)fov_rng_u64(rng) * bound;
        }
    }
    return (uint64_t)(product >> 64);
}

/* Box and Muller 1958, one of its two values: exactly one Philox block a draw, and nothing to carry between calls. */
double fov_rng_normal(fov_rng *rng) {
    const double radius = sqrt(-2.0 * log(1.0 - fov_rng_uniform(rng)));
    return radius * cos(2.0 * PI * fov_rng_uniform(rng));
}

/* Fisher-Yates, from the end. */
void fov_rng_shuffle(fov_rng *rng, uint32_t *items, size_t count) {
    for (size_t i = count; i > 1; i--) {
        const size_t j = (size_t)fov_rng_below(rng, i);
        const uint32_t kept = items[i - 1];
        items[i - 1] = items[j];
        items[j] = kept;
    }
}
