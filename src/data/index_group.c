/* Groups: files that together are one picture.
 *
 * No suffix may end in another, so that a name can be told apart in one way only. In the order of paths the files of a picture need not
 * stand together (a_B2.png, a_B2b.png, a_B3.png), so they are found by sorting the names anew by what they have in common. */
#include "data/index_group.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "data/picture.h"

/* ---- the rule ---- */

size_t fov_group_ends(const char *rule) {
    size_t ends = 1;
    for (; *rule != '\0'; rule++) {
        ends += *rule == ',' ? 1 : 0;
    }
    return ends;
}

size_t fov_group_channels(int64_t given, const char *rule) {
    return given > 0 ? (size_t)given : rule != NULL ? fov_group_ends(rule) : 3;
}

static bool ends_in(const char *text, size_t length, const char *end) {
    const size_t bytes = strlen(end);
    return bytes <= length && memcmp(text + length - bytes, end, bytes) == 0;
}

static fov_status refuse(const char *rule, const char *why) {
    fov_text shown;
    fov_text_init(&shown);
    const fov_status status =
        FOV_FAIL(FOV_E_INVALID, "'%s' does not name the files of a picture: %s; write ends of names such as '_B02,_B03,_B08'",
                 fov_picture_name(&shown, rule), why);
    fov_text_clear(&shown);
    return status;
}

static fov_status add_suffix(fov_group *group, const char *rule, const char *suffix) {
    if (suffix[0] == '\0') {
        return refuse(rule, "one end is empty");
    }
    if (isspace((unsigned char)suffix[0]) || isspace((unsigned char)suffix[strlen(suffix) - 1])) {
        return refuse(rule, "an end begins or ends with a blank");
    }
    if (strchr(suffix, '/') != NULL) {
        return refuse(rule, "the files of a picture lie in one folder, and a name has no '/'");
    }
    if (group->count == FOV_MAX_CHANNELS) {
        return refuse(rule, "more than 32 ends");
    }
    for (size_t i = 0; i < group->count; i++) {
        const char *other = group->suffix[i];
        if (ends_in(suffix, strlen(suffix), other) || ends_in(other, strlen(other), suffix)) {
            return refuse(rule, "one end is the end of another, so that a name could be read in two ways");
        }
    }
    group->suffix[group->count++] = suffix;
    return FOV_OK;
}

fov_status fov_group_new(fov_group **out, const char *rule) {
    *out = NULL;
    fov_group *group = fov_mem_zalloc(FOV_MEM_DATA, sizeof *group);
    FOV_TRY_ALLOC(group);
    group->text = fov_mem_strdup(FOV_MEM_DATA, rule);
    fov_status status = group->text == NULL ? FOV_E_NOMEM : FOV_OK;
    for (char *at = group->text; status == FOV_OK && at != NULL;) {
        char *comma = strchr(at, ',');
        if (comma != NULL) {
            *comma = '\0';
        }
        status = add_suffix(group, rule, at);
        at = comma == NULL ? NULL : comma + 1;
    }
    if (status != FOV_OK) {
        fov_group_free(group);
        return fov_forward_at(__FILE__, __LINE__, status);
    }
    *out = group;
    return FOV_OK;
}

void fov_group_free(fov_group *group) {
    if (group != NULL) {
        fov_mem_free(group->text);
        fov_mem_free(group);
    }
}

/* ---- names ---- */

/* A file's name told apart: STEM + suffix + EXTENSION. */
typedef struct group_name {
    size_t stem;           /* bytes of it */
    const char *extension; /* with its dot; "" without */
    size_t member;         /* number of the suffix */
} group_name;

static bool match(const fov_group *group, const char *name, group_name *parts) {
    const char *dot = strrchr(name, '.');
    const size_t length = dot == NULL ? strlen(name) : (size_t)(dot - name);
    for (size_t k = 0; k < group->count; k++) {
        if (ends_in(name, length, group->suffix[k])) {
            *parts = (group_name){.stem = length - strlen(group->suffix[k]), .extension = name + length, .member = k};
            return true;
        }
    }
    return false;
}

void fov_group_member(const fov_group *group, const char *name, size_t k, fov_text *text) {
    group_name parts;
    const bool known = match(group, name, &parts);
    FOV_ASSERT(known && k < group->count);
    fov_text_add_bytes(text, name, parts.stem);
    fov_text_add(text, group->suffix[k]);
    fov_text_add(text, parts.extension);
}

bool fov_group_knows(const fov_group *group, const char *name) {
    group_name parts;
    return match(group, name, &parts);
}

void fov_group_describe(const fov_scan *scan, fov_text *text) {
    fov_text rule;
    fov_text_init(&rule);
    const bool of_weights = scan->options->group_of_weights;
    fov_text_printf(text, "%s wants names that end in %s%s", of_weights ? "the rule of the weights" : "--group",
                    fov_picture_name(&rule, scan->options->group),
                    of_weights ? "; --group gives another, --group '' takes each file as a picture" : "");
    fov_text_clear(&rule);
}

/* ---- entries ---- */

static int compare_bytes(const char *a, size_t a_bytes, const char *b, size_t b_bytes) {
    const int order = memcmp(a, b, a_bytes < b_bytes ? a_bytes : b_bytes);
    return order != 0 ? order : (a_bytes > b_bytes) - (a_bytes < b_bytes);
}

/* By picture. */
static int compare_pictures(const fov_scan *scan, const fov_entry *a, const fov_entry *b, group_name *p, group_name *q) {
    const char *x = fov_names_at(&scan->tree.names, a->name), *y = fov_names_at(&scan->tree.names, b->name);
    const bool known = match(scan->group, x, p) && match(scan->group, y, q);
    FOV_ASSERT(known);
    if (a->folder != b->folder) {
        return a->folder < b->folder ? -1 : 1;
    }
    const int order = compare_bytes(x, p->stem, y, q->stem);
    return order != 0 ? order : strcmp(p->extension, q->extension);
}

/* By picture, then by place in the rule. */
static int compare_files(const void *a, const void *b, void *context) {
    const fov_scan *scan = context;
    group_name p, q;
    const int order = compare_pictures(scan, &scan->entry[*(const uint32_t *)a], &scan->entry[*(const uint32_t *)b], &p, &q);
    return order != 0 ? order : (p.member > q.member) - (p.member < q.member);
}

/* Gathers the files that the rule knows; others are none of our business. */
static size_t gather(fov_scan *scan, uint32_t *order) {
    size_t count = 0;
    group_name parts;
    for (size_t i = 0; i < scan->entry_count; i++) {
        fov_entry *entry = &scan->entry[i];
        if (entry->outcome != FOV_SCAN_PENDING || entry->place == FOV_PLACE_PACK) { /* the planes of a record are together already */
            continue;
        }
        if (match(scan->group, fov_names_at(&scan->tree.names, entry->name), &parts)) {
            entry->place = FOV_PLACE_GROUP;
            order[count++] = (uint32_t)i;
        } else {
            entry->outcome = FOV_SCAN_IGNORED;
        }
    }
    return count;
}

fov_status fov_scan_group(fov_scan *scan) {
    uint32_t *order = fov_mem_array(FOV_MEM_DATA, scan->entry_count, sizeof *order);
    FOV_TRY_ALLOC(order);
    const size_t count = gather(scan, order);
    if (count > 1) {
        qsort_r(order, count, sizeof *order, compare_files, scan);
    }
    group_name p, q;
    for (size_t i = 1; i < count; i++) {
        if (compare_pictures(scan, &scan->entry[order[i - 1]], &scan->entry[order[i]], &p, &q) == 0) {
            scan->entry[order[i]].outcome = FOV_SCAN_DROPPED;
        }
    }
    fov_mem_free(order);
    fov_scan_drop(scan);
    return FOV_OK;
}
