/* The one layer through which the library touches files. Faults can be injected at every call (see fov_io_fail_at).
 *
 * Messages name the path, the operation and the reason; when space runs out they say how much was needed and how much is free. */
#ifndef FOV_BASE_IO_H
#define FOV_BASE_IO_H

#include <stdbool.h>
#include <stdint.h>

#include "base/memory.h"

/* ---- reading ---- */

typedef struct fov_blob {
    unsigned char *data; /* `size` bytes, followed by `padding` readable zero bytes */
    size_t size, padding;
} fov_blob;

/* Reads a whole regular file. Opens without blocking and refuses folders, FIFOs, sockets and devices; refuses files over `max_bytes`
 * with FOV_E_LIMIT. The caller frees with fov_blob_clear. */
FOV_MUST_USE fov_status fov_io_read(const char *path, size_t max_bytes, size_t padding, fov_blob *blob);
/* The same into a buffer that is reused: grows blob->data as needed (blob must be initialised with {0}). */
FOV_MUST_USE fov_status fov_io_read_into(const char *path, size_t max_bytes, size_t padding, fov_blob *blob, size_t *capacity);
/* The same, but a file of more than `small` bytes is not read, which *large says; the blob is then empty. */
FOV_MUST_USE fov_status fov_io_read_small(const char *path, size_t small, size_t max_bytes, size_t padding, fov_blob *blob,
                                          size_t *capacity, bool *large);
void fov_blob_clear(fov_blob *blob);

/* A file that stays open and is read in pieces, by any number of threads at once. */
typedef struct fov_file fov_file;
/* Regular files alone, as fov_io_read. */
FOV_MUST_USE fov_status fov_file_open(fov_file **file, const char *path);
void fov_file_close(fov_file *file);          /* takes NULL */
uint64_t fov_file_size(const fov_file *file); /* when it was opened */
/* Reads `count` bytes that start at `offset` into a buffer that is reused, as fov_io_read_into does. `shown`, what messages call the place,
 * and the buffer are all that is touched once the system was asked: a thread that waits there outlives the file. FOV_E_IO when the file
 * ends before the piece does. */
FOV_MUST_USE fov_status fov_file_read(const fov_file *file, const char *shown, uint64_t offset, size_t count, size_t padding,
                                      fov_blob *blob, size_t *capacity);

/* The same to a place of the caller's, who gives it `count` bytes of room. */
FOV_MUST_USE fov_status fov_file_read_to(const fov_file *file, const char *shown, uint64_t offset, size_t count, unsigned char *to);
/* The same file once more, to be closed on its own. */
FOV_MUST_USE fov_status fov_file_share(const fov_file *file, fov_file **shared);

typedef struct fov_map {
    const unsigned char *data;
    size_t size;
} fov_map;
FOV_MUST_USE fov_status fov_io_map(const char *path, fov_map *map); /* read-only, shared */
void fov_io_unmap(fov_map *map);

/* ---- writing: temporary file in the same folder, fsync, rename, fsync of the folder ---- */

typedef struct fov_writer fov_writer;
/* Opens PATH.tmp-PID-N exclusively. Nothing is visible under `path` until fov_writer_commit returned FOV_OK. */
FOV_MUST_USE fov_status fov_writer_open(fov_writer **writer, const char *path);
FOV_MUST_USE fov_status fov_writer_write(fov_writer *writer, const void *bytes, size_t count); /* buffered */
/* Says how many bytes the whole file will have. Fails at once, with both numbers, when less than that is free. */
FOV_MUST_USE fov_status fov_writer_expect(fov_writer *writer, uint64_t bytes);
uint64_t fov_writer_offset(const fov_writer *writer); /* bytes written so far */
/* Flush, fsync, rename over `path`, fsync the folder. Frees the writer in every case; on failure the temporary file is removed and
 * whatever stood at `path` is untouched, but for one case: when syncing the folder fails after the rename, the new file stands complete
 * at `path` and may be lost again with the power. A symbolic link at `path` is replaced, not followed. */
FOV_MUST_USE fov_status fov_writer_commit(fov_writer *writer);
void fov_writer_abort(fov_writer *writer); /* removes the temporary file, frees; takes NULL */
/* All of that in one call. */
FOV_MUST_USE fov_status fov_io_write_atomic(const char *path, const void *bytes, size_t count);

/* Append-only files (metrics.jsonl, log.txt): whole lines, one write() each. */
typedef struct fov_appender fov_appender;
FOV_MUST_USE fov_status fov_appender_open(fov_appender **appender, const char *path, bool truncate);
FOV_MUST_USE fov_status fov_appender_write(fov_appender *appender, const void *bytes, size_t count);
FOV_MUST_USE fov_status fov_appender_close(fov_appender *appender); /* fsync; takes NULL */

/* ---- names and folders ---- */

typedef enum fov_path_kind { FOV_PATH_NONE, FOV_PATH_FILE, FOV_PATH_DIR, FOV_PATH_OTHER } fov_path_kind;
fov_path_kind fov_io_kind(const char *path);                          /* follows links */
bool fov_io_same(const char *a, const char *b);                       /* both exist and are one file or folder, whatever they are called */
FOV_MUST_USE fov_status fov_io_mkdir(const char *path, bool parents); /* fine if it is there already */
FOV_MUST_USE fov_status fov_io_remove(const char *path);              /* a file; fine if it is not there */
FOV_MUST_USE fov_status fov_io_free_bytes(const char *path, uint64_t *bytes);
/* Whether that many bytes are free, as far as one can know: some network file systems do not say how much is free, or say 0. */
bool fov_io_has_room(const char *dir, uint64_t bytes);
/* FOV_E_IO with both numbers when there is no room. `operation`: what they are for, as in "RUN: cannot OPERATION: ...". */
FOV_MUST_USE fov_status fov_io_check_room(const char *dir, const char *operation, uint64_t bytes);
/* FOV_OK if a file can be made in this folder; otherwise a message that names it, says why not and what to do. */
FOV_MUST_USE fov_status fov_io_check_writable(const char *dir);
/* Refuses, each in its own words, before any work is done: a name without one of the suffixes (NULL-terminated, such as ".npy"; NULL: any
 * name will do), a folder that is not there or cannot be written to, something at `path` that is no file, and a file that is there
 * (FOV_E_EXISTS) unless `overwrite`. */
FOV_MUST_USE fov_status fov_io_check_output(const char *path, const char *const *suffixes, bool overwrite);
char *fov_path_join(const char *dir, const char *name); /* caller frees; NULL when out of memory */
const char *fov_path_base(const char *path);            /* points into path */

/* ---- listing ---- */
/* Calls `fn` for each entry but "." and "..", in the order of readdir. `kind` is -1 unknown, else 'f', 'd', 'l' or 'o'. */
typedef fov_status (*fov_dir_fn)(void *context, const char *name, int kind);
FOV_MUST_USE fov_status fov_io_list(const char *path, fov_dir_fn fn, void *context);

/* ---- fault injection for tests ----
 * The n-th call from now of an operation fails with `error` (an errno; 0 for a short write of half the bytes): operations are named
 * "open", "read", "write", "fsync", "close", "rename", "mkdir", "any". n = 0 turns it off. Also from the environment:
 * FOVEA_FAIL_IO=write:3:ENOSPC, with a + after the number for "from then on". */
void fov_io_fail_at(const char *operation, uint64_t n, bool forever, int error);
uint64_t fov_io_calls(void); /* calls made so far that injection could have hit */

#endif
