/* Backbones by name. One file per family, one line per name in backbones.def. */
#ifndef FOV_MODELS_BACKBONE_H
#define FOV_MODELS_BACKBONE_H

#include "ops/ops.h"

/* What a backbone can give: bits. */
#define FOV_GIVES_MAP 1U    /* a feature map [n, h, w, c] */
#define FOV_GIVES_TOKENS 2U /* patch tokens [n, t, d] */
#define FOV_GIVES_DROP 4U   /* can run on a subset of tokens (masked-image objectives) */

typedef struct fov_backbone_spec {
    const struct fov_backbone *backbone;
    size_t image_size; /* square input, pixels */
    size_t channels;   /* of a picture, 1..FOV_INPUT_CHANNELS; fov_backbone_parse sets 3 */
    size_t patch;      /* ViT: 16, 8 or 4; 0 for CNNs */
    bool small_stem;   /* ResNet: 3x3 stride 1, no max-pool (CIFAR) */
    bool fixed_position; /* ViT: sin-cos position embedding, not trained (MAE) */
    bool zero_residual;  /* ResNet: last batch-norm gain of each block starts at 0 */
} fov_backbone_spec;

typedef struct fov_backbone_out {
    fov_node *features; /* [n, d]: pooled map, or the class token after the final norm */
    fov_node *map;      /* [n, h, w, c]; NULL without FOV_GIVES_MAP */
    fov_node *tokens;   /* [n, 1 + t, d] after the final norm, class token first; NULL without FOV_GIVES_TOKENS */
} fov_backbone_out;

typedef struct fov_backbone {
    const char *name; /* "resnet18" */
    const char *family;
    const char *summary; /* one line for `fovea list` */
    unsigned gives;
    size_t width; /* feature dimension d */
    /* size of the family's own description, e.g. block counts */
    const void *shape;
    /* Fails with a message when the spec does not fit (image size not a multiple of the patch, too small for the stem). */
    fov_status (*check)(const fov_backbone_spec *spec);
    /* x [n, s, s, c], normalised. keep: int32 [n, k] indices of the patch tokens to process, or NULL for all. Scopes start at the top:
     * parameter names are exactly torchvision's or timm's. */
    fov_backbone_out (*build)(fov_graph *g, const fov_backbone_spec *spec, fov_node *x, fov_node *keep);
} fov_backbone;

const fov_backbone *fov_backbone_at(size_t index);          /* NULL past the end */
const fov_backbone *fov_backbone_named(const char *name);   /* NULL if unknown */
FOV_MUST_USE fov_status fov_backbone_find(const char *name, const fov_backbone **found); /* names the nearest if unknown */

/* Reads "resnet18", "vit_tiny", "vit_tiny/8" (patch after the slash) and fills the spec: image_size as given, small_stem false. A patch that
 * is not named follows the image size: 4 up to 48 px, 8 up to 128 px, else 16. Unknown names fail with the nearest valid one, and so does a
 * spec that the family's check refuses with any stem: who chooses a stem checks again. */
FOV_MUST_USE fov_status fov_backbone_parse(const char *text, size_t image_size, fov_backbone_spec *spec);
/* The inverse, "vit_tiny/8"; text holds at least 64 bytes. */
void fov_backbone_text(const fov_backbone_spec *spec, char *text, size_t size);
/* Tokens without the class token: (image_size / patch)^2; 0 for CNNs. */
size_t fov_backbone_patches(const fov_backbone_spec *spec);

#endif
