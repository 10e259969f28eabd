/* Writing files so that a reader, or a machine that lost power, sees the old contents or the new ones and nothing between.
 *
 * Bytes go to PATH.tmp-PID-N in the same folder, which is fsynced and then renamed over PATH; the folder is fsynced last, because the new
 * name is part of the folder's own data. A failed fsync is never repeated: the kernel marks the pages clean after it, so a second call
 * would report success for lost data (Rebello et al., "Can Applications Recover from fsync Failures?", ATC 2020). */
#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/io_fault.h"

#define BUFFER_BYTES ((size_t)256 * 1024)
#define NAME_TRIES 100

struct fov_writer {
    int fd, dir_fd; /* dir_fd is -1 where the folder may not be read, only written */
    char *path, *temp;
    uint64_t offset;   /* bytes accepted */
    uint64_t expected; /* bytes announced, 0 when unknown */
    size_t used;       /* bytes waiting in the buffer */
    fov_status failed; /* first failure: nothing may be committed after it */
    unsigned char buffer[BUFFER_BYTES];
};

/* Writes all of it, however the system splits it. */
static int write_all(int fd, const unsigned char *bytes, size_t count) {
    while (count > 0) {
        const ssize_t put = fov_sys_write(fd, bytes, count);
        if (put < 0) {
            return errno;
        }
        if (put == 0) {
            return EIO;
        }
        bytes += put;
        count -= (size_t)put;
    }
    return 0;
}

static void writer_free(fov_writer *writer) {
    if (writer->fd >= 0) {
        (void)close(writer->fd);
    }
    if (writer->dir_fd >= 0) {
        (void)close(writer->dir_fd);
    }
    fov_mem_free(writer->path);
    fov_mem_free(writer->temp);
    fov_mem_free(writer);
}

static fov_status open_folder(fov_writer *writer) {
    char *dir = fov_path_dir(writer->path);
    FOV_TRY_ALLOC(dir);
    fov_status status = FOV_OK;
    writer->dir_fd = fov_sys_open(dir, O_RDONLY | O_DIRECTORY, 0);
    if (writer->dir_fd < 0 && errno != EACCES) {
        status =
            errno == ENOENT ? IO_REFUSE(FOV_E_NOTFOUND, dir, "folder does not exist; make it first") : IO_FAIL(dir, "open folder", errno);
    }
    fov_mem_free(dir);
    return status;
}

static fov_status open_temp(fov_writer *writer) {
    char *prefix = fov_mem_printf(FOV_MEM_FILE, "%s.tmp", writer->path);
    FOV_TRY_ALLOC(prefix);
    fov_status status = FOV_OK;
    /* A name can be taken: a process with our number may have died and left its file. */
    for (int tries = 0; tries < NAME_TRIES && writer->fd < 0 && status == FOV_OK; tries++) {
        fov_mem_free(writer->temp);
        writer->temp = fov_io_unique_name(prefix);
        if (writer->temp == NULL) {
            status = FOV_E_NOMEM;
            break;
        }
        writer->fd = fov_sys_open(writer->temp, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0666);
        if (writer->fd < 0 && (errno != EEXIST || tries + 1 == NAME_TRIES)) {
            status = IO_FAIL(writer->temp, "create", errno);
        }
    }
    fov_mem_free(prefix);
    return status;
}

fov_status fov_writer_open(fov_writer **writer, const char *path) {
    *writer = NULL;
    const fov_path_kind kind = fov_io_kind(path);
    if (kind == FOV_PATH_DIR || kind == FOV_PATH_OTHER) {
        return IO_REFUSE(FOV_E_INVALID, path,
                         kind == FOV_PATH_DIR ? "is a folder; name a file to write" : "is not a regular file; name another");
    }
    fov_writer *w = fov_mem_alloc(FOV_MEM_FILE, sizeof *w);
    FOV_TRY_ALLOC(w);
    memset(w, 0, offsetof(fov_writer, buffer));
    w->fd = w->dir_fd = -1;
    fov_status status = FOV_OK;
    w->path = fov_mem_strdup(FOV_MEM_FILE, path);
    if (w->path == NULL) {
        status = FOV_E_NOMEM;
        goto done;
    }
    FOV_TRY_GOTO(status, done, open_folder(w));
    FOV_TRY_GOTO(status, done, open_temp(w));
    *writer = w;
done:
    if (status != FOV_OK) {
        writer_free(w);
    }
    return status;
}

/* Records a failure to write `pending` bytes; `needed` is the best known size of the whole file. */
static fov_status write_failed(fov_writer *writer, int error) {
    const uint64_t needed = writer->expected > writer->offset ? writer->expected : writer->offset;
    writer->failed = fov_io_fail(__FILE__, __LINE__, writer->path, "write", error, needed);
    return writer->failed;
}

fov_status fov_writer_expect(fov_writer *writer, uint64_t bytes) {
    writer->expected = bytes;
    char *dir = fov_path_dir(writer->path);
    FOV_TRY_ALLOC(dir);
    const bool fits = fov_io_has_room(dir, bytes); /* where this is not known, the writing itself has to show it */
    fov_mem_free(dir);
    return fits ? FOV_OK : write_failed(writer, ENOSPC);
}

static fov_status flush_buffer(fov_writer *writer) {
    const int error = write_all(writer->fd, writer->buffer, writer->used);
    if (error != 0) {
        return write_failed(writer, error);
    }
    writer->used = 0;
    return FOV_OK;
}

fov_status fov_writer_write(fov_writer *writer, const void *bytes, size_t count) {
    if (writer->failed != FOV_OK) {
        return IO_REFUSE(writer->failed, writer->path, "an earlier write failed");
    }
    writer->offset += count;
    if (count > BUFFER_BYTES - writer->used) {
        FOV_TRY(flush_buffer(writer));
    }
    if (count >= BUFFER_BYTES) {
        const int error = write_all(writer->fd, bytes, count);
        return error == 0 ? FOV_OK : write_failed(writer, error);
    }
    if (count > 0) {
        memcpy(writer->buffer + writer->used, bytes, count);
        writer->used += count;
    }
    return FOV_OK;
}

uint64_t fov_writer_offset(const fov_writer *writer) {
    return writer->offset;
}

static fov_status finish_temp(fov_writer *writer) {
    FOV_TRY(flush_buffer(writer));
    if (fov_sys_fsync(writer->fd) != 0) {
        return IO_FAIL(writer->path, "flush to disk", errno);
    }
    const int fd = writer->fd;
    writer->fd = -1;
    if (fov_sys_close(fd) != 0) {
        return IO_FAIL(writer->path, "close", errno);
    }
    if (fov_sys_rename(writer->temp, writer->path) != 0) {
        return IO_FAIL(writer->path, "rename the finished file to this name", errno);
    }
    return FOV_OK;
}

/* Some file systems cannot sync a folder and say EINVAL; there is nothing more one can do on those. */
static fov_status sync_folder_fd(int fd, const char *path) {
    if (fd >= 0 && fov_sys_fsync(fd) != 0 && errno != EINVAL) {
        return IO_FAIL(path, "flush the folder of this file to disk", errno);
    }
    return FOV_OK;
}

fov_status fov_writer_commit(fov_writer *writer) {
    if (writer->failed != FOV_OK) {
        const fov_status failed = IO_REFUSE(writer->failed, writer->path, "not written, because an earlier write failed");
        fov_writer_abort(writer);
        return failed;
    }
    fov_status status = finish_temp(writer);
    if (status != FOV_OK) {
        fov_writer_abort(writer);
        return fov_forward_at(__FILE__, __LINE__, status);
    }
    status = sync_folder_fd(writer->dir_fd, writer->path);
    writer_free(writer);
    return status;
}

void fov_writer_abort(fov_writer *writer) {
    if (writer != NULL) {
        (void)unlink(writer->temp);
        writer_free(writer);
    }
}

fov_status fov_io_write_atomic(const char *path, const void *bytes, size_t count) {
    fov_writer *writer = NULL;
    FOV_TRY(fov_writer_open(&writer, path));
    writer->expected = count;
    const fov_status status = fov_writer_write(writer, bytes, count);
    if (status != FOV_OK) {
        fov_writer_abort(writer);
        return fov_forward_at(__FILE__, __LINE__, status);
    }
    FOV_TRY(fov_writer_commit(writer));
    return FOV_OK;
}

/* ---- append-only files ---- */

struct fov_appender {
    int fd;
    char *path;
};

fov_status fov_appender_open(fov_appender **appender, const char *path, bool truncate) {
    *appender = NULL;
    fov_appender *a = fov_mem_zalloc(FOV_MEM_FILE, sizeof *a);
    FOV_TRY_ALLOC(a);
    a->path = fov_mem_strdup(FOV_MEM_FILE, path);
    fov_status status = a->path == NULL ? FOV_E_NOMEM : FOV_OK;
    if (status == FOV_OK) {
        a->fd = fov_sys_open(path, O_WRONLY | O_CREAT | O_APPEND | (truncate ? O_TRUNC : 0), 0666);
        status = a->fd < 0 ? IO_FAIL(path, "open for appending", errno) : FOV_OK;
    }
    if (status != FOV_OK) {
        fov_mem_free(a->path);
        fov_mem_free(a);
        return status;
    }
    *appender = a;
    return FOV_OK;
}

fov_status fov_appender_write(fov_appender *appender, const void *bytes, size_t count) {
    struct stat before;
    const bool known = fstat(appender->fd, &before) == 0 && S_ISREG(before.st_mode);
    const int error = write_all(appender->fd, bytes, count);
    if (error == 0) {
        return FOV_OK;
    }
    /* Half a line would spoil the next one: cut it off again. If that fails too, readers still skip a line they cannot parse. */
    const bool cut = known && ftruncate(appender->fd, before.st_size) == 0;
    return fov_io_fail(__FILE__, __LINE__, appender->path, cut ? "append" : "append (a broken line may remain)", error, count);
}

fov_status fov_appender_close(fov_appender *appender) {
    if (appender == NULL) {
        return FOV_OK;
    }
    fov_status status = FOV_OK;
    /* EINVAL and EROFS: a terminal, pipe or /dev/null, which have nothing to sync. */
    if (fov_sys_fsync(appender->fd) != 0 && errno != EINVAL && errno != EROFS) {
        status = IO_FAIL(appender->path, "flush to disk", errno);
    }
    if (fov_sys_close(appender->fd) != 0 && status == FOV_OK) {
        status = IO_FAIL(appender->path, "close", errno);
    }
    fov_mem_free(appender->path);
    fov_mem_free(appender);
    return status;
}
