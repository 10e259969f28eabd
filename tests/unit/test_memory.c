/* The allocator, the arena and checked sizes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/checked.h"
#include "base/memory.h"

static void assert_aligned(const void *block) { assert_int_equal((uintptr_t)block % FOV_ALIGN, 0); }

static void test_blocks(void **state) {
    (void)state;
    const size_t sizes[] = {0, 1, 63, 64, 65, 4096, 100000, (size_t)9 << 20};
    void *blocks[8];
    for (size_t i = 0; i < 8; i++) {
        blocks[i] = fov_mem_alloc(FOV_MEM_GRAPH, sizes[i]);
        assert_non_null(blocks[i]);
        assert_aligned(blocks[i]);
        memset(blocks[i], 0xA5, sizes[i]);
        for (size_t j = 0; j < i; j++) {
            assert_ptr_not_equal(blocks[i], blocks[j]);
        }
    }
    for (size_t i = 0; i < 8; i++) {
        fov_mem_free(blocks[i]);
    }
    fov_mem_free(NULL);
    for (int round = 0; round < 3; round++) {
        unsigned char *zeros = fov_mem_zalloc(FOV_MEM_GRAPH, 1000);
        assert_non_null(zeros);
        for (size_t i = 0; i < 1000; i++) {
            assert_int_equal(zeros[i], 0);
        }
        memset(zeros, 1, 1000);
        fov_mem_free(zeros);
    }
}

static void test_counters(void **state) {
    (void)state;
    const fov_mem_stats before = fov_mem_stats_tag(FOV_MEM_EVAL);
    const fov_mem_stats all = fov_mem_stats_all();
    assert_int_equal(before.live_blocks, 0);
    void *a = fov_mem_alloc(FOV_MEM_EVAL, 1000);
    void *b = fov_mem_alloc(FOV_MEM_EVAL, 500);
    fov_mem_free(a);
    const fov_mem_stats now = fov_mem_stats_tag(FOV_MEM_EVAL);
    assert_int_equal(now.live_bytes, 500);
    assert_int_equal(now.live_blocks, 1);
    assert_int_equal(now.peak_bytes, 1500);
    assert_int_equal(now.total_calls, before.total_calls + 2);
    assert_int_equal(fov_mem_stats_all().live_bytes, all.live_bytes + 500);
    assert_true(fov_mem_stats_all().peak_bytes >= all.live_bytes + 1500);
    fov_mem_free(b);
    assert_int_equal(fov_mem_stats_tag(FOV_MEM_EVAL).live_bytes, 0);
    assert_string_equal(fov_mem_tag_name(FOV_MEM_EVAL), "eval");
    assert_string_equal(fov_mem_tag_name(FOV_MEM_FILE), "file");
}

static void *allocate_much(void *unused) {
    (void)unused;
    for (int i = 0; i < 2000; i++) {
        fov_mem_free(fov_mem_alloc(FOV_MEM_DATA, 100));
    }
    return NULL;
}

static void test_counters_threads(void **state) {
    (void)state;
    pthread_t threads[4];
    const size_t calls = fov_mem_stats_tag(FOV_MEM_DATA).total_calls;
    for (int i = 0; i < 4; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, allocate_much, NULL), 0);
    }
    for (int i = 0; i < 4; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    }
    const fov_mem_stats stats = fov_mem_stats_tag(FOV_MEM_DATA);
    assert_int_equal(stats.live_bytes, 0);
    assert_int_equal(stats.live_blocks, 0);
    assert_int_equal(stats.total_calls, calls + 8000);
    assert_in_range(stats.peak_bytes, 100, 400);
}

static void test_resize(void **state) {
    (void)state;
    unsigned char *block = fov_mem_realloc(FOV_MEM_BASE, NULL, 10);
    assert_non_null(block);
    for (unsigned char i = 0; i < 10; i++) {
        block[i] = i;
    }
    block = fov_mem_realloc(FOV_MEM_BASE, block, 5000);
    assert_aligned(block);
    block = fov_mem_realloc(FOV_MEM_BASE, block, 6);
    for (unsigned char i = 0; i < 6; i++) {
        assert_int_equal(block[i], i);
    }
    fov_mem_fail_at(1, 0);
    assert_null(fov_mem_realloc(FOV_MEM_BASE, block, 100));
    assert_int_equal(block[5], 5);
    fov_mem_free(block);
}

static void test_strings(void **state) {
    (void)state;
    char *copy = fov_mem_strdup(FOV_MEM_BASE, "stem/conv");
    char *text = fov_mem_printf(FOV_MEM_BASE, "%s: %d", copy, 12);
    assert_string_equal(copy, "stem/conv");
    assert_string_equal(text, "stem/conv: 12");
    fov_mem_free(copy);
    fov_mem_free(text);
}

static void test_too_large(void **state) {
    (void)state;
    assert_null(fov_mem_array(FOV_MEM_PLAN, SIZE_MAX / 2, 3));
    assert_non_null(strstr(fov_last_error(), "out of memory"));
    assert_null(fov_mem_alloc(FOV_MEM_PLAN, SIZE_MAX - 10));
    assert_non_null(strstr(fov_last_error(), "bytes for plan"));
    assert_null(fov_mem_alloc(FOV_MEM_PLAN, SIZE_MAX / 2));
    assert_int_equal(fov_mem_stats_tag(FOV_MEM_PLAN).live_bytes, 0);
}

static fov_status allocate_five(void) {
    void *blocks[5] = {NULL};
    fov_status status = FOV_OK;
    for (int i = 0; i < 5 && status == FOV_OK; i++) {
        blocks[i] = fov_mem_alloc(FOV_MEM_TRAIN, 32);
        status = blocks[i] == NULL ? FOV_E_NOMEM : FOV_OK;
    }
    for (int i = 0; i < 5; i++) {
        fov_mem_free(blocks[i]);
    }
    return status;
}

static void test_injection(void **state) {
    (void)state;
    for (uint64_t k = 1; k <= 7; k++) {
        fov_mem_fail_at(k, 0);
        assert_int_equal(allocate_five(), k <= 5 ? FOV_E_NOMEM : FOV_OK);
        assert_int_equal(fov_mem_stats_tag(FOV_MEM_TRAIN).live_blocks, 0);
        fov_mem_fail_at(0, 0);
        assert_int_equal(allocate_five(), FOV_OK);
    }
    /* Once means once. */
    fov_mem_fail_at(2, 0);
    assert_int_equal(allocate_five(), FOV_E_NOMEM);
    assert_string_equal(fov_last_error(), "out of memory: 32 bytes for train");
    assert_int_equal(allocate_five(), FOV_OK);
    fov_mem_fail_at(2, 1);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(allocate_five(), FOV_E_NOMEM);
    }
    fov_mem_fail_at(0, 0);
    assert_int_equal(allocate_five(), FOV_OK);
}

/* The environment is read at the first allocation, so this needs a process of its own. */
static int run_with_environment(const char *program, const char *value) {
    const pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        (void)setenv("FOVEA_FAIL_ALLOC", value, 1);
        (void)execl(program, program, "--environment", (char *)NULL);
        _exit(99);
    }
    int wait_status = 0;
    assert_int_equal(waitpid(child, &wait_status, 0), child);
    assert_true(WIFEXITED(wait_status));
    return WEXITSTATUS(wait_status);
}

static const char *own_path;

static void test_environment(void **state) {
    (void)state;
#ifdef FOV_TEST_EMULATED
    skip(); /* an emulated program cannot start itself by name */
#endif
    assert_int_equal(run_with_environment(own_path, "3"), 1 << 2);
    assert_int_equal(run_with_environment(own_path, "3+"), 1 << 2 | 1 << 3 | 1 << 4);
    assert_int_equal(run_with_environment(own_path, "0"), 0);
    assert_int_equal(run_with_environment(own_path, "nonsense"), 0);
}

/* Bit i of the exit status: allocation i failed. */
static int failures_as_status(void) {
    int failed = 0;
    for (int i = 0; i < 5; i++) {
        void *block = fov_mem_alloc(FOV_MEM_BASE, 8);
        failed |= block == NULL ? 1 << i : 0;
        fov_mem_free(block);
    }
    return failed;
}

static void test_foreign_block(void **state) {
    (void)state;
    const pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        static _Alignas(FOV_ALIGN) unsigned char foreign[256];
        const struct rlimit no_core = {0, 0};
        (void)setrlimit(RLIMIT_CORE, &no_core);
        (void)signal(SIGABRT, SIG_DFL);
        (void)fclose(stderr);
        fov_mem_free(foreign + FOV_ALIGN);
        _exit(0);
    }
    int wait_status = 0;
    assert_int_equal(waitpid(child, &wait_status, 0), child);
    assert_true(WIFSIGNALED(wait_status) && WTERMSIG(wait_status) == SIGABRT);
}

/* ---- arena ---- */

static void test_arena(void **state) {
    (void)state;
    fov_arena arena;
    fov_arena_init(&arena, FOV_MEM_FILE, 1024);
    unsigned char *blocks[200];
    for (size_t i = 0; i < 200; i++) {
        const size_t bytes = (i * 37) % 300;
        blocks[i] = fov_arena_alloc(&arena, bytes);
        assert_non_null(blocks[i]);
        assert_aligned(blocks[i]);
        for (size_t j = 0; j < bytes; j++) {
            assert_int_equal(blocks[i][j], 0);
        }
        memset(blocks[i], (int)i, bytes);
    }
    for (size_t i = 0; i < 200; i++) {
        for (size_t j = 0; j < (i * 37) % 300; j++) {
            assert_int_equal(blocks[i][j], i);
        }
    }
    assert_ptr_not_equal(fov_arena_alloc(&arena, 0), fov_arena_alloc(&arena, 0));
    fov_arena_clear(&arena);
    assert_int_equal(fov_mem_stats_tag(FOV_MEM_FILE).live_bytes, 0);
    assert_string_equal(fov_arena_printf(&arena, "block%d", 3), "block3");
    assert_string_equal(fov_arena_strdup(&arena, "qkv"), "qkv");
    assert_memory_equal(fov_arena_copy(&arena, "\0\1\2", 3), "\0\1\2", 3);
    fov_arena_clear(&arena);
    fov_arena_clear(&arena);
    assert_int_equal(fov_mem_stats_tag(FOV_MEM_FILE).live_blocks, 0);
}

static void test_arena_large(void **state) {
    (void)state;
    fov_arena arena;
    fov_arena_init(&arena, FOV_MEM_FILE, 1024);
    const unsigned char *small = fov_arena_alloc(&arena, 64);
    assert_non_null(fov_arena_alloc(&arena, 100000));
    /* The first block is still in use after a large one. */
    const unsigned char *next = fov_arena_alloc(&arena, 64);
    assert_ptr_equal(next, small + 64);
    assert_null(fov_arena_alloc(&arena, SIZE_MAX));
    assert_null(fov_arena_alloc(&arena, SIZE_MAX - 200));
    fov_mem_fail_at(1, 0);
    assert_null(fov_arena_alloc(&arena, 4096));
    assert_non_null(strstr(fov_last_error(), "for file"));
    fov_mem_fail_at(1, 0);
    assert_non_null(fov_arena_alloc(&arena, 64)); /* needs no new block */
    fov_mem_fail_at(0, 0);
    fov_arena_clear(&arena);
    fov_arena_init(&arena, FOV_MEM_FILE, 0);
    assert_non_null(fov_arena_alloc(&arena, 1));
    assert_true(fov_mem_stats_tag(FOV_MEM_FILE).live_bytes >= 65536);
    fov_arena_clear(&arena);
    assert_int_equal(fov_mem_stats_tag(FOV_MEM_FILE).live_bytes, 0);
}

/* ---- checked ---- */

static void test_checked(void **state) {
    (void)state;
    size_t out = 7;
    uint64_t wide = 7;
    assert_true(fov_add_size(SIZE_MAX - 1, 1, &out) && out == SIZE_MAX);
    out = 7;
    assert_false(fov_add_size(SIZE_MAX, 1, &out));
    assert_false(fov_mul_size(SIZE_MAX / 2 + 1, 2, &out));
    assert_true(fov_mul_u64(1ULL << 32, (1ULL << 32) - 1, &wide) && wide == 0xFFFFFFFF00000000ULL);
    assert_false(fov_add_u64(UINT64_MAX, 1, &wide));
    out = 7;
    assert_false(fov_product_size((const size_t[]){SIZE_MAX, 2, 3}, 3, &out));
    assert_int_equal(out, 7);
    assert_true(fov_product_size((const size_t[]){SIZE_MAX, 2, 0}, 3, &out) && out == 0);
    assert_true(fov_product_size((const size_t[]){2, 3, 5}, 3, &out) && out == 30);
    assert_true(fov_product_size(NULL, 0, &out) && out == 1);
    assert_true(fov_round_up(0, 64, &out) && out == 0);
    assert_true(fov_round_up(1, 64, &out) && out == 64);
    assert_true(fov_round_up(64, 64, &out) && out == 64);
    out = 7;
    assert_false(fov_round_up(SIZE_MAX - 62, 64, &out));
    assert_int_equal(out, 7);
    assert_true(fov_round_up(SIZE_MAX - 63, 64, &out) && out == SIZE_MAX - 63);
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_blocks),      cmocka_unit_test(test_counters),      cmocka_unit_test(test_counters_threads),
        cmocka_unit_test(test_resize),     cmocka_unit_test(test_strings),       cmocka_unit_test(test_too_large),
        cmocka_unit_test(test_injection),   cmocka_unit_test(test_environment),   cmocka_unit_test(test_foreign_block),
        cmocka_unit_test(test_arena),       cmocka_unit_test(test_arena_large),   cmocka_unit_test(test_checked),
    };
    if (argc == 2 && strcmp(argv[1], "--environment") == 0) {
        return failures_as_status();
    }
    own_path = argv[0];
    return cmocka_run_group_tests(tests, NULL, NULL);
}
