/* The verdict: whether pre-training helped, on a small labelled folder, and by how much.
 *
 * Three kinds of features of the same crops - the given weights, random weights of the same backbone, raw pixels - are each judged by the same
 * two classifiers on the same test pictures. Everything that is chosen is chosen on the training pictures alone. */
#ifndef FOV_EVAL_PROBE_H
#define FOV_EVAL_PROBE_H

#include "eval/encoder.h"
#include "eval/metrics.h"

#define FOV_PROBE_MAX_GRID 10 /* values of C that are tried */
#define FOV_PROBE_FOLDS 5

typedef enum fov_probe_source { FOV_PROBE_PRETRAINED, FOV_PROBE_RANDOM, FOV_PROBE_PIXELS, FOV_PROBE_SOURCES } fov_probe_source;
const char *fov_probe_source_name(fov_probe_source source); /* "pretrained", "random", "pixels" */

typedef struct fov_probe_settings {
    uint64_t seed; /* of random weights, folds and bootstrap */
    size_t k;      /* neighbours; 0: 20, or the mean number of pictures per class where that is less */
    /* May be NULL. stage: what is being counted, such as "computing features". */
    void (*progress)(void *context, const char *stage, size_t done, size_t total);
    void *context;
} fov_probe_settings;

/* How C (see eval/logistic.h) was chosen: accuracy on held-out folds of the training pictures, ties by cross-entropy. The walk from strong to
 * weak regularisation may end early, see probe_linear.c: only the first `tried` entries are set. */
typedef struct fov_probe_choice {
    size_t tried, best;
    double c[FOV_PROBE_MAX_GRID], accuracy[FOV_PROBE_MAX_GRID], loss[FOV_PROBE_MAX_GRID];
    uint32_t folds;
    bool converged; /* of the final fit */
    int iterations;
} fov_probe_choice;

typedef struct fov_probe_result {
    size_t width; /* features */
    fov_probe_choice choice;
    fov_metrics linear, knn;
} fov_probe_result;

typedef enum fov_probe_finding { FOV_PROBE_HELPED, FOV_PROBE_NO_EVIDENCE, FOV_PROBE_HURT } fov_probe_finding;

typedef struct fov_probe_report {
    char backbone[64];
    size_t image_size, pixels_side, classes, train_count, test_count, k;
    uint64_t seed;
    char **class_name;           /* [classes] */
    uint32_t *train_per_class, *test_per_class;
    double majority;             /* test accuracy of always naming the most frequent training class */
    size_t shared;               /* test pictures that are also training pictures, by their shrunk pixels */
    char *shared_train, *shared_test; /* paths of one such pair, or NULL */
    fov_probe_result result[FOV_PROBE_SOURCES];
    /* pre-trained minus random weights, pre-trained minus pixels */
    fov_difference linear_gain, knn_gain, linear_over_pixels, knn_over_pixels;
    fov_probe_finding finding;   /* of the linear probe against random weights */
    char verdict[320];           /* one sentence */
    char note[320];              /* a second one where the test is too easy or small, or raw pixels do as well; else "" */
} fov_probe_report;

/* Both indices are labelled, and scanned for the encoder (fov_encoder_scan). Fails with FOV_E_MISMATCH when their classes differ (the message names them), FOV_E_INVALID when a class has fewer
 * than two training pictures or k is larger than their number, FOV_E_NUMERIC when a feature is not finite. Warns in the log about pictures that
 * are in both. The caller clears, also after a failure. */
FOV_MUST_USE fov_status fov_probe(fov_probe_report *report, fov_encoder *encoder, const fov_index *train, const fov_index *test,
                                  const fov_probe_settings *settings, fov_pool *pool);
void fov_probe_report_clear(fov_probe_report *report);

/* The whole report as a JSON object. The names are told as given; NULL: left out. */
typedef struct fov_probe_inputs {
    const char *weights, *train, *test;
} fov_probe_inputs;
FOV_MUST_USE fov_status fov_probe_json(const fov_probe_report *report, const fov_probe_inputs *inputs, fov_text *text);

#endif
