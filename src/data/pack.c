/* Reading a pack: the table once, as a whole and checked as a whole; payloads one by one, when they are wanted.
 *
 * The table stays in memory as it lies in the file, 48 bytes and a name per picture, and records are taken from it when asked for: opening
 * a pack of a million pictures is one read and one pass. The descriptor is shared by all threads, which read with pread. */
#include "data/pack.h"

#include "base/hash.h"
#include "data/pack_table.h"
#include "data/picture.h"

struct fov_pack {
    fov_file *file;
    fov_blob table;
    fov_pack_layout layout;
};

static fov_status read_table(fov_pack *pack, const char *path) {
    fov_blob blob = {0};
    size_t capacity = 0;
    const uint64_t size = fov_file_size(pack->file);
    fov_status status = FOV_OK;
    const size_t head = size < FOV_PACK_HEADER_BYTES ? (size_t)size : FOV_PACK_HEADER_BYTES;
    FOV_TRY_GOTO(status, done, fov_file_read(pack->file, path, 0, head, 1, &blob, &capacity));
    FOV_TRY_GOTO(status, done, fov_pack_check_header(blob.data, blob.size));
    if (size < FOV_PACK_HEADER_BYTES + FOV_PACK_FOOTER_BYTES) {
        status = FOV_FAIL(FOV_E_FORMAT, "a pack that is cut short: only %llu bytes; copy it again", (unsigned long long)size);
        goto done;
    }
    FOV_TRY_GOTO(status, done, fov_file_read(pack->file, path, size - FOV_PACK_FOOTER_BYTES, FOV_PACK_FOOTER_BYTES, 0, &blob, &capacity));
    FOV_TRY_GOTO(status, done, fov_pack_parse_footer(blob.data, size, &pack->layout));
    capacity = 0;
    FOV_TRY_GOTO(status, done,
                 fov_file_read(pack->file, path, pack->layout.records_offset, (size_t)fov_pack_table_bytes(&pack->layout), 0, &pack->table,
                               &capacity));
    FOV_TRY_GOTO(status, done, fov_pack_check_table(pack->table.data, &pack->layout));
done:
    fov_blob_clear(&blob);
    return status;
}

fov_status fov_pack_open(fov_pack **pack, const char *path) {
    fov_text name;
    *pack = NULL;
    fov_text_init(&name);
    fov_pack *p = fov_mem_zalloc(FOV_MEM_DATA, sizeof *p);
    FOV_TRY_ALLOC(p);
    fov_status status = fov_file_open(&p->file, path);
    if (status == FOV_OK) {
        status = read_table(p, path);
        if (status != FOV_OK && status != FOV_E_NOMEM && status != FOV_E_IO) {
            (void)fov_fail_prefix(status, "%s", fov_picture_name(&name, path));
        }
    }
    fov_text_clear(&name);
    if (status != FOV_OK) {
        fov_pack_close(p);
        return fov_forward_at(__FILE__, __LINE__, status);
    }
    *pack = p;
    return FOV_OK;
}

void fov_pack_close(fov_pack *pack) {
    if (pack != NULL) {
        fov_file_close(pack->file);
        fov_blob_clear(&pack->table);
        fov_mem_free(pack);
    }
}

size_t fov_pack_count(const fov_pack *pack) {
    return (size_t)pack->layout.count;
}

const fov_file *fov_pack_file(const fov_pack *pack) {
    return pack->file;
}

fov_pack_record fov_pack_at(const fov_pack *pack, size_t i) {
    FOV_ASSERT(i < pack->layout.count);
    return fov_pack_table_record(pack->table.data, &pack->layout, i);
}

fov_status fov_pack_compare(const fov_pack_record *record, uint64_t hash, const char *shown) {
    if (hash == record->checksum) {
        return FOV_OK;
    }
    fov_text name;
    fov_text_init(&name);
    const fov_status status =
        FOV_FAIL(FOV_E_FORMAT, "%s: damaged: its checksum differs from the one it was packed with (at byte %llu of the pack)",
                 fov_picture_name(&name, shown), (unsigned long long)record->offset);
    fov_text_clear(&name);
    return status;
}

fov_status fov_pack_read(const fov_pack *pack, const fov_pack_record *record, const char *shown, size_t padding, fov_blob *blob,
                         size_t *capacity) {
    const fov_pack_record what = *record;
    FOV_TRY(fov_file_read(pack->file, shown, what.offset, (size_t)what.length, padding, blob, capacity));
    const fov_status status = fov_pack_compare(&what, fov_hash64(blob->data, blob->size, 0), shown);
    if (status != FOV_OK) {
        blob->size = 0;
    }
    return status;
}
