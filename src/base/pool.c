/* Threads that wait for jobs, and parallel-for over chunks.
 *
 * A job is published through one atomic word, the gate: generation << 32 | open << 31 | threads inside. A worker that sees an open
 * gate of a generation it has not served enters by adding one to it, takes chunks from a shared counter until there are none, and
 * leaves by subtracting one. The caller takes chunks like the others, then closes the gate, after which nobody can enter, and waits
 * for those inside: a worker that wakes too late finds a closed gate and costs the caller nothing. The job's fields change only while
 * the gate is closed and empty.
 *
 * Chunks go to whoever comes first, for balance; callers make results independent of that. For the same reason all chunks run under
 * one floating-point environment, also on the caller and without a pool: subnormal numbers count as zero, as they would slow training
 * down by an order of magnitude when activations die.
 *
 * Waiting spins first, since steps of a plan follow each other closely, and sleeps then: for some 0.2 ms, which is longer than a thread
 * that finds no chunk left waits for the others as a rule, because waking up takes 30 to 60 us. With more threads than processors it
 * sleeps at once. */
#include "base/pool.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#ifdef __SSE__
#include <xmmintrin.h>
#endif

#include "base/memory.h"

enum { MAX_THREADS = 1024, SPINS = 8000 };

#define GATE_OPEN ((uint64_t)1 << 31)
#define GATE_INSIDE (GATE_OPEN - 1)

typedef struct worker {
    fov_pool *pool;
    pthread_t thread;
    unsigned index;
} worker;

struct fov_pool {
    /* The job. */
    fov_chunk_fn fn;
    void *context;
    size_t chunks;
    _Alignas(FOV_ALIGN) atomic_size_t next;     /* chunk to hand out */
    _Alignas(FOV_ALIGN) _Atomic uint64_t gate;  /* see above */
    _Alignas(FOV_ALIGN) atomic_uint sleepers;   /* workers waiting on `wake` */
    atomic_bool caller_sleeps, stop;
    pthread_mutex_t lock;    /* for the two conditions */
    pthread_cond_t wake;     /* a job was published, or stop was set */
    pthread_cond_t finished; /* the last worker left a closed gate */
    pthread_mutex_t turn;    /* callers from several threads take turns */
    unsigned threads, started;
    int spins;
    worker *workers; /* threads - 1 */
};

/* The chunks this thread is inside of, innermost first. */
typedef struct frame {
    const fov_pool *pool;
    unsigned worker;
    const struct frame *outer;
} frame;

static _Thread_local const frame *current;

static void relax(void) {
#ifdef __SSE__
    _mm_pause();
#endif
}

/* Enters the floating-point environment of chunks: round to nearest, nothing trapped, subnormals flushed. Returns the one before. */
static unsigned float_enter(void) {
#ifdef __SSE__
    const unsigned before = _mm_getcsr();
    _mm_setcsr(0x1F80U | 0x8040U);
    return before;
#else
    return 0;
#endif
}

static void float_leave(unsigned before) {
#ifdef __SSE__
    _mm_setcsr(before);
#else
    (void)before;
#endif
}

static void run_inline(size_t chunks, fov_chunk_fn fn, void *context, unsigned index) {
    const unsigned environment = float_enter();
    for (size_t chunk = 0; chunk < chunks; chunk++) {
        fn(context, chunk, index);
    }
    float_leave(environment);
}

/* Takes chunks until none is left. */
static void run_chunks(fov_pool *pool, unsigned index) {
    const frame here = {.pool = pool, .worker = index, .outer = current};
    const unsigned environment = float_enter();
    current = &here;
    for (size_t chunk = atomic_fetch_add(&pool->next, 1); chunk < pool->chunks; chunk = atomic_fetch_add(&pool->next, 1)) {
        pool->fn(pool->context, chunk, index);
    }
    current = here.outer;
    float_leave(environment);
}

/* Whether the gate is open for a thread that has served generation `served`. */
static bool gate_calls(uint64_t gate, uint32_t served) { return (gate & GATE_OPEN) != 0 && (uint32_t)(gate >> 32) != served; }

/* Waits until there is a new job or the pool stops. */
static void wait_for_job(fov_pool *pool, uint32_t served) {
    for (int i = 0; i < pool->spins; i++) {
        if (gate_calls(atomic_load(&pool->gate), served) || atomic_load(&pool->stop)) {
            return;
        }
        relax();
    }
    (void)pthread_mutex_lock(&pool->lock);
    /* Announced before the gate is looked at again: the caller opens the gate before it looks at `sleepers`, so one sees the other. */
    atomic_fetch_add(&pool->sleepers, 1);
    while (!gate_calls(atomic_load(&pool->gate), served) && !atomic_load(&pool->stop)) {
        (void)pthread_cond_wait(&pool->wake, &pool->lock);
    }
    atomic_fetch_sub(&pool->sleepers, 1);
    (void)pthread_mutex_unlock(&pool->lock);
}

/* Enters the job if its gate is still open; then *served is its generation. */
static bool enter_job(fov_pool *pool, uint32_t *served) {
    uint64_t gate = atomic_load(&pool->gate);
    while (gate_calls(gate, *served)) {
        if (atomic_compare_exchange_weak(&pool->gate, &gate, gate + 1)) {
            *served = (uint32_t)(gate >> 32);
            return true;
        }
    }
    return false;
}

static void leave_job(fov_pool *pool) {
    const uint64_t gate = atomic_fetch_sub(&pool->gate, 1) - 1;
    if ((gate & (GATE_OPEN | GATE_INSIDE)) == 0 && atomic_load(&pool->caller_sleeps)) {
        (void)pthread_mutex_lock(&pool->lock);
        (void)pthread_cond_signal(&pool->finished);
        (void)pthread_mutex_unlock(&pool->lock);
    }
}

static void *worker_main(void *argument) {
    const worker *self = argument;
    uint32_t served = 0;
    while (!atomic_load(&self->pool->stop)) {
        wait_for_job(self->pool, served);
        if (enter_job(self->pool, &served)) {
            run_chunks(self->pool, self->index);
            leave_job(self->pool);
        }
    }
    return NULL;
}

/* Opens the gate for the job and wakes as many sleepers as there are chunks to share. */
static void publish(fov_pool *pool, size_t chunks, fov_chunk_fn fn, void *context) {
    pool->fn = fn;
    pool->context = context;
    pool->chunks = chunks;
    atomic_store(&pool->next, 0);
    const uint32_t before = (uint32_t)(atomic_load(&pool->gate) >> 32);
    /* Generation 0 is what a new worker has served. */
    const uint32_t generation = before == UINT32_MAX ? 1 : before + 1;
    atomic_store(&pool->gate, (uint64_t)generation << 32 | GATE_OPEN);
    if (atomic_load(&pool->sleepers) == 0) {
        return;
    }
    (void)pthread_mutex_lock(&pool->lock);
    if (chunks - 1 >= atomic_load(&pool->sleepers)) {
        (void)pthread_cond_broadcast(&pool->wake);
    } else {
        for (size_t i = 1; i < chunks; i++) {
            (void)pthread_cond_signal(&pool->wake);
        }
    }
    (void)pthread_mutex_unlock(&pool->lock);
}

/* Closes the gate and waits until all who entered have left. */
static void close_job(fov_pool *pool) {
    uint64_t gate = atomic_fetch_and(&pool->gate, ~GATE_OPEN);
    for (int i = 0; i < pool->spins && (gate & GATE_INSIDE) != 0; i++) {
        relax();
        gate = atomic_load(&pool->gate);
    }
    if ((atomic_load(&pool->gate) & GATE_INSIDE) == 0) {
        return;
    }
    (void)pthread_mutex_lock(&pool->lock);
    /* As with `sleepers`: set before the gate is looked at, and looked at by the last worker after it changed the gate. */
    atomic_store(&pool->caller_sleeps, true);
    while ((atomic_load(&pool->gate) & GATE_INSIDE) != 0) {
        (void)pthread_cond_wait(&pool->finished, &pool->lock);
    }
    atomic_store(&pool->caller_sleeps, false);
    (void)pthread_mutex_unlock(&pool->lock);
}

void fov_pool_for(fov_pool *pool, size_t chunks, fov_chunk_fn fn, void *context) {
    for (const frame *f = current; f != NULL && pool != NULL; f = f->outer) {
        if (f->pool == pool) {
            run_inline(chunks, fn, context, f->worker);
            return;
        }
    }
    if (pool == NULL) {
        run_inline(chunks, fn, context, 0);
        return;
    }
    if (chunks == 0) {
        return;
    }
    (void)pthread_mutex_lock(&pool->turn);
    if (chunks == 1 || pool->threads == 1) {
        /* Still under a frame, so that a nested call knows that it is one. */
        const frame here = {.pool = pool, .worker = 0, .outer = current};
        current = &here;
        run_inline(chunks, fn, context, 0);
        current = here.outer;
    } else {
        publish(pool, chunks, fn, context);
        run_chunks(pool, 0);
        close_job(pool);
    }
    (void)pthread_mutex_unlock(&pool->turn);
}

/* ---- stacks ---- */

fov_status fov_pool_check_stack(void) {
    static _Thread_local bool enough;
    pthread_attr_t attributes;
    void *lowest = NULL;
    size_t bytes = 0;
    if (enough || pthread_getattr_np(pthread_self(), &attributes) != 0) { /* unknown without /proc: no reason to refuse */
        return FOV_OK;
    }
    (void)pthread_attr_getstack(&attributes, &lowest, &bytes);
    (void)pthread_attr_destroy(&attributes);
    const size_t left = (size_t)((char *)__builtin_frame_address(0) - (char *)lowest);
    if (left < FOV_POOL_STACK) {
        return FOV_FAIL(FOV_E_LIMIT,
                        "%zu KiB of stack are left in this thread, %zu are needed; call from one with more (pthread_attr_setstacksize), or raise "
                        "the limit (ulimit -s)",
                        left / 1024, FOV_POOL_STACK / 1024);
    }
    enough = true;
    return FOV_OK;
}

/* Chunks may use half of this, whatever the limit on stacks that the program was started with. */
enum { STACK_BYTES = 2 * FOV_POOL_STACK };

/* With the stack that the system gives threads, or STACK_BYTES where that is less. */
static int start_thread(worker *w) {
    pthread_attr_t attributes;
    size_t bytes = 0;
    int error = pthread_attr_init(&attributes);
    if (error != 0) {
        return error;
    }
    error = pthread_attr_getstacksize(&attributes, &bytes);
    if (error == 0 && bytes < STACK_BYTES) {
        error = pthread_attr_setstacksize(&attributes, STACK_BYTES);
    }
    if (error == 0) {
        error = pthread_create(&w->thread, &attributes, worker_main, w);
    }
    (void)pthread_attr_destroy(&attributes);
    return error;
}

/* Starts the threads with signals blocked that the program handles: they belong to its main thread. */
static fov_status start_threads(fov_pool *pool) {
    static const int mains[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2, SIGALRM, SIGPIPE};
    sigset_t blocked;
    sigset_t before;
    int error = 0;
    (void)sigemptyset(&blocked);
    for (size_t i = 0; i < sizeof mains / sizeof mains[0]; i++) {
        (void)sigaddset(&blocked, mains[i]);
    }
    (void)pthread_sigmask(SIG_BLOCK, &blocked, &before);
    while (error == 0 && pool->started + 1 < pool->threads) {
        worker *w = &pool->workers[pool->started];
        *w = (worker){.pool = pool, .index = pool->started + 1};
        error = start_thread(w);
        if (error == 0) {
            pool->started++;
            (void)pthread_setname_np(w->thread, "fov-pool");
        }
    }
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (error != 0) {
        return FOV_FAIL(FOV_E_LIMIT, "cannot start thread %u of %u: %s; ask for fewer threads", pool->started + 2, pool->threads,
                        strerror(error));
    }
    return FOV_OK;
}

static fov_status init_locks(fov_pool *pool) {
    /* On Linux these only store initial values and cannot fail. */
    const int error = pthread_mutex_init(&pool->lock, NULL) | pthread_mutex_init(&pool->turn, NULL) |
                      pthread_cond_init(&pool->wake, NULL) | pthread_cond_init(&pool->finished, NULL);
    return error == 0 ? FOV_OK : FOV_FAIL(FOV_E_LIMIT, "cannot make the locks of a thread pool: %s", strerror(error));
}

fov_status fov_pool_new(fov_pool **out, unsigned threads) {
    fov_status status = FOV_OK;
    const unsigned processors = fov_cpu_count();
    const unsigned count = threads == 0 ? (processors < MAX_THREADS ? processors : MAX_THREADS) : threads;
    *out = NULL;
    if (count > MAX_THREADS) {
        return FOV_FAIL(FOV_E_INVALID, "%u threads asked for; at most %d can be used", count, MAX_THREADS);
    }
    fov_pool *pool = fov_mem_zalloc(FOV_MEM_BASE, sizeof *pool);
    FOV_TRY_ALLOC(pool);
    pool->threads = count;
    pool->spins = count <= processors ? SPINS : 0;
    FOV_TRY_GOTO(status, free_pool, init_locks(pool));
    pool->workers = fov_mem_array(FOV_MEM_BASE, count, sizeof *pool->workers);
    if (pool->workers == NULL) {
        status = fov_forward_at(__FILE__, __LINE__, FOV_E_NOMEM);
    } else {
        status = start_threads(pool);
    }
    if (status != FOV_OK) {
        fov_pool_free(pool);
        return status;
    }
    *out = pool;
    return FOV_OK;
free_pool:
    fov_mem_free(pool);
    return status;
}

void fov_pool_free(fov_pool *pool) {
    if (pool == NULL) {
        return;
    }
    (void)pthread_mutex_lock(&pool->lock);
    atomic_store(&pool->stop, true);
    (void)pthread_cond_broadcast(&pool->wake);
    (void)pthread_mutex_unlock(&pool->lock);
    for (unsigned i = 0; i < pool->started; i++) {
        (void)pthread_join(pool->workers[i].thread, NULL);
    }
    (void)pthread_cond_destroy(&pool->finished);
    (void)pthread_cond_destroy(&pool->wake);
    (void)pthread_mutex_destroy(&pool->turn);
    (void)pthread_mutex_destroy(&pool->lock);
    fov_mem_free(pool->workers);
    fov_mem_free(pool);
}

unsigned fov_pool_threads(const fov_pool *pool) { return pool == NULL ? 1 : pool->threads; }
