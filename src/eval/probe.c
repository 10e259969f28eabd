/* One probe from indices to report: check the folders against each other, compute features, look for pictures that are in both, then judge each
 * source by both classifiers. */
#include "eval/probe.h"

#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "eval/knn.h"
#include "eval/probe_internal.h"
#include "eval/raw_pixels.h"

#define USUAL_K 20
#define NAMES_SHOWN 5

const char *fov_probe_source_name(fov_probe_source source) {
    static const char *const names[] = {[FOV_PROBE_PRETRAINED] = "pretrained", [FOV_PROBE_RANDOM] = "random", [FOV_PROBE_PIXELS] = "pixels"};
    FOV_ASSERT(source < FOV_PROBE_SOURCES);
    return names[source];
}

/* ---- the two folders ---- */

static bool has_class(const fov_index *index, const char *name) {
    for (size_t c = 0; c < fov_index_classes(index); c++) {
        if (strcmp(fov_index_class_name(index, c), name) == 0) {
            return true;
        }
    }
    return false;
}

/* Adds the classes of `from` that `in` lacks, as "where lacks 'a', 'b' and 3 more". */
static void add_missing(fov_text *text, const fov_index *from, const fov_index *in, const char *where) {
    size_t missing = 0;
    for (size_t c = 0; c < fov_index_classes(from); c++) {
        const char *name = fov_index_class_name(from, c);
        if (has_class(in, name)) {
            continue;
        }
        if (missing == 0) {
            fov_text_printf(text, "%s%s lacks ", text->length > 0 ? "; " : "", where);
        }
        if (missing < NAMES_SHOWN) {
            fov_text_add(text, missing == 0 ? "'" : ", '");
            fov_text_add_escaped(text, name);
            fov_text_add(text, "'");
        }
        missing++;
    }
    if (missing > NAMES_SHOWN) {
        fov_text_printf(text, " and %zu more", missing - NAMES_SHOWN);
    }
}

static fov_status compare_classes(const fov_index *train, const fov_index *test) {
    fov_text text;
    fov_text_init(&text);
    add_missing(&text, test, train, "the training folder");
    add_missing(&text, train, test, "the test folder");
    fov_status status = text.status;
    if (status == FOV_OK && text.length > 0) {
        status = FOV_FAIL(FOV_E_MISMATCH, "training and test classes differ: %s; folders of the same class must have the same name", text.data);
    }
    fov_text_clear(&text);
    return status;
}

static fov_status count_classes(uint32_t **out, const fov_index *index) {
    *out = fov_mem_array(FOV_MEM_EVAL, fov_index_classes(index), sizeof **out);
    FOV_TRY_ALLOC(*out);
    for (size_t i = 0; i < fov_index_count(index); i++) {
        (*out)[fov_index_label(index, i)]++;
    }
    return FOV_OK;
}

static fov_status describe_data(fov_probe_report *r, const fov_index *train, const fov_index *test) {
    r->classes = fov_index_classes(train);
    r->train_count = fov_index_count(train);
    r->test_count = fov_index_count(test);
    FOV_TRY(count_classes(&r->train_per_class, train));
    FOV_TRY(count_classes(&r->test_per_class, test));
    r->class_name = fov_mem_array(FOV_MEM_EVAL, r->classes, sizeof *r->class_name);
    FOV_TRY_ALLOC(r->class_name);
    size_t most = 0;
    for (size_t c = 0; c < r->classes; c++) {
        r->class_name[c] = fov_mem_strdup(FOV_MEM_EVAL, fov_index_class_name(train, c));
        FOV_TRY_ALLOC(r->class_name[c]);
        most = r->train_per_class[c] > r->train_per_class[most] ? c : most;
        if (r->train_per_class[c] < 2) {
            return FOV_FAIL(FOV_E_INVALID, "class '%s' has %u training pictures; cross-validation needs at least 2 in each class", r->class_name[c],
                            r->train_per_class[c]);
        }
    }
    r->majority = (double)r->test_per_class[most] / (double)r->test_count;
    return FOV_OK;
}

static fov_status choose_k(fov_probe_report *r, size_t wanted) {
    if (wanted > r->train_count) {
        return FOV_FAIL(FOV_E_INVALID, "%zu neighbours were asked for, but there are %zu training pictures; lower --k", wanted, r->train_count);
    }
    const size_t per_class = r->train_count / r->classes;
    r->k = wanted > 0 ? wanted : per_class < USUAL_K ? per_class : USUAL_K;
    return FOV_OK;
}

/* ---- pictures in both ---- */

typedef struct hashed {
    uint64_t hash;
    size_t index;
} hashed;

static int compare_hashes(const void *a, const void *b) {
    const hashed *x = a, *y = b;
    return x->hash != y->hash ? (x->hash > y->hash) - (x->hash < y->hash) : (x->index > y->index) - (x->index < y->index);
}

static int find_hash(const void *key, const void *item) {
    const uint64_t x = *(const uint64_t *)key, y = ((const hashed *)item)->hash;
    return (x > y) - (x < y);
}

static fov_status copy_name(const fov_index *index, size_t i, char **name) {
    fov_text text;
    fov_text_init(&text);
    *name = fov_mem_strdup(FOV_MEM_EVAL, fov_index_name(index, i, &text));
    fov_text_clear(&text);
    FOV_TRY_ALLOC(*name);
    return FOV_OK;
}

static fov_status find_shared(fov_probe_report *r, const fov_probe_features *train, const fov_probe_features *test, const fov_index *train_index,
                              const fov_index *test_index) {
    hashed *sorted = fov_mem_array(FOV_MEM_EVAL, train->count, sizeof *sorted);
    FOV_TRY_ALLOC(sorted);
    for (size_t i = 0; i < train->count; i++) {
        sorted[i] = (hashed){train->hash[i], i};
    }
    qsort(sorted, train->count, sizeof *sorted, compare_hashes);
    fov_status status = FOV_OK;
    for (size_t i = 0; i < test->count && status == FOV_OK; i++) {
        const hashed *found = bsearch(&test->hash[i], sorted, train->count, sizeof *sorted, find_hash);
        if (found == NULL) {
            continue;
        }
        if (r->shared++ == 0) {
            status = copy_name(train_index, found->index, &r->shared_train);
            status = status == FOV_OK ? copy_name(test_index, i, &r->shared_test) : status;
        }
    }
    fov_mem_free(sorted);
    if (status == FOV_OK && r->shared > 0) {
        fov_log(FOV_LOG_WARNING,
                "%zu of %zu test pictures show the same as a training picture (%s and %s): the accuracies are too good to be true",
                r->shared, r->test_count, r->shared_test, r->shared_train);
    }
    return status;
}

/* ---- judging ---- */

typedef struct predictions {
    uint32_t *linear[FOV_PROBE_SOURCES], *knn[FOV_PROBE_SOURCES]; /* [test_count] */
} predictions;

static fov_status judge_source(fov_probe_report *r, fov_probe_source source, const fov_probe_features *train, const fov_probe_features *test,
                               predictions *p, const fov_probe_settings *settings, fov_pool *pool) {
    static const char *const stages[] = {"probing pre-trained features", "probing random features", "probing raw pixels"};
    fov_probe_result *result = &r->result[source];
    result->width = train->width[source];
    p->linear[source] = fov_mem_array(FOV_MEM_EVAL, test->count, sizeof(uint32_t));
    FOV_TRY_ALLOC(p->linear[source]);
    p->knn[source] = fov_mem_array(FOV_MEM_EVAL, test->count, sizeof(uint32_t));
    FOV_TRY_ALLOC(p->knn[source]);
    const fov_linear_task task = {.train = train->value[source], .test = test->value[source], .label = train->label, .count = train->count,
                                  .test_count = test->count, .width = result->width, .classes = r->classes, .settings = settings,
                                  .stage = stages[source], .pool = pool};
    FOV_TRY(fov_probe_linear(&task, &result->choice, p->linear[source]));
    FOV_TRY(fov_knn_predict(p->knn[source], task.train, task.label, task.count, task.test, task.test_count, task.width, task.classes, r->k,
                            FOV_KNN_TEMPERATURE, pool));
    FOV_TRY(fov_metrics_init(&result->linear, test->label, p->linear[source], test->count, r->classes, r->seed, pool));
    return fov_metrics_init(&result->knn, test->label, p->knn[source], test->count, r->classes, r->seed, pool);
}

static fov_status compare_sources(fov_probe_report *r, const fov_probe_features *test, const predictions *p, fov_pool *pool) {
    const struct {
        fov_difference *to;
        const uint32_t *a, *b;
    } pairs[] = {
        {&r->linear_gain, p->linear[FOV_PROBE_PRETRAINED], p->linear[FOV_PROBE_RANDOM]},
        {&r->knn_gain, p->knn[FOV_PROBE_PRETRAINED], p->knn[FOV_PROBE_RANDOM]},
        {&r->linear_over_pixels, p->linear[FOV_PROBE_PRETRAINED], p->linear[FOV_PROBE_PIXELS]},
        {&r->knn_over_pixels, p->knn[FOV_PROBE_PRETRAINED], p->knn[FOV_PROBE_PIXELS]},
    };
    for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++) {
        FOV_TRY(fov_metrics_difference(pairs[i].to, test->label, pairs[i].a, pairs[i].b, test->count, r->seed, pool));
    }
    return FOV_OK;
}

static fov_status judge_all(fov_probe_report *r, const fov_probe_features *train, const fov_probe_features *test, const fov_probe_settings *settings,
                            fov_pool *pool) {
    predictions p = {0};
    fov_status status = FOV_OK;
    for (unsigned source = 0; source < FOV_PROBE_SOURCES; source++) {
        FOV_TRY_GOTO(status, done, judge_source(r, (fov_probe_source)source, train, test, &p, settings, pool));
    }
    FOV_TRY_GOTO(status, done, compare_sources(r, test, &p, pool));
    fov_probe_judge(r);
done:
    for (unsigned source = 0; source < FOV_PROBE_SOURCES; source++) {
        fov_mem_free(p.linear[source]);
        fov_mem_free(p.knn[source]);
    }
    return status;
}

fov_status fov_probe(fov_probe_report *r, fov_encoder *encoder, const fov_index *train, const fov_index *test, const fov_probe_settings *settings,
                     fov_pool *pool) {
    *r = (fov_probe_report){.seed = settings->seed};
    const fov_backbone_spec *spec = fov_encoder_spec(encoder);
    fov_backbone_text(spec, r->backbone, sizeof r->backbone);
    r->image_size = spec->image_size;
    r->pixels_side = fov_raw_pixels_side(spec->image_size);
    FOV_TRY(compare_classes(train, test));
    FOV_TRY(describe_data(r, train, test));
    FOV_TRY(choose_k(r, settings->k));

    fov_encoder *random = NULL;
    fov_probe_features on_train = {0}, on_test = {0};
    fov_status status = FOV_OK;
    FOV_TRY_GOTO(status, done, fov_encoder_random(&random, spec, fov_encoder_preprocess(encoder), settings->seed, pool));
    FOV_TRY_GOTO(status, done, fov_probe_collect(&on_train, encoder, random, train, settings, "features of training pictures", pool));
    FOV_TRY_GOTO(status, done, fov_probe_collect(&on_test, encoder, random, test, settings, "features of test pictures", pool));
    FOV_TRY_GOTO(status, done, find_shared(r, &on_train, &on_test, train, test));
    FOV_TRY_GOTO(status, done, judge_all(r, &on_train, &on_test, settings, pool));
done:
    fov_encoder_free(random);
    fov_probe_features_clear(&on_train);
    fov_probe_features_clear(&on_test);
    return status;
}

void fov_probe_report_clear(fov_probe_report *r) {
    for (size_t c = 0; r->class_name != NULL && c < r->classes; c++) {
        fov_mem_free(r->class_name[c]);
    }
    fov_mem_free(r->class_name);
    fov_mem_free(r->train_per_class);
    fov_mem_free(r->test_per_class);
    fov_mem_free(r->shared_train);
    fov_mem_free(r->shared_test);
    for (unsigned source = 0; source < FOV_PROBE_SOURCES; source++) {
        fov_metrics_clear(&r->result[source].linear);
        fov_metrics_clear(&r->result[source].knn);
    }
    *r = (fov_probe_report){0};
}
