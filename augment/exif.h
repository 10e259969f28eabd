/* EXIF orientation, read straight from the bytes of a file; every read is checked against the size given. */
#ifndef FOV_AUGMENT_EXIF_H
#define FOV_AUGMENT_EXIF_H

#include <stddef.h>
#include <stdint.h>

/* Each returns 1..8 as tag 0x0112 of the first image directory says, or 1 (upright) when there is none or it makes no sense. */
unsigned fov_exif_orientation(const uint8_t *tiff, size_t size);      /* a TIFF header and what follows */
unsigned fov_exif_orientation_jpeg(const uint8_t *file, size_t size); /* first APP1 "Exif" segment before the first scan */
unsigned fov_exif_orientation_png(const uint8_t *file, size_t size);  /* first eXIf chunk with a right checksum */
unsigned fov_exif_orientation_webp(const uint8_t *file, size_t size); /* first EXIF chunk of an extended file */

/* CRC-32 of ISO 3309, as PNG chunks carry it. */
uint32_t fov_png_crc(const uint8_t *bytes, size_t size);

#endif
