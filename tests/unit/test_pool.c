/* The thread pool: every chunk once, equal bits at any number of threads, nesting, many small jobs, failure. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <float.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/memory.h"
#include "base/pool.h"
#include "base/rng.h"

static const unsigned thread_counts[] = {1, 2, 3, 8};
enum { CHUNKS = 257, PER_CHUNK = 100, TRIALS = sizeof thread_counts / sizeof thread_counts[0] };

typedef struct job {
    fov_pool *pool;
    unsigned threads;
    atomic_int runs[CHUNKS];
    atomic_int bad_worker;
    atomic_int busy[8];
    float sums[CHUNKS];
} job;

static void one_chunk(void *context, size_t chunk, unsigned worker) {
    job *j = context;
    if (worker >= j->threads || atomic_fetch_add(&j->busy[worker], 1) != 0) {
        atomic_fetch_add(&j->bad_worker, 1); /* out of range, or two chunks under one index at a time */
    }
    fov_rng rng;
    float sum = 0.0F;
    fov_rng_init(&rng, 5, 0, chunk, 0, FOV_RNG_TEST);
    for (int i = 0; i < PER_CHUNK; i++) {
        sum += (float)fov_rng_normal(&rng) * FLT_MIN; /* close to the subnormals, which are flushed alike everywhere */
    }
    j->sums[chunk] = sum;
    atomic_fetch_add(&j->runs[chunk], 1);
    atomic_fetch_sub(&j->busy[worker % 8], 1);
}

static void test_equal_bits(void **state) {
    (void)state;
    static job reference;
    static job j;
    reference.threads = 1;
    fov_pool_for(NULL, CHUNKS, one_chunk, &reference);
    for (size_t t = 0; t < TRIALS; t++) {
        memset(&j, 0, sizeof j);
        j.threads = thread_counts[t];
        assert_int_equal(fov_pool_new(&j.pool, j.threads), FOV_OK);
        assert_int_equal(fov_pool_threads(j.pool), j.threads);
        for (int repeat = 1; repeat <= 3; repeat++) {
            fov_pool_for(j.pool, CHUNKS, one_chunk, &j);
            assert_memory_equal(j.sums, reference.sums, sizeof j.sums);
            for (size_t i = 0; i < CHUNKS; i++) {
                assert_int_equal(atomic_load(&j.runs[i]), repeat);
            }
        }
        assert_int_equal(atomic_load(&j.bad_worker), 0);
        fov_pool_free(j.pool);
    }
    assert_int_equal(fov_mem_stats_tag(FOV_MEM_BASE).live_blocks, 0);
}

/* ---- many small jobs ---- */

static void add_one(void *context, size_t chunk, unsigned worker) {
    (void)worker;
    ((unsigned *)context)[chunk]++; /* not atomic: chunks are disjoint, jobs follow each other */
}

static void test_tiny_jobs(void **state) {
    (void)state;
    for (size_t t = 0; t < TRIALS; t++) {
        fov_pool *pool = NULL;
        unsigned counts[5] = {0};
        assert_int_equal(fov_pool_new(&pool, thread_counts[t]), FOV_OK);
        for (int i = 0; i < 10000; i++) {
            fov_pool_for(pool, (size_t)(i % 6), add_one, counts);
        }
        /* Chunk c runs in the jobs of more than c chunks. */
        for (size_t c = 0; c < 5; c++) {
            size_t expected = 0;
            for (int i = 0; i < 10000; i++) {
                expected += (size_t)(i % 6) > c ? 1U : 0U;
            }
            assert_int_equal(counts[c], expected);
        }
        fov_pool_free(pool);
    }
}

/* Chunks of one job do run at the same time: each waits for the others. */
static void meet(void *context, size_t chunk, unsigned worker) {
    atomic_int *arrived = context;
    const double limit = fov_clock_seconds() + 30.0;
    (void)chunk;
    (void)worker;
    atomic_fetch_add(arrived, 1);
    while (atomic_load(arrived) < 3 && fov_clock_seconds() < limit) {
        (void)sched_yield();
    }
}

static void test_concurrent(void **state) {
    (void)state;
    fov_pool *pool = NULL;
    assert_int_equal(fov_pool_new(&pool, 3), FOV_OK);
    for (int i = 0; i < 20; i++) {
        atomic_int arrived = 0;
        const double begun = fov_clock_seconds();
        const struct timespec pause = {.tv_nsec = i < 10 ? 0 : 2000000}; /* from spinning and from sleep */
        (void)nanosleep(&pause, NULL);
        fov_pool_for(pool, 3, meet, &arrived);
        assert_int_equal(atomic_load(&arrived), 3);
        assert_true(fov_clock_seconds() - begun < 25.0);
    }
    fov_pool_free(pool);
}

/* ---- nesting ---- */

typedef struct nest {
    fov_pool *pool;
    fov_pool *other;
    atomic_int wrong;
    atomic_int inner_runs;
} nest;

typedef struct inside {
    nest *n;
    unsigned worker;
    pthread_t thread;
} inside;

static void inner_chunk(void *context, size_t chunk, unsigned worker) {
    inside *in = context;
    (void)chunk;
    if (worker != in->worker || !pthread_equal(pthread_self(), in->thread)) {
        atomic_fetch_add(&in->n->wrong, 1);
    }
    atomic_fetch_add(&in->n->inner_runs, 1);
}

static void plain_inner(void *context, size_t chunk, unsigned worker) {
    nest *n = context;
    (void)chunk;
    (void)worker;
    atomic_fetch_add(&n->inner_runs, 1);
}

static void outer_chunk(void *context, size_t chunk, unsigned worker) {
    nest *n = context;
    inside in = {.n = n, .worker = worker, .thread = pthread_self()};
    (void)chunk;
    fov_pool_for(n->pool, 10, inner_chunk, &in);
    fov_pool_for(n->pool, 1, inner_chunk, &in);
    fov_pool_for(n->other, 4, plain_inner, n);
}

static void test_nested(void **state) {
    (void)state;
    for (size_t t = 0; t < TRIALS; t++) {
        for (size_t chunks = 1; chunks <= 40; chunks += 39) {
            nest n = {.pool = NULL};
            assert_int_equal(fov_pool_new(&n.pool, thread_counts[t]), FOV_OK);
            assert_int_equal(fov_pool_new(&n.other, 2), FOV_OK);
            fov_pool_for(n.pool, chunks, outer_chunk, &n);
            assert_int_equal(atomic_load(&n.wrong), 0);
            assert_int_equal(atomic_load(&n.inner_runs), chunks * 15);
            fov_pool_free(n.other);
            fov_pool_free(n.pool);
        }
    }
}

/* ---- callers from several threads ---- */

typedef struct shared {
    fov_pool *pool;
    atomic_int total;
} shared;

static void add_shared(void *context, size_t chunk, unsigned worker) {
    shared *s = context;
    (void)chunk;
    (void)worker;
    atomic_fetch_add(&s->total, 1);
}

static void *call_often(void *context) {
    shared *s = context;
    for (int i = 0; i < 300; i++) {
        fov_pool_for(s->pool, 7, add_shared, s);
    }
    return NULL;
}

static void test_callers(void **state) {
    (void)state;
    shared s = {.pool = NULL};
    pthread_t threads[3];
    assert_int_equal(fov_pool_new(&s.pool, 3), FOV_OK);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, call_often, &s), 0);
    }
    for (int i = 0; i < 3; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    }
    assert_int_equal(atomic_load(&s.total), 3 * 300 * 7);
    fov_pool_free(s.pool);
}

/* ---- the floating-point environment ---- */

static void subnormal_chunk(void *context, size_t chunk, unsigned worker) {
    float *out = context;
    const volatile float smallest = FLT_MIN;
    (void)worker;
    out[chunk] = smallest * 0.5F;
}

static void test_subnormals(void **state) {
    (void)state;
    const volatile float smallest = FLT_MIN;
    float alone[64];
    fov_pool_for(NULL, 64, subnormal_chunk, alone);
    for (size_t t = 0; t < TRIALS; t++) {
        fov_pool *pool = NULL;
        float out[64];
        assert_int_equal(fov_pool_new(&pool, thread_counts[t]), FOV_OK);
        fov_pool_for(pool, 64, subnormal_chunk, out);
        assert_memory_equal(out, alone, sizeof out);
        fov_pool_for(pool, 1, subnormal_chunk, out);
        assert_memory_equal(out, alone, sizeof out);
        fov_pool_free(pool);
    }
#ifdef __SSE__
    assert_true(alone[0] == 0.0F && alone[63] == 0.0F);
#endif
    assert_true(smallest * 0.5F > 0.0F); /* the caller's own environment is back */
}

/* ---- making pools ---- */

static void test_new(void **state) {
    (void)state;
    fov_pool *pool = NULL;
    assert_int_equal(fov_pool_threads(NULL), 1);
    fov_pool_free(NULL);
    assert_int_equal(fov_pool_new(&pool, 0), FOV_OK);
    assert_int_equal(fov_pool_threads(pool), fov_cpu_count());
    fov_pool_free(pool);
    assert_int_equal(fov_pool_new(&pool, 100000), FOV_E_INVALID);
    assert_null(pool);
    assert_non_null(strstr(fov_last_error(), "100000 threads"));
    for (uint64_t k = 1; k <= 3; k++) {
        fov_mem_fail_at(k, 0);
        assert_int_equal(fov_pool_new(&pool, 3), k <= 2 ? FOV_E_NOMEM : FOV_OK);
        fov_mem_fail_at(0, 0);
        assert_true(k > 2 || pool == NULL);
        fov_pool_free(pool);
        assert_int_equal(fov_mem_stats_tag(FOV_MEM_BASE).live_blocks, 0);
    }
}

/* gcc says it by a macro, clang by a feature. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SANITIZED
#endif
#endif

/* With little address space left the stacks of new threads do not fit: an error, and what was started is stopped. */
static void test_thread_failure(void **state) {
    (void)state;
#if defined(SANITIZED) || defined(FOV_TEST_EMULATED)
    skip(); /* sanitizers map more address space than the limit leaves; qemu-user does not keep the limit */
#else
    const pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        fov_pool *pool = NULL;
        const struct rlimit space = {(rlim_t)256 << 20, (rlim_t)256 << 20};
        const int limited = setrlimit(RLIMIT_AS, &space);
        const fov_status status = fov_pool_new(&pool, 1000);
        const int message = strstr(fov_last_error(), "of 1000") != NULL;
        const int clean = pool == NULL && fov_mem_stats_tag(FOV_MEM_BASE).live_blocks == 0;
        _exit(limited == 0 && status == FOV_E_LIMIT && message && clean ? 0 : 1);
    }
    int wait_status = 0;
    assert_int_equal(waitpid(child, &wait_status, 0), child);
    assert_true(WIFEXITED(wait_status));
    assert_int_equal(WEXITSTATUS(wait_status), 0);
#endif
}

static void thread_facts(void *context, size_t chunk, unsigned worker) {
    atomic_int *wrong = context;
    char name[32] = "";
    sigset_t blocked;
    meet(wrong + 1, chunk, worker);
    (void)pthread_getname_np(pthread_self(), name, sizeof name);
    (void)pthread_sigmask(SIG_SETMASK, NULL, &blocked);
    const int pool_thread = strcmp(name, "fov-pool") == 0;
    const int masked = sigismember(&blocked, SIGINT) == 1;
    if (pool_thread != (worker != 0) || masked != (worker != 0)) {
        atomic_fetch_add(wrong, 1);
    }
}

static void test_threads_named(void **state) {
    (void)state;
    fov_pool *pool = NULL;
    atomic_int wrong[2] = {0, 0};
    assert_int_equal(fov_pool_new(&pool, 3), FOV_OK);
    fov_pool_for(pool, 3, thread_facts, wrong);
    assert_int_equal(atomic_load(&wrong[0]), 0);
    fov_pool_free(pool);
}

static void fill_stack_chunk(void *context, size_t chunk, unsigned worker) {
    (void)worker;
    volatile unsigned char block[FOV_POOL_STACK - 65536];
    for (size_t i = 0; i < sizeof block; i += 512) {
        block[i] = (unsigned char)chunk;
    }
    ((unsigned char *)context)[chunk] = block[512] == (unsigned char)chunk;
}

/* Chunks have their stack also where the system gives threads less. */
static void test_stacks(void **state) {
    (void)state;
    pthread_attr_t usual, small;
    assert_int_equal(pthread_getattr_default_np(&usual), 0);
    assert_int_equal(pthread_attr_init(&small), 0);
    assert_int_equal(pthread_attr_setstacksize(&small, (size_t)256 * 1024), 0);
    assert_int_equal(pthread_setattr_default_np(&small), 0);
    fov_pool *pool = NULL;
    unsigned char done[64] = {0};
    assert_int_equal(fov_pool_new(&pool, 3), FOV_OK);
    fov_pool_for(pool, sizeof done, fill_stack_chunk, done);
    for (size_t i = 0; i < sizeof done; i++) {
        assert_int_equal(done[i], 1);
    }
    fov_pool_free(pool);
    assert_int_equal(pthread_setattr_default_np(&usual), 0);
    (void)pthread_attr_destroy(&small);
    (void)pthread_attr_destroy(&usual);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_equal_bits), cmocka_unit_test(test_tiny_jobs), cmocka_unit_test(test_concurrent),
        cmocka_unit_test(test_nested),     cmocka_unit_test(test_callers),   cmocka_unit_test(test_subnormals),
        cmocka_unit_test(test_new),        cmocka_unit_test(test_thread_failure), cmocka_unit_test(test_threads_named),
        cmocka_unit_test(test_stacks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
