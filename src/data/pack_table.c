/* A pack's header, records, names and footer as bytes.
 *
 * Everything in them is foreign. Offsets are not believed but recomputed: payloads and names follow each other without a choice, so a table
 * that overlaps, leaves holes or points outside is refused by one comparison each. The checksums come first, and are no part of the
 * safety: whoever makes a hostile file can compute them too. */
#include "data/pack_table.h"

#include <string.h>

#include "augment/codec.h"
#include "base/hash.h"
#include "base/text.h"
#include "data/picture.h"

static const uint8_t magic[8] = {0x89, 'F', 'V', 'P', '\r', '\n', 0x1A, '\n'};
static const uint8_t footer_magic[8] = {'f', 'v', 'p', 'i', 'n', 'd', 'e', 'x'};

#define FOOTER_CHECKED 48 /* bytes of the footer that its own checksum covers */

static void put(uint8_t *to, unsigned bytes, uint64_t value) {
    for (unsigned i = 0; i < bytes; i++) {
        to[i] = (uint8_t)(value >> (8 * i));
    }
}

static uint64_t get(const uint8_t *from, unsigned bytes) {
    uint64_t value = 0;
    for (unsigned i = 0; i < bytes; i++) {
        value |= (uint64_t)from[i] << (8 * i);
    }
    return value;
}

const char *fov_pack_kind_name(fov_pack_kind kind) {
    static const char *const names[] = {"nothing", "JPEG", "PNG", "WebP", "TIFF", "raw pixels"};
    return (unsigned)kind < sizeof names / sizeof *names ? names[kind] : names[0];
}

/* ---- header ---- */

bool fov_pack_sniff(const void *bytes, size_t size) {
    return size >= sizeof magic && memcmp(bytes, magic, sizeof magic) == 0;
}

void fov_pack_put_header(uint8_t header[FOV_PACK_HEADER_BYTES]) {
    memset(header, 0, FOV_PACK_HEADER_BYTES);
    memcpy(header, magic, sizeof magic);
    put(header + 8, 4, FOV_PACK_VERSION);
}

fov_status fov_pack_check_header(const uint8_t *header, size_t size) {
    if (!fov_pack_sniff(header, size)) {
        return FOV_FAIL(FOV_E_FORMAT, "not a pack; 'fovea pack' makes them");
    }
    if (size < FOV_PACK_HEADER_BYTES) {
        return FOV_FAIL(FOV_E_FORMAT, "a pack that is cut short: only %zu bytes; pack the pictures again", size);
    }
    uint8_t right[FOV_PACK_HEADER_BYTES];
    fov_pack_put_header(right);
    const unsigned version = (unsigned)get(header + 8, 4);
    if (version > FOV_PACK_VERSION) {
        return FOV_FAIL(FOV_E_UNSUPPORTED, "a pack of version %u, but this program reads version %u; use a later one, or pack again",
                        version, FOV_PACK_VERSION);
    }
    if (memcmp(header, right, sizeof right) != 0) {
        return FOV_FAIL(FOV_E_FORMAT, "the header of this pack is damaged; pack the pictures again");
    }
    return FOV_OK;
}

/* ---- footer ---- */

void fov_pack_put_footer(const fov_pack_layout *layout, uint8_t footer[FOV_PACK_FOOTER_BYTES]) {
    const uint64_t field[6] = {layout->file_bytes,   layout->count,       layout->records_offset,
                               layout->names_offset, layout->names_bytes, layout->checksum};
    for (unsigned i = 0; i < 6; i++) {
        put(footer + 8 * i, 8, field[i]);
    }
    put(footer + FOOTER_CHECKED, 8, fov_hash64(footer, FOOTER_CHECKED, 0));
    memcpy(footer + 56, footer_magic, sizeof footer_magic);
}

uint64_t fov_pack_next_offset(uint64_t offset, uint64_t length) {
    return (offset + length + FOV_PACK_ALIGN - 1) / FOV_PACK_ALIGN * FOV_PACK_ALIGN;
}

uint64_t fov_pack_records_offset(uint64_t end) {
    return fov_pack_next_offset(end, FOV_DECODE_PADDING);
}

uint64_t fov_pack_table_bytes(const fov_pack_layout *layout) {
    return layout->count * FOV_PACK_RECORD_BYTES + layout->names_bytes;
}

fov_status fov_pack_parse_footer(const uint8_t footer[FOV_PACK_FOOTER_BYTES], uint64_t file_bytes, fov_pack_layout *layout) {
    if (memcmp(footer + 56, footer_magic, sizeof footer_magic) != 0) {
        return FOV_FAIL(FOV_E_FORMAT, "a pack that does not end as one: it is cut short, or was copied in part; copy it again");
    }
    if (get(footer + FOOTER_CHECKED, 8) != fov_hash64(footer, FOOTER_CHECKED, 0)) {
        return FOV_FAIL(FOV_E_FORMAT, "the footer of this pack is damaged; copy it again, or pack the pictures again");
    }
    *layout = (fov_pack_layout){.file_bytes = get(footer, 8),
                                .count = get(footer + 8, 8),
                                .records_offset = get(footer + 16, 8),
                                .names_offset = get(footer + 24, 8),
                                .names_bytes = get(footer + 32, 8),
                                .checksum = get(footer + 40, 8)};
    if (layout->file_bytes != file_bytes) {
        return FOV_FAIL(FOV_E_FORMAT, "a pack of %llu bytes in a file of %llu: it was cut or something was added; copy it again",
                        (unsigned long long)layout->file_bytes, (unsigned long long)file_bytes);
    }
    /* Each term is compared with the file's size before it is added to another. */
    const uint64_t first = fov_pack_records_offset(FOV_PACK_HEADER_BYTES), count = layout->count;
    const bool sane = count >= 1 && count <= FOV_PACK_MAX_RECORDS && layout->records_offset >= first &&
                      layout->records_offset % FOV_PACK_ALIGN == 0 && layout->records_offset <= file_bytes &&
                      layout->names_offset <= file_bytes && layout->names_bytes <= file_bytes &&
                      layout->names_offset == layout->records_offset + count * FOV_PACK_RECORD_BYTES &&
                      layout->names_offset + layout->names_bytes + FOV_PACK_FOOTER_BYTES == file_bytes && layout->names_bytes >= 2 * count;
    if (!sane) {
        return FOV_FAIL(FOV_E_FORMAT, "the footer of this pack contradicts itself (%llu records at byte %llu, %llu bytes of names at %llu)",
                        (unsigned long long)count, (unsigned long long)layout->records_offset, (unsigned long long)layout->names_bytes,
                        (unsigned long long)layout->names_offset);
    }
    return FOV_OK;
}

/* ---- records ---- */

void fov_pack_put_record(const fov_pack_record *record, uint64_t name_offset, uint8_t bytes[FOV_PACK_RECORD_BYTES]) {
    put(bytes, 8, record->offset);
    put(bytes + 8, 8, record->length);
    put(bytes + 16, 8, record->checksum);
    put(bytes + 24, 8, name_offset);
    put(bytes + 32, 4, record->width);
    put(bytes + 36, 4, record->height);
    put(bytes + 40, 4, strlen(record->name));
    bytes[44] = (uint8_t)record->kind;
    bytes[45] = (uint8_t)record->channels;
    bytes[46] = record->deep ? 16 : 8;
    bytes[47] = record->upright ? 1 : 0;
}

fov_pack_record fov_pack_table_record(const uint8_t *table, const fov_pack_layout *layout, uint64_t i) {
    const uint8_t *bytes = table + i * FOV_PACK_RECORD_BYTES;
    return (fov_pack_record){.name = (const char *)table + layout->count * FOV_PACK_RECORD_BYTES + get(bytes + 24, 8),
                             .offset = get(bytes, 8),
                             .length = get(bytes + 8, 8),
                             .checksum = get(bytes + 16, 8),
                             .width = (uint32_t)get(bytes + 32, 4),
                             .height = (uint32_t)get(bytes + 36, 4),
                             .kind = (fov_pack_kind)bytes[44],
                             .channels = bytes[45],
                             .deep = bytes[46] == 16,
                             .upright = bytes[47] == 1};
}

const char *fov_pack_name_problem(const char *name, size_t length) {
    if (length == 0 || length > FOV_PACK_MAX_NAME) {
        return length == 0 ? "its name is empty" : "its name is too long";
    }
    if (memchr(name, '\0', length) != NULL) {
        return "its name holds a zero byte";
    }
    for (size_t start = 0; start <= length;) {
        const char *slash = memchr(name + start, '/', length - start);
        const size_t end = slash == NULL ? length : (size_t)(slash - name), part = end - start;
        if (part == 0) {
            return "its name begins or ends with a slash, or holds two in a row";
        }
        if (name[start] == '.' && (part == 1 || (part == 2 && name[start + 1] == '.'))) {
            return "its name leads out of the folder ('.' or '..')";
        }
        start = end + 1;
    }
    return NULL;
}

const char *fov_pack_record_problem(const fov_pack_record *record) {
    if (record->kind < FOV_PACK_JPEG || record->kind > FOV_PACK_RAW) {
        return "it is of no known kind";
    }
    if (record->channels < 1 || record->channels > FOV_MAX_CHANNELS) {
        return "its number of channels is impossible";
    }
    if (record->width < 1 || record->height < 1 || record->width > FOV_IMAGE_MAX_SIDE || record->height > FOV_IMAGE_MAX_SIDE ||
        (uint64_t)record->width * record->height > FOV_IMAGE_MAX_PIXELS) {
        return "its width and height are impossible";
    }
    if (record->length < 1 || record->length > FOV_PICTURE_MAX_BYTES) {
        return "its length is impossible";
    }
    /* At most 2^27 pixels of 2^5 channels of 2 bytes: no overflow. */
    const uint64_t pixels = (uint64_t)record->width * record->height * record->channels * (record->deep ? 2 : 1);
    if (record->kind == FOV_PACK_RAW && (record->length != pixels || !record->upright)) {
        return "its length is not that of its pixels";
    }
    return NULL;
}

static fov_status bad_record(uint64_t i, const char *problem) {
    return FOV_FAIL(FOV_E_FORMAT, "record %llu of this pack is damaged: %s; pack the pictures again", (unsigned long long)i, problem);
}

/* Checks record i, whose payload and name have to be at these offsets; moves those on. */
static fov_status check_record(const uint8_t *table, const fov_pack_layout *layout, uint64_t i, const char *before, uint64_t *offset,
                               uint64_t *name_offset) {
    const uint8_t *bytes = table + i * FOV_PACK_RECORD_BYTES;
    const char *names = (const char *)table + layout->count * FOV_PACK_RECORD_BYTES;
    const uint64_t name_length = get(bytes + 40, 4);
    if (get(bytes + 24, 8) != *name_offset || name_length >= layout->names_bytes - *name_offset) {
        return bad_record(i, "its name lies elsewhere");
    }
    const char *name = names + *name_offset;
    const char *problem = fov_pack_name_problem(name, (size_t)name_length);
    if (problem != NULL || name[name_length] != '\0') {
        return bad_record(i, problem != NULL ? problem : "its name has no end");
    }
    if (before != NULL && strcmp(before, name) >= 0) {
        return bad_record(i, "its name is out of order");
    }
    if ((bytes[46] != 8 && bytes[46] != 16) || bytes[47] > 1) {
        return bad_record(i, "its bits or flags are impossible");
    }
    const fov_pack_record record = fov_pack_table_record(table, layout, i);
    problem = fov_pack_record_problem(&record);
    if (problem != NULL) {
        return bad_record(i, problem);
    }
    if (record.offset != *offset || record.length > layout->records_offset - *offset) {
        return bad_record(i, "its payload lies elsewhere");
    }
    *offset = fov_pack_next_offset(record.offset, record.length);
    *name_offset += name_length + 1;
    return *offset <= layout->records_offset ? FOV_OK : bad_record(i, "its payload lies elsewhere");
}

fov_status fov_pack_check_table(const uint8_t *table, const fov_pack_layout *layout) {
    if (fov_hash64(table, (size_t)fov_pack_table_bytes(layout), 0) != layout->checksum) {
        return FOV_FAIL(FOV_E_FORMAT,
                        "the table of this pack is damaged (its checksum differs); copy it again, or pack the pictures again");
    }
    uint64_t offset = FOV_PACK_HEADER_BYTES, name_offset = 0, end = offset;
    const char *before = NULL;
    for (uint64_t i = 0; i < layout->count; i++) {
        FOV_TRY(check_record(table, layout, i, before, &offset, &name_offset));
        const fov_pack_record record = fov_pack_table_record(table, layout, i);
        before = record.name;
        end = record.offset + record.length;
    }
    if (name_offset != layout->names_bytes || fov_pack_records_offset(end) != layout->records_offset) {
        return FOV_FAIL(FOV_E_FORMAT, "the table of this pack does not cover it: bytes are left over; pack the pictures again");
    }
    return FOV_OK;
}
