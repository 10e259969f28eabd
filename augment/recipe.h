/* A recipe: for each view of a sample, the list of steps that make it. Steps are declared in augments.def, one file each.
 *
 * Each step has `draw` (all randomness, before the file is opened) and `apply` (pure). The meaning of every step is torchvision's and
 * Pillow's, bit for bit where they compute in integers. */
#ifndef FOV_AUGMENT_RECIPE_H
#define FOV_AUGMENT_RECIPE_H

#include "augment/image.h"
#include "base/rng.h"
#include "base/text.h"

#define FOV_MAX_VIEWS 16
#define FOV_MAX_STEPS 12
#define FOV_MAX_STEP_PARAMS 6

typedef enum fov_interpolation { FOV_BILINEAR, FOV_BICUBIC } fov_interpolation;

typedef struct fov_augment fov_augment; /* descriptor, see augment/augment.h */

typedef struct fov_augment_step {
    const fov_augment *augment;
    double param[FOV_MAX_STEP_PARAMS]; /* meaning and names declared by the descriptor */
} fov_augment_step;

typedef struct fov_view_recipe {
    size_t image_size; /* of the result, square */
    size_t repeats;    /* N > 1: this view and the N - 1 equal ones behind it are written as "N * ..." */
    size_t step_count;
    fov_augment_step step[FOV_MAX_STEPS];
} fov_view_recipe;

typedef struct fov_recipe {
    size_t view_count;
    fov_view_recipe view[FOV_MAX_VIEWS];
} fov_recipe;

/* Text form, one view per "|": "crop(64,0.08,1,bicubic) flip(0.5) jitter(0.8,0.4,0.4,0.2,0.1) gray(0.2) blur(0.5,0.1,2) | ...". "8 * "
 * before a view stands for 8 equal ones (which draw differently). Reading refuses unknown steps with the nearest name, wrong counts and
 * values out of range. Writing gives back what was read. */
FOV_MUST_USE fov_status fov_recipe_parse(const char *text, fov_recipe *recipe);
void fov_recipe_text(const fov_recipe *recipe, fov_text *text);
/* What --views takes: a recipe as text, or the name of one, for views of image_size. */
FOV_MUST_USE fov_status fov_recipe_read(const char *text_or_name, size_t image_size, fov_recipe *recipe);

/* Scratch of one thread. */
typedef struct fov_augmenter fov_augmenter;
FOV_MUST_USE fov_status fov_augmenter_new(fov_augmenter **augmenter);
void fov_augmenter_free(fov_augmenter *augmenter); /* takes NULL */

/* A recipe with a name, such as "simclr"; recipes.def lists them. */
typedef struct fov_named_recipe {
    const char *name, *summary;
    const char *text; /* as fov_recipe_parse reads it, with S where the view's size stands and L where that of local views */
} fov_named_recipe;
const fov_named_recipe *fov_named_recipe_at(size_t index); /* NULL past the end */
/* The recipe's text for a view size; fails with FOV_E_INVALID, naming the nearest. Local views have 96/224 of the size, to the nearest
 * multiple of 16 px, or of 4 px for views below 96 px. */
FOV_MUST_USE fov_status fov_named_recipe_text(const char *name, size_t image_size, fov_text *text);

/* Fits a recipe to a kind of pixels: steps that make no sense on them are taken out and named in `dropped` ("gray, solarize"), which stays
 * empty when all fit. */
void fov_recipe_fit(fov_recipe *recipe, fov_pixel_format format, fov_text *dropped);

/* Views in three steps, so that drawing comes before decoding. `draw` takes all random numbers, which (seed, epoch, sample) name, and plans
 * each view of a picture of width x height pixels. `part` tells what the planned views need of the picture: the box around all crops, and
 * the most shrinking that leaves every crop twice the size of its view (1 when `shrink` is false). `apply` makes the views from a whole
 * picture or from that part of it; outputs[v] gets image_size * image_size pixels in the picture's format. */
void fov_views_draw(fov_augmenter *augmenter, const fov_recipe *recipe, size_t width, size_t height, uint64_t seed, uint64_t epoch,
                    uint64_t sample);
void fov_views_part(const fov_augmenter *augmenter, const fov_recipe *recipe, bool shrink, fov_decode_part *part);
FOV_MUST_USE fov_status fov_views_apply(fov_augmenter *augmenter, const fov_recipe *recipe, const fov_image *image,
                                        uint8_t *const *outputs);
/* Instead of `apply`, for a picture that comes in strips, which together hold that part: `strip` with each of them as they come, then
 * `finish`. */
FOV_MUST_USE fov_status fov_views_strip(fov_augmenter *augmenter, const fov_recipe *recipe, const fov_strip *strip,
                                        uint8_t *const *outputs);
FOV_MUST_USE fov_status fov_views_finish(fov_augmenter *augmenter, const fov_recipe *recipe, fov_pixel_format format,
                                         uint8_t *const *outputs);

/* Draw and apply on a whole picture. */
FOV_MUST_USE fov_status fov_augment_views(fov_augmenter *augmenter, const fov_recipe *recipe, const fov_image *image, uint64_t seed,
                                          uint64_t epoch, uint64_t sample, uint8_t *const *outputs);

#define FOV_GROUP_BYTES 256 /* of a naming rule, with its end */

/* What a backbone is given: how files become pixels, and pixels its input. Evaluation resizes the shorter side to `resize` (the other by
 * truncation) and crops image_size from the centre. Stored with weights. */
typedef struct fov_preprocess {
    size_t image_size, resize;
    fov_interpolation interpolation;
    fov_pixel_format format; /* channels are not 0 */
    fov_alpha alpha;
    char group[FOV_GROUP_BYTES];                          /* naming rule of pictures in several files, see fov_scan_options; "": none */
    double mean[FOV_MAX_CHANNELS], std[FOV_MAX_CHANNELS]; /* of each channel; applied by the graph, on x / 255 or x / 65535 */
} fov_preprocess;
/* RGB of 8 bits on white, ImageNet mean and std, resize = image_size * 256 / 224, bilinear. Below 96 px: resize = image_size. */
void fov_preprocess_default(size_t image_size, fov_preprocess *preprocess);
/* How to decode files for it. */
fov_decode_options fov_preprocess_decode(const fov_preprocess *preprocess);
FOV_MUST_USE fov_status fov_preprocess_apply(fov_augmenter *augmenter, const fov_preprocess *preprocess, const fov_image *image,
                                             uint8_t *output);
/* The same with a picture that comes in strips, with each of them. */
FOV_MUST_USE fov_status fov_preprocess_strip(fov_augmenter *augmenter, const fov_preprocess *preprocess, const fov_strip *strip,
                                             uint8_t *output);
/* Pillow's antialiased resize, whole image. */
FOV_MUST_USE fov_status fov_image_resize(fov_augmenter *augmenter, const fov_image *image, size_t width, size_t height,
                                         fov_interpolation interpolation, uint8_t *output);

#endif
