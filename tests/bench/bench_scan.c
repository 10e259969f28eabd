/* How long it takes to find the pictures of a large folder, and how much memory that takes, as JSON:
 *
 *   bench_scan DIR [THREADS]
 *
 * `names_seconds` is listing and sorting alone, `scan_seconds` the whole scan with its look at every header. Peak memory is the process's
 * own, so one run measures one folder. tests/tools/make_names.c makes folders of any size. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "base/clock.h"
#include "data/index_internal.h"

static double peak_bytes(void) {
    struct rusage usage;
    (void)getrusage(RUSAGE_SELF, &usage);
    return (double)usage.ru_maxrss * 1024.0;
}

static double processor_seconds(void) {
    struct rusage usage;
    (void)getrusage(RUSAGE_SELF, &usage);
    return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) + 1e-6 * (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec);
}

static fov_status names_only(const char *root, const fov_scan_options *options, fov_pool *pool) {
    fov_scan scan;
    fov_status status = fov_scan_init(&scan, options, 1, pool);
    status = status == FOV_OK ? fov_scan_walk(&scan, &root, 1) : status;
    status = status == FOV_OK ? fov_scan_order(&scan) : status;
    fov_scan_clear(&scan);
    return status;
}

int main(int argc, char **argv) {
    if (argc < 2 || argc > 3) {
        (void)fprintf(stderr, "usage: bench_scan DIR [THREADS]\n");
        return 2;
    }
    const char *root = argv[1];
    const fov_scan_options options = {.verify = false};
    const unsigned threads = argc == 3 ? (unsigned)strtoul(argv[2], NULL, 10) : 0;
    fov_pool *pool = NULL;
    fov_index *index = NULL;
    const double resting = peak_bytes();
    double names = 0.0, scan = 0.0, processor = 0.0;
    fov_status status = fov_pool_new(&pool, threads);
    if (status == FOV_OK) {
        const double start = fov_clock_seconds();
        status = names_only(root, &options, pool);
        names = fov_clock_seconds() - start;
    }
    const double names_peak = peak_bytes();
    if (status == FOV_OK) {
        const double start = fov_clock_seconds(), before = processor_seconds();
        status = fov_index_scan(&index, &root, 1, &options, pool);
        scan = fov_clock_seconds() - start;
        processor = processor_seconds() - before;
    }
    if (status != FOV_OK) {
        (void)fprintf(stderr, "bench_scan: %s\n", fov_last_error());
    } else {
        const double count = (double)fov_index_count(index);
        (void)printf(
            "{\"files\":%.0f,\"threads\":%u,\"names_seconds\":%.3f,\"scan_seconds\":%.3f,\"processor_seconds\":%.3f,"
            "\"names_peak_bytes\":%.0f,\"peak_bytes\":%.0f,\"resting_bytes\":%.0f,\"index_bytes_per_file\":%.1f,\"hash\":\"%016llx\"}\n",
            count, fov_pool_threads(pool), names, scan, processor, names_peak, peak_bytes(), resting,
            (double)fov_mem_stats_tag(FOV_MEM_DATA).live_bytes / count, (unsigned long long)fov_index_hash(index));
    }
    fov_index_free(index);
    fov_pool_free(pool);
    return status == FOV_OK ? 0 : 1;
}
