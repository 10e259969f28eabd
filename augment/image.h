/* Images in memory and how they are decoded. Nothing here knows files or the graph. */
#ifndef FOV_AUGMENT_IMAGE_H
#define FOV_AUGMENT_IMAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/io.h"

#define FOV_MAX_CHANNELS ((size_t)32)

/* What a sample of data looks like: 3 channels of 8 bits (RGB) unless something else is asked for. */
typedef struct fov_pixel_format {
    size_t channels; /* 1..FOV_MAX_CHANNELS; 0 stands for 3 */
    bool deep;       /* 16 bits a sample, uint16_t in the machine's order; else 8 */
} fov_pixel_format;

/* Bytes of one pixel. */
static inline size_t fov_pixel_bytes(fov_pixel_format format) {
    return (format.channels == 0 ? 3 : format.channels) * (format.deep ? 2 : 1);
}

/* Samples are interleaved, rows follow each other without gaps: sample c of pixel (x, y) is number (y * width + x) * channels + c; a sample
 * is a byte, or with `deep` a uint16_t.
 *
 * An image may be a part of a larger picture, and shrunk: pixel (x, y) then is pixel (left + x, top + y) of a frame whose sides are the
 * picture's divided by `shrink` and rounded up. All zero: the whole picture as it is. */
typedef struct fov_image {
    uint8_t *pixels;
    size_t width, height, channels;
    bool deep;
    bool planar; /* a row has all its first samples, then all its second ones and so on; only where asked for */
    size_t left, top;
    unsigned shrink;                /* 2, 4 or 8; 0 or 1: not shrunk */
    size_t full_width, full_height; /* of the picture before shrinking; 0: of this image */
    size_t capacity;                /* bytes that pixels can hold; images are reused */
} fov_image;

void fov_image_init(fov_image *image);
void fov_image_clear(fov_image *image);
/* Makes room for width x height pixels of a whole picture; contents undefined. */
FOV_MUST_USE fov_status fov_image_resize_storage(fov_image *image, size_t width, size_t height, fov_pixel_format format);
fov_pixel_format fov_image_format(const fov_image *image);

typedef enum fov_alpha { FOV_ALPHA_WHITE, FOV_ALPHA_BLACK, FOV_ALPHA_DROP } fov_alpha; /* composite on a colour, or ignore as Pillow does */

/* All zero is the default; NULL for the whole means the default. */
typedef struct fov_decode_options {
    size_t max_side;   /* 0: 65,500, which is also the most */
    size_t max_pixels; /* 0: 128 Mi */
    fov_alpha alpha;
    bool keep_orientation; /* do not apply EXIF orientation */
    bool lenient;          /* accept truncated data with a warning count instead of refusing */
    size_t padding;        /* bytes that may be read after `size` (FOV_DECODE_PADDING is worth while); they never count as data */
    fov_pixel_format format;
} fov_decode_options;

typedef enum fov_image_kind { FOV_IMAGE_UNKNOWN, FOV_IMAGE_JPEG, FOV_IMAGE_PNG, FOV_IMAGE_WEBP, FOV_IMAGE_TIFF } fov_image_kind;
fov_image_kind fov_image_sniff(const uint8_t *bytes, size_t size); /* by content; a kind that this build cannot decode is UNKNOWN */
const char *fov_image_kinds(void);                                 /* what this build decodes: "JPEG, PNG, WebP or TIFF" */

/* The part of a picture that is wanted, in pixels of the whole picture as fov_image_info gives it, and how much smaller it may come. A
 * decoder gives at least this part (mapped outwards to whole pixels of the shrunk frame), and says in the image what it gave; pixels of the
 * part are those of the whole picture decoded at the same shrink. What a part costs: JPEG shrinks, and does most of the work on the part
 * alone; PNG inflates all above it and nothing below; TIFF reads the strips or tiles that it meets; WebP, and interlaced PNG and
 * progressive JPEG but for the shrinking, decode the whole picture. */
typedef struct fov_decode_part {
    size_t left, top, width, height; /* within the picture; width 0: all of it */
    bool planar;                     /* the image may be planar, which saves a resize work */
    unsigned shrink;                 /* 1, 2, 4 or 8: most shrinking allowed (0 is 1). What cannot shrink this kind of file gives 1 */
} fov_decode_part;

typedef struct fov_image_info {
    fov_image_kind kind;
    size_t width, height;      /* as fov_image_decode would give them: after orientation unless keep_orientation */
    unsigned channels_in_file; /* 1 gray, 2 gray and alpha, 3 colour (also palette), 4 colour and alpha or CMYK, any number of a TIFF's
                                  planes; tRNS is not counted */
    unsigned bits;             /* per sample, or per palette index */
    unsigned orientation;      /* EXIF 1..8 */
} fov_image_info;

/* A decoder keeps its codec state and scratch between images: one per thread. */
typedef struct fov_decoder fov_decoder;
FOV_MUST_USE fov_status fov_decoder_new(fov_decoder **decoder);
void fov_decoder_free(fov_decoder *decoder); /* takes NULL */

/* Two steps, so that the caller can choose the part by the size: `open` reads the header of a file held in memory and gives its size;
 * `read` then gives pixels (part NULL: all of them) and may be called once. `bytes` are borrowed until then, or until the next `open` or
 * the end of the decoder. Refuses with FOV_E_FORMAT (malformed, truncated), FOV_E_UNSUPPORTED or FOV_E_LIMIT, FOV_E_INVALID for a part that
 * is not within the picture, and a short reason without the file's name, which the caller prefixes (fov_fail_prefix). `open` needs no more
 * than the header: cut off after it, a file opens, and one cut off before it is FOV_E_FORMAT (but WebP says at its end how it is turned,
 * PNG may, and TIFF has its header anywhere). After a refusal the image's contents are undefined but its storage is still owned and usable.
 * The pixels depend on the bytes and options alone, never on what the decoder saw before. Where `bytes` is followed by padding readable
 * bytes (FOV_DECODE_PADDING), options->padding may say so, for speed; `size` does not count them.
 *
 * A file that is damaged where its pixels were decoded is refused. What no one asked for may be damaged unseen: rows below the part in JPEG
 * and PNG, other strips and tiles in TIFF. A whole picture is checked to its end.
 *
 * Meaning of the pixels: JPEG by libjpeg's accurate integer DCT with smooth chroma upsampling; CMYK and YCCK as Adobe writes them
 * (inverted) with R = round(C K / 255). Samples of 16 bits are rounded to 8, round(v 255 / 65535), gamma and colour profiles are
 * ignored, and transparency is composited after that: round((c a + b (255 - a)) / 255) over b = 255 (white) or 0 (black). WebP: stills, by
 * libwebp with its smooth upsampling. TIFF: the first picture of the file, of 8 or 16 bits, grey, RGB or palette (8 bits of its entries),
 * in strips or tiles; planes after colour and alpha are not looked at.
 *
 * Other formats than 3 x 8 bits: one channel is grey (of colour files, ITU-R 601 luma as Pillow's "L", after compositing); 2, 4 and more
 * channels are the planes of the file as they are, nothing composited (PNG and WebP with alpha, CMYK as JPEG stores it, TIFF with any
 * number of planes), and a file with another number of planes is refused. With `deep`, samples of 16 bits stay what they are, and are
 * composited in 16 bits, and those of 8 bits are multiplied by 257. */
#define FOV_DECODE_PADDING 8192
FOV_MUST_USE fov_status fov_decoder_open(fov_decoder *decoder, const uint8_t *bytes, size_t size, const fov_decode_options *options,
                                         fov_image_info *info);
FOV_MUST_USE fov_status fov_decoder_read(fov_decoder *decoder, const fov_decode_part *part, fov_image *image);

/* A file that is not in memory as a whole. `get` gives its bytes from `at` on, at least `count` of them (fewer only where the file ends:
 * there options->padding bytes follow) and says how many; they stay until the next call. at < size, and files are gone through more than
 * once. */
typedef struct fov_byte_source {
    size_t size;
    fov_status (*get)(void *context, size_t at, size_t count, const uint8_t **bytes, size_t *got);
    void *context;
} fov_byte_source;
/* `open` of such a file, of a kind that fov_image_by_pieces is true of; the source is borrowed as bytes are. What `get` fails with comes
 * through. Bytes may change between two readings: that gives another picture or a refusal. */
FOV_MUST_USE fov_status fov_decoder_open_source(fov_decoder *decoder, const fov_byte_source *source, const fov_decode_options *options,
                                                fov_image_info *info);
bool fov_image_by_pieces(fov_image_kind kind);

/* The same part in strips: all its columns, and some rows at a time, from the top down or from the bottom up. The strips that follow the
 * first overlap the one before by FOV_STRIP_OVERLAP rows. A picture of 8 bits that is turned by a quarter comes sideways: rows of its
 * strips are columns of the picture. What is known of a whole picture only when its file was read to the end (interlaced PNG, progressive
 * JPEG, WebP, and with `lenient` all) comes as one strip, as does one of 16 bits that is turned by a quarter. */
#define FOV_STRIP_OVERLAP ((size_t)3)
typedef struct fov_strip {
    fov_image image; /* a part of the picture */
    bool first;      /* where decoding has to begin again, a first strip comes again, and all before it is void */
    bool upward;     /* strips come from the bottom up */
    bool sideways;   /* image, place and sizes are mirrored at the diagonal from the top left: pixel (x, y) is at (y, x) */
} fov_strip;
typedef fov_status (*fov_strip_fn)(void *context, const fov_strip *strip); /* what it returns but FOV_OK ends the reading and is returned */
/* Instead of `read`, with all that is said of it; the strips are the decoder's. After a failure what was taken is void. */
FOV_MUST_USE fov_status fov_decoder_read_strips(fov_decoder *decoder, const fov_decode_part *part, fov_strip_fn take, void *context);
/* Bytes of pixels that `read` would hold: those that it gives, and the same again as they lie in the file, where they must be turned. 0 for
 * a part that it would refuse. */
size_t fov_decoder_part_bytes(const fov_decoder *decoder, const fov_decode_part *part);

/* Instead of `read`: the verdict of reading the whole picture, cheaper where no pixels are needed for it. */
FOV_MUST_USE fov_status fov_decoder_check(fov_decoder *decoder);
/* Both at once, the whole picture. */
FOV_MUST_USE fov_status fov_image_decode(fov_decoder *decoder, const uint8_t *bytes, size_t size, const fov_decode_options *options,
                                         fov_image *image);
/* Header only. */
FOV_MUST_USE fov_status fov_image_probe(fov_decoder *decoder, const uint8_t *bytes, size_t size, const fov_decode_options *options,
                                        fov_image_info *info);
/* Oddities passed over in the last fov_image_decode by this decoder: harmless ones, and with `lenient` the damage. */
size_t fov_decoder_warnings(const fov_decoder *decoder);

/* Turns an image as EXIF orientation 1..8 asks: `to` (another image) becomes what a viewer shows. */
FOV_MUST_USE fov_status fov_image_orient(const fov_image *from, unsigned orientation, fov_image *to);

/* Writing PNG (1 gray, 2 gray and alpha, 3 RGB or 4 RGBA channels of 8 bits, or of 16 with `deep`, when pixels are uint16_t as in an image)
 * and JPEG (1 or 3 channels of 8 bits, quality 1..100, 4:2:0), for pictures we show, packs and test data we make. The file appears whole or
 * not at all. */
FOV_MUST_USE fov_status fov_image_write_png(const char *path, const uint8_t *pixels, size_t width, size_t height, fov_pixel_format format);
FOV_MUST_USE fov_status fov_image_write_jpeg(const char *path, const uint8_t *pixels, size_t width, size_t height, size_t channels,
                                             int quality);
/* The same JPEG file into memory: baseline without restart markers, Huffman tables made for the picture. What `blob` held before is
 * forgotten, not freed; the caller frees what it gets with fov_blob_clear (nothing after a failure). No padding follows the bytes. */
FOV_MUST_USE fov_status fov_image_encode_jpeg(const uint8_t *pixels, size_t width, size_t height, size_t channels, int quality,
                                              fov_blob *blob);

#endif
