/* The registry of backbones and the names users type: "resnet18", "vit_tiny/8". */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/registry.h"
#include "models/backbone.h"

#define FOV_ENTRY(name) extern const fov_backbone fov_backbone_##name;
#include "backbones.inc"
#undef FOV_ENTRY

static const fov_backbone *const backbones[] = {
#define FOV_ENTRY(name) &fov_backbone_##name,
#include "backbones.inc"
#undef FOV_ENTRY
};

FOV_REGISTRY_LOOKUP(backbone, backbones)
FOV_REGISTRY_FIND(backbone, "backbone", "fovea list", backbones)

/* About the 196 tokens of a 224 px picture in 16 px patches, or fewer: shorter patches on smaller pictures. */
static size_t default_patch(size_t image_size) {
    return image_size <= 48 ? 4 : image_size <= 128 ? 8 : 16;
}

static fov_status read_patch(const char *text, const char *digits, size_t *patch) {
    if (strcmp(digits, "4") != 0 && strcmp(digits, "8") != 0 && strcmp(digits, "16") != 0) {
        return FOV_FAIL(FOV_E_INVALID, "backbone '%s': the patch after the slash is 4, 8 or 16, got '%s'", text, digits);
    }
    *patch = (size_t)strtoul(digits, NULL, 10);
    return FOV_OK;
}

fov_status fov_backbone_parse(const char *text, size_t image_size, fov_backbone_spec *spec) {
    char name[64];
    const char *slash = strchr(text, '/');
    const size_t length = slash == NULL ? strlen(text) : (size_t)(slash - text);
    const fov_backbone *backbone = NULL;
    if (length == 0 || length >= sizeof name) {
        return fov_backbone_find(text, &backbone);
    }
    memcpy(name, text, length);
    name[length] = '\0';
    FOV_TRY(fov_backbone_find(name, &backbone));
    *spec = (fov_backbone_spec){.backbone = backbone, .image_size = image_size, .channels = 3};
    const bool has_patches = (backbone->gives & FOV_GIVES_TOKENS) != 0;
    if (slash != NULL && !has_patches) {
        return FOV_FAIL(FOV_E_INVALID, "backbone '%s': %s has no patches; write '%s'", text, name, name);
    }
    if (has_patches) {
        spec->patch = default_patch(image_size);
        if (slash != NULL) {
            FOV_TRY(read_patch(text, slash + 1, &spec->patch));
        }
    }
    fov_backbone_spec smallest = *spec; /* callers choose a ResNet's first layers afterwards, and check then */
    smallest.small_stem = !has_patches;
    FOV_TRY(backbone->check(&smallest));
    return FOV_OK;
}

void fov_backbone_text(const fov_backbone_spec *spec, char *text, size_t size) {
    if (spec->patch > 0) {
        (void)snprintf(text, size, "%s/%zu", spec->backbone->name, spec->patch);
    } else {
        (void)snprintf(text, size, "%s", spec->backbone->name);
    }
}

size_t fov_backbone_patches(const fov_backbone_spec *spec) {
    if (spec->patch == 0) {
        return 0;
    }
    const size_t grid = spec->image_size / spec->patch;
    return grid * grid;
}
