/* The file layer: what it refuses, and that no failure of any system call harms what was there before. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/io.h"
#include "base/text.h"

#define ROOT FOV_TEST_TEMP "/io"

static char path_text[4][512];

static const char *at(const char *name) {
    static int next;
    char *text = path_text[next++ % 4];
    (void)snprintf(text, sizeof path_text[0], "%s/%s", ROOT, name);
    return text;
}

static fov_status count_entry(void *context, const char *name, int kind) {
    (void)name;
    (void)kind;
    ++*(size_t *)context;
    return FOV_OK;
}

static size_t entries(const char *path) {
    size_t count = 0;
    assert_int_equal(fov_io_list(path, count_entry, &count), FOV_OK);
    return count;
}

static fov_status remove_entry(void *context, const char *name, int kind) {
    char path[1024];
    (void)snprintf(path, sizeof path, "%s/%s", (const char *)context, name);
    if (kind == 'd') {
        assert_int_equal(fov_io_list(path, remove_entry, path), FOV_OK);
        assert_int_equal(rmdir(path), 0);
        return FOV_OK;
    }
    return fov_io_remove(path);
}

static int clean(void **state) {
    (void)state;
    fov_io_fail_at("any", 0, false, 0);
    static char root[] = ROOT;
    assert_int_equal(fov_io_mkdir(root, true), FOV_OK);
    assert_int_equal(fov_io_list(root, remove_entry, root), FOV_OK);
    return 0;
}

static int finish(void **state) {
    (void)clean(state);
    return rmdir(ROOT);
}

static void assert_holds(const char *path, const char *text) {
    fov_blob blob;
    assert_int_equal(fov_io_read(path, 1 << 20, 8, &blob), FOV_OK);
    assert_int_equal(blob.size, strlen(text));
    assert_memory_equal(blob.data, text, blob.size);
    for (size_t i = 0; i < 8; i++) {
        assert_int_equal(blob.data[blob.size + i], 0);
    }
    fov_blob_clear(&blob);
}

static void test_write_and_read(void **state) {
    (void)state;
    const char *path = at("a");
    assert_int_equal(fov_io_write_atomic(path, "one", 3), FOV_OK);
    assert_holds(path, "one");
    assert_int_equal(fov_io_write_atomic(path, "", 0), FOV_OK);
    assert_holds(path, "");
    assert_int_equal(entries(ROOT), 1);
    fov_map map;
    assert_int_equal(fov_io_map(path, &map), FOV_OK);
    assert_int_equal(map.size, 0);
    assert_non_null(map.data);
    fov_io_unmap(&map);
}

static void test_refusals(void **state) {
    (void)state;
    fov_blob blob;
    assert_int_equal(fov_io_read(at("none"), 10, 0, &blob), FOV_E_NOTFOUND);
    assert_non_null(strstr(fov_last_error(), "none: cannot open"));
    assert_int_equal(fov_io_read(ROOT, 10, 0, &blob), FOV_E_INVALID);
    assert_non_null(strstr(fov_last_error(), "is a folder"));
    assert_int_equal(mkfifo(at("pipe"), 0600), 0);
    assert_int_equal(fov_io_read(at("pipe"), 10, 0, &blob), FOV_E_INVALID); /* and does not wait for a writer */
    assert_int_equal(fov_io_read("/dev/zero", 10, 0, &blob), FOV_E_INVALID);
    assert_int_equal(fov_io_write_atomic(at("big"), "12345", 5), FOV_OK);
    assert_int_equal(fov_io_read(at("big"), 4, 0, &blob), FOV_E_LIMIT);
    assert_int_equal(fov_io_read(at("big"), 5, 0, &blob), FOV_OK);
    fov_blob_clear(&blob);
    assert_int_equal(fov_io_write_atomic(ROOT, "x", 1), FOV_E_INVALID);
    assert_int_equal(fov_io_write_atomic("/dev/null", "x", 1), FOV_E_INVALID);
    assert_int_equal(fov_io_write_atomic(at("no/such"), "x", 1), FOV_E_NOTFOUND);
    assert_non_null(strstr(fov_last_error(), "folder does not exist"));
    fov_map map;
    assert_int_equal(fov_io_map(ROOT, &map), FOV_E_INVALID);
}

/* Files of the kernel claim to be empty. */
static void test_unsized(void **state) {
    (void)state;
    fov_blob blob;
    assert_int_equal(fov_io_read("/proc/self/status", 1 << 20, 1, &blob), FOV_OK);
    assert_true(blob.size > 100);
    assert_non_null(strstr((const char *)blob.data, "Name:"));
    fov_blob_clear(&blob);
    assert_int_equal(fov_io_read("/proc/self/status", 50, 1, &blob), FOV_E_LIMIT);
}

static void test_read_into_reuses(void **state) {
    (void)state;
    fov_blob blob = {0};
    size_t capacity = 0;
    assert_int_equal(fov_io_write_atomic(at("long"), "0123456789", 10), FOV_OK);
    assert_int_equal(fov_io_write_atomic(at("short"), "ab", 2), FOV_OK);
    assert_int_equal(fov_io_read_into(at("long"), 100, 4, &blob, &capacity), FOV_OK);
    const unsigned char *before = blob.data;
    assert_int_equal(fov_io_read_into(at("short"), 100, 4, &blob, &capacity), FOV_OK);
    assert_ptr_equal(blob.data, before);
    assert_memory_equal(blob.data, "ab\0\0\0\0", 6);
    bool large = false;
    assert_int_equal(fov_io_read_small(at("long"), 3, 100, 4, &blob, &capacity, &large), FOV_OK);
    assert_true(large && blob.size == 0);
    assert_int_equal(fov_io_read_small(at("long"), 3, 4, 4, &blob, &capacity, &large), FOV_E_LIMIT);
    assert_int_equal(fov_io_read_small(at("short"), 3, 100, 4, &blob, &capacity, &large), FOV_OK);
    assert_true(!large && blob.size > 0);
    assert_int_equal(fov_io_read_into(at("none"), 100, 4, &blob, &capacity), FOV_E_NOTFOUND);
    assert_int_equal(blob.size, 0);
    fov_blob_clear(&blob);
}

static void assert_nothing_left(size_t files) {
    fov_io_fail_at("any", 0, false, 0);
    assert_int_equal(entries(ROOT), files);
}

/* Fails call 1, 2, 3 ... of any kind until the write succeeds: the old contents stay, and no temporary file. */
static void every_failure(const char *operation, bool forever, int error) {
    const char *path = at("kept");
    assert_int_equal(fov_io_write_atomic(path, "old", 3), FOV_OK);
    uint64_t k = 1;
    for (;; k++) {
        assert_true(k < 50);
        fov_io_fail_at(operation, k, forever, error);
        const fov_status status = fov_io_write_atomic(path, "brand new", 9);
        const bool folder = status != FOV_OK && strstr(fov_last_error(), "flush the folder") != NULL;
        assert_nothing_left(1);
        if (status == FOV_OK) {
            break;
        }
        assert_true(status == FOV_E_IO);
        assert_non_null(strstr(fov_last_error(), "io"));
        assert_holds(path, folder ? "brand new" : "old");
        assert_int_equal(fov_io_write_atomic(path, "old", 3), FOV_OK);
    }
    assert_holds(path, "brand new");
    assert_true(k > 1);
}

static void test_every_failure_of_a_write(void **state) {
    (void)state;
    static const int errors[] = {ENOSPC, EDQUOT, EIO, EROFS};
    static const char *const operations[] = {"any", "open", "write", "fsync", "close", "rename"};
    for (size_t e = 0; e < sizeof errors / sizeof errors[0]; e++) {
        for (size_t o = 0; o < sizeof operations / sizeof operations[0]; o++) {
            every_failure(operations[o], false, errors[e]);
            every_failure(operations[o], true, errors[e]);
        }
    }
}

/* The order of calls is the promise: file synced before the rename, folder after it. */
static void test_order_of_calls(void **state) {
    (void)state;
    static const char *const expected[] = {"open", "open", "write", "fsync", "close", "rename", "fsync"};
    const uint64_t before = fov_io_calls();
    assert_int_equal(fov_io_write_atomic(at("ordered"), "x", 1), FOV_OK);
    assert_int_equal(fov_io_calls() - before, sizeof expected / sizeof expected[0]);
    static const char *const words[] = {"open folder", "create", "write", "flush to disk", "close", "rename", "flush the folder"};
    for (uint64_t k = 1; k <= sizeof words / sizeof words[0]; k++) {
        fov_io_fail_at("any", k, false, EIO);
        assert_int_equal(fov_io_write_atomic(at("ordered"), "x", 1), FOV_E_IO);
        assert_non_null(strstr(fov_last_error(), words[k - 1]));
    }
}

static void test_interrupted_and_short(void **state) {
    (void)state;
    static const char *const operations[] = {"open", "read", "write", "fsync"};
    for (size_t o = 0; o < sizeof operations / sizeof operations[0]; o++) {
        for (uint64_t k = 1; k < 4; k++) {
            fov_io_fail_at(operations[o], k, false, EINTR);
            assert_int_equal(fov_io_write_atomic(at("i"), "0123456789", 10), FOV_OK);
            assert_holds(at("i"), "0123456789");
        }
    }
    fov_io_fail_at("write", 1, true, 0); /* from now on half of each */
    assert_int_equal(fov_io_write_atomic(at("i"), "abcdefghijk", 11), FOV_OK);
    fov_io_fail_at("read", 1, true, 0);
    assert_holds(at("i"), "abcdefghijk");
    fov_io_fail_at("read", 1, false, EIO);
    fov_blob blob;
    assert_int_equal(fov_io_read(at("i"), 100, 0, &blob), FOV_E_IO);
}

static void test_full_disk_message(void **state) {
    (void)state;
    fov_io_fail_at("write", 1, false, ENOSPC);
    assert_int_equal(fov_io_write_atomic(at("full"), "0123456789", 10), FOV_E_IO);
    assert_non_null(strstr(fov_last_error(), "full: cannot write: No space left on device (needed 10 B, "));
    assert_non_null(strstr(fov_last_error(), " free"));
    fov_writer *writer = NULL;
    assert_int_equal(fov_writer_open(&writer, at("full")), FOV_OK);
    assert_int_equal(fov_writer_expect(writer, 1000), FOV_OK);
    assert_int_equal(fov_writer_expect(writer, UINT64_MAX), FOV_E_IO);
    assert_int_equal(fov_writer_write(writer, "x", 1), FOV_E_IO);
    assert_int_equal(fov_writer_commit(writer), FOV_E_IO);
    assert_nothing_left(0);
}

/* Larger than the buffer, in uneven pieces; a failure in the middle cannot be committed away. */
static void test_streaming(void **state) {
    (void)state;
    static unsigned char bytes[700001];
    for (size_t i = 0; i < sizeof bytes; i++) {
        bytes[i] = (unsigned char)(i * 31 + (i >> 9));
    }
    fov_writer *writer = NULL;
    assert_int_equal(fov_writer_open(&writer, at("stream")), FOV_OK);
    size_t done = 0;
    for (size_t piece = 1; done < sizeof bytes; piece = piece * 3 + 1) {
        const size_t count = piece < sizeof bytes - done ? piece : sizeof bytes - done;
        assert_int_equal(fov_writer_write(writer, bytes + done, count), FOV_OK);
        done += count;
        assert_int_equal(fov_writer_offset(writer), done);
        assert_int_equal(fov_io_kind(at("stream")), FOV_PATH_NONE);
    }
    assert_int_equal(fov_writer_commit(writer), FOV_OK);
    fov_map map;
    assert_int_equal(fov_io_map(at("stream"), &map), FOV_OK);
    assert_int_equal(map.size, sizeof bytes);
    assert_memory_equal(map.data, bytes, sizeof bytes);
    /* Replacing a file that is mapped must not change what the map shows. */
    assert_int_equal(fov_io_write_atomic(at("stream"), "short", 5), FOV_OK);
    assert_memory_equal(map.data, bytes, sizeof bytes);
    fov_io_unmap(&map);

    assert_int_equal(fov_writer_open(&writer, at("stream")), FOV_OK);
    fov_io_fail_at("write", 1, false, EIO);
    assert_int_equal(fov_writer_write(writer, bytes, sizeof bytes), FOV_E_IO);
    assert_int_equal(fov_writer_write(writer, bytes, 5), FOV_E_IO);
    assert_int_equal(fov_writer_commit(writer), FOV_E_IO);
    assert_holds(at("stream"), "short");
    assert_int_equal(fov_writer_open(&writer, at("stream")), FOV_OK);
    fov_writer_abort(writer);
    fov_writer_abort(NULL);
    assert_nothing_left(1);
}

/* A file left by a dead process of our number must not stop us, and is not ours to overwrite. */
static void test_stale_temporary(void **state) {
    (void)state;
    char stale[512];
    fov_writer *probe = NULL;
    assert_int_equal(fov_writer_open(&probe, at("s")), FOV_OK);
    fov_writer_abort(probe);
    for (int n = 0; n < 40; n++) {
        (void)snprintf(stale, sizeof stale, "%s/s.tmp-%ld-%d", ROOT, (long)getpid(), n * 4);
        const int fd = open(stale, O_WRONLY | O_CREAT, 0600);
        assert_true(fd >= 0);
        assert_int_equal(close(fd), 0);
    }
    for (int i = 0; i < 8; i++) {
        assert_int_equal(fov_io_write_atomic(at("s"), "new", 3), FOV_OK);
    }
    assert_int_equal(entries(ROOT), 41);
    fov_io_fail_at("open", 1, true, EEXIST);
    assert_int_equal(fov_io_write_atomic(at("s"), "x", 1), FOV_E_EXISTS);
}

static void test_appender(void **state) {
    (void)state;
    fov_appender *log = NULL;
    assert_int_equal(fov_appender_open(&log, at("log"), false), FOV_OK);
    assert_int_equal(fov_appender_write(log, "one\n", 4), FOV_OK);
    fov_io_fail_at("write", 1, false, 0);
    assert_int_equal(fov_appender_write(log, "two\n", 4), FOV_OK);
    fov_io_fail_at("write", 1, false, ENOSPC);
    assert_int_equal(fov_appender_write(log, "three\n", 6), FOV_E_IO);
    assert_non_null(strstr(fov_last_error(), "needed 6 B"));
    assert_int_equal(fov_appender_close(log), FOV_OK);
    assert_holds(at("log"), "one\ntwo\n");
    assert_int_equal(fov_appender_open(&log, at("log"), false), FOV_OK);
    assert_int_equal(fov_appender_write(log, "four\n", 5), FOV_OK);
    fov_io_fail_at("fsync", 1, false, EIO);
    assert_int_equal(fov_appender_close(log), FOV_E_IO);
    assert_holds(at("log"), "one\ntwo\nfour\n");
    assert_int_equal(fov_appender_open(&log, at("log"), true), FOV_OK);
    assert_int_equal(fov_appender_close(log), FOV_OK);
    assert_holds(at("log"), "");
    assert_int_equal(fov_appender_open(&log, ROOT, false), FOV_E_IO);
    assert_int_equal(fov_appender_close(NULL), FOV_OK);
}

/* The system takes half a line and refuses the rest: the half is taken back. */
static void test_appender_cuts_half_lines(void **state) {
    (void)state;
    fov_appender *log = NULL;
    assert_int_equal(fov_appender_open(&log, at("log"), false), FOV_OK);
    assert_int_equal(fov_appender_write(log, "one\n", 4), FOV_OK);
    struct rlimit before;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    const struct rlimit tight = {.rlim_cur = 7, .rlim_max = before.rlim_max};
    void (*handler)(int) = signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &tight), 0);
    const fov_status status = fov_appender_write(log, "second\n", 7);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    (void)signal(SIGXFSZ, handler);
    assert_int_equal(status, FOV_E_IO);
    assert_holds(at("log"), "one\n");
    assert_int_equal(fov_appender_write(log, "two\n", 4), FOV_OK);
    assert_int_equal(fov_appender_close(log), FOV_OK);
    assert_holds(at("log"), "one\ntwo\n");
}

/* Runs first: the variable is read at the first call. */
static void test_environment(void **state) {
    (void)state;
    (void)rmdir(ROOT "/e");
    (void)rmdir(ROOT);
    if (fov_io_kind(ROOT) != FOV_PATH_NONE) {
        skip(); /* an earlier run was cut off */
    }
    assert_int_equal(setenv("FOVEA_FAIL_IO", "mkdir:2+:EDQUOT", 1), 0);
    assert_int_equal(fov_io_mkdir(ROOT "/e", true), FOV_E_IO);
    assert_non_null(strstr(fov_last_error(), "Disk quota exceeded ("));
    assert_int_equal(fov_io_mkdir(ROOT "/e", true), FOV_E_IO);
    fov_io_fail_at("any", 0, false, 0);
    assert_int_equal(fov_io_mkdir(ROOT "/e", true), FOV_OK);
}

static void test_folders(void **state) {
    (void)state;
    assert_int_equal(fov_io_mkdir(at("p/q/r"), false), FOV_E_NOTFOUND);
    assert_int_equal(fov_io_mkdir(at("p/q/r"), true), FOV_OK);
    assert_int_equal(fov_io_mkdir(at("p/q/r/"), true), FOV_OK);
    assert_int_equal(fov_io_kind(at("p/q/r")), FOV_PATH_DIR);
    assert_int_equal(fov_io_mkdir("", true), FOV_E_INVALID);
    assert_int_equal(fov_io_write_atomic(at("file"), "x", 1), FOV_OK);
    assert_int_equal(fov_io_mkdir(at("file"), false), FOV_E_EXISTS);
    assert_int_equal(fov_io_mkdir(at("file/below"), true), FOV_E_EXISTS);
    fov_io_fail_at("mkdir", 2, false, ENOSPC);
    assert_int_equal(fov_io_mkdir(at("x/y/z"), true), FOV_E_IO);
    assert_int_equal(fov_io_remove(at("file")), FOV_OK);
    assert_int_equal(fov_io_remove(at("file")), FOV_OK);
    assert_true(fov_io_remove(at("p")) != FOV_OK);
    assert_int_equal(fov_io_list(at("none"), count_entry, NULL), FOV_E_NOTFOUND);
    uint64_t bytes = 0;
    assert_int_equal(fov_io_free_bytes(ROOT, &bytes), FOV_OK);
    assert_true(bytes > 0);
    assert_true(fov_io_has_room(ROOT, 0) && !fov_io_has_room(ROOT, UINT64_MAX - 1));
    assert_true(fov_io_has_room(at("none"), UINT64_MAX)); /* unknown: only writing can tell */
    assert_int_equal(fov_io_check_room(ROOT, "save it", 1), FOV_OK);
    assert_int_equal(fov_io_check_room(ROOT, "save it", UINT64_MAX - 1), FOV_E_IO);
    assert_non_null(strstr(fov_last_error(), ROOT ": cannot save it: No space left on device (needed "));
}

static void test_check_writable(void **state) {
    (void)state;
    assert_int_equal(fov_io_check_writable(ROOT), FOV_OK);
    assert_int_equal(entries(ROOT), 0);
    assert_int_equal(fov_io_check_writable(at("none")), FOV_E_NOTFOUND);
    assert_non_null(strstr(fov_last_error(), "does not exist"));
    assert_int_equal(fov_io_write_atomic(at("f"), "x", 1), FOV_OK);
    assert_int_equal(fov_io_check_writable(at("f")), FOV_E_INVALID);
    assert_non_null(strstr(fov_last_error(), "is not a folder"));
}

/* The folder, the reason, and what to do. */
static void test_advice(void **state) {
    (void)state;
    static const struct {
        int error;
        const char *reason, *advice;
    } cases[] = {
        {EACCES, "Permission denied", "; give permission, or name another place"},
        {EPERM, "Operation not permitted", "; give permission, or name another place"},
        {EROFS, "Read-only file system", "; name another place"},
        {ENOSPC, "No space left on device (", " free; make room or write elsewhere)"},
        {EDQUOT, "Disk quota exceeded (", " free; make room or write elsewhere)"},
        {EMFILE, "Too many open files", "; raise the limit of open files (ulimit -n)"},
        {ENAMETOOLONG, "File name too long", "; name a shorter path"},
        {EIO, "Input/output error", "; the system's log (dmesg) may say what ails the disk"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char wanted[600];
        (void)snprintf(wanted, sizeof wanted, ROOT ": cannot make a file in this folder: %s", cases[i].reason);
        fov_io_fail_at("open", 1, false, cases[i].error);
        assert_int_equal(fov_io_check_writable(ROOT), FOV_E_IO);
        const char *said = fov_last_error();
        assert_memory_equal(said, wanted, strlen(wanted));
        assert_true(strlen(said) > strlen(cases[i].advice));
        assert_string_equal(said + strlen(said) - strlen(cases[i].advice), cases[i].advice);
    }
}

/* Of a folder that is a disk of its own, the space that is free there, not beside it. */
static void test_space_of_a_disk(void **state) {
    (void)state;
    static const char disk[] = "/dev/shm";
    uint64_t there = 0, beside = 0;
    char free_there[32], free_beside[32], wanted[64];
    if (fov_io_kind(disk) != FOV_PATH_DIR || fov_io_free_bytes(disk, &there) != FOV_OK || fov_io_free_bytes("/dev", &beside) != FOV_OK) {
        skip();
    }
    fov_format_bytes((double)there, free_there, sizeof free_there);
    fov_format_bytes((double)beside, free_beside, sizeof free_beside);
    if (strcmp(free_there, free_beside) == 0) {
        skip();
    }
    (void)snprintf(wanted, sizeof wanted, "(%s free;", free_there);
    fov_io_fail_at("open", 1, false, ENOSPC);
    assert_int_equal(fov_io_check_writable(disk), FOV_E_IO);
    assert_non_null(strstr(fov_last_error(), wanted));
}

static fov_status see_kind(void *context, const char *name, int kind) {
    char *seen = context;
    assert_int_equal(strlen(name), 1);
    seen[name[0] - 'a'] = (char)kind;
    return FOV_OK;
}

static fov_status stop_at_once(void *context, const char *name, int kind) {
    (void)name;
    (void)kind;
    ++*(int *)context;
    return FOV_E_DATA;
}

static void test_list(void **state) {
    (void)state;
    assert_int_equal(fov_io_write_atomic(at("a"), "x", 1), FOV_OK);
    assert_int_equal(fov_io_mkdir(at("b"), false), FOV_OK);
    assert_int_equal(symlink("a", at("c")), 0);
    assert_int_equal(mkfifo(at("d"), 0600), 0);
    char seen[5] = "";
    assert_int_equal(fov_io_list(ROOT, see_kind, seen), FOV_OK);
    /* A file system may leave the kind open (-1). */
    static const char expected[] = "fdlo";
    for (size_t i = 0; i < 4; i++) {
        assert_true(seen[i] == expected[i] || seen[i] == (char)-1);
    }
    int calls = 0;
    assert_int_equal(fov_io_list(ROOT, stop_at_once, &calls), FOV_E_DATA);
    assert_int_equal(calls, 1);
    assert_int_equal(fov_io_list(at("a"), see_kind, seen), FOV_E_INVALID);
    assert_int_equal(fov_io_kind(at("c")), FOV_PATH_FILE);
    assert_int_equal(fov_io_kind(at("d")), FOV_PATH_OTHER);
}

static void test_names(void **state) {
    (void)state;
    static const char *const cases[][3] = {{"a", "b", "a/b"}, {"a/", "b", "a/b"}, {"", "b", "b"}, {"/", "b", "/b"}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char *joined = fov_path_join(cases[i][0], cases[i][1]);
        assert_string_equal(joined, cases[i][2]);
        fov_mem_free(joined);
    }
    assert_string_equal(fov_path_base("a/b/c"), "c");
    assert_string_equal(fov_path_base("c"), "c");
    assert_int_equal(fov_io_write_atomic("relative.test", "x", 1), FOV_OK);
    assert_int_equal(fov_io_remove("relative.test"), FOV_OK);
    /* Control characters of a name do not reach the terminal. */
    fov_blob blob;
    assert_int_equal(fov_io_read(at("bad\x1b[2Jname"), 1, 0, &blob), FOV_E_NOTFOUND);
    assert_null(strchr(fov_last_error(), '\x1b'));
}

/* Every allocation of a write can fail, too. */
static void test_out_of_memory(void **state) {
    (void)state;
    fov_status status = FOV_E_NOMEM;
    int k = 1;
    for (; status != FOV_OK; k++) {
        assert_true(k < 50);
        fov_mem_fail_at((uint64_t)k, 0);
        status = fov_io_write_atomic(at("m"), "x", 1);
        fov_mem_fail_at(0, 0);
        assert_true(status == FOV_OK || status == FOV_E_NOMEM);
        assert_int_equal(entries(ROOT), status == FOV_OK ? 1 : 0);
    }
    assert_true(k > 4);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_environment),
        cmocka_unit_test_setup(test_write_and_read, clean),
        cmocka_unit_test_setup(test_refusals, clean),
        cmocka_unit_test_setup(test_unsized, clean),
        cmocka_unit_test_setup(test_read_into_reuses, clean),
        cmocka_unit_test_setup(test_every_failure_of_a_write, clean),
        cmocka_unit_test_setup(test_order_of_calls, clean),
        cmocka_unit_test_setup(test_interrupted_and_short, clean),
        cmocka_unit_test_setup(test_full_disk_message, clean),
        cmocka_unit_test_setup(test_streaming, clean),
        cmocka_unit_test_setup(test_stale_temporary, clean),
        cmocka_unit_test_setup(test_appender, clean),
        cmocka_unit_test_setup(test_appender_cuts_half_lines, clean),
        cmocka_unit_test_setup(test_folders, clean),
        cmocka_unit_test_setup(test_check_writable, clean),
        cmocka_unit_test_setup(test_advice, clean),
        cmocka_unit_test_setup(test_space_of_a_disk, clean),
        cmocka_unit_test_setup(test_list, clean),
        cmocka_unit_test_setup(test_names, clean),
        cmocka_unit_test_setup(test_out_of_memory, clean),
    };
    return cmocka_run_group_tests_name("io", tests, NULL, finish);
}
