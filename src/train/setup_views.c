/* The recipe of the views, as it is used and stored: a recipe's name becomes its text for the image size, and steps that make no sense on
 * the pictures' format are taken out. */
#include <string.h>

#include "augment/mix.h"
#include "base/log.h"
#include "train/setup.h"

/* text: as `given`, unless that is a name or something had to be taken out. */
static fov_status fit(const char *given, size_t image_size, fov_pixel_format format, fov_recipe *recipe, fov_text *text,
                      fov_text *dropped) {
    FOV_TRY(fov_recipe_read(given, image_size, recipe));
    fov_recipe_fit(recipe, format, dropped);
    FOV_TRY(dropped->status);
    if (dropped->length > 0 || strchr(given, '(') == NULL) { /* a recipe's first step carries its size in brackets, no name has any */
        fov_recipe_text(recipe, text);
    } else {
        fov_text_add(text, given);
    }
    return text->status;
}

/* Fails for a recipe that mixes pictures when the method compares views by the picture they show. */
static fov_status check_mixing(const fov_setup *setup) {
    const char *step = fov_recipe_mixes(&setup->recipe);
    if (step == NULL || setup->objective->takes_mixed) {
        return FOV_OK;
    }
    fov_text methods;
    fov_text_init(&methods);
    for (size_t i = 0; fov_objective_at(i) != NULL; i++) {
        if (fov_objective_at(i)->takes_mixed) {
            fov_text_printf(&methods, "%s%s", methods.length > 0 ? ", " : "", fov_objective_at(i)->name);
        }
    }
    const fov_status status =
        FOV_FAIL(FOV_E_INVALID,
                 "--views: '%s' makes views that show two pictures at once, but method %s learns which views show the same picture; "
                 "leave it out, or take a method that bears it: %s",
                 step, setup->objective->name, methods.data == NULL ? "none" : methods.data);
    fov_text_clear(&methods);
    return status;
}

static fov_status check_views(const fov_setup *setup) {
    const size_t wanted = setup->own_views;
    const fov_recipe *recipe = &setup->recipe;
    if (recipe->view_count != wanted) {
        return FOV_FAIL(FOV_E_INVALID, "--views: method %s makes %zu %s of a picture, the recipe has %zu", setup->objective->name, wanted,
                        wanted == 1 ? "view" : "views", recipe->view_count);
    }
    for (size_t v = 0; v < wanted; v++) {
        if (recipe->view[v].image_size != setup->spec.image_size) {
            return FOV_FAIL(FOV_E_INVALID, "--views: view %zu has %zu px, but --image-size is %zu; make them equal", v + 1,
                            recipe->view[v].image_size, setup->spec.image_size);
        }
    }
    return FOV_OK;
}

/* How many views the method makes; its own recipe where none was given. */
static fov_status take_own_views(fov_setup *setup) {
    fov_text text;
    fov_text_init(&text);
    setup->objective->views(setup->objective_options, &setup->facts, &text);
    fov_status status = text.status;
    fov_recipe own;
    if (status == FOV_OK) {
        status = fov_recipe_parse(text.data, &own);
    }
    if (status == FOV_OK) {
        setup->own_views = own.view_count;
    }
    if (status == FOV_OK && fov_options_source(setup->options, "views") < FOV_FROM_DATA) {
        status = fov_options_set(setup->options, "views", text.data, FOV_FROM_DATA);
    }
    fov_text_clear(&text);
    return status;
}

fov_status fov_setup_resolve_views(fov_setup *setup, bool training) {
    const fov_pixel_format format = setup->preprocess.format;
    fov_text text, dropped;
    fov_text_init(&text);
    fov_text_init(&dropped);
    fov_status status = FOV_OK;
    FOV_TRY_GOTO(status, done, take_own_views(setup));
    FOV_TRY_GOTO(status, done, fit(setup->settings->views, setup->spec.image_size, format, &setup->recipe, &text, &dropped));
    if (training) {
        FOV_TRY_GOTO(status, done, check_mixing(setup));
        FOV_TRY_GOTO(status, done, check_views(setup));
    }
    if (dropped.length > 0) {
        fov_log(FOV_LOG_INFO, "pictures of %zu %s of %d bits: these steps of the views make no sense on them and are left out: %s",
                format.channels, format.channels == 1 ? "channel" : "channels", format.deep ? 16 : 8, dropped.data);
    }
    FOV_TRY_GOTO(status, done, fov_options_set(setup->options, "views", text.data, fov_options_source(setup->options, "views")));
done:
    fov_text_clear(&text);
    fov_text_clear(&dropped);
    return status;
}

bool fov_setup_same_views(const char *given, const fov_pretrain_settings *stored) {
    const fov_pixel_format format = {.channels = (size_t)stored->channels, .deep = strcmp(stored->depth, "16") == 0};
    fov_recipe recipe;
    fov_text text, dropped;
    fov_text_init(&text);
    fov_text_init(&dropped);
    const bool same = stored->views != NULL && fit(given, (size_t)stored->image_size, format, &recipe, &text, &dropped) == FOV_OK &&
                      strcmp(text.data, stored->views) == 0;
    fov_text_clear(&text);
    fov_text_clear(&dropped);
    return same;
}
