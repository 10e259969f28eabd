/* EXIF orientation of arbitrary bytes, read as a TIFF block, as a JPEG, as a PNG and as a WebP: always 1 to 8, never a read outside. */
#include <stdlib.h>

#include "augment/exif.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void demand(unsigned orientation) {
    if (orientation < 1 || orientation > 8) {
        abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    demand(fov_exif_orientation(data, size));
    const fov_codec_file file = {.bytes = data, .size = size};
    unsigned orientation;
    demand(fov_exif_orientation_jpeg(&file, &orientation) == FOV_OK ? orientation : 0);
    demand(fov_exif_orientation_png(&file, &orientation) == FOV_OK ? orientation : 0);
    demand(fov_exif_orientation_webp(data, size));
    return 0;
}
