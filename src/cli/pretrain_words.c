/* The settings of pretrain on a command line. A method has options of its own, so that --method is looked for before anything is parsed. */
#include "cli/pretrain_words.h"

#include <stdio.h>
#include <string.h>

#include "objectives/objective.h"
#include "train/trainer.h"

static const char *named_method(int argc, char **argv) {
    const char *method = "simclr";
    for (int i = 0; i < argc; i++) {
        if (strcmp(argv[i], "--method") == 0 && i + 1 < argc) {
            method = argv[i + 1];
        } else if (strncmp(argv[i], "--method=", 9) == 0) {
            method = argv[i] + 9;
        }
    }
    return method;
}

fov_status fov_pretrain_method_table(fov_option_set *set, int argc, char **argv) {
    const char *method = named_method(argc, argv);
    const fov_objective *objective = fov_objective_named(method);
    if (objective == NULL) {
        return FOV_OK;
    }
    static _Alignas(16) unsigned char fields[1024];
    FOV_ASSERT(objective->options_size <= sizeof fields);
    static char heading[64]; /* the set keeps it */
    (void)snprintf(heading, sizeof heading, "Method %s", method);
    return fov_objective_add_options(objective, set, heading, fields);
}

fov_status fov_pretrain_tables(fov_option_set *set, int argc, char **argv) {
    static fov_pretrain_settings settings;
    FOV_TRY(fov_options_add(set, "Pre-training", fov_pretrain_options, &settings));
    return fov_pretrain_method_table(set, argc, argv);
}

int fov_pretrain_check_words(const fov_command *command, fov_status (*tables)(fov_option_set *set, int argc, char **argv), int argc, char **argv,
                             const char **words) {
    for (int i = 0; i < argc; i++) {
        if (strncmp(argv[i], "--config", 8) == 0 || strcmp(argv[i], "--resume") == 0) {
            return -1;
        }
    }
    fov_option_set *set = NULL;
    fov_common_options common = {0};
    size_t count = 0;
    fov_status status = fov_options_new(&set);
    if (status == FOV_OK) {
        status = tables(set, argc, argv);
    }
    const fov_objective *objective = fov_objective_named(named_method(argc, argv));
    fov_option *names = NULL;
    const char *unused = NULL;
    if (status == FOV_OK && objective == NULL) {
        status = fov_objective_option_names(&names);
    }
    if (status == FOV_OK && objective == NULL) {
        status = fov_options_add(set, "Method", names, &unused);
    }
    const int code = status == FOV_OK ? fov_command_parse(command, set, &common, argc, argv, words, &count, false) : fov_exit_status(status);
    if (status == FOV_OK && objective == NULL && code > 0) {
        (void)fov_exit_status(fov_objective_find(named_method(argc, argv), &objective)); /* the settings were refused: that is told too */
    }
    fov_options_free(set);
    fov_mem_free(names);
    return code;
}
