/* fovea pretrain: learn a backbone from pictures without labels. */
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/interrupt.h"
#include "base/log.h"
#include "cli/command.h"
#include "cli/pretrain_words.h"
#include "cli/terminal.h"
#include "train/trainer.h"

#define NAME_WIDTH 18       /* of settings, as they are printed */
#define LONG_RUN 7200.0     /* seconds; worth a word to somebody who did not ask for it */
#define STEPS_TO_JUDGE 5    /* before the time left is believed */

/* What the callbacks know. */
typedef struct seen {
    const fov_common_options *common;
    const fov_pretrain_settings *settings;
    bool length_chosen; /* by us, not by the user */
    unsigned steps;     /* seen so far */
} seen;

static void scanning(void *context, size_t done, size_t total) {
    (void)context;
    static char verb[] = "checking pictures";
    fov_terminal_count(verb, done, total);
}

static void measuring(void *context, size_t done, size_t total) {
    (void)context;
    static char verb[] = "measuring pictures";
    fov_terminal_count(verb, done, total);
}

/* A value from column `column` on, broken at spaces so that no line is wider than `width`. */
static void print_wrapped(const char *words, size_t column, size_t width) {
    size_t at = column;
    while (*words != '\0') {
        const size_t length = strcspn(words, " ");
        if (at > column && at + 1 + length > width) {
            (void)fprintf(stderr, "\n%*s", (int)column, "");
            at = column;
        } else if (at > column) {
            (void)fputc(' ', stderr);
            at++;
        }
        (void)fwrite(words, 1, length, stderr);
        at += length;
        words += length;
        words += strspn(words, " ");
    }
    (void)fputc('\n', stderr);
}

/* The settings, those that were chosen for the user marked as such, before the first step. */
static void resolved(void *context, const fov_option_set *options, const fov_index *index) {
    seen *s = context;
    if (s->common->quiet) {
        if (fov_index_bad_count(index) > 0) {
            fov_log(FOV_LOG_WARNING, "%zu bad picture%s left out, listed in %s/bad.tsv", fov_index_bad_count(index),
                    fov_index_bad_count(index) == 1 ? "" : "s", s->settings->out);
        }
        return;
    }
    s->length_chosen = fov_options_source(options, "epochs") == FOV_FROM_DATA && fov_options_source(options, "steps") == FOV_FROM_DATA &&
                       s->settings->hours == 0.0;
    char count[32], value[512], shown[540];
    fov_format_count(fov_index_count(index), count, sizeof count);
    (void)fprintf(stderr, "%s pictures", count);
    if (fov_index_bad_count(index) > 0) {
        (void)fprintf(stderr, ", %zu bad ones left out (listed in %s/bad.tsv)", fov_index_bad_count(index), s->settings->out);
    }
    (void)fputc('\n', stderr);
    const fov_option *option = NULL;
    for (size_t i = 0; (option = fov_options_at(options, i, NULL, value, sizeof value)) != NULL; i++) {
        const fov_option_source source = fov_options_source(options, option->name);
        const bool of_interest = source == FOV_FROM_DATA || source == FOV_FROM_USER || (source == FOV_FROM_CONFIG && !s->settings->resume);
        if (value[0] == '\0' || option->type == FOV_OPT_FLAG || !(of_interest || s->common->verbose)) {
            continue;
        }
        const char *why = source == FOV_FROM_DATA ? " (chosen)" : source == FOV_FROM_DEFAULT ? " (default)" : "";
        (void)snprintf(shown, sizeof shown, "%s%s", value, why);
        (void)fprintf(stderr, "  %-*s", NAME_WIDTH, option->name);
        print_wrapped(shown, NAME_WIDTH + 2, fov_terminal_width());
    }
}

/* Most important first: a narrow terminal cuts the end. */
static void progress(void *context, const fov_train_progress *p) {
    seen *s = context;
    char line[240], left[32];
    fov_clock_format(p->seconds_left, left, sizeof left);
    if (++s->steps == STEPS_TO_JUDGE && s->length_chosen && p->seconds_left > LONG_RUN) {
        fov_log(FOV_LOG_INFO, "this takes about %s; --hours 1 would make a run of an hour, Ctrl-C stops and saves, --resume goes on", left);
    }
    (void)snprintf(line, sizeof line, "step %llu of %llu, loss %.4f, %s left, epoch %llu of %llu, %.0f views/s, %.0f %% waiting for data",
                   (unsigned long long)p->step, (unsigned long long)p->steps, p->loss, left, (unsigned long long)p->epoch,
                   (unsigned long long)p->epochs, p->images_per_second, 100.0 * p->data_wait);
    fov_terminal_progress(line, p->step == p->steps);
}

static int run(int argc, char **argv);

const fov_command fov_command_pretrain = {
    .name = "pretrain",
    .usage = "DATA... --out RUN [options]",
    .summary = "learn a backbone from pictures without labels",
    .details = "DATA is one or more folders (searched recursively), picture files or packs.\n"
               "Everything that is not given is chosen from the pictures, printed, and kept in\n"
               "RUN/config.ini. Interrupt at any time; --resume continues with the same bits.\n\n",
    .run = run,
    .options = fov_pretrain_tables,
};

static void next_command(const char *out) {
    (void)printf("weights: %s/backbone.safetensors\nnext:    fovea probe --weights", out);
    fov_terminal_word(out, true);
    (void)printf(" --train LABELLED/train --test LABELLED/test\n");
}

static int run(int argc, char **argv) {
    fov_option_set *set = NULL;
    fov_pretrain_settings settings = {0};
    fov_common_options common = {0};
    const char **data = fov_mem_array(FOV_MEM_BASE, (size_t)argc + 1, sizeof *data);
    size_t data_count = 0;
    fov_status status = data == NULL ? FOV_E_NOMEM : fov_options_new(&set);
    if (status == FOV_OK) {
        status = fov_options_add(set, "Pre-training", fov_pretrain_options, &settings);
    }
    int code = fov_exit_status(status);
    if (status == FOV_OK) {
        code = fov_pretrain_check_words(&fov_command_pretrain, fov_pretrain_tables, argc, argv, data);
    }
    if (code == -1) {
        code = fov_command_parse(&fov_command_pretrain, set, &common, argc, argv, data, &data_count, true);
    }
    if (code == -1) {
        seen context = {.common = &common, .settings = &settings};
        const fov_train_observer observer = {.context = &context, .resolved = resolved, .scanning = scanning, .measuring = measuring, .progress = progress};
        status = fov_interrupt_install();
        if (status == FOV_OK) {
            status = fov_pretrain(set, &settings, data, data_count, &observer);
        }
        code = fov_exit_status(status);
        if (status == FOV_OK && !common.quiet) {
            next_command(settings.out);
        }
    }
    fov_options_free(set);
    fov_mem_free(data);
    return code;
}
