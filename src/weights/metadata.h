/* What a weight file of Fovea says about itself: backbone, preprocessing, provenance. Keys are "fovea.*" strings in __metadata__. */
#ifndef FOV_WEIGHTS_METADATA_H
#define FOV_WEIGHTS_METADATA_H

#include "augment/recipe.h"
#include "models/backbone.h"
#include "weights/safetensors.h"

#define FOV_METADATA_MAX 32

typedef struct fov_metadata_list {
    fov_arena arena;
    size_t count;
    fov_metadata item[FOV_METADATA_MAX];
} fov_metadata_list;

void fov_metadata_init(fov_metadata_list *list);
void fov_metadata_clear(fov_metadata_list *list);
FOV_MUST_USE fov_status fov_metadata_add(fov_metadata_list *list, const char *key, const char *format, ...) FOV_PRINTF(3, 4);
/* "format", "fovea.version", "fovea.backbone", "fovea.stem", "fovea.image_size", "fovea.resize", "fovea.interpolation", "fovea.mean", "fovea.std". */
FOV_MUST_USE fov_status fov_metadata_describe(fov_metadata_list *list, const fov_backbone_spec *spec, const fov_preprocess *preprocess);
/* The inverse; FOV_E_NOTFOUND when the file has no fovea metadata. */
FOV_MUST_USE fov_status fov_metadata_read(const fov_safetensors *file, fov_backbone_spec *spec, fov_preprocess *preprocess);

#endif
