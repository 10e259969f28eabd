/* PNG by libpng's row interface: decoding from memory, header probe, writing. The only file that includes png.h.
 *
 * The simplified interface (png_image_*) is not used: most of the holes found in libpng lately are there. IHDR is read by us first, so
 * that caps are checked before libpng allocates anything; ancillary chunks other than tRNS are passed over unread (profiles, texts and
 * gamma do not change our pixels, and compressed ones are how small files ask for much memory). libpng makes samples of 8 or 16 bits out of
 * whatever there is (palette -> RGB, 1, 2, 4 bits -> 8, tRNS -> alpha); fov_samples_convert makes pixels of them. Rows above a part are
 * inflated and thrown away, those below it are not looked at. Interlaced images need the whole frame; all others go row by row.
 *
 * Errors leave libpng by longjmp to `guarded`. Nothing is owned in between: the codec's state owns libpng's and the scratch, the
 * caller owns the image. libpng's memory comes through our allocator. Deflate cannot expand beyond 1032 : 1, so a file whose
 * declared rows are larger than that is refused before anything is allocated. */
#include <setjmp.h>
#include <string.h>

#include <png.h>

#include "augment/codec.h"
#include "augment/exif.h"
#include "augment/samples.h"
#include "base/checked.h"
#include "base/io.h"

enum { HEADER_BYTES = 33, GREY = 128, DEFLATE_RATIO = 1032, MESSAGE_BYTES = 160 };

typedef struct png_header {
    uint32_t width, height;
    unsigned bits, color, interlace;
} png_header;

typedef struct fov_png {
    png_structp png;
    png_infop info;
    jmp_buf jump;
    fov_status status;
    char message[MESSAGE_BYTES];
    bool out_of_memory;
    fov_codec_file *file;
    const fov_window *window;
    fov_image *image;
    size_t at; /* of the file's bytes, the next to be read */
    png_header header;
    fov_samples samples; /* of the rows that libpng gives */
    size_t rows_read;
    bool damaged;     /* a warning about a chunk that makes pixels; its text is in `message` */
    uint8_t *scratch; /* one row, or the frame, of samples */
    size_t scratch_bytes;
    fov_status taken; /* of those who take rows and give bytes */
} fov_png;

/* ---- header ---- */

static uint32_t big32(const uint8_t *b) {
    return (uint32_t)b[0] << 24 | (uint32_t)b[1] << 16 | (uint32_t)b[2] << 8 | b[3];
}

/* Table 11.1 of the PNG specification: bit b is set where depth b is allowed; 0 for colour types that do not exist. */
static bool depth_allowed(unsigned color, unsigned bits) {
    static const uint32_t depths[7] = {1u << 1 | 1u << 2 | 1u << 4 | 1u << 8 | 1u << 16,
                                       0,
                                       1u << 8 | 1u << 16,
                                       1u << 1 | 1u << 2 | 1u << 4 | 1u << 8,
                                       1u << 8 | 1u << 16,
                                       0,
                                       1u << 8 | 1u << 16};
    return color < 7 && bits <= 16 && (depths[color] >> bits & 1u) != 0;
}

static unsigned channels_of(unsigned color) {
    static const unsigned channels[7] = {1, 0, 3, 1, 2, 0, 4};
    return channels[color];
}

static fov_status read_ihdr(const uint8_t *bytes, size_t size, const fov_decode_options *options, png_header *h) {
    if (size < HEADER_BYTES) {
        return FOV_FAIL(FOV_E_FORMAT, "PNG: ends within its header, after %zu bytes", size);
    }
    if (big32(bytes + 8) != 13 || memcmp(bytes + 12, "IHDR", 4) != 0) {
        return FOV_FAIL(FOV_E_FORMAT, "PNG: does not begin with an IHDR chunk of 13 bytes");
    }
    if (!options->lenient && big32(bytes + 29) != fov_png_crc(bytes + 12, 17)) {
        return FOV_FAIL(FOV_E_FORMAT, "PNG: IHDR: CRC error");
    }
    *h = (png_header){big32(bytes + 16), big32(bytes + 20), bytes[24], bytes[25], bytes[28]};
    if (!depth_allowed(h->color, h->bits) || bytes[26] != 0 || bytes[27] != 0 || h->interlace > 1 || h->width == 0 || h->height == 0) {
        return FOV_FAIL(FOV_E_FORMAT, "PNG: IHDR declares %u x %u pixels, colour type %u of %u bits, methods %u %u %u, which no PNG has",
                        h->width, h->height, h->color, h->bits, bytes[26], bytes[27], h->interlace);
    }
    return fov_image_check_caps("PNG", h->width, h->height, options);
}

/* Interlacing only adds to the bytes before compression. Sizes fit in 64 bits: sides are capped at 65,500. */
static fov_status check_plausible(const png_header *h, size_t size) {
    const uint64_t row = ((uint64_t)h->width * channels_of(h->color) * h->bits + 7) / 8;
    const uint64_t raw = h->interlace == 0 ? (row + 1) * h->height : (uint64_t)h->width * h->height * channels_of(h->color) * h->bits / 8;
    if (raw / DEFLATE_RATIO > size) {
        return FOV_FAIL(FOV_E_FORMAT, "PNG: %zu bytes cannot hold the %u x %u pixels that the header declares", size, h->width, h->height);
    }
    return FOV_OK;
}

/* Samples as the file has them. A tRNS chunk, which comes later, may add a cover. */
static fov_samples samples_of(const png_header *h) {
    const unsigned channels = h->color == PNG_COLOR_TYPE_PALETTE ? 3 : channels_of(h->color);
    return (fov_samples){.planes = channels,
                         .deep = h->bits == 16,
                         .meaning = channels < 3 ? FOV_MEANS_GRAY : FOV_MEANS_RGB,
                         .cover = channels % 2 == 0 ? FOV_COVER_STRAIGHT : FOV_COVER_NONE};
}

static fov_status png_open(void *state, fov_codec_file *file) {
    fov_png *const p = state;
    fov_piece head;
    FOV_TRY(fov_codec_piece(file, 0, HEADER_BYTES, &head));
    FOV_TRY(read_ihdr(head.bytes, head.size, &file->options, &p->header));
    p->samples = samples_of(&p->header);
    FOV_TRY(fov_samples_check("PNG", &p->samples, file->options.format));
    file->info.width = p->header.width;
    file->info.height = p->header.height;
    file->info.channels_in_file = (unsigned)p->samples.planes;
    file->info.bits = p->header.bits;
    FOV_TRY(fov_exif_orientation_png(file, &file->info.orientation));
    file->by_rows = p->header.interlace == 0;
    return FOV_OK;
}

/* ---- callbacks ---- */

static void keep_message(fov_png *p, const char *text) {
    size_t n = 0;
    for (; text[n] != '\0' && n + 1 < sizeof p->message; n++) {
        p->message[n] = text[n];
    }
    p->message[n] = '\0';
}

static _Noreturn void leave(fov_png *p, fov_status status) {
    p->status = status;
    longjmp(p->jump, 1);
}

static void on_error(png_structp png, png_const_charp text) {
    fov_png *const p = png_get_error_ptr(png);
    if (!p->damaged) {
        keep_message(p, text);
    }
    leave(p, p->out_of_memory ? FOV_E_NOMEM : FOV_E_FORMAT);
}

/* libpng puts the chunk's name before warnings that concern one. Those about the chunks that make pixels mean wrong or missing data: a
 * checksum of zlib or of the chunk, a transparency table out of place. Bytes after the end of the compressed data are harmless, and so
 * is anything about chunks that are passed over. */
static bool is_harmless(const char *text) {
    static const char *const pixels[] = {"IHDR", "PLTE", "tRNS", "IDAT", "IEND"};
    for (size_t i = 0; i < sizeof pixels / sizeof pixels[0]; i++) {
        if (strncmp(text, pixels[i], 4) == 0) {
            return strstr(text, "xtra compressed data") != NULL || strstr(text, "oo much image data") != NULL;
        }
    }
    return true;
}

/* Does not jump: libpng does not expect that of a warning. The decoder looks at `damaged` when libpng has returned. */
static void on_warning(png_structp png, png_const_charp text) {
    fov_png *const p = png_get_error_ptr(png);
    p->file->warnings++;
    if (!p->damaged && !is_harmless(text)) {
        p->damaged = true;
        keep_message(p, text);
    }
}

static void on_read(png_structp png, png_bytep out, size_t count) {
    fov_png *const p = png_get_io_ptr(png);
    if (count > p->file->size - p->at) {
        png_error(png, "the file is truncated");
    }
    fov_piece piece;
    p->taken = fov_codec_piece(p->file, p->at, count, &piece);
    if (p->taken != FOV_OK) {
        leave(p, p->taken);
    }
    memcpy(out, piece.bytes, count);
    p->at += count;
}

static png_voidp on_alloc(png_structp png, png_alloc_size_t bytes) {
    void *const block = fov_mem_alloc(FOV_MEM_IMAGE, bytes);
    fov_png *const p = png_get_mem_ptr(png);
    if (block == NULL && p != NULL) {
        p->out_of_memory = true;
    }
    return block;
}

static void on_free(png_structp png, png_voidp block) {
    (void)png;
    fov_mem_free(block);
}

/* ---- pixels ---- */

/* PNG holds samples of 16 bits high byte first; ours are the machine's. */
static bool is_little_endian(void) {
    const uint16_t one = 1;
    uint8_t first;
    memcpy(&first, &one, 1);
    return first == 1;
}

static void open_reader(fov_png *p) {
    p->png = png_create_read_struct_2(PNG_LIBPNG_VER_STRING, p, on_error, on_warning, p, on_alloc, on_free);
    p->info = p->png != NULL ? png_create_info_struct(p->png) : NULL;
    if (p->info == NULL) {
        keep_message(p, p->out_of_memory ? "out of memory" : "libpng is not of the version this program was built for");
        leave(p, p->out_of_memory ? FOV_E_NOMEM : FOV_E_UNSUPPORTED);
    }
    png_set_read_fn(p->png, p, on_read);
    png_set_user_limits(p->png, (png_uint_32)FOV_IMAGE_MAX_SIDE, (png_uint_32)FOV_IMAGE_MAX_SIDE);
    png_set_chunk_cache_max(p->png, 8);
    png_set_chunk_malloc_max(p->png, (png_alloc_size_t)1 << 20);
    png_set_keep_unknown_chunks(p->png, PNG_HANDLE_CHUNK_NEVER, NULL, -1); /* and the ancillary ones it knows, but tRNS */
    if (p->file->options.lenient) {
        png_set_crc_action(p->png, PNG_CRC_WARN_USE, PNG_CRC_WARN_DISCARD);
    }
}

/* Between the two readings of the header its bytes may have changed, where they come from a file. */
static void check_header(fov_png *p) {
    const png_header *h = &p->header;
    if (png_get_image_width(p->png, p->info) != h->width || png_get_image_height(p->png, p->info) != h->height ||
        png_get_bit_depth(p->png, p->info) != h->bits || png_get_color_type(p->png, p->info) != h->color ||
        png_get_interlace_type(p->png, p->info) != h->interlace) {
        png_error(p->png, "the file changed while it was read");
    }
}

static void set_transforms(fov_png *p) {
    check_header(p);
    png_set_expand(p->png);
    if (p->samples.deep && is_little_endian()) {
        png_set_swap(p->png);
    }
    (void)png_set_interlace_handling(p->png);
    png_read_update_info(p->png, p->info);
    const unsigned channels = png_get_channels(p->png, p->info);
    if (channels == p->samples.planes + 1) {
        p->samples.planes++; /* by a tRNS chunk */
        p->samples.cover = FOV_COVER_STRAIGHT;
    }
    FOV_ASSERT(channels == p->samples.planes &&
               png_get_rowbytes(p->png, p->info) == (size_t)p->header.width * channels * (p->samples.deep ? 2 : 1));
}

static size_t row_bytes(const fov_png *p) {
    return (size_t)p->header.width * p->samples.planes * (p->samples.deep ? 2 : 1);
}

/* Rows that are pixels already, of a whole picture, are decoded into the image. */
static bool is_straight(const fov_png *p) {
    return p->window->width == p->header.width && fov_samples_fit(&p->samples, p->file->options.format) &&
           (p->header.interlace == 0 || p->window->height == p->header.height);
}

static void make_room(fov_png *p) {
    const bool frame = p->header.interlace != 0;
    const size_t need = frame && is_straight(p) ? 0 : row_bytes(p) * (frame ? p->header.height : 1);
    fov_status status = fov_codec_room(p->file, p->window, p->image);
    if (status == FOV_OK && need > 0 && fov_codec_scratch(&p->scratch, &p->scratch_bytes, need) == NULL) {
        status = FOV_E_NOMEM;
    }
    if (status != FOV_OK) {
        p->out_of_memory = status == FOV_E_NOMEM;
        leave(p, status);
    }
    /* Deinterlacing leaves pixels of later passes alone, and lenient decoding may stop anywhere: grey as libjpeg fills. */
    if (frame && need > 0) {
        memset(p->scratch, GREY, need);
    }
    if (frame || p->file->options.lenient) {
        memset(p->image->pixels, GREY, p->window->width * p->window->height * fov_pixel_bytes(p->file->options.format));
    }
}

static uint8_t *image_row(fov_png *p, size_t y) {
    size_t count = 1;
    uint8_t *row = NULL;
    p->taken = fov_codec_rows(p->file, p->window, p->image, y, &count, &row);
    if (p->taken != FOV_OK) {
        leave(p, p->taken);
    }
    return row;
}

/* `row` is a row of the file, and comes into row y of the image. */
static void convert_row(fov_png *p, const uint8_t *row, size_t y) {
    const size_t left = p->window->left * p->samples.planes * (p->samples.deep ? 2 : 1);
    fov_samples_convert(&p->samples, &p->file->options, row + left, p->window->width, image_row(p, y));
}

/* Rows that are wanted and need converting. */
static bool is_converted(const fov_png *p, size_t y) {
    return !is_straight(p) && y >= p->window->top && y < p->window->top + p->window->height;
}

static void read_plain(fov_png *p) {
    const size_t top = p->window->top, end = top + p->window->height;
    for (size_t y = 0; y < end; y++, p->rows_read++) {
        if (p->file->options.lenient) {
            memset(p->scratch, GREY, row_bytes(p)); /* libpng may fail before or after it gives the row */
        }
        png_read_row(p->png, is_straight(p) && y >= top ? image_row(p, y - top) : p->scratch, NULL);
        if (is_converted(p, y)) {
            convert_row(p, p->scratch, y - top);
        }
    }
}

/* Seven passes over the frame; what needs converting waits until the last one (or in lenient mode, the end of the data). */
static void read_interlaced(fov_png *p) {
    uint8_t *const frame = is_straight(p) ? p->image->pixels : p->scratch;
    for (int pass = 0; pass < 7; pass++) {
        for (size_t y = 0; y < p->header.height; y++, p->rows_read++) {
            png_read_row(p->png, frame + y * row_bytes(p), NULL);
        }
    }
}

static void convert_frame(fov_png *p) {
    for (size_t y = 0; y < p->window->height && !is_straight(p); y++) {
        convert_row(p, p->scratch + (p->window->top + y) * row_bytes(p), y);
    }
}

static void read_body(fov_png *p) {
    open_reader(p);
    png_read_info(p->png, p->info);
    set_transforms(p);
    make_room(p);
    if (p->header.interlace != 0) {
        read_interlaced(p);
        png_read_end(p->png, NULL);
        return;
    }
    read_plain(p);
    if (p->window->top + p->window->height == p->header.height) {
        png_read_end(p->png, NULL);
    }
}

/* ---- entry points ---- */

static void png_close(void *state) {
    fov_png *const p = state;
    png_destroy_read_struct(&p->png, &p->info, NULL);
    fov_codec_trim(&p->scratch, &p->scratch_bytes);
}

static void png_clear(void *state) {
    fov_png *const p = state;
    fov_mem_free(p->scratch);
}

static void guarded(fov_png *p) {
    if (setjmp(p->jump) == 0) {
        read_body(p);
    }
}

static fov_status fail(const fov_png *p) {
    if (p->status == FOV_E_NOMEM || p->taken != FOV_OK) {
        return p->status; /* with its message */
    }
    return FOV_FAIL(p->status != FOV_OK ? p->status : FOV_E_FORMAT, "PNG: %s", p->message);
}

static fov_status png_read(void *state, fov_codec_file *file, const fov_window *window, fov_image *image) {
    fov_png *const p = state;
    FOV_TRY(check_plausible(&p->header, file->size));
    p->status = p->taken = FOV_OK;
    p->message[0] = '\0';
    p->out_of_memory = p->damaged = false;
    p->at = p->rows_read = 0;
    p->file = file;
    p->window = window;
    p->image = image;
    guarded(p);
    const bool failed = p->status != FOV_OK || p->damaged;
    if (failed && (!file->options.lenient || p->status == FOV_E_NOMEM || p->rows_read == 0)) {
        return fail(p);
    }
    file->warnings += p->status != FOV_OK ? 1 : 0;
    if (p->header.interlace != 0) {
        convert_frame(p);
    } else if (p->status != FOV_OK && is_converted(p, p->rows_read)) {
        convert_row(p, p->scratch, p->rows_read - window->top); /* the row at which it failed */
    }
    return FOV_OK;
}

const fov_codec fov_codec_png = {.kind = FOV_IMAGE_PNG,
                                 .by_pieces = true,
                                 .state_bytes = sizeof(fov_png),
                                 .open = png_open,
                                 .read = png_read,
                                 .close = png_close,
                                 .clear = png_clear};

/* ---- writing ---- */

typedef struct png_output {
    png_structp png;
    png_infop info;
    jmp_buf jump;
    fov_status status;
    bool out_of_memory;
    fov_writer *writer;
    const char *path;
    const uint8_t *pixels;
    png_uint_32 width, height;
    fov_pixel_format format;
} png_output;

static void output_error(png_structp png, png_const_charp text) {
    png_output *const out = png_get_error_ptr(png);
    out->status = out->out_of_memory ? FOV_E_NOMEM : FOV_FAIL(FOV_E_INVALID, "%s: writing PNG: %s", out->path, text);
    longjmp(out->jump, 1);
}

static void output_warning(png_structp png, png_const_charp text) {
    (void)png;
    (void)text;
}

static void output_write(png_structp png, png_bytep bytes, size_t count) {
    png_output *const out = png_get_io_ptr(png);
    const fov_status status = fov_writer_write(out->writer, bytes, count);
    if (status != FOV_OK) {
        out->status = status;
        longjmp(out->jump, 1);
    }
}

static void output_flush(png_structp png) {
    (void)png;
}

static png_voidp output_alloc(png_structp png, png_alloc_size_t bytes) {
    void *const block = fov_mem_alloc(FOV_MEM_IMAGE, bytes);
    png_output *const out = png_get_mem_ptr(png);
    if (block == NULL && out != NULL) {
        out->out_of_memory = true;
    }
    return block;
}

static void encode_body(png_output *out) {
    static const int colors[5] = {0, PNG_COLOR_TYPE_GRAY, PNG_COLOR_TYPE_GRAY_ALPHA, PNG_COLOR_TYPE_RGB, PNG_COLOR_TYPE_RGB_ALPHA};
    out->png = png_create_write_struct_2(PNG_LIBPNG_VER_STRING, out, output_error, output_warning, out, output_alloc, on_free);
    out->info = out->png != NULL ? png_create_info_struct(out->png) : NULL;
    if (out->info == NULL) {
        out->status = FOV_E_NOMEM;
        return;
    }
    png_set_write_fn(out->png, out, output_write, output_flush);
    png_set_user_limits(out->png, PNG_UINT_31_MAX, PNG_UINT_31_MAX);
    png_set_IHDR(out->png, out->info, out->width, out->height, out->format.deep ? 16 : 8, colors[out->format.channels], PNG_INTERLACE_NONE,
                 PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
    png_write_info(out->png, out->info);
    if (out->format.deep && is_little_endian()) {
        png_set_swap(out->png);
    }
    for (size_t y = 0; y < out->height; y++) {
        png_write_row(out->png, out->pixels + y * out->width * fov_pixel_bytes(out->format));
    }
    png_write_end(out->png, out->info);
}

static fov_status encode_guarded(png_output *out) {
    if (setjmp(out->jump) == 0) {
        encode_body(out);
    }
    png_destroy_write_struct(&out->png, &out->info);
    return out->status;
}

fov_status fov_image_write_png(const char *path, const uint8_t *pixels, size_t width, size_t height, fov_pixel_format format) {
    const size_t channels = format.channels == 0 ? 3 : format.channels;
    if (channels > 4 || width - 1 >= PNG_UINT_31_MAX / 8 || height - 1 >= PNG_UINT_31_MAX) {
        return FOV_FAIL(FOV_E_INVALID, "%s: a PNG has 1 to 4 channels and sides of at least 1, not %zu and %zu x %zu", path, channels,
                        width, height);
    }
    fov_status status = FOV_OK;
    fov_writer *writer = NULL;
    png_output *out = fov_mem_zalloc(FOV_MEM_IMAGE, sizeof *out);
    FOV_TRY_ALLOC(out);
    FOV_TRY_GOTO(status, done, fov_writer_open(&out->writer, path));
    out->path = path;
    out->pixels = pixels;
    out->width = (png_uint_32)width;
    out->height = (png_uint_32)height;
    out->format = (fov_pixel_format){.channels = channels, .deep = format.deep};
    FOV_TRY_GOTO(status, done, encode_guarded(out));
    writer = out->writer;
    out->writer = NULL; /* the commit frees it in every case */
    FOV_TRY_GOTO(status, done, fov_writer_commit(writer));
done:
    fov_writer_abort(out->writer);
    fov_mem_free(out);
    return status;
}
