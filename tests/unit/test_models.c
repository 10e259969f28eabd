/* Backbones: names, shapes and parameter counts as torchvision and timm have them, how weights start, position embeddings, and how a user
 * names a backbone. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>

#include "base/io.h"
#include "models/blocks.h"
#include "train_case.h"

#define LENGTH(array) (sizeof(array) / sizeof((array)[0]))

typedef struct model {
    fov_backbone_spec spec;
    fov_graph *graph;
    fov_store *store;
    fov_backbone_out out;
} model;

/* keep: patch tokens that are processed, 0 for all. */
static void open_model(model *m, const fov_backbone_spec *spec, size_t keep) {
    *m = (model){.spec = *spec};
    require(fov_graph_new(&m->graph, true));
    require(fov_store_new(&m->store));
    fov_graph_use_store(m->graph, m->store);
    fov_node *x = fov_input(m->graph, "x", FOV_DTYPE_REAL, FOV_SHAPE(2, spec->image_size, spec->image_size, spec->channels));
    fov_node *kept = keep == 0 ? NULL : fov_input(m->graph, "keep", FOV_DTYPE_I32, FOV_SHAPE(2, keep));
    m->out = spec->backbone->build(m->graph, &m->spec, x, kept);
}

static void close_model(model *m) {
    fov_store_free(m->store);
    fov_graph_free(m->graph);
}

static fov_backbone_spec parse(const char *text, size_t image_size) {
    fov_backbone_spec spec;
    require(fov_backbone_parse(text, image_size, &spec));
    return spec;
}

static void expect_shape(const fov_node *node, fov_shape want) {
    assert_non_null(node);
    assert_true(fov_shape_equal(&node->shape, &want));
}

/* ---- sizes ---- */

static void parameter_counts(void **state) {
    (void)state;
    static const struct {
        const char *name;
        size_t image_size;
        bool small_stem;
        uint64_t parameters;
        size_t tokens;
    } rows[] = {
        {"resnet18", 224, false, 11176512, 0},    {"resnet34", 224, false, 21284672, 0},    {"resnet50", 224, false, 23508032, 0},
        {"resnet18", 32, true, 11168832, 0},      {"resnet34", 32, true, 21276992, 0},      {"resnet50", 32, true, 23500352, 0},
        {"vit_tiny/16", 224, false, 5524416, 197}, {"vit_small/16", 224, false, 21665664, 197}, {"vit_base/16", 224, false, 85798656, 197},
        {"vit_tiny/8", 224, false, 5526720, 785}, {"vit_small/8", 224, false, 21670272, 785}, {"vit_base/8", 224, false, 85807872, 785},
        {"vit_tiny/4", 32, false, 5360832, 65},   {"vit_small/4", 32, false, 21338496, 65}, {"vit_base/4", 32, false, 85144320, 65},
        {"vit_tiny/8", 64, false, 5388480, 65},   {"vit_small/8", 64, false, 21393792, 65}, {"vit_base/8", 64, false, 85254912, 65},
        {"vit_tiny/8", 96, false, 5403840, 145},  {"vit_small/8", 96, false, 21424512, 145}, {"vit_base/8", 96, false, 85316352, 145},
        {"vit_tiny/16", 96, false, 5493696, 37},  {"vit_small/16", 96, false, 21604224, 37}, {"vit_base/16", 96, false, 85675776, 37},
    };
    for (size_t i = 0; i < LENGTH(rows); i++) {
        fov_backbone_spec spec = parse(rows[i].name, rows[i].image_size);
        spec.small_stem = rows[i].small_stem;
        model m;
        open_model(&m, &spec, 0);
        require(fov_graph_status(m.graph));
        if (fov_store_parameters(m.store) != rows[i].parameters) {
            fail_msg("%s at %zu px has %ju parameters, expected %ju", rows[i].name, rows[i].image_size, (uintmax_t)fov_store_parameters(m.store),
                     (uintmax_t)rows[i].parameters);
        }
        assert_non_null(m.out.features);
        expect_shape(m.out.features, FOV_SHAPE(2, spec.backbone->width));
        if (rows[i].tokens > 0) {
            assert_int_equal(fov_backbone_patches(&spec) + 1, rows[i].tokens);
            expect_shape(m.out.tokens, FOV_SHAPE(2, rows[i].tokens, spec.backbone->width));
            assert_null(m.out.map);
        } else {
            const size_t side = rows[i].small_stem ? 4 : 7;
            expect_shape(m.out.map, FOV_SHAPE(2, side, side, spec.backbone->width));
            assert_null(m.out.tokens);
        }
        close_model(&m);
    }
}

/* ---- names ---- */

/* One parameter against "NAME D D ..", dimensions as PyTorch has them. */
static void check_line(const fov_store *store, char *line) {
    char *rest = NULL;
    const char *name = strtok_r(line, " ", &rest);
    const fov_param *param = fov_store_find(store, name);
    if (param == NULL) {
        fail_msg("parameter %s is missing", name);
    }
    size_t dims[FOV_MAX_RANK] = {0};
    unsigned rank = 0;
    for (const char *d = strtok_r(NULL, " ", &rest); d != NULL; d = strtok_r(NULL, " ", &rest)) {
        assert_true(rank < FOV_MAX_RANK);
        dims[rank++] = (size_t)strtoul(d, NULL, 10);
    }
    if (rank == 4) { /* ours: [out, kh, kw, in] */
        assert_int_equal(param->spec.layout, FOV_LAYOUT_CONV);
        const size_t in = dims[1];
        dims[1] = dims[2];
        dims[2] = dims[3];
        dims[3] = in;
    }
    const fov_shape want = fov_shape_make(dims, rank);
    if (!fov_shape_equal(&param->shape, &want)) {
        char a[128], b[128];
        fail_msg("%s is %s, expected %s", name, fov_shape_text(&param->shape, a, sizeof a), fov_shape_text(&want, b, sizeof b));
    }
}

static void names_are_those_of_torchvision_and_timm(void **state) {
    (void)state;
    static const struct {
        const char *name;
        size_t with_classifier;
    } counted[] = {{"resnet18", 122}, {"resnet34", 218}, {"resnet50", 320}};
    fov_blob blob = {0};
    require(fov_io_read(FOV_TEST_DATA "/golden/model_names.txt", 1 << 20, 1, &blob));
    model m = {0};
    size_t lines = 0, models = 0;
    char *rest = NULL;
    for (char *line = strtok_r((char *)blob.data, "\n", &rest); line != NULL; line = strtok_r(NULL, "\n", &rest)) {
        char name[64];
        size_t image_size = 0, with_classifier = 0;
        if (sscanf(line, "= %63s %zu %zu", name, &image_size, &with_classifier) == 3) {
            assert_int_equal(m.store == NULL ? 0 : fov_store_size(m.store), lines);
            close_model(&m);
            const fov_backbone_spec spec = parse(name, image_size);
            open_model(&m, &spec, 0);
            require(fov_graph_status(m.graph));
            lines = 0;
            for (size_t i = 0; i < LENGTH(counted); i++) {
                assert_true(strcmp(counted[i].name, name) != 0 || counted[i].with_classifier == with_classifier);
            }
            assert_int_equal(fov_store_size(m.store), with_classifier - 2); /* weight and bias of the classifier */
            models++;
        } else {
            check_line(m.store, line);
            lines++;
        }
    }
    assert_int_equal(fov_store_size(m.store), lines);
    assert_int_equal(models, 8);
    close_model(&m);
    fov_blob_clear(&blob);
}

/* ---- how weights start ---- */

typedef struct moments {
    double mean, std, low, high;
} moments;

static moments measure(const model *m, const char *name) {
    const fov_param *param = fov_store_find(m->store, name);
    if (param == NULL) {
        fail_msg("parameter %s is missing", name);
    }
    const fov_real *x = fov_param_values(m->store, param);
    const double n = (double)param->count;
    moments r = {.low = (double)x[0], .high = (double)x[0]};
    for (size_t i = 0; i < param->count; i++) {
        r.mean += (double)x[i] / n;
        r.low = fmin(r.low, (double)x[i]);
        r.high = fmax(r.high, (double)x[i]);
    }
    for (size_t i = 0; i < param->count; i++) {
        r.std += ((double)x[i] - r.mean) * ((double)x[i] - r.mean) / n;
    }
    r.std = sqrt(r.std);
    return r;
}

static void expect_spread(const model *m, const char *name, double std) {
    const moments r = measure(m, name);
    const double n = (double)fov_store_find(m->store, name)->count;
    if (!(fabs(r.mean) < 5.0 * std / sqrt(n) && fabs(r.std / std - 1.0) < 5.0 / sqrt(2.0 * n))) {
        fail_msg("%s: mean %g, standard deviation %g, expected 0 and %g", name, r.mean, r.std, std);
    }
}

/* Uniform in +-bound: near its ends, never past them. */
static void expect_uniform(const model *m, const char *name, double bound) {
    const moments r = measure(m, name);
    expect_spread(m, name, bound / sqrt(3.0));
    assert_true(r.low >= -bound * (1 + 1e-6) && r.high <= bound * (1 + 1e-6));
    assert_true(r.low < -0.95 * bound && r.high > 0.95 * bound);
}

static void expect_all(const model *m, const char *name, double value) {
    const moments r = measure(m, name);
    if (r.low != value || r.high != value) {
        fail_msg("%s: from %g to %g, expected %g", name, r.low, r.high, value);
    }
}

static void open_started(model *m, const fov_backbone_spec *spec) {
    open_model(m, spec, 0);
    require(fov_graph_status(m->graph));
    require(fov_store_commit(m->store, false));
    fov_store_initialize(m->store, 3, NULL);
}

static void resnet_starts_as_torchvision(void **state) {
    (void)state;
    fov_backbone_spec spec = parse("resnet18", 32);
    for (int zero = 0; zero < 2; zero++) {
        spec.zero_residual = zero == 1;
        model m;
        open_started(&m, &spec);
        expect_spread(&m, "conv1.weight", sqrt(2.0 / (49 * 64)));
        expect_spread(&m, "layer1.0.conv2.weight", sqrt(2.0 / (9 * 64)));
        expect_spread(&m, "layer2.0.downsample.0.weight", sqrt(2.0 / 128));
        expect_spread(&m, "layer4.1.conv2.weight", sqrt(2.0 / (9 * 512)));
        expect_all(&m, "bn1.weight", 1);
        expect_all(&m, "layer1.0.bn1.weight", 1);
        expect_all(&m, "layer3.1.bn2.weight", zero == 1 ? 0 : 1);
        expect_all(&m, "layer2.0.downsample.1.weight", 1);
        expect_all(&m, "bn1.bias", 0);
        expect_all(&m, "bn1.running_mean", 0);
        expect_all(&m, "bn1.running_var", 1);
        expect_all(&m, "bn1.num_batches_tracked", 0);
        close_model(&m);
    }
    spec = parse("resnet50", 32);
    spec.zero_residual = true;
    model m;
    open_started(&m, &spec);
    expect_all(&m, "layer1.0.bn3.weight", 0);
    expect_all(&m, "layer1.0.bn2.weight", 1);
    close_model(&m);
}

static void vit_starts_as_timm(void **state) {
    (void)state;
    const fov_backbone_spec spec = parse("vit_tiny/8", 64);
    model m;
    open_started(&m, &spec);
    expect_spread(&m, "blocks.0.attn.qkv.weight", 0.02);
    expect_spread(&m, "blocks.11.mlp.fc2.weight", 0.02);
    expect_spread(&m, "pos_embed", 0.02);
    expect_spread(&m, "cls_token", 1e-6);
    expect_uniform(&m, "patch_embed.proj.weight", 1.0 / sqrt(192.0));
    assert_true(measure(&m, "patch_embed.proj.bias").std > 0.0);
    expect_all(&m, "blocks.3.attn.proj.bias", 0);
    expect_all(&m, "blocks.3.norm1.weight", 1);
    expect_all(&m, "norm.bias", 0);
    assert_int_equal(fov_store_find(m.store, "pos_embed")->spec.role, FOV_PARAM_TRAINABLE);
    close_model(&m);
}

static void vit_starts_as_mae(void **state) {
    (void)state;
    fov_backbone_spec spec = parse("vit_tiny/8", 64);
    spec.fixed_position = true;
    model m;
    open_started(&m, &spec);
    expect_uniform(&m, "blocks.0.attn.qkv.weight", sqrt(6.0 / (192 + 576)));
    expect_uniform(&m, "blocks.11.mlp.fc1.weight", sqrt(6.0 / (192 + 768)));
    expect_uniform(&m, "patch_embed.proj.weight", sqrt(6.0 / (192 + 192)));
    expect_spread(&m, "cls_token", 0.02);
    expect_all(&m, "blocks.3.mlp.fc1.bias", 0);
    assert_int_equal(fov_store_find(m.store, "pos_embed")->spec.role, FOV_PARAM_FROZEN);
    close_model(&m);
}

/* ---- heads ---- */

static void heads_are_named_as_sequentials(void **state) {
    (void)state;
    static const struct {
        fov_mlp_args args;
        const char *names[12];
    } rows[] = {
        {{.layers = 2, .hidden = 8, .out = 4, .hidden_norm = true},
         {"0.weight", "1.weight", "1.bias", "1.running_mean", "1.running_var", "1.num_batches_tracked", "3.weight", "3.bias"}},
        {{.layers = 2, .hidden = 8, .out = 4}, {"0.weight", "0.bias", "2.weight", "2.bias"}},
        {{.layers = 1, .hidden = 8, .out = 4, .last_norm = true}, {"0.weight", "1.running_mean", "1.running_var", "1.num_batches_tracked"}},
        {{.layers = 3, .hidden = 8, .out = 4}, {"0.weight", "0.bias", "2.weight", "2.bias", "4.weight", "4.bias"}},
    };
    for (size_t i = 0; i < LENGTH(rows); i++) {
        model m = {0};
        require(fov_graph_new(&m.graph, true));
        require(fov_store_new(&m.store));
        fov_graph_use_store(m.graph, m.store);
        const fov_node *y = fov_mlp_head(m.graph, fov_input(m.graph, "x", FOV_DTYPE_REAL, FOV_SHAPE(6, 5)), &rows[i].args);
        require(fov_graph_status(m.graph));
        expect_shape(y, FOV_SHAPE(6, 4));
        size_t names = 0;
        while (rows[i].names[names] != NULL) {
            assert_non_null(fov_store_find(m.store, rows[i].names[names]));
            names++;
        }
        assert_int_equal(fov_store_size(m.store), names);
        close_model(&m);
    }
}

/* ---- position embeddings ---- */

static void sincos_test_vector(void **state) {
    (void)state;
    fov_real x[5 * 8];
    const fov_shape shape = FOV_SHAPE(1, 5, 8);
    fov_position_sincos(x, &shape, 0.0);
    /* token 1 of a grid of 2 x 2 (row 0, column 1), as MAE's own code gives it */
    const double want[] = {0.8414710, 0.0099998, 0.5403023, 0.9999500, 0, 0, 1, 1};
    for (size_t c = 0; c < 8; c++) {
        assert_true(x[c] == 0); /* class token */
        assert_true(fabs((double)x[2 * 8 + c] - want[c]) < 1e-6);
        assert_true(x[3 * 8 + c] == x[2 * 8 + (c + 4) % 8]); /* token 2: row 1, column 0 */
    }
}

static void resize_equals_timm(void **state) {
    (void)state;
    fov_safetensors *golden = NULL;
    require(fov_safetensors_open(&golden, FOV_TEST_DATA "/golden/position.safetensors"));
    assert_int_equal(fov_safetensors_count(golden), 6);
    for (size_t t = 0; t < fov_safetensors_count(golden); t++) {
        const fov_tensor *want = fov_safetensors_at(golden, t);
        size_t from = 0, to = 0, d = 0;
        assert_int_equal(sscanf(want->name, "position %zu %zu %zu", &from, &to, &d), 3);
        assert_int_equal(want->bytes, (1 + to * to) * d * sizeof(float));
        const uint64_t key = formula_key(want->name);
        const size_t count = (1 + from * from) * d;
        float *in = fov_mem_array(FOV_MEM_BASE, count, sizeof *in), *out = fov_mem_array(FOV_MEM_BASE, (1 + to * to) * d, sizeof *out);
        assert_non_null(in);
        assert_non_null(out);
        for (size_t i = 0; i < count; i++) {
            in[i] = formula_unit(key, i);
        }
        require(fov_position_resize(in, from, to, d, out));
        for (size_t i = 0; i < (1 + to * to) * d; i++) {
            float value = 0.0F;
            memcpy(&value, want->data + i * sizeof value, sizeof value);
            if (fabsf(out[i] - value) > 2e-6F) {
                fail_msg("%s [%zu]: %g, timm has %g", want->name, i, (double)out[i], (double)value);
            }
        }
        fov_mem_fail_at(1, 0);
        assert_int_equal(fov_position_resize(in, from, to, d, out), FOV_E_NOMEM);
        fov_mem_fail_at(0, 0);
        fov_mem_free(in);
        fov_mem_free(out);
    }
    fov_safetensors_close(golden);
}

/* ---- what users write ---- */

static void expect_message(const char *text, size_t image_size, const char *piece) {
    fov_backbone_spec spec;
    assert_int_equal(fov_backbone_parse(text, image_size, &spec), FOV_E_INVALID);
    if (strstr(fov_last_error(), piece) == NULL) {
        fail_msg("'%s' is not in: %s", piece, fov_last_error());
    }
}

static void backbone_names(void **state) {
    (void)state;
    static const struct {
        const char *text, *written;
        size_t image_size, patch;
    } rows[] = {
        {"resnet18", "resnet18", 32, 0},         {"resnet50", "resnet50", 224, 0},        {"vit_tiny", "vit_tiny/4", 32, 4},
        {"vit_tiny", "vit_tiny/4", 48, 4},       {"vit_tiny", "vit_tiny/8", 64, 8},       {"vit_small", "vit_small/8", 128, 8},
        {"vit_base", "vit_base/16", 144, 16},    {"vit_base", "vit_base/16", 224, 16},    {"vit_tiny/16", "vit_tiny/16", 32, 16},
        {"vit_tiny/8", "vit_tiny/8", 224, 8},
    };
    for (size_t i = 0; i < LENGTH(rows); i++) {
        const fov_backbone_spec spec = parse(rows[i].text, rows[i].image_size);
        char text[64];
        fov_backbone_text(&spec, text, sizeof text);
        assert_string_equal(text, rows[i].written);
        assert_int_equal(spec.patch, rows[i].patch);
        assert_int_equal(spec.image_size, rows[i].image_size);
        assert_int_equal(spec.channels, 3);
    }
    for (size_t i = 0; fov_backbone_at(i) != NULL; i++) {
        assert_ptr_equal(fov_backbone_named(fov_backbone_at(i)->name), fov_backbone_at(i));
        assert_true(strlen(fov_backbone_at(i)->summary) > 10);
    }
    assert_null(fov_backbone_named("resnet"));
}

static void backbone_errors(void **state) {
    (void)state;
    expect_message("resnet81", 224, "did you mean 'resnet18'");
    expect_message("vit_tinny/16", 224, "did you mean 'vit_tiny'");
    expect_message("", 224, "no backbone ''");
    expect_message("/16", 224, "no backbone");
    expect_message("a name of a backbone that is longer than any backbone's name can ever be", 224, "no backbone");
    expect_message("vit_tiny/5", 224, "4, 8 or 16");
    expect_message("vit_tiny/", 224, "4, 8 or 16");
    expect_message("vit_tiny/16x", 224, "4, 8 or 16");
    expect_message("vit_tiny/-8", 224, "4, 8 or 16");
    expect_message("resnet18/8", 224, "write 'resnet18'");
    expect_message("vit_tiny", 30, "try 28");
    expect_message("vit_tiny/16", 100, "try 96");
    expect_message("vit_tiny/16", 8, "try 16");
    expect_message("resnet18", 7, "at least 8");
    fov_backbone_spec spec = parse("resnet18", 31); /* enough for one of the stems, which is chosen later */
    assert_int_equal(spec.backbone->check(&spec), FOV_E_INVALID);
    assert_non_null(strstr(fov_last_error(), "at least 32"));
    spec.small_stem = true;
    spec.image_size = 8;
    require(spec.backbone->check(&spec));
    spec.image_size = 7;
    assert_int_equal(spec.backbone->check(&spec), FOV_E_INVALID);
}

static void tokens_can_be_dropped_by_vit_alone(void **state) {
    (void)state;
    model m;
    fov_backbone_spec spec = parse("vit_tiny/8", 32);
    open_model(&m, &spec, 5);
    require(fov_graph_status(m.graph));
    expect_shape(m.out.tokens, FOV_SHAPE(2, 6, 192));
    close_model(&m);
    spec = parse("resnet18", 32);
    open_model(&m, &spec, 5);
    assert_int_equal(fov_graph_status(m.graph), FOV_E_INVALID);
    assert_null(m.out.features);
    close_model(&m);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parameter_counts),
        cmocka_unit_test(names_are_those_of_torchvision_and_timm),
        cmocka_unit_test(resnet_starts_as_torchvision),
        cmocka_unit_test(vit_starts_as_timm),
        cmocka_unit_test(vit_starts_as_mae),
        cmocka_unit_test(heads_are_named_as_sequentials),
        cmocka_unit_test(sincos_test_vector),
        cmocka_unit_test(resize_equals_timm),
        cmocka_unit_test(backbone_names),
        cmocka_unit_test(backbone_errors),
        cmocka_unit_test(tokens_can_be_dropped_by_vit_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
