/* Decoded pictures in memory: batches are the same bits with and without, whatever the format and whether photos may be decoded smaller;
 * and decoding smaller does change bits, which shows that it happens. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/hash.h"
#include "base/io.h"
#include "data/loader.h"
#include "folder_case.h"

#define PICTURES 9
#define BATCH 4
#define STEPS 7 /* three epochs: pictures are met again */

static void require(fov_status status) {
    if (status != FOV_OK) {
        fail_msg("%s: %s (%s)", fov_status_name(status), fov_last_error(), fov_last_trail());
    }
}

static size_t scale = 1; /* of the pictures */

/* Photos, or PNG where a format is given, of scale times 150 x (90 + i). */
static fov_index *make_pictures(const char *name, fov_pixel_format format, bool photos) {
    fov_index *index = NULL;
    char dir[500], path[600];
    (void)snprintf(dir, sizeof dir, "%s/%s", folder, name);
    require(fov_io_mkdir(dir, true));
    const size_t width = scale * 150, most = width * scale * 100;
    uint8_t *pixels = fov_mem_array(FOV_MEM_IMAGE, most, fov_pixel_bytes(format));
    assert_non_null(pixels);
    for (size_t i = 0; i < PICTURES; i++) {
        const size_t height = scale * (90 + i);
        for (size_t k = 0; k < most * fov_pixel_bytes(format); k++) {
            pixels[k] = (uint8_t)(k * (i + 3) / 11 + k % 97 + i * 11);
        }
        (void)snprintf(path, sizeof path, "%s/%zu.%s", dir, i, photos ? "jpg" : "png");
        require(photos ? fov_image_write_jpeg(path, pixels, width, height, 3, 90)
                       : fov_image_write_png(path, pixels, width, height, format));
    }
    fov_mem_free(pixels);
    const char *root = dir;
    const fov_scan_options options = {.decode.format = format, .verify = true};
    require(fov_index_scan(&index, &root, 1, &options, NULL));
    assert_int_equal(fov_index_count(index), PICTURES);
    return index;
}

static const char *text = "crop(16,0.2,1,bicubic) flip(0.5) | crop(8,0.5,1,bilinear)";

static uint64_t run(const fov_index *index, fov_pixel_format format, bool shrink, size_t cache_bytes, unsigned threads, size_t *bytes) {
    fov_recipe recipe;
    fov_loader *loader = NULL;
    uint64_t hash = 0;
    require(fov_recipe_parse(text, &recipe));
    const fov_loader_options options = {.batch_size = BATCH,
                                        .threads = threads,
                                        .seed = 3,
                                        .last_step = STEPS,
                                        .decode.format = format,
                                        .shrink = shrink,
                                        .max_bad = 1.0,
                                        .cache = cache_bytes > 0,
                                        .cache_bytes = cache_bytes};
    require(fov_loader_new(&loader, index, &recipe, &options));
    for (uint64_t step = 0; step < STEPS; step++) {
        const fov_batch *batch = NULL;
        require(fov_loader_next(loader, &batch));
        assert_non_null(batch);
        for (size_t v = 0; v < recipe.view_count; v++) {
            const size_t side = recipe.view[v].image_size;
            hash = fov_hash64(batch->view[v], BATCH * side * side * fov_pixel_bytes(format), hash);
        }
        fov_loader_give_back(loader, batch);
    }
    *bytes = fov_loader_get_stats(loader).bytes;
    fov_loader_free(loader);
    return hash;
}

static uint64_t check(const fov_index *index, fov_pixel_format format, bool shrink) {
    size_t ring = 0, bytes = 0;
    const size_t needs = fov_loader_cache_needs(index, format);
    const uint64_t plain = run(index, format, shrink, 0, 1, &ring);
    assert_true(run(index, format, shrink, needs - 1, 2, &bytes) == plain); /* does not fit */
    assert_int_equal(bytes, ring);
    for (unsigned threads = 1; threads <= 3; threads++) {
        assert_true(run(index, format, shrink, needs, threads, &bytes) == plain);
        assert_true(bytes - ring <= needs && (shrink || bytes > ring));
    }
    return plain;
}

static void batches_do_not_depend_on_the_cache(void **state) {
    (void)state;
    static const fov_pixel_format formats[] = {{3, false}, {1, false}, {4, false}, {2, true}};
    for (size_t f = 0; f < 4; f++) {
        char name[32];
        (void)snprintf(name, sizeof name, "format-%zu", f);
        fov_index *index = make_pictures(name, formats[f], false);
        size_t needs = 0;
        for (size_t i = 0; i < PICTURES; i++) {
            needs += 150 * (90 + i) * fov_pixel_bytes(formats[f]);
        }
        assert_int_equal(fov_loader_cache_needs(index, formats[f]), needs);
        assert_true(check(index, formats[f], false) == check(index, formats[f], true)); /* PNG does not shrink */
        fov_index_free(index);
    }
}

static void photos_may_shrink(void **state) {
    (void)state;
    fov_index *index = make_pictures("photos", (fov_pixel_format){0}, true);
    assert_true(check(index, (fov_pixel_format){0}, false) != check(index, (fov_pixel_format){0}, true));
    fov_index_free(index);
}

/* Photos cut near their end after the scan: views from above the damage are made of them with a cache as without. */
static void damage_does_not_depend_on_the_cache(void **state) {
    (void)state;
    fov_index *index = make_pictures("cut", (fov_pixel_format){0}, true);
    for (size_t i = 0; i < PICTURES; i += 2) {
        char path[600];
        fov_blob file;
        (void)snprintf(path, sizeof path, "%s/cut/%zu.jpg", folder, i);
        require(fov_io_read(path, 1 << 20, 0, &file));
        require(fov_io_write_atomic(path, file.data, file.size * 9 / 10));
        fov_blob_clear(&file);
    }
    text = "crop(16,0.05,0.1,bicubic)";
    (void)check(index, (fov_pixel_format){0}, false);
    fov_index_free(index);
}

/* What is too large for a frame comes in strips, but for the cache it is decoded whole. */
static void large_photos_come_in_strips(void **state) {
    (void)state;
    scale = 9;
    text = "2 * crop(16,0.5,1,bicubic) flip(0.5) gray(0.5) | crop(8,0.9,1,bilinear)";
    fov_index *index = make_pictures("large", (fov_pixel_format){0}, true);
    (void)check(index, (fov_pixel_format){0}, false);
    fov_index_free(index);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(batches_do_not_depend_on_the_cache), cmocka_unit_test(photos_may_shrink),
                                       cmocka_unit_test(damage_does_not_depend_on_the_cache),
                                       cmocka_unit_test(large_photos_come_in_strips)};
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
