/* Mean and standard deviation of pictures against plain sums in double, at any number of threads; flat channels; pictures that went bad;
 * memory that runs out. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/interrupt.h"
#include "base/io.h"
#include "base/rng.h"
#include "data/statistics.h"
#include "folder_case.h"

#define SIDE 24
#define PICTURES 70 /* more than a block */

static const char *path_of(size_t i) {
    static char path[500];
    (void)snprintf(path, sizeof path, "%s/%02zu.png", folder, i);
    return path;
}

/* What the sums should be, in plain double. */
typedef struct plain {
    double sum[FOV_MAX_CHANNELS], squares[FOV_MAX_CHANNELS], count;
} plain;

static double std_of(const plain *p, size_t c) {
    return sqrt(p->squares[c] / p->count - (p->sum[c] / p->count) * (p->sum[c] / p->count));
}

/* Pictures of the view's own size, so that preparing changes nothing. Channel 1 is `flat` where that is not negative. */
static void make_pictures(fov_pixel_format format, int flat, plain *p) {
    static uint16_t words[SIDE * SIDE * 4];
    uint8_t *bytes = (uint8_t *)words;
    const double most = format.deep ? 65535.0 : 255.0;
    fov_rng rng;
    fov_rng_init(&rng, 4, 0, 0, 0, FOV_RNG_TEST);
    *p = (plain){.count = (double)SIDE * SIDE * PICTURES};
    for (size_t i = 0; i < PICTURES; i++) {
        for (size_t k = 0; k < SIDE * SIDE * format.channels; k++) {
            const size_t c = k % format.channels;
            const uint64_t drawn = fov_rng_below(&rng, format.deep ? 60000 : 200) + 7 * c;
            const uint64_t value = c == 1 && flat >= 0 ? (uint64_t)flat : drawn;
            p->sum[c] += (double)value / most;
            p->squares[c] += (double)value / most * ((double)value / most);
            if (format.deep) {
                words[k] = (uint16_t)value;
            } else {
                bytes[k] = (uint8_t)value;
            }
        }
        assert_int_equal(fov_image_write_png(path_of(i), bytes, SIDE, SIDE, format), FOV_OK);
    }
}

static fov_index *scan(const fov_preprocess *preprocess) {
    fov_index *index = NULL;
    const char *root = folder;
    const fov_scan_options options = {.decode = fov_preprocess_decode(preprocess), .verify = true};
    if (fov_index_scan(&index, &root, 1, &options, NULL) != FOV_OK) {
        fail_msg("%s", fov_last_error());
    }
    return index;
}

static fov_preprocess preprocess_for(fov_pixel_format format) {
    fov_preprocess preprocess;
    fov_preprocess_default(SIDE, &preprocess);
    preprocess.format = format;
    return preprocess;
}

static void check_format(fov_pixel_format format) {
    plain p;
    fov_statistics first = {0}, again = {0};
    const fov_preprocess preprocess = preprocess_for(format);
    make_pictures(format, -1, &p);
    fov_index *index = scan(&preprocess);
    for (unsigned threads = 1; threads <= 3; threads++) {
        fov_pool *pool = NULL;
        assert_int_equal(fov_pool_new(&pool, threads), FOV_OK);
        again = (fov_statistics){0};
        if (fov_statistics_measure(&again, index, &preprocess, threads, pool, NULL, NULL) != FOV_OK) {
            fail_msg("%s", fov_last_error());
        }
        first = threads == 1 ? again : first;
        assert_memory_equal(&again, &first, sizeof again); /* all are measured, so the seed does not matter either */
        fov_pool_free(pool);
    }
    assert_int_equal(first.pictures, PICTURES);
    for (size_t c = 0; c < format.channels; c++) {
        assert_true(fabs(first.mean[c] - p.sum[c] / p.count) < 1e-12);
        assert_true(fabs(first.std[c] - std_of(&p, c)) < 1e-12);
        assert_false(first.flat[c]);
    }
    fov_index_free(index);
}

static void sums_are_right(void **state) {
    (void)state;
    check_format((fov_pixel_format){.channels = 3});
    check_format((fov_pixel_format){.channels = 1});
    check_format((fov_pixel_format){.channels = 4});
    check_format((fov_pixel_format){.channels = 2, .deep = true});
}

static void flat_channels_are_told(void **state) {
    (void)state;
    plain p;
    fov_statistics s;
    const fov_preprocess preprocess = preprocess_for((fov_pixel_format){.channels = 3});
    make_pictures(preprocess.format, 51, &p);
    fov_index *index = scan(&preprocess);
    assert_int_equal(fov_statistics_measure(&s, index, &preprocess, 0, NULL, NULL, NULL), FOV_OK);
    assert_true(!s.flat[0] && s.flat[1] && !s.flat[2]);
    assert_true(fabs(s.mean[1] - 0.2) < 1e-12 && s.std[1] == 1.0 / 255.0);
    fov_index_free(index);
}

static void count_calls(void *context, size_t done, size_t total) {
    assert_int_equal(total, PICTURES);
    *(size_t *)context = done;
}

/* What went bad since the scan is passed over; when nothing is left, that is said. */
static void bad_pictures_are_passed_over(void **state) {
    (void)state;
    plain p;
    fov_statistics s;
    size_t seen = 0;
    const fov_preprocess preprocess = preprocess_for((fov_pixel_format){.channels = 3});
    make_pictures(preprocess.format, -1, &p);
    fov_index *index = scan(&preprocess);
    assert_int_equal(fov_io_remove(path_of(3)), FOV_OK);
    assert_int_equal(fov_io_write_atomic(path_of(5), "no picture", 10), FOV_OK);
    assert_int_equal(fov_statistics_measure(&s, index, &preprocess, 0, NULL, count_calls, &seen), FOV_OK);
    assert_int_equal(s.pictures, PICTURES - 2);
    assert_int_equal(seen, PICTURES);
    fov_interrupt_raise(15);
    assert_int_equal(fov_statistics_measure(&s, index, &preprocess, 0, NULL, NULL, NULL), FOV_E_INTERRUPTED);
    fov_interrupt_clear();
    for (size_t i = 0; i < PICTURES; i++) {
        assert_int_equal(fov_io_write_atomic(path_of(i), "no picture", 10), FOV_OK);
    }
    assert_int_equal(fov_statistics_measure(&s, index, &preprocess, 0, NULL, NULL, NULL), FOV_E_DATA);
    assert_non_null(strstr(fov_last_error(), "none of the pictures can be read"));
    fov_index_free(index);
}

static void out_of_memory(void **state) {
    (void)state;
    plain p;
    const fov_preprocess preprocess = preprocess_for((fov_pixel_format){.channels = 3});
    make_pictures(preprocess.format, -1, &p);
    fov_index *index = scan(&preprocess);
    fov_status status = FOV_E_NOMEM;
    for (uint64_t n = 1; status != FOV_OK; n++) {
        fov_statistics s;
        fov_mem_fail_at(n, 0);
        status = fov_statistics_measure(&s, index, &preprocess, 0, NULL, NULL, NULL);
        fov_mem_fail_at(0, 0);
        assert_true(status == FOV_OK || status == FOV_E_NOMEM);
        assert_true(status != FOV_OK || n > 5);
    }
    fov_index_free(index);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sums_are_right),
        cmocka_unit_test(flat_channels_are_told),
        cmocka_unit_test(bad_pictures_are_passed_over),
        cmocka_unit_test(out_of_memory),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
