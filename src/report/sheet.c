/* Drawing the contact sheet.
 *
 * Every view is made by the loader's own steps in the loader's own order: open, draw for (seed, epoch, sample), decode the part that the
 * views need, apply. So a sheet shows the bytes that a network gets, and shrinking or part decoding shows if it ever does harm. The whole
 * picture in front is decoded apart from that. Views stand at their true size against each other: small ones of multi-crop in stacks. */
#include "report/sheet.h"

#include <string.h>

#include "augment/augment.h"
#include "base/checked.h"
#include "data/picture.h"
#include "data/sampler.h"

#define GAP 6          /* pixels between things */
#define FRAME 2        /* around a view */
#define LEAST_CELL 128 /* smaller views are zoomed until they have this side */
#define GROUND 235     /* grey of the paper */
#define JPEG_QUALITY 92
#define MOST_PIXELS ((size_t)64 << 20)
#define MOST_SIDE ((size_t)30000)
#define RGB ((fov_pixel_format){.channels = 3})

const char *const fov_sheet_suffixes[] = {".png", ".jpg", ".jpeg", NULL};

/* One a view, far from each other in a small recipe. */
static const uint8_t colours[FOV_MAX_VIEWS][3] = {
    {230, 25, 75}, {0, 130, 200}, {60, 180, 75}, {245, 130, 48}, {145, 30, 180}, {0, 190, 190},   {240, 50, 230},  {170, 190, 0},
    {128, 0, 0},   {0, 0, 160},   {0, 100, 60},  {170, 110, 40}, {90, 90, 90},   {250, 120, 130}, {110, 160, 255}, {70, 50, 20},
};

/* What is at work: one picture at a time. */
typedef struct artist {
    fov_sheet *sheet;
    const fov_index *index;
    const fov_sheet_options *options;
    fov_picture_reader reader;
    fov_augmenter *augmenter;
    fov_resize *box; /* [draws * views], of the picture at work */
    uint8_t *view[FOV_MAX_VIEWS];
    uint8_t *shown;    /* a picture or view in 8 bit RGB */
    size_t shown_size; /* bytes of it */
    size_t cell;       /* side of the square for the whole picture */
    double scale;      /* of samples to bytes */
} artist;

/* ---- layout ---- */

static size_t largest_side(const fov_recipe *recipe) {
    size_t side = 0;
    for (size_t v = 0; v < recipe->view_count; v++) {
        side = recipe->view[v].image_size > side ? recipe->view[v].image_size : side;
    }
    return side;
}

/* Views from left to right; views of one size that follow each other stand in stacks as high as the cell. */
static void lay_out(fov_sheet *sheet, const fov_recipe *recipe, size_t cell) {
    const size_t frame = FRAME * 2;
    size_t left = 2 * GAP + cell, top = GAP;
    for (size_t v = 0; v < recipe->view_count; v++) {
        const size_t side = recipe->view[v].image_size * sheet->zoom + frame;
        sheet->left[v] = left + FRAME;
        sheet->top[v] = top + FRAME;
        const bool stack = v + 1 < recipe->view_count && recipe->view[v + 1].image_size == recipe->view[v].image_size &&
                           top + 2 * side + GAP <= GAP + cell + frame;
        top = stack ? top + side + GAP : GAP;
        left = stack ? left : left + side + GAP;
    }
    sheet->draw_step = left - (2 * GAP + cell);
    sheet->row_step = cell + frame + GAP;
}

static fov_status plan_sheet(fov_sheet *sheet, const fov_sheet_options *o, size_t count, size_t *cell) {
    const size_t side = largest_side(o->recipe);
    sheet->zoom = (LEAST_CELL + side - 1) / side;
    sheet->rows = o->pictures < count ? o->pictures : count;
    sheet->draws = o->draws;
    sheet->views = o->recipe->view_count;
    *cell = side * sheet->zoom;
    lay_out(sheet, o->recipe, *cell);
    size_t width = 0, height = 0, pixels = 0;
    const bool fits = fov_mul_size(sheet->draw_step, sheet->draws, &width) && fov_add_size(width, *cell + 2 * GAP, &width) &&
                      fov_mul_size(sheet->row_step, sheet->rows, &height) && fov_add_size(height, GAP, &height) &&
                      fov_mul_size(width, height, &pixels);
    if (!fits || width > MOST_SIDE || height > MOST_SIDE || pixels > MOST_PIXELS) {
        return FOV_FAIL(
            FOV_E_LIMIT,
            "a sheet of %zu pictures with %zu x %zu views of up to %zu px would have %zu x %zu px; at most %zu a side and %zu million in "
            "all are drawn; show fewer pictures, samples or smaller views",
            sheet->rows, sheet->draws, sheet->views, side, width, height, MOST_SIDE, MOST_PIXELS >> 20);
    }
    sheet->width = width;
    sheet->height = height;
    return FOV_OK;
}

/* ---- drawing ---- */

static void fill(fov_sheet *sheet, size_t left, size_t top, size_t width, size_t height, const uint8_t colour[3]) {
    for (size_t y = top; y < top + height; y++) {
        for (size_t x = left; x < left + width; x++) {
            memcpy(sheet->pixels + (y * sheet->width + x) * 3, colour, 3);
        }
    }
}

/* The border of a box, inwards. */
static void outline(fov_sheet *sheet, size_t left, size_t top, size_t width, size_t height, size_t line, const uint8_t colour[3]) {
    const size_t across = line < width ? line : width, down = line < height ? line : height;
    fill(sheet, left, top, width, down, colour);
    fill(sheet, left, top + height - down, width, down, colour);
    fill(sheet, left, top, across, height, colour);
    fill(sheet, left + width - across, top, across, height, colour);
}

static void paste(fov_sheet *sheet, const uint8_t *rgb, size_t width, size_t height, size_t zoom, size_t left, size_t top) {
    for (size_t y = 0; y < height * zoom; y++) {
        uint8_t *to = sheet->pixels + ((top + y) * sheet->width + left) * 3;
        for (size_t x = 0; x < width * zoom; x++) {
            memcpy(to + 3 * x, rgb + ((y / zoom) * width + x / zoom) * 3, 3);
        }
    }
}

/* ---- samples to 8 bit RGB ---- */

static size_t plane_of(size_t channels, size_t c) {
    return channels >= 3 ? c : 0;
}

static double scale_of(const fov_image *image) {
    const uint16_t *samples = (const uint16_t *)(const void *)image->pixels;
    uint16_t most = 1;
    for (size_t i = 0; image->deep && i < image->width * image->height; i++) {
        for (size_t c = 0; c < 3; c++) {
            const uint16_t sample = samples[i * image->channels + plane_of(image->channels, c)];
            most = sample > most ? sample : most;
        }
    }
    return 255.0 / (double)most;
}

static uint8_t shown_sample(const artist *a, const uint8_t *pixels, fov_pixel_format format, size_t at) {
    if (!format.deep) {
        return pixels[at];
    }
    const double value = (double)((const uint16_t *)(const void *)pixels)[at] * a->scale + 0.5;
    return value >= 255.0 ? 255 : (uint8_t)value;
}

/* Into a->shown. */
static fov_status show(artist *a, const uint8_t *pixels, size_t count, fov_pixel_format format) {
    if (count * 3 > a->shown_size) {
        uint8_t *grown = fov_mem_realloc(FOV_MEM_IMAGE, a->shown, count * 3);
        FOV_TRY_ALLOC(grown);
        a->shown = grown;
        a->shown_size = count * 3;
    }
    for (size_t i = 0; i < count; i++) {
        for (size_t c = 0; c < 3; c++) {
            a->shown[3 * i + c] = shown_sample(a, pixels, format, i * format.channels + plane_of(format.channels, c));
        }
    }
    return FOV_OK;
}

/* ---- a row ---- */

static fov_status make_views(artist *a, size_t sample, size_t draw) {
    const fov_sheet_options *o = a->options;
    fov_decode_part part;
    const fov_image *image = NULL;
    size_t width = 0, height = 0;
    FOV_TRY(fov_picture_open(&a->reader, a->index, sample, &o->decode, &width, &height));
    fov_views_draw(a->augmenter, o->recipe, width, height, o->seed, o->epoch + draw, sample);
    fov_views_part(a->augmenter, o->recipe, o->shrink, &part);
    for (size_t v = 0; v < o->recipe->view_count; v++) {
        a->box[draw * o->recipe->view_count + v] = a->augmenter->plan[v][0].resize;
    }
    FOV_TRY(fov_picture_decode(&a->reader, &part, &image));
    FOV_TRY(fov_views_apply(a->augmenter, o->recipe, image, a->view));
    return FOV_OK;
}

static fov_status draw_views(artist *a, size_t row, size_t draw, fov_pixel_format format) {
    fov_sheet *sheet = a->sheet;
    for (size_t v = 0; v < sheet->views; v++) {
        const size_t side = a->options->recipe->view[v].image_size, shown = side * sheet->zoom;
        const size_t left = sheet->left[v] + draw * sheet->draw_step, top = sheet->top[v] + row * sheet->row_step;
        FOV_TRY(show(a, a->view[v], side * side, format));
        outline(sheet, left - FRAME, top - FRAME, shown + 2 * FRAME, shown + 2 * FRAME, FRAME, colours[v]);
        paste(sheet, a->shown, side, side, sheet->zoom, left, top);
    }
    return FOV_OK;
}

/* What of the picture a view shows: the window's part of the box. */
static void frame_crop(const artist *a, const fov_resize *z, const fov_image *whole, size_t left, size_t top, size_t width, size_t height,
                       const uint8_t colour[3]) {
    const double across = (double)width / (double)whole->width, down = (double)height / (double)whole->height;
    const double per_x = (double)z->width / (double)z->out_width, per_y = (double)z->height / (double)z->out_height;
    const size_t x0 = (size_t)(((double)z->left + (double)z->window_left * per_x) * across);
    const size_t y0 = (size_t)(((double)z->top + (double)z->window_top * per_y) * down);
    size_t w = (size_t)((double)z->window_width * per_x * across + 0.5), h = (size_t)((double)z->window_height * per_y * down + 0.5);
    w = w < 1 ? 1 : w + x0 > width ? width - x0 : w;
    h = h < 1 ? 1 : h + y0 > height ? height - y0 : h;
    outline(a->sheet, left + x0, top + y0, w, h, 1 + a->cell / 192, colour);
}

/* The whole picture in the square in front of its views, in the middle, with all crops of all draws. */
static fov_status draw_whole(artist *a, size_t row, const fov_image *image) {
    const double wide = (double)a->cell / (double)image->width, high = (double)a->cell / (double)image->height;
    const double ratio = wide < high ? wide : high;
    size_t width = (size_t)((double)image->width * ratio + 0.5), height = (size_t)((double)image->height * ratio + 0.5);
    width = width < 1 ? 1 : width;
    height = height < 1 ? 1 : height;
    FOV_TRY(show(a, image->pixels, image->width * image->height, fov_image_format(image)));
    fov_image whole = {.pixels = a->shown, .width = image->width, .height = image->height, .channels = 3};
    uint8_t *fitted = fov_mem_alloc(FOV_MEM_IMAGE, width * height * 3);
    FOV_TRY_ALLOC(fitted);
    const fov_status status = fov_image_resize(a->augmenter, &whole, width, height, FOV_BILINEAR, fitted);
    const size_t left = GAP + (a->cell - width) / 2, top = GAP + FRAME + (a->cell - height) / 2 + row * a->sheet->row_step;
    if (status == FOV_OK) {
        paste(a->sheet, fitted, width, height, 1, left, top);
        for (size_t d = a->sheet->draws * a->sheet->views; d-- > 0;) { /* the first view on top */
            frame_crop(a, &a->box[d], &whole, left, top, width, height, colours[d % a->sheet->views]);
        }
    }
    fov_mem_free(fitted);
    return status;
}

static fov_status draw_row(artist *a, size_t row) {
    const size_t sample = a->sheet->sample[row];
    const fov_image *image = NULL;
    size_t width = 0, height = 0;
    FOV_TRY(fov_picture_open(&a->reader, a->index, sample, &a->options->decode, &width, &height));
    FOV_TRY(fov_picture_decode(&a->reader, NULL, &image));
    a->scale = scale_of(image);
    const fov_pixel_format format = fov_image_format(image);
    for (size_t d = 0; d < a->sheet->draws; d++) {
        FOV_TRY(make_views(a, sample, d));
        FOV_TRY(draw_views(a, row, d, format));
    }
    FOV_TRY(fov_picture_open(&a->reader, a->index, sample, &a->options->decode, &width, &height));
    FOV_TRY(fov_picture_decode(&a->reader, NULL, &image));
    return draw_whole(a, row, image);
}

/* ---- the sheet ---- */

static fov_status prepare(artist *a) {
    const fov_sheet_options *o = a->options;
    fov_sheet *sheet = a->sheet;
    FOV_TRY(fov_picture_reader_init(&a->reader));
    FOV_TRY(fov_augmenter_new(&a->augmenter));
    a->box = fov_mem_array(FOV_MEM_IMAGE, sheet->draws * sheet->views, sizeof *a->box);
    FOV_TRY_ALLOC(a->box);
    for (size_t v = 0; v < sheet->views; v++) {
        const size_t side = o->recipe->view[v].image_size;
        a->view[v] = fov_mem_alloc(FOV_MEM_IMAGE, side * side * fov_pixel_bytes(o->decode.format));
        FOV_TRY_ALLOC(a->view[v]);
    }
    sheet->sample = fov_mem_array(FOV_MEM_IMAGE, sheet->rows, sizeof *sheet->sample);
    FOV_TRY_ALLOC(sheet->sample);
    sheet->pixels = fov_mem_alloc(FOV_MEM_IMAGE, sheet->width * sheet->height * 3);
    FOV_TRY_ALLOC(sheet->pixels);
    memset(sheet->pixels, GROUND, sheet->width * sheet->height * 3);
    fov_sampler sampler;
    fov_sampler_init(&sampler, o->seed, fov_index_count(a->index), 1);
    for (size_t row = 0; row < sheet->rows; row++) {
        sheet->sample[row] = (uint32_t)fov_sampler_at(&sampler, o->epoch, row);
    }
    return FOV_OK;
}

fov_status fov_sheet_make(fov_sheet *sheet, const fov_index *index, const fov_sheet_options *options) {
    *sheet = (fov_sheet){0};
    artist a = {.sheet = sheet, .index = index, .options = options};
    fov_status status = FOV_OK;
    FOV_ASSERT(options->pictures > 0 && options->draws > 0 && fov_index_count(index) > 0 && options->recipe->view_count > 0);
    FOV_TRY_GOTO(status, done, plan_sheet(sheet, options, fov_index_count(index), &a.cell));
    FOV_TRY_GOTO(status, done, prepare(&a));
    for (size_t row = 0; row < sheet->rows; row++) {
        FOV_TRY_GOTO(status, done, draw_row(&a, row));
    }
done:
    fov_picture_reader_clear(&a.reader);
    fov_augmenter_free(a.augmenter);
    fov_mem_free(a.box);
    for (size_t v = 0; v < FOV_MAX_VIEWS; v++) {
        fov_mem_free(a.view[v]);
    }
    fov_mem_free(a.shown);
    return status;
}

void fov_sheet_clear(fov_sheet *sheet) {
    fov_mem_free(sheet->pixels);
    fov_mem_free(sheet->sample);
    *sheet = (fov_sheet){0};
}

fov_status fov_sheet_write(const fov_sheet *sheet, const char *path) {
    const size_t length = strlen(path);
    if (length > 4 && strcmp(path + length - 4, ".png") == 0) {
        return fov_image_write_png(path, sheet->pixels, sheet->width, sheet->height, RGB);
    }
    return fov_image_write_jpeg(path, sheet->pixels, sheet->width, sheet->height, 3, JPEG_QUALITY);
}
