/* Arguments in the GNU manner: --name value, --name=value, --no-flag, -n value, -nvalue, bundled letters, and -- to end options.
 *
 * Differences, both to catch mistakes: names may not be abbreviated, and an argument that starts with -- is never taken for the value of
 * the option before it (--name=--x says it on purpose). */
#include <stdio.h>
#include <string.h>

#include "base/checked.h"
#include "base/options_set.h"

typedef struct arguments {
    fov_option_set *set;
    char *const *argv;
    int argc, at;
    const char **positional;
    size_t count;
} arguments;

/* The next argument if it can be a value, and steps over it. */
static const char *take_value(arguments *a) {
    if (a->at + 1 >= a->argc || strncmp(a->argv[a->at + 1], "--", 2) == 0) {
        return NULL;
    }
    return a->argv[++a->at];
}

static void nearest(const fov_option_set *set, const char *name, bool negated, char *text, size_t size) {
    text[0] = '\0';
    const char **names = fov_mem_array(FOV_MEM_BASE, set->count, sizeof *names);
    size_t count = 0;
    for (size_t i = 0; names != NULL && i < set->count; i++) {
        if (!negated || set->entry[i].option->type == FOV_OPT_FLAG) {
            names[count++] = set->entry[i].option->name;
        }
    }
    const char *near = names == NULL ? NULL : fov_nearest_name(name, names, count);
    if (near != NULL) {
        (void)snprintf(text, size, "%s%s", negated ? "no-" : "", near);
    }
    fov_mem_free(names);
}

/* The name means something, only not here. */
static bool problem_elsewhere(fov_option_set *set, const char *shown, const char *name) {
    fov_text where;
    fov_text_init(&where);
    if (set->elsewhere != NULL) {
        set->elsewhere(set->elsewhere_context, name, &where);
    }
    const bool known = where.status == FOV_OK && where.length > 0;
    if (known) {
        fov_options_problem(set, "%s%.200s is of %s", shown, name, where.data);
    }
    fov_text_clear(&where);
    return known;
}

void fov_options_problem_unknown(fov_option_set *set, const option_pending *pending) {
    if (pending->letter != 0) {
        fov_options_problem(set, "unknown option -%c", pending->letter);
        return;
    }
    const char *dashes = pending->path == NULL ? "--" : "", *kind = pending->path == NULL ? "option" : "setting";
    char place[512] = "", shown[600];
    if (pending->path != NULL) {
        (void)snprintf(place, sizeof place, "%s:%u: ", pending->path, pending->line);
    }
    (void)snprintf(shown, sizeof shown, "%s%s %s", place, kind, dashes);
    if (problem_elsewhere(set, shown, pending->name)) {
        return;
    }
    char near[96];
    nearest(set, pending->name, false, near, sizeof near);
    const bool negated = strncmp(pending->name, "no-", 3) == 0;
    if (near[0] == '\0' && negated && fov_options_find(set, pending->name + 3) != NULL) {
        (void)snprintf(near, sizeof near, "%s", pending->name + 3); /* there, but not a flag */
    } else if (near[0] == '\0' && negated) {
        nearest(set, pending->name + 3, true, near, sizeof near);
    }
    if (near[0] != '\0') {
        fov_options_problem(set, "%sunknown %s %s%.200s; did you mean %s%s?", place, kind, dashes, pending->name, dashes, near);
    } else {
        fov_options_problem(set, "%sunknown %s %s%.200s", place, kind, dashes, pending->name);
    }
}

fov_status fov_options_set_aside(fov_option_set *set, option_pending pending) {
    if (set->pending_count == set->pending_capacity) {
        const size_t capacity = set->pending_capacity == 0 ? 16 : 2 * set->pending_capacity;
        option_pending *grown = fov_mem_realloc(FOV_MEM_BASE, set->pending, capacity * sizeof *grown);
        FOV_TRY_ALLOC(grown);
        set->pending = grown;
        set->pending_capacity = capacity;
    }
    pending.name = fov_arena_strdup(&set->arena, pending.name);
    FOV_TRY_ALLOC(pending.name);
    if (pending.value != NULL) {
        pending.value = fov_arena_strdup(&set->arena, pending.value);
        FOV_TRY_ALLOC(pending.value);
    }
    set->pending[set->pending_count++] = pending;
    return FOV_OK;
}

static void store(fov_option_set *set, option_entry *entry, const char *shown, const char *value, bool negated) {
    if (fov_options_store(set, entry, shown, value, negated, FOV_FROM_USER) != FOV_OK) {
        fov_options_problem_last(set);
    }
}

static fov_status long_unknown(arguments *a, const char *name, const char *value) {
    option_pending unknown = {.name = name, .value = value};
    if (value == NULL && strncmp(name, "no-", 3) != 0 && a->set->allow_unknown) {
        unknown.value = take_value(a);
        unknown.followed = unknown.value != NULL;
    }
    if (a->set->allow_unknown) {
        return fov_options_set_aside(a->set, unknown);
    }
    fov_options_problem_unknown(a->set, &unknown);
    return FOV_OK;
}

static fov_status long_option(arguments *a) {
    const char *text = a->argv[a->at] + 2;
    const char *equals = strchr(text, '=');
    char *name = fov_arena_copy(&a->set->arena, text, strlen(text) + 1);
    FOV_TRY_ALLOC(name);
    name[equals == NULL ? strlen(text) : (size_t)(equals - text)] = '\0';
    const char *value = equals == NULL ? NULL : equals + 1;
    bool negated = false;
    option_entry *entry = fov_options_find_long(a->set, name, &negated);
    if (entry == NULL) {
        return long_unknown(a, name, value);
    }
    if (value == NULL && entry->option->type != FOV_OPT_FLAG) {
        value = take_value(a);
        if (value == NULL) {
            fov_options_problem(a->set, "--%s needs a value: --%s %s", name, name,
                                entry->option->value_name == NULL ? "VALUE" : entry->option->value_name);
            return FOV_OK;
        }
    }
    char shown[128];
    (void)snprintf(shown, sizeof shown, "--%s", name);
    store(a->set, entry, shown, value, negated);
    return FOV_OK;
}

/* One letter at argv[at][*i]; may use up the rest of the argument. */
static fov_status letter_option(arguments *a, size_t *i) {
    const char *text = a->argv[a->at];
    const char letter = text[*i];
    option_entry *entry = fov_options_find_letter(a->set, letter);
    if (entry == NULL) {
        const option_pending unknown = {.name = text, .letter = letter};
        if (a->set->allow_unknown) {
            return fov_options_set_aside(a->set, unknown);
        }
        fov_options_problem_unknown(a->set, &unknown);
        return FOV_OK;
    }
    char shown[8];
    (void)snprintf(shown, sizeof shown, "-%c", letter);
    const char *value = NULL;
    if (entry->option->type != FOV_OPT_FLAG) {
        value = text[*i + 1] != '\0' ? text + *i + 1 : take_value(a);
        *i = strlen(text) - 1;
        if (value == NULL) {
            fov_options_problem(a->set, "%s needs a value: %s %s", shown, shown,
                                entry->option->value_name == NULL ? "VALUE" : entry->option->value_name);
            return FOV_OK;
        }
    }
    store(a->set, entry, shown, value, false);
    return FOV_OK;
}

static fov_status letter_options(arguments *a) {
    const char *text = a->argv[a->at];
    const size_t length = strlen(text);
    for (size_t i = 1; i < length; i++) {
        FOV_TRY(letter_option(a, &i));
    }
    return FOV_OK;
}

fov_status fov_options_parse(fov_option_set *set, int argc, char *const *argv, const char **positional, size_t *positional_count,
                             bool allow_unknown) {
    arguments a = {.set = set, .argv = argv, .argc = argc, .positional = positional};
    set->allow_unknown = allow_unknown;
    *positional_count = 0;
    bool options = true;
    for (; a.at < argc; a.at++) {
        const char *text = argv[a.at];
        if (options && strcmp(text, "--") == 0) {
            options = false;
        } else if (!options || text[0] != '-' || text[1] == '\0') {
            positional[a.count++] = text;
        } else if (text[1] == '-') {
            FOV_TRY(long_option(&a));
        } else {
            FOV_TRY(letter_options(&a));
        }
    }
    *positional_count = a.count;
    return fov_options_report(set);
}

/* A pending name that a table now has. */
static void apply_pending(fov_option_set *set, option_entry *entry, const option_pending *pending, bool negated) {
    char shown[640];
    if (pending->path != NULL) {
        (void)snprintf(shown, sizeof shown, "%.500s:%u: %s", pending->path, pending->line, pending->name);
    } else if (pending->letter != 0) {
        (void)snprintf(shown, sizeof shown, "-%c", pending->letter);
    } else {
        (void)snprintf(shown, sizeof shown, "--%s", pending->name);
    }
    const bool flag = entry->option->type == FOV_OPT_FLAG;
    const fov_option_source source = pending->path == NULL ? FOV_FROM_USER : FOV_FROM_CONFIG;
    if (!flag && pending->value == NULL) {
        fov_options_problem(set, "%s needs a value: write %s", shown,
                            entry->option->value_name == NULL ? "VALUE" : entry->option->value_name);
    } else if (flag && pending->followed && fov_options_store(set, entry, shown, pending->value, negated, source) != FOV_OK) {
        fov_options_problem(set, "%s takes no value, but '%.200s' follows it: write %s=true, or put it at the end", shown, pending->value,
                            shown);
    } else if (fov_options_store(set, entry, shown, pending->value, negated, source) != FOV_OK) {
        fov_options_problem_last(set);
    }
}

fov_status fov_options_claim(fov_option_set *set) {
    size_t kept = 0;
    for (size_t i = 0; i < set->pending_count; i++) {
        const option_pending pending = set->pending[i];
        bool negated = false;
        option_entry *entry = pending.letter != 0    ? fov_options_find_letter(set, pending.letter)
                              : pending.path != NULL ? fov_options_find(set, pending.name)
                                                     : fov_options_find_long(set, pending.name, &negated);
        if (entry == NULL) {
            set->pending[kept++] = pending;
        } else {
            apply_pending(set, entry, &pending, negated);
        }
    }
    set->pending_count = kept;
    return set->problems.status;
}

fov_status fov_options_finish(fov_option_set *set) {
    for (size_t i = 0; i < set->pending_count; i++) {
        fov_options_problem_unknown(set, &set->pending[i]);
    }
    set->pending_count = 0;
    set->allow_unknown = false;
    return fov_options_report(set);
}
