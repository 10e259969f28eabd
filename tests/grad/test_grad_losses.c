/* Whole losses of every objective of the registry, on the smallest backbone of each family that can bear it, against central differences in
 * double: some elements of every tensor, sign included.
 *
 * A loss with ReLU or max-pooling has kinks: some unit may change sides within the step, and then no difference quotient of that step is the
 * derivative. Steps of several lengths are tried, and one of them must agree to 1e-6 of the tensor's largest gradient: a right gradient
 * agrees as soon as the step is short enough, a wrong one never. No element is passed over.
 *
 * ctest: label=short timeout=300 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/rng.h"
#include "train_case.h"

#define LENGTH(array) (sizeof(array) / sizeof((array)[0]))
#define TOLERANCE 1e-6
#define FLOOR 1e-4     /* tensors with gradients below this share of the largest of all are held to that share */
#define FEW_TENSORS 100 /* so many or fewer: two elements of each are looked at, else one */

static const double steps[] = {1e-6, 1e-7, 1e-5, 1e-4};

static double loss_at(fov_session *s, fov_real *value, double at) {
    const fov_real kept = *value;
    *value = (fov_real)at;
    const fov_run run = {.seed = s->options.seed, .forward_only = true};
    require(fov_plan_run(s->plan, &run));
    *value = kept;
    return (double)*fov_plan_value(s->plan, s->loss);
}

static void check_element(fov_session *s, const fov_param *param, size_t i, double analytic, double largest) {
    fov_real *value = fov_param_values(s->store, param) + i;
    const double x = (double)*value;
    double nearest = INFINITY;
    for (size_t k = 0; k < LENGTH(steps); k++) {
        const double h = steps[k];
        const double numeric = (loss_at(s, value, x + h) - loss_at(s, value, x - h)) / ((x + h) - (x - h));
        nearest = fabs(numeric - analytic) < fabs(nearest - analytic) ? numeric : nearest;
        if (fabs(nearest - analytic) <= TOLERANCE * largest) {
            return;
        }
    }
    fail_msg("%s[%zu]: gradient %.12g, nearest difference quotient %.12g, largest of the tensor %.6g", param->name, i, analytic, nearest, largest);
}

static size_t place_of_largest(const fov_real *x, size_t count) {
    size_t place = 0;
    for (size_t i = 1; i < count; i++) {
        place = fabs((double)x[i]) > fabs((double)x[place]) ? i : place;
    }
    return place;
}

/* The element with the largest gradient, which an error in scale or sign shows most, and some at random. */
static size_t check_tensor(fov_session *s, const fov_param *param, const fov_real *grads, size_t samples, double least, fov_rng *rng) {
    const fov_real *g = grads + param->offset;
    const size_t top = place_of_largest(g, param->count);
    const double largest = fmax(fabs((double)g[top]), least);
    check_element(s, param, top, (double)g[top], largest);
    for (size_t k = 1; k < samples; k++) {
        const size_t i = (size_t)fov_rng_below(rng, param->count);
        check_element(s, param, i, (double)g[i], largest);
    }
    return samples;
}

static size_t count_trainable(const fov_store *store) {
    size_t count = 0;
    for (size_t p = 0; p < fov_store_size(store); p++) {
        count += fov_store_at(store, p)->spec.role == FOV_PARAM_TRAINABLE;
    }
    return count;
}

static void check_loss(const fov_objective *objective, const char *backbone) {
    train_case c;
    case_open(&c, objective, backbone, 32, 2, case_small_heads, true);
    const fov_session_options options = case_session_options(&c, "sgd");
    fov_session *s = NULL;
    require(fov_session_new(&s, &options));
    formula_weights(s->store);
    fov_step_result result = {0};
    require(fov_session_step(s, &c.batch, 0.0, &result)); /* binds, computes, and with a rate of 0 moves no weight */
    const size_t bytes = fov_store_trainable(s->store) * sizeof(fov_real);
    fov_real *grads = fov_mem_alloc(FOV_MEM_BASE, bytes);
    assert_non_null(grads);
    memcpy(grads, fov_store_grads(s->store), bytes);
    fov_rng rng;
    fov_rng_init(&rng, 17, 0, 0, 0, FOV_RNG_TEST);
    const size_t trainable = fov_store_trainable(s->store);
    const double least = FLOOR * fabs((double)grads[place_of_largest(grads, trainable)]);
    const size_t samples = count_trainable(s->store) > FEW_TENSORS ? 1 : 2;
    size_t checked = 0;
    for (size_t p = 0; p < fov_store_size(s->store); p++) {
        const fov_param *param = fov_store_at(s->store, p);
        if (param->spec.role == FOV_PARAM_TRAINABLE) {
            checked += check_tensor(s, param, grads, samples, least, &rng);
        }
    }
    assert_true(checked > 100);
    fov_mem_free(grads);
    fov_session_free(s);
    case_close(&c);
}

static bool first_of_family(size_t index) {
    for (size_t i = 0; i < index; i++) {
        if (strcmp(fov_backbone_at(i)->family, fov_backbone_at(index)->family) == 0) {
            return false;
        }
    }
    return true;
}

static void gradients_of_whole_losses(void **state) {
    (void)state;
    size_t losses = 0;
    for (size_t o = 0; fov_objective_at(o) != NULL; o++) {
        const fov_objective *objective = fov_objective_at(o);
        for (size_t b = 0; fov_backbone_at(b) != NULL; b++) {
            const fov_backbone *backbone = fov_backbone_at(b);
            if ((backbone->gives & objective->needs) != objective->needs || !first_of_family(b)) {
                continue;
            }
            char text[64];
            (void)snprintf(text, sizeof text, "%s%s", backbone->name, (backbone->gives & FOV_GIVES_TOKENS) != 0 ? "/16" : "");
            check_loss(objective, text);
            losses++;
        }
    }
    assert_true(losses >= 3);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(gradients_of_whole_losses)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
