/* WebP decoding of arbitrary bytes. Where the build lacks the format, all are passed over. */
#include "fuzz_picture.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) { return fuzz_picture(FOV_IMAGE_WEBP, data, size); }
