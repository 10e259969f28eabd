/* Makes a very large tree of picture names:
 *
 *   make_names DIR FILES PER_FOLDER
 *
 * DIR/n00000000/n00000000_0000000.png ..., all of them hard links to a few tiny PNG files, as many names to a file as file systems allow.
 * DIR must not exist; remove it with rm -r. Names and folders are like ImageNet's. */
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "augment/image.h"

#define LINKS_PER_FILE ((size_t)60000)

enum { SIDE = 8, PATH_BYTES = 4096 };

static int fail(const char *what, const char *path) {
    (void)fprintf(stderr, "make_names: cannot %s %s: %s\n", what, path, strerror(errno));
    return 1;
}

static int make_seed(const char *path, size_t number) {
    uint8_t pixels[SIDE * SIDE * 3];
    for (size_t i = 0; i < sizeof pixels; i++) {
        pixels[i] = (uint8_t)(i * 7 + number * 13);
    }
    if (fov_image_write_png(path, pixels, SIDE, SIDE, (fov_pixel_format){0}) != FOV_OK) {
        (void)fprintf(stderr, "make_names: %s\n", fov_last_error());
        return 1;
    }
    return 0;
}

int main(int argc, char **argv) {
    const size_t files = argc == 4 ? strtoul(argv[2], NULL, 10) : 0, per_folder = argc == 4 ? strtoul(argv[3], NULL, 10) : 0;
    if (files == 0 || per_folder == 0 || strlen(argv[1]) > PATH_BYTES / 2) {
        (void)fprintf(stderr, "usage: make_names DIR FILES PER_FOLDER\n");
        return 2;
    }
    char folder[PATH_BYTES], path[PATH_BYTES], seed[PATH_BYTES] = "";
    if (mkdir(argv[1], 0755) != 0) {
        return fail("make", argv[1]);
    }
    for (size_t i = 0; i < files; i++) {
        if (i % per_folder == 0) {
            (void)snprintf(folder, sizeof folder - 64, "%s/n%08zu", argv[1], i / per_folder);
            if (mkdir(folder, 0755) != 0) {
                return fail("make", folder);
            }
        }
        (void)snprintf(path, sizeof path, "%.4000s/n%08zu_%07zu.png", folder, i / per_folder, i);
        if (i % LINKS_PER_FILE == 0) {
            memcpy(seed, path, sizeof seed);
            if (make_seed(seed, i / LINKS_PER_FILE) != 0) {
                return 1;
            }
        } else if (link(seed, path) != 0) {
            return fail("link", path);
        }
    }
    return 0;
}
