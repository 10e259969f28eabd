/* EXIF orientation, read straight from the bytes of a file; every read is checked against the size given. */
#ifndef FOV_AUGMENT_EXIF_H
#define FOV_AUGMENT_EXIF_H

#include "augment/codec.h"

/* Each returns 1..8 as tag 0x0112 of the first image directory says, or 1 (upright) when there is none or it makes no sense. */
unsigned fov_exif_orientation(const uint8_t *tiff, size_t size);      /* a TIFF header and what follows */
unsigned fov_exif_orientation_webp(const uint8_t *file, size_t size); /* first EXIF chunk of an extended file */

/* The same of files that may come in pieces; fails with what their source fails with. Blocks of up to FOV_EXIF_MOST bytes are looked at. */
#define FOV_EXIF_MOST ((size_t)1 << 20)
FOV_MUST_USE fov_status fov_exif_orientation_jpeg(const fov_codec_file *file,
                                                  unsigned *orientation);                            /* first APP1 "Exif" before the scan */
FOV_MUST_USE fov_status fov_exif_orientation_png(const fov_codec_file *file, unsigned *orientation); /* first eXIf with a right checksum */

/* CRC-32 of ISO 3309, as PNG chunks carry it. */
uint32_t fov_png_crc(const uint8_t *bytes, size_t size);

#endif
