/* Checkpoints of a session so small that every bit of its file can be flipped: round trip, damage, going back to an older one, pruning, and
 * faults of the file system at every call. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>

#include "base/io.h"
#include "train/checkpoint.h"
#include "train_case.h"

#define SIDE 8
#define BATCH 4
#define WIDTH 6

static char folder[256]; /* of the test that runs */

/* ---- a session of a few hundred numbers, with every kind of parameter ---- */

static const fov_option no_options[] = {{.name = NULL}};

static void toy_fill(fov_real *values, const fov_shape *shape, double a) {
    for (size_t i = 0; i < fov_shape_count(shape); i++) {
        values[i] = (fov_real)(a * (double)i);
    }
}

static bool toy_swapped; /* the shift before the gain, as another version might have it */
static bool toy_more;    /* with a parameter that a checkpoint of the toy lacks */

static fov_node *toy_build(fov_graph *g, const fov_objective_context *context) {
    const fov_param_spec conv = {.layout = FOV_LAYOUT_CONV, .init = FOV_INIT_NORMAL, .a = 0.3};
    const fov_param_spec gain = {.init = FOV_INIT_ONE}, shift = {.init = FOV_INIT_ZERO};
    const fov_param_spec moving = {.role = FOV_PARAM_BUFFER}, counter = {.role = FOV_PARAM_COUNTER};
    const fov_param_spec fixed = {.role = FOV_PARAM_FROZEN, .init = FOV_INIT_FUNCTION, .a = 0.01, .fill = toy_fill};
    fov_node *x = fov_input(g, "view", FOV_DTYPE_U8, FOV_SHAPE(2 * context->batch_size, SIDE, SIDE, 3));
    x = fov_normalize(g, x, context->mean, context->std);
    x = fov_conv2d(g, x, fov_parameter(g, "conv.weight", FOV_SHAPE(WIDTH, 2, 2, 3), conv), NULL, 2, 0);
    if (toy_more) {
        (void)fov_parameter(g, "more.bias", FOV_SHAPE(WIDTH), shift);
    }
    if (toy_swapped) {
        (void)fov_parameter(g, "bn.bias", FOV_SHAPE(WIDTH), shift);
    }
    const fov_batchnorm_args norm = {.gamma = fov_parameter(g, "bn.weight", FOV_SHAPE(WIDTH), gain),
                                     .beta = fov_parameter(g, "bn.bias", FOV_SHAPE(WIDTH), shift),
                                     .running_mean = fov_parameter(g, "bn.running_mean", FOV_SHAPE(WIDTH), moving),
                                     .running_var = fov_parameter(g, "bn.running_var", FOV_SHAPE(WIDTH), moving),
                                     .counter = fov_parameter(g, "bn.num_batches_tracked", fov_shape_make(NULL, 0), counter),
                                     .eps = 1e-5,
                                     .momentum = 0.1,
                                     .relu = true};
    x = fov_batchnorm(g, x, &norm);
    const size_t tokens = (SIDE / 2) * (SIDE / 2);
    x = fov_reshape(g, x, FOV_SHAPE(2 * context->batch_size, tokens, WIDTH));
    x = fov_add_position(g, x, fov_parameter(g, "pos_embed", FOV_SHAPE(1, tokens, WIDTH), fixed), 0);
    x = fov_mean_tokens(g, x, 0);
    return fov_nt_xent(g, fov_l2norm(g, x, 1e-12), 0.5);
}

static const fov_objective toy = {.name = "toy", .options = no_options, .build = toy_build};

static uint8_t pixels[2 * BATCH * SIDE * SIDE * 3] __attribute__((aligned(FOV_ALIGN)));
static const uint32_t samples[BATCH] = {0, 1, 2, 3};

static fov_session *make_session(uint64_t seed, const char *optimizer, double ema) {
    const fov_session_options options = {.objective = &toy,
                                         .spec = {.image_size = SIDE, .channels = 3},
                                         .batch_size = BATCH,
                                         .micro_batch = BATCH,
                                         .mean = {0.5, 0.5, 0.5},
                                         .std = {0.25, 0.25, 0.25},
                                         .optimizer = fov_optimizer_named(optimizer),
                                         .settings = {.weight_decay = 0.01, .momentum = 0.9, .beta1 = 0.9, .beta2 = 0.99, .eps = 1e-8, .trust = 0.01},
                                         .ema_decay = ema,
                                         .seed = seed};
    fov_session *s = NULL;
    require(fov_session_new(&s, &options));
    return s;
}

static void train(fov_session *s, uint64_t first, uint64_t count) {
    for (uint64_t step = first; step < first + count; step++) {
        for (size_t i = 0; i < sizeof pixels; i++) {
            pixels[i] = (uint8_t)(formula_bits(step + 1, i) >> 56);
        }
        const fov_batch batch = {.step = step, .count = BATCH, .sample = samples, .view = {pixels, pixels + sizeof pixels / 2}};
        fov_step_result result = {0};
        require(fov_session_step(s, &batch, 0.01, &result));
        assert_true(result.finite);
    }
}

static void expect_same(const fov_session *a, const fov_session *b) {
    const size_t bytes = fov_store_trainable(a->store) * sizeof(fov_real);
    assert_memory_equal(fov_store_values(a->store), fov_store_values(b->store), fov_store_total(a->store) * sizeof(fov_real));
    for (unsigned i = 0; i < a->options.optimizer->slots; i++) {
        assert_memory_equal(a->optimizer.slot[i], b->optimizer.slot[i], bytes);
    }
    if (a->average != NULL) {
        assert_memory_equal(a->average, b->average, bytes);
    }
    assert_int_equal(a->updates, b->updates);
}

/* ---- folders ---- */

static fov_status remove_entry(void *context, const char *name, int kind) {
    (void)context;
    (void)kind;
    char path[600];
    (void)snprintf(path, sizeof path, "%s/%s", folder, name);
    return fov_io_remove(path);
}

static int make_folder(void **state) {
    (void)state;
    (void)snprintf(folder, sizeof folder, "%s/checkpoints", FOV_TEST_TEMP);
    if (fov_io_mkdir(folder, true) != FOV_OK) {
        return -1;
    }
    return fov_io_list(folder, remove_entry, NULL) == FOV_OK ? 0 : -1;
}

static fov_status count_entry(void *context, const char *name, int kind) {
    (void)kind;
    size_t *count = context;
    assert_null(strstr(name, ".tmp")); /* nothing half-written is left */
    (*count)++;
    return FOV_OK;
}

static size_t entries(void) {
    size_t count = 0;
    require(fov_io_list(folder, count_entry, &count));
    return count;
}

static void path_of(uint64_t step, char *path, size_t size) {
    (void)snprintf(path, size, "%s/step-%08ju.ckpt", folder, (uintmax_t)step);
}

static fov_status save(const fov_session *s, uint64_t step) {
    const fov_checkpoint_state state = {.step = step, .skipped = step / 10, .data_hash = 0xFEDCBA9876543210U};
    return fov_checkpoint_save(folder, s, &state, 2);
}

static void expect_latest(uint64_t step) {
    char path[600], want[64];
    fov_blob blob = {0};
    (void)snprintf(path, sizeof path, "%s/latest", folder);
    (void)snprintf(want, sizeof want, "step-%08ju.ckpt\n", (uintmax_t)step);
    require(fov_io_read(path, 4096, 1, &blob));
    assert_string_equal((const char *)blob.data, want);
    fov_blob_clear(&blob);
}

/* ---- round trip ---- */

static void check_round_trip(const char *optimizer, double ema) {
    fov_session *a = make_session(1, optimizer, ema), *b = make_session(2, optimizer, ema), *whole = make_session(1, optimizer, ema);
    train(a, 0, 5);
    require(save(a, 25));
    expect_latest(25);
    fov_checkpoint_state state = {0};
    require(fov_checkpoint_load(folder, b, &state, true));
    expect_same(a, b);
    assert_int_equal(state.step, 25);
    assert_int_equal(state.skipped, 2);
    assert_true(state.data_hash == 0xFEDCBA9876543210U);
    train(b, 5, 4); /* what goes on is what was never stopped, but for the seed, which the toy does not draw from */
    train(whole, 0, 9);
    expect_same(whole, b);
    assert_true(fov_param_values(b->store, fov_store_find(b->store, "bn.num_batches_tracked"))[0] == 9);
    fov_session_free(a);
    fov_session_free(b);
    fov_session_free(whole);
}

static void round_trip_is_exact(void **state) {
    check_round_trip("sgd", 0.0);
    assert_int_equal(make_folder(state), 0);
    check_round_trip("adamw", 0.9);
    assert_int_equal(make_folder(state), 0);
    check_round_trip("lars", 0.9);
}

static void other_settings_are_a_mismatch(void **state) {
    (void)state;
    fov_session *sgd = make_session(1, "sgd", 0.0), *adamw = make_session(1, "adamw", 0.0), *averaged = make_session(1, "sgd", 0.9);
    train(sgd, 0, 1);
    require(save(sgd, 1));
    fov_checkpoint_state state_ = {0};
    assert_int_equal(fov_checkpoint_load(folder, adamw, &state_, false), FOV_E_MISMATCH);
    assert_int_equal(fov_checkpoint_load(folder, averaged, &state_, false), FOV_E_MISMATCH);
    assert_non_null(strstr(fov_last_error(), "average"));
    sgd->options.std[2] = 0.26;
    assert_int_equal(fov_checkpoint_load(folder, sgd, &state_, false), FOV_E_MISMATCH);
    assert_non_null(strstr(fov_last_error(), "another std than the settings have, 0.25,0.25,0.26"));
    sgd->options.std[2] = 0.25;
    sgd->options.deep = true;
    assert_int_equal(fov_checkpoint_load(folder, sgd, &state_, false), FOV_E_MISMATCH);
    assert_non_null(strstr(fov_last_error(), "another depth"));
    sgd->options.deep = false;
    require(fov_checkpoint_load(folder, sgd, &state_, false));
    fov_session_free(sgd);
    fov_session_free(adamw);
    fov_session_free(averaged);
}

/* A checkpoint is refused by a session whose network differs by what the switch says, with these words; its own takes it. */
static void refused_by_another(bool *otherwise, const char *said) {
    fov_session *here = make_session(1, "adamw", 0.0);
    train(here, 0, 2);
    require(save(here, 2));
    *otherwise = true;
    fov_session *there = make_session(1, "adamw", 0.0);
    *otherwise = false;
    fov_checkpoint_state state;
    assert_int_equal(fov_store_trainable(here->store) == fov_store_trainable(there->store), otherwise == &toy_swapped);
    assert_int_equal(fov_checkpoint_load(folder, there, &state, false), FOV_E_MISMATCH);
    assert_non_null(strstr(fov_last_error(), said));
    require(fov_checkpoint_load(folder, here, &state, true));
    fov_session_free(there);
    fov_session_free(here);
}

static void another_layout_is_a_mismatch(void **state) {
    (void)state;
    refused_by_another(&toy_swapped, "laid parameters out otherwise");
}

/* Which file it is has to be said: a folder holds several. */
static void a_checkpoint_of_something_else_is_named(void **state) {
    (void)state;
    refused_by_another(&toy_more, "checkpoints/step-00000002.ckpt: 1 tensor is missing in the file: more.bias");
}

/* Settings that no tensor shows, such as the learning rate, are known by their hash. */
static void changed_settings_are_a_mismatch(void **state) {
    (void)state;
    fov_session *s = make_session(1, "adamw", 0.0);
    fov_checkpoint_state state_;
    train(s, 0, 1);
    s->options.settings_hash = 5;
    require(save(s, 1));
    require(fov_checkpoint_load(folder, s, &state_, true));
    s->options.settings_hash = 7;
    assert_int_equal(fov_checkpoint_load(folder, s, &state_, false), FOV_E_MISMATCH);
    assert_non_null(strstr(fov_last_error(), "checkpoints/step-00000001.ckpt was saved with other settings than " FOV_TEST_TEMP "/config.ini has now"));
    assert_non_null(strstr(fov_last_error(), "--init " FOV_TEST_TEMP "/backbone.safetensors"));
    s->options.settings_hash = 0; /* as earlier versions saved */
    require(save(s, 2));
    s->options.settings_hash = 7;
    require(fov_checkpoint_load(folder, s, &state_, true));
    assert_int_equal(state_.step, 2);
    fov_session_free(s);
}

static void words_need_an_objective_that_takes_them(void **state) {
    (void)state;
    fov_session *made = make_session(1, "sgd", 0.0), *other = NULL;
    fov_session_options options = made->options;
    options.deep = true;
    assert_int_equal(fov_session_new(&other, &options), FOV_E_UNSUPPORTED);
    assert_non_null(strstr(fov_last_error(), "method toy cannot take pictures of 3 channels of 16 bits"));
    fov_session_free(made);
}

/* ---- the folder ---- */

static void older_ones_are_pruned(void **state) {
    (void)state;
    fov_session *s = make_session(1, "sgd", 0.0);
    char path[600];
    for (uint64_t step = 1; step <= 5; step++) {
        train(s, step, 1);
        require(save(s, step));
        expect_latest(step);
        assert_int_equal(entries(), step < 2 ? 2 : 3); /* two at most, and `latest` */
    }
    path_of(5, path, sizeof path);
    assert_int_equal(fov_io_kind(path), FOV_PATH_FILE);
    path_of(4, path, sizeof path);
    assert_int_equal(fov_io_kind(path), FOV_PATH_FILE);
    const fov_checkpoint_state more = {.step = 6};
    require(fov_checkpoint_save(folder, s, &more, 3));
    assert_int_equal(entries(), 4);
    (void)snprintf(path, sizeof path, "%s/step-notes.ckpt", folder); /* a user's file stays */
    require(fov_io_write_atomic(path, "x", 1));
    require(save(s, 7));
    assert_int_equal(entries(), 4);
    assert_int_equal(fov_io_kind(path), FOV_PATH_FILE);
    fov_checkpoint_state loaded = {0};
    require(fov_checkpoint_load(folder, s, &loaded, true));
    assert_int_equal(loaded.step, 7);
    fov_session_free(s);
}

static void no_checkpoint(void **state) {
    (void)state;
    fov_session *s = make_session(1, "sgd", 0.0);
    fov_checkpoint_state loaded = {0};
    assert_int_equal(fov_checkpoint_load(folder, s, &loaded, false), FOV_E_NOTFOUND);
    char missing[600];
    (void)snprintf(missing, sizeof missing, "%s/none", folder);
    assert_int_equal(fov_checkpoint_load(missing, s, &loaded, false), FOV_E_NOTFOUND);
    fov_session_free(s);
}

/* ---- damage ---- */

typedef struct damage {
    fov_session *session; /* what is loaded into */
    fov_session *old;     /* as step 1 has it */
    char path[600];       /* of step 2 */
    unsigned char *bytes; /* of step 2, whole */
    size_t size;
} damage;

/* Writes these bytes as step 2: with strict the load fails and changes nothing, else step 1 comes back. */
static void expect_found(const damage *d, const unsigned char *bytes, size_t size, const char *what, size_t at) {
    require(fov_io_write_atomic(d->path, bytes, size));
    const size_t total = fov_store_total(d->session->store) * sizeof(fov_real);
    fov_real *before = fov_mem_alloc(FOV_MEM_BASE, total);
    assert_non_null(before);
    memcpy(before, fov_store_values(d->session->store), total);
    fov_checkpoint_state state = {.step = 77};
    const fov_status status = fov_checkpoint_load(folder, d->session, &state, true);
    if (status != FOV_E_FORMAT) {
        fail_msg("%s %zu: %s, expected FOV_E_FORMAT (%s)", what, at, fov_status_name(status), fov_last_error());
    }
    assert_int_equal(state.step, 77);
    assert_memory_equal(before, fov_store_values(d->session->store), total);
    fov_mem_free(before);
    require(fov_checkpoint_load(folder, d->session, &state, false));
    assert_int_equal(state.step, 1);
    expect_same(d->session, d->old);
}

static void begin_damage(damage *d) {
    fov_session *old = make_session(1, "adamw", 0.9);
    train(old, 0, 1);
    require(save(old, 1));
    fov_session *next = make_session(1, "adamw", 0.9);
    train(next, 0, 2);
    require(save(next, 2));
    fov_session_free(next);
    *d = (damage){.session = make_session(3, "adamw", 0.9), .old = old};
    path_of(2, d->path, sizeof d->path);
    fov_blob blob = {0};
    require(fov_io_read(d->path, 1 << 20, 1, &blob));
    d->bytes = blob.data;
    d->size = blob.size;
}

static void end_damage(damage *d) {
    fov_blob blob = {.data = d->bytes, .size = d->size};
    fov_blob_clear(&blob);
    fov_session_free(d->session);
    fov_session_free(d->old);
}

#define FLIPS 300

static void every_flipped_bit_is_found(void **state) {
    (void)state;
    damage d;
    begin_damage(&d);
    fov_rng rng;
    fov_rng_init(&rng, 31, 0, 0, 0, FOV_RNG_TEST);
    for (size_t i = 0; i < FLIPS; i++) { /* the first 64 bits are the length of the header */
        const size_t bit = i < 64 ? i : (size_t)fov_rng_below(&rng, d.size * 8);
        d.bytes[bit / 8] ^= (unsigned char)(1U << bit % 8);
        expect_found(&d, d.bytes, d.size, "bit", bit);
        d.bytes[bit / 8] ^= (unsigned char)(1U << bit % 8);
    }
    end_damage(&d);
}

static void every_cut_is_found(void **state) {
    (void)state;
    damage d;
    begin_damage(&d);
    for (size_t size = 0; size < d.size; size += size < 16 || d.size - size < 16 ? 1 : 97) {
        expect_found(&d, d.bytes, size, "cut at", size);
    }
    end_damage(&d);
}

static void all_damaged(void **state) {
    (void)state;
    damage d;
    begin_damage(&d);
    d.bytes[d.size / 2] ^= 1;
    char first[600];
    path_of(1, first, sizeof first);
    require(fov_io_write_atomic(d.path, d.bytes, d.size));
    require(fov_io_write_atomic(first, d.bytes, d.size));
    fov_checkpoint_state loaded = {0};
    assert_int_equal(fov_checkpoint_load(folder, d.session, &loaded, false), FOV_E_FORMAT);
    end_damage(&d);
}

/* ---- faults ---- */

/* Every call of the file system fails once, or it and all after it: what loads afterwards is the old checkpoint or the new one, whole. */
static void faults_leave_one_to_load(void **state) {
    fov_session *old = make_session(1, "adamw", 0.9), *next = make_session(1, "adamw", 0.9), *loaded = make_session(9, "adamw", 0.9);
    train(old, 0, 1);
    train(next, 0, 2);
    for (int forever = 0; forever < 2; forever++) {
        fov_status status = FOV_E_IO;
        uint64_t k = 1;
        for (; status != FOV_OK && k < 1000; k++) {
            assert_int_equal(make_folder(state), 0);
            require(save(old, 1));
            const uint64_t before = fov_io_calls();
            fov_io_fail_at("any", k, forever == 1, k % 2 == 0 ? ENOSPC : EIO);
            status = save(next, 2);
            fov_io_fail_at("any", 0, false, 0);
            assert_true(fov_io_calls() > before);
            fov_checkpoint_state state_ = {0};
            require(fov_checkpoint_load(folder, loaded, &state_, true));
            assert_true(state_.step == 1 || state_.step == 2);
            assert_true(state_.step == 2 || status != FOV_OK);
            expect_same(loaded, state_.step == 1 ? old : next);
            if (forever == 0) {
                assert_true(entries() >= 2);
            }
        }
        assert_true(k > 8 && k < 1000);
    }
    fov_session_free(old);
    fov_session_free(next);
    fov_session_free(loaded);
}

static void no_memory_is_said(void **state) {
    (void)state;
    fov_session *s = make_session(1, "adamw", 0.9);
    train(s, 0, 1);
    require(save(s, 1));
    fov_status status = FOV_E_NOMEM;
    const size_t live = fov_mem_stats_all().live_blocks;
    for (uint64_t n = 1; status != FOV_OK && n < 1000; n++) {
        fov_mem_fail_at(n, 0);
        status = save(s, 2);
        fov_mem_fail_at(0, 0);
        assert_true(status == FOV_OK || status == FOV_E_NOMEM);
        assert_int_equal(fov_mem_stats_all().live_blocks, live);
    }
    require(status);
    status = FOV_E_NOMEM;
    for (uint64_t n = 1; status != FOV_OK && n < 1000; n++) {
        fov_checkpoint_state loaded = {0};
        fov_mem_fail_at(n, 0);
        status = fov_checkpoint_load(folder, s, &loaded, true);
        fov_mem_fail_at(0, 0);
        assert_true(status == FOV_OK || status == FOV_E_NOMEM);
        assert_int_equal(fov_mem_stats_all().live_blocks, live);
    }
    require(status);
    fov_session_free(s);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(round_trip_is_exact, make_folder),
        cmocka_unit_test_setup(other_settings_are_a_mismatch, make_folder),
        cmocka_unit_test_setup(another_layout_is_a_mismatch, make_folder),
        cmocka_unit_test_setup(a_checkpoint_of_something_else_is_named, make_folder),
        cmocka_unit_test_setup(changed_settings_are_a_mismatch, make_folder),
        cmocka_unit_test(words_need_an_objective_that_takes_them),
        cmocka_unit_test_setup(older_ones_are_pruned, make_folder),
        cmocka_unit_test_setup(no_checkpoint, make_folder),
        cmocka_unit_test_setup(every_flipped_bit_is_found, make_folder),
        cmocka_unit_test_setup(every_cut_is_found, make_folder),
        cmocka_unit_test_setup(all_damaged, make_folder),
        cmocka_unit_test_setup(faults_leave_one_to_load, make_folder),
        cmocka_unit_test_setup(no_memory_is_said, make_folder),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
