/* EXIF orientation (CIPA DC-008, tag 0x0112 of IFD 0), from a JPEG's APP1 segment, a PNG's eXIf chunk or a WebP's EXIF chunk.
 *
 * Own walkers over markers and chunks rather than the codecs' saved markers: nothing is allocated or copied, the header probe and the
 * decoder are sure to agree, and the few bytes concerned are all checked against the size here. A damaged block means "upright": the
 * orientation is advice, and pixels that decode should not be lost over it. */
#include "augment/exif.h"

#include <stdbool.h>
#include <string.h>

enum { TAG_ORIENTATION = 0x0112, TYPE_BYTE = 1, TYPE_SHORT = 3, TYPE_LONG = 4, ENTRY_BYTES = 12 };

typedef struct view {
    const uint8_t *bytes;
    size_t size;
    bool little;
} view;

static bool read16(const view *v, size_t at, uint32_t *out) {
    if (v->size < 2 || at > v->size - 2) {
        return false;
    }
    const uint32_t a = v->bytes[at], b = v->bytes[at + 1];
    *out = v->little ? (b << 8 | a) : (a << 8 | b);
    return true;
}

static bool read32(const view *v, size_t at, uint32_t *out) {
    uint32_t a = 0, b = 0;
    if (v->size < 4 || at > v->size - 4 || !read16(v, at, &a) || !read16(v, at + 2, &b)) {
        return false;
    }
    *out = v->little ? (b << 16 | a) : (a << 16 | b);
    return true;
}

static bool read_value(const view *v, size_t entry, uint32_t *value) {
    uint32_t type = 0, count = 0;
    if (!read16(v, entry + 2, &type) || !read32(v, entry + 4, &count) || count != 1) {
        return false;
    }
    if (type == TYPE_LONG) {
        return read32(v, entry + 8, value);
    }
    if (type == TYPE_BYTE && entry + 8 < v->size) {
        *value = v->bytes[entry + 8];
        return true;
    }
    return type == TYPE_SHORT && read16(v, entry + 8, value);
}

unsigned fov_exif_orientation(const uint8_t *tiff, size_t size) {
    view v = {.bytes = tiff, .size = size, .little = size > 0 && tiff[0] == 'I'};
    uint32_t magic = 0, directory = 0, entries = 0;
    if (size < 8 || tiff[0] != tiff[1] || (tiff[0] != 'I' && tiff[0] != 'M')) {
        return 1;
    }
    if (!read16(&v, 2, &magic) || magic != 42 || !read32(&v, 4, &directory) || !read16(&v, directory, &entries)) {
        return 1;
    }
    for (size_t i = 0; i < entries; i++) {
        const size_t at = (size_t)directory + 2 + i * ENTRY_BYTES;
        uint32_t tag = 0, value = 0;
        if (!read16(&v, at, &tag)) {
            return 1;
        }
        if (tag == TAG_ORIENTATION) {
            return read_value(&v, at, &value) && value >= 1 && value <= 8 ? (unsigned)value : 1;
        }
    }
    return 1;
}

/* Markers without a length: TEM and RST0..7; a second SOI inside a file is passed over the same way. */
static bool is_bare(unsigned marker) {
    return marker == 0x01 || (marker >= 0xD0 && marker <= 0xD8);
}

fov_status fov_exif_orientation_jpeg(const fov_codec_file *file, unsigned *orientation) {
    fov_piece p;
    size_t at = 2;
    *orientation = 1;
    while (at + 4 <= file->size) {
        FOV_TRY(fov_codec_piece(file, at, 4, &p));
        const unsigned marker = p.bytes[1];
        if (p.bytes[0] != 0xFF || marker == 0xFF) {
            at++; /* stray bytes between segments, which libjpeg skips too, or a fill byte */
            continue;
        }
        if (marker == 0 || is_bare(marker)) {
            at += 2;
            continue;
        }
        const size_t length = (size_t)p.bytes[2] << 8 | p.bytes[3];
        if (marker == 0xDA || marker == 0xD9 || length < 2 || length > file->size - at - 2) {
            return FOV_OK; /* scan data begins, or the file ends */
        }
        if (marker == 0xE1 && length >= 8) {
            FOV_TRY(fov_codec_piece(file, at, 2 + length, &p));
            if (memcmp(p.bytes + 4, "Exif\0", 5) == 0) {
                *orientation = fov_exif_orientation(p.bytes + 10, length - 8);
                return FOV_OK;
            }
        }
        at += 2 + length;
    }
    return FOV_OK;
}

/* One bit at a time: it runs over one header or EXIF block per file, so a table would not pay. */
uint32_t fov_png_crc(const uint8_t *bytes, size_t size) {
    uint32_t crc = 0xFFFFFFFFu;
    for (size_t i = 0; i < size; i++) {
        crc ^= bytes[i];
        for (int bit = 0; bit < 8; bit++) {
            crc = (crc >> 1) ^ (0xEDB88320u & (0u - (crc & 1u)));
        }
    }
    return crc ^ 0xFFFFFFFFu;
}

fov_status fov_exif_orientation_png(const fov_codec_file *file, unsigned *orientation) {
    fov_piece p;
    size_t at = 8;
    *orientation = 1;
    while (at <= file->size && file->size - at >= 12) {
        uint32_t length = 0, crc = 0;
        FOV_TRY(fov_codec_piece(file, at, 12, &p));
        const view head = {.bytes = p.bytes, .size = 12};
        if (!read32(&head, 0, &length) || length > file->size - at - 12 || memcmp(p.bytes + 4, "IEND", 4) == 0) {
            return FOV_OK;
        }
        if (memcmp(p.bytes + 4, "eXIf", 4) == 0 && length <= FOV_EXIF_MOST) {
            FOV_TRY(fov_codec_piece(file, at, 12 + (size_t)length, &p));
            const view chunk = {.bytes = p.bytes, .size = 12 + (size_t)length};
            if (read32(&chunk, 8 + (size_t)length, &crc) && crc == fov_png_crc(p.bytes + 4, (size_t)length + 4)) {
                *orientation = fov_exif_orientation(p.bytes + 8, length);
                return FOV_OK;
            }
        }
        at += 12 + (size_t)length;
    }
    return FOV_OK;
}

unsigned fov_exif_orientation_webp(const uint8_t *file, size_t size) {
    const view v = {.bytes = file, .size = size, .little = true};
    size_t at = 12;
    uint32_t length = 0;
    if (size < at + 4 || memcmp(file + at, "VP8X", 4) != 0) {
        return 1; /* only the extended form has metadata */
    }
    while (read32(&v, at + 4, &length) && length <= size - at - 8) {
        const uint8_t *body = file + at + 8;
        if (memcmp(file + at, "EXIF", 4) == 0) {
            const bool named = length >= 6 && memcmp(body, "Exif\0", 5) == 0; /* some write the name that JPEG needs */
            return named ? fov_exif_orientation(body + 6, length - 6) : fov_exif_orientation(body, length);
        }
        at += 8 + (size_t)length + length % 2;
    }
    return 1;
}
