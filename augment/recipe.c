/* Recipes as text.
 *
 *     recipe = views { "|" views }      views = [ count "*" ] step { space step }      step = name [ "(" [ value { "," value } ] ")" ]
 *
 * A recipe's name is one word that no view can open with; it is turned into text first (named_recipe.c).
 *
 * The first step of a view opens it and carries the view's size as first value. Values left out at the end take the step's fallback;
 * on writing, trailing values are left out again where they are the fallback and not among those always shown. */
#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "augment/augment.h"
#include "base/number.h"

#define MAX_IMAGE_SIZE 8192
#define NAME_BYTES 32
#define VALUE_BYTES 64

typedef struct reader {
    const char *at;
    char name[NAME_BYTES];                                  /* of the step being read */
    char value[FOV_MAX_STEP_PARAMS + 1][VALUE_BYTES];       /* of the step, as written */
    size_t value_count;
} reader;

static void skip_space(reader *r) {
    while (isspace((unsigned char)*r->at)) {
        r->at++;
    }
}

static fov_status unexpected(const reader *r, const char *wanted) {
    if (*r->at == '\0') {
        return FOV_FAIL(FOV_E_INVALID, "the recipe ends where %s should stand", wanted);
    }
    return FOV_FAIL(FOV_E_INVALID, "'%.12s' stands where %s should", r->at, wanted);
}

static fov_status read_name(reader *r) {
    size_t length = 0;
    while (isalnum((unsigned char)r->at[length]) || r->at[length] == '_') {
        length++;
    }
    if (length == 0) {
        return unexpected(r, "the name of a step");
    }
    if (length >= NAME_BYTES) {
        return FOV_FAIL(FOV_E_INVALID, "there is no step '%.*s...'; names are shorter", NAME_BYTES - 1, r->at);
    }
    memcpy(r->name, r->at, length);
    r->name[length] = '\0';
    r->at += length;
    return FOV_OK;
}

static fov_status read_value(reader *r) {
    skip_space(r);
    size_t length = strcspn(r->at, ",()|");
    const char *end = r->at + length;
    while (length > 0 && isspace((unsigned char)r->at[length - 1])) {
        length--;
    }
    if (length == 0) {
        return FOV_FAIL(FOV_E_INVALID, "%s: value %zu is empty", r->name, r->value_count + 1);
    }
    if (length >= VALUE_BYTES) {
        return FOV_FAIL(FOV_E_INVALID, "%s: value %zu, '%.16s...', is too long", r->name, r->value_count + 1, r->at);
    }
    if (r->value_count <= FOV_MAX_STEP_PARAMS) { /* more are counted for the message only */
        memcpy(r->value[r->value_count], r->at, length);
        r->value[r->value_count][length] = '\0';
    }
    r->value_count++;
    r->at = end;
    return FOV_OK;
}

static fov_status read_values(reader *r) {
    r->value_count = 0;
    skip_space(r);
    if (*r->at != '(') {
        return FOV_OK;
    }
    r->at++;
    skip_space(r);
    if (*r->at == ')') {
        r->at++;
        return FOV_OK;
    }
    FOV_TRY(read_value(r));
    while (*r->at == ',') {
        r->at++;
        FOV_TRY(read_value(r));
    }
    if (*r->at != ')') {
        return FOV_FAIL(FOV_E_INVALID, "%s: ')' is missing after '%s'", r->name,
                        r->value[r->value_count <= FOV_MAX_STEP_PARAMS ? r->value_count - 1 : FOV_MAX_STEP_PARAMS]);
    }
    r->at++;
    return FOV_OK;
}

/* "flip, vflip, jitter" */
static void list_names(bool first, char *text, size_t size) {
    text[0] = '\0';
    for (size_t i = 0; fov_augment_at(i) != NULL; i++) {
        const fov_augment *augment = fov_augment_at(i);
        const size_t used = strlen(text);
        if (augment->first == first) {
            (void)snprintf(text + used, size - used, "%s%s", used > 0 ? ", " : "", augment->name);
        }
    }
}

static fov_status find_step(const char *name, bool first, const fov_augment **augment) {
    *augment = fov_augment_named(name);
    if (*augment != NULL && (*augment)->first == first) {
        return FOV_OK;
    }
    char names[256];
    list_names(first, names, sizeof names);
    if (*augment != NULL && first) {
        return FOV_FAIL(FOV_E_INVALID, "'%s' cannot open a view; the first step is one of %s with the view's size, as crop(64)", name,
                        names);
    }
    if (*augment != NULL) {
        return FOV_FAIL(FOV_E_INVALID, "'%s' opens a view and stands first in it only; later steps are %s", name, names);
    }
    const char *nearest = fov_augment_nearest(name, first);
    if (nearest != NULL) {
        return FOV_FAIL(FOV_E_INVALID, "there is no step '%s'; did you mean '%s'?", name, nearest);
    }
    return FOV_FAIL(FOV_E_INVALID, "there is no step '%s'; %s steps are %s", name, first ? "first" : "later", names);
}

static fov_status parse_size(const reader *r, size_t *image_size) {
    int64_t size;
    if (r->value_count == 0) {
        return FOV_FAIL(FOV_E_INVALID, "%s: the size of the view is missing; write %s(64)", r->name, r->name);
    }
    if (!fov_integer_parse(r->value[0], &size) || size < 1 || size > MAX_IMAGE_SIZE) {
        return FOV_FAIL(FOV_E_INVALID, "%s: size is '%s', must be a whole number from 1 to %d", r->name, r->value[0], MAX_IMAGE_SIZE);
    }
    *image_size = (size_t)size;
    return FOV_OK;
}

static fov_status parse_choice(const char *step, const fov_augment_param *param, const char *text, double *value) {
    size_t count = 0;
    for (; param->choices[count] != NULL; count++) {
        if (strcmp(param->choices[count], text) == 0) {
            *value = (double)count;
            return FOV_OK;
        }
    }
    const char *nearest = fov_nearest_name(text, param->choices, count);
    return FOV_FAIL(FOV_E_INVALID, "%s: %s is '%s'; did you mean '%s'?", step, param->name, text,
                    nearest != NULL ? nearest : param->choices[0]);
}

static fov_status parse_value(const char *step, const fov_augment_param *param, const char *text, double *value) {
    if (param->choices != NULL) {
        return parse_choice(step, param, text, value);
    }
    if (param->word != NULL && strcmp(text, param->word) == 0) {
        *value = FOV_PARAM_WORD;
        return FOV_OK;
    }
    char low[32], high[32];
    fov_number_text(param->min, low, sizeof low);
    fov_number_text(param->max, high, sizeof high);
    if (!fov_number_parse(text, value) || !(*value >= param->min && *value <= param->max) || (param->whole && *value != floor(*value))) {
        return FOV_FAIL(FOV_E_INVALID, "%s: %s is '%s', must be a %snumber from %s to %s%s%s", step, param->name, text,
                        param->whole ? "whole " : "", low, high, param->word != NULL ? " or the word " : "",
                        param->word != NULL ? param->word : "");
    }
    return FOV_OK;
}

static fov_status too_many(const reader *r, const fov_augment *augment) {
    char names[256] = "";
    for (size_t i = 0; i < augment->param_count; i++) {
        const size_t used = strlen(names);
        (void)snprintf(names + used, sizeof names - used, ", %s", augment->params[i].name);
    }
    return FOV_FAIL(FOV_E_INVALID, "%s: got %zu values, takes at most %zu: %s%s", r->name, r->value_count,
                    augment->param_count + augment->first, augment->first ? "size, " : "", names + 2);
}

static fov_status read_step(reader *r, fov_view_recipe *view) {
    FOV_TRY(read_name(r));
    const bool first = view->step_count == 0;
    const fov_augment *augment;
    FOV_TRY(find_step(r->name, first, &augment));
    FOV_TRY(read_values(r));
    if (r->value_count > augment->param_count + first) {
        return too_many(r, augment);
    }
    if (view->step_count == FOV_MAX_STEPS) {
        return FOV_FAIL(FOV_E_LIMIT, "'%s' is one step too many; a view has at most %d", r->name, FOV_MAX_STEPS);
    }
    if (!first && view->step[view->step_count - 1].augment->mixes && !augment->mixes) {
        return FOV_FAIL(FOV_E_INVALID, "'%s' stands after '%s', which mixes finished views of a batch and stands last", r->name,
                        view->step[view->step_count - 1].augment->name);
    }
    if (first) {
        FOV_TRY(parse_size(r, &view->image_size));
    }
    fov_augment_step *step = &view->step[view->step_count];
    *step = (fov_augment_step){.augment = augment};
    for (size_t i = 0; i < augment->param_count; i++) {
        const fov_augment_param *param = &augment->params[i];
        step->param[i] = param->fallback;
        if (i + first < r->value_count) {
            FOV_TRY(parse_value(r->name, param, r->value[i + first], &step->param[i]));
        }
    }
    const char *reason = augment->check != NULL ? augment->check(step->param) : NULL;
    if (reason != NULL) {
        char text[VALUE_BYTES * 2] = "";
        for (size_t i = 0; i < r->value_count; i++) {
            const size_t used = strlen(text);
            (void)snprintf(text + used, sizeof text - used, "%s%s", i > 0 ? "," : "", r->value[i]);
        }
        return FOV_FAIL(FOV_E_INVALID, "%s(%s): %s", r->name, text, reason);
    }
    view->step_count++;
    return FOV_OK;
}

static fov_status read_view(reader *r, size_t number, fov_view_recipe *view) {
    *view = (fov_view_recipe){.repeats = 1};
    do {
        const fov_status status = read_step(r, view);
        if (status != FOV_OK) {
            return fov_fail_prefix(status, "view %zu, step %zu", number, view->step_count + 1);
        }
        skip_space(r);
    } while (*r->at != '|' && *r->at != '\0');
    return FOV_OK;
}

/* "8 *" before a view, if it is there. */
static fov_status read_count(reader *r, size_t number, size_t *count) {
    char text[VALUE_BYTES];
    const size_t digits = strspn(r->at, "0123456789");
    int64_t value = 1;
    *count = 1;
    if (digits == 0) {
        return FOV_OK;
    }
    (void)snprintf(text, sizeof text, "%.*s", (int)(digits < sizeof text ? digits : sizeof text), r->at);
    if (!fov_integer_parse(text, &value) || value < 1 || value > FOV_MAX_VIEWS) {
        return FOV_FAIL(FOV_E_INVALID, "view %zu: there can be from 1 to %d equal views, not %.16s", number, FOV_MAX_VIEWS, text);
    }
    r->at += digits;
    skip_space(r);
    if (*r->at != '*') {
        return fov_fail_prefix(unexpected(r, "'*', as in '8 * crop(96)',"), "view %zu", number);
    }
    r->at++;
    skip_space(r);
    *count = (size_t)value;
    return FOV_OK;
}

fov_status fov_recipe_parse(const char *text, fov_recipe *recipe) {
    reader r = {.at = text};
    recipe->view_count = 0;
    for (;;) {
        size_t count;
        fov_view_recipe view;
        skip_space(&r);
        FOV_TRY(read_count(&r, recipe->view_count + 1, &count));
        if (count > FOV_MAX_VIEWS - recipe->view_count) {
            return FOV_FAIL(FOV_E_LIMIT, "the recipe has more than %d views", FOV_MAX_VIEWS);
        }
        FOV_TRY(read_view(&r, recipe->view_count + 1, &view));
        view.repeats = count;
        for (size_t i = 0; i < count; i++) {
            recipe->view[recipe->view_count++] = view;
        }
        if (*r.at == '\0') {
            return FOV_OK;
        }
        r.at++;
    }
}

/* One word that is no step to open a view with. */
static bool is_name(const char *text) {
    const size_t length = strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-");
    const fov_augment *step = fov_augment_named(text);
    return length > 0 && text[length] == '\0' && (step == NULL || !step->first);
}

fov_status fov_recipe_read(const char *text_or_name, size_t image_size, fov_recipe *recipe) {
    if (!is_name(text_or_name)) {
        return fov_recipe_parse(text_or_name, recipe);
    }
    fov_text text;
    fov_text_init(&text);
    fov_status status = fov_named_recipe_text(text_or_name, image_size, &text);
    if (status == FOV_OK) {
        status = fov_recipe_parse(text.data, recipe);
    }
    fov_text_clear(&text);
    return status;
}

static void write_value(const fov_augment_param *param, double value, fov_text *text) {
    char number[32];
    fov_number_text(value, number, sizeof number);
    const bool word = param->word != NULL && value == FOV_PARAM_WORD;
    fov_text_add(text, word ? param->word : param->choices != NULL ? param->choices[(size_t)value] : number);
}

static void write_step(const fov_augment_step *step, size_t image_size, fov_text *text) {
    const fov_augment *augment = step->augment;
    size_t shown = augment->param_count;
    while (shown > augment->shown_count && step->param[shown - 1] == augment->params[shown - 1].fallback) {
        shown--;
    }
    fov_text_printf(text, "%s(", augment->name);
    if (augment->first) {
        fov_text_printf(text, "%zu%s", image_size, shown > 0 ? "," : "");
    }
    for (size_t i = 0; i < shown; i++) {
        fov_text_add(text, i > 0 ? "," : "");
        write_value(&augment->params[i], step->param[i], text);
    }
    fov_text_add(text, ")");
}

void fov_recipe_text(const fov_recipe *recipe, fov_text *text) {
    for (size_t v = 0; v < recipe->view_count; v += recipe->view[v].repeats > 1 ? recipe->view[v].repeats : 1) {
        const fov_view_recipe *view = &recipe->view[v];
        fov_text_add(text, v > 0 ? " | " : "");
        if (view->repeats > 1) {
            fov_text_printf(text, "%zu * ", view->repeats);
        }
        for (size_t s = 0; s < view->step_count; s++) {
            fov_text_add(text, s > 0 ? " " : "");
            write_step(&view->step[s], view->image_size, text);
        }
    }
}

static bool suits(const fov_augment *augment, fov_pixel_format format) {
    const bool colour = format.channels == 0 || format.channels == 3;
    return augment->pixels == FOV_PIXELS_ANY || (!format.deep && (augment->pixels == FOV_PIXELS_BYTES || colour));
}

void fov_recipe_fit(fov_recipe *recipe, fov_pixel_format format, fov_text *dropped) {
    const fov_augment *named[FOV_MAX_VIEWS * FOV_MAX_STEPS];
    size_t count = 0;
    for (size_t v = 0; v < recipe->view_count; v++) {
        fov_view_recipe *view = &recipe->view[v];
        size_t kept = 0;
        for (size_t s = 0; s < view->step_count; s++) {
            const fov_augment *augment = view->step[s].augment;
            if (suits(augment, format)) {
                view->step[kept++] = view->step[s];
                continue;
            }
            size_t known = 0;
            while (known < count && named[known] != augment) {
                known++;
            }
            if (known == count) {
                named[count++] = augment;
                fov_text_printf(dropped, "%s%s", known > 0 ? ", " : "", augment->name);
            }
        }
        view->step_count = kept;
    }
}
