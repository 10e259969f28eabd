/* Preprocessing for evaluation: torchvision's Resize (shorter side) and CenterCrop on Pillow images. Mean and standard deviation are
 * applied by the graph. */
#include "augment/augment.h"

void fov_preprocess_default(size_t image_size, fov_preprocess *preprocess) {
    *preprocess = (fov_preprocess){
        .image_size = image_size,
        .resize = image_size < 96 ? image_size : image_size * 256 / 224,
        .interpolation = FOV_BILINEAR,
        .format = {.channels = 3},
        .mean = {0.485, 0.456, 0.406},
        .std = {0.229, 0.224, 0.225},
    };
}

fov_decode_options fov_preprocess_decode(const fov_preprocess *preprocess) {
    return (fov_decode_options){.alpha = preprocess->alpha, .format = preprocess->format};
}

fov_status fov_preprocess_strip(fov_augmenter *augmenter, const fov_preprocess *preprocess, const fov_strip *strip, uint8_t *output) {
    if (strip->first) {
        if (preprocess->image_size == 0 || preprocess->resize < preprocess->image_size) {
            return FOV_FAIL(FOV_E_INVALID,
                            "preprocessing resizes the shorter side to %zu but crops %zu; the crop must be from 1 to that side",
                            preprocess->resize, preprocess->image_size);
        }
        const fov_image *image = &strip->image;
        if (image->width == 0 || image->height == 0) {
            return FOV_FAIL(FOV_E_INVALID, "preprocessing got a picture of %zu x %zu pixels", image->width, image->height);
        }
        const bool whole = image->full_width == 0;
        const size_t along = whole ? image->width : image->full_width, down = whole ? image->height : image->full_height;
        fov_resize resize;
        fov_resize_center(strip->sideways ? down : along, strip->sideways ? along : down, preprocess->resize, preprocess->image_size,
                          preprocess->interpolation, &resize);
        FOV_TRY(fov_resize_begin(augmenter, 0, strip, &resize, output));
    }
    fov_resize_feed(augmenter, 0, &strip->image);
    return FOV_OK;
}

fov_status fov_preprocess_apply(fov_augmenter *augmenter, const fov_preprocess *preprocess, const fov_image *image, uint8_t *output) {
    const fov_strip all = {.image = *image, .first = true};
    FOV_TRY(fov_preprocess_strip(augmenter, preprocess, &all, output));
    return FOV_OK;
}

fov_status fov_image_resize(fov_augmenter *augmenter, const fov_image *image, size_t width, size_t height, fov_interpolation interpolation,
                            uint8_t *output) {
    const fov_resize resize = {
        .width = image->width,
        .height = image->height,
        .out_width = width,
        .out_height = height,
        .window_width = width,
        .window_height = height,
        .interpolation = interpolation,
    };
    FOV_TRY(fov_resize_apply(augmenter, image, &resize, output));
    return FOV_OK;
}
