/* What every command is made of, and what commands share. Commands are listed in commands.def. */
#ifndef FOV_CLI_COMMAND_H
#define FOV_CLI_COMMAND_H

#include "base/options.h"

/* Options that every command has. */
typedef struct fov_common_options {
    bool help, quiet, verbose;
} fov_common_options;

typedef struct fov_command fov_command;
struct fov_command {
    const char *name;
    const char *usage;   /* what follows "fovea NAME" */
    const char *summary; /* one line, lower case, no full stop */
    const char *details; /* paragraphs for `fovea help NAME`, lines under 79 characters */

    /* A command with one table of options, or none (table NULL): `body` gets its `fields_size` bytes of options and the words, of which there
     * are at most `most_words`. Option strings live until body returns. */
    const char *heading; /* over the table, in help */
    const fov_option *table;
    size_t fields_size, most_words;
    fov_status (*body)(const void *fields, const fov_common_options *common, const char *const *words, size_t word_count);

    /* A command whose tables follow its arguments does it all itself (then body is NULL). argv[0] is the first argument after the command;
     * `run` returns the exit status, `options` adds the tables to a set, for help. */
    int (*run)(int argc, char **argv);
    fov_status (*options)(fov_option_set *set, int argc, char **argv);

    /* A family of commands (then body and run are NULL): the next word names one of `parts`, ended by NULL, whose `name` is that word alone. */
    const fov_command *const *parts;
    const char *family; /* of a part: the name of the command it belongs to */
};

const fov_command *fov_command_at(size_t index);        /* NULL past the end */
const fov_command *fov_command_named(const char *name); /* NULL if unknown */
FOV_MUST_USE fov_status fov_command_find(const char *name, const fov_command **found); /* names the nearest if unknown */

/* Prints the failure of the calling thread to standard error, as "fovea: message", and returns the exit status for the code:
 * 0 done, 1 failed, 2 wrong usage, 3 bad data or a file that is damaged or too large, 4 cannot write, 5 not finite, 7 out of memory,
 * 8 locked, 9 stalled, 128 + signal. */
int fov_exit_status(fov_status status);

/* Prints help for one command to standard output. */
int fov_command_help(const fov_command *command, int argc, char **argv);

/* Parses arguments into a set that already has the command's tables; adds the common ones, handles --help, sets up logging. Returns -1 to
 * go on, else the exit status to leave with. positional holds at least argc pointers. */
int fov_command_parse(const fov_command *command, fov_option_set *set, fov_common_options *common, int argc, char **argv,
                      const char **positional, size_t *positional_count, bool allow_unknown);

/* Runs a command and returns its exit status. */
int fov_command_run(const fov_command *command, int argc, char **argv);

#endif
