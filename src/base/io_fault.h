/* System calls as the file layer makes them: interrupted calls are repeated, and tests can make any of them fail. For io_*.c and lock.c. */
#ifndef FOV_BASE_IO_FAULT_H
#define FOV_BASE_IO_FAULT_H

#include <sys/types.h>

#include "base/io.h"

/* As the system calls of those names, with errno set on failure. */
int fov_sys_open(const char *path, int flags, mode_t mode);
int fov_sys_openat(int folder, const char *name, int flags); /* of what is there; counts as "open" */
ssize_t fov_sys_read(int fd, void *bytes, size_t count);
ssize_t fov_sys_pread(int fd, void *bytes, size_t count, off_t offset); /* a "read" for injection */
ssize_t fov_sys_write(int fd, const void *bytes, size_t count);
int fov_sys_fsync(int fd);
int fov_sys_close(int fd); /* the descriptor is gone even when this fails */
int fov_sys_rename(const char *from, const char *to);
int fov_sys_mkdir(const char *path, mode_t mode);

/* "PATH: cannot OPERATION: reason; what to do", with the status that fits the errno. When space ran out it adds what was needed and what is
 * free; `needed` 0 means unknown. */
fov_status fov_io_fail(const char *file, int line, const char *path, const char *operation, int error, uint64_t needed);
#define IO_FAIL(path, operation, error) fov_io_fail(__FILE__, __LINE__, (path), (operation), (error), 0)

/* "PATH: REASON" with the path made printable. */
fov_status fov_io_refuse(const char *file, int line, fov_status status, const char *path, const char *reason);
#define IO_REFUSE(status, path, reason) fov_io_refuse(__FILE__, __LINE__, (status), (path), (reason))

/* The folder a path lies in, "." if it names none; the caller frees. NULL when out of memory. */
char *fov_path_dir(const char *path);
/* A name no other writer uses: PREFIX-PID-N. The caller frees. */
char *fov_io_unique_name(const char *prefix);

#endif
