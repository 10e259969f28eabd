/* Encoders: weights that go to a file and come back give the same features, and files that are not weights each say why. */
/* ctest: label=short timeout=300 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/io.h"
#include "base/rng.h"
#include "eval/encoder.h"
#include "eval/feature_file.h"
#include "export/export.h"
#include "models/blocks.h"

#define SIDE 32
#define PICTURE (SIDE * SIDE * 3)

static char folder[512];

static const char *in_folder(const char *name) {
    static char path[4][700];
    static unsigned next;
    next = (next + 1) % 4;
    (void)snprintf(path[next], sizeof path[next], "%s/%s", folder, name);
    return path[next];
}

static int make_folder(void **state) {
    (void)state;
    (void)snprintf(folder, sizeof folder, "%s/encoder-%ld", FOV_TEST_TEMP, (long)getpid());
    return fov_io_mkdir(folder, true) == FOV_OK ? 0 : -1;
}

static fov_status remove_entry(void *context, const char *name, int kind) {
    (void)context;
    if (kind == 'd') {
        char path[900];
        (void)snprintf(path, sizeof path, "%s/backbone.safetensors", in_folder(name));
        (void)unlink(path);
        (void)snprintf(path, sizeof path, "%s/config.ini", in_folder(name));
        (void)unlink(path);
        return rmdir(in_folder(name)) == 0 ? FOV_OK : FOV_E_IO;
    }
    return fov_io_remove(in_folder(name));
}

static int remove_folder(void **state) {
    (void)state;
    return fov_io_list(folder, remove_entry, NULL) == FOV_OK && rmdir(folder) == 0 ? 0 : -1;
}

static void write_text(const char *path, const char *text) { assert_int_equal(fov_io_write_atomic(path, text, strlen(text)), FOV_OK); }

static void fill(uint8_t *pixels, size_t count, uint64_t seed) {
    fov_rng rng;
    fov_rng_init(&rng, seed, 0, 0, 0, FOV_RNG_TEST);
    for (size_t i = 0; i < count; i++) {
        pixels[i] = (uint8_t)fov_rng_below(&rng, 256);
    }
}

/* Random weights, and running statistics that are not 0 and 1. */
static fov_encoder *random_encoder(const char *name, size_t side, bool small_stem) {
    fov_backbone_spec spec;
    fov_preprocess preprocess;
    fov_encoder *encoder = NULL;
    assert_int_equal(fov_backbone_parse(name, side, &spec), FOV_OK);
    spec.small_stem = small_stem;
    fov_preprocess_default(side, &preprocess);
    preprocess.interpolation = FOV_BICUBIC;
    preprocess.mean[1] = 0.25;
    assert_int_equal(fov_encoder_random(&encoder, &spec, &preprocess, 7, NULL), FOV_OK);
    fov_store *store = fov_encoder_store(encoder);
    fov_rng rng;
    fov_rng_init(&rng, 1, 0, 0, 0, FOV_RNG_TEST);
    for (size_t i = 0; i < fov_store_size(store); i++) {
        const fov_param *param = fov_store_at(store, i);
        const bool variance = strstr(param->name, "running_var") != NULL;
        for (size_t j = 0; param->spec.role == FOV_PARAM_BUFFER && j < param->count; j++) {
            fov_param_values(store, param)[j] = (fov_real)fov_rng_range(&rng, variance ? 0.5 : -0.2, variance ? 1.5 : 0.2);
        }
    }
    return encoder;
}

static void save(const fov_encoder *encoder, const char *path) {
    const fov_metadata extra = {"fovea.method", "none"};
    assert_int_equal(fov_backbone_save(fov_encoder_store(encoder), fov_encoder_spec(encoder), fov_encoder_preprocess(encoder), &extra, 1, path), FOV_OK);
}

/* Random weights for another format. */
static fov_encoder *format_encoder(const char *name, fov_pixel_format format) {
    fov_backbone_spec spec;
    fov_preprocess preprocess;
    fov_encoder *encoder = NULL;
    assert_int_equal(fov_backbone_parse(name, SIDE, &spec), FOV_OK);
    spec.channels = format.channels;
    fov_preprocess_default(SIDE, &preprocess);
    preprocess.format = format;
    for (size_t c = 0; c < format.channels; c++) {
        preprocess.mean[c] = 0.3 + 0.01 * (double)c;
        preprocess.std[c] = 0.2;
    }
    assert_int_equal(fov_encoder_random(&encoder, &spec, &preprocess, 3, NULL), FOV_OK);
    return encoder;
}

static void assert_message(fov_status status, fov_status wanted, const char *part) {
    assert_int_equal(status, wanted);
    if (strstr(fov_last_error(), part) == NULL) {
        fail_msg("the message \"%s\" does not say \"%s\"", fov_last_error(), part);
    }
}

static void comes_back(const char *name, bool small_stem) {
    fov_encoder *first = random_encoder(name, SIDE, small_stem), *second = NULL;
    const char *path = in_folder("back.safetensors");
    save(first, path);
    assert_int_equal(fov_encoder_open(&second, path, NULL, 0, NULL), FOV_OK);
    char a[64], b[64];
    fov_backbone_text(fov_encoder_spec(first), a, sizeof a);
    fov_backbone_text(fov_encoder_spec(second), b, sizeof b);
    assert_string_equal(a, b);
    assert_int_equal(fov_encoder_spec(second)->small_stem, small_stem);
    const fov_preprocess *p = fov_encoder_preprocess(first), *q = fov_encoder_preprocess(second);
    assert_true(p->image_size == q->image_size && p->resize == q->resize && p->interpolation == q->interpolation);
    assert_memory_equal(p->mean, q->mean, sizeof p->mean);
    assert_memory_equal(p->std, q->std, sizeof p->std);
    size_t count = 0;
    const fov_metadata *origin = fov_encoder_provenance(second, &count);
    assert_int_equal(count, 1);
    assert_string_equal(origin[0].key, "fovea.method");
    double largest = 1.0;
    assert_int_equal(fov_encoder_compare(first, second, 3, &largest), FOV_OK);
    assert_true(largest == 0.0);
    fov_encoder_free(first);
    fov_encoder_free(second);
}

static void saved_weights_give_the_same_bits(void **state) {
    (void)state;
    comes_back("resnet18", false);
    comes_back("resnet18", true);
    comes_back("vit_tiny/8", false);
}

static void other_formats_come_back(void **state) {
    (void)state;
    static const fov_pixel_format formats[] = {{1, false}, {2, true}, {4, false}, {13, true}};
    for (size_t i = 0; i < sizeof formats / sizeof formats[0]; i++) {
        fov_encoder *first = format_encoder(i % 2 == 0 ? "resnet18" : "vit_tiny/8", formats[i]), *second = NULL;
        const char *path = in_folder("format.safetensors");
        double largest = 1.0;
        save(first, path);
        assert_int_equal(fov_encoder_open(&second, path, NULL, 0, NULL), FOV_OK);
        const fov_preprocess *p = fov_encoder_preprocess(second);
        assert_true(p->format.channels == formats[i].channels && p->format.deep == formats[i].deep);
        assert_int_equal(fov_encoder_spec(second)->channels, formats[i].channels);
        assert_int_equal(fov_encoder_compare(first, second, 3, &largest), FOV_OK);
        assert_true(largest == 0.0);
        fov_encoder_free(first);
        fov_encoder_free(second);
    }
}

/* 16 bits that say what 8 bits say give the same features. */
static void words_are_as_bytes(void **state) {
    (void)state;
    enum { COUNT = 2, VALUES = COUNT * SIDE * SIDE * 2 };
    static uint8_t bytes[VALUES];
    static uint16_t words[VALUES];
    static float a[COUNT * 512], b[COUNT * 512];
    fov_encoder *shallow = format_encoder("resnet18", (fov_pixel_format){.channels = 2});
    fov_encoder *deep = format_encoder("resnet18", (fov_pixel_format){.channels = 2, .deep = true});
    fill(bytes, VALUES, 9);
    for (size_t i = 0; i < VALUES; i++) {
        words[i] = (uint16_t)(257 * bytes[i]);
    }
    assert_int_equal(fov_encoder_embed(shallow, bytes, COUNT, a), FOV_OK);
    assert_int_equal(fov_encoder_embed(deep, (const uint8_t *)words, COUNT, b), FOV_OK);
    float largest = 0.0F;
    for (size_t i = 0; i < COUNT * 512; i++) {
        largest = fmaxf(largest, fabsf(a[i]));
        assert_true(fabsf(a[i] - b[i]) < 1e-4F * fmaxf(1.0F, fabsf(a[i])));
    }
    assert_true(largest > 0.1F);
    fov_encoder_free(shallow);
    fov_encoder_free(deep);
}

/* Features are finite, differ between pictures, and do not depend on neighbours or on how many there are. */
static void neighbours_do_not_matter(void **state) {
    (void)state;
    fov_encoder *encoder = random_encoder("resnet18", SIDE, false);
    const size_t width = fov_encoder_width(encoder), count = 67;
    uint8_t *pixels = fov_mem_alloc(FOV_MEM_BASE, count * PICTURE);
    float *all = fov_mem_array(FOV_MEM_BASE, count * width, sizeof *all), *some = fov_mem_array(FOV_MEM_BASE, count * width, sizeof *some);
    assert_true(pixels != NULL && all != NULL && some != NULL);
    fill(pixels, count * PICTURE, 3);
    assert_int_equal(fov_encoder_embed(encoder, pixels, count, all), FOV_OK);
    assert_int_equal(fov_encoder_embed(encoder, pixels, 2, some), FOV_OK);
    assert_memory_equal(some, all, 2 * width * sizeof *all);
    assert_int_equal(fov_encoder_embed(encoder, pixels + 64 * PICTURE, 3, some), FOV_OK);
    assert_memory_equal(some, all + 64 * width, 3 * width * sizeof *all);
    assert_memory_not_equal(some, some + width, width * sizeof *all);
    for (size_t i = 0; i < count * width; i++) {
        assert_true(isfinite(all[i]));
    }
    fill(pixels + PICTURE, (count - 1) * PICTURE, 4);
    assert_int_equal(fov_encoder_embed(encoder, pixels, count, some), FOV_OK);
    assert_memory_equal(some, all, width * sizeof *all);
    assert_memory_not_equal(some + width, all + width, width * sizeof *all);
    fov_mem_free(pixels);
    fov_mem_free(all);
    fov_mem_free(some);
    fov_encoder_free(encoder);
}

/* Writes the encoder's weights without metadata, plus one tensor of a classifier, as another program would. */
static void save_foreign(const fov_encoder *encoder, const char *path, const char *extra) {
    fov_store *store = fov_encoder_store(encoder);
    const size_t size = fov_store_size(store);
    fov_safetensors *file = NULL;
    const char *own = in_folder("own.safetensors");
    save(encoder, own);
    assert_int_equal(fov_safetensors_open(&file, own), FOV_OK);
    fov_tensor *tensors = fov_mem_array(FOV_MEM_BASE, size + 1, sizeof *tensors);
    assert_non_null(tensors);
    for (size_t i = 0; i < size; i++) {
        tensors[i] = *fov_safetensors_at(file, i);
    }
    const float zero[4] = {0};
    tensors[size] = (fov_tensor){.name = extra, .dtype = FOV_FILE_F32, .rank = 1, .dim = {4}, .data = (const unsigned char *)zero, .bytes = sizeof zero};
    assert_int_equal(fov_safetensors_write(path, tensors, size + 1, NULL, 0), FOV_OK);
    fov_mem_free(tensors);
    fov_safetensors_close(file);
}

static void opens_as(const char *path, const char *name, size_t side, const char *wanted, size_t wanted_side) {
    fov_encoder *encoder = NULL;
    char text[64];
    assert_int_equal(fov_encoder_open(&encoder, path, name, side, NULL), FOV_OK);
    fov_backbone_text(fov_encoder_spec(encoder), text, sizeof text);
    assert_string_equal(text, wanted);
    assert_int_equal(fov_encoder_spec(encoder)->image_size, wanted_side);
    assert_int_equal(fov_encoder_preprocess(encoder)->image_size, wanted_side);
    fov_encoder_free(encoder);
}

static void foreign_files_are_recognised(void **state) {
    (void)state;
    const char *path = in_folder("foreign.safetensors");
    fov_encoder *encoder = random_encoder("resnet18", SIDE, true), *other = NULL;
    save_foreign(encoder, path, "fc.bias");
    opens_as(path, NULL, 0, "resnet18", 32);
    opens_as(path, "resnet18", 48, "resnet18", 48);
    assert_message(fov_encoder_open(&other, path, "resnet34", 0, NULL), FOV_E_MISMATCH, "holds resnet18, but --backbone says resnet34");
    assert_message(fov_encoder_open(&other, path, "resnet19", 0, NULL), FOV_E_INVALID, "did you mean 'resnet18'");
    save_foreign(encoder, path, "neck.bias");
    assert_message(fov_encoder_open(&other, path, NULL, 0, NULL), FOV_E_MISMATCH, "neck.bias");
    fov_encoder_free(encoder);
    encoder = random_encoder("vit_tiny/8", SIDE, false);
    save_foreign(encoder, path, "head.bias");
    opens_as(path, NULL, 0, "vit_tiny/8", 32);
    opens_as(path, "vit_tiny", 0, "vit_tiny/8", 32);
    opens_as(path, "vit_tiny/8", 64, "vit_tiny/8", 64);
    assert_message(fov_encoder_open(&other, path, "vit_tiny/4", 0, NULL), FOV_E_MISMATCH, "holds vit_tiny/8");
    assert_message(fov_encoder_open(&other, path, NULL, 36, NULL), FOV_E_INVALID, "multiple of its patch");
    fov_encoder_free(encoder);
}

/* The first layer tells the channels; mean and std are then nobody's. */
static void foreign_channels_are_recognised(void **state) {
    (void)state;
    static const char *const names[] = {"resnet18", "vit_tiny/8"};
    const char *path = in_folder("planes.safetensors");
    for (size_t i = 0; i < 2; i++) {
        fov_encoder *encoder = format_encoder(names[i], (fov_pixel_format){.channels = 4}), *other = NULL;
        save_foreign(encoder, path, i == 0 ? "fc.bias" : "head.bias");
        for (unsigned named = 0; named < 2; named++) {
            assert_int_equal(fov_encoder_open(&other, path, named == 0 ? NULL : names[i], 0, NULL), FOV_OK);
            const fov_preprocess *p = fov_encoder_preprocess(other);
            assert_true(p->format.channels == 4 && fov_encoder_spec(other)->channels == 4 && !p->format.deep);
            assert_true(p->mean[3] == 0.0 && p->std[3] == 1.0);
            fov_encoder_free(other);
        }
        fov_encoder_free(encoder);
    }
}

/* Weights for RGB start a backbone for other channels: what is the same in all channels gives the same. */
static void starts_are_adapted(void **state) {
    (void)state;
    static const size_t channels[] = {1, 2, 4, 7};
    const char *path = in_folder("rgb.safetensors");
    for (size_t i = 0; i < 4; i++) {
        const char *name = i % 2 == 0 ? "resnet18" : "vit_tiny/8", *stem = i % 2 == 0 ? "conv1.weight" : "patch_embed.proj.weight";
        fov_encoder *rgb = random_encoder(name, SIDE, false), *other = format_encoder(name, (fov_pixel_format){.channels = channels[i]});
        save(rgb, path);
        assert_int_equal(fov_backbone_load(fov_encoder_store(other), fov_encoder_spec(other), path), FOV_OK);
        const fov_param *from = fov_store_find(fov_encoder_store(rgb), stem), *to = fov_store_find(fov_encoder_store(other), stem);
        const fov_real *w = fov_param_values(fov_encoder_store(rgb), from), *v = fov_param_values(fov_encoder_store(other), to);
        for (size_t k = 0; k < from->count / 3; k++) {
            for (size_t c = 0; c < channels[i]; c++) {
                const fov_real want = channels[i] == 1 ? w[3 * k] + w[3 * k + 1] + w[3 * k + 2] : w[3 * k + c % 3] * (fov_real)(3.0 / (double)channels[i]);
                assert_true(v[k * channels[i] + c] == want);
            }
        }
        save(other, path);
        assert_message(fov_backbone_load(fov_encoder_store(rgb), fov_encoder_spec(rgb), path), FOV_E_MISMATCH, "only weights for 3 can be adapted");
        fov_encoder_free(rgb);
        fov_encoder_free(other);
    }
}

/* Another image size: the grid part of the position embedding is resampled, all else stays. */
static void positions_are_resampled(void **state) {
    (void)state;
    const char *path = in_folder("vit.safetensors");
    fov_encoder *small = random_encoder("vit_tiny/8", SIDE, false), *large = NULL;
    const size_t d = fov_encoder_width(small), from = 4, to = 6;
    save(small, path);
    assert_int_equal(fov_encoder_open(&large, path, NULL, 48, NULL), FOV_OK);
    assert_int_equal(fov_encoder_preprocess(large)->resize, 48);
    const fov_param *a = fov_store_find(fov_encoder_store(small), "pos_embed"), *b = fov_store_find(fov_encoder_store(large), "pos_embed");
    float *in = fov_mem_array(FOV_MEM_BASE, (1 + from * from) * d, sizeof *in), *wanted = fov_mem_array(FOV_MEM_BASE, (1 + to * to) * d, sizeof *wanted);
    float *got = fov_mem_array(FOV_MEM_BASE, (1 + to * to) * d, sizeof *got);
    assert_true(in != NULL && wanted != NULL && got != NULL);
    assert_int_equal(b->count, (1 + to * to) * d);
    fov_param_to_file(fov_encoder_store(small), a, in);
    fov_param_to_file(fov_encoder_store(large), b, got);
    assert_int_equal(fov_position_resize(in, from, to, d, wanted), FOV_OK);
    assert_memory_equal(got, wanted, (1 + to * to) * d * sizeof *got);
    fov_mem_free(in);
    fov_mem_free(wanted);
    fov_mem_free(got);
    fov_encoder_free(small);
    fov_encoder_free(large);
}

/* --init: a head in the store stays, a failure leaves the store alone. */
static void loading_leaves_the_head(void **state) {
    (void)state;
    const char *path = in_folder("init.safetensors");
    fov_encoder *source = random_encoder("resnet18", SIDE, false);
    const fov_backbone_spec *spec = fov_encoder_spec(source);
    fov_store *store = NULL;
    fov_graph *graph = NULL;
    save(source, path);
    assert_int_equal(fov_store_new(&store), FOV_OK);
    assert_int_equal(fov_graph_new(&graph, true), FOV_OK);
    fov_graph_use_store(graph, store);
    fov_node *x = spec->backbone->build(graph, spec, fov_input(graph, "x", FOV_DTYPE_REAL, FOV_SHAPE(2, SIDE, SIDE, 3)), NULL).features;
    fov_graph_push(graph, "head");
    assert_non_null(fov_linear_layer(graph, x, "0", 8, true, FOV_ACT_NONE, FOV_LINEAR_TORCH, 0));
    fov_graph_pop(graph);
    assert_int_equal(fov_store_commit(store, true), FOV_OK);
    fov_store_initialize(store, 99, NULL);
    const fov_param *head = fov_store_find(store, "head.0.weight");
    const fov_real kept = fov_param_values(store, head)[5];
    assert_int_equal(fov_backbone_load(store, spec, path), FOV_OK);
    assert_true(fov_param_values(store, head)[5] == kept);
    for (size_t i = 0; i < fov_store_size(fov_encoder_store(source)); i++) {
        const fov_param *param = fov_store_at(fov_encoder_store(source), i);
        assert_memory_equal(fov_param_values(store, fov_store_find(store, param->name)), fov_param_values(fov_encoder_store(source), param),
                            param->count * sizeof(fov_real));
    }
    fov_encoder *vit = random_encoder("vit_tiny/8", SIDE, false);
    save(vit, path);
    const fov_real before = fov_store_values(store)[3];
    assert_message(fov_backbone_load(store, spec, path), FOV_E_MISMATCH, "init.safetensors as resnet18");
    assert_true(fov_store_values(store)[3] == before);
    assert_message(fov_backbone_load(store, spec, in_folder("none.safetensors")), FOV_E_NOTFOUND, "none.safetensors");
    fov_encoder_free(vit);
    fov_encoder_free(source);
    fov_graph_free(graph);
    fov_store_free(store);
}

static void wrong_files_say_why(void **state) {
    (void)state;
    fov_encoder *e = NULL;
    assert_message(fov_encoder_open(&e, in_folder("nowhere"), NULL, 0, NULL), FOV_E_NOTFOUND, "does not exist");
    assert_int_equal(fov_io_mkdir(in_folder("empty"), false), FOV_OK);
    assert_message(fov_encoder_open(&e, in_folder("empty"), NULL, 0, NULL), FOV_E_NOTFOUND, "folder without backbone.safetensors");
    assert_int_equal(fov_io_mkdir(in_folder("run"), false), FOV_OK);
    write_text(in_folder("run/config.ini"), "method = simclr\n");
    assert_message(fov_encoder_open(&e, in_folder("run"), NULL, 0, NULL), FOV_E_NOTFOUND, "has not saved weights yet");
    assert_message(fov_encoder_open(&e, "/dev/null", NULL, 0, NULL), FOV_E_INVALID, "neither a folder nor a regular file");
    write_text(in_folder("torch.pth"), "PK\003\004 and more of a zip archive");
    assert_message(fov_encoder_open(&e, in_folder("torch.pth"), NULL, 0, NULL), FOV_E_UNSUPPORTED, "torch.save");
    write_text(in_folder("note.safetensors"), "a note");
    assert_message(fov_encoder_open(&e, in_folder("note.safetensors"), NULL, 0, NULL), FOV_E_FORMAT, "not a safetensors file");
    assert_int_equal(fov_safetensors_write(in_folder("no.safetensors"), NULL, 0, NULL, 0), FOV_OK);
    assert_message(fov_encoder_open(&e, in_folder("no.safetensors"), NULL, 0, NULL), FOV_E_UNSUPPORTED, "holds no tensors");
    const float one = 1.0F;
    const fov_tensor tensor = {.name = "module.weight", .dtype = FOV_FILE_F32, .rank = 1, .dim = {1}, .data = (const unsigned char *)&one, .bytes = 4};
    assert_int_equal(fov_safetensors_write(in_folder("odd.safetensors"), &tensor, 1, NULL, 0), FOV_OK);
    assert_message(fov_encoder_open(&e, in_folder("odd.safetensors"), NULL, 0, NULL), FOV_E_UNSUPPORTED, "'module.weight'");
    assert_message(fov_encoder_open(&e, in_folder("odd.safetensors"), "resnet18", 0, NULL), FOV_E_MISMATCH, "conv1.weight");
    assert_null(e);
}

static void run_folders_open(void **state) {
    (void)state;
    fov_encoder *first = random_encoder("resnet18", SIDE, true), *second = NULL;
    assert_int_equal(fov_io_mkdir(in_folder("done"), false), FOV_OK);
    save(first, in_folder("done/backbone.safetensors"));
    assert_int_equal(fov_encoder_open(&second, in_folder("done"), NULL, 0, NULL), FOV_OK);
    fov_encoder_free(first);
    fov_encoder_free(second);
}

static void exports_are_checked(void **state) {
    (void)state;
    const char *path = in_folder("export.safetensors");
    fov_encoder *encoder = random_encoder("resnet18", SIDE, true);
    fov_export_result result = {0};
    assert_int_equal(fov_export_check(path, false), FOV_OK);
    assert_int_equal(fov_export_weights(&result, fov_encoder_store(encoder), fov_encoder_spec(encoder), fov_encoder_preprocess(encoder), NULL, 0, path),
                     FOV_OK);
    assert_true(result.largest_difference == 0.0);
    assert_int_equal(result.tensors, fov_store_size(fov_encoder_store(encoder)));
    assert_int_equal(result.parameters, 11176512 - 64 * 3 * (49 - 9));
    assert_message(fov_export_check(path, false), FOV_E_EXISTS, "--overwrite");
    assert_int_equal(fov_export_check(path, true), FOV_OK);
    assert_message(fov_export_check(in_folder("model.onnx"), false), FOV_E_INVALID, "not yet available");
    assert_message(fov_export_check(in_folder("model.pth"), false), FOV_E_INVALID, "must end in .safetensors");
    assert_message(fov_export_check(in_folder("absent/model.safetensors"), false), FOV_E_NOTFOUND, "there is no folder");
    assert_message(fov_export_check(folder, true), FOV_E_INVALID, "must end in");
    fov_encoder_free(encoder);
}

static void npy_header_is_numpys(void **state) {
    (void)state;
    const float values[6] = {1, 2, 3, 4, 5, 6};
    fov_blob blob = {0};
    const char *path = in_folder("f.npy");
    assert_int_equal(fov_features_write(path, values, 2, 3), FOV_OK);
    assert_int_equal(fov_io_read(path, 4096, 0, &blob), FOV_OK);
    assert_int_equal(blob.size, 128 + sizeof values);
    assert_memory_equal(blob.data, "\x93NUMPY\x01\x00\x76\x00{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }", 10 + 59);
    assert_int_equal(blob.data[127], '\n');
    assert_memory_equal(blob.data + 128, values, sizeof values);
    fov_blob_clear(&blob);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(saved_weights_give_the_same_bits),
        cmocka_unit_test(other_formats_come_back),
        cmocka_unit_test(words_are_as_bytes),
        cmocka_unit_test(foreign_channels_are_recognised),
        cmocka_unit_test(starts_are_adapted),
        cmocka_unit_test(neighbours_do_not_matter),
        cmocka_unit_test(foreign_files_are_recognised),
        cmocka_unit_test(positions_are_resampled),
        cmocka_unit_test(loading_leaves_the_head),
        cmocka_unit_test(wrong_files_say_why),
        cmocka_unit_test(run_folders_open),
        cmocka_unit_test(exports_are_checked),
        cmocka_unit_test(npy_header_is_numpys),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
