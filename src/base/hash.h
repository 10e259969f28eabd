/* Checksums and hashes. xxHash for our own files and for naming random streams; the only user of xxhash.h is hash.c. */
#ifndef FOV_BASE_HASH_H
#define FOV_BASE_HASH_H

#include <stddef.h>
#include <stdint.h>

uint64_t fov_hash64(const void *bytes, size_t count, uint64_t seed); /* XXH3 64 */
/* The same of bytes that come in pieces; `fov_hasher_end` gives the hash and frees. NULL: out of memory. */
typedef struct fov_hasher fov_hasher;
fov_hasher *fov_hasher_new(uint64_t seed);
void fov_hasher_add(fov_hasher *hasher, const void *bytes, size_t count);
uint64_t fov_hasher_end(fov_hasher *hasher);

uint64_t fov_hash_text(const char *text); /* XXH3 64 of a NUL-terminated string, seed 0 */

#endif
