/* The public interface: a folder becomes weights, weights turn files and pixels into the same features, and mistakes are told. */
/* ctest: label=short timeout=300 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <fovea/fovea.h>

#include "augment/image.h"
#include "base/cpu.h"
#include "base/interrupt.h"
#include "base/io.h"
#include "locale_case.h"

#define PICTURES 70 /* more than one block of files */
#define WIDTH 40
#define HEIGHT 36
#define WIDE 192 /* features of the backbone */

static char folder[400], pictures[500], run[500], file[PICTURES][600];
static uint8_t pixels[HEIGHT * WIDTH * 3];

static void paint(unsigned which) {
    for (size_t y = 0; y < HEIGHT; y++) {
        for (size_t x = 0; x < WIDTH; x++) {
            uint8_t *p = pixels + 3 * (y * WIDTH + x);
            p[0] = (uint8_t)(x * (which + 2));
            p[1] = (uint8_t)(y * (which % 7 + 1) + 31 * which);
            p[2] = (uint8_t)((x + y) * (which % 5 + 1));
        }
    }
}

static void require(fov_status status) {
    if (status != FOV_OK) {
        fail_msg("%s: %s (%s)", fov_status_name(status), fov_last_error(), fov_last_trail());
    }
}

static void remove_tree(const char *path) {
    char command[700];
    (void)snprintf(command, sizeof command, "rm -rf '%s'", path);
    assert_int_equal(system(command), 0);
}

static int begin(void **state) {
    (void)state;
    (void)snprintf(folder, sizeof folder, "%s/api-%ld", FOV_TEST_TEMP, (long)getpid());
    (void)snprintf(pictures, sizeof pictures, "%s/pictures", folder);
    (void)snprintf(run, sizeof run, "%s/run", folder);
    require(fov_io_mkdir(pictures, true));
    for (unsigned i = 0; i < PICTURES; i++) {
        (void)snprintf(file[i], sizeof file[i], "%s/%02u.png", pictures, i);
        paint(i);
        require(fov_image_write_png(file[i], pixels, WIDTH, HEIGHT, (fov_pixel_format){0}));
    }
    return 0;
}

static int end(void **state) {
    (void)state;
    remove_tree(folder);
    return 0;
}

typedef struct count {
    uint64_t calls, last, stop_at;
} count;

static int progress(void *context, const fov_progress *p) {
    count *c = context;
    c->calls++;
    c->last = p->step;
    return p->step == c->stop_at;
}

static fov_status train(const char *const *settings, count *c) {
    const char *const data[] = {pictures};
    return fov_train_folder(data, 1, run, settings, progress, c);
}

#define SMALL "backbone=vit_tiny/8", "image-size=32", "batch-size=8", "projector-hidden=32", "seed=4"

/* A run that was stopped and continued ends with the bytes of one that was not. */
static void stopping_and_going_on_gives_the_same_weights(void **state) {
    (void)state;
    fov_blob whole = {0}, parts = {0};
    char weights[600];
    count c = {0};
    (void)snprintf(weights, sizeof weights, "%s/backbone.safetensors", run);
    require(train((const char *const[]){SMALL, "steps=4", NULL}, &c));
    assert_int_equal(c.calls, 4);
    assert_int_equal(c.last, 4);
    require(fov_io_read(weights, (size_t)1 << 30, 0, &whole));
    assert_int_equal(train((const char *const[]){SMALL, "steps=4", NULL}, &c), FOV_E_EXISTS);

    remove_tree(run);
    c = (count){.stop_at = 2};
    assert_int_equal(train((const char *const[]){SMALL, "steps=4", "threads=1", NULL}, &c), FOV_E_INTERRUPTED);
    assert_non_null(strstr(fov_last_error(), "resume=true"));
    assert_int_equal(c.last, 2);
    assert_int_equal(fov_interrupt_pending(), 0);
    c = (count){0};
    require(train((const char *const[]){SMALL, "steps=4", "threads=3", "resume=true", NULL}, &c));
    assert_int_equal(c.calls, 2);
    require(fov_io_read(weights, (size_t)1 << 30, 0, &parts));
    assert_int_equal(whole.size, parts.size);
    assert_memory_equal(whole.data, parts.data, whole.size);
    fov_blob_clear(&whole);
    fov_blob_clear(&parts);
}

/* The bits of a product of OpenBLAS, the engine of the portable set, depend on where in it a row lies. */
static void assert_same_features(const float *some, const float *other) {
    if (fov_cpu_isa() != FOV_ISA_C) {
        assert_memory_equal(some, other, WIDE * sizeof *some);
    }
    for (size_t i = 0; i < WIDE; i++) {
        assert_float_equal(some[i], other[i], 1e-4);
    }
}

/* Uses the run of the test before. */
static void files_and_pixels_have_the_same_features(void **state) {
    (void)state;
    static float all[PICTURES][WIDE], one[WIDE];
    const char *paths[PICTURES];
    fov_embedder *embedder = NULL;
    for (size_t i = 0; i < PICTURES; i++) {
        paths[i] = file[i];
    }
    require(fov_embedder_open(&embedder, run, 2));
    assert_int_equal(fov_embedder_width(embedder), WIDE);
    assert_int_equal(fov_embedder_image_size(embedder), 32);
    assert_int_equal(fov_embedder_channels(embedder), 3);
    assert_int_equal(fov_embedder_depth(embedder), 8);
    require(fov_embedder_embed_files(embedder, paths, PICTURES, all[0]));
    for (unsigned i = 0; i < PICTURES; i += 23) {
        require(fov_embedder_embed_file(embedder, file[i], one));
        assert_same_features(one, all[i]);
        paint(i);
        require(fov_embedder_embed_rgb(embedder, pixels, WIDTH, HEIGHT, one));
        assert_same_features(one, all[i]);
    }
    assert_memory_not_equal(all[0], all[1], sizeof one);

    paths[3] = "absent-a.png";
    paths[5] = "absent-b.png";
    assert_int_equal(fov_embedder_embed_files(embedder, paths, PICTURES, all[0]), FOV_E_NOTFOUND);
    assert_non_null(strstr(fov_last_error(), "absent-a.png"));
    paths[3] = NULL;
    assert_int_equal(fov_embedder_embed_files(embedder, paths, PICTURES, all[0]), FOV_E_INVALID);
    require(fov_embedder_embed_files(embedder, NULL, 0, all[0]));
    assert_int_equal(fov_embedder_embed_rgb(embedder, pixels, 0, HEIGHT, one), FOV_E_INVALID);
    assert_int_equal(fov_embedder_embed_rgb(embedder, NULL, WIDTH, HEIGHT, one), FOV_E_INVALID);
    assert_int_equal(fov_embedder_embed_rgb(embedder, pixels, SIZE_MAX / 2, 3, one), FOV_E_LIMIT);
    fov_embedder_close(embedder);
}

/* Weights for two planes of 16 bits take pixels in that form, and files too, but no RGB. */
static void other_formats_have_features(void **state) {
    (void)state;
    static uint16_t words[HEIGHT * WIDTH * 2];
    static float by_pixels[192], by_file[192];
    char other[600], deep[600], path[700];
    const fov_pixel_format format = {.channels = 2, .deep = true};
    fov_embedder *embedder = NULL;
    (void)snprintf(other, sizeof other, "%s/planes", folder);
    (void)snprintf(deep, sizeof deep, "%s/deep-run", folder);
    require(fov_io_mkdir(other, true));
    for (size_t i = 0; i < 16; i++) {
        for (size_t k = 0; k < HEIGHT * WIDTH * 2; k++) {
            words[k] = (uint16_t)(k * (211 * i + 3) % 50000 + 5 * k % 1000);
        }
        (void)snprintf(path, sizeof path, "%s/%02zu.png", other, i);
        require(fov_image_write_png(path, (const uint8_t *)words, WIDTH, HEIGHT, format));
    }
    const char *const data[] = {other}, *const settings[] = {SMALL, "channels=2", "depth=16", "steps=1", NULL};
    require(fov_train_folder(data, 1, deep, settings, NULL, NULL));
    require(fov_embedder_open(&embedder, deep, 1));
    assert_int_equal(fov_embedder_channels(embedder), 2);
    assert_int_equal(fov_embedder_depth(embedder), 16);
    require(fov_embedder_embed_file(embedder, path, by_file));
    require(fov_embedder_embed_pixels(embedder, words, WIDTH, HEIGHT, by_pixels));
    assert_memory_equal(by_file, by_pixels, sizeof by_file);
    words[0] = 65535;
    words[77] = 0;
    require(fov_embedder_embed_pixels(embedder, words, WIDTH, HEIGHT, by_pixels));
    assert_memory_not_equal(by_file, by_pixels, sizeof by_file);
    assert_int_equal(fov_embedder_embed_rgb(embedder, pixels, WIDTH, HEIGHT, by_pixels), FOV_E_MISMATCH);
    assert_non_null(strstr(fov_last_error(), "2 channels of 16 bits"));
    assert_int_not_equal(fov_embedder_embed_file(embedder, file[0], by_pixels), FOV_OK); /* three planes */
    assert_non_null(strstr(fov_last_error(), file[0]));
    fov_embedder_close(embedder);
}

/* The weights, with what their file says of the run, are the same bytes. */
static void assert_same_run(const char *some, const char *other) {
    fov_blob a = {0}, b = {0};
    char path[2][700];
    (void)snprintf(path[0], sizeof path[0], "%s/backbone.safetensors", some);
    (void)snprintf(path[1], sizeof path[1], "%s/backbone.safetensors", other);
    require(fov_io_read(path[0], (size_t)1 << 30, 0, &a));
    require(fov_io_read(path[1], (size_t)1 << 30, 0, &b));
    assert_int_equal(a.size, b.size);
    assert_memory_equal(a.data, b.data, a.size);
    fov_blob_clear(&a);
    fov_blob_clear(&b);
}

/* In a program whose numbers have a comma, runs end with the same bytes; uses the runs of the tests before. */
static void a_decimal_comma_changes_nothing(void **state) {
    (void)state;
    char comma[600], planes[600], deep[600], masked[600];
    const char *const rgb[] = {pictures}, *const other[] = {planes};
    (void)snprintf(comma, sizeof comma, "%s/comma", folder);
    (void)snprintf(planes, sizeof planes, "%s/planes", folder);
    (void)snprintf(deep, sizeof deep, "%s/deep-run", folder);
    (void)snprintf(masked, sizeof masked, "%s/masked", folder);
    if (!enter_comma_locale(folder)) {
        skip();
    }
    count c = {.stop_at = 2};
    assert_int_equal(fov_train_folder(rgb, 1, comma, (const char *const[]){SMALL, "steps=4", NULL}, progress, &c), FOV_E_INTERRUPTED);
    require(fov_train_folder(rgb, 1, comma, (const char *const[]){SMALL, "steps=4", "resume=true", NULL}, NULL, NULL));
    assert_same_run(comma, run);
    remove_tree(comma);
    require(fov_train_folder(other, 1, comma, (const char *const[]){SMALL, "channels=2", "depth=16", "steps=1", NULL}, NULL, NULL));
    assert_same_run(comma, deep);
    require(fov_train_folder(rgb, 1, masked, (const char *const[]){"method=mae", "image-size=32", "batch-size=8", "steps=1", NULL}, NULL, NULL));
    assert_non_null(setlocale(LC_NUMERIC, "C"));
}

static void wrong_weights_are_told(void **state) {
    (void)state;
    fov_embedder *embedder = NULL;
    assert_int_equal(fov_embedder_open(&embedder, "no-such-run", 1), FOV_E_NOTFOUND);
    assert_non_null(strstr(fov_last_error(), "no-such-run"));
    assert_int_equal(fov_embedder_open(&embedder, NULL, 1), FOV_E_INVALID);
    assert_int_not_equal(fov_embedder_open(&embedder, file[0], 1), FOV_OK);
    assert_non_null(strstr(fov_last_error(), file[0]));
    assert_null(embedder);
    fov_embedder_close(NULL);
}

/* Uses the run of the first test. */
static void null_is_refused(void **state) {
    (void)state;
    float features[WIDE];
    const char *const paths[] = {file[0]};
    fov_embedder *embedder = NULL;
    assert_int_equal(fov_embedder_width(NULL), 0);
    assert_int_equal(fov_embedder_image_size(NULL), 0);
    assert_int_equal(fov_embedder_channels(NULL), 0);
    assert_int_equal(fov_embedder_depth(NULL), 0);
    assert_int_equal(fov_embedder_embed_files(NULL, paths, 1, features), FOV_E_INVALID);
    assert_int_equal(fov_embedder_embed_file(NULL, file[0], features), FOV_E_INVALID);
    assert_int_equal(fov_embedder_embed_pixels(NULL, pixels, WIDTH, HEIGHT, features), FOV_E_INVALID);
    assert_int_equal(fov_embedder_embed_rgb(NULL, pixels, WIDTH, HEIGHT, features), FOV_E_INVALID);
    assert_non_null(strstr(fov_last_error(), "fov_embedder_open"));
    assert_int_equal(fov_embedder_open(NULL, run, 1), FOV_E_INVALID);
    require(fov_embedder_open(&embedder, run, 1));
    assert_int_equal(fov_embedder_embed_files(embedder, paths, 1, NULL), FOV_E_INVALID);
    assert_non_null(strstr(fov_last_error(), "1 x 192 numbers"));
    require(fov_embedder_embed_files(embedder, NULL, 0, NULL));
    assert_int_equal(fov_embedder_embed_files(embedder, NULL, 1, features), FOV_E_INVALID);
    assert_int_equal(fov_embedder_embed_file(embedder, NULL, features), FOV_E_INVALID);
    assert_int_equal(fov_embedder_embed_file(embedder, file[0], NULL), FOV_E_INVALID);
    assert_int_equal(fov_embedder_embed_pixels(embedder, pixels, WIDTH, HEIGHT, NULL), FOV_E_INVALID);
    assert_int_equal(fov_embedder_embed_rgb(embedder, pixels, WIDTH, HEIGHT, NULL), FOV_E_INVALID);
    fov_embedder_close(embedder);
}

static void refuses(const char *setting, const char *said) {
    const char *const settings[] = {setting, NULL}, *const data[] = {pictures};
    char out[600];
    (void)snprintf(out, sizeof out, "%s/refused", folder);
    assert_int_equal(fov_train_folder(data, 1, out, settings, NULL, NULL), FOV_E_INVALID);
    if (strstr(fov_last_error(), said) == NULL) {
        fail_msg("'%s' gives '%s', which does not say '%s'", setting, fov_last_error(), said);
    }
    assert_int_equal(fov_io_kind(out), FOV_PATH_NONE);
}

static void wrong_settings_are_told(void **state) {
    (void)state;
    refuses("epoch=3", "--epochs");
    refuses("temperatur=0.1", "--temperature");
    refuses("epochs=many", "many");
    refuses("method=simclear", "simclr");
    refuses("epochs", "name=value");
    refuses("--epochs=3", "name=value");
    refuses("", "name=value");
    refuses("out=elsewhere", "argument of its own");
    assert_int_equal(fov_train_folder(NULL, 0, run, NULL, NULL, NULL), FOV_E_INVALID);
    const char *const data[] = {pictures, NULL};
    assert_int_equal(fov_train_folder(data, 2, run, NULL, NULL, NULL), FOV_E_INVALID);
    assert_int_equal(fov_train_folder(data, 1, "", NULL, NULL, NULL), FOV_E_INVALID);
}

static unsigned lines_of(const char *text) {
    unsigned lines = 1;
    for (; *text != '\0'; text++) {
        lines += *text == '\n';
    }
    return lines;
}

static void refuses_all(const char *const *settings, const char *const *said) {
    const char *const data[] = {pictures};
    unsigned lines = 0;
    char out[600];
    (void)snprintf(out, sizeof out, "%s/refused", folder);
    assert_int_equal(fov_train_folder(data, 1, out, settings, NULL, NULL), FOV_E_INVALID);
    for (; said[lines] != NULL; lines++) {
        if (strstr(fov_last_error(), said[lines]) == NULL) {
            fail_msg("'%s' does not say '%s'", fov_last_error(), said[lines]);
        }
    }
    assert_int_equal(lines_of(fov_last_error()), lines);
    assert_int_equal(fov_io_kind(out), FOV_PATH_NONE);
}

/* One line for each, whether the method is known, unknown or in a file. */
static void all_wrong_settings_are_told_together(void **state) {
    (void)state;
#define WRONG "stepz=5", "image-size=abc", "lr=-3", "temperture=1"
#define TOLD "--stepz; did you mean --steps?", "--image-size: 'abc'", "--lr: -3 is out of range", "--temperture; did you mean --temperature?"
    refuses_all((const char *const[]){WRONG, NULL}, (const char *const[]){TOLD, NULL});
    refuses_all((const char *const[]){WRONG, "method=macc", NULL}, (const char *const[]){TOLD, "no method 'macc'; did you mean 'mae'?", NULL});
    refuses_all((const char *const[]){WRONG, "config=absent.ini", "mask-ratio=0.5", NULL}, (const char *const[]){TOLD, NULL});
    refuses_all((const char *const[]){"lr=-3", "temperature=0", NULL}, (const char *const[]){"--lr: -3", "--temperature: 0", NULL});
    refuses_all((const char *const[]){"method=macc", "stepz=5", "mask-ratio=0.5", NULL}, (const char *const[]){"'macc'", "--stepz", NULL});
    refuses_all((const char *const[]){"method=mae", "lr=-3", "temperature=1", NULL}, (const char *const[]){"--lr: -3", "option --temperature", NULL});
}

static void versions_agree(void **state) {
    (void)state;
    char text[40];
    (void)snprintf(text, sizeof text, "%d.%d.%d", FOV_VERSION_MAJOR, FOV_VERSION_MINOR, FOV_VERSION_PATCH);
    assert_string_equal(fov_version(), text);
    assert_string_equal(fov_version(), FOVEA_VERSION);
}

typedef struct small_call {
    fov_embedder *embedder;
    float features[WIDE];
    fov_status status[4];
    char message[200];
} small_call;

static void *call_all(void *context) {
    small_call *c = context;
    const char *const data[] = {pictures};
    fov_embedder *other = NULL;
    c->status[0] = fov_embedder_open(&other, run, 1);
    (void)snprintf(c->message, sizeof c->message, "%s", fov_last_error());
    c->status[1] = fov_embedder_embed_file(c->embedder, file[0], c->features);
    c->status[2] = fov_embedder_embed_rgb(c->embedder, pixels, WIDTH, HEIGHT, c->features);
    c->status[3] = fov_train_folder(data, 1, run, NULL, NULL, NULL);
    return NULL;
}

/* A thread with too little stack is told so, and goes on living. */
static void a_small_stack_is_refused(void **state) {
    (void)state;
    small_call c = {.embedder = NULL};
    pthread_attr_t small;
    pthread_t thread;
    require(fov_embedder_open(&c.embedder, run, 1));
    assert_int_equal(pthread_attr_init(&small), 0);
    assert_int_equal(pthread_attr_setstacksize(&small, (size_t)512 * 1024), 0);
    assert_int_equal(pthread_create(&thread, &small, call_all, &c), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
    (void)pthread_attr_destroy(&small);
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(c.status[i], FOV_E_LIMIT);
    }
    assert_non_null(strstr(c.message, "KiB of stack are left in this thread, 1024 are needed"));
    fov_embedder_close(c.embedder);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(stopping_and_going_on_gives_the_same_weights),
        cmocka_unit_test(files_and_pixels_have_the_same_features),
        cmocka_unit_test(other_formats_have_features),
        cmocka_unit_test(a_decimal_comma_changes_nothing),
        cmocka_unit_test(wrong_weights_are_told),
        cmocka_unit_test(null_is_refused),
        cmocka_unit_test(wrong_settings_are_told),
        cmocka_unit_test(all_wrong_settings_are_told_together),
        cmocka_unit_test(a_small_stack_is_refused),
        cmocka_unit_test(versions_agree),
    };
    return cmocka_run_group_tests(tests, begin, end);
}
