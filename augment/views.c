/* From one picture to all its views, in three steps: draw, then say what is needed of the picture, then make the views. A large picture
 * comes in strips: the resizes that open the views all go on with each of them, and the other steps follow when the last one was seen.
 *
 * Every step of every view draws from its own stream, named (seed, epoch, sample, view, step), before the file is decoded: a view's
 * choices depend on nothing that other views or threads do, and the decoder can leave out what no view looks at. Steps that pass the
 * picture on cost nothing; a flip right after the step that opens the view is done by that step's resize. */
#include <string.h>

#include "augment/augment.h"

static void draw_view(const fov_view_recipe *view, size_t width, size_t height, uint64_t seed, uint64_t epoch, uint64_t sample,
                      unsigned index, fov_augment_plan *plans) {
    for (size_t s = 0; s < view->step_count; s++) {
        const fov_augment_step *step = &view->step[s];
        plans[s] = (fov_augment_plan){.applies = false};
        if (step->augment->mixes) {
            continue; /* the batch's business */
        }
        fov_rng rng;
        fov_rng_init(&rng, seed, epoch, sample, index, (unsigned)FOV_RNG_AUGMENT + (unsigned)s);
        step->augment->draw(step->param, &rng, width, height, view->image_size, &plans[s]);
        width = height = view->image_size;
    }
    if (view->step_count > 1 && view->step[1].augment->mirrors) {
        plans[0].resize.mirror = plans[1].applies;
        plans[1].applies = false;
    }
}

void fov_views_draw(fov_augmenter *augmenter, const fov_recipe *recipe, size_t width, size_t height, uint64_t seed, uint64_t epoch,
                    uint64_t sample) {
    for (size_t v = 0; v < recipe->view_count; v++) {
        draw_view(&recipe->view[v], width, height, seed, epoch, sample, (unsigned)v, augmenter->plan[v]);
    }
}

/* Largest of 8, 4, 2, 1 that leaves the box at least twice the size of what is made of it. */
static unsigned most_shrink(const fov_resize *resize) {
    unsigned shrink = 8;
    while (shrink > 1 && (resize->width < 2 * shrink * resize->out_width || resize->height < 2 * shrink * resize->out_height)) {
        shrink /= 2;
    }
    return shrink;
}

void fov_views_part(const fov_augmenter *augmenter, const fov_recipe *recipe, bool shrink, fov_decode_part *part) {
    size_t left = SIZE_MAX, top = SIZE_MAX, right = 0, bottom = 0;
    part->shrink = shrink ? 8 : 1;
    part->planar = true;
    for (size_t v = 0; v < recipe->view_count; v++) {
        const fov_resize *box = &augmenter->plan[v][0].resize;
        const unsigned most = most_shrink(box);
        left = box->left < left ? box->left : left;
        top = box->top < top ? box->top : top;
        right = box->left + box->width > right ? box->left + box->width : right;
        bottom = box->top + box->height > bottom ? box->top + box->height : bottom;
        part->shrink = most < part->shrink ? most : part->shrink;
    }
    part->left = left;
    part->top = top;
    part->width = right - left;
    part->height = bottom - top;
}

/* The steps of a view after `opened` ones, from `now`, which lies in the output where there are any. */
static fov_status finish_view(fov_augmenter *augmenter, const fov_view_recipe *view, const fov_augment_plan *plans, size_t opened,
                              fov_image now, uint8_t *output) {
    const fov_pixel_format format = fov_image_format(&now);
    const size_t size = view->image_size, bytes = size * size * fov_pixel_bytes(format);
    size_t last = 0, applied = 0;
    for (size_t s = 1; s < view->step_count; s++) {
        last = plans[s].applies ? s : last;
        applied += plans[s].applies;
    }
    uint8_t *buffers[2] = {output, output};
    if (last > 0) {
        for (size_t k = 0; k < 2; k++) {
            buffers[k] = fov_augmenter_scratch(augmenter, k == 0 ? FOV_SCRATCH_VIEW_A : FOV_SCRATCH_VIEW_B, bytes, 1);
            FOV_TRY_ALLOC(buffers[k]);
        }
    }
    size_t turn = 0;
    if (opened > 0 && applied == 1) { /* that step must not write where it reads */
        memcpy(buffers[0], now.pixels, bytes);
        now.pixels = buffers[0];
        turn = 1;
    }
    for (size_t s = opened; s <= last; s++) {
        if (!plans[s].applies) {
            continue;
        }
        uint8_t *to = s == last ? output : buffers[turn];
        FOV_TRY(view->step[s].augment->apply(&plans[s], &now, augmenter, to));
        now = (fov_image){.pixels = to, .width = size, .height = size, .channels = format.channels, .deep = format.deep};
        turn = 1 - turn;
    }
    return FOV_OK;
}

fov_status fov_views_apply(fov_augmenter *augmenter, const fov_recipe *recipe, const fov_image *image, uint8_t *const *outputs) {
    for (size_t v = 0; v < recipe->view_count; v++) {
        FOV_TRY(finish_view(augmenter, &recipe->view[v], augmenter->plan[v], 0, *image, outputs[v]));
    }
    return FOV_OK;
}

fov_status fov_views_strip(fov_augmenter *augmenter, const fov_recipe *recipe, const fov_strip *strip, uint8_t *const *outputs) {
    for (size_t v = 0; v < recipe->view_count; v++) {
        if (strip->first) {
            FOV_TRY(fov_resize_begin(augmenter, v, strip, &augmenter->plan[v][0].resize, outputs[v]));
        }
        fov_resize_feed(augmenter, v, &strip->image);
    }
    return FOV_OK;
}

fov_status fov_views_finish(fov_augmenter *augmenter, const fov_recipe *recipe, fov_pixel_format format, uint8_t *const *outputs) {
    for (size_t v = 0; v < recipe->view_count; v++) {
        const fov_view_recipe *view = &recipe->view[v];
        fov_image opened = {.pixels = outputs[v], .width = view->image_size, .height = view->image_size, .deep = format.deep};
        opened.channels = format.channels == 0 ? 3 : format.channels;
        FOV_ASSERT(augmenter->resizer[v].made == view->image_size);
        FOV_TRY(finish_view(augmenter, view, augmenter->plan[v], 1, opened, outputs[v]));
    }
    return FOV_OK;
}

fov_status fov_augment_views(fov_augmenter *augmenter, const fov_recipe *recipe, const fov_image *image, uint64_t seed, uint64_t epoch,
                             uint64_t sample, uint8_t *const *outputs) {
    if (image->channels == 0 || image->width == 0 || image->height == 0) {
        return FOV_FAIL(FOV_E_INVALID, "views are made from pictures with pixels, got %zu x %zu x %zu", image->width, image->height,
                        image->channels);
    }
    fov_views_draw(augmenter, recipe, image->width, image->height, seed, epoch, sample);
    FOV_TRY(fov_views_apply(augmenter, recipe, image, outputs));
    return FOV_OK;
}
