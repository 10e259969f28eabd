/* Makes one large file of waves and noise, for tests of memory: make_photo FILE WIDTH HEIGHT. FILE.tif is an uncompressed TIFF in one
 * strip, all others are JPEG. The same arguments give the same bytes. Ends with 77 for a TIFF that this build would not read. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "augment/image.h"
#include "tests/tiff_case.h"

static int write_tiff(const char *path, const uint8_t *pixels, size_t width, size_t height) {
    const tiff_case t = {
        .pixels = pixels, .width = width, .height = height, .planes = 3, .bits = 8, .orientation = 1, .block_height = height};
    size_t size = 0;
    uint8_t *const bytes = tiff_make(&t, &size);
    FILE *const file = bytes == NULL ? NULL : fopen(path, "wb");
    const bool good = file != NULL && fwrite(bytes, 1, size, file) == size;
    const bool closed = file == NULL || fclose(file) == 0;
    free(bytes);
    if (!good || !closed) {
        perror("make_photo");
    }
    return good && closed ? 0 : 1;
}

int main(int argc, char **argv) {
    if (argc != 4) {
        (void)fprintf(stderr, "usage: make_photo FILE WIDTH HEIGHT\n");
        return 2;
    }
    const char *const end = strrchr(argv[1], '.');
    const bool tiff = end != NULL && strcmp(end, ".tif") == 0;
#ifndef FOV_HAVE_TIFF
    if (tiff) {
        return 77;
    }
#endif
    const size_t width = (size_t)strtoul(argv[2], NULL, 10), height = (size_t)strtoul(argv[3], NULL, 10);
    uint8_t *pixels = malloc(width * height * 3);
    if (pixels == NULL) {
        (void)fprintf(stderr, "make_photo: out of memory\n");
        return 1;
    }
    uint32_t random = 1;
    for (size_t i = 0; i < width * height; i++) {
        random = random * 1664525u + 1013904223u;
        for (size_t c = 0; c < 3; c++) {
            pixels[3 * i + c] = (uint8_t)((i % width / 7 + i / width / 5 + 60 * c) % 200 + (random >> 28));
        }
    }
    if (tiff) {
        const int result = write_tiff(argv[1], pixels, width, height);
        free(pixels);
        return result;
    }
    const fov_status status = fov_image_write_jpeg(argv[1], pixels, width, height, 3, 85);
    free(pixels);
    if (status != FOV_OK) {
        (void)fprintf(stderr, "make_photo: %s\n", fov_last_error());
    }
    return status == FOV_OK ? 0 : 1;
}
