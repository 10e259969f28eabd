/* Which backbone is it? A file from elsewhere does not say, but its names and shapes do: the number of blocks of each stage names a ResNet, the
 * width names a ViT, and the position embedding tells the image size. Loading checks every shape afterwards; this only has to find the candidate. */
#include <stdio.h>
#include <string.h>

#include "eval/encoder_internal.h"
#include "weights/backbone_file.h"

#define MOST_BLOCKS 64

/* The first layer tells how many channels a picture has: files are [out, channels, height, width]. */
static fov_status recognise_channels(const fov_tensor *stem, fov_backbone_spec *spec) {
    if (stem->rank != 4 || stem->dim[1] == 0 || stem->dim[1] > FOV_INPUT_CHANNELS) {
        return FOV_FAIL(FOV_E_UNSUPPORTED, "'%s' is not a convolution of pictures with 1 to %d channels", stem->name, FOV_INPUT_CHANNELS);
    }
    spec->channels = (size_t)stem->dim[1];
    return FOV_OK;
}

typedef struct resnet_kind {
    const char *name;
    size_t blocks[4];
    bool bottleneck;
} resnet_kind;

static const resnet_kind resnets[] = {
    {"resnet18", {2, 2, 2, 2}, false},
    {"resnet34", {3, 4, 6, 3}, false},
    {"resnet50", {3, 4, 6, 3}, true},
};

static size_t count_blocks(const fov_safetensors *file, size_t stage) {
    size_t count = 0;
    for (; count < MOST_BLOCKS; count++) {
        char name[64];
        (void)snprintf(name, sizeof name, "layer%zu.%zu.conv1.weight", stage + 1, count);
        if (fov_safetensors_find(file, name) == NULL) {
            break;
        }
    }
    return count;
}

static fov_status recognise_resnet(const fov_safetensors *file, const fov_tensor *stem, fov_backbone_spec *spec) {
    size_t blocks[4];
    for (size_t stage = 0; stage < 4; stage++) {
        blocks[stage] = count_blocks(file, stage);
    }
    const bool bottleneck = fov_safetensors_find(file, "layer1.0.conv3.weight") != NULL;
    const bool small_stem = stem->rank == 4 && stem->dim[2] == 3;
    for (size_t i = 0; i < sizeof resnets / sizeof resnets[0]; i++) {
        if (memcmp(blocks, resnets[i].blocks, sizeof blocks) == 0 && bottleneck == resnets[i].bottleneck) {
            FOV_TRY(fov_backbone_parse(resnets[i].name, small_stem ? 32 : 224, spec));
            spec->small_stem = small_stem;
            FOV_TRY(recognise_channels(stem, spec));
            return FOV_OK;
        }
    }
    return FOV_FAIL(FOV_E_UNSUPPORTED, "a ResNet with %zu, %zu, %zu, %zu %s blocks; resnet18, resnet34 and resnet50 can be read", blocks[0], blocks[1],
                    blocks[2], blocks[3], bottleneck ? "bottleneck" : "basic");
}

static const fov_backbone *vit_of_width(uint64_t width) {
    for (size_t i = 0; fov_backbone_at(i) != NULL; i++) {
        const fov_backbone *backbone = fov_backbone_at(i);
        if (strcmp(backbone->family, "vit") == 0 && backbone->width == width) {
            return backbone;
        }
    }
    return NULL;
}

static fov_status recognise_vit(const fov_safetensors *file, const fov_tensor *patches, fov_backbone_spec *spec) {
    const fov_tensor *position = fov_safetensors_find(file, "pos_embed");
    if (patches->rank != 4 || position == NULL || position->rank != 3) {
        return FOV_FAIL(FOV_E_UNSUPPORTED, "has 'patch_embed.proj.weight' but is not a ViT as timm has it (4 axes there, 3 in 'pos_embed')");
    }
    const fov_backbone *backbone = vit_of_width(patches->dim[0]);
    if (backbone == NULL) {
        return FOV_FAIL(FOV_E_UNSUPPORTED, "a ViT of width %llu; vit_tiny (192), vit_small (384) and vit_base (768) can be read",
                        (unsigned long long)patches->dim[0]);
    }
    const uint64_t patch = patches->dim[2];
    if (patch != patches->dim[3] || (patch != 4 && patch != 8 && patch != 16)) {
        return FOV_FAIL(FOV_E_UNSUPPORTED, "a ViT with patches of %llu x %llu pixels; 16, 8 and 4 can be read", (unsigned long long)patch,
                        (unsigned long long)patches->dim[3]);
    }
    const size_t grid = fov_position_grid(position->dim[1]);
    if (grid == 0) {
        return FOV_FAIL(FOV_E_UNSUPPORTED, "a ViT with %llu positions; a class token and a square grid are needed", (unsigned long long)position->dim[1]);
    }
    char text[64];
    (void)snprintf(text, sizeof text, "%s/%zu", backbone->name, (size_t)patch);
    FOV_TRY(fov_backbone_parse(text, grid * (size_t)patch, spec));
    FOV_TRY(recognise_channels(patches, spec));
    return FOV_OK;
}

fov_status fov_backbone_recognise(const fov_safetensors *file, fov_backbone_spec *spec) {
    const fov_tensor *patches = fov_safetensors_find(file, "patch_embed.proj.weight"), *stem = fov_safetensors_find(file, "conv1.weight");
    if (fov_safetensors_count(file) == 0) {
        return FOV_FAIL(FOV_E_UNSUPPORTED, "holds no tensors");
    }
    if (patches != NULL) {
        return recognise_vit(file, patches, spec);
    }
    if (stem != NULL && fov_safetensors_find(file, "layer1.0.conv1.weight") != NULL) {
        return recognise_resnet(file, stem, spec);
    }
    fov_text first;
    fov_text_init(&first);
    fov_text_add_escaped(&first, fov_safetensors_at(file, 0)->name);
    const fov_status status =
        FOV_FAIL(FOV_E_UNSUPPORTED, "neither a ResNet of torchvision nor a ViT of timm by its names (there is '%.120s', but no 'conv1.weight' or "
                                    "'patch_embed.proj.weight'); if names carry a prefix such as 'module.', save it without",
                 first.data == NULL ? "" : first.data);
    fov_text_clear(&first);
    return status;
}
