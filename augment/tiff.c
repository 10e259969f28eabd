/* TIFF by libtiff: the first picture of a file. The only file that includes tiffio.h.
 *
 * TIFF is a container for nearly anything; what is read is what pictures for learning are kept in: unsigned samples of 8 or 16 bits, grey,
 * RGB, palette or any number of bands, interleaved or plane by plane, in strips or tiles, under the usual lossless compressions or JPEG.
 * Everything else is refused with a message that says what the file has. Blocks (strips or tiles) are independent, so only those that meet
 * the part are read, each into scratch, then turned to pixels row by row; of tiles, a row of them is put together first. Memory is that of
 * blocks, then, not of the picture. Uncompressed strips may be as large as that: they are read by us, some rows at a time.
 *
 * libtiff gets the bytes through callbacks that cannot leave them and tells its errors and warnings to us. It allocates for itself, but
 * never more at once than the file's size and a margin; the tables of blocks lie in the file. Sizes that a header declares are compared
 * with the file's size by how far each compression can expand. A warning while pixels are read means wrong or missing pixels. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <tiffio.h>

#include "augment/codec.h"
#include "augment/samples.h"
#include "base/checked.h"

enum { MESSAGE_BYTES = 200, GREY = 128, PALETTE = 256 };
#define ALLOC_MARGIN ((tmsize_t)16 << 20)
#define READ_BYTES ((size_t)64 << 10)  /* of a file at once, where it comes in pieces */
#define PLAIN_BYTES ((size_t)64 << 10) /* of an uncompressed strip */

typedef struct fov_tiff {
    TIFF *tiff;
    fov_codec_file *file;
    uint64_t at; /* of the file's bytes */
    char message[MESSAGE_BYTES];
    size_t warnings;
    fov_samples samples;   /* what is made of the file's samples: differs from them for palettes */
    uint16_t planes, bits; /* as the file has them */
    bool tiled, separate, inverted, palette;
    bool plain; /* uncompressed strips whose rows can be read where they lie */
    size_t block_width,
        block_height;   /* of strips or tiles; strips are as wide as the picture. Plain ones: the rows that are read at once */
    size_t strip_rows;  /* of plain strips as the file has them */
    size_t pixel_bytes; /* of a pixel in a block */
    uint16_t map[PALETTE][3];
    uint8_t *block, *mixed, *row; /* scratch: a block as libtiff gives it, one of all planes, a row of colours of a palette, */
    uint8_t *band;                /* what a row of tiles has of the window */
    size_t block_bytes, mixed_bytes, row_bytes, band_bytes;
    fov_status taken; /* of those who take rows and give bytes */
} fov_tiff;

static size_t lesser(size_t a, size_t b) {
    return a < b ? a : b;
}
static size_t greater(size_t a, size_t b) {
    return a > b ? a : b;
}

/* ---- callbacks ---- */

static tmsize_t on_read(thandle_t handle, void *out, tmsize_t count) {
    fov_tiff *const t = handle;
    const uint64_t left = t->at < t->file->size ? t->file->size - t->at : 0;
    const size_t n = count <= 0 ? 0 : (uint64_t)count < left ? (size_t)count : (size_t)left;
    for (size_t done = 0, got = 0; done < n; done += got, t->at += got) {
        const size_t wanted = n - done < READ_BYTES ? n - done : READ_BYTES;
        fov_piece piece;
        const fov_status status = fov_codec_piece(t->file, (size_t)t->at, wanted, &piece);
        if (status != FOV_OK) {
            t->taken = status; /* to stay: libtiff may go on */
            return (tmsize_t)done;
        }
        got = piece.size < n - done ? piece.size : n - done;
        memcpy((uint8_t *)out + done, piece.bytes, got);
    }
    return (tmsize_t)n;
}

static tmsize_t on_write(thandle_t handle, void *bytes, tmsize_t count) {
    (void)handle, (void)bytes, (void)count;
    return 0;
}

static toff_t on_seek(thandle_t handle, toff_t offset, int whence) {
    fov_tiff *const t = handle;
    t->at = whence == SEEK_SET ? offset : whence == SEEK_CUR ? t->at + offset : t->file->size + offset;
    return t->at;
}

static int on_close(thandle_t handle) {
    (void)handle;
    return 0;
}

static toff_t on_size(thandle_t handle) {
    const fov_tiff *const t = handle;
    return t->file->size;
}

/* The first thing said is the cause. */
static void keep_message(fov_tiff *t, const char *format, va_list arguments) {
    if (t->message[0] == '\0') {
        (void)vsnprintf(t->message, sizeof t->message, format, arguments);
    }
}

static int on_error(TIFF *tiff, void *user, const char *module, const char *format, va_list arguments) {
    (void)tiff, (void)module;
    keep_message(user, format, arguments);
    return 1;
}

static int on_warning(TIFF *tiff, void *user, const char *module, const char *format, va_list arguments) {
    fov_tiff *const t = user;
    (void)tiff, (void)module;
    if (strncmp(format, "Old-style LZW", 13) != 0) { /* which says nothing of the pixels */
        t->warnings++;
        keep_message(t, format, arguments);
    }
    return 1;
}

static fov_status fail(const fov_tiff *t) {
    FOV_TRY(t->taken);
    return FOV_FAIL(FOV_E_FORMAT, "TIFF: %s", t->message[0] != '\0' ? t->message : "the data are damaged");
}

/* ---- header ---- */

static fov_status open_tiff(fov_tiff *t) {
    TIFFOpenOptions *const options = TIFFOpenOptionsAlloc();
    if (options == NULL) {
        return FOV_FAIL(FOV_E_NOMEM, "out of memory in libtiff");
    }
    TIFFOpenOptionsSetMaxSingleMemAlloc(options, (tmsize_t)t->file->size + ALLOC_MARGIN);
    TIFFOpenOptionsSetErrorHandlerExtR(options, on_error, t);
    TIFFOpenOptionsSetWarningHandlerExtR(options, on_warning, t);
    t->tiff = TIFFClientOpenExt("TIFF", "rm", t, on_read, on_write, on_seek, on_close, on_size, NULL, NULL, options);
    TIFFOpenOptionsFree(options);
    return t->tiff != NULL ? FOV_OK : fail(t);
}

static unsigned get16(const fov_tiff *t, uint32_t tag, unsigned fallback) {
    uint16_t value = 0;
    return TIFFGetField(t->tiff, tag, &value) ? value : fallback;
}

static size_t get32(const fov_tiff *t, uint32_t tag, size_t fallback) {
    uint32_t value = 0;
    return TIFFGetField(t->tiff, tag, &value) ? value : fallback;
}

/* How many bytes one byte of the file can become, at most: by specification or, where there is no bound, more than any picture needs; 0 for
 * what is not read. Deflate: 258 bytes in 2 bits. LZW: 4,096 in 9. PackBits: 128 in 2 bytes. JPEG: a block of 64 samples in a bit. */
static size_t expansion(unsigned compression) {
    switch (compression) {
    case COMPRESSION_NONE:
        return 1;
    case COMPRESSION_PACKBITS:
        return 64;
    case COMPRESSION_DEFLATE:
    case COMPRESSION_ADOBE_DEFLATE:
        return 1032;
    case COMPRESSION_LZW:
    case COMPRESSION_JPEG:
    case COMPRESSION_ZSTD:
        return 4096;
    default:
        return 0;
    }
}

static fov_status check_kind(const fov_tiff *t, unsigned compression) {
    const unsigned format = get16(t, TIFFTAG_SAMPLEFORMAT, SAMPLEFORMAT_UINT);
    static const char *const formats[] = {"of no kind", "unsigned", "signed", "floating-point", "of no kind", "complex", "complex"};
    if (format != SAMPLEFORMAT_UINT && format != SAMPLEFORMAT_VOID) {
        return FOV_FAIL(FOV_E_UNSUPPORTED, "TIFF: samples are %s; only unsigned ones of 8 or 16 bits are handled, scale them to those",
                        format < sizeof formats / sizeof formats[0] ? formats[format] : formats[0]);
    }
    if (t->bits != 8 && t->bits != 16) {
        return FOV_FAIL(FOV_E_UNSUPPORTED, "TIFF: samples of %u bits; only 8 and 16 are handled, convert the file", t->bits);
    }
    if (expansion(compression) == 0 || !TIFFIsCODECConfigured((uint16_t)compression) || (compression == COMPRESSION_JPEG && t->bits != 8)) {
        return FOV_FAIL(FOV_E_UNSUPPORTED, "TIFF: compression %u is not handled; write it with Deflate, LZW or none", compression);
    }
    return FOV_OK;
}

/* The plane after the colours may be a cover; those after it are bands. */
static fov_cover cover_of(const fov_tiff *t) {
    uint16_t count = 0, *types = NULL;
    if (!TIFFGetField(t->tiff, TIFFTAG_EXTRASAMPLES, &count, &types) || count == 0) {
        return FOV_COVER_NONE;
    }
    return types[0] == EXTRASAMPLE_ASSOCALPHA   ? FOV_COVER_PREMULTIPLIED
           : types[0] == EXTRASAMPLE_UNASSALPHA ? FOV_COVER_STRAIGHT
                                                : FOV_COVER_NONE;
}

/* Palettes have 16 bits; old programs wrote 8. A palette is meant for 8 bits, so that is what comes of it unless more is asked for. */
static fov_status read_palette(fov_tiff *t) {
    uint16_t *planes[3] = {NULL, NULL, NULL}, most = 0;
    if (t->planes != 1 || t->bits != 8 || !TIFFGetField(t->tiff, TIFFTAG_COLORMAP, &planes[0], &planes[1], &planes[2])) {
        return FOV_FAIL(FOV_E_UNSUPPORTED, "TIFF: a palette of %u bits and %u planes, or none; only 8 bits and 1 plane are handled",
                        t->bits, t->planes);
    }
    for (size_t i = 0; i < PALETTE; i++) {
        for (size_t c = 0; c < 3; c++) {
            t->map[i][c] = planes[c][i];
            most = most > planes[c][i] ? most : planes[c][i];
        }
    }
    for (size_t i = 0; i < PALETTE; i++) {
        for (size_t c = 0; c < 3; c++) {
            uint16_t *const v = &t->map[i][c];
            *v = (uint16_t)(most < 256 ? *v * 257 : t->file->options.format.deep ? *v : (*v >> 8) * 257);
        }
    }
    t->palette = true;
    t->samples = (fov_samples){.planes = 3, .deep = true, .meaning = FOV_MEANS_RGB};
    return FOV_OK;
}

static fov_status find_meaning(fov_tiff *t, unsigned compression) {
    const unsigned photometric = get16(t, TIFFTAG_PHOTOMETRIC, PHOTOMETRIC_MINISBLACK);
    t->samples = (fov_samples){.planes = t->planes, .deep = t->bits == 16};
    t->inverted = t->palette = false;
    switch (photometric) {
    case PHOTOMETRIC_MINISWHITE:
    case PHOTOMETRIC_MINISBLACK: {
        const fov_cover cover = cover_of(t);
        t->inverted = photometric == PHOTOMETRIC_MINISWHITE;
        if (t->planes == 1 || (t->planes == 2 && cover != FOV_COVER_NONE)) {
            t->samples.meaning = FOV_MEANS_GRAY;
            t->samples.cover = t->planes == 2 ? cover : FOV_COVER_NONE;
        }
        return FOV_OK;
    }
    case PHOTOMETRIC_YCBCR:
        if (compression != COMPRESSION_JPEG || t->separate || t->planes != 3) {
            return FOV_FAIL(FOV_E_UNSUPPORTED, "TIFF: YCbCr that is not JPEG-compressed; convert it to RGB");
        }
        (void)TIFFSetField(t->tiff, TIFFTAG_JPEGCOLORMODE, JPEGCOLORMODE_RGB);
        t->samples.meaning = FOV_MEANS_RGB;
        return FOV_OK;
    case PHOTOMETRIC_RGB:
        if (t->planes < 3) {
            return FOV_FAIL(FOV_E_FORMAT, "TIFF: RGB of %u planes", t->planes);
        }
        t->samples.meaning = FOV_MEANS_RGB;
        t->samples.cover = t->planes > 3 ? cover_of(t) : FOV_COVER_NONE;
        return FOV_OK;
    case PHOTOMETRIC_PALETTE:
        FOV_TRY(read_palette(t));
        return FOV_OK;
    case PHOTOMETRIC_SEPARATED:
        return FOV_OK; /* inks, as they are */
    default:
        return FOV_FAIL(FOV_E_UNSUPPORTED, "TIFF: photometric interpretation %u is not handled; convert it to grey or RGB", photometric);
    }
}

/* The sizes of blocks, ours checked against libtiff's. What all blocks hold is bounded: tiles may reach far beyond the picture. */
static fov_status find_blocks(fov_tiff *t, unsigned compression) {
    const size_t width = t->file->info.width, height = t->file->info.height;
    t->tiled = TIFFIsTiled(t->tiff) != 0;
    t->block_width = t->tiled ? get32(t, TIFFTAG_TILEWIDTH, 0) : width;
    t->block_height = t->tiled ? get32(t, TIFFTAG_TILELENGTH, 0) : get32(t, TIFFTAG_ROWSPERSTRIP, height);
    t->block_height = !t->tiled && t->block_height > height ? height : t->block_height;
    t->pixel_bytes = (size_t)(t->separate ? 1 : t->planes) * (t->bits / 8);
    if (t->block_width == 0 || t->block_height == 0) {
        return FOV_FAIL(FOV_E_FORMAT, "TIFF: blocks of %zu x %zu pixels", t->block_width, t->block_height);
    }
    const size_t blocks[3] = {(width - 1) / t->block_width + 1, (height - 1) / t->block_height + 1, t->separate ? t->planes : 1};
    const size_t sides[3] = {t->block_width, t->block_height, t->pixel_bytes};
    size_t count = 0, bytes = 0, all = 0;
    const size_t exact[4] = {width, height, t->pixel_bytes, blocks[2]}; /* of strips: the last may be short */
    if (!fov_product_size(blocks, 3, &count) || !fov_product_size(sides, 3, &bytes) || !fov_mul_size(count, bytes, &all) ||
        bytes > FOV_IMAGE_MAX_BYTES || all > 4 * FOV_IMAGE_MAX_BYTES) {
        return FOV_FAIL(FOV_E_LIMIT, "TIFF: %zu x %zu blocks of %zu x %zu pixels are more than a picture may hold", blocks[0], blocks[1],
                        t->block_width, t->block_height);
    }
    if (!t->tiled && !fov_product_size(exact, 4, &all)) {
        return FOV_FAIL(FOV_E_LIMIT, "TIFF: %zu x %zu pixels of %u planes are more than a picture may hold", width, height, t->planes);
    }
    if (all / expansion(compression) > t->file->size) {
        return FOV_FAIL(FOV_E_FORMAT, "TIFF: %zu bytes cannot hold the %zu x %zu pixels of %u planes that the header declares",
                        t->file->size, width, height, t->planes);
    }
    const tmsize_t theirs = t->tiled ? TIFFTileSize(t->tiff) : TIFFVStripSize(t->tiff, (uint32_t)t->block_height);
    if (theirs != (tmsize_t)bytes) {
        return fail(t);
    }
    t->plain = !t->tiled && compression == COMPRESSION_NONE && get16(t, TIFFTAG_FILLORDER, FILLORDER_MSB2LSB) == FILLORDER_MSB2LSB;
    if (t->plain) {
        const size_t rows = PLAIN_BYTES / (t->block_width * t->pixel_bytes);
        t->strip_rows = t->block_height;
        t->block_height = rows == 0 ? 1 : lesser(rows, t->strip_rows);
    }
    return FOV_OK;
}

static fov_status read_header(fov_tiff *t) {
    fov_codec_file *const file = t->file;
    const unsigned compression = get16(t, TIFFTAG_COMPRESSION, COMPRESSION_NONE);
    const unsigned orientation = get16(t, TIFFTAG_ORIENTATION, 1);
    file->info.width = get32(t, TIFFTAG_IMAGEWIDTH, 0);
    file->info.height = get32(t, TIFFTAG_IMAGELENGTH, 0);
    t->planes = (uint16_t)get16(t, TIFFTAG_SAMPLESPERPIXEL, 1);
    t->bits = (uint16_t)get16(t, TIFFTAG_BITSPERSAMPLE, 1);
    t->separate = t->planes > 1 && get16(t, TIFFTAG_PLANARCONFIG, PLANARCONFIG_CONTIG) == PLANARCONFIG_SEPARATE;
    if (file->info.width == 0 || file->info.height == 0 || t->planes == 0) {
        return FOV_FAIL(FOV_E_FORMAT, "TIFF: a picture of %zu x %zu pixels and %u planes", file->info.width, file->info.height, t->planes);
    }
    FOV_TRY(fov_image_check_caps("TIFF", file->info.width, file->info.height, &file->options));
    FOV_TRY(check_kind(t, compression));
    FOV_TRY(find_meaning(t, compression));
    FOV_TRY(fov_samples_check("TIFF", &t->samples, file->options.format));
    FOV_TRY(find_blocks(t, compression));
    file->info.channels_in_file = (unsigned)t->samples.planes;
    file->info.bits = t->bits;
    file->info.orientation = orientation >= 1 && orientation <= 8 ? orientation : 1;
    return FOV_OK;
}

static fov_status tiff_open(void *state, fov_codec_file *file) {
    fov_tiff *const t = state;
    t->file = file;
    t->at = 0;
    t->message[0] = '\0';
    t->warnings = 0;
    t->taken = FOV_OK;
    file->by_rows = true;
    FOV_TRY(open_tiff(t));
    FOV_TRY(t->taken); /* a tag that could not be read looks like one that is not there */
    FOV_TRY(read_header(t));
    file->warnings = t->warnings; /* about tags that are not understood, as a rule */
    return FOV_OK;
}

/* ---- pixels ---- */

/* Rows of the block that begins at row y: a strip at the end is shorter. */
static size_t rows_of(const fov_tiff *t, size_t y) {
    const size_t left = t->file->info.height - y,
                 rows = t->plain ? lesser(t->block_height, t->strip_rows - y % t->strip_rows) : t->block_height;
    return t->tiled ? rows : lesser(rows, left);
}

/* Rows of an uncompressed strip, from row y of the picture on. */
static bool read_plain(fov_tiff *t, uint32_t strip, size_t y, size_t bytes) {
    const uint64_t before = (uint64_t)(y % t->strip_rows) * t->block_width * t->pixel_bytes;
    const uint64_t offset = TIFFGetStrileOffset(t->tiff, strip), size = t->file->size;
    if (TIFFGetStrileByteCount(t->tiff, strip) < before + bytes || offset > size || size - offset < before + bytes) {
        (void)snprintf(t->message, sizeof t->message, "strip %u ends within its rows", (unsigned)strip);
        return false;
    }
    t->at = offset + before;
    if (on_read(t, t->block, (tmsize_t)bytes) != (tmsize_t)bytes) {
        return false;
    }
    if (t->bits == 16 && TIFFIsByteSwapped(t->tiff)) {
        TIFFSwabArrayOfShort((uint16_t *)(void *)t->block, (tmsize_t)(bytes / 2));
    }
    return true;
}

/* Reads the block at (x, y) of a plane. */
static bool read_block(fov_tiff *t, size_t x, size_t y, size_t plane) {
    const tmsize_t bytes = (tmsize_t)(rows_of(t, y) * t->block_width * t->pixel_bytes);
    const uint32_t index = t->tiled ? TIFFComputeTile(t->tiff, (uint32_t)x, (uint32_t)y, 0, (uint16_t)plane)
                                    : TIFFComputeStrip(t->tiff, (uint32_t)y, (uint16_t)plane);
    /* libtiff takes a strip whose data are for more rows than it has, and then may leave the block as it was: so it never is another's. */
    memset(t->block, GREY, (size_t)bytes);
    if (t->plain) {
        return read_plain(t, index, y, (size_t)bytes);
    }
    const tmsize_t got =
        t->tiled ? TIFFReadEncodedTile(t->tiff, index, t->block, bytes) : TIFFReadEncodedStrip(t->tiff, index, t->block, bytes);
    return got == bytes;
}

static void mix(fov_tiff *t, size_t count, size_t plane) {
    const size_t planes = t->planes;
    for (size_t i = 0; i < count; i++) {
        if (t->bits == 16) {
            ((uint16_t *)t->mixed)[i * planes + plane] = ((const uint16_t *)t->block)[i];
        } else {
            t->mixed[i * planes + plane] = t->block[i];
        }
    }
}

/* The first plane of MinIsWhite is counted from the other end. */
static void invert(const fov_tiff *t, size_t count, uint8_t *block) {
    const size_t planes = t->planes;
    for (size_t i = 0; i < count; i++) {
        if (t->bits == 16) {
            uint16_t *const v = &((uint16_t *)block)[i * planes];
            *v = (uint16_t)(65535 - *v);
        } else {
            block[i * planes] = (uint8_t)(255 - block[i * planes]);
        }
    }
}

/* All planes of the block at (x, y), interleaved, or NULL. */
static uint8_t *load_block(fov_tiff *t, size_t x, size_t y) {
    uint8_t *const block = t->separate ? t->mixed : t->block;
    const size_t count = t->block_width * rows_of(t, y);
    for (size_t plane = 0; plane < (t->separate ? t->planes : 1u); plane++) {
        if (!read_block(t, x, y, plane)) {
            return NULL;
        }
        if (t->separate) {
            mix(t, count, plane);
        }
    }
    if (t->inverted) {
        invert(t, count, block);
    }
    return block;
}

/* Where row r of the picture goes, from the window's first column on. A row of tiles is put together in a band, if it is not all in memory.
 */
static fov_status place_of(fov_tiff *t, size_t r, const fov_window *w, fov_image *image, uint8_t **row) {
    size_t one = 1;
    if (t->tiled && t->file->strips != NULL) {
        *row = t->band + r % t->block_height * w->width * fov_pixel_bytes(t->file->options.format);
        return FOV_OK;
    }
    FOV_TRY(fov_codec_rows(t->file, w, image, r - w->top, &one, row));
    return FOV_OK;
}

/* Puts what the block at (x, y) has of the window to its place. */
static fov_status place_block(fov_tiff *t, const uint8_t *block, size_t x, size_t y, const fov_window *w, fov_image *image) {
    const size_t left = greater(x, w->left), right = lesser(x + t->block_width, w->left + w->width), count = right - left;
    const size_t top = greater(y, w->top), bottom = lesser(y + rows_of(t, y), w->top + w->height);
    const size_t pixel = (size_t)t->planes * (t->bits / 8);
    for (size_t r = top; r < bottom; r++) {
        const uint8_t *const from = block + ((r - y) * t->block_width + left - x) * pixel;
        uint8_t *to;
        FOV_TRY(place_of(t, r, w, image, &to));
        for (size_t i = 0; i < count && t->palette; i++) {
            memcpy(t->row + 6 * i, t->map[from[i]], 6);
        }
        fov_samples_convert(&t->samples, &t->file->options, t->palette ? t->row : from, count,
                            to + (left - w->left) * fov_pixel_bytes(t->file->options.format));
    }
    return FOV_OK;
}

/* The row of tiles from row y on, when all of them are placed. */
static fov_status pass_band(fov_tiff *t, size_t y, const fov_window *w, fov_image *image) {
    const size_t bytes = w->width * fov_pixel_bytes(t->file->options.format), bottom = lesser(y + t->block_height, w->top + w->height);
    for (size_t r = greater(y, w->top), one = 1; r < bottom; r++) {
        uint8_t *to;
        FOV_TRY(fov_codec_rows(t->file, w, image, r - w->top, &one, &to));
        memcpy(to, t->band + r % t->block_height * bytes, bytes);
    }
    return FOV_OK;
}

static fov_status make_room(fov_tiff *t, const fov_window *w, fov_image *image) {
    const fov_pixel_format format = t->file->options.format;
    const size_t block = t->block_width * t->block_height * t->pixel_bytes;
    FOV_TRY(fov_codec_room(t->file, w, image));
    FOV_TRY_ALLOC(fov_codec_scratch(&t->block, &t->block_bytes, block));
    if (t->separate) {
        FOV_TRY_ALLOC(fov_codec_scratch(&t->mixed, &t->mixed_bytes, block * t->planes));
    }
    if (t->palette) {
        FOV_TRY_ALLOC(fov_codec_scratch(&t->row, &t->row_bytes, 6 * t->block_width));
    }
    if (t->tiled && t->file->strips != NULL) {
        const size_t sides[3] = {w->width, t->block_height, fov_pixel_bytes(format)};
        size_t band;
        if (!fov_product_size(sides, 3, &band) || band > FOV_IMAGE_MAX_BYTES) {
            return FOV_FAIL(FOV_E_LIMIT, "TIFF: tiles of %zu rows are more than a picture may hold", t->block_height);
        }
        FOV_TRY_ALLOC(fov_codec_scratch(&t->band, &t->band_bytes, band));
    }
    if (t->file->options.lenient) {
        memset(image->pixels, GREY, w->width * w->height * fov_pixel_bytes(format));
    }
    return FOV_OK;
}

/* The blocks from row y on that meet the window; *good counts those that can be read. */
static fov_status read_across(fov_tiff *t, size_t y, const fov_window *w, fov_image *image, size_t *good) {
    for (size_t x = w->left / t->block_width * t->block_width; x < w->left + w->width; x += t->block_width) {
        const uint8_t *const block = load_block(t, x, y);
        if ((block == NULL || t->warnings > 0) && !t->file->options.lenient) {
            return fail(t);
        }
        if (block != NULL) {
            FOV_TRY(place_block(t, block, x, y, w, image));
        }
        *good += block != NULL;
        t->file->warnings += block == NULL;
    }
    if (t->tiled && t->file->strips != NULL) {
        FOV_TRY(pass_band(t, y, w, image));
    }
    return FOV_OK;
}

static fov_status tiff_read(void *state, fov_codec_file *file, const fov_window *w, fov_image *image) {
    fov_tiff *const t = state;
    size_t good = 0;
    FOV_TRY(make_room(t, w, image));
    t->warnings = 0;
    t->message[0] = '\0';
    for (size_t y = t->plain ? w->top : w->top / t->block_height * t->block_height; y < w->top + w->height; y += rows_of(t, y)) {
        FOV_TRY(read_across(t, y, w, image, &good));
        FOV_TRY(t->taken);
    }
    file->warnings += t->warnings;
    return good > 0 ? FOV_OK : fail(t);
}

static void tiff_close(void *state) {
    fov_tiff *const t = state;
    if (t->tiff != NULL) {
        TIFFClose(t->tiff);
        t->tiff = NULL;
    }
    fov_codec_trim(&t->block, &t->block_bytes);
    fov_codec_trim(&t->mixed, &t->mixed_bytes);
    fov_codec_trim(&t->band, &t->band_bytes);
}

static void tiff_clear(void *state) {
    fov_tiff *const t = state;
    fov_mem_free(t->block);
    fov_mem_free(t->mixed);
    fov_mem_free(t->row);
    fov_mem_free(t->band);
}

const fov_codec fov_codec_tiff = {.kind = FOV_IMAGE_TIFF,
                                  .by_pieces = true,
                                  .state_bytes = sizeof(fov_tiff),
                                  .open = tiff_open,
                                  .read = tiff_read,
                                  .close = tiff_close,
                                  .clear = tiff_clear};
