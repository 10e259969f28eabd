/* Speed of the picture pipeline on one thread, from files in memory. JSON on standard output.
 *
 *     bench_pictures SIZE SECONDS FILE...        decoding alone, and two SimCLR views of decoded pictures, for example 64 3 photos/a.jpg
 * photos/b.jpg bench_pictures steps SIZE SECONDS          each step on noise, in every instruction set: nanoseconds for a pixel of its
 * output bench_pictures raw SIDE SIZE SECONDS [TEXT]  two views of SIZE from 64 decoded pictures of SIDE x SIDE; TEXT are the steps after
 * the crop
 *
 * Times of steps are the best of many short runs, since a shared machine only ever adds to them. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "augment/augment.h"
#include "base/clock.h"
#include "base/io.h"

#define COLOUR "flip(0.5) jitter(0.8,0.4,0.4,0.4,0.1) gray(0.2)"

typedef struct bench {
    size_t count, side;
    fov_blob *file;
    fov_image *image;
    fov_decoder *decoder;
    fov_augmenter *augmenter;
    fov_recipe recipe;
    uint8_t *view[2];
} bench;

/* Two views of `side`: a crop, then `steps`. */
static fov_status prepare(bench *b, const char *steps) {
    fov_text both;
    fov_text_init(&both);
    for (size_t v = 0; v < 2; v++) {
        fov_text_printf(&both, "%scrop(%zu,0.08,1,bicubic) %s", v == 0 ? "" : " | ", b->side, steps);
    }
    fov_status status = both.status == FOV_OK ? fov_recipe_parse(both.data, &b->recipe) : both.status;
    fov_text_clear(&both);
    FOV_TRY(status);
    FOV_TRY(fov_decoder_new(&b->decoder));
    FOV_TRY(fov_augmenter_new(&b->augmenter));
    b->file = fov_mem_array(FOV_MEM_IMAGE, b->count, sizeof *b->file);
    b->image = fov_mem_array(FOV_MEM_IMAGE, b->count, sizeof *b->image);
    b->view[0] = fov_mem_alloc(FOV_MEM_IMAGE, b->side * b->side * 3);
    b->view[1] = fov_mem_alloc(FOV_MEM_IMAGE, b->side * b->side * 3);
    return b->file == NULL || b->image == NULL || b->view[0] == NULL || b->view[1] == NULL ? FOV_E_NOMEM : FOV_OK;
}

static fov_status load(bench *b, char *const *paths) {
    for (size_t i = 0; i < b->count; i++) {
        FOV_TRY(fov_io_read(paths[i], (size_t)1 << 30, FOV_DECODE_PADDING, &b->file[i]));
        fov_image_init(&b->image[i]);
    }
    return FOV_OK;
}

/* Noise over slopes, so that colours and edges of all kinds occur. */
static void fill(fov_image *image, uint64_t seed) {
    fov_rng rng;
    fov_rng_init(&rng, seed, 0, 0, 0, FOV_RNG_TEST);
    for (size_t i = 0; i < image->width * image->height * 3; i++) {
        image->pixels[i] = (uint8_t)((i / 7 + fov_rng_below(&rng, 100)) & 255U);
    }
}

static fov_status decode(bench *b, size_t turn) {
    const size_t i = turn % b->count;
    const fov_decode_options options = {.padding = b->file[i].padding};
    return fov_image_decode(b->decoder, b->file[i].data, b->file[i].size, &options, &b->image[i]);
}

static fov_status views(bench *b, size_t turn) {
    return fov_augment_views(b->augmenter, &b->recipe, &b->image[turn % b->count], 0, 0, turn, b->view);
}

/* On a busy machine the rate by processor time is what a core of our own would give, or a little less. */
typedef struct speed {
    double per_second, per_cpu_second;
} speed;

/* Pictures a second: at least one round over all files, then until the time is up. */
static fov_status rate(bench *b, fov_status (*work)(bench *, size_t), double seconds, speed *result) {
    size_t done = 0;
    const double begun = fov_clock_seconds(), cpu = fov_clock_cpu_seconds();
    double now = begun;
    for (; done < b->count || now - begun < seconds; done++) {
        FOV_TRY(work(b, done));
        now = fov_clock_seconds();
    }
    *result = (speed){(double)done / (now - begun), (double)done / (fov_clock_cpu_seconds() - cpu)};
    return FOV_OK;
}

static void clear(bench *b) {
    for (size_t i = 0; i < b->count && b->file != NULL && b->image != NULL; i++) {
        fov_blob_clear(&b->file[i]);
        fov_image_clear(&b->image[i]);
    }
    fov_mem_free(b->file);
    fov_mem_free(b->image);
    fov_mem_free(b->view[0]);
    fov_mem_free(b->view[1]);
    fov_augmenter_free(b->augmenter);
    fov_decoder_free(b->decoder);
}

static fov_status bench_files(bench *b, char *const *paths, double seconds) {
    speed decoded, made;
    FOV_TRY(prepare(b, COLOUR));
    FOV_TRY(load(b, paths));
    FOV_TRY(rate(b, decode, seconds, &decoded));
    FOV_TRY(rate(b, views, seconds, &made));
    (void)printf("{\"pictures\": %zu, \"size\": %zu, \"set\": \"%s\", \"decoded_per_second\": %.0f, \"decoded_per_cpu_second\": %.0f, "
                 "\"two_views_per_second\": %.0f, \"two_views_per_cpu_second\": %.0f}\n",
                 b->count, b->side, b->augmenter->loops->name, decoded.per_second, decoded.per_cpu_second, made.per_second,
                 made.per_cpu_second);
    return FOV_OK;
}

static fov_status bench_raw(bench *b, size_t side, const char *steps, double seconds) {
    speed made;
    FOV_TRY(prepare(b, steps));
    for (size_t i = 0; i < b->count; i++) {
        fov_image_init(&b->image[i]);
        FOV_TRY(fov_image_resize_storage(&b->image[i], side, side, (fov_pixel_format){.channels = 3}));
        fill(&b->image[i], i);
    }
    FOV_TRY(rate(b, views, seconds, &made));
    (void)printf("{\"side\": %zu, \"size\": %zu, \"set\": \"%s\", \"steps\": \"%s\", \"two_views_per_second\": %.0f, "
                 "\"two_views_per_cpu_second\": %.0f}\n",
                 side, b->side, b->augmenter->loops->name, steps, made.per_second, made.per_cpu_second);
    return FOV_OK;
}

/* ---- steps ---- */

typedef struct step {
    const char *label, *name;
    fov_augment_plan plan;
} step;

/* Seconds of one application: the least over runs of at least 2 ms. */
static fov_status least(const step *s, const fov_image *image, fov_augmenter *augmenter, uint8_t *out, double seconds, double *best) {
    const fov_augment *augment = fov_augment_named(s->name);
    const double end = fov_clock_seconds() + seconds;
    *best = 1e9;
    for (double begun = fov_clock_seconds(), now = begun; now < end; begun = now) {
        size_t done = 0;
        for (; now - begun < 0.002; done++) {
            FOV_TRY(augment->apply(&s->plan, image, augmenter, out));
            now = fov_clock_seconds();
        }
        const double each = (now - begun) / (double)done;
        *best = each < *best ? each : *best;
    }
    return FOV_OK;
}

static fov_resize resize_from(size_t side, size_t size, fov_interpolation interpolation) {
    return (fov_resize){.width = side,
                        .height = side,
                        .out_width = size,
                        .out_height = size,
                        .window_width = size,
                        .window_height = size,
                        .interpolation = interpolation};
}

#define RESIZES 4

static fov_status bench_steps(bench *b, double seconds) {
    static const char *const sets[] = {"c", "avx2", "avx512", "avx512vnni"};
    const size_t n = b->side, kernel = n / 10 / 2 * 2 + 1;
    const step steps[] = {
        {"resize_bicubic_from_1.34", "resize", {.applies = true, .resize = resize_from(n * 134 / 100, n, FOV_BICUBIC)}},
        {"resize_bicubic_from_3.1", "resize", {.applies = true, .resize = resize_from(n * 31 / 10, n, FOV_BICUBIC)}},
        {"resize_bilinear_from_1.34", "resize", {.applies = true, .resize = resize_from(n * 134 / 100, n, FOV_BILINEAR)}},
        {"resize_bicubic_from_0.7", "resize", {.applies = true, .resize = resize_from(n * 7 / 10 + 1, n, FOV_BICUBIC)}},
        {"flip", "flip", {.applies = true}},
        {"brightness", "jitter", {.applies = true, .value = {1.2}, .order = {0}, .order_count = 1}},
        {"contrast", "jitter", {.applies = true, .value = {1, 1.2}, .order = {1}, .order_count = 1}},
        {"saturation", "jitter", {.applies = true, .value = {1, 1, 1.217}, .order = {2}, .order_count = 1}},
        {"hue", "jitter", {.applies = true, .value = {1, 1, 1, 0.07}, .order = {3}, .order_count = 1}},
        {"gray", "gray", {.applies = true}},
        {"blur_tenth_sigma_1", "blur", {.applies = true, .value = {1.0, (double)kernel}}},
        {"blur_tenth_sigma_2", "blur", {.applies = true, .value = {2.0, (double)kernel}}},
        {"pilblur_sigma_1", "pilblur", {.applies = true, .value = {1.0}}},
        {"pilblur_sigma_8", "pilblur", {.applies = true, .value = {8.0}}},
        {"solarize", "solarize", {.applies = true, .value = {128}}},
    };
    const size_t count = sizeof steps / sizeof steps[0];
    FOV_TRY(prepare(b, COLOUR));
    fov_image_init(&b->image[0]);
    (void)printf("{\"size\": %zu, \"unit\": \"ns per output pixel\"", n);
    for (size_t s = 0; s < sizeof sets / sizeof sets[0]; s++) {
        b->augmenter->loops = fov_pixel_loops_named(sets[s]);
        for (size_t i = 0; b->augmenter->loops != NULL && i < count; i++) {
            const size_t side = i < RESIZES ? steps[i].plan.resize.width : n;
            double best;
            FOV_TRY(fov_image_resize_storage(&b->image[0], side, side, (fov_pixel_format){.channels = 3}));
            fill(&b->image[0], i);
            FOV_TRY(least(&steps[i], &b->image[0], b->augmenter, b->view[0], seconds, &best));
            if (i == 0) {
                (void)printf(",\n \"%s\": {", sets[s]);
            }
            (void)printf("\"%s\": %.3f%s", steps[i].label, 1e9 * best / (double)(n * n), i + 1 < count ? ", " : "}");
        }
    }
    (void)printf("}\n");
    return FOV_OK;
}

int main(int argc, char **argv) {
    bench b = {.count = 1};
    fov_status status;
    if (argc == 4 && strcmp(argv[1], "steps") == 0) {
        b.side = strtoul(argv[2], NULL, 10);
        status = bench_steps(&b, strtod(argv[3], NULL));
    } else if ((argc == 5 || argc == 6) && strcmp(argv[1], "raw") == 0) {
        b.count = 64;
        b.side = strtoul(argv[3], NULL, 10);
        status = bench_raw(&b, strtoul(argv[2], NULL, 10), argc == 6 ? argv[5] : COLOUR, strtod(argv[4], NULL));
    } else if (argc >= 4 && strtoul(argv[1], NULL, 10) > 0) {
        b.count = (size_t)argc - 3;
        b.side = strtoul(argv[1], NULL, 10);
        status = bench_files(&b, argv + 3, strtod(argv[2], NULL));
    } else {
        (void)fprintf(stderr, "usage: %s SIZE SECONDS FILE...\n       %s steps SIZE SECONDS\n       %s raw SIDE SIZE SECONDS [TEXT]\n",
                      argv[0], argv[0], argv[0]);
        return 2;
    }
    if (status != FOV_OK) {
        (void)fprintf(stderr, "%s\n", fov_last_error());
    }
    clear(&b);
    return status != FOV_OK;
}
