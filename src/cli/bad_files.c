/* Bad files: what pack, embed, probe and bench say of them. */
#include "cli/bad_files.h"

#include "base/io.h"
#include "base/log.h"

#define NAMED 5

static void name_bad(const fov_bad_file *bad) {
    fov_text shown;
    fov_text_init(&shown);
    fov_text_add_escaped(&shown, bad->path);
    fov_log(FOV_LOG_WARNING, "left out: %s: %s", shown.data == NULL ? "" : shown.data, bad->message);
    fov_text_clear(&shown);
}

fov_status fov_tell_bad_files(const fov_index *index, const fov_lost *lost, const char *path) {
    const size_t scanned = fov_index_bad_count(index), bad = scanned + (lost == NULL ? 0 : lost->count);
    if (path != NULL) {
        FOV_TRY(bad > 0 ? fov_index_write_bad(index, lost, path) : fov_io_remove(path));
    }
    for (size_t i = 0; i < bad && i < NAMED; i++) {
        name_bad(i < scanned ? fov_index_bad(index, i) : &lost->item[i - scanned].file);
    }
    if (bad > 0) {
        fov_log(FOV_LOG_WARNING, "%zu bad %s left out%s%s", bad, bad == 1 ? "file" : "files", path == NULL ? "" : ", listed in ",
                path == NULL ? "" : path);
    }
    return FOV_OK;
}
