/* Parameters between a store and a safetensors file.
 *
 * Convolution kernels are held as [out, kh, kw, in], so that channels are contiguous, and filed as PyTorch has them, [out, in, kh, kw].
 * Reading looks at everything (names, shapes, types, every value) before it changes anything: a store is never left half loaded. */
#include "weights/store_file.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/checked.h"

#define NAMED_MISSING 5

/* ---- layout ---- */

typedef struct conv_dims {
    size_t out, height, width, in;
} conv_dims;

static conv_dims conv_of(const fov_param *param) {
    FOV_ASSERT(param->shape.rank == 4);
    const size_t *d = param->shape.dim;
    return (conv_dims){.out = d[0], .height = d[1], .width = d[2], .in = d[3]};
}

void fov_param_to_file(const fov_store *store, const fov_param *param, float *out) {
    const fov_real *values = fov_param_values(store, param);
    if (param->spec.layout == FOV_LAYOUT_PLAIN) {
        for (size_t i = 0; i < param->count; i++) {
            out[i] = (float)values[i];
        }
        return;
    }
    const conv_dims d = conv_of(param);
    const size_t taps = d.height * d.width;
    for (size_t o = 0; o < d.out; o++) {
        for (size_t i = 0; i < d.in; i++) {
            for (size_t t = 0; t < taps; t++) {
                out[(o * d.in + i) * taps + t] = (float)values[(o * taps + t) * d.in + i];
            }
        }
    }
}

void fov_param_from_file(const fov_store *store, const fov_param *param, const float *in) {
    fov_real *values = fov_param_values(store, param);
    if (param->spec.layout == FOV_LAYOUT_PLAIN) {
        for (size_t i = 0; i < param->count; i++) {
            values[i] = (fov_real)in[i];
        }
        return;
    }
    const conv_dims d = conv_of(param);
    const size_t taps = d.height * d.width;
    for (size_t o = 0; o < d.out; o++) {
        for (size_t t = 0; t < taps; t++) {
            for (size_t i = 0; i < d.in; i++) {
                values[(o * taps + t) * d.in + i] = (fov_real)in[(o * d.in + i) * taps + t];
            }
        }
    }
}

/* The shape of a parameter in files. */
static unsigned file_shape(const fov_param *param, uint64_t dim[8]) {
    if (param->spec.role == FOV_PARAM_COUNTER) {
        return 0;
    }
    for (unsigned i = 0; i < param->shape.rank; i++) {
        dim[i] = param->shape.dim[i];
    }
    if (param->spec.layout == FOV_LAYOUT_CONV) {
        const conv_dims d = conv_of(param);
        dim[1] = d.in;
        dim[2] = d.height;
        dim[3] = d.width;
    }
    return param->shape.rank;
}

static const char *shape_text(const uint64_t *dim, unsigned rank, char *text, size_t size) {
    size_t used = (size_t)snprintf(text, size, "[");
    for (unsigned i = 0; i < rank && used < size; i++) {
        used += (size_t)snprintf(text + used, size - used, "%s%llu", i == 0 ? "" : ", ", (unsigned long long)dim[i]);
    }
    if (used < size) {
        (void)snprintf(text + used, size - used, "]");
    }
    return text;
}

/* ---- number types ---- */

static float half_to_float(uint16_t half) {
    const uint32_t sign = (uint32_t)(half & 0x8000U) << 16;
    const uint32_t exponent = (half >> 10) & 0x1FU, fraction = half & 0x3FFU;
    uint32_t bits = sign | 0x7F800000U | fraction << 13; /* infinity, NaN */
    if (exponent == 0) {
        const float small = ldexpf((float)fraction, -24);
        return sign != 0 ? -small : small;
    }
    if (exponent < 31) {
        bits = sign | (exponent + 112) << 23 | fraction << 13;
    }
    float value = 0.0F;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static bool convertible(fov_file_dtype dtype, fov_param_role role) {
    return dtype == FOV_FILE_F32 || dtype == FOV_FILE_F64 || dtype == FOV_FILE_F16 || dtype == FOV_FILE_BF16 ||
           (dtype == FOV_FILE_I64 && role == FOV_PARAM_COUNTER);
}

static void convert(const fov_tensor *tensor, size_t count, float *out) {
    const unsigned char *data = tensor->data;
    switch (tensor->dtype) {
    case FOV_FILE_F32:
        memcpy(out, data, count * sizeof *out);
        return;
    case FOV_FILE_F64:
        for (size_t i = 0; i < count; i++) {
            double value = 0.0;
            memcpy(&value, data + 8 * i, sizeof value);
            out[i] = (float)value;
        }
        return;
    case FOV_FILE_F16:
        for (size_t i = 0; i < count; i++) {
            uint16_t half = 0;
            memcpy(&half, data + 2 * i, sizeof half);
            out[i] = half_to_float(half);
        }
        return;
    case FOV_FILE_BF16:
        for (size_t i = 0; i < count; i++) {
            uint16_t high = 0;
            memcpy(&high, data + 2 * i, sizeof high);
            const uint32_t bits = (uint32_t)high << 16;
            memcpy(&out[i], &bits, sizeof out[i]);
        }
        return;
    case FOV_FILE_I64:
        for (size_t i = 0; i < count; i++) {
            int64_t value = 0;
            memcpy(&value, data + 8 * i, sizeof value);
            out[i] = (float)value;
        }
        return;
    default:
        return; /* check_param lets no other type through */
    }
}

/* ---- reading ---- */

typedef struct loading {
    fov_store *store;
    const fov_safetensors *file;
    const char *prefix;
    const char *const *ignored;
    fov_text name;  /* prefix + name of the parameter at hand */
    float *scratch; /* room for the largest parameter */
    size_t largest;
    size_t missing;
    fov_text missing_names;
} loading;

static fov_status find_tensor(loading *l, const fov_param *param, const fov_tensor **tensor) {
    fov_text_clear(&l->name);
    fov_text_add(&l->name, l->prefix);
    fov_text_add(&l->name, param->name);
    FOV_TRY(l->name.status);
    *tensor = fov_safetensors_find(l->file, l->name.data);
    return FOV_OK;
}

static fov_status check_param(loading *l, const fov_param *param) {
    const fov_tensor *tensor = NULL;
    FOV_TRY(find_tensor(l, param, &tensor));
    if (tensor == NULL && param->spec.role == FOV_PARAM_COUNTER) {
        return FOV_OK; /* old files have none, and nothing depends on it */
    }
    if (tensor == NULL) {
        if (l->missing++ < NAMED_MISSING) {
            fov_text_printf(&l->missing_names, "%s%s", l->missing > 1 ? ", " : "", l->name.data);
        }
        return l->missing_names.status;
    }
    uint64_t dim[8] = {0};
    const unsigned rank = file_shape(param, dim);
    const bool one = param->spec.role == FOV_PARAM_COUNTER && tensor->rank == 1 && tensor->dim[0] == 1;
    if (!one && (tensor->rank != rank || memcmp(tensor->dim, dim, rank * sizeof dim[0]) != 0)) {
        char have[192], want[192];
        return FOV_FAIL(FOV_E_MISMATCH, "tensor '%s' has shape %s in the file, but %s is needed; is it for another backbone or image size?",
                        l->name.data, shape_text(tensor->dim, tensor->rank, have, sizeof have), shape_text(dim, rank, want, sizeof want));
    }
    if (!convertible(tensor->dtype, param->spec.role)) {
        return FOV_FAIL(FOV_E_UNSUPPORTED, "tensor '%s' has number type %s; F32, F64, F16 and BF16 can be read", l->name.data,
                        fov_file_dtype_name(tensor->dtype));
    }
    l->largest = param->count > l->largest ? param->count : l->largest;
    return FOV_OK;
}

static fov_status check_names(loading *l) {
    for (size_t i = 0; i < fov_store_size(l->store); i++) {
        FOV_TRY(check_param(l, fov_store_at(l->store, i)));
    }
    if (l->missing > 0) {
        char more[48] = "";
        if (l->missing > NAMED_MISSING) {
            (void)snprintf(more, sizeof more, " and %zu more", l->missing - NAMED_MISSING);
        }
        return FOV_FAIL(FOV_E_MISMATCH, "%zu %s missing in the file: %s%s; is it for another backbone?", l->missing,
                        l->missing == 1 ? "tensor is" : "tensors are", l->missing_names.data, more);
    }
    return FOV_OK;
}

static bool starts_with(const char *text, const char *start) {
    return strncmp(text, start, strlen(start)) == 0;
}

/* A tensor the store has no place for: is that allowed? */
static bool may_be_left(const loading *l, const char *name) {
    const bool ours = starts_with(name, l->prefix);
    for (size_t i = 0; l->ignored != NULL && l->ignored[i] != NULL; i++) {
        if (starts_with(name, l->ignored[i]) || (ours && starts_with(name + strlen(l->prefix), l->ignored[i]))) {
            return true;
        }
    }
    return false;
}

static fov_status check_extra(const loading *l) {
    size_t extra = 0;
    const char *first = NULL;
    for (size_t i = 0; i < fov_safetensors_count(l->file); i++) {
        const char *name = fov_safetensors_at(l->file, i)->name;
        const bool known = starts_with(name, l->prefix) && fov_store_find(l->store, name + strlen(l->prefix)) != NULL;
        if (!known && !may_be_left(l, name)) {
            first = extra++ == 0 ? name : first;
        }
    }
    if (extra == 0) {
        return FOV_OK;
    }
    fov_text shown;
    fov_text_init(&shown);
    fov_text_add_escaped(&shown, first);
    const fov_status status =
        FOV_FAIL(FOV_E_MISMATCH, "the file holds %zu %s this backbone has no place for, such as '%.200s'; is it for another backbone?",
                 extra, extra == 1 ? "tensor" : "tensors", shown.data == NULL ? "" : shown.data);
    fov_text_clear(&shown);
    return status;
}

/* Converts one parameter into the scratch; with `keep` it goes on into the store. */
static fov_status load_param(loading *l, const fov_param *param, bool keep) {
    const fov_tensor *tensor = NULL;
    FOV_TRY(find_tensor(l, param, &tensor));
    if (tensor == NULL) {
        return FOV_OK;
    }
    convert(tensor, param->count, l->scratch);
    for (size_t i = 0; i < param->count && !keep; i++) {
        if (!isfinite(l->scratch[i])) {
            return FOV_FAIL(FOV_E_NUMERIC, "tensor '%s' holds a value that is not finite, at index %zu; the weights are broken",
                            l->name.data, i);
        }
    }
    if (keep) {
        fov_param_from_file(l->store, param, l->scratch);
    }
    return FOV_OK;
}

static fov_status load_all(loading *l) {
    FOV_TRY(check_names(l));
    FOV_TRY(check_extra(l));
    l->scratch = fov_mem_array(FOV_MEM_FILE, l->largest, sizeof *l->scratch);
    FOV_TRY_ALLOC(l->scratch);
    for (int keep = 0; keep < 2; keep++) {
        for (size_t i = 0; i < fov_store_size(l->store); i++) {
            FOV_TRY(load_param(l, fov_store_at(l->store, i), keep != 0));
        }
    }
    return FOV_OK;
}

fov_status fov_store_read(fov_store *store, const fov_safetensors *file, const char *prefix, const char *const *ignored) {
    loading l = {.store = store, .file = file, .prefix = prefix, .ignored = ignored};
    fov_text_init(&l.name);
    fov_text_init(&l.missing_names);
    const fov_status status = load_all(&l);
    fov_text_clear(&l.name);
    fov_text_clear(&l.missing_names);
    fov_mem_free(l.scratch);
    return status;
}

/* ---- writing ---- */

/* Fills `tensor` and its bytes at `data`. */
static void store_tensor(const fov_store *store, const fov_param *param, size_t cut, fov_tensor *tensor, unsigned char *data) {
    const bool counter = param->spec.role == FOV_PARAM_COUNTER;
    *tensor = (fov_tensor){.name = param->name + cut, .dtype = counter ? FOV_FILE_I64 : FOV_FILE_F32, .data = data};
    tensor->rank = file_shape(param, tensor->dim);
    if (counter) {
        const int64_t value = (int64_t)fov_param_values(store, param)[0];
        memcpy(data, &value, sizeof value);
        tensor->bytes = sizeof value;
    } else {
        fov_param_to_file(store, param, (float *)(void *)data);
        tensor->bytes = param->count * sizeof(float);
    }
}

static size_t tensor_bytes(const fov_param *param) {
    return param->spec.role == FOV_PARAM_COUNTER ? sizeof(int64_t) : param->count * sizeof(float);
}

fov_status fov_store_write(const fov_store *store, const char *prefix, const char *path, const fov_metadata *metadata,
                           size_t metadata_count) {
    const size_t size = fov_store_size(store);
    size_t total = 0, count = 0;
    fov_status status = FOV_OK;
    unsigned char *data = NULL;
    fov_tensor *tensors = fov_mem_array(FOV_MEM_FILE, size, sizeof *tensors);
    FOV_TRY_ALLOC(tensors);
    for (size_t i = 0; i < size; i++) {
        const fov_param *param = fov_store_at(store, i);
        size_t room = 0;
        const bool fits = fov_round_up(tensor_bytes(param), sizeof(int64_t), &room) && fov_add_size(total, room, &total);
        FOV_ASSERT(fits); /* the store holds these values already */
    }
    data = fov_mem_alloc(FOV_MEM_FILE, total);
    if (data == NULL) {
        status = FOV_E_NOMEM;
        goto done;
    }
    for (size_t i = 0, offset = 0; i < size; i++) {
        const fov_param *param = fov_store_at(store, i);
        if (starts_with(param->name, prefix)) {
            store_tensor(store, param, strlen(prefix), &tensors[count++], data + offset);
            offset += (tensor_bytes(param) + 7) / 8 * 8;
        }
    }
    FOV_TRY_GOTO(status, done, fov_safetensors_write(path, tensors, count, metadata, metadata_count));
done:
    fov_mem_free(data);
    fov_mem_free(tensors);
    return status;
}
