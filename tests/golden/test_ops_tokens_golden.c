/* Attention, NT-Xent and the loss of MAE against values and gradients recorded from PyTorch (make_ops.py), in every instruction set,
 * within 1e-5 of each tensor's largest entry. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>

#include "graph/graph.h"
#include "token_step.h"
#include "weights/safetensors.h"

#define TOLERANCE 1e-5

static const char *const sets[] = {"c", "avx2", "avx512", "avx512bf16"};

static fov_safetensors *golden;

static int open_golden(void **state) {
    (void)state;
    return fov_safetensors_open(&golden, FOV_TEST_DATA "/golden/ops_tokens.safetensors") == FOV_OK ? 0 : -1;
}

static int close_golden(void **state) {
    (void)state;
    fov_safetensors_close(golden);
    return 0;
}

static const fov_tensor *find(const char *name, const char *part) {
    char full[64];
    (void)snprintf(full, sizeof full, "%s.%s", name, part);
    const fov_tensor *tensor = fov_safetensors_find(golden, full);
    if (tensor == NULL) {
        fail_msg("%s is missing", full);
    }
    return tensor;
}

static size_t count_of(const fov_tensor *tensor) {
    size_t count = 1;
    for (unsigned a = 0; a < tensor->rank; a++) {
        count *= (size_t)tensor->dim[a];
    }
    return count;
}

static fov_shape shape_of(const fov_tensor *tensor) {
    fov_shape shape = {.rank = tensor->rank};
    for (unsigned a = 0; a < tensor->rank; a++) {
        shape.dim[a] = (size_t)tensor->dim[a];
    }
    return shape;
}

/* The numbers as fov_real, aligned. */
static fov_real *load(const char *name, const char *part) {
    const fov_tensor *tensor = find(name, part);
    assert_int_equal(tensor->dtype, FOV_FILE_F32);
    fov_real *values = token_block(count_of(tensor) * sizeof *values);
    for (size_t i = 0; i < count_of(tensor); i++) {
        float value = 0.0F;
        memcpy(&value, tensor->data + i * sizeof value, sizeof value);
        values[i] = (fov_real)value;
    }
    return values;
}

static void compare(const char *name, const char *part, const fov_real *got) {
    const size_t n = count_of(find(name, part));
    fov_real *values = load(name, part);
    double *want = token_block(n * sizeof *want);
    for (size_t i = 0; i < n; i++) {
        want[i] = (double)values[i];
    }
    token_expect(part, got, want, n, TOLERANCE);
    fov_mem_free(want);
    fov_mem_free(values);
}

/* Runs the node in every instruction set up to the chosen one, for whose tiles its scratch was sized, and compares its output and the gradient of
 * input 0. */
static void check(const char *name, const fov_node *node, token_step *t, const char *out_part, size_t out_count, size_t grad_count) {
    for (size_t s = 0; s < sizeof sets / sizeof sets[0]; s++) {
        const fov_kernels *k = fov_kernels_named(sets[s]);
        if (k == NULL || k->tile_columns() > fov_kernels_get()->tile_columns()) {
            continue;
        }
        t->out = token_block(out_count * sizeof(fov_real));
        t->grad_in[0] = token_block(grad_count * sizeof(fov_real));
        token_run_with(node, t, 2, k);
        compare(name, out_part, t->out);
        compare(name, "grad", t->grad_in[0]);
        fov_mem_free(t->out);
        fov_mem_free(t->grad_in[0]);
    }
}

static void check_attention(const char *name, size_t heads) {
    fov_graph *g = NULL;
    assert_int_equal(fov_graph_new(&g, true), FOV_OK);
    const fov_shape shape = shape_of(find(name, "qkv"));
    fov_node *node = fov_attention(g, fov_input(g, "qkv", FOV_DTYPE_REAL, shape), heads);
    fov_real *qkv = load(name, "qkv");
    fov_real *grad_out = load(name, "grad_out");
    token_step t = {.in = {qkv}, .grad_out = grad_out};
    check(name, node, &t, "out", count_of(find(name, "out")), count_of(find(name, "qkv")));
    fov_mem_free(qkv);
    fov_mem_free(grad_out);
    fov_graph_free(g);
}

static void attention_equals_torch(void **state) {
    (void)state;
    check_attention("attention3", 3);
    check_attention("attention1", 1);
}

static void check_nt_xent(const char *name, double temperature) {
    fov_graph *g = NULL;
    assert_int_equal(fov_graph_new(&g, true), FOV_OK);
    fov_node *node = fov_nt_xent(g, fov_input(g, "z", FOV_DTYPE_REAL, shape_of(find(name, "z"))), temperature);
    fov_real *z = load(name, "z");
    const fov_real one = 1;
    token_step t = {.in = {z}, .grad_out = &one};
    check(name, node, &t, "loss", 1, count_of(find(name, "z")));
    fov_mem_free(z);
    fov_graph_free(g);
}

static void nt_xent_equals_torch(void **state) {
    (void)state;
    check_nt_xent("nt_xent", 0.2);
    check_nt_xent("nt_xent_long", 0.1);
}

static void check_mae(const char *name, bool normalize) {
    fov_graph *g = NULL;
    assert_int_equal(fov_graph_new(&g, true), FOV_OK);
    const fov_shape shape = shape_of(find(name, "prediction"));
    fov_node *mask_node = fov_input(g, "mask", FOV_DTYPE_I32, shape_of(find(name, "mask")));
    fov_node *node = fov_masked_mse(g, fov_input(g, "prediction", FOV_DTYPE_REAL, shape), fov_input(g, "target", FOV_DTYPE_REAL, shape),
                                    mask_node, normalize);
    fov_real *prediction = load(name, "prediction");
    fov_real *target = load(name, "target");
    const fov_tensor *mask_tensor = find(name, "mask");
    assert_int_equal(mask_tensor->dtype, FOV_FILE_I32);
    int32_t *mask = token_block(mask_tensor->bytes);
    memcpy(mask, mask_tensor->data, mask_tensor->bytes);
    const fov_real one = 1;
    token_step t = {.in = {prediction, target, mask}, .grad_out = &one};
    check(name, node, &t, "loss", 1, count_of(find(name, "prediction")));
    fov_mem_free(prediction);
    fov_mem_free(target);
    fov_mem_free(mask);
    fov_graph_free(g);
}

static void mae_loss_equals_torch(void **state) {
    (void)state;
    check_mae("mae", true);
    check_mae("mae_plain", false);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(attention_equals_torch),
        cmocka_unit_test(nt_xent_equals_torch),
        cmocka_unit_test(mae_loss_equals_torch),
    };
    return cmocka_run_group_tests(tests, open_golden, close_golden);
}
