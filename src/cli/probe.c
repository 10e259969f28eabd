/* fovea probe: did pre-training help, and by how much? */
#include <fovea/log.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/io.h"
#include "base/log.h"
#include "cli/bad_files.h"
#include "cli/bench_output.h"
#include "cli/command.h"
#include "cli/terminal.h"
#include "eval/probe.h"

#define MANY_CLASSES 20 /* above this the table by class needs --verbose */

typedef struct probe_options {
    const char *weights, *train, *test, *backbone, *group, *json;
    int64_t image_size, k, seed, threads;
    bool follow_links;
} probe_options;

#define FIELD(name) .offset = offsetof(probe_options, name)

static const fov_option table[] = {
    {.name = "weights", .type = FOV_OPT_STRING, FIELD(weights), .value_name = "RUN|FILE", .help = "a run directory, or a .safetensors file of Fovea, torchvision or timm", .letter = 'w'},
    {.name = "train", .type = FOV_OPT_STRING, FIELD(train), .value_name = "DIR", .help = "labelled pictures to learn from, DIR/CLASS/picture"},
    {.name = "test", .type = FOV_OPT_STRING, FIELD(test), .value_name = "DIR", .help = "other labelled pictures, to judge with"},
    {.name = "backbone", .type = FOV_OPT_STRING, FIELD(backbone), .value_name = "NAME", .help = "what the weights are for, if the file does not tell"},
    {.name = "group", .type = FOV_OPT_STRING, FIELD(group), .value_name = "RULE", .help = "endings of the files whose planes form one picture; without it as in pre-training, '': each file is one"},
    {.name = "image-size", .type = FOV_OPT_INT, FIELD(image_size), .value_name = "PX", .help = "side that pictures are brought to; 0: the weights' own", .fallback = "0", .min = 0, .max = 4096},
    {.name = "k", .type = FOV_OPT_INT, FIELD(k), .value_name = "N", .help = "neighbours that vote; 0: 20, or fewer where classes are small", .fallback = "0", .min = 0, .max = 100000},
    {.name = "seed", .type = FOV_OPT_INT, FIELD(seed), .value_name = "N", .help = "names all randomness: random weights, folds, resamples", .fallback = "0", .min = 0, .max = 9e15},
    {.name = "threads", .type = FOV_OPT_INT, FIELD(threads), .value_name = "N", .help = "threads; 0: all processors", .fallback = "0", .min = 0, .max = 1024},
    {.name = "follow-links", .type = FOV_OPT_FLAG, FIELD(follow_links), .help = "go into folders that are symbolic links", .fallback = "false"},
    {.name = "json", .type = FOV_OPT_STRING, FIELD(json), .value_name = "FILE", .help = "write every figure to FILE; - prints JSON instead of the table"},
    {.name = NULL},
};

static fov_status probe(const void *fields, const fov_common_options *common, const char *const *words, size_t word_count);

const fov_command fov_command_probe = {
    .name = "probe",
    .usage = "--weights RUN|FILE --train DIR --test DIR [options]",
    .summary = "say whether pre-training helped, and by how much",
    .details = "DIR holds a folder for each class, or is a pack of such a folder. Two\n"
               "classifiers - logistic regression, its regularisation chosen by cross-validation\n"
               "on the training pictures, and nearest neighbours - judge the frozen features of\n"
               "the weights, of random weights of the same backbone, and raw pixels. All\n"
               "intervals are 95 % bootstrap intervals over the test pictures.\n\n",
    .heading = "Probe",
    .table = table,
    .fields_size = sizeof(probe_options),
    .most_words = SIZE_MAX,
    .body = probe,
};

/* ---- the tables ---- */

static double percent(double share) { return 100.0 * share; }

static void print_metrics(const fov_metrics *m) {
    char range[32];
    (void)snprintf(range, sizeof range, "%.1f to %.1f", percent(m->interval.low), percent(m->interval.high));
    (void)printf("   %5.1f %%  %-14s  %5.1f %%", percent(m->accuracy), range, percent(m->per_class[m->worst_class]));
}

static void print_summary(const fov_probe_report *r) {
    char pixels[40], near[32];
    (void)snprintf(pixels, sizeof pixels, "raw pixels, %zux%zu", r->pixels_side, r->pixels_side);
    (void)snprintf(near, sizeof near, "%zu nearest neighbours", r->k);
    const char *const names[FOV_PROBE_SOURCES] = {"pre-trained", "random weights", pixels};
    (void)printf("%-20s   %-32s   %s\n", "", "linear probe", near);
    (void)printf("%s%-20s   %-7s  %-14s  %-7s   %-7s  %-14s  %s%s\n", fov_terminal_bold(), "features", "top-1", "95 % interval", "worst", "top-1",
                 "95 % interval", "worst", fov_terminal_plain());
    for (unsigned source = 0; source < FOV_PROBE_SOURCES; source++) {
        (void)printf("%-20s", names[source]);
        print_metrics(&r->result[source].linear);
        print_metrics(&r->result[source].knn);
        (void)putchar('\n');
    }
    (void)printf("always the most frequent class: %.1f %%\n", percent(r->majority));
}

static void print_classes(const fov_probe_report *r) {
    (void)printf("\n%s%-24s %7s %7s   %11s %11s %11s%s\n", fov_terminal_bold(), "class (linear probe)", "train", "test", "pre-trained", "random",
                 "raw pixels", fov_terminal_plain());
    for (size_t c = 0; c < r->classes; c++) {
        fov_text name;
        fov_text_init(&name);
        fov_text_add_escaped(&name, r->class_name[c]);
        (void)printf("%-24.40s %7u %7u", name.data == NULL ? "" : name.data, r->train_per_class[c], r->test_per_class[c]);
        for (unsigned source = 0; source < FOV_PROBE_SOURCES; source++) {
            (void)printf("%s%9.1f %%", source == 0 ? "   " : " ", percent(r->result[source].linear.per_class[c]));
        }
        (void)printf("%s\n", c == r->result[FOV_PROBE_PRETRAINED].linear.worst_class ? "  worst" : "");
        fov_text_clear(&name);
    }
}

static void print_report(const fov_probe_report *r, bool verbose) {
    (void)printf("%s, %zu px: %zu training and %zu test pictures of %zu classes\n\n", r->backbone, r->image_size, r->train_count, r->test_count,
                 r->classes);
    print_summary(r);
    if (verbose || r->classes <= MANY_CLASSES) {
        print_classes(r);
    }
    if (verbose) {
        (void)putchar('\n');
        for (unsigned source = 0; source < FOV_PROBE_SOURCES; source++) {
            const fov_probe_choice *choice = &r->result[source].choice;
            (void)printf("%s: %zu features, C = %g by %u-fold cross-validation (%.1f %%)\n", fov_probe_source_name((fov_probe_source)source),
                         r->result[source].width, choice->c[choice->best], choice->folds, percent(choice->accuracy[choice->best]));
        }
    }
    (void)printf("\n%s%s%s%s%s\n", fov_terminal_bold(), r->verdict, fov_terminal_plain(), r->note[0] == '\0' ? "" : " ", r->note);
}

/* ---- the command ---- */

static void progress(void *context, const char *stage, size_t done, size_t total) {
    (void)context;
    char line[160];
    (void)snprintf(line, sizeof line, "%s %zu of %zu", stage, done, total);
    fov_terminal_progress(line, false);
}

static void scanning(void *context, size_t done, size_t total) {
    (void)context;
    static char verb[] = "checking pictures";
    fov_terminal_count(verb, done, total);
}

static fov_status check_options(const probe_options *o, const char *const *words, size_t word_count) {
    if (word_count > 0) {
        return FOV_FAIL(FOV_E_INVALID, "probe takes its folders as --train DIR and --test DIR, got '%s'", words[0]);
    }
    fov_text missing;
    fov_text_init(&missing);
    const struct {
        const char *name, *value;
    } needed[] = {{"--weights RUN|FILE", o->weights}, {"--train DIR", o->train}, {"--test DIR", o->test}};
    for (size_t i = 0; i < sizeof needed / sizeof needed[0]; i++) {
        if (needed[i].value == NULL || needed[i].value[0] == '\0') {
            fov_text_printf(&missing, "%s%s", missing.length > 0 ? ", " : "", needed[i].name);
        }
    }
    fov_status status = missing.status;
    if (status == FOV_OK && missing.length > 0) {
        status = FOV_FAIL(FOV_E_INVALID, "missing: %s", missing.data);
    }
    fov_text_clear(&missing);
    return status;
}

static void warn_same_folder(const char *train, const char *test) {
    struct stat a, b;
    if (stat(train, &a) == 0 && stat(test, &b) == 0 && a.st_dev == b.st_dev && a.st_ino == b.st_ino) {
        fov_log(FOV_LOG_WARNING, "--train and --test are the same folder, %s: the figures will tell how well pictures are remembered, not how well new ones are classified", test);
    }
}

static fov_status scan(fov_index **index, const char *folder, size_t min_per_class, const probe_options *o, const fov_encoder *encoder, fov_pool *pool) {
    fov_scan_options options = fov_encoder_scan(encoder, o->group);
    options.verify = true;
    options.follow_links = o->follow_links;
    options.progress = scanning;
    FOV_TRY(fov_index_scan_labelled(index, folder, min_per_class, &options, pool));
    FOV_TRY(fov_tell_bad_files(*index, NULL, NULL));
    return FOV_OK;
}

static fov_status deliver(const probe_options *o, const fov_probe_report *report, const fov_common_options *common) {
    const bool only_json = o->json != NULL && strcmp(o->json, "-") == 0;
    if (!only_json) {
        print_report(report, common->verbose);
    }
    fov_text text;
    fov_text_init(&text);
    fov_status status = FOV_OK;
    if (o->json != NULL) {
        const fov_probe_inputs inputs = {.weights = o->weights, .train = o->train, .test = o->test};
        status = fov_probe_json(report, &inputs, &text);
        if (status == FOV_OK && only_json) {
            (void)fwrite(text.data, 1, text.length, stdout);
        } else if (status == FOV_OK) {
            status = fov_io_write_atomic(o->json, text.data, text.length);
        }
    }
    fov_text_clear(&text);
    if (status == FOV_OK && (fflush(stdout) != 0 || ferror(stdout) != 0)) {
        status = FOV_FAIL(FOV_E_IO, "standard output: the result could not be written");
    }
    return status;
}

static fov_status probe(const void *fields, const fov_common_options *common, const char *const *words, size_t word_count) {
    const probe_options *o = fields;
    fov_pool *pool = NULL;
    fov_encoder *encoder = NULL;
    fov_index *train = NULL, *test = NULL;
    fov_probe_report report = {0};
    fov_status status = FOV_OK;
    const fov_probe_settings settings = {.seed = (uint64_t)o->seed, .k = (size_t)o->k, .progress = progress};
    FOV_TRY_GOTO(status, done, check_options(o, words, word_count));
    FOV_TRY_GOTO(status, done, fov_json_check_output(o->json));
    FOV_TRY_GOTO(status, done, fov_pool_new(&pool, (unsigned)o->threads));
    FOV_TRY_GOTO(status, done, fov_encoder_open(&encoder, o->weights, o->backbone, (size_t)o->image_size, pool));
    FOV_TRY_GOTO(status, done, scan(&train, o->train, 2, o, encoder, pool));
    FOV_TRY_GOTO(status, done, scan(&test, o->test, 1, o, encoder, pool));
    warn_same_folder(o->train, o->test);
    FOV_TRY_GOTO(status, done, fov_probe(&report, encoder, train, test, &settings, pool));
    FOV_TRY_GOTO(status, done, deliver(o, &report, common));
done:
    fov_probe_report_clear(&report);
    fov_index_free(train);
    fov_index_free(test);
    fov_encoder_free(encoder);
    fov_pool_free(pool);
    return status;
}
