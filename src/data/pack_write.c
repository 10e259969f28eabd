/* Writing a pack: payloads go out as they come, the table is kept and written last, and the footer behind it; a file without a footer is no
 * pack. Atomic by fov_writer. */
#include <string.h>

#include "augment/image.h"
#include "base/checked.h"
#include "base/hash.h"
#include "base/text.h"
#include "data/pack_table.h"

struct fov_pack_writer {
    fov_writer *out;
    uint8_t *records; /* as they will lie in the file */
    size_t count, capacity;
    fov_text names;
    size_t last_offset; /* of the last name */
    uint64_t end;       /* of the last payload in the file */
};

static fov_status write_zeros(fov_writer *out, uint64_t upto) {
    static const uint8_t zeros[FOV_DECODE_PADDING + 2 * FOV_PACK_ALIGN];
    const uint64_t at = fov_writer_offset(out);
    FOV_ASSERT(at <= upto && upto - at <= sizeof zeros);
    FOV_TRY(fov_writer_write(out, zeros, (size_t)(upto - at)));
    return FOV_OK;
}

fov_status fov_pack_writer_open(fov_pack_writer **writer, const char *path) {
    uint8_t header[FOV_PACK_HEADER_BYTES];
    fov_status status = FOV_OK;
    *writer = NULL;
    fov_pack_writer *w = fov_mem_zalloc(FOV_MEM_DATA, sizeof *w);
    FOV_TRY_ALLOC(w);
    fov_text_init(&w->names);
    fov_pack_put_header(header);
    FOV_TRY_GOTO(status, done, fov_writer_open(&w->out, path));
    FOV_TRY_GOTO(status, done, fov_writer_write(w->out, header, sizeof header));
    w->end = sizeof header;
    *writer = w;
    w = NULL;
done:
    fov_pack_writer_abort(w);
    return status;
}

void fov_pack_writer_abort(fov_pack_writer *writer) {
    if (writer != NULL) {
        fov_writer_abort(writer->out);
        fov_mem_free(writer->records);
        fov_text_clear(&writer->names);
        fov_mem_free(writer);
    }
}

static fov_status grow(fov_pack_writer *w) {
    if (w->count < w->capacity) {
        return FOV_OK;
    }
    const size_t wanted = w->capacity == 0 ? 256 : 2 * w->capacity;
    size_t bytes;
    if (w->count >= FOV_PACK_MAX_RECORDS || !fov_mul_size(wanted, FOV_PACK_RECORD_BYTES, &bytes)) {
        return FOV_FAIL(FOV_E_LIMIT, "a pack holds at most %llu pictures; make several", (unsigned long long)FOV_PACK_MAX_RECORDS);
    }
    uint8_t *bigger = fov_mem_realloc(FOV_MEM_DATA, w->records, bytes);
    FOV_TRY_ALLOC(bigger);
    w->records = bigger;
    w->capacity = wanted;
    return FOV_OK;
}

static fov_status refuse(const fov_pack_record *record, const char *problem) {
    fov_text name;
    fov_text_init(&name);
    fov_text_add_escaped(&name, record->name);
    const fov_status status = FOV_FAIL(FOV_E_INVALID, "a picture cannot be packed: %s: '%s'", problem, name.data == NULL ? "" : name.data);
    fov_text_clear(&name);
    return status;
}

fov_status fov_pack_writer_add(fov_pack_writer *writer, const fov_pack_record *record, const void *payload) {
    fov_pack_writer *w = writer;
    const size_t length = strlen(record->name);
    const char *problem = fov_pack_name_problem(record->name, length);
    problem = problem == NULL ? fov_pack_record_problem(record) : problem;
    if (problem != NULL) {
        return refuse(record, problem);
    }
    const int order = w->count == 0 ? -1 : strcmp(w->names.data + w->last_offset, record->name);
    if (order >= 0) {
        return refuse(record, order == 0 ? "two pictures have this name; pack the folders one by one, or the folder above them"
                                         : "it comes after a picture whose name is greater");
    }
    FOV_TRY(grow(w));
    fov_pack_record placed = *record;
    placed.offset = fov_pack_next_offset(w->end, 0);
    w->last_offset = w->names.length;
    fov_text_add_bytes(&w->names, record->name, length + 1);
    FOV_TRY(w->names.status);
    FOV_TRY(write_zeros(w->out, placed.offset));
    FOV_TRY(fov_writer_write(w->out, payload, (size_t)record->length));
    fov_pack_put_record(&placed, w->last_offset, w->records + w->count++ * FOV_PACK_RECORD_BYTES);
    w->end = placed.offset + record->length;
    return FOV_OK;
}

/* Records and names in one block, since one checksum covers both. */
static fov_status write_table(fov_pack_writer *w) {
    fov_pack_layout layout = {.count = w->count, .records_offset = fov_pack_records_offset(w->end), .names_bytes = w->names.length};
    const size_t record_bytes = w->count * FOV_PACK_RECORD_BYTES, table_bytes = record_bytes + w->names.length;
    layout.names_offset = layout.records_offset + record_bytes;
    layout.file_bytes = layout.names_offset + layout.names_bytes + FOV_PACK_FOOTER_BYTES;
    uint8_t footer[FOV_PACK_FOOTER_BYTES];
    uint8_t *table = fov_mem_realloc(FOV_MEM_DATA, w->records, table_bytes);
    FOV_TRY_ALLOC(table);
    w->records = table;
    memcpy(table + record_bytes, w->names.data, w->names.length);
    layout.checksum = fov_hash64(table, table_bytes, 0);
    fov_pack_put_footer(&layout, footer);
    FOV_TRY(write_zeros(w->out, layout.records_offset));
    FOV_TRY(fov_writer_write(w->out, table, table_bytes));
    FOV_TRY(fov_writer_write(w->out, footer, sizeof footer));
    return FOV_OK;
}

fov_status fov_pack_writer_commit(fov_pack_writer *writer) {
    fov_status status =
        writer->count == 0 ? FOV_FAIL(FOV_E_INVALID, "a pack without pictures is no pack; there is nothing to write") : write_table(writer);
    if (status == FOV_OK) {
        status = fov_writer_commit(writer->out);
        writer->out = NULL;
    }
    fov_pack_writer_abort(writer);
    return status == FOV_OK ? FOV_OK : fov_forward_at(__FILE__, __LINE__, status);
}
