/* Inside of an option set. Private to options*.c. */
#ifndef FOV_BASE_OPTIONS_SET_H
#define FOV_BASE_OPTIONS_SET_H

#include "base/arena.h"
#include "base/options.h"

typedef struct option_entry {
    const fov_option *option;
    const char *heading;
    unsigned char *field; /* in the caller's struct */
    fov_option_source source;
    unsigned line; /* where the config file being read set it, 0 if it has not */
} option_entry;

/* A name that no table had yet when it was met. */
typedef struct option_pending {
    const char *name;
    const char *value; /* NULL: none was given */
    const char *path;  /* of the config file; NULL: from the arguments */
    unsigned line;
    char letter;   /* of a short option, else 0 */
    bool followed; /* the value was the next argument, and may have been meant as something else */
} option_pending;

struct fov_option_set {
    fov_arena arena;
    option_entry *entry;
    size_t count, capacity;
    option_pending *pending;
    size_t pending_count, pending_capacity;
    fov_text problems; /* one a line */
    bool allow_unknown;
    fov_options_elsewhere elsewhere; /* NULL: nobody knows */
    const void *elsewhere_context;
};

/* By name; NULL if no table has it. */
option_entry *fov_options_find(const fov_option_set *set, const char *name);
/* As find, also for "no-NAME" of a flag: then *negated is set. */
option_entry *fov_options_find_long(const fov_option_set *set, const char *name, bool *negated);
option_entry *fov_options_find_letter(const fov_option_set *set, char letter);
/* Parses `text` (NULL for a flag that was merely named) into the field. The message of a failure starts with `shown`. */
fov_status fov_options_store(fov_option_set *set, option_entry *entry, const char *shown, const char *text, bool negated,
                             fov_option_source source);
/* The value as text: points into the field, the tables or `scratch` (at least 40 bytes). NULL for a string that is not set and for anything
 * whose source is FOV_FROM_NONE. */
const char *fov_options_value_text(const option_entry *entry, char *scratch, size_t size);
/* Adds a line to the problems. */
void fov_options_problem(fov_option_set *set, const char *format, ...) FOV_PRINTF(2, 3);
/* Adds the thread's latest failure to the problems. */
void fov_options_problem_last(fov_option_set *set);
/* Adds "unknown option ..., did you mean ...". */
void fov_options_problem_unknown(fov_option_set *set, const option_pending *pending);
fov_status fov_options_set_aside(fov_option_set *set, option_pending pending);
/* Applies whatever a newly added table claims. */
fov_status fov_options_claim(fov_option_set *set);
/* FOV_E_INVALID with all problems, which are then forgotten; FOV_OK if there are none. */
fov_status fov_options_report(fov_option_set *set);

#endif
