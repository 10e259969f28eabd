/* Where decoded rows go: into an image that holds the whole window, or into a strip that is passed on whenever it is full.
 *
 * A codec asks for the places of rows and need not know which. A strip keeps the last rows of the one before it, as many as a resize may be
 * waiting with (it takes rows by fours), so that whoever takes strips keeps none of them. Strips of pictures that are turned upside down or
 * mirrored are turned one by one; they then come from the bottom up. Those of pictures turned by a quarter are passed on sideways, which is
 * the picture but for a turn of the other kinds: rows must not be made columns before a resize has made few of many. */
#include <string.h>

#include "augment/codec.h"
#include "base/checked.h"

enum {
    RESERVED_BYTES = 64 << 20,
    STRIP_BYTES = 256 << 10, /* stays in cache until all views have seen it */
    STEP_ROWS = 16,          /* a resize takes so many at once */
    LEAST_ROWS = 16          /* new ones of a strip, however wide */
};

_Static_assert(FOV_STRIP_ROWS % STEP_ROWS == 0, "a full strip leaves no rows waiting");

static size_t strip_rows(size_t row_bytes) {
    const size_t rows = STRIP_BYTES / row_bytes / STEP_ROWS * STEP_ROWS;
    return FOV_STRIP_OVERLAP + (rows < LEAST_ROWS ? LEAST_ROWS : rows > FOV_STRIP_ROWS ? FOV_STRIP_ROWS : rows);
}

/* Storage is taken for the whole frame at once, since parts of it come in all sizes: growing by each larger one would leave holes in the
 * heap. Pages that no part reaches are never touched. */
fov_status fov_codec_room(const fov_codec_file *file, const fov_window *window, fov_image *image) {
    const fov_pixel_format format = file->options.format;
    const size_t pixel = fov_pixel_bytes(format), width = fov_ceil_div(file->info.width, window->shrink);
    size_t frame_height = fov_ceil_div(file->info.height, window->shrink), height = window->height;
    if (file->strips != NULL) {
        file->strips->first = file->strips->filled = 0;
        file->strips->begun = false;
        frame_height = strip_rows(width * pixel);
        height = strip_rows(window->width * pixel);
    }
    if (width * frame_height <= RESERVED_BYTES / pixel) {
        FOV_TRY(fov_image_resize_storage(image, width, frame_height, format));
    }
    FOV_TRY(fov_image_resize_storage(image, window->width, height, format));
    return FOV_OK;
}

/* Passes on the rows that are filled. */
static fov_status pass_on(fov_codec_strips *s, const fov_window *window, const fov_image *image) {
    fov_image lying = *image;
    lying.height = s->filled;
    fov_strip strip = {.image = lying, .first = !s->begun, .sideways = s->sideways};
    strip.upward = s->orientation == 3 || s->orientation == 4;
    if (s->orientation != 1) {
        FOV_TRY(fov_image_orient(&lying, s->orientation, s->turned));
        strip.image = *s->turned;
    }
    strip.image.left = s->whole.left;
    strip.image.top = s->whole.top + (strip.upward ? window->height - s->first - s->filled : s->first);
    strip.image.shrink = s->whole.shrink;
    strip.image.full_width = s->whole.full_width;
    strip.image.full_height = s->whole.full_height;
    s->begun = true;
    FOV_TRY(s->take(s->context, &strip));
    return FOV_OK;
}

fov_status fov_codec_rows(const fov_codec_file *file, const fov_window *window, fov_image *image, size_t y, size_t *count, uint8_t **rows) {
    const size_t bytes = window->width * fov_pixel_bytes(file->options.format);
    fov_codec_strips *const s = file->strips;
    if (s == NULL) {
        *rows = image->pixels + y * bytes;
        return FOV_OK;
    }
    FOV_ASSERT(y == s->first + s->filled);
    if (s->filled == image->height) {
        FOV_TRY(pass_on(s, window, image));
        s->first = y - FOV_STRIP_OVERLAP;
        s->filled = FOV_STRIP_OVERLAP;
        memmove(image->pixels, image->pixels + (image->height - FOV_STRIP_OVERLAP) * bytes, FOV_STRIP_OVERLAP * bytes);
    }
    *rows = image->pixels + s->filled * bytes;
    *count = *count < image->height - s->filled ? *count : image->height - s->filled;
    s->filled += *count;
    return FOV_OK;
}

fov_status fov_codec_strips_end(fov_codec_strips *strips, const fov_window *window, const fov_image *image) {
    FOV_ASSERT(strips->first + strips->filled == window->height);
    return pass_on(strips, window, image);
}
