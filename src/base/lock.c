/* A lock on a folder. The kernel's lock decides; the text in the file is for people. A file left by a killed process is simply taken over,
 * since the kernel let its lock go.
 *
 * The first byte is the folder: who locks it holds the folder. The second byte is the door: it is locked while somebody takes the first
 * byte and signs, or is refused and reads who holds it, so nobody reads a name half written or that of a process long gone.
 *
 * The holder removes the file before it lets go, so a newcomer may lock a file that no longer has a name: it then looks again. */
#include "base/lock.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/io_fault.h"

struct fov_lock {
    int fd;
    char *path;
};

static fov_status held(int fd, const char *dir) {
    char text[200];
    const ssize_t count = pread(fd, text, sizeof text - 1, 0);
    text[count > 0 ? count : 0] = '\0';
    text[strcspn(text, "\n")] = '\0';
    return FOV_FAIL(FOV_E_LOCKED, "%s is in use by %s; wait for it or choose another --out", dir, count > 0 ? text : "another process");
}

static fov_status sign(int fd, const char *path) {
    char host[128] = "this host", since[32], text[256];
    (void)gethostname(host, sizeof host - 1);
    fov_clock_utc(since, sizeof since);
    const int length = snprintf(text, sizeof text, "process %ld on %s since %s\n", (long)getpid(), host, since);
    if (ftruncate(fd, 0) != 0) {
        return IO_FAIL(path, "write", errno);
    }
    const ssize_t written = fov_sys_write(fd, text, (size_t)length);
    if (written != length) { /* a write that ends early does not say why; space is what it lacks */
        return fov_io_fail(__FILE__, __LINE__, path, "write", written < 0 ? errno : ENOSPC, (uint64_t)length);
    }
    return FOV_OK;
}

enum { FOLDER_BYTE = 0, DOOR_BYTE = 1 };

static int lock_byte(int fd, int command, short type, off_t byte) {
    struct flock region = {.l_type = type, .l_whence = SEEK_SET, .l_start = byte, .l_len = 1};
    int result;
    do {
        result = fcntl(fd, command, &region);
    } while (result != 0 && errno == EINTR);
    return result;
}

/* One attempt; *gone tells that the file lost its name meanwhile. */
static fov_status attempt(fov_lock *lock, const char *dir, bool *gone) {
    *gone = false;
    lock->fd = fov_sys_open(lock->path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644);
    if (lock->fd < 0) {
        return IO_FAIL(lock->path, "make the lock file", errno);
    }
    if (lock_byte(lock->fd, F_OFD_SETLKW, F_WRLCK, DOOR_BYTE) != 0 || lock_byte(lock->fd, F_OFD_SETLK, F_WRLCK, FOLDER_BYTE) != 0) {
        if (errno == EAGAIN || errno == EACCES) {
            return held(lock->fd, dir);
        }
        return FOV_FAIL(FOV_E_IO, "%s: this file system does not lock files: %s", lock->path, strerror(errno));
    }
    struct stat named, ours;
    *gone = fstat(lock->fd, &ours) != 0 || stat(lock->path, &named) != 0 || named.st_ino != ours.st_ino || named.st_dev != ours.st_dev;
    if (*gone) {
        return FOV_OK;
    }
    const fov_status status = sign(lock->fd, lock->path);
    if (status != FOV_OK) {
        (void)unlink(lock->path);
        return status;
    }
    (void)lock_byte(lock->fd, F_OFD_SETLK, F_UNLCK, DOOR_BYTE);
    return FOV_OK;
}

fov_status fov_lock_take(fov_lock **lock, const char *dir) {
    fov_lock *taken = fov_mem_zalloc(FOV_MEM_BASE, sizeof *taken);
    FOV_TRY_ALLOC(taken);
    taken->fd = -1;
    taken->path = fov_path_join(dir, "lock");
    fov_status status = taken->path == NULL ? FOV_E_NOMEM : FOV_OK;
    bool gone = true;
    while (status == FOV_OK && gone) {
        status = attempt(taken, dir, &gone);
        if ((status != FOV_OK || gone) && taken->fd >= 0) {
            (void)close(taken->fd);
            taken->fd = -1;
        }
    }
    if (status != FOV_OK) {
        fov_mem_free(taken->path);
        fov_mem_free(taken);
        return status;
    }
    *lock = taken;
    return FOV_OK;
}

void fov_lock_release(fov_lock *lock) {
    if (lock == NULL) {
        return;
    }
    (void)unlink(lock->path);
    (void)close(lock->fd);
    fov_mem_free(lock->path);
    fov_mem_free(lock);
}
