/* The run directory. See run_dir.h. */
#include "train/run_dir.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/json.h"
#include "base/log.h"
#include "base/number.h"

#define METRICS_MAX_BYTES ((size_t)1 << 32)
#define TEMPORARY ".tmp-" /* in the names that fov_writer_open makes */

static fov_status name_files(fov_run_dir *run, const char *path) {
    *run = (fov_run_dir){0};
    run->path = fov_mem_strdup(FOV_MEM_TRAIN, path);
    run->config = fov_path_join(path, "config.ini");
    run->metrics = fov_path_join(path, "metrics.jsonl");
    run->log = fov_path_join(path, "log.txt");
    run->bad = fov_path_join(path, "bad.tsv");
    run->checkpoints = fov_path_join(path, "checkpoints");
    run->weights = fov_path_join(path, "backbone.safetensors");
    const bool complete = run->path != NULL && run->config != NULL && run->metrics != NULL && run->log != NULL && run->bad != NULL &&
                          run->checkpoints != NULL && run->weights != NULL;
    return complete ? FOV_OK : FOV_E_NOMEM;
}

/* ---- before anything is made ---- */

/* What a run leaves that ended before it had settings (a failure or a kill in its first moments): the next one may use the folder. */
static bool is_leftover(const char *name) {
    static const char *const names[] = {"lock", "log.txt", "metrics.jsonl", "bad.tsv", "checkpoints"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (strcmp(name, names[i]) == 0) {
            return true;
        }
    }
    return strstr(name, TEMPORARY) != NULL;
}

static fov_status count_foreign(void *context, const char *name, int kind) {
    (void)kind;
    *(size_t *)context += is_leftover(name) ? 0 : 1;
    return FOV_OK;
}

static fov_status count_any(void *context, const char *name, int kind) {
    (void)kind;
    *(size_t *)context += strstr(name, TEMPORARY) == NULL ? 1 : 0;
    return FOV_OK;
}

/* Cuts the last part off a path: "a/b/" gives "a", "a" gives ".", "/a" gives "/". */
static void to_parent(char *path) {
    size_t length = strlen(path);
    while (length > 1 && path[length - 1] == '/') {
        length--;
    }
    while (length > 0 && path[length - 1] != '/') {
        length--;
    }
    while (length > 1 && path[length - 1] == '/') {
        length--;
    }
    if (length == 0) {
        path[length++] = '.';
    }
    path[length] = '\0';
}

/* The nearest folder above `path` that is there must take a new entry. */
static fov_status check_place(const char *path) {
    char *parent = fov_mem_printf(FOV_MEM_TRAIN, "%s ", path); /* room for "." */
    FOV_TRY_ALLOC(parent);
    parent[strlen(path)] = '\0';
    fov_path_kind kind = FOV_PATH_NONE;
    while (kind == FOV_PATH_NONE) {
        to_parent(parent);
        kind = strcmp(parent, ".") == 0 ? FOV_PATH_DIR : fov_io_kind(parent);
    }
    fov_status status = FOV_OK;
    if (kind != FOV_PATH_DIR) {
        status = FOV_FAIL(FOV_E_IO, "cannot make the run %s: %s is not a folder", path, parent);
    } else if (fov_io_check_writable(parent) != FOV_OK) {
        status = fov_fail_prefix(FOV_E_IO, "cannot make the run %s", path);
    }
    fov_mem_free(parent);
    return status;
}

/* A run is there. If somebody works on it now, that is the better thing to say. */
static fov_status refuse_run(const fov_run_dir *run) {
    fov_lock *lock = NULL;
    if (fov_lock_take(&lock, run->path) == FOV_E_LOCKED) {
        return FOV_E_LOCKED;
    }
    fov_lock_release(lock);
    return FOV_FAIL(FOV_E_EXISTS, "%s holds a run already; go on with it by --resume, or choose another --out", run->path);
}

static fov_status check_new(const fov_run_dir *run) {
    const fov_path_kind kind = fov_io_kind(run->path);
    if (kind == FOV_PATH_NONE) {
        return check_place(run->path);
    }
    if (kind != FOV_PATH_DIR) {
        return FOV_FAIL(FOV_E_EXISTS, "--out %s is a file; name a folder that is not there yet", run->path);
    }
    if (fov_io_kind(run->config) != FOV_PATH_NONE) {
        return refuse_run(run);
    }
    size_t entries = 0;
    FOV_TRY(fov_io_list(run->path, count_foreign, &entries));
    if (fov_io_kind(run->checkpoints) == FOV_PATH_DIR) {
        FOV_TRY(fov_io_list(run->checkpoints, count_any, &entries));
    }
    if (entries > 0) {
        return FOV_FAIL(FOV_E_EXISTS, "%s is a folder with other files in it; choose another --out", run->path);
    }
    return fov_io_check_writable(run->path);
}

fov_status fov_run_dir_check(fov_run_dir *run, const char *path, bool resume) {
    FOV_TRY(name_files(run, path));
    run->resumes = resume;
    if (!resume) {
        return check_new(run);
    }
    if (fov_io_kind(run->config) != FOV_PATH_FILE) {
        return FOV_FAIL(FOV_E_NOTFOUND, "%s holds no run to resume (no config.ini)", path);
    }
    return fov_io_check_writable(path);
}

/* ---- opening ---- */

static fov_status remove_temporary(void *context, const char *name, int kind) {
    if (kind == 'd' || strstr(name, TEMPORARY) == NULL) {
        return FOV_OK;
    }
    char *path = fov_path_join(context, name);
    FOV_TRY_ALLOC(path);
    const fov_status status = fov_io_remove(path);
    fov_mem_free(path);
    return status;
}

fov_status fov_run_dir_open(fov_run_dir *run) {
    FOV_TRY(fov_io_mkdir(run->path, true));
    FOV_TRY(fov_lock_take(&run->lock, run->path));
    if (!run->resumes && fov_io_kind(run->config) != FOV_PATH_NONE) { /* made and finished by another process since the check */
        return FOV_FAIL(FOV_E_EXISTS, "%s holds a run already; go on with it by --resume, or choose another --out", run->path);
    }
    FOV_TRY(fov_io_mkdir(run->checkpoints, false));
    /* A process that was killed while it saved leaves half a file, which can be large. */
    FOV_TRY(fov_io_list(run->path, remove_temporary, run->path));
    FOV_TRY(fov_io_list(run->checkpoints, remove_temporary, run->checkpoints));
    return fov_appender_open(&run->log_file, run->log, false);
}

/* Copies the lines of `old` up to and including `step`; a torn last line (a crash) is dropped. */
static void keep_lines(const fov_blob *old, uint64_t step, fov_text *kept) {
    const char *at = (const char *)old->data, *end = at + old->size;
    while (at < end) {
        const char *newline = memchr(at, '\n', (size_t)(end - at));
        fov_json *line = NULL;
        uint64_t number = 0;
        if (newline == NULL || fov_json_parse(at, (size_t)(newline - at), 8, "metrics.jsonl", &line) != FOV_OK) {
            return;
        }
        const bool wanted = fov_json_u64(fov_json_get(line, "step"), &number) && number <= step;
        fov_json_free(line);
        if (!wanted) {
            return;
        }
        fov_text_add_bytes(kept, at, (size_t)(newline + 1 - at));
        at = newline + 1;
    }
}

fov_status fov_run_dir_open_metrics(fov_run_dir *run, uint64_t step) {
    if (fov_io_kind(run->metrics) == FOV_PATH_FILE) {
        fov_blob old = {0};
        fov_text kept;
        fov_text_init(&kept);
        fov_status status = fov_io_read(run->metrics, METRICS_MAX_BYTES, 0, &old);
        if (status == FOV_OK) {
            keep_lines(&old, step, &kept);
            status = kept.status;
        }
        if (status == FOV_OK && kept.length != old.size) {
            status = fov_io_write_atomic(run->metrics, kept.data, kept.length);
        }
        fov_text_clear(&kept);
        fov_blob_clear(&old);
        FOV_TRY(status);
    }
    return fov_appender_open(&run->metrics_file, run->metrics, false);
}

fov_status fov_run_dir_close(fov_run_dir *run) {
    const fov_status metrics = fov_appender_close(run->metrics_file);
    const fov_status log = fov_appender_close(run->log_file);
    fov_lock_release(run->lock);
    char *const names[] = {run->path, run->config, run->metrics, run->log, run->bad, run->checkpoints, run->weights};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        fov_mem_free(names[i]);
    }
    *run = (fov_run_dir){0};
    return metrics != FOV_OK ? metrics : log;
}

void fov_run_dir_say(fov_run_dir *run, fov_log_level level, const char *format, ...) {
    char line[1024], when[32];
    va_list arguments;
    va_start(arguments, format);
    (void)fov_number_vprint(line, sizeof line, format, arguments);
    va_end(arguments);
    fov_log(level, "%s", line);
    if (run->log_file == NULL) {
        return;
    }
    fov_text text;
    fov_text_init(&text);
    fov_clock_utc(when, sizeof when);
    fov_text_printf(&text, "%s %s\n", when, line);
    /* A log that cannot be written must not stop a run that can: the sink has the line. */
    if (text.status == FOV_OK && fov_appender_write(run->log_file, text.data, text.length) != FOV_OK) {
        fov_log(FOV_LOG_WARNING, "%s", fov_last_error());
    }
    fov_text_clear(&text);
}
