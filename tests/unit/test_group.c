/* ctest: label=short timeout=120 */
/* Pictures whose planes lie in several files: which files form one, what is said when they do not, and how they are read. */
#include "scan_case.h"

#include "data/picture.h"

static fov_scan_options grouped(const char *rule, size_t channels, bool verify) {
    return (fov_scan_options){.group = rule, .verify = verify, .max_bad = 0.95, .decode = {.format = {.channels = channels}}};
}

/* ---- the rule ---- */

static void test_rules(void **state) {
    (void)state;
    static const struct {
        const char *rule, *part;
    } wrong[] = {{"", "empty"},        {",_b", "empty"},      {"_a,", "empty"},      {"_a,,_b", "empty"}, {"_a,x/_b", "'/'"},
                 {"_a,_a", "another"}, {"_a,x_a", "another"}, {"x_a,_a", "another"}, {"_a, _b", "blank"}, {"_a ,_b", "blank"}};
    make_dir("g");
    make_picture("g/1_a.png", 4, 4);
    fov_index *index;
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        const fov_scan_options options = grouped(wrong[i].rule, 3, false);
        assert_int_equal(scan(&index, at("g"), &options), FOV_E_INVALID);
        assert_message(wrong[i].part);
        assert_message("such as '_B02,_B03,_B08'");
        assert_null(index);
    }
    char many[33 * 4 + 1] = "";
    for (size_t i = 0; i < 33; i++) {
        (void)snprintf(many + strlen(many), sizeof many - strlen(many), "%s_%02zu", i == 0 ? "" : ",", i);
    }
    fov_scan_options options = grouped(many, 3, false);
    assert_int_equal(scan(&index, at("g"), &options), FOV_E_INVALID);
    assert_message("more than 32");
    options.group = "_a"; /* one file is a picture too */
    assert_int_equal(scan(&index, at("g"), &options), FOV_OK);
    assert_int_equal(fov_index_count(index), 1);
    fov_index_free(index);
    options.group = "_z\001";
    assert_int_equal(scan(&index, at("g"), &options), FOV_E_INVALID);
    assert_message("no picture");
    assert_message("1 other files");
    assert_message("--group wants names that end in _z\\x01");
}

/* ---- which files ---- */

static void make_groups(void) {
    make_dir("g/sub");
    make_picture("g/a_2.png", 9, 7); /* a, a_2b and a.b stand between each other's files */
    make_picture("g/a_10.png", 9, 7);
    make_picture("g/a_2b_2.png", 8, 8);
    make_picture("g/a_2b_10.png", 8, 8);
    make_picture("g/a.b_10.png", 6, 5);
    make_picture("g/a.b_2.png", 6, 5);
    make_picture("g/a_2", 5, 5); /* no extension: another picture */
    make_picture("g/a_10", 5, 5);
    make_picture("g/sub/a_10.png", 4, 4);
    make_picture("g/sub/a_2.png", 4, 4);
    make_picture("g/_2.PNG", 3, 3); /* an empty stem */
    make_picture("g/_10.PNG", 3, 3);
    make_picture("g/other.png", 4, 4);
    make_text("g/notes_2.txt", "words");
    make_text("g/labels_10.csv", "words");
    make_text("g/README", "words");
}

static void test_files(void **state) {
    (void)state;
    static const char *const expected[] = {"_2.PNG", "a.b_2.png", "a_2", "a_2.png", "a_2b_2.png", "sub/a_2.png"};
    static const size_t sizes[][2] = {{3, 3}, {6, 5}, {5, 5}, {9, 7}, {8, 8}, {4, 4}};
    make_groups();
    const size_t root = strlen(at("g")) + 1;
    for (int verify = 0; verify < 2; verify++) {
        const fov_scan_options options = grouped("_2,_10", 6, verify == 1);
        fov_index *index;
        fov_pool *pool;
        assert_int_equal(fov_pool_new(&pool, 3), FOV_OK);
        const char *folder = at("g");
        assert_int_equal(fov_index_scan(&index, &folder, 1, &options, pool), FOV_OK);
        fov_pool_free(pool);
        assert_int_equal(fov_index_count(index), sizeof expected / sizeof *expected);
        for (size_t i = 0; i < fov_index_count(index); i++) {
            size_t width, height;
            assert_string_equal(path_of(index, i) + root, expected[i]);
            fov_index_size(index, i, &width, &height);
            assert_int_equal(width, sizes[i][0]);
            assert_int_equal(height, sizes[i][1]);
        }
        assert_int_equal(fov_index_bad_count(index), 0);
        assert_int_equal(fov_index_ignored(index), 4);
        assert_int_equal(fov_index_duplicates(index), 0);
        fov_index_free(index);
    }
}

static void test_bad(void **state) {
    (void)state;
    make_dir("g");
    static const char *const stems[] = {"good", "lone", "late", "size", "text", "void", "torn"};
    char name[64];
    for (size_t i = 0; i < sizeof stems / sizeof *stems; i++) {
        for (int k = 0; k < 3; k++) {
            (void)snprintf(name, sizeof name, "g/%s_%c.png", stems[i], "xyz"[k]);
            make_picture(name, i == 3 && k == 2 ? 12 : 11, 10);
        }
    }
    assert_int_equal(unlink(at("g/lone_z.png")), 0);
    assert_int_equal(unlink(at("g/late_x.png")), 0);
    make_text("g/text_y.png", "words");
    make_text("g/void_z.png", "");
    assert_int_equal(truncate(at("g/torn_y.png"), 100), 0);
    fov_scan_options options = grouped("_x,_y,_z", 9, true);
    fov_index *index;
    assert_int_equal(scan(&index, at("g"), &options), FOV_OK);
    assert_int_equal(fov_index_count(index), 1);
    assert_int_equal(fov_index_bad_count(index), 6);
    static const struct {
        const char *name, *part;
        fov_bad_reason reason;
    } bad[] = {{"lone_x.png", "there is no lone_z.png", FOV_BAD_UNREADABLE},
               {"late_y.png", "there is no late_x.png", FOV_BAD_UNREADABLE},
               {"size_x.png", "size_z.png is of 12 x 10 pixels, the files before it are of 11 x 10", FOV_BAD_UNSUPPORTED},
               {"text_x.png", "text_y.png: holds something else", FOV_BAD_NOT_IMAGE},
               {"void_x.png", "void_z.png: the file is empty", FOV_BAD_EMPTY},
               {"torn_x.png", "torn_y.png: ", FOV_BAD_CORRUPT}};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        const fov_bad_file *file = bad_named(index, bad[i].name);
        if (strstr(file->message, bad[i].part) == NULL) {
            fail_msg("expected '%s' in '%s'", bad[i].part, file->message);
        }
        assert_int_equal(file->reason, bad[i].reason);
    }
    fov_index_free(index);
    options.decode.format.channels = 6;
    options.max_bad = 0.99;
    assert_int_equal(scan(&index, at("g"), &options), FOV_E_DATA);
    assert_message("its 3 files have 9 channels together, 6 are wanted; give --channels 9)");
    options.decode.format.channels = 12;
    assert_int_equal(scan(&index, at("g"), &options), FOV_E_DATA);
    assert_message("12 are wanted; give --channels 9, or --group the ends of all files of a picture)");
    options.channels_of_weights = true; /* there is no --channels then */
    assert_int_equal(scan(&index, at("g"), &options), FOV_E_DATA);
    assert_message("12 are wanted; give --group the ends of all files of a picture)");
}

static void test_labels_and_hash(void **state) {
    (void)state;
    uint64_t hash[4];
    for (size_t r = 0; r < 4; r++) {
        char name[64];
        (void)snprintf(name, sizeof name, "h%zu/one", r);
        make_dir(name);
        (void)snprintf(name, sizeof name, "h%zu/two", r);
        make_dir(name);
        static const char *const files[] = {"one/p_a.png", "one/p_b.png", "two/q_a.png", "two/q_b.png"};
        for (size_t i = 0; i < 4; i++) {
            (void)snprintf(name, sizeof name, "h%zu/%s", r, files[i]);
            make_picture(name, 6, 6);
        }
        if (r == 1) { /* the second file counts with its size */
            const int file = open(at(name), O_WRONLY | O_APPEND);
            assert_true(file >= 0);
            assert_int_equal(write(file, "more", 4), 4);
            (void)close(file);
        }
        if (r == 2) { /* and with its name */
            char renamed[PATH_BYTES];
            (void)snprintf(renamed, sizeof renamed, "%s", at("h2/one/p_c.png"));
            assert_int_equal(rename(at("h2/one/p_b.png"), renamed), 0);
            (void)snprintf(renamed, sizeof renamed, "%s", at("h2/two/q_c.png"));
            assert_int_equal(rename(at("h2/two/q_b.png"), renamed), 0);
        }
        const fov_scan_options options = grouped(r == 2 ? "_a,_c" : "_a,_b", 6, false);
        char root[16];
        (void)snprintf(root, sizeof root, "h%zu", r);
        fov_index *index;
        assert_int_equal(fov_index_scan_labelled(&index, at(root), 1, &options, NULL), FOV_OK);
        assert_int_equal(fov_index_count(index), 2);
        assert_int_equal(fov_index_label(index, 0), 0);
        assert_int_equal(fov_index_label(index, 1), 1);
        hash[r] = fov_index_hash(index);
        fov_index_free(index);
    }
    assert_true(hash[0] == hash[3]);
    assert_true(hash[0] != hash[1]);
    assert_true(hash[0] != hash[2]);
}

/* ---- reading ---- */

/* Sample c of pixel i must be sample c % 3 of pixel i of the file that plane c lies in. */
static void assert_woven(const fov_image *image, size_t files, const uint8_t *const *planes) {
    assert_int_equal(image->channels, files * 3);
    for (size_t i = 0; i < image->width * image->height; i++) {
        for (size_t c = 0; c < image->channels; c++) {
            assert_int_equal(image->pixels[i * image->channels + c], planes[c / 3][i * 3 + c % 3]);
        }
    }
}

static void test_reading(void **state) {
    (void)state;
    make_dir("g");
    make_picture("g/p_b.png", 31, 17);
    make_picture("g/p_aa.png", 31, 17);
    make_picture("g/plain.png", 5, 4);
    uint8_t *const b = noise("g/p_b.png", 31, 17), *const a = noise("g/p_aa.png", 31, 17);
    const fov_scan_options options = grouped("_b,_aa", 6, true), plain = {.verify = true};
    fov_index *index, *single;
    fov_picture_reader reader;
    size_t width, height;
    const fov_image *image;
    assert_int_equal(scan(&index, at("g"), &options), FOV_OK);
    assert_int_equal(scan(&single, at("g/plain.png"), &plain), FOV_OK);
    assert_int_equal(fov_picture_reader_init(&reader), FOV_OK);
    for (int turn = 0; turn < 2; turn++) {
        assert_int_equal(fov_picture_open(&reader, index, 0, &options.decode, &width, &height), FOV_OK);
        assert_int_equal(width, 31);
        assert_int_equal(height, 17);
        const fov_decode_part part = {.left = 3, .top = 2, .width = 9, .height = 5, .shrink = 2};
        assert_int_equal(fov_picture_decode(&reader, turn == 0 ? NULL : &part, &image), FOV_OK);
        if (image->width == 31 && image->height == 17) {
            assert_woven(image, 2, (const uint8_t *const[]){b, a});
        }
        /* A picture in one file in between, with the same reader. */
        assert_int_equal(fov_picture_open(&reader, single, 0, NULL, &width, &height), FOV_OK);
        assert_int_equal(width, 5);
        assert_int_equal(fov_picture_decode(&reader, NULL, &image), FOV_OK);
        assert_int_equal(image->channels, 3);
        assert_int_equal(image->height, 4);
    }
    /* What changed since the scan is said with the file's name. */
    make_picture("g/p_aa.png", 30, 17);
    assert_int_equal(fov_picture_open(&reader, index, 0, &options.decode, &width, &height), FOV_E_MISMATCH);
    assert_message("p_aa.png: 30 x 17 pixels, but the files before it have 31 x 17");
    assert_int_equal(unlink(at("g/p_aa.png")), 0);
    assert_int_equal(fov_picture_open(&reader, index, 0, &options.decode, &width, &height), FOV_E_NOTFOUND);
    assert_message("p_aa.png");
    fov_decode_options other = options.decode;
    other.format.channels = 4;
    make_picture("g/p_aa.png", 31, 17);
    assert_int_equal(fov_picture_open(&reader, index, 0, &other, &width, &height), FOV_E_UNSUPPORTED);
    assert_message("its 2 files have 6 channels together, 4 are wanted");
    assert_message("p_b.png");
    fov_picture_reader_clear(&reader);
    fov_index_free(index);
    fov_index_free(single);
    free(a);
    free(b);
}

/* Grey files are one plane each, of 8 bits or 16; kinds and numbers of planes may differ within a picture. Parts are those of the whole. */
static void test_planes(void **state) {
    (void)state;
    enum { W = 40, H = 24, CHANNELS = 5 };
    uint8_t *grey = noise("grey", W, H), *other = noise("other", W, H), *color = noise("colour", W, H);
    make_dir("g");
    assert_int_equal(fov_image_write_png(at("g/p_1.png"), grey, W, H, (fov_pixel_format){.channels = 1}), FOV_OK);
    assert_int_equal(fov_image_write_png(at("g/p_2.png"), other, W, H, (fov_pixel_format){.channels = 1}), FOV_OK);
    assert_int_equal(fov_image_write_png(at("g/p_3.png"), color, W, H, (fov_pixel_format){0}), FOV_OK);
    for (int deep = 0; deep < 2; deep++) {
        fov_scan_options options = grouped("_1,_2,_3", CHANNELS, deep == 1);
        options.decode.format.deep = deep == 1;
        fov_index *index;
        fov_picture_reader reader;
        size_t width, height;
        const fov_image *image;
        assert_int_equal(scan(&index, at("g"), &options), FOV_OK);
        assert_int_equal(fov_index_count(index), 1);
        assert_int_equal(fov_picture_reader_init(&reader), FOV_OK);
        static const fov_decode_part parts[] = {
            {0}, {.left = 9, .top = 5, .width = 11, .height = 7}, {.width = W, .height = H, .shrink = 4}};
        for (size_t p = 0; p < 3; p++) {
            assert_int_equal(fov_picture_open(&reader, index, 0, &options.decode, &width, &height), FOV_OK);
            assert_int_equal(width, W);
            assert_int_equal(fov_picture_decode(&reader, p == 0 ? NULL : &parts[p], &image), FOV_OK);
            assert_int_equal(image->channels, CHANNELS);
            assert_int_equal(image->deep, deep);
            assert_true(p != 1 || image->width == 11);
            for (size_t i = 0; i < image->width * image->height; i++) {
                const size_t at = (image->top + i / image->width) * W + image->left + i % image->width;
                const unsigned expected[CHANNELS] = {grey[at], other[at], color[at * 3], color[at * 3 + 1], color[at * 3 + 2]};
                for (size_t c = 0; c < CHANNELS; c++) {
                    const size_t k = i * CHANNELS + c;
                    assert_int_equal(deep == 1 ? ((const uint16_t *)(const void *)image->pixels)[k] : image->pixels[k],
                                     expected[c] * (deep == 1 ? 257 : 1));
                }
            }
        }
        fov_picture_reader_clear(&reader);
        fov_index_free(index);
    }
    free(grey);
    free(other);
    free(color);
}

/* A JPEG file can shrink and gives parts as it can, a PNG file does not: then the whole picture is woven. */
static void test_unlike_files(void **state) {
    (void)state;
    enum { W = 64, H = 48 };
    uint8_t *color = noise("colour", W, H);
    make_dir("g");
    assert_int_equal(fov_image_write_jpeg(at("g/p_1"), color, W, H, 3, 95), FOV_OK);
    assert_int_equal(fov_image_write_png(at("g/p_2"), color, W, H, (fov_pixel_format){.channels = 1}), FOV_OK);
    const fov_scan_options options = grouped("_1,_2", 4, true);
    fov_index *index;
    fov_picture_reader reader;
    size_t width, height;
    const fov_image *image;
    assert_int_equal(scan(&index, at("g"), &options), FOV_OK);
    assert_int_equal(fov_picture_reader_init(&reader), FOV_OK);
    const fov_decode_part part = {.left = 8, .top = 8, .width = 16, .height = 16, .shrink = 4};
    assert_int_equal(fov_picture_open(&reader, index, 0, &options.decode, &width, &height), FOV_OK);
    assert_int_equal(fov_picture_decode(&reader, &part, &image), FOV_OK);
    assert_int_equal(image->channels, 4);
    assert_int_equal(image->width, W);
    assert_int_equal(image->height, H);
    assert_true(image->shrink <= 1);
    for (size_t i = 0; i < (size_t)W * H; i++) {
        assert_int_equal(image->pixels[i * 4 + 3], color[i]);
    }
    uint8_t *woven = malloc((size_t)W * H * 4);
    assert_non_null(woven);
    memcpy(woven, image->pixels, (size_t)W * H * 4);
    const fov_decode_part planar = {.width = W, .height = H, .planar = true}; /* which is for files alone */
    assert_int_equal(fov_picture_open(&reader, index, 0, &options.decode, &width, &height), FOV_OK);
    assert_int_equal(fov_picture_decode(&reader, &planar, &image), FOV_OK);
    assert_false(image->planar);
    assert_memory_equal(image->pixels, woven, (size_t)W * H * 4);
    free(woven);
    fov_picture_reader_clear(&reader);
    fov_index_free(index);
    free(color);
}

/* ---- faults ---- */

static fov_status scan_and_read(const char *root) {
    const fov_scan_options options = grouped("_2,_10", 6, true);
    fov_index *index = NULL;
    fov_picture_reader reader = {0};
    size_t width, height;
    const fov_image *image;
    fov_status status = scan(&index, root, &options);
    if (status == FOV_OK) {
        assert_int_equal(fov_index_count(index), 6);
        status = fov_picture_reader_init(&reader);
    }
    for (size_t i = 0; i < 6 && status == FOV_OK; i++) {
        status = fov_picture_open(&reader, index, i, &options.decode, &width, &height);
        if (status == FOV_OK) {
            status = fov_picture_decode(&reader, NULL, &image);
        }
        if (status == FOV_OK) {
            assert_int_equal(image->channels, 6);
        }
    }
    fov_picture_reader_clear(&reader);
    fov_index_free(index);
    return status;
}

static void test_out_of_memory(void **state) {
    (void)state;
    make_groups();
    char root[PATH_BYTES];
    (void)snprintf(root, sizeof root, "%s", at("g"));
    size_t failed = 0;
    for (uint64_t n = 1; n < 5000; n++) {
        fov_mem_fail_at(n, 0);
        const fov_status status = scan_and_read(root);
        fov_mem_fail_at(0, 0);
        assert_int_equal(fov_mem_stats_all().live_blocks, 0);
        if (status != FOV_OK) {
            assert_int_equal(status, FOV_E_NOMEM);
            failed++;
        } else if (n > failed + 60) {
            break;
        }
    }
    assert_true(failed > 60);
}

/* Any open or read may fail: the scan then has one bad picture more, or fails for its folder; reading fails and says which file. */
static void test_io_faults(void **state) {
    (void)state;
    make_groups();
    const fov_scan_options options = grouped("_2,_10", 6, true);
    static const char *const operations[] = {"open", "read"};
    for (size_t o = 0; o < 2; o++) {
        size_t bad = 0, broken = 0;
        fov_index *index;
        for (uint64_t n = 1; n < 60; n++) {
            fov_io_fail_at(operations[o], n, false, EIO);
            const fov_status status = scan(&index, at("g"), &options);
            fov_io_fail_at("any", 0, false, 0);
            if (status == FOV_OK) {
                /* Of notes and labels it is then not known that they are none. */
                const size_t all = fov_index_count(index) + fov_index_bad_count(index);
                assert_true(all == 6 || all == 7);
                bad += fov_index_bad_count(index);
                for (size_t i = 0; i < fov_index_bad_count(index); i++) {
                    assert_non_null(strstr(fov_index_bad(index, i)->message, "Input/output error"));
                }
                fov_index_free(index);
            }
        }
        assert_true(bad >= 12);
        assert_int_equal(scan(&index, at("g"), &options), FOV_OK);
        fov_picture_reader reader;
        size_t width, height;
        assert_int_equal(fov_picture_reader_init(&reader), FOV_OK);
        for (uint64_t n = 1; n < 10; n++) {
            fov_io_fail_at(operations[o], n, false, EIO);
            if (fov_picture_open(&reader, index, 3, &options.decode, &width, &height) != FOV_OK) {
                assert_message("Input/output error");
                assert_message(broken == 0 ? "a_2.png" : "a_10.png");
                broken++;
            }
            fov_io_fail_at("any", 0, false, 0);
        }
        assert_int_equal(broken, 2);
        fov_picture_reader_clear(&reader);
        fov_index_free(index);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(test_rules),  TEST(test_files),        TEST(test_bad),           TEST(test_labels_and_hash), TEST(test_reading),
        TEST(test_planes), TEST(test_unlike_files), TEST(test_out_of_memory), TEST(test_io_faults),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
