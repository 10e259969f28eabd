/* Recipes by name: recipes.def as a table, and the size of views put into a text. */
#include <string.h>

#include "augment/recipe.h"
#include "base/registry.h"

static const fov_named_recipe recipes[] = {
#define FOV_RECIPE(recipe_name, recipe_summary, recipe_text) {.name = recipe_name, .summary = recipe_summary, .text = recipe_text},
#include "augment/recipes.def"
#undef FOV_RECIPE
};

#define RECIPE_COUNT (sizeof recipes / sizeof recipes[0])

const fov_named_recipe *fov_named_recipe_at(size_t index) {
    return index < RECIPE_COUNT ? &recipes[index] : NULL;
}

static const fov_named_recipe *find(const char *name, const char **names) {
    const fov_named_recipe *found = NULL;
    for (size_t i = 0; i < RECIPE_COUNT; i++) {
        names[i] = recipes[i].name;
        found = strcmp(name, names[i]) == 0 ? &recipes[i] : found;
    }
    return found;
}

/* 96 of 224 px, as a whole number of patches of the usual sizes. */
static size_t local_size(size_t image_size) {
    const size_t unit = image_size < 96 ? 4 : 16;
    const size_t units = (image_size * 96 / 224 + unit / 2) / unit;
    return (units > 0 ? units : 1) * unit;
}

fov_status fov_named_recipe_text(const char *name, size_t image_size, fov_text *text) {
    const char *names[RECIPE_COUNT];
    const fov_named_recipe *recipe = find(name, names);
    if (recipe == NULL) {
        return fov_fail_unknown("recipe", name, names, RECIPE_COUNT, "fovea list recipes");
    }
    for (const char *at = recipe->text; *at != '\0'; at++) {
        if (*at == 'S' || *at == 'L') {
            fov_text_printf(text, "%zu", *at == 'S' ? image_size : local_size(image_size));
        } else {
            fov_text_add_bytes(text, at, 1);
        }
    }
    return text->status;
}
