/* ctest: label=short timeout=120 */
/* Packs made from folders: the same bytes at any number of threads, pixels as they should be, bad pictures left out; and packs in the place
 * of folders: the same index, labels and batches, and what happens when a pack changes while it is read. */
#include "pack_case.h"

#include <signal.h>

#include "base/hash.h"
#include "base/interrupt.h"
#include "data/index_internal.h"
#include "data/loader.h"
#include "data/pack_make.h"
#include "data/picture.h"

#define PICTURES 8

/* Two classes with a folder below one, and a picture outside, at names that sort in unlike ways. */
static const char *const names[PICTURES] = {"a-b/x.png", "a/in/deep.jpg", "a/one.png",  "a/two.jpg",
                                            "b/big.jpg", "b/small.jpg",   "b/wide.png", "stray.png"};

static void make_folder(void) {
    make_dir("d/a/in");
    make_dir("d/a-b");
    make_dir("d/b");
    static const size_t size[PICTURES][2] = {{40, 50}, {33, 44}, {24, 24}, {60, 41}, {300, 200}, {9, 12}, {100, 30}, {48, 48}};
    for (size_t i = 0; i < PICTURES; i++) {
        char name[64];
        (void)snprintf(name, sizeof name, "d/%s", names[i]);
        make_picture(name, size[i][0], size[i][1]);
    }
}

static fov_index *scan(const char *root, fov_pixel_format format) {
    const fov_scan_options options = {.verify = true, .max_bad = 0.5, .decode = {.format = format}};
    fov_index *index;
    if (fov_index_scan(&index, &root, 1, &options, NULL) != FOV_OK) {
        fail_msg("%s", fov_last_error());
    }
    return index;
}

static fov_status make(const char *root, const char *path, const fov_pack_options *options, fov_pool *pool) {
    fov_index *index = scan(root, options->decode.format);
    fov_pack_summary summary;
    const fov_status status = fov_pack_make(index, path, options, pool, &summary);
    fov_pack_summary_clear(&summary);
    fov_index_free(index);
    return status;
}

/* ---- what is in a pack ---- */

static void test_originals(void **state) {
    (void)state;
    make_folder();
    const fov_pack_options options = {0};
    assert_int_equal(make(at("d"), at("p.fvp"), &options, NULL), FOV_OK);
    fov_pack *pack;
    fov_blob got = {0};
    size_t capacity = 0;
    assert_int_equal(fov_pack_open(&pack, at("p.fvp")), FOV_OK);
    assert_int_equal(fov_pack_count(pack), PICTURES);
    for (size_t i = 0; i < PICTURES; i++) {
        char name[64];
        const fov_pack_record record = fov_pack_at(pack, i);
        assert_string_equal(record.name, names[i]);
        assert_false(record.upright);
        assert_int_equal(record.kind, strstr(names[i], ".jpg") != NULL ? FOV_PACK_JPEG : FOV_PACK_PNG);
        (void)snprintf(name, sizeof name, "d/%s", names[i]);
        fov_blob file = read_file(at(name));
        assert_int_equal(fov_pack_read(pack, &record, name, 0, &got, &capacity), FOV_OK);
        assert_int_equal(got.size, file.size);
        assert_memory_equal(got.data, file.data, file.size);
        fov_blob_clear(&file);
    }
    fov_blob_clear(&got);
    fov_pack_close(pack);
}

/* What a shrunk picture has to look like: Pillow's bicubic of the whole picture. */
static void shrunk(const fov_index *index, size_t i, size_t side, fov_image *to) {
    fov_picture_reader reader;
    fov_augmenter *augmenter;
    const fov_image *image;
    size_t width, height;
    assert_int_equal(fov_picture_reader_init(&reader), FOV_OK);
    assert_int_equal(fov_augmenter_new(&augmenter), FOV_OK);
    assert_int_equal(fov_picture_open(&reader, index, i, NULL, &width, &height), FOV_OK);
    assert_int_equal(fov_picture_decode(&reader, NULL, &image), FOV_OK);
    if (width < height && width > side) {
        height = side * height / width;
        width = side;
    } else if (height > side && width > side) {
        width = side * width / height;
        height = side;
    }
    assert_int_equal(fov_image_resize_storage(to, width, height, (fov_pixel_format){.channels = 3}), FOV_OK);
    assert_int_equal(fov_image_resize(augmenter, image, width, height, FOV_BICUBIC, to->pixels), FOV_OK);
    fov_augmenter_free(augmenter);
    fov_picture_reader_clear(&reader);
}

static void compare_shrunk(const fov_index *index, const fov_pack *pack, size_t i, size_t side, bool raw) {
    fov_image want = {0};
    fov_blob got = {0}, jpeg = {0};
    size_t capacity = 0, width, height;
    const fov_pack_record record = fov_pack_at(pack, i);
    shrunk(index, i, side, &want);
    fov_index_size(index, i, &width, &height);
    assert_int_equal(fov_pack_read(pack, &record, "x", 0, &got, &capacity), FOV_OK);
    assert_int_equal(record.width, want.width);
    assert_int_equal(record.height, want.height);
    const bool shrinks = width > side && height > side;
    if (raw) {
        assert_int_equal(record.kind, FOV_PACK_RAW);
        assert_int_equal(got.size, want.width * want.height * 3);
        assert_memory_equal(got.data, want.pixels, got.size);
    } else if (shrinks) {
        assert_int_equal(record.kind, FOV_PACK_JPEG);
        assert_int_equal(fov_image_encode_jpeg(want.pixels, want.width, want.height, 3, 75, &jpeg), FOV_OK);
        assert_int_equal(got.size, jpeg.size);
        assert_memory_equal(got.data, jpeg.data, jpeg.size);
    }
    assert_int_equal(record.upright, raw || shrinks);
    fov_blob_clear(&jpeg);
    fov_blob_clear(&got);
    fov_image_clear(&want);
}

static void test_shrunk(void **state) {
    (void)state;
    make_folder();
    fov_index *index = scan(at("d"), (fov_pixel_format){0});
    for (unsigned raw = 0; raw < 2; raw++) {
        const fov_pack_options options = {.side = 24, .quality = 75, .raw = raw == 1};
        fov_pack_summary summary;
        fov_pack *pack;
        assert_int_equal(fov_pack_make(index, at("p.fvp"), &options, NULL, &summary), FOV_OK);
        assert_int_equal(summary.pictures, PICTURES);
        assert_int_equal(summary.kept, raw ? 0 : 2); /* 24 x 24 and 9 x 12 */
        assert_int_equal(summary.lost.count, 0);
        assert_int_equal(fov_pack_open(&pack, at("p.fvp")), FOV_OK);
        for (size_t i = 0; i < PICTURES; i++) {
            compare_shrunk(index, pack, i, 24, raw == 1);
        }
        fov_pack_close(pack);
        fov_pack_summary_clear(&summary);
        fov_pack_check check = {0};
        assert_int_equal(fov_pack_verify(at("p.fvp"), NULL, &check), FOV_OK);
    }
    fov_index_free(index);
}

static void same_file(const char *a, const char *b) {
    fov_blob x = read_file(a), y = read_file(b);
    assert_int_equal(x.size, y.size);
    assert_memory_equal(x.data, y.data, x.size);
    fov_blob_clear(&x);
    fov_blob_clear(&y);
}

static void test_threads(void **state) {
    (void)state;
    make_folder();
    for (unsigned kind = 0; kind < 3; kind++) {
        const fov_pack_options options = {.side = kind > 0 ? 24 : 0, .quality = 90, .raw = kind == 2};
        assert_int_equal(make(at("d"), at("one.fvp"), &options, NULL), FOV_OK);
        for (unsigned threads = 2; threads <= 8; threads *= 2) {
            fov_pool *pool;
            assert_int_equal(fov_pool_new(&pool, threads), FOV_OK);
            assert_int_equal(make(at("d"), at("many.fvp"), &options, pool), FOV_OK);
            fov_pool_free(pool);
            same_file(at("one.fvp"), at("many.fvp"));
        }
    }
    /* A pack of a pack is the pack. */
    const fov_pack_options options = {0};
    assert_int_equal(make(at("d"), at("one.fvp"), &options, NULL), FOV_OK);
    assert_int_equal(make(at("one.fvp"), at("again.fvp"), &options, NULL), FOV_OK);
    same_file(at("one.fvp"), at("again.fvp"));
}

/* Pictures that say how they are to be turned: kept, they still say it; shrunk or as pixels, they are turned already. */
static void test_orientation(void **state) {
    (void)state;
    make_dir("t");
    for (unsigned k = 5; k <= 8; k++) {
        char from[PATH_BYTES], to[64];
        (void)snprintf(from, sizeof from, FOV_TEST_DATA "/golden/images/exif%u.jpg", k);
        (void)snprintf(to, sizeof to, "t/%u.jpg", k);
        fov_blob file = read_file(from);
        make_file(at(to), file.data, file.size);
        fov_blob_clear(&file);
    }
    fov_index *files = scan(at("t"), (fov_pixel_format){0});
    for (unsigned kind = 0; kind < 3; kind++) {
        const fov_pack_options options = {.side = kind == 0 ? 0 : 9, .quality = 75, .raw = kind == 2};
        assert_int_equal(make(at("t"), at("t.fvp"), &options, NULL), FOV_OK);
        fov_pack *pack;
        assert_int_equal(fov_pack_open(&pack, at("t.fvp")), FOV_OK);
        for (size_t i = 0; i < 4; i++) {
            const fov_pack_record record = fov_pack_at(pack, i);
            assert_int_equal(record.upright, kind > 0);
            assert_int_equal(record.width, kind > 0 ? 9 : 13);
            assert_int_equal(record.height, kind > 0 ? 13 : 19);
            compare_shrunk(files, pack, i, kind > 0 ? 9 : 400, kind == 2);
        }
        fov_pack_close(pack);
        fov_index *packed = scan(at("t.fvp"), (fov_pixel_format){0}); /* decodes all */
        size_t width, height;
        fov_index_size(packed, 0, &width, &height);
        assert_int_equal(width, kind > 0 ? 9 : 13);
        fov_index_free(packed);
    }
    fov_index_free(files);
    /* A record that says it is upright is not turned again, whatever its EXIF data say. */
    fov_blob file = read_file(at("t/6.jpg"));
    fov_pack_writer *writer;
    assert_int_equal(fov_pack_writer_open(&writer, at("t.fvp")), FOV_OK);
    const fov_pack_record record = {.name = "x.jpg",
                                    .length = file.size,
                                    .checksum = fov_hash64(file.data, file.size, 0),
                                    .kind = FOV_PACK_JPEG,
                                    .width = 19,
                                    .height = 13,
                                    .channels = 3,
                                    .upright = true};
    assert_int_equal(fov_pack_writer_add(writer, &record, file.data), FOV_OK);
    assert_int_equal(fov_pack_writer_commit(writer), FOV_OK);
    fov_blob_clear(&file);
    fov_index_free(scan(at("t.fvp"), (fov_pixel_format){0}));
}

/* ---- other formats than RGB ---- */

/* Raw pixels that were not shrunk are those of the files, whatever their format. */
static void same_pixels(const char *root, const char *pack, fov_scan_options options) {
    fov_index *files, *packed;
    fov_picture_reader a, b;
    const char *roots[2] = {root, pack};
    options.verify = true;
    assert_int_equal(fov_index_scan(&files, &roots[0], 1, &options, NULL), FOV_OK);
    const fov_pack_options making = {.side = 400, .raw = true, .decode = options.decode};
    fov_pack_summary summary;
    assert_int_equal(fov_pack_make(files, pack, &making, NULL, &summary), FOV_OK);
    assert_int_equal(summary.lost.count, 0);
    fov_pack_summary_clear(&summary);
    if (fov_index_scan(&packed, &roots[1], 1, &options, NULL) != FOV_OK) {
        fail_msg("%s", fov_last_error());
    }
    assert_int_equal(fov_index_count(packed), fov_index_count(files));
    assert_int_equal(fov_picture_reader_init(&a), FOV_OK);
    assert_int_equal(fov_picture_reader_init(&b), FOV_OK);
    for (size_t i = 0; i < fov_index_count(files); i++) {
        const fov_image *x, *y;
        size_t width, height;
        assert_int_equal(fov_picture_open(&a, files, i, &options.decode, &width, &height), FOV_OK);
        assert_int_equal(fov_picture_decode(&a, NULL, &x), FOV_OK);
        assert_int_equal(fov_picture_open(&b, packed, i, &options.decode, &width, &height), FOV_OK);
        assert_int_equal(fov_picture_decode(&b, NULL, &y), FOV_OK);
        assert_int_equal(y->channels, options.decode.format.channels);
        assert_int_equal(y->deep, options.decode.format.deep);
        assert_int_equal(y->width, x->width);
        assert_int_equal(y->height, x->height);
        assert_memory_equal(x->pixels, y->pixels, x->width * x->height * fov_pixel_bytes(options.decode.format));
    }
    fov_picture_reader_clear(&a);
    fov_picture_reader_clear(&b);
    fov_index_free(files);
    fov_index_free(packed);
    fov_pack_check check = {0};
    assert_int_equal(fov_pack_verify(pack, NULL, &check), FOV_OK);
}

static void test_formats(void **state) {
    (void)state;
    make_folder();
    same_pixels(at("d"), at("grey.fvp"), (fov_scan_options){.decode = {.format = {.channels = 1}}});
    same_pixels(at("d"), at("deep.fvp"), (fov_scan_options){.decode = {.format = {.channels = 3, .deep = true}}});
    make_dir("planes/a");
    for (unsigned i = 0; i < 8; i++) { /* two pictures of four planes of 16 bits */
        char name[64];
        uint8_t *pixels = noise(30 * 20 * 2, i);
        (void)snprintf(name, sizeof name, "planes/a/%u_%c.png", i / 4, (int)('a' + i % 4));
        assert_int_equal(fov_image_write_png(at(name), pixels, 30, 20, (fov_pixel_format){.channels = 1, .deep = true}), FOV_OK);
        free(pixels);
    }
    same_pixels(at("planes"), at("planes.fvp"),
                (fov_scan_options){.group = "_a,_b,_c,_d", .decode = {.format = {.channels = 4, .deep = true}}});
    /* A file of five planes keeps its bytes, and a pack of it is whole. */
    const fov_pixel_format five = {.channels = 5};
    if (strstr(fov_image_kinds(), "TIFF") != NULL) {
        fov_blob planes = read_file(FOV_TEST_DATA "/golden/images/bands5.tif");
        make_dir("five");
        make_file(at("five/x.tif"), planes.data, planes.size);
        fov_blob_clear(&planes);
        assert_int_equal(make(at("five"), at("five.fvp"), &(fov_pack_options){.decode = {.format = five}}, NULL), FOV_OK);
        fov_pack_check check = {0};
        assert_int_equal(fov_pack_verify(at("five.fvp"), NULL, &check), FOV_OK);
        fov_index_free(scan(at("five.fvp"), five));
    }
    /* Their files cannot be kept. */
    const fov_scan_options scanning = {.group = "_a,_b,_c,_d", .decode = {.format = {.channels = 4}}};
    const fov_pack_options keeping = {.decode = scanning.decode};
    const char *root = at("planes");
    fov_index *index;
    fov_pack_summary summary;
    assert_int_equal(fov_index_scan(&index, &root, 1, &scanning, NULL), FOV_OK);
    assert_int_equal(fov_pack_make(index, at("p.fvp"), &keeping, NULL, &summary), FOV_E_DATA);
    assert_message("planes lie in several files");
    fov_pack_summary_clear(&summary);
    fov_index_free(index);
}

/* ---- what is refused and left out ---- */

static void test_bad_pictures(void **state) {
    (void)state;
    make_folder();
    fov_blob whole = read_file(at("d/b/big.jpg"));
    make_file(at("d/b/cut.jpg"), whole.data, whole.size / 2); /* a good header, found bad when it is decoded */
    make_file(at("d/b/empty.jpg"), "", 0);
    const fov_scan_options scanning = {.max_bad = 0.5};
    const char *root = at("d");
    fov_index *index;
    assert_int_equal(fov_index_scan(&index, &root, 1, &scanning, NULL), FOV_OK);
    fov_pack_options options = {.max_bad = 0.2};
    fov_pack_summary summary;
    assert_int_equal(fov_pack_make(index, at("p.fvp"), &options, NULL, &summary), FOV_OK);
    assert_int_equal(summary.pictures, PICTURES);
    assert_int_equal(summary.lost.count, 1);
    assert_non_null(strstr(summary.lost.item[0].file.path, "cut.jpg"));
    assert_int_equal(summary.lost.item[0].file.reason, FOV_BAD_CORRUPT);
    assert_int_equal(summary.lost.item[0].file.bytes, whole.size / 2);
    assert_int_equal(fov_index_write_bad(index, &summary.lost, at("bad.tsv")), FOV_OK);
    fov_blob list = read_file(at("bad.tsv"));
    assert_non_null(strstr((const char *)list.data, "empty.jpg\tempty\t0\t"));
    assert_non_null(strstr((const char *)list.data, "cut.jpg\tcorrupt\t"));
    fov_blob_clear(&list);
    fov_pack_summary_clear(&summary);
    assert_int_equal(fov_io_remove(at("p.fvp")), FOV_OK);
    options.max_bad = 0.15; /* 2 of 10 are bad */
    assert_int_equal(fov_pack_make(index, at("p.fvp"), &options, NULL, &summary), FOV_E_DATA);
    assert_message("2 of 10");
    assert_message("cut.jpg");
    assert_message("--max-bad");
    assert_int_equal(summary.lost.count, 1);
    fov_pack_summary_clear(&summary);
    assert_int_equal(fov_io_kind(at("p.fvp")), FOV_PATH_NONE);
    fov_blob_clear(&whole);
    fov_index_free(index);
}

static void test_refusals(void **state) {
    (void)state;
    make_folder();
    const fov_pack_options raw = {.raw = true}, deep = {.side = 9, .quality = 90, .decode = {.format = {.channels = 3, .deep = true}}},
                           planes = {.side = 9, .quality = 90, .decode = {.format = {.channels = 4}}}, none = {.side = 9};
    assert_int_equal(fov_pack_check_options(&raw), FOV_E_INVALID);
    assert_message("--side N");
    assert_int_equal(fov_pack_check_options(&deep), FOV_E_INVALID);
    assert_message("3 of 16");
    assert_int_equal(fov_pack_check_options(&planes), FOV_E_INVALID);
    assert_message("--raw");
    assert_int_equal(fov_pack_check_options(&none), FOV_E_INVALID);
    assert_message("quality");
    /* Two roots whose pictures have the same names below them. */
    make_dir("e/a");
    make_picture("e/a/one.png", 9, 9);
    make_dir("f/0");
    make_picture("f/0/new.png", 9, 9);
    const char *roots[2] = {at("d"), at("e")};
    const fov_scan_options scanning = {.verify = false};
    const fov_pack_options options = {0};
    fov_index *index;
    fov_pack_summary summary;
    assert_int_equal(fov_index_scan(&index, roots, 2, &scanning, NULL), FOV_OK);
    assert_int_equal(fov_pack_make(index, at("p.fvp"), &options, NULL, &summary), FOV_E_INVALID);
    assert_message("two pictures have this name");
    assert_message("a/one.png");
    assert_int_equal(fov_io_kind(at("p.fvp")), FOV_PATH_NONE);
    fov_pack_summary_clear(&summary);
    fov_index_free(index);
    /* Names that sort otherwise than paths. */
    roots[1] = at("f");
    fov_pack *pack;
    assert_int_equal(fov_index_scan(&index, roots, 2, &scanning, NULL), FOV_OK);
    assert_int_equal(fov_pack_make(index, at("p.fvp"), &options, NULL, &summary), FOV_OK);
    assert_int_equal(fov_pack_open(&pack, at("p.fvp")), FOV_OK);
    assert_string_equal(fov_pack_at(pack, 0).name, "0/new.png");
    assert_string_equal(fov_pack_at(pack, 1).name, "a-b/x.png");
    fov_pack_close(pack);
    fov_pack_summary_clear(&summary);
    assert_int_equal(fov_io_remove(at("p.fvp")), FOV_OK);
    fov_interrupt_raise(SIGINT);
    assert_int_equal(fov_pack_make(index, at("p.fvp"), &options, NULL, &summary), FOV_E_INTERRUPTED);
    fov_interrupt_clear();
    assert_int_equal(fov_io_kind(at("p.fvp")), FOV_PATH_NONE);
    fov_pack_summary_clear(&summary);
    fov_index_free(index);
}

/* Running out of memory anywhere while packing ends it cleanly; it is never taken for a bad picture. */
static void test_out_of_memory(void **state) {
    (void)state;
    make_folder();
    const fov_pack_options options = {.side = 24, .quality = 90};
    fov_index *index = scan(at("d"), (fov_pixel_format){0});
    const size_t live = fov_mem_stats_all().live_blocks;
    size_t failed = 0;
    fov_status status = FOV_E_NOMEM;
    for (uint64_t n = 1; status != FOV_OK; n++) {
        fov_pack_summary summary;
        fov_mem_fail_at(n, 0);
        status = fov_pack_make(index, at("p.fvp"), &options, NULL, &summary);
        fov_mem_fail_at(0, 0);
        assert_int_equal(summary.lost.count, 0);
        fov_pack_summary_clear(&summary);
        assert_true(status == FOV_OK || status == FOV_E_NOMEM);
        assert_int_equal(fov_mem_stats_all().live_blocks, live);
        assert_int_equal(fov_io_kind(at("p.fvp")), status == FOV_OK ? FOV_PATH_FILE : FOV_PATH_NONE);
        failed += status != FOV_OK;
    }
    assert_true(failed > 20);
    fov_index_free(index);
}

/* ---- in the place of a folder ---- */

static const char *relative_of(const fov_index *index, size_t i, fov_text *text) {
    text->length = 0;
    fov_index_relative(index, i, text);
    return text->data;
}

static void test_index(void **state) {
    (void)state;
    make_folder();
    const fov_pack_options options = {0}, small = {.side = 24, .quality = 90};
    assert_int_equal(make(at("d"), at("p"), &options, NULL), FOV_OK); /* told by content, not by name */
    assert_int_equal(make(at("d"), at("small.fvp"), &small, NULL), FOV_OK);
    fov_index *folder = scan(at("d"), (fov_pixel_format){0}), *packed = scan(at("p"), (fov_pixel_format){0}),
              *other = scan(at("small.fvp"), (fov_pixel_format){0});
    fov_text text = {0}, more = {0};
    assert_int_equal(fov_index_count(packed), PICTURES);
    assert_true(fov_index_hash(folder) == fov_index_hash(packed));
    assert_true(fov_index_hash(folder) != fov_index_hash(other));
    for (size_t i = 0; i < PICTURES; i++) {
        size_t width[2], height[2];
        assert_string_equal(relative_of(packed, i, &text), relative_of(folder, i, &more));
        fov_index_size(folder, i, &width[0], &height[0]);
        fov_index_size(packed, i, &width[1], &height[1]);
        assert_int_equal(width[0], width[1]);
        assert_int_equal(height[0], height[1]);
    }
    char want[PATH_BYTES];
    (void)snprintf(want, sizeof want, "%s:a/in/deep.jpg", at("p"));
    text.length = 0;
    fov_index_path(packed, 1, &text);
    assert_string_equal(text.data, want);
    fov_index_free(folder);
    fov_index_free(packed);
    fov_index_free(other);
    fov_text_clear(&text);
    fov_text_clear(&more);
}

static void test_several_roots(void **state) {
    (void)state;
    make_folder();
    make_dir("more/z");
    make_picture("more/z/last.png", 12, 12);
    const fov_pack_options options = {0};
    assert_int_equal(make(at("d"), at("m.fvp"), &options, NULL), FOV_OK);
    const fov_scan_options scanning = {.verify = false};
    const char *roots[5] = {at("more"), at("m.fvp"), at("more/z"), at("m.fvp"), at("d/stray.png")};
    fov_index *index;
    fov_text text = {0};
    assert_int_equal(fov_index_scan(&index, roots, 5, &scanning, NULL), FOV_OK);
    assert_int_equal(fov_index_count(index), PICTURES + 2);
    assert_int_equal(fov_index_duplicates(index), 2);
    const char *before = strdup("");
    for (size_t i = 0; i < PICTURES + 2; i++) { /* all in order of their paths */
        text.length = 0;
        fov_index_path(index, i, &text);
        assert_true(strcmp(before, text.data) < 0);
        free((void *)(uintptr_t)before);
        before = strdup(text.data);
    }
    free((void *)(uintptr_t)before);
    fov_text_clear(&text);
    fov_index_free(index);
}

static void test_labels(void **state) {
    (void)state;
    make_folder();
    const fov_pack_options options = {.side = 20, .raw = true};
    assert_int_equal(make(at("d"), at("p.fvp"), &options, NULL), FOV_OK);
    const fov_scan_options scanning = {.verify = true};
    fov_index *folder, *packed;
    assert_int_equal(fov_index_scan_labelled(&folder, at("d"), 1, &scanning, NULL), FOV_OK);
    assert_int_equal(fov_index_scan_labelled(&packed, at("p.fvp"), 1, &scanning, NULL), FOV_OK);
    assert_int_equal(fov_index_classes(packed), 3);
    assert_string_equal(fov_index_class_name(packed, 0), "a");
    assert_string_equal(fov_index_class_name(packed, 1), "a-b");
    assert_int_equal(fov_index_count(packed), PICTURES - 1);
    for (size_t i = 0; i < PICTURES - 1; i++) {
        assert_int_equal(fov_index_label(packed, i), fov_index_label(folder, i));
    }
    fov_index_free(folder);
    fov_index_free(packed);
    assert_int_equal(fov_index_scan_labelled(&packed, at("p.fvp"), 2, &scanning, NULL), FOV_E_INVALID);
    assert_message("class 'a-b'");
}

static void test_scan_finds_damage(void **state) {
    (void)state;
    make_folder();
    const fov_pack_options options = {0};
    assert_int_equal(make(at("d"), at("p.fvp"), &options, NULL), FOV_OK);
    fov_pack *pack;
    assert_int_equal(fov_pack_open(&pack, at("p.fvp")), FOV_OK);
    write_at(at("p.fvp"), "damage", 6, fov_pack_at(pack, 3).offset + 20);
    fov_pack_close(pack);
    fov_index *index = scan(at("p.fvp"), (fov_pixel_format){0});
    assert_int_equal(fov_index_count(index), PICTURES - 1);
    assert_int_equal(fov_index_bad_count(index), 1);
    assert_non_null(strstr(fov_index_bad(index, 0)->path, "p.fvp:a/two.jpg"));
    assert_non_null(strstr(fov_index_bad(index, 0)->message, "checksum differs"));
    fov_index_free(index);
    /* Raw pixels of another kind than is wanted. */
    const fov_pack_options raw = {.side = 9, .raw = true};
    assert_int_equal(make(at("d"), at("raw.fvp"), &raw, NULL), FOV_OK);
    const fov_scan_options grey = {.decode = {.format = {.channels = 1}}};
    const char *root = at("raw.fvp");
    assert_int_equal(fov_index_scan(&index, &root, 1, &grey, NULL), FOV_E_DATA);
    assert_message("raw pixels of 3 channels of 8 bits, not 1 of 8");
    /* A damaged table ends the scan. */
    assert_int_equal(truncate(at("p.fvp"), 9000), 0);
    root = at("p.fvp");
    assert_int_equal(fov_index_scan(&index, &root, 1, &grey, NULL), FOV_E_FORMAT);
    assert_message("p.fvp: a pack that does not end as one");
}

/* ---- batches ---- */

#define BATCH 4
#define STEPS 12

static const fov_loader_options loading = {.batch_size = BATCH, .threads = 2, .depth = 2, .seed = 5, .last_step = STEPS, .max_bad = 0.9};

/* Hands every batch to `look`; false when the loader ends early. */
static bool run_loader(const fov_index *index, void (*look)(void *context, const fov_batch *batch), void *context) {
    fov_recipe recipe;
    fov_loader *loader;
    const fov_batch *batch;
    fov_status status;
    assert_int_equal(fov_recipe_parse("crop(16,0.3,1,bilinear) flip(0.5) | crop(16,0.3,1,bilinear) gray(0.5)", &recipe), FOV_OK);
    assert_int_equal(fov_loader_new(&loader, index, &recipe, &loading), FOV_OK);
    while ((status = fov_loader_next(loader, &batch)) == FOV_OK && batch != NULL) {
        look(context, batch);
        fov_loader_give_back(loader, batch);
    }
    fov_loader_free(loader);
    return status == FOV_OK;
}

typedef struct pixels {
    uint8_t *view; /* [STEPS][2][BATCH][16][16][3] */
    uint32_t sample[STEPS][BATCH];
    const struct pixels *right; /* what the folder gave */
    const fov_blob *whole;      /* the pack as it was made */
    uint64_t trial;
    size_t replaced; /* samples that were not what they should be, and said so */
} pixels;
#define VIEW_BYTES ((size_t)16 * 16 * 3)
#define STEP_BYTES (2 * BATCH * VIEW_BYTES)

static void keep(void *context, const fov_batch *batch) {
    pixels *p = context;
    memcpy(p->view + batch->step * STEP_BYTES, batch->view[0], STEP_BYTES);
    memcpy(p->sample[batch->step], batch->sample, sizeof p->sample[0]);
}

static void test_batches(void **state) {
    (void)state;
    make_folder();
    const fov_pack_options options = {0};
    assert_int_equal(make(at("d"), at("p.fvp"), &options, NULL), FOV_OK);
    pixels folder = {.view = malloc(STEPS * STEP_BYTES)}, packed = {.view = malloc(STEPS * STEP_BYTES)};
    fov_index *index = scan(at("d"), (fov_pixel_format){0});
    assert_true(run_loader(index, keep, &folder));
    fov_index_free(index);
    index = scan(at("p.fvp"), (fov_pixel_format){0});
    assert_true(run_loader(index, keep, &packed));
    fov_index_free(index);
    assert_memory_equal(folder.view, packed.view, STEPS * STEP_BYTES);
    assert_memory_equal(folder.sample, packed.sample, sizeof folder.sample);
    free(folder.view);
    free(packed.view);
}

/* Cut, overwritten, deleted or replaced, at a place that the trial's number gives. */
static void change_pack(const pixels *p) {
    fov_rng rng;
    fov_rng_init(&rng, 0, 0, p->trial, 1, FOV_RNG_TEST);
    if (p->trial % 4 == 0) {
        assert_int_equal(truncate(at("p.fvp"), (off_t)fov_rng_below(&rng, p->whole->size)), 0);
    } else if (p->trial % 4 == 1) {
        uint8_t *bytes = noise(1024, p->trial);
        write_at(at("p.fvp"), bytes, 1024, fov_rng_below(&rng, p->whole->size - 1024));
        free(bytes);
    } else if (p->trial % 4 == 2) {
        assert_int_equal(unlink(at("p.fvp")), 0);
    } else {
        assert_int_equal(rename(at("other.fvp"), at("p.fvp")), 0);
    }
}

/* A sample that keeps its number has the right pixels; a replaced one shows another picture's number. */
static void only_right_pixels(void *context, const fov_batch *batch) {
    pixels *p = context;
    if (batch->step == 1) {
        change_pack(p);
    }
    for (size_t k = 0; k < BATCH; k++) {
        if (batch->sample[k] != p->right->sample[batch->step][k]) {
            p->replaced++;
            continue;
        }
        for (size_t v = 0; v < 2; v++) {
            const size_t offset = (v * BATCH + k) * VIEW_BYTES;
            assert_memory_equal(batch->view[0] + offset, p->right->view + batch->step * STEP_BYTES + offset, VIEW_BYTES);
        }
    }
}

/* The pack changes while it is read: no sample shows wrong pixels, and nothing crashes. */
static void test_changes_under_us(void **state) {
    (void)state;
    make_folder();
    const fov_pack_options options = {0}, other = {.side = 20, .raw = true};
    assert_int_equal(make(at("d"), at("p.fvp"), &options, NULL), FOV_OK);
    pixels right = {.view = malloc(STEPS * STEP_BYTES)}, now = {.right = &right};
    fov_index *index = scan(at("d"), (fov_pixel_format){0});
    assert_true(run_loader(index, keep, &right));
    fov_index_free(index);
    fov_blob whole = read_file(at("p.fvp"));
    now.whole = &whole;
    for (now.trial = 0; now.trial < 100; now.trial++) {
        (void)unlink(at("p.fvp"));
        make_file(at("p.fvp"), whole.data, whole.size);
        index = scan(at("p.fvp"), (fov_pixel_format){0});
        if (now.trial % 4 == 3) {
            assert_int_equal(make(at("d"), at("other.fvp"), &other, NULL), FOV_OK);
        }
        const size_t before = now.replaced;
        const bool went_on = run_loader(index, only_right_pixels, &now);
        if (now.trial % 4 >= 2) { /* the file that is open stays what it was */
            assert_true(went_on);
            assert_int_equal(now.replaced, before);
        }
        fov_index_free(index);
    }
    assert_true(now.replaced > 50);
    fov_blob_clear(&whole);
    free(right.view);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(test_originals),    TEST(test_shrunk),           TEST(test_threads),     TEST(test_formats),
        TEST(test_bad_pictures), TEST(test_refusals),         TEST(test_orientation), TEST(test_out_of_memory),
        TEST(test_index),        TEST(test_several_roots),    TEST(test_labels),      TEST(test_scan_finds_damage),
        TEST(test_batches),      TEST(test_changes_under_us),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
