/* The index: the good pictures of a scan, in order of their paths.
 *
 * Paths are kept whole (32 bytes and a path per picture): they are handed out as they are, to any thread, for as long as the index
 * lives. Everything that follows from order - samples, labels, the hash - then follows from the files alone. */
#include "data/index.h"

#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/log.h"
#include "data/index_internal.h"
#include "data/picture.h"

typedef struct index_item {
    const char *path;
    uint64_t bytes;
    uint32_t width, height;
    uint32_t relative;
    int32_t label;
} index_item;

struct fov_index {
    index_item *item;
    size_t count;
    fov_bad_file *bad;
    size_t bad_count;
    size_t ignored, duplicates;
    fov_names names;
    const char **class_name; /* in names */
    size_t class_count;
    uint64_t hash;
};

static uint64_t hash_item(const index_item *item, uint64_t hash) {
    unsigned char bytes[8];
    for (unsigned i = 0; i < 8; i++) {
        bytes[i] = (unsigned char)(item->bytes >> (8 * i));
    }
    const char *relative = item->path + item->relative;
    return fov_hash64(bytes, sizeof bytes, fov_hash64(relative, strlen(relative) + 1, hash));
}

/* Moves the settled entries of a scan into the index. */
static fov_status take_entries(fov_index *index, fov_scan *scan) {
    size_t good = 0, bad = 0;
    for (size_t i = 0; i < scan->entry_count; i++) {
        good += scan->entry[i].outcome == FOV_SCAN_GOOD;
        bad += scan->entry[i].outcome == FOV_SCAN_BAD;
    }
    index->item = fov_mem_array(FOV_MEM_DATA, good, sizeof *index->item);
    FOV_TRY_ALLOC(index->item);
    index->bad = fov_mem_array(FOV_MEM_DATA, bad, sizeof *index->bad);
    FOV_TRY_ALLOC(index->bad);
    index->ignored = scan->ignored;
    index->duplicates = scan->duplicates;
    for (size_t i = 0; i < scan->entry_count; i++) {
        fov_scan_entry *e = &scan->entry[i];
        if (e->outcome == FOV_SCAN_GOOD) {
            index->item[index->count++] = (index_item){e->path, e->bytes, e->width, e->height, e->relative, -1};
        } else if (e->outcome == FOV_SCAN_BAD) {
            index->bad[index->bad_count++] =
                (fov_bad_file){.path = e->path, .message = e->message, .reason = (fov_bad_reason)e->code, .bytes = e->bytes};
            e->message = NULL;
        } else {
            index->ignored++;
        }
    }
    index->names = scan->names;
    scan->names = (fov_names){0};
    return FOV_OK;
}

static void hash_all(fov_index *index) {
    index->hash = 0;
    for (size_t i = 0; i < index->count; i++) {
        index->hash = hash_item(&index->item[i], index->hash);
    }
}

static fov_status no_picture(const fov_index *index, const fov_scan *scan, const char *root) {
    fov_text name;
    fov_text_init(&name);
    const char *shown = fov_picture_name(&name, root);
    const fov_status status =
        scan->unfollowed > 0
            ? FOV_FAIL(
                  FOV_E_INVALID,
                  "no picture in '%s': %zu other files were passed over, %zu of them symbolic links to folders; --follow-links enters them",
                  shown, index->ignored, scan->unfollowed)
            : FOV_FAIL(FOV_E_INVALID, "no picture in '%s': %zu other files were passed over; pictures are JPEG or PNG files", shown,
                       index->ignored + index->bad_count);
    fov_text_clear(&name);
    return status;
}

/* Second half of every scan: judge what the walk found, apply the limits, build the index. */
static fov_status finish_scan(fov_index **out, fov_scan *scan, const char *root, fov_pool *pool) {
    FOV_TRY(fov_scan_check(scan, pool));
    FOV_TRY(fov_scan_check_share(scan, root));
    fov_index *index = fov_mem_zalloc(FOV_MEM_DATA, sizeof *index);
    FOV_TRY_ALLOC(index);
    fov_status status = take_entries(index, scan);
    if (status == FOV_OK && index->count == 0) {
        status = no_picture(index, scan, root);
    }
    if (status != FOV_OK) {
        fov_index_free(index);
        return fov_forward_at(__FILE__, __LINE__, status);
    }
    hash_all(index);
    *out = index;
    return FOV_OK;
}

fov_status fov_index_scan(fov_index **index, const char *const *roots, size_t root_count, const fov_scan_options *options, fov_pool *pool) {
    *index = NULL;
    if (root_count == 0) {
        return FOV_FAIL(FOV_E_INVALID, "no folder of pictures was given");
    }
    fov_scan scan;
    fov_status status;
    fov_scan_init(&scan, options, root_count);
    FOV_TRY_GOTO(status, done, fov_scan_walk(&scan, roots, root_count));
    FOV_TRY_GOTO(status, done, finish_scan(index, &scan, roots[0], pool));
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
    *names = fov_mem_array(FOV_MEM_DATA, scan->folder_count, sizeof **names);
    FOV_TRY_ALLOC(*names);
    for (size_t i = 1; i < scan->folder_count; i++) {
        if (scan->folder[i].parent == 0) {
            (*names)[(*count)++] = scan->folder[i].path + scan->folder[i].relative;
        }
    }
    if (*count > 1) {
        qsort(*names, *count, sizeof **names, compare_names);
    }
    return FOV_OK;
}

/* Class of a path relative to the root, -1 if it lies in none. */
static int32_t class_of(const fov_index *index, const char *relative) {
    const char *slash = strchr(relative, '/');
    if (slash == NULL) {
        return -1;
    }
    const size_t length = (size_t)(slash - relative);
    size_t low = 0, high = index->class_count;
    while (low < high) {
        const size_t middle = low + (high - low) / 2;
        const char *name = index->class_name[middle];
        const int order = strncmp(name, relative, length);
        if (order == 0 && name[length] == '\0') {
            return (int32_t)middle;
        }
        if (order < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return -1;
}

/* Labels all pictures; those outside any class folder leave the index. */
static void label_items(fov_index *index, const char *shown) {
    size_t kept = 0;
    for (size_t i = 0; i < index->count; i++) {
        index_item item = index->item[i];
        item.label = class_of(index, item.path + item.relative);
        if (item.label >= 0) {
            index->item[kept++] = item;
        }
    }
    const size_t outside = index->count - kept;
    index->count = kept;
    if (outside > 0) {
        index->ignored += outside;
        fov_log(FOV_LOG_WARNING, "%zu pictures lie right in '%s', outside any class folder, and are passed over", outside, shown);
        hash_all(index);
    }
}

static fov_status check_classes(const fov_index *index, const char *shown, size_t min_per_class) {
    size_t *count = fov_mem_array(FOV_MEM_DATA, index->class_count, sizeof *count);
    FOV_TRY_ALLOC(count);
    for (size_t i = 0; i < index->count; i++) {
        count[index->item[i].label]++;
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
    fov_scan_init(&scan, options, 1);
    FOV_TRY_GOTO(status, done, fov_scan_walk(&scan, &root, 1));
    FOV_TRY_GOTO(status, done, class_names(&scan, &names, &count));
    if (count < 2) {
        status = FOV_FAIL(FOV_E_INVALID, "'%s' has %zu class %s; a labelled folder needs at least two: %s/CLASS/picture", shown, count,
                          count == 1 ? "folder" : "folders", shown);
        goto done;
    }
    FOV_TRY_GOTO(status, done, finish_scan(&made, &scan, root, pool));
    made->class_name = names;
    made->class_count = count;
    names = NULL;
    label_items(made, shown);
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
    for (size_t i = 0; i < index->bad_count; i++) {
        fov_mem_free((void *)(uintptr_t)index->bad[i].message); /* ours; const only for those who look */
    }
    fov_mem_free(index->bad);
    fov_mem_free(index->item);
    fov_mem_free(index->class_name);
    fov_names_clear(&index->names);
    fov_mem_free(index);
}

size_t fov_index_count(const fov_index *index) {
    return index->count;
}

void fov_index_path(const fov_index *index, size_t i, fov_text *text) {
    FOV_ASSERT(i < index->count);
    fov_text_add(text, index->item[i].path);
}

void fov_index_relative(const fov_index *index, size_t i, fov_text *text) {
    FOV_ASSERT(i < index->count);
    fov_text_add(text, index->item[i].path + index->item[i].relative);
}

const fov_pack *fov_index_pack(const fov_index *index, size_t i, size_t *record) {
    FOV_ASSERT(i < index->count);
    *record = 0;
    return NULL;
}

const char *fov_index_name(const fov_index *index, size_t i, fov_text *text) {
    FOV_ASSERT(i < index->count);
    return fov_picture_name(text, index->item[i].path);
}

void fov_index_size(const fov_index *index, size_t i, size_t *width, size_t *height) {
    FOV_ASSERT(i < index->count);
    *width = index->item[i].width;
    *height = index->item[i].height;
}

int fov_index_label(const fov_index *index, size_t i) {
    FOV_ASSERT(i < index->count);
    return index->item[i].label;
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
