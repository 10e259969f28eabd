/* fovea pretrain: learn a backbone from pictures without labels. */
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/interrupt.h"
#include "cli/command.h"
#include "cli/terminal.h"
#include "train/trainer.h"

static void scanning(void *context, size_t done, size_t total) {
    (void)context;
    static char verb[] = "checking pictures";
    fov_terminal_count(verb, done, total);
}

/* The settings, those that were chosen for the user marked as such, before the first step. */
static void resolved(void *context, const fov_option_set *options, const fov_index *index) {
    const fov_common_options *common = context;
    if (common->quiet) {
        return;
    }
    char count[32];
    fov_format_count(fov_index_count(index), count, sizeof count);
    (void)fprintf(stderr, "%s pictures", count);
    if (fov_index_bad_count(index) > 0) {
        (void)fprintf(stderr, ", %zu bad ones left out (bad.tsv)", fov_index_bad_count(index));
    }
    (void)fputc('\n', stderr);
    char value[512];
    const fov_option *option = NULL;
    for (size_t i = 0; (option = fov_options_at(options, i, NULL, value, sizeof value)) != NULL; i++) {
        const fov_option_source source = fov_options_source(options, option->name);
        const bool shown = common->verbose || source == FOV_FROM_DATA || source == FOV_FROM_USER || source == FOV_FROM_CONFIG;
        if (shown && value[0] != '\0' && option->type != FOV_OPT_FLAG) {
            const char *why = source == FOV_FROM_DATA ? "  (chosen)" : source == FOV_FROM_DEFAULT ? "  (default)" : "";
            (void)fprintf(stderr, "  %-16s %s%s\n", option->name, value, why);
        }
    }
}

static void progress(void *context, const fov_train_progress *p) {
    (void)context;
    char line[240], left[32];
    fov_clock_format(p->seconds_left, left, sizeof left);
    (void)snprintf(line, sizeof line, "step %llu of %llu, epoch %llu of %llu: loss %.4f, %.0f images/s, waiting for data %.0f %%, %s left",
                   (unsigned long long)p->step, (unsigned long long)p->steps, (unsigned long long)p->epoch, (unsigned long long)p->epochs,
                   p->loss, p->images_per_second, 100.0 * p->data_wait, left);
    fov_terminal_progress(line, p->step == p->steps);
}

static fov_status tables(fov_option_set *set, int argc, char **argv) {
    static fov_pretrain_settings settings;
    FOV_TRY(fov_options_add(set, "Pre-training", fov_pretrain_options, &settings));
    /* The method's own options belong in its help: find --method among the arguments. */
    const char *method = "simclr";
    for (int i = 0; i < argc; i++) {
        if (strcmp(argv[i], "--method") == 0 && i + 1 < argc) {
            method = argv[i + 1];
        } else if (strncmp(argv[i], "--method=", 9) == 0) {
            method = argv[i] + 9;
        }
    }
    const fov_objective *objective = fov_objective_named(method);
    if (objective == NULL || objective->options == NULL || objective->options_size > 1024) {
        return FOV_OK;
    }
    static _Alignas(16) unsigned char fields[1024];
    char heading[64];
    (void)snprintf(heading, sizeof heading, "Method %s", method);
    return fov_options_add(set, heading, objective->options, fields);
}

static int run(int argc, char **argv);

const fov_command fov_command_pretrain = {
    .name = "pretrain",
    .usage = "DATA... --out RUN [options]",
    .summary = "learn a backbone from pictures without labels",
    .details = "DATA is one or more folders (searched recursively) or picture files. Everything\n"
               "that is not given is chosen from the pictures, printed, and kept in\n"
               "RUN/config.ini. Interrupt at any time; --resume continues with the same bits.\n\n",
    .run = run,
    .options = tables,
};

static void next_command(const char *out) {
    (void)printf("weights: %s/backbone.safetensors\n"
                 "next:    fovea probe --weights %s --train LABELLED/train --test LABELLED/test\n",
                 out, out);
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
        code = fov_command_parse(&fov_command_pretrain, set, &common, argc, argv, data, &data_count, true);
    }
    if (code == -1) {
        const fov_train_observer observer = {.context = &common, .resolved = resolved, .scanning = scanning, .progress = progress};
        status = fov_interrupt_install();
        if (status == FOV_OK) {
            status = fov_pretrain(set, &settings, data, data_count, &observer);
        }
        code = fov_exit_status(status);
        if (status == FOV_OK && !common.quiet) {
            next_command(settings.out);
        } else if (status == FOV_E_INTERRUPTED) {
            (void)fprintf(stderr, "\nstopped and saved; continue with the same command and --resume\n");
        }
    }
    fov_options_free(set);
    fov_mem_free(data);
    return code;
}
