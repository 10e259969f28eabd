/* What encoder.c (computing), encoder_open.c (from files) and recognise.c share. */
#ifndef FOV_EVAL_ENCODER_INTERNAL_H
#define FOV_EVAL_ENCODER_INTERNAL_H

#include "eval/encoder.h"
#include "graph/plan.h"
#include "weights/metadata.h"

struct fov_encoder {
    fov_backbone_spec spec;
    fov_preprocess preprocess;
    fov_metadata_list provenance;
    fov_pool *pool;
    fov_store *store;
    fov_graph *graph;
    fov_plan *plan; /* eval mode, `batch` pictures */
    fov_node *features;
    size_t batch, image_bytes;
    uint8_t *staging; /* [batch, s, s, c], aligned; the part that a call does not fill is black */
};

/* Built for this spec, with weights all zero. */
FOV_MUST_USE fov_status fov_encoder_new(fov_encoder **encoder, const fov_backbone_spec *spec, const fov_preprocess *preprocess, fov_pool *pool);

/* Tells backbone, patch, stem, channels and image size (224 for a ResNet, 32 with the small stem) from the names and shapes of a torchvision ResNet or timm
 * ViT. FOV_E_UNSUPPORTED with what was seen instead. */
FOV_MUST_USE fov_status fov_backbone_recognise(const fov_safetensors *file, fov_backbone_spec *spec);

#endif
