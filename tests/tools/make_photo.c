/* Makes one large JPEG file of waves and noise, for tests of memory: make_photo FILE WIDTH HEIGHT. The same arguments give the same bytes.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "augment/image.h"

int main(int argc, char **argv) {
    if (argc != 4) {
        (void)fprintf(stderr, "usage: make_photo FILE WIDTH HEIGHT\n");
        return 2;
    }
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
    const fov_status status = fov_image_write_jpeg(argv[1], pixels, width, height, 3, 85);
    free(pixels);
    if (status != FOV_OK) {
        (void)fprintf(stderr, "make_photo: %s\n", fov_last_error());
    }
    return status == FOV_OK ? 0 : 1;
}
