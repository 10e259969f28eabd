/* ctest: label=short timeout=120 */
/* Scanning folders: what is taken, what is bad and why, what is passed over, and what is said. */
#include "scan_case.h"

static void cut_file(const char *name) {
    struct stat info;
    assert_int_equal(stat(at(name), &info), 0);
    assert_int_equal(truncate(at(name), info.st_size / 2), 0);
}

static uint32_t crc_of(const uint8_t *bytes, size_t count) {
    uint32_t crc = 0xffffffffu;
    for (size_t i = 0; i < count; i++) {
        crc ^= bytes[i];
        for (unsigned b = 0; b < 8; b++) {
            crc = (crc & 1u) != 0 ? crc >> 1 ^ 0xedb88320u : crc >> 1;
        }
    }
    return ~crc;
}

static void put32(uint8_t *to, uint32_t value) {
    for (unsigned i = 0; i < 4; i++) {
        to[i] = (uint8_t)(value >> (24 - 8 * i));
    }
}

/* A PNG whose header promises 60,000 x 60,000 pixels: 10 GB once decoded. */
static void make_bomb(const char *name) {
    uint8_t png[33] = {0x89, 'P', 'N', 'G', '\r', '\n', 0x1a, '\n', 0, 0, 0, 13, 'I', 'H', 'D', 'R'};
    put32(png + 16, 60000);
    put32(png + 20, 60000);
    png[24] = 8;
    png[25] = 2;
    put32(png + 29, crc_of(png + 12, 17));
    make_file(name, png, sizeof png);
}

static void make_socket(const char *name) {
    const int s = socket(AF_UNIX, SOCK_STREAM, 0);
    assert_true(s >= 0);
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    char here[PATH_BYTES];
    assert_non_null(getcwd(here, sizeof here));
    assert_int_equal(chdir(top), 0); /* sun_path is short */
    (void)snprintf(address.sun_path, sizeof address.sun_path, "%s", name);
    assert_int_equal(bind(s, (const struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(chdir(here), 0);
    (void)close(s);
}

/* ---- the dirty tree ---- */

static void make_special(void) {
    assert_int_equal(mkfifo(at("dirty/pipe.png"), 0644), 0);
    make_socket("dirty/sock");
    assert_int_equal(symlink("nowhere.png", at("dirty/dangling.png")), 0);
    assert_int_equal(symlink("loop", at("dirty/loop")), 0);
    assert_int_equal(symlink("a/one.png", at("dirty/link.png")), 0);
    assert_int_equal(symlink("a", at("dirty/folderlink")), 0);
}

/* `backwards` makes the same files in another order. */
static void make_dirty(bool backwards) {
    static const char *const good[] = {"dirty/a/one.png", "dirty/a/two",        "dirty/b/new\nline.png", "dirty/b/\xff\xfe.png",
                                       "dirty/wrong.gif", "dirty/x.jpg/in.png", "dirty/truncated.png"};
    const size_t count = sizeof good / sizeof *good;
    make_dir("dirty/a");
    make_dir("dirty/b");
    make_dir("dirty/x.jpg");
    make_dir("dirty/.git");
    for (size_t i = 0; i < count; i++) {
        const size_t k = backwards ? count - 1 - i : i;
        make_picture(good[k], 20 + k, 30);
    }
    make_picture("dirty/large.png", 200, 170); /* beyond what a scan reads first */
    make_picture("dirty/large-cut.png", 200, 170);
    make_picture("dirty/.hidden.png", 8, 8);
    make_picture("dirty/.git/object.png", 8, 8);
    cut_file("dirty/truncated.png");
    cut_file("dirty/large-cut.png");
    make_bomb("dirty/bomb.png");
    make_text("dirty/empty.jpg", "");
    make_text("dirty/nothing", "");
    make_text("dirty/README.md", "words");
    make_text("dirty/labels.csv", "a,b\n");
    make_text("dirty/text.png", "this is no picture");
    make_file("dirty/avif.jpg",
              "\0\0\0\x20"
              "ftypavif",
              12);
    make_special();
}

static size_t count_reason(const fov_index *index, fov_bad_reason reason) {
    size_t count = 0;
    for (size_t i = 0; i < fov_index_bad_count(index); i++) {
        count += fov_index_bad(index, i)->reason == reason;
    }
    return count;
}

static void test_dirty_tree(void **state) {
    (void)state;
    make_dirty(false);
    const fov_scan_options options = {.verify = true, .max_bad = 0.9};
    fov_index *index;
    assert_int_equal(scan(&index, at("dirty"), &options), FOV_OK);
    static const char *const expected[] = {"a/one.png", "a/two",    "b/new\nline.png", "b/\xff\xfe.png",
                                           "large.png", "link.png", "wrong.gif",       "x.jpg/in.png"};
    assert_int_equal(fov_index_count(index), sizeof expected / sizeof *expected);
    const size_t root = strlen(at("dirty")) + 1;
    for (size_t i = 0; i < fov_index_count(index); i++) {
        assert_string_equal(path_of(index, i) + root, expected[i]);
        assert_int_equal(fov_index_label(index, i), -1);
    }
    size_t width, height;
    fov_index_size(index, 1, &width, &height);
    assert_int_equal(width, 21);
    assert_int_equal(height, 30);
    assert_int_equal(count_reason(index, FOV_BAD_EMPTY), 1);
    assert_int_equal(count_reason(index, FOV_BAD_CORRUPT), 2);
    assert_int_equal(count_reason(index, FOV_BAD_NOT_IMAGE), 2);
    assert_int_equal(count_reason(index, FOV_BAD_TOO_LARGE), 1);
    assert_int_equal(count_reason(index, FOV_BAD_SPECIAL), 2);
    assert_int_equal(count_reason(index, FOV_BAD_LINK), 2);
    assert_int_equal(count_reason(index, FOV_BAD_UNREADABLE), 0);
    assert_int_equal(fov_index_bad_count(index), 10);
    /* .hidden.png, .git, nothing, README.md, labels.csv, folderlink */
    assert_int_equal(fov_index_ignored(index), 6);
    assert_int_equal(fov_index_duplicates(index), 0);
    assert_non_null(strstr(bad_named(index, "avif.jpg")->message, "AVIF"));
    assert_non_null(strstr(bad_named(index, "pipe.png")->message, "FIFO"));
    assert_non_null(strstr(bad_named(index, "sock")->message, "socket"));
    assert_non_null(strstr(bad_named(index, "loop")->message, "itself"));
    assert_non_null(strstr(bad_named(index, "dangling.png")->message, "nothing"));
    assert_int_equal(bad_named(index, "text.png")->bytes, 18);
    for (size_t i = 1; i < fov_index_bad_count(index); i++) {
        assert_true(strcmp(fov_index_bad(index, i - 1)->path, fov_index_bad(index, i)->path) < 0);
    }
    fov_index_free(index);
}

static void test_headers_only(void **state) {
    (void)state;
    make_dirty(false);
    const fov_scan_options options = {.verify = false, .max_bad = 0.9};
    fov_index *index;
    assert_int_equal(scan(&index, at("dirty"), &options), FOV_OK);
    /* What is only cut short has a good header. */
    assert_int_equal(fov_index_count(index), 10);
    assert_int_equal(count_reason(index, FOV_BAD_CORRUPT), 0);
    assert_int_equal(fov_index_bad_count(index), 8);
    for (size_t i = 0; i < fov_index_count(index); i++) {
        size_t width, height;
        fov_index_size(index, i, &width, &height);
        assert_true(width >= 20 && height >= 30);
    }
    fov_index_free(index);
}

static void same_index(const fov_index *a, const fov_index *b) {
    assert_int_equal(fov_index_count(a), fov_index_count(b));
    assert_int_equal(fov_index_bad_count(a), fov_index_bad_count(b));
    assert_true(fov_index_hash(a) == fov_index_hash(b));
    for (size_t i = 0; i < fov_index_count(a); i++) {
        assert_string_equal(path_of(a, i), path_of(b, i));
    }
    for (size_t i = 0; i < fov_index_bad_count(a); i++) {
        assert_string_equal(fov_index_bad(a, i)->path, fov_index_bad(b, i)->path);
        assert_string_equal(fov_index_bad(a, i)->message, fov_index_bad(b, i)->message);
    }
}

static void count_progress(void *context, size_t done, size_t total) {
    assert_true(done <= total);
    *(size_t *)context = done;
}

static void test_order_and_threads(void **state) {
    (void)state;
    size_t done = 0;
    const fov_scan_options options = {.verify = true, .max_bad = 0.9, .progress = count_progress, .context = &done};
    fov_index *first, *second, *third;
    fov_pool *pool;
    make_dirty(false);
    assert_int_equal(scan(&first, at("dirty"), &options), FOV_OK);
    assert_true(done >= fov_index_count(first) + fov_index_bad_count(first));
    remove_tree(at("dirty"));
    make_dirty(true);
    assert_int_equal(scan(&second, at("dirty"), &options), FOV_OK);
    same_index(first, second);
    assert_int_equal(fov_pool_new(&pool, 4), FOV_OK);
    const char *root = at("dirty///./");
    assert_int_equal(fov_index_scan(&third, &root, 1, &options, pool), FOV_OK);
    same_index(first, third);
    fov_pool_free(pool);
    fov_index_free(first);
    fov_index_free(second);
    fov_index_free(third);
}

static int by_bytes(const void *a, const void *b) {
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Bytes below the slash, at it and above it, in names of files and of folders: the order is that of whole paths. */
static void test_order_of_bytes(void **state) {
    (void)state;
    static const char *const parts[] = {"a", "a.png", "a-b", "a b", "a\n", "a0", "ab", "\x01", "\xff", "-", "a!"};
    enum { PARTS = sizeof parts / sizeof *parts };
    char *expected[2 * PARTS * PARTS];
    size_t count = 0;
    for (size_t f = 0; f < PARTS; f++) {
        char name[64];
        (void)snprintf(name, sizeof name, "o/%s", parts[f]);
        make_dir(name);
        for (size_t i = 0; i < PARTS; i++) {
            /* One path in two has a folder more. */
            (void)snprintf(name, sizeof name, "o/%s/%s%s", parts[f], parts[i], i % 2 == 0 ? "" : "/a");
            if (i % 2 != 0) {
                char folder[64];
                (void)snprintf(folder, sizeof folder, "o/%s/%s", parts[f], parts[i]);
                make_dir(folder);
            }
            make_picture(name, 2, 2);
            expected[count++] = strdup(at(name));
        }
        (void)snprintf(name, sizeof name, "o/%s.", parts[f]);
        make_picture(name, 2, 2);
        expected[count++] = strdup(at(name));
    }
    qsort(expected, count, sizeof *expected, by_bytes);
    const fov_scan_options options = {.verify = false};
    fov_index *index;
    /* Through three roots of which two lie in the third. */
    char inner[PATH_BYTES], whole[PATH_BYTES], last[PATH_BYTES];
    (void)snprintf(inner, sizeof inner, "%s", at("o/a-b"));
    (void)snprintf(whole, sizeof whole, "%s", at("o"));
    (void)snprintf(last, sizeof last, "%s", at("o/a/"));
    const char *const roots[] = {inner, whole, last};
    for (size_t root_count = 1; root_count <= 3; root_count += 2) {
        assert_int_equal(fov_index_scan(&index, root_count == 1 ? &roots[1] : roots, root_count, &options, NULL), FOV_OK);
        assert_int_equal(fov_index_count(index), count);
        for (size_t i = 0; i < count; i++) {
            assert_string_equal(path_of(index, i), expected[i]);
        }
        assert_int_equal(fov_index_duplicates(index), root_count == 1 ? 0 : 2 * PARTS);
        fov_index_free(index);
    }
    for (size_t i = 0; i < count; i++) {
        free(expected[i]);
    }
}

/* A PNG file of which only the header is true, so that its bytes are the same with every compressor. */
static void make_header(const char *name, size_t bytes) {
    uint8_t png[256] = {0x89, 'P', 'N', 'G', '\r', '\n', 0x1a, '\n', 0, 0, 0, 13, 'I', 'H', 'D', 'R'};
    put32(png + 16, 7);
    put32(png + 20, 5);
    png[24] = 8;
    png[25] = 2;
    put32(png + 29, crc_of(png + 12, 17));
    make_file(name, png, bytes);
}

/* Checkpoints hold the hash, so it may never change: these are values of version 0.1. */
static void test_hash_forever(void **state) {
    (void)state;
    const fov_scan_options options = {.verify = false};
    fov_index *index;
    make_dir("r/a");
    make_dir("r/b/c");
    make_header("r/a.png", 40);
    make_header("r/a/1", 41);
    make_header("r/a/\xff.png", 42);
    make_header("r/b/c/2.png", 43);
    assert_int_equal(scan(&index, at("r"), &options), FOV_OK);
    assert_int_equal(fov_index_count(index), 4);
    assert_true(fov_index_hash(index) == UINT64_C(0x118904fc8857860f));
    fov_index_free(index);
    assert_int_equal(fov_index_scan_labelled(&index, at("r"), 1, &options, NULL), FOV_OK);
    assert_int_equal(fov_index_count(index), 3);
    assert_true(fov_index_hash(index) == UINT64_C(0x82a1e1f9a1f914b8));
    fov_index_free(index);
    const char *file = at("r/b/c/2.png");
    assert_int_equal(fov_index_scan(&index, &file, 1, &options, NULL), FOV_OK);
    assert_true(fov_index_hash(index) == UINT64_C(0xabf868774a041057));
    fov_index_free(index);
}

/* The hash follows names and sizes of files, not where the folder lies. */
static void test_hash(void **state) {
    (void)state;
    const fov_scan_options options = {.verify = false};
    uint64_t hash[4];
    static const char *const roots[4] = {"h1", "elsewhere/h2", "h3", "h4"};
    for (size_t r = 0; r < 4; r++) {
        char name[64];
        make_dir(roots[r]);
        (void)snprintf(name, sizeof name, "%s/%s", roots[r], r == 2 ? "c.png" : "b.png");
        make_text(name, "");
        make_picture(name, r == 3 ? 13 : 12, 10);
        fov_index *index;
        assert_int_equal(scan(&index, at(roots[r]), &options), FOV_OK);
        hash[r] = fov_index_hash(index);
        fov_index_free(index);
    }
    assert_true(hash[0] == hash[1]);
    assert_true(hash[0] != hash[2]);
    assert_true(hash[0] != hash[3]);
}

static void test_bad_tsv(void **state) {
    (void)state;
    make_dir("t");
    make_picture("t/good.png", 9, 9);
    make_text("t/tab\there\n.png", "");
    make_text("t/\xff.jpg", "not a picture");
    const fov_scan_options options = {.verify = true, .max_bad = 0.9};
    fov_index *index;
    fov_blob blob;
    assert_int_equal(scan(&index, at("t"), &options), FOV_OK);
    assert_int_equal(fov_index_write_bad(index, NULL, at("bad.tsv")), FOV_OK);
    assert_int_equal(fov_io_read(at("bad.tsv"), 1 << 20, 1, &blob), FOV_OK);
    char expected[2048];
    (void)snprintf(expected, sizeof expected,
                   "path\treason\tbytes\tmessage\n"
                   "%s/t/tab\\there\\n.png\tempty\t0\tthe file is empty (0 bytes)\n"
                   "%s/t/\\xFF.jpg\tnot_image\t13\tholds something else, not %s; convert it to PNG\n",
                   top, top, fov_image_kinds());
    assert_string_equal((const char *)blob.data, expected);
    fov_blob_clear(&blob);
    fov_index_free(index);
}

/* ---- failures ---- */

static void test_messages(void **state) {
    (void)state;
    const fov_scan_options options = {.verify = true};
    fov_index *index;
    assert_int_equal(scan(&index, at("missing"), &options), FOV_E_NOTFOUND);
    assert_message("missing");
    assert_message("no such file or folder");
    assert_null(index);
    assert_int_equal(scan(&index, "", &options), FOV_E_NOTFOUND);
    make_dir("void");
    assert_int_equal(scan(&index, at("void"), &options), FOV_E_INVALID);
    assert_message("is empty");
    make_dir("void/deep/deeper");
    assert_int_equal(scan(&index, at("void"), &options), FOV_E_INVALID);
    assert_message("2 folders");
    make_dir("papers");
    make_text("papers/a.txt", "a");
    make_text("papers/b.txt", "b");
    make_text("papers/.c", "c");
    assert_int_equal(scan(&index, at("papers"), &options), FOV_E_INVALID);
    assert_message("no picture");
    assert_message("3 other files");
    make_dir("linked");
    assert_int_equal(symlink("../papers", at("linked/papers")), 0);
    assert_int_equal(scan(&index, at("linked"), &options), FOV_E_INVALID);
    assert_message("--follow-links");
    assert_int_equal(mkfifo(at("pipe"), 0644), 0);
    assert_int_equal(scan(&index, at("pipe"), &options), FOV_E_INVALID);
    assert_message("FIFO");
    assert_int_equal(fov_index_scan(&index, NULL, 0, &options, NULL), FOV_E_INVALID);
}

/* In a folder a file that is no picture is passed over; one that was named is not, whatever stands beside it. */
static void test_named_files(void **state) {
    (void)state;
    static const struct {
        const char *name, *text, *said;
    } cases[] = {{"n/notes.md", "words", "notes.md' is neither a picture nor a pack: it begins with text; leave it out"},
                 {"n/none.fvp", "", "none.fvp' is no pack, or a damaged one: it begins with nothing (0 bytes); copy it anew"},
                 {"n/flipped.FVP", "\x88" "FVP\r\n\x1a\n", "flipped.FVP' is no pack, or a damaged one: it begins with bytes of no known kind"},
                 {"n/page", "<!DOCTYPE html>", "page' is neither a picture nor a pack: it begins with HTML; leave it out, or give pictures (JPEG"},
                 {"n/random", "\x01\x02\x03", "random' is neither a picture nor a pack: it begins with bytes of no known kind"}};
    fov_scan_options options = {.verify = true, .max_bad = 0.9};
    fov_index *index;
    make_dir("n");
    make_dir("n/good");
    make_picture("n/good/1_a.png", 9, 9);
    make_picture("n/photo", 9, 9); /* a picture by its content */
    make_text("n/bad.png", "words");
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        make_text(cases[i].name, cases[i].text);
        const char *roots[] = {at("n/good"), at("n"), at(cases[i].name)};
        assert_int_equal(fov_index_scan(&index, roots, 3, &options, NULL), FOV_E_INVALID);
        assert_message(cases[i].said);
        assert_int_equal(fov_index_scan(&index, roots, 2, &options, NULL), FOV_OK);
        fov_index_free(index);
    }
    const char *roots[] = {at("n/good"), at("n/photo"), at("n/bad.png")};
    assert_int_equal(fov_index_scan(&index, roots, 3, &options, NULL), FOV_OK);
    assert_int_equal(fov_index_count(index), 2);
    assert_int_equal(fov_index_bad_count(index), 1);
    fov_index_free(index);
    options.group = "_a";
    options.decode.format.channels = 3;
    assert_int_equal(fov_index_scan(&index, roots, 2, &options, NULL), FOV_E_INVALID);
    assert_message("photo' is no file of a picture: --group wants names that end in _a; leave it out");
}

static void test_too_many_bad(void **state) {
    (void)state;
    fov_scan_options options = {.verify = true};
    fov_index *index;
    make_dir("m");
    for (unsigned i = 0; i < 10; i++) {
        char name[32];
        (void)snprintf(name, sizeof name, "m/%u.png", i);
        if (i < 6) {
            make_picture(name, 9, 9);
        } else {
            make_text(name, "");
        }
    }
    assert_int_equal(scan(&index, at("m"), &options), FOV_E_DATA);
    assert_message("4 of 10");
    assert_message("40.0 %");
    assert_message("the limit is 20.0 %");
    assert_message("6.png");
    assert_message("7.png");
    assert_message("8.png");
    assert_null(strstr(fov_last_error(), "9.png"));
    assert_message("--max-bad");
    options.max_bad = 0.4;
    assert_int_equal(scan(&index, at("m"), &options), FOV_OK);
    fov_index_free(index);
}

/* Permission and I/O errors, injected, since root may read anything. */
static void test_unreadable(void **state) {
    (void)state;
    const fov_scan_options options = {.verify = true, .max_bad = 0.9};
    fov_index *index;
    make_dir("u");
    make_picture("u/1.png", 9, 9);
    make_picture("u/2.png", 9, 9);
    /* Calls that open: the folder's listing may be one, so fail each of the first few in turn. */
    size_t unreadable = 0;
    for (uint64_t n = 1; n <= 3; n++) {
        fov_io_fail_at("open", n, false, EACCES);
        if (scan(&index, at("u"), &options) == FOV_OK) {
            unreadable += count_reason(index, FOV_BAD_UNREADABLE);
            if (fov_index_bad_count(index) > 0) {
                assert_non_null(strstr(fov_index_bad(index, 0)->message, "Permission denied"));
            }
            fov_index_free(index);
        }
    }
    fov_io_fail_at("open", 0, false, 0);
    assert_int_equal(unreadable, 2);
    fov_io_fail_at("read", 1, false, EIO);
    assert_int_equal(scan(&index, at("u"), &options), FOV_OK);
    fov_io_fail_at("read", 0, false, 0);
    assert_int_equal(count_reason(index, FOV_BAD_UNREADABLE), 1);
    fov_index_free(index);
}

static void test_permissions(void **state) {
    (void)state;
    if (geteuid() == 0) {
        skip(); /* root may read anything */
    }
    const fov_scan_options options = {.verify = true, .max_bad = 0.9};
    fov_index *index;
    make_dir("p/locked");
    make_picture("p/1.png", 9, 9);
    make_picture("p/2.png", 9, 9);
    make_picture("p/locked/3.png", 9, 9);
    assert_int_equal(chmod(at("p/2.png"), 0), 0);
    assert_int_equal(chmod(at("p/locked"), 0), 0);
    const fov_status status = scan(&index, at("p"), &options);
    assert_int_equal(chmod(at("p/locked"), 0755), 0);
    assert_int_equal(status, FOV_OK);
    assert_int_equal(fov_index_count(index), 1);
    assert_int_equal(count_reason(index, FOV_BAD_UNREADABLE), 2);
    fov_index_free(index);
}

/* Running out of memory anywhere ends the scan cleanly; it is never taken for a bad picture. */
static void test_out_of_memory(void **state) {
    (void)state;
    const fov_scan_options options = {.verify = true, .follow_links = true, .max_bad = 0.9};
    make_dirty(false);
    char root[PATH_BYTES];
    (void)snprintf(root, sizeof root, "%s", at("dirty"));
    size_t failed = 0;
    for (uint64_t n = 1; n < 2000; n++) {
        fov_index *index;
        fov_mem_fail_at(n, 0);
        const fov_status status = scan(&index, root, &options);
        fov_mem_fail_at(0, 0);
        if (status == FOV_OK) {
            assert_int_equal(fov_index_count(index), 8);
            fov_index_free(index);
            if (n > failed + 40) {
                break;
            }
        } else {
            assert_int_equal(status, FOV_E_NOMEM);
            assert_null(index);
            failed++;
        }
        assert_int_equal(fov_mem_stats_tag(FOV_MEM_DATA).live_blocks, 0);
    }
    assert_true(failed > 20);
}

/* Whatever open, read or close fails: a file is bad for it, or a folder, or the scan says why. A short read changes nothing. */
static void test_io_faults(void **state) {
    (void)state;
    const fov_scan_options options = {.verify = true, .follow_links = true, .max_bad = 0.9};
    make_dirty(false);
    fov_index *index, *whole;
    size_t failed = 0, worse = 0;
    uint64_t calls = fov_io_calls();
    assert_int_equal(scan(&whole, at("dirty"), &options), FOV_OK);
    calls = fov_io_calls() - calls;
    for (uint64_t n = 1; n <= calls; n++) {
        fov_io_fail_at("any", n, false, EIO);
        const fov_status status = scan(&index, at("dirty"), &options);
        fov_io_fail_at("any", 0, false, 0);
        if (status != FOV_OK) {
            assert_int_equal(status, FOV_E_IO);
            assert_message("Input/output error");
            assert_null(index);
            failed++;
            continue;
        }
        assert_true(fov_index_count(index) <= fov_index_count(whole));
        if (fov_index_count(index) < fov_index_count(whole)) {
            assert_true(count_reason(index, FOV_BAD_UNREADABLE) == 1 && fov_index_hash(index) != fov_index_hash(whole));
            worse++;
        }
        fov_index_free(index);
        fov_io_fail_at("read", n, false, 0);
        assert_int_equal(scan(&index, at("dirty"), &options), FOV_OK);
        fov_io_fail_at("any", 0, false, 0);
        same_index(whole, index);
        fov_index_free(index);
    }
    assert_int_equal(failed, 1); /* the root cannot be listed */
    assert_true(worse >= 16);    /* open and read of eight pictures, and folders of some */
    fov_index_free(whole);
}

/* ---- links and duplicates ---- */

static void test_duplicates(void **state) {
    (void)state;
    const fov_scan_options options = {.verify = false};
    fov_index *index;
    make_dir("d/sub");
    make_picture("d/1.png", 9, 9);
    make_picture("d/sub/2.png", 9, 9);
    char whole[PATH_BYTES], dotted[PATH_BYTES], sub[PATH_BYTES], file[PATH_BYTES];
    (void)snprintf(whole, sizeof whole, "%s", at("d"));
    (void)snprintf(dotted, sizeof dotted, "%s", at("d/sub/../"));
    (void)snprintf(sub, sizeof sub, "%s", at("d/sub"));
    (void)snprintf(file, sizeof file, "%s", at("d/sub/2.png"));
    const char *const roots[] = {sub, whole, dotted, file};
    assert_int_equal(fov_index_scan(&index, roots, 4, &options, NULL), FOV_OK);
    assert_int_equal(fov_index_count(index), 2);
    assert_int_equal(fov_index_duplicates(index), 4);
    fov_index_free(index);
    const char *const one[] = {file};
    assert_int_equal(fov_index_scan(&index, one, 1, &options, NULL), FOV_OK);
    assert_int_equal(fov_index_count(index), 1);
    assert_string_equal(path_of(index, 0), file);
    fov_index_free(index);
}

static void test_follow_links(void **state) {
    (void)state;
    const fov_scan_options options = {.verify = false, .follow_links = true, .max_bad = 0.9};
    fov_index *index;
    make_dir("f/real");
    make_dir("outside/deep");
    make_picture("f/real/1.png", 9, 9);
    make_picture("outside/2.png", 9, 9);
    make_picture("outside/deep/3.png", 9, 9);
    assert_int_equal(symlink("../outside", at("f/out")), 0);
    assert_int_equal(symlink("../outside", at("f/out-again")), 0); /* the same folder once more */
    assert_int_equal(symlink("../../f", at("f/real/up")), 0);      /* a loop */
    assert_int_equal(symlink("../../f/real", at("outside/deep/back")), 0);
    assert_int_equal(scan(&index, at("f"), &options), FOV_OK);
    assert_int_equal(fov_index_count(index), 3);
    assert_string_equal(path_of(index, 0), at("f/out/2.png"));
    assert_string_equal(path_of(index, 1), at("f/out/deep/3.png"));
    assert_string_equal(path_of(index, 2), at("f/real/1.png"));
    assert_int_equal(count_reason(index, FOV_BAD_LINK), 1);
    assert_non_null(strstr(bad_named(index, "up")->message, "leads back"));
    assert_int_equal(fov_index_duplicates(index), 2);
    fov_index_free(index);
}

/* ---- labels ---- */

static void test_labels(void **state) {
    (void)state;
    const fov_scan_options options = {.verify = true};
    fov_index *index;
    make_dir("l/cat/inner");
    make_dir("l/cat-big");
    make_dir("l/dog");
    make_dir("l/.cache");
    make_picture("l/cat/1.png", 9, 9);
    make_picture("l/cat/inner/2.png", 9, 9);
    make_picture("l/cat-big/3.png", 9, 9);
    make_picture("l/dog/4.png", 9, 9);
    make_picture("l/stray.png", 9, 9);
    assert_int_equal(fov_index_scan_labelled(&index, at("l"), 1, &options, NULL), FOV_OK);
    assert_int_equal(fov_index_classes(index), 3);
    assert_string_equal(fov_index_class_name(index, 0), "cat");
    assert_string_equal(fov_index_class_name(index, 1), "cat-big");
    assert_string_equal(fov_index_class_name(index, 2), "dog");
    assert_int_equal(fov_index_count(index), 4);
    static const int labels[] = {1, 0, 0, 2}; /* "cat-big/3.png" sorts before "cat/1.png" */
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(fov_index_label(index, i), labels[i]);
    }
    fov_index_free(index);
    assert_int_equal(fov_index_scan_labelled(&index, at("l"), 2, &options, NULL), FOV_E_INVALID);
    assert_message("class 'cat-big'");
    assert_message("has 1 usable");
    make_dir("l/zebra");
    assert_int_equal(fov_index_scan_labelled(&index, at("l"), 0, &options, NULL), FOV_E_INVALID);
    assert_message("class 'zebra'");
    assert_int_equal(fov_index_scan_labelled(&index, at("l/cat"), 1, &options, NULL), FOV_E_INVALID);
    assert_message("1 class folder");
    assert_message("at least two");
    assert_null(index);
    make_dir("linked-classes");
    assert_int_equal(symlink("../l/cat", at("linked-classes/cat")), 0);
    assert_int_equal(symlink("../l/dog", at("linked-classes/dog")), 0);
    assert_int_equal(fov_index_scan_labelled(&index, at("linked-classes"), 1, &options, NULL), FOV_E_INVALID);
    assert_message("has 0 class folders, at least two are needed");
    assert_message("2 symbolic links to folders passed over, --follow-links enters them");
    const fov_scan_options follow = {.verify = true, .follow_links = true};
    assert_int_equal(fov_index_scan_labelled(&index, at("linked-classes"), 1, &follow, NULL), FOV_OK);
    assert_int_equal(fov_index_classes(index), 2);
    fov_index_free(index);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(test_dirty_tree),   TEST(test_headers_only),  TEST(test_order_and_threads), TEST(test_hash),
        TEST(test_bad_tsv),      TEST(test_messages),      TEST(test_too_many_bad),      TEST(test_unreadable),
        TEST(test_permissions),  TEST(test_out_of_memory), TEST(test_io_faults),         TEST(test_duplicates),
        TEST(test_follow_links), TEST(test_labels),        TEST(test_order_of_bytes),    TEST(test_hash_forever),
        TEST(test_named_files),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
