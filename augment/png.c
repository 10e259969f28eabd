/* PNG by libpng's row interface: decoding from memory, header probe, writing. The only file that includes png.h.
 *
 * The simplified interface (png_image_*) is not used: most of the holes found in libpng lately are there. IHDR is read by us first, so
 * that caps are checked before libpng allocates anything; ancillary chunks other than tRNS are passed over unread (profiles, texts and
 * gamma do not change our pixels, and compressed ones are how small files ask for much memory). One fixed set of transforms: palette and
 * 1, 2, 4 bits -> 8, tRNS -> alpha, 16 bits -> 8 rounded, gray -> RGB. Interlaced images with alpha need the whole frame; all others
 * go row by row.
 *
 * Errors leave libpng by longjmp to `guarded`. Nothing is owned in between: the codec object owns libpng's state and the scratch, the
 * caller owns the image. libpng's memory comes through our allocator. Deflate cannot expand beyond 1032 : 1, so a file whose
 * declared rows are larger than that is refused before anything is allocated. */
#include <setjmp.h>
#include <string.h>

#include <png.h>

#include "augment/codec.h"
#include "augment/exif.h"
#include "base/checked.h"
#include "base/io.h"

enum { HEADER_BYTES = 33, GREY = 128, DEFLATE_RATIO = 1032, MESSAGE_BYTES = 160 };

typedef struct png_header {
    uint32_t width, height;
    unsigned bits, color, interlace;
} png_header;

struct fov_png {
    png_structp png;
    png_infop info;
    jmp_buf jump;
    fov_status status;
    char message[MESSAGE_BYTES];
    bool out_of_memory;
    const uint8_t *bytes;
    size_t size, at;
    const fov_decode_options *options;
    fov_image *image;
    png_header header;
    size_t warnings, rows_read;
    bool damaged;     /* a warning about a chunk that makes pixels; its text is in `message` */
    bool alpha;       /* rows come with four channels */
    uint8_t *scratch; /* one row, or the frame, of four channels */
    size_t scratch_bytes;
};

fov_status fov_png_new(fov_png **png) {
    *png = fov_mem_zalloc(FOV_MEM_IMAGE, sizeof **png);
    FOV_TRY_ALLOC(*png);
    return FOV_OK;
}

void fov_png_free(fov_png *png) {
    if (png != NULL) {
        fov_mem_free(png->scratch);
        fov_mem_free(png);
    }
}

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

fov_status fov_png_probe(const uint8_t *bytes, size_t size, const fov_decode_options *options, fov_image_info *info) {
    png_header h = {0};
    FOV_TRY(read_ihdr(bytes, size, options, &h));
    info->width = h.width;
    info->height = h.height;
    info->channels_in_file = h.color == PNG_COLOR_TYPE_PALETTE ? 3 : channels_of(h.color);
    info->bits = h.bits;
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
    p->warnings++;
    if (!p->damaged && !is_harmless(text)) {
        p->damaged = true;
        keep_message(p, text);
    }
}

static void on_read(png_structp png, png_bytep out, size_t count) {
    fov_png *const p = png_get_io_ptr(png);
    if (count > p->size - p->at) {
        png_error(png, "the file is truncated");
    }
    memcpy(out, p->bytes + p->at, count);
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

/* Exact round((c a + b (255 - a)) / 255); 255 is odd, so there are no ties. */
static uint8_t blend(unsigned c, unsigned a, unsigned b) {
    return (uint8_t)((c * a + b * (255 - a) + 127) / 255);
}

static void composite(const uint8_t *rgba, uint8_t *rgb, size_t count, unsigned back) {
    for (size_t i = 0; i < count; i++) {
        const unsigned a = rgba[4 * i + 3];
        for (size_t c = 0; c < 3; c++) {
            rgb[3 * i + c] = blend(rgba[4 * i + c], a, back);
        }
    }
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
    if (p->options->lenient) {
        png_set_crc_action(p->png, PNG_CRC_WARN_USE, PNG_CRC_WARN_DISCARD);
    }
}

static void set_transforms(fov_png *p) {
    png_set_expand(p->png);
    png_set_scale_16(p->png);
    png_set_gray_to_rgb(p->png);
    if (p->options->alpha == FOV_ALPHA_DROP) {
        png_set_strip_alpha(p->png);
    }
    (void)png_set_interlace_handling(p->png);
    png_read_update_info(p->png, p->info);
    const unsigned channels = png_get_channels(p->png, p->info);
    FOV_ASSERT((channels == 3 || channels == 4) && png_get_rowbytes(p->png, p->info) == (size_t)p->header.width * channels);
    p->alpha = channels == 4;
}

static void make_room(fov_png *p) {
    const size_t width = p->header.width, height = p->header.height;
    const size_t need = !p->alpha ? 0 : width * 4 * (p->header.interlace != 0 ? height : 1);
    const fov_status status = fov_image_resize_storage(p->image, width, height, p->options->format);
    if (status != FOV_OK) {
        p->out_of_memory = status == FOV_E_NOMEM;
        leave(p, status);
    }
    if (need > p->scratch_bytes) {
        fov_mem_free(p->scratch);
        p->scratch_bytes = 0;
        p->scratch = fov_mem_alloc(FOV_MEM_IMAGE, need);
        if (p->scratch == NULL) {
            p->out_of_memory = true;
            leave(p, FOV_E_NOMEM);
        }
        p->scratch_bytes = need;
    }
    /* Deinterlacing leaves pixels of later passes alone, and lenient decoding may stop anywhere: grey as libjpeg fills. */
    memset(p->image->pixels, GREY, width * height * 3);
    if (need > 0) {
        memset(p->scratch, GREY, need);
    }
}

static unsigned backdrop(const fov_png *p) {
    return p->options->alpha == FOV_ALPHA_BLACK ? 0 : 255;
}

static void read_plain(fov_png *p) {
    const size_t width = p->header.width;
    for (size_t y = 0; y < p->header.height; y++) {
        uint8_t *const rgb = p->image->pixels + y * width * 3;
        png_read_row(p->png, p->alpha ? p->scratch : rgb, NULL);
        if (p->alpha) {
            composite(p->scratch, rgb, width, backdrop(p));
        }
        p->rows_read++;
    }
}

/* Seven passes over the frame; the composite waits until the last one (or in lenient mode, the end of the data). */
static void read_interlaced(fov_png *p) {
    uint8_t *const frame = p->alpha ? p->scratch : p->image->pixels;
    const size_t stride = (size_t)p->header.width * (p->alpha ? 4 : 3);
    for (int pass = 0; pass < 7; pass++) {
        for (size_t y = 0; y < p->header.height; y++) {
            png_read_row(p->png, frame + y * stride, NULL);
            p->rows_read++;
        }
    }
}

static void decode_body(fov_png *p) {
    open_reader(p);
    png_read_info(p->png, p->info);
    set_transforms(p);
    make_room(p);
    if (p->header.interlace != 0) {
        read_interlaced(p);
    } else {
        read_plain(p);
    }
    png_read_end(p->png, NULL);
}

static void guarded(fov_png *p) {
    if (setjmp(p->jump) == 0) {
        decode_body(p);
    }
    png_destroy_read_struct(&p->png, &p->info, NULL);
}

static fov_status fail(const fov_png *p) {
    if (p->status == FOV_E_NOMEM) {
        return FOV_E_NOMEM; /* the allocator has left its message */
    }
    return FOV_FAIL(p->status != FOV_OK ? p->status : FOV_E_FORMAT, "PNG: %s", p->message);
}

fov_status fov_png_decode(fov_png *p, const uint8_t *bytes, size_t size, const fov_decode_options *options, fov_image *image,
                          size_t *warnings) {
    png_header header;
    FOV_TRY(read_ihdr(bytes, size, options, &header));
    FOV_TRY(check_plausible(&header, size));
    uint8_t *const scratch = p->scratch;
    const size_t scratch_bytes = p->scratch_bytes;
    *p = (fov_png){.bytes = bytes,
                   .size = size,
                   .options = options,
                   .image = image,
                   .header = header,
                   .scratch = scratch,
                   .scratch_bytes = scratch_bytes};
    guarded(p);
    *warnings = p->warnings;
    const bool failed = p->status != FOV_OK || p->damaged;
    if (failed && (!options->lenient || p->status == FOV_E_NOMEM || p->rows_read == 0)) {
        return fail(p);
    }
    *warnings += p->status != FOV_OK ? 1 : 0;
    if (p->alpha && header.interlace != 0) {
        composite(p->scratch, image->pixels, (size_t)header.width * header.height, backdrop(p));
    }
    return FOV_OK;
}

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

/* PNG holds samples of 16 bits high byte first; ours are the machine's. */
static bool is_little_endian(void) {
    const uint16_t one = 1;
    uint8_t first;
    memcpy(&first, &one, 1);
    return first == 1;
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
