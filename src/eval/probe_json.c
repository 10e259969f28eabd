/* The report for scripts. Shares are 0 .. 1, not per cent; matrices have the true class in rows. Figures are those of the report, in full precision. */
#include "base/json.h"
#include "eval/knn.h"
#include "eval/probe.h"

static void add_interval(fov_json_writer *w, const char *key, const fov_interval *interval) {
    fov_json_open(w, key, '[');
    fov_json_add_number(w, NULL, interval->low);
    fov_json_add_number(w, NULL, interval->high);
    fov_json_close(w, ']');
}

static void add_metrics(fov_json_writer *w, const fov_metrics *m, char *const *class_name) {
    fov_json_add_number(w, "top1", m->accuracy);
    add_interval(w, "top1_interval", &m->interval);
    fov_json_add_int(w, "correct", (int64_t)m->correct);
    fov_json_add_number(w, "worst_class", m->per_class[m->worst_class]);
    fov_json_add_string(w, "worst_class_name", class_name[m->worst_class]);
    fov_json_open(w, "per_class", '[');
    for (size_t c = 0; c < m->classes; c++) {
        fov_json_add_number(w, NULL, m->per_class[c]);
    }
    fov_json_close(w, ']');
    fov_json_open(w, "confusion", '[');
    for (size_t row = 0; row < m->classes; row++) {
        fov_json_open(w, NULL, '[');
        for (size_t c = 0; c < m->classes; c++) {
            fov_json_add_int(w, NULL, (int64_t)m->confusion[row * m->classes + c]);
        }
        fov_json_close(w, ']');
    }
    fov_json_close(w, ']');
}

static void add_choice(fov_json_writer *w, const fov_probe_choice *choice) {
    fov_json_add_number(w, "c", choice->c[choice->best]);
    fov_json_add_int(w, "iterations", choice->iterations);
    fov_json_add_bool(w, "converged", choice->converged);
    fov_json_open(w, "cross_validation", '[');
    for (size_t g = 0; g < choice->tried; g++) {
        fov_json_open(w, NULL, '{');
        fov_json_add_number(w, "c", choice->c[g]);
        fov_json_add_number(w, "top1", choice->accuracy[g]);
        fov_json_add_number(w, "cross_entropy", choice->loss[g]);
        fov_json_close(w, '}');
    }
    fov_json_close(w, ']');
}

static void add_source(fov_json_writer *w, const fov_probe_report *r, fov_probe_source source) {
    const fov_probe_result *result = &r->result[source];
    fov_json_open(w, fov_probe_source_name(source), '{');
    fov_json_add_int(w, "features", (int64_t)result->width);
    fov_json_open(w, "linear", '{');
    add_choice(w, &result->choice);
    add_metrics(w, &result->linear, r->class_name);
    fov_json_close(w, '}');
    fov_json_open(w, "knn", '{');
    add_metrics(w, &result->knn, r->class_name);
    fov_json_close(w, '}');
    fov_json_close(w, '}');
}

static void add_difference(fov_json_writer *w, const char *key, const fov_difference *d) {
    fov_json_open(w, key, '{');
    fov_json_add_number(w, "difference", d->mean);
    add_interval(w, "interval", &d->interval);
    fov_json_close(w, '}');
}

static void add_data(fov_json_writer *w, const fov_probe_report *r) {
    fov_json_open(w, "data", '{');
    fov_json_add_int(w, "train", (int64_t)r->train_count);
    fov_json_add_int(w, "test", (int64_t)r->test_count);
    fov_json_add_int(w, "shared", (int64_t)r->shared);
    fov_json_add_number(w, "majority_top1", r->majority);
    fov_json_open(w, "classes", '[');
    for (size_t c = 0; c < r->classes; c++) {
        fov_json_open(w, NULL, '{');
        fov_json_add_string(w, "name", r->class_name[c]);
        fov_json_add_int(w, "train", (int64_t)r->train_per_class[c]);
        fov_json_add_int(w, "test", (int64_t)r->test_per_class[c]);
        fov_json_close(w, '}');
    }
    fov_json_close(w, ']');
    fov_json_close(w, '}');
}

static void add_settings(fov_json_writer *w, const fov_probe_report *r, const fov_probe_inputs *inputs) {
    fov_json_open(w, "settings", '{');
    const struct {
        const char *key, *value;
    } names[] = {{"weights", inputs->weights}, {"train", inputs->train}, {"test", inputs->test}};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (names[i].value != NULL) {
            fov_json_add_string(w, names[i].key, names[i].value);
        }
    }
    fov_json_add_string(w, "backbone", r->backbone);
    fov_json_add_int(w, "image_size", (int64_t)r->image_size);
    fov_json_add_int(w, "raw_pixels_side", (int64_t)r->pixels_side);
    fov_json_add_int(w, "seed", (int64_t)r->seed);
    fov_json_add_int(w, "k", (int64_t)r->k);
    fov_json_add_number(w, "knn_temperature", FOV_KNN_TEMPERATURE);
    fov_json_add_int(w, "folds", (int64_t)r->result[FOV_PROBE_PRETRAINED].choice.folds);
    fov_json_add_int(w, "bootstrap_resamples", FOV_BOOTSTRAP_RESAMPLES);
    fov_json_close(w, '}');
}

fov_status fov_probe_json(const fov_probe_report *r, const fov_probe_inputs *inputs, fov_text *text) {
    static const char *const findings[] = {[FOV_PROBE_HELPED] = "helped", [FOV_PROBE_NO_EVIDENCE] = "no evidence", [FOV_PROBE_HURT] = "hurt"};
    fov_json_writer w;
    fov_json_begin(&w, false);
    fov_json_open(&w, NULL, '{');
    fov_json_add_string(&w, "format", "fovea-probe-1");
    fov_json_add_string(&w, "finding", findings[r->finding]);
    fov_json_add_string(&w, "verdict", r->verdict);
    fov_json_add_string(&w, "note", r->note);
    add_settings(&w, r, inputs);
    add_data(&w, r);
    fov_json_open(&w, "results", '{');
    for (unsigned source = 0; source < FOV_PROBE_SOURCES; source++) {
        add_source(&w, r, (fov_probe_source)source);
    }
    fov_json_close(&w, '}');
    fov_json_open(&w, "differences", '{');
    add_difference(&w, "linear_over_random", &r->linear_gain);
    add_difference(&w, "knn_over_random", &r->knn_gain);
    add_difference(&w, "linear_over_pixels", &r->linear_over_pixels);
    add_difference(&w, "knn_over_pixels", &r->knn_over_pixels);
    fov_json_close(&w, '}');
    fov_json_close(&w, '}');
    fov_text_add(&w.text, "\n");
    const fov_status status = w.text.status;
    if (status == FOV_OK) {
        fov_text_add_bytes(text, w.text.data, w.text.length);
    }
    fov_json_clear(&w);
    return status == FOV_OK ? text->status : status;
}
