/* safetensors: files of the format's own package read and are written alike, byte for byte; hostile ones are refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/io.h"
#include "weights/safetensors.h"

#define GOLDEN FOV_TEST_DATA "/golden/torch_small.safetensors"
#define WRITTEN FOV_TEST_TEMP "/written.safetensors"

/* A file of exactly the right size, so that a sanitizer sees any step beyond it. */
static unsigned char *build(const void *header, size_t header_bytes, size_t data_bytes, size_t *size) {
    *size = 8 + header_bytes + data_bytes;
    unsigned char *bytes = calloc(*size, 1);
    assert_non_null(bytes);
    const uint64_t length = header_bytes;
    memcpy(bytes, &length, sizeof length);
    memcpy(bytes + 8, header, header_bytes);
    return bytes;
}

static fov_status try_bytes(const void *bytes, size_t size) {
    fov_safetensors *file = NULL;
    const fov_status status = fov_safetensors_parse(&file, bytes, size, "attack");
    if (status == FOV_OK) {
        fov_safetensors_close(file);
    } else {
        assert_null(file);
    }
    return status;
}

static fov_status try_header(const char *header, size_t data_bytes) {
    size_t size = 0;
    unsigned char *bytes = build(header, strlen(header), data_bytes, &size);
    const fov_status status = try_bytes(bytes, size);
    free(bytes);
    return status;
}

#define U8(name, shape, begin, end) "\"" name "\":{\"dtype\":\"U8\",\"shape\":[" shape "],\"data_offsets\":[" begin "," end "]}"

static void test_good(void **state) {
    (void)state;
    static const struct {
        const char *header;
        size_t data;
    } good[] = {
        {"{}", 0},
        {"{}      ", 0},
        {"{\"__metadata__\":{}}", 0},
        {"{\"__metadata__\":{\"a\":\"b\",\"\":\"\"}," U8("a", "3", "0", "3") "}", 3},
        {"{" U8("b", "2", "4", "6") "," U8("a", "2,2", "0", "4") "}", 6},
        {"{" U8("a", "", "0", "1") "}", 1},
        {"{" U8("z", "0,5", "0", "0") "," U8("a", "2", "0", "2") "," U8("y", "0", "2", "2") "}", 2},
        {"{" U8("a", "1,1,1,1,1,1,1,1", "0", "1") "}", 1},
        {"{ \"a\" : { \"data_offsets\" : [0, 4] , \"shape\" : [1] , \"dtype\" : \"F32\" } }", 4},
    };
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        const fov_status status = try_header(good[i].header, good[i].data);
        if (status != FOV_OK) {
            print_error("%s: %s\n", good[i].header, fov_last_error());
        }
        assert_int_equal(status, FOV_OK);
    }
}

static void test_hostile_headers(void **state) {
    (void)state;
    static const struct {
        const char *header;
        size_t data;
        const char *message;
    } bad[] = {
        {"{" U8("a", "2", "0", "2") "," U8("b", "2", "1", "3") "}", 3, "overlaps"},
        {"{" U8("a", "2", "0", "2") "," U8("b", "2", "0", "2") "}", 2, "overlaps"},
        {"{" U8("a", "2", "0", "2") "," U8("b", "2", "3", "5") "}", 5, "unused bytes"},
        {"{" U8("a", "2", "1", "3") "}", 3, "unused bytes"},
        {"{" U8("z", "0", "1", "1") "," U8("a", "3", "0", "3") "}", 3, "tensor 'z': its data overlaps"},
        {"{" U8("a", "2", "0", "2") "}", 3, "1 bytes follow"},
        {"{}", 1, "1 bytes follow"},
        {"{" U8("a", "3", "0", "3") "}", 2, "past the end"},
        {"{" U8("a", "3", "0", "2") "}", 2, "need 3"},
        {"{" U8("a", "2", "2", "0") "}", 2, "end before they begin"},
        {"{" U8("a", "-1", "0", "1") "}", 1, "dimension"},
        {"{" U8("a", "1.5", "0", "1") "}", 1, "dimension"},
        {"{" U8("a", "\"1\"", "0", "1") "}", 1, "dimension"},
        {"{" U8("a", "1", "-1", "0") "}", 1, "data_offsets"},
        {"{" U8("a", "4294967296,4294967296", "0", "0") "}", 0, "too large"},
        {"{" U8("a", "4503599627370496,4503599627370496,0", "0", "0") "}", 0, "too large"},
        {"{" U8("a", "9007199254740992", "0", "1") "}", 1, "dimension"},
        {"{" U8("a", "1,1,1,1,1,1,1,1,1", "0", "1") "}", 1, "more than 8"},
        {"{" U8("a", "1", "0", "9007199254740991") "}", 1, "past the end"},
        {"{" U8("a", "1", "0", "1") "," U8("a", "1", "1", "2") "}", 2, "'a' occurs twice"},
        {"{" U8("a", "1", "0", "1") "," U8("\\u0061", "1", "1", "2") "}", 2, "'a' occurs twice"},
        {"{" U8("a\\u0000b", "1", "0", "1") "}", 1, "u0000"},
        {"{" U8("\xff", "1", "0", "1") "}", 1, "UTF-8"},
        {"{\"a\":{\"dtype\":\"F33\",\"shape\":[1],\"data_offsets\":[0,4]}}", 4, "'F33'"},
        {"{\"a\":{\"dtype\":\"\\u001b[2J\",\"shape\":[1],\"data_offsets\":[0,4]}}", 4, "'\\x1B[2J'"},
        {"{\"a\":{\"dtype\":4,\"shape\":[1],\"data_offsets\":[0,4]}}", 4, "dtype"},
        {"{\"a\":{\"shape\":[1],\"data_offsets\":[0,4]}}", 4, "must hold"},
        {"{\"a\":{\"dtype\":\"U8\",\"shape\":1,\"data_offsets\":[0,1]}}", 1, "shape"},
        {"{\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0]}}", 1, "data_offsets"},
        {"{\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1,1]}}", 1, "data_offsets"},
        {"{\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1],\"more\":1}}", 1, "nothing else"},
        {"{\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"offsets\":[0,1]}}", 1, "data_offsets"},
        {"{\"a\":[]}", 0, "must hold"},
        {"{\"__metadata__\":[]}", 0, "__metadata__"},
        {"{\"__metadata__\":{\"a\":1}}", 0, "__metadata__"},
        {"{\"__metadata__\":{\"a\":{\"b\":\"c\"}}}", 0, "__metadata__"},
        {"{\"__metadata__\":{\"a\":\"1\",\"a\":\"2\"}}", 0, "occurs twice"},
        {" {}", 0, "does not start with {"},
        {"[]", 0, "does not start with {"},
        {"", 0, "does not start with {"},
        {"{}x", 0, "follows the value"},
        {"{\"a\":[[[[[[[[[[[]]]]]]]]]]]}", 0, "nested"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        const fov_status status = try_header(bad[i].header, bad[i].data);
        if (status == FOV_OK || strstr(fov_last_error(), bad[i].message) == NULL) {
            print_error("%s: %s\n", bad[i].header, status == FOV_OK ? "accepted" : fov_last_error());
        }
        assert_true(status == FOV_E_FORMAT || status == FOV_E_LIMIT);
        assert_non_null(strstr(fov_last_error(), bad[i].message));
        assert_non_null(strstr(fov_last_error(), "attack: "));
    }
}

static void test_hostile_lengths(void **state) {
    (void)state;
    unsigned char bytes[64] = {0};
    for (size_t size = 0; size < 8; size++) {
        assert_int_equal(try_bytes(bytes, size), FOV_E_FORMAT);
    }
    static const uint64_t lengths[] = {
        0, 1, 57, 58, 100000000, 100000001, UINT32_MAX, UINT64_MAX, UINT64_MAX - 7, (uint64_t)1 << 63, UINT64_MAX - 8};
    for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
        memcpy(bytes, &lengths[i], sizeof lengths[i]);
        bytes[8] = '{';
        const fov_status status = try_bytes(bytes, sizeof bytes);
        assert_int_equal(status, lengths[i] > 100000000 ? FOV_E_LIMIT : FOV_E_FORMAT);
    }
}

static fov_blob golden(void) {
    fov_blob blob;
    assert_int_equal(fov_io_read(GOLDEN, 1 << 16, 0, &blob), FOV_OK);
    return blob;
}

static void test_truncated(void **state) {
    (void)state;
    fov_blob blob = golden();
    for (size_t size = 0; size < blob.size; size++) {
        unsigned char *cut = malloc(size + 1);
        assert_non_null(cut);
        memcpy(cut, blob.data, size);
        assert_true(try_bytes(cut, size) != FOV_OK);
        free(cut);
    }
    fov_blob_clear(&blob);
}

/* Whatever is accepted must cover the data exactly. */
static void assert_consistent(const fov_safetensors *file, const unsigned char *bytes, size_t size) {
    uint64_t header = 0;
    memcpy(&header, bytes, sizeof header);
    const unsigned char *next = bytes + 8 + header;
    for (size_t i = 0; i < fov_safetensors_count(file); i++) {
        const fov_tensor *tensor = fov_safetensors_at(file, i);
        assert_ptr_equal(tensor->data, next);
        next += tensor->bytes;
        uint64_t need = fov_file_dtype_bytes(tensor->dtype);
        for (unsigned d = 0; d < tensor->rank; d++) {
            need *= tensor->dim[d];
        }
        assert_int_equal(need, tensor->bytes);
        assert_ptr_equal(fov_safetensors_find(file, tensor->name), tensor);
    }
    assert_ptr_equal(next, bytes + size);
}

static void test_bit_flips(void **state) {
    (void)state;
    fov_blob blob = golden();
    uint64_t header = 0;
    memcpy(&header, blob.data, sizeof header);
    size_t accepted = 0;
    for (size_t bit = 0; bit < 8 * (8 + (size_t)header); bit++) {
        blob.data[bit / 8] ^= (unsigned char)(1U << bit % 8);
        fov_safetensors *file = NULL;
        if (fov_safetensors_parse(&file, blob.data, blob.size, "flipped") == FOV_OK) {
            assert_consistent(file, blob.data, blob.size);
            accepted++;
        }
        fov_safetensors_close(file);
        blob.data[bit / 8] ^= (unsigned char)(1U << bit % 8);
    }
    assert_true(accepted > 0); /* names may change */
    assert_int_equal(try_bytes(blob.data, blob.size), FOV_OK);
    fov_blob_clear(&blob);
}

static void test_memory_is_bounded(void **state) {
    (void)state;
    const size_t entries = 150000;
    char *header = malloc(entries * 16 + 16);
    assert_non_null(header);
    size_t used = 0;
    header[used++] = '{';
    for (size_t i = 0; i < entries; i++) {
        used += (size_t)sprintf(header + used, "%s\"%zx\":0", i == 0 ? "" : ",", i);
    }
    header[used++] = '}';
    size_t size = 0;
    unsigned char *bytes = build(header, used, 0, &size);
    const size_t before = fov_mem_stats_all().live_bytes;
    assert_int_equal(try_bytes(bytes, size), FOV_E_FORMAT);
    assert_non_null(strstr(fov_last_error(), "too short"));
    assert_true(fov_mem_stats_all().peak_bytes <= before + 2 * size + 65536);
    free(bytes);
    free(header);
}

static void test_many_tensors(void **state) {
    (void)state;
    const size_t entries = 100000;
    char *header = malloc(entries * 80 + 16);
    assert_non_null(header);
    size_t used = 0;
    header[used++] = '{';
    for (size_t i = 0; i < entries; i++) {
        const size_t at = (i * 7919) % entries; /* not in order */
        used += (size_t)sprintf(header + used, "%s\"t%zu\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[%zu,%zu]}", i == 0 ? "" : ",",
                                at, at, at + 1);
    }
    header[used++] = '}';
    size_t size = 0;
    unsigned char *bytes = build(header, used, entries, &size);
    fov_safetensors *file = NULL;
    assert_int_equal(fov_safetensors_parse(&file, bytes, size, "many"), FOV_OK);
    assert_int_equal(fov_safetensors_count(file), entries);
    assert_string_equal(fov_safetensors_at(file, 99999)->name, "t99999");
    assert_ptr_equal(fov_safetensors_find(file, "t4711"), fov_safetensors_at(file, 4711));
    assert_null(fov_safetensors_find(file, "t100000"));
    fov_safetensors_close(file);
    free(bytes);
    free(header);
}

static void test_golden(void **state) {
    (void)state;
    fov_safetensors *file = NULL;
    assert_int_equal(fov_safetensors_open(&file, GOLDEN), FOV_OK);
    assert_int_equal(fov_safetensors_count(file), 10);
    assert_string_equal(fov_safetensors_metadata(file, "format"), "pt");
    assert_null(fov_safetensors_metadata(file, "nothing"));
    assert_int_equal(fov_safetensors_metadata_count(file), 1);
    const char *value = NULL;
    assert_string_equal(fov_safetensors_metadata_at(file, 0, &value), "format");
    assert_string_equal(value, "pt");
    assert_null(fov_safetensors_metadata_at(file, 1, &value));
    const fov_tensor *tensor = fov_safetensors_find(file, "conv1.weight");
    assert_non_null(tensor);
    assert_int_equal(tensor->rank, 4);
    assert_true(tensor->dim[0] == 2 && tensor->dim[1] == 1 && tensor->dim[2] == 3 && tensor->dim[3] == 3);
    for (size_t i = 0; i < 18; i++) {
        float x = 0.0F;
        memcpy(&x, tensor->data + 4 * i, sizeof x);
        assert_true(x == (float)i / 4.0F - 2.0F);
    }
    int64_t tracked = 0;
    tensor = fov_safetensors_find(file, "bn1.num_batches_tracked");
    assert_true(tensor != NULL && tensor->rank == 0 && tensor->dtype == FOV_FILE_I64);
    memcpy(&tracked, tensor->data, sizeof tracked);
    assert_int_equal(tracked, 123456789012);
    tensor = fov_safetensors_find(file, "empty");
    assert_true(tensor != NULL && tensor->bytes == 0 && tensor->rank == 2 && tensor->dim[1] == 4);
    assert_non_null(fov_safetensors_find(file, "n\xC3\xA4me \"x\"\\\n\t"));
    assert_null(fov_safetensors_at(file, 10));
    fov_safetensors_close(file);
    fov_safetensors_close(NULL);
}

/* The same tensors, given in another order, make the very same file. */
static void test_writes_alike(void **state) {
    (void)state;
    fov_blob blob = golden();
    fov_safetensors *file = NULL;
    assert_int_equal(fov_safetensors_parse(&file, blob.data, blob.size, "golden"), FOV_OK);
    fov_tensor tensors[10];
    const size_t count = fov_safetensors_count(file);
    for (size_t i = 0; i < count; i++) {
        tensors[i] = *fov_safetensors_at(file, (i * 7 + 3) % count);
    }
    const fov_metadata metadata = {"format", "pt"};
    assert_int_equal(fov_safetensors_write(WRITTEN, tensors, count, &metadata, 1), FOV_OK);
    fov_blob written;
    assert_int_equal(fov_io_read(WRITTEN, 1 << 16, 0, &written), FOV_OK);
    assert_int_equal(written.size, blob.size);
    assert_memory_equal(written.data, blob.data, blob.size);
    fov_blob_clear(&written);
    fov_safetensors_close(file);
    fov_blob_clear(&blob);
}

static void test_writer_refuses(void **state) {
    (void)state;
    static const unsigned char data[4] = {0};
    fov_tensor tensors[2] = {{.name = "a", .dtype = FOV_FILE_F32, .rank = 1, .dim = {1}, .data = data, .bytes = 4},
                             {.name = "a", .dtype = FOV_FILE_U8, .rank = 1, .dim = {4}, .data = data, .bytes = 4}};
    assert_int_equal(fov_safetensors_write(WRITTEN, tensors, 2, NULL, 0), FOV_E_INVALID);
    assert_non_null(strstr(fov_last_error(), "two tensors are called 'a'"));
    tensors[1].name = "\xff";
    assert_int_equal(fov_safetensors_write(WRITTEN, tensors, 2, NULL, 0), FOV_E_INVALID);
    tensors[1].name = "__metadata__";
    assert_int_equal(fov_safetensors_write(WRITTEN, tensors, 2, NULL, 0), FOV_E_INVALID);
    tensors[1].name = "b";
    tensors[1].dim[0] = 3;
    assert_int_equal(fov_safetensors_write(WRITTEN, tensors, 2, NULL, 0), FOV_E_INVALID);
    tensors[1].dim[0] = 4;
    assert_int_equal(fov_safetensors_write(FOV_TEST_TEMP "/none/x", tensors, 2, NULL, 0), FOV_E_NOTFOUND);
    assert_int_equal(fov_safetensors_write(WRITTEN, tensors, 2, NULL, 0), FOV_OK);
    assert_int_equal(fov_safetensors_write(WRITTEN, NULL, 0, NULL, 0), FOV_OK);
    fov_safetensors *file = NULL;
    assert_int_equal(fov_safetensors_open(&file, WRITTEN), FOV_OK);
    assert_int_equal(fov_safetensors_count(file), 0);
    fov_safetensors_close(file);
    assert_int_equal(fov_io_remove(WRITTEN), FOV_OK);
    assert_int_equal(fov_safetensors_open(&file, WRITTEN), FOV_E_NOTFOUND);
}

/* Every allocation of reading and writing fails once; nothing leaks (sanitizer) and the old file stays. */
static void test_out_of_memory(void **state) {
    (void)state;
    fov_blob blob = golden();
    fov_status status = FOV_E_NOMEM;
    for (uint64_t k = 1; status != FOV_OK; k++) {
        assert_true(k < 200);
        fov_mem_fail_at(k, 0);
        fov_safetensors *file = NULL;
        status = fov_safetensors_parse(&file, blob.data, blob.size, "golden");
        if (status == FOV_OK) {
            fov_metadata metadata = {"k", "v"};
            status = fov_safetensors_write(WRITTEN, fov_safetensors_at(file, 0), fov_safetensors_count(file), &metadata, 1);
        }
        fov_mem_fail_at(0, 0);
        assert_true(status == FOV_OK || (status == FOV_E_NOMEM && fov_io_kind(WRITTEN) == FOV_PATH_NONE));
        fov_safetensors_close(file);
    }
    assert_int_equal(fov_io_remove(WRITTEN), FOV_OK);
    fov_blob_clear(&blob);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_memory_is_bounded), /* first: it looks at the peak */
        cmocka_unit_test(test_good),
        cmocka_unit_test(test_hostile_headers),
        cmocka_unit_test(test_hostile_lengths),
        cmocka_unit_test(test_truncated),
        cmocka_unit_test(test_bit_flips),
        cmocka_unit_test(test_many_tensors),
        cmocka_unit_test(test_golden),
        cmocka_unit_test(test_writes_alike),
        cmocka_unit_test(test_writer_refuses),
        cmocka_unit_test(test_out_of_memory),
    };
    return cmocka_run_group_tests_name("safetensors", tests, NULL, NULL);
}
