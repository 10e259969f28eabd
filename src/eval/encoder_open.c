/* Opening weights: where the file is, what backbone it holds, how pictures are prepared for it. What the file says (metadata) comes before what
 * its shapes tell, and the caller's own words may add to both but not contradict them. */
#include <string.h>

#include "base/io.h"
#include "base/log.h"
#include "eval/encoder_internal.h"
#include "weights/backbone_file.h"

#define PROVENANCE_MAX 16

/* ---- reading the file ---- */

/* torch.save writes a zip or, in old versions, a bare pickle. */
static bool is_pickle(const char *path) {
    fov_map map;
    if (fov_io_map(path, &map) != FOV_OK) {
        return false;
    }
    const bool pickle = map.size >= 4 && (memcmp(map.data, "PK\3\4", 4) == 0 || (map.data[0] == 0x80 && map.data[1] == 2 && map.data[2] == 0x8a));
    fov_io_unmap(&map);
    return pickle;
}

static fov_status open_file(const char *path, fov_safetensors **file) {
    const fov_status status = fov_safetensors_open(file, path);
    if ((status == FOV_E_FORMAT || status == FOV_E_LIMIT) && is_pickle(path)) {
        return FOV_FAIL(FOV_E_UNSUPPORTED, "%s is a file of torch.save, which can run code when it is read; convert it once with "
                                           "safetensors.torch.save_file(torch.load(FILE, weights_only=True), 'out.safetensors')",
                        path);
    }
    FOV_TRY(status);
    return FOV_OK;
}

/* ---- what it holds ---- */

/* The caller named a backbone: it must be the one that the file tells. */
static fov_status check_named(const fov_backbone_spec *told, const char *backbone) {
    fov_backbone_spec named = {.backbone = fov_backbone_named(backbone), .patch = told->patch};
    if (named.backbone == NULL) { /* unknown, or with a patch */
        FOV_TRY(fov_backbone_parse(backbone, told->image_size, &named));
    }
    if (named.backbone != told->backbone || named.patch != told->patch) {
        char text[64];
        fov_backbone_text(told, text, sizeof text);
        return FOV_FAIL(FOV_E_MISMATCH, "holds %s, but --backbone says %s; leave --backbone out", text, backbone);
    }
    return FOV_OK;
}

/* Names and shapes do not tell: the caller's word is taken, and loading says in detail what does not fit. */
static fov_status take_named(const fov_safetensors *file, const char *backbone, size_t image_size, fov_backbone_spec *spec) {
    FOV_TRY(fov_backbone_parse(backbone, image_size == 0 ? 224 : image_size, spec));
    const fov_tensor *stem = fov_safetensors_find(file, spec->patch > 0 ? "patch_embed.proj.weight" : "conv1.weight");
    const bool usual = stem != NULL && stem->rank == 4;
    spec->small_stem = usual && spec->patch == 0 && stem->dim[2] == 3;
    spec->channels = usual && stem->dim[1] >= 1 && stem->dim[1] <= FOV_MAX_CHANNELS ? (size_t)stem->dim[1] : 3;
    return FOV_OK;
}

/* A file that says nothing about pictures: ImageNet's figures go with RGB; for other channels there are none that everybody uses. */
static void assume_preprocess(const fov_backbone_spec *spec, size_t image_size, fov_preprocess *preprocess) {
    fov_preprocess_default(image_size, preprocess);
    if (spec->channels == preprocess->format.channels) {
        return;
    }
    preprocess->format.channels = spec->channels;
    for (size_t c = 0; c < spec->channels; c++) {
        preprocess->mean[c] = 0.0;
        preprocess->std[c] = 1.0;
    }
    fov_log(FOV_LOG_WARNING, "the weights take pictures of %zu channels, but do not say how these were normalised: pixels go in as 0 to 1", spec->channels);
}

static fov_status tell(const fov_safetensors *file, const char *backbone, size_t image_size, fov_backbone_spec *spec, fov_preprocess *preprocess) {
    fov_status status = fov_metadata_read(file, spec, preprocess);
    if (status == FOV_OK) {
        return backbone == NULL ? FOV_OK : check_named(spec, backbone);
    }
    if (status != FOV_E_NOTFOUND) {
        return status;
    }
    status = fov_backbone_recognise(file, spec);
    if (status == FOV_OK && backbone != NULL) {
        status = check_named(spec, backbone);
    } else if (status != FOV_OK && backbone != NULL) {
        status = take_named(file, backbone, image_size, spec);
    }
    FOV_TRY(status);
    assume_preprocess(spec, image_size != 0 ? image_size : spec->image_size, preprocess);
    return FOV_OK;
}

/* Another image size than the file says keeps the ratio of resize and crop. */
static fov_status change_size(size_t image_size, fov_backbone_spec *spec, fov_preprocess *preprocess) {
    if (image_size != 0 && image_size != preprocess->image_size) {
        preprocess->resize = preprocess->resize * image_size / preprocess->image_size;
        preprocess->image_size = image_size;
    }
    spec->image_size = preprocess->image_size;
    FOV_TRY(spec->backbone->check(spec));
    return FOV_OK;
}

/* ---- where it comes from ---- */

static bool is_described(const fov_metadata_list *described, const char *key) {
    for (size_t i = 0; i < described->count; i++) {
        if (strcmp(described->item[i].key, key) == 0) {
            return true;
        }
    }
    return false;
}

static fov_status keep_provenance(fov_encoder *e, const fov_safetensors *file) {
    fov_metadata_list described;
    fov_metadata_init(&described);
    fov_status status = FOV_OK;
    FOV_TRY_GOTO(status, done, fov_metadata_describe(&described, &e->spec, &e->preprocess));
    for (size_t i = 0; i < fov_safetensors_metadata_count(file) && e->provenance.count < PROVENANCE_MAX; i++) {
        const char *value = NULL, *key = fov_safetensors_metadata_at(file, i, &value);
        if (strncmp(key, "fovea.", 6) == 0 && !is_described(&described, key)) {
            FOV_TRY_GOTO(status, done, fov_metadata_add(&e->provenance, key, "%s", value));
        }
    }
done:
    fov_metadata_clear(&described);
    return status;
}

static fov_status load(fov_encoder **encoder, const fov_safetensors *file, const char *backbone, size_t image_size, fov_pool *pool) {
    fov_backbone_spec spec = {0};
    fov_preprocess preprocess = {0};
    fov_encoder *e = NULL;
    fov_status status = FOV_OK;
    FOV_TRY(tell(file, backbone, image_size, &spec, &preprocess));
    FOV_TRY(change_size(image_size, &spec, &preprocess));
    FOV_TRY(fov_encoder_new(&e, &spec, &preprocess, pool));
    FOV_TRY_GOTO(status, failed, fov_backbone_load_file(e->store, &spec, file));
    FOV_TRY_GOTO(status, failed, keep_provenance(e, file));
    *encoder = e;
    return FOV_OK;
failed:
    fov_encoder_free(e);
    return status;
}

fov_status fov_encoder_open(fov_encoder **encoder, const char *weights, const char *backbone, size_t image_size, fov_pool *pool) {
    char *path = NULL;
    fov_safetensors *file = NULL;
    fov_status status = FOV_OK;
    FOV_TRY_GOTO(status, done, fov_weights_find(weights, &path));
    FOV_TRY_GOTO(status, done, open_file(path, &file));
    status = load(encoder, file, backbone, image_size, pool);
    if (status != FOV_OK) {
        status = fov_fail_prefix(status, "%s", path);
    }
done:
    fov_safetensors_close(file);
    fov_mem_free(path);
    return status;
}
