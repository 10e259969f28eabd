/* Options are declared once, in a table; parsing, help, config files and stored settings all come from it.
 *
 * A table describes the fields of one options struct. Values are kept as written plus parsed into the struct; each value knows
 * where it came from, so that `fovea pretrain` can print what it chose itself and what the user asked for. */
#ifndef FOV_BASE_OPTIONS_H
#define FOV_BASE_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/text.h"

typedef enum fov_option_type {
    FOV_OPT_FLAG,   /* bool; --name or --no-name */
    FOV_OPT_INT,    /* int64_t */
    FOV_OPT_REAL,   /* double; must be finite */
    FOV_OPT_STRING, /* const char *; the option set keeps the bytes */
    FOV_OPT_CHOICE  /* const char *; one of `choices` */
} fov_option_type;

typedef struct fov_option {
    const char *name;           /* without dashes: "batch-size" */
    fov_option_type type;
    size_t offset;              /* of the field in the options struct */
    const char *value_name;     /* "N", "DIR", ...; NULL for flags */
    const char *help;           /* one line, lower case, no full stop */
    const char *fallback;       /* default as text; NULL: chosen from the data (the struct's field is left as it is) */
    double min, max;            /* inclusive bounds of numbers, used when min < max */
    const char *const *choices; /* NULL-terminated */
    bool resumable;             /* may differ from the checkpoint's on --resume */
    char letter;                /* short form, 0 for none */
    bool transient;             /* of one invocation (--help, --verbose): not written to files of settings */
} fov_option;

/* Where a value came from, in rising strength. */
typedef enum fov_option_source { FOV_FROM_NONE, FOV_FROM_DEFAULT, FOV_FROM_DATA, FOV_FROM_CONFIG, FOV_FROM_USER } fov_option_source;

/* The place of a value among the choices of its option, NULL at their end; 0 when it is none of them. */
size_t fov_option_choice(const char *const *choices, const char *value);

typedef struct fov_option_set fov_option_set; /* tables bound to structs, with the source of every value */

FOV_MUST_USE fov_status fov_options_new(fov_option_set **set);
void fov_options_free(fov_option_set *set); /* takes NULL; strings handed out die with it */
/* Binds a table (ended by an entry with name NULL) to a struct and writes the fallbacks into it. `heading` titles its help
 * section. Tables may be added late (a method's own options, once --method is known). Keeps `table` and `fields`. */
FOV_MUST_USE fov_status fov_options_add(fov_option_set *set, const char *heading, const fov_option *table, void *fields);

/* Asked about a name that no table has: writes what it belongs to instead, such as "--method mae", or nothing. */
typedef void (*fov_options_elsewhere)(const void *context, const char *name, fov_text *text);
void fov_options_know_elsewhere(fov_option_set *set, fov_options_elsewhere elsewhere, const void *context);

/* Parses arguments after the command word. Every problem is collected: the message lists all of them, one a line, each with the
 * nearest valid name. `positional` gets pointers into argv. When `allow_unknown`, unknown options are kept aside, together with the
 * argument that follows them; a table added later claims them (a flag must then be written --name or --name=true before another
 * option or at the end), and fov_options_finish reports the rest. */
FOV_MUST_USE fov_status fov_options_parse(fov_option_set *set, int argc, char *const *argv, const char **positional,
                                          size_t *positional_count, bool allow_unknown);
FOV_MUST_USE fov_status fov_options_finish(fov_option_set *set); /* now every unknown name is an error */
/* Reads "name = value" lines (INI, inih); unknown names are errors with the line number, at once, or at fov_options_finish after a
 * parse with `allow_unknown`. Sections are headings only. Does not override FOV_FROM_USER. Values in double quotes may hold \n, \t, \r,
 * \", \\ and \xHH; an indented line in quotes continues the quoted value above it. */
FOV_MUST_USE fov_status fov_options_read_ini(fov_option_set *set, const char *path);
/* The same from `size` bytes in memory (settings stored in a checkpoint); `what` stands for the path in messages. */
FOV_MUST_USE fov_status fov_options_read_text(fov_option_set *set, const void *text, size_t size, const char *what);
/* Sets one value by text; checks as parsing does. A weaker source never replaces the value of a stronger one. */
FOV_MUST_USE fov_status fov_options_set(fov_option_set *set, const char *name, const char *value, fov_option_source source);
/* The code decided a field of the struct itself: record that it came from the data. */
void fov_options_mark(fov_option_set *set, const char *name, fov_option_source source);
fov_option_source fov_options_source(const fov_option_set *set, const char *name);

/* Walk: index 0, 1, ... until NULL. `value` gets the present value as text. */
const fov_option *fov_options_at(const fov_option_set *set, size_t index, const char **heading, char *value, size_t size);
/* Of the values that may not change on resume, whatever their source and the order of tables. Values that are the default do not count, so that
 * options which later versions add leave the hash as it is. Never 0. */
uint64_t fov_options_hash(const fov_option_set *set);
/* The help text of all tables, wrapped at `width`. */
void fov_options_help(const fov_option_set *set, fov_text *text, unsigned width);
/* An INI file of every value, with its source as a comment. */
void fov_options_write_ini(const fov_option_set *set, fov_text *text);

#endif
