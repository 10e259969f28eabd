/* Large pictures read in pieces give what they give when they are read whole: the pixels, and what is said where they are damaged, cut,
 * changed or cannot be read. From folders and packs, as files, records and raw pixels. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/rng.h"
#include "data/loader.h"
#include "data/pack_make.h"
#include "data/picture.h"
#include "folder_case.h"
#include "strip_case.h"

#define WIDTH 1700
#define HEIGHT 1200 /* noise of that size is more than 2 MiB in a file and in memory */

static void require(fov_status status) {
    if (status != FOV_OK) {
        fail_msg("%s: %s (%s)", fov_status_name(status), fov_last_error(), fov_last_trail());
    }
}

static const char *at(const char *name) {
    static char paths[4][512];
    static unsigned next;
    char *path = paths[next++ % 4];
    (void)snprintf(path, sizeof paths[0], "%s/%s", folder, name);
    return path;
}

static void assert_message(const char *part) {
    if (strstr(fov_last_error(), part) == NULL) {
        fail_msg("expected '%s' in '%s'", part, fov_last_error());
    }
}

static fov_index *scan(const char *path) {
    fov_index *index = NULL;
    const fov_scan_options options = {.verify = false};
    require(fov_index_scan(&index, &path, 1, &options, NULL));
    return index;
}

/* a.jpg and b.png, of noise. */
static void make_large(void) {
    fov_rng rng;
    uint8_t *pixels = malloc((size_t)WIDTH * HEIGHT * 3);
    assert_non_null(pixels);
    fov_rng_init(&rng, 0, 0, 7, 0, FOV_RNG_TEST);
    for (size_t i = 0; i < (size_t)WIDTH * HEIGHT * 3; i++) {
        pixels[i] = (uint8_t)fov_rng_u32(&rng);
    }
    require(fov_io_mkdir(at("data"), true));
    require(fov_image_write_jpeg(at("data/a.jpg"), pixels, WIDTH, HEIGHT, 3, 100));
    require(fov_image_write_png(at("data/b.png"), pixels, WIDTH, HEIGHT, (fov_pixel_format){.channels = 3}));
    free(pixels);
}

typedef struct two_readers {
    fov_picture_reader whole, pieces;
} two_readers;

static void open_readers(two_readers *r) {
    require(fov_picture_reader_init(&r->whole));
    require(fov_picture_reader_init(&r->pieces));
    r->pieces.by_pieces = true;
}

static void close_readers(two_readers *r) {
    fov_picture_reader_clear(&r->whole);
    fov_picture_reader_clear(&r->pieces);
}

/* The part of picture i from both, as a frame and in strips; what is said where it fails. */
static fov_status compare(two_readers *r, const fov_index *index, size_t i, const fov_decode_part *part) {
    size_t width, height, w, h;
    const fov_image *expected = NULL, *image = NULL;
    char said[512] = "";
    fov_status status = fov_picture_open(&r->whole, index, i, NULL, &width, &height);
    if (status == FOV_OK) {
        status = fov_picture_decode(&r->whole, part, &expected);
    }
    if (status != FOV_OK) {
        (void)snprintf(said, sizeof said, "%s", fov_last_error());
    }
    for (int strips = 0; strips < 2; strips++) {
        fov_status again = fov_picture_open(&r->pieces, index, i, NULL, &w, &h);
        strip_case c = {0};
        fov_image frame = {0};
        if (again == FOV_OK) {
            assert_true(r->pieces.feed.file != NULL);
            if (strips == 0) {
                again = fov_picture_decode(&r->pieces, part, &image);
            } else {
                frame = status == FOV_OK ? *expected : frame;
                if (status == FOV_OK && part != NULL && r->pieces.what.kind == FOV_PACK_RAW) {
                    frame.top = part->top; /* a raw picture comes with whole rows of the part */
                    frame.height = part->height;
                    frame.pixels += part->top * frame.width * 3;
                }
                frame.full_width = width;
                frame.full_height = height;
                c.part = &frame;
                c.rows = malloc((size_t)WIDTH * HEIGHT * 3);
                assert_non_null(c.rows);
                assert_true(fov_picture_by_strips(&r->pieces, part));
                again = fov_picture_decode_strips(&r->pieces, part, strip_take, &c);
            }
        }
        assert_int_equal(again, status);
        if (status != FOV_OK) {
            assert_string_equal(fov_last_error(), said);
        } else {
            const uint8_t *rows = strips == 0 ? image->pixels : c.rows;
            const fov_image *from = strips == 0 ? expected : &frame;
            assert_memory_equal(rows, from->pixels, from->width * from->height * 3);
            assert_true(strips == 0 || (!c.wrong && c.strips > 5 && c.begun == 1 && c.high == frame.height));
            assert_int_equal(r->pieces.what.length, r->whole.what.length);
        }
        free(c.rows);
    }
    return status;
}

/* The folder as a pack. */
static fov_index *pack(const char *name, bool raw) {
    fov_index *index = scan(at("data"));
    const fov_pack_options options = {.side = raw ? HEIGHT : 0, .raw = raw};
    fov_pack_summary summary;
    require(fov_pack_make(index, at(name), &options, NULL, &summary));
    fov_pack_summary_clear(&summary);
    fov_index_free(index);
    return scan(at(name));
}

static void test_same_pixels(void **state) {
    (void)state;
    two_readers r;
    const fov_decode_part part = {.left = 100, .top = 77, .width = 1000, .height = 700, .shrink = 1};
    make_large();
    open_readers(&r);
    fov_index *indexes[] = {scan(at("data")), pack("files.fvp", false), pack("raw.fvp", true)};
    for (size_t k = 0; k < 3; k++) {
        assert_int_equal(fov_index_count(indexes[k]), 2);
        for (size_t i = 0; i < 2; i++) {
            require(compare(&r, indexes[k], i, NULL));
            require(compare(&r, indexes[k], i, &part));
        }
        fov_index_free(indexes[k]);
    }
    close_readers(&r);
}

/* Writes the first `size` bytes of a file anew, with one changed. */
static void rewrite(const char *path, double share, double changed) {
    fov_blob file;
    require(fov_io_read(path, (size_t)1 << 30, 0, &file));
    if (changed > 0.0) {
        file.data[(size_t)(changed * (double)file.size)] ^= 0x5A;
    }
    require(fov_io_write_atomic(path, file.data, (size_t)(share * (double)file.size)));
    fov_blob_clear(&file);
}

static void test_damage(void **state) {
    (void)state;
    two_readers r;
    make_large();
    open_readers(&r);
    fov_index *files = scan(at("data")), *packed = pack("files.fvp", false), *raw = pack("raw.fvp", true);
    fov_index_free(packed);
    fov_index_free(raw);
    rewrite(at("data/a.jpg"), 0.95, 0.0);
    rewrite(at("data/b.png"), 0.95, 0.0);
    assert_int_equal(compare(&r, files, 0, NULL), FOV_E_FORMAT);
    assert_int_equal(compare(&r, files, 1, NULL), FOV_E_FORMAT);
    fov_index_free(files);
    for (int k = 0; k < 2; k++) { /* their first records */
        const char *path = at(k == 0 ? "files.fvp" : "raw.fvp");
        rewrite(path, 1.0, 0.25);
        fov_index *index = scan(path);
        assert_int_equal(compare(&r, index, 0, NULL), FOV_E_FORMAT);
        assert_message("its checksum differs");
        require(compare(&r, index, 1, NULL));
        fov_index_free(index);
    }
    close_readers(&r);
}

static fov_status read_strips(fov_picture_reader *reader, const fov_index *index, size_t i, strip_case *c, const char *cut) {
    size_t width, height;
    const fov_status status = fov_picture_open(reader, index, i, NULL, &width, &height);
    if (status != FOV_OK) {
        return status;
    }
    if (cut != NULL) {
        assert_int_equal(truncate(cut, 1 << 20), 0);
    }
    c->strips = c->begun = 0;
    return fov_picture_decode_strips(reader, NULL, strip_take, c);
}

/* A file that fails in the middle, or is cut while it is decoded: an ordinary error that names it once. */
static void test_failing_reads(void **state) {
    (void)state;
    make_large();
    fov_index *indexes[] = {scan(at("data")), pack("raw.fvp", true)};
    fov_picture_reader reader;
    fov_image none = {0};
    strip_case c = {.part = &none};
    require(fov_picture_reader_init(&reader));
    reader.by_pieces = true;
    for (size_t k = 0; k < 4; k++) {
        const fov_index *index = indexes[k / 2];
        size_t failures = 0;
        for (uint64_t n = 1;; n++) {
            fov_io_fail_at("read", n, false, EIO);
            const fov_status status = read_strips(&reader, index, k % 2, &c, NULL);
            const bool reached = status != FOV_OK;
            fov_io_fail_at("any", 0, false, 0);
            if (!reached) {
                break;
            }
            failures++;
            assert_true(failures < 1000);
            assert_int_equal(status, FOV_E_IO);
            const char *name = strstr(fov_last_error(), k % 2 == 0 ? "a.jpg" : "b.png");
            assert_true(name != NULL && strstr(name + 1, k % 2 == 0 ? "a.jpg" : "b.png") == NULL);
        }
        assert_true(failures > 4);
    }
    assert_int_equal(read_strips(&reader, indexes[0], 0, &c, at("data/a.jpg")), FOV_E_IO);
    assert_message("a.jpg: ");
    assert_message("became shorter");
    fov_picture_reader_clear(&reader);
    fov_index_free(indexes[0]);
    fov_index_free(indexes[1]);
}

/* A scan that decodes them reads them in pieces too: a read that fails makes a bad file, which is named as one that cannot be read; damage
 * is called damage. */
static void test_scans(void **state) {
    (void)state;
    make_large();
    const char *const root = at("data");
    const fov_scan_options options = {.verify = true, .max_bad = 0.9};
    size_t failed = 0;
    for (uint64_t n = 1;; n++) {
        fov_index *index = NULL;
        fov_io_fail_at("read", n, false, EIO);
        const fov_status status = fov_index_scan(&index, &root, 1, &options, NULL);
        fov_io_fail_at("any", 0, false, 0);
        require(status);
        const bool bad = fov_index_bad_count(index) > 0;
        if (bad) {
            assert_int_equal(fov_index_bad_count(index), 1);
            assert_int_equal(fov_index_bad(index, 0)->reason, FOV_BAD_UNREADABLE);
            assert_non_null(strstr(fov_index_bad(index, 0)->message, "Input/output error"));
        }
        fov_index_free(index);
        failed += bad;
        if (!bad) {
            break;
        }
        assert_true(n < 1000);
    }
    assert_true(failed > 10); /* of a window of half a MiB each */
    rewrite(at("data/b.png"), 0.95, 0.0);
    fov_index *index = NULL;
    require(fov_index_scan(&index, &root, 1, &options, NULL));
    assert_int_equal(fov_index_bad_count(index), 1);
    assert_int_equal(fov_index_bad(index, 0)->reason, FOV_BAD_CORRUPT);
    fov_index_free(index);
}

static fov_status take_block(void *context, size_t first, size_t count, const uint8_t *pixels) {
    (void)context, (void)first, (void)count, (void)pixels;
    return FOV_OK;
}

/* One that goes bad after the scan is listed with the bytes that it has now, though they were never in memory as a whole. */
static void test_lost(void **state) {
    (void)state;
    make_large();
    fov_index *index = scan(at("data"));
    fov_preprocess preprocess;
    fov_lost lost = {.max_bad = 0.9};
    fov_blob cut;
    fov_preprocess_default(32, &preprocess);
    rewrite(at("data/b.png"), 0.95, 0.0);
    require(fov_io_read(at("data/b.png"), (size_t)1 << 30, 0, &cut));
    const fov_evaluation evaluation = {.preprocess = &preprocess, .block = 2, .lost = &lost, .fn = take_block};
    require(fov_loader_evaluate(index, &evaluation));
    assert_int_equal(lost.count, 1);
    assert_int_equal(lost.item[0].picture, 1);
    assert_int_equal(lost.item[0].file.bytes, cut.size);
    fov_blob_clear(&cut);
    fov_lost_clear(&lost);
    fov_index_free(index);
}

static void test_out_of_memory(void **state) {
    (void)state;
    make_large();
    fov_index *indexes[] = {scan(at("data")), pack("raw.fvp", true)};
    fov_image none = {0};
    strip_case c = {.part = &none};
    for (size_t k = 0; k < 2; k++) {
        fov_status status = FOV_E_NOMEM;
        for (uint64_t n = 1; status != FOV_OK; n++) {
            fov_picture_reader reader;
            require(fov_picture_reader_init(&reader));
            reader.by_pieces = true;
            fov_mem_fail_at(n, 0);
            status = read_strips(&reader, indexes[k], 0, &c, NULL);
            fov_mem_fail_at(0, 0);
            assert_true(status == FOV_OK || status == FOV_E_NOMEM);
            fov_picture_reader_clear(&reader);
            assert_true(n < 100);
        }
        fov_index_free(indexes[k]);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_same_pixels),   cmocka_unit_test(test_damage),
                                       cmocka_unit_test(test_failing_reads), cmocka_unit_test(test_scans),
                                       cmocka_unit_test(test_lost),          cmocka_unit_test(test_out_of_memory)};
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
