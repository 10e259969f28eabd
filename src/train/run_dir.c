/* The run directory. See run_dir.h. */
#include "train/run_dir.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/json.h"
#include "base/log.h"

#define METRICS_MAX_BYTES ((size_t)1 << 32)

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

static fov_status count_entry(void *context, const char *name, int kind) {
    (void)name;
    (void)kind;
    ++*(size_t *)context;
    return FOV_OK;
}

/* The nearest folder above `path` that is there must take a new entry. */
static fov_status check_place(const char *path) {
    char *parent = fov_mem_strdup(FOV_MEM_TRAIN, path);
    FOV_TRY_ALLOC(parent);
    fov_path_kind kind = FOV_PATH_NONE;
    while (kind == FOV_PATH_NONE) {
        size_t length = strlen(parent);
        while (length > 1 && parent[length - 1] == '/') {
            length--;
        }
        while (length > 0 && parent[length - 1] != '/') {
            length--;
        }
        parent[length] = '\0';
        kind = length == 0 ? FOV_PATH_DIR : fov_io_kind(parent);
        if (length > 1) {
            parent[length - 1] = '\0';
        }
    }
    const fov_status status = fov_io_check_writable(parent[0] == '\0' ? "." : parent);
    fov_mem_free(parent);
    return status == FOV_OK ? FOV_OK : fov_fail_prefix(status, "cannot make the run %s", path);
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
        return FOV_FAIL(FOV_E_EXISTS, "%s holds a run already; go on with it by --resume, or choose another --out", run->path);
    }
    size_t entries = 0;
    FOV_TRY(fov_io_list(run->path, count_entry, &entries));
    if (entries > 0) {
        return FOV_FAIL(FOV_E_EXISTS, "%s is a folder with other files in it; choose another --out", run->path);
    }
    return fov_io_check_writable(run->path);
}

fov_status fov_run_dir_check(fov_run_dir *run, const char *path, bool resume) {
    FOV_TRY(name_files(run, path));
    if (!resume) {
        return check_new(run);
    }
    if (fov_io_kind(run->config) != FOV_PATH_FILE) {
        return FOV_FAIL(FOV_E_NOTFOUND, "%s holds no run to resume (no config.ini)", path);
    }
    return fov_io_check_writable(path);
}

fov_status fov_run_dir_open(fov_run_dir *run) {
    FOV_TRY(fov_io_mkdir(run->path, true));
    FOV_TRY(fov_lock_take(&run->lock, run->path));
    FOV_TRY(fov_io_mkdir(run->checkpoints, false));
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
    (void)vsnprintf(line, sizeof line, format, arguments);
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
