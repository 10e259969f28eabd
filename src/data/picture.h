/* Reading one picture, wherever it lies, into pixels: what scanning, training and evaluation have in common. Private to the data layer. */
#ifndef FOV_DATA_PICTURE_H
#define FOV_DATA_PICTURE_H

#include "augment/recipe.h"
#include "base/io.h"
#include "base/text.h"
#include "data/index.h"
#include "data/pack.h"

/* A picture file over this many bytes is refused before it is read. */
#define FOV_PICTURE_MAX_BYTES ((size_t)1 << 30)
#define FOV_PICTURE_WHOLE_BYTES ((size_t)2 << 20) /* up to which a file is read whole by those who can take it in pieces */

typedef struct fov_picture_group fov_picture_group;

/* A file that is read in pieces, see picture_feed.h. */
typedef struct fov_picture_feed {
    fov_byte_source source;
    fov_file *file; /* NULL: none */
    uint64_t offset;
    const char *shown;
    unsigned char *window; /* bytes [low, high) */
    size_t capacity, low, high;
    bool failed;
} fov_picture_feed;

/* Codec state and buffers of one thread, reused from picture to picture. */
typedef struct fov_picture_reader {
    fov_decoder *decoder;
    bool by_pieces;  /* set by those who need no whole files: large JPEG, PNG and TIFF files and raw records are then read in pieces */
    fov_image image; /* the picture read last */
    fov_blob blob;   /* its file, unless it is read in pieces */
    fov_picture_feed feed;
    size_t capacity;
    fov_text path;            /* of the picture opened last, or of its first file */
    bool grouped;             /* it lies in several files */
    fov_picture_group *group; /* those files; NULL until there were some */
    fov_pack_record what;     /* length, kind, size, channels and bits; no name, offset and checksum; of a group its length alone */
    fov_image pixels;         /* raw pixels of a pack, where they lie in the blob */
} fov_picture_reader;

FOV_MUST_USE fov_status fov_picture_reader_init(fov_picture_reader *reader);
void fov_picture_reader_clear(fov_picture_reader *reader); /* takes a reader that is all zero */

/* The options (NULL: defaults) for bytes that are followed by FOV_DECODE_PADDING readable ones, as all of ours are. */
fov_decode_options fov_picture_padded(const fov_decode_options *options);

/* As fov_decoder_open, with as many channels as the file has planes, whatever the options say. */
FOV_MUST_USE fov_status fov_picture_open_planes(fov_decoder *decoder, const fov_blob *file, const fov_decode_options *options,
                                                fov_image_info *info);

/* Reads and decodes the picture file `path`, which needs no index, into reader->image. The message names the file. */
FOV_MUST_USE fov_status fov_picture_read(fov_picture_reader *reader, const char *path, const fov_decode_options *options);

/* Picture i of an index, wherever it lies, in two steps as fov_decoder_open and fov_decoder_read: its size first, then the part of it that
 * is wanted (NULL: all). The pixels are the reader's until its next use. Messages name the picture. Between its start and its first return
 * `open` takes all it needs from the index, so that a thread stuck in the operating system may come back when the index is gone. */
FOV_MUST_USE fov_status fov_picture_open(fov_picture_reader *reader, const fov_index *index, size_t i, const fov_decode_options *options,
                                         size_t *width, size_t *height);
/* The same for a record of a pack; reader->path is what messages call it, set by the caller. */
FOV_MUST_USE fov_status fov_picture_open_record(fov_picture_reader *reader, const fov_pack *pack, const fov_pack_record *record,
                                                const fov_decode_options *options, size_t *width, size_t *height);
/* Whether a record is sure to open with these options, as far as it can be told from what it says of itself. */
bool fov_picture_record_fits(const fov_pack_record *record, const fov_decode_options *options);
FOV_MUST_USE fov_status fov_picture_decode(fov_picture_reader *reader, const fov_decode_part *part, const fov_image **image);
/* Instead, for pictures too large to be held as a frame, whose part `fov_picture_by_strips` is then true of: strips of it, as
 * fov_decoder_read_strips gives them. */
bool fov_picture_by_strips(const fov_picture_reader *reader, const fov_decode_part *part);
FOV_MUST_USE fov_status fov_picture_decode_strips(fov_picture_reader *reader, const fov_decode_part *part, fov_strip_fn take,
                                                  void *context);
/* Instead: preprocesses the whole picture, by strips where it is large, into image_size x image_size pixels at `output`. */
FOV_MUST_USE fov_status fov_picture_preprocess(fov_picture_reader *reader, fov_augmenter *augmenter, const fov_preprocess *preprocess,
                                               uint8_t *output);
/* Instead: the verdict of decoding it whole. */
FOV_MUST_USE fov_status fov_picture_check(fov_picture_reader *reader);

/* Bytes of the file, or record, that was opened last, whether that went well or not; 0 where it could not be read. */
size_t fov_picture_file_bytes(const fov_picture_reader *reader);

/* `path` fit for a message of one line: escapes it into `text`, which the caller clears in the end. */
const char *fov_picture_name(fov_text *text, const char *path);
/* The thread's last message without the name of the picture before it, for those who say the name themselves. */
const char *fov_picture_reason(const char *path);

#endif
