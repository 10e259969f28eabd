/* Whether a file may be written where the user wants it, asked before work that may take hours. */
#include <string.h>

#include "base/io.h"
#include "base/io_fault.h"
#include "base/text.h"

/* "must end in .png, .jpg or .jpeg" */
static fov_status refuse_name(const char *path, const char *const *suffixes) {
    fov_text list;
    fov_text_init(&list);
    for (size_t i = 0; suffixes[i] != NULL; i++) {
        fov_text_printf(&list, "%s%s", i == 0 ? "" : suffixes[i + 1] == NULL ? " or " : ", ", suffixes[i]);
    }
    const fov_status status = FOV_FAIL(FOV_E_INVALID, "%s: the name must end in %s, which tells the format", path, list.data == NULL ? "" : list.data);
    fov_text_clear(&list);
    return status;
}

static fov_status check_name(const char *path, const char *const *suffixes) {
    const char *base = fov_path_base(path), *dot = strrchr(base, '.');
    for (size_t i = 0; suffixes != NULL && suffixes[i] != NULL; i++) {
        if (dot != NULL && dot != base && strcmp(dot, suffixes[i]) == 0) {
            return FOV_OK;
        }
    }
    return suffixes == NULL ? FOV_OK : refuse_name(path, suffixes);
}

fov_status fov_io_check_output(const char *path, const char *const *suffixes, bool overwrite) {
    FOV_TRY(check_name(path, suffixes));
    char *folder = fov_path_dir(path);
    FOV_TRY_ALLOC(folder);
    fov_status status = FOV_OK;
    if (fov_io_kind(folder) != FOV_PATH_DIR) {
        status = FOV_FAIL(FOV_E_NOTFOUND, "%s: there is no folder %s; make it first", path, folder);
    } else {
        status = fov_io_check_writable(folder);
    }
    fov_mem_free(folder);
    FOV_TRY(status);
    const fov_path_kind kind = fov_io_kind(path);
    if (kind == FOV_PATH_DIR || kind == FOV_PATH_OTHER) {
        return FOV_FAIL(FOV_E_EXISTS, "%s exists and is not a regular file; give another name", path);
    }
    if (kind == FOV_PATH_FILE && !overwrite) {
        return FOV_FAIL(FOV_E_EXISTS, "%s exists; give another name, or --overwrite", path);
    }
    return FOV_OK;
}
