/* A pool of threads and the one way to use it: parallel-for over a fixed number of chunks.
 *
 * Determinism: callers cut work into chunks by shape, never by thread count, and chunks write disjoint outputs (or per-chunk
 * partial results that are then added in chunk order). Which thread runs which chunk is left open and must not matter. */
#ifndef FOV_BASE_POOL_H
#define FOV_BASE_POOL_H

#include <stddef.h>

#include "base/error.h"

typedef struct fov_pool fov_pool;

/* Bytes of stack that a chunk may use. The pool's own threads have them in any case; a caller of fov_pool_for brings its own. */
#define FOV_POOL_STACK ((size_t)1 << 20)

/* FOV_E_LIMIT when the calling thread has less stack left than a chunk may use. Costs little after the thread's first call. */
FOV_MUST_USE fov_status fov_pool_check_stack(void);

/* One chunk of work. `worker` is in [0, fov_pool_threads) and is constant during a chunk: use it to pick scratch memory only. */
typedef void (*fov_chunk_fn)(void *context, size_t chunk, unsigned worker);

/* threads 0: all processors this process may run on. Creates threads - 1 threads; the caller of fov_pool_for is the other.
 * A thread that cannot be created is an error, never a smaller pool. */
FOV_MUST_USE fov_status fov_pool_new(fov_pool **pool, unsigned threads);
void fov_pool_free(fov_pool *pool); /* takes NULL; joins */

unsigned fov_pool_threads(const fov_pool *pool); /* pool NULL: 1 */

/* Runs fn for every chunk in [0, chunks) and returns when all are done. pool NULL or one chunk: on the caller. Not reentrant: a
 * chunk that calls fov_pool_for on the same pool runs its inner loop on its own thread. */
void fov_pool_for(fov_pool *pool, size_t chunks, fov_chunk_fn fn, void *context);

unsigned fov_cpu_count(void); /* processors this process may run on (affinity and cgroup quota) */

#endif
