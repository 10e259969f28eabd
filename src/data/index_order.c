/* From folders to one table of entries in the order of whole paths.
 *
 * Below one root that is a walk of the sorted records, depth first (see index_listing.c). Several roots may lie in each other, or be the
 * same, so their sorted parts are merged by path. Files met in two ways are told by the identity of their folder and their name. */
#include <stdlib.h>
#include <string.h>

#include "base/checked.h"
#include "data/index_internal.h"

/* ---- one root ---- */

typedef struct visit {
    uint32_t folder, left; /* records still to come */
    const char *at;
} visit;

typedef struct descent {
    fov_scan *scan;
    visit *stack;
    size_t depth, capacity;
} descent;

static fov_status enter(descent *d, uint32_t folder) {
    void *table = d->stack;
    FOV_TRY(fov_table_grow(&table, d->depth, 1, &d->capacity, sizeof *d->stack));
    d->stack = table;
    const fov_walked *walked = &d->scan->walked[folder];
    d->stack[d->depth++] = (visit){.folder = folder,
                                   .left = walked->record_count,
                                   .at = walked->record_count > 0 ? fov_names_at(&d->scan->tree.names, walked->records) : NULL};
    return FOV_OK;
}

static void add_entry(fov_scan *scan, uint32_t folder, uint32_t name) {
    scan->entry[scan->entry_count++] = (fov_entry){.folder = folder, .name = name, .outcome = FOV_SCAN_PENDING, .place = FOV_PLACE_FILE};
}

static void add_bad_entry(fov_scan *scan, uint32_t number) {
    const fov_scan_bad *bad = &scan->bad[number];
    scan->entry[scan->entry_count++] = (fov_entry){.folder = bad->folder, .name = bad->name, .bad = number, .outcome = FOV_SCAN_BAD};
}

/* Something bad, a folder or a link: it makes an entry only if it is bad, and what is in it follows at once where its second record stands.
 */
static fov_status take_special(descent *d, uint32_t folder, char kind, uint32_t number) {
    fov_scan *scan = d->scan;
    const fov_walked *walked = &scan->walked[folder];
    uint32_t child = FOV_NO_FOLDER, bad = 0;
    if (kind == FOV_RECORD_BAD) {
        bad = walked->first_bad + number + 1;
    } else if (kind == FOV_RECORD_LINK || kind == FOV_RECORD_IN_LINK) {
        const fov_scan_link *link = &scan->link[walked->first_link + number];
        child = link->child;
        bad = link->bad;
    } else {
        child = walked->first_folder + number;
    }
    if (kind == FOV_RECORD_IN_FOLDER || kind == FOV_RECORD_IN_LINK) {
        return child == FOV_NO_FOLDER ? FOV_OK : enter(d, child);
    }
    if (child != FOV_NO_FOLDER && scan->walked[child].bad > 0) {
        bad = scan->walked[child].bad;
    }
    if (bad > 0) {
        add_bad_entry(scan, bad - 1);
    }
    return FOV_OK;
}

static fov_status take_record(descent *d) {
    visit *v = &d->stack[d->depth - 1];
    const char *at = v->at;
    /* A folder's records lie in one piece, so that their numbers go on with their bytes. */
    const fov_walked *walked = &d->scan->walked[v->folder];
    const uint32_t offset = walked->records + (uint32_t)(at - fov_names_at(&d->scan->tree.names, walked->records));
    const bool special = at[0] == '/';
    const char *name = special ? at + FOV_RECORD_HEAD : at;
    v->at = name + strlen(name) + 1;
    v->left--;
    if (!special) {
        add_entry(d->scan, v->folder, offset);
        return FOV_OK;
    }
    uint32_t number;
    memcpy(&number, at + 2, sizeof number);
    return take_special(d, v->folder, at[1], number);
}

static fov_status descend(descent *d, uint32_t root) {
    FOV_TRY(enter(d, root));
    while (d->depth > 0) {
        if (d->stack[d->depth - 1].left == 0) {
            d->depth--;
        } else {
            FOV_TRY(take_record(d));
        }
    }
    return FOV_OK;
}

/* ---- several roots ---- */

typedef struct merge {
    const fov_entry *entry;
    size_t left;
    fov_text path; /* of the first one */
} merge;

static fov_status find_path(merge *m, const fov_tree *tree) {
    m->path.length = 0;
    if (m->left > 0) {
        fov_entry_path(tree, m->entry, &m->path);
    }
    return m->path.status;
}

static fov_status merge_into(fov_entry *to, merge *a, merge *b, const fov_tree *tree) {
    FOV_TRY(find_path(a, tree));
    FOV_TRY(find_path(b, tree));
    while (a->left > 0 || b->left > 0) {
        merge *least = b->left == 0 || (a->left > 0 && strcmp(a->path.data, b->path.data) <= 0) ? a : b;
        *to++ = *least->entry++;
        least->left--;
        FOV_TRY(find_path(least, tree));
    }
    return FOV_OK;
}

/* Merges the sorted parts of the table before and from `middle` on; of equal paths, that of the earlier root comes first. */
static fov_status merge_parts(fov_scan *scan, size_t middle) {
    if (middle == 0 || middle == scan->entry_count) {
        return FOV_OK;
    }
    fov_entry *merged = fov_mem_array(FOV_MEM_DATA, scan->records, sizeof *merged);
    FOV_TRY_ALLOC(merged);
    merge a = {.entry = scan->entry, .left = middle}, b = {.entry = scan->entry + middle, .left = scan->entry_count - middle};
    const fov_status status = merge_into(merged, &a, &b, &scan->tree);
    fov_text_clear(&a.path);
    fov_text_clear(&b.path);
    if (status == FOV_OK) {
        fov_entry *old = scan->entry;
        scan->entry = merged;
        merged = old;
    }
    fov_mem_free(merged);
    return status == FOV_OK ? FOV_OK : fov_forward_at(__FILE__, __LINE__, status);
}

/* ---- duplicates ---- */

void fov_scan_drop(fov_scan *scan) {
    size_t kept = 0;
    for (size_t i = 0; i < scan->entry_count; i++) {
        if (scan->entry[i].outcome != FOV_SCAN_DROPPED) {
            scan->entry[kept++] = scan->entry[i];
        }
    }
    scan->entry_count = kept;
}

static int compare_walked(const fov_walked *p, const fov_walked *q) {
    if (p->device != q->device) {
        return p->device < q->device ? -1 : 1;
    }
    return p->inode < q->inode ? -1 : p->inode > q->inode;
}

static int compare_folders(const void *a, const void *b, void *context) {
    const fov_scan *scan = context;
    return compare_walked(&scan->walked[*(const uint32_t *)a], &scan->walked[*(const uint32_t *)b]);
}

/* By what a file is, whatever way led to it: folder's identity, then name. */
static int compare_identity(const fov_scan *scan, const fov_entry *a, const fov_entry *b) {
    const int order = compare_walked(&scan->walked[a->folder], &scan->walked[b->folder]);
    return order != 0 ? order : strcmp(fov_names_at(&scan->tree.names, a->name), fov_names_at(&scan->tree.names, b->name));
}

static int compare_order(const void *a, const void *b, void *context) {
    const fov_scan *scan = context;
    const uint32_t i = *(const uint32_t *)a, j = *(const uint32_t *)b;
    const int identity = compare_identity(scan, &scan->entry[i], &scan->entry[j]);
    return identity != 0 ? identity : i < j ? -1 : i > j;
}

/* Marks the folders that were met in more than one way; false if there are none. */
static bool mark_shared(const fov_scan *scan, uint32_t *order, bool *shared) {
    bool any = false;
    for (size_t i = 0; i < scan->tree.count; i++) {
        order[i] = (uint32_t)i;
    }
    qsort_r(order, scan->tree.count, sizeof *order, compare_folders, (void *)(uintptr_t)scan);
    for (size_t i = 1; i < scan->tree.count; i++) {
        const fov_walked *a = &scan->walked[order[i - 1]], *b = &scan->walked[order[i]];
        if (b->inode != 0 && compare_walked(a, b) == 0) {
            shared[order[i - 1]] = shared[order[i]] = any = true;
        }
    }
    return any;
}

/* Keeps, of entries that are the same file, the one whose path sorts first. */
static void drop_repeated(fov_scan *scan, const bool *shared, uint32_t *order) {
    size_t count = 0;
    for (size_t i = 0; i < scan->entry_count; i++) {
        if (shared[scan->entry[i].folder]) {
            order[count++] = (uint32_t)i;
        }
    }
    qsort_r(order, count, sizeof *order, compare_order, scan);
    for (size_t i = 1; i < count; i++) {
        if (compare_identity(scan, &scan->entry[order[i - 1]], &scan->entry[order[i]]) == 0) {
            scan->entry[order[i]].outcome = FOV_SCAN_DROPPED;
        }
    }
    const size_t before = scan->entry_count;
    fov_scan_drop(scan);
    scan->duplicates += before - scan->entry_count;
}

static fov_status remove_duplicates(fov_scan *scan) {
    const size_t most = scan->entry_count > scan->tree.count ? scan->entry_count : scan->tree.count;
    uint32_t *order = fov_mem_array(FOV_MEM_DATA, most, sizeof *order);
    bool *shared = fov_mem_array(FOV_MEM_DATA, scan->tree.count, sizeof *shared);
    if (order == NULL || shared == NULL) {
        fov_mem_free(order);
        fov_mem_free(shared);
        return fov_forward_at(__FILE__, __LINE__, FOV_E_NOMEM);
    }
    if (mark_shared(scan, order, shared)) {
        drop_repeated(scan, shared, order);
    }
    fov_mem_free(order);
    fov_mem_free(shared);
    return FOV_OK;
}

fov_status fov_scan_order(fov_scan *scan) {
    scan->entry = fov_mem_array(FOV_MEM_DATA, scan->records + 1, sizeof *scan->entry);
    FOV_TRY_ALLOC(scan->entry);
    descent d = {.scan = scan};
    fov_status status = FOV_OK;
    for (size_t f = 0; f < scan->tree.count && status == FOV_OK; f++) {
        if (scan->tree.folder[f].parent == FOV_NO_FOLDER) {
            const size_t before = scan->entry_count;
            const fov_tree_pack *pack = fov_tree_pack_at(&scan->tree, (uint32_t)f);
            if (pack != NULL) {
                fov_scan_order_pack(scan, pack);
            } else {
                status = descend(&d, (uint32_t)f);
            }
            status = status == FOV_OK ? merge_parts(scan, before) : status;
        }
    }
    fov_mem_free(d.stack);
    if (status != FOV_OK) {
        return fov_forward_at(__FILE__, __LINE__, status);
    }
    return scan->identify ? remove_duplicates(scan) : FOV_OK;
}
