/* safetensors files: a reader that trusts nothing and a writer that follows the format's own order.
 * Format: https://github.com/huggingface/safetensors. */
#ifndef FOV_WEIGHTS_SAFETENSORS_H
#define FOV_WEIGHTS_SAFETENSORS_H

#include "base/io.h"
#include "base/json.h"

typedef enum fov_file_dtype { FOV_FILE_F32, FOV_FILE_F64, FOV_FILE_F16, FOV_FILE_BF16, FOV_FILE_I64, FOV_FILE_I32, FOV_FILE_I16,
                              FOV_FILE_I8, FOV_FILE_U64, FOV_FILE_U32, FOV_FILE_U16, FOV_FILE_U8, FOV_FILE_BOOL, FOV_FILE_C64,
                              FOV_FILE_F8_E5M2, FOV_FILE_F8_E4M3, FOV_FILE_DTYPE_COUNT } fov_file_dtype;
const char *fov_file_dtype_name(fov_file_dtype dtype);
size_t fov_file_dtype_bytes(fov_file_dtype dtype);

typedef struct fov_tensor {
    const char *name;
    fov_file_dtype dtype;
    unsigned rank;
    uint64_t dim[8];
    const unsigned char *data; /* not necessarily aligned */
    size_t bytes;
} fov_tensor;

typedef struct fov_safetensors fov_safetensors;

/* Opens and checks everything the format promises: header within the file, UTF-8, JSON, no duplicate names, known types, sizes that
 * match, no holes, no overlap. FOV_E_FORMAT names file and tensor. */
FOV_MUST_USE fov_status fov_safetensors_open(fov_safetensors **file, const char *path);
/* The same over bytes in memory, borrowed (fuzzing, tests). */
FOV_MUST_USE fov_status fov_safetensors_parse(fov_safetensors **file, const void *bytes, size_t size, const char *what);
void fov_safetensors_close(fov_safetensors *file); /* takes NULL */

size_t fov_safetensors_count(const fov_safetensors *file);
const fov_tensor *fov_safetensors_at(const fov_safetensors *file, size_t index); /* in file order */
const fov_tensor *fov_safetensors_find(const fov_safetensors *file, const char *name);
const char *fov_safetensors_metadata(const fov_safetensors *file, const char *key); /* NULL if absent */
size_t fov_safetensors_metadata_count(const fov_safetensors *file);
const char *fov_safetensors_metadata_at(const fov_safetensors *file, size_t index, const char **value); /* key */

typedef struct fov_metadata {
    const char *key, *value;
} fov_metadata;
/* Writes atomically (base/io.h). Order, padding and offsets as the format's own writer. */
FOV_MUST_USE fov_status fov_safetensors_write(const char *path, const fov_tensor *tensors, size_t tensor_count, const fov_metadata *metadata,
                                              size_t metadata_count);

#endif
