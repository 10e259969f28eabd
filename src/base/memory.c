/* Counted, aligned, failing-on-demand memory.
 *
 * Every block carries a header of one cache line before it, with its size, its tag and a mark that tells a live block from a freed
 * or foreign one. The system allocator does the work: ours would be no faster, and sanitizers know the system's. Sizes are passed on
 * exactly, so that they see an overrun by one byte. Counters are atomic and unordered: they are sums, and guard nothing. */
#include "base/memory.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/checked.h"

typedef struct header {
    _Alignas(FOV_ALIGN) size_t bytes;
    uint64_t mark;
    fov_mem_tag tag;
} header;

_Static_assert(sizeof(header) == FOV_ALIGN, "the block after the header must be aligned");

#define MARK_LIVE 0x666F7665614D656DULL
#define MARK_FREED 0xDEADDEADDEADDEADULL

/* Blocks from this size on ask for huge pages: a training step walks hundreds of megabytes, and page-table misses would show. */
#define HUGE_FROM_BYTES ((size_t)8 << 20)
#define PAGE_BYTES ((uintptr_t)4096)

typedef struct counters {
    _Alignas(FOV_ALIGN) atomic_size_t live_bytes;
    atomic_size_t peak_bytes, live_blocks, total_calls;
} counters;

static counters by_tag[FOV_MEM_TAG_COUNT];
static counters all_tags;

/* Allocations left until one fails; 0 when injection is off. */
static _Atomic uint64_t fail_countdown;
static atomic_bool fail_forever;
static pthread_once_t environment_once = PTHREAD_ONCE_INIT;

static void read_environment(void) {
    const char *value = getenv("FOVEA_FAIL_ALLOC");
    if (value == NULL || *value < '0' || *value > '9') {
        return;
    }
    char *end = NULL;
    const unsigned long long n = strtoull(value, &end, 10);
    atomic_store(&fail_forever, *end == '+');
    atomic_store(&fail_countdown, (uint64_t)n);
}

void fov_mem_fail_at(uint64_t n, int forever) {
    (void)pthread_once(&environment_once, read_environment);
    atomic_store(&fail_forever, forever != 0);
    atomic_store(&fail_countdown, n);
}

static bool injected_failure(void) {
    (void)pthread_once(&environment_once, read_environment);
    uint64_t left = atomic_load(&fail_countdown);
    while (left != 0) {
        const bool now = left == 1;
        const uint64_t next = now && atomic_load(&fail_forever) ? 1 : left - 1;
        if (atomic_compare_exchange_weak(&fail_countdown, &left, next)) {
            return now;
        }
    }
    return false;
}

static void count_up(counters *c, size_t bytes) {
    const size_t live = atomic_fetch_add_explicit(&c->live_bytes, bytes, memory_order_relaxed) + bytes;
    size_t peak = atomic_load_explicit(&c->peak_bytes, memory_order_relaxed);
    while (live > peak && !atomic_compare_exchange_weak_explicit(&c->peak_bytes, &peak, live, memory_order_relaxed, memory_order_relaxed)) {
    }
    atomic_fetch_add_explicit(&c->live_blocks, 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&c->total_calls, 1, memory_order_relaxed);
}

static void count_down(counters *c, size_t bytes) {
    atomic_fetch_sub_explicit(&c->live_bytes, bytes, memory_order_relaxed);
    atomic_fetch_sub_explicit(&c->live_blocks, 1, memory_order_relaxed);
}

static void *out_of_memory(fov_mem_tag tag, size_t bytes) {
    (void)FOV_FAIL(FOV_E_NOMEM, "out of memory: %zu bytes for %s", bytes, fov_mem_tag_name(tag));
    return NULL;
}

static header *header_of(void *block) {
    header *h = (header *)((unsigned char *)block - sizeof(header));
    FOV_ASSERT(h->mark == MARK_LIVE);
    return h;
}

/* A hint: that the system may refuse it changes nothing but speed. */
static void ask_for_huge_pages(void *memory, size_t bytes) {
    const uintptr_t begin = ((uintptr_t)memory + PAGE_BYTES - 1) & ~(PAGE_BYTES - 1);
    const uintptr_t end = ((uintptr_t)memory + bytes) & ~(PAGE_BYTES - 1);
    (void)madvise((unsigned char *)memory + (begin - (uintptr_t)memory), end - begin, MADV_HUGEPAGE);
}

void *fov_mem_alloc(fov_mem_tag tag, size_t bytes) {
    FOV_ASSERT((unsigned)tag < FOV_MEM_TAG_COUNT);
    size_t total = 0;
    void *memory = NULL;
    if (injected_failure() || !fov_add_size(bytes, sizeof(header), &total) || total > PTRDIFF_MAX ||
        posix_memalign(&memory, FOV_ALIGN, total) != 0) {
        return out_of_memory(tag, bytes);
    }
    if (total >= HUGE_FROM_BYTES) {
        ask_for_huge_pages(memory, total);
    }
    header *h = memory;
    h->bytes = bytes;
    h->tag = tag;
    h->mark = MARK_LIVE;
    count_up(&by_tag[tag], bytes);
    count_up(&all_tags, bytes);
    return h + 1;
}

void *fov_mem_zalloc(fov_mem_tag tag, size_t bytes) {
    void *block = fov_mem_alloc(tag, bytes);
    if (block != NULL) {
        memset(block, 0, bytes);
    }
    return block;
}

void *fov_mem_array(fov_mem_tag tag, size_t count, size_t size) {
    size_t bytes = 0;
    if (!fov_mul_size(count, size, &bytes)) {
        (void)FOV_FAIL(FOV_E_NOMEM, "out of memory: %zu times %zu bytes for %s", count, size, fov_mem_tag_name(tag));
        return NULL;
    }
    return fov_mem_zalloc(tag, bytes);
}

void *fov_mem_realloc(fov_mem_tag tag, void *block, size_t bytes) {
    if (block == NULL) {
        return fov_mem_alloc(tag, bytes);
    }
    const size_t before = header_of(block)->bytes;
    void *grown = fov_mem_alloc(tag, bytes);
    if (grown == NULL) {
        return NULL;
    }
    memcpy(grown, block, before < bytes ? before : bytes);
    fov_mem_free(block);
    return grown;
}

char *fov_mem_strdup(fov_mem_tag tag, const char *text) {
    const size_t bytes = strlen(text) + 1;
    char *copy = fov_mem_alloc(tag, bytes);
    if (copy != NULL) {
        memcpy(copy, text, bytes);
    }
    return copy;
}

char *fov_mem_printf(fov_mem_tag tag, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    const int length = vsnprintf(NULL, 0, format, arguments);
    va_end(arguments);
    FOV_ASSERT(length >= 0);
    const size_t bytes = (size_t)length + 1;
    char *text = fov_mem_alloc(tag, bytes);
    if (text != NULL) {
        va_start(arguments, format);
        (void)vsnprintf(text, bytes, format, arguments);
        va_end(arguments);
    }
    return text;
}

void fov_mem_free(void *block) {
    if (block == NULL) {
        return;
    }
    header *h = header_of(block);
    count_down(&by_tag[h->tag], h->bytes);
    count_down(&all_tags, h->bytes);
    h->mark = MARK_FREED;
    free(h);
}

static fov_mem_stats read_counters(counters *c) {
    return (fov_mem_stats){
        .live_bytes = atomic_load_explicit(&c->live_bytes, memory_order_relaxed),
        .peak_bytes = atomic_load_explicit(&c->peak_bytes, memory_order_relaxed),
        .live_blocks = atomic_load_explicit(&c->live_blocks, memory_order_relaxed),
        .total_calls = atomic_load_explicit(&c->total_calls, memory_order_relaxed),
    };
}

fov_mem_stats fov_mem_stats_tag(fov_mem_tag tag) {
    FOV_ASSERT((unsigned)tag < FOV_MEM_TAG_COUNT);
    return read_counters(&by_tag[tag]);
}

fov_mem_stats fov_mem_stats_all(void) { return read_counters(&all_tags); }

const char *fov_mem_tag_name(fov_mem_tag tag) {
    static const char *const names[FOV_MEM_TAG_COUNT] = {"base", "graph", "plan", "image", "data", "train", "eval", "file"};
    return (unsigned)tag < FOV_MEM_TAG_COUNT ? names[tag] : "unknown";
}
