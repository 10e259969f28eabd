/* Random pictures put through a step by every instruction set of this processor: all must give the bytes of portable C. */
#ifndef FOV_TESTS_PIXEL_CASE_H
#define FOV_TESTS_PIXEL_CASE_H

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "augment/augment.h"

static const char *const pixel_sets[] = {"c", "avx2", "avx512", "avx512vnni"};
#define PIXEL_SETS (sizeof pixel_sets / sizeof pixel_sets[0])

static size_t pixel_below(fov_rng *rng, size_t bound) {
    return (size_t)fov_rng_below(rng, bound);
}

/* Sides from 1 to 70, now and then to 300. */
static size_t pixel_side(fov_rng *rng) {
    return 1 + pixel_below(rng, pixel_below(rng, 20) == 0 ? 300 : 70);
}

/* Channels are three half the time. */
static fov_pixel_format pixel_format(fov_rng *rng, fov_augment_pixels kind) {
    fov_pixel_format format = {.channels = 3};
    if (kind != FOV_PIXELS_RGB && pixel_below(rng, 2) == 0) {
        format.channels = 1 + pixel_below(rng, pixel_below(rng, 8) == 0 ? FOV_MAX_CHANNELS : 6);
    }
    format.deep = kind == FOV_PIXELS_ANY && pixel_below(rng, 3) == 0;
    return format;
}

/* Fills a picture with noise, extremes or flat areas. */
static void pixel_fill(fov_rng *rng, fov_image *image) {
    const size_t kind = pixel_below(rng, 4), bytes = image->width * image->height * fov_pixel_bytes(fov_image_format(image));
    for (size_t i = 0; i < bytes; i++) {
        const uint8_t noise = (uint8_t)pixel_below(rng, 256);
        image->pixels[i] = kind == 0   ? noise
                           : kind == 1 ? (uint8_t)(noise % 2 * 255)
                           : kind == 2 ? (uint8_t)(i / 50 + noise % 3)
                                       : noise / 90 * 127;
    }
}

/* A picture of exactly the bytes it needs, so that sanitizers see reads past its end; the caller frees `pixels`. NULL pixels: no memory. */
static fov_image pixel_picture(fov_rng *rng, fov_pixel_format format, size_t width, size_t height) {
    fov_image image = {.width = width, .height = height, .channels = format.channels, .deep = format.deep};
    image.pixels = malloc(width * height * fov_pixel_bytes(format));
    if (image.pixels != NULL) {
        pixel_fill(rng, &image);
    }
    return image;
}

/* Parameters of a step: it applies; the rest anywhere up to twice the fallback. */
static void pixel_params(fov_rng *rng, const fov_augment *augment, double *param) {
    for (size_t k = 0; k < augment->param_count; k++) {
        const fov_augment_param *p = &augment->params[k];
        const double value =
            strcmp(p->name, "kernel") == 0 ? (double)(2 * pixel_below(rng, 12) + 1) : p->fallback * fov_rng_range(rng, 0.0, 2.0);
        param[k] = p->choices != NULL ? (double)pixel_below(rng, 2) : strcmp(p->name, "p") == 0 ? 1.0 : fmin(fmax(value, p->min), p->max);
    }
    if (augment->check != NULL && augment->check(param) != NULL) {
        for (size_t k = 0; k < augment->param_count; k++) {
            param[k] = strcmp(augment->params[k].name, "p") == 0 ? 1.0 : augment->params[k].fallback;
        }
    }
}

/* Makes the image a part, perhaps shrunk, of a larger picture: its own pixels are the part that holds the resize's box. */
static fov_image pixel_part(fov_rng *rng, const fov_resize *box, fov_pixel_format format, size_t width, size_t height, unsigned shrink) {
    const size_t frame_width = (width + shrink - 1) / shrink, frame_height = (height + shrink - 1) / shrink;
    const size_t x0 = box->left / shrink, x1 = (box->left + box->width + shrink - 1) / shrink;
    const size_t y0 = box->top / shrink, y1 = (box->top + box->height + shrink - 1) / shrink;
    const size_t left = pixel_below(rng, x0 + 1), top = pixel_below(rng, y0 + 1);
    const size_t right = x1 + pixel_below(rng, frame_width - x1 + 1), bottom = y1 + pixel_below(rng, frame_height - y1 + 1);
    fov_image image = pixel_picture(rng, format, right - left, bottom - top);
    image.left = left;
    image.top = top;
    image.shrink = shrink;
    image.full_width = width;
    image.full_height = height;
    return image;
}

typedef struct pixel_tally {
    size_t pictures, bytes, differing;
} pixel_tally;

/* One random picture through one step in every set. False: out of memory, or the step failed. */
static bool pixel_run(fov_augmenter *augmenter, const fov_augment *augment, uint64_t number, pixel_tally *tally) {
    fov_rng rng;
    fov_rng_init(&rng, 77, 0, number, 0, FOV_RNG_TEST);
    double param[FOV_MAX_STEP_PARAMS];
    pixel_params(&rng, augment, param);
    const fov_pixel_format format = pixel_format(&rng, augment->pixels);
    const size_t width = pixel_side(&rng), height = pixel_side(&rng), size = augment->first ? pixel_side(&rng) : 0;
    fov_augment_plan plan = {.applies = false};
    augment->draw(param, &rng, width, height, size, &plan);
    plan.resize.mirror = pixel_below(&rng, 2) == 1;
    fov_image image = augment->first ? pixel_part(&rng, &plan.resize, format, width, height, 1U << pixel_below(&rng, 4))
                                     : pixel_picture(&rng, format, width, height);
    const size_t bytes = (augment->first ? size * size : width * height) * fov_pixel_bytes(format);
    uint8_t *expected = malloc(bytes), *out = malloc(bytes);
    bool fine = image.pixels != NULL && expected != NULL && out != NULL;
    for (size_t s = 0; fine && s < PIXEL_SETS; s++) {
        augmenter->loops = fov_pixel_loops_named(pixel_sets[s]);
        if (augmenter->loops == NULL) {
            continue;
        }
        memset(out, 0xA5, bytes);
        fine = augment->apply(&plan, &image, augmenter, s == 0 ? expected : out) == FOV_OK;
        for (size_t i = 0; fine && s > 0 && i < bytes; i++) {
            tally->differing += out[i] != expected[i];
        }
    }
    tally->pictures++;
    tally->bytes += bytes;
    free(image.pixels);
    free(expected);
    free(out);
    return fine;
}

#endif
