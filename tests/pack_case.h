/* What tests of packs share: a scratch folder, noisy pictures, and files read, changed and put back. */
#ifndef FOV_TESTS_PACK_CASE_H
#define FOV_TESTS_PACK_CASE_H

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "augment/image.h"
#include "base/io.h"
#include "base/rng.h"

#define PATH_BYTES 512

static char top[PATH_BYTES / 2]; /* scratch folder of this process */

static int remove_one(const char *path, const struct stat *info, int type, struct FTW *walk) {
    (void)info, (void)type, (void)walk;
    return remove(path);
}

static void remove_tree(const char *path) {
    (void)nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static const char *at(const char *name) {
    static char paths[8][PATH_BYTES];
    static unsigned next;
    char *path = paths[next++ % 8];
    (void)snprintf(path, PATH_BYTES, "%s/%s", top, name);
    return path;
}

static int setup(void **state) {
    (void)state;
    static unsigned run;
    (void)snprintf(top, sizeof top, "%s/pack-%ld-%u", FOV_TEST_TEMP, (long)getpid(), run++);
    remove_tree(top);
    return fov_io_mkdir(top, true) == FOV_OK ? 0 : 1;
}

static int teardown(void **state) {
    (void)state;
    fov_io_fail_at("any", 0, false, 0);
    fov_mem_fail_at(0, 0);
    remove_tree(top);
    return fov_mem_stats_all().live_blocks == 0 ? 0 : 1;
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

static void assert_message(const char *part) {
    if (strstr(fov_last_error(), part) == NULL) {
        fail_msg("expected '%s' in '%s'", part, fov_last_error());
    }
}

/* Pixels that no other picture has. The caller frees. */
static uint8_t *noise(size_t bytes, uint64_t number) {
    uint8_t *pixels = malloc(bytes);
    assert_non_null(pixels);
    fov_rng rng;
    fov_rng_init(&rng, 0, 0, number, 0, FOV_RNG_TEST);
    for (size_t i = 0; i < bytes; i++) {
        pixels[i] = (uint8_t)fov_rng_u32(&rng);
    }
    return pixels;
}

static void make_dir(const char *name) {
    assert_int_equal(fov_io_mkdir(at(name), true), FOV_OK);
}

/* A picture file of noise; JPEG where the name ends so. */
static void make_picture(const char *name, size_t width, size_t height) {
    uint8_t *pixels = noise(width * height * 3, width * 1000003 + height * 131 + strlen(name));
    const bool jpeg = strcmp(name + strlen(name) - 4, ".jpg") == 0;
    assert_int_equal(jpeg ? fov_image_write_jpeg(at(name), pixels, width, height, 3, 80)
                          : fov_image_write_png(at(name), pixels, width, height, (fov_pixel_format){.channels = 3}),
                     FOV_OK);
    free(pixels);
}

static fov_blob read_file(const char *path) {
    fov_blob blob;
    assert_int_equal(fov_io_read(path, 1 << 30, 1, &blob), FOV_OK);
    return blob;
}

/* Writes over a part of a file in place. */
static void write_at(const char *path, const void *bytes, size_t count, uint64_t offset) {
    const int file = open(path, O_WRONLY);
    assert_true(file >= 0);
    assert_int_equal(pwrite(file, bytes, count, (off_t)offset), count);
    assert_int_equal(close(file), 0);
}

static void make_file(const char *path, const void *bytes, size_t count) {
    const int file = open(path, O_CREAT | O_TRUNC | O_WRONLY, 0644);
    assert_true(file >= 0);
    assert_int_equal(write(file, bytes, count), count);
    assert_int_equal(close(file), 0);
}

#endif
