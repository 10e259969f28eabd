/* Heads that objectives put on a backbone, shared by name. Parameters live under the current scope. */
#ifndef FOV_MODELS_HEADS_H
#define FOV_MODELS_HEADS_H

#include "models/backbone.h"

/* Perceptron of `layers` linear layers, in -> hidden -> .. -> out. Names as a torch.nn.Sequential: "0.weight", "1.weight" (norm), ... */
typedef struct fov_mlp_args {
    size_t layers, hidden, out;
    bool hidden_norm;     /* batch-norm + ReLU after hidden layers (their linear layers then have no bias); else bias + ReLU */
    bool last_norm;       /* batch-norm without affine after the last layer (which then has no bias) */
} fov_mlp_args;
fov_node *fov_mlp_head(fov_graph *g, fov_node *x, const fov_mlp_args *args);

/* MAE decoder (He et al. 2021): tokens [n, 1 + k, d] of the encoder (class token first) -> [n, t, p*p*c]. restore int32 [n, 1 + t] says which
 * of the 1 + k tokens stands at each place, the class token's first; 1 + k or more stands for the mask token.
 * Parameters: decoder_embed, mask_token, decoder_pos_embed (fixed sin-cos), decoder_blocks.i, decoder_norm, decoder_pred. */
typedef struct fov_mae_decoder_args {
    size_t width, depth, heads;
} fov_mae_decoder_args;
fov_node *fov_mae_decoder(fov_graph *g, const fov_backbone_spec *spec, fov_node *tokens, fov_node *restore,
                          const fov_mae_decoder_args *args);

#endif
