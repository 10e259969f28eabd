/* A pack: all pictures of a folder in one file, with their names, sizes and checksums; extension .fvp by habit, known by its content.
 *
 * The format, version 1. Integers are little-endian and unsigned. Every byte has one meaning and one value that is right, so that nothing
 * can lie in a pack unseen, and the same pictures always make the same file.
 *
 *   header   64 bytes   magic 89 'F' 'V' 'P' 0D 0A 1A 0A, u32 version, then zeros
 *   payloads            of record 0, 1, ... in turn, each at the next multiple of 64, zeros between them
 *   padding             at least 8192 zeros (FOV_DECODE_PADDING) behind the last payload, up to a multiple of 64, so that whoever maps the
 *                       file may let a decoder read on behind any payload
 *   records  48 bytes each:
 *                        0 u64 offset of the payload       32 u32 width in pixels, as decoded (after orientation)
 *                        8 u64 its length                  36 u32 height
 *                       16 u64 its checksum                40 u32 length of the name
 *                       24 u64 offset of the name          44 u8  kind: 1 JPEG, 2 PNG, 3 WebP, 4 TIFF, 5 raw pixels
 *                              within the names            45 u8  channels, of the pixels when raw, else of the file
 *                                                          46 u8  bits of a sample: 8 or 16
 *                                                          47 u8  1: orientation is applied already, the decoder ignores EXIF; else 0
 *   names               of record 0, 1, ... in turn, each ended by a zero byte: "class/picture.jpg", relative to the folder that was
 *                       packed, in strictly rising order of bytes; no part between slashes is empty, "." or ".."
 *   footer   64 bytes:
 *                        0 u64 bytes of the whole file     32 u64 length of the names
 *                        8 u64 number of records           40 u64 checksum of records and names
 *                       16 u64 offset of the records       48 u64 checksum of the first 48 bytes of this footer
 *                       24 u64 offset of the names         56 magic "fvpindex"
 *
 * Raw pixels are rows without gaps, samples interleaved, those of 16 bits little-endian. Checksums are XXH3 with 64 bits and seed 0.
 *
 * A pack is read with pread into the caller's buffer, and the payload's checksum is compared every time: under a mapping, a file that
 * another process shortens ends this one with SIGBUS, and one that changes trains on wrong bytes. */
#ifndef FOV_DATA_PACK_H
#define FOV_DATA_PACK_H

#include <stdbool.h>

#include "base/io.h"

#define FOV_PACK_VERSION 1u
#define FOV_PACK_MAX_NAME ((size_t)4095)

typedef enum fov_pack_kind { FOV_PACK_JPEG = 1, FOV_PACK_PNG, FOV_PACK_WEBP, FOV_PACK_TIFF, FOV_PACK_RAW } fov_pack_kind;
const char *fov_pack_kind_name(fov_pack_kind kind); /* "JPEG", ..., "raw pixels" */

typedef struct fov_pack_record {
    const char *name; /* the pack's */
    uint64_t offset, length, checksum;
    uint32_t width, height;
    fov_pack_kind kind;
    unsigned channels;
    bool deep;    /* 16 bits a sample */
    bool upright; /* orientation is applied already */
} fov_pack_record;

/* ---- reading ---- */

typedef struct fov_pack fov_pack;
/* Whether a file starts as a pack of any version does; 8 bytes are enough. */
bool fov_pack_sniff(const void *bytes, size_t size);
/* Opens a pack, reads its table and checks all of it. FOV_E_FORMAT when it is damaged, cut short or not a pack, FOV_E_UNSUPPORTED when a
 * later version made it; the message names the file, the record and its offset. */
FOV_MUST_USE fov_status fov_pack_open(fov_pack **pack, const char *path);
void fov_pack_close(fov_pack *pack);         /* takes NULL */
size_t fov_pack_count(const fov_pack *pack); /* at least 1 */
fov_pack_record fov_pack_at(const fov_pack *pack, size_t i);
/* Refuses a record whose payload has another hash (fov_hash64, seed 0) than it was packed with; `shown` is what messages call it. */
FOV_MUST_USE fov_status fov_pack_compare(const fov_pack_record *record, uint64_t hash, const char *shown);
/* Reads the payload of a record that fov_pack_at gave into a buffer that is reused, with `padding` zeros behind it, and compares its
 * checksum. `shown` is what messages call it, escaped there. Any number of threads at once, each with its own buffer. Once the system was
 * asked to read, nothing of the pack is touched: a thread stuck there may come back when the pack is closed. */
FOV_MUST_USE fov_status fov_pack_read(const fov_pack *pack, const fov_pack_record *record, const char *shown, size_t padding,
                                      fov_blob *blob, size_t *capacity);

/* ---- writing ---- */

typedef struct fov_pack_writer fov_pack_writer;
/* Nothing is visible under `path` until the commit, as with fov_writer_open. */
FOV_MUST_USE fov_status fov_pack_writer_open(fov_pack_writer **writer, const char *path);
/* Adds a record. `record` gives all but the offset; the payload is record->length bytes. Names come in rising order: FOV_E_INVALID when one
 * is no name, repeats or comes too late. */
FOV_MUST_USE fov_status fov_pack_writer_add(fov_pack_writer *writer, const fov_pack_record *record, const void *payload);
/* Writes the table and puts the file in its place. Frees the writer in every case. */
FOV_MUST_USE fov_status fov_pack_writer_commit(fov_pack_writer *writer);
void fov_pack_writer_abort(fov_pack_writer *writer); /* takes NULL */

#endif
