/* Writing weights for others and proving that they arrived.
 *
 * The file is read back through the same strict reader that any user goes through, into a store of its own, and compared number by number: what
 * is reported is what is on the disk, not what was meant to be. */
#include "export/export.h"

#include <math.h>
#include <string.h>

#include "base/io.h"

fov_status fov_export_check(const char *path, bool overwrite) {
    static const char *const suffixes[] = {".safetensors", NULL};
    const char *dot = strrchr(fov_path_base(path), '.');
    if (dot != NULL && strcmp(dot, ".onnx") == 0) {
        return FOV_FAIL(FOV_E_INVALID, "%s: ONNX is not yet available in this version; write a .safetensors file", path);
    }
    return fov_io_check_output(path, suffixes, overwrite);
}

/* Largest difference between two stores of one backbone; NaN counts as infinite. */
static double difference(const fov_store *a, const fov_store *b) {
    double largest = 0.0;
    for (size_t i = 0; i < fov_store_size(a); i++) {
        const fov_param *param = fov_store_at(a, i);
        const fov_real *left = fov_param_values(a, param), *right = fov_param_values(b, fov_store_find(b, param->name));
        for (size_t j = 0; j < param->count; j++) {
            const double apart = fabs((double)left[j] - (double)right[j]);
            largest = isnan(apart) ? HUGE_VAL : fmax(largest, apart);
        }
    }
    return largest;
}

/* Reads back: the reader checks names and shapes, then values are compared with those in `store`. */
static fov_status verify(fov_export_result *result, const fov_store *store, const fov_backbone_spec *spec, const char *path) {
    fov_store *back = NULL;
    fov_safetensors *file = NULL;
    fov_status status = FOV_OK;
    FOV_TRY_GOTO(status, done, fov_backbone_store(&back, spec));
    FOV_TRY_GOTO(status, done, fov_safetensors_open(&file, path));
    FOV_TRY_GOTO(status, done, fov_store_read(back, file, "", NULL));
    result->tensors = fov_safetensors_count(file);
    result->parameters = fov_store_parameters(back);
    result->bytes = 0;
    for (size_t i = 0; i < result->tensors; i++) {
        result->bytes += fov_safetensors_at(file, i)->bytes;
    }
    result->largest_difference = difference(back, store);
    if (result->tensors != fov_store_size(back)) {
        status = FOV_FAIL(FOV_E_IO, "%zu tensors were written, but %zu are in the file", fov_store_size(back), result->tensors);
    } else if (result->largest_difference > 0.0) {
        status = FOV_FAIL(FOV_E_IO, "weights read back differ by up to %g", result->largest_difference);
    }
done:
    fov_safetensors_close(file);
    fov_store_free(back);
    return status;
}

fov_status fov_export_weights(fov_export_result *result, const fov_store *store, const fov_backbone_spec *spec, const fov_preprocess *preprocess,
                              const fov_metadata *extra, size_t extra_count, const char *path) {
    FOV_TRY(fov_backbone_save(store, spec, preprocess, extra, extra_count, path));
    fov_status status = verify(result, store, spec, path);
    if (status != FOV_OK) {
        status = fov_fail_prefix(status, "%s: written, but it does not read back and was removed", path);
        char *message = fov_mem_strdup(FOV_MEM_FILE, fov_last_error());
        if (fov_io_remove(path) != FOV_OK && message != NULL) { /* the first failure is the one to tell */
            status = fov_fail_copy(status, message, fov_last_trail());
        }
        fov_mem_free(message);
    }
    return status;
}
