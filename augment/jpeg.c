/* The JPEG codec: libjpeg reads the header; our own decoder then makes the pixels if it can, and if it does not, libjpeg does. */
#include "augment/jpeg_library.h"

typedef struct fov_jpeg {
    fov_libjpeg *library; /* both made when first used */
    fov_baseline *baseline;
    fov_codec_file *file;
    const fov_window *window;
    fov_image *image;
    fov_piece piece;  /* of the file, that the baseline decoder reads from */
    fov_status taken; /* of those who take its rows and give it bytes */
} fov_jpeg;

static bool more_bytes(void *context, const uint8_t **at, const uint8_t **end, size_t count) {
    fov_jpeg *const jpeg = context;
    jpeg->taken = fov_codec_piece(jpeg->file, jpeg->piece.at + (size_t)(*at - jpeg->piece.bytes), count, &jpeg->piece);
    *at = jpeg->piece.bytes;
    *end = *at + jpeg->piece.size;
    return jpeg->taken == FOV_OK;
}

static uint8_t *next_rows(void *context, size_t y, size_t *count) {
    fov_jpeg *const jpeg = context;
    uint8_t *rows = NULL;
    jpeg->taken = fov_codec_rows(jpeg->file, jpeg->window, jpeg->image, y, count, &rows);
    return rows;
}

/* Decodes without libjpeg what can be, without a window to no pixels; `*done` says whether it was. */
static fov_status read_fast(fov_jpeg *jpeg, const fov_window *w, bool *done) {
    fov_jpeg_frame frame;
    *done = false;
    FOV_TRY(fov_codec_piece(jpeg->file, fov_libjpeg_after_header(jpeg->library), 1, &jpeg->piece));
    if ((w != NULL && w->shrink != 1) || !fov_libjpeg_frame(jpeg->library, &frame)) {
        return FOV_OK;
    }
    frame.bytes = jpeg->piece.bytes;
    frame.size = jpeg->piece.size;
    frame.more = jpeg->file->source != NULL ? more_bytes : NULL;
    if (jpeg->baseline == NULL) {
        FOV_TRY(fov_baseline_new(&jpeg->baseline));
    }
    if (!fov_baseline_takes(jpeg->baseline, &frame)) {
        return FOV_OK;
    }
    fov_jpeg_box box = {0};
    if (w != NULL) {
        box = (fov_jpeg_box){w->left, w->top, w->width, w->height, w->planar};
        FOV_TRY(fov_codec_room(jpeg->file, w, jpeg->image));
        jpeg->image->planar = w->planar;
    }
    jpeg->taken = FOV_OK;
    FOV_TRY(fov_baseline_decode(jpeg->baseline, &frame, w != NULL ? &box : NULL, next_rows, jpeg, done));
    return jpeg->taken;
}

static fov_status jpeg_open(void *state, fov_codec_file *file) {
    fov_jpeg *const jpeg = state;
    FOV_TRY(fov_libjpeg_open(&jpeg->library, file));
    return FOV_OK;
}

static fov_status jpeg_check(void *state, fov_codec_file *file, bool *sound) {
    fov_jpeg *const jpeg = state;
    jpeg->file = file;
    return read_fast(jpeg, NULL, sound);
}

static fov_status jpeg_read(void *state, fov_codec_file *file, const fov_window *window, fov_image *image) {
    fov_jpeg *const jpeg = state;
    bool done;
    jpeg->file = file;
    jpeg->window = window;
    jpeg->image = image;
    FOV_TRY(read_fast(jpeg, window, &done));
    return done ? FOV_OK : fov_libjpeg_read(jpeg->library, file, window, image);
}

static void jpeg_close(void *state) {
    fov_jpeg *const jpeg = state;
    if (jpeg->library != NULL) {
        fov_libjpeg_close(jpeg->library);
    }
}

static void jpeg_clear(void *state) {
    fov_jpeg *const jpeg = state;
    fov_libjpeg_free(jpeg->library);
    fov_baseline_free(jpeg->baseline);
}

const fov_codec fov_codec_jpeg = {.kind = FOV_IMAGE_JPEG,
                                  .by_pieces = true,
                                  .state_bytes = sizeof(fov_jpeg),
                                  .open = jpeg_open,
                                  .check = jpeg_check,
                                  .read = jpeg_read,
                                  .close = jpeg_close,
                                  .clear = jpeg_clear};
