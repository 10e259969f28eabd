/* Projection heads. Names follow torch.nn.Sequential, so that a head of ours and one of PyTorch's are the same file. */
#include "models/heads.h"

#include <stdio.h>

#include "models/blocks.h"

fov_node *fov_mlp_head(fov_graph *g, fov_node *x, const fov_mlp_args *args) {
    size_t index = 0; /* position in the Sequential: linear, [norm], ReLU, linear, ... */
    char name[24];
    for (size_t layer = 0; layer < args->layers && x != NULL; layer++) {
        const bool last = layer + 1 == args->layers;
        const bool normed = last ? args->last_norm : args->hidden_norm;
        (void)snprintf(name, sizeof name, "%zu", index++);
        const fov_act act = last || normed ? FOV_ACT_NONE : FOV_ACT_RELU;
        x = fov_linear_layer(g, x, name, last ? args->out : args->hidden, !normed, act, FOV_LINEAR_TORCH, 0);
        if (normed) {
            (void)snprintf(name, sizeof name, "%zu", index++);
            x = fov_batchnorm_layer(g, x, name, &(fov_batchnorm_layer_args){.affine = !last, .relu = !last, .gamma = 1.0});
        }
        index += last ? 0 : 1;
    }
    return x;
}

fov_node *fov_mae_decoder(fov_graph *g, const fov_backbone_spec *spec, fov_node *tokens, fov_node *restore,
                          const fov_mae_decoder_args *args) {
    const size_t patches = fov_backbone_patches(spec), pixels = spec->patch * spec->patch * spec->channels;
    const fov_param_spec fixed = {.role = FOV_PARAM_FROZEN, .init = FOV_INIT_FUNCTION, .fill = fov_position_sincos};
    fov_node *x = fov_linear_layer(g, tokens, "decoder_embed", args->width, true, FOV_ACT_NONE, FOV_LINEAR_XAVIER, 0);
    fov_node *mask = fov_parameter(g, "mask_token", FOV_SHAPE(1, 1, args->width), (fov_param_spec){.init = FOV_INIT_NORMAL, .a = 0.02});
    fov_node *position = fov_parameter(g, "decoder_pos_embed", FOV_SHAPE(1, 1 + patches, args->width), fixed);
    if (x == NULL || mask == NULL || position == NULL || restore == NULL) {
        return NULL;
    }
    x = fov_restore_tokens(g, x, mask, restore);
    x = fov_add_position(g, x, position, 0);
    for (size_t i = 0; i < args->depth; i++) {
        fov_graph_push(g, "decoder_blocks.%zu", i);
        x = fov_transformer_block(g, x, args->heads, FOV_LINEAR_XAVIER, 0);
        fov_graph_pop(g);
    }
    x = fov_layernorm_layer(g, x, "decoder_norm", 0);
    x = fov_linear_layer(g, x, "decoder_pred", pixels, true, FOV_ACT_NONE, FOV_LINEAR_XAVIER, 0);
    return x == NULL ? NULL : fov_slice_tokens(g, x, 1, patches);
}
