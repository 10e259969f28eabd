/* What a weight file says about itself comes back as it was written, and nonsense is refused by name. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "base/io.h"
#include "weights/metadata.h"

#define FILE_NAME FOV_TEST_TEMP "/metadata.safetensors"

static fov_safetensors *file_with(const fov_metadata_list *list) {
    fov_safetensors *file = NULL;
    assert_int_equal(fov_safetensors_write(FILE_NAME, NULL, 0, list->item, list->count), FOV_OK);
    assert_int_equal(fov_safetensors_open(&file, FILE_NAME), FOV_OK);
    assert_int_equal(fov_io_remove(FILE_NAME), FOV_OK);
    return file;
}

static void describe(fov_metadata_list *list, const char *backbone, size_t image_size, bool small_stem) {
    fov_backbone_spec spec;
    fov_preprocess preprocess;
    assert_int_equal(fov_backbone_parse(backbone, image_size, &spec), FOV_OK);
    spec.small_stem = small_stem;
    fov_preprocess_default(image_size, &preprocess);
    preprocess.interpolation = small_stem ? FOV_BICUBIC : FOV_BILINEAR;
    preprocess.mean[1] = 1.0 / 3.0;
    fov_metadata_init(list);
    assert_int_equal(fov_metadata_describe(list, &spec, &preprocess), FOV_OK);
}

static void test_round_trip(void **state) {
    (void)state;
    static const struct {
        const char *backbone;
        size_t image_size;
        bool small_stem;
    } cases[] = {{"resnet18", 224, false}, {"resnet18", 32, true}, {"vit_tiny", 96, false}, {"vit_tiny/8", 64, false}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        fov_metadata_list list;
        describe(&list, cases[i].backbone, cases[i].image_size, cases[i].small_stem);
        fov_safetensors *file = file_with(&list);
        assert_string_equal(fov_safetensors_metadata(file, "format"), "pt");
        assert_string_equal(fov_safetensors_metadata(file, "fovea.version"), FOVEA_VERSION);
        fov_backbone_spec spec, wanted;
        fov_preprocess preprocess, expected;
        assert_int_equal(fov_metadata_read(file, &spec, &preprocess), FOV_OK);
        assert_int_equal(fov_backbone_parse(cases[i].backbone, cases[i].image_size, &wanted), FOV_OK);
        fov_preprocess_default(cases[i].image_size, &expected);
        assert_true(spec.backbone == wanted.backbone && spec.patch == wanted.patch && spec.image_size == cases[i].image_size);
        assert_true(spec.small_stem == cases[i].small_stem && preprocess.resize == expected.resize &&
                    preprocess.image_size == expected.image_size);
        assert_int_equal(preprocess.interpolation, cases[i].small_stem ? FOV_BICUBIC : FOV_BILINEAR);
        expected.mean[1] = 1.0 / 3.0;
        assert_memory_equal(preprocess.mean, expected.mean, sizeof expected.mean);
        assert_memory_equal(preprocess.std, expected.std, sizeof expected.std);
        fov_safetensors_close(file);
        fov_metadata_clear(&list);
    }
}

/* Other formats come back, and a file from before there were any is RGB on white. */
static void test_formats(void **state) {
    (void)state;
    static const size_t channels[] = {1, 2, 4, FOV_MAX_CHANNELS};
    for (size_t i = 0; i < sizeof channels / sizeof channels[0]; i++) {
        fov_metadata_list list;
        fov_backbone_spec spec, read;
        fov_preprocess preprocess, back;
        assert_int_equal(fov_backbone_parse("resnet18", 64, &spec), FOV_OK);
        fov_preprocess_default(64, &preprocess);
        preprocess.format = (fov_pixel_format){.channels = channels[i], .deep = i % 2 == 1};
        preprocess.alpha = i == 0 ? FOV_ALPHA_DROP : FOV_ALPHA_BLACK;
        strcpy(preprocess.group, i == 2 ? "_B02,_B03,_B04,_B08" : "");
        for (size_t c = 0; c < channels[i]; c++) {
            preprocess.mean[c] = 1.0 / (double)(3 + c);
            preprocess.std[c] = 1.0 / (double)(7 + c);
        }
        spec.channels = channels[i];
        fov_metadata_init(&list);
        assert_int_equal(fov_metadata_describe(&list, &spec, &preprocess), FOV_OK);
        fov_safetensors *file = file_with(&list);
        assert_int_equal(fov_metadata_read(file, &read, &back), FOV_OK);
        assert_true(read.channels == channels[i] && back.format.channels == channels[i] && back.format.deep == preprocess.format.deep);
        assert_int_equal(back.alpha, preprocess.alpha);
        assert_string_equal(back.group, preprocess.group);
        assert_memory_equal(back.mean, preprocess.mean, channels[i] * sizeof back.mean[0]);
        assert_memory_equal(back.std, preprocess.std, channels[i] * sizeof back.std[0]);
        fov_safetensors_close(file);
        fov_metadata_clear(&list);
    }
}

static void test_earlier_files(void **state) {
    (void)state;
    fov_metadata_list list;
    describe(&list, "resnet18", 32, true);
    size_t kept = 0;
    for (size_t k = 0; k < list.count; k++) {
        const char *key = list.item[k].key;
        if (strcmp(key, "fovea.channels") != 0 && strcmp(key, "fovea.depth") != 0 && strcmp(key, "fovea.alpha") != 0) {
            list.item[kept++] = list.item[k];
        }
    }
    assert_int_equal(list.count - kept, 3);
    list.count = kept;
    fov_safetensors *file = file_with(&list);
    fov_backbone_spec spec;
    fov_preprocess preprocess;
    assert_int_equal(fov_metadata_read(file, &spec, &preprocess), FOV_OK);
    assert_true(spec.channels == 3 && preprocess.format.channels == 3 && !preprocess.format.deep && preprocess.group[0] == '\0');
    assert_int_equal(preprocess.alpha, FOV_ALPHA_WHITE);
    fov_safetensors_close(file);
    fov_metadata_clear(&list);
}

static void test_refusals(void **state) {
    (void)state;
    static const char *const changes[][2] = {
        {"fovea.backbone", "resnet81"},
        {"fovea.backbone", "resnet18\x1b[2J"},
        {"fovea.stem", "\x1b[2J"},
        {"fovea.stem", "large"},
        {"fovea.image_size", "0"},
        {"fovea.image_size", "1e3"},
        {"fovea.image_size", "99999999999999999999"},
        {"fovea.resize", "31"},
        {"fovea.resize", NULL},
        {"fovea.mean", "1,2"},
        {"fovea.mean", "1,2,3,4"},
        {"fovea.mean", "1,2,nan"},
        {"fovea.mean", ""},
        {"fovea.std", "0.1,0,0.1"},
        {"fovea.std", "-1,-1,-1"},
        {"fovea.channels", "0"},
        {"fovea.channels", "33"},
        {"fovea.channels", "4"}, /* with three means */
        {"fovea.channels", "three"},
        {"fovea.depth", "12"},
        {"fovea.depth", ""},
        {"fovea.alpha", "grey\x1b[2J"},
        {"fovea.interpolation", "cubic"},
    };
    for (size_t i = 0; i < sizeof changes / sizeof changes[0]; i++) {
        fov_metadata_list list;
        describe(&list, "resnet18", 32, true);
        size_t kept = 0;
        for (size_t k = 0; k < list.count; k++) {
            fov_metadata item = list.item[k];
            const bool changed = strcmp(item.key, changes[i][0]) == 0;
            item.value = changed ? changes[i][1] : item.value;
            if (item.value != NULL) {
                list.item[kept++] = item;
            }
        }
        list.count = kept;
        fov_safetensors *file = file_with(&list);
        fov_backbone_spec spec;
        fov_preprocess preprocess;
        assert_true(fov_metadata_read(file, &spec, &preprocess) != FOV_OK);
        assert_true(strlen(fov_last_error()) > 10);
        assert_null(strchr(fov_last_error(), '\x1b')); /* nothing that steers a terminal */
        fov_safetensors_close(file);
        fov_metadata_clear(&list);
    }
}

static void test_foreign_file(void **state) {
    (void)state;
    fov_metadata_list list;
    fov_metadata_init(&list);
    assert_int_equal(fov_metadata_add(&list, "format", "pt"), FOV_OK);
    fov_safetensors *file = file_with(&list);
    fov_backbone_spec spec;
    fov_preprocess preprocess;
    assert_int_equal(fov_metadata_read(file, &spec, &preprocess), FOV_E_NOTFOUND);
    fov_safetensors_close(file);
    for (int i = 1; i < FOV_METADATA_MAX; i++) {
        assert_int_equal(fov_metadata_add(&list, "k", "%d", i), FOV_OK);
    }
    assert_int_equal(fov_metadata_add(&list, "k", "one more"), FOV_E_LIMIT);
    fov_metadata_clear(&list);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_round_trip), cmocka_unit_test(test_refusals),
                                       cmocka_unit_test(test_foreign_file), cmocka_unit_test(test_formats),
                                       cmocka_unit_test(test_earlier_files)};
    return cmocka_run_group_tests_name("metadata", tests, NULL, NULL);
}
