/* Large pictures in strips: JPEG, PNG and TIFF files of every orientation, in every format and part, give the strips of what they give as a
 * whole; views and preprocessing made of strips are those made of the whole; damage is judged alike, memory and takers may fail, and where
 * decoding begins again so do the strips. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "augment/codec.h"
#include "augment/exif.h"
#include "augment/pixels.h"
#include "augment/recipe.h"
#include "folder_case.h"
#include "strip_case.h"
#include "tiff_case.h"

/* What a case works with. */
typedef struct tools {
    fov_decoder *decoder;
    fov_augmenter *augmenter;
    fov_image image;
    strip_case c;
} tools;

static int take_tools(void **state) {
    static tools t;
    t = (tools){0};
    fov_image_init(&t.image);
    assert_int_equal(fov_decoder_new(&t.decoder), FOV_OK);
    assert_int_equal(fov_augmenter_new(&t.augmenter), FOV_OK);
    *state = &t;
    return 0;
}

static int put_tools(void **state) {
    tools *t = *state;
    free(t->c.rows);
    fov_image_clear(&t->image);
    fov_augmenter_free(t->augmenter);
    fov_decoder_free(t->decoder);
    return fov_mem_stats_all().live_blocks == 0 ? 0 : -1;
}

static size_t below(fov_rng *rng, size_t bound) {
    return (size_t)fov_rng_below(rng, bound);
}

typedef struct picture_file {
    uint8_t *bytes;
    size_t size;
} picture_file;

static void splice(picture_file *file, size_t at, const uint8_t *bytes, size_t count) {
    file->bytes = realloc(file->bytes, file->size + count);
    assert_non_null(file->bytes);
    memmove(file->bytes + at + count, file->bytes + at, file->size - at);
    memcpy(file->bytes + at, bytes, count);
    file->size += count;
}

static const uint8_t tiff[] = {'I', 'I', 42, 0, 8, 0, 0, 0, 1, 0, 0x12, 1, 3, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0};

static void turn_jpeg(picture_file *file, unsigned orientation) {
    uint8_t block[10 + sizeof tiff] = {0xFF, 0xE1, 0, 8 + sizeof tiff, 'E', 'x', 'i', 'f'};
    memcpy(block + 10, tiff, sizeof tiff);
    block[10 + 18] = (uint8_t)orientation;
    splice(file, 2, block, sizeof block);
}

static void turn_png(picture_file *file, unsigned orientation) {
    uint8_t chunk[12 + sizeof tiff] = {0, 0, 0, sizeof tiff, 'e', 'X', 'I', 'f'};
    memcpy(chunk + 8, tiff, sizeof tiff);
    chunk[8 + 18] = (uint8_t)orientation;
    const uint32_t crc = fov_png_crc(chunk + 4, 4 + sizeof tiff);
    for (unsigned k = 0; k < 4; k++) {
        chunk[8 + sizeof tiff + k] = (uint8_t)(crc >> (24 - 8 * k));
    }
    splice(file, 33, chunk, sizeof chunk);
}

/* Waves with noise; the bytes of a PNG are not compressible as a whole, those of a JPEG have all kinds of blocks. */
static uint8_t *waves(fov_rng *rng, size_t width, size_t height, size_t pixel) {
    uint8_t *pixels = malloc(width * height * pixel);
    assert_non_null(pixels);
    const size_t noise = 1 + below(rng, 60);
    for (size_t i = 0; i < width * height * pixel; i++) {
        pixels[i] = (uint8_t)(i / pixel % width * 3 + i / pixel / width * 2 + i % pixel * 40 + below(rng, noise));
    }
    return pixels;
}

typedef enum file_kind { PNG_FILE, JPEG_FILE, TIFF_FILE, FILE_KINDS } file_kind;

static picture_file make_tiff(fov_rng *rng, const uint8_t *pixels, fov_pixel_format format, size_t width, size_t height,
                              unsigned orientation) {
    picture_file file = {0};
    tiff_case t = {.pixels = pixels, .width = width, .height = height, .planes = format.channels, .orientation = orientation};
    t.bits = format.deep ? 16 : 8;
    t.big = below(rng, 2) == 0;
    t.separate = format.channels > 1 && below(rng, 3) == 0;
    t.block_width = below(rng, 2) == 0 ? 0 : 16 * (1 + below(rng, 4));
    t.block_height = t.block_width > 0 ? 16 * (1 + below(rng, 6)) : below(rng, 3) == 0 ? height : 1 + below(rng, height);
    file.bytes = tiff_make(&t, &file.size);
    assert_non_null(file.bytes);
    return file;
}

static picture_file make_file(fov_rng *rng, file_kind kind, fov_pixel_format format, size_t width, size_t height, unsigned orientation) {
    char path[500];
    fov_blob blob = {0};
    uint8_t *pixels = waves(rng, width, height, fov_pixel_bytes(format));
    if (kind == TIFF_FILE) {
        const picture_file file = make_tiff(rng, pixels, format, width, height, orientation);
        free(pixels);
        return file;
    }
    if (kind == JPEG_FILE) {
        assert_int_equal(fov_image_encode_jpeg(pixels, width, height, format.channels, 85, &blob), FOV_OK);
    } else {
        (void)snprintf(path, sizeof path, "%s/strip.png", folder);
        assert_int_equal(fov_image_write_png(path, pixels, width, height, format), FOV_OK);
        assert_int_equal(fov_io_read(path, (size_t)1 << 30, 0, &blob), FOV_OK);
    }
    picture_file file = {.bytes = malloc(blob.size), .size = blob.size};
    assert_non_null(file.bytes);
    memcpy(file.bytes, blob.data, blob.size);
    kind == JPEG_FILE ? turn_jpeg(&file, orientation) : turn_png(&file, orientation);
    fov_blob_clear(&blob);
    free(pixels);
    return file;
}

/* A kind that this build reads and that can have such pixels. */
static file_kind choose_kind(fov_rng *rng, fov_pixel_format format) {
    for (;;) {
        const file_kind kind = (file_kind)below(rng, FILE_KINDS);
        const bool colours = format.channels == 1 || format.channels == 3;
#ifndef FOV_HAVE_TIFF
        if (kind == TIFF_FILE) {
            continue;
        }
#endif
        if (kind != JPEG_FILE || (colours && !format.deep)) {
            return kind;
        }
    }
}

static fov_status read_whole(fov_decoder *decoder, const picture_file *file, const fov_decode_options *options, const fov_decode_part *part,
                             fov_image *image) {
    fov_image_info info;
    const fov_status status = fov_decoder_open(decoder, file->bytes, file->size, options, &info);
    return status == FOV_OK ? fov_decoder_read(decoder, part, image) : status;
}

static void choose_range(fov_rng *rng, size_t n, size_t *start, size_t *length) {
    *start = below(rng, 3) == 0 ? 0 : below(rng, n);
    *length = below(rng, 3) == 0 ? n - *start : 1 + below(rng, n - *start);
}

/* Whether its rows are of planes or not. */
static void assert_same_samples(const fov_image *planes, const fov_image *image) {
    const size_t width = image->width, channels = image->channels, row = width * channels, sample = image->deep ? 2 : 1;
    assert_true(planes->width == width && planes->height == image->height && planes->channels == channels);
    for (size_t i = 0; i < row * image->height; i++) {
        const size_t at = i % row, from = planes->planar ? i - at + at % channels * width + at / channels : i;
        assert_memory_equal(image->pixels + i * sample, planes->pixels + from * sample, sample);
    }
}

/* Of a few hundred pictures, each whole and in three parts. */
static void test_strips_are_the_whole(void **state) {
    tools *t = *state;
    static const fov_pixel_format formats[] = {{3, false}, {3, false}, {1, false}, {3, true}, {2, true}, {4, false}};
    strip_case *c = &t->c;
    size_t many = 0, one = 0;
    fov_image planes;
    fov_image_init(&planes);
    for (uint64_t i = 0; i < 240; i++) {
        fov_rng rng;
        fov_rng_init(&rng, 90, 0, i, 0, FOV_RNG_TEST);
        const unsigned orientation = 1 + (unsigned)(i % 8);
        const fov_pixel_format in_file = formats[i / 8 % 6];
        const file_kind kind = choose_kind(&rng, in_file);
        const size_t width = 1 + below(&rng, 150), height = 1 + below(&rng, 6 * FOV_STRIP_ROWS);
        picture_file file = make_file(&rng, kind, in_file, width, height, orientation);
        fov_decode_options options = {.format = in_file, .keep_orientation = below(&rng, 4) == 0};
        options.format.deep ^= below(&rng, 4) == 0;
        const bool shown = options.keep_orientation || orientation < 5, rows = shown || !options.format.deep;
        for (unsigned k = 0; k < 4; k++) {
            fov_decode_part part = {.shrink = 1u << below(&rng, 4)};
            if (k > 0) {
                choose_range(&rng, shown ? width : height, &part.left, &part.width);
                choose_range(&rng, shown ? height : width, &part.top, &part.height);
            }
            assert_int_equal(read_whole(t->decoder, &file, &options, &part, &t->image), FOV_OK);
            c->spare = (size_t[]){0, 1, 64, 9999}[below(&rng, 4)];
            assert_int_equal(strip_read(c, t->decoder, file.bytes, file.size, &options, &part, &t->image), FOV_OK);
            if (c->wrong) {
                fail_msg("picture %d, orientation %u, part %u: the strips do not make it", (int)i, orientation, k);
            }
            part.planar = true;
            assert_int_equal(read_whole(t->decoder, &file, &options, &part, &planes), FOV_OK);
            assert_same_samples(&planes, &t->image);
            many += c->strips > 2;
            one += c->strips == 1;
            assert_int_equal(c->sideways, !shown && rows);
            const size_t down = c->sideways ? t->image.width : t->image.height;
            assert_true(!rows || c->strips == 1 || down > FOV_STRIP_ROWS);
            assert_true(!rows || c->strips > 1 || down <= FOV_STRIP_ROWS + FOV_STRIP_OVERLAP);
        }
        free(file.bytes);
    }
    fov_image_clear(&planes);
    assert_true(many > 100 && one > 100);
}

/* The rows that we read of a TIFF are those that its writer put there. */
static void test_tiff_is_png(void **state) {
#ifndef FOV_HAVE_TIFF
    (void)state;
    skip();
#else
    tools *t = *state;
    static const fov_pixel_format formats[] = {{3, false}, {1, false}, {3, true}, {2, true}, {4, false}};
    fov_image other;
    fov_image_init(&other);
    for (uint64_t i = 0; i < 60; i++) {
        fov_rng rng, again;
        const fov_decode_options options = {.format = formats[i % 5]};
        fov_rng_init(&rng, 98, 0, i, 0, FOV_RNG_TEST);
        const size_t width = 1 + below(&rng, 150), height = 1 + below(&rng, 400);
        again = rng;
        picture_file tif = make_file(&rng, TIFF_FILE, options.format, width, height, 1 + (unsigned)(i % 8));
        picture_file png = make_file(&again, PNG_FILE, options.format, width, height, 1 + (unsigned)(i % 8));
        assert_int_equal(read_whole(t->decoder, &tif, &options, NULL, &t->image), FOV_OK);
        assert_int_equal(read_whole(t->decoder, &png, &options, NULL, &other), FOV_OK);
        assert_int_equal(t->image.width, other.width);
        assert_memory_equal(t->image.pixels, other.pixels, width * height * fov_pixel_bytes(options.format));
        free(tif.bytes);
        free(png.bytes);
    }
    fov_image_clear(&other);
#endif
}

/* A strip that says it has fewer bytes than its rows need is damaged, also where the file goes on behind them; so is one that the file ends
 * in. Of the rows above it a part is whole. */
static void test_short_tiff(void **state) {
#ifndef FOV_HAVE_TIFF
    (void)state;
    skip();
#else
    tools *t = *state;
    enum { SIDE = 40, ROWS = 10, SIZES = 8 + 2 + 12 * 11 + 4 + 4 * (SIDE / ROWS) }; /* tiff_case.h: the table of sizes */
    static uint8_t pixels[SIDE * SIDE];
    const tiff_case c = {.pixels = pixels, .width = SIDE, .height = SIDE, .planes = 1, .bits = 8, .orientation = 1, .block_height = ROWS};
    const fov_decode_options options = {.format = {.channels = 1}};
    const fov_decode_part above = {.width = SIDE, .height = ROWS, .shrink = 1};
    for (unsigned k = 0; k < 2; k++) {
        picture_file file = {0};
        file.bytes = tiff_make(&c, &file.size);
        assert_non_null(file.bytes);
        if (k == 0) {
            assert_int_equal(file.bytes[SIZES + 8] | file.bytes[SIZES + 9] << 8, SIDE * ROWS);
            file.bytes[SIZES + 8]--; /* of the third strip: libtiff mends it where the first two differ */
        } else {
            file.size--;
        }
        assert_int_equal(read_whole(t->decoder, &file, &options, NULL, &t->image), FOV_E_FORMAT);
        assert_int_equal(read_whole(t->decoder, &file, &options, &above, &t->image), FOV_OK);
        free(file.bytes);
    }
#endif
}

/* ---- views ---- */

typedef struct view_taker {
    fov_augmenter *augmenter;
    const fov_recipe *recipe;         /* views, or */
    const fov_preprocess *preprocess; /* this */
    uint8_t **outputs;
    size_t strips;
} view_taker;

static fov_status take_views(void *context, const fov_strip *strip) {
    view_taker *t = context;
    t->strips++;
    return t->recipe != NULL ? fov_views_strip(t->augmenter, t->recipe, strip, t->outputs)
                             : fov_preprocess_strip(t->augmenter, t->preprocess, strip, t->outputs[0]);
}

/* Views of a file, of its whole picture (`expected`) and by strips of the part that they need (`outputs`). */
static size_t make_views(fov_decoder *decoder, fov_augmenter *augmenter, const fov_recipe *recipe, const picture_file *file,
                         const fov_decode_options *options, uint64_t sample, uint8_t **expected, uint8_t **outputs) {
    fov_image image;
    fov_image_info info;
    fov_decode_part part;
    view_taker t = {.augmenter = augmenter, .recipe = recipe, .outputs = outputs};
    fov_image_init(&image);
    assert_int_equal(fov_decoder_open(decoder, file->bytes, file->size, options, &info), FOV_OK);
    fov_views_draw(augmenter, recipe, info.width, info.height, 5, 6, sample);
    fov_views_part(augmenter, recipe, sample % 2 == 0, &part);
    assert_int_equal(fov_decoder_read(decoder, &part, &image), FOV_OK);
    assert_int_equal(fov_views_apply(augmenter, recipe, &image, expected), FOV_OK);
    assert_int_equal(fov_decoder_open(decoder, file->bytes, file->size, options, &info), FOV_OK);
    assert_int_equal(fov_decoder_read_strips(decoder, &part, take_views, &t), FOV_OK);
    assert_int_equal(fov_views_finish(augmenter, recipe, options->format, outputs), FOV_OK);
    fov_image_clear(&image);
    return t.strips;
}

static void test_views(void **state) {
    tools *t = *state;
    static const char *const recipes[] = {"simclr", "dino", "orientation_free", "resize(24) flip(0.5) | crop(40,0.5,1,bicubic) vflip(1)"};
    static uint8_t memory[2][FOV_MAX_VIEWS][48 * 48 * 6];
    uint8_t *views[2][FOV_MAX_VIEWS];
    size_t strips = 0;
    for (size_t v = 0; v < FOV_MAX_VIEWS; v++) {
        views[0][v] = memory[0][v];
        views[1][v] = memory[1][v];
    }
    for (uint64_t i = 0; i < 64; i++) {
        static const fov_pixel_format formats[] = {{3, false}, {3, false}, {3, true}, {1, false}};
        fov_recipe recipe;
        fov_rng rng;
        fov_text dropped;
        fov_rng_init(&rng, 91, 0, i, 0, FOV_RNG_TEST);
        const fov_decode_options options = {.format = formats[i / 16]};
        picture_file file = make_file(&rng, choose_kind(&rng, options.format), options.format, 60 + below(&rng, 500), 60 + below(&rng, 500),
                                      1 + (unsigned)(i % 8));
        assert_int_equal(fov_recipe_read(recipes[i % 4], 48, &recipe), FOV_OK);
        fov_text_init(&dropped);
        fov_recipe_fit(&recipe, options.format, &dropped);
        fov_text_clear(&dropped);
        memset(memory, (int)i, sizeof memory[0]);
        memset(memory[1], (int)i + 1, sizeof memory[1]);
        strips += make_views(t->decoder, t->augmenter, &recipe, &file, &options, i, views[0], views[1]);
        for (size_t v = 0; v < recipe.view_count; v++) {
            const size_t side = recipe.view[v].image_size;
            assert_memory_equal(views[0][v], views[1][v], side * side * fov_pixel_bytes(options.format));
        }
        free(file.bytes);
    }
    assert_true(strips > 150);
}

static void test_preprocess(void **state) {
    tools *t = *state;
    static uint8_t expected[32 * 32 * 3], out[32 * 32 * 3];
    uint8_t *outputs[1] = {out};
    for (unsigned orientation = 1; orientation <= 8; orientation++) {
        fov_rng rng;
        fov_image_info info;
        fov_preprocess preprocess;
        fov_preprocess_default(32, &preprocess);
        preprocess.resize = 37;
        fov_rng_init(&rng, 92, 0, orientation, 0, FOV_RNG_TEST);
        picture_file file =
            make_file(&rng, choose_kind(&rng, (fov_pixel_format){3, false}), (fov_pixel_format){3, false}, 222, 333, orientation);
        view_taker taker = {.augmenter = t->augmenter, .preprocess = &preprocess, .outputs = outputs};
        assert_int_equal(fov_image_decode(t->decoder, file.bytes, file.size, NULL, &t->image), FOV_OK);
        assert_int_equal(fov_preprocess_apply(t->augmenter, &preprocess, &t->image, expected), FOV_OK);
        assert_int_equal(fov_decoder_open(t->decoder, file.bytes, file.size, NULL, &info), FOV_OK);
        assert_int_equal(fov_decoder_read_strips(t->decoder, NULL, take_views, &taker), FOV_OK);
        assert_memory_equal(out, expected, sizeof out);
        free(file.bytes);
    }
}

/* ---- failures ---- */

/* Files cut or changed anywhere: the same verdict, and the same words. */
static void test_damage(void **state) {
    tools *t = *state;
    strip_case *c = &t->c;
    size_t bad = 0;
    for (uint64_t i = 0; i < 200; i++) {
        fov_rng rng;
        char said[256];
        fov_rng_init(&rng, 93, 0, i, 0, FOV_RNG_TEST);
        const fov_decode_options options = {.lenient = i % 5 == 4};
        picture_file file =
            make_file(&rng, i % 2 == 0 ? JPEG_FILE : PNG_FILE, (fov_pixel_format){3, false}, 90, 300, 1 + (unsigned)(i / 2 % 4));
        const size_t at = file.size / 3 + below(&rng, file.size - file.size / 3);
        if (i % 4 < 2) {
            file.size = at;
        } else {
            file.bytes[at] ^= (uint8_t)(1 + below(&rng, 255));
        }
        const fov_status status = read_whole(t->decoder, &file, &options, NULL, &t->image);
        (void)snprintf(said, sizeof said, "%s", status == FOV_OK ? "" : fov_last_error());
        const fov_image nothing = {0};
        c->spare = (size_t[]){0, 1, 64, 9999}[below(&rng, 4)];
        assert_int_equal(strip_read(c, t->decoder, file.bytes, file.size, &options, NULL, status == FOV_OK ? &t->image : &nothing), status);
        assert_true(status != FOV_OK || !c->wrong);
        if (status != FOV_OK) {
            assert_string_equal(fov_last_error(), said);
            bad++;
        }
        free(file.bytes);
    }
    assert_true(bad > 80 && bad < 190);
}

/* Bytes between the last code and the end are harmless to libjpeg and unknown to the fast decoder, which finds them after the last row. */
static void test_begins_again(void **state) {
    tools *t = *state;
    strip_case *c = &t->c;
    fov_rng rng;
    fov_rng_init(&rng, 94, 0, 0, 0, FOV_RNG_TEST);
    picture_file file = make_file(&rng, JPEG_FILE, (fov_pixel_format){3, false}, 100, 300, 3);
    static const uint8_t stray[] = {1, 2, 3, 4};
    splice(&file, file.size - 2, stray, sizeof stray);
    assert_int_equal(read_whole(t->decoder, &file, NULL, NULL, &t->image), FOV_OK);
    assert_int_equal(strip_read(c, t->decoder, file.bytes, file.size, NULL, NULL, &t->image), FOV_OK);
    assert_false(c->wrong);
    c->spare = 500;
    const size_t begun = c->begun;
    assert_int_equal(strip_read(c, t->decoder, file.bytes, file.size, NULL, NULL, &t->image), FOV_OK);
    assert_false(c->wrong);
    if (fov_pixel_loops_get()->jpeg) {
        assert_int_equal(begun, 2);
        assert_int_equal(c->begun, 2);
    }
    free(file.bytes);
}

/* What the taker says ends the reading, whichever strip it says it to; the decoder goes on. */
static void test_takers_fail(void **state) {
    tools *t = *state;
    strip_case *c = &t->c;
    for (size_t i = 0; i < 16; i++) {
        fov_rng rng;
        fov_rng_init(&rng, 95, 0, i, 0, FOV_RNG_TEST);
        picture_file file = make_file(&rng,
                                      i < 8    ? JPEG_FILE
                                      : i < 12 ? PNG_FILE
                                               : choose_kind(&rng, (fov_pixel_format){3, false}),
                                      (fov_pixel_format){3, false}, 50, 5 * FOV_STRIP_ROWS, i % 2 == 0 ? 1 : 4);
        const fov_decode_options options = {.format = {.channels = 3, .deep = i % 4 > 1}}; /* libjpeg, where it is a JPEG */
        assert_int_equal(read_whole(t->decoder, &file, &options, NULL, &t->image), FOV_OK);
        c->answer = i % 3 == 0 ? FOV_E_NOMEM : FOV_E_DATA;
        for (c->answer_at = 0; c->answer_at < 5; c->answer_at++) {
            assert_int_equal(strip_read(c, t->decoder, file.bytes, file.size, &options, NULL, &t->image), c->answer);
            assert_int_equal(c->strips, c->answer_at + 1);
            assert_string_equal(fov_last_error(), "enough strips");
        }
        c->answer = FOV_OK;
        assert_int_equal(strip_read(c, t->decoder, file.bytes, file.size, &options, NULL, &t->image), FOV_OK);
        assert_false(c->wrong);
        free(file.bytes);
    }
}

/* A piece of the file that does not come, whichever: what its source says comes through, and the decoder goes on. */
static void test_pieces_fail(void **state) {
    tools *t = *state;
    strip_case *c = &t->c;
    c->spare = 2000;
    for (size_t i = 0; i < 12; i++) {
        fov_rng rng;
        fov_rng_init(&rng, 97, 0, i, 0, FOV_RNG_TEST);
        const file_kind kind = i < 4 ? JPEG_FILE : i < 6 ? PNG_FILE : choose_kind(&rng, (fov_pixel_format){3, false});
        picture_file file = make_file(&rng, kind, (fov_pixel_format){3, false}, 70, 120, 1 + (unsigned)i % 8);
        const fov_decode_options options = {.format = {.channels = 3, .deep = i % 2 == 1}, .lenient = i % 8 == 3};
        assert_int_equal(read_whole(t->decoder, &file, &options, NULL, &t->image), FOV_OK);
        c->fail_at = 0;
        assert_int_equal(strip_read(c, t->decoder, file.bytes, file.size, &options, NULL, &t->image), FOV_OK);
        assert_false(c->wrong);
        const size_t calls = c->calls;
        assert_true(calls > 3);
        for (c->fail_at = 1; c->fail_at <= calls; c->fail_at++) {
            assert_int_equal(strip_read(c, t->decoder, file.bytes, file.size, &options, NULL, &t->image), FOV_E_IO);
            assert_string_equal(fov_last_error(), "a piece that does not come");
        }
        free(file.bytes);
    }
}

/* Memory runs out at each allocation in turn: FOV_E_NOMEM or the right views, and nothing is lost. */
static void test_out_of_memory(void **state) {
    (void)state;
    static uint8_t memory[2][2][20 * 20 * 3];
    uint8_t *expected[2] = {memory[0][0], memory[0][1]}, *outputs[2] = {memory[1][0], memory[1][1]};
    fov_recipe recipe;
    assert_int_equal(fov_recipe_read("2 * crop(20,0.5,1) flip(0.5) gray(1)", 20, &recipe), FOV_OK);
    const fov_decode_options options = {.format = {.channels = 3}};
    for (unsigned k = 0; k < 2; k++) {
        fov_rng rng;
        fov_rng_init(&rng, 96, 0, k, 0, FOV_RNG_TEST);
        picture_file file = make_file(&rng, k == 0 ? JPEG_FILE : PNG_FILE, options.format, 120, 220, 4);
        bool failed = true;
        for (uint64_t n = 1; failed; n++) {
            fov_decoder *decoder = NULL;
            fov_augmenter *augmenter = NULL;
            fov_image_info info;
            fov_decode_part part;
            view_taker t = {.recipe = &recipe, .outputs = outputs};
            assert_true(n < 200);
            assert_int_equal(fov_decoder_new(&decoder), FOV_OK);
            assert_int_equal(fov_augmenter_new(&augmenter), FOV_OK);
            t.augmenter = augmenter;
            fov_mem_fail_at(n, 0);
            fov_status status = fov_decoder_open(decoder, file.bytes, file.size, &options, &info);
            if (status == FOV_OK) {
                fov_views_draw(augmenter, &recipe, info.width, info.height, 5, 6, 1);
                fov_views_part(augmenter, &recipe, false, &part);
                status = fov_decoder_read_strips(decoder, &part, take_views, &t);
            }
            if (status == FOV_OK) {
                status = fov_views_finish(augmenter, &recipe, options.format, outputs);
            }
            fov_mem_fail_at(0, 0);
            failed = status != FOV_OK;
            assert_true(!failed || status == FOV_E_NOMEM);
            (void)make_views(decoder, augmenter, &recipe, &file, &options, 1, expected, outputs); /* all still works */
            assert_memory_equal(memory[0], memory[1], sizeof memory[0]);
            fov_augmenter_free(augmenter);
            fov_decoder_free(decoder);
        }
        free(file.bytes);
    }
    assert_int_equal(fov_mem_stats_all().live_blocks, 0);
}

int main(void) {
#define CASE(test) cmocka_unit_test_setup_teardown(test, take_tools, put_tools)
    const struct CMUnitTest tests[] = {
        CASE(test_strips_are_the_whole), CASE(test_tiff_is_png),
        CASE(test_short_tiff),           CASE(test_views),
        CASE(test_preprocess),           CASE(test_damage),
        CASE(test_begins_again),         CASE(test_takers_fail),
        CASE(test_pieces_fail),          cmocka_unit_test(test_out_of_memory),
    };
#undef CASE
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
