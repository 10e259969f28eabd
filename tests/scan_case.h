/* Trees of files for tests of scanning and reading: a scratch folder per test, pictures, things that are none, and what is said of them. */
#ifndef FOV_TESTS_SCAN_CASE_H
#define FOV_TESTS_SCAN_CASE_H

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
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/io.h"
#include "data/index.h"

#define PATH_BYTES 512

static char top[PATH_BYTES / 2]; /* scratch folder of this process */

static int remove_one(const char *path, const struct stat *info, int type, struct FTW *walk) {
    (void)info;
    (void)type;
    (void)walk;
    return remove(path);
}

static void remove_tree(const char *path) {
    (void)nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static inline const char *at(const char *name) {
    static char paths[4][PATH_BYTES];
    static unsigned next;
    char *path = paths[next++ % 4];
    (void)snprintf(path, PATH_BYTES, "%s/%s", top, name);
    return path;
}

static inline const char *path_of(const fov_index *index, size_t i) {
    static char paths[4][PATH_BYTES];
    static unsigned next;
    char *path = paths[next++ % 4];
    fov_text text;
    fov_text_init(&text);
    fov_index_path(index, i, &text);
    assert_int_equal(text.status, FOV_OK);
    (void)snprintf(path, PATH_BYTES, "%s", text.data);
    fov_text_clear(&text);
    return path;
}

static inline void make_dir(const char *name) {
    assert_int_equal(fov_io_mkdir(at(name), true), FOV_OK);
}

static inline void make_file(const char *name, const void *bytes, size_t size) {
    const int file = open(at(name), O_CREAT | O_TRUNC | O_WRONLY, 0644);
    assert_true(file >= 0);
    assert_int_equal(write(file, bytes, size), size);
    assert_int_equal(close(file), 0);
}

static inline void make_text(const char *name, const char *text) {
    make_file(name, text, strlen(text));
}

/* Noise that the size and the name decide, so that its file is large. The caller frees. */
static inline uint8_t *noise(const char *name, size_t width, size_t height) {
    uint8_t *pixels = malloc(width * height * 3);
    assert_non_null(pixels);
    uint32_t x = (uint32_t)(width * 31 + height + strlen(name));
    for (size_t i = 0; i < width * height * 3; i++) {
        x = x * 1664525u + 1013904223u;
        pixels[i] = (uint8_t)(x >> 24);
    }
    return pixels;
}

static inline void make_picture(const char *name, size_t width, size_t height) {
    uint8_t *pixels = noise(name, width, height);
    assert_int_equal(fov_image_write_png(at(name), pixels, width, height, (fov_pixel_format){0}), FOV_OK);
    free(pixels);
}

static int setup(void **state) {
    (void)state;
    static unsigned run;
    (void)snprintf(top, sizeof top, "%s/scan-%ld-%u", FOV_TEST_TEMP, (long)getpid(), run++);
    remove_tree(top);
    return fov_io_mkdir(top, true) == FOV_OK ? 0 : 1;
}

static int teardown(void **state) {
    (void)state;
    fov_io_fail_at("any", 0, false, 0);
    remove_tree(top);
    return fov_mem_stats_tag(FOV_MEM_DATA).live_blocks == 0 ? 0 : 1;
}

static inline fov_status scan(fov_index **index, const char *root, const fov_scan_options *options) {
    return fov_index_scan(index, &root, 1, options, NULL);
}

static inline void assert_message(const char *part) {
    if (strstr(fov_last_error(), part) == NULL) {
        fail_msg("expected '%s' in '%s'", part, fov_last_error());
    }
}

static inline const fov_bad_file *bad_named(const fov_index *index, const char *name) {
    for (size_t i = 0; i < fov_index_bad_count(index); i++) {
        if (strcmp(fov_path_base(fov_index_bad(index, i)->path), name) == 0) {
            return fov_index_bad(index, i);
        }
    }
    fail_msg("'%s' is not among the bad files", name);
    return NULL;
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

#endif
