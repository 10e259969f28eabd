/* What commands share: their registry, parsing, help, and the way a failure becomes an exit status. */
#include "cli/command.h"

#include <stdio.h>
#include <string.h>

#include "base/interrupt.h"
#include "base/log.h"
#include "base/registry.h"
#include "cli/terminal.h"

#define MOST_PARTS 16 /* of a family */

#define FOV_ENTRY(name) extern const fov_command fov_command_##name;
#include "commands.inc"
#undef FOV_ENTRY

static const fov_command *const commands[] = {
#define FOV_ENTRY(name) &fov_command_##name,
#include "commands.inc"
#undef FOV_ENTRY
};

static const fov_option common_table[] = {
    {.name = "quiet", .type = FOV_OPT_FLAG, .offset = offsetof(fov_common_options, quiet), .help = "print warnings and errors only", .letter = 'q', .transient = true, .resumable = true},
    {.name = "verbose", .type = FOV_OPT_FLAG, .offset = offsetof(fov_common_options, verbose), .help = "print more", .letter = 'v', .transient = true, .resumable = true},
    {.name = "help", .type = FOV_OPT_FLAG, .offset = offsetof(fov_common_options, help), .help = "print this and exit", .letter = 'h', .transient = true, .resumable = true},
    {.name = NULL},
};

FOV_REGISTRY_LOOKUP(command, commands)
FOV_REGISTRY_FIND(command, "command", "fovea help", commands)

int fov_exit_status(fov_status status) {
    if (status == FOV_OK) {
        return 0;
    }
    fov_terminal_init(false, false);
    fov_log(FOV_LOG_ERROR, "%s", fov_last_error());
    switch (status) {
    case FOV_E_INVALID:
    case FOV_E_NOTFOUND:
    case FOV_E_EXISTS:
    case FOV_E_MISMATCH:
        return 2;
    case FOV_E_DATA:
    case FOV_E_FORMAT:
    case FOV_E_UNSUPPORTED:
    case FOV_E_LIMIT:
        return 3;
    case FOV_E_IO:
        return 4;
    case FOV_E_NUMERIC:
        return 5;
    case FOV_E_NOMEM:
        return 7;
    case FOV_E_LOCKED:
        return 8;
    case FOV_E_STALLED:
        return 9;
    case FOV_E_INTERRUPTED:
        return 128 + fov_interrupt_pending();
    default:
        return 1;
    }
}

static bool asks_for_help(int argc, char **argv) {
    for (int i = 0; i < argc; i++) {
        if (strcmp(argv[i], "--") == 0) {
            return false;
        }
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) {
            return true;
        }
    }
    return false;
}

static fov_status add_tables(const fov_command *command, fov_option_set *set, void *fields, int argc, char **argv) {
    if (command->options != NULL) {
        return command->options(set, argc, argv);
    }
    return command->table == NULL ? FOV_OK : fov_options_add(set, command->heading, command->table, fields);
}

/* ---- families ---- */

static void full_name(const fov_command *command, char *text, size_t size) {
    (void)snprintf(text, size, "%s%s%s", command->family == NULL ? "" : command->family, command->family == NULL ? "" : " ", command->name);
}

/* The part that the first argument names; NULL, and no failure, when the first argument is an option or there is none. */
static fov_status find_part(const fov_command *family, int argc, char **argv, const fov_command **part) {
    *part = NULL;
    if (family->parts == NULL || argc < 1 || argv[0][0] == '-') {
        return FOV_OK;
    }
    const char *names[MOST_PARTS], *word = argv[0];
    size_t count = 0;
    for (; family->parts[count] != NULL; count++) {
        FOV_ASSERT(count < MOST_PARTS);
        names[count] = family->parts[count]->name;
        *part = strcmp(word, names[count]) == 0 ? family->parts[count] : *part;
    }
    char kind[64], list[64];
    (void)snprintf(kind, sizeof kind, "%s command", family->name);
    (void)snprintf(list, sizeof list, "fovea help %s", family->name);
    return *part != NULL ? FOV_OK : fov_fail_unknown(kind, word, names, count, list);
}

static void print_parts(const fov_command *family) {
    for (size_t i = 0; family->parts != NULL && family->parts[i] != NULL; i++) {
        (void)printf("  %-10s %s\n", family->parts[i]->name, family->parts[i]->summary);
    }
    if (family->parts != NULL) {
        (void)printf("\n'fovea help %s %s' tells more.\n\n", family->name, family->parts[0]->name);
    }
}

static int run_family(const fov_command *family, int argc, char **argv) {
    const fov_command *part = NULL;
    fov_option_set *set = NULL;
    fov_common_options common = {0};
    fov_status status = find_part(family, argc, argv, &part);
    if (status != FOV_OK || part != NULL) {
        return part != NULL ? fov_command_run(part, argc - 1, argv + 1) : fov_exit_status(status);
    }
    const char **words = fov_mem_array(FOV_MEM_BASE, (size_t)argc + 1, sizeof *words);
    size_t count = 0;
    status = words == NULL ? FOV_E_NOMEM : fov_options_new(&set);
    int code = fov_exit_status(status);
    if (status == FOV_OK) {
        code = fov_command_parse(family, set, &common, argc, argv, words, &count, false); /* help, or options without a name before them */
    }
    if (code == -1) {
        code = fov_exit_status(FOV_FAIL(FOV_E_INVALID, "%s: say which first, such as 'fovea %s %s'; 'fovea help %s' names them all", family->name,
                                        family->name, family->parts[0]->name, family->name));
    }
    fov_options_free(set);
    fov_mem_free(words);
    return code;
}

/* ---- help, parsing, running ---- */

int fov_command_help(const fov_command *command, int argc, char **argv) {
    const fov_command *part = NULL;
    const fov_status found = find_part(command, argc, argv, &part);
    if (found != FOV_OK || part != NULL) {
        return part != NULL ? fov_command_help(part, argc - 1, argv + 1) : fov_exit_status(found);
    }
    char name[64];
    full_name(command, name, sizeof name);
    fov_common_options common = {0};
    fov_option_set *set = NULL;
    fov_text text;
    fov_text_init(&text);
    void *fields = fov_mem_zalloc(FOV_MEM_BASE, command->fields_size);
    fov_status status = fields == NULL ? FOV_E_NOMEM : fov_options_new(&set);
    if (status == FOV_OK) {
        status = add_tables(command, set, fields, argc, argv);
    }
    if (status == FOV_OK) {
        status = fov_options_add(set, "General", common_table, &common);
    }
    if (status == FOV_OK) {
        fov_options_help(set, &text, fov_terminal_width());
        (void)printf("%susage:%s fovea %s %s\n\n%s", fov_terminal_bold(), fov_terminal_plain(), name, command->usage, command->details);
        print_parts(command);
        (void)fputs(text.data == NULL ? "" : text.data, stdout);
    }
    fov_text_clear(&text);
    fov_options_free(set);
    fov_mem_free(fields);
    return fov_exit_status(status);
}

int fov_command_parse(const fov_command *command, fov_option_set *set, fov_common_options *common, int argc, char **argv,
                      const char **positional, size_t *positional_count, bool allow_unknown) {
    if (asks_for_help(argc, argv)) {
        return fov_command_help(command, argc, argv);
    }
    fov_status status = fov_options_add(set, "General", common_table, common);
    if (status == FOV_OK) {
        status = fov_options_parse(set, argc, argv, positional, positional_count, allow_unknown);
    }
    if (status != FOV_OK) {
        const int code = fov_exit_status(status);
        char name[64];
        full_name(command, name, sizeof name);
        (void)fprintf(stderr, "Type 'fovea help %s' for its options.\n", name);
        return code;
    }
    fov_terminal_init(common->quiet, common->verbose);
    return -1;
}

static fov_status run_body(const fov_command *command, const void *fields, const fov_common_options *common, const char *const *words,
                           size_t count) {
    if (count > command->most_words) {
        return FOV_FAIL(FOV_E_INVALID, "%s: there is one word too many: '%s'", command->name, words[command->most_words]);
    }
    return command->body(fields, common, words, count);
}

int fov_command_run(const fov_command *command, int argc, char **argv) {
    if (command->parts != NULL) {
        return run_family(command, argc, argv);
    }
    if (command->body == NULL) {
        return command->run(argc, argv);
    }
    fov_option_set *set = NULL;
    fov_common_options common = {0};
    const char **words = fov_mem_array(FOV_MEM_BASE, (size_t)argc + 1, sizeof *words);
    void *fields = fov_mem_zalloc(FOV_MEM_BASE, command->fields_size);
    size_t count = 0;
    fov_status status = words == NULL || fields == NULL ? FOV_E_NOMEM : fov_options_new(&set);
    if (status == FOV_OK) {
        status = add_tables(command, set, fields, argc, argv);
    }
    int code = fov_exit_status(status);
    if (status == FOV_OK) {
        code = fov_command_parse(command, set, &common, argc, argv, words, &count, false);
    }
    if (code == -1) {
        code = fov_exit_status(run_body(command, fields, &common, words, count));
    }
    fov_options_free(set);
    fov_mem_free(fields);
    fov_mem_free(words);
    return code;
}
