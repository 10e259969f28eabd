/* What image.c asks of a codec: one object per decoder, pixels as they lie in the file (orientation is image.c's business). */
#ifndef FOV_AUGMENT_CODEC_H
#define FOV_AUGMENT_CODEC_H

#include "augment/image.h"

#define FOV_IMAGE_MAX_SIDE ((size_t)65500) /* libjpeg's limit */
#define FOV_IMAGE_MAX_PIXELS ((size_t)128 << 20)

/* Options reach a codec complete: caps are set, never 0. `warnings` counts what was passed over. */
typedef struct fov_jpeg fov_jpeg;
FOV_MUST_USE fov_status fov_jpeg_new(fov_jpeg **jpeg);
void fov_jpeg_free(fov_jpeg *jpeg); /* takes NULL */
FOV_MUST_USE fov_status fov_jpeg_decode(fov_jpeg *jpeg, const uint8_t *bytes, size_t size, const fov_decode_options *options,
                                        fov_image *image, size_t *warnings);
FOV_MUST_USE fov_status fov_jpeg_probe(fov_jpeg *jpeg, const uint8_t *bytes, size_t size, const fov_decode_options *options,
                                       fov_image_info *info);

typedef struct fov_png fov_png;
FOV_MUST_USE fov_status fov_png_new(fov_png **png);
void fov_png_free(fov_png *png); /* takes NULL */
FOV_MUST_USE fov_status fov_png_decode(fov_png *png, const uint8_t *bytes, size_t size, const fov_decode_options *options, fov_image *image,
                                       size_t *warnings);
/* Reads IHDR alone, without libpng. */
FOV_MUST_USE fov_status fov_png_probe(const uint8_t *bytes, size_t size, const fov_decode_options *options, fov_image_info *info);

/* FOV_E_LIMIT when an image of this size may not be decoded; called before anything is allocated for it. */
FOV_MUST_USE fov_status fov_image_check_caps(const char *kind, size_t width, size_t height, const fov_decode_options *options);

#endif
