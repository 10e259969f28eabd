/* Rows of samples as they come out of files, and how they become the pixels that were asked for. Private to the codecs. */
#ifndef FOV_AUGMENT_SAMPLES_H
#define FOV_AUGMENT_SAMPLES_H

#include "augment/image.h"

/* What the first planes of a pixel mean. */
typedef enum fov_meaning {
    FOV_MEANS_NOTHING, /* planes of unknown meaning: they can be given as they are, and nothing else */
    FOV_MEANS_GRAY,
    FOV_MEANS_RGB,
    FOV_MEANS_CMYK /* inverted as Adobe writes it: 255 is no ink */
} fov_meaning;

typedef enum fov_cover { FOV_COVER_NONE, FOV_COVER_STRAIGHT, FOV_COVER_PREMULTIPLIED } fov_cover;

/* Samples of a pixel follow each other, pixels too. A cover (alpha) is the plane after those of the meaning; planes after that are not
 * looked at when colour is asked for. */
typedef struct fov_samples {
    size_t planes;
    bool deep; /* uint16_t in the machine's order, else bytes */
    fov_meaning meaning;
    fov_cover cover;
} fov_samples;

/* FOV_E_UNSUPPORTED, with a message that says what the file has, what is wanted and what to do, when these samples cannot become this
 * format: as many planes as the file has can always be given, and 1 (grey) or 3 (colour) of samples whose meaning is known. `kind` is the
 * file's, for the message. */
FOV_MUST_USE fov_status fov_samples_check(const char *kind, const fov_samples *have, fov_pixel_format want);

/* True when samples are pixels of that format already, so that rows can be decoded straight into an image. */
bool fov_samples_fit(const fov_samples *have, fov_pixel_format want);

/* Makes `count` pixels of options->format out of `from`. What image.h says of rounding, luma and alpha is done here. */
void fov_samples_convert(const fov_samples *have, const fov_decode_options *options, const void *from, size_t count, void *to);

#endif
