/* NT-Xent and the masked squared error in float: values and gradients against naive double loops, known values, equal bits at any
 * number of threads, and adding into gradients that are there already. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "token_case.h"

static double similarity(const fov_real *z, size_t i, size_t j, size_t d, double temperature) {
    double s = 0.0;
    for (size_t c = 0; c < d; c++) {
        s += (double)z[i * d + c] * (double)z[j * d + c] / temperature;
    }
    return s;
}

/* Loss, and its gradient entry by entry of the similarities: rows and columns apart, unlike the library. */
static double naive_nt_xent(const fov_real *z, size_t all, size_t d, double temperature, double *grad) {
    double loss = 0.0;
    for (size_t i = 0; i < all; i++) {
        const size_t positive = (i + all / 2) % all;
        double sum = 0.0;
        for (size_t j = 0; j < all; j++) {
            sum += j == i ? 0.0 : exp(similarity(z, i, j, d, temperature));
        }
        loss += (log(sum) - similarity(z, i, positive, d, temperature)) / (double)all;
        for (size_t j = 0; j < all; j++) {
            const double p = j == i ? 0.0 : exp(similarity(z, i, j, d, temperature)) / sum;
            const double g = (p - (j == positive)) / (temperature * (double)all);
            for (size_t c = 0; c < d; c++) {
                grad[i * d + c] += g * (double)z[j * d + c];
                grad[j * d + c] += g * (double)z[i * d + c];
            }
        }
    }
    return loss;
}

static void unit_rows(fov_real *z, size_t rows, size_t d) {
    for (size_t i = 0; i < rows; i++) {
        double sum = 0.0;
        for (size_t c = 0; c < d; c++) {
            sum += (double)z[i * d + c] * (double)z[i * d + c];
        }
        for (size_t c = 0; c < d; c++) {
            z[i * d + c] = (fov_real)((double)z[i * d + c] / sqrt(sum));
        }
    }
}

static void check_nt_xent(size_t all, size_t d, double temperature) {
    fov_graph *g = new_graph();
    op_case c = case_new(fov_nt_xent(g, real_input(g, "z", FOV_SHAPE(all, d)), temperature));
    assert_int_equal(c.node->shape.rank, 0);
    unit_rows(c.in[0], all, d);
    c.grad_out[0] = 1;
    run_all_threads(&c);
    double *grad = fov_mem_zalloc(FOV_MEM_BASE, all * d * sizeof *grad);
    assert_non_null(grad);
    const double loss = naive_nt_xent(c.in[0], all, d, temperature, grad);
    token_expect("nt_xent", c.out, &loss, 1, 2e-6);
    token_expect("gradient of z", c.grad[0], grad, all * d, 1e-5);
    check_accumulate(&c);
    fov_mem_free(grad);
    case_clear(&c);
    fov_graph_free(g);
}

static void nt_xent_equals_naive(void **state) {
    (void)state;
    check_nt_xent(4, 3, 0.5);
    check_nt_xent(10, 7, 0.1);
    check_nt_xent(64, 16, 0.2);
    check_nt_xent(66, 5, 0.5);
    check_nt_xent(200, 32, 0.1);
}

static double nt_xent_value(const fov_real *z, size_t all, size_t d, double temperature) {
    fov_graph *g = new_graph();
    op_case c = case_new(fov_nt_xent(g, real_input(g, "z", FOV_SHAPE(all, d)), temperature));
    memcpy(c.in[0], z, all * d * sizeof *z);
    run_all_threads(&c);
    const double loss = (double)c.out[0];
    case_clear(&c);
    fov_graph_free(g);
    return loss;
}

static void nt_xent_known_values(void **state) {
    (void)state;
    static const fov_real vector[] = {(fov_real)1,   (fov_real)0,   (fov_real)0.6, (fov_real)0.8,
                                      (fov_real)0.8, (fov_real)0.6, (fov_real)0,   (fov_real)1};
    assert_true(fabs(nt_xent_value(vector, 4, 2, 0.5) - 0.8707) < 5e-5);
    /* Rows that are all the same: every other row is as near as the right one. */
    fov_real same[130 * 2];
    for (size_t i = 0; i < 130; i++) {
        same[2 * i] = (fov_real)0.6;
        same[2 * i + 1] = (fov_real)0.8;
    }
    assert_true(fabs(nt_xent_value(same, 130, 2, 0.1) - log(129.0)) < 1e-5);
    /* A batch of one: nothing to tell apart. */
    assert_true(nt_xent_value(vector, 2, 2, 0.5) == 0.0);
}

typedef struct naive_mse {
    size_t rows, width;
    bool normalize;
    const fov_real *prediction, *target;
    const int32_t *mask;
} naive_mse;

static double naive_masked_mse(const naive_mse *m, double *grad) {
    double count = 0.0;
    double loss = 0.0;
    for (size_t i = 0; i < m->rows; i++) {
        count += m->mask[i];
    }
    for (size_t i = 0; i < m->rows; i++) {
        const fov_real *x = m->target + i * m->width;
        double mean = 0.0;
        double variance = 0.0;
        for (size_t j = 0; j < m->width; j++) {
            mean += (double)x[j] / (double)m->width;
        }
        for (size_t j = 0; j < m->width; j++) {
            variance += ((double)x[j] - mean) * ((double)x[j] - mean) / (double)(m->width - 1);
        }
        for (size_t j = 0; j < m->width && m->mask[i] == 1; j++) {
            const double t = m->normalize ? ((double)x[j] - mean) / sqrt(variance + 1e-6) : (double)x[j];
            const double difference = (double)m->prediction[i * m->width + j] - t;
            loss += difference * difference / (double)m->width / count;
            grad[i * m->width + j] = 2.0 * difference / (double)m->width / count;
        }
    }
    return loss;
}

static void check_masked_mse(size_t n, size_t t, size_t p, bool normalize) {
    fov_graph *g = new_graph();
    const fov_shape shape = FOV_SHAPE(n, t, p);
    fov_node *mask_node = fov_input(g, "mask", FOV_DTYPE_I32, FOV_SHAPE(n, t));
    op_case c = case_new(fov_masked_mse(g, real_input(g, "prediction", shape), real_input(g, "target", shape), mask_node, normalize));
    int32_t *mask = fov_mem_zalloc(FOV_MEM_BASE, n * t * sizeof *mask);
    double *grad = fov_mem_zalloc(FOV_MEM_BASE, n * t * p * sizeof *grad);
    assert_true(mask != NULL && grad != NULL);
    for (size_t i = 0; i < n * t; i++) {
        mask[i] = i % 4 != 1;
        for (size_t j = 0; j < p; j++) {
            c.in[1][i * p + j] = (fov_real)((double)i + 0.3 * (double)c.in[1][i * p + j]);
        }
    }
    c.index[2] = mask;
    c.grad_out[0] = 1;
    run_all_threads(&c);
    const naive_mse naive = {.rows = n * t, .width = p, .normalize = normalize, .prediction = c.in[0], .target = c.in[1], .mask = mask};
    const double loss = naive_masked_mse(&naive, grad);
    token_expect("masked_mse", c.out, &loss, 1, 2e-6);
    token_expect("gradient of the prediction", c.grad[0], grad, n * t * p, 2e-5);
    for (size_t i = 0; i < n * t * p; i++) {
        assert_true(c.grad[1][i] == 0);
    }
    check_accumulate(&c);
    fov_mem_free(mask);
    fov_mem_free(grad);
    case_clear(&c);
    fov_graph_free(g);
}

static void masked_mse_equals_naive(void **state) {
    (void)state;
    check_masked_mse(2, 3, 12, false);
    check_masked_mse(2, 3, 12, true);
    check_masked_mse(3, 37, 5, true);
    check_masked_mse(1, 64, 48, false);
    check_masked_mse(1, 2, 2, true);
}

/* No masked patch: nothing to learn, and no 0 / 0. A flat patch: the target is 0, not 0 / 0. */
static void masked_mse_edges(void **state) {
    (void)state;
    static const int32_t masks[2][4] = {{0, 0, 0, 0}, {1, 1, 1, 1}};
    for (size_t k = 0; k < 2; k++) {
        fov_graph *g = new_graph();
        const fov_shape shape = FOV_SHAPE(2, 2, 3);
        fov_node *mask = fov_input(g, "mask", FOV_DTYPE_I32, FOV_SHAPE(2, 2));
        op_case c = case_new(fov_masked_mse(g, real_input(g, "prediction", shape), real_input(g, "target", shape), mask, true));
        c.index[2] = masks[k];
        double want = 0.0;
        for (size_t i = 0; i < 12; i++) {
            c.in[1][i] = (fov_real)0.7;
            want += k == 0 ? 0.0 : (double)c.in[0][i] * (double)c.in[0][i] / 12.0;
        }
        run_all_threads(&c);
        assert_true(fabs((double)c.out[0] - want) < 1e-5);
        for (size_t i = 0; i < 12; i++) {
            const double slope = k == 0 ? 0.0 : (double)c.in[0][i] * (double)c.grad_out[0] / 6.0;
            assert_true(fabs((double)c.grad[0][i] - slope) < 1e-5);
        }
        case_clear(&c);
        fov_graph_free(g);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nt_xent_equals_naive),
        cmocka_unit_test(nt_xent_known_values),
        cmocka_unit_test(masked_mse_equals_naive),
        cmocka_unit_test(masked_mse_edges),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
