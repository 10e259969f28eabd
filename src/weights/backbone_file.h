/* A backbone alone in a safetensors file under torchvision's and timm's names: what a run leaves behind, and what one may start from. */
#ifndef FOV_WEIGHTS_BACKBONE_FILE_H
#define FOV_WEIGHTS_BACKBONE_FILE_H

#include "weights/metadata.h"
#include "weights/store_file.h"

/* A committed store without gradients that holds the parameters of this backbone and nothing else, all zero. The caller frees. */
FOV_MUST_USE fov_status fov_backbone_store(fov_store **store, const fov_backbone_spec *spec);

/* The file of weights that a user names: itself, or that of a run directory. The caller frees the path. */
FOV_MUST_USE fov_status fov_weights_find(const char *weights, char **path);

/* Copies the backbone's parameters from the file, or that of a run directory, into the store; those of a head ("head.*") stay as they are.
 * Tensors of a classifier (fc.*, head.*) or a MAE decoder in the file are passed over. A position embedding of another grid is resampled
 * (fov_position_resize).
 * Weights for RGB are adapted to a backbone for other channels: one channel gets the sum of the first layer's three, more get them in turn,
 * times 3 / channels (timm's adapt_input_conv); other numbers of channels do not mix.
 * On failure the store is as it was, and the message names the file. */
FOV_MUST_USE fov_status fov_backbone_load(fov_store *store, const fov_backbone_spec *spec, const char *weights);
/* The same from a file that is open and of the same channels. */
FOV_MUST_USE fov_status fov_backbone_load_file(fov_store *store, const fov_backbone_spec *spec, const fov_safetensors *file);

/* Writes the backbone's parameters, without any head, with what fov_metadata_describe says and the `extra` entries (provenance). */
FOV_MUST_USE fov_status fov_backbone_save(const fov_store *store, const fov_backbone_spec *spec, const fov_preprocess *preprocess,
                                          const fov_metadata *extra, size_t extra_count, const char *path);

/* Side of the grid of a position embedding with `tokens` rows, the class token's included; 0 when it is not 1 + a square. */
size_t fov_position_grid(uint64_t tokens);

#endif
