/* Reading files, whole or in pieces, by copy or by mapping.
 *
 * Files are opened without blocking, so that a FIFO in a folder of pictures cannot stop a run, and the size limit is checked against the
 * descriptor before anything is allocated. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/checked.h"
#include "base/io_fault.h"
#include "base/text.h"

static const unsigned char no_bytes[1];

/* A descriptor of a regular file and its size. */
static fov_status open_regular(const char *path, int *fd, size_t *size) {
    *fd = fov_sys_open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY, 0);
    if (*fd < 0) {
        return errno == ENXIO ? IO_REFUSE(FOV_E_INVALID, path, "is a socket or device, not a file") : IO_FAIL(path, "open", errno);
    }
    struct stat info;
    fov_status status = FOV_OK;
    if (fstat(*fd, &info) != 0) {
        status = IO_FAIL(path, "look at", errno);
    } else if (S_ISDIR(info.st_mode)) {
        status = IO_REFUSE(FOV_E_INVALID, path, "is a folder, not a file");
    } else if (!S_ISREG(info.st_mode)) {
        status = IO_REFUSE(FOV_E_INVALID, path, "is a pipe, socket or device, not a file");
    } else if (info.st_size < 0 || (uint64_t)info.st_size > SIZE_MAX) {
        status = IO_REFUSE(FOV_E_LIMIT, path, "is too large for this machine's addresses");
    }
    if (status != FOV_OK) {
        (void)close(*fd);
        *fd = -1;
        return status;
    }
    *size = (size_t)info.st_size;
    return FOV_OK;
}

static fov_status too_large(const char *path, size_t size, size_t limit) {
    char have[32], most[32], reason[128];
    fov_format_bytes((double)size, have, sizeof have);
    fov_format_bytes((double)limit, most, sizeof most);
    (void)snprintf(reason, sizeof reason, "is too large (%s, the limit is %s)", have, most);
    return IO_REFUSE(FOV_E_LIMIT, path, reason);
}

/* Room for `size` bytes and the padding; the old contents are kept only when `keep`. */
static fov_status make_room(fov_blob *blob, size_t *capacity, size_t size, size_t padding, bool keep) {
    size_t bytes = 0;
    if (!fov_add_size(size, padding, &bytes)) {
        return FOV_FAIL(FOV_E_LIMIT, "a buffer of %zu bytes is too large", size);
    }
    if (blob->data != NULL && bytes <= *capacity) {
        return FOV_OK;
    }
    if (!keep) {
        fov_mem_free(blob->data);
        blob->data = NULL;
        *capacity = 0;
    }
    unsigned char *grown = fov_mem_realloc(FOV_MEM_FILE, blob->data, bytes);
    FOV_TRY_ALLOC(grown);
    blob->data = grown;
    *capacity = bytes;
    return FOV_OK;
}

/* Fills blob->data up to `wanted` bytes; stops early at the end of the file. */
static fov_status read_up_to(int fd, const char *path, fov_blob *blob, size_t wanted) {
    while (blob->size < wanted) {
        const ssize_t got = fov_sys_read(fd, blob->data + blob->size, wanted - blob->size);
        if (got < 0) {
            return IO_FAIL(path, "read", errno);
        }
        if (got == 0) {
            break;
        }
        blob->size += (size_t)got;
    }
    return FOV_OK;
}

/* Files of the kernel (/proc, /sys) say they have no bytes: read those until they end. */
static fov_status read_unsized(int fd, const char *path, size_t max_bytes, size_t padding, fov_blob *blob, size_t *capacity) {
    size_t room = 4096;
    for (;;) {
        FOV_TRY(make_room(blob, capacity, room, padding, true));
        FOV_TRY(read_up_to(fd, path, blob, room));
        if (blob->size > max_bytes) {
            return too_large(path, blob->size, max_bytes);
        }
        if (blob->size < room) {
            return FOV_OK;
        }
        room *= 2;
    }
}

static fov_status read_open(int fd, const char *path, size_t size, size_t padding, fov_blob *blob, size_t *capacity) {
    FOV_TRY(make_room(blob, capacity, size, padding, false));
    FOV_TRY(read_up_to(fd, path, blob, size));
    if (blob->size < size) {
        return IO_REFUSE(FOV_E_IO, path, "became shorter while it was read");
    }
    return FOV_OK;
}

fov_status fov_io_read_small(const char *path, size_t small, size_t max_bytes, size_t padding, fov_blob *blob, size_t *capacity,
                             bool *large) {
    int fd = -1;
    size_t size = 0;
    blob->size = 0;
    blob->padding = 0;
    *large = false;
    FOV_TRY(open_regular(path, &fd, &size));
    fov_status status = FOV_OK;
    if (size > max_bytes) {
        status = too_large(path, size, max_bytes);
    } else if (size > small) {
        *large = true;
    } else if (size == 0) {
        status = read_unsized(fd, path, max_bytes, padding, blob, capacity);
    } else {
        status = read_open(fd, path, size, padding, blob, capacity);
    }
    (void)close(fd);
    if (status != FOV_OK) {
        blob->size = 0;
        return fov_forward_at(__FILE__, __LINE__, status);
    }
    if (!*large) {
        memset(blob->data + blob->size, 0, padding);
        blob->padding = padding;
    }
    return FOV_OK;
}

fov_status fov_io_read_into(const char *path, size_t max_bytes, size_t padding, fov_blob *blob, size_t *capacity) {
    bool large;
    FOV_TRY(fov_io_read_small(path, max_bytes, max_bytes, padding, blob, capacity, &large));
    return FOV_OK;
}

fov_status fov_io_read(const char *path, size_t max_bytes, size_t padding, fov_blob *blob) {
    size_t capacity = 0;
    *blob = (fov_blob){0};
    const fov_status status = fov_io_read_into(path, max_bytes, padding, blob, &capacity);
    if (status != FOV_OK) {
        fov_blob_clear(blob);
    }
    return status;
}

/* ---- in pieces ---- */

struct fov_file {
    int fd;
    size_t size;
};

fov_status fov_file_open(fov_file **file, const char *path) {
    *file = NULL;
    fov_file *f = fov_mem_zalloc(FOV_MEM_FILE, sizeof *f);
    FOV_TRY_ALLOC(f);
    const fov_status status = open_regular(path, &f->fd, &f->size);
    if (status != FOV_OK) {
        fov_mem_free(f);
        return fov_forward_at(__FILE__, __LINE__, status);
    }
    *file = f;
    return FOV_OK;
}

void fov_file_close(fov_file *file) {
    if (file != NULL) {
        (void)close(file->fd);
        fov_mem_free(file);
    }
}

uint64_t fov_file_size(const fov_file *file) {
    return file->size;
}

fov_status fov_file_share(const fov_file *file, fov_file **shared) {
    *shared = NULL;
    fov_file *f = fov_mem_zalloc(FOV_MEM_FILE, sizeof *f);
    FOV_TRY_ALLOC(f);
    *f = (fov_file){.fd = fcntl(file->fd, F_DUPFD_CLOEXEC, 0), .size = file->size};
    if (f->fd < 0) {
        fov_mem_free(f);
        return FOV_FAIL(FOV_E_IO, "cannot open a file once more: %s", strerror(errno));
    }
    *shared = f;
    return FOV_OK;
}

/* Of a descriptor, not a file: see the declaration of fov_file_read. */
static fov_status read_piece(int fd, const char *shown, uint64_t offset, size_t count, unsigned char *to) {
    size_t have = 0;
    while (have < count) {
        const ssize_t got = fov_sys_pread(fd, to + have, count - have, (off_t)(offset + have));
        if (got < 0) {
            return IO_FAIL(shown, "read", errno);
        }
        if (got == 0) {
            return IO_REFUSE(FOV_E_IO, shown, "the file ends early; it became shorter since it was opened");
        }
        have += (size_t)got;
    }
    return FOV_OK;
}

static bool within_files(uint64_t offset, size_t count) {
    return count <= SSIZE_MAX && offset <= (uint64_t)INT64_MAX - count;
}

fov_status fov_file_read_to(const fov_file *file, const char *shown, uint64_t offset, size_t count, unsigned char *to) {
    if (!within_files(offset, count)) {
        return IO_REFUSE(FOV_E_LIMIT, shown, "lies past what a file can hold");
    }
    FOV_TRY(read_piece(file->fd, shown, offset, count, to));
    return FOV_OK;
}

fov_status fov_file_read(const fov_file *file, const char *shown, uint64_t offset, size_t count, size_t padding, fov_blob *blob,
                         size_t *capacity) {
    const int fd = file->fd;
    blob->size = 0;
    blob->padding = 0;
    if (!within_files(offset, count)) {
        return IO_REFUSE(FOV_E_LIMIT, shown, "lies past what a file can hold");
    }
    FOV_TRY(make_room(blob, capacity, count, padding, false));
    FOV_TRY(read_piece(fd, shown, offset, count, blob->data));
    memset(blob->data + count, 0, padding);
    blob->size = count;
    blob->padding = padding;
    return FOV_OK;
}

void fov_blob_clear(fov_blob *blob) {
    fov_mem_free(blob->data);
    *blob = (fov_blob){0};
}

fov_status fov_io_map(const char *path, fov_map *map) {
    int fd = -1;
    size_t size = 0;
    *map = (fov_map){.data = no_bytes};
    FOV_TRY(open_regular(path, &fd, &size));
    fov_status status = FOV_OK;
    if (size > 0) {
        void *data = mmap(NULL, size, PROT_READ, MAP_SHARED, fd, 0);
        if (data == MAP_FAILED) {
            status = IO_FAIL(path, "map", errno);
        } else {
            *map = (fov_map){.data = data, .size = size};
        }
    }
    (void)close(fd);
    return status;
}

void fov_io_unmap(fov_map *map) {
    if (map->size > 0) {
        const void *data = map->data;
        (void)munmap((void *)(uintptr_t)data, map->size);
    }
    *map = (fov_map){0};
}
