/* PNG decoding of arbitrary bytes. */
#include "fuzz_picture.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) { return fuzz_picture(FOV_IMAGE_PNG, data, size); }
