/* The order of samples: a keyed permutation computed where it is needed.
 *
 * A Feistel network (Luby and Rackoff, "How to construct pseudorandom permutations", SIAM J. Comput. 1988) permutes [0, 4^k), the
 * smallest such range that holds `count`; applying it again until the result is below `count` (cycle walking: Black and Rogaway,
 * "Ciphers with arbitrary finite domains", CT-RSA 2002) permutes [0, count), in under four applications on average. No shuffled
 * array, no memory, and any position of any epoch is at hand at once. */
#include "data/sampler.h"

#include "base/error.h"
#include "base/rng.h"

#define ROUNDS 8 /* far beyond the 4 of the proof: the halves are only a few bits wide in small folders */

typedef struct order {
    uint64_t key[ROUNDS];
    uint64_t mask; /* of one half */
    unsigned half; /* bits */
    uint64_t count;
} order;

static void order_init(order *o, uint64_t seed, uint64_t epoch, size_t count) {
    o->count = count;
    o->half = 1;
    while (o->half < 32 && (count - 1) >> (2 * o->half) != 0) {
        o->half++;
    }
    o->mask = (UINT64_C(1) << o->half) - 1;
    fov_rng rng;
    fov_rng_init(&rng, seed, epoch, 0, 0, FOV_RNG_ORDER);
    for (unsigned r = 0; r < ROUNDS; r++) {
        o->key[r] = fov_rng_u64(&rng);
    }
}

/* Round function: the finaliser of MurmurHash3 (Appleby), of which the upper bits are the best. */
static uint64_t mix(uint64_t x) {
    x ^= x >> 33;
    x *= UINT64_C(0xff51afd7ed558ccd);
    x ^= x >> 33;
    x *= UINT64_C(0xc4ceb9fe1a85ec53);
    return x >> 32;
}

static uint64_t order_at(const order *o, uint64_t position) {
    uint64_t x = position;
    do {
        uint64_t left = x >> o->half, right = x & o->mask;
        for (unsigned r = 0; r < ROUNDS; r++) {
            const uint64_t next = left ^ (mix(right ^ o->key[r]) & o->mask);
            left = right;
            right = next;
        }
        x = left << o->half | right;
    } while (x >= o->count);
    return x;
}

void fov_sampler_init(fov_sampler *sampler, uint64_t seed, size_t count, size_t batch_size) {
    FOV_ASSERT(count > 0 && batch_size > 0);
    const size_t whole = count / batch_size;
    *sampler = (fov_sampler){.seed = seed, .count = count, .batch_size = batch_size, .steps_per_epoch = whole > 0 ? whole : 1};
}

size_t fov_sampler_at(const fov_sampler *sampler, uint64_t epoch, size_t position) {
    FOV_ASSERT(position < sampler->count);
    order o;
    order_init(&o, sampler->seed, epoch, sampler->count);
    return (size_t)order_at(&o, position);
}

void fov_sampler_batch(const fov_sampler *sampler, uint64_t step, uint32_t *sample, uint64_t *epoch) {
    *epoch = step / sampler->steps_per_epoch;
    order o;
    order_init(&o, sampler->seed, *epoch, sampler->count);
    const size_t first = (size_t)(step % sampler->steps_per_epoch) * sampler->batch_size;
    for (size_t i = 0; i < sampler->batch_size; i++) {
        sample[i] = (uint32_t)order_at(&o, (first + i) % sampler->count);
    }
}
