/* All memory of the library: aligned, counted by subsystem, and able to fail on demand so that tests can prove every error path.
 *
 * Blocks are aligned to FOV_ALIGN bytes. Allocation failure returns NULL and leaves the message "out of memory: WANTED bytes for
 * TAG" (status FOV_E_NOMEM for the caller to return); size 0 gives a valid unique block. */
#ifndef FOV_BASE_MEMORY_H
#define FOV_BASE_MEMORY_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

#define FOV_ALIGN 64

typedef enum fov_mem_tag {
    FOV_MEM_BASE,
    FOV_MEM_GRAPH, /* nodes, plans, stores */
    FOV_MEM_PLAN,  /* the one block a plan computes in */
    FOV_MEM_IMAGE, /* decoded pixels and decoder scratch */
    FOV_MEM_DATA,  /* index, sampler, loader ring */
    FOV_MEM_TRAIN,
    FOV_MEM_EVAL,
    FOV_MEM_FILE, /* file contents and parsers */
    FOV_MEM_TAG_COUNT
} fov_mem_tag;

void *fov_mem_alloc(fov_mem_tag tag, size_t bytes);             /* uninitialised */
void *fov_mem_zalloc(fov_mem_tag tag, size_t bytes);            /* zeroed */
void *fov_mem_array(fov_mem_tag tag, size_t count, size_t size); /* zeroed; NULL when count * size overflows */
/* Grows or shrinks; keeps the contents and the old block on failure. block may be NULL (then as fov_mem_alloc). */
void *fov_mem_realloc(fov_mem_tag tag, void *block, size_t bytes);
char *fov_mem_strdup(fov_mem_tag tag, const char *text);
char *fov_mem_printf(fov_mem_tag tag, const char *format, ...) FOV_PRINTF(2, 3);
void fov_mem_free(void *block); /* takes NULL */

/* Returns FOV_E_NOMEM from the enclosing function when the pointer is NULL (the message is already set). */
#define FOV_TRY_ALLOC(pointer)                                           \
    do {                                                                 \
        if ((pointer) == NULL) {                                         \
            return fov_forward_at(__FILE__, __LINE__, FOV_E_NOMEM);      \
        }                                                                \
    } while (0)

typedef struct fov_mem_stats {
    size_t live_bytes, peak_bytes, live_blocks, total_calls;
} fov_mem_stats;

fov_mem_stats fov_mem_stats_tag(fov_mem_tag tag);
fov_mem_stats fov_mem_stats_all(void);
const char *fov_mem_tag_name(fov_mem_tag tag);

/* What the process holds in memory, its program and stacks included, as the kernel counts: now, and the most since the process began. 0
 * where the kernel does not tell. */
typedef struct fov_mem_resident {
    size_t now_bytes, peak_bytes;
} fov_mem_resident;
fov_mem_resident fov_mem_resident_now(void);

/* Bytes that this process may still take, as the machine and its control groups see it now; 0 when nobody says. */
size_t fov_mem_available(void);
/* The same by files of the kernel's form: PROC/meminfo, a list of groups like /proc/self/cgroup, and their root. For tests. */
size_t fov_mem_available_by(const char *proc, const char *group_list, const char *system_root);

/* Fault injection for tests: the n-th allocation from now (1 is the next) fails once, or, when `forever`, it and all after it.
 * n = 0 turns it off. Also settable from the environment, FOVEA_FAIL_ALLOC=n or n+. Returns nothing; counts over all threads. */
void fov_mem_fail_at(uint64_t n, int forever);

#endif
