/* One training step of resnet18 + simclr and of vit_tiny/8 + mae against PyTorch (make_step.py): loss to 1e-5, gradients, updates and running
 * statistics to 1e-3 in norm, tensor by tensor. Weights and pixels come from a formula that both sides compute; the golden holds, for each
 * tensor, its norm, its products with four fixed vectors, and all of it where it is small. Masks are drawn by the objective and compared. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "train_case.h"
#include "weights/safetensors.h"

#define TOLERANCE 1e-3
#define DIRECTIONS 4
#define LENGTH(array) (sizeof(array) / sizeof((array)[0]))

static fov_safetensors *golden;
static size_t compared; /* tensors of the golden that were looked at */

static int open_golden(void **state) {
    (void)state;
    return fov_safetensors_open(&golden, FOV_TEST_DATA "/golden/step.safetensors") == FOV_OK ? 0 : -1;
}

static int close_golden(void **state) {
    (void)state;
    fov_safetensors_close(golden);
    return 0;
}

static const fov_tensor *find_optional(const char *group, const char *name) {
    char full[160];
    (void)snprintf(full, sizeof full, "%s|%s", group, name);
    const fov_tensor *tensor = fov_safetensors_find(golden, full);
    compared += tensor != NULL;
    return tensor;
}

static const fov_tensor *find(const char *group, const char *name) {
    const fov_tensor *tensor = find_optional(group, name);
    if (tensor == NULL) {
        fail_msg("the golden lacks %s|%s", group, name);
    }
    return tensor;
}

static double number(const fov_tensor *tensor, size_t i) {
    float value = 0.0F;
    assert_int_equal(tensor->dtype, FOV_FILE_F32);
    assert_true((i + 1) * sizeof value <= tensor->bytes);
    memcpy(&value, tensor->data + i * sizeof value, sizeof value);
    return (double)value;
}

/* Norm and products with the tensor's fixed vectors. */
static void expect_summary(const char *group, const char *name, const double *x, size_t count) {
    const fov_tensor *want = find(group, name);
    double squares = 0.0;
    for (size_t i = 0; i < count; i++) {
        squares += x[i] * x[i];
    }
    const double norm = number(want, 0);
    if (!(fabs(sqrt(squares) - norm) <= TOLERANCE * norm)) {
        fail_msg("%s|%s: norm %.9g, PyTorch has %.9g", group, name, sqrt(squares), norm);
    }
    for (size_t j = 0; j < DIRECTIONS; j++) {
        char seed[160];
        (void)snprintf(seed, sizeof seed, "%s#%zu", name, j);
        const uint64_t key = formula_key(seed);
        double dot = 0.0;
        for (size_t i = 0; i < count; i++) {
            dot += x[i] * (double)formula_unit(key, i);
        }
        if (!(fabs(dot - number(want, 1 + j)) <= TOLERANCE * norm)) {
            fail_msg("%s|%s: product %zu is %.9g, PyTorch has %.9g, norm %.9g", group, name, j, dot, number(want, 1 + j), norm);
        }
    }
}

/* All elements: the norm of the difference. */
static void expect_full(const char *group, const char *name, const double *x, size_t count, double tolerance) {
    const fov_tensor *want = find(group, name);
    assert_int_equal(want->bytes, count * sizeof(float));
    double squares = 0.0, error = 0.0;
    for (size_t i = 0; i < count; i++) {
        const double d = x[i] - number(want, i);
        squares += number(want, i) * number(want, i);
        error += d * d;
    }
    if (!(sqrt(error) <= tolerance * sqrt(squares))) {
        fail_msg("%s|%s: differs by %.3g of its norm %.9g", group, name, sqrt(error / squares), sqrt(squares));
    }
}

/* A block of the store's length in file layout, as doubles. */
static double *in_file_layout(const fov_param *param, const fov_real *x) {
    double *out = fov_mem_array(FOV_MEM_BASE, param->count + 1, sizeof *out);
    assert_non_null(out);
    const size_t *d = param->shape.dim;
    const bool conv = param->spec.layout == FOV_LAYOUT_CONV;
    const size_t taps = conv ? d[1] * d[2] : 1, channels = conv ? d[3] : 1;
    for (size_t i = 0; i < param->count; i++) { /* i: place in memory, [o, tap, channel] */
        const size_t channel = i % channels, tap = i / channels % taps, o = i / channels / taps;
        out[(o * channels + channel) * taps + tap] = (double)x[i];
    }
    return out;
}

typedef struct golden_case {
    const char *name, *objective, *backbone;
    const char *const *settings;
    size_t tensors;
    double eps; /* of adamw, about a gradient, so that it does not step by the sign of those that are nearly zero */
} golden_case;

static const char *const simclr_settings[] = {"temperature", "0.2", "projector-hidden", "512", "projector-out", "128", "projector-layers", "2", NULL};
static const char *const mae_settings[] = {"mask-ratio", "0.75", "decoder-width", "64", "decoder-depth", "2", "decoder-heads", "4",
                                           "norm-pixels", "true", NULL};
static const golden_case cases[] = {{"simclr", "simclr", "resnet18", simclr_settings, 65, 0.05},
                                    {"mae", "mae", "vit_tiny/8", mae_settings, 180, 1e-3}};

static void check_gradients(const golden_case *g, const fov_session *s) {
    char grad[32], full[32];
    (void)snprintf(grad, sizeof grad, "%s.grad", g->name);
    (void)snprintf(full, sizeof full, "%s.full", g->name);
    size_t tensors = 0;
    for (size_t i = 0; i < fov_store_size(s->store); i++) {
        const fov_param *param = fov_store_at(s->store, i);
        if (param->spec.role != FOV_PARAM_TRAINABLE) {
            continue;
        }
        double *x = in_file_layout(param, fov_param_grads(s->store, param));
        expect_summary(grad, param->name, x, param->count);
        if (find_optional(full, param->name) != NULL) {
            compared--;
            expect_full(full, param->name, x, param->count, TOLERANCE);
        }
        fov_mem_free(x);
        tensors++;
    }
    assert_int_equal(tensors, g->tensors);
}

static void check_buffers(const golden_case *g, const fov_session *s) {
    char group[32];
    (void)snprintf(group, sizeof group, "%s.buffer", g->name);
    for (size_t i = 0; i < fov_store_size(s->store); i++) {
        const fov_param *param = fov_store_at(s->store, i);
        if (param->spec.role != FOV_PARAM_BUFFER && param->spec.role != FOV_PARAM_COUNTER) {
            continue;
        }
        double *x = in_file_layout(param, fov_param_values(s->store, param));
        expect_full(group, param->name, x, param->count, param->spec.role == FOV_PARAM_COUNTER ? 0.0 : 1e-4);
        fov_mem_free(x);
    }
}

/* The change that the update made. */
static void check_update(const golden_case *g, const fov_session *s, const char *optimizer, const fov_real *before) {
    char group[32];
    (void)snprintf(group, sizeof group, "%s.%s", g->name, optimizer);
    for (size_t i = 0; i < fov_store_size(s->store); i++) {
        const fov_param *param = fov_store_at(s->store, i);
        if (param->spec.role != FOV_PARAM_TRAINABLE) {
            continue;
        }
        double *x = in_file_layout(param, fov_param_values(s->store, param));
        double *old = in_file_layout(param, before + param->offset);
        for (size_t j = 0; j < param->count; j++) {
            x[j] -= old[j];
        }
        expect_summary(group, param->name, x, param->count);
        fov_mem_free(old);
        fov_mem_free(x);
    }
}

static void check_masks(const fov_session *s) {
    static const char *const names[] = {"keep", "restore"};
    for (size_t n = 0; n < LENGTH(names); n++) {
        char full[32];
        (void)snprintf(full, sizeof full, "mae.%s", names[n]);
        const fov_tensor *want = fov_safetensors_find(golden, full);
        assert_non_null(want);
        compared++;
        const size_t columns = (size_t)want->dim[1], count = 4 * (columns + n);
        int32_t *got = fov_mem_array(FOV_MEM_BASE, count, sizeof *got);
        assert_non_null(got);
        const fov_objective_input input = {.name = names[n], .values = got, .count = count};
        require(s->options.objective->fill(&s->context, &input, 1, s->options.seed, 2, (const uint32_t[]){3, 10, 17, 24}));
        for (size_t i = 0; i < 4 * columns; i++) {
            int32_t value = 0;
            memcpy(&value, want->data + i * sizeof value, sizeof value);
            /* ours has the class token in front */
            assert_int_equal(got[i / columns * (columns + n) + n + i % columns], value + (int32_t)n);
        }
        fov_mem_free(got);
    }
}

static void check_step(const golden_case *g, const char *optimizer, bool first) {
    train_case c;
    case_open(&c, fov_objective_named(g->objective), g->backbone, 32, 4, g->settings, false);
    c.batch.epoch = 2;
    fov_session_options options = case_session_options(&c, optimizer);
    options.settings.eps = g->eps;
    require(fov_pool_new(&options.pool, 2));
    fov_session *s = NULL;
    require(fov_session_new(&s, &options));
    formula_weights(s->store);
    const size_t bytes = fov_store_trainable(s->store) * sizeof(fov_real);
    fov_real *before = fov_mem_alloc(FOV_MEM_BASE, bytes);
    assert_non_null(before);
    memcpy(before, fov_store_values(s->store), bytes);
    fov_step_result result = {0};
    require(fov_session_step(s, &c.batch, 1.0, &result));
    assert_true(result.finite);
    char loss[32];
    (void)snprintf(loss, sizeof loss, "%s.loss", g->name);
    const fov_tensor *want = fov_safetensors_find(golden, loss);
    assert_non_null(want);
    compared += first;
    if (!(fabs(result.loss - number(want, 0)) <= 1e-5 * number(want, 0))) {
        fail_msg("%s: loss %.9g, PyTorch has %.9g", g->name, result.loss, number(want, 0));
    }
    if (first) {
        check_gradients(g, s);
        check_buffers(g, s);
        if (strcmp(g->name, "mae") == 0) {
            check_masks(s);
        }
    }
    check_update(g, s, optimizer, before);
    fov_mem_free(before);
    fov_session_free(s);
    fov_pool_free(options.pool);
    case_close(&c);
}

static void steps_equal_torch(void **state) {
    (void)state;
    for (size_t i = 0; i < LENGTH(cases); i++) {
        check_step(&cases[i], "sgd", true);
        check_step(&cases[i], "adamw", false);
        check_step(&cases[i], "lars", false);
    }
}

/* ---- three updates of small tensors with given gradients, element by element ---- */

static const struct {
    const char *name;
    unsigned rank;
    size_t dim[4]; /* as PyTorch has it */
} small[] = {{"conv.weight", 4, {6, 3, 3, 3}}, {"conv.bias", 1, {6}}, {"norm.weight", 1, {10}}, {"cls_token", 3, {1, 1, 12}}, {"fc.weight", 2, {7, 9}}};

/* All plain: the optimizers do not look at layouts. */
static fov_store *small_store(void) {
    fov_store *store = NULL;
    require(fov_store_new(&store));
    for (size_t i = 0; i < LENGTH(small); i++) {
        fov_param *param = NULL;
        require(fov_store_add(store, small[i].name, fov_shape_make(small[i].dim, small[i].rank), (fov_param_spec){.a = 0}, &param));
    }
    require(fov_store_commit(store, true));
    formula_weights(store);
    return store;
}

static void set_gradients(const fov_store *store, int t) {
    for (size_t i = 0; i < fov_store_size(store); i++) {
        const fov_param *param = fov_store_at(store, i);
        char name[64];
        float values[256];
        assert_true(param->count <= LENGTH(values));
        (void)snprintf(name, sizeof name, "%s@%d.grad", param->name, t);
        formula_weight(name, param->shape.rank, param->count / param->shape.dim[0], param->count, values);
        for (size_t j = 0; j < param->count; j++) {
            fov_param_grads(store, param)[j] = (fov_real)values[j];
        }
    }
}

static void updates_equal_torch(void **state) {
    (void)state;
    static const char *const optimizers[] = {"sgd", "adamw", "lars"};
    const fov_optimizer_settings settings = {.weight_decay = 0.05, .momentum = 0.9, .beta1 = 0.9, .beta2 = 0.95, .eps = 1e-8, .trust = 1e-3};
    for (size_t o = 0; o < LENGTH(optimizers); o++) {
        fov_store *store = small_store();
        fov_optimizer_state optimizer;
        require(fov_optimizer_init(&optimizer, fov_optimizer_named(optimizers[o]), &settings, store));
        for (int t = 0; t < 3; t++) {
            set_gradients(store, t);
            fov_optimizer_step(&optimizer, 0.05, 1.0, (uint64_t)t + 1, (fov_average){0}, NULL);
        }
        char group[32];
        (void)snprintf(group, sizeof group, "updates.%s", optimizers[o]);
        for (size_t i = 0; i < fov_store_size(store); i++) {
            const fov_param *param = fov_store_at(store, i);
            double *x = in_file_layout(param, fov_param_values(store, param));
            expect_full(group, param->name, x, param->count, 2e-6);
            fov_mem_free(x);
        }
        fov_optimizer_clear(&optimizer);
        fov_store_free(store);
    }
}

/* Runs last: no tensor of the golden was passed over. */
static void all_was_compared(void **state) {
    (void)state;
    assert_int_equal(compared, fov_safetensors_count(golden));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(steps_equal_torch),
        cmocka_unit_test(updates_equal_torch),
        cmocka_unit_test(all_was_compared),
    };
    return cmocka_run_group_tests(tests, open_golden, close_golden);
}
