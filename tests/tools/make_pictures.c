/* Makes a labelled folder of small PNG pictures for end-to-end tests:
 *
 *   make_pictures DIR CLASSES PER_CLASS SIZE SEED [CHANNELS [BITS]]
 *
 * DIR/CLASS/0000.png ..., with DIR made as needed. Classes differ in colour, each picture has a disc of its class's colour at a place of its own
 * on a noisy grey ground. CHANNELS 1 to 4 (3 if not given) and BITS 8 or 16: the planes are red, green, blue and the opposite of red. The same
 * arguments give the same bytes. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "augment/image.h"
#include "base/io.h"
#include "base/rng.h"

static const struct {
    const char *name;
    uint8_t rgb[3];
} kinds[] = {
    {"amber", {230, 160, 20}}, {"blue", {30, 60, 220}},   {"crimson", {200, 20, 50}}, {"green", {20, 170, 60}},
    {"olive", {120, 120, 20}}, {"purple", {130, 30, 170}}, {"teal", {20, 150, 150}},   {"white", {245, 245, 245}},
};

static void put(uint8_t *pixels, size_t at, bool deep, double value) {
    const double inside = value < 0.0 ? 0.0 : value > 255.0 ? 255.0 : value;
    if (deep) {
        ((uint16_t *)(void *)pixels)[at] = (uint16_t)(inside * 257.0);
    } else {
        pixels[at] = (uint8_t)inside;
    }
}

static void draw(uint8_t *pixels, size_t size, fov_pixel_format format, const uint8_t rgb[3], fov_rng *rng) {
    const double level[4] = {(double)rgb[0], (double)rgb[1], (double)rgb[2], 255.0 - (double)rgb[0]};
    const double s = (double)size;
    const double x0 = fov_rng_range(rng, 0.3 * s, 0.7 * s), y0 = fov_rng_range(rng, 0.3 * s, 0.7 * s);
    const double radius = fov_rng_range(rng, 0.2 * s, 0.35 * s);
    for (size_t y = 0; y < size; y++) {
        for (size_t x = 0; x < size; x++) {
            const double dx = (double)x - x0, dy = (double)y - y0;
            const int inside = dx * dx + dy * dy < radius * radius;
            for (size_t c = 0; c < format.channels; c++) {
                put(pixels, (y * size + x) * format.channels + c, format.deep, (inside ? level[c] : 128.0) + 25.0 * fov_rng_normal(rng));
            }
        }
    }
}

static fov_status make_class(const char *dir, size_t kind, size_t count, size_t size, uint64_t seed, fov_pixel_format format) {
    fov_status status = FOV_OK;
    char *folder = fov_path_join(dir, kinds[kind].name);
    uint8_t *pixels = fov_mem_array(FOV_MEM_IMAGE, size * size, fov_pixel_bytes(format));
    if (folder == NULL || pixels == NULL) {
        status = FOV_E_NOMEM;
        goto done;
    }
    FOV_TRY_GOTO(status, done, fov_io_mkdir(folder, true));
    for (size_t i = 0; i < count && status == FOV_OK; i++) {
        char name[32];
        (void)snprintf(name, sizeof name, "%04zu.png", i);
        char *path = fov_path_join(folder, name);
        fov_rng rng;
        fov_rng_init(&rng, seed, kind, i, 0, FOV_RNG_TEST);
        draw(pixels, size, format, kinds[kind].rgb, &rng);
        status = path == NULL ? FOV_E_NOMEM : fov_image_write_png(path, pixels, size, size, format);
        fov_mem_free(path);
    }
done:
    fov_mem_free(folder);
    fov_mem_free(pixels);
    return status;
}

int main(int argc, char **argv) {
    if (argc < 6 || argc > 8) {
        (void)fprintf(stderr, "usage: make_pictures DIR CLASSES PER_CLASS SIZE SEED [CHANNELS [BITS]]\n");
        return 2;
    }
    const size_t classes = strtoul(argv[2], NULL, 10), count = strtoul(argv[3], NULL, 10), size = strtoul(argv[4], NULL, 10);
    if (classes < 1 || classes > sizeof kinds / sizeof kinds[0] || count > 9999 || size < 1 || size > 4096) {
        (void)fprintf(stderr, "make_pictures: 1 to %zu classes, at most 9999 pictures each, of 1 to 4096 px\n", sizeof kinds / sizeof kinds[0]);
        return 2;
    }
    const fov_pixel_format format = {.channels = argc > 6 ? strtoul(argv[6], NULL, 10) : 3, .deep = argc > 7 && strtoul(argv[7], NULL, 10) == 16};
    if (format.channels < 1 || format.channels > 4) {
        (void)fprintf(stderr, "make_pictures: 1 to 4 channels\n");
        return 2;
    }
    for (size_t kind = 0; kind < classes; kind++) {
        if (make_class(argv[1], kind, count, size, strtoull(argv[5], NULL, 10), format) != FOV_OK) {
            (void)fprintf(stderr, "make_pictures: %s\n", fov_last_error());
            return 1;
        }
    }
    return 0;
}
