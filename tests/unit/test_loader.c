/* ctest: label=short timeout=120 */
/* The loader: a batch depends on the seed and its number alone, bad files are replaced, nothing waits for ever. */
#undef _FORTIFY_SOURCE /* this test replaces read(2); hardening would make glibc's an inline function */

#include <ftw.h>
#include <math.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/hash.h"
#include "base/io.h"
#include "base/log.h"
#include "data/loader.h"

#define PATH_BYTES 512
#define PICTURES 23
#define STEPS 11
#define BATCH 5 /* 4 steps an epoch */

static char top[PATH_BYTES / 2];
static fov_index *pictures;
static fov_recipe recipe;

/* ---- a disk that hangs: read(2) of files whose name ends in `slow_suffix` does not return until released ---- */

static atomic_bool hang;
static const char *const slow_suffix = "07.png";

ssize_t read(int fd, void *buffer, size_t count) {
    char link[64], path[PATH_BYTES];
    (void)snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    while (atomic_load(&hang)) {
        const ssize_t n = readlink(link, path, sizeof path);
        const size_t length = strlen(slow_suffix);
        if (n < (ssize_t)length || memcmp(path + (size_t)n - length, slow_suffix, length) != 0) {
            break;
        }
        const struct timespec pause = {.tv_nsec = 5000000};
        (void)nanosleep(&pause, NULL);
    }
    return syscall(SYS_read, fd, buffer, count);
}

/* ---- log lines are kept for looking at ---- */

static char logged[8192];
static size_t log_lines;

static void keep_line(void *context, fov_log_level level, const char *line) {
    (void)context;
    (void)level;
    log_lines++;
    (void)strncat(logged, line, sizeof logged - strlen(logged) - 1);
}

static void clear_log(void) {
    logged[0] = '\0';
    log_lines = 0;
}

/* ---- pictures ---- */

static int remove_one(const char *path, const struct stat *info, int type, struct FTW *walk) {
    (void)info;
    (void)type;
    (void)walk;
    return remove(path);
}

static const char *picture_path(size_t i) {
    static char path[PATH_BYTES];
    (void)snprintf(path, sizeof path, "%s/%02zu.png", top, i);
    return path;
}

static void make_picture(size_t i) {
    uint8_t pixels[64 * 64 * 3];
    const size_t width = 40 + i, height = 63 - i;
    for (size_t k = 0; k < width * height * 3; k++) {
        pixels[k] = (uint8_t)(k * (i + 3) / 7 + i * 11);
    }
    assert_int_equal(fov_image_write_png(picture_path(i), pixels, width, height, (fov_pixel_format){0}), FOV_OK);
}

static int setup(void **state) {
    (void)state;
    static unsigned run;
    (void)snprintf(top, sizeof top, "%s/loader-%ld-%u", FOV_TEST_TEMP, (long)getpid(), run++);
    assert_int_equal(fov_io_mkdir(top, true), FOV_OK);
    for (size_t i = 0; i < PICTURES; i++) {
        make_picture(i);
    }
    assert_int_equal(fov_recipe_parse("crop(16,0.3,1,bicubic) flip(0.5) jitter(0.8,0.4,0.4,0.2,0.1) | crop(8,0.1,0.5,bilinear) | "
                                      "crop(16,0.3,1,bicubic) gray(0.5)",
                                      &recipe),
                     FOV_OK);
    const char *root = top;
    const fov_scan_options options = {.verify = true};
    assert_int_equal(fov_index_scan(&pictures, &root, 1, &options, NULL), FOV_OK);
    assert_int_equal(fov_index_count(pictures), PICTURES);
    clear_log();
    fov_log_set_sink(keep_line, NULL, FOV_LOG_WARNING);
    return 0;
}

static int teardown(void **state) {
    (void)state;
    fov_log_set_sink(NULL, NULL, FOV_LOG_ERROR);
    fov_index_free(pictures);
    pictures = NULL;
    (void)nftw(top, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    const bool clean = fov_mem_stats_tag(FOV_MEM_DATA).live_bytes == 0 && fov_mem_stats_tag(FOV_MEM_IMAGE).live_bytes == 0 &&
                       fov_mem_stats_tag(FOV_MEM_FILE).live_bytes == 0;
    return clean ? 0 : 1;
}

static fov_loader_options usual(unsigned threads, unsigned depth) {
    return (fov_loader_options){.batch_size = BATCH, .threads = threads, .depth = depth, .seed = 42, .last_step = STEPS};
}

static uint64_t hash_batch(const fov_batch *batch) {
    uint64_t hash = fov_hash64(batch->sample, batch->count * sizeof *batch->sample, batch->step * 1000 + batch->epoch);
    for (size_t v = 0; v < recipe.view_count; v++) {
        hash = fov_hash64(batch->view[v], batch->count * recipe.view[v].image_size * recipe.view[v].image_size * 3, hash);
    }
    return hash;
}

/* Runs a loader to its end; hash[s] gets the hash of batch s. */
static void run(const fov_loader_options *options, uint64_t *hash) {
    fov_loader *loader;
    assert_int_equal(fov_loader_new(&loader, pictures, &recipe, options), FOV_OK);
    for (uint64_t step = options->first_step;; step++) {
        const fov_batch *batch;
        assert_int_equal(fov_loader_next(loader, &batch), FOV_OK);
        if (batch == NULL) {
            assert_int_equal(step, options->last_step);
            break;
        }
        assert_int_equal(batch->step, step);
        assert_int_equal(batch->count, options->batch_size);
        hash[step] = hash_batch(batch);
        fov_loader_give_back(loader, batch);
    }
    const fov_batch *after;
    assert_int_equal(fov_loader_next(loader, &after), FOV_OK);
    assert_null(after);
    const fov_loader_stats stats = fov_loader_get_stats(loader);
    assert_int_equal(stats.samples, (options->last_step - options->first_step) * options->batch_size);
    assert_true(stats.cpu_seconds > 0.0);
    assert_true(stats.wait_seconds >= 0.0);
    fov_loader_free(loader);
}

/* ---- equal bits ---- */

static void test_equal_bits(void **state) {
    (void)state;
    static const unsigned threads[] = {1, 2, 3, 8};
    uint64_t first[STEPS], other[STEPS];
    fov_loader_options options = usual(1, 1);
    run(&options, first);
    for (size_t i = 1; i < STEPS; i++) {
        assert_true(first[i] != first[i - 1]);
    }
    for (size_t t = 0; t < 4; t++) {
        for (unsigned depth = 1; depth <= 4; depth++) {
            options = usual(threads[t], depth);
            run(&options, other);
            assert_memory_equal(first, other, sizeof first);
        }
    }
    options = usual(3, 2);
    options.cache = true;
    options.cache_bytes = (size_t)1 << 20;
    run(&options, other);
    assert_memory_equal(first, other, sizeof first);
    options.cache_bytes = 1000; /* too small: off */
    run(&options, other);
    assert_memory_equal(first, other, sizeof first);
    options.seed++;
    run(&options, other);
    for (size_t i = 0; i < STEPS; i++) {
        assert_true(first[i] != other[i]);
    }
}

static void test_resume(void **state) {
    (void)state;
    uint64_t whole[STEPS];
    fov_loader_options options = usual(2, 3);
    run(&options, whole);
    for (uint64_t from = 0; from <= STEPS; from += 3) {
        uint64_t tail[STEPS] = {0};
        options.first_step = from;
        run(&options, tail);
        assert_memory_equal(whole + from, tail + from, (STEPS - from) * sizeof *whole);
    }
}

/* What stands in a batch is what the augmenter makes of the named picture, at the place the header promises. */
static void test_layout(void **state) {
    (void)state;
    fov_loader *loader;
    const fov_batch *batch;
    fov_decoder *decoder;
    fov_augmenter *augmenter;
    fov_image image;
    fov_blob blob;
    uint8_t views[3][16 * 16 * 3];
    uint8_t *const outputs[3] = {views[0], views[1], views[2]};
    const fov_decode_options decode = {0};
    const fov_loader_options options = usual(2, 2);
    assert_int_equal(fov_decoder_new(&decoder), FOV_OK);
    assert_int_equal(fov_augmenter_new(&augmenter), FOV_OK);
    fov_image_init(&image);
    assert_int_equal(fov_loader_new(&loader, pictures, &recipe, &options), FOV_OK);
    assert_int_equal(fov_loader_next(loader, &batch), FOV_OK);
    assert_ptr_equal(batch->view[2], batch->view[0] + (size_t)BATCH * 16 * 16 * 3);
    assert_int_equal((uintptr_t)batch->view[0] % 64, 0);
    assert_int_equal((uintptr_t)batch->view[1] % 64, 0);
    for (size_t i = 0; i < BATCH; i++) {
        fov_text path;
        fov_text_init(&path);
        fov_index_path(pictures, batch->sample[i], &path);
        assert_int_equal(fov_io_read(path.data, 1 << 20, FOV_DECODE_PADDING, &blob), FOV_OK);
        fov_text_clear(&path);
        assert_int_equal(fov_image_decode(decoder, blob.data, blob.size, &decode, &image), FOV_OK);
        assert_int_equal(fov_augment_views(augmenter, &recipe, &image, 42, 0, batch->sample[i], outputs), FOV_OK);
        for (size_t v = 0; v < 3; v++) {
            const size_t side = recipe.view[v].image_size;
            assert_memory_equal(batch->view[v] + i * side * side * 3, views[v], side * side * 3);
        }
        fov_blob_clear(&blob);
    }
    fov_loader_give_back(loader, batch);
    fov_loader_free(loader);
    fov_image_clear(&image);
    fov_augmenter_free(augmenter);
    fov_decoder_free(decoder);
}

/* A batch larger than the folder repeats pictures, but not views. */
static void test_large_batch(void **state) {
    (void)state;
    fov_loader *loader;
    const fov_batch *batch;
    fov_loader_options options = usual(2, 1);
    options.batch_size = 2 * PICTURES + 3;
    options.last_step = 1;
    assert_int_equal(fov_loader_new(&loader, pictures, &recipe, &options), FOV_OK);
    assert_int_equal(fov_loader_next(loader, &batch), FOV_OK);
    assert_int_equal(batch->sample[0], batch->sample[PICTURES]);
    const size_t bytes = 16 * 16 * 3;
    assert_memory_not_equal(batch->view[0], batch->view[0] + PICTURES * bytes, bytes);
    fov_loader_give_back(loader, batch);
    fov_loader_free(loader);
}

/* A file that changed since the scan is fine as long as it decodes, cached or not. */
static void test_changed_file(void **state) {
    (void)state;
    uint8_t pixels[30 * 20 * 3] = {0};
    uint64_t plain[STEPS], cached[STEPS];
    assert_int_equal(fov_image_write_png(picture_path(3), pixels, 30, 20, (fov_pixel_format){0}), FOV_OK);
    fov_loader_options options = usual(2, 2);
    run(&options, plain);
    options.cache = true;
    options.cache_bytes = (size_t)1 << 20;
    run(&options, cached);
    assert_memory_equal(plain, cached, sizeof plain);
    assert_int_equal(log_lines, 0);
}

/* ---- bad at run time ---- */

static void test_substitute(void **state) {
    (void)state;
    assert_int_equal(fov_io_remove(picture_path(5)), FOV_OK);
    assert_int_equal(fov_io_write_atomic(picture_path(9), "no picture", 10), FOV_OK);
    uint64_t first[STEPS], other[STEPS];
    fov_loader_options options = usual(1, 1);
    options.max_bad = 0.1;
    run(&options, first);
    assert_int_equal(log_lines, 2); /* once per file */
    assert_non_null(strstr(logged, "05.png"));
    assert_non_null(strstr(logged, "09.png"));
    options.threads = 4;
    options.depth = 3;
    run(&options, other);
    assert_memory_equal(first, other, sizeof first);
}

/* A run writes warnings to its own file, which only one thread may do. */
static void take_warning(void *context, const char *line) {
    assert_true(pthread_equal(*(const pthread_t *)context, pthread_self()));
    keep_line(NULL, FOV_LOG_WARNING, line);
}

static void test_warnings_come_to_the_caller(void **state) {
    (void)state;
    pthread_t self = pthread_self();
    uint64_t hashes[STEPS];
    assert_int_equal(fov_io_remove(picture_path(5)), FOV_OK);
    fov_loader_options options = usual(4, 3);
    options.max_bad = 0.1;
    options.warn = take_warning;
    options.context = &self;
    fov_log_set_sink(NULL, NULL, FOV_LOG_WARNING);
    run(&options, hashes);
    assert_int_equal(log_lines, 1);
    assert_non_null(strstr(logged, "replaced by others: "));
    assert_non_null(strstr(logged, "05.png"));
}

static void test_substitute_is_named(void **state) {
    (void)state;
    fov_loader *loader;
    fov_loader_options options = usual(3, 3);
    const fov_batch *batch;
    assert_int_equal(fov_loader_new(&loader, pictures, &recipe, &options), FOV_OK);
    /* The ring is full and waits: what is deleted now is met later. */
    const struct timespec pause = {.tv_nsec = 50000000};
    (void)nanosleep(&pause, NULL);
    assert_int_equal(fov_io_remove(picture_path(5)), FOV_OK);
    for (uint64_t step = 0; step < STEPS; step++) {
        assert_int_equal(fov_loader_next(loader, &batch), FOV_OK);
        for (size_t i = 0; i < BATCH && step >= 4; i++) {
            assert_int_not_equal(batch->sample[i], 5);
        }
        fov_loader_give_back(loader, batch);
    }
    assert_true(fov_loader_get_stats(loader).substituted >= 1);
    assert_int_equal(log_lines, 1);
    fov_loader_free(loader);
}

static void test_too_many_bad(void **state) {
    (void)state;
    for (size_t i = 0; i < 6; i++) {
        assert_int_equal(fov_io_remove(picture_path(i)), FOV_OK);
    }
    uint64_t failed_at = 0;
    for (unsigned threads = 1; threads <= 4; threads++) {
        fov_loader *loader;
        const fov_batch *batch;
        const fov_loader_options options = usual(threads, threads);
        assert_int_equal(fov_loader_new(&loader, pictures, &recipe, &options), FOV_OK);
        fov_status status;
        uint64_t step = 0;
        while ((status = fov_loader_next(loader, &batch)) == FOV_OK && batch != NULL) {
            fov_loader_give_back(loader, batch);
            step++;
        }
        assert_int_equal(status, FOV_E_DATA);
        assert_non_null(strstr(fov_last_error(), ".png"));
        assert_int_equal(fov_loader_next(loader, &batch), FOV_E_DATA);
        assert_true(threads == 1 || step == failed_at);
        failed_at = step;
        fov_loader_free(loader);
    }
}

static void test_all_bad(void **state) {
    (void)state;
    for (size_t i = 0; i < PICTURES; i++) {
        assert_int_equal(fov_io_remove(picture_path(i)), FOV_OK);
    }
    fov_loader *loader;
    const fov_batch *batch;
    const fov_loader_options options = usual(2, 2);
    assert_int_equal(fov_loader_new(&loader, pictures, &recipe, &options), FOV_OK);
    assert_int_equal(fov_loader_next(loader, &batch), FOV_E_DATA);
    assert_null(batch);
    assert_non_null(strstr(fov_last_error(), "in a row"));
    fov_loader_free(loader);
}

/* ---- waiting ---- */

static void test_stall(void **state) {
    (void)state;
    fov_loader *loader;
    const fov_batch *batch;
    fov_loader_options options = usual(2, 2);
    options.stall_seconds = 0.1;
    options.stall_limit = 0.4;
    atomic_store(&hang, true);
    assert_int_equal(fov_loader_new(&loader, pictures, &recipe, &options), FOV_OK);
    const double start = fov_clock_seconds();
    fov_status status;
    while ((status = fov_loader_next(loader, &batch)) == FOV_OK && batch != NULL) {
        fov_loader_give_back(loader, batch);
    }
    assert_int_equal(status, FOV_E_STALLED);
    assert_non_null(strstr(fov_last_error(), slow_suffix));
    assert_true(fov_clock_seconds() - start < 10.0);
    assert_int_equal(log_lines, 1);
    assert_non_null(strstr(logged, slow_suffix));
    atomic_store(&hang, false); /* the disk comes back, so that the thread can be joined; but the failure is final */
    const struct timespec while_it_reads = {.tv_nsec = 300000000};
    (void)nanosleep(&while_it_reads, NULL);
    assert_int_equal(fov_loader_next(loader, &batch), FOV_E_STALLED);
    assert_null(batch);
    fov_loader_free(loader);
}

/* Between the two limits a slow file is named and waited for: the log line is what makes the disk come back here. */
static void release(void *context, fov_log_level level, const char *line) {
    keep_line(context, level, line);
    atomic_store(&hang, false);
}

static void test_slow_is_only_named(void **state) {
    (void)state;
    uint64_t plain[STEPS], slow[STEPS];
    fov_loader_options options = usual(2, 2);
    run(&options, plain);
    fov_log_set_sink(release, NULL, FOV_LOG_WARNING);
    options.stall_seconds = 0.1;
    options.stall_limit = 60.0;
    atomic_store(&hang, true);
    run(&options, slow);
    assert_memory_equal(plain, slow, sizeof plain);
    assert_int_equal(log_lines, 1);
    assert_non_null(strstr(logged, slow_suffix));
}

static void test_held_batches(void **state) {
    (void)state;
    fov_loader *loader;
    const fov_batch *a, *b, *c;
    const fov_loader_options options = usual(2, 2);
    assert_int_equal(fov_loader_new(&loader, pictures, &recipe, &options), FOV_OK);
    assert_int_equal(fov_loader_next(loader, &a), FOV_OK);
    assert_int_equal(fov_loader_next(loader, &b), FOV_OK);
    const uint64_t hash = hash_batch(a);
    assert_int_equal(fov_loader_next(loader, &c), FOV_E_INVALID);
    assert_null(c);
    fov_loader_give_back(loader, b); /* in any order */
    assert_true(hash_batch(a) == hash);
    fov_loader_give_back(loader, a);
    assert_int_equal(fov_loader_next(loader, &c), FOV_OK);
    assert_int_equal(c->step, 2);
    fov_loader_free(loader); /* with a batch still out */
}

static void test_start_stop(void **state) {
    (void)state;
    const size_t before = fov_mem_stats_all().live_bytes;
    for (unsigned cycle = 0; cycle < 200; cycle++) {
        fov_loader *loader;
        fov_loader_options options = usual(1 + cycle % 4, 1 + cycle % 3);
        options.cache = cycle % 2 != 0;
        options.cache_bytes = (size_t)1 << 20;
        assert_int_equal(fov_loader_new(&loader, pictures, &recipe, &options), FOV_OK);
        for (unsigned taken = 0; taken < cycle % 3; taken++) {
            const fov_batch *batch;
            assert_int_equal(fov_loader_next(loader, &batch), FOV_OK);
            fov_loader_give_back(loader, batch);
        }
        fov_loader_free(loader);
    }
    fov_loader_free(NULL);
    assert_int_equal(fov_mem_stats_all().live_bytes, before);
}

static void test_bad_options(void **state) {
    (void)state;
    fov_loader *loader;
    fov_loader_options options = usual(1, 1);
    options.batch_size = 0;
    assert_int_equal(fov_loader_new(&loader, pictures, &recipe, &options), FOV_E_INVALID);
    assert_null(loader);
    options = usual(1, 100000);
    assert_int_equal(fov_loader_new(&loader, pictures, &recipe, &options), FOV_E_INVALID);
}

static void test_out_of_memory(void **state) {
    (void)state;
    const fov_loader_options options = usual(2, 2);
    size_t failed = 0;
    for (uint64_t n = 1; n < 60; n++) {
        fov_loader *loader;
        fov_mem_fail_at(n, 0);
        const fov_status status = fov_loader_new(&loader, pictures, &recipe, &options);
        fov_status next = FOV_OK;
        const fov_batch *batch = NULL;
        for (unsigned step = 0; step < STEPS && status == FOV_OK && next == FOV_OK; step++) {
            next = fov_loader_next(loader, &batch);
            fov_loader_give_back(loader, batch);
        }
        fov_mem_fail_at(0, 0);
        if (status == FOV_OK) {
            assert_true(next == FOV_OK || next == FOV_E_NOMEM);
            fov_loader_free(loader);
        } else {
            assert_int_equal(status, FOV_E_NOMEM);
            assert_null(loader);
        }
        failed += status != FOV_OK || next != FOV_OK;
    }
    assert_true(failed > 5);
}

/* ---- evaluation ---- */

typedef struct seen {
    uint64_t hash;
    size_t next, fail_at;
} seen;

static fov_status look(void *context, size_t first, size_t count, const uint8_t *pixels) {
    seen *s = context;
    assert_int_equal(first, s->next);
    if (first >= s->fail_at) {
        return FOV_FAIL(FOV_E_NUMERIC, "enough");
    }
    /* Picture by picture, so that the size of the blocks does not matter. */
    for (size_t i = 0; i < count; i++) {
        s->hash = fov_hash64(pixels + i * 24 * 24 * 3, 24 * 24 * 3, s->hash);
    }
    s->next += count;
    return FOV_OK;
}

static fov_status evaluate(size_t block, fov_pool *pool, fov_lost *lost, seen *s) {
    fov_preprocess preprocess;
    fov_preprocess_default(24, &preprocess);
    return fov_loader_evaluate(
        pictures, &(fov_evaluation){.preprocess = &preprocess, .block = block, .lost = lost, .pool = pool, .fn = look, .context = s});
}

static void test_evaluate(void **state) {
    (void)state;
    static const size_t blocks[] = {1, 4, 23, 100};
    uint64_t expected = 0;
    for (size_t b = 0; b < 4; b++) {
        fov_pool *pool;
        assert_int_equal(fov_pool_new(&pool, (unsigned)b + 1), FOV_OK);
        seen s = {.fail_at = SIZE_MAX};
        assert_int_equal(evaluate(blocks[b], pool, NULL, &s), FOV_OK);
        assert_int_equal(s.next, PICTURES);
        assert_true(b == 0 || s.hash == expected);
        expected = s.hash;
        fov_pool_free(pool);
    }
    seen stop = {.fail_at = 8};
    assert_int_equal(evaluate(4, NULL, NULL, &stop), FOV_E_NUMERIC);
    assert_int_equal(stop.next, 8);
    assert_int_equal(evaluate(0, NULL, NULL, &stop), FOV_E_INVALID);
}

static void test_evaluate_bad_picture(void **state) {
    (void)state;
    fov_pool *pool;
    assert_int_equal(fov_pool_new(&pool, 3), FOV_OK);
    assert_int_equal(fov_io_remove(picture_path(20)), FOV_OK);
    assert_int_equal(fov_io_write_atomic(picture_path(13), "no picture", 10), FOV_OK);
    seen s = {.fail_at = SIZE_MAX};
    assert_int_not_equal(evaluate(12, pool, NULL, &s), FOV_OK);
    assert_non_null(strstr(fov_last_error(), "13.png"));
    assert_int_equal(s.next, 12);
    fov_pool_free(pool);
}

/* Lost pictures are black, noted in order, and bounded. */
static void test_evaluate_lost(void **state) {
    (void)state;
    assert_int_equal(fov_io_remove(picture_path(20)), FOV_OK);
    assert_int_equal(fov_io_write_atomic(picture_path(13), "no picture", 10), FOV_OK);
    uint64_t expected = 0;
    for (unsigned threads = 1; threads <= 3; threads++) {
        fov_pool *pool;
        assert_int_equal(fov_pool_new(&pool, threads), FOV_OK);
        fov_lost lost = {.max_bad = 2.0 / PICTURES + 1e-9};
        seen s = {.fail_at = SIZE_MAX};
        assert_int_equal(evaluate(4 * threads, pool, &lost, &s), FOV_OK);
        assert_int_equal(s.next, PICTURES);
        assert_true(threads == 1 || s.hash == expected);
        expected = s.hash;
        assert_int_equal(lost.count, 2);
        assert_int_equal(lost.item[0].picture, 13);
        assert_string_equal(lost.item[0].file.path, picture_path(13));
        assert_int_equal(lost.item[1].picture, 20);
        assert_int_equal(lost.item[1].file.reason, FOV_BAD_UNREADABLE);
        assert_non_null(strstr(lost.item[1].file.message, "No such file"));
        fov_lost_clear(&lost);
        lost.max_bad = 1.0 / PICTURES + 1e-9;
        s = (seen){.fail_at = SIZE_MAX};
        assert_int_equal(evaluate(4, pool, &lost, &s), FOV_E_DATA);
        assert_non_null(
            strstr(fov_last_error(), "20.png (cannot open: No such file or directory); mend or remove them, or raise --max-bad"));
        assert_int_equal(s.next, 20); /* it stops there */
        fov_lost_clear(&lost);
        fov_pool_free(pool);
    }
    for (size_t i = 0; i < PICTURES; i++) {
        assert_int_equal(fov_io_remove(picture_path(i)), FOV_OK);
    }
    fov_lost lost = {.max_bad = 1.0};
    seen s = {.fail_at = SIZE_MAX};
    assert_int_equal(evaluate(4, NULL, &lost, &s), FOV_E_DATA);
    assert_non_null(strstr(fov_last_error(), "pictures are bad, the last "));
    assert_int_equal(lost.count, PICTURES);
    fov_lost_clear(&lost);
}

static void test_evaluate_out_of_memory(void **state) {
    (void)state;
    assert_int_equal(fov_io_remove(picture_path(3)), FOV_OK);
    fov_status status = FOV_E_NOMEM;
    size_t n = 1;
    for (; status != FOV_OK && n < 1000; n++) {
        fov_lost lost = {0};
        seen s = {.fail_at = SIZE_MAX};
        fov_mem_fail_at(n, 0);
        status = evaluate(4, NULL, &lost, &s);
        fov_mem_fail_at(0, 0);
        assert_true(status == FOV_OK ? lost.count == 1 : status == FOV_E_NOMEM && lost.count <= 1);
        fov_lost_clear(&lost);
    }
    assert_in_range(n, 12, 999);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(test_equal_bits),
        TEST(test_resume),
        TEST(test_layout),
        TEST(test_large_batch),
        TEST(test_changed_file),
        TEST(test_substitute),
        TEST(test_substitute_is_named),
        TEST(test_warnings_come_to_the_caller),
        TEST(test_too_many_bad),
        TEST(test_all_bad),
        TEST(test_stall),
        TEST(test_slow_is_only_named),
        TEST(test_held_batches),
        TEST(test_start_stop),
        TEST(test_bad_options),
        TEST(test_out_of_memory),
        TEST(test_evaluate),
        TEST(test_evaluate_bad_picture),
        TEST(test_evaluate_lost),
        TEST(test_evaluate_out_of_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
