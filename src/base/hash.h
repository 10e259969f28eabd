/* Checksums and hashes. xxHash for our own files and for naming random streams; the only user of xxhash.h is hash.c. */
#ifndef FOV_BASE_HASH_H
#define FOV_BASE_HASH_H

#include <stddef.h>
#include <stdint.h>

uint64_t fov_hash64(const void *bytes, size_t count, uint64_t seed); /* XXH3 64 */
uint64_t fov_hash_text(const char *text);                            /* XXH3 64 of a NUL-terminated string, seed 0 */

#endif
