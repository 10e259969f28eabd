/* Any bytes as a recipe, as a file of settings may hold them: what is accepted is written and read again unchanged, fits any kind of
 * pixels, and draws boxes inside the picture. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "augment/augment.h"
#include "augment/mix.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_text(const fov_recipe *recipe) {
    static fov_recipe again;
    fov_text first, second;
    fov_text_init(&first);
    fov_text_init(&second);
    fov_recipe_text(recipe, &first);
    FOV_ASSERT(first.status == FOV_OK && fov_recipe_parse(first.data, &again) == FOV_OK);
    fov_recipe_text(&again, &second);
    FOV_ASSERT(second.status == FOV_OK && strcmp(first.data, second.data) == 0);
    fov_text_clear(&first);
    fov_text_clear(&second);
}

static void check_draws(const fov_recipe *recipe, size_t width, size_t height) {
    fov_augmenter *augmenter = NULL;
    fov_decode_part part;
    FOV_ASSERT(fov_augmenter_new(&augmenter) == FOV_OK);
    fov_views_draw(augmenter, recipe, width, height, 1, 2, 3);
    fov_views_part(augmenter, recipe, true, &part);
    FOV_ASSERT(part.width > 0 && part.height > 0 && part.left + part.width <= width && part.top + part.height <= height);
    for (size_t v = 0; v < recipe->view_count; v++) {
        const size_t side = recipe->view[v].image_size;
        const fov_mix mix = fov_mix_draw(&recipe->view[v], 1, 2, 3, (unsigned)v);
        FOV_ASSERT(mix.lambda >= 0.0 && mix.lambda <= 1.0 && mix.left + mix.width <= side && mix.top + mix.height <= side);
    }
    fov_augmenter_free(augmenter);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static fov_recipe recipe;
    fov_text dropped;
    char *text = malloc(size + 1);
    if (text == NULL) {
        return 0;
    }
    memcpy(text, data, size);
    text[size] = '\0';
    if (fov_recipe_read(text, 64, &recipe) == FOV_OK) {
        check_text(&recipe);
        check_draws(&recipe, 37, 23);
        check_draws(&recipe, 1, 1);
        fov_text_init(&dropped);
        fov_recipe_fit(&recipe, (fov_pixel_format){.channels = 1 + size % 4, .deep = size % 2 == 0}, &dropped);
        check_text(&recipe);
        fov_text_clear(&dropped);
    }
    free(text);
    return 0;
}
