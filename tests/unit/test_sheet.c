/* ctest: label=short timeout=120 */
/* The contact sheet shows the loader's own bytes, in their places, at their sizes, for every kind of pixels; too large is refused. */
#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/io.h"
#include "data/loader.h"
#include "report/sheet.h"

#define PICTURES 7
#define PATH_BYTES 512

static char top[PATH_BYTES / 2];
static fov_index *pictures;
static fov_recipe recipe;

static int remove_one(const char *path, const struct stat *info, int type, struct FTW *walk) {
    (void)info, (void)type, (void)walk;
    return remove(path);
}

static const char *in_top(const char *name) {
    static char path[PATH_BYTES];
    (void)snprintf(path, sizeof path, "%s/%s", top, name);
    return path;
}

/* Pictures of a kind: 40 to 46 px wide, 30 px high, samples from 0 to `most`. */
static void make_pictures(fov_pixel_format format, unsigned most) {
    assert_int_equal(fov_io_mkdir(in_top("data"), true), FOV_OK);
    for (size_t i = 0; i < PICTURES; i++) {
        uint16_t deep[46 * 30 * 4];
        uint8_t shallow[46 * 30 * 4];
        const size_t width = 40 + i, count = width * 30 * format.channels;
        char name[32];
        for (size_t k = 0; k < count; k++) {
            deep[k] = (uint16_t)((k * (i + 5) * 37 / 11) % (most + 1));
            shallow[k] = (uint8_t)deep[k];
        }
        deep[count / 2] = (uint16_t)most;
        (void)snprintf(name, sizeof name, "data/%zu.png", i);
        assert_int_equal(fov_image_write_png(in_top(name), format.deep ? (uint8_t *)deep : shallow, width, 30, format), FOV_OK);
    }
    const char *root = in_top("data");
    const fov_scan_options options = {.decode.format = format};
    assert_int_equal(fov_index_scan(&pictures, &root, 1, &options, NULL), FOV_OK);
    assert_int_equal(fov_index_count(pictures), PICTURES);
}

static void parse(const char *text) {
    if (fov_recipe_parse(text, &recipe) != FOV_OK) {
        fail_msg("%s", fov_last_error());
    }
}

static int setup(void **state) {
    (void)state;
    static unsigned run;
    (void)snprintf(top, sizeof top, "%s/sheet-%ld-%u", FOV_TEST_TEMP, (long)getpid(), run++);
    return fov_io_mkdir(top, true) == FOV_OK ? 0 : 1;
}

static int teardown(void **state) {
    (void)state;
    fov_index_free(pictures);
    pictures = NULL;
    (void)nftw(top, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    return fov_mem_stats_tag(FOV_MEM_IMAGE).live_bytes == 0 && fov_mem_stats_tag(FOV_MEM_DATA).live_bytes == 0 ? 0 : 1;
}

static fov_sheet_options usual(void) { return (fov_sheet_options){.recipe = &recipe, .seed = 11, .epoch = 3, .pictures = 4, .draws = 1}; }

static void make(fov_sheet *sheet, const fov_sheet_options *options) {
    if (fov_sheet_make(sheet, pictures, options) != FOV_OK) {
        fail_msg("%s", fov_last_error());
    }
}

static const uint8_t *pixel(const fov_sheet *sheet, size_t x, size_t y) {
    assert_true(x < sheet->width && y < sheet->height);
    return sheet->pixels + (y * sheet->width + x) * 3;
}

/* One epoch of a loader as one batch, so that every picture is in it. */
static fov_loader *load_epoch(const fov_sheet_options *o, uint64_t epoch, const fov_batch **batch) {
    const fov_loader_options options = {.batch_size = PICTURES, .threads = 2, .depth = 1, .seed = o->seed, .first_step = epoch, .last_step = epoch + 1, .decode = o->decode};
    fov_loader *loader;
    assert_int_equal(fov_loader_new(&loader, pictures, &recipe, &options), FOV_OK);
    assert_int_equal(fov_loader_next(loader, batch), FOV_OK);
    assert_int_equal((*batch)->epoch, epoch);
    return loader;
}

static void compare_view(const fov_sheet *sheet, size_t row, size_t draw, size_t v, const uint8_t *view) {
    const size_t side = recipe.view[v].image_size, zoom = sheet->zoom;
    const size_t left = sheet->left[v] + draw * sheet->draw_step, top_row = sheet->top[v] + row * sheet->row_step;
    for (size_t y = 0; y < side * zoom; y++) {
        for (size_t x = 0; x < side * zoom; x++) {
            assert_memory_equal(pixel(sheet, left + x, top_row + y), view + ((y / zoom) * side + x / zoom) * 3, 3);
        }
    }
    /* the frame around it is all of one colour, another for each view, and not that of the paper */
    const uint8_t *frame = pixel(sheet, left - 1, top_row - 1), *paper = pixel(sheet, 0, 0);
    assert_memory_not_equal(frame, paper, 3);
    for (size_t k = 0; k < side * zoom + 2; k++) {
        assert_memory_equal(pixel(sheet, left - 1 + k, top_row - 1), frame, 3);
        assert_memory_equal(pixel(sheet, left - 1, top_row - 1 + k), frame, 3);
        assert_memory_equal(pixel(sheet, left - 1 + k, top_row + side * zoom), frame, 3);
        assert_memory_equal(pixel(sheet, left + side * zoom, top_row - 1 + k), frame, 3);
    }
}

static void test_views_are_the_loaders(void **state) {
    (void)state;
    make_pictures((fov_pixel_format){.channels = 3}, 255);
    parse("crop(32,0.3,1,bicubic) flip(0.5) jitter(0.8,0.4,0.4,0.2,0.1) | crop(32,0.3,1,bicubic) gray(0.5) blur(0.5,0.1,2) | "
          "crop(12,0.1,0.5,bilinear) | crop(12,0.1,0.5,bilinear) flip(0.5) | crop(12,0.1,0.5,bilinear)");
    fov_sheet_options o = usual();
    o.draws = 2;
    fov_sheet sheet;
    make(&sheet, &o);
    assert_int_equal(sheet.zoom, 4);
    assert_int_equal(sheet.rows, 4);
    for (size_t draw = 0; draw < 2; draw++) {
        const fov_batch *batch;
        fov_loader *loader = load_epoch(&o, o.epoch + draw, &batch);
        for (size_t row = 0; row < sheet.rows; row++) {
            size_t place = 0;
            while (batch->sample[place] != sheet.sample[row]) {
                place++;
            }
            assert_true(draw > 0 || place == row); /* the pictures that the epoch begins with */
            for (size_t v = 0; v < recipe.view_count; v++) {
                const size_t side = recipe.view[v].image_size;
                compare_view(&sheet, row, draw, v, batch->view[v] + place * side * side * 3);
            }
        }
        fov_loader_give_back(loader, batch);
        fov_loader_free(loader);
    }
    /* small views stand in stacks, the last column has the rest */
    assert_int_equal(sheet.left[2], sheet.left[3]);
    assert_true(sheet.top[3] > sheet.top[2] && sheet.left[4] > sheet.left[3] && sheet.top[4] == sheet.top[2]);
    fov_sheet_clear(&sheet);
}

/* A crop of the whole picture frames it all; the picture stands in the middle, in its shape. */
static void test_whole_picture(void **state) {
    (void)state;
    make_pictures((fov_pixel_format){.channels = 3}, 255);
    parse("resize(128,bicubic)");
    fov_sheet_options o = usual();
    o.pictures = 100;
    fov_sheet sheet;
    make(&sheet, &o);
    assert_int_equal(sheet.rows, PICTURES);
    assert_int_equal(sheet.zoom, 1);
    const uint8_t *colour = pixel(&sheet, sheet.left[0] - 1, sheet.top[0] - 1), *paper = pixel(&sheet, 0, 0);
    for (size_t row = 0; row < sheet.rows; row++) {
        const size_t middle = sheet.top[0] + row * sheet.row_step + 64;
        size_t first = 0, last = 0, width, height;
        for (size_t x = 0; x < sheet.left[0] - 2; x++) {
            const bool framed = memcmp(pixel(&sheet, x, middle), colour, 3) == 0;
            first = framed && first == 0 ? x : first;
            last = framed ? x : last;
        }
        fov_index_size(pictures, sheet.sample[row], &width, &height);
        assert_in_range(last - first + 1, 128 * height / width - 2, 128 * height / width + 2); /* the central square */
        size_t lines = 0;
        for (size_t y = row * sheet.row_step; y < (row + 1) * sheet.row_step; y++) {
            lines += memcmp(pixel(&sheet, sheet.left[0] / 2, y), paper, 3) != 0;
        }
        assert_in_range(lines, 128 * height / width - 1, 128 * height / width + 1);
    }
    fov_sheet_clear(&sheet);
}

/* All of the view's samples as the sheet should show them: planes `plane[0..2]`, scaled. */
static void check_kind(fov_pixel_format format, unsigned most, const size_t plane[3]) {
    make_pictures(format, most);
    parse("crop(64,1,1,bilinear,1,1) | crop(64,0.3,1,bilinear) flip(0.5)");
    fov_sheet_options o = usual();
    o.decode.format = format;
    fov_sheet sheet;
    make(&sheet, &o);
    const fov_batch *batch;
    fov_loader *loader = load_epoch(&o, o.epoch, &batch);
    uint8_t brightest = 0;
    for (size_t v = 0; v < 2; v++) {
        for (size_t i = 0; i < (size_t)64 * 64; i++) {
            const uint8_t *shown = pixel(&sheet, sheet.left[v] + i % 64 * 2, sheet.top[v] + i / 64 * 2);
            for (size_t c = 0; c < 3; c++) {
                const size_t at = i * format.channels + plane[c];
                const double want = format.deep ? ((const uint16_t *)(const void *)batch->view[v])[at] * 255.0 / most : batch->view[v][at];
                assert_true(shown[c] - want <= 0.51 && want - shown[c] <= 0.51);
                brightest = shown[c] > brightest ? shown[c] : brightest;
            }
        }
    }
    assert_true(brightest > 200);
    fov_loader_give_back(loader, batch);
    fov_loader_free(loader);
    fov_sheet_clear(&sheet);
    (void)nftw(in_top("data"), remove_one, 16, FTW_DEPTH | FTW_PHYS);
    fov_index_free(pictures);
    pictures = NULL;
}

static void test_other_formats(void **state) {
    (void)state;
    static const size_t first[3] = {0, 0, 0}, three[3] = {0, 1, 2};
    check_kind((fov_pixel_format){.channels = 1}, 255, first);
    check_kind((fov_pixel_format){.channels = 2}, 255, first);
    check_kind((fov_pixel_format){.channels = 4}, 255, three);
    check_kind((fov_pixel_format){.channels = 1, .deep = true}, 3000, first);
    check_kind((fov_pixel_format){.channels = 3, .deep = true}, 65535, three);
    check_kind((fov_pixel_format){.channels = 4, .deep = true}, 9, three);
}

static void test_too_large(void **state) {
    (void)state;
    make_pictures((fov_pixel_format){.channels = 3}, 255);
    parse("crop(2048,0.3,1,bicubic) | crop(2048,0.3,1,bicubic)");
    fov_sheet_options o = usual();
    o.draws = 5;
    fov_sheet sheet;
    assert_int_equal(fov_sheet_make(&sheet, pictures, &o), FOV_E_LIMIT);
    assert_non_null(strstr(fov_last_error(), "4 pictures with 5 x 2 views of up to 2048 px would have 226"));
    assert_non_null(strstr(fov_last_error(), "show fewer pictures, samples or smaller views"));
    fov_sheet_clear(&sheet);
    o.draws = SIZE_MAX / 2;
    assert_int_equal(fov_sheet_make(&sheet, pictures, &o), FOV_E_LIMIT);
    fov_sheet_clear(&sheet);
    o.draws = 1;
    o.pictures = 1;
    make(&sheet, &o);
    fov_sheet_clear(&sheet);
    /* few pixels, but no decoder takes such a width */
    parse("2 * crop(8)");
    o.draws = 150;
    assert_int_equal(fov_sheet_make(&sheet, pictures, &o), FOV_E_LIMIT);
    fov_sheet_clear(&sheet);
}

static void test_files(void **state) {
    (void)state;
    make_pictures((fov_pixel_format){.channels = 3}, 255);
    parse("crop(32,0.3,1,bicubic)");
    const fov_sheet_options o = usual();
    fov_sheet sheet;
    make(&sheet, &o);
    static const char *const names[] = {"s.png", "s.jpg", "s.jpeg"};
    static const fov_image_kind kinds[] = {FOV_IMAGE_PNG, FOV_IMAGE_JPEG, FOV_IMAGE_JPEG};
    fov_decoder *decoder;
    assert_int_equal(fov_decoder_new(&decoder), FOV_OK);
    for (size_t k = 0; k < 3; k++) {
        fov_blob blob;
        fov_image image;
        fov_image_init(&image);
        assert_int_equal(fov_sheet_write(&sheet, in_top(names[k])), FOV_OK);
        assert_int_equal(fov_io_read(in_top(names[k]), 1 << 24, 0, &blob), FOV_OK);
        assert_int_equal(fov_image_sniff(blob.data, blob.size), kinds[k]);
        assert_int_equal(fov_image_decode(decoder, blob.data, blob.size, NULL, &image), FOV_OK);
        assert_true(image.width == sheet.width && image.height == sheet.height);
        if (k == 0) {
            assert_memory_equal(image.pixels, sheet.pixels, sheet.width * sheet.height * 3);
        }
        fov_image_clear(&image);
        fov_blob_clear(&blob);
    }
    fov_decoder_free(decoder);
    assert_int_equal(fov_sheet_write(&sheet, in_top("absent/s.png")), FOV_E_NOTFOUND);
    fov_sheet_clear(&sheet);
}

static void test_lost_picture(void **state) {
    (void)state;
    make_pictures((fov_pixel_format){.channels = 3}, 255);
    parse("crop(32,0.3,1,bicubic)");
    fov_sheet_options o = usual();
    o.pictures = PICTURES;
    assert_int_equal(fov_io_write_atomic(in_top("data/5.png"), "gone bad", 8), FOV_OK);
    fov_sheet sheet;
    assert_int_not_equal(fov_sheet_make(&sheet, pictures, &o), FOV_OK);
    assert_non_null(strstr(fov_last_error(), "5.png"));
    fov_sheet_clear(&sheet);
}

static void test_out_of_memory(void **state) {
    (void)state;
    make_pictures((fov_pixel_format){.channels = 3}, 255);
    parse("crop(32,0.3,1,bicubic) jitter(1,0.4,0.4,0.2,0.1) | crop(12,0.3,1,bilinear) blur(1,0.1,2)");
    const fov_sheet_options o = usual();
    const size_t before = fov_mem_stats_all().live_blocks;
    fov_status status = FOV_E_NOMEM;
    uint64_t n = 1;
    for (; status == FOV_E_NOMEM && n < 1000; n++) {
        fov_sheet sheet;
        fov_mem_fail_at(n, false);
        status = fov_sheet_make(&sheet, pictures, &o);
        fov_mem_fail_at(0, false);
        fov_sheet_clear(&sheet);
        assert_int_equal(fov_mem_stats_all().live_blocks, before);
    }
    assert_int_equal(status, FOV_OK);
    assert_true(n > 12);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_views_are_the_loaders, setup, teardown),
        cmocka_unit_test_setup_teardown(test_whole_picture, setup, teardown),
        cmocka_unit_test_setup_teardown(test_other_formats, setup, teardown),
        cmocka_unit_test_setup_teardown(test_too_large, setup, teardown),
        cmocka_unit_test_setup_teardown(test_files, setup, teardown),
        cmocka_unit_test_setup_teardown(test_lost_picture, setup, teardown),
        cmocka_unit_test_setup_teardown(test_out_of_memory, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
