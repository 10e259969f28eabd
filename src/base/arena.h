/* An arena: many small blocks with one owner and one lifetime. */
#ifndef FOV_BASE_ARENA_H
#define FOV_BASE_ARENA_H

#include "base/memory.h"

typedef struct fov_arena {
    struct fov_arena_block *head;
    fov_mem_tag tag;
    size_t block_bytes;
} fov_arena;

void fov_arena_init(fov_arena *arena, fov_mem_tag tag, size_t block_bytes); /* block_bytes 0: 64 KiB */
void fov_arena_clear(fov_arena *arena);                                     /* frees everything; the arena can be used again */
void *fov_arena_alloc(fov_arena *arena, size_t bytes);                      /* zeroed, 64-byte aligned; NULL when out of memory */
void *fov_arena_copy(fov_arena *arena, const void *bytes, size_t count);
char *fov_arena_strdup(fov_arena *arena, const char *text);
char *fov_arena_printf(fov_arena *arena, const char *format, ...) FOV_PRINTF(2, 3);

#endif
