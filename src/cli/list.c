/* fovea list: what can be chosen by name. All of it in a line each, or one kind of things in full. */
#include <stdio.h>
#include <string.h>

#include "augment/augment.h"
#include "base/number.h"
#include "cli/command.h"
#include "cli/terminal.h"
#include "objectives/objective.h"
#include "train/optimizer.h"

typedef struct list_options {
    int64_t image_size;
} list_options;

static const fov_option table[] = {
    {.name = "image-size", .type = FOV_OPT_INT, .offset = offsetof(list_options, image_size), .value_name = "N", .help = "side of the views in 'list recipes'", .fallback = "224", .min = 1, .max = 8192},
    {.name = NULL},
};

static fov_status list(const void *fields, const fov_common_options *common, const char *const *words, size_t word_count);

const fov_command fov_command_list = {
    .name = "list",
    .usage = "[methods|backbones|steps|recipes|optimizers] [options]",
    .summary = "methods, backbones, view steps, recipes and optimizers by name",
    .details = "Prints every name that --method, --backbone, --views and --optimizer take.\n"
               "With a word, that kind of things in full: steps with their parameters, each\n"
               "with bounds and default; recipes with their text, to be changed and given to\n"
               "--views.\n\n",
    .heading = "List",
    .table = table,
    .fields_size = sizeof(list_options),
    .most_words = 1,
    .body = list,
};

static void print_line(const char *name, const char *summary) { (void)printf("  %-16s %s\n", name, summary); }

static fov_status print_methods(size_t image_size, bool full) {
    (void)image_size;
    for (size_t i = 0; fov_objective_at(i) != NULL; i++) {
        print_line(fov_objective_at(i)->name, fov_objective_at(i)->summary);
        if (full) {
            (void)printf("  %-16s %s\n", "", fov_objective_at(i)->source);
        }
    }
    return FOV_OK;
}

static fov_status print_backbones(size_t image_size, bool full) {
    (void)image_size, (void)full;
    for (size_t i = 0; fov_backbone_at(i) != NULL; i++) {
        print_line(fov_backbone_at(i)->name, fov_backbone_at(i)->summary);
    }
    return FOV_OK;
}

static void number_or_word(const fov_augment_param *param, double value, char *text, size_t size) {
    if (param->word != NULL && value == FOV_PARAM_WORD) {
        (void)snprintf(text, size, "%s", param->word);
    } else if (param->choices != NULL) {
        (void)snprintf(text, size, "%s", param->choices[(size_t)value]);
    } else {
        fov_number_text(value, text, size);
    }
}

/* "scale low", bounds or words, default. */
static void print_param(const fov_augment_param *param) {
    char low[32], high[32], fallback[32];
    number_or_word(param, param->fallback, fallback, sizeof fallback);
    (void)printf("      %-16s ", param->name);
    if (param->choices != NULL) {
        for (size_t i = 0; param->choices[i] != NULL; i++) {
            (void)printf("%s%s", i > 0 ? "|" : "", param->choices[i]);
        }
    } else {
        fov_number_text(param->min, low, sizeof low);
        fov_number_text(param->max, high, sizeof high);
        (void)printf("%s..%s%s%s%s", low, high, param->whole ? ", whole" : "", param->word != NULL ? ", or " : "", param->word != NULL ? param->word : "");
    }
    (void)printf(" (%s)\n", fallback);
}

static fov_status print_steps(size_t image_size, bool full) {
    (void)image_size;
    static const char *const pixels[] = {[FOV_PIXELS_RGB] = "RGB of 8 bits", [FOV_PIXELS_BYTES] = "any channels of 8 bits", [FOV_PIXELS_ANY] = "any channels of 8 or 16 bits"};
    for (size_t i = 0; fov_augment_at(i) != NULL; i++) {
        const fov_augment *augment = fov_augment_at(i);
        print_line(augment->name, augment->summary);
        if (!full) {
            continue;
        }
        if (augment->first) {
            (void)printf("      %-16s 1..8192, whole\n", "size");
        }
        for (size_t k = 0; k < augment->param_count; k++) {
            print_param(&augment->params[k]);
        }
        (void)printf("      %-16s %s\n", "pixels:", pixels[augment->pixels]);
    }
    return FOV_OK;
}

static fov_status print_recipes(size_t image_size, bool full) {
    for (size_t i = 0; fov_named_recipe_at(i) != NULL; i++) {
        const fov_named_recipe *recipe = fov_named_recipe_at(i);
        print_line(recipe->name, recipe->summary);
        if (!full) {
            continue;
        }
        fov_text text;
        fov_text_init(&text);
        const fov_status status = fov_named_recipe_text(recipe->name, image_size, &text);
        if (status == FOV_OK) {
            (void)printf("      %s\n", text.data);
        }
        fov_text_clear(&text);
        FOV_TRY(status);
    }
    return FOV_OK;
}

static fov_status print_optimizers(size_t image_size, bool full) {
    (void)image_size, (void)full;
    for (size_t i = 0; fov_optimizer_at(i) != NULL; i++) {
        print_line(fov_optimizer_at(i)->name, fov_optimizer_at(i)->summary);
    }
    return FOV_OK;
}

static const struct {
    const char *word, *heading;
    fov_status (*print)(size_t image_size, bool full);
} kinds[] = {
    {"methods", "Methods (--method)", print_methods},
    {"backbones", "Backbones (--backbone; a ViT takes its patch after a slash, vit_tiny/8)", print_backbones},
    {"steps", "View steps (--views)", print_steps},
    {"recipes", "Recipes of views (--views)", print_recipes},
    {"optimizers", "Optimizers (--optimizer)", print_optimizers},
};

#define KIND_COUNT (sizeof kinds / sizeof kinds[0])

static fov_status list(const void *fields, const fov_common_options *common, const char *const *words, size_t word_count) {
    (void)common;
    const size_t image_size = (size_t)((const list_options *)fields)->image_size;
    const char *names[KIND_COUNT];
    bool printed = false;
    for (size_t k = 0; k < KIND_COUNT; k++) {
        names[k] = kinds[k].word;
        if (word_count > 0 && strcmp(words[0], names[k]) != 0) {
            continue;
        }
        if (word_count == 0) {
            (void)printf("%s%s%s\n", fov_terminal_bold(), kinds[k].heading, fov_terminal_plain());
        }
        FOV_TRY(kinds[k].print(image_size, word_count > 0));
        printed = true;
    }
    return printed ? FOV_OK : fov_fail_unknown("list of", words[0], names, KIND_COUNT, "fovea help list");
}
