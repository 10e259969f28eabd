/* What a weight file of Fovea says about itself: backbone, preprocessing, provenance. Keys are "fovea.*" strings in __metadata__. */
#ifndef FOV_WEIGHTS_METADATA_H
#define FOV_WEIGHTS_METADATA_H

#include "augment/recipe.h"
#include "models/backbone.h"
#include "weights/safetensors.h"

#define FOV_METADATA_MAX 32
#define FOV_LEAST_STD 1e-6 /* standard deviations below are refused */

typedef struct fov_metadata_list {
    fov_arena arena;
    size_t count;
    fov_metadata item[FOV_METADATA_MAX];
} fov_metadata_list;

void fov_metadata_init(fov_metadata_list *list);
void fov_metadata_clear(fov_metadata_list *list);
FOV_MUST_USE fov_status fov_metadata_add(fov_metadata_list *list, const char *key, const char *format, ...) FOV_PRINTF(3, 4);
/* "format", "fovea.version", "fovea.backbone", "fovea.stem", "fovea.image_size", "fovea.resize", "fovea.interpolation", "fovea.channels",
 * "fovea.depth" (8 or 16), "fovea.alpha", "fovea.group" (where there is one), "fovea.mean" and "fovea.std" (a number a channel). */
FOV_MUST_USE fov_status fov_metadata_describe(fov_metadata_list *list, const fov_backbone_spec *spec, const fov_preprocess *preprocess);
/* The inverse; FOV_E_NOTFOUND when the file has no fovea metadata. Without channels, depth and alpha: 3, 8 and white. */
FOV_MUST_USE fov_status fov_metadata_read(const fov_safetensors *file, fov_backbone_spec *spec, fov_preprocess *preprocess);

bool fov_alpha_parse(const char *text, fov_alpha *alpha); /* "white", "black", "drop" */
/* One number a channel: "0.1,0.25". Parsing gives how many there are, 0 when the text is something else. */
void fov_channel_numbers_text(const double *values, size_t channels, fov_text *text);
size_t fov_channel_numbers_parse(const char *text, double values[FOV_MAX_CHANNELS]);

#endif
