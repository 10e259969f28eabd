/* Parts of pictures: a short sweep of JPEG files against plain libjpeg; parts of all other kinds against the whole; formats that a file
 * cannot give; what a decoder that was opened may see next. */
#include "decode_sweep.h"

#include "base/io.h"

static fov_blob golden(const char *name) {
    char path[512];
    fov_blob file = {0};
    (void)snprintf(path, sizeof path, "%s/golden/images/%s", FOV_TEST_DATA, name);
    assert_int_equal(fov_io_read(path, 1 << 20, FOV_DECODE_PADDING, &file), FOV_OK);
    return file;
}

static bool lacks(const fov_blob *file) {
    return fov_image_sniff(file->data, file->size) == FOV_IMAGE_UNKNOWN;
}

static void test_jpeg_parts(void **state) {
    (void)state;
    sweep_run(1, 2, 5000);
}

/* ---- other kinds ---- */

static void compare_part(const fov_image *whole, const fov_image *part, const fov_decode_part *wanted) {
    const size_t pixel = fov_pixel_bytes(fov_image_format(whole));
    assert_true(part->left <= wanted->left && part->left + part->width >= wanted->left + wanted->width);
    assert_true(part->top <= wanted->top && part->top + part->height >= wanted->top + wanted->height);
    assert_int_equal(part->full_width, whole->width);
    assert_int_equal(part->full_height, whole->height);
    assert_int_equal(part->shrink, 1);
    assert_true(part->channels == whole->channels && part->deep == whole->deep);
    for (size_t y = 0; y < part->height; y++) {
        assert_memory_equal(part->pixels + y * part->width * pixel, whole->pixels + ((part->top + y) * whole->width + part->left) * pixel,
                            part->width * pixel);
    }
}

static void check_parts(sweep *s, const char *name, fov_pixel_format format) {
    fov_blob file = golden(name);
    fov_image whole, part;
    fov_image_init(&whole);
    fov_image_init(&part);
    for (int kept = 0; kept < 2 && !lacks(&file); kept++) {
        const fov_decode_options options = {.format = format, .keep_orientation = kept != 0, .padding = FOV_DECODE_PADDING};
        assert_int_equal(fov_image_decode(s->decoder, file.data, file.size, &options, &whole), FOV_OK);
        for (int i = 0; i < 60; i++) {
            fov_image_info info;
            fov_decode_part wanted = {.shrink = 1u << (i % 4)}; /* which these kinds do not */
            assert_int_equal(fov_decoder_open(s->decoder, file.data, file.size, &options, &info), FOV_OK);
            sweep_range(s, info.width, &wanted.left, &wanted.width);
            sweep_range(s, info.height, &wanted.top, &wanted.height);
            if (part.capacity > 0) {
                memset(part.pixels, 0xA5, part.capacity);
            }
            assert_int_equal(fov_decoder_read(s->decoder, &wanted, &part), FOV_OK);
            compare_part(&whole, &part, &wanted);
        }
    }
    fov_image_clear(&whole);
    fov_image_clear(&part);
    fov_blob_clear(&file);
}

static void test_other_parts(void **state) {
    (void)state;
    static const struct {
        const char *name;
        size_t planes;
    } files[] = {{"c0b01.png", 1},    {"c0b16i.png", 1},    {"c2b08.png", 3},      {"c2b16t.png", 3},   {"c3b04ti.png", 3},
                 {"c4b08.png", 2},    {"c4b16i.png", 2},    {"c6b08.png", 4},      {"c6b16.png", 4},    {"exif6.png", 3},
                 {"lossy.webp", 3},   {"lossless.webp", 3}, {"losslessa.webp", 4}, {"lossya.webp", 4},  {"exif6.webp", 3},
                 {"cmyk.jpg", 4},     {"cmykp.jpg", 4},     {"tiles_le.tif", 3},   {"tiles_be.tif", 3}, {"planes.tif", 3},
                 {"palette.tif", 3},  {"rgba.tif", 4},      {"graya16.tif", 2},    {"turned8.tif", 3},  {"gray16_be.tif", 1},
                 {"tiff_lzw.tif", 3}, {"jpeg.tif", 3},      {"miniswhite.tif", 1}, {"turned5.tif", 3}};
    sweep s = {.random = 1234567u};
    assert_int_equal(fov_decoder_new(&s.decoder), FOV_OK);
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        for (int deep = 0; deep < 2; deep++) {
            check_parts(&s, files[i].name, (fov_pixel_format){.channels = 3, .deep = deep != 0});
            check_parts(&s, files[i].name, (fov_pixel_format){.channels = 1, .deep = deep != 0});
            check_parts(&s, files[i].name, (fov_pixel_format){.channels = files[i].planes, .deep = deep != 0});
        }
    }
    check_parts(&s, "bands5.tif", (fov_pixel_format){.channels = 5});
    check_parts(&s, "bands5s.tif", (fov_pixel_format){.channels = 5, .deep = true});
    fov_decoder_free(s.decoder);
}

/* ---- what cannot be ---- */

static void test_wrong_parts(void **state) {
    (void)state;
    static const fov_decode_part wrong[] = {{.left = 30, .width = 6, .height = 1},
                                            {.top = 27, .width = 1, .height = 1},
                                            {.width = 36, .height = 1},
                                            {.width = 1, .height = 28},
                                            {.width = 1, .height = 0},
                                            {.left = SIZE_MAX, .width = 2, .height = 1},
                                            {.width = 3, .height = 3, .shrink = 3},
                                            {.width = 3, .height = 3, .shrink = 16},
                                            {.width = SIZE_MAX, .height = 3, .left = 1}};
    fov_blob file = golden("420.jpg");
    fov_decoder *decoder = NULL;
    fov_image image;
    fov_image_info info;
    fov_image_init(&image);
    assert_int_equal(fov_decoder_new(&decoder), FOV_OK);
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        assert_int_equal(fov_decoder_open(decoder, file.data, file.size, NULL, &info), FOV_OK);
        assert_int_equal(fov_decoder_read(decoder, &wrong[i], &image), FOV_E_INVALID);
        assert_non_null(strstr(fov_last_error(), "35 x 27"));
    }
    fov_image_clear(&image);
    fov_decoder_free(decoder);
    fov_blob_clear(&file);
}

static void refuse(fov_decoder *decoder, const char *name, size_t channels, const char *text) {
    fov_blob file = golden(name);
    fov_image_info info;
    const fov_decode_options options = {.format = {.channels = channels}};
    if (!lacks(&file)) {
        assert_int_equal(fov_decoder_open(decoder, file.data, file.size, &options, &info), FOV_E_UNSUPPORTED);
        assert_string_equal(fov_last_error(), text);
    }
    fov_blob_clear(&file);
}

/* The message says what the file has, what was wanted and what to do. */
static void test_wrong_formats(void **state) {
    (void)state;
    fov_decoder *decoder = NULL;
    fov_image_info info;
    assert_int_equal(fov_decoder_new(&decoder), FOV_OK);
    refuse(decoder, "c6b08.png", 2,
           "PNG: the file has 4 channels (colour and alpha), but 2 are asked for; convert it, or ask for 1, 3 or 4");
    refuse(decoder, "gray.jpg", 4, "JPEG: the file has 1 channel (grey), but 4 are asked for; convert it, or ask for 3, a file for each plane (--group) or 1");
    refuse(decoder, "420.jpg", 32, "JPEG: the file has 3 channels (colour), but 32 are asked for; convert it, or ask for 1 or 3");
    refuse(decoder, "bands5.tif", 3, "TIFF: the file has 5 channels (no colours), but 3 are asked for; convert it, or ask for 5");
    refuse(decoder, "float.tif", 3,
           "TIFF: samples are floating-point; only unsigned ones of 8 or 16 bits are handled, scale them to those");
    refuse(decoder, "moving.webp", 3, "WebP: an animation; save the picture that is meant as a file of its own");
    fov_blob file = golden("420.jpg");
    const fov_decode_options many = {.format = {.channels = FOV_MAX_CHANNELS + 1}};
    assert_int_equal(fov_decoder_open(decoder, file.data, file.size, &many, &info), FOV_E_INVALID);
    fov_blob_clear(&file);
    fov_decoder_free(decoder);
}

/* Below the last row that is needed a file may be damaged, and no one looks; at it and above, it is refused. */
static void test_damage_below(void **state) {
    (void)state;
    static const char *const names[] = {"420.jpg", "422.jpg", "444.jpg", "c2b08.png", "c6b16.png"};
    fov_decoder *decoder = NULL;
    fov_image whole, image;
    fov_image_init(&whole);
    fov_image_init(&image);
    assert_int_equal(fov_decoder_new(&decoder), FOV_OK);
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        fov_blob file = golden(names[i]);
        fov_image_info info;
        size_t good = 0;
        assert_int_equal(fov_image_decode(decoder, file.data, file.size, NULL, &whole), FOV_OK);
        file.data[file.size - 30] ^= 0xFF; /* in the last rows */
        file.data[file.size - 32] = 0xFF;
        file.data[file.size - 31] = 0xD9;
        assert_int_not_equal(fov_image_decode(decoder, file.data, file.size, NULL, &image), FOV_OK);
        for (size_t rows = 1; rows <= whole.height; rows++) {
            const fov_decode_part part = {.width = whole.width, .height = rows};
            assert_int_equal(fov_decoder_open(decoder, file.data, file.size, NULL, &info), FOV_OK);
            if (fov_decoder_read(decoder, &part, &image) == FOV_OK) {
                assert_int_equal(good, rows - 1); /* all up to some row, none after it */
                good = rows;
                assert_memory_equal(image.pixels, whole.pixels, rows * whole.width * 3);
            }
        }
        assert_in_range(good, 1, whole.height - 1);
        fov_blob_clear(&file);
    }
    fov_image_clear(&whole);
    fov_image_clear(&image);
    fov_decoder_free(decoder);
}

/* A file that was opened and never read leaves nothing behind, in the next one or in memory. */
static void test_opened_only(void **state) {
    (void)state;
    static const char *const names[] = {"420p.jpg", "c6b16.png", "lossy.webp", "tiles_le.tif", "420.jpg"};
    fov_decoder *decoder = NULL;
    fov_image want, have;
    fov_image_info info;
    fov_image_init(&want);
    fov_image_init(&have);
    fov_blob last = golden("422p.jpg");
    assert_int_equal(fov_decoder_new(&decoder), FOV_OK);
    assert_int_equal(fov_image_decode(decoder, last.data, last.size, NULL, &want), FOV_OK);
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        fov_blob file = golden(names[i]);
        if (!lacks(&file)) {
            assert_int_equal(fov_decoder_open(decoder, file.data, file.size, NULL, &info), FOV_OK);
        }
        assert_int_equal(fov_image_decode(decoder, last.data, last.size, NULL, &have), FOV_OK);
        assert_memory_equal(have.pixels, want.pixels, want.width * want.height * 3);
        if (!lacks(&file)) {
            assert_int_equal(fov_decoder_open(decoder, file.data, file.size, NULL, &info), FOV_OK);
        }
        fov_blob_clear(&file); /* borrowed until it is read, which it will not be */
    }
    fov_decoder_free(decoder);
    fov_image_clear(&want);
    fov_image_clear(&have);
    fov_blob_clear(&last);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_jpeg_parts),   cmocka_unit_test(test_other_parts),
                                       cmocka_unit_test(test_wrong_parts),  cmocka_unit_test(test_wrong_formats),
                                       cmocka_unit_test(test_damage_below), cmocka_unit_test(test_opened_only)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
