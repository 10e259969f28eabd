/* WebP by libwebp: lossy and lossless pictures, with and without transparency, from memory. The only file that includes webp/decode.h.
 *
 * The whole picture is decoded, then the part is copied: libwebp's own cropping makes pixels at the edges from fewer neighbours. Animations
 * are refused, since which of their pictures would be meant? libwebp allocates for itself; the caps are checked before, and because a
 * lossless picture of one colour has hardly any bytes whatever its size, so is the size of the file: more than 4,096 pixels a byte are
 * refused where that would cost much memory. */
#include <string.h>

#include <webp/decode.h>

#include "augment/codec.h"
#include "augment/exif.h"
#include "augment/samples.h"

enum { GREY = 128, PIXELS_A_BYTE = 4096, FREE_PIXELS = 1 << 20, RIFF_BYTES = 8 };

typedef struct fov_webp {
    fov_samples samples;
    uint8_t *frame; /* scratch: a whole picture */
    size_t frame_bytes;
} fov_webp;

static fov_status fail(VP8StatusCode code) {
    switch (code) {
    case VP8_STATUS_OUT_OF_MEMORY:
        return FOV_FAIL(FOV_E_NOMEM, "out of memory in libwebp");
    case VP8_STATUS_NOT_ENOUGH_DATA:
    case VP8_STATUS_SUSPENDED:
        return FOV_FAIL(FOV_E_FORMAT, "WebP: the file is truncated");
    case VP8_STATUS_UNSUPPORTED_FEATURE:
        return FOV_FAIL(FOV_E_UNSUPPORTED, "WebP: a feature that libwebp does not know");
    default:
        return FOV_FAIL(FOV_E_FORMAT, "WebP: the data are damaged");
    }
}

static fov_status webp_open(void *state, fov_codec_file *file) {
    fov_webp *const webp = state;
    WebPBitstreamFeatures found;
    const VP8StatusCode code = WebPGetFeatures(file->bytes, file->size, &found);
    if (code != VP8_STATUS_OK) {
        return fail(code);
    }
    if (found.has_animation) {
        return FOV_FAIL(FOV_E_UNSUPPORTED, "WebP: an animation; save the picture that is meant as a file of its own");
    }
    if (found.width < 1 || found.height < 1) {
        return fail(VP8_STATUS_BITSTREAM_ERROR);
    }
    webp->samples = (fov_samples){
        .planes = found.has_alpha ? 4 : 3, .meaning = FOV_MEANS_RGB, .cover = found.has_alpha ? FOV_COVER_STRAIGHT : FOV_COVER_NONE};
    file->info.width = (size_t)found.width;
    file->info.height = (size_t)found.height;
    file->info.channels_in_file = (unsigned)webp->samples.planes;
    file->info.bits = 8;
    file->info.orientation = fov_exif_orientation_webp(file->bytes, file->size);
    FOV_TRY(fov_image_check_caps("WebP", file->info.width, file->info.height, &file->options));
    FOV_TRY(fov_samples_check("WebP", &webp->samples, file->options.format));
    return FOV_OK;
}

/* The container says how long it is; libwebp is content when the pixels are there. */
static fov_status check_length(const fov_codec_file *file) {
    const uint8_t *const b = file->bytes + 4;
    const size_t length = (size_t)b[0] | (size_t)b[1] << 8 | (size_t)b[2] << 16 | (size_t)b[3] << 24;
    if (!file->options.lenient && length > file->size - RIFF_BYTES) {
        return fail(VP8_STATUS_NOT_ENOUGH_DATA);
    }
    const size_t pixels = file->info.width * file->info.height;
    if (pixels > FREE_PIXELS && pixels / PIXELS_A_BYTE > file->size) {
        return FOV_FAIL(FOV_E_FORMAT, "WebP: %zu bytes are too few for a picture of %zu x %zu pixels", file->size, file->info.width,
                        file->info.height);
    }
    return FOV_OK;
}

/* Rows as far as there are data; what does not come stays as it is. */
static fov_status decode_rows(const fov_codec_file *file, WebPDecoderConfig *config) {
    WebPIDecoder *const decoder = WebPINewDecoder(&config->output);
    int rows = 0;
    if (decoder == NULL) {
        return fail(VP8_STATUS_OUT_OF_MEMORY);
    }
    const VP8StatusCode code = WebPIUpdate(decoder, file->bytes, file->size);
    (void)WebPIDecGetRGB(decoder, &rows, NULL, NULL, NULL);
    WebPIDelete(decoder);
    return rows > 0 && code != VP8_STATUS_OUT_OF_MEMORY ? FOV_OK : fail(code);
}

static fov_status decode_frame(fov_codec_file *file, const fov_samples *samples, uint8_t *frame, size_t bytes) {
    WebPDecoderConfig config;
    if (!WebPInitDecoderConfig(&config)) {
        return FOV_FAIL(FOV_E_UNSUPPORTED, "WebP: libwebp is not of the version this program was built for");
    }
    config.output.colorspace = samples->planes == 4 ? MODE_RGBA : MODE_RGB;
    config.output.is_external_memory = 1;
    config.output.u.RGBA = (WebPRGBABuffer){.rgba = frame, .stride = (int)(file->info.width * samples->planes), .size = bytes};
    const VP8StatusCode code = WebPDecode(file->bytes, file->size, &config);
    if (code == VP8_STATUS_OK) {
        return FOV_OK;
    }
    if (!file->options.lenient || code == VP8_STATUS_OUT_OF_MEMORY) {
        return fail(code);
    }
    file->warnings++;
    memset(frame, GREY, bytes);
    FOV_TRY(decode_rows(file, &config));
    return FOV_OK;
}

static fov_status webp_read(void *state, fov_codec_file *file, const fov_window *window, fov_image *image) {
    fov_webp *const webp = state;
    const fov_samples *const samples = &webp->samples;
    const size_t row = file->info.width * samples->planes, bytes = row * file->info.height;
    const bool straight =
        window->width == file->info.width && window->height == file->info.height && fov_samples_fit(samples, file->options.format);
    FOV_TRY(check_length(file));
    FOV_TRY(fov_codec_room(file, window, image));
    uint8_t *const frame = straight ? image->pixels : fov_codec_scratch(&webp->frame, &webp->frame_bytes, bytes);
    FOV_TRY_ALLOC(frame);
    FOV_TRY(decode_frame(file, samples, frame, bytes));
    for (size_t y = 0; y < window->height && !straight; y++) {
        fov_samples_convert(samples, &file->options, frame + (window->top + y) * row + window->left * samples->planes, window->width,
                            image->pixels + y * window->width * fov_pixel_bytes(file->options.format));
    }
    return FOV_OK;
}

static void webp_close(void *state) {
    fov_webp *const webp = state;
    fov_codec_trim(&webp->frame, &webp->frame_bytes);
}

static void webp_clear(void *state) {
    fov_webp *const webp = state;
    fov_mem_free(webp->frame);
}

const fov_codec fov_codec_webp = {.kind = FOV_IMAGE_WEBP,
                                  .state_bytes = sizeof(fov_webp),
                                  .open = webp_open,
                                  .read = webp_read,
                                  .close = webp_close,
                                  .clear = webp_clear};
