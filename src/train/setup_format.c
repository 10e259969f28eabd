/* What the pictures look like and what they are normalised by.
 *
 * The numbers that normalise are settings like any other: measured once, before the first step, and written to config.ini, so that a run
 * goes on with what it began with. They are rounded to six digits first, so that what is written is what is used. */
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "base/number.h"
#include "data/statistics.h"
#include "train/setup.h"
#include "weights/metadata.h"

/* ---- mean and standard deviation ---- */

static fov_status read_numbers(const fov_setup *setup, const char *name, const char *text, double least, double *values) {
    const size_t channels = setup->preprocess.format.channels, count = fov_channel_numbers_parse(text, values);
    if (count != channels) {
        return FOV_FAIL(FOV_E_INVALID, "--%s '%s' is not a list of numbers with commas between, one for each of %zu %s", name, text,
                        channels, channels == 1 ? "channel" : "channels");
    }
    for (size_t c = 0; c < channels; c++) {
        if (values[c] < least || values[c] > 1.0) {
            return FOV_FAIL(FOV_E_INVALID, "--%s: %g of channel %zu is out of range; pixels count from 0 to 1, whatever their depth", name, values[c],
                            c + 1);
        }
    }
    return FOV_OK;
}

/* Writes the numbers into the settings and reads them back, for they are rounded there. */
static fov_status keep_numbers(fov_setup *setup, const char *name, double *values, fov_option_source source) {
    const size_t channels = setup->preprocess.format.channels;
    fov_text text;
    fov_text_init(&text);
    for (size_t c = 0; c < channels; c++) {
        char number[40];
        (void)fov_number_print(number, sizeof number, "%.6g", values[c]);
        if (!fov_number_parse(number, &values[c])) {
            values[c] = 0.0; /* cannot be: it was a finite number */
        }
    }
    fov_channel_numbers_text(values, channels, &text);
    const fov_status status = text.status == FOV_OK ? fov_options_set(setup->options, name, text.data, source) : text.status;
    fov_text_clear(&text);
    return status;
}

static void warn_flat(const fov_statistics *measured, size_t channels) {
    for (size_t c = 0; c < channels; c++) {
        if (measured->flat[c]) {
            fov_log(FOV_LOG_WARNING,
                    "channel %zu of the pictures is %.3g everywhere: it tells nothing; its standard deviation is taken as 1/255", c + 1,
                    measured->mean[c]);
        }
    }
}

static fov_status measure(fov_setup *setup, const fov_index *index, fov_pool *pool, const fov_train_observer *observer) {
    fov_preprocess *p = &setup->preprocess;
    fov_statistics measured;
    FOV_TRY(fov_statistics_measure(&measured, index, p, (uint64_t)setup->settings->seed, pool, observer->measuring, observer->context));
    warn_flat(&measured, p->format.channels);
    FOV_TRY(keep_numbers(setup, "mean", measured.mean, FOV_FROM_DATA));
    FOV_TRY(keep_numbers(setup, "std", measured.std, FOV_FROM_DATA));
    memcpy(p->mean, measured.mean, sizeof p->mean);
    memcpy(p->std, measured.std, sizeof p->std);
    return FOV_OK;
}

/* Numbers that the settings hold already: the user's, or those that the run began with. */
static fov_status take_given(fov_setup *setup) {
    const fov_pretrain_settings *s = setup->settings;
    if (s->mean == NULL || s->std == NULL) {
        return FOV_FAIL(FOV_E_INVALID, "--mean and --std go together; give --%s too", s->mean == NULL ? "mean" : "std");
    }
    if (fov_options_source(setup->options, "stats") == FOV_FROM_USER && fov_options_source(setup->options, "mean") == FOV_FROM_USER) {
        return FOV_FAIL(FOV_E_INVALID, "--stats %s says where mean and std come from, and --mean gives them; leave one out", s->stats);
    }
    FOV_TRY(read_numbers(setup, "mean", s->mean, -1e6, setup->preprocess.mean));
    FOV_TRY(read_numbers(setup, "std", s->std, FOV_LEAST_STD, setup->preprocess.std));
    return FOV_OK;
}

/* ---- the two steps ---- */

/* A rule names a file for each plane; files of several planes need --channels. */
static fov_status count_planes(fov_setup *setup) {
    const char *rule = setup->settings->group;
    char text[24];
    if (rule == NULL || fov_options_source(setup->options, "channels") >= FOV_FROM_DATA) {
        return FOV_OK;
    }
    (void)snprintf(text, sizeof text, "%zu", fov_group_ends(rule));
    FOV_TRY(fov_options_set(setup->options, "channels", text, FOV_FROM_DATA));
    return FOV_OK;
}

fov_status fov_setup_take_format(fov_setup *setup) {
    const fov_pretrain_settings *s = setup->settings;
    fov_preprocess *p = &setup->preprocess;
    FOV_TRY(count_planes(setup));
    *p = (fov_preprocess){.format = {.channels = (size_t)s->channels, .deep = strcmp(s->depth, "16") == 0}};
    if (!fov_alpha_parse(s->alpha, &p->alpha)) {
        return FOV_FAIL(FOV_E_INVALID, "--alpha is '%s', must be white, black or drop", s->alpha);
    }
    if (s->group != NULL && strlen(s->group) >= sizeof p->group) {
        return FOV_FAIL(FOV_E_INVALID, "--group has %zu bytes, at most %zu can be used", strlen(s->group), sizeof p->group - 1);
    }
    (void)snprintf(p->group, sizeof p->group, "%s", s->group == NULL ? "" : s->group);
    if (s->mean != NULL || s->std != NULL) {
        return take_given(setup);
    }
    if (strcmp(s->stats, "imagenet") == 0 && p->format.channels != 3) {
        return FOV_FAIL(FOV_E_INVALID, "--stats imagenet has numbers for 3 channels, not for --channels %zu; try --stats data",
                        p->format.channels);
    }
    return FOV_OK;
}

fov_status fov_setup_resolve_statistics(fov_setup *setup, const fov_index *index, fov_pool *pool, const fov_train_observer *observer) {
    const fov_pretrain_settings *s = setup->settings;
    fov_preprocess *p = &setup->preprocess, usual;
    const size_t size = setup->spec.image_size;
    fov_preprocess_default(size, &usual);
    p->image_size = size;
    p->resize = usual.resize;
    p->interpolation = usual.interpolation;
    if (s->mean != NULL) {
        return FOV_OK; /* taken from the settings */
    }
    const bool usual_format = p->format.channels == 3 && !p->format.deep;
    if (strcmp(s->stats, "data") == 0 || (strcmp(s->stats, "auto") == 0 && !usual_format)) {
        return measure(setup, index, pool, observer);
    }
    memcpy(p->mean, usual.mean, sizeof p->mean);
    memcpy(p->std, usual.std, sizeof p->std);
    FOV_TRY(keep_numbers(setup, "mean", p->mean, FOV_FROM_DEFAULT));
    FOV_TRY(keep_numbers(setup, "std", p->std, FOV_FROM_DEFAULT));
    return FOV_OK;
}
