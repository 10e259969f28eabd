/* The .npy format, version 1.0: https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html. Magic, version, length of the header, a
 * Python dictionary padded with spaces so that the data start at a multiple of 64 bytes, then the data. */
#include "eval/feature_file.h"

#include <stdio.h>
#include <string.h>

#include "base/io.h"

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "floats are written as they lie in memory");

#define HEADER_BYTES 128 /* enough for two sizes of 20 digits */

static void make_header(unsigned char header[HEADER_BYTES], size_t count, size_t width) {
    char text[HEADER_BYTES];
    const size_t length = (size_t)snprintf(text, sizeof text, "{'descr': '<f4', 'fortran_order': False, 'shape': (%zu, %zu), }", count, width);
    FOV_ASSERT(10 + length < HEADER_BYTES);
    memset(header, ' ', HEADER_BYTES);
    memcpy(header, "\x93NUMPY\x01\x00", 8);
    header[8] = HEADER_BYTES - 10;
    header[9] = 0;
    memcpy(header + 10, text, length);
    header[HEADER_BYTES - 1] = '\n';
}

fov_status fov_features_write(const char *path, const float *features, size_t count, size_t width) {
    unsigned char header[HEADER_BYTES];
    fov_writer *writer = NULL;
    fov_status status = FOV_OK;
    const size_t bytes = count * width * sizeof *features;
    make_header(header, count, width);
    FOV_TRY(fov_writer_open(&writer, path));
    FOV_TRY_GOTO(status, failed, fov_writer_expect(writer, HEADER_BYTES + bytes));
    FOV_TRY_GOTO(status, failed, fov_writer_write(writer, header, sizeof header));
    FOV_TRY_GOTO(status, failed, fov_writer_write(writer, features, bytes));
    FOV_TRY(fov_writer_commit(writer));
    return FOV_OK;
failed:
    fov_writer_abort(writer);
    return status;
}

fov_status fov_features_write_paths(const char *path, const fov_index *index, const fov_lost *lost) {
    size_t gone = 0;
    fov_text text;
    fov_text_init(&text);
    fov_text name;
    fov_text_init(&name);
    for (size_t i = 0; i < fov_index_count(index); i++) {
        if (gone < lost->count && lost->item[gone].picture == i) {
            gone++;
            continue;
        }
        fov_text_add(&text, fov_index_name(index, i, &name));
        fov_text_add(&text, "\n");
    }
    fov_text_clear(&name);
    fov_status status = text.status;
    if (status == FOV_OK) {
        status = fov_io_write_atomic(path, text.data, text.length);
    }
    fov_text_clear(&text);
    return status;
}
