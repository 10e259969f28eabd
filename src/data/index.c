/* The index: the good pictures of a scan, in order of their paths.
 *
 * Everything that follows from order - samples, labels, the hash - follows from the files alone. A picture takes 16 bytes and its name, and
 * nothing changes after the scan, so that any thread may look for as long as the index lives. */
#include "data/index.h"

#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "data/index_group.h"
#include "data/picture.h"

/* Moves the good entries of a scan to the front of their table, which becomes the index's. */
static fov_status take_entries(fov_index *index, fov_scan *scan) {
    for (size_t i = 0; i < scan->entry_count; i++) {
        if (scan->entry[i].outcome == FOV_SCAN_GOOD) {
            scan->entry[index->count++] = scan->entry[i];
        } else {
            index->ignored += scan->entry[i].outcome != FOV_SCAN_BAD;
        }
    }
    index->ignored += scan->ignored;
    index->duplicates = scan->duplicates;
    index->hash = scan->hash;
    if (index->count < scan->entry_count / 2) { /* of mostly other files: worth a copy */
        fov_entry *fewer = fov_mem_realloc(FOV_MEM_DATA, scan->entry, index->count * sizeof *fewer);
        FOV_TRY_ALLOC(fewer);
        scan->entry = fewer;
    }
    index->entry = scan->entry;
    scan->entry = NULL;
    return FOV_OK;
}

static fov_status no_picture(const fov_index *index, const fov_scan *scan, const char *root) {
    fov_text name, rule;
    fov_text_init(&name);
    fov_text_init(&rule);
    const char *shown = fov_picture_name(&name, root);
    const size_t others = index->ignored;
    fov_status status;
    if (scan->unfollowed > 0) {
        status = FOV_FAIL(
            FOV_E_INVALID,
            "no picture in '%s': %zu other files were passed over, %zu of them symbolic links to folders; --follow-links enters them",
            shown, index->ignored, scan->unfollowed);
    } else if (index->bad_count > 0) {
        fov_text path;
        fov_text_init(&path);
        status = FOV_FAIL(FOV_E_INVALID, "no usable picture in '%s': %zu %s bad, the first '%s' (%s)", shown, index->bad_count,
                          index->bad_count == 1 ? "is" : "are", fov_picture_name(&path, index->bad[0].path), index->bad[0].message);
        fov_text_clear(&path);
    } else if (scan->group != NULL) {
        fov_group_describe(scan, &rule);
        status = FOV_FAIL(FOV_E_INVALID, "no picture in '%s': %zu other files were passed over; %s", shown, others,
                          rule.data == NULL ? "--group wants other names" : rule.data);
    } else {
        status = FOV_FAIL(FOV_E_INVALID, "no picture in '%s': %zu other files were passed over; pictures are %s files", shown, others,
                          fov_image_kinds());
    }
    fov_text_clear(&name);
    fov_text_clear(&rule);
    return status;
}

/* Second half of every scan: judge what the walk found, apply the limits, build the index. */
static fov_status finish_scan(fov_index **out, fov_scan *scan, const char *root) {
    fov_status status;
    FOV_TRY(fov_scan_order(scan));
    if (scan->group != NULL) {
        FOV_TRY(fov_scan_group(scan));
    }
    FOV_TRY(fov_scan_check(scan));
    fov_index *index = fov_mem_zalloc(FOV_MEM_DATA, sizeof *index);
    FOV_TRY_ALLOC(index);
    FOV_TRY_GOTO(status, failed, fov_scan_list_bad(scan, &index->bad, &index->bad_count));
    FOV_TRY_GOTO(status, failed, fov_scan_check_share(scan, index->bad, index->bad_count, root));
    FOV_TRY_GOTO(status, failed, take_entries(index, scan));
    if (index->count == 0) {
        status = no_picture(index, scan, root);
        goto failed;
    }
    index->tree = scan->tree;
    scan->tree = (fov_tree){0};
    index->group = scan->group;
    scan->group = NULL;
    *out = index;
    return FOV_OK;
failed:
    fov_index_free(index);
    return status;
}

fov_status fov_index_scan(fov_index **index, const char *const *roots, size_t root_count, const fov_scan_options *options, fov_pool *pool) {
    *index = NULL;
    if (root_count == 0) {
        return FOV_FAIL(FOV_E_INVALID, "no folder of pictures was given");
    }
    fov_scan scan;
    fov_status status;
    FOV_TRY(fov_scan_init(&scan, options, root_count, pool));
    FOV_TRY_GOTO(status, done, fov_scan_walk(&scan, roots, root_count));
    FOV_TRY_GOTO(status, done, finish_scan(index, &scan, roots[0]));
done:
    fov_scan_clear(&scan);
    return status;
}

/* ---- labels ---- */

static int compare_names(const void *a, const void *b) {
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Names of the folders right below the root, sorted. The array is the caller's, the names are the scan's. */
static fov_status class_names(const fov_scan *scan, const char ***names, size_t *count) {
    *count = 0;
    *names = fov_mem_array(FOV_MEM_DATA, scan->tree.count, sizeof **names);
    FOV_TRY_ALLOC(*names);
    for (size_t i = 1; i < scan->tree.count; i++) {
        if (scan->tree.folder[i].parent == 0) {
            (*names)[(*count)++] = fov_names_at(&scan->tree.names, scan->tree.folder[i].name);
        }
    }
    if (*count > 1) {
        qsort(*names, *count, sizeof **names, compare_names);
    }
    return FOV_OK;
}

/* A folder right below the root is a class, and all that lies in it is of that class. Parents come before their children in the table. */
static void label_folders(fov_scan *scan, const char **names, size_t count) {
    scan->labelled = true;
    for (size_t i = 1; i < scan->tree.count; i++) {
        fov_folder *folder = &scan->tree.folder[i];
        if (folder->parent == 0) {
            const char *name = fov_names_at(&scan->tree.names, folder->name);
            const char **found = bsearch(&name, names, count, sizeof *names, compare_names);
            folder->label = (int32_t)(found - names);
        } else {
            folder->label = scan->tree.folder[folder->parent].label;
        }
    }
}

static fov_status too_few_classes(const fov_scan *scan, size_t count, const char *shown) {
    const char *folders = count == 1 ? "folder" : "folders";
    if (scan->unfollowed > 0) {
        return FOV_FAIL(FOV_E_INVALID,
                        "'%s' has %zu class %s, at least two are needed: %s/CLASS/picture; %zu symbolic link%s to folders passed over, "
                        "--follow-links enters them",
                        shown, count, folders, shown, scan->unfollowed, scan->unfollowed == 1 ? "" : "s");
    }
    return FOV_FAIL(FOV_E_INVALID, "'%s' has %zu class %s; a labelled folder needs at least two: %s/CLASS/picture", shown, count, folders, shown);
}

/* Pictures outside any class folder leave the index. */
static void drop_unlabelled(fov_index *index, const char *shown) {
    size_t kept = 0;
    for (size_t i = 0; i < index->count; i++) {
        if (index->tree.folder[index->entry[i].folder].label >= 0) {
            index->entry[kept++] = index->entry[i];
        }
    }
    const size_t outside = index->count - kept;
    index->count = kept;
    if (outside > 0) {
        index->ignored += outside;
        fov_log(FOV_LOG_WARNING, "%zu pictures lie right in '%s', outside any class folder, and are passed over", outside, shown);
    }
}

static fov_status check_classes(const fov_index *index, const char *shown, size_t min_per_class) {
    size_t *count = fov_mem_array(FOV_MEM_DATA, index->class_count, sizeof *count);
    FOV_TRY_ALLOC(count);
    for (size_t i = 0; i < index->count; i++) {
        count[fov_index_label(index, i)]++;
    }
    fov_status status = FOV_OK;
    for (size_t c = 0; c < index->class_count && status == FOV_OK; c++) {
        if (count[c] < min_per_class || count[c] == 0) {
            fov_text name;
            fov_text_init(&name);
            status = FOV_FAIL(FOV_E_INVALID,
                              "class '%s' in '%s' has %zu usable pictures, at least %zu are needed; add some or remove the folder",
                              fov_picture_name(&name, index->class_name[c]), shown, count[c], min_per_class > 0 ? min_per_class : 1);
            fov_text_clear(&name);
        }
    }
    fov_mem_free(count);
    return status;
}

fov_status fov_index_scan_labelled(fov_index **index, const char *root, size_t min_per_class, const fov_scan_options *options,
                                   fov_pool *pool) {
    *index = NULL;
    fov_scan scan;
    fov_status status;
    fov_index *made = NULL;
    const char **names = NULL;
    size_t count = 0;
    fov_text name;
    fov_text_init(&name);
    const char *shown = fov_picture_name(&name, root);
    FOV_TRY_GOTO(status, done, fov_scan_init(&scan, options, 1, pool));
    FOV_TRY_GOTO(status, done, fov_scan_walk(&scan, &root, 1));
    FOV_TRY_GOTO(status, done, class_names(&scan, &names, &count));
    if (count < 2) {
        status = too_few_classes(&scan, count, shown);
        goto done;
    }
    label_folders(&scan, names, count);
    FOV_TRY_GOTO(status, done, finish_scan(&made, &scan, root));
    made->class_name = names;
    made->class_count = count;
    names = NULL;
    drop_unlabelled(made, shown);
    FOV_TRY_GOTO(status, done, check_classes(made, shown, min_per_class));
    *index = made;
    made = NULL;
done:
    fov_index_free(made);
    fov_mem_free(names);
    fov_scan_clear(&scan);
    fov_text_clear(&name);
    return status;
}

/* ---- looking ---- */

void fov_index_free(fov_index *index) {
    if (index == NULL) {
        return;
    }
    fov_mem_free(index->bad);
    fov_mem_free(index->entry);
    fov_mem_free(index->class_name);
    fov_tree_clear(&index->tree);
    fov_group_free(index->group);
    fov_mem_free(index);
}

size_t fov_index_count(const fov_index *index) {
    return index->count;
}

void fov_index_path(const fov_index *index, size_t i, fov_text *text) {
    FOV_ASSERT(i < index->count);
    fov_entry_path(&index->tree, &index->entry[i], text);
}

void fov_index_relative(const fov_index *index, size_t i, fov_text *text) {
    FOV_ASSERT(i < index->count);
    fov_entry_relative(&index->tree, &index->entry[i], text);
}

const fov_pack *fov_index_pack(const fov_index *index, size_t i, size_t *record) {
    FOV_ASSERT(i < index->count);
    const fov_entry *entry = &index->entry[i];
    *record = entry->name;
    return entry->place == FOV_PLACE_PACK ? fov_entry_pack(&index->tree, entry) : NULL;
}

const char *fov_index_name(const fov_index *index, size_t i, fov_text *text) {
    FOV_ASSERT(i < index->count);
    fov_text path;
    fov_text_init(&path);
    fov_index_path(index, i, &path);
    const char *name = fov_picture_name(text, path.status == FOV_OK ? path.data : "(a file)");
    fov_text_clear(&path);
    return name;
}

void fov_index_size(const fov_index *index, size_t i, size_t *width, size_t *height) {
    FOV_ASSERT(i < index->count);
    *width = index->entry[i].width;
    *height = index->entry[i].height;
}

int fov_index_label(const fov_index *index, size_t i) {
    FOV_ASSERT(i < index->count);
    return index->tree.folder[index->entry[i].folder].label;
}

size_t fov_index_classes(const fov_index *index) {
    return index->class_count;
}

const char *fov_index_class_name(const fov_index *index, size_t c) {
    FOV_ASSERT(c < index->class_count);
    return index->class_name[c];
}

uint64_t fov_index_hash(const fov_index *index) {
    return index->hash;
}

size_t fov_index_bad_count(const fov_index *index) {
    return index->bad_count;
}

const fov_bad_file *fov_index_bad(const fov_index *index, size_t i) {
    FOV_ASSERT(i < index->bad_count);
    return &index->bad[i];
}

size_t fov_index_ignored(const fov_index *index) {
    return index->ignored;
}

size_t fov_index_duplicates(const fov_index *index) {
    return index->duplicates;
}
