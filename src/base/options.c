/* Option sets: tables bound to structs, one value at a time. Arguments are read in options_args.c, config files in options_ini.c, help is
 * written in options_help.c.
 *
 * Everything a user can get wrong is a line in `problems` rather than an early return: someone who mistyped three options should learn of
 * all three at once. */
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/checked.h"
#include "base/hash.h"
#include "base/number.h"
#include "base/options_set.h"

fov_status fov_options_new(fov_option_set **set) {
    *set = fov_mem_zalloc(FOV_MEM_BASE, sizeof **set);
    FOV_TRY_ALLOC(*set);
    fov_arena_init(&(*set)->arena, FOV_MEM_BASE, 4096);
    fov_text_init(&(*set)->problems);
    return FOV_OK;
}

void fov_options_free(fov_option_set *set) {
    if (set != NULL) {
        fov_arena_clear(&set->arena);
        fov_text_clear(&set->problems);
        fov_mem_free(set->entry);
        fov_mem_free(set->pending);
        fov_mem_free(set);
    }
}

/* ---- finding ---- */

option_entry *fov_options_find(const fov_option_set *set, const char *name) {
    for (size_t i = 0; i < set->count; i++) {
        if (strcmp(set->entry[i].option->name, name) == 0) {
            return &set->entry[i];
        }
    }
    return NULL;
}

option_entry *fov_options_find_long(const fov_option_set *set, const char *name, bool *negated) {
    *negated = false;
    option_entry *entry = fov_options_find(set, name);
    if (entry != NULL || strncmp(name, "no-", 3) != 0) {
        return entry;
    }
    entry = fov_options_find(set, name + 3);
    *negated = entry != NULL && entry->option->type == FOV_OPT_FLAG;
    return *negated ? entry : NULL;
}

option_entry *fov_options_find_letter(const fov_option_set *set, char letter) {
    for (size_t i = 0; i < set->count; i++) {
        if (set->entry[i].option->letter == letter) {
            return &set->entry[i];
        }
    }
    return NULL;
}

/* ---- values ---- */

static fov_status check_range(const fov_option *option, const char *shown, const char *text, double value) {
    if (!(option->min < option->max) || (value >= option->min && value <= option->max)) {
        return FOV_OK;
    }
    char low[40], high[40];
    fov_number_text(option->min, low, sizeof low);
    fov_number_text(option->max, high, sizeof high);
    if (option->max >= 1e15) {
        return FOV_FAIL(FOV_E_INVALID, "%s: %s is out of range; it must be at least %s", shown, text, low);
    }
    return FOV_FAIL(FOV_E_INVALID, "%s: %s is out of range; it must be from %s to %s", shown, text, low, high);
}

static fov_status store_flag(option_entry *entry, const char *shown, const char *text, bool negated) {
    static const char *const yes[] = {"true", "yes", "on", "1", NULL}, *const no[] = {"false", "no", "off", "0", NULL};
    bool value = true, known = text == NULL;
    for (size_t i = 0; !known && yes[i] != NULL; i++) {
        known = strcmp(text, yes[i]) == 0 || strcmp(text, no[i]) == 0;
        value = strcmp(text, yes[i]) == 0;
    }
    if (!known) {
        return FOV_FAIL(FOV_E_INVALID, "%s: '%s' is neither true nor false", shown, text);
    }
    value = negated ? !value : value;
    memcpy(entry->field, &value, sizeof value);
    return FOV_OK;
}

static fov_status store_int(option_entry *entry, const char *shown, const char *text) {
    int64_t value = 0;
    double number = 0.0;
    if (!fov_integer_parse(text, &value)) {
        const bool real = fov_number_parse(text, &number);
        return FOV_FAIL(FOV_E_INVALID, "%s: '%s' is not a whole number%s", shown, text, real ? " in plain digits, such as 1000000" : "");
    }
    FOV_TRY(check_range(entry->option, shown, text, (double)value));
    memcpy(entry->field, &value, sizeof value);
    return FOV_OK;
}

static fov_status store_real(option_entry *entry, const char *shown, const char *text) {
    double value = 0.0;
    if (!fov_number_parse(text, &value)) {
        return FOV_FAIL(FOV_E_INVALID, "%s: '%s' is not a number", shown, text);
    }
    FOV_TRY(check_range(entry->option, shown, text, value));
    memcpy(entry->field, &value, sizeof value);
    return FOV_OK;
}

static fov_status store_string(fov_option_set *set, option_entry *entry, const char *text) {
    const char *kept = text == entry->option->fallback ? text : fov_arena_strdup(&set->arena, text);
    FOV_TRY_ALLOC(kept);
    memcpy(entry->field, &kept, sizeof kept);
    return FOV_OK;
}

static fov_status store_choice(option_entry *entry, const char *shown, const char *text) {
    const char *const *choices = entry->option->choices;
    size_t count = 0;
    for (; choices[count] != NULL; count++) {
        if (strcmp(choices[count], text) == 0) {
            memcpy(entry->field, &choices[count], sizeof choices[count]);
            return FOV_OK;
        }
    }
    const char *near = fov_nearest_name(text, choices, count);
    fov_text list;
    fov_text_init(&list);
    for (size_t i = 0; i < count; i++) {
        fov_text_printf(&list, "%s%s", i == 0 ? "" : ", ", choices[i]);
    }
    const fov_status status = FOV_FAIL(FOV_E_INVALID, "%s: '%s' is not one of %s%s%s%s", shown, text, list.data == NULL ? "" : list.data,
                                       near == NULL ? "" : "; did you mean '", near == NULL ? "" : near, near == NULL ? "" : "'?");
    fov_text_clear(&list);
    return status;
}

fov_status fov_options_store(fov_option_set *set, option_entry *entry, const char *shown, const char *text, bool negated,
                             fov_option_source source) {
    /* A weaker source is checked all the same, into a place of its own. */
    union {
        bool flag;
        int64_t integer;
        double real;
        const char *string;
    } unused = {0};
    option_entry target = *entry;
    if (source < entry->source) {
        target.field = (unsigned char *)&unused;
    }
    switch (entry->option->type) {
    case FOV_OPT_FLAG:
        FOV_TRY(store_flag(&target, shown, text, negated));
        break;
    case FOV_OPT_INT:
        FOV_TRY(store_int(&target, shown, text));
        break;
    case FOV_OPT_REAL:
        FOV_TRY(store_real(&target, shown, text));
        break;
    case FOV_OPT_STRING:
        FOV_TRY(store_string(set, &target, text));
        break;
    case FOV_OPT_CHOICE:
        FOV_TRY(store_choice(&target, shown, text));
        break;
    }
    entry->source = source < entry->source ? entry->source : source;
    return FOV_OK;
}

const char *fov_options_value_text(const option_entry *entry, char *scratch, size_t size) {
    bool flag = false;
    int64_t integer = 0;
    double real = 0.0;
    const char *string = NULL;
    if (entry->source == FOV_FROM_NONE && entry->option->type != FOV_OPT_FLAG) {
        return NULL;
    }
    switch (entry->option->type) {
    case FOV_OPT_FLAG:
        memcpy(&flag, entry->field, sizeof flag);
        return flag ? "true" : "false";
    case FOV_OPT_INT:
        memcpy(&integer, entry->field, sizeof integer);
        (void)snprintf(scratch, size, "%lld", (long long)integer);
        return scratch;
    case FOV_OPT_REAL:
        memcpy(&real, entry->field, sizeof real);
        fov_number_text(real, scratch, size);
        return scratch;
    case FOV_OPT_STRING:
    case FOV_OPT_CHOICE:
        memcpy(&string, entry->field, sizeof string);
        return string;
    }
    return NULL;
}

/* ---- tables ---- */

static fov_status add_entry(fov_option_set *set, const char *heading, const fov_option *option, void *fields) {
    if (fov_options_find(set, option->name) != NULL) {
        return FOV_FAIL(FOV_E_INVALID, "option --%s is declared twice", option->name);
    }
    if (option->letter != 0 && fov_options_find_letter(set, option->letter) != NULL) {
        return FOV_FAIL(FOV_E_INVALID, "option letter -%c is declared twice", option->letter);
    }
    if (set->count == set->capacity) {
        const size_t capacity = set->capacity == 0 ? 32 : 2 * set->capacity;
        size_t bytes = 0;
        if (!fov_mul_size(capacity, sizeof *set->entry, &bytes)) {
            return FOV_FAIL(FOV_E_LIMIT, "too many options: %zu", capacity);
        }
        option_entry *grown = fov_mem_realloc(FOV_MEM_BASE, set->entry, bytes);
        FOV_TRY_ALLOC(grown);
        set->entry = grown;
        set->capacity = capacity;
    }
    option_entry *entry = &set->entry[set->count];
    *entry = (option_entry){.option = option, .heading = heading, .field = (unsigned char *)fields + option->offset};
    if (option->fallback != NULL) {
        char shown[96];
        (void)snprintf(shown, sizeof shown, "default of --%s", option->name);
        FOV_TRY(fov_options_store(set, entry, shown, option->fallback, false, FOV_FROM_DEFAULT));
    }
    set->count++;
    return FOV_OK;
}

fov_status fov_options_add(fov_option_set *set, const char *heading, const fov_option *table, void *fields) {
    const size_t before = set->count;
    for (const fov_option *option = table; option->name != NULL; option++) {
        const fov_status status = add_entry(set, heading, option, fields);
        if (status != FOV_OK) {
            set->count = before;
            return fov_forward_at(__FILE__, __LINE__, status);
        }
    }
    return fov_options_claim(set);
}

void fov_options_know_elsewhere(fov_option_set *set, fov_options_elsewhere elsewhere, const void *context) {
    set->elsewhere = elsewhere;
    set->elsewhere_context = context;
}

fov_status fov_options_set(fov_option_set *set, const char *name, const char *value, fov_option_source source) {
    option_entry *entry = fov_options_find(set, name);
    if (entry == NULL) {
        const option_pending unknown = {.name = name};
        fov_options_problem_unknown(set, &unknown);
        return fov_options_report(set);
    }
    char shown[96];
    (void)snprintf(shown, sizeof shown, "--%s", name);
    return fov_options_store(set, entry, shown, value, false, source);
}

void fov_options_mark(fov_option_set *set, const char *name, fov_option_source source) {
    option_entry *entry = fov_options_find(set, name);
    FOV_ASSERT(entry != NULL);
    entry->source = source;
}

fov_option_source fov_options_source(const fov_option_set *set, const char *name) {
    const option_entry *entry = fov_options_find(set, name);
    return entry == NULL ? FOV_FROM_NONE : entry->source;
}

const fov_option *fov_options_at(const fov_option_set *set, size_t index, const char **heading, char *value, size_t size) {
    if (index >= set->count) {
        return NULL;
    }
    const option_entry *entry = &set->entry[index];
    if (heading != NULL) {
        *heading = entry->heading;
    }
    if (value != NULL && size > 0) {
        char scratch[40];
        const char *text = fov_options_value_text(entry, scratch, sizeof scratch);
        (void)snprintf(value, size, "%s", text == NULL ? "" : text);
    }
    return entry->option;
}

uint64_t fov_options_hash(const fov_option_set *set) {
    uint64_t sum = 0;
    for (size_t i = 0; i < set->count; i++) {
        const option_entry *entry = &set->entry[i];
        const char *fallback = entry->option->fallback == NULL ? "" : entry->option->fallback;
        char scratch[40];
        const char *value = fov_options_value_text(entry, scratch, sizeof scratch);
        if (!entry->option->resumable && !entry->option->transient && value != NULL && strcmp(value, fallback) != 0) {
            sum += fov_hash64(value, strlen(value), fov_hash_text(entry->option->name));
        }
    }
    return sum | 1;
}

/* ---- problems ---- */

void fov_options_problem(fov_option_set *set, const char *format, ...) {
    char line[1024];
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(line, sizeof line, format, arguments);
    va_end(arguments);
    if (set->problems.length > 0) {
        fov_text_add(&set->problems, "\n");
    }
    fov_text_add(&set->problems, line);
}

void fov_options_problem_last(fov_option_set *set) {
    fov_options_problem(set, "%s", fov_last_error());
}

fov_status fov_options_report(fov_option_set *set) {
    if (set->problems.length == 0) {
        return set->problems.status;
    }
    const fov_status status = FOV_FAIL(FOV_E_INVALID, "%s", set->problems.data);
    fov_text_clear(&set->problems);
    fov_text_init(&set->problems);
    return status;
}

size_t fov_option_choice(const char *const *choices, const char *value) {
    for (size_t i = 0; choices[i] != NULL; i++) {
        if (strcmp(choices[i], value) == 0) {
            return i;
        }
    }
    return 0;
}
