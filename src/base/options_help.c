/* The help text of option tables: one line or more for each option, names left, words right, wrapped at the terminal's width. */
#include <stdio.h>
#include <string.h>

#include "base/options_set.h"

#define NAME_COLUMN 28U /* where descriptions start; longer names get a line of their own */
#define MIN_WIDTH 50U

/* "-b, --batch-size N" */
static void option_name(const fov_option *option, fov_text *text) {
    fov_text_add(text, "  ");
    if (option->letter != 0) {
        fov_text_printf(text, "-%c, ", option->letter);
    } else {
        fov_text_add(text, "    ");
    }
    const bool starts_on = option->type == FOV_OPT_FLAG && option->fallback != NULL && strcmp(option->fallback, "true") == 0;
    fov_text_printf(text, "--%s%s", starts_on ? "[no-]" : "", option->name);
    if (option->value_name != NULL) {
        fov_text_printf(text, " %s", option->value_name);
    }
}

/* " (a, b or c; default b)" */
static void option_notes(const fov_option *option, fov_text *text) {
    const bool number = option->type == FOV_OPT_INT || option->type == FOV_OPT_REAL;
    const bool choice = option->type == FOV_OPT_CHOICE;
    const char *fallback = option->fallback;
    const bool shows_default = fallback != NULL ? fallback[0] != '\0' && option->type != FOV_OPT_FLAG : number || choice;
    if (!choice && !shows_default) {
        return;
    }
    fov_text_add(text, " (");
    for (size_t i = 0; choice && option->choices[i] != NULL; i++) {
        fov_text_printf(text, "%s%s", i == 0 ? "" : ", ", option->choices[i]);
    }
    if (shows_default) {
        fov_text_printf(text, "%sdefault%s %s", choice ? "; " : "", fallback == NULL ? ":" : "",
                        fallback == NULL ? "chosen from the data" : fallback);
    }
    fov_text_add(text, ")");
}

static void indent(fov_text *text, size_t from, size_t to) {
    for (size_t i = from; i < to; i++) {
        fov_text_add(text, " ");
    }
}

/* Words from column NAME_COLUMN on; the cursor stands at `column`. */
static void wrap(fov_text *text, const char *words, size_t column, size_t width) {
    bool first = true;
    for (const char *at = words; *at != '\0';) {
        const size_t length = strcspn(at, " ");
        if (!first && column + 1 + length > width) {
            fov_text_add(text, "\n");
            column = 0;
            first = true;
        }
        if (first) {
            indent(text, column, NAME_COLUMN);
            column = NAME_COLUMN;
        } else {
            fov_text_add(text, " ");
            column++;
        }
        fov_text_add_bytes(text, at, length);
        column += length;
        first = false;
        at += length;
        at += strspn(at, " ");
    }
    fov_text_add(text, "\n");
}

static void add_option(fov_text *text, const fov_option *option, size_t width) {
    fov_text words;
    fov_text_init(&words);
    fov_text_add(&words, option->help == NULL ? "" : option->help);
    option_notes(option, &words);
    const size_t start = text->length;
    option_name(option, text);
    size_t column = text->length - start;
    if (column + 2 > NAME_COLUMN) {
        fov_text_add(text, "\n");
        column = 0;
    }
    wrap(text, words.data == NULL ? "" : words.data, column, width);
    if (words.status != FOV_OK) {
        text->status = words.status;
    }
    fov_text_clear(&words);
}

void fov_options_help(const fov_option_set *set, fov_text *text, unsigned width) {
    const size_t columns = width < MIN_WIDTH ? MIN_WIDTH : width;
    for (size_t i = 0; i < set->count; i++) {
        const bool new_heading = i == 0 || strcmp(set->entry[i].heading, set->entry[i - 1].heading) != 0;
        if (new_heading) {
            fov_text_printf(text, "%s%s:\n", i == 0 ? "" : "\n", set->entry[i].heading);
        }
        add_option(text, set->entry[i].option, columns);
    }
}
