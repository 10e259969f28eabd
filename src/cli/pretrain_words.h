/* Arguments of commands that take the settings of pretrain. */
#ifndef FOV_CLI_PRETRAIN_WORDS_H
#define FOV_CLI_PRETRAIN_WORDS_H

#include "cli/command.h"

/* Adds all settings of pretrain, on fields that nobody reads, and those of the method that the arguments name. */
FOV_MUST_USE fov_status fov_pretrain_tables(fov_option_set *set, int argc, char **argv);
/* Adds only the method's, for help. */
FOV_MUST_USE fov_status fov_pretrain_method_table(fov_option_set *set, int argc, char **argv);

/* Finds all mistakes of the command line at once, those in the method's own options too, where nothing but the command line can name the method.
 * `tables` adds all options of the command; words holds at least argc pointers. Returns -1 to go on, else the exit status to leave with. */
int fov_pretrain_check_words(const fov_command *command, fov_status (*tables)(fov_option_set *set, int argc, char **argv), int argc, char **argv,
                             const char **words);

#endif
