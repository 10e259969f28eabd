/* The bytes of a pack's table. Private to pack*.c and to the test that feeds it foreign bytes; the format is described in pack.h. */
#ifndef FOV_DATA_PACK_TABLE_H
#define FOV_DATA_PACK_TABLE_H

#include "data/pack.h"

#define FOV_PACK_ALIGN ((size_t)64)
#define FOV_PACK_HEADER_BYTES ((size_t)64)
#define FOV_PACK_RECORD_BYTES ((size_t)48)
#define FOV_PACK_FOOTER_BYTES ((size_t)64)
#define FOV_PACK_MAX_RECORDS ((uint64_t)UINT32_MAX / 2)

const fov_file *fov_pack_file(const fov_pack *pack); /* the open file of a pack, which stays the pack's */

/* What the footer says. */
typedef struct fov_pack_layout {
    uint64_t file_bytes, count, records_offset, names_offset, names_bytes, checksum;
} fov_pack_layout;

void fov_pack_put_header(uint8_t header[FOV_PACK_HEADER_BYTES]);
FOV_MUST_USE fov_status fov_pack_check_header(const uint8_t *header, size_t size);

void fov_pack_put_footer(const fov_pack_layout *layout, uint8_t footer[FOV_PACK_FOOTER_BYTES]);
/* Checks a footer against the file's size: after it, the table lies inside the file and nothing else does. */
FOV_MUST_USE fov_status fov_pack_parse_footer(const uint8_t footer[FOV_PACK_FOOTER_BYTES], uint64_t file_bytes, fov_pack_layout *layout);

/* Bytes of records and names together. */
uint64_t fov_pack_table_bytes(const fov_pack_layout *layout);
/* Checks the checksum and every field of every record. `table` holds fov_pack_table_bytes. */
FOV_MUST_USE fov_status fov_pack_check_table(const uint8_t *table, const fov_pack_layout *layout);
/* Record i of a table that was checked. */
fov_pack_record fov_pack_table_record(const uint8_t *table, const fov_pack_layout *layout, uint64_t i);

/* `name_offset` within the names; the name itself is not written here. */
void fov_pack_put_record(const fov_pack_record *record, uint64_t name_offset, uint8_t bytes[FOV_PACK_RECORD_BYTES]);
/* What is wrong with a name of `length` bytes, or NULL. */
const char *fov_pack_name_problem(const char *name, size_t length);
/* What is wrong with kind, sizes and length of a record, or NULL. */
const char *fov_pack_record_problem(const fov_pack_record *record);
/* Where the payload after one of `length` bytes at `offset` begins. Sizes were checked. */
uint64_t fov_pack_next_offset(uint64_t offset, uint64_t length);
/* Where the records begin when the last payload ends at `end`. */
uint64_t fov_pack_records_offset(uint64_t end);

#endif
