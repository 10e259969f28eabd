/* XXH3 from the xxHash library: as fast as memory, and of good quality over all its 64 bits. Not against an adversary. */
#include "base/hash.h"

#include <string.h>
#define XXH_STATIC_LINKING_ONLY /* for the size of a state, which then lies in our memory */
#include <xxhash.h>

#include "base/memory.h"

struct fov_hasher {
    XXH3_state_t state;
};
_Static_assert(_Alignof(XXH3_state_t) <= FOV_ALIGN, "blocks of memory are aligned enough");

uint64_t fov_hash64(const void *bytes, size_t count, uint64_t seed) {
    return XXH3_64bits_withSeed(bytes, count, seed);
}

fov_hasher *fov_hasher_new(uint64_t seed) {
    fov_hasher *hasher = fov_mem_zalloc(FOV_MEM_BASE, sizeof *hasher);
    if (hasher != NULL) {
        (void)XXH3_64bits_reset_withSeed(&hasher->state, seed);
    }
    return hasher;
}

void fov_hasher_add(fov_hasher *hasher, const void *bytes, size_t count) {
    (void)XXH3_64bits_update(&hasher->state, bytes, count);
}

uint64_t fov_hasher_end(fov_hasher *hasher) {
    const uint64_t hash = XXH3_64bits_digest(&hasher->state);
    fov_mem_free(hasher);
    return hash;
}

uint64_t fov_hash_text(const char *text) {
    return fov_hash64(text, strlen(text), 0);
}
