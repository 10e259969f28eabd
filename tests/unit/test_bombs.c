/* Bombs: small files that ask for much. Each is refused, or its picture is decoded without looking at the bomb, within 50 ms of processor
 * time and 64 MB of memory above what the test had at its start. The files are made here; smaller ones are in golden/images. */
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

typedef struct bytes {
    uint8_t *data;
    size_t size, capacity;
} bytes;

static void put(bytes *b, const void *data, size_t count) {
    if (b->size + count > b->capacity) {
        b->capacity = 2 * (b->size + count);
        b->data = realloc(b->data, b->capacity);
        assert_non_null(b->data);
    }
    if (count > 0) {
        memcpy(b->data + b->size, data, count);
    }
    b->size += count;
}

static void put_big(bytes *b, uint32_t v) {
    const uint8_t four[4] = {(uint8_t)(v >> 24), (uint8_t)(v >> 16), (uint8_t)(v >> 8), (uint8_t)v};
    put(b, four, 4);
}

static void put_little(bytes *b, uint64_t v, size_t count) {
    for (size_t i = 0; i < count; i++) {
        const uint8_t byte = (uint8_t)(v >> (8 * i));
        put(b, &byte, 1);
    }
}

static fov_blob golden(const char *name) {
    char path[512];
    fov_blob file = {0};
    (void)snprintf(path, sizeof path, "%s/golden/images/%s", FOV_TEST_DATA, name);
    assert_int_equal(fov_io_read(path, 1 << 20, 0, &file), FOV_OK);
    return file;
}

static double seconds(void) {
    struct timespec now;
    (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

/* Sanitizers keep freed blocks and are slow, so with them the numbers say nothing. */
#if defined(__has_feature)
#define HAS_FEATURE(x) __has_feature(x)
#else
#define HAS_FEATURE(x) 0
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__) || HAS_FEATURE(address_sanitizer) || HAS_FEATURE(thread_sanitizer)
#define MEASURED false
#else
#define MEASURED true
#endif

/* Decodes it strictly and leniently; frees the bytes. Gives the status of the strict one. */
static fov_status defuse(const char *what, bytes *b) {
    struct rusage before, after;
    fov_decoder *decoder = NULL;
    fov_image image;
    fov_status status = FOV_OK;
    fov_image_init(&image);
    (void)getrusage(RUSAGE_SELF, &before);
    for (int lenient = 1; lenient >= 0; lenient--) {
        const fov_decode_options options = {.lenient = lenient != 0};
        const double start = seconds();
        assert_int_equal(fov_decoder_new(&decoder), FOV_OK);
        status = fov_image_decode(decoder, b->data, b->size, &options, &image);
        fov_decoder_free(decoder);
        const double took = seconds() - start;
        if (MEASURED && took > 0.05) {
            fail_msg("%s (%zu bytes): took %.3f s: %s", what, b->size, took, fov_last_error());
        }
    }
    (void)getrusage(RUSAGE_SELF, &after);
    if (MEASURED && after.ru_maxrss - before.ru_maxrss > 64 * 1024) {
        fail_msg("%s: took %ld KiB: %s", what, after.ru_maxrss - before.ru_maxrss, fov_last_error());
    }
    fov_image_clear(&image);
    free(b->data);
    *b = (bytes){0};
    return status;
}

/* ---- JPEG ---- */

static size_t find_last(const fov_blob *file, uint8_t marker) {
    size_t at = file->size - 2;
    while (at > 0 && (file->data[at] != 0xFF || file->data[at + 1] != marker)) {
        at--;
    }
    return at;
}

static void test_jpeg_scans(void **state) {
    (void)state;
    bytes b = {0};
    fov_blob file = golden("scans.jpg");
    const size_t scan = find_last(&file, 0xDA), end = file.size - 2;
    put(&b, file.data, scan);
    for (int i = 0; i < 50000; i++) {
        put(&b, file.data + scan, end - scan);
    }
    put(&b, file.data + end, 2);
    assert_int_not_equal(defuse("50,000 scans", &b), FOV_OK);
    fov_blob_clear(&file);
}

/* The frame's size, as large as libjpeg has it, and as large as the caps allow with bytes enough for the plausible. */
static void test_jpeg_sides(void **state) {
    (void)state;
    static const char *const names[] = {"420p.jpg", "420.jpg"};
    for (size_t i = 0; i < 2; i++) {
        fov_blob file = golden(names[i]);
        const size_t frame = find_last(&file, i == 0 ? 0xC2 : 0xC0);
        bytes b = {0};
        memset(file.data + frame + 5, 0xFF, 4);
        put(&b, file.data, file.size);
        assert_int_equal(defuse("65,535 x 65,535", &b), FOV_E_LIMIT);
        const uint8_t sides[4] = {0xFF, 0xDC, 0xFF, 0xDC}; /* 65,500 */
        memcpy(file.data + frame + 5, sides, 4);
        put(&b, file.data, file.size);
        assert_int_equal(defuse("65,500 x 65,500", &b), FOV_E_LIMIT);
        fov_blob_clear(&file);
    }
}

/* ---- PNG ---- */

static void put_chunk(bytes *b, const char *name, const bytes *body) {
    const size_t start = b->size + 4;
    put_big(b, (uint32_t)body->size);
    put(b, name, 4);
    put(b, body->data, body->size);
    put_big(b, fov_png_crc(b->data + start, b->size - start));
}

/* A megabyte that inflates to a gigabyte of zeros: a block of one mebibyte (with empty stored blocks between), again and again. */
static void put_gigabyte(bytes *body) {
    static const uint8_t begin[15] = {0xEC, 0xC1, 0x31, 0x01, 0, 0, 0, 0xC2, 0xA0, 0xF5, 0x4F, 0x6D, 0x08, 0x5F, 0xA0};
    static const uint8_t zeros[1016], end[6] = {0x3E, 0x03, 0, 0, 0xFF, 0xFF}, header[2] = {0x78, 0xDA};
    put(body, header, sizeof header);
    for (int i = 0; i < 1000; i++) {
        put(body, begin, sizeof begin);
        put(body, zeros, sizeof zeros);
        put(body, end, sizeof end);
    }
    put(body, "\x03\0\0\0\0\1", 6); /* the last block, empty; Adler-32 of zeros up to its low half */
}

static void test_png_texts(void **state) {
    (void)state;
    static const char *const names[] = {"zTXt", "iCCP", "iTXt"};
    fov_blob file = golden("c2b08.png");
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        bytes b = {0}, body = {0};
        put(&body, "a name\0\0", 8);
        put_gigabyte(&body);
        put(&b, file.data, 33);
        put_chunk(&b, names[i], &body);
        put(&b, file.data + 33, file.size - 33);
        assert_int_equal(defuse(names[i], &b), FOV_OK); /* passed over */
        free(body.data);
    }
    fov_blob_clear(&file);
}

static void test_png_sides(void **state) {
    (void)state;
    static const uint32_t sides[][2] = {{0x7FFFFFFF, 0x7FFFFFFF}, {0x7FFFFFFF, 1}, {1, 0x7FFFFFFF}, {65500, 65500}, {11000, 11000}};
    fov_blob file = golden("c6b16.png");
    for (size_t i = 0; i < sizeof sides / sizeof sides[0]; i++) {
        for (uint8_t interlace = 0; interlace < 2; interlace++) {
            bytes b = {0}, body = {0};
            put_big(&body, sides[i][0]);
            put_big(&body, sides[i][1]);
            put(&body, file.data + 24, 4);
            put(&body, &interlace, 1);
            put(&b, file.data, 8);
            put_chunk(&b, "IHDR", &body);
            put(&b, file.data + 33, file.size - 33);
            assert_int_equal(defuse("PNG sides", &b), i < 4 ? FOV_E_LIMIT : FOV_E_FORMAT);
            free(body.data);
        }
    }
    fov_blob_clear(&file);
}

/* A picture within the caps whose pixels, as they are asked for, would not be. */
static void test_wide_pixels(void **state) {
    (void)state;
    fov_blob file = golden("c6b16.png");
    bytes b = {0}, body = {0};
    put_big(&body, 11000);
    put_big(&body, 11000);
    put(&body, file.data + 24, 5);
    put(&b, file.data, 8);
    put_chunk(&b, "IHDR", &body);
    fov_decoder *decoder = NULL;
    fov_image_info info;
    fov_decode_options options = {.format = {.channels = 4}};
    assert_int_equal(fov_decoder_new(&decoder), FOV_OK);
    assert_int_equal(fov_image_probe(decoder, b.data, b.size, &options, &info), FOV_OK);
    options.format.deep = true;
    assert_int_equal(fov_image_probe(decoder, b.data, b.size, &options, &info), FOV_E_LIMIT);
    assert_non_null(strstr(fov_last_error(), "pixels of 8 bytes: over the limit of 512 MiB"));
    fov_decoder_free(decoder);
    free(b.data);
    free(body.data);
    fov_blob_clear(&file);
}

/* ---- WebP ---- */

static void test_webp(void **state) {
    (void)state;
    if (strstr(fov_image_kinds(), "WebP") == NULL) {
        skip();
    }
    fov_blob file = golden("lossless.webp");
    bytes b = {0};
    put(&b, file.data, file.size);
    memset(b.data + 21, 0xFF, 3); /* VP8L: 14 bits each of width - 1 and height - 1 */
    b.data[24] |= 0x0F;
    assert_int_equal(defuse("VP8L of 16,384 x 16,384", &b), FOV_E_LIMIT);
    put(&b, file.data, file.size);
    memcpy(b.data + 21, "\xFF\xDF\xFF", 3);
    b.data[24] = (uint8_t)((b.data[24] & 0xF0) | 0x03);
    assert_int_equal(defuse("VP8L of 8,192 x 4,096", &b), FOV_E_FORMAT);
    fov_blob_clear(&file);
    file = golden("lossy.webp");
    put(&b, file.data, file.size);
    memcpy(b.data + 26, "\xFF\x1F\xFF\x1F", 4); /* VP8: 14 bits of width, then of height */
    assert_int_equal(defuse("VP8 of 8,191 x 8,191", &b), FOV_E_FORMAT);
    fov_blob_clear(&file);
}

/* ---- TIFF ---- */

typedef struct tag {
    uint16_t number, type;
    uint32_t count, value;
} tag;

static void put_tiff(bytes *b, const tag *tags, size_t count) {
    put(b, "II*\0", 4);
    put_little(b, 8, 4);
    put_little(b, count, 2);
    for (size_t i = 0; i < count; i++) {
        put_little(b, tags[i].number, 2);
        put_little(b, tags[i].type, 2);
        put_little(b, tags[i].count, 4);
        put_little(b, tags[i].value, 4);
    }
    put_little(b, 0, 4);
}

static void test_tiff(void **state) {
    (void)state;
    if (strstr(fov_image_kinds(), "TIFF") == NULL) {
        skip();
    }
    static const tag strips[] = {{256, 4, 1, 60000}, {257, 4, 1, 2000}, {258, 3, 1, 8},    {259, 3, 1, 8},  {262, 3, 1, 1},
                                 {273, 4, 1, 8},     {277, 3, 1, 1},    {278, 4, 1, 2000}, {279, 4, 1, 100}};
    static const tag far_strips[] = {{256, 4, 1, 65000},      {257, 4, 1, 2000}, {258, 3, 1, 8}, {259, 3, 1, 5},         {262, 3, 1, 1},
                                     {273, 4, 0x7FFFFFFF, 8}, {277, 3, 1, 1},    {278, 4, 1, 1}, {279, 4, 0x7FFFFFFF, 8}};
    static const tag wide_tiles[] = {{256, 4, 1, 16}, {257, 4, 1, 65500}, {258, 3, 1, 8},  {259, 3, 1, 8},      {262, 3, 1, 1},
                                     {277, 3, 1, 1},  {322, 4, 1, 65488}, {323, 4, 1, 16}, {324, 4, 4094, 200}, {325, 4, 4094, 200}};
    static const tag small_tiles[] = {{256, 4, 1, 65500}, {257, 4, 1, 2000}, {258, 3, 1, 8},  {259, 3, 1, 32773},    {262, 3, 1, 1},
                                      {277, 3, 1, 1},     {322, 4, 1, 16},   {323, 4, 1, 16}, {324, 4, 511750, 200}, {325, 4, 511750, 200}};
    static const tag planes[] = {{256, 4, 1, 11000}, {257, 4, 1, 11000}, {258, 3, 1, 8},     {259, 3, 1, 1},  {262, 3, 1, 1},
                                 {273, 4, 1, 8},     {277, 3, 1, 65535}, {278, 4, 1, 11000}, {279, 4, 1, 100}};
    static const struct {
        const char *name;
        const tag *tags;
        size_t count, bytes; /* of zeros that follow */
    } bombs[] = {{"one strip of 120 Mpx", strips, 9, 100},
                 {"2^31 strips", far_strips, 9, 100},
                 {"tiles far beyond the picture", wide_tiles, 10, 1 << 17},
                 {"half a million tiles", small_tiles, 10, 1000},
                 {"65,535 planes", planes, 9, 100}};
    for (size_t i = 0; i < sizeof bombs / sizeof bombs[0]; i++) {
        bytes b = {0};
        put_tiff(&b, bombs[i].tags, bombs[i].count);
        for (size_t k = 0; k < bombs[i].bytes; k += 4) {
            put_little(&b, 200, 4);
        }
        assert_int_not_equal(defuse(bombs[i].name, &b), FOV_OK);
        print_message("%s: %s\n", bombs[i].name, fov_last_error());
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_jpeg_scans),  cmocka_unit_test(test_jpeg_sides),
                                       cmocka_unit_test(test_png_texts),   cmocka_unit_test(test_png_sides),
                                       cmocka_unit_test(test_wide_pixels), cmocka_unit_test(test_webp),
                                       cmocka_unit_test(test_tiff)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
