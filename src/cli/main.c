/* The program `fovea`: finds the command and hands over. */
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "base/cpu.h"
#include "base/text.h"
#include "cli/command.h"
#include "cli/terminal.h"

static void overview(FILE *out) {
    (void)fprintf(out, "fovea " FOVEA_VERSION ": self-supervised pre-training of vision backbones, on a CPU\n\n"
                       "usage: fovea COMMAND ...\n\n");
    for (size_t i = 0; fov_command_at(i) != NULL; i++) {
        (void)fprintf(out, "  %-10s %s\n", fov_command_at(i)->name, fov_command_at(i)->summary);
    }
    (void)fprintf(out, "\nThe usual way:\n"
                       "  fovea pretrain photos/ --out run          learn from pictures without labels\n"
                       "  fovea probe --weights run --train DIR --test DIR    say whether it helped\n"
                       "  fovea export --weights run --out backbone.safetensors\n\n"
                       "'fovea help COMMAND' tells more.\n");
}

static int unknown(const char *word) {
    const char *names[32];
    size_t count = 0;
    for (; fov_command_at(count) != NULL && count < 32; count++) {
        names[count] = fov_command_at(count)->name;
    }
    const char *nearest = fov_nearest_name(word, names, count);
    (void)fprintf(stderr, "fovea: there is no command '%s'", word);
    if (nearest != NULL) {
        (void)fprintf(stderr, "; did you mean '%s'?\n", nearest);
    } else {
        (void)fputs("; 'fovea help' lists them\n", stderr);
    }
    return 2;
}

static int help(int argc, char **argv) {
    if (argc < 1) {
        overview(stdout);
        return 0;
    }
    const fov_command *command = fov_command_named(argv[0]);
    return command == NULL ? unknown(argv[0]) : fov_command_help(command, argc - 1, argv + 1);
}

int main(int argc, char **argv) {
    (void)signal(SIGPIPE, SIG_IGN); /* a closed pipe is a failed write with a message, not a silent death in the middle of a run */
    if (argc < 2) {
        overview(stderr);
        return 2;
    }
    const char *word = argv[1];
    if (strcmp(word, "--version") == 0) {
        (void)puts("fovea " FOVEA_VERSION);
        return 0;
    }
    if (strcmp(word, "help") == 0 || strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0) {
        return help(argc - 2, argv + 2);
    }
    const fov_command *command = fov_command_named(word);
    if (command == NULL) {
        return unknown(word);
    }
    const fov_status status = fov_cpu_check();
    return status != FOV_OK ? fov_exit_status(status) : command->run(argc - 2, argv + 2);
}
