/* libjpeg for the JPEG codec: it reads all headers, and the pixels of the files that jpeg_baseline.h leaves to it. Private to jpeg.c. */
#ifndef FOV_AUGMENT_JPEG_LIBRARY_H
#define FOV_AUGMENT_JPEG_LIBRARY_H

#include "augment/codec.h"
#include "augment/jpeg_baseline.h"

typedef struct fov_libjpeg fov_libjpeg; /* a decompressor, used for file after file */

/* As a codec's open, read and close. `open` makes *library when it is NULL; it goes with fov_libjpeg_free, which takes NULL. */
FOV_MUST_USE fov_status fov_libjpeg_open(fov_libjpeg **library, fov_codec_file *file);
FOV_MUST_USE fov_status fov_libjpeg_read(fov_libjpeg *library, fov_codec_file *file, const fov_window *window, fov_image *image);
void fov_libjpeg_close(fov_libjpeg *library);
void fov_libjpeg_free(fov_libjpeg *library);

/* After open: where in the file the first scan's data begin, and what of the header fov_baseline_decode asks for, without the bytes; false
 * for a file that is not of its kind. */
size_t fov_libjpeg_after_header(const fov_libjpeg *library);
bool fov_libjpeg_frame(const fov_libjpeg *library, fov_jpeg_frame *frame);

#endif
