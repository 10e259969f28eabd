/* A picture whose planes lie in several files: each is decoded as it is, and their planes are woven together.
 *
 * Every file is decoded with the same part and the same shrinking. Kinds of files differ in what they can give (one in whole blocks,
 * another not shrunk at all); where the frames come out different, the whole picture is decoded from each. */
#include <string.h>

#include "data/index_group.h"
#include "data/picture_group.h"

typedef struct group_file {
    fov_blob blob;
    size_t capacity;
    size_t path;     /* where it starts in the group's paths */
    size_t channels; /* that it holds */
} group_file;

struct fov_picture_group {
    size_t count;
    group_file file[FOV_MAX_CHANNELS];
    fov_text paths;   /* one behind the other, each with its NUL */
    fov_image planes; /* of one file */
    fov_decode_options options;
};

void fov_picture_group_free(fov_picture_group *group) {
    if (group == NULL) {
        return;
    }
    for (size_t k = 0; k < FOV_MAX_CHANNELS; k++) {
        fov_blob_clear(&group->file[k].blob);
    }
    fov_text_clear(&group->paths);
    fov_image_clear(&group->planes);
    fov_mem_free(group);
}

fov_status fov_picture_find_group(fov_picture_reader *reader, const fov_index *index, size_t i) {
    if (reader->group == NULL) {
        reader->group = fov_mem_zalloc(FOV_MEM_DATA, sizeof *reader->group);
        FOV_TRY_ALLOC(reader->group);
        fov_image_init(&reader->group->planes);
    }
    fov_picture_group *group = reader->group;
    const fov_entry *entry = &index->entry[i];
    const char *name = fov_names_at(&index->tree.names, entry->name);
    fov_text_clear(&group->paths);
    group->count = index->group->count;
    for (size_t k = 0; k < group->count; k++) {
        group->file[k].path = group->paths.length;
        fov_tree_path(&index->tree, entry->folder, false, &group->paths);
        fov_group_member(index->group, name, k, &group->paths);
        fov_text_add_bytes(&group->paths, "", 1);
    }
    return group->paths.status;
}

fov_status fov_picture_open_planes(fov_decoder *decoder, const fov_blob *file, const fov_decode_options *options, fov_image_info *info) {
    fov_decode_options own = *options;
    own.format.channels = 0;
    const fov_status status = fov_decoder_open(decoder, file->data, file->size, &own, info);
    /* Planes without colours are refused as three channels; how many there are is known by then. */
    if (info->channels_in_file == 0 || (status != FOV_OK && status != FOV_E_UNSUPPORTED)) {
        return status == FOV_OK ? FOV_OK : fov_forward_at(__FILE__, __LINE__, status);
    }
    own.format.channels = info->channels_in_file;
    FOV_TRY(fov_decoder_open(decoder, file->data, file->size, &own, info));
    return FOV_OK;
}

static const char *path_of(const fov_picture_group *group, size_t k) {
    return group->paths.data + group->file[k].path;
}

static fov_status name_failure(const fov_picture_group *group, size_t k, fov_status status) {
    fov_text name;
    fov_text_init(&name);
    status = fov_fail_prefix(status, "%s", fov_picture_name(&name, path_of(group, k)));
    fov_text_clear(&name);
    return status;
}

/* Reads file k and its header. */
static fov_status open_file(fov_picture_reader *reader, size_t k, size_t *width, size_t *height) {
    fov_picture_group *group = reader->group;
    group_file *file = &group->file[k];
    fov_image_info info;
    FOV_TRY(fov_io_read_into(path_of(group, k), FOV_PICTURE_MAX_BYTES, FOV_DECODE_PADDING, &file->blob, &file->capacity));
    fov_status status = fov_picture_open_planes(reader->decoder, &file->blob, &group->options, &info);
    if (status == FOV_OK && k > 0 && (info.width != *width || info.height != *height)) {
        status = FOV_FAIL(FOV_E_MISMATCH, "%zu x %zu pixels, but the files before it have %zu x %zu; make them one size", info.width,
                          info.height, *width, *height);
    }
    if (status != FOV_OK) {
        return name_failure(group, k, status);
    }
    *width = info.width;
    *height = info.height;
    file->channels = info.channels_in_file;
    return FOV_OK;
}

fov_status fov_picture_open_group(fov_picture_reader *reader, const fov_decode_options *options, size_t *width, size_t *height) {
    fov_picture_group *group = reader->group;
    const size_t wanted = options->format.channels == 0 ? 3 : options->format.channels;
    size_t channels = 0;
    group->options = *options;
    reader->what = (fov_pack_record){0};
    for (size_t k = 0; k < group->count; k++) {
        FOV_TRY(open_file(reader, k, width, height));
        channels += group->file[k].channels;
        reader->what.length += group->file[k].blob.size;
    }
    if (channels != wanted) {
        (void)FOV_FAIL(FOV_E_UNSUPPORTED, "its %zu files have %zu channels together, %zu are wanted", group->count, channels, wanted);
        return name_failure(group, 0, FOV_E_UNSUPPORTED);
    }
    return FOV_OK;
}

/* Puts planes `first` and on of `to` where those of `from`, of the same frame, are. */
static void weave(const fov_image *from, size_t first, fov_image *to) {
    const size_t sample = to->deep ? 2 : 1, piece = from->channels * sample, pixel = to->channels * sample;
    const uint8_t *in = from->pixels;
    uint8_t *out = to->pixels + first * sample;
    const size_t count = to->width * to->height;
    if (piece == 1) {
        for (size_t i = 0; i < count; i++) {
            out[i * pixel] = in[i];
        }
        return;
    }
    for (size_t i = 0; i < count; i++, in += piece, out += pixel) {
        memcpy(out, in, piece);
    }
}

static bool same_frame(const fov_image *a, const fov_image *b) {
    return a->width == b->width && a->height == b->height && a->left == b->left && a->top == b->top && a->deep == b->deep &&
           (a->shrink > 1 ? a->shrink : 1) == (b->shrink > 1 ? b->shrink : 1);
}

/* Makes the picture's own frame that of its first file. */
static fov_status take_frame(const fov_picture_group *group, fov_image *image) {
    fov_pixel_format format = group->options.format;
    const fov_image *from = &group->planes;
    format.deep = from->deep;
    FOV_TRY(fov_image_resize_storage(image, from->width, from->height, format));
    image->left = from->left;
    image->top = from->top;
    image->shrink = from->shrink;
    image->full_width = from->full_width;
    image->full_height = from->full_height;
    return FOV_OK;
}

static fov_status decode_file(fov_picture_reader *reader, size_t k, const fov_decode_part *part) {
    fov_picture_group *group = reader->group;
    const group_file *file = &group->file[k];
    fov_image_info info;
    fov_decode_part woven = part != NULL ? *part : (fov_decode_part){.shrink = 1};
    woven.planar = false;
    FOV_TRY(fov_picture_open_planes(reader->decoder, &file->blob, &group->options, &info));
    FOV_TRY(fov_decoder_read(reader->decoder, &woven, &group->planes));
    if (group->planes.channels != file->channels) {
        return FOV_FAIL(FOV_E_UNSUPPORTED, "its %zu channels were read as %zu", file->channels, group->planes.channels);
    }
    return FOV_OK;
}

/* *same is false when files gave different frames of the part. */
static fov_status decode_all(fov_picture_reader *reader, const fov_decode_part *part, bool *same) {
    fov_picture_group *group = reader->group;
    size_t first = 0;
    *same = true;
    for (size_t k = 0; k < group->count && *same; k++) {
        fov_status status = decode_file(reader, k, part);
        if (status == FOV_OK && k == 0) {
            status = take_frame(group, &reader->image);
        }
        if (status != FOV_OK) {
            return name_failure(group, k, status);
        }
        *same = same_frame(&group->planes, &reader->image);
        if (*same) {
            weave(&group->planes, first, &reader->image);
        }
        first += group->planes.channels;
    }
    return FOV_OK;
}

fov_status fov_picture_decode_group(fov_picture_reader *reader, const fov_decode_part *part, const fov_image **image) {
    bool same = false;
    *image = &reader->image;
    FOV_TRY(decode_all(reader, part, &same));
    if (!same) {
        FOV_TRY(decode_all(reader, NULL, &same));
        FOV_ASSERT(same); /* their sizes agreed when they were opened, and it is the same bytes */
    }
    return FOV_OK;
}
