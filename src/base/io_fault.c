/* The system calls behind the file layer, and the two things every one of them needs: repeating after a signal, and failing on demand.
 *
 * Injection counts calls rather than naming places, so that a test can fail call 1, 2, 3 ... until an operation succeeds and thereby
 * visits every error path there is (SQLite's method). close() is never repeated after EINTR: on Linux the descriptor is gone by then, and
 * another thread may have been given its number. */
#include "base/io_fault.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/text.h"

typedef enum io_operation { OP_OPEN, OP_READ, OP_WRITE, OP_FSYNC, OP_CLOSE, OP_RENAME, OP_MKDIR, OP_ANY, OP_COUNT } io_operation;

static const char *const operation_names[OP_COUNT] = {"open", "read", "write", "fsync", "close", "rename", "mkdir", "any"};

static const struct {
    const char *name;
    int error;
} error_names[] = {
    {"ENOSPC", ENOSPC}, {"EDQUOT", EDQUOT}, {"EIO", EIO},       {"EROFS", EROFS},   {"EACCES", EACCES}, {"EPERM", EPERM},
    {"EMFILE", EMFILE}, {"ENFILE", ENFILE}, {"ENOENT", ENOENT}, {"EINTR", EINTR},   {"ENOMEM", ENOMEM}, {"EFBIG", EFBIG},
    {"ESTALE", ESTALE}, {"ENXIO", ENXIO},   {"ELOOP", ELOOP},   {"EEXIST", EEXIST}, {"SHORT", 0},
};

static _Atomic uint64_t calls;
static _Atomic int64_t countdown; /* calls left until the failure; 0 when nothing is armed */
static _Atomic int armed_operation, armed_error;
static _Atomic bool armed_forever;
static pthread_once_t environment_once = PTHREAD_ONCE_INIT;

static int operation_named(const char *name, size_t length) {
    for (int i = 0; i < OP_COUNT; i++) {
        if (strlen(operation_names[i]) == length && memcmp(operation_names[i], name, length) == 0) {
            return i;
        }
    }
    return -1;
}

static int error_named(const char *name) {
    for (size_t i = 0; i < sizeof error_names / sizeof error_names[0]; i++) {
        if (strcmp(error_names[i].name, name) == 0) {
            return error_names[i].error;
        }
    }
    return EIO;
}

static void arm(int operation, uint64_t n, bool forever, int error) {
    atomic_store(&countdown, 0);
    atomic_store(&armed_operation, operation);
    atomic_store(&armed_error, error);
    atomic_store(&armed_forever, forever);
    atomic_store(&countdown, operation < 0 || n > INT64_MAX ? 0 : (int64_t)n);
}

/* FOVEA_FAIL_IO=write:3:ENOSPC or write:3+:ENOSPC. Anything that does not read so is ignored: it is a switch for tests only. */
static void read_environment(void) {
    const char *text = getenv("FOVEA_FAIL_IO");
    const char *colon = text == NULL ? NULL : strchr(text, ':');
    if (colon == NULL) {
        return;
    }
    char *end = NULL;
    const unsigned long long n = strtoull(colon + 1, &end, 10);
    const bool forever = *end == '+';
    end += forever ? 1 : 0;
    arm(operation_named(text, (size_t)(colon - text)), n, forever, *end == ':' ? error_named(end + 1) : EIO);
}

void fov_io_fail_at(const char *operation, uint64_t n, bool forever, int error) {
    (void)pthread_once(&environment_once, read_environment);
    const int wanted = operation_named(operation, strlen(operation));
    FOV_ASSERT(wanted >= 0);
    arm(wanted, n, forever, error);
}

uint64_t fov_io_calls(void) {
    return atomic_load(&calls);
}

/* True when this call has to fail; then errno is set (0: do half of it). */
static bool fault(io_operation operation) {
    (void)pthread_once(&environment_once, read_environment);
    (void)atomic_fetch_add_explicit(&calls, 1, memory_order_relaxed);
    if (atomic_load_explicit(&countdown, memory_order_relaxed) <= 0) {
        return false;
    }
    const int wanted = atomic_load(&armed_operation);
    if (wanted != OP_ANY && wanted != (int)operation) {
        return false;
    }
    if (atomic_load(&armed_forever)) {
        int64_t left = atomic_load(&countdown);
        while (left > 1 && !atomic_compare_exchange_weak(&countdown, &left, left - 1)) {
        }
        if (left != 1) {
            return false;
        }
    } else if (atomic_fetch_sub(&countdown, 1) != 1) {
        return false;
    }
    errno = atomic_load(&armed_error);
    return true;
}

/* A fault in a call that cannot be done by halves. */
static bool hard_fault(io_operation operation) {
    if (!fault(operation)) {
        return false;
    }
    errno = errno == 0 ? EIO : errno;
    return true;
}

int fov_sys_open(const char *path, int flags, mode_t mode) {
    for (;;) {
        const int fd = hard_fault(OP_OPEN) ? -1 : open(path, flags | O_CLOEXEC, mode);
        if (fd >= 0 || errno != EINTR) {
            return fd;
        }
    }
}

int fov_sys_openat(int folder, const char *name, int flags) {
    for (;;) {
        const int fd = hard_fault(OP_OPEN) ? -1 : openat(folder, name, flags | O_CLOEXEC);
        if (fd >= 0 || errno != EINTR) {
            return fd;
        }
    }
}

ssize_t fov_sys_read(int fd, void *bytes, size_t count) {
    for (;;) {
        ssize_t got = -1;
        if (!fault(OP_READ)) {
            got = read(fd, bytes, count);
        } else if (errno == 0) {
            got = read(fd, bytes, (count + 1) / 2);
        }
        if (got >= 0 || errno != EINTR) {
            return got;
        }
    }
}

ssize_t fov_sys_pread(int fd, void *bytes, size_t count, off_t offset) {
    for (;;) {
        ssize_t got = -1;
        if (!fault(OP_READ)) {
            got = pread(fd, bytes, count, offset);
        } else if (errno == 0) {
            got = pread(fd, bytes, (count + 1) / 2, offset);
        }
        if (got >= 0 || errno != EINTR) {
            return got;
        }
    }
}

ssize_t fov_sys_write(int fd, const void *bytes, size_t count) {
    for (;;) {
        ssize_t put = -1;
        if (!fault(OP_WRITE)) {
            put = write(fd, bytes, count);
        } else if (errno == 0) {
            put = write(fd, bytes, (count + 1) / 2);
        }
        if (put >= 0 || errno != EINTR) {
            return put;
        }
    }
}

int fov_sys_fsync(int fd) {
    for (;;) {
        const int failed = hard_fault(OP_FSYNC) ? -1 : fsync(fd);
        if (failed == 0 || errno != EINTR) {
            return failed;
        }
    }
}

int fov_sys_close(int fd) {
    const bool injected = hard_fault(OP_CLOSE);
    const int error = errno;
    const int failed = close(fd);
    if (injected) {
        errno = error;
        return -1;
    }
    return failed != 0 && errno != EINTR ? -1 : 0;
}

int fov_sys_rename(const char *from, const char *to) {
    return hard_fault(OP_RENAME) ? -1 : rename(from, to);
}

int fov_sys_mkdir(const char *path, mode_t mode) {
    return hard_fault(OP_MKDIR) ? -1 : mkdir(path, mode);
}

static fov_status status_of(int error) {
    switch (error) {
    case ENOENT:
    case ENOTDIR:
        return FOV_E_NOTFOUND;
    case ENOMEM:
        return FOV_E_NOMEM;
    case EEXIST:
        return FOV_E_EXISTS;
    default:
        return FOV_E_IO;
    }
}

/* Printable form of a path in `text`; the path itself when memory ran out. */
static const char *printable(fov_text *text, const char *path) {
    fov_text_init(text);
    fov_text_add_escaped(text, path);
    return text->status == FOV_OK && text->data != NULL ? text->data : path;
}

/* ", needed 12 MB, 3 MB free" for a full disk, "" otherwise. */
static void describe_space(const char *path, int error, uint64_t needed, char *text, size_t size) {
    text[0] = '\0';
    if (error != ENOSPC && error != EDQUOT) {
        return;
    }
    char need[32] = "", have[32] = "";
    if (needed > 0) {
        fov_format_bytes((double)needed, need, sizeof need);
    }
    const bool folder = fov_io_kind(path) == FOV_PATH_DIR; /* whose disk may be another than its parent's */
    char *dir = folder ? fov_mem_strdup(FOV_MEM_FILE, path) : fov_path_dir(path);
    uint64_t bytes = 0;
    const bool known = dir != NULL && fov_io_free_bytes(dir, &bytes) == FOV_OK;
    fov_mem_free(dir);
    if (known) {
        fov_format_bytes((double)bytes, have, sizeof have);
    }
    (void)snprintf(text, size, " (%s%s%s%s%s; make room or write elsewhere)", needed > 0 ? "needed " : "", need,
                   needed > 0 && known ? ", " : "", have, known ? " free" : "");
}

/* What one can do about it, where the reason alone leaves that open. */
static const char *advice(int error) {
    switch (error) {
    case EACCES:
    case EPERM:
        return "; give permission, or name another place";
    case EROFS:
        return "; name another place";
    case EMFILE:
    case ENFILE:
        return "; raise the limit of open files (ulimit -n)";
    case ENAMETOOLONG:
        return "; name a shorter path";
    case EIO:
    case ESTALE:
        return "; the system's log (dmesg) may say what ails the disk";
    default:
        return "";
    }
}

fov_status fov_io_fail(const char *file, int line, const char *path, const char *operation, int error, uint64_t needed) {
    char reason[128], space[160];
    describe_space(path, error, needed, space, sizeof space);
    const char *why = strerror_r(error, reason, sizeof reason);
    fov_text text;
    const char *shown = printable(&text, path);
    const fov_status status =
        fov_fail_at(file, line, status_of(error), "%s: cannot %s: %s%s%s", shown, operation, why, space, advice(error));
    fov_text_clear(&text);
    return status;
}

fov_status fov_io_refuse(const char *file, int line, fov_status status, const char *path, const char *reason) {
    fov_text text;
    const char *shown = printable(&text, path);
    (void)fov_fail_at(file, line, status, "%s: %s", shown, reason);
    fov_text_clear(&text);
    return status;
}

char *fov_path_dir(const char *path) {
    const char *slash = strrchr(path, '/');
    if (slash == NULL) {
        return fov_mem_strdup(FOV_MEM_FILE, ".");
    }
    char *dir = fov_mem_strdup(FOV_MEM_FILE, path);
    if (dir != NULL) {
        dir[slash == path ? 1 : slash - path] = '\0';
    }
    return dir;
}

char *fov_io_unique_name(const char *prefix) {
    static _Atomic unsigned long serial;
    return fov_mem_printf(FOV_MEM_FILE, "%s-%ld-%lu", prefix, (long)getpid(), atomic_fetch_add(&serial, 1));
}
