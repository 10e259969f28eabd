/* Differential sweep of decoding parts: JPEG files of every sampling, coding, size and orientation are made, parts of them decoded at
 * every shrink, in strips too, and compared with what plain libjpeg gives of the whole picture at that shrink. For test_decode_parts.c and
 * test_decode_sweep.c. */
#ifndef FOV_TESTS_DECODE_SWEEP_H
#define FOV_TESTS_DECODE_SWEEP_H

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>

#include <jpeglib.h>

#include <cmocka.h>

#include "augment/image.h"
#include "strip_case.h"

/* Factors of the first component and of the second and third; grey has one. */
typedef struct sweep_sampling {
    const char *name;
    int components, luma[2], chroma[2];
} sweep_sampling;

static const sweep_sampling sweep_samplings[] = {
    {"444", 3, {1, 1}, {1, 1}},      {"422", 3, {2, 1}, {1, 1}},        {"440", 3, {1, 2}, {1, 1}},
    {"420", 3, {2, 2}, {1, 1}},      {"411", 3, {4, 1}, {1, 1}},        {"gray", 1, {1, 1}, {1, 1}},
    {"gray 2x2", 1, {2, 2}, {1, 1}}, {"444 of 2x1", 3, {2, 1}, {2, 1}}, {"chroma 2x2", 3, {1, 1}, {2, 2}}};
enum { SWEEP_SAMPLINGS = sizeof sweep_samplings / sizeof sweep_samplings[0], SWEEP_CODINGS = 3, SWEEP_RESTARTS = 3, SWEEP_SHRINKS = 4 };

typedef struct sweep {
    uint64_t random;
    fov_decoder *decoder; /* the same for all */
    fov_image part, turned;
    strip_case strips;
    size_t cases, wrong;
} sweep;

typedef struct sweep_picture {
    const sweep_sampling *sampling;
    int coding; /* 0 baseline, 1 progressive, 2 baseline with a scan for each component */
    int restart;
    unsigned orientation;
    size_t width, height;
    unsigned char *file;
    unsigned long size;
} sweep_picture;

static size_t sweep_below(sweep *s, size_t n) {
    s->random ^= s->random << 13;
    s->random ^= s->random >> 7;
    s->random ^= s->random << 17;
    return (size_t)((s->random >> 11) % n);
}

static void sweep_write_orientation(struct jpeg_compress_struct *info, unsigned orientation) {
    unsigned char block[] = {'E',  'x', 'i', 'f', 0, 0, 'I', 'I', 42, 0, 8, 0, 0, 0, 1, 0,
                             0x12, 1,   3,   0,   1, 0, 0,   0,   0,  0, 0, 0, 0, 0, 0, 0};
    block[24] = (unsigned char)orientation;
    jpeg_write_marker(info, JPEG_APP0 + 1, block, sizeof block);
}

/* Waves with noise, of a strength that also has pictures of a few bytes. */
static void sweep_write_rows(sweep *s, struct jpeg_compress_struct *info) {
    const size_t n = (size_t)info->input_components, noise = 1 + sweep_below(s, 120), slope = 1 + sweep_below(s, 9);
    unsigned char row[512 * 3];
    while (info->next_scanline < info->image_height) {
        for (size_t i = 0; i < info->image_width * n; i++) {
            row[i] = (unsigned char)(info->next_scanline * slope + i * (3 + i % n) + sweep_below(s, noise));
        }
        JSAMPROW at = row;
        (void)jpeg_write_scanlines(info, &at, 1);
    }
}

static void sweep_encode(sweep *s, sweep_picture *p) {
    struct jpeg_compress_struct info;
    struct jpeg_error_mgr errors;
    jpeg_scan_info scans[3];
    info.err = jpeg_std_error(&errors);
    jpeg_create_compress(&info);
    p->file = NULL;
    jpeg_mem_dest(&info, &p->file, &p->size);
    info.image_width = (JDIMENSION)p->width;
    info.image_height = (JDIMENSION)p->height;
    info.input_components = p->sampling->components;
    info.in_color_space = p->sampling->components == 1 ? JCS_GRAYSCALE : JCS_RGB;
    jpeg_set_defaults(&info);
    jpeg_set_quality(&info, 30 + (int)sweep_below(s, 70), TRUE);
    for (int c = 0; c < info.num_components; c++) {
        const int *const factors = c == 0 ? p->sampling->luma : p->sampling->chroma;
        info.comp_info[c].h_samp_factor = factors[0];
        info.comp_info[c].v_samp_factor = factors[1];
        scans[c] = (jpeg_scan_info){.comps_in_scan = 1, .component_index = {c}, .Ss = 0, .Se = 63, .Ah = 0, .Al = 0};
    }
    if (p->coding == 1) {
        jpeg_simple_progression(&info);
    } else if (p->coding == 2) {
        info.scan_info = scans;
        info.num_scans = info.num_components;
    }
    info.restart_interval = p->restart == 1 ? 3 : 0;
    info.restart_in_rows = p->restart == 2 ? 1 : 0;
    jpeg_start_compress(&info, TRUE);
    sweep_write_orientation(&info, p->orientation);
    sweep_write_rows(s, &info);
    jpeg_finish_compress(&info);
    jpeg_destroy_compress(&info);
}

/* The whole picture as plain libjpeg gives it: RGB, nothing skipped, nothing cropped. */
static void sweep_reference(const sweep_picture *p, unsigned shrink, fov_image *image) {
    struct jpeg_decompress_struct info;
    struct jpeg_error_mgr errors;
    info.err = jpeg_std_error(&errors);
    jpeg_create_decompress(&info);
    jpeg_mem_src(&info, p->file, p->size);
    (void)jpeg_read_header(&info, TRUE);
    info.out_color_space = JCS_RGB;
    info.scale_num = 1;
    info.scale_denom = shrink;
    (void)jpeg_start_decompress(&info);
    assert_int_equal(fov_image_resize_storage(image, info.output_width, info.output_height, (fov_pixel_format){0}), FOV_OK);
    while (info.output_scanline < info.output_height) {
        JSAMPROW row = image->pixels + (size_t)info.output_scanline * info.output_width * 3;
        (void)jpeg_read_scanlines(&info, &row, 1);
    }
    (void)jpeg_finish_decompress(&info);
    jpeg_destroy_decompress(&info);
}

/* What a pixel of RGB is in a format, written again here: sample c as 16 bits, whatever the depth. */
static unsigned sweep_sample(const uint8_t *rgb, size_t c, fov_pixel_format format) {
    const unsigned v = format.channels == 3 ? rgb[c] : (unsigned)((rgb[0] * 19595 + rgb[1] * 38470 + rgb[2] * 7471 + 32768) / 65536);
    return format.deep ? v * 257 : v;
}

static bool sweep_equal(const fov_image *whole, const fov_image *part, fov_pixel_format format) {
    for (size_t y = 0; y < part->height; y++) {
        const uint8_t *rgb = whole->pixels + ((part->top + y) * whole->width + part->left) * 3;
        for (size_t i = 0; i < part->width * format.channels; i++) {
            const size_t at = y * part->width * format.channels + i;
            const unsigned have = format.deep ? ((const uint16_t *)part->pixels)[at] : part->pixels[at];
            if (have != sweep_sample(rgb + i / format.channels * 3, i % format.channels, format)) {
                return false;
            }
        }
    }
    return true;
}

/* A place and length within n: anywhere, from the start, to the end, or at the borders of blocks. */
static void sweep_range(sweep *s, size_t n, size_t *start, size_t *length) {
    const size_t kind = sweep_below(s, 5), block = (size_t)8 << sweep_below(s, 3);
    size_t a = sweep_below(s, n), b = sweep_below(s, n);
    if (kind == 0) {
        a = a / block * block;
    } else if (kind == 1) {
        a = a / block * block;
        a -= a > 0 ? 1 : 0;
    } else if (kind == 2) {
        a = 0;
    } else if (kind == 3) {
        b = n - 1;
    }
    *start = a < b ? a : b;
    *length = (a < b ? b - a : a - b) + 1;
}

static char sweep_now[256];

static void sweep_on_alarm(int number) {
    (void)number;
    (void)!write(2, "HANG: ", 6);
    (void)!write(2, sweep_now, strlen(sweep_now));
    _exit(2);
}

static void sweep_case(sweep *s, const sweep_picture *p, unsigned shrink, const fov_image *whole) {
    static const fov_pixel_format formats[] = {{3, false}, {3, false}, {3, false}, {1, false}, {3, true}, {1, true}};
    const fov_decode_options options = {.format = formats[sweep_below(s, sizeof formats / sizeof formats[0])],
                                        .lenient = sweep_below(s, 8) == 0};
    fov_decode_part part = {.shrink = shrink};
    fov_image_info info;
    assert_int_equal(fov_decoder_open(s->decoder, p->file, p->size, &options, &info), FOV_OK);
    sweep_range(s, info.width, &part.left, &part.width);
    sweep_range(s, info.height, &part.top, &part.height);
    (void)snprintf(sweep_now, sizeof sweep_now,
                   "%s, coding %d, restart %d, orientation %u, %zu x %zu, part %zu x %zu at (%zu, %zu), 1/%u, %zu%s\n", p->sampling->name,
                   p->coding, p->restart, p->orientation, info.width, info.height, part.width, part.height, part.left, part.top, shrink,
                   options.format.channels, options.format.deep ? " deep" : "");
    memset(s->part.pixels, 0xA5, s->part.capacity);
    if (fov_decoder_read(s->decoder, &part, &s->part) != FOV_OK) {
        fail_msg("%s: %s", sweep_now, fov_last_error());
    }
    /* the part is in it, and it is in the frame of the picture at the shrink it names */
    const fov_image *const i = &s->part;
    const size_t d = i->shrink;
    bool right = (d == shrink || d == 1) && i->full_width == info.width && i->full_height == info.height && i->left <= part.left / d &&
                 i->top <= part.top / d && (i->left + i->width) * d >= part.left + part.width &&
                 (i->top + i->height) * d >= part.top + part.height && i->left + i->width <= (info.width + d - 1) / d &&
                 i->top + i->height <= (info.height + d - 1) / d && i->channels == options.format.channels &&
                 i->deep == options.format.deep;
    if (right) {
        assert_true(whole[d == shrink].width == (info.width + d - 1) / d && whole[d == shrink].height == (info.height + d - 1) / d);
        right = sweep_equal(&whole[d == shrink], i, options.format);
    }
    s->strips.spare = (size_t[]){0, 1, 100, 5000}[s->cases % 4];
    if (right && strip_read(&s->strips, s->decoder, p->file, p->size, &options, &part, i) != FOV_OK) {
        fail_msg("%s by strips: %s", sweep_now, fov_last_error());
    }
    right = right && !s->strips.wrong;
    if (!right) {
        print_error("%s", sweep_now);
    }
    s->wrong += right ? 0 : 1;
    s->cases++;
}

/* One picture, `parts` of it at each shrink. */
static void sweep_one(sweep *s, sweep_picture *p, size_t parts) {
    static const size_t sides[] = {1, 2, 5, 8, 9, 15, 16, 17, 24, 31, 32, 33, 47, 48, 49, 63, 65, 80, 95, 113};
    fov_image whole[2];
    fov_image_init(&whole[0]);
    fov_image_init(&whole[1]);
    p->width = sides[sweep_below(s, sizeof sides / sizeof sides[0])];
    p->height = sides[sweep_below(s, sizeof sides / sizeof sides[0])];
    sweep_encode(s, p);
    for (unsigned shrink = 1; shrink <= 8; shrink *= 2) {
        for (int k = 0; k < 2; k++) { /* as it is, and shrunk */
            sweep_reference(p, k == 0 ? 1 : shrink, &s->turned);
            assert_int_equal(fov_image_orient(&s->turned, p->orientation, &whole[k]), FOV_OK);
        }
        for (size_t i = 0; i < parts; i++) {
            sweep_case(s, p, shrink, whole);
        }
    }
    fov_image_clear(&whole[0]);
    fov_image_clear(&whole[1]);
    free(p->file);
}

/* `pictures` of each sampling, coding, restart and orientation; `parts` of each at each shrink. */
static void sweep_run(size_t pictures, size_t parts, size_t at_least) {
    sweep s = {.random = 88172645463325252u};
    sweep_picture p = {0};
    const struct itimerval limit = {.it_value = {.tv_sec = 20}}; /* of processor time, for a group */
    (void)signal(SIGPROF, sweep_on_alarm);
    fov_image_init(&s.part);
    fov_image_init(&s.turned);
    assert_int_equal(fov_decoder_new(&s.decoder), FOV_OK);
    assert_int_equal(fov_image_resize_storage(&s.part, 128, 128, (fov_pixel_format){.deep = true}), FOV_OK);
    for (size_t i = 0; i < (size_t)SWEEP_SAMPLINGS * SWEEP_CODINGS * SWEEP_RESTARTS * 8; i++) {
        p.sampling = &sweep_samplings[i % SWEEP_SAMPLINGS];
        p.coding = (int)(i / SWEEP_SAMPLINGS % SWEEP_CODINGS);
        p.restart = (int)(i / SWEEP_SAMPLINGS / SWEEP_CODINGS % SWEEP_RESTARTS);
        p.orientation = (unsigned)(i / SWEEP_SAMPLINGS / SWEEP_CODINGS / SWEEP_RESTARTS) + 1;
        (void)setitimer(ITIMER_PROF, &limit, NULL);
        for (size_t k = 0; k < pictures; k++) {
            sweep_one(&s, &p, parts);
        }
    }
    fov_image_clear(&s.part);
    fov_image_clear(&s.turned);
    free(s.strips.rows);
    fov_decoder_free(s.decoder);
    (void)setitimer(ITIMER_PROF, &(struct itimerval){0}, NULL);
    print_message("%zu parts, %zu wrong\n", s.cases, s.wrong);
    assert_true(s.cases >= at_least);
    assert_int_equal(s.wrong, 0);
}

#endif
