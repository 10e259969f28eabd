/* Every image of tests/golden/images decodes to the pixels of expected.txt, or is refused with the status it names.
 *
 * Also a tool for the corpora (tests/e2e/test_corpora.sh), printing in the form of expected.txt with the path as name:
 *     test_decode --corpus FILE...     decodes each, strictly and leniently, and parts of it; a file may take 1 s of processor time, the process 256 MB
 *     test_decode --ppm < IMAGE.ppm    width, height and hash of a binary PPM */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <unistd.h>

#include <cmocka.h>

#include "augment/image.h"
#include "base/io.h"

enum { FILE_BYTES = 64 << 20, HEAP_BYTES = 256 << 20 };

/* FNV-1a, 64 bits: short enough to be written again in make_images.py. */
static uint64_t hash_bytes(const uint8_t *bytes, size_t count) {
    uint64_t h = 0xCBF29CE484222325u;
    for (size_t i = 0; i < count; i++) {
        h = (h ^ bytes[i]) * 0x100000001B3u;
    }
    return h;
}

static const char *short_name(fov_status status) {
    return status == FOV_OK              ? "ok"
           : status == FOV_E_FORMAT      ? "format"
           : status == FOV_E_UNSUPPORTED ? "unsupported"
           : status == FOV_E_LIMIT       ? "limit"
                                         : fov_status_name(status);
}

static fov_decode_options options_of(const char *mode) {
    fov_decode_options options = {0};
    options.alpha = strcmp(mode, "black") == 0 ? FOV_ALPHA_BLACK : strcmp(mode, "drop") == 0 ? FOV_ALPHA_DROP : FOV_ALPHA_WHITE;
    options.keep_orientation = strcmp(mode, "keep") == 0;
    options.lenient = strcmp(mode, "lenient") == 0;
    options.format.channels = strtoul(mode, NULL, 10); /* 0 where the mode is a word */
    options.format.deep = options.format.channels > 0 && mode[strlen(mode) - 1] == 'd';
    return options;
}

/* ---- golden ---- */

typedef struct line {
    char name[64], mode[16], status[16], hash[24];
    size_t width, height;
} line;

static int check_probe(fov_decoder *decoder, const fov_blob *file, const fov_decode_options *options, const line *want) {
    fov_image_info info;
    if (strcmp(want->status, "ok") != 0) {
        return 0;
    }
    const fov_status status = fov_image_probe(decoder, file->data, file->size, options, &info);
    return status != FOV_OK || info.width != want->width || info.height != want->height;
}

static int check_line(fov_decoder *decoder, fov_image *image, const line *want, size_t padding) {
    char path[512], hash[24];
    fov_blob file = {0};
    fov_decode_options options = options_of(want->mode);
    (void)snprintf(path, sizeof path, "%s/golden/images/%s", FOV_TEST_DATA, want->name);
    assert_int_equal(fov_io_read(path, FILE_BYTES, FOV_DECODE_PADDING, &file), FOV_OK);
    options.padding = padding;
    const fov_status status = fov_image_decode(decoder, file.data, file.size, &options, image);
    int wrong = strcmp(short_name(status), want->status) != 0;
    if (fov_image_sniff(file.data, file.size) == FOV_IMAGE_UNKNOWN) { /* a format that this build lacks */
        assert_int_equal(status, FOV_E_UNSUPPORTED);
        fov_blob_clear(&file);
        return 0;
    }
    if (status == FOV_OK) {
        const size_t bytes = image->width * image->height * fov_pixel_bytes(fov_image_format(image));
        (void)snprintf(hash, sizeof hash, "%016llx", (unsigned long long)hash_bytes(image->pixels, bytes));
        wrong |= image->channels != (options.format.channels == 0 ? 3 : options.format.channels) || image->deep != options.format.deep;
        wrong |= image->width != want->width || image->height != want->height;
        wrong |= strcmp(want->hash, "*") != 0 && strcmp(want->hash, hash) != 0;
    }
    wrong |= check_probe(decoder, &file, &options, want);
    if (wrong) {
        print_error("%s (%s): %s %s, wanted %s\n", want->name, want->mode, short_name(status), status == FOV_OK ? hash : fov_last_error(),
                    want->status);
    }
    fov_blob_clear(&file);
    return wrong;
}

static void all_as_expected(size_t padding) {
    fov_decoder *decoder = NULL;
    fov_image image;
    line want;
    int wrong = 0, lines = 0;
    fov_image_init(&image);
    assert_int_equal(fov_decoder_new(&decoder), FOV_OK);
    FILE *list = fopen(FOV_TEST_DATA "/golden/images/expected.txt", "r");
    assert_non_null(list);
    while (fscanf(list, "%63s %15s %15s %zu %zu %23s", want.name, want.mode, want.status, &want.width, &want.height, want.hash) == 6) {
        wrong += check_line(decoder, &image, &want, padding);
        lines++;
    }
    (void)fclose(list);
    fov_image_clear(&image);
    fov_decoder_free(decoder);
    assert_true(lines > 500);
    assert_int_equal(wrong, 0);
}

static void test_golden(void **state) {
    (void)state;
    all_as_expected(0);
}

static void test_golden_padded(void **state) {
    (void)state;
    all_as_expected(FOV_DECODE_PADDING);
}

/* ---- corpora ---- */

static char current[4096];

static void on_alarm(int signal_number) {
    (void)signal_number;
    static const char text[] = "HANG: more than 1 s for ";
    (void)!write(2, text, sizeof text - 1);
    (void)!write(2, current, strlen(current));
    (void)!write(2, "\n", 1);
    _exit(2);
}

/* Processor time, so that a busy machine does not look like a hang; decoding never waits. */
static void set_timer(time_t seconds) {
    const struct itimerval limit = {.it_value = {.tv_sec = seconds}};
    (void)setitimer(ITIMER_PROF, &limit, NULL);
}

static void decode_file(fov_decoder *decoder, fov_image *image, const fov_blob *file, bool lenient) {
    fov_decode_options options = options_of(lenient ? "lenient" : "keep");
    set_timer(1);
    const fov_status status = fov_image_decode(decoder, file->data, file->size, &options, image);
    set_timer(0);
    if (status == FOV_OK) {
        (void)printf("%s %s ok %zu %zu %016llx\n", current, lenient ? "lenient" : "keep", image->width, image->height,
                     (unsigned long long)hash_bytes(image->pixels, image->width * image->height * 3));
    } else {
        (void)printf("%s %s %s 0 0 0 # %s\n", current, lenient ? "lenient" : "keep", short_name(status), fov_last_error());
    }
}

/* Parts at every shrink, from places that the file's size names, against the whole; what is whole must give its parts. */
static int check_corpus_parts(fov_decoder *decoder, const fov_blob *file, fov_image *whole, fov_image *part) {
    fov_image_info info;
    int wrong = 0;
    if (whole->width * whole->height > (size_t)16 << 20) {
        return 0; /* two of them at once would take more memory than a decoder may */
    }
    for (unsigned shrink = 1; shrink <= 8; shrink *= 2) {
        const fov_decode_part all = {.shrink = shrink};
        fov_decode_part some = all;
        set_timer(1);
        if (fov_decoder_open(decoder, file->data, file->size, NULL, &info) != FOV_OK || fov_decoder_read(decoder, &all, whole) != FOV_OK) {
            break;
        }
        some.left = file->size % info.width;
        some.top = file->size / 7 % info.height;
        some.width = 1 + file->size / 3 % (info.width - some.left);
        some.height = 1 + file->size / 5 % (info.height - some.top);
        if (fov_decoder_open(decoder, file->data, file->size, NULL, &info) != FOV_OK || fov_decoder_read(decoder, &some, part) != FOV_OK) {
            (void)fprintf(stderr, "PART: %s, 1/%u: %s\n", current, shrink, fov_last_error());
            wrong = 1;
            break;
        }
        for (size_t y = 0; y < part->height; y++) {
            const uint8_t *const row = whole->pixels + ((part->top + y) * whole->width + part->left) * 3;
            wrong |= memcmp(row, part->pixels + y * part->width * 3, part->width * 3);
        }
        if (wrong) {
            (void)fprintf(stderr, "PART: %s, 1/%u: other pixels than the whole picture has\n", current, shrink);
        }
    }
    set_timer(0);
    return wrong != 0;
}

#if defined(__has_feature)
#define HAS_FEATURE(x) __has_feature(x)
#else
#define HAS_FEATURE(x) 0
#endif

/* Resident memory at its peak. Sanitizers keep freed blocks, so with them it says nothing. */
static int check_memory(void) {
#if defined(__SANITIZE_ADDRESS__) || HAS_FEATURE(address_sanitizer)
    return 0;
#else
    struct rusage usage;
    (void)getrusage(RUSAGE_SELF, &usage);
    const bool over = usage.ru_maxrss > HEAP_BYTES / 1024;
    if (over) {
        (void)fprintf(stderr, "MEMORY: %ld KiB after %s\n", usage.ru_maxrss, current);
    }
    return over ? 1 : 0;
#endif
}

static int corpus(int count, char **paths) {
    fov_decoder *decoder = NULL;
    fov_image image, part;
    int failed = 0;
    fov_image_init(&image);
    fov_image_init(&part);
    (void)signal(SIGPROF, on_alarm);
    if (fov_decoder_new(&decoder) != FOV_OK) {
        return 1;
    }
    for (int i = 0; i < count && failed == 0; i++) {
        fov_blob file = {0};
        (void)snprintf(current, sizeof current, "%s", paths[i]);
        if (fov_io_read(current, FILE_BYTES, 0, &file) != FOV_OK) {
            (void)fprintf(stderr, "%s\n", fov_last_error());
            failed = 1;
            continue;
        }
        decode_file(decoder, &image, &file, false);
        decode_file(decoder, &image, &file, true);
        failed = check_corpus_parts(decoder, &file, &image, &part);
        fov_image_clear(&image);
        fov_image_clear(&part);
        fov_blob_clear(&file);
        failed |= check_memory();
    }
    fov_decoder_free(decoder);
    return failed;
}

static int hash_ppm(void) {
    size_t width = 0, height = 0;
    if (scanf("P6 %zu %zu 255", &width, &height) != 2 || getchar() == EOF || width > 65500 || height > 65500) {
        (void)printf("- 0 0 0\n");
        return 0;
    }
    uint8_t *const pixels = malloc(width * height * 3 + 1);
    const size_t got = pixels == NULL ? 0 : fread(pixels, 1, width * height * 3, stdin);
    (void)printf("ok %zu %zu %016llx\n", width, height, (unsigned long long)hash_bytes(pixels, got));
    free(pixels);
    return 0;
}

int main(int argc, char **argv) {
    if (argc > 2 && strcmp(argv[1], "--corpus") == 0) {
        return corpus(argc - 2, argv + 2);
    }
    if (argc == 2 && strcmp(argv[1], "--ppm") == 0) {
        return hash_ppm();
    }
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_golden), cmocka_unit_test(test_golden_padded)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
