/* The parts of a training step, each against a naive computation: schedule, optimizers, norm of gradients, average of weights; and sessions:
 * clipping, micro-batches, steps that are not finite, equal bits at any thread count and any memory layout. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/hash.h"
#include "base/log.h"
#include "train/schedule.h"
#include "train_case.h"

#define LENGTH(array) (sizeof(array) / sizeof((array)[0]))
#define PI 3.14159265358979323846

/* ---- schedule ---- */

static void expect_near(double got, double want, double tolerance) {
    if (!(fabs(got - want) <= tolerance)) {
        fail_msg("got %.17g, expected %.17g", got, want);
    }
}

static void schedule_values(void **state) {
    (void)state;
    assert_true(fov_schedule_cosine(0, 10, 110, 2.0, 0.5) == 0.0);
    expect_near(fov_schedule_cosine(3, 10, 110, 2.0, 0.5), 0.6, 1e-15);
    assert_true(fov_schedule_cosine(10, 10, 110, 2.0, 0.5) == 2.0);
    expect_near(fov_schedule_cosine(35, 10, 110, 2.0, 0.5), 0.5 + 1.5 * 0.5 * (1.0 + cos(PI / 4.0)), 1e-15);
    expect_near(fov_schedule_cosine(60, 10, 110, 2.0, 0.5), 1.25, 1e-15);
    expect_near(fov_schedule_cosine(110, 10, 110, 2.0, 0.5), 0.5, 1e-15);
    expect_near(fov_schedule_cosine(500, 10, 110, 2.0, 0.5), 0.5, 1e-15); /* past the end: the end */
    assert_true(fov_schedule_cosine(0, 0, 100, 2.0, 0.0) == 2.0);          /* no warm-up */
    expect_near(fov_schedule_cosine(10, 10, 10, 2.0, 0.25), 0.25, 1e-15);  /* all of it warm-up */
    for (uint64_t t = 11; t < 110; t++) {
        assert_true(fov_schedule_cosine(t, 10, 110, 2.0, 0.5) < fov_schedule_cosine(t - 1, 10, 110, 2.0, 0.5));
    }
}

/* ---- optimizers ---- */

/* Two blocks of trainable parameters on either side of each rule of decay, one longer than a piece of the sums, and a frozen one. */
static const struct {
    const char *name;
    unsigned rank;
    size_t dim[3];
    fov_param_spec spec;
    bool decays;
} params[] = {
    {"fc.weight", 2, {7, 9}, {.role = FOV_PARAM_TRAINABLE}, true},
    {"fc.bias", 1, {7}, {.role = FOV_PARAM_TRAINABLE}, false},
    {"norm.weight", 1, {33}, {.role = FOV_PARAM_TRAINABLE}, false},
    {"odd.bias", 2, {3, 5}, {.role = FOV_PARAM_TRAINABLE}, false},
    {"token", 3, {1, 1, 17}, {.role = FOV_PARAM_TRAINABLE}, true},
    {"kept", 2, {4, 4}, {.role = FOV_PARAM_TRAINABLE, .no_decay = true}, false},
    {"long", 2, {271, 257}, {.role = FOV_PARAM_TRAINABLE}, true},
    {"zero", 2, {2, 3}, {.role = FOV_PARAM_TRAINABLE}, true},
    {"fixed", 2, {5, 5}, {.role = FOV_PARAM_FROZEN}, false},
};

static fov_store *make_store(void) {
    fov_store *store = NULL;
    require(fov_store_new(&store));
    for (size_t i = 0; i < LENGTH(params); i++) {
        fov_param *param = NULL;
        require(fov_store_add(store, params[i].name, fov_shape_make(params[i].dim, params[i].rank), params[i].spec, &param));
        assert_int_equal(fov_param_decays(param), params[i].decays);
    }
    require(fov_store_commit(store, true));
    formula_weights(store);
    const fov_param *zero = fov_store_find(store, "zero");
    memset(fov_param_values(store, zero), 0, zero->count * sizeof(fov_real));
    return store;
}

static void set_gradients(const fov_store *store, unsigned t) {
    for (size_t p = 0; p < fov_store_size(store); p++) {
        const fov_param *param = fov_store_at(store, p);
        fov_real *g = fov_param_grads(store, param);
        for (size_t i = 0; g != NULL && i < param->count; i++) {
            g[i] = (fov_real)formula_unit(formula_key(param->name) + t + 1, i);
        }
    }
}

typedef struct naive {
    double *w, *m, *v;
} naive;

typedef struct update_args {
    const fov_optimizer_settings *settings;
    double lr, g_scale;
    uint64_t t;
} update_args;

typedef void (*naive_fn)(const naive *n, const fov_param *param, const fov_real *g, double decay, const update_args *a);

static void naive_momentum(const naive *n, const fov_param *param, const fov_real *g, double decay, double ratio, const update_args *a) {
    for (size_t i = 0; i < param->count; i++) {
        n->m[i] = a->settings->momentum * n->m[i] + ratio * (a->g_scale * (double)g[i] + decay * n->w[i]);
        n->w[i] -= a->lr * n->m[i];
    }
}

static void naive_sgd(const naive *n, const fov_param *param, const fov_real *g, double decay, const update_args *a) {
    naive_momentum(n, param, g, decay, 1.0, a);
}

static void naive_lars(const naive *n, const fov_param *param, const fov_real *g, double decay, const update_args *a) {
    double weights = 0.0, grads = 0.0;
    for (size_t i = 0; i < param->count; i++) {
        const double x = a->g_scale * (double)g[i] + decay * n->w[i];
        weights += n->w[i] * n->w[i];
        grads += x * x;
    }
    const bool adapts = param->shape.rank > 1 && weights > 0.0 && grads > 0.0;
    naive_momentum(n, param, g, decay, adapts ? a->settings->trust * sqrt(weights) / sqrt(grads) : 1.0, a);
}

static void naive_adamw(const naive *n, const fov_param *param, const fov_real *g, double decay, const update_args *a) {
    const double b1 = a->settings->beta1, b2 = a->settings->beta2, t = (double)a->t;
    for (size_t i = 0; i < param->count; i++) {
        const double x = a->g_scale * (double)g[i];
        n->w[i] *= 1.0 - a->lr * decay;
        n->m[i] = b1 * n->m[i] + (1.0 - b1) * x;
        n->v[i] = b2 * n->v[i] + (1.0 - b2) * x * x;
        n->w[i] -= a->lr * (n->m[i] / (1.0 - pow(b1, t))) / (sqrt(n->v[i] / (1.0 - pow(b2, t))) + a->settings->eps);
    }
}

static double *doubles(size_t count) {
    double *x = fov_mem_array(FOV_MEM_BASE, count, sizeof *x);
    assert_non_null(x);
    return x;
}

static void check_optimizer(const char *name, naive_fn fn) {
    const fov_optimizer_settings settings = {.weight_decay = 0.03, .momentum = 0.9, .beta1 = 0.9, .beta2 = 0.99, .eps = 1e-8, .trust = 0.01};
    fov_store *store = make_store();
    fov_pool *pool = NULL;
    require(fov_pool_new(&pool, 3));
    const size_t total = fov_store_total(store);
    naive all = {doubles(total), doubles(total), doubles(total)};
    for (size_t i = 0; i < total; i++) {
        all.w[i] = (double)fov_store_values(store)[i];
    }
    fov_optimizer_state optimizer;
    require(fov_optimizer_init(&optimizer, fov_optimizer_named(name), &settings, store));
    for (unsigned t = 1; t <= 4; t++) {
        const update_args a = {&settings, 0.02, t == 3 ? 0.25 : 1.0, t};
        set_gradients(store, t);
        for (size_t p = 0; p < fov_store_size(store); p++) {
            const fov_param *param = fov_store_at(store, p);
            const naive n = {all.w + param->offset, all.m + param->offset, all.v + param->offset};
            if (param->spec.role == FOV_PARAM_TRAINABLE) {
                fn(&n, param, fov_param_grads(store, param), params[p].decays ? settings.weight_decay : 0.0, &a);
            }
        }
        fov_optimizer_step(&optimizer, a.lr, a.g_scale, t, (fov_average){0}, pool);
        for (size_t i = 0; i < total; i++) {
            const double got = (double)fov_store_values(store)[i];
            if (!(fabs(got - all.w[i]) <= 2e-6 * fmax(1.0, fabs(all.w[i])))) {
                fail_msg("%s, update %u, element %zu: %.9g, expected %.9g", name, t, i, got, all.w[i]);
            }
        }
    }
    fov_optimizer_clear(&optimizer);
    fov_mem_free(all.w);
    fov_mem_free(all.m);
    fov_mem_free(all.v);
    fov_pool_free(pool);
    fov_store_free(store);
}

static void optimizers_against_loops(void **state) {
    (void)state;
    check_optimizer("sgd", naive_sgd);
    check_optimizer("lars", naive_lars);
    check_optimizer("adamw", naive_adamw);
    size_t count = 0;
    for (; fov_optimizer_at(count) != NULL; count++) {
        assert_ptr_equal(fov_optimizer_named(fov_optimizer_at(count)->name), fov_optimizer_at(count));
        assert_true(fov_optimizer_at(count)->slots <= FOV_MAX_SLOTS && strlen(fov_optimizer_at(count)->summary) > 10);
    }
    assert_int_equal(count, 3);
    assert_null(fov_optimizer_named("adam"));
}

static void optimizer_without_memory(void **state) {
    (void)state;
    fov_store *store = make_store();
    for (uint64_t n = 1; n <= 3; n++) {
        fov_optimizer_state optimizer;
        fov_mem_fail_at(n, 0);
        assert_int_equal(fov_optimizer_init(&optimizer, fov_optimizer_named("adamw"), &(fov_optimizer_settings){0}, store), FOV_E_NOMEM);
        fov_mem_fail_at(0, 0);
    }
    fov_store_free(store);
}

/* ---- norm and average ---- */

static void norm_of_gradients(void **state) {
    (void)state;
    fov_store *store = make_store();
    set_gradients(store, 9);
    double squares = 0.0;
    for (size_t i = 0; i < fov_store_trainable(store); i++) {
        squares += (double)fov_store_grads(store)[i] * (double)fov_store_grads(store)[i];
    }
    const double alone = fov_gradient_norm(store, NULL);
    expect_near(alone, sqrt(squares), 1e-6 * sqrt(squares));
    for (unsigned threads = 2; threads <= 8; threads += 3) {
        fov_pool *pool = NULL;
        require(fov_pool_new(&pool, threads));
        assert_true(fov_gradient_norm(store, pool) == alone);
        fov_pool_free(pool);
    }
    fov_store_grads(store)[fov_store_find(store, "long")->offset + 40000] = (fov_real)NAN;
    assert_true(isnan(fov_gradient_norm(store, NULL)));
    fov_store_grads(store)[fov_store_find(store, "long")->offset + 40000] = (fov_real)INFINITY;
    assert_true(!isfinite(fov_gradient_norm(store, NULL)));
    fov_store_free(store);
}

static void average_of_weights(void **state) {
    (void)state;
    fov_store *store = make_store();
    const size_t count = fov_store_trainable(store);
    fov_pool *pool = NULL;
    require(fov_pool_new(&pool, 3));
    fov_real *average = fov_mem_array(FOV_MEM_BASE, count, sizeof *average);
    assert_non_null(average);
    for (size_t i = 0; i < count; i++) {
        average[i] = (fov_real)formula_unit(1, i);
    }
    const fov_average asked = {.values = average, .decay = 0.9};
    fov_optimizer_state optimizer;
    require(fov_optimizer_init(&optimizer, fov_optimizer_named("sgd"), &(fov_optimizer_settings){.momentum = 0.9}, store));
    fov_optimizer_step(&optimizer, 0.0, 1.0, 1, asked, pool); /* a learning rate of 0: the weights stay */
    fov_optimizer_step(&optimizer, 0.0, 1.0, 2, asked, NULL);
    fov_optimizer_clear(&optimizer);
    for (size_t p = 0; p < fov_store_size(store); p++) {
        const fov_param *param = fov_store_at(store, p);
        for (size_t i = param->offset; i < param->offset + param->count && param->spec.role == FOV_PARAM_TRAINABLE; i++) {
            const double w = (double)fov_store_values(store)[i];
            expect_near((double)average[i], 0.81 * (double)formula_unit(1, i) + 0.19 * w, 1e-6);
        }
    }
    fov_mem_free(average);
    fov_pool_free(pool);
    fov_store_free(store);
}

/* ---- sessions ---- */

typedef struct method {
    const char *objective, *backbone, *optimizer;
} method;

static const method simclr = {"simclr", "resnet18", "sgd"}, mae = {"mae", "vit_tiny/8", "adamw"};

static void open_case(train_case *c, const method *m, size_t batch) {
    case_open(c, fov_objective_named(m->objective), m->backbone, 32, batch, case_small_heads, true);
}

static fov_real *copy_values(const fov_session *s) {
    const size_t bytes = fov_store_total(s->store) * sizeof(fov_real);
    fov_real *copy = fov_mem_alloc(FOV_MEM_BASE, bytes);
    assert_non_null(copy);
    memcpy(copy, fov_store_values(s->store), bytes);
    return copy;
}

static void check_not_finite(const method *m, const char *name) {
    train_case c;
    open_case(&c, m, 4);
    fov_session_options options = case_session_options(&c, m->optimizer);
    options.ema_decay = 0.9;
    fov_session *s = NULL;
    require(fov_session_new(&s, &options));
    fov_step_result result = {0};
    require(fov_session_step(s, &c.batch, 1e-3, &result));
    assert_true(result.finite && s->updates == 1);
    const fov_param *param = fov_store_find(s->store, name);
    assert_non_null(param);
    const fov_real kept = fov_param_values(s->store, param)[1];
    fov_param_values(s->store, param)[1] = (fov_real)INFINITY;
    fov_real *values = copy_values(s);
    const size_t bytes = fov_store_trainable(s->store) * sizeof(fov_real);
    const uint64_t slot = fov_hash64(s->optimizer.slot[0], bytes, 0), average = fov_hash64(s->average, bytes, 0);
    require(fov_session_step(s, &c.batch, 1e-3, &result));
    assert_false(result.finite);
    assert_true(s->updates == 1);
    assert_memory_equal(values, fov_store_values(s->store), fov_store_total(s->store) * sizeof(fov_real));
    assert_true(slot == fov_hash64(s->optimizer.slot[0], bytes, 0) && average == fov_hash64(s->average, bytes, 0));
    fov_param_values(s->store, param)[1] = kept; /* and the run goes on */
    require(fov_session_step(s, &c.batch, 1e-3, &result));
    assert_true(result.finite && isfinite(result.loss) && s->updates == 2);
    fov_mem_free(values);
    fov_session_free(s);
    case_close(&c);
}

static void not_finite_changes_nothing(void **state) {
    (void)state;
    check_not_finite(&simclr, "layer2.0.conv1.weight");
    check_not_finite(&mae, "blocks.2.mlp.fc1.weight");
}

static void keep_line(void *context, fov_log_level level, const char *line) {
    fov_text *const lines = context;
    assert_int_equal(level, FOV_LOG_WARNING);
    fov_text_add(lines, line);
}

/* A step that cannot fit is told of before it is run, one that can is not. */
static void memory_that_is_not_there(void **state) {
    (void)state;
    train_case c;
    fov_text lines;
    fov_session *s = NULL;
    fov_text_init(&lines);
    open_case(&c, &mae, 2);
    const fov_session_options options = case_session_options(&c, "sgd");
    require(fov_session_new(&s, &options));
    const size_t needed = fov_plan_bytes(s->plan);
    fov_log_set_sink(keep_line, &lines, FOV_LOG_WARNING);
    fov_session_warn_of_memory(s, needed);
    assert_int_equal(lines.length, 0);
    fov_session_warn_of_memory(s, needed - 1);
    fov_log_set_sink(NULL, NULL, FOV_LOG_ERROR);
    assert_non_null(strstr(lines.data, "the system may end this run"));
    assert_non_null(strstr(lines.data, "--recompute blocks"));
    fov_text_clear(&lines);
    fov_session_free(s);
    case_close(&c);
}

/* Without decay, the first update of sgd is -lr g: clipping shortens it to clip_norm. */
static void clipping(void **state) {
    (void)state;
    train_case c;
    open_case(&c, &mae, 2);
    fov_session_options options = case_session_options(&c, "sgd");
    options.settings.weight_decay = 0.0;
    options.clip_norm = 0.01;
    fov_session *s = NULL;
    require(fov_session_new(&s, &options));
    fov_real *before = copy_values(s);
    fov_step_result result = {0};
    require(fov_session_step(s, &c.batch, 1.0, &result));
    assert_true(result.grad_norm > 10.0 * options.clip_norm); /* the norm before clipping is reported */
    double squares = 0.0;
    for (size_t i = 0; i < fov_store_trainable(s->store); i++) {
        const double moved = (double)fov_store_values(s->store)[i] - (double)before[i];
        squares += moved * moved;
        expect_near(moved, -(double)fov_store_grads(s->store)[i] * options.clip_norm / result.grad_norm, 1e-6);
    }
    expect_near(sqrt(squares), options.clip_norm, 1e-3 * options.clip_norm);
    fov_mem_free(before);
    fov_session_free(s);
    case_close(&c);
}

/* The average follows the weights that the update left. */
static void average_in_a_session(void **state) {
    (void)state;
    train_case c;
    open_case(&c, &mae, 2);
    fov_session_options options = case_session_options(&c, "adamw");
    options.ema_decay = 0.75;
    fov_session *s = NULL;
    require(fov_session_new(&s, &options));
    fov_real *before = copy_values(s);
    fov_step_result result = {0};
    require(fov_session_step(s, &c.batch, 0.01, &result));
    for (size_t i = 0; i < fov_store_trainable(s->store); i++) {
        expect_near((double)s->average[i], 0.75 * (double)before[i] + 0.25 * (double)fov_store_values(s->store)[i], 1e-6);
    }
    fov_mem_free(before);
    fov_session_free(s);
    case_close(&c);
}

/* Two halves give the gradient and the loss of the whole: all samples of mae have equally many hidden patches. */
static void micro_batches_add_up(void **state) {
    (void)state;
    train_case c;
    open_case(&c, &mae, 4);
    fov_session_options options = case_session_options(&c, "adamw");
    fov_session *whole = NULL, *halves = NULL;
    require(fov_session_new(&whole, &options));
    options.micro_batch = 2;
    require(fov_session_new(&halves, &options));
    for (uint64_t step = 0; step < 2; step++) {
        fov_step_result a = {0}, b = {0};
        c.batch.step = step;
        require(fov_session_step(whole, &c.batch, 0.0, &a));
        require(fov_session_step(halves, &c.batch, 0.0, &b));
        expect_near(b.loss, a.loss, 1e-6 * a.loss);
        expect_near(b.grad_norm, a.grad_norm, 1e-6 * a.grad_norm);
        double squares = 0.0;
        for (size_t i = 0; i < fov_store_trainable(whole->store); i++) {
            const double d = (double)fov_store_grads(halves->store)[i] - (double)fov_store_grads(whole->store)[i];
            squares += d * d;
        }
        assert_true(sqrt(squares) <= 1e-6 * a.grad_norm);
    }
    fov_session_free(halves);
    fov_session_free(whole);
    case_close(&c);
}

/* With two views in a micro-batch, all of its first views come before all of its second ones. */
static void micro_batches_keep_views_together(void **state) {
    (void)state;
    train_case c;
    open_case(&c, &simclr, 4);
    fov_session_options options = case_session_options(&c, "sgd");
    options.micro_batch = 2;
    fov_session *s = NULL;
    require(fov_session_new(&s, &options));
    fov_step_result result = {0};
    require(fov_session_step(s, &c.batch, 0.0, &result));
    const size_t image = 32 * 32 * 3;
    for (size_t v = 0; v < 2; v++) { /* the last micro-batch is still there: samples 2 and 3 */
        assert_memory_equal(s->staging + v * 2 * image, c.batch.view[v] + 2 * image, 2 * image);
    }
    fov_session_free(s);
    case_close(&c);
}

/* Other formats: the step works, micro-batches are cut in the right places, and 16 bits that say what 8 bits say learn the same. */
static void check_format(const method *m, size_t channels) {
    double loss[3], norm[3];
    for (size_t i = 0; i < 3; i++) { /* bytes, words, words in two halves */
        train_case c;
        open_case(&c, m, 4);
        case_format(&c, channels, i > 0);
        fov_session_options options = case_session_options(&c, m->optimizer);
        options.deep = i > 0;
        options.micro_batch = i == 2 ? 2 : 4;
        fov_session *s = NULL;
        fov_step_result result = {0};
        require(fov_session_new(&s, &options));
        require(fov_session_step(s, &c.batch, 0.0, &result));
        assert_true(result.finite);
        loss[i] = result.loss;
        norm[i] = result.grad_norm;
        if (i == 2) { /* samples 2 and 3 of the first view */
            const size_t half = (size_t)2 * 32 * 32 * channels * 2;
            assert_memory_equal(s->staging, c.batch.view[0] + half, half);
        }
        fov_session_free(s);
        case_close(&c);
    }
    expect_near(loss[1], loss[0], 1e-5 * loss[0]);
    expect_near(norm[1], norm[0], 1e-3 * norm[0]);
    if (strcmp(m->objective, "mae") == 0) { /* whose loss is a mean over samples */
        expect_near(loss[2], loss[1], 1e-5 * loss[1]);
    }
}

static void other_formats_learn(void **state) {
    (void)state;
    static const size_t channels[] = {1, 2, 4};
    for (size_t i = 0; i < 3; i++) {
        check_format(&mae, channels[i]);
        check_format(&simclr, channels[i]);
    }
}

/* What two steps leave: weights, running statistics, optimizer state, average and losses. */
static uint64_t trace(const train_case *c, const method *m, unsigned threads, fov_plan_options plan) {
    fov_session_options options = case_session_options(c, m->optimizer);
    options.ema_decay = 0.9;
    options.clip_norm = 0.5;
    options.plan = plan;
    options.plan.poison = threads == 3;
    require(fov_pool_new(&options.pool, threads));
    fov_session *s = NULL;
    require(fov_session_new(&s, &options));
    fov_batch batch = c->batch;
    uint64_t hash = 0;
    for (uint64_t step = 0; step < 2; step++) {
        fov_step_result result = {0};
        batch.step = step;
        require(fov_session_step(s, &batch, 0.01, &result));
        assert_true(result.finite);
        hash = fov_hash64(&result.loss, sizeof result.loss, hash);
        hash = fov_hash64(&result.grad_norm, sizeof result.grad_norm, hash);
    }
    const size_t bytes = fov_store_trainable(s->store) * sizeof(fov_real);
    hash = fov_hash64(fov_store_values(s->store), fov_store_total(s->store) * sizeof(fov_real), hash);
    hash = fov_hash64(s->optimizer.slot[0], bytes, hash);
    hash = fov_hash64(s->average, bytes, hash);
    fov_session_free(s);
    fov_pool_free(options.pool);
    return hash;
}

static void equal_bits(void **state) {
    (void)state;
    static const struct {
        unsigned threads;
        fov_plan_options plan;
    } ways[] = {{2, {.recompute = FOV_RECOMPUTE_NONE}},
                {3, {.recompute = FOV_RECOMPUTE_BLOCKS, .no_reuse = true}},
                {8, {.recompute = FOV_RECOMPUTE_BLOCKS}},
                {1, {.recompute = FOV_RECOMPUTE_NONE, .no_reuse = true}}};
    const method methods[] = {simclr, mae};
    for (size_t i = 0; i < LENGTH(methods); i++) {
        train_case c;
        open_case(&c, &methods[i], 4);
        const uint64_t want = trace(&c, &methods[i], 1, (fov_plan_options){0});
        for (size_t w = 0; w < LENGTH(ways); w++) {
            if (trace(&c, &methods[i], ways[w].threads, ways[w].plan) != want) {
                fail_msg("%s: other bits with %u threads%s, recompute %s", methods[i].objective, ways[w].threads,
                         ways[w].plan.no_reuse ? ", no reuse" : "", fov_recompute_names[ways[w].plan.recompute]);
            }
        }
        c.pixels[100] ^= 1; /* and the trace does depend on its batch */
        assert_true(trace(&c, &methods[i], 2, (fov_plan_options){0}) != want);
        case_close(&c);
    }
}

/* Every allocation of a new session may fail; nothing is left behind. */
static void session_without_memory(void **state) {
    (void)state;
    train_case c;
    open_case(&c, &mae, 2);
    const fov_session_options options = case_session_options(&c, "adamw");
    const size_t live = fov_mem_stats_all().live_blocks;
    const uint64_t before = fov_mem_stats_all().total_calls;
    fov_session *s = NULL;
    require(fov_session_new(&s, &options));
    const uint64_t calls = fov_mem_stats_all().total_calls - before;
    fov_session_free(s);
    assert_true(calls > 20);
    for (uint64_t n = 1; n <= calls; n += calls - n < 14 ? 1 : 1 + calls / 12) { /* some on the way, all of the last ones */
        fov_mem_fail_at(n, 0);
        const fov_status status = fov_session_new(&s, &options);
        fov_mem_fail_at(0, 0);
        assert_int_equal(status, FOV_E_NOMEM);
        assert_int_equal(fov_mem_stats_all().live_blocks, live);
    }
    case_close(&c);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(schedule_values),
        cmocka_unit_test(optimizers_against_loops),
        cmocka_unit_test(optimizer_without_memory),
        cmocka_unit_test(norm_of_gradients),
        cmocka_unit_test(average_of_weights),
        cmocka_unit_test(not_finite_changes_nothing),
        cmocka_unit_test(memory_that_is_not_there),
        cmocka_unit_test(clipping),
        cmocka_unit_test(average_in_a_session),
        cmocka_unit_test(micro_batches_add_up),
        cmocka_unit_test(micro_batches_keep_views_together),
        cmocka_unit_test(other_formats_learn),
        cmocka_unit_test(equal_bits),
        cmocka_unit_test(session_without_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
