/* Uncompressed TIFF files for tests: in strips or tiles, interleaved or plane by plane, of either order of bytes. */
#ifndef FOV_TESTS_TIFF_CASE_H
#define FOV_TESTS_TIFF_CASE_H

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

typedef struct tiff_case {
    const uint8_t *pixels; /* interleaved; samples of 16 bits as this machine has them */
    size_t width, height, planes, bits, orientation;
    size_t block_width, block_height; /* of tiles, multiples of 16; block_width 0: of strips, of block_height rows */
    bool separate, big;               /* a plane after the other; bytes the most significant first */
} tiff_case;

typedef struct tiff_writer {
    const tiff_case *t;
    uint8_t *bytes;
    size_t size;
} tiff_writer;

static void tiff_put(tiff_writer *w, size_t value, size_t bytes) {
    for (size_t k = 0; k < bytes; k++) {
        w->bytes[w->size++] = (uint8_t)(value >> 8 * (w->t->big ? bytes - 1 - k : k));
    }
}

static void tiff_tag(tiff_writer *w, unsigned tag, unsigned type, size_t count, size_t value) {
    tiff_put(w, tag, 2);
    tiff_put(w, type, 2);
    tiff_put(w, count, 4);
    const bool small = type == 3 && count == 1;
    tiff_put(w, value, small ? 2 : 4);
    tiff_put(w, 0, small ? 2 : 0);
}

/* The samples of a block, those outside of the picture 0; strips end where it does. */
static size_t tiff_block(tiff_writer *w, size_t x, size_t y, size_t plane, size_t width, size_t height) {
    const tiff_case *t = w->t;
    const size_t begun = w->size, sample = t->bits / 8, planes = t->separate ? 1 : t->planes;
    for (size_t r = y; r < y + height && (t->block_width > 0 || r < t->height); r++) {
        for (size_t i = 0; i < width * planes; i++) {
            const size_t column = x + i / planes, at = (r * t->width + column) * t->planes + plane + i % planes;
            uint16_t value = 0;
            if (column < t->width && r < t->height) {
                sample == 2 ? (void)memcpy(&value, t->pixels + 2 * at, 2) : (void)(value = t->pixels[at]);
            }
            tiff_put(w, value, sample);
        }
    }
    return w->size - begun;
}

/* The file, which the caller frees; NULL when out of memory. */
static inline uint8_t *tiff_make(const tiff_case *t, size_t *size) {
    const size_t width = t->block_width > 0 ? t->block_width : t->width, height = t->block_height;
    const size_t across = (t->width + width - 1) / width, down = (t->height + height - 1) / height, layers = t->separate ? t->planes : 1;
    const size_t count = across * down * layers, tags = t->block_width > 0 ? 12 : 11, data = 8 + 2 + 12 * tags + 4;
    const size_t pixels = across * width * down * height * t->planes * (t->bits / 8);
    tiff_writer w = {.t = t, .bytes = malloc(data + 8 * count + pixels)};
    uint32_t *const table = malloc(2 * count * sizeof *table); /* of offsets, then of sizes */
    if (w.bytes == NULL || table == NULL) {
        free(table);
        free(w.bytes);
        return NULL;
    }
    w.size = data + 8 * count;
    for (size_t b = 0; b < count; b++) {
        table[b] = (uint32_t)w.size;
        table[count + b] = (uint32_t)tiff_block(&w, b % across * width, b / across % down * height, b / (across * down), width, height);
    }
    const size_t end = w.size;
    w.size = data;
    for (size_t k = 0; k < 2 * count; k++) {
        tiff_put(&w, table[k], 4);
    }
    w.size = 0;
    tiff_put(&w, t->big ? 0x4D4D : 0x4949, 2);
    tiff_put(&w, 42, 2);
    tiff_put(&w, 8, 4);
    tiff_put(&w, tags, 2);
    tiff_tag(&w, 256, 4, 1, t->width);
    tiff_tag(&w, 257, 4, 1, t->height);
    tiff_tag(&w, 258, 3, 1, t->bits); /* of all planes alike, which readers take */
    tiff_tag(&w, 259, 3, 1, 1);
    tiff_tag(&w, 262, 3, 1, t->planes == 3 ? 2 : 1);
    const size_t offsets = count == 1 ? table[0] : data, sizes = count == 1 ? table[1] : data + 4 * count;
    if (t->block_width == 0) {
        tiff_tag(&w, 273, 4, count, offsets);
    }
    tiff_tag(&w, 274, 3, 1, t->orientation);
    tiff_tag(&w, 277, 3, 1, t->planes);
    if (t->block_width == 0) {
        tiff_tag(&w, 278, 4, 1, height);
        tiff_tag(&w, 279, 4, count, sizes);
    }
    tiff_tag(&w, 284, 3, 1, t->separate ? 2 : 1);
    if (t->block_width > 0) {
        tiff_tag(&w, 322, 4, 1, width);
        tiff_tag(&w, 323, 4, 1, height);
        tiff_tag(&w, 324, 4, count, offsets);
        tiff_tag(&w, 325, 4, count, sizes);
    }
    tiff_put(&w, 0, 4);
    free(table);
    *size = end;
    return w.bytes;
}

#endif
