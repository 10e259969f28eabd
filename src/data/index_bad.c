/* Bad files: their reasons, the limit on their share, those that went bad after the scan, and bad.tsv. */
#include "base/io.h"
#include "data/index_internal.h"
#include "data/picture.h"

#define DEFAULT_MAX_BAD 0.2
#define REASONS_SHOWN 3
#define NONE 1e-12 /* of the pictures: one is too many */

double fov_max_bad(double share) {
    return share > 0.0 ? share : NONE;
}

const char *fov_bad_reason_name(fov_bad_reason reason) {
    static const char *const names[FOV_BAD_REASON_COUNT] = {
        [FOV_BAD_EMPTY] = "empty",
        [FOV_BAD_UNREADABLE] = "unreadable",
        [FOV_BAD_NOT_IMAGE] = "not_image",
        [FOV_BAD_CORRUPT] = "corrupt",
        [FOV_BAD_UNSUPPORTED] = "unsupported",
        [FOV_BAD_TOO_LARGE] = "too_large",
        [FOV_BAD_SPECIAL] = "special",
        [FOV_BAD_LINK] = "link",
    };
    return (unsigned)reason < FOV_BAD_REASON_COUNT ? names[reason] : "unknown";
}

fov_bad_reason fov_bad_reason_of(fov_status status) {
    switch (status) {
    case FOV_E_LIMIT:
        return FOV_BAD_TOO_LARGE;
    case FOV_E_UNSUPPORTED:
        return FOV_BAD_UNSUPPORTED;
    case FOV_E_INVALID:
        return FOV_BAD_SPECIAL; /* the file became something else */
    case FOV_E_IO:
    case FOV_E_NOTFOUND:
        return FOV_BAD_UNREADABLE;
    default:
        return FOV_BAD_CORRUPT;
    }
}

/* Path and message of a bad entry, kept in the names. */
static fov_status take_bad(fov_scan *scan, const fov_entry *entry, fov_bad_file *bad) {
    const fov_scan_bad *from = &scan->bad[entry->bad];
    fov_names *names = &scan->tree.names;
    fov_text path;
    fov_text_init(&path);
    fov_entry_path(&scan->tree, entry, &path);
    uint32_t offset;
    const fov_status status = path.status == FOV_OK ? fov_names_add(names, path.data, &offset) : path.status;
    fov_text_clear(&path);
    FOV_TRY(status);
    *bad = (fov_bad_file){.path = fov_names_at(names, offset),
                          .message = fov_names_at(names, from->message),
                          .reason = (fov_bad_reason)from->reason,
                          .bytes = from->bytes};
    return FOV_OK;
}

fov_status fov_scan_list_bad(fov_scan *scan, fov_bad_file **bad, size_t *count) {
    *count = 0;
    *bad = fov_mem_array(FOV_MEM_DATA, scan->bad_count, sizeof **bad);
    FOV_TRY_ALLOC(*bad);
    for (size_t i = 0; i < scan->entry_count; i++) {
        if (scan->entry[i].outcome == FOV_SCAN_BAD) {
            FOV_TRY(take_bad(scan, &scan->entry[i], &(*bad)[*count]));
            (*count)++;
        }
    }
    return FOV_OK;
}

fov_status fov_scan_check_share(const fov_scan *scan, const fov_bad_file *bad, size_t bad_count, const char *root) {
    size_t good = 0;
    for (size_t i = 0; i < scan->entry_count; i++) {
        good += scan->entry[i].outcome == FOV_SCAN_GOOD;
    }
    const double limit = scan->options->max_bad > 0.0 ? scan->options->max_bad : DEFAULT_MAX_BAD;
    const double share = bad_count == 0 ? 0.0 : (double)bad_count / (double)(good + bad_count);
    if (share <= limit) {
        return FOV_OK;
    }
    fov_text reasons, name;
    fov_text_init(&reasons);
    fov_text_init(&name);
    const size_t shown = bad_count < REASONS_SHOWN ? bad_count : REASONS_SHOWN;
    for (size_t i = 0; i < shown; i++) {
        fov_text_printf(&reasons, "%s'%s' (%s)", i == 0 ? "" : ", ", fov_picture_name(&name, bad[i].path), bad[i].message);
    }
    const fov_status status = FOV_FAIL(
        FOV_E_DATA, "%zu of %zu pictures in '%s' are bad (%.1f %%, the limit is %.1f %%): %s%s; mend or remove them, or raise --max-bad",
        bad_count, good + bad_count, fov_picture_name(&name, root), 100.0 * share, 100.0 * limit,
        reasons.data == NULL ? "reasons unknown" : reasons.data, bad_count > shown ? " and more" : "");
    fov_text_clear(&reasons);
    fov_text_clear(&name);
    return status;
}

/* ---- lost since the scan ---- */

static void forget(fov_bad_file *file) {
    fov_mem_free((void *)(uintptr_t)file->path); /* ours; const only for those who look */
    fov_mem_free((void *)(uintptr_t)file->message);
}

void fov_lost_clear(fov_lost *lost) {
    for (size_t i = 0; i < lost->count; i++) {
        forget(&lost->item[i].file);
    }
    fov_mem_free(lost->item);
    *lost = (fov_lost){.max_bad = lost->max_bad};
}

/* After each, so that work ends as soon as the limit cannot be kept any more. */
static fov_status check_lost(const fov_lost *lost, const fov_index *index) {
    const size_t count = fov_index_count(index), bad = lost->count + fov_index_bad_count(index), total = count + fov_index_bad_count(index);
    const double limit = lost->max_bad > 0.0 ? lost->max_bad : DEFAULT_MAX_BAD;
    const bool all = lost->count == count;
    if (!all && (double)bad <= limit * (double)total) {
        return FOV_OK;
    }
    const fov_bad_file *last = &lost->item[lost->count - 1].file;
    fov_text name;
    fov_text_init(&name);
    const char *shown = fov_picture_name(&name, last->path);
    const fov_status status =
        all ? FOV_FAIL(FOV_E_DATA, "all %zu pictures are bad, the last %s (%s)", total, shown, last->message)
            : FOV_FAIL(FOV_E_DATA,
                       "%zu of %zu pictures are bad, over the limit of %.1f %%, the last %s (%s); mend or remove them, or raise --max-bad", bad,
                       total, 100.0 * limit, shown, last->message);
    fov_text_clear(&name);
    return status;
}

fov_status fov_lost_add(fov_lost *lost, const fov_index *index, size_t picture, const fov_bad_file *file) {
    void *table = lost->item;
    fov_bad_file own = *file;
    const fov_status status = fov_table_grow(&table, lost->count, 1, &lost->capacity, sizeof *lost->item);
    lost->item = table;
    if (status != FOV_OK) {
        forget(&own);
        return fov_forward_at(__FILE__, __LINE__, status);
    }
    lost->item[lost->count++] = (fov_lost_picture){.file = own, .picture = picture};
    FOV_TRY(check_lost(lost, index));
    return FOV_OK;
}

/* ---- bad.tsv ---- */

static void add_row(fov_text *text, const fov_bad_file *bad) {
    fov_text_add_escaped(text, bad->path);
    fov_text_printf(text, "\t%s\t%llu\t", fov_bad_reason_name(bad->reason), (unsigned long long)bad->bytes);
    fov_text_add_escaped(text, bad->message);
    fov_text_add(text, "\n");
}

fov_status fov_index_write_bad(const fov_index *index, const fov_lost *lost, const char *path) {
    fov_text text;
    fov_text_init(&text);
    fov_text_add(&text, "path\treason\tbytes\tmessage\n");
    for (size_t i = 0; i < fov_index_bad_count(index); i++) {
        add_row(&text, fov_index_bad(index, i));
    }
    for (size_t i = 0; lost != NULL && i < lost->count; i++) {
        add_row(&text, &lost->item[i].file);
    }
    fov_status status = text.status;
    if (status == FOV_OK) {
        status = fov_io_write_atomic(path, text.data, text.length);
    }
    fov_text_clear(&text);
    return status == FOV_OK ? FOV_OK : fov_forward_at(__FILE__, __LINE__, status);
}
