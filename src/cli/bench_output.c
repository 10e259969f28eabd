/* Figures of the benchmarks, as a table or as JSON. */
#include "cli/bench_output.h"

#include <stdio.h>
#include <string.h>

#include "base/io.h"

fov_status fov_bench_check_output(const char *path) {
    return path == NULL || strcmp(path, "-") == 0 ? FOV_OK : fov_io_check_output(path, NULL, true);
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
