/* A trained backbone ready to use: weights, preprocessing, and a plan that turns pictures into features. */
#ifndef FOV_EVAL_ENCODER_H
#define FOV_EVAL_ENCODER_H

#include "augment/recipe.h"
#include "data/index.h"
#include "models/backbone.h"
#include "weights/store_file.h"

typedef struct fov_encoder fov_encoder;

/* weights: a run directory (its backbone.safetensors) or a .safetensors file. A file of Fovea tells its backbone and preprocessing in
 * its metadata; for others (torchvision, timm) give `backbone` ("resnet18", "vit_tiny/16"; NULL: from the metadata, or recognised from names
 * and shapes) and image_size (0: from metadata or shapes, else 224). A `backbone` that contradicts the file is refused. */
FOV_MUST_USE fov_status fov_encoder_open(fov_encoder **encoder, const char *weights, const char *backbone, size_t image_size, fov_pool *pool);
/* The same backbone and preprocessing with random weights. */
FOV_MUST_USE fov_status fov_encoder_random(fov_encoder **encoder, const fov_backbone_spec *spec, const fov_preprocess *preprocess,
                                           uint64_t seed, fov_pool *pool);
void fov_encoder_free(fov_encoder *encoder); /* takes NULL */

const fov_backbone_spec *fov_encoder_spec(const fov_encoder *encoder);
const fov_preprocess *fov_encoder_preprocess(const fov_encoder *encoder);
size_t fov_encoder_width(const fov_encoder *encoder);
/* The weights: the backbone's parameters and nothing else. */
fov_store *fov_encoder_store(const fov_encoder *encoder);
/* What the file says about where its weights come from, besides backbone and preprocessing. */
const fov_metadata *fov_encoder_provenance(const fov_encoder *encoder, size_t *count);

/* pixels [count, s, s, c] in the preprocessing's format, preprocessed -> features [count, width]. A picture's features do not depend on the others of the call. */
FOV_MUST_USE fov_status fov_encoder_embed(fov_encoder *encoder, const uint8_t *pixels, size_t count, float *features);
/* How a scan finds pictures for this encoder: decoded as it takes them, files put together by `group`; NULL: the weights' own rule, "": each file is
 * a picture. The rest is for the caller to fill in. Both must outlive the scan. */
fov_scan_options fov_encoder_scan(const fov_encoder *encoder, const char *group);
/* All pictures of an index that was scanned for this encoder (fov_encoder_scan), in its order -> features [count, width]. Those that went bad
 * since are noted in `lost` and have no row: the first count - lost->count rows are filled. progress may be NULL. */
FOV_MUST_USE fov_status fov_encoder_embed_index(fov_encoder *encoder, const fov_index *index, fov_lost *lost, float *features,
                                                void (*progress)(void *context, size_t done, size_t total), void *context);
/* Largest absolute difference between the features of two encoders of one kind on `pictures` pictures of seeded noise. */
FOV_MUST_USE fov_status fov_encoder_compare(fov_encoder *a, fov_encoder *b, size_t pictures, double *largest);

#endif
