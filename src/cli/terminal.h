/* Standard error as a person sees it: one progress line that is redrawn, and log lines that never tear it. Only on a terminal; in a file or
 * pipe progress becomes an occasional plain line. */
#ifndef FOV_CLI_TERMINAL_H
#define FOV_CLI_TERMINAL_H

#include <fovea/log.h>
#include <stdbool.h>
#include <stddef.h>

/* Installs the log sink. quiet: errors and warnings only. */
void fov_terminal_init(bool quiet, bool verbose);
/* Replaces the progress line; on a non-terminal prints at most one line every 10 s. `final` ends the line. */
void fov_terminal_progress(const char *line, bool final);
/* A progress callback for counted work: context is the verb, such as "checking pictures". */
void fov_terminal_count(void *context, size_t done, size_t total);
/* Bold and dim text on standard output, empty strings when it is not a terminal or NO_COLOR is set. */
const char *fov_terminal_bold(void);
const char *fov_terminal_plain(void);
/* Prints a space and a word of a command to type, quoted for the shell where it has to be; a path with a leading dash gets ./ before it. */
void fov_terminal_word(const char *word, bool path);
unsigned fov_terminal_width(void); /* columns of standard output, 40 to 100, 80 when unknown */

#endif
