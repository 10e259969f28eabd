/* Backbone weights between a store and a file.
 *
 * Both directions go through a second store that holds the backbone and nothing else, built from its spec: loading is then strict (all of the
 * backbone, nothing unknown) whatever heads the first store has, and a saved file loads strictly into torchvision and timm. For a position
 * embedding of another grid the second store is that of the file's own image size, and for a start from RGB weights that of three channels. */
#include "weights/backbone_file.h"

#include <string.h>

#include "base/checked.h"
#include "base/io.h"
#include "base/log.h"
#include "models/blocks.h"

#define RUN_WEIGHTS "backbone.safetensors"
#define RUN_CONFIG "config.ini"

/* Heads and decoders that files of classifiers and of MAE carry besides the backbone. */
static const char *const passed_over[] = {"fc.", "head.", "decoder_", "mask_token", NULL};

/* ---- finding the file ---- */

static fov_status run_weights(const char *run, char **path) {
    char *config = fov_path_join(run, RUN_CONFIG);
    FOV_TRY_ALLOC(config);
    const bool is_run = fov_io_kind(config) == FOV_PATH_FILE;
    fov_mem_free(config);
    *path = fov_path_join(run, RUN_WEIGHTS);
    FOV_TRY_ALLOC(*path);
    if (fov_io_kind(*path) == FOV_PATH_FILE) {
        return FOV_OK;
    }
    fov_mem_free(*path);
    *path = NULL;
    if (is_run) {
        return FOV_FAIL(FOV_E_NOTFOUND, "%s holds a run that has not saved weights yet (there is no " RUN_WEIGHTS "); wait for it, or continue it with "
                                        "--resume",
                        run);
    }
    return FOV_FAIL(FOV_E_NOTFOUND, "%s is a folder without " RUN_WEIGHTS "; give a folder that 'fovea pretrain --out' made, or a .safetensors file", run);
}

fov_status fov_weights_find(const char *weights, char **path) {
    switch (fov_io_kind(weights)) {
    case FOV_PATH_DIR:
        return run_weights(weights, path);
    case FOV_PATH_FILE:
        *path = fov_mem_strdup(FOV_MEM_FILE, weights);
        FOV_TRY_ALLOC(*path);
        return FOV_OK;
    case FOV_PATH_OTHER:
        return FOV_FAIL(FOV_E_INVALID, "%s is neither a folder nor a regular file; give a run directory or a .safetensors file", weights);
    case FOV_PATH_NONE:
        break;
    }
    return FOV_FAIL(FOV_E_NOTFOUND, "%s does not exist; give a run directory or a .safetensors file", weights);
}

/* ---- loading ---- */

size_t fov_position_grid(uint64_t tokens) {
    size_t grid = 0;
    while (grid < 65536 && 1 + (uint64_t)grid * grid < tokens) {
        grid++;
    }
    return grid > 0 && 1 + (uint64_t)grid * grid == tokens ? grid : 0;
}

static fov_status fill_store(fov_store *store, fov_graph *graph, const fov_backbone_spec *spec) {
    fov_graph_use_store(graph, store);
    fov_node *x = fov_input(graph, "x", FOV_DTYPE_REAL, FOV_SHAPE(1, spec->image_size, spec->image_size, spec->channels));
    (void)spec->backbone->build(graph, spec, x, NULL);
    FOV_TRY(fov_graph_status(graph));
    FOV_TRY(fov_store_commit(store, false));
    return FOV_OK;
}

fov_status fov_backbone_store(fov_store **store, const fov_backbone_spec *spec) {
    fov_store *made = NULL;
    fov_graph *graph = NULL;
    fov_status status = FOV_OK;
    FOV_TRY_GOTO(status, done, fov_store_new(&made));
    FOV_TRY_GOTO(status, done, fov_graph_new(&graph, false));
    FOV_TRY_GOTO(status, done, fill_store(made, graph, spec));
    *store = made;
    made = NULL;
done:
    fov_graph_free(graph);
    fov_store_free(made);
    return status;
}

/* ---- loading ---- */

/* Side of the position grid in the file; that of the spec when the file's is the same or the backbone has none. */
static fov_status file_grid(const fov_backbone_spec *spec, const fov_safetensors *file, size_t *grid) {
    *grid = spec->patch == 0 ? 0 : spec->image_size / spec->patch;
    const fov_tensor *position = spec->patch == 0 ? NULL : fov_safetensors_find(file, "pos_embed");
    if (position == NULL || position->rank != 3 || position->dim[0] != 1 || position->dim[2] != spec->backbone->width ||
        position->dim[1] == 1 + (uint64_t)*grid * *grid) {
        return FOV_OK; /* the strict reading that follows has the right words for anything wrong */
    }
    *grid = fov_position_grid(position->dim[1]);
    if (*grid == 0) {
        return FOV_FAIL(FOV_E_UNSUPPORTED,
                        "tensor 'pos_embed' has %llu positions, which is not a class token and a square grid; only such a ViT can be read",
                        (unsigned long long)position->dim[1]);
    }
    return FOV_OK;
}

static fov_status resample(fov_store *to, const fov_param *target, const fov_store *from, const fov_param *source) {
    const size_t d = source->shape.dim[2], tokens = target->shape.dim[1];
    fov_status status = FOV_OK;
    float *in = fov_mem_array(FOV_MEM_FILE, source->count, sizeof *in);
    float *out = fov_mem_array(FOV_MEM_FILE, target->count, sizeof *out);
    if (in == NULL || out == NULL) {
        status = FOV_E_NOMEM;
        goto done;
    }
    fov_param_to_file(from, source, in);
    FOV_TRY_GOTO(status, done, fov_position_resize(in, fov_position_grid(source->shape.dim[1]), fov_position_grid(tokens), d, out));
    fov_param_from_file(to, target, out);
done:
    fov_mem_free(in);
    fov_mem_free(out);
    return status;
}

/* The parameter that sees the pictures' channels; its last axis. */
static const char *stem_name(const fov_backbone_spec *spec) { return spec->patch > 0 ? "patch_embed.proj.weight" : "conv1.weight"; }

/* Channels of the pictures that the file's weights are for, as far as its first layer tells; else those of the spec. */
static size_t file_channels(const fov_backbone_spec *spec, const fov_safetensors *file) {
    const fov_tensor *stem = fov_safetensors_find(file, stem_name(spec));
    return stem != NULL && stem->rank == 4 && stem->dim[1] >= 1 && stem->dim[1] <= FOV_INPUT_CHANNELS ? (size_t)stem->dim[1] : spec->channels;
}

/* First-layer weights for RGB to other channels, as timm does it: one channel gets the sum, more get red, green, blue, red, ... times 3 / count,
 * so that a picture with the same in all of its channels gives what it gave. */
static void adapt_channels(const fov_real *from, fov_real *to, size_t rows, size_t channels) {
    const fov_real factor = (fov_real)(3.0 / (double)channels);
    for (size_t i = 0; i < rows; i++) {
        const fov_real *rgb = from + 3 * i;
        for (size_t c = 0; c < channels; c++) {
            to[i * channels + c] = channels == 1 ? rgb[0] + rgb[1] + rgb[2] : rgb[c % 3] * factor;
        }
    }
}

static fov_status check_channels(const fov_backbone_spec *spec, size_t channels) {
    if (channels == spec->channels) {
        return FOV_OK;
    }
    if (channels != 3) {
        return FOV_FAIL(FOV_E_MISMATCH,
                        "the weights are for pictures of %zu channels, but the run has --channels %zu; only weights for 3 can be adapted",
                        channels, spec->channels);
    }
    fov_log(FOV_LOG_INFO, "the weights to start from are for 3 channels: their first layer is adapted to %zu", spec->channels);
    return FOV_OK;
}

/* Every parameter of `from` must be in `to`; only a position embedding and, from 3 channels, the first layer may differ in shape. */
static fov_status check_target(const fov_store *to, const fov_store *from, const char *stem) {
    for (size_t i = 0; i < fov_store_size(from); i++) {
        const fov_param *source = fov_store_at(from, i), *target = fov_store_find(to, source->name);
        const bool may_differ = strcmp(source->name, "pos_embed") == 0 || (stem != NULL && strcmp(source->name, stem) == 0);
        if (target == NULL || (!fov_shape_equal(&source->shape, &target->shape) && !may_differ)) {
            return FOV_FAIL(FOV_E_MISMATCH, "the model's '%s' is %s; it was built for another backbone", source->name,
                            target == NULL ? "not there" : "of another shape");
        }
    }
    return FOV_OK;
}

static fov_status copy_params(fov_store *to, const fov_store *from, const char *stem) {
    FOV_TRY(check_target(to, from, stem));
    /* The one that can fail comes first, so that a failure leaves all as it was. */
    const fov_param *position = fov_store_find(from, "pos_embed");
    const fov_param *wanted = position == NULL ? NULL : fov_store_find(to, "pos_embed");
    const bool resampled = wanted != NULL && wanted->count != position->count;
    if (resampled) {
        FOV_TRY(resample(to, wanted, from, position));
    }
    for (size_t i = 0; i < fov_store_size(from); i++) {
        const fov_param *source = fov_store_at(from, i), *target = fov_store_find(to, source->name);
        if (stem != NULL && strcmp(source->name, stem) == 0 && target->count != source->count) {
            adapt_channels(fov_param_values(from, source), fov_param_values(to, target), source->count / 3, target->shape.dim[3]);
        } else if (!resampled || source != position) {
            memcpy(fov_param_values(to, target), fov_param_values(from, source), source->count * sizeof(fov_real));
        }
    }
    return FOV_OK;
}

/* adapt: weights for RGB may be taken into a backbone for other channels. */
static fov_status load(fov_store *store, const fov_backbone_spec *spec, const fov_safetensors *file, bool adapt) {
    fov_store *alone = NULL;
    fov_backbone_spec own = *spec;
    fov_status status = FOV_OK;
    size_t grid = 0;
    FOV_TRY(file_grid(spec, file, &grid));
    if (grid != 0 && !fov_mul_size(grid, spec->patch, &own.image_size)) {
        return FOV_FAIL(FOV_E_LIMIT, "a position grid of %zu x %zu is too large", grid, grid);
    }
    if (adapt) {
        own.channels = file_channels(spec, file);
        FOV_TRY(check_channels(spec, own.channels));
    }
    FOV_TRY_GOTO(status, done, fov_backbone_store(&alone, &own));
    FOV_TRY_GOTO(status, done, fov_store_read(alone, file, "", passed_over));
    FOV_TRY_GOTO(status, done, copy_params(store, alone, adapt ? stem_name(spec) : NULL));
done:
    fov_store_free(alone);
    return status;
}

fov_status fov_backbone_load_file(fov_store *store, const fov_backbone_spec *spec, const fov_safetensors *file) {
    FOV_TRY(load(store, spec, file, false));
    return FOV_OK;
}

fov_status fov_backbone_load(fov_store *store, const fov_backbone_spec *spec, const char *weights) {
    char *path = NULL;
    fov_safetensors *file = NULL;
    fov_status status = FOV_OK;
    FOV_TRY_GOTO(status, done, fov_weights_find(weights, &path));
    FOV_TRY_GOTO(status, done, fov_safetensors_open(&file, path));
    status = load(store, spec, file, true);
    if (status != FOV_OK) {
        char text[64];
        fov_backbone_text(spec, text, sizeof text);
        status = fov_fail_prefix(status, "%s as %s", path, text);
    }
done:
    fov_safetensors_close(file);
    fov_mem_free(path);
    return status;
}

/* ---- saving ---- */

static fov_status describe(fov_metadata_list *list, const fov_backbone_spec *spec, const fov_preprocess *preprocess, const fov_metadata *extra,
                           size_t extra_count) {
    FOV_TRY(fov_metadata_describe(list, spec, preprocess));
    for (size_t i = 0; i < extra_count; i++) {
        FOV_TRY(fov_metadata_add(list, extra[i].key, "%s", extra[i].value));
    }
    return FOV_OK;
}

fov_status fov_backbone_save(const fov_store *store, const fov_backbone_spec *spec, const fov_preprocess *preprocess, const fov_metadata *extra,
                             size_t extra_count, const char *path) {
    fov_store *alone = NULL;
    fov_metadata_list list;
    fov_metadata_init(&list);
    fov_status status = FOV_OK;
    FOV_TRY_GOTO(status, done, fov_backbone_store(&alone, spec));
    FOV_TRY_GOTO(status, done, check_target(store, alone, NULL));
    for (size_t i = 0; i < fov_store_size(alone); i++) {
        const fov_param *param = fov_store_at(alone, i), *source = fov_store_find(store, param->name);
        if (!fov_shape_equal(&param->shape, &source->shape)) {
            status = FOV_FAIL(FOV_E_MISMATCH, "the model's '%s' is of another image size than %zu px", param->name, spec->image_size);
            goto done;
        }
        memcpy(fov_param_values(alone, param), fov_param_values(store, source), param->count * sizeof(fov_real));
    }
    FOV_TRY_GOTO(status, done, describe(&list, spec, preprocess, extra, extra_count));
    FOV_TRY_GOTO(status, done, fov_store_write(alone, "", path, list.item, list.count));
done:
    fov_metadata_clear(&list);
    fov_store_free(alone);
    return status;
}
