/* An arena of blocks: allocation moves an offset, and everything is freed at once.
 *
 * A request that does not fit the block in use opens a new one; a request as large as a block gets one of its own behind the block in
 * use, whose free end stays available. Zeroing at allocation keeps callers from ever seeing what an earlier life left. */
#include "base/arena.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/checked.h"

#define DEFAULT_BLOCK_BYTES ((size_t)64 << 10)

typedef struct fov_arena_block {
    _Alignas(FOV_ALIGN) struct fov_arena_block *next;
    size_t used, capacity; /* bytes after this header */
} fov_arena_block;

void fov_arena_init(fov_arena *arena, fov_mem_tag tag, size_t block_bytes) {
    *arena = (fov_arena){.head = NULL, .tag = tag, .block_bytes = block_bytes == 0 ? DEFAULT_BLOCK_BYTES : block_bytes};
}

void fov_arena_clear(fov_arena *arena) {
    while (arena->head != NULL) {
        fov_arena_block *next = arena->head->next;
        fov_mem_free(arena->head);
        arena->head = next;
    }
}

static fov_arena_block *add_block(fov_arena *arena, size_t bytes) {
    const size_t capacity = bytes > arena->block_bytes ? bytes : arena->block_bytes;
    size_t total = 0;
    if (!fov_add_size(capacity, sizeof(fov_arena_block), &total)) {
        (void)FOV_FAIL(FOV_E_NOMEM, "out of memory: %zu bytes for %s", bytes, fov_mem_tag_name(arena->tag));
        return NULL;
    }
    fov_arena_block *block = fov_mem_alloc(arena->tag, total);
    if (block == NULL) {
        return NULL;
    }
    block->used = 0;
    block->capacity = capacity;
    if (arena->head != NULL && bytes >= arena->block_bytes) {
        block->next = arena->head->next;
        arena->head->next = block;
    } else {
        block->next = arena->head;
        arena->head = block;
    }
    return block;
}

void *fov_arena_alloc(fov_arena *arena, size_t bytes) {
    size_t rounded = 0;
    /* At least one unit, so that blocks of size 0 are distinct. */
    if (!fov_round_up(bytes == 0 ? 1 : bytes, FOV_ALIGN, &rounded)) {
        (void)FOV_FAIL(FOV_E_NOMEM, "out of memory: %zu bytes for %s", bytes, fov_mem_tag_name(arena->tag));
        return NULL;
    }
    fov_arena_block *block = arena->head;
    if (block == NULL || block->capacity - block->used < rounded) {
        block = add_block(arena, rounded);
    }
    if (block == NULL) {
        return NULL;
    }
    unsigned char *result = (unsigned char *)(block + 1) + block->used;
    block->used += rounded;
    memset(result, 0, rounded);
    return result;
}

void *fov_arena_copy(fov_arena *arena, const void *bytes, size_t count) {
    void *copy = fov_arena_alloc(arena, count);
    if (copy != NULL && count > 0) {
        memcpy(copy, bytes, count);
    }
    return copy;
}

char *fov_arena_strdup(fov_arena *arena, const char *text) { return fov_arena_copy(arena, text, strlen(text) + 1); }

char *fov_arena_printf(fov_arena *arena, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    const int length = vsnprintf(NULL, 0, format, arguments);
    va_end(arguments);
    FOV_ASSERT(length >= 0);
    char *text = fov_arena_alloc(arena, (size_t)length + 1);
    if (text != NULL) {
        va_start(arguments, format);
        (void)vsnprintf(text, (size_t)length + 1, format, arguments);
        va_end(arguments);
    }
    return text;
}
