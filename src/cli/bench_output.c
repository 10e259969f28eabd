/* Figures of the benchmarks, as a table or as JSON. */
#include "cli/bench_output.h"

#include <stdio.h>
#include <string.h>

#include "base/io.h"

/* Figures of an earlier call may be replaced; weights or a picture, named by mistake, may not. */
static fov_status check_replaced(const char *path) {
    char start[65] = "{"; /* what an empty file might become */
    fov_file *file = NULL;
    FOV_TRY(fov_file_open(&file, path));
    const uint64_t bytes = fov_file_size(file);
    const size_t count = bytes < sizeof start - 1 ? (size_t)bytes : sizeof start - 1;
    const fov_status status = count == 0 ? FOV_OK : fov_file_read_to(file, path, 0, count, (unsigned char *)start);
    fov_file_close(file);
    if (status == FOV_OK && start[strspn(start, " \t\r\n")] != '{') {
        return FOV_FAIL(FOV_E_EXISTS, "--json %s is there and holds no figures; give another name", path);
    }
    return status;
}

fov_status fov_json_check_output(const char *path) {
    if (path == NULL || strcmp(path, "-") == 0) {
        return FOV_OK;
    }
    FOV_TRY(fov_io_check_output(path, NULL, true));
    return fov_io_kind(path) == FOV_PATH_FILE ? check_replaced(path) : FOV_OK;
}

fov_status fov_bench_show(const char *path, const void *figures, void (*table)(const void *figures), void (*json)(const void *figures, fov_json_writer *writer)) {
    if (path == NULL) {
        table(figures);
        return FOV_OK;
    }
    fov_json_writer writer;
    fov_json_begin(&writer, true);
    json(figures, &writer);
    fov_text_add(&writer.text, "\n");
    fov_status status = writer.text.status;
    if (status == FOV_OK && strcmp(path, "-") == 0) {
        (void)fputs(writer.text.data, stdout);
    } else if (status == FOV_OK) {
        status = fov_io_write_atomic(path, writer.text.data, writer.text.length);
    }
    fov_json_clear(&writer);
    return status;
}
