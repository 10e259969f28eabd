/* The footer and table of a pack from arbitrary bytes: whatever is accepted lies inside the file, in order, without overlap.
 *
 * Input: 1 byte number of records, 8 bytes offset of the records, then records and names. Sizes and checksums, which no mutation would hit,
 * are filled in. The first 64 bytes are also read as a footer of their own. */
#include <stdlib.h>
#include <string.h>

#include "augment/image.h"
#include "base/hash.h"
#include "data/pack_table.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_footer(const uint8_t *data) {
    uint8_t footer[FOV_PACK_FOOTER_BYTES];
    fov_pack_layout made = {0}, got;
    memcpy(&made.file_bytes, data, 8);
    memcpy(&made.count, data + 8, 8);
    memcpy(&made.records_offset, data + 16, 8);
    memcpy(&made.names_offset, data + 24, 8);
    memcpy(&made.names_bytes, data + 32, 8);
    made.file_bytes &= INT64_MAX; /* no file is larger */
    fov_pack_put_footer(&made, footer);
    if (fov_pack_parse_footer(footer, made.file_bytes, &got) == FOV_OK) {
        FOV_ASSERT(memcmp(&made, &got, sizeof made) == 0);
        FOV_ASSERT(got.records_offset + fov_pack_table_bytes(&got) + FOV_PACK_FOOTER_BYTES == got.file_bytes);
    }
}

static void check_table(const uint8_t *table, const fov_pack_layout *layout) {
    uint64_t end = FOV_PACK_HEADER_BYTES;
    const char *before = NULL;
    for (uint64_t i = 0; i < layout->count; i++) {
        const fov_pack_record record = fov_pack_table_record(table, layout, i);
        const uint8_t *name = (const uint8_t *)record.name;
        FOV_ASSERT(name >= table + 48 * layout->count && name < table + fov_pack_table_bytes(layout));
        FOV_ASSERT(fov_pack_name_problem(record.name, strlen(record.name)) == NULL);
        FOV_ASSERT(strstr(record.name, "/../") == NULL && strncmp(record.name, "../", 3) != 0 && record.name[0] != '/');
        FOV_ASSERT(before == NULL || strcmp(before, record.name) < 0);
        FOV_ASSERT(record.offset % FOV_PACK_ALIGN == 0 && record.offset >= end);
        FOV_ASSERT(record.length > 0 && record.offset + record.length + FOV_DECODE_PADDING <= layout->records_offset);
        FOV_ASSERT(fov_pack_record_problem(&record) == NULL);
        before = record.name;
        end = record.offset + record.length;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size >= 40) {
        check_footer(data);
    }
    if (size < 9 || size - 9 < FOV_PACK_RECORD_BYTES * data[0]) {
        return 0;
    }
    uint8_t footer[FOV_PACK_FOOTER_BYTES], *table = malloc(size - 9 + (size == 9)); /* its own block, so that reading past it is seen */
    fov_pack_layout layout = {.count = data[0]}, got;
    FOV_ASSERT(table != NULL);
    memcpy(&layout.records_offset, data + 1, 8);
    layout.records_offset &= (uint64_t)INT64_MAX >> 1 & ~(uint64_t)63;
    memcpy(table, data + 9, size - 9);
    layout.names_offset = layout.records_offset + FOV_PACK_RECORD_BYTES * layout.count;
    layout.names_bytes = size - 9 - FOV_PACK_RECORD_BYTES * layout.count;
    layout.file_bytes = layout.names_offset + layout.names_bytes + FOV_PACK_FOOTER_BYTES;
    layout.checksum = fov_hash64(table, size - 9, 0);
    fov_pack_put_footer(&layout, footer);
    if (fov_pack_parse_footer(footer, layout.file_bytes, &got) == FOV_OK && fov_pack_check_table(table, &got) == FOV_OK) {
        check_table(table, &got);
    }
    free(table);
    return 0;
}
