/* One picture: file to bytes to pixels, with buffers that stay with the thread.
 *
 * Whole files are read with read(2), not mapped: a file that shrinks or fails while it is mapped ends the process with SIGBUS, one
 * that fails in read(2) is an ordinary error. */
#include "data/picture.h"

#include "data/picture_group.h"

fov_status fov_picture_reader_init(fov_picture_reader *reader) {
    *reader = (fov_picture_reader){0};
    fov_image_init(&reader->image);
    fov_text_init(&reader->path);
    return fov_decoder_new(&reader->decoder);
}

void fov_picture_reader_clear(fov_picture_reader *reader) {
    fov_decoder_free(reader->decoder);
    fov_image_clear(&reader->image);
    fov_blob_clear(&reader->blob);
    fov_text_clear(&reader->path);
    fov_picture_group_free(reader->group);
    *reader = (fov_picture_reader){0};
}

fov_decode_options fov_picture_padded(const fov_decode_options *options) {
    fov_decode_options padded = options != NULL ? *options : (fov_decode_options){0};
    padded.padding = FOV_DECODE_PADDING;
    return padded;
}

static fov_status name_failure(const fov_picture_reader *reader, fov_status status) {
    fov_text name;
    fov_text_init(&name);
    status = fov_fail_prefix(status, "%s", fov_picture_name(&name, reader->path.data));
    fov_text_clear(&name);
    return status;
}

fov_status fov_picture_open(fov_picture_reader *reader, const fov_index *index, size_t i, const fov_decode_options *options, size_t *width,
                            size_t *height) {
    const fov_decode_options padded = fov_picture_padded(options);
    fov_image_info info;
    fov_text_clear(&reader->path);
    fov_text_init(&reader->path);
    fov_index_path(index, i, &reader->path);
    FOV_TRY(reader->path.status);
    reader->grouped = index->entry[i].place == FOV_PLACE_GROUP;
    if (reader->grouped) {
        FOV_TRY(fov_picture_find_group(reader, index, i));
        return fov_picture_open_group(reader, &padded, width, height);
    }
    FOV_TRY(fov_io_read_into(reader->path.data, FOV_PICTURE_MAX_BYTES, FOV_DECODE_PADDING, &reader->blob, &reader->capacity));
    const fov_status status = fov_decoder_open(reader->decoder, reader->blob.data, reader->blob.size, &padded, &info);
    *width = info.width;
    *height = info.height;
    return status == FOV_OK ? FOV_OK : name_failure(reader, status);
}

fov_status fov_picture_decode(fov_picture_reader *reader, const fov_decode_part *part, const fov_image **image) {
    if (reader->grouped) {
        return fov_picture_decode_group(reader, part, image);
    }
    const fov_status status = fov_decoder_read(reader->decoder, part, &reader->image);
    *image = &reader->image;
    return status == FOV_OK ? FOV_OK : name_failure(reader, status);
}

fov_status fov_picture_read(fov_picture_reader *reader, const char *path, const fov_decode_options *options) {
    const fov_decode_options padded = fov_picture_padded(options);
    FOV_TRY(fov_io_read_into(path, FOV_PICTURE_MAX_BYTES, FOV_DECODE_PADDING, &reader->blob, &reader->capacity));
    const fov_status status = fov_image_decode(reader->decoder, reader->blob.data, reader->blob.size, &padded, &reader->image);
    if (status != FOV_OK) {
        fov_text name;
        fov_text_init(&name);
        (void)fov_fail_prefix(status, "%s", fov_picture_name(&name, path));
        fov_text_clear(&name);
    }
    return status;
}

const char *fov_picture_name(fov_text *text, const char *path) {
    fov_text_clear(text);
    fov_text_init(text);
    fov_text_add_escaped(text, path);
    return text->status == FOV_OK && text->data != NULL ? text->data : "(a file)";
}
