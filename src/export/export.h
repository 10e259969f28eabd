/* Handing a backbone on: a safetensors file that torchvision, timm and Fovea read, checked by reading it back. */
#ifndef FOV_EXPORT_EXPORT_H
#define FOV_EXPORT_EXPORT_H

#include "weights/backbone_file.h"

/* Refuses, each in its own words, before any work is done: an extension other than .safetensors, a folder that is not there or cannot be
 * written to, an output that exists (FOV_E_EXISTS) unless `overwrite`. */
FOV_MUST_USE fov_status fov_export_check(const char *path, bool overwrite);

typedef struct fov_export_result {
    size_t tensors;
    uint64_t parameters, bytes; /* parameters as papers count; bytes of all tensors */
    double largest_difference;  /* between a weight in the store and in the file read back: 0 */
} fov_export_result;

/* Writes the backbone in `store` with metadata (describe + extra), then opens the file and compares names, shapes and every value. A file that
 * differs is removed and reported with FOV_E_IO. */
FOV_MUST_USE fov_status fov_export_weights(fov_export_result *result, const fov_store *store, const fov_backbone_spec *spec,
                                           const fov_preprocess *preprocess, const fov_metadata *extra, size_t extra_count, const char *path);

#endif
