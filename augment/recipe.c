/* Recipes as text.
 *
 *     recipe = view { "|" view }      view = step { space step }      step = name [ "(" [ value { "," value } ] ")" ]
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
    char low[32], high[32];
    fov_number_text(param->min, low, sizeof low);
    fov_number_text(param->max, high, sizeof high);
    if (!fov_number_parse(text, value) || !(*value >= param->min && *value <= param->max)) {
        return FOV_FAIL(FOV_E_INVALID, "%s: %s is '%s', must be a number from %s to %s", step, param->name, text, low, high);
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
    *view = (fov_view_recipe){.image_size = 0};
    do {
        const fov_status status = read_step(r, view);
        if (status != FOV_OK) {
            return fov_fail_prefix(status, "view %zu, step %zu", number, view->step_count + 1);
        }
        skip_space(r);
    } while (*r->at != '|' && *r->at != '\0');
    return FOV_OK;
}

fov_status fov_recipe_parse(const char *text, fov_recipe *recipe) {
    reader r = {.at = text};
    recipe->view_count = 0;
    for (;;) {
        if (recipe->view_count == FOV_MAX_VIEWS) {
            return FOV_FAIL(FOV_E_LIMIT, "the recipe has more than %d views", FOV_MAX_VIEWS);
        }
        skip_space(&r);
        FOV_TRY(read_view(&r, recipe->view_count + 1, &recipe->view[recipe->view_count]));
        recipe->view_count++;
        if (*r.at == '\0') {
            return FOV_OK;
        }
        r.at++;
    }
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
        const fov_augment_param *param = &augment->params[i];
        char number[32];
        fov_number_text(step->param[i], number, sizeof number);
        fov_text_printf(text, "%s%s", i > 0 ? "," : "", param->choices != NULL ? param->choices[(size_t)step->param[i]] : number);
    }
    fov_text_add(text, ")");
}

void fov_recipe_text(const fov_recipe *recipe, fov_text *text) {
    for (size_t v = 0; v < recipe->view_count; v++) {
        const fov_view_recipe *view = &recipe->view[v];
        fov_text_add(text, v > 0 ? " | " : "");
        for (size_t s = 0; s < view->step_count; s++) {
            fov_text_add(text, s > 0 ? " " : "");
            write_step(&view->step[s], view->image_size, text);
        }
    }
}
