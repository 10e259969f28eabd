/* What image.c asks of a codec. A codec gives pixels as they lie in the file; turning them by their orientation is image.c's business. */
#ifndef FOV_AUGMENT_CODEC_H
#define FOV_AUGMENT_CODEC_H

#include "augment/image.h"

#define FOV_IMAGE_MAX_SIDE ((size_t)65500) /* libjpeg's limit */
#define FOV_IMAGE_MAX_PIXELS ((size_t)128 << 20)
#define FOV_IMAGE_MAX_BYTES ((size_t)512 << 20) /* of decoded pixels */

typedef struct fov_codec_strips fov_codec_strips;

/* A file that is being decoded. */
typedef struct fov_codec_file {
    const uint8_t *bytes; /* NULL: they are the source's */
    size_t size;
    const fov_byte_source *source;
    fov_decode_options options; /* complete: caps are set, never 0, and so are the channels of the format */
    /* found by `open` */
    fov_image_info info;      /* as the file lies; its kind is set already */
    unsigned most_shrink;     /* 8 for what can be halved three times while it is decoded, else 1, which stands here before `open` */
    bool by_rows;             /* `read` needs no frame of its own and fills rows in order, once each, by way of fov_codec_rows */
    size_t warnings;          /* what was passed over, counted by `open` and `read` */
    fov_codec_strips *strips; /* where rows go while `read` works; NULL: to the image, which holds the whole window */
} fov_codec_file;

/* What `read` is to give, in pixels of the frame: the file's picture, its sides divided by `shrink` and rounded up. Lies within it. */
typedef struct fov_window {
    size_t left, top, width, height;
    unsigned shrink; /* 1, 2, 4 or 8, at most most_shrink */
    bool planar;     /* the image may be so; `read` says whether it is */
} fov_window;

/* `state` is zeroed memory of state_bytes before the first call, one for each decoder. Every `open` is followed by `close`, whether it or
 * the `read` between them succeeded or not; at most one `read`. Nothing but scratch may stay in the state after `close`; `clear` frees
 * that. `open` reads the header, and refuses what is over the caps (fov_image_check_caps) or cannot give the format (fov_samples_check),
 * before anything is allocated for pixels. `read` makes room for the window in the image (fov_codec_room) and fills it. `check`, which may
 * be NULL and comes before `read`, sets *sound where `read` of the whole picture would succeed; where it does not, only `read` can tell. */
typedef struct fov_codec {
    fov_image_kind kind;
    bool by_pieces; /* takes a file's bytes by fov_codec_piece alone */
    size_t state_bytes;
    fov_status (*open)(void *state, fov_codec_file *file);
    fov_status (*check)(void *state, fov_codec_file *file, bool *sound);
    fov_status (*read)(void *state, fov_codec_file *file, const fov_window *window, fov_image *image);
    void (*close)(void *state);
    void (*clear)(void *state);
} fov_codec;

extern const fov_codec fov_codec_jpeg, fov_codec_png;
/* fov_image_encode_jpeg, of arguments that were checked. */
FOV_MUST_USE fov_status fov_codec_jpeg_encode(const uint8_t *pixels, size_t width, size_t height, size_t channels, int quality,
                                              fov_blob *blob);
#ifdef FOV_HAVE_WEBP
extern const fov_codec fov_codec_webp;
#endif
#ifdef FOV_HAVE_TIFF
extern const fov_codec fov_codec_tiff;
#endif

/* FOV_E_LIMIT when an image of this size may not be decoded to the format of the options; called before anything is allocated for it. */
FOV_MUST_USE fov_status fov_image_check_caps(const char *kind, size_t width, size_t height, const fov_decode_options *options);

/* Makes the image that of the window, or of a strip of it. A `read` that begins again after rows were filled calls it again. */
FOV_MUST_USE fov_status fov_codec_room(const fov_codec_file *file, const fov_window *window, fov_image *image);
/* A place for rows of the window from row y on: up to *count of them, one behind the other; *count says how many. Rows are asked for in
 * order, when those before are filled, which may then be passed on; what fails is the one who takes them. */
FOV_MUST_USE fov_status fov_codec_rows(const fov_codec_file *file, const fov_window *window, fov_image *image, size_t y, size_t *count,
                                       uint8_t **rows);

/* A window that is passed on strip by strip while it is decoded, of FOV_STRIP_ROWS new rows each unless they are wide. */
#define FOV_STRIP_ROWS 112
struct fov_codec_strips {
    fov_strip_fn take;
    void *context;
    fov_image whole;      /* of the part as it is passed on; no pixels */
    unsigned orientation; /* 1 to 4, that makes strips what is passed on */
    bool sideways;
    fov_image *turned;    /* storage for strips as they are passed on, where that is not as they lie */
    size_t first, filled; /* rows of the window in the image: number of the first, and how many */
    bool begun;           /* a strip was passed on */
};
/* The last strip, when all rows are filled. */
FOV_MUST_USE fov_status fov_codec_strips_end(fov_codec_strips *strips, const fov_window *window, const fov_image *image);

/* Bytes [at, at + size) of a file. */
typedef struct fov_piece {
    const uint8_t *bytes;
    size_t at, size;
} fov_piece;
/* The piece that begins at byte `at` <= file->size, of at least `count` bytes or up to the end; valid until the next is asked for. */
FOV_MUST_USE fov_status fov_codec_piece(const fov_codec_file *file, size_t at, size_t count, fov_piece *piece);

/* Scratch that grows: `bytes` of it, contents undefined, or NULL when out of memory. */
void *fov_codec_scratch(uint8_t **scratch, size_t *capacity, size_t bytes);
/* Frees scratch that only a large picture needed. */
void fov_codec_trim(uint8_t **scratch, size_t *capacity);

#endif
