/* From one decoded sample to all its views.
 *
 * Every step of every view draws from its own stream, named (seed, epoch, sample, view, step), before the first pixel is touched:
 * a view's choices depend on nothing that other views or threads do. Steps that pass the picture on cost nothing; a flip right after
 * the step that opens the view is done by that step's resize. */
#include "augment/augment.h"

static void draw_view(const fov_view_recipe *view, const fov_image *image, uint64_t seed, uint64_t epoch, uint64_t sample, unsigned index,
                      fov_augment_plan *plans) {
    size_t width = image->width, height = image->height;
    for (size_t s = 0; s < view->step_count; s++) {
        const fov_augment_step *step = &view->step[s];
        fov_rng rng;
        fov_rng_init(&rng, seed, epoch, sample, index, (unsigned)FOV_RNG_AUGMENT + (unsigned)s);
        plans[s] = (fov_augment_plan){.applies = false};
        step->augment->draw(step->param, &rng, width, height, view->image_size, &plans[s]);
        width = height = view->image_size;
    }
    if (view->step_count > 1 && view->step[1].augment->mirrors) {
        plans[0].resize.mirror = plans[1].applies;
        plans[1].applies = false;
    }
}

static fov_status make_view(fov_augmenter *augmenter, const fov_view_recipe *view, const fov_augment_plan *plans, const fov_image *image,
                            uint8_t *output) {
    const size_t size = view->image_size, bytes = 3 * size * size;
    size_t last = 0;
    for (size_t s = 1; s < view->step_count; s++) {
        last = plans[s].applies ? s : last;
    }
    uint8_t *buffers[2] = {output, output};
    if (last > 0) {
        for (size_t k = 0; k < 2; k++) {
            buffers[k] = fov_augmenter_scratch(augmenter, k == 0 ? FOV_SCRATCH_VIEW_A : FOV_SCRATCH_VIEW_B, bytes, 1);
            FOV_TRY_ALLOC(buffers[k]);
        }
    }
    fov_image now = *image;
    size_t turn = 0;
    for (size_t s = 0; s <= last; s++) {
        if (!plans[s].applies) {
            continue;
        }
        uint8_t *to = s == last ? output : buffers[turn];
        FOV_TRY(view->step[s].augment->apply(&plans[s], &now, augmenter, to));
        now = (fov_image){.pixels = to, .width = size, .height = size, .channels = 3};
        turn = 1 - turn;
    }
    return FOV_OK;
}

fov_status fov_augment_views(fov_augmenter *augmenter, const fov_recipe *recipe, const fov_image *image, uint64_t seed, uint64_t epoch,
                             uint64_t sample, uint8_t *const *outputs) {
    if (image->channels != 3 || image->width == 0 || image->height == 0) {
        return FOV_FAIL(FOV_E_INVALID, "views are made from pictures of 3 channels with pixels, got %zu x %zu x %zu", image->width,
                        image->height, image->channels);
    }
    for (size_t v = 0; v < recipe->view_count; v++) {
        draw_view(&recipe->view[v], image, seed, epoch, sample, (unsigned)v, augmenter->plan[v]);
    }
    for (size_t v = 0; v < recipe->view_count; v++) {
        FOV_TRY(make_view(augmenter, &recipe->view[v], augmenter->plan[v], image, outputs[v]));
    }
    return FOV_OK;
}
