/* Between a parameter store and a safetensors file: names, layouts (conv [o, kh, kw, i] <-> [o, i, kh, kw]) and number types. */
#ifndef FOV_WEIGHTS_STORE_FILE_H
#define FOV_WEIGHTS_STORE_FILE_H

#include "graph/store.h"
#include "weights/safetensors.h"

/* Copies every parameter and buffer of the store from the file (F32, F64, F16, BF16 converted). `prefix` is put before names when
 * looking them up ("" normally). Strict: every parameter must be there with its shape; the message lists up to 5 missing and names the first
 * differing shape. Tensors of the file that the store lacks are allowed when their name starts with one of `ignored` (NULL-terminated list,
 * e.g. "fc.", "head."), otherwise an error. Values that are not finite are refused. Counters may be
 * missing. On failure the store is as it was. */
FOV_MUST_USE fov_status fov_store_read(fov_store *store, const fov_safetensors *file, const char *prefix, const char *const *ignored);
/* Writes parameters and buffers whose name starts with `prefix` (the prefix is cut off) as F32 (counters I64). */
FOV_MUST_USE fov_status fov_store_write(const fov_store *store, const char *prefix, const char *path, const fov_metadata *metadata,
                                        size_t metadata_count);
/* One parameter to or from file layout; `out` holds param->count floats. */
void fov_param_to_file(const fov_store *store, const fov_param *param, float *out);
void fov_param_from_file(const fov_store *store, const fov_param *param, const float *in);

#endif
