/* Makes a labelled folder of small PNG pictures for end-to-end tests:
 *
 *   make_pictures DIR CLASSES PER_CLASS SIZE SEED
 *
 * DIR/CLASS/0000.png ..., with DIR made as needed. Classes differ in colour, each picture has a disc of its class's colour at a place of its own
 * on a noisy grey ground. The same arguments give the same bytes. */
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

static void draw(uint8_t *pixels, size_t size, const uint8_t rgb[3], fov_rng *rng) {
    const double s = (double)size;
    const double x0 = fov_rng_range(rng, 0.3 * s, 0.7 * s), y0 = fov_rng_range(rng, 0.3 * s, 0.7 * s);
    const double radius = fov_rng_range(rng, 0.2 * s, 0.35 * s);
    for (size_t y = 0; y < size; y++) {
        for (size_t x = 0; x < size; x++) {
            const double dx = (double)x - x0, dy = (double)y - y0;
            const int inside = dx * dx + dy * dy < radius * radius;
            for (size_t c = 0; c < 3; c++) {
                const double value = (inside ? (double)rgb[c] : 128.0) + 25.0 * fov_rng_normal(rng);
                pixels[(y * size + x) * 3 + c] = (uint8_t)(value < 0.0 ? 0.0 : value > 255.0 ? 255.0 : value);
            }
        }
    }
}

static fov_status make_class(const char *dir, size_t kind, size_t count, size_t size, uint64_t seed) {
    fov_status status = FOV_OK;
    char *folder = fov_path_join(dir, kinds[kind].name);
    uint8_t *pixels = fov_mem_array(FOV_MEM_IMAGE, size * size, 3);
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
        draw(pixels, size, kinds[kind].rgb, &rng);
        status = path == NULL ? FOV_E_NOMEM : fov_image_write_png(path, pixels, size, size, (fov_pixel_format){0});
        fov_mem_free(path);
    }
done:
    fov_mem_free(folder);
    fov_mem_free(pixels);
    return status;
}

int main(int argc, char **argv) {
    if (argc != 6) {
        (void)fprintf(stderr, "usage: make_pictures DIR CLASSES PER_CLASS SIZE SEED\n");
        return 2;
    }
    const size_t classes = strtoul(argv[2], NULL, 10), count = strtoul(argv[3], NULL, 10), size = strtoul(argv[4], NULL, 10);
    if (classes < 1 || classes > sizeof kinds / sizeof kinds[0] || count > 9999 || size < 1 || size > 4096) {
        (void)fprintf(stderr, "make_pictures: 1 to %zu classes, at most 9999 pictures each, of 1 to 4096 px\n", sizeof kinds / sizeof kinds[0]);
        return 2;
    }
    for (size_t kind = 0; kind < classes; kind++) {
        if (make_class(argv[1], kind, count, size, strtoull(argv[5], NULL, 10)) != FOV_OK) {
            (void)fprintf(stderr, "make_pictures: %s\n", fov_last_error());
            return 1;
        }
    }
    return 0;
}
