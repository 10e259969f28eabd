/* Names and folders: what is there, making, removing and renaming, free space, and listing. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/checked.h"
#include "base/io_fault.h"

fov_path_kind fov_io_kind(const char *path) {
    struct stat info;
    if (stat(path, &info) != 0) {
        return FOV_PATH_NONE;
    }
    return S_ISREG(info.st_mode) ? FOV_PATH_FILE : S_ISDIR(info.st_mode) ? FOV_PATH_DIR : FOV_PATH_OTHER;
}

bool fov_io_same(const char *a, const char *b) {
    struct stat p, q;
    return stat(a, &p) == 0 && stat(b, &q) == 0 && p.st_dev == q.st_dev && p.st_ino == q.st_ino;
}

/* Best effort: a parent that may not be read cannot be synced, and the folder is still usable. */
static void sync_parent(const char *path) {
    char *dir = fov_path_dir(path);
    const int fd = dir == NULL ? -1 : fov_sys_open(dir, O_RDONLY | O_DIRECTORY, 0);
    if (fd >= 0) {
        (void)fov_sys_fsync(fd);
        (void)close(fd);
    }
    fov_mem_free(dir);
}

static fov_status make_one(const char *path) {
    if (fov_sys_mkdir(path, 0777) == 0) {
        sync_parent(path);
        return FOV_OK;
    }
    const int error = errno;
    const fov_path_kind kind = fov_io_kind(path);
    /* A read-only parent answers EROFS or EACCES even for a folder that is there. */
    if (kind == FOV_PATH_DIR) {
        return FOV_OK;
    }
    if (error == EEXIST || kind != FOV_PATH_NONE) {
        return IO_REFUSE(FOV_E_EXISTS, path, "is there already and is not a folder");
    }
    return IO_FAIL(path, "make folder", error);
}

fov_status fov_io_mkdir(const char *path, bool parents) {
    if (path[0] == '\0') {
        return FOV_FAIL(FOV_E_INVALID, "a folder needs a name, but it is empty");
    }
    if (fov_io_kind(path) == FOV_PATH_DIR) {
        return FOV_OK;
    }
    char *prefix = fov_mem_strdup(FOV_MEM_FILE, path);
    FOV_TRY_ALLOC(prefix);
    fov_status status = FOV_OK;
    for (char *slash = parents ? strchr(prefix + 1, '/') : NULL; slash != NULL && status == FOV_OK; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        status = fov_io_kind(prefix) == FOV_PATH_DIR ? FOV_OK : make_one(prefix);
        *slash = '/';
    }
    if (status == FOV_OK) {
        status = make_one(path);
    }
    fov_mem_free(prefix);
    return status;
}

fov_status fov_io_remove(const char *path) {
    if (unlink(path) != 0 && errno != ENOENT) {
        return errno == EISDIR ? IO_REFUSE(FOV_E_INVALID, path, "is a folder, not a file") : IO_FAIL(path, "remove", errno);
    }
    return FOV_OK;
}

fov_status fov_io_free_bytes(const char *path, uint64_t *bytes) {
    struct statvfs info;
    if (statvfs(path, &info) != 0) {
        return IO_FAIL(path, "ask for the free space of", errno);
    }
    if (!fov_mul_u64(info.f_bavail, info.f_frsize, bytes)) {
        *bytes = UINT64_MAX;
    }
    return FOV_OK;
}

bool fov_io_has_room(const char *dir, uint64_t bytes) {
    uint64_t free_bytes = 0;
    return fov_io_free_bytes(dir, &free_bytes) != FOV_OK || free_bytes == 0 || free_bytes >= bytes;
}

fov_status fov_io_check_room(const char *dir, const char *operation, uint64_t bytes) {
    return fov_io_has_room(dir, bytes) ? FOV_OK : fov_io_fail(__FILE__, __LINE__, dir, operation, ENOSPC, bytes);
}

fov_status fov_io_check_writable(const char *dir) {
    struct stat info;
    if (stat(dir, &info) != 0) {
        return errno == ENOENT ? IO_REFUSE(FOV_E_NOTFOUND, dir, "folder does not exist; make it first")
                               : IO_FAIL(dir, "look at folder", errno);
    }
    if (!S_ISDIR(info.st_mode)) {
        return IO_REFUSE(FOV_E_INVALID, dir, "is not a folder");
    }
    char *name = fov_io_unique_name(".fovea-check");
    FOV_TRY_ALLOC(name);
    char *path = fov_path_join(dir, name);
    fov_mem_free(name);
    FOV_TRY_ALLOC(path);
    const int fd = fov_sys_open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0600);
    const int error = errno;
    fov_status status = FOV_OK;
    if (fd >= 0) {
        (void)close(fd);
        (void)unlink(path);
    } else {
        status = IO_FAIL(dir, "make a file in this folder", error);
    }
    fov_mem_free(path);
    return status;
}

char *fov_path_join(const char *dir, const char *name) {
    const size_t length = strlen(dir);
    const char *slash = length == 0 || dir[length - 1] == '/' ? "" : "/";
    return fov_mem_printf(FOV_MEM_FILE, "%s%s%s", dir, slash, name);
}

const char *fov_path_base(const char *path) {
    const char *slash = strrchr(path, '/');
    return slash == NULL ? path : slash + 1;
}

static int kind_of_entry(const struct dirent *entry) {
    switch (entry->d_type) {
    case DT_REG:
        return 'f';
    case DT_DIR:
        return 'd';
    case DT_LNK:
        return 'l';
    case DT_UNKNOWN:
        return -1;
    default:
        return 'o';
    }
}

static fov_status list_open(DIR *stream, const char *path, fov_dir_fn fn, void *context) {
    for (;;) {
        errno = 0;
        const struct dirent *entry = readdir(stream);
        if (entry == NULL) {
            return errno == 0 ? FOV_OK : IO_FAIL(path, "list folder", errno);
        }
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0) {
            FOV_TRY(fn(context, entry->d_name, kind_of_entry(entry)));
        }
    }
}

fov_status fov_io_list(const char *path, fov_dir_fn fn, void *context) {
    const int fd = fov_sys_open(path, O_RDONLY | O_DIRECTORY | O_NONBLOCK, 0);
    if (fd < 0) {
        return errno == ENOTDIR ? IO_REFUSE(FOV_E_INVALID, path, "is not a folder") : IO_FAIL(path, "open folder", errno);
    }
    DIR *stream = fdopendir(fd);
    if (stream == NULL) {
        const int error = errno;
        (void)close(fd);
        return IO_FAIL(path, "list folder", error);
    }
    const fov_status status = list_open(stream, path, fn, context);
    (void)closedir(stream);
    return status;
}
