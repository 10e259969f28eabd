/* ctest: label=short timeout=120 */
/* The fast JPEG decoder against libjpeg: the same pixels and the same verdicts, whole and in part, good files and damaged ones; its loops
 * in each instruction set against the portable ones. Libjpeg is reached by asking for 16 bits, which the fast decoder does not give. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "augment/image.h"
#include "augment/pixels.h"
#include "base/io.h"
#include "base/rng.h"

static const char *const sets[] = {"avx2", "avx512", "avx512vnni"};
#define SETS (sizeof sets / sizeof sets[0])

static fov_rng rng;

static size_t below(size_t n) {
    return (size_t)fov_rng_below(&rng, n);
}

/* ---- loops ---- */

static void test_idct(void **state) {
    (void)state;
    static const int16_t zeros[64 * FOV_JPEG_GROUP];
    static int16_t coefficients[64 * FOV_JPEG_GROUP], taken[64 * FOV_JPEG_GROUP];
    uint16_t quant[64];
    uint8_t want[8 * 8 * FOV_JPEG_GROUP], have[8 * 8 * FOV_JPEG_GROUP];
    const fov_pixel_loops *c = fov_pixel_loops_named("c");
    for (size_t turn = 0; turn < 20000; turn++) {
        const size_t bits = below(16), chance = below(64) + 1; /* from flat to wild, from sparse to full */
        const size_t edge = turn % 3 == 0 ? 3 + below(3) : 8;  /* high frequencies are often all 0 */
        for (size_t i = 0; i < 64 * FOV_JPEG_GROUP; i++) {
            const bool first_row = i < 8 * FOV_JPEG_GROUP;
            const bool outside = i % 8 >= edge || i / (8 * FOV_JPEG_GROUP) >= edge;
            const bool zero = below(64) >= chance || outside || (turn % 4 == 0 && !first_row && i / 8 % FOV_JPEG_GROUP != 2);
            coefficients[i] = (int16_t)(zero ? 0 : (int32_t)below((size_t)2 << bits) - (1 << bits));
        }
        for (size_t i = 0; i < 64; i++) {
            quant[i] = (uint16_t)(below(turn % 2 == 0 ? 255 : 16) + 1);
        }
        memcpy(taken, coefficients, sizeof taken);
        c->pixel_idct(taken, quant, want, 8 * FOV_JPEG_GROUP);
        assert_memory_equal(taken, zeros, sizeof taken);
        for (size_t s = 0; s < SETS; s++) {
            const fov_pixel_loops *loops = fov_pixel_loops_named(sets[s]);
            if (loops != NULL) {
                memset(have, 0, sizeof have);
                memcpy(taken, coefficients, sizeof taken);
                loops->pixel_idct(taken, quant, have, 8 * FOV_JPEG_GROUP);
                assert_memory_equal(have, want, sizeof want);
                assert_memory_equal(taken, zeros, sizeof taken);
            }
        }
    }
}

static void test_chroma_and_color(void **state) {
    (void)state;
    enum { COUNT = 301 };
    uint8_t near[COUNT + 2 + FOV_JPEG_AHEAD] = {0}, far[COUNT + 2 + FOV_JPEG_AHEAD] = {0}, luma[COUNT];
    uint8_t want[2 * COUNT], have[2 * COUNT], want_rgb[3][COUNT], have_rgb[3][COUNT], want_out[3 * COUNT], have_out[3 * COUNT];
    uint8_t *const to_want[3] = {want_rgb[0], want_rgb[1], want_rgb[2]}, *const to_have[3] = {have_rgb[0], have_rgb[1], have_rgb[2]};
    int16_t sums[2][COUNT + 2 + FOV_JPEG_AHEAD], *const scratch[2] = {sums[0], sums[1]};
    const uint8_t *const chroma[4] = {near, far, far, near};
    const fov_pixel_loops *c = fov_pixel_loops_named("c");
    for (size_t turn = 0; turn < 2000; turn++) {
        for (size_t i = 0; i < COUNT + 2; i++) {
            near[i] = (uint8_t)below(256);
            far[i] = (uint8_t)below(256);
            luma[i % COUNT] = (uint8_t)below(256);
        }
        const size_t count = below(COUNT) + 1, second = below(2);
        for (size_t s = 0; s < SETS; s++) {
            const fov_pixel_loops *loops = fov_pixel_loops_named(sets[s]);
            if (loops == NULL) {
                continue;
            }
            memset(want_rgb, 0xA5, sizeof want_rgb);
            memset(have_rgb, 0xA5, sizeof have_rgb);
            c->pixel_ycc_h2v2(luma, chroma, second, count, scratch, to_want);
            loops->pixel_ycc_h2v2(luma, chroma, second, count, scratch, to_have);
            assert_memory_equal(have_rgb, want_rgb, sizeof want_rgb); /* and nothing behind a row */
            c->pixel_chroma_h2v1(near, count, want);
            loops->pixel_chroma_h2v1(near, count, have);
            assert_memory_equal(have, want, 2 * count);
            c->pixel_ycc(luma, near, far, count, to_want);
            loops->pixel_ycc(luma, near, far, count, to_have);
            assert_memory_equal(have_rgb, want_rgb, sizeof want_rgb);
            memset(want_out, 0xA5, sizeof want_out);
            memset(have_out, 0xA5, sizeof have_out);
            for (size_t i = 0; i < 3 * count; i++) {
                want_out[i] = want_rgb[i % 3][i / 3];
            }
            loops->pixel_join((const uint8_t *const *)to_have, count, have_out);
            assert_memory_equal(have_out, want_out, sizeof want_out);
        }
    }
}

/* All pairs of chroma. */
static void test_every_color(void **state) {
    (void)state;
    uint8_t luma[256], blue[256], red[256], want[3][256], have[3][256];
    uint8_t *const to_want[3] = {want[0], want[1], want[2]}, *const to_have[3] = {have[0], have[1], have[2]};
    for (size_t turn = 0; turn < 256; turn++) {
        for (size_t i = 0; i < 256; i++) {
            luma[i] = (uint8_t)below(256);
            blue[i] = (uint8_t)turn;
            red[i] = (uint8_t)i;
        }
        fov_pixel_loops_named("c")->pixel_ycc(luma, blue, red, 256, to_want);
        for (size_t s = 0; s < SETS; s++) {
            const fov_pixel_loops *loops = fov_pixel_loops_named(sets[s]);
            if (loops != NULL) {
                loops->pixel_ycc(luma, blue, red, 256, to_have);
                assert_memory_equal(have, want, sizeof want);
            }
        }
    }
}

/* ---- files ---- */

typedef struct pair {
    fov_decoder *fast, *slow;
    fov_image fast_image, slow_image;
} pair;

static void open_pair(pair *p, const char *set) {
    assert_int_equal(setenv("FOVEA_ISA", set, 1), 0);
    *p = (pair){0};
    assert_int_equal(fov_decoder_new(&p->fast), FOV_OK);
    assert_int_equal(fov_decoder_new(&p->slow), FOV_OK);
}

static void close_pair(pair *p) {
    fov_decoder_free(p->fast);
    fov_decoder_free(p->slow);
    fov_image_clear(&p->fast_image);
    fov_image_clear(&p->slow_image);
    assert_int_equal(unsetenv("FOVEA_ISA"), 0);
}

static bool same_pixels(const pair *p) {
    const fov_image *a = &p->fast_image, *b = &p->slow_image;
    const uint16_t *deep = (const uint16_t *)(const void *)b->pixels;
    if (a->width != b->width || a->height != b->height || a->left != b->left || a->top != b->top) {
        return false;
    }
    for (size_t i = 0; i < 3 * a->width * a->height; i++) {
        if (a->pixels[i] * 257 != deep[i]) {
            return false;
        }
    }
    return true;
}

/* Rows of planes have the samples of rows of pixels. */
static bool same_samples(const fov_image *planes, const fov_image *image) {
    const size_t width = image->width;
    bool same = planes->planar && !image->planar && planes->width == width && planes->height == image->height &&
                planes->left == image->left && planes->top == image->top;
    for (size_t i = 0; same && i < 3 * width * image->height; i++) {
        const size_t row = i / (3 * width) * (3 * width), x = i % (3 * width) / 3;
        same = planes->pixels[row + i % 3 * width + x] == image->pixels[i];
    }
    return same;
}

static fov_status decode(fov_decoder *decoder, const fov_blob *file, bool deep, const fov_decode_part *part, fov_image *image) {
    const fov_decode_options options = {.padding = file->padding, .format = {.channels = 3, .deep = deep}};
    fov_image_info info;
    fov_status status = fov_decoder_open(decoder, file->data, file->size, &options, &info);
    return status == FOV_OK ? fov_decoder_read(decoder, part, image) : status;
}

/* The verdict without pixels. */
static fov_status check(fov_decoder *decoder, const fov_blob *file) {
    const fov_decode_options options = {.padding = file->padding};
    fov_image_info info;
    fov_status status = fov_decoder_open(decoder, file->data, file->size, &options, &info);
    return status == FOV_OK ? fov_decoder_check(decoder) : status;
}

/* Both decoders agree on the verdict and, where it is good, on the pixels. */
static bool agree(pair *p, const fov_blob *file, const fov_decode_part *part, bool *good) {
    if (part == NULL && check(p->fast, file) != decode(p->fast, file, false, NULL, &p->fast_image)) {
        return false;
    }
    const fov_status fast = decode(p->fast, file, false, part, &p->fast_image), slow = decode(p->slow, file, true, part, &p->slow_image);
    *good = fast == FOV_OK;
    return fast == slow && (fast != FOV_OK || same_pixels(p));
}

static void make_picture(size_t width, size_t height, size_t channels, uint8_t *pixels) {
    const size_t roughness = below(64) + 1;
    for (size_t y = 0; y < height; y++) {
        for (size_t x = 0; x < width * channels; x++) {
            pixels[y * width * channels + x] = (uint8_t)(x * 3 + y * 5 + below(roughness) + (x / 40 % 2 == 0 ? 90 : 0));
        }
    }
}

static void random_file(fov_blob *file, size_t *width, size_t *height) {
    static uint8_t pixels[300 * 300 * 3];
    const size_t channels = below(4) == 0 ? 1 : 3;
    *width = 8 + below(290);
    *height = 8 + below(290);
    make_picture(*width, *height, channels, pixels);
    assert_int_equal(fov_image_encode_jpeg(pixels, *width, *height, channels, 1 + (int)below(100), file), FOV_OK);
}

static fov_decode_part random_part(size_t width, size_t height) {
    fov_decode_part part = {.width = 1 + below(width), .height = 1 + below(height)};
    part.left = below(width - part.width + 1);
    part.top = below(height - part.height + 1);
    return part;
}

static void test_files(void **state) {
    (void)state;
    for (size_t s = 0; s < SETS; s++) {
        pair p;
        open_pair(&p, sets[s]);
        for (size_t turn = 0; turn < 150; turn++) {
            fov_blob file;
            size_t width, height;
            bool good;
            random_file(&file, &width, &height);
            assert_true(agree(&p, &file, NULL, &good));
            assert_true(good);
            for (size_t i = 0; i < 6; i++) {
                const fov_decode_part part = random_part(width, height);
                assert_true(agree(&p, &file, &part, &good));
                assert_true(good);
                fov_decode_part planar = part;
                planar.planar = true;
                assert_int_equal(decode(p.slow, &file, false, &planar, &p.slow_image), FOV_OK);
                const bool fast = fov_pixel_loops_get()->jpeg && width >= 16 && height >= 16; /* the rest is libjpeg's */
                assert_true(fast ? same_samples(&p.slow_image, &p.fast_image) : !p.slow_image.planar);
            }
            fov_blob_clear(&file);
        }
        close_pair(&p);
    }
}

/* Who asks for planes and cannot have them gets pixels: of turned pictures, of files that libjpeg reads, and of other formats. */
static void test_no_planes(void **state) {
    (void)state;
    static const char *const names[] = {"exif8.jpg", "exif2.jpg", "420p.jpg", "cmyk.jpg", "rgb_le.tif"};
    pair p;
    open_pair(&p, sets[SETS - 1]);
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        char path[512];
        fov_blob file;
        (void)snprintf(path, sizeof path, "%s/tests/golden/images/%s", FOV_TEST_SOURCE, names[i]);
        assert_int_equal(fov_io_read(path, 1 << 24, FOV_DECODE_PADDING, &file), FOV_OK);
        const fov_decode_part planar = {.planar = true};
        assert_int_equal(decode(p.fast, &file, false, NULL, &p.fast_image), FOV_OK);
        assert_int_equal(decode(p.slow, &file, false, &planar, &p.slow_image), FOV_OK);
        assert_false(p.slow_image.planar);
        assert_int_equal(p.slow_image.width, p.fast_image.width);
        assert_memory_equal(p.slow_image.pixels, p.fast_image.pixels, 3 * p.fast_image.width * p.fast_image.height);
        fov_blob_clear(&file);
    }
    close_pair(&p);
}

/* Files of other samplings, with restarts, and of kinds that the fast decoder leaves to libjpeg. */
static void test_recorded(void **state) {
    (void)state;
    static const char *const names[] = {"420.jpg",  "422.jpg",  "444.jpg",  "440.jpg",  "411.jpg", "gray.jpg",
                                        "420r.jpg", "422r.jpg", "444r.jpg", "420p.jpg", "cmyk.jpg"};
    pair p;
    size_t seen = 0;
    open_pair(&p, sets[SETS - 1]);
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        char path[512];
        fov_blob file;
        bool good;
        (void)snprintf(path, sizeof path, "%s/tests/golden/images/%s", FOV_TEST_SOURCE, names[i]);
        if (fov_io_read(path, 1 << 24, FOV_DECODE_PADDING, &file) != FOV_OK) {
            continue;
        }
        seen++;
        assert_true(agree(&p, &file, NULL, &good));
        for (size_t k = 0; k < 50 && good; k++) {
            const fov_decode_part part = random_part(p.fast_image.full_width > 0 ? p.fast_image.full_width : p.fast_image.width,
                                                     p.fast_image.full_height > 0 ? p.fast_image.full_height : p.fast_image.height);
            assert_true(agree(&p, &file, &part, &good));
        }
        fov_blob_clear(&file);
    }
    assert_true(seen >= 5);
    close_pair(&p);
}

/* Flipped bits and cut ends: where the fast decoder does not know better, libjpeg judges. */
static void test_damage(void **state) {
    (void)state;
    pair p;
    size_t accepted = 0, refused = 0;
    open_pair(&p, sets[SETS - 1]);
    for (size_t turn = 0; turn < 400; turn++) {
        fov_blob file;
        size_t width, height;
        bool good;
        random_file(&file, &width, &height);
        file.padding = 0;
        const size_t size = file.size;
        for (size_t k = 0; k < 8; k++) {
            const size_t at = below(size), bit = below(8);
            file.data[at] ^= (uint8_t)(1U << bit);
            file.size = k % 4 == 3 ? below(size) + 1 : size;
            assert_true(agree(&p, &file, NULL, &good));
            accepted += good;
            refused += !good;
            if (k % 2 == 1) {
                file.data[at] ^= (uint8_t)(1U << bit);
            }
        }
        fov_blob_clear(&file);
    }
    assert_true(accepted > 100 && refused > 100);
    close_pair(&p);
}

/* The last two bytes, which say that the image is complete. */
static void test_ends(void **state) {
    (void)state;
    static const uint8_t ends[][2] = {{0xFF, 0xD8}, {0xFF, 0xDA}, {0xFF, 0x00}, {0xFF, 0xD0}, {0x12, 0xD9}, {0x00, 0x00}, {0xD9, 0xFF}};
    pair p;
    open_pair(&p, sets[SETS - 1]);
    for (size_t turn = 0; turn < 40; turn++) {
        fov_blob file;
        size_t width, height;
        bool good;
        random_file(&file, &width, &height);
        file.padding = 0;
        for (size_t i = 0; i < sizeof ends / sizeof ends[0]; i++) {
            memcpy(file.data + file.size - 2, ends[i], 2);
            assert_true(agree(&p, &file, NULL, &good));
        }
        for (size_t cut = 0; cut < 4; cut++) {
            file.size--;
            assert_true(agree(&p, &file, NULL, &good));
            assert_false(good);
        }
        fov_blob_clear(&file);
    }
    close_pair(&p);
}

static int set_up(void **state) {
    (void)state;
    fov_rng_init(&rng, 11, 0, 0, 0, 0);
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_idct, set_up),        cmocka_unit_test_setup(test_chroma_and_color, set_up),
        cmocka_unit_test_setup(test_every_color, set_up), cmocka_unit_test_setup(test_files, set_up),
        cmocka_unit_test_setup(test_recorded, set_up),    cmocka_unit_test_setup(test_damage, set_up),
        cmocka_unit_test_setup(test_ends, set_up),        cmocka_unit_test_setup(test_no_planes, set_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
