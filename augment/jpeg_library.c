/* libjpeg(-turbo): decoding, whole or in part, and writing. The only file that includes jpeglib.h.
 *
 * Pixels are those of the accurate integer DCT and smooth ("fancy") upsampling: the same bits on every machine and those Pillow gives.
 *
 * Errors leave libjpeg by longjmp. Nothing is owned between setjmp and the jump: the codec's state owns libjpeg's and the row scratch, the
 * caller owns the image, and each body that runs under `guarded` reports through the state. Between `open` and `read` the decompressor
 * stands after the header. It is made anew for every file (0.08 us of the 360 that a photo of 400 x 533 takes): libjpeg remembers
 * tables from one image to the next, so a reused one would decode a file that lacks its tables with its predecessor's.
 *
 * Parts. Entropy coding has no way in, so all codes above the part are read; what is saved is the rest of the work on them, everything on
 * the columns beside the part, and all below it. libjpeg 2.1's skipping has wrong pixels and hangs in its history; what is used of it is
 * one skip before the first row, and one crop, in single-scan files of the usual sampling: tests/decode_sweep.h sweeps them against whole
 * pictures. Smooth upsampling makes pixels at the edges of what is decoded from fewer neighbours, so a column more is decoded on each side
 * and thrown away; of the rows, libjpeg decodes the one above by itself. In other files rows are decoded whole, down to the last one
 * needed.
 *
 * Bombs: the pixel cap is checked after the header; the file must hold at least one bit for each block it declares (no Huffman code
 * is shorter, and even a progressive file has one DC code per block); scans are capped by the progress monitor ("Two Issues with the JPEG
 * Standard", libjpeg-turbo 2015); libjpeg's coefficient memory is capped. */
#include <setjmp.h>
#include <stdio.h>
#include <string.h>

#include <jpeglib.h>

#include <jerror.h>

#include "augment/codec.h"
#include "augment/exif.h"
#include "augment/jpeg_library.h"
#include "augment/samples.h"
#include "base/io.h"

enum {
    MAX_SCANS = 100,
    FIRST_BYTES = 16384,
    LEAST_CROP = 16, /* columns: where only two of chroma are left, libjpeg does not smooth them */
    /* Of the scratch row: rows at multiples of 32 bytes libjpeg writes past the caches, from where they are slow to come back. (A photo of
     * 400 x 533 takes 411 us if all of its rows are at such places, 359 if none is, with the copying.) */
    ROW_OFFSET = 16
};
#define COEFFICIENT_BYTES (256L << 20) /* 4:2:0 progressive up to 89 Mpx */

struct fov_libjpeg {
    struct jpeg_decompress_struct info;
    struct jpeg_error_mgr errors;
    struct jpeg_source_mgr source;
    struct jpeg_progress_mgr progress;
    jmp_buf jump;
    fov_status status;
    bool live; /* `info` is to be destroyed */
    fov_codec_file *file;
    fov_samples samples;
    const fov_window *window;
    fov_image *image;
    uint8_t *row; /* scratch: a row as libjpeg gives it */
    size_t row_bytes;
    fov_piece piece;     /* what libjpeg reads from */
    size_t after_header; /* where its scan begins in the file */
};

typedef void (*jpeg_body)(fov_libjpeg *jpeg);

/* ---- errors and warnings ---- */

static _Noreturn void leave(fov_libjpeg *jpeg, fov_status status) {
    jpeg->status = status;
    longjmp(jpeg->jump, 1);
}

static fov_status status_of(int code) {
    switch (code) {
    case JERR_OUT_OF_MEMORY:
        return FOV_E_NOMEM;
    case JERR_NO_BACKING_STORE: /* what the memory manager says when max_memory_to_use is passed */
    case JERR_IMAGE_TOO_BIG:
    case JERR_WIDTH_OVERFLOW:
        return FOV_E_LIMIT;
    case JERR_ARITH_NOTIMPL:
    case JERR_BAD_PRECISION:
    case JERR_CCIR601_NOTIMPL:
    case JERR_CONVERSION_NOTIMPL:
    case JERR_FRACT_SAMPLE_NOTIMPL:
    case JERR_NOTIMPL:
    case JERR_NOT_COMPILED:
    case JERR_SOF_UNSUPPORTED:
        return FOV_E_UNSUPPORTED;
    default:
        return FOV_E_FORMAT;
    }
}

/* Warnings that leave every pixel as its encoder meant it. All others say that entropy-coded data was lost or made up: bad Huffman or
 * arithmetic codes, a segment or file that ends early, restart markers out of step, a progression that contradicts itself. */
static bool is_harmless(int code) {
    switch (code) {
    case JWRN_EXTRANEOUS_DATA: /* padding between segments, which cameras and editors write; codes are complete on both sides of it */
    case JWRN_ADOBE_XFORM:     /* an unknown transform code is read as the usual one */
    case JWRN_JFIF_MAJOR:      /* the revision of a header whose fields are not used */
    case JWRN_NOT_SEQUENTIAL:  /* spectral selection in a baseline scan, which has no meaning there and is ignored */
    case JWRN_BOGUS_ICC:       /* profiles are not used */
        return true;
    default:
        return false;
    }
}

static _Noreturn void refuse(j_common_ptr common, fov_status status) {
    char text[JMSG_LENGTH_MAX];
    common->err->format_message(common, text);
    leave(common->client_data, FOV_FAIL(status, "JPEG: %s", text));
}

static void on_error(j_common_ptr common) {
    refuse(common, status_of(common->err->msg_code));
}

static void on_message(j_common_ptr common, int level) {
    const fov_libjpeg *const jpeg = common->client_data;
    if (level >= 0) {
        return; /* tracing */
    }
    common->err->num_warnings++;
    if (!is_harmless(common->err->msg_code) && !jpeg->file->options.lenient) {
        refuse(common, FOV_E_FORMAT);
    }
}

static void on_output(j_common_ptr common) {
    (void)common;
}

static void on_progress(j_common_ptr common) {
    fov_libjpeg *const jpeg = common->client_data;
    if (jpeg->info.input_scan_number > MAX_SCANS) {
        leave(jpeg, FOV_FAIL(FOV_E_LIMIT, "JPEG: more than %d scans; no encoder needs them", MAX_SCANS));
    }
}

/* ---- source: the file in memory, or a piece of it after the other ---- */

static void demand(fov_libjpeg *jpeg, fov_status status) {
    if (status != FOV_OK) {
        leave(jpeg, status);
    }
}

static void source_nothing(j_decompress_ptr info) {
    (void)info;
}

static size_t source_at(const fov_libjpeg *jpeg) {
    return jpeg->piece.at + (size_t)(jpeg->source.next_input_byte - jpeg->piece.bytes);
}

static void source_go(fov_libjpeg *jpeg, size_t at) {
    const fov_codec_file *const file = jpeg->file;
    demand(jpeg, fov_codec_piece(file, at, 1, &jpeg->piece));
    /* Lenient decoding never looks at padding: damaged data would be read on into it. */
    const bool padded = at + jpeg->piece.size == file->size && !file->options.lenient;
    jpeg->source.next_input_byte = jpeg->piece.bytes;
    jpeg->source.bytes_in_buffer = jpeg->piece.size + (padded ? file->options.padding : 0);
}

/* Called when the bytes have run out: the next piece, or a warning, then an end-of-image marker as often as it takes. */
static boolean source_fill(j_decompress_ptr info) {
    static const JOCTET end[2] = {0xFF, JPEG_EOI};
    fov_libjpeg *const jpeg = info->client_data;
    const size_t next = jpeg->piece.at + jpeg->piece.size; /* libjpeg says only later how far it is */
    if (next < jpeg->file->size) {
        source_go(jpeg, next);
    } else {
        WARNMS(info, JWRN_JPEG_EOF);
        jpeg->piece = (fov_piece){.bytes = info->src->next_input_byte = end, .at = jpeg->file->size};
        info->src->bytes_in_buffer = sizeof end;
    }
    return TRUE;
}

static void source_skip(j_decompress_ptr info, long count) {
    fov_libjpeg *const jpeg = info->client_data;
    if (count <= 0) {
        return;
    }
    const size_t left = info->src->bytes_in_buffer, step = (size_t)count < left ? (size_t)count : left;
    info->src->next_input_byte += step;
    info->src->bytes_in_buffer = left - step; /* at 0 the next read calls source_fill */
    if ((size_t)count > left) {
        const size_t next = jpeg->piece.at + jpeg->piece.size, rest = jpeg->file->size - next, more = (size_t)count - left;
        jpeg->piece = (fov_piece){.bytes = info->src->next_input_byte, .at = next + (more < rest ? more : rest)};
    }
}

static void source_open(fov_libjpeg *jpeg) {
    jpeg->source = (struct jpeg_source_mgr){.init_source = source_nothing,
                                            .fill_input_buffer = source_fill,
                                            .skip_input_data = source_skip,
                                            .resync_to_restart = jpeg_resync_to_restart,
                                            .term_source = source_nothing};
    jpeg->info.src = &jpeg->source;
    source_go(jpeg, 0);
}

static void check_end(fov_libjpeg *jpeg) {
    if (source_at(jpeg) > jpeg->file->size && !jpeg->file->options.lenient) { /* decoded out of the padding */
        leave(jpeg, FOV_FAIL(FOV_E_FORMAT, "JPEG: Premature end of JPEG file"));
    }
}

/* ---- header ---- */

/* The output space is the file's own but for the rotation to RGB; fov_samples_convert does the rest. */
static void choose_output(fov_libjpeg *jpeg) {
    struct jpeg_decompress_struct *const info = &jpeg->info;
    switch (info->jpeg_color_space) {
    case JCS_GRAYSCALE:
        info->out_color_space = JCS_GRAYSCALE;
        jpeg->samples = (fov_samples){.planes = 1, .meaning = FOV_MEANS_GRAY};
        break;
    case JCS_YCbCr:
    case JCS_RGB:
        info->out_color_space = JCS_RGB;
        jpeg->samples = (fov_samples){.planes = 3, .meaning = FOV_MEANS_RGB};
        break;
    case JCS_CMYK:
    case JCS_YCCK:
        /* As Pillow, OpenCV and torchvision do, files without Adobe's marker are read the same way: writers of CMYK follow Adobe. */
        info->out_color_space = JCS_CMYK;
        jpeg->samples = (fov_samples){.planes = 4, .meaning = FOV_MEANS_CMYK};
        break;
    default:
        leave(jpeg, FOV_FAIL(FOV_E_UNSUPPORTED, "JPEG: %d colour components of unknown meaning", info->num_components));
    }
    info->dct_method = JDCT_ISLOW;
    info->do_fancy_upsampling = TRUE;
}

/* Scaling, skipping and cropping are used with the samplings that cameras and encoders write: the first component has 1 or 2 samples where
 * each other has 1, in each direction. With larger or fractional factors libjpeg 2.1 has been wrong. */
static bool usual_sampling(const struct jpeg_decompress_struct *info) {
    const jpeg_component_info *const c = info->comp_info;
    if (info->num_components == 1) {
        return c[0].h_samp_factor == 1 && c[0].v_samp_factor == 1;
    }
    return info->num_components == 3 && c[0].h_samp_factor <= 2 && c[0].v_samp_factor <= 2 && c[1].h_samp_factor == 1 &&
           c[1].v_samp_factor == 1 && c[2].h_samp_factor == 1 && c[2].v_samp_factor == 1;
}

static void open_body(fov_libjpeg *jpeg) {
    struct jpeg_decompress_struct *const info = &jpeg->info;
    fov_codec_file *const file = jpeg->file;
    jpeg_create_decompress(info);
    info->mem->max_memory_to_use = COEFFICIENT_BYTES;
    info->progress = &jpeg->progress;
    source_open(jpeg);
    (void)jpeg_read_header(info, TRUE);
    check_end(jpeg);
    jpeg->after_header = source_at(jpeg) < file->size ? source_at(jpeg) : file->size;
    if (info->arith_code || info->data_precision != 8) {
        leave(jpeg, FOV_FAIL(FOV_E_UNSUPPORTED, "JPEG: %s; only 8-bit Huffman-coded files are handled",
                             info->arith_code ? "arithmetic coding" : "samples are not of 8 bits"));
    }
    demand(jpeg, fov_image_check_caps("JPEG", info->image_width, info->image_height, &file->options));
    choose_output(jpeg);
    demand(jpeg, fov_samples_check("JPEG", &jpeg->samples, file->options.format));
    file->info.width = info->image_width;
    file->info.height = info->image_height;
    file->info.channels_in_file = (unsigned)info->num_components;
    file->info.bits = (unsigned)info->data_precision;
    demand(jpeg, fov_exif_orientation_jpeg(file, &file->info.orientation));
    file->most_shrink = usual_sampling(info) ? 8 : 1;
    file->by_rows = !jpeg_has_multiple_scans(info); /* else libjpeg keeps all coefficients */
}

/* ---- pixels ---- */

/* At least one bit per block; see the head of this file. */
static bool is_plausible(const fov_libjpeg *jpeg) {
    const struct jpeg_decompress_struct *const info = &jpeg->info;
    uint64_t blocks = 0;
    for (int c = 0; c < info->num_components; c++) {
        blocks += (uint64_t)info->comp_info[c].width_in_blocks * info->comp_info[c].height_in_blocks;
    }
    return blocks / 8 <= jpeg->file->size;
}

/* Crops and skips where that is safe: decoded rows then begin at the column that is returned, and the next one is the window's first. */
static size_t narrow(fov_libjpeg *jpeg) {
    struct jpeg_decompress_struct *const info = &jpeg->info;
    const fov_window *const w = jpeg->window;
    if (info->progressive_mode || info->comps_in_scan != info->num_components || !usual_sampling(info)) {
        return 0; /* several scans: all codes have been read by now */
    }
    size_t begin = w->left > 0 ? w->left - 1 : 0, end = w->left + w->width + 1;
    end = end < begin + LEAST_CROP ? begin + LEAST_CROP : end;
    end = end < info->output_width ? end : info->output_width;
    begin = begin + LEAST_CROP <= end ? begin : end - (end < LEAST_CROP ? end : LEAST_CROP);
    JDIMENSION left = (JDIMENSION)begin, width = (JDIMENSION)(end - begin);
    if (width < info->output_width) {
        jpeg_crop_scanline(info, &left, &width);
    }
    if (w->top > 0) {
        (void)jpeg_skip_scanlines(info, (JDIMENSION)w->top);
    }
    return left;
}

/* Rows come by way of the scratch even where they could be decoded into the image: there its place in memory is ours to choose. */
static void read_rows(fov_libjpeg *jpeg) {
    struct jpeg_decompress_struct *const info = &jpeg->info;
    const fov_window *const w = jpeg->window;
    const size_t first = narrow(jpeg), row_bytes = (size_t)info->output_width * jpeg->samples.planes;
    if (fov_codec_scratch(&jpeg->row, &jpeg->row_bytes, ROW_OFFSET + row_bytes) == NULL) {
        leave(jpeg, FOV_E_NOMEM);
    }
    JSAMPROW row = jpeg->row + ROW_OFFSET;
    while (info->output_scanline < w->top + w->height) {
        const bool wanted = info->output_scanline >= w->top;
        (void)jpeg_read_scanlines(info, &row, 1);
        if (wanted) {
            size_t count = 1;
            uint8_t *to;
            demand(jpeg, fov_codec_rows(jpeg->file, w, jpeg->image, info->output_scanline - 1 - w->top, &count, &to));
            fov_samples_convert(&jpeg->samples, &jpeg->file->options, row + (w->left - first) * jpeg->samples.planes, w->width, to);
        }
    }
}

/* libjpeg is content with a file in which a component, or in a progressive file its DC scan, never comes; its pixels are then grey. */
static void check_components(fov_libjpeg *jpeg) {
    const struct jpeg_decompress_struct *const info = &jpeg->info;
    for (int c = 0; c < info->num_components; c++) {
        const bool no_dc = info->progressive_mode && info->coef_bits != NULL && info->coef_bits[c][0] < 0;
        if (info->comp_info[c].quant_table == NULL || no_dc) {
            leave(jpeg, FOV_FAIL(FOV_E_FORMAT, "JPEG: no scan brings colour component %d of %d", c + 1, info->num_components));
        }
    }
}

static void read_body(fov_libjpeg *jpeg) {
    struct jpeg_decompress_struct *const info = &jpeg->info;
    if (!is_plausible(jpeg)) {
        leave(jpeg, FOV_FAIL(FOV_E_FORMAT, "JPEG: %zu bytes cannot hold the %u x %u pixels that the header declares", jpeg->file->size,
                             info->image_width, info->image_height));
    }
    source_go(jpeg, jpeg->after_header); /* others have read since */
    demand(jpeg, fov_codec_room(jpeg->file, jpeg->window, jpeg->image));
    info->scale_num = 1;
    info->scale_denom = jpeg->window->shrink;
    (void)jpeg_start_decompress(info);
    read_rows(jpeg);
    if (!jpeg->file->options.lenient) {
        check_components(jpeg);
    }
    if (info->output_scanline == info->output_height) {
        (void)jpeg_finish_decompress(info); /* looks at what follows the last row, too */
    }
    check_end(jpeg);
}

/* ---- for the codec ---- */

size_t fov_libjpeg_after_header(const fov_libjpeg *jpeg) {
    return jpeg->after_header;
}

/* What jpeg_baseline.h asks for, out of the header; false for files of another kind. */
bool fov_libjpeg_frame(const fov_libjpeg *jpeg, fov_jpeg_frame *frame) {
    const struct jpeg_decompress_struct *const info = &jpeg->info;
    const fov_codec_file *const file = jpeg->file;
    const fov_pixel_format format = file->options.format;
    const bool known = info->jpeg_color_space == JCS_YCbCr || info->jpeg_color_space == JCS_GRAYSCALE;
    if (file->options.lenient || format.channels != 3 || format.deep || !known || info->progressive_mode ||
        info->num_components > FOV_JPEG_COMPONENTS || info->comps_in_scan != info->num_components || !is_plausible(jpeg)) {
        return false;
    }
    *frame = (fov_jpeg_frame){.width = info->image_width,
                              .height = info->image_height,
                              .component_count = (unsigned)info->num_components,
                              .restart_interval = info->restart_interval};
    for (int i = 0; i < info->num_components; i++) {
        const jpeg_component_info *const c = info->cur_comp_info[i];
        /* The numbers come from the file, and libjpeg looks at them only when it starts to decode. */
        if (c->quant_tbl_no < 0 || c->quant_tbl_no >= NUM_QUANT_TBLS || c->dc_tbl_no < 0 || c->dc_tbl_no >= NUM_HUFF_TBLS ||
            c->ac_tbl_no < 0 || c->ac_tbl_no >= NUM_HUFF_TBLS) {
            return false;
        }
        const JQUANT_TBL *const quant = info->quant_tbl_ptrs[c->quant_tbl_no];
        const JHUFF_TBL *const dc = info->dc_huff_tbl_ptrs[c->dc_tbl_no], *const ac = info->ac_huff_tbl_ptrs[c->ac_tbl_no];
        if (c != &info->comp_info[i] || quant == NULL || dc == NULL || ac == NULL) {
            return false;
        }
        frame->component[i] = (fov_jpeg_component){.h = (unsigned)c->h_samp_factor,
                                                   .v = (unsigned)c->v_samp_factor,
                                                   .quant = quant->quantval,
                                                   .dc_counts = dc->bits,
                                                   .dc_symbols = dc->huffval,
                                                   .ac_counts = ac->bits,
                                                   .ac_symbols = ac->huffval};
    }
    return true;
}

static fov_status guarded(fov_libjpeg *jpeg, jpeg_body body) {
    jpeg->status = FOV_OK;
    if (setjmp(jpeg->jump) == 0) {
        body(jpeg);
    }
    jpeg->file->warnings = (size_t)jpeg->errors.num_warnings;
    return jpeg->status;
}

fov_status fov_libjpeg_open(fov_libjpeg **library, fov_codec_file *file) {
    if (*library == NULL) {
        *library = fov_mem_zalloc(FOV_MEM_IMAGE, sizeof **library);
        FOV_TRY_ALLOC(*library);
    }
    fov_libjpeg *const jpeg = *library;
    memset(&jpeg->info, 0, sizeof jpeg->info);
    jpeg->info.err = jpeg_std_error(&jpeg->errors);
    jpeg->errors.error_exit = on_error;
    jpeg->errors.emit_message = on_message;
    jpeg->errors.output_message = on_output;
    jpeg->progress.progress_monitor = on_progress;
    jpeg->info.client_data = jpeg;
    jpeg->live = true;
    jpeg->file = file;
    FOV_TRY(guarded(jpeg, open_body));
    return FOV_OK;
}

fov_status fov_libjpeg_read(fov_libjpeg *jpeg, fov_codec_file *file, const fov_window *window, fov_image *image) {
    jpeg->file = file;
    jpeg->window = window;
    jpeg->image = image;
    return guarded(jpeg, read_body);
}

void fov_libjpeg_close(fov_libjpeg *jpeg) {
    if (jpeg->live) {
        jpeg_destroy_decompress(&jpeg->info);
        jpeg->live = false;
    }
}

void fov_libjpeg_free(fov_libjpeg *jpeg) {
    if (jpeg != NULL) {
        fov_mem_free(jpeg->row);
        fov_mem_free(jpeg);
    }
}

/* ---- writing ---- */

/* Rows go in, bytes come into a growing block. */
typedef struct jpeg_output {
    struct jpeg_compress_struct info;
    struct jpeg_error_mgr errors;
    struct jpeg_destination_mgr target;
    jmp_buf jump;
    fov_status status;
    const uint8_t *pixels;
    size_t width, height, channels;
    int quality;
    uint8_t *bytes;
    size_t size, capacity;
} jpeg_output;

static _Noreturn void output_error(j_common_ptr common) {
    jpeg_output *const out = common->client_data;
    char text[JMSG_LENGTH_MAX];
    common->err->format_message(common, text);
    out->status = FOV_FAIL(status_of(common->err->msg_code), "writing JPEG: %s", text);
    longjmp(out->jump, 1);
}

/* Called at the start and whenever the block is full: libjpeg looks at the counts in the manager only when a call ends. */
static boolean target_grow(j_compress_ptr info) {
    jpeg_output *const out = info->client_data;
    const size_t used = out->capacity, capacity = used == 0 ? FIRST_BYTES : 2 * used;
    uint8_t *const bytes = fov_mem_realloc(FOV_MEM_IMAGE, out->bytes, capacity);
    if (bytes == NULL) {
        out->status = FOV_E_NOMEM;
        longjmp(out->jump, 1);
    }
    out->bytes = bytes;
    out->capacity = capacity;
    info->dest->next_output_byte = bytes + used;
    info->dest->free_in_buffer = capacity - used;
    return TRUE;
}

static void target_init(j_compress_ptr info) {
    (void)target_grow(info);
}

static void target_end(j_compress_ptr info) {
    jpeg_output *const out = info->client_data;
    out->size = out->capacity - info->dest->free_in_buffer;
}

static void compress_body(jpeg_output *out) {
    struct jpeg_compress_struct *const info = &out->info;
    jpeg_create_compress(info);
    out->target =
        (struct jpeg_destination_mgr){.init_destination = target_init, .empty_output_buffer = target_grow, .term_destination = target_end};
    info->dest = &out->target;
    info->image_width = (JDIMENSION)out->width;
    info->image_height = (JDIMENSION)out->height;
    info->input_components = (int)out->channels;
    info->in_color_space = out->channels == 1 ? JCS_GRAYSCALE : JCS_RGB;
    jpeg_set_defaults(info);
    jpeg_set_quality(info, out->quality, TRUE);
    info->dct_method = JDCT_ISLOW;
    info->optimize_coding = TRUE; /* fewer bytes are less to decode, each time */
    jpeg_start_compress(info, TRUE);
    while (info->next_scanline < info->image_height) {
        /* libjpeg takes rows it does not change without const; the copy through uintptr_t says that this is known. */
        JSAMPROW row = (JSAMPROW)(uintptr_t)(out->pixels + info->next_scanline * out->width * out->channels);
        (void)jpeg_write_scanlines(info, &row, 1);
    }
    jpeg_finish_compress(info);
}

static fov_status compress_guarded(jpeg_output *out) {
    out->info.err = jpeg_std_error(&out->errors);
    out->errors.error_exit = output_error;
    out->errors.output_message = on_output;
    out->info.client_data = out;
    if (setjmp(out->jump) == 0) {
        compress_body(out);
    }
    jpeg_destroy_compress(&out->info);
    return out->status;
}

fov_status fov_codec_jpeg_encode(const uint8_t *pixels, size_t width, size_t height, size_t channels, int quality, fov_blob *blob) {
    jpeg_output *out = fov_mem_zalloc(FOV_MEM_IMAGE, sizeof *out);
    FOV_TRY_ALLOC(out);
    out->pixels = pixels;
    out->width = width;
    out->height = height;
    out->channels = channels;
    out->quality = quality;
    const fov_status status = compress_guarded(out);
    if (status == FOV_OK) {
        *blob = (fov_blob){.data = out->bytes, .size = out->size};
    } else {
        fov_mem_free(out->bytes);
    }
    fov_mem_free(out);
    return status;
}
