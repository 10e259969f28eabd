/* Options in INI files, read through inih. What we write, we read back to the same values, whatever bytes a path holds.
 *
 * inih cuts lines at 200 bytes, strips white space and takes " ;" for a comment. So values that could suffer are written in double quotes
 * with escapes, and long ones in pieces on indented lines, which inih reports under the same name. Our own line source counts the lines and
 * refuses those that inih would cut. */
#include <ini.h>
#include <stdio.h>
#include <string.h>

#include "base/io.h"
#include "base/options_set.h"

#define FILE_LIMIT ((size_t)1 << 20)
#define LINE_LIMIT 190U  /* under inih's own, with its room for the line end */
#define PIECE_LIMIT 100U /* escaped bytes of a value on one line */

/* ---- reading ---- */

typedef struct reader {
    fov_option_set *set;
    const char *path;
    const char *at, *end;
    unsigned line; /* of the text inih holds now */
    bool indented; /* that line continues the one before */
    char *name;    /* setting being gathered; NULL if none */
    unsigned name_line;
    fov_text value;
    bool quoted; /* its last piece was in quotes */
    bool bad;    /* its value could not be read; the problem is noted */
    fov_status status;
} reader;

/* Whether a line that is too long can be left out: comments may be cut, anything else would change its meaning. */
static bool says_nothing(const char *at, const char *stop) {
    while (at < stop && (*at == ' ' || *at == '\t' || *at == '\r' || *at == '\n')) {
        at++;
    }
    return at == stop || *at == '#' || *at == ';';
}

/* inih's line source: like fgets, but knows the line number and never hands out part of a line. */
static char *next_line(char *text, int room, void *context) {
    reader *r = context;
    if (r->at == r->end || r->status != FOV_OK) {
        return NULL;
    }
    const char *newline = memchr(r->at, '\n', (size_t)(r->end - r->at));
    const char *stop = newline == NULL ? r->end : newline + 1;
    size_t length = (size_t)(stop - r->at);
    r->line++;
    r->indented = *r->at == ' ' || *r->at == '\t';
    const size_t limit = room > 2 && (size_t)room - 2 < LINE_LIMIT ? (size_t)room - 2 : LINE_LIMIT;
    if (length > limit) {
        if (!says_nothing(r->at, stop)) {
            fov_options_problem(
                r->set, "%s:%u: the line has more than %zu characters; put it in quotes and continue it, in quotes, on an indented line",
                r->path, r->line, limit);
        }
        length = 0;
    }
    memcpy(text, r->at, length);
    text[length] = '\0';
    r->at = stop;
    return text;
}

static int hex_digit(char c) {
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* One escape after the backslash; returns the bytes used, 0 if it is unknown. */
static size_t unescape(const char *at, char *byte) {
    static const char letters[] = "ntr\"\\", bytes[] = "\n\t\r\"\\";
    if (at[0] == 'x') {
        const int high = hex_digit(at[1]), low = high < 0 ? -1 : hex_digit(at[2]);
        *byte = (char)(low < 0 ? 0 : high * 16 + low);
        return *byte == '\0' ? 0 : 3;
    }
    const char *found = at[0] == '\0' ? NULL : strchr(letters, at[0]);
    *byte = found == NULL ? '\0' : bytes[found - letters];
    return found == NULL ? 0 : 1;
}

/* Appends the contents of "..." to the value; false if it is malformed. */
static bool add_quoted_piece(fov_text *value, const char *piece) {
    const char *at = piece + 1;
    while (*at != '"') {
        char byte = *at;
        size_t used = 1;
        if (byte == '\0') {
            return false;
        }
        if (byte == '\\') {
            const size_t escape = unescape(at + 1, &byte);
            if (escape == 0) {
                return false;
            }
            used = 1 + escape;
        }
        fov_text_add_bytes(value, &byte, 1);
        at += used;
    }
    return at[1] == '\0';
}

static void add_piece(reader *r, const char *piece, bool first) {
    const bool quoted = piece[0] == '"';
    if (!first && !(quoted && r->quoted)) {
        /* Joining plain text would swallow settings that someone indented for looks. */
        fov_options_problem(r->set,
                            "%s:%u: an indented line continues the one above, and then both must be in quotes; remove the indent if it "
                            "is a setting of its own",
                            r->path, r->line);
        r->bad = true;
    } else if (!quoted) {
        fov_text_add(&r->value, piece);
    } else if (!add_quoted_piece(&r->value, piece) && !r->bad) {
        fov_options_problem(r->set, "%s:%u: %s: the quotes or the escapes in them are not right; known are \\n \\t \\r \\\" \\\\ \\xHH",
                            r->path, r->line, r->name);
        r->bad = true;
    }
    r->quoted = quoted;
}

/* The setting is complete: find it and store it. */
static fov_status finish_setting(reader *r) {
    if (r->name == NULL) {
        return FOV_OK;
    }
    FOV_TRY(r->value.status);
    const char *value = r->value.data == NULL ? "" : r->value.data;
    option_entry *entry = fov_options_find(r->set, r->name);
    const option_pending unknown = {.name = r->name, .value = value, .path = r->path, .line = r->name_line};
    if (entry == NULL && r->set->allow_unknown && !r->bad) {
        FOV_TRY(fov_options_set_aside(r->set, unknown));
    } else if (entry == NULL) {
        fov_options_problem_unknown(r->set, &unknown);
    } else if (entry->line != 0) {
        fov_options_problem(r->set, "%s:%u: %s was set on line %u already", r->path, r->name_line, r->name, entry->line);
    } else if (!r->bad) {
        char shown[640];
        (void)snprintf(shown, sizeof shown, "%.500s:%u: %s", r->path, r->name_line, r->name);
        entry->line = r->name_line;
        if (fov_options_store(r->set, entry, shown, value, false, FOV_FROM_CONFIG) != FOV_OK) {
            fov_options_problem_last(r->set);
        }
    }
    fov_mem_free(r->name);
    r->name = NULL;
    fov_text_clear(&r->value);
    fov_text_init(&r->value);
    r->bad = false;
    return FOV_OK;
}

static fov_status take_piece(reader *r, const char *name, const char *value) {
    if (r->name != NULL && r->indented && strcmp(r->name, name) == 0) {
        add_piece(r, value, false);
        return FOV_OK;
    }
    FOV_TRY(finish_setting(r));
    r->name = fov_mem_strdup(FOV_MEM_BASE, name);
    FOV_TRY_ALLOC(r->name);
    r->name_line = r->line;
    add_piece(r, value, true);
    return FOV_OK;
}

static int handle(void *context, const char *section, const char *name, const char *value) {
    reader *r = context;
    (void)section;
    if (r->status == FOV_OK && value != NULL) {
        r->status = take_piece(r, name, value);
    }
    return 1;
}

fov_status fov_options_read_text(fov_option_set *set, const void *text, size_t size, const char *what) {
    const char *bytes = text;
    /* Kept, because settings set aside for a later table name this file in their messages. */
    const char *path = fov_arena_strdup(&set->arena, what);
    FOV_TRY_ALLOC(path);
    if (memchr(bytes, '\0', size) != NULL) {
        return FOV_FAIL(FOV_E_FORMAT, "%s: is not a text file (it holds a zero byte)", path);
    }
    for (size_t i = 0; i < set->count; i++) {
        set->entry[i].line = 0;
    }
    reader r = {.set = set, .path = path, .at = bytes, .end = bytes + size};
    fov_text_init(&r.value);
    const int line = ini_parse_stream(next_line, &r, handle, &r);
    if (r.status == FOV_OK) {
        r.status = finish_setting(&r);
    }
    fov_mem_free(r.name);
    fov_text_clear(&r.value);
    FOV_TRY(r.status);
    if (line > 0) {
        fov_options_problem(set, "%s:%d: expected name = value or [heading]", path, line);
    }
    return line < 0 ? FOV_FAIL(FOV_E_NOMEM, "%s: out of memory while reading settings", path) : fov_options_report(set);
}

fov_status fov_options_read_ini(fov_option_set *set, const char *path) {
    fov_blob blob;
    FOV_TRY(fov_io_read(path, FILE_LIMIT, 1, &blob));
    const fov_status status = fov_options_read_text(set, blob.data, blob.size, path);
    fov_blob_clear(&blob);
    return status == FOV_OK ? FOV_OK : fov_forward_at(__FILE__, __LINE__, status);
}

/* ---- writing ---- */

static bool is_plain(unsigned char byte) {
    return byte >= 0x20 && byte < 0x7F && byte != '"' && byte != '\\' && byte != ';';
}

static bool needs_quotes(const char *value) {
    const size_t length = strlen(value);
    if (length == 0) {
        return false;
    }
    bool plain = length <= PIECE_LIMIT && value[0] != ' ' && value[length - 1] != ' ';
    for (size_t i = 0; plain && i < length; i++) {
        plain = is_plain((unsigned char)value[i]);
    }
    return !plain;
}

/* Bytes from 0x80 up are written as they are when they are UTF-8, so that people can read the names of their folders. */
static size_t escape_byte(char out[5], char byte, bool utf8) {
    static const char letters[] = "ntr\"\\", bytes[] = "\n\t\r\"\\";
    const char *found = strchr(bytes, byte);
    if (found != NULL) {
        out[0] = '\\';
        out[1] = letters[found - bytes];
        return 2;
    }
    if (is_plain((unsigned char)byte) || (utf8 && (unsigned char)byte >= 0x80)) {
        out[0] = byte;
        return 1;
    }
    return (size_t)snprintf(out, 5, "\\x%02x", (unsigned)(unsigned char)byte);
}

static const char *source_name(fov_option_source source) {
    static const char *const names[] = {"not set", "default", "chosen from the data", "from the config file", "given"};
    return names[source];
}

static void add_value(fov_text *text, const char *value, const char *source) {
    if (!needs_quotes(value)) {
        fov_text_printf(text, "%s ; %s\n", value, source);
        return;
    }
    const bool utf8 = fov_utf8_valid(value, strlen(value)) != 0;
    fov_text_add(text, "\"");
    size_t used = 0;
    const char *closing = source;
    for (const char *at = value; *at != '\0'; at++) {
        const bool inside = utf8 && ((unsigned char)*at & 0xC0) == 0x80; /* a character is not cut */
        if (used >= PIECE_LIMIT && !inside) {
            /* inih keeps comments on continued lines, so only the first line carries one. */
            fov_text_printf(text, "\"%s%s\n    \"", closing == NULL ? "" : " ; ", closing == NULL ? "" : closing);
            closing = NULL;
            used = 0;
        }
        char out[5];
        const size_t count = escape_byte(out, *at, utf8);
        fov_text_add_bytes(text, out, count);
        used += count;
    }
    fov_text_printf(text, "\"%s%s\n", closing == NULL ? "" : " ; ", closing == NULL ? "" : closing);
}

void fov_options_write_ini(const fov_option_set *set, fov_text *text) {
    const char *heading = NULL;
    for (size_t i = 0; i < set->count; i++) {
        const option_entry *entry = &set->entry[i];
        if (entry->option->transient) {
            continue;
        }
        if (heading == NULL || strcmp(entry->heading, heading) != 0) {
            fov_text_printf(text, "%s[%s]\n", heading == NULL ? "" : "\n", entry->heading);
            heading = entry->heading;
        }
        char scratch[40];
        const char *value = fov_options_value_text(entry, scratch, sizeof scratch);
        if (value == NULL) {
            fov_text_printf(text, "# %s is not set\n", entry->option->name);
        } else {
            fov_text_printf(text, "%s = ", entry->option->name);
            add_value(text, value, source_name(entry->source));
        }
    }
}
