/* Speed of the picture pipeline on one thread, from files in memory: decoding alone, and two SimCLR views of decoded pictures. One JSON line.
 *
 *     bench_pictures SIZE SECONDS FILE...        for example 64 3 photos/a.jpg photos/b.jpg */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "augment/recipe.h"
#include "base/clock.h"
#include "base/io.h"

typedef struct bench {
    size_t count, side;
    fov_blob *file;
    fov_image *image;
    fov_decoder *decoder;
    fov_augmenter *augmenter;
    fov_recipe recipe;
    uint8_t *view[2];
} bench;

static fov_status load(bench *b, char *const *paths) {
    char text[160];
    (void)snprintf(text, sizeof text, "crop(%zu,0.08,1,bicubic) flip(0.5) jitter(0.8,0.4,0.4,0.4,0.1) gray(0.2)", b->side);
    fov_text both;
    fov_text_init(&both);
    fov_text_printf(&both, "%s | %s", text, text);
    fov_status status = both.status == FOV_OK ? fov_recipe_parse(both.data, &b->recipe) : both.status;
    fov_text_clear(&both);
    FOV_TRY(status);
    FOV_TRY(fov_decoder_new(&b->decoder));
    FOV_TRY(fov_augmenter_new(&b->augmenter));
    b->file = fov_mem_array(FOV_MEM_IMAGE, b->count, sizeof *b->file);
    b->image = fov_mem_array(FOV_MEM_IMAGE, b->count, sizeof *b->image);
    b->view[0] = fov_mem_alloc(FOV_MEM_IMAGE, b->side * b->side * 3);
    b->view[1] = fov_mem_alloc(FOV_MEM_IMAGE, b->side * b->side * 3);
    if (b->file == NULL || b->image == NULL || b->view[0] == NULL || b->view[1] == NULL) {
        return FOV_E_NOMEM;
    }
    for (size_t i = 0; i < b->count; i++) {
        FOV_TRY(fov_io_read(paths[i], (size_t)1 << 30, FOV_DECODE_PADDING, &b->file[i]));
        fov_image_init(&b->image[i]);
    }
    return FOV_OK;
}

static fov_status decode(bench *b, size_t turn) {
    const size_t i = turn % b->count;
    const fov_decode_options options = {.padding = b->file[i].padding};
    return fov_image_decode(b->decoder, b->file[i].data, b->file[i].size, &options, &b->image[i]);
}

static fov_status views(bench *b, size_t turn) {
    return fov_augment_views(b->augmenter, &b->recipe, &b->image[turn % b->count], 0, 0, turn, b->view);
}

/* Pictures a second: at least one round over all files, then until the time is up. */
static fov_status rate(bench *b, fov_status (*work)(bench *, size_t), double seconds, double *per_second) {
    size_t done = 0;
    const double begun = fov_clock_seconds();
    double now = begun;
    for (; done < b->count || now - begun < seconds; done++) {
        FOV_TRY(work(b, done));
        now = fov_clock_seconds();
    }
    *per_second = (double)done / (now - begun);
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

int main(int argc, char **argv) {
    if (argc < 4) {
        (void)fprintf(stderr, "usage: %s SIZE SECONDS FILE...\n", argv[0]);
        return 2;
    }
    bench b = {.count = (size_t)argc - 3, .side = strtoul(argv[1], NULL, 10)};
    const double seconds = strtod(argv[2], NULL);
    double decoded = 0.0, made = 0.0;
    fov_status status = load(&b, argv + 3);
    if (status == FOV_OK) {
        status = rate(&b, decode, seconds, &decoded);
    }
    if (status == FOV_OK) {
        status = rate(&b, views, seconds, &made);
    }
    if (status == FOV_OK) {
        (void)printf("{\"pictures\": %zu, \"size\": %zu, \"decoded_per_second\": %.0f, \"two_views_per_second\": %.0f}\n", b.count, b.side, decoded,
                     made);
    } else {
        (void)fprintf(stderr, "%s\n", fov_last_error());
    }
    clear(&b);
    return status != FOV_OK;
}
