/* XXH3 from the xxHash library: as fast as memory, and of good quality over all its 64 bits. Not against an adversary. */
#include "base/hash.h"

#include <string.h>
#include <xxhash.h>

uint64_t fov_hash64(const void *bytes, size_t count, uint64_t seed) { return XXH3_64bits_withSeed(bytes, count, seed); }

uint64_t fov_hash_text(const char *text) { return fov_hash64(text, strlen(text), 0); }
