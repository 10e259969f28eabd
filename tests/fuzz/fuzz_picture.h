/* What the fuzz targets of picture formats have in common: arbitrary bytes, up to 1 Mpx, decoded strictly and leniently, whole, in part and
 * in strips, in a format, shrink and place that the last bytes choose (what follows the end of a picture belongs to no codec). */
#ifndef FOV_TESTS_FUZZ_PICTURE_H
#define FOV_TESTS_FUZZ_PICTURE_H

#include <stdlib.h>
#include <string.h>

#include "../strip_case.h"
#include "augment/image.h"

static void demand(bool condition) {
    if (!condition) {
        abort();
    }
}

typedef struct fuzz_choice {
    uint64_t bits;
} fuzz_choice;

static size_t choose(fuzz_choice *c, size_t n) {
    c->bits = c->bits * 6364136223846793005u + 1442695040888963407u;
    return (size_t)(c->bits >> 33) % n;
}

static fuzz_choice choice_of(const uint8_t *data, size_t size) {
    fuzz_choice c = {.bits = size};
    for (size_t i = size > 8 ? size - 8 : 0; i < size; i++) {
        c.bits = (c.bits ^ data[i]) * 0x100000001B3u;
    }
    return c;
}

static fov_decode_options choose_options(fuzz_choice *c) {
    static const uint8_t channels[] = {3, 3, 3, 1, 2, 4, 5, 32};
    fov_decode_options options = {.max_pixels = (size_t)1 << 20};
    options.format.channels = channels[choose(c, sizeof channels)];
    options.format.deep = choose(c, 3) == 0;
    options.alpha = (fov_alpha)choose(c, 3);
    options.keep_orientation = choose(c, 2) == 0;
    options.lenient = choose(c, 3) == 0;
    return options;
}

static void choose_range(fuzz_choice *c, size_t n, size_t *start, size_t *length) {
    const size_t a = choose(c, n), b = choose(c, n);
    *start = a < b ? a : b;
    *length = (a < b ? b - a : a - b) + 1;
}

/* The part must be that part of the whole picture. */
static void compare_part(const fov_image *whole, const fov_image *part) {
    const size_t pixel = fov_pixel_bytes(fov_image_format(part));
    demand(whole->shrink == part->shrink && whole->channels == part->channels && whole->deep == part->deep);
    demand(part->left + part->width <= whole->width && part->top + part->height <= whole->height);
    for (size_t y = 0; y < part->height; y++) {
        const uint8_t *const row = whole->pixels + ((part->top + y) * whole->width + part->left) * pixel;
        demand(memcmp(row, part->pixels + y * part->width * pixel, part->width * pixel) == 0);
    }
}

/* The part once more, where its rows may be of planes; NULL: it could not be read. */
static void fuzz_planes(fov_decoder *decoder, const uint8_t *data, size_t size, const fov_decode_options *options, fov_decode_part part,
                        const fov_image *image) {
    static fov_image planes;
    fov_image_info info;
    part.planar = true;
    demand(fov_decoder_open(decoder, data, size, options, &info) == FOV_OK);
    demand((fov_decoder_read(decoder, &part, &planes) == FOV_OK) == (image != NULL));
    if (image == NULL) {
        return;
    }
    const size_t width = image->width, channels = image->channels, sample = image->deep ? 2 : 1, row = width * channels;
    demand(planes.width == width && planes.height == image->height && planes.channels == channels && !image->planar);
    for (size_t i = 0; i < row * image->height; i++) {
        const size_t at = i % row, from = planes.planar ? i - at + at % channels * width + at / channels : i;
        demand(memcmp(image->pixels + i * sample, planes.pixels + from * sample, sample) == 0);
    }
}

/* What is whole gives each of its parts. A part of a damaged file may be whole, or in lenient mode have nothing. */
static void fuzz_part(fov_decoder *decoder, const uint8_t *data, size_t size, fov_image *whole, fov_image *image) {
    fuzz_choice c = choice_of(data, size);
    const fov_decode_options options = choose_options(&c);
    fov_decode_part part = {.shrink = 1u << choose(&c, 4)};
    fov_image_info info;
    if (fov_decoder_open(decoder, data, size, &options, &info) != FOV_OK) {
        return;
    }
    const bool good = fov_decoder_read(decoder, &part, whole) == FOV_OK;
    demand(fov_decoder_open(decoder, data, size, &options, &info) == FOV_OK);
    choose_range(&c, info.width, &part.left, &part.width);
    choose_range(&c, info.height, &part.top, &part.height);
    const bool part_good = fov_decoder_read(decoder, &part, image) == FOV_OK;
    demand(part_good || !good || options.lenient);
    if (good && part_good) {
        compare_part(whole, image);
    }
    fuzz_planes(decoder, data, size, &options, part, part_good ? image : NULL);
    static strip_case strips;
    const fov_image nothing = {0};
    strips.spare = fov_image_by_pieces(info.kind) ? (size_t[]){0, 1, 30, 3000}[choose(&c, 4)] : 0;
    const bool strips_good = strip_read(&strips, decoder, data, size, &options, &part, part_good ? image : &nothing) == FOV_OK;
    /* libjpeg has two ways to read codes, of which it takes the slower one for the last codes that it has in memory. They differ on damaged
     * data: one may refuse what the other accepts, and where both go on they may give other coefficients. Pieces are read by the slower. */
    const bool damaged = !part_good || !strips_good || !good, otherwise = info.kind == FOV_IMAGE_JPEG && strips.spare > 0 && damaged;
    demand(otherwise || (strips_good == part_good && !(part_good && strips.wrong)));
}

static void compare(fov_decoder *decoder, const uint8_t *data, size_t size, fov_decode_options options, const fov_image *strict,
                    fov_image *other) {
    fov_image_info info;
    demand(fov_image_probe(decoder, data, size, &options, &info) == FOV_OK);
    demand(info.width == strict->width && info.height == strict->height);
    options.lenient = true;
    demand(fov_image_decode(decoder, data, size, &options, other) == FOV_OK);
    demand(other->width == strict->width && other->height == strict->height);
    demand(memcmp(other->pixels, strict->pixels, strict->width * strict->height * 3) == 0);
}

/* The verdict without pixels is that with them. */
static bool sound(fov_decoder *decoder, const uint8_t *data, size_t size, const fov_decode_options *options) {
    fov_image_info info;
    return fov_decoder_open(decoder, data, size, options, &info) == FOV_OK && fov_decoder_check(decoder) == FOV_OK;
}

/* No crash, no hang, and strict, lenient and probe agree where the strict decoder accepts. Bytes of another kind are passed over. */
static int fuzz_picture(fov_image_kind kind, const uint8_t *data, size_t size) {
    static fov_decoder *decoder; /* kept: errors must leave it usable */
    static fov_image image, other;
    fov_decode_options options = {.max_pixels = (size_t)1 << 20};
    if (fov_image_sniff(data, size) != kind) {
        return 0;
    }
    demand(decoder != NULL || fov_decoder_new(&decoder) == FOV_OK);
    const bool good = sound(decoder, data, size, &options);
    demand(good == (fov_image_decode(decoder, data, size, &options, &image) == FOV_OK));
    if (good) {
        compare(decoder, data, size, options, &image, &other);
    } else {
        options.lenient = true;
        options.alpha = FOV_ALPHA_DROP;
        (void)!fov_image_decode(decoder, data, size, &options, &other);
    }
    fuzz_part(decoder, data, size, &image, &other);
    return 0;
}

#endif
