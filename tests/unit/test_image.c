/* Image decoding: recognition, caps, truncation at every byte, orientation, memory failures, a decoder's independence of its past,
 * and writing. Pixel values are tests/golden/test_decode.c's business. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#include <cmocka.h>

#include "augment/exif.h"
#include "augment/image.h"
#include "base/io.h"

enum { FILE_BYTES = 1 << 20 };

static fov_blob golden(const char *name) {
    char path[512];
    fov_blob file = {0};
    (void)snprintf(path, sizeof path, "%s/golden/images/%s", FOV_TEST_DATA, name);
    assert_int_equal(fov_io_read(path, FILE_BYTES, 0, &file), FOV_OK);
    return file;
}

/* True when this build cannot read files of this kind. */
static bool lacks(const fov_blob *file) {
    return fov_image_sniff(file->data, file->size) == FOV_IMAGE_UNKNOWN;
}

static fov_decoder *new_decoder(void) {
    fov_decoder *decoder = NULL;
    assert_int_equal(fov_decoder_new(&decoder), FOV_OK);
    return decoder;
}

static void test_sniff(void **state) {
    (void)state;
    static const uint8_t png[] = {0x89, 'P', 'N', 'G', '\r', '\n', 0x1A, '\n'}, jpeg[] = {0xFF, 0xD8, 0xFF}, gif[] = "GIF89a";
    fov_decoder *decoder = new_decoder();
    fov_image image;
    fov_image_init(&image);
    assert_int_equal(fov_image_sniff(png, sizeof png), FOV_IMAGE_PNG);
    assert_int_equal(fov_image_sniff(png, sizeof png - 1), FOV_IMAGE_UNKNOWN);
    assert_int_equal(fov_image_sniff(jpeg, sizeof jpeg), FOV_IMAGE_JPEG);
    assert_int_equal(fov_image_sniff(jpeg, 2), FOV_IMAGE_UNKNOWN);
    assert_int_equal(fov_image_sniff(jpeg, 0), FOV_IMAGE_UNKNOWN);
    fov_blob webp = golden("lossy.webp"), tiff = golden("big_be.tif");
    assert_true(lacks(&webp) == (strstr(fov_image_kinds(), "WebP") == NULL) && lacks(&tiff) == (strstr(fov_image_kinds(), "TIFF") == NULL));
    if (lacks(&webp)) {
        assert_int_equal(fov_image_decode(decoder, webp.data, webp.size, NULL, &image), FOV_E_UNSUPPORTED);
        assert_non_null(strstr(fov_last_error(), "this build"));
    }
    fov_blob_clear(&webp);
    fov_blob_clear(&tiff);
    assert_int_equal(fov_image_decode(decoder, gif, 6, NULL, &image), FOV_E_UNSUPPORTED);
    assert_non_null(strstr(fov_last_error(), "47 49 46 38"));
    assert_int_equal(fov_image_decode(decoder, gif, 0, NULL, &image), FOV_E_FORMAT);
    assert_int_equal(fov_image_decode(decoder, png, sizeof png, NULL, &image), FOV_E_FORMAT);
    assert_int_equal(fov_image_decode(decoder, jpeg, sizeof jpeg, NULL, &image), FOV_E_FORMAT);
    fov_image_clear(&image);
    fov_decoder_free(decoder);
    fov_decoder_free(NULL);
}

static void test_storage(void **state) {
    (void)state;
    fov_image image;
    fov_image_init(&image);
    const fov_pixel_format rgb = {0};
    assert_int_equal(fov_image_resize_storage(&image, 10, 20, rgb), FOV_OK);
    const uint8_t *const first = image.pixels;
    assert_int_equal(image.capacity, 600);
    assert_int_equal(fov_image_resize_storage(&image, 5, 8, rgb), FOV_OK);
    assert_ptr_equal(image.pixels, first);
    assert_int_equal(image.capacity, 600);
    assert_int_equal(fov_image_resize_storage(&image, SIZE_MAX / 2, 3, rgb), FOV_E_INVALID);
    assert_int_equal(fov_image_resize_storage(&image, 0, 3, rgb), FOV_E_INVALID);
    fov_image_clear(&image);
    assert_null(image.pixels);
    assert_int_equal(image.capacity, 0);
}

/* The picture's rows are "ab", "cd", "ef"; each string is how it must look. The names of the eight cases are those of the EXIF table
 * read backwards: 6 is a picture taken with the camera turned, which a viewer turns clockwise. */
static void test_orientation(void **state) {
    (void)state;
    static const char *const want[9] = {"", "abcdef", "badcfe", "fedcba", "efcdab", "acebdf", "ecafdb", "fdbeca", "bdface"};
    uint8_t pixels[18];
    fov_image from = {.pixels = pixels, .width = 2, .height = 3, .channels = 3, .capacity = sizeof pixels}, to;
    for (size_t i = 0; i < 18; i++) {
        pixels[i] = (uint8_t)(16 * (i / 3) + i % 3);
    }
    fov_image_init(&to);
    for (unsigned o = 1; o <= 8; o++) {
        assert_int_equal(fov_image_orient(&from, o, &to), FOV_OK);
        assert_int_equal(to.width, o < 5 ? 2 : 3);
        assert_int_equal(to.height, o < 5 ? 3 : 2);
        for (size_t i = 0; i < 18; i++) {
            assert_int_equal(to.pixels[i], 16 * (want[o][i / 3] - 'a') + (int)(i % 3));
        }
    }
    fov_image_clear(&to);
}

static void test_caps(void **state) {
    (void)state;
    fov_decoder *decoder = new_decoder();
    fov_image image;
    fov_image_info info;
    fov_image_init(&image);
    static const char *const names[] = {"420.jpg", "cmyk.jpg", "c2b08.png", "c6b08i.png"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        fov_blob file = golden(names[i]);
        assert_int_equal(fov_image_probe(decoder, file.data, file.size, NULL, &info), FOV_OK);
        const size_t longest = info.width > info.height ? info.width : info.height;
        fov_decode_options options = {.max_side = longest, .max_pixels = info.width * info.height};
        assert_int_equal(fov_image_decode(decoder, file.data, file.size, &options, &image), FOV_OK);
        options.max_side--;
        assert_int_equal(fov_image_decode(decoder, file.data, file.size, &options, &image), FOV_E_LIMIT);
        assert_int_equal(fov_image_probe(decoder, file.data, file.size, &options, &info), FOV_E_LIMIT);
        options.max_side = 0;
        options.max_pixels--;
        assert_int_equal(fov_image_decode(decoder, file.data, file.size, &options, &image), FOV_E_LIMIT);
        assert_non_null(strstr(fov_last_error(), "over the limit"));
        fov_blob_clear(&file);
    }
    fov_image_clear(&image);
    fov_decoder_free(decoder);
}

static void test_probe(void **state) {
    (void)state;
    static const struct {
        const char *name;
        fov_image_kind kind;
        size_t width, height;
        unsigned channels, bits, orientation;
    } cases[] = {{"420p.jpg", FOV_IMAGE_JPEG, 35, 27, 3, 8, 1},     {"gray.jpg", FOV_IMAGE_JPEG, 35, 27, 1, 8, 1},
                 {"ycck.jpg", FOV_IMAGE_JPEG, 27, 21, 4, 8, 1},     {"exif8.jpg", FOV_IMAGE_JPEG, 13, 19, 3, 8, 8},
                 {"c3b02.png", FOV_IMAGE_PNG, 19, 13, 3, 2, 1},     {"c4b16i.png", FOV_IMAGE_PNG, 19, 13, 2, 16, 1},
                 {"exif6.png", FOV_IMAGE_PNG, 13, 19, 3, 8, 6},     {"lossya.webp", FOV_IMAGE_WEBP, 34, 29, 4, 8, 1},
                 {"exif6.webp", FOV_IMAGE_WEBP, 13, 19, 3, 8, 6},   {"exif3.webp", FOV_IMAGE_WEBP, 19, 13, 3, 8, 3},
                 {"bands5s.tif", FOV_IMAGE_TIFF, 21, 14, 5, 16, 1}, {"palette.tif", FOV_IMAGE_TIFF, 21, 14, 3, 8, 1},
                 {"turned5.tif", FOV_IMAGE_TIFF, 13, 19, 3, 8, 5}};
    fov_decoder *decoder = new_decoder();
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        fov_blob file = golden(cases[i].name);
        const fov_decode_options options = {.format = {.channels = cases[i].channels}};
        fov_image_info info;
        if (lacks(&file)) {
            fov_blob_clear(&file);
            continue;
        }
        assert_int_equal(fov_image_probe(decoder, file.data, file.size, &options, &info), FOV_OK);
        assert_int_equal(info.kind, cases[i].kind);
        assert_int_equal(info.width, cases[i].width);
        assert_int_equal(info.height, cases[i].height);
        assert_int_equal(info.channels_in_file, cases[i].channels);
        assert_int_equal(info.bits, cases[i].bits);
        assert_int_equal(info.orientation, cases[i].orientation);
        fov_blob_clear(&file);
    }
    fov_decoder_free(decoder);
}

/* Each prefix stands in a block of its own size, so that a read past it is seen; and again followed by the rest of the file as
 * padding, which must not be taken for data. */
static void cut_everywhere(fov_decoder *decoder, const char *name) {
    fov_blob file = golden(name);
    if (lacks(&file)) {
        fov_blob_clear(&file);
        return;
    }
    fov_image image;
    fov_image_init(&image);
    for (size_t n = 0; n <= file.size; n++) {
        uint8_t *const prefix = malloc(n > 0 ? n : 1);
        assert_non_null(prefix);
        memcpy(prefix, file.data, n);
        const fov_status status = fov_image_decode(decoder, prefix, n, NULL, &image);
        const fov_decode_options padded = {.padding = file.size - n}, lenient = {.lenient = true};
        if ((status == FOV_OK) != (n == file.size) ||
            (fov_image_decode(decoder, file.data, n, &padded, &image) == FOV_OK) != (n == file.size)) {
            fail_msg("%s cut to %zu of %zu bytes: %s", name, n, file.size, fov_status_name(status));
        }
        const fov_status relaxed = fov_image_decode(decoder, prefix, n, &lenient, &image);
        assert_true(relaxed != FOV_OK || n == file.size || fov_decoder_warnings(decoder) > 0);
        free(prefix);
    }
    fov_image_clear(&image);
    fov_blob_clear(&file);
}

static void test_truncation(void **state) {
    (void)state;
    static const char *const names[] = {"444.jpg",      "420.jpg",    "422p.jpg",       "420r.jpg",    "gray.jpg",     "cmykp.jpg",
                                        "c2b08.png",    "c6b08i.png", "c3b04.png",      "c3b08ti.png", "text.png",     "c0b16t.png",
                                        "exif6.png",    "lossy.webp", "losslessa.webp", "lossya.webp", "exif6.webp",   "rgb_le.tif",
                                        "tiles_be.tif", "planes.tif", "tiff_lzw.tif",   "jpeg.tif",    "gray16_be.tif"};
    fov_decoder *decoder = new_decoder();
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        cut_everywhere(decoder, names[i]);
    }
    fov_decoder_free(decoder);
}

static void test_lenient(void **state) {
    (void)state;
    static const char *const names[] = {"cut.jpg", "lost.jpg", "badidat.png"};
    fov_decoder *decoder = new_decoder();
    fov_image image;
    const fov_decode_options lenient = {.lenient = true};
    fov_image_init(&image);
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        fov_blob file = golden(names[i]);
        assert_int_equal(fov_image_decode(decoder, file.data, file.size, NULL, &image), FOV_E_FORMAT);
        assert_int_equal(fov_image_decode(decoder, file.data, file.size, &lenient, &image), FOV_OK);
        assert_true(fov_decoder_warnings(decoder) > 0);
        fov_blob_clear(&file);
    }
    /* the rows that the data brings are right, those after it grey */
    fov_blob whole = golden("c2b08.png");
    fov_image full;
    fov_image_init(&full);
    assert_int_equal(fov_image_decode(decoder, whole.data, whole.size, NULL, &full), FOV_OK);
    assert_int_equal(fov_decoder_warnings(decoder), 0);
    assert_int_equal(fov_image_decode(decoder, whole.data, whole.size / 2 + 60, &lenient, &image), FOV_OK);
    assert_memory_equal(image.pixels, full.pixels, image.width * 3);
    assert_int_equal(image.pixels[image.width * image.height * 3 - 1], 128);
    fov_blob_clear(&whole);
    fov_image_clear(&full);
    fov_image_clear(&image);
    fov_decoder_free(decoder);
}

static void test_harmless_warnings(void **state) {
    (void)state;
    static const char *const names[] = {"stray.jpg", "adobe9.jpg"};
    fov_decoder *decoder = new_decoder();
    fov_image image;
    fov_image_init(&image);
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        fov_blob file = golden(names[i]);
        assert_int_equal(fov_image_decode(decoder, file.data, file.size, NULL, &image), FOV_OK);
        assert_int_equal(fov_decoder_warnings(decoder), 1);
        fov_blob_clear(&file);
    }
    fov_image_clear(&image);
    fov_decoder_free(decoder);
}

/* Drops the segments with one marker from a JPEG. */
static void drop_segments(fov_blob *file, uint8_t marker) {
    size_t at = 2;
    while (at + 4 < file->size && file->data[at + 1] != 0xDA) {
        const size_t bytes = 2 + ((size_t)file->data[at + 2] << 8 | file->data[at + 3]);
        if (file->data[at + 1] != marker) {
            at += bytes;
            continue;
        }
        memmove(file->data + at, file->data + at + bytes, file->size - at - bytes);
        file->size -= bytes;
    }
}

/* libjpeg keeps tables between images; a decoder must not. Nor may a refusal leave anything behind. */
static void test_independence(void **state) {
    (void)state;
    static const char *const bad[] = {"cut.jpg",     "scans.jpg",   "bomb.jpg",      "arith.jpg",   "nodc.jpg",  "huge.jpg",
                                      "lost.jpg",    "badidat.png", "badheader.png", "bomb.png",    "huge.png",  "cut.webp",
                                      "moving.webp", "bomb.webp",   "cut.tif",       "damaged.tif", "float.tif", "bomb.tif"};
    fov_decoder *decoder = new_decoder();
    fov_image first, again;
    fov_image_init(&first);
    fov_image_init(&again);
    fov_blob jpeg = golden("420p.jpg"), png = golden("c6b08i.png"), tableless = golden("420.jpg");
    drop_segments(&tableless, 0xDB);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        fov_blob file = golden(bad[i]);
        const fov_blob *const good = i % 2 == 0 ? &jpeg : &png;
        assert_int_equal(fov_image_decode(decoder, good->data, good->size, NULL, &first), FOV_OK);
        assert_int_not_equal(fov_image_decode(decoder, tableless.data, tableless.size, NULL, &again), FOV_OK);
        assert_int_not_equal(fov_image_decode(decoder, file.data, file.size, NULL, &again), FOV_OK);
        assert_int_equal(fov_image_decode(decoder, good->data, good->size, NULL, &again), FOV_OK);
        assert_int_equal(first.width * 1000 + first.height, again.width * 1000 + again.height);
        assert_memory_equal(first.pixels, again.pixels, first.width * first.height * 3);
        fov_blob_clear(&file);
    }
    fov_blob_clear(&jpeg);
    fov_blob_clear(&png);
    fov_blob_clear(&tableless);
    fov_image_clear(&first);
    fov_image_clear(&again);
    fov_decoder_free(decoder);
}

static double seconds(void) {
    struct timespec now;
    (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

/* A small file that declares a large image costs neither time nor memory. */
static void test_bombs(void **state) {
    (void)state;
    static const char *const names[] = {"bomb.jpg", "huge.jpg", "scans.jpg", "bomb.png", "huge.png", "bomb.webp", "bomb.tif", "huge.tif"};
    fov_decoder *decoder = new_decoder();
    fov_image image;
    struct rusage before, after;
    fov_image_init(&image);
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        for (int lenient = 0; lenient < 2; lenient++) {
            fov_blob file = golden(names[i]);
            const fov_decode_options options = {.lenient = lenient != 0};
            (void)getrusage(RUSAGE_SELF, &before);
            const double start = seconds();
            assert_int_not_equal(fov_image_decode(decoder, file.data, file.size, &options, &image), FOV_OK);
            assert_true(seconds() - start < 0.05);
            (void)getrusage(RUSAGE_SELF, &after);
            assert_true(after.ru_maxrss - before.ru_maxrss < 64 * 1024);
            fov_blob_clear(&file);
        }
    }
    fov_image_clear(&image);
    fov_decoder_free(decoder);
}

/* ---- memory ---- */

/* Whole, and a part of it, with 16 bits. */
static fov_status decode_fresh(const fov_blob *file) {
    static const fov_decode_options deep = {.format = {.channels = 1, .deep = true}};
    static const fov_decode_part part = {.left = 2, .top = 3, .width = 9, .height = 8, .shrink = 2};
    fov_decoder *decoder = NULL;
    fov_image image;
    fov_image_info info;
    fov_image_init(&image);
    fov_status status = fov_decoder_new(&decoder);
    if (status == FOV_OK) {
        status = fov_image_decode(decoder, file->data, file->size, NULL, &image);
    }
    if (status == FOV_OK) {
        status = fov_decoder_open(decoder, file->data, file->size, &deep, &info);
    }
    if (status == FOV_OK) {
        status = fov_decoder_read(decoder, &part, &image);
    }
    fov_image_clear(&image);
    fov_decoder_free(decoder);
    return status;
}

static void test_decode_memory(void **state) {
    (void)state;
    static const char *const names[] = {"420.jpg",   "cmyk.jpg",   "exif6.jpg",      "c2b08.png",    "c6b16i.png",  "c3b04t.png",
                                        "exif6.png", "lossy.webp", "losslessa.webp", "tiles_le.tif", "palette.tif", "turned6.tif"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        fov_blob file = golden(names[i]);
        if (lacks(&file)) {
            fov_blob_clear(&file);
            continue;
        }
        const size_t blocks = fov_mem_stats_all().live_blocks;
        fov_status status = FOV_E_NOMEM;
        uint64_t k = 0;
        for (k = 1; status != FOV_OK && k < 200; k++) {
            fov_mem_fail_at(k, (int)(k % 2));
            status = decode_fresh(&file);
            fov_mem_fail_at(0, 0);
            assert_true(status == FOV_OK || status == FOV_E_NOMEM);
            assert_int_equal(fov_mem_stats_all().live_blocks, blocks);
        }
        assert_true(k > 3 && k < 200);
        fov_blob_clear(&file);
    }
}

/* ---- writing ---- */

static void fill(uint8_t *pixels, size_t count) {
    for (size_t i = 0; i < count; i++) {
        pixels[i] = (uint8_t)(i * 5 + i / 7 * 31);
    }
}

static void read_back(const char *path, fov_alpha alpha, fov_image *image) {
    fov_decoder *decoder = new_decoder();
    fov_blob file = {0};
    const fov_decode_options options = {.alpha = alpha};
    assert_int_equal(fov_io_read(path, FILE_BYTES, 0, &file), FOV_OK);
    assert_int_equal(fov_image_decode(decoder, file.data, file.size, &options, image), FOV_OK);
    fov_blob_clear(&file);
    fov_decoder_free(decoder);
}

static void test_write_png(void **state) {
    (void)state;
    static const char path[] = FOV_TEST_TEMP "/test_image.png";
    enum { W = 11, H = 7 };
    uint8_t pixels[W * H * 4];
    fov_image image;
    fov_image_init(&image);
    fill(pixels, sizeof pixels);
    for (size_t channels = 1; channels <= 4; channels++) {
        assert_int_equal(fov_image_write_png(path, pixels, W, H, (fov_pixel_format){.channels = channels}), FOV_OK);
        read_back(path, FOV_ALPHA_DROP, &image);
        assert_int_equal(image.width, W);
        assert_int_equal(image.height, H);
        for (size_t i = 0; i < W * H * 3; i++) {
            const size_t c = channels < 3 ? 0 : i % 3;
            assert_int_equal(image.pixels[i], pixels[i / 3 * channels + c]);
        }
    }
    uint16_t deep[W * H];
    for (size_t i = 0; i < W * H; i++) {
        deep[i] = (uint16_t)(i * 829 + 3);
    }
    assert_int_equal(fov_image_write_png(path, (const uint8_t *)deep, W, H, (fov_pixel_format){.channels = 1, .deep = true}), FOV_OK);
    read_back(path, FOV_ALPHA_DROP, &image);
    for (size_t i = 0; i < W * H; i++) {
        assert_int_equal(image.pixels[3 * i], (deep[i] * 255u + 32767) / 65535);
    }
    assert_int_equal(fov_image_write_png(path, pixels, W, H, (fov_pixel_format){.channels = 5}), FOV_E_INVALID);
    assert_int_equal(fov_image_write_png(path, pixels, 0, H, (fov_pixel_format){0}), FOV_E_INVALID);
    assert_int_equal(fov_image_write_png(FOV_TEST_TEMP "/no/such/folder.png", pixels, W, H, (fov_pixel_format){0}), FOV_E_NOTFOUND);
    fov_image_clear(&image);
    assert_int_equal(fov_io_remove(path), FOV_OK);
}

static void test_write_jpeg(void **state) {
    (void)state;
    static const char path[] = FOV_TEST_TEMP "/test_image.jpg";
    enum { W = 40, H = 24 };
    uint8_t pixels[W * H * 3];
    fov_image image;
    fov_image_init(&image);
    for (size_t i = 0; i < sizeof pixels; i++) { /* smooth, so that little is lost */
        pixels[i] = (uint8_t)(40 + i / 3 % W * 3 + i / (3 * W) * 2);
    }
    for (size_t channels = 1; channels <= 3; channels += 2) {
        assert_int_equal(fov_image_write_jpeg(path, pixels, W, H, channels, 95), FOV_OK);
        read_back(path, FOV_ALPHA_WHITE, &image);
        assert_int_equal(image.width, W);
        assert_int_equal(image.height, H);
        for (size_t i = 0; channels == 3 && i < sizeof pixels; i++) {
            assert_in_range(image.pixels[i] + 8 - pixels[i], 0, 16);
        }
    }
    assert_int_equal(fov_image_write_jpeg(path, pixels, W, H, 4, 95), FOV_E_INVALID);
    assert_int_equal(fov_image_write_jpeg(path, pixels, 65501, 1, 3, 95), FOV_E_INVALID);
    assert_int_equal(fov_image_write_jpeg(path, pixels, W, H, 3, 0), FOV_E_INVALID);
    fov_image_clear(&image);
    assert_int_equal(fov_io_remove(path), FOV_OK);
}

/* Into memory: the bytes of the file, also where the block had to grow. */
static void test_encode_jpeg(void **state) {
    (void)state;
    static const char path[] = FOV_TEST_TEMP "/test_encode.jpg";
    enum { W = 300, H = 100 };
    static uint8_t pixels[W * H * 3];
    fov_blob blob = {0}, file = {0};
    for (size_t i = 0; i < sizeof pixels; i++) {
        pixels[i] = (uint8_t)((i * 2654435761u) >> 13);
    }
    for (int quality = 10; quality <= 100; quality += 90) {
        assert_int_equal(fov_image_encode_jpeg(pixels, W, H, 3, quality, &blob), FOV_OK);
        assert_true((blob.size > 16384) == (quality == 100));
        assert_int_equal(fov_image_write_jpeg(path, pixels, W, H, 3, quality), FOV_OK);
        assert_int_equal(fov_io_read(path, FILE_BYTES, 0, &file), FOV_OK);
        assert_int_equal(file.size, blob.size);
        assert_memory_equal(file.data, blob.data, blob.size);
        fov_blob_clear(&file);
        fov_blob_clear(&blob);
    }
    assert_int_equal(fov_image_encode_jpeg(pixels, W, H, 2, 90, &blob), FOV_E_INVALID);
    assert_null(blob.data);
    assert_int_equal(fov_io_remove(path), FOV_OK);
}

/* Memory or the disk gives out at every point: no leak, and no file. */
static void test_write_faults(void **state) {
    (void)state;
    static const char *const paths[2] = {FOV_TEST_TEMP "/test_fault.png", FOV_TEST_TEMP "/test_fault.jpg"};
    enum { W = 300, H = 100 };
    static uint8_t pixels[W * H * 3];
    fill(pixels, sizeof pixels);
    const size_t blocks = fov_mem_stats_all().live_blocks;
    for (int kind = 0; kind < 4; kind++) {
        const bool jpeg = kind % 2 != 0, disk = kind >= 2;
        fov_status status = FOV_E_IO;
        uint64_t k = 0;
        for (k = 1; status != FOV_OK && k < 200; k++) {
            fov_mem_fail_at(disk ? 0 : k, 0);
            fov_io_fail_at("any", disk ? k : 0, false, 28);
            status = jpeg ? fov_image_write_jpeg(paths[1], pixels, W, H, 3, 90)
                          : fov_image_write_png(paths[0], pixels, W, H, (fov_pixel_format){0});
            fov_mem_fail_at(0, 0);
            fov_io_fail_at("any", 0, false, 0);
            if (status != FOV_OK && status != (disk ? FOV_E_IO : FOV_E_NOMEM)) {
                fail_msg("%s, fault %llu: %s: %s", paths[jpeg], (unsigned long long)k, fov_status_name(status), fov_last_error());
            }
            assert_int_equal(fov_mem_stats_all().live_blocks, blocks);
        }
        assert_true(k > 2 && k < 200);
        assert_int_equal(fov_io_remove(paths[jpeg]), FOV_OK);
    }
}

/* ---- EXIF ---- */

static void test_exif(void **state) {
    (void)state;
    uint8_t block[] = {'M', 'M', 0, 42, 0, 0, 0, 8, 0, 1, 0x01, 0x12, 0, 3, 0, 0, 0, 1, 0, 6, 0, 0};
    const size_t size = sizeof block;
    assert_int_equal(fov_exif_orientation(block, size), 6);
    for (size_t n = 0; n < size - 2; n++) { /* the value's last two bytes are padding */
        uint8_t *const prefix = malloc(n > 0 ? n : 1);
        assert_non_null(prefix);
        memcpy(prefix, block, n);
        assert_int_equal(fov_exif_orientation(prefix, n), 1);
        free(prefix);
    }
    block[19] = 0;
    assert_int_equal(fov_exif_orientation(block, size), 1); /* not an orientation */
    block[19] = 6;
    block[13] = 7;
    assert_int_equal(fov_exif_orientation(block, size), 1); /* not a number */
    block[13] = 3;
    block[17] = 2;
    assert_int_equal(fov_exif_orientation(block, size), 1); /* two of them */
    block[17] = 1;
    block[13] = 1;
    block[18] = 8;
    assert_int_equal(fov_exif_orientation(block, size), 8); /* a byte */
    block[13] = 4;
    memcpy(block + 18, "\0\0\0\3", 4);
    assert_int_equal(fov_exif_orientation(block, size), 3); /* a long */
    memset(block + 4, 0xFF, 4);
    assert_int_equal(fov_exif_orientation(block, size), 1); /* a directory far away */
    assert_int_equal(fov_png_crc((const uint8_t *)"123456789", 9), 0xCBF43926u);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sniff),         cmocka_unit_test(test_storage),
        cmocka_unit_test(test_orientation),   cmocka_unit_test(test_caps),
        cmocka_unit_test(test_probe),         cmocka_unit_test(test_truncation),
        cmocka_unit_test(test_lenient),       cmocka_unit_test(test_harmless_warnings),
        cmocka_unit_test(test_independence),  cmocka_unit_test(test_bombs),
        cmocka_unit_test(test_decode_memory), cmocka_unit_test(test_write_png),
        cmocka_unit_test(test_write_jpeg),    cmocka_unit_test(test_write_faults),
        cmocka_unit_test(test_exif),          cmocka_unit_test(test_encode_jpeg),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
