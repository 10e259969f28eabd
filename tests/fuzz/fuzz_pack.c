/* A whole pack from arbitrary bytes, opened, read and decoded as training does, and read through as fovea pack --verify does.
 *
 * Input: 1 byte number of records, 2 bytes length of the payloads, the payloads, then records and names. Header, padding, footer and all
 * checksums, which no mutation would hit, are filled in. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/hash.h"
#include "data/pack_make.h"
#include "data/pack_table.h"
#include "data/picture.h"

#define MAX_PIXELS ((size_t)1 << 20)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static unsigned checksum;

/* The pack that the input describes; the caller frees. NULL when it describes none. */
static uint8_t *compose(const uint8_t *data, size_t size, size_t *bytes) {
    const size_t payloads = size < 3 ? 0 : data[1] + 256u * data[2];
    if (size < 3 || size - 3 < payloads || size - 3 - payloads < FOV_PACK_RECORD_BYTES * data[0]) {
        return NULL;
    }
    const size_t table_bytes = size - 3 - payloads;
    fov_pack_layout layout = {.count = data[0], .records_offset = fov_pack_records_offset(FOV_PACK_HEADER_BYTES + payloads)};
    layout.names_offset = layout.records_offset + FOV_PACK_RECORD_BYTES * layout.count;
    layout.names_bytes = table_bytes - FOV_PACK_RECORD_BYTES * layout.count;
    layout.file_bytes = layout.records_offset + table_bytes + FOV_PACK_FOOTER_BYTES;
    uint8_t *file = calloc(1, layout.file_bytes), *table = file + layout.records_offset;
    FOV_ASSERT(file != NULL);
    fov_pack_put_header(file);
    memcpy(file + FOV_PACK_HEADER_BYTES, data + 3, payloads);
    memcpy(table, data + 3 + payloads, table_bytes);
    for (size_t i = 0; i < layout.count; i++) {
        uint64_t place[2];
        uint8_t *record = table + FOV_PACK_RECORD_BYTES * i;
        memcpy(place, record, sizeof place);
        if (place[0] < layout.records_offset && place[1] < layout.records_offset - place[0]) {
            const uint64_t hash = fov_hash64(file + place[0], place[1], 0);
            memcpy(record + 16, &hash, 8);
        }
    }
    layout.checksum = fov_hash64(table, table_bytes, 0);
    fov_pack_put_footer(&layout, file + layout.file_bytes - FOV_PACK_FOOTER_BYTES);
    *bytes = layout.file_bytes;
    return file;
}

static void decode_all(const fov_pack *pack, fov_picture_reader *reader, bool lenient) {
    for (size_t i = 0; i < fov_pack_count(pack); i++) {
        const fov_pack_record record = fov_pack_at(pack, i);
        const bool raw = record.kind == FOV_PACK_RAW;
        const fov_decode_options options = {
            .max_pixels = MAX_PIXELS, .lenient = lenient, .format = {.channels = raw ? record.channels : 3, .deep = raw && record.deep}};
        const fov_image *image;
        size_t width, height;
        reader->path.length = 0;
        fov_text_printf(&reader->path, "pack:%s", record.name);
        if (fov_picture_open_record(reader, pack, &record, &options, &width, &height) == FOV_OK &&
            fov_picture_decode(reader, NULL, &image) == FOV_OK) {
            FOV_ASSERT(image->width == width && image->height == height && width == record.width && height == record.height);
            const size_t bytes = width * height * fov_pixel_bytes(fov_image_format(image));
            for (size_t k = 0; k < bytes; k++) {
                checksum += image->pixels[k];
            }
        }
    }
}

static bool all_small(const fov_pack *pack) {
    bool small = true;
    for (size_t i = 0; i < fov_pack_count(pack); i++) {
        const fov_pack_record record = fov_pack_at(pack, i);
        small = small && (uint64_t)record.width * record.height <= MAX_PIXELS;
    }
    return small;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static fov_picture_reader reader; /* kept: failures must leave it usable */
    size_t bytes = 0;
    uint8_t *file = compose(data, size, &bytes);
    char path[64];
    fov_pack *pack;
    if (file == NULL) {
        return 0;
    }
    FOV_ASSERT(reader.decoder != NULL || fov_picture_reader_init(&reader) == FOV_OK);
    const int fd = memfd_create("pack", MFD_CLOEXEC);
    FOV_ASSERT(fd >= 0 && write(fd, file, bytes) == (ssize_t)bytes);
    free(file);
    (void)snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    if (fov_pack_open(&pack, path) == FOV_OK) {
        decode_all(pack, &reader, false);
        decode_all(pack, &reader, true);
        if (all_small(pack)) {
            fov_pack_check check = {0};
            (void)!fov_pack_verify(path, NULL, &check);
        }
        fov_pack_close(pack);
    }
    (void)close(fd);
    return 0;
}
