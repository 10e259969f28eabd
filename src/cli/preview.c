/* fovea preview: a contact sheet of pictures and their views, before a run is begun.
 *
 * It takes pretrain's settings, resolves them by pretrain's own code and shows what pretrain would train on: a command line can be tried here
 * with one word changed. */
#include <stdio.h>
#include <string.h>

#include "augment/mix.h"
#include "base/io.h"
#include "base/log.h"
#include "cli/command.h"
#include "cli/pretrain_words.h"
#include "cli/terminal.h"
#include "report/sheet.h"
#include "train/setup.h"

typedef struct preview_options {
    int64_t pictures, samples, epoch;
    bool overwrite;
} preview_options;

#define FIELD(name) offsetof(preview_options, name)

static const fov_option table[] = {
    {.name = "pictures", .type = FOV_OPT_INT, .offset = FIELD(pictures), .value_name = "N", .help = "rows of the sheet", .fallback = "8", .min = 1, .max = 1000},
    {.name = "samples", .type = FOV_OPT_INT, .offset = FIELD(samples), .value_name = "N", .help = "epochs whose views stand side by side", .fallback = "1", .min = 1, .max = 100},
    {.name = "epoch", .type = FOV_OPT_INT, .offset = FIELD(epoch), .value_name = "N", .help = "the first of them; its order chooses the pictures", .fallback = "1", .min = 1, .max = 1e6},
    {.name = "overwrite", .type = FOV_OPT_FLAG, .offset = FIELD(overwrite), .help = "replace the sheet if it exists", .fallback = "false"},
    {.name = NULL},
};

/* Settings of pretrain that views depend on; the others are taken and change nothing. */
static const char *const shown_names[] = {"method",   "views", "image-size", "seed",    "alpha", "backbone", "stem",
                                          "channels", "depth", "group",      "shrink", "max-bad", "verify", "follow-links", "threads", "config", NULL};

static bool is_shown(const char *name) {
    for (size_t i = 0; shown_names[i] != NULL; i++) {
        if (strcmp(name, shown_names[i]) == 0) {
            return true;
        }
    }
    return false;
}

/* For help: --out, and of pretrain's settings those that matter here. */
static fov_status shown_tables(fov_option_set *set, int argc, char **argv) {
    static preview_options own;
    static fov_pretrain_settings settings;
    static fov_option some[64]; /* the set keeps it */
    size_t count = 0;
    some[count++] = (fov_option){.name = "out", .type = FOV_OPT_STRING, .offset = offsetof(fov_pretrain_settings, out), .value_name = "FILE", .help = "the sheet to write: .png or .jpg"};
    for (const fov_option *option = fov_pretrain_options; option->name != NULL; option++) {
        if (is_shown(option->name)) {
            FOV_ASSERT(count + 1 < sizeof some / sizeof some[0]);
            some[count++] = *option;
        }
    }
    some[count] = (fov_option){.name = NULL};
    FOV_TRY(fov_options_add(set, "Preview", table, &own));
    FOV_TRY(fov_options_add(set, "As for pretrain", some, &settings));
    return fov_pretrain_method_table(set, argc, argv);
}

static fov_status all_tables(fov_option_set *set, int argc, char **argv) {
    static preview_options own;
    FOV_TRY(fov_options_add(set, "Preview", table, &own));
    return fov_pretrain_tables(set, argc, argv);
}

static int run(int argc, char **argv);

extern const fov_command fov_command_preview;
const fov_command fov_command_preview = {
    .name = "preview",
    .usage = "DATA... --out FILE.png [options]",
    .summary = "draw a sheet of pictures and the views that training sees of them",
    .details = "Each row is a picture, with its crops framed, and its views in frames of the\n"
               "same colours, pixel for pixel as 'fovea pretrain' with these settings gets them\n"
               "in that epoch. All options of pretrain are taken, so that a command can be tried\n"
               "here before it is run; those that bear on views are listed. --views takes any\n"
               "recipe.\n\n",
    .run = run,
    .options = shown_tables,
};

static void print_recipe(const fov_recipe *recipe) {
    fov_text text;
    fov_text_init(&text);
    fov_recipe_text(recipe, &text);
    (void)printf("views:   %s\n", text.data == NULL ? "" : text.data);
    fov_text_clear(&text);
}

/* What was given on the command line and is no matter of previews. */
static void print_given(const fov_setup *setup) {
    char value[1024];
    const char *heading = NULL;
    const fov_option *option = NULL;
    for (size_t i = 0; (option = fov_options_at(setup->options, i, &heading, value, sizeof value)) != NULL; i++) {
        const bool other = strcmp(heading, "Preview") == 0 || strcmp(option->name, "out") == 0 || strcmp(option->name, "image-size") == 0 ||
                           strcmp(option->name, "method") == 0;
        if (other || fov_options_source(setup->options, option->name) != FOV_FROM_USER) {
            continue;
        }
        const bool off = option->type == FOV_OPT_FLAG && strcmp(value, "true") != 0;
        (void)printf(" --%s%s", off ? "no-" : "", option->name);
        if (option->type != FOV_OPT_FLAG) {
            fov_terminal_word(value, false);
        }
    }
}

static bool of_one_size(const fov_recipe *recipe) {
    for (size_t v = 1; v < recipe->view_count; v++) {
        if (recipe->view[v].image_size != recipe->view[0].image_size) {
            return false;
        }
    }
    return true;
}

static void next_command(const fov_setup *setup, const char *const *words, size_t word_count) {
    const size_t views = setup->own_views;
    if (views != setup->recipe.view_count || !of_one_size(&setup->recipe)) {
        (void)printf("next:    method %s trains on %zu view%s of one size; 'fovea list' names methods and recipes\n", setup->objective->name, views,
                     views == 1 ? "" : "s");
        return;
    }
    (void)printf("next:    fovea pretrain");
    for (size_t i = 0; i < word_count; i++) {
        fov_terminal_word(words[i], true);
    }
    (void)printf(" --method %s --image-size %zu", setup->objective->name, setup->recipe.view[0].image_size);
    print_given(setup);
    (void)printf(" --out RUN\n");
}

static void tell(const fov_setup *setup, const fov_sheet *sheet) {
    (void)printf("sheet:   %s  %zu pictures, %zu views of each, %zu x %zu px", setup->settings->out, sheet->rows, sheet->draws * sheet->views, sheet->width,
                 sheet->height);
    if (sheet->zoom > 1) {
        (void)printf(", a pixel as %zu x %zu", sheet->zoom, sheet->zoom);
    }
    (void)putchar('\n');
    print_recipe(&setup->recipe);
    const char *mixes = fov_recipe_mixes(&setup->recipe);
    if (mixes != NULL) {
        fov_log(FOV_LOG_WARNING, "'%s' mixes pictures of a batch: the sheet shows views as they are before that", mixes);
    }
}

static fov_status draw(fov_setup *setup, const preview_options *own, const fov_index *index) {
    const fov_sheet_options options = {.recipe = &setup->recipe,
                                       .decode = fov_preprocess_decode(&setup->preprocess),
                                       .shrink = strcmp(setup->settings->shrink, "auto") == 0,
                                       .seed = (uint64_t)setup->settings->seed,
                                       .epoch = (uint64_t)own->epoch - 1,
                                       .pictures = (size_t)own->pictures,
                                       .draws = (size_t)own->samples};
    fov_sheet sheet;
    fov_status status = fov_sheet_make(&sheet, index, &options);
    if (status == FOV_OK) {
        status = fov_sheet_write(&sheet, setup->settings->out);
    }
    if (status == FOV_OK) {
        tell(setup, &sheet);
    }
    fov_sheet_clear(&sheet);
    return status;
}

static fov_status check_arguments(const fov_pretrain_settings *s, const preview_options *own, size_t word_count) {
    if (word_count == 0 || s->out == NULL) {
        return FOV_FAIL(FOV_E_INVALID, "preview needs %s", word_count == 0 ? "pictures: name a folder or picture files" : "--out FILE.png");
    }
    if (s->resume) {
        return FOV_FAIL(FOV_E_INVALID, "preview draws a sheet and has no run to go on with; leave --resume out, or give --config RUN/config.ini");
    }
    return fov_io_check_output(s->out, fov_sheet_suffixes, own->overwrite);
}

static fov_status preview(fov_option_set *set, fov_pretrain_settings *s, const preview_options *own, const char *const *words, size_t word_count) {
    static char verb[] = "checking pictures";
    const fov_train_observer observer = {.scanning = fov_terminal_count, .context = verb};
    fov_setup setup = {0};
    fov_pool *pool = NULL;
    fov_index *index = NULL;
    fov_status status = FOV_OK;
    FOV_TRY(check_arguments(s, own, word_count));
    FOV_TRY_GOTO(status, done, fov_setup_begin(&setup, set, s));
    FOV_TRY_GOTO(status, done, fov_pool_new(&pool, (unsigned)s->threads));
    FOV_TRY_GOTO(status, done, fov_setup_scan(&setup, words, word_count, &observer, pool, &index));
    FOV_TRY_GOTO(status, done, fov_setup_resolve_preview(&setup, index));
    if (fov_index_bad_count(index) > 0) {
        fov_log(FOV_LOG_WARNING, "%zu bad pictures left out, as pretrain would", fov_index_bad_count(index));
    }
    FOV_TRY_GOTO(status, done, draw(&setup, own, index));
    next_command(&setup, words, word_count);
done:
    fov_index_free(index);
    fov_pool_free(pool);
    fov_setup_clear(&setup);
    return status;
}

static int run(int argc, char **argv) {
    fov_option_set *set = NULL;
    fov_pretrain_settings settings = {0};
    preview_options own = {0};
    fov_common_options common = {0};
    const char **words = fov_mem_array(FOV_MEM_BASE, (size_t)argc + 1, sizeof *words);
    size_t count = 0;
    fov_status status = words == NULL ? FOV_E_NOMEM : fov_options_new(&set);
    if (status == FOV_OK) {
        status = fov_options_add(set, "Preview", table, &own);
    }
    if (status == FOV_OK) {
        status = fov_options_add(set, "Pre-training", fov_pretrain_options, &settings);
    }
    int code = fov_exit_status(status);
    if (status == FOV_OK) {
        code = fov_pretrain_check_words(&fov_command_preview, all_tables, argc, argv, words);
    }
    if (code == -1) {
        code = fov_command_parse(&fov_command_preview, set, &common, argc, argv, words, &count, true);
    }
    if (code == -1) {
        code = fov_exit_status(preview(set, &settings, &own, words, count));
    }
    fov_options_free(set);
    fov_mem_free(words);
    return code;
}
