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
    demand(fov_exif_orientation_jpeg(data, size));
    demand(fov_exif_orientation_png(data, size));
    demand(fov_exif_orientation_webp(data, size));
    return 0;
}
