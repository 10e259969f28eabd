/* Stores to and from files: layouts, number types, strictness, and that a failed load changes nothing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/io.h"
#include "weights/store_file.h"

#define FILE_NAME FOV_TEST_TEMP "/store.safetensors"

static fov_store *make(const char *prefix, fov_real start) {
    static const struct {
        const char *name;
        unsigned rank;
        size_t dim[4];
        fov_param_spec spec;
    } params[] = {
        {"conv.weight", 4, {2, 3, 5, 4}, {.layout = FOV_LAYOUT_CONV}}, {"conv.bias", 1, {2}, {.role = FOV_PARAM_TRAINABLE}},
        {"fc.weight", 2, {3, 2}, {.role = FOV_PARAM_TRAINABLE}},       {"pos_embed", 3, {1, 2, 3}, {.role = FOV_PARAM_FROZEN}},
        {"bn.running_mean", 1, {7}, {.role = FOV_PARAM_BUFFER}},       {"bn.num_batches_tracked", 0, {0}, {.role = FOV_PARAM_COUNTER}},
    };
    fov_store *store = NULL;
    assert_int_equal(fov_store_new(&store), FOV_OK);
    for (size_t i = 0; i < sizeof params / sizeof params[0]; i++) {
        fov_param *param = NULL;
        char *name = fov_mem_printf(FOV_MEM_BASE, "%s%s", prefix, params[i].name);
        assert_int_equal(fov_store_add(store, name, fov_shape_make(params[i].dim, params[i].rank), params[i].spec, &param), FOV_OK);
        fov_mem_free(name);
    }
    assert_int_equal(fov_store_commit(store, false), FOV_OK);
    for (size_t i = 0; i < fov_store_size(store); i++) {
        const fov_param *param = fov_store_at(store, i);
        for (size_t j = 0; j < param->count; j++) {
            fov_param_values(store, param)[j] = start + (fov_real)(i * 1000 + j);
        }
    }
    return store;
}

static void assert_same(const fov_store *a, const fov_store *b) {
    assert_memory_equal(fov_store_values(a), fov_store_values(b), fov_store_total(a) * sizeof(fov_real));
}

static fov_safetensors *open_file(void) {
    fov_safetensors *file = NULL;
    assert_int_equal(fov_safetensors_open(&file, FILE_NAME), FOV_OK);
    return file;
}

static void assert_message(const char *piece) {
    if (strstr(fov_last_error(), piece) == NULL) {
        print_error("wanted '%s' in: %s\n", piece, fov_last_error());
        fail();
    }
}

static void test_round_trip(void **state) {
    (void)state;
    fov_store *a = make("", 1), *b = make("", 5);
    const fov_metadata metadata = {"format", "pt"};
    assert_int_equal(fov_store_write(a, "", FILE_NAME, &metadata, 1), FOV_OK);
    fov_safetensors *file = open_file();
    assert_int_equal(fov_safetensors_count(file), 6);
    const fov_tensor *conv = fov_safetensors_find(file, "conv.weight");
    assert_true(conv->rank == 4 && conv->dim[0] == 2 && conv->dim[1] == 4 && conv->dim[2] == 3 && conv->dim[3] == 5);
    const fov_real *held = fov_param_values(a, fov_store_find(a, "conv.weight"));
    for (size_t o = 0; o < 2; o++) {
        for (size_t y = 0; y < 3; y++) {
            for (size_t x = 0; x < 5; x++) {
                for (size_t i = 0; i < 4; i++) {
                    float filed = 0.0F;
                    memcpy(&filed, conv->data + 4 * (((o * 4 + i) * 3 + y) * 5 + x), sizeof filed);
                    assert_true((fov_real)filed == held[((o * 3 + y) * 5 + x) * 4 + i]);
                }
            }
        }
    }
    const fov_tensor *counter = fov_safetensors_find(file, "bn.num_batches_tracked");
    int64_t tracked = 0;
    assert_true(counter->dtype == FOV_FILE_I64 && counter->rank == 0);
    memcpy(&tracked, counter->data, sizeof tracked);
    assert_int_equal(tracked, 5001);
    assert_int_equal(fov_store_read(b, file, "", NULL), FOV_OK);
    assert_same(a, b);
    fov_safetensors_close(file);
    fov_store_free(a);
    fov_store_free(b);
}

static void test_prefix(void **state) {
    (void)state;
    fov_store *a = make("backbone.", 1), *b = make("", 5), *c = make("backbone.", 9);
    assert_int_equal(fov_store_write(a, "backbone.", FILE_NAME, NULL, 0), FOV_OK);
    fov_safetensors *file = open_file();
    assert_non_null(fov_safetensors_find(file, "conv.bias"));
    assert_int_equal(fov_store_read(b, file, "", NULL), FOV_OK);
    assert_same(a, b);
    fov_safetensors_close(file);
    assert_int_equal(fov_store_write(c, "", FILE_NAME, NULL, 0), FOV_OK);
    file = open_file();
    assert_int_equal(fov_store_read(b, file, "backbone.", NULL), FOV_OK);
    assert_same(c, b);
    assert_int_equal(fov_store_read(b, file, "", NULL), FOV_E_MISMATCH);
    fov_safetensors_close(file);
    assert_int_equal(fov_store_write(c, "nothing", FILE_NAME, NULL, 0), FOV_OK);
    file = open_file();
    assert_int_equal(fov_safetensors_count(file), 0);
    fov_safetensors_close(file);
    fov_store_free(a);
    fov_store_free(b);
    fov_store_free(c);
}

/* The tensors of a good file, changed by the caller, written and read into a store that must stay as it is on failure. */
typedef void (*change_fn)(fov_tensor *tensors, size_t *count);

static fov_status read_changed(change_fn change, const char *const *ignored) {
    fov_store *good = make("", 1), *target = make("", 50), *copy = make("", 50);
    assert_int_equal(fov_store_write(good, "", FILE_NAME, NULL, 0), FOV_OK);
    fov_safetensors *file = open_file();
    fov_tensor tensors[12];
    size_t count = fov_safetensors_count(file);
    for (size_t i = 0; i < count; i++) {
        tensors[i] = *fov_safetensors_at(file, i);
    }
    change(tensors, &count);
    assert_int_equal(fov_safetensors_write(FILE_NAME, tensors, count, NULL, 0), FOV_OK);
    fov_safetensors_close(file);
    file = open_file();
    const fov_status status = fov_store_read(target, file, "", ignored);
    if (status != FOV_OK) {
        assert_same(target, copy);
    }
    fov_safetensors_close(file);
    fov_store_free(good);
    fov_store_free(target);
    fov_store_free(copy);
    return status;
}

static fov_tensor *named(fov_tensor *tensors, size_t count, const char *name) {
    for (size_t i = 0; i < count; i++) {
        if (strcmp(tensors[i].name, name) == 0) {
            return &tensors[i];
        }
    }
    fail_msg("no tensor %s", name);
    return NULL;
}

static void keep_none(fov_tensor *tensors, size_t *count) {
    (void)tensors;
    *count = 0;
}

static void drop(fov_tensor *tensors, size_t *count, const char *name) {
    (*count)--;
    *named(tensors, *count + 1, name) = tensors[*count];
}

static void drop_bias(fov_tensor *tensors, size_t *count) {
    drop(tensors, count, "conv.bias");
}
static void drop_counter(fov_tensor *tensors, size_t *count) {
    drop(tensors, count, "bn.num_batches_tracked");
}

static void one_counter(fov_tensor *tensors, size_t *count) {
    fov_tensor *counter = named(tensors, *count, "bn.num_batches_tracked");
    counter->rank = 1;
    counter->dim[0] = 1;
}

static void flat_shape(fov_tensor *tensors, size_t *count) {
    fov_tensor *conv = named(tensors, *count, "conv.weight");
    conv->rank = 2;
    conv->dim[0] = 2;
    conv->dim[1] = 60;
}

static void add_heads(fov_tensor *tensors, size_t *count) {
    static const unsigned char zero[4] = {0};
    tensors[(*count)++] = (fov_tensor){.name = "head.weight", .dtype = FOV_FILE_F32, .rank = 1, .dim = {1}, .data = zero, .bytes = 4};
    tensors[(*count)++] = (fov_tensor){.name = "head.bias", .dtype = FOV_FILE_U8, .rank = 1, .dim = {4}, .data = zero, .bytes = 4};
}

static const float broken[2] = {1.0F, NAN};
static const double huge[2] = {1.0, 1e300};
static const int32_t whole[2] = {1, 2};

static void replace_bias(fov_tensor *tensors, size_t count, fov_file_dtype dtype, const void *data) {
    fov_tensor *bias = named(tensors, count, "conv.bias");
    bias->dtype = dtype;
    bias->data = data;
    bias->bytes = 2 * fov_file_dtype_bytes(dtype);
}

static void put_nan(fov_tensor *tensors, size_t *count) {
    replace_bias(tensors, *count, FOV_FILE_F32, broken);
}
static void put_huge(fov_tensor *tensors, size_t *count) {
    replace_bias(tensors, *count, FOV_FILE_F64, huge);
}
static void put_ints(fov_tensor *tensors, size_t *count) {
    replace_bias(tensors, *count, FOV_FILE_I32, whole);
}

static void test_strictness(void **state) {
    (void)state;
    static const char *const heads[] = {"fc.", "head.", NULL};
    assert_int_equal(read_changed(keep_none, NULL), FOV_E_MISMATCH);
    assert_message("5 tensors are missing in the file: conv.weight, conv.bias, fc.weight, pos_embed, bn.running_mean;");
    assert_int_equal(read_changed(drop_bias, NULL), FOV_E_MISMATCH);
    assert_message("1 tensor is missing in the file: conv.bias");
    assert_int_equal(read_changed(drop_counter, NULL), FOV_OK);
    assert_int_equal(read_changed(one_counter, NULL), FOV_OK);
    assert_int_equal(read_changed(flat_shape, NULL), FOV_E_MISMATCH);
    assert_message("'conv.weight' has shape [2, 60] in the file, but [2, 4, 3, 5] is needed");
    assert_int_equal(read_changed(add_heads, NULL), FOV_E_MISMATCH);
    assert_message("2 tensors this backbone has no place for, such as 'head.weight'");
    assert_int_equal(read_changed(add_heads, heads), FOV_OK);
    assert_int_equal(read_changed(put_nan, NULL), FOV_E_NUMERIC);
    assert_message("'conv.bias' holds a value that is not finite, at index 1");
    assert_int_equal(read_changed(put_huge, NULL), FOV_E_NUMERIC);
    assert_int_equal(read_changed(put_ints, NULL), FOV_E_UNSUPPORTED);
    assert_message("number type I32");
}

/* Values that torch wrote in each type; see tests/golden/make_safetensors.py. */
static void test_number_types(void **state) {
    (void)state;
    static const float half[] = {1.0F, -2.5F, 65504.0F, 6.103515625e-05F, 5.960464477539063e-08F, 0.0F},
                       brain[] = {1.0F, -3.0F, 1e30F, 0.15625F};
    static const char *const others[] = {"conv1", "bn1", "double", "empty", "bytes", "mask", "ints", "n", NULL};
    fov_store *store = NULL;
    fov_param *a = NULL, *b = NULL;
    assert_int_equal(fov_store_new(&store), FOV_OK);
    assert_int_equal(fov_store_add(store, "half", FOV_SHAPE(6), (fov_param_spec){0}, &a), FOV_OK);
    assert_int_equal(fov_store_add(store, "brain", FOV_SHAPE(2, 2), (fov_param_spec){0}, &b), FOV_OK);
    assert_int_equal(fov_store_commit(store, false), FOV_OK);
    fov_safetensors *file = NULL;
    assert_int_equal(fov_safetensors_open(&file, FOV_TEST_DATA "/golden/torch_small.safetensors"), FOV_OK);
    assert_int_equal(fov_store_read(store, file, "", others), FOV_OK);
    for (size_t i = 0; i < 6; i++) {
        assert_true(fov_param_values(store, a)[i] == (fov_real)half[i]);
    }
    for (size_t i = 0; i < 4; i++) {
        /* 1e30 is not exact in bfloat16 */
        assert_true(fabs((double)fov_param_values(store, b)[i] - (double)brain[i]) <= fabs((double)brain[i]) * (i == 2 ? 0.004 : 0.0));
    }
    fov_safetensors_close(file);
    fov_store_free(store);
}

/* All 65,536 halves against the definition: (-1)^s 2^(e-15) (1 + f / 1024), 2^-14 f / 1024 for e = 0. */
static void test_every_half(void **state) {
    (void)state;
    static uint16_t halves[65536];
    size_t finite = 0;
    for (unsigned h = 0; h < 65536; h++) {
        if ((h >> 10 & 31) != 31) {
            halves[finite++] = (uint16_t)h;
        }
    }
    fov_store *store = NULL;
    fov_param *param = NULL;
    assert_int_equal(fov_store_new(&store), FOV_OK);
    assert_int_equal(fov_store_add(store, "h", FOV_SHAPE(finite), (fov_param_spec){0}, &param), FOV_OK);
    assert_int_equal(fov_store_commit(store, false), FOV_OK);
    fov_tensor tensor = {
        .name = "h", .dtype = FOV_FILE_F16, .rank = 1, .dim = {finite}, .data = (const unsigned char *)halves, .bytes = 2 * finite};
    assert_int_equal(fov_safetensors_write(FILE_NAME, &tensor, 1, NULL, 0), FOV_OK);
    fov_safetensors *file = open_file();
    assert_int_equal(fov_store_read(store, file, "", NULL), FOV_OK);
    for (size_t i = 0; i < finite; i++) {
        const int e = halves[i] >> 10 & 31, f = halves[i] & 1023;
        const double size = e == 0 ? ldexp(f, -24) : ldexp(1024 + f, e - 25);
        const double value = (double)fov_param_values(store, param)[i];
        assert_true(fabs(value) == size && (signbit(value) != 0) == (halves[i] >> 15 != 0));
    }
    fov_safetensors_close(file);
    halves[0] = 0x7C00;
    assert_int_equal(fov_safetensors_write(FILE_NAME, &tensor, 1, NULL, 0), FOV_OK);
    file = open_file();
    assert_int_equal(fov_store_read(store, file, "", NULL), FOV_E_NUMERIC);
    fov_safetensors_close(file);
    fov_store_free(store);
    assert_int_equal(fov_io_remove(FILE_NAME), FOV_OK);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip),   cmocka_unit_test(test_prefix),     cmocka_unit_test(test_strictness),
        cmocka_unit_test(test_number_types), cmocka_unit_test(test_every_half),
    };
    return cmocka_run_group_tests_name("store_file", tests, NULL, NULL);
}
