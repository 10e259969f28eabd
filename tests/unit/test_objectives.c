/* Every objective of the registry: options, graphs on all backbones that can bear it, where the loss starts and that it falls; and the masks
 * of mae. An objective that is added is tested here without a word. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "train_case.h"

#define LENGTH(array) (sizeof(array) / sizeof((array)[0]))

typedef void (*objective_fn)(const fov_objective *objective);

static void for_each(objective_fn fn) {
    assert_non_null(fov_objective_at(0));
    for (size_t i = 0; fov_objective_at(i) != NULL; i++) {
        fn(fov_objective_at(i));
    }
}

/* ---- descriptions and options ---- */

static void check_description(const fov_objective *o) {
    assert_ptr_equal(fov_objective_named(o->name), o);
    assert_true(strlen(o->summary) > 10 && strlen(o->source) > 10);
    assert_non_null(o->build);
    assert_non_null(o->defaults);
    assert_non_null(o->views);
    assert_non_null(o->start_loss);
    for (const fov_option *option = o->options; option->name != NULL; option++) {
        assert_true(option->help != NULL && strlen(option->help) > 5);
        assert_true(option->offset < o->options_size);
    }
}

static void descriptions(void **state) {
    (void)state;
    for_each(check_description);
    assert_null(fov_objective_named("no such objective"));
}

/* Sets every option as found by the choice, reads back the same text. */
static void check_options(const fov_objective *o) {
    char backbone[64], value[64], written[64];
    case_backbone(o, backbone, sizeof backbone);
    train_case c;
    case_open(&c, o, backbone, 32, 4, NULL, false);
    size_t count = 0;
    for (const fov_option *option = NULL; (option = fov_options_at(c.set, count, NULL, value, sizeof value)) != NULL; count++) {
        if (option->fallback != NULL) {
            assert_int_equal(fov_options_source(c.set, option->name), FOV_FROM_DEFAULT);
        } else {
            fov_options_mark(c.set, option->name, FOV_FROM_DATA);
            (void)fov_options_at(c.set, count, NULL, value, sizeof value);
        }
        assert_true(value[0] != '\0');
        require(fov_options_set(c.set, option->name, value, FOV_FROM_USER));
        (void)fov_options_at(c.set, count, NULL, written, sizeof written);
        assert_string_equal(written, value);
        assert_int_equal(fov_options_source(c.set, option->name), FOV_FROM_USER);
        if (option->min < option->max) {
            assert_int_equal(fov_options_set(c.set, option->name, "1e300", FOV_FROM_USER), FOV_E_INVALID);
        }
        assert_int_equal(fov_options_set(c.set, option->name, "nonsense", FOV_FROM_USER), FOV_E_INVALID);
    }
    fov_text help;
    fov_text_init(&help);
    fov_options_help(c.set, &help, 80);
    require(help.status);
    for (const fov_option *option = o->options; option->name != NULL; option++) {
        assert_non_null(strstr(help.data, option->name));
    }
    fov_text_clear(&help);
    case_close(&c);
}

static void options_round_trip(void **state) {
    (void)state;
    for_each(check_options);
}

/* What the user gave stays; views are a recipe of views of the image size; the settings make sense. */
static void check_defaults(const fov_objective *o) {
    for (size_t b = 0; fov_backbone_at(b) != NULL; b++) {
        const size_t sizes[] = {32, 96, 224};
        for (size_t s = 0; s < LENGTH(sizes); s++) {
            if ((fov_backbone_at(b)->gives & o->needs) != o->needs) {
                continue;
            }
            train_case c;
            case_open(&c, o, fov_backbone_at(b)->name, sizes[s], 4, NULL, false);
            fov_train_defaults d = {0};
            o->defaults(c.options, &c.facts, &d);
            assert_non_null(fov_optimizer_named(d.optimizer));
            assert_int_equal(d.batch_size, 4);
            assert_true(d.lr > 0.0 && d.lr < 10.0 && d.weight_decay >= 0.0 && d.warmup_epochs >= 0.0 && d.warmup_epochs < 10.0);
            assert_true(d.epochs >= 20 && d.epochs <= 800 && d.beta1 < 1.0 && d.beta2 < 1.0 && d.momentum < 1.0);
            fov_text text;
            fov_text_init(&text);
            o->views(c.options, &c.facts, &text);
            require(text.status);
            fov_recipe recipe;
            require(fov_recipe_parse(text.data, &recipe));
            assert_true(recipe.view_count >= 1);
            for (size_t v = 0; v < recipe.view_count; v++) {
                assert_int_equal(recipe.view[v].image_size, sizes[s]);
            }
            fov_text_clear(&text);
            case_close(&c);
        }
    }
}

static void defaults_make_sense(void **state) {
    (void)state;
    for_each(check_defaults);
}

static void default_batch_and_epochs(void **state) {
    (void)state;
    fov_backbone_spec spec = {.image_size = 64};
    fov_train_facts facts = {.images = 100000, .spec = &spec};
    assert_int_equal(fov_default_batch(&facts, 512), 256);
    assert_int_equal(fov_default_batch(&facts, 128), 128);
    spec.image_size = 96;
    assert_int_equal(fov_default_batch(&facts, 512), 128);
    spec.image_size = 224;
    assert_int_equal(fov_default_batch(&facts, 512), 64);
    facts.images = 128;
    assert_int_equal(fov_default_batch(&facts, 512), 32);
    facts.images = 10;
    assert_int_equal(fov_default_batch(&facts, 512), 16);
    assert_int_equal(fov_default_epochs(&facts, 1000000), 800);
    facts.images = 5000;
    assert_int_equal(fov_default_epochs(&facts, 1000000), 200);
    facts.images = 5000000;
    assert_int_equal(fov_default_epochs(&facts, 1000000), 20);
}

/* ---- graphs ---- */

/* The loss is a scalar; parameters are the backbone's own, then "head.*"; "view" is there and every int32 input can be filled. */
static void check_graph(const fov_objective *o, const char *backbone, size_t image_size) {
    train_case c;
    case_open(&c, o, backbone, image_size, 2, case_small_heads, true);
    fov_objective_context context = {.options = c.options, .spec = &c.spec, .batch_size = 2, .mean = {0.5, 0.5, 0.5}, .std = {0.2, 0.2, 0.2}};
    if (o->check != NULL) {
        require(o->check(&context));
    }
    fov_graph *g = NULL;
    fov_store *store = NULL;
    require(fov_graph_new(&g, true));
    require(fov_store_new(&store));
    fov_graph_use_store(g, store);
    const fov_node *loss = o->build(g, &context);
    require(fov_graph_status(g));
    assert_non_null(loss);
    assert_int_equal(fov_shape_count(&loss->shape), 1);
    size_t views = 0, heads = 0;
    for (size_t i = 0; i < fov_graph_size(g); i++) {
        const fov_node *node = fov_graph_node(g, i);
        if (node->input_name != NULL && node->dtype == FOV_DTYPE_U8) {
            assert_string_equal(node->input_name, "view");
            assert_int_equal(node->shape.dim[0] % 2, 0);
            assert_int_equal(node->shape.dim[1], image_size);
            views++;
        } else if (node->input_name != NULL) {
            assert_int_equal(node->dtype, FOV_DTYPE_I32);
            const size_t count = fov_shape_count(&node->shape);
            int32_t *values = fov_mem_array(FOV_MEM_TRAIN, count, sizeof *values);
            assert_non_null(values);
            const fov_objective_input input = {.name = node->input_name, .values = values, .count = count};
            require(o->fill(&context, &input, 1, 1, 0, (const uint32_t[]){4, 5}));
            fov_mem_free(values);
        }
    }
    for (size_t i = 0; i < fov_store_size(store); i++) {
        heads += strncmp(fov_store_at(store, i)->name, "head.", 5) == 0;
    }
    assert_int_equal(views, 1);
    assert_true(heads > 0 && heads < fov_store_size(store));
    fov_store_free(store);
    fov_graph_free(g);
    case_close(&c);
}

static void check_graphs(const fov_objective *o) {
    for (size_t b = 0; fov_backbone_at(b) != NULL; b++) {
        const fov_backbone *backbone = fov_backbone_at(b);
        if ((backbone->gives & o->needs) == o->needs) {
            check_graph(o, backbone->name, 32);
            check_graph(o, backbone->name, 64);
        }
    }
}

static void graphs_build_on_every_backbone(void **state) {
    (void)state;
    for_each(check_graphs);
}

/* ---- losses ---- */

static void check_learning(const fov_objective *o) {
    char backbone[64];
    case_backbone(o, backbone, sizeof backbone);
    train_case c;
    case_open(&c, o, backbone, 32, 4, case_small_heads, true);
    fov_session_options options = case_session_options(&c, "adamw");
    require(fov_pool_new(&options.pool, 2));
    fov_session *s = NULL;
    require(fov_session_new(&s, &options));
    double low = 0.0, high = 0.0, first = 0.0, last = 0.0;
    o->start_loss(&s->context, &low, &high);
    assert_true(low < high);
    for (int step = 0; step < 15; step++) {
        fov_step_result result = {0};
        c.batch.step = (uint64_t)step;
        require(fov_session_step(s, &c.batch, 1e-3, &result));
        assert_true(result.finite && result.grad_norm > 0.0);
        first = step == 0 ? result.loss : first;
        last = result.loss;
    }
    if (!(first >= low && first <= high)) {
        fail_msg("%s starts at %g, outside of its own bounds %g and %g", o->name, first, low, high);
    }
    if (!(last < 0.95 * first)) {
        fail_msg("%s went from %g to %g in 15 steps on one batch", o->name, first, last);
    }
    fov_session_free(s);
    fov_pool_free(options.pool);
    case_close(&c);
}

static void losses_start_in_bounds_and_fall(void **state) {
    (void)state;
    for_each(check_learning);
}

/* ---- refusals ---- */

static void expect_refusal(const char *objective, const char *backbone, size_t image_size, size_t batch, const char *const *settings,
                           const char *piece) {
    train_case c;
    case_open(&c, fov_objective_named(objective), backbone, image_size, batch, settings, false);
    const fov_objective_context context = {.options = c.options, .spec = &c.spec, .batch_size = batch};
    assert_int_equal(c.objective->check(&context), FOV_E_INVALID);
    if (strstr(fov_last_error(), piece) == NULL) {
        fail_msg("'%s' is not in: %s", piece, fov_last_error());
    }
    case_close(&c);
}

static void what_cannot_work_is_refused(void **state) {
    (void)state;
    expect_refusal("simclr", "resnet18", 32, 1, NULL, "--batch-size");
    expect_refusal("mae", "vit_tiny/16", 16, 2, NULL, "--mask-ratio");
    expect_refusal("mae", "vit_tiny/8", 32, 2, (const char *const[]){"decoder-width", "62", NULL}, "--decoder-width");
    expect_refusal("mae", "vit_tiny/8", 32, 2, (const char *const[]){"decoder-width", "64", "decoder-heads", "5", NULL}, "--decoder-heads");
}

/* ---- the masks of mae ---- */

#define PATCHES 64
#define KEPT 16

typedef struct masks {
    int32_t keep[2][KEPT], restore[2][1 + PATCHES], mask[2][PATCHES];
} masks;

static void draw(const fov_objective_context *context, uint64_t seed, uint64_t epoch, const uint32_t *sample, masks *m) {
    const fov_objective *mae = fov_objective_named("mae");
    memset(m, 0xff, sizeof *m);
    const fov_objective_input inputs[] = {{"keep", &m->keep[0][0], 2 * KEPT},
                                          {"restore", &m->restore[0][0], (size_t)2 * (1 + PATCHES)},
                                          {"mask", &m->mask[0][0], 2 * PATCHES}};
    require(mae->fill(context, inputs, 3, seed, epoch, sample));
}

/* keep, restore and mask tell one story. */
static void check_masks(const masks *m) {
    for (size_t i = 0; i < 2; i++) {
        int seen[1 + PATCHES] = {0}, hidden = 0;
        assert_int_equal(m->restore[i][0], 0);
        for (size_t p = 0; p < PATCHES; p++) {
            const int32_t place = m->restore[i][1 + p];
            assert_in_range(place, 1, PATCHES);
            assert_int_equal(seen[place]++, 0); /* a permutation */
            assert_int_equal(m->mask[i][p], place > KEPT);
            hidden += m->mask[i][p];
            if (place <= KEPT) {
                assert_int_equal(m->keep[i][place - 1], (int32_t)p);
            }
        }
        assert_int_equal(hidden, PATCHES - KEPT);
    }
}

static void masks_of_mae(void **state) {
    (void)state;
    train_case c;
    case_open(&c, fov_objective_named("mae"), "vit_tiny/4", 32, 2, NULL, false);
    const fov_objective_context context = {.options = c.options, .spec = &c.spec, .batch_size = 2};
    const uint32_t sample[] = {7, 8}, swapped[] = {8, 7};
    masks a, b;
    draw(&context, 1, 2, sample, &a);
    check_masks(&a);
    assert_memory_not_equal(a.mask[0], a.mask[1], sizeof a.mask[0]);
    draw(&context, 1, 2, sample, &b);
    assert_memory_equal(&a, &b, sizeof a);
    draw(&context, 1, 2, swapped, &b); /* goes with the sample, not with its place */
    assert_memory_equal(a.keep[0], b.keep[1], sizeof a.keep[0]);
    assert_memory_equal(a.restore[1], b.restore[0], sizeof a.restore[1]);
    draw(&context, 1, 3, sample, &b);
    check_masks(&b);
    assert_memory_not_equal(a.mask[0], b.mask[0], sizeof a.mask[0]);
    draw(&context, 2, 2, sample, &b);
    assert_memory_not_equal(a.mask[0], b.mask[0], sizeof a.mask[0]);
    case_close(&c);
}

/* Each patch is hidden three times in four. */
static void masks_are_even(void **state) {
    (void)state;
    train_case c;
    case_open(&c, fov_objective_named("mae"), "vit_tiny/4", 32, 2, NULL, false);
    const fov_objective_context context = {.options = c.options, .spec = &c.spec, .batch_size = 2};
    enum { DRAWS = 1000 };
    int hidden[PATCHES] = {0};
    masks m;
    for (uint32_t i = 0; i < DRAWS; i += 2) {
        draw(&context, 9, 0, (const uint32_t[]){i, i + 1}, &m);
        for (size_t p = 0; p < PATCHES; p++) {
            hidden[p] += m.mask[0][p] + m.mask[1][p];
        }
    }
    for (size_t p = 0; p < PATCHES; p++) { /* five standard deviations of 13.7 */
        assert_in_range(hidden[p], 750 - 69, 750 + 69);
    }
    case_close(&c);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(descriptions),
        cmocka_unit_test(options_round_trip),
        cmocka_unit_test(defaults_make_sense),
        cmocka_unit_test(default_batch_and_epochs),
        cmocka_unit_test(graphs_build_on_every_backbone),
        cmocka_unit_test(losses_start_in_bounds_and_fall),
        cmocka_unit_test(what_cannot_work_is_refused),
        cmocka_unit_test(masks_of_mae),
        cmocka_unit_test(masks_are_even),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
