/* Writing safetensors, byte for byte as the format's own writer does: tensors by type in the order below, then by name; the header padded
 * with spaces to a multiple of 8, so that every tensor is aligned to its numbers. (Its metadata comes from a hash table in no fixed order;
 * ours keeps the caller's.) */
#include <stdlib.h>
#include <string.h>

#include "base/checked.h"
#include "weights/safetensors.h"

/* Place of each type in a file: wide numbers first. */
static const unsigned char type_order[FOV_FILE_DTYPE_COUNT] = {
    [FOV_FILE_U64] = 0,      [FOV_FILE_I64] = 1,  [FOV_FILE_F64] = 2, [FOV_FILE_C64] = 3,   [FOV_FILE_F32] = 4,  [FOV_FILE_U32] = 5,
    [FOV_FILE_I32] = 6,      [FOV_FILE_BF16] = 7, [FOV_FILE_F16] = 8, [FOV_FILE_U16] = 9,   [FOV_FILE_I16] = 10, [FOV_FILE_F8_E4M3] = 11,
    [FOV_FILE_F8_E5M2] = 12, [FOV_FILE_I8] = 13,  [FOV_FILE_U8] = 14, [FOV_FILE_BOOL] = 15,
};

static int compare_tensors(const void *a, const void *b) {
    const fov_tensor *x = *(const fov_tensor *const *)a, *y = *(const fov_tensor *const *)b;
    const int order = (int)type_order[x->dtype] - (int)type_order[y->dtype];
    return order != 0 ? order : strcmp(x->name, y->name);
}

static int compare_names(const void *a, const void *b) {
    return strcmp((*(const fov_tensor *const *)a)->name, (*(const fov_tensor *const *)b)->name);
}

static fov_status check_tensor(const fov_tensor *tensor, const char *path) {
    if (!fov_utf8_valid(tensor->name, strlen(tensor->name)) || strcmp(tensor->name, "__metadata__") == 0) {
        return FOV_FAIL(FOV_E_INVALID, "%s: '%.200s' cannot be the name of a tensor", path, tensor->name);
    }
    FOV_ASSERT((unsigned)tensor->dtype < FOV_FILE_DTYPE_COUNT && tensor->rank <= sizeof tensor->dim / sizeof tensor->dim[0]);
    uint64_t bytes = fov_file_dtype_bytes(tensor->dtype);
    bool fits = true;
    for (unsigned i = 0; i < tensor->rank; i++) {
        fits = fov_mul_u64(bytes, tensor->dim[i], &bytes) && fits;
    }
    if (!fits || bytes != tensor->bytes) {
        return FOV_FAIL(FOV_E_INVALID, "%s: tensor '%.200s' has %zu bytes, which do not fit its type and shape", path, tensor->name,
                        tensor->bytes);
    }
    return FOV_OK;
}

/* Pointers to the tensors in file order; every name once. */
static fov_status arrange(const char *path, const fov_tensor *tensors, size_t count, const fov_tensor **order) {
    for (size_t i = 0; i < count; i++) {
        FOV_TRY(check_tensor(&tensors[i], path));
        order[i] = &tensors[i];
    }
    qsort(order, count, sizeof *order, compare_names);
    for (size_t i = 1; i < count; i++) {
        if (strcmp(order[i - 1]->name, order[i]->name) == 0) {
            return FOV_FAIL(FOV_E_INVALID, "%s: two tensors are called '%.200s'", path, order[i]->name);
        }
    }
    qsort(order, count, sizeof *order, compare_tensors);
    return FOV_OK;
}

static void add_tensor(fov_json_writer *w, const fov_tensor *tensor, uint64_t begin, uint64_t end) {
    fov_json_open(w, tensor->name, '{');
    fov_json_add_string(w, "dtype", fov_file_dtype_name(tensor->dtype));
    fov_json_open(w, "shape", '[');
    for (unsigned i = 0; i < tensor->rank; i++) {
        fov_json_add_int(w, NULL, (int64_t)tensor->dim[i]);
    }
    fov_json_close(w, ']');
    fov_json_open(w, "data_offsets", '[');
    fov_json_add_int(w, NULL, (int64_t)begin);
    fov_json_add_int(w, NULL, (int64_t)end);
    fov_json_close(w, ']');
    fov_json_close(w, '}');
}

/* The header text, padded; *data_bytes gets the size of all tensors. */
static fov_status make_header(fov_json_writer *w, const char *path, const fov_tensor *const *order, size_t count,
                              const fov_metadata *metadata, size_t metadata_count, uint64_t *data_bytes) {
    fov_json_open(w, NULL, '{');
    if (metadata_count > 0) {
        fov_json_open(w, "__metadata__", '{');
        for (size_t i = 0; i < metadata_count; i++) {
            fov_json_add_string(w, metadata[i].key, metadata[i].value);
        }
        fov_json_close(w, '}');
    }
    uint64_t offset = 0;
    for (size_t i = 0; i < count; i++) {
        const uint64_t begin = offset;
        if (!fov_add_u64(offset, order[i]->bytes, &offset) || offset > INT64_MAX) {
            return FOV_FAIL(FOV_E_LIMIT, "%s: the tensors are too large for one file", path);
        }
        add_tensor(w, order[i], begin, offset);
    }
    fov_json_close(w, '}');
    static const char spaces[] = "       ";
    fov_text_add_bytes(&w->text, spaces, (8 - w->text.length % 8) % 8);
    *data_bytes = offset;
    return w->text.status;
}

static fov_status write_file(const char *path, const fov_text *header, const fov_tensor *const *order, size_t count, uint64_t data_bytes) {
    fov_writer *writer = NULL;
    FOV_TRY(fov_writer_open(&writer, path));
    const uint64_t length = header->length;
    fov_status status = FOV_OK;
    FOV_TRY_GOTO(status, done, fov_writer_expect(writer, sizeof length + length + data_bytes));
    FOV_TRY_GOTO(status, done, fov_writer_write(writer, &length, sizeof length));
    FOV_TRY_GOTO(status, done, fov_writer_write(writer, header->data, header->length));
    for (size_t i = 0; i < count; i++) {
        FOV_TRY_GOTO(status, done, fov_writer_write(writer, order[i]->data, order[i]->bytes));
    }
done:
    if (status != FOV_OK) {
        fov_writer_abort(writer);
        return status;
    }
    return fov_writer_commit(writer);
}

fov_status fov_safetensors_write(const char *path, const fov_tensor *tensors, size_t tensor_count, const fov_metadata *metadata,
                                 size_t metadata_count) {
    const fov_tensor **order = fov_mem_array(FOV_MEM_FILE, tensor_count, sizeof *order);
    FOV_TRY_ALLOC(order);
    fov_json_writer header;
    fov_json_begin(&header, false);
    uint64_t data_bytes = 0;
    fov_status status = FOV_OK;
    FOV_TRY_GOTO(status, done, arrange(path, tensors, tensor_count, order));
    FOV_TRY_GOTO(status, done, make_header(&header, path, order, tensor_count, metadata, metadata_count, &data_bytes));
    FOV_TRY_GOTO(status, done, write_file(path, &header.text, order, tensor_count, data_bytes));
done:
    fov_json_clear(&header);
    fov_mem_free(order);
    return status;
}
