/* Reading safetensors (https://github.com/huggingface/safetensors): a 64-bit length, a JSON header, then the bytes of all tensors.
 *
 * The header is checked against the file before anything in it is believed: the tensors, sorted by offset, must cover the data exactly,
 * each with as many bytes as its type and shape say. Sorting makes holes and overlaps a look at neighbours, so 100,000 tensors cost n log
 * n. Nothing is copied but the names; tensor bytes stay in the mapped file. */
#include "weights/safetensors.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/checked.h"

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "tensor bytes are little-endian in files and used in place");

#define HEADER_LIMIT ((uint64_t)100000000)
#define HEADER_DEPTH 8U
#define SHORTEST_ENTRY ((size_t)48) /* "":{"dtype":"U8","shape":[],"data_offsets":[0,1]} */
#define LENGTH_BYTES ((size_t)8)

static const struct {
    const char *name;
    size_t bytes;
} dtypes[FOV_FILE_DTYPE_COUNT] = {
    [FOV_FILE_F32] = {"F32", 4},   [FOV_FILE_F64] = {"F64", 8}, [FOV_FILE_F16] = {"F16", 2},         [FOV_FILE_BF16] = {"BF16", 2},
    [FOV_FILE_I64] = {"I64", 8},   [FOV_FILE_I32] = {"I32", 4}, [FOV_FILE_I16] = {"I16", 2},         [FOV_FILE_I8] = {"I8", 1},
    [FOV_FILE_U64] = {"U64", 8},   [FOV_FILE_U32] = {"U32", 4}, [FOV_FILE_U16] = {"U16", 2},         [FOV_FILE_U8] = {"U8", 1},
    [FOV_FILE_BOOL] = {"BOOL", 1}, [FOV_FILE_C64] = {"C64", 8}, [FOV_FILE_F8_E5M2] = {"F8_E5M2", 1}, [FOV_FILE_F8_E4M3] = {"F8_E4M3", 1},
};

struct fov_safetensors {
    fov_map map; /* empty when the bytes are the caller's */
    const unsigned char *data;
    uint64_t data_bytes;
    char *names;        /* every key and metadata value, one after the other */
    fov_tensor *tensor; /* by offset */
    size_t count;
    const fov_tensor **by_name;
    fov_metadata *metadata;
    size_t metadata_count;
};

const char *fov_file_dtype_name(fov_file_dtype dtype) {
    return (unsigned)dtype < FOV_FILE_DTYPE_COUNT ? dtypes[dtype].name : "unknown";
}

size_t fov_file_dtype_bytes(fov_file_dtype dtype) {
    return (unsigned)dtype < FOV_FILE_DTYPE_COUNT ? dtypes[dtype].bytes : 0;
}

/* ---- one entry of the header ---- */

/* Where a fault is: the file and, once known, the tensor. */
typedef struct place {
    const char *what, *tensor;
} place;

static fov_status fault(const place *p, fov_status status, const char *reason) {
    fov_text name;
    fov_text_init(&name);
    fov_text_add_escaped(&name, p->tensor);
    (void)FOV_FAIL(status, "%s: tensor '%.200s': %s", p->what, name.data == NULL ? "" : name.data, reason);
    fov_text_clear(&name);
    return status;
}

static fov_status read_dtype(const place *p, const fov_json *json, fov_file_dtype *dtype) {
    const char *name = fov_json_string(json);
    if (name == NULL) {
        return fault(p, FOV_E_FORMAT, "dtype is missing or not a text");
    }
    for (int i = 0; i < FOV_FILE_DTYPE_COUNT; i++) {
        if (strcmp(dtypes[i].name, name) == 0) {
            *dtype = (fov_file_dtype)i;
            return FOV_OK;
        }
    }
    char reason[96];
    fov_text shown;
    fov_text_init(&shown);
    fov_text_add_escaped(&shown, name);
    (void)snprintf(reason, sizeof reason, "number type '%.40s' is not one of those known", shown.data == NULL ? "" : shown.data);
    fov_text_clear(&shown);
    return fault(p, FOV_E_FORMAT, reason);
}

static fov_status read_shape(const place *p, const fov_json *json, fov_tensor *tensor, uint64_t *bytes) {
    if (!fov_json_is_array(json)) {
        return fault(p, FOV_E_FORMAT, "shape is missing or not a list");
    }
    *bytes = fov_file_dtype_bytes(tensor->dtype);
    bool fits = true;
    for (const fov_json *item = fov_json_first(json); item != NULL; item = fov_json_next(item)) {
        if (tensor->rank == sizeof tensor->dim / sizeof tensor->dim[0]) {
            return fault(p, FOV_E_LIMIT, "shape has more than 8 dimensions");
        }
        uint64_t *dim = &tensor->dim[tensor->rank++];
        if (!fov_json_u64(item, dim)) {
            return fault(p, FOV_E_FORMAT, "a dimension is not a whole number from 0 to 2^53");
        }
        fits = fov_mul_u64(*bytes, *dim, bytes) && fits;
    }
    /* A product that overflows is a fault even if a later zero would bring it back to nothing. */
    return fits ? FOV_OK : fault(p, FOV_E_FORMAT, "shape is too large to count");
}

static fov_status read_offsets(const place *p, const fov_json *json, uint64_t *begin, uint64_t *end) {
    const fov_json *first = fov_json_is_array(json) ? fov_json_first(json) : NULL;
    const fov_json *second = fov_json_next(first);
    if (second == NULL || fov_json_next(second) != NULL || !fov_json_u64(first, begin) || !fov_json_u64(second, end)) {
        return fault(p, FOV_E_FORMAT, "data_offsets is missing or not two whole numbers");
    }
    return *end >= *begin ? FOV_OK : fault(p, FOV_E_FORMAT, "data_offsets end before they begin");
}

static fov_status read_tensor(fov_safetensors *file, const place *p, const fov_json *entry, fov_tensor *tensor) {
    uint64_t bytes = 0, begin = 0, end = 0;
    if (!fov_json_is_object(entry) || fov_json_count(entry) != 3) {
        return fault(p, FOV_E_FORMAT, "the entry must hold dtype, shape and data_offsets, and nothing else");
    }
    FOV_TRY(read_dtype(p, fov_json_get(entry, "dtype"), &tensor->dtype));
    FOV_TRY(read_shape(p, fov_json_get(entry, "shape"), tensor, &bytes));
    FOV_TRY(read_offsets(p, fov_json_get(entry, "data_offsets"), &begin, &end));
    if (end > file->data_bytes) {
        return fault(p, FOV_E_FORMAT, "its data lies past the end of the file");
    }
    if (end - begin != bytes) {
        char reason[128];
        (void)snprintf(reason, sizeof reason, "%llu bytes of data, but type and shape need %llu", (unsigned long long)(end - begin),
                       (unsigned long long)bytes);
        return fault(p, FOV_E_FORMAT, reason);
    }
    tensor->data = file->data + begin;
    tensor->bytes = (size_t)bytes;
    return FOV_OK;
}

/* ---- the header ---- */

static const char *keep_text(char **at, const char *text) {
    const size_t size = strlen(text) + 1;
    char *kept = memcpy(*at, text, size);
    *at += size;
    return kept;
}

static fov_status read_metadata(fov_safetensors *file, const char *what, const fov_json *json, char **names) {
    if (!fov_json_is_object(json)) {
        return FOV_FAIL(FOV_E_FORMAT, "%s: __metadata__ is not an object", what);
    }
    file->metadata = fov_mem_array(FOV_MEM_FILE, fov_json_count(json), sizeof *file->metadata);
    FOV_TRY_ALLOC(file->metadata);
    for (const fov_json *item = fov_json_first(json); item != NULL; item = fov_json_next(item)) {
        const char *value = fov_json_string(item);
        if (value == NULL) {
            return FOV_FAIL(FOV_E_FORMAT, "%s: __metadata__ holds something that is not a text", what);
        }
        fov_metadata *metadata = &file->metadata[file->metadata_count++];
        metadata->key = keep_text(names, fov_json_key(item));
        metadata->value = keep_text(names, value);
    }
    return FOV_OK;
}

/* By place, the empty ones first; then as the header lists them, which their names' addresses tell. */
static int compare_offsets(const void *a, const void *b) {
    const fov_tensor *x = a, *y = b;
    if (x->data != y->data) {
        return x->data < y->data ? -1 : 1;
    }
    if ((x->bytes == 0) != (y->bytes == 0)) {
        return x->bytes == 0 ? -1 : 1;
    }
    return x->name < y->name ? -1 : x->name > y->name ? 1 : 0;
}

static int compare_names(const void *a, const void *b) {
    const fov_tensor *const *x = a, *const *y = b;
    return strcmp((*x)->name, (*y)->name);
}

/* No hole, no overlap, nothing before the first, nothing after the last. */
static fov_status check_cover(const fov_safetensors *file, const char *what) {
    const unsigned char *next = file->data;
    for (size_t i = 0; i < file->count; i++) {
        const fov_tensor *tensor = &file->tensor[i];
        const place p = {what, tensor->name};
        if (tensor->data != next) {
            return fault(&p, FOV_E_FORMAT,
                         tensor->data > next ? "unused bytes lie before its data" : "its data overlaps that of another tensor");
        }
        next += tensor->bytes;
    }
    const uint64_t used = (uint64_t)(next - file->data);
    if (used != file->data_bytes) {
        return FOV_FAIL(FOV_E_FORMAT, "%s: %llu bytes follow the last tensor", what, (unsigned long long)(file->data_bytes - used));
    }
    return FOV_OK;
}

static fov_status read_entries(fov_safetensors *file, const fov_json *header, size_t header_bytes, const char *what) {
    const size_t entries = fov_json_count(header);
    /* Believing a count of entries too short to be any would take far more memory than the file has bytes. */
    if (entries > header_bytes / SHORTEST_ENTRY + 1) {
        return FOV_FAIL(FOV_E_FORMAT, "%s: the header's %zu entries are too short to describe tensors", what, entries);
    }
    /* A key or value of n bytes took at least n + 2 in the header, so all of them with their NULs fit into its size. */
    char *names = file->names = fov_mem_alloc(FOV_MEM_FILE, header_bytes);
    FOV_TRY_ALLOC(names);
    file->tensor = fov_mem_array(FOV_MEM_FILE, entries, sizeof *file->tensor);
    FOV_TRY_ALLOC(file->tensor);
    file->by_name = fov_mem_array(FOV_MEM_FILE, entries, sizeof *file->by_name);
    FOV_TRY_ALLOC(file->by_name);
    for (const fov_json *item = fov_json_first(header); item != NULL; item = fov_json_next(item)) {
        const char *key = fov_json_key(item);
        if (strcmp(key, "__metadata__") == 0) {
            FOV_TRY(read_metadata(file, what, item, &names));
            continue;
        }
        const place p = {what, key};
        fov_tensor *tensor = &file->tensor[file->count];
        FOV_TRY(read_tensor(file, &p, item, tensor));
        tensor->name = keep_text(&names, key);
        file->count++;
    }
    qsort(file->tensor, file->count, sizeof *file->tensor, compare_offsets);
    for (size_t i = 0; i < file->count; i++) {
        file->by_name[i] = &file->tensor[i];
    }
    qsort(file->by_name, file->count, sizeof *file->by_name, compare_names);
    return check_cover(file, what);
}

static fov_status read_all(fov_safetensors *file, const unsigned char *bytes, size_t size, const char *what) {
    if (size < LENGTH_BYTES) {
        return FOV_FAIL(FOV_E_FORMAT, "%s: not a safetensors file: it has only %zu bytes", what, size);
    }
    uint64_t length = 0;
    memcpy(&length, bytes, sizeof length);
    if (length > HEADER_LIMIT) {
        return FOV_FAIL(FOV_E_LIMIT,
                        "%s: not a safetensors file (its header would be of more than %llu bytes); give one, or the directory of a run",
                        what, (unsigned long long)HEADER_LIMIT);
    }
    if (length > size - LENGTH_BYTES) {
        return FOV_FAIL(FOV_E_FORMAT, "%s: cut off: the header needs %llu bytes, but %zu are there", what, (unsigned long long)length,
                        size - LENGTH_BYTES);
    }
    const size_t header_bytes = (size_t)length;
    const unsigned char *text = bytes + LENGTH_BYTES;
    if (header_bytes < 2 || text[0] != '{') {
        return FOV_FAIL(FOV_E_FORMAT, "%s: not a safetensors file: the header does not start with {", what);
    }
    file->data = text + header_bytes;
    file->data_bytes = size - LENGTH_BYTES - header_bytes;
    fov_json *header = NULL;
    FOV_TRY(fov_json_parse(text, header_bytes, HEADER_DEPTH, what, &header));
    const fov_status status = read_entries(file, header, header_bytes, what);
    fov_json_free(header);
    return status;
}

/* ---- opening and looking ---- */

fov_status fov_safetensors_parse(fov_safetensors **file, const void *bytes, size_t size, const char *what) {
    *file = NULL;
    fov_safetensors *made = fov_mem_zalloc(FOV_MEM_FILE, sizeof *made);
    FOV_TRY_ALLOC(made);
    const fov_status status = read_all(made, bytes, size, what);
    if (status != FOV_OK) {
        fov_safetensors_close(made);
        return fov_forward_at(__FILE__, __LINE__, status);
    }
    *file = made;
    return FOV_OK;
}

fov_status fov_safetensors_open(fov_safetensors **file, const char *path) {
    *file = NULL;
    fov_map map;
    FOV_TRY(fov_io_map(path, &map));
    const fov_status status = fov_safetensors_parse(file, map.data, map.size, path);
    if (status != FOV_OK) {
        fov_io_unmap(&map);
        return fov_forward_at(__FILE__, __LINE__, status);
    }
    (*file)->map = map;
    return FOV_OK;
}

void fov_safetensors_close(fov_safetensors *file) {
    if (file != NULL) {
        fov_io_unmap(&file->map);
        fov_mem_free(file->names);
        fov_mem_free(file->tensor);
        fov_mem_free(file->by_name);
        fov_mem_free(file->metadata);
        fov_mem_free(file);
    }
}

size_t fov_safetensors_count(const fov_safetensors *file) {
    return file->count;
}

const fov_tensor *fov_safetensors_at(const fov_safetensors *file, size_t index) {
    return index < file->count ? &file->tensor[index] : NULL;
}

const fov_tensor *fov_safetensors_find(const fov_safetensors *file, const char *name) {
    const fov_tensor key = {.name = name};
    const fov_tensor *wanted = &key;
    const fov_tensor *const *found = bsearch(&wanted, file->by_name, file->count, sizeof *file->by_name, compare_names);
    return found == NULL ? NULL : *found;
}

const char *fov_safetensors_metadata(const fov_safetensors *file, const char *key) {
    for (size_t i = 0; i < file->metadata_count; i++) {
        if (strcmp(file->metadata[i].key, key) == 0) {
            return file->metadata[i].value;
        }
    }
    return NULL;
}

size_t fov_safetensors_metadata_count(const fov_safetensors *file) {
    return file->metadata_count;
}

const char *fov_safetensors_metadata_at(const fov_safetensors *file, size_t index, const char **value) {
    if (index >= file->metadata_count) {
        return NULL;
    }
    *value = file->metadata[index].value;
    return file->metadata[index].key;
}
