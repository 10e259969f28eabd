/* Resolving settings. Everything that is not given follows the number and size of the pictures, through the objective's own proposals. */
#include "train/setup.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/checked.h"
#include "base/io.h"

static bool is_open(const fov_setup *setup, const char *name) {
    return fov_options_source(setup->options, name) < FOV_FROM_DATA;
}

/* The field was chosen here: say so. */
static void chosen(fov_setup *setup, const char *name) { fov_options_mark(setup->options, name, FOV_FROM_DATA); }

static void choose_whole(fov_setup *setup, const char *name, int64_t *field, uint64_t value) {
    if (is_open(setup, name)) {
        *field = (int64_t)value;
        chosen(setup, name);
    }
}

static void choose_real(fov_setup *setup, const char *name, double *field, double value) {
    if (is_open(setup, name)) {
        *field = value;
        chosen(setup, name);
    }
}

/* ---- a stored run ---- */

static void stored_value(const fov_option_set *stored, const char *name, char *value, size_t size) {
    const fov_option *option = NULL;
    for (size_t i = 0; (option = fov_options_at(stored, i, NULL, value, size)) != NULL; i++) {
        if (strcmp(option->name, name) == 0) {
            return;
        }
    }
    value[0] = '\0';
}

/* `settings`: those of the stored run. */
static void list_differences(const fov_setup *setup, const fov_option_set *stored, const fov_pretrain_settings *settings, fov_text *text) {
    char now[1024], then[1024];
    const fov_option *option = NULL;
    for (size_t i = 0; (option = fov_options_at(setup->options, i, NULL, now, sizeof now)) != NULL; i++) {
        if (option->resumable || fov_options_source(setup->options, option->name) != FOV_FROM_USER) {
            continue;
        }
        stored_value(stored, option->name, then, sizeof then);
        const bool same = strcmp(option->name, "views") == 0 ? fov_setup_same_views(setup->settings->views, settings) : strcmp(now, then) == 0;
        if (!same) {
            fov_text_printf(text, "%s--%s %s (the run has %s)", text->length > 0 ? ", " : "", option->name, now, then[0] == '\0' ? "none" : then);
        }
    }
}

/* Settings of the run itself, as far as they were given, into a set of their own. The method's table is added when it is known. */
static fov_status read_apart(const fov_setup *setup, const char *config, bool with_method, fov_option_set *stored, fov_pretrain_settings *settings,
                             void *fields) {
    size_t none = 0;
    FOV_TRY(fov_options_add(stored, "Pre-training", fov_pretrain_options, settings));
    if (with_method) {
        FOV_TRY(fov_options_add(stored, setup->objective->name, setup->objective->options, fields));
    }
    FOV_TRY(fov_options_parse(stored, 0, NULL, NULL, &none, !with_method)); /* without it, its settings are unknown, which is fine */
    return fov_options_read_ini(stored, config);
}

/* Fails with a list when the user gave settings that the run in `config` has otherwise and that may not change. Before the method's table is
 * there (`with_method` false) only another method counts, because its settings would not even be known. */
static fov_status compare_stored(const fov_setup *setup, const char *config, bool with_method) {
    fov_option_set *stored = NULL;
    fov_pretrain_settings settings = {0};
    fov_text text;
    fov_text_init(&text);
    void *fields = fov_mem_zalloc(FOV_MEM_TRAIN, setup->objective->options_size + 1);
    fov_status status = fields == NULL ? FOV_E_NOMEM : fov_options_new(&stored);
    if (status == FOV_OK) {
        status = read_apart(setup, config, with_method, stored, &settings, fields);
    }
    if (status == FOV_OK && (with_method || strcmp(settings.method, setup->settings->method) != 0)) {
        list_differences(setup, stored, &settings, &text);
        status = text.status;
    }
    if (status == FOV_OK && text.length > 0) {
        status = FOV_FAIL(FOV_E_MISMATCH, "a run goes on with the settings it began with, but you gave %s; leave that out, or start a new run", text.data);
    }
    fov_options_free(stored);
    fov_mem_free(fields);
    fov_text_clear(&text);
    return status;
}

static fov_status read_stored(const fov_setup *setup, const char *config) {
    if (fov_io_kind(config) != FOV_PATH_FILE) {
        return FOV_FAIL(FOV_E_NOTFOUND, "%s holds no run to resume (no config.ini)", setup->settings->out);
    }
    return fov_options_read_ini(setup->options, config);
}

/* ---- the beginning ---- */

static fov_status one_length(const fov_setup *setup) {
    static const char *const names[] = {"epochs", "steps", "hours"};
    const char *first = NULL;
    for (size_t i = 0; i < 3; i++) {
        if (fov_options_source(setup->options, names[i]) != FOV_FROM_USER) {
            continue;
        }
        if (first != NULL) {
            return FOV_FAIL(FOV_E_INVALID, "--%s and --%s both set the length of the run; give one", first, names[i]);
        }
        first = names[i];
    }
    return FOV_OK;
}

/* A length from the command line replaces all that a file of settings says about it; its epochs and steps would contradict. */
static void forget_lengths(fov_setup *setup) {
    fov_pretrain_settings *s = setup->settings;
    static const char *const names[] = {"epochs", "steps", "hours"};
    bool given = false;
    for (size_t i = 0; i < 3; i++) {
        given = given || fov_options_source(setup->options, names[i]) == FOV_FROM_USER;
    }
    for (size_t i = 0; i < 3 && given; i++) {
        if (fov_options_source(setup->options, names[i]) != FOV_FROM_CONFIG) {
            continue;
        }
        fov_options_mark(setup->options, names[i], FOV_FROM_NONE);
        s->epochs = i == 0 ? 0 : s->epochs;
        s->steps = i == 1 ? 0 : s->steps;
        s->hours = i == 2 ? 0.0 : s->hours;
    }
}

/* Mean and std of a file of settings are those of its pictures: what the command line says about pictures or statistics makes them void. */
static void forget_statistics(fov_setup *setup) {
    static const char *const names[] = {"stats", "channels", "depth", "group", "alpha"};
    bool given = false;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        given = given || fov_options_source(setup->options, names[i]) == FOV_FROM_USER;
    }
    if (given && fov_options_source(setup->options, "mean") == FOV_FROM_CONFIG) {
        setup->settings->mean = NULL;
        fov_options_mark(setup->options, "mean", FOV_FROM_NONE);
    }
    if (given && fov_options_source(setup->options, "std") == FOV_FROM_CONFIG) {
        setup->settings->std = NULL;
        fov_options_mark(setup->options, "std", FOV_FROM_NONE);
    }
}

/* Options that shape the method's own views do nothing beside a recipe, which says all of its views. */
static fov_status check_view_options(const fov_setup *setup) {
    const char *const *name = setup->objective->view_options;
    const bool recipe = fov_options_source(setup->options, "views") == FOV_FROM_USER;
    for (; recipe && name != NULL && *name != NULL; name++) {
        if (fov_options_source(setup->options, *name) == FOV_FROM_USER) {
            return FOV_FAIL(FOV_E_INVALID, "--%s shapes the views that method %s makes, but --views says all of the views; leave one of them out", *name,
                            setup->objective->name);
        }
    }
    return FOV_OK;
}

/* What is wrong by itself is said before pictures are looked at, which may take minutes. What follows their size comes later; any size will do. */
static fov_status check_names(const fov_setup *setup) {
    const fov_pretrain_settings *s = setup->settings;
    const size_t size = s->image_size > 0 ? (size_t)s->image_size : 224;
    if (s->backbone != NULL) {
        fov_backbone_spec spec;
        FOV_TRY(fov_backbone_parse(s->backbone, size, &spec));
        FOV_TRY(fov_objective_check_backbone(setup->objective, spec.backbone));
    }
    if (s->optimizer != NULL) {
        const fov_optimizer *optimizer = NULL;
        FOV_TRY(fov_optimizer_find(s->optimizer, &optimizer));
    }
    FOV_TRY(check_view_options(setup));
    fov_recipe recipe;
    return s->views == NULL ? FOV_OK : fov_recipe_read(s->views, size, &recipe);
}

static void add_line(fov_text *text, const char *line) {
    fov_text_printf(text, "%s%s", text->length > 0 ? "\n" : "", line);
}

fov_status fov_setup_refuse(fov_option_set *options, const fov_pretrain_settings *settings, const char *said) {
    const bool in_file = (settings->config != NULL || settings->resume) && fov_options_source(options, "method") < FOV_FROM_CONFIG;
    const fov_objective *objective = NULL;
    fov_option *names = NULL;
    void *fields = NULL;
    fov_text text;
    fov_text_init(&text);
    fov_text_add(&text, said);
    fov_status status = FOV_OK;
    if (!in_file && fov_objective_find(settings->method, &objective) != FOV_OK) {
        add_line(&text, fov_last_error());
    }
    if (objective == NULL) {
        FOV_TRY_GOTO(status, done, fov_objective_option_names(&names));
    }
    fields = fov_mem_zalloc(FOV_MEM_TRAIN, objective == NULL ? sizeof(char *) : objective->options_size + 1);
    status = fields == NULL        ? FOV_E_NOMEM
             : objective == NULL ? fov_options_add(options, "method", names, fields)
                                 : fov_objective_add_options(objective, options, "method", fields);
    FOV_TRY_GOTO(status, done, status);
    if (fov_options_finish(options) != FOV_OK) {
        add_line(&text, fov_last_error());
    }
    status = text.status != FOV_OK ? text.status : FOV_FAIL(FOV_E_INVALID, "%s", text.data);
done:
    fov_text_clear(&text);
    fov_mem_free(fields);
    fov_mem_free(names);
    return status;
}

/* `config` is the file of the run to resume, NULL for a new run. */
static fov_status begin(fov_setup *setup, const char *config) {
    fov_option_set *options = setup->options;
    if (setup->settings->config != NULL) {
        FOV_TRY(fov_options_read_ini(options, setup->settings->config));
    }
    if (config != NULL) {
        FOV_TRY(read_stored(setup, config));
    }
    setup->objective = fov_objective_named(setup->settings->method);
    if (setup->objective == NULL) {
        return fov_setup_refuse(options, setup->settings, "");
    }
    if (config != NULL) {
        FOV_TRY(compare_stored(setup, config, false));
    }
    const fov_objective *objective = setup->objective;
    setup->objective_options = fov_mem_zalloc(FOV_MEM_TRAIN, objective->options_size + 1);
    FOV_TRY_ALLOC(setup->objective_options);
    if (objective->prepare != NULL) {
        objective->prepare(setup->objective_options);
    }
    FOV_TRY(fov_objective_add_options(objective, options, objective->name, setup->objective_options));
    FOV_TRY(fov_options_finish(options));
    if (config != NULL && fov_options_source(options, "shrink") == FOV_FROM_DEFAULT) {
        FOV_TRY(fov_options_set(options, "shrink", "none", FOV_FROM_CONFIG)); /* the run is of a version that decoded all whole */
    }
    if (config != NULL) {
        return compare_stored(setup, config, true);
    }
    forget_lengths(setup);
    forget_statistics(setup);
    return one_length(setup);
}

fov_status fov_setup_begin(fov_setup *setup, fov_option_set *options, fov_pretrain_settings *settings) {
    *setup = (fov_setup){.options = options, .settings = settings};
    char *config = NULL;
    if (settings->resume && settings->out != NULL) {
        config = fov_path_join(settings->out, "config.ini");
        FOV_TRY_ALLOC(config);
    }
    const fov_status status = begin(setup, config);
    fov_mem_free(config);
    FOV_TRY(status);
    FOV_TRY(check_names(setup));
    FOV_TRY(fov_precision_check(fov_precision_named(settings->precision)));
    return fov_setup_take_format(setup);
}

void fov_setup_clear(fov_setup *setup) {
    fov_mem_free(setup->objective_options);
    *setup = (fov_setup){0};
}

/* ---- the pictures ---- */

fov_status fov_setup_scan(fov_setup *setup, const char *const *data, size_t data_count, const fov_train_observer *observer, fov_pool *pool,
                          fov_index **index) {
    const fov_pretrain_settings *s = setup->settings;
    const fov_preprocess *p = &setup->preprocess;
    const fov_scan_options options = {.decode = fov_preprocess_decode(p),
                                      .group = p->group[0] == '\0' ? NULL : p->group,
                                      .verify = s->verify,
                                      .follow_links = s->follow_links,
                                      .max_bad = fov_max_bad(s->max_bad),
                                      .progress = observer->scanning,
                                      .context = observer->context};
    return fov_index_scan(index, data, data_count, &options, pool);
}

/* ---- from the pictures ---- */

static int by_size(const void *a, const void *b) {
    const size_t x = *(const size_t *)a, y = *(const size_t *)b;
    return x < y ? -1 : x > y;
}

static fov_status median_side(const fov_index *index, size_t *median) {
    const size_t count = fov_index_count(index);
    size_t *side = fov_mem_array(FOV_MEM_TRAIN, count, sizeof *side);
    FOV_TRY_ALLOC(side);
    for (size_t i = 0; i < count; i++) {
        size_t width = 0, height = 0;
        fov_index_size(index, i, &width, &height);
        side[i] = width < height ? width : height;
    }
    qsort(side, count, sizeof *side, by_size);
    *median = side[count / 2];
    fov_mem_free(side);
    return FOV_OK;
}

/* What a processor can train on in an evening: never far above the pictures' own size, at most 128. */
static size_t size_for(size_t side) { return side < 48 ? 32 : side < 96 ? 64 : side < 160 ? 96 : 128; }

static fov_status resolve_backbone(fov_setup *setup) {
    fov_pretrain_settings *s = setup->settings;
    char text[64];
    if (is_open(setup, "backbone")) {
        FOV_TRY(fov_options_set(setup->options, "backbone", fov_objective_backbone(setup->objective)->name, FOV_FROM_DATA));
    }
    FOV_TRY(fov_backbone_parse(s->backbone, (size_t)s->image_size, &setup->spec));
    setup->spec.channels = setup->preprocess.format.channels;
    const fov_backbone *backbone = setup->spec.backbone;
    FOV_TRY(fov_objective_check_backbone(setup->objective, backbone));
    const bool cnn = (backbone->gives & FOV_GIVES_TOKENS) == 0, automatic = strcmp(s->stem, "auto") == 0;
    if (!cnn && !automatic) {
        return FOV_FAIL(FOV_E_INVALID, "--stem is for ResNets; %s has patches (write '%s/8')", backbone->name, backbone->name);
    }
    if (cnn) {
        setup->spec.small_stem = automatic ? s->image_size <= 48 : strcmp(s->stem, "cifar") == 0;
        if (automatic) {
            FOV_TRY(fov_options_set(setup->options, "stem", setup->spec.small_stem ? "cifar" : "imagenet", FOV_FROM_DATA));
        }
        FOV_TRY(backbone->check(&setup->spec));
    } else if (is_open(setup, "backbone") || fov_options_source(setup->options, "backbone") == FOV_FROM_DATA) {
        fov_backbone_text(&setup->spec, text, sizeof text); /* with the patch that was chosen */
        FOV_TRY(fov_options_set(setup->options, "backbone", text, FOV_FROM_DATA));
    }
    if (setup->objective->adjust != NULL) {
        setup->objective->adjust(setup->objective_options, &setup->spec);
    }
    return FOV_OK;
}

static fov_status resolve_batch(fov_setup *setup, size_t images) {
    fov_pretrain_settings *s = setup->settings;
    setup->objective->defaults(setup->objective_options, &setup->facts, &setup->proposed);
    choose_whole(setup, "batch-size", &s->batch_size, fov_least_size(setup->proposed.batch_size, images));
    if ((size_t)s->batch_size > images) {
        return FOV_FAIL(FOV_E_INVALID, "--batch-size %lld is more than the %zu pictures there are; give at most %zu", (long long)s->batch_size, images,
                        images);
    }
    choose_whole(setup, "micro-batch", &s->micro_batch, (uint64_t)s->batch_size);
    if (s->batch_size % s->micro_batch != 0) {
        return FOV_FAIL(FOV_E_INVALID, "--micro-batch %lld does not divide --batch-size %lld", (long long)s->micro_batch, (long long)s->batch_size);
    }
    setup->facts.batch_size = (size_t)s->batch_size;
    setup->steps_per_epoch = images / (size_t)s->batch_size;
    return FOV_OK;
}

static void resolve_length(fov_setup *setup) {
    fov_pretrain_settings *s = setup->settings;
    if (!is_open(setup, "steps") && is_open(setup, "epochs")) {
        choose_whole(setup, "epochs", &s->epochs, ((uint64_t)s->steps + setup->steps_per_epoch - 1) / setup->steps_per_epoch);
    }
    setup->objective->defaults(setup->objective_options, &setup->facts, &setup->proposed);
    choose_whole(setup, "epochs", &s->epochs, setup->proposed.epochs);
    choose_whole(setup, "steps", &s->steps, (uint64_t)s->epochs * setup->steps_per_epoch);
    setup->facts.epochs = (size_t)s->epochs;
    setup->steps = setup->facts.steps = (uint64_t)s->steps;
}

static const char *const optimisation[] = {"lr", "weight-decay", "momentum", "warmup-epochs", "clip-norm"};

/* Everything that follows the batch and the length. */
static void resolve_optimisation(fov_setup *setup) {
    fov_pretrain_settings *s = setup->settings;
    setup->objective->defaults(setup->objective_options, &setup->facts, &setup->proposed);
    const fov_train_defaults *p = &setup->proposed;
    choose_real(setup, "lr", &s->lr, p->lr);
    choose_real(setup, "weight-decay", &s->weight_decay, p->weight_decay);
    choose_real(setup, "momentum", &s->momentum, p->momentum);
    choose_real(setup, "warmup-epochs", &s->warmup_epochs, p->warmup_epochs);
    choose_real(setup, "clip-norm", &s->clip_norm, p->clip_norm);
    const double warmup = s->warmup_epochs * (double)setup->steps_per_epoch;
    setup->warmup_steps = (uint64_t)fmin(warmup, (double)setup->steps);
}

static fov_status check_objective(fov_setup *setup) {
    const fov_objective_context context = {
        .options = setup->objective_options, .spec = &setup->spec, .batch_size = (size_t)setup->settings->micro_batch};
    return setup->objective->check == NULL ? FOV_OK : setup->objective->check(&context);
}

static void choose_objective_options(fov_setup *setup) {
    const fov_objective *objective = setup->objective;
    if (objective->choose != NULL) {
        objective->choose(setup->objective_options, &setup->facts);
    }
    for (const fov_option *option = objective->options; option->name != NULL; option++) {
        if (fov_options_source(setup->options, option->name) == FOV_FROM_NONE) {
            chosen(setup, option->name);
        }
    }
}

/* What batch and length follow: the size of views, the network, and the objective's options. */
static fov_status resolve_network(fov_setup *setup, const fov_index *index) {
    fov_pretrain_settings *s = setup->settings;
    size_t side = 0;
    FOV_TRY(median_side(index, &side));
    choose_whole(setup, "image-size", &s->image_size, size_for(side));
    choose_whole(setup, "threads", &s->threads, fov_cpu_count());
    choose_whole(setup, "loader-threads", &s->loader_threads, (uint64_t)s->threads);
    FOV_TRY(resolve_backbone(setup));
    setup->facts = (fov_train_facts){.images = fov_index_count(index), .median_side = side, .spec = &setup->spec};
    if (!is_open(setup, "batch-size")) {
        setup->facts.batch_size = (size_t)s->batch_size;
    }
    choose_objective_options(setup);
    return FOV_OK;
}

fov_status fov_setup_resolve_preview(fov_setup *setup, const fov_index *index) {
    FOV_TRY(resolve_network(setup, index));
    return fov_setup_resolve_views(setup, false);
}

fov_status fov_setup_resolve(fov_setup *setup, const fov_index *index, fov_pool *pool, const fov_train_observer *observer) {
    FOV_TRY(resolve_network(setup, index));
    FOV_TRY(resolve_batch(setup, fov_index_count(index)));
    resolve_length(setup);
    if (is_open(setup, "optimizer")) {
        FOV_TRY(fov_options_set(setup->options, "optimizer", setup->proposed.optimizer, FOV_FROM_DATA));
    }
    FOV_TRY(fov_optimizer_find(setup->settings->optimizer, &setup->optimizer));
    resolve_optimisation(setup);
    FOV_TRY(fov_setup_resolve_views(setup, true));
    FOV_TRY(check_objective(setup));
    FOV_TRY(fov_setup_resolve_statistics(setup, index, pool, observer)); /* last: it may take a while */
    return FOV_OK;
}

bool fov_setup_needs_timing(const fov_setup *setup) {
    return setup->settings->hours > 0.0 && fov_options_source(setup->options, "epochs") == FOV_FROM_DATA &&
           fov_options_source(setup->options, "steps") == FOV_FROM_DATA;
}

void fov_setup_fit_hours(fov_setup *setup, double seconds_per_step) {
    fov_pretrain_settings *s = setup->settings;
    const double steps = s->hours * 3600.0 / seconds_per_step, epochs = floor(steps / (double)setup->steps_per_epoch);
    s->epochs = (int64_t)fmax(1.0, epochs);
    s->steps = s->epochs * (int64_t)setup->steps_per_epoch;
    setup->steps = setup->facts.steps = (uint64_t)s->steps;
    setup->facts.epochs = (size_t)s->epochs;
    for (size_t i = 0; i < sizeof optimisation / sizeof optimisation[0]; i++) { /* what was chosen for the length assumed so far is open again */
        if (fov_options_source(setup->options, optimisation[i]) == FOV_FROM_DATA) {
            fov_options_mark(setup->options, optimisation[i], FOV_FROM_NONE);
        }
    }
    resolve_optimisation(setup);
}
