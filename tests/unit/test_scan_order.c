/* ctest: label=short timeout=120 */
/* The order in which a file system lists a folder, and whether it says what kind a name is of, change nothing.
 *
 * This program has a readdir of its own, which the library finds before the C library's: it shuffles what a folder holds, and can keep the
 * kinds to itself. */
#include "scan_case.h"

#include <dirent.h>
#include <dlfcn.h>

#include "base/rng.h"

enum { MOST = 256 };

static struct {
    DIR *stream;
    struct dirent entry[MOST];
    size_t count, next;
    bool shuffle, silent;
    fov_rng rng;
} shim; /* one folder at a time: these scans use one thread */

static void fill(DIR *stream) {
    struct dirent *(*real)(DIR *) = NULL;
    void *found = dlsym(RTLD_NEXT, "readdir");
    memcpy(&real, &found, sizeof real);
    shim.stream = stream;
    shim.count = shim.next = 0;
    for (const struct dirent *entry = real(stream); entry != NULL; entry = real(stream)) {
        assert_true(shim.count < MOST);
        memcpy(&shim.entry[shim.count], entry, entry->d_reclen);
        if (shim.silent) {
            shim.entry[shim.count].d_type = DT_UNKNOWN;
        }
        shim.count++;
    }
    for (size_t i = shim.count; shim.shuffle && i-- > 1;) {
        const size_t k = (size_t)fov_rng_below(&shim.rng, i + 1);
        const struct dirent kept = shim.entry[i];
        shim.entry[i] = shim.entry[k];
        shim.entry[k] = kept;
    }
}

struct dirent *readdir(DIR *stream) {
    if (shim.stream != stream) {
        fill(stream);
    }
    if (shim.next == shim.count) {
        shim.stream = NULL; /* the next folder may get the same address */
        return NULL;
    }
    return &shim.entry[shim.next++];
}

/* ---- the tree ---- */

static void make_tree(void) {
    static const char *const parts[] = {"a", "a.png", "a-b", "b", "b.jpg", "\xff", "c\n"};
    enum { PARTS = sizeof parts / sizeof *parts };
    for (size_t f = 0; f < PARTS; f++) {
        for (size_t i = 0; i < PARTS; i++) {
            char name[64];
            (void)snprintf(name, sizeof name, "t/%s", parts[f]);
            make_dir(name);
            (void)snprintf(name, sizeof name, "t/%s/%s_b02.png", parts[f], parts[i]);
            make_picture(name, 3, 3);
            (void)snprintf(name, sizeof name, "t/%s/%s_b03.png", parts[f], i == 5 ? "other" : parts[i]);
            make_picture(name, 3, 3);
        }
    }
    make_dir("outside/in");
    make_picture("outside/in/1.png", 3, 3);
    make_text("t/empty.png", "");
    make_text("t/words.png", "words");
    make_text("t/words", "words");
    assert_int_equal(mkfifo(at("t/pipe.png"), 0644), 0);
    assert_int_equal(symlink("nowhere", at("t/a/dangling.png")), 0);
    assert_int_equal(symlink("loop", at("t/loop")), 0);
    assert_int_equal(symlink("../outside", at("t/out")), 0);
    assert_int_equal(symlink("../outside/in", at("t/a-b/out")), 0); /* a second way to the same folder */
    assert_int_equal(symlink("..", at("t/b/up")), 0);
    assert_int_equal(symlink("../a/a_b02.png", at("t/b/file")), 0);
}

/* All that an index says, as text. */
static void describe(const fov_index *index, fov_text *text) {
    fov_text_printf(text, "%llx %zu %zu %zu\n", (unsigned long long)fov_index_hash(index), fov_index_bad_count(index),
                    fov_index_ignored(index), fov_index_duplicates(index));
    for (size_t i = 0; i < fov_index_count(index); i++) {
        fov_text_printf(text, "%d ", fov_index_label(index, i));
        fov_index_path(index, i, text);
        fov_text_add(text, "\n");
    }
    for (size_t i = 0; i < fov_index_bad_count(index); i++) {
        const fov_bad_file *bad = fov_index_bad(index, i);
        fov_text_printf(text, "%s: %s %s\n", bad->path, fov_bad_reason_name(bad->reason), bad->message);
    }
    assert_int_equal(text->status, FOV_OK);
}

static void scan_all(fov_text *text) {
    fov_index *index;
    fov_scan_options options = {.follow_links = true, .max_bad = 0.9};
    char inner[PATH_BYTES];
    (void)snprintf(inner, sizeof inner, "%s", at("t/b"));
    const char *const roots[] = {inner, at("t")};
    assert_int_equal(fov_index_scan(&index, roots, 2, &options, NULL), FOV_OK);
    describe(index, text);
    fov_index_free(index);
    assert_int_equal(fov_index_scan_labelled(&index, at("t"), 1, &options, NULL), FOV_OK);
    describe(index, text);
    fov_index_free(index);
    options.group = "_b02,_b03";
    options.decode.format.channels = 6;
    assert_int_equal(scan(&index, at("t"), &options), FOV_OK);
    describe(index, text);
    fov_index_free(index);
}

static void test_shuffled(void **state) {
    (void)state;
    fov_text expected, text;
    fov_text_init(&expected);
    make_tree();
    shim.shuffle = shim.silent = false;
    scan_all(&expected);
    assert_non_null(strstr(expected.data, "a symbolic link that leads back to a folder above it"));
    assert_non_null(strstr(expected.data, "a FIFO, not a file"));
    for (uint64_t turn = 0; turn < 24; turn++) {
        shim.shuffle = true;
        shim.silent = turn % 2 == 1;
        fov_rng_init(&shim.rng, 1, turn, 0, 0, FOV_RNG_TEST);
        fov_text_init(&text);
        scan_all(&text);
        assert_string_equal(text.data, expected.data);
        fov_text_clear(&text);
    }
    shim.shuffle = shim.silent = false;
    fov_text_clear(&expected);
}

int main(void) {
    const struct CMUnitTest tests[] = {TEST(test_shuffled)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
