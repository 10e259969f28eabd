/* Any bytes as a safetensors file; what is accepted must cover its data exactly, and every byte of it must be readable. */
#include <stddef.h>
#include <stdint.h>

#include "weights/metadata.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static unsigned checksum;

static void check(const fov_safetensors *file, const uint8_t *end) {
    const unsigned char *next = NULL;
    for (size_t i = 0; i < fov_safetensors_count(file); i++) {
        const fov_tensor *tensor = fov_safetensors_at(file, i);
        uint64_t bytes = fov_file_dtype_bytes(tensor->dtype);
        for (unsigned d = 0; d < tensor->rank; d++) {
            bytes *= tensor->dim[d];
        }
        FOV_ASSERT(bytes == tensor->bytes);
        FOV_ASSERT(next == NULL || tensor->data == next);
        FOV_ASSERT(fov_safetensors_find(file, tensor->name) == tensor);
        for (size_t k = 0; k < tensor->bytes; k++) {
            checksum += tensor->data[k];
        }
        next = tensor->data + tensor->bytes;
    }
    FOV_ASSERT(next == NULL || next == end);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    fov_safetensors *file = NULL;
    if (fov_safetensors_parse(&file, data, size, "input") == FOV_OK) {
        check(file, data + size);
        fov_backbone_spec spec;
        fov_preprocess preprocess;
        if (fov_metadata_read(file, &spec, &preprocess) == FOV_OK) {
            FOV_ASSERT(spec.backbone != NULL && preprocess.image_size > 0 && preprocess.std[0] > 0.0);
        }
    }
    fov_safetensors_close(file);
    return 0;
}
