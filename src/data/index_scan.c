/* The walk: folders to a sorted list of files.
 *
 * Breadth first over a growing table of folders, so that depth costs no stack. d_type of readdir spares a stat per file. Symbolic
 * links to folders are followed in rounds after all real folders, in order of their paths, and only into folders not met before: what is
 * found then depends on the tree alone, not on the order of readdir, and links that cross or loop cannot multiply the work. */
#include "data/index_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/checked.h"
#include "base/io.h"
#include "data/picture.h"

#define MAX_LINKS 64u /* on one path */

/* ---- packed strings ---- */

struct fov_names_block {
    fov_names_block *next;
    size_t used, capacity;
    char text[];
};

#define NAMES_FIRST_BYTES ((size_t)4096)
#define NAMES_MOST_BYTES ((size_t)1 << 20)

static char *names_alloc(fov_names *names, size_t bytes) {
    fov_names_block *head = names->head;
    if (head == NULL || head->capacity - head->used < bytes) {
        size_t capacity = names->next_bytes == 0 ? NAMES_FIRST_BYTES : names->next_bytes;
        names->next_bytes = capacity < NAMES_MOST_BYTES ? capacity * 2 : capacity;
        if (capacity < bytes) {
            capacity = bytes;
        }
        head = fov_mem_alloc(FOV_MEM_DATA, sizeof *head + capacity);
        if (head == NULL) {
            return NULL;
        }
        *head = (fov_names_block){.next = names->head, .used = 0, .capacity = capacity};
        names->head = head;
    }
    char *text = head->text + head->used;
    head->used += bytes;
    return text;
}

const char *fov_names_join(fov_names *names, const char *folder, const char *name) {
    const size_t first = folder == NULL ? 0 : strlen(folder), second = strlen(name);
    const bool slash = first > 0 && folder[first - 1] != '/';
    char *text = names_alloc(names, first + second + 2);
    if (text == NULL) {
        return NULL;
    }
    if (first > 0) {
        memcpy(text, folder, first);
    }
    if (slash) {
        text[first] = '/';
    }
    memcpy(text + first + (slash ? 1 : 0), name, second + 1);
    return text;
}

void fov_names_clear(fov_names *names) {
    while (names->head != NULL) {
        fov_names_block *next = names->head->next;
        fov_mem_free(names->head);
        names->head = next;
    }
    names->next_bytes = 0;
}

/* ---- tables ---- */

void fov_scan_init(fov_scan *scan, const fov_scan_options *options, size_t root_count) {
    *scan = (fov_scan){.options = options, .identify = root_count > 1 || options->follow_links};
}

void fov_scan_clear(fov_scan *scan) {
    for (size_t i = 0; i < scan->entry_count; i++) {
        fov_mem_free(scan->entry[i].message);
    }
    fov_mem_free(scan->entry);
    fov_mem_free(scan->folder);
    fov_mem_free(scan->link);
    fov_names_clear(&scan->names);
    *scan = (fov_scan){0};
}

/* Makes room for one more item of `size` bytes in a table. */
static fov_status grow(void **table, size_t count, size_t *capacity, size_t size) {
    if (count < *capacity) {
        return FOV_OK;
    }
    if (count >= UINT32_MAX / 2) {
        return FOV_FAIL(FOV_E_LIMIT, "more than %zu files or folders: scan fewer at a time", count);
    }
    const size_t wanted = *capacity == 0 ? 64 : *capacity * 2;
    size_t bytes;
    if (!fov_mul_size(wanted, size, &bytes)) {
        return FOV_FAIL(FOV_E_LIMIT, "%zu files are too many for the memory of this machine", wanted);
    }
    void *bigger = fov_mem_realloc(FOV_MEM_DATA, *table, bytes);
    FOV_TRY_ALLOC(bigger);
    *table = bigger;
    *capacity = wanted;
    return FOV_OK;
}

static fov_status add_entry(fov_scan *scan, const char *path, size_t folder, fov_scan_entry **entry) {
    void *table = scan->entry;
    FOV_TRY(grow(&table, scan->entry_count, &scan->entry_capacity, sizeof *scan->entry));
    scan->entry = table;
    *entry = &scan->entry[scan->entry_count++];
    **entry =
        (fov_scan_entry){.path = path, .folder = (uint32_t)folder, .relative = scan->folder[folder].relative, .outcome = FOV_SCAN_PENDING};
    return FOV_OK;
}

static fov_status add_bad(fov_scan *scan, const char *path, size_t folder, fov_bad_reason reason, const char *message) {
    fov_scan_entry *entry = NULL;
    FOV_TRY(add_entry(scan, path, folder, &entry));
    fov_scan_mark_bad(entry, reason, "%s", message);
    return entry->outcome == FOV_SCAN_FATAL ? fov_forward_at(__FILE__, __LINE__, FOV_E_NOMEM) : FOV_OK;
}

static fov_status add_folder(fov_scan *scan, fov_scan_folder folder) {
    void *table = scan->folder;
    FOV_TRY(grow(&table, scan->folder_count, &scan->folder_capacity, sizeof *scan->folder));
    scan->folder = table;
    struct stat info;
    if (scan->identify && stat(folder.path, &info) == 0) {
        folder.device = info.st_dev;
        folder.inode = info.st_ino;
    }
    scan->folder[scan->folder_count++] = folder;
    return FOV_OK;
}

static fov_status add_child(fov_scan *scan, const char *path, size_t parent, unsigned links) {
    return add_folder(scan, (fov_scan_folder){.path = path,
                                              .parent = (uint32_t)parent,
                                              .relative = scan->folder[parent].relative,
                                              .links = scan->folder[parent].links + links,
                                              .listed = true});
}

static fov_status add_link(fov_scan *scan, fov_scan_link link) {
    void *table = scan->link;
    FOV_TRY(grow(&table, scan->link_count, &scan->link_capacity, sizeof *scan->link));
    scan->link = table;
    scan->link[scan->link_count++] = link;
    return FOV_OK;
}

/* ---- one folder ---- */

typedef struct visit_context {
    fov_scan *scan;
    size_t folder;
    fov_status status; /* our own failure, told apart from one of the listing */
} visit_context;

static const char *special_name(mode_t mode) {
    return S_ISFIFO(mode) ? "a FIFO, not a file" : S_ISSOCK(mode) ? "a socket, not a file" : "a device, not a file";
}

/* What a symbolic link leads to. */
static fov_status visit_link(fov_scan *scan, size_t folder, const char *path) {
    struct stat info;
    if (stat(path, &info) != 0) {
        const int error = errno;
        if (error == ELOOP) {
            return add_bad(scan, path, folder, FOV_BAD_LINK, "a symbolic link that leads back to itself");
        }
        if (error == ENOENT || error == ENOTDIR) {
            return add_bad(scan, path, folder, FOV_BAD_LINK, "a symbolic link to nothing");
        }
        return add_bad(scan, path, folder, FOV_BAD_UNREADABLE, strerror(error));
    }
    if (S_ISREG(info.st_mode)) {
        fov_scan_entry *entry;
        return add_entry(scan, path, folder, &entry);
    }
    if (!S_ISDIR(info.st_mode)) {
        return add_bad(scan, path, folder, FOV_BAD_SPECIAL, special_name(info.st_mode));
    }
    if (!scan->options->follow_links) {
        scan->unfollowed++;
        scan->ignored++;
        return FOV_OK;
    }
    return add_link(scan, (fov_scan_link){.path = path, .parent = (uint32_t)folder, .device = info.st_dev, .inode = info.st_ino});
}

/* For what readdir did not say, and for special files, whose kind the message names. */
static fov_status visit_unknown(fov_scan *scan, size_t folder, const char *path) {
    struct stat info;
    if (lstat(path, &info) != 0) {
        return add_bad(scan, path, folder, FOV_BAD_UNREADABLE, strerror(errno));
    }
    if (S_ISDIR(info.st_mode)) {
        scan->seen--;
        return add_child(scan, path, folder, 0);
    }
    if (S_ISLNK(info.st_mode)) {
        return visit_link(scan, folder, path);
    }
    if (S_ISREG(info.st_mode)) {
        fov_scan_entry *entry;
        return add_entry(scan, path, folder, &entry);
    }
    return add_bad(scan, path, folder, FOV_BAD_SPECIAL, special_name(info.st_mode));
}

static fov_status visit_named(fov_scan *scan, size_t folder, const char *name, int kind) {
    if (kind != 'd') {
        scan->seen++;
    }
    if (name[0] == '.') {
        scan->ignored++;
        return FOV_OK;
    }
    const char *path = fov_names_join(&scan->names, scan->folder[folder].path, name);
    FOV_TRY_ALLOC(path);
    fov_scan_entry *entry = NULL;
    switch (kind) {
    case 'f':
        return add_entry(scan, path, folder, &entry);
    case 'd':
        return add_child(scan, path, folder, 0);
    case 'l':
        return visit_link(scan, folder, path);
    default:
        return visit_unknown(scan, folder, path);
    }
}

static fov_status visit(void *context, const char *name, int kind) {
    visit_context *v = context;
    v->status = visit_named(v->scan, v->folder, name, kind);
    return v->status;
}

/* Lists all folders of the table from `first` on, and those they add. */
static fov_status list_from(fov_scan *scan, size_t first) {
    for (size_t i = first; i < scan->folder_count; i++) {
        const fov_scan_folder folder = scan->folder[i];
        visit_context context = {.scan = scan, .folder = i, .status = FOV_OK};
        const fov_status status = folder.listed ? fov_io_list(folder.path, visit, &context) : FOV_OK;
        if (status == FOV_OK) {
            continue;
        }
        if (context.status != FOV_OK || status == FOV_E_NOMEM || folder.parent == FOV_SCAN_NO_PARENT) {
            return fov_forward_at(__FILE__, __LINE__, status);
        }
        FOV_TRY(add_bad(scan, folder.path, folder.parent, FOV_BAD_UNREADABLE, fov_last_error()));
    }
    return FOV_OK;
}

/* ---- roots ---- */

/* Root without doubled and trailing slashes and without "/./", so that one folder written in two ways reads the same. */
static char *normalise(const char *root) {
    char *text = fov_mem_strdup(FOV_MEM_DATA, root);
    if (text == NULL) {
        return NULL;
    }
    size_t length = 0;
    for (const char *p = root; *p != '\0'; p++) {
        const bool boundary = length > 0 && text[length - 1] == '/';
        if (boundary && *p == '/') {
            continue;
        }
        if (boundary && *p == '.' && (p[1] == '/' || p[1] == '\0')) {
            continue;
        }
        text[length++] = *p;
    }
    while (length > 1 && text[length - 1] == '/') {
        length--;
    }
    text[length] = '\0';
    return text;
}

static fov_status walk_file_root(fov_scan *scan, const char *path) {
    const char *base = fov_path_base(path);
    const size_t length = (size_t)(base - path);
    char *parent = length == 0 ? fov_mem_strdup(FOV_MEM_DATA, ".") : fov_mem_printf(FOV_MEM_DATA, "%.*s", (int)length, path);
    FOV_TRY_ALLOC(parent);
    const char *kept = fov_names_join(&scan->names, NULL, parent);
    fov_mem_free(parent);
    FOV_TRY_ALLOC(kept);
    FOV_TRY(add_folder(scan, (fov_scan_folder){.path = kept, .parent = FOV_SCAN_NO_PARENT, .relative = (uint32_t)length}));
    fov_scan_entry *entry = NULL;
    FOV_TRY(add_entry(scan, path, scan->folder_count - 1, &entry));
    scan->seen++;
    return FOV_OK;
}

static fov_status walk_root(fov_scan *scan, const char *root, const char *shown) {
    const char *path = fov_names_join(&scan->names, NULL, root);
    FOV_TRY_ALLOC(path);
    struct stat info;
    if (root[0] == '\0' || stat(path, &info) != 0) {
        const int error = root[0] == '\0' ? ENOENT : errno;
        if (error == ENOENT || error == ENOTDIR) {
            return FOV_FAIL(FOV_E_NOTFOUND, "'%s': no such file or folder; check the path to the pictures", shown);
        }
        return FOV_FAIL(FOV_E_IO, "'%s' cannot be looked at: %s", shown, strerror(error));
    }
    if (S_ISREG(info.st_mode)) {
        return walk_file_root(scan, path);
    }
    if (!S_ISDIR(info.st_mode)) {
        return FOV_FAIL(FOV_E_INVALID, "'%s' is %s or folder; give a folder of pictures", shown, special_name(info.st_mode));
    }
    const size_t length = strlen(path), first = scan->folder_count, seen = scan->seen;
    const size_t relative = length + (path[length - 1] == '/' ? 0 : 1);
    FOV_TRY(
        add_folder(scan, (fov_scan_folder){.path = path, .parent = FOV_SCAN_NO_PARENT, .relative = (uint32_t)relative, .listed = true}));
    FOV_TRY(list_from(scan, first));
    if (scan->seen == seen && scan->folder_count == first + 1) {
        return FOV_FAIL(FOV_E_INVALID, "folder '%s' is empty; give a folder that holds pictures", shown);
    }
    if (scan->seen == seen) {
        return FOV_FAIL(FOV_E_INVALID, "folder '%s' is empty: there are %zu folders in it, but no file; give a folder that holds pictures",
                        shown, scan->folder_count - first - 1);
    }
    return FOV_OK;
}

/* ---- links to folders ---- */

static int compare_links(const void *a, const void *b) {
    return strcmp(((const fov_scan_link *)a)->path, ((const fov_scan_link *)b)->path);
}

static bool same_folder(const fov_scan_folder *folder, const fov_scan_link *link) {
    return folder->device == link->device && folder->inode == link->inode;
}

static fov_status follow_link(fov_scan *scan, const fov_scan_link *link) {
    for (uint32_t up = link->parent; up != FOV_SCAN_NO_PARENT; up = scan->folder[up].parent) {
        if (same_folder(&scan->folder[up], link)) {
            return add_bad(scan, link->path, link->parent, FOV_BAD_LINK, "a symbolic link that leads back to a folder above it");
        }
    }
    for (size_t i = 0; i < scan->folder_count; i++) {
        if (scan->folder[i].listed && same_folder(&scan->folder[i], link)) {
            scan->duplicates++;
            return FOV_OK;
        }
    }
    if (scan->folder[link->parent].links >= MAX_LINKS) {
        return add_bad(scan, link->path, link->parent, FOV_BAD_LINK, "more than 64 symbolic links one below the other");
    }
    const size_t first = scan->folder_count;
    FOV_TRY(add_child(scan, link->path, link->parent, 1));
    return list_from(scan, first);
}

static fov_status follow_links(fov_scan *scan) {
    for (size_t begin = 0; begin < scan->link_count;) {
        const size_t end = scan->link_count;
        qsort(scan->link + begin, end - begin, sizeof *scan->link, compare_links);
        for (; begin < end; begin++) {
            const fov_scan_link link = scan->link[begin];
            FOV_TRY(follow_link(scan, &link));
        }
    }
    return FOV_OK;
}

/* ---- order and duplicates ---- */

static int compare_paths(const void *a, const void *b) {
    return strcmp(((const fov_scan_entry *)a)->path, ((const fov_scan_entry *)b)->path);
}

/* By what a file is, whatever way led to it: folder's identity, then name. */
static int compare_identity(const fov_scan *scan, const fov_scan_entry *a, const fov_scan_entry *b) {
    const fov_scan_folder *p = &scan->folder[a->folder], *q = &scan->folder[b->folder];
    if (p->device != q->device) {
        return p->device < q->device ? -1 : 1;
    }
    if (p->inode != q->inode) {
        return p->inode < q->inode ? -1 : 1;
    }
    return strcmp(fov_path_base(a->path), fov_path_base(b->path));
}

static int compare_order(const void *a, const void *b, void *context) {
    const fov_scan *scan = context;
    const uint32_t i = *(const uint32_t *)a, j = *(const uint32_t *)b;
    const int identity = compare_identity(scan, &scan->entry[i], &scan->entry[j]);
    return identity != 0 ? identity : i < j ? -1 : i > j;
}

/* Keeps, of entries that are the same file, the one whose path sorts first. */
static fov_status remove_duplicates(fov_scan *scan) {
    const size_t count = scan->entry_count;
    uint32_t *order = fov_mem_array(FOV_MEM_DATA, count + 1, sizeof *order);
    bool *drop = fov_mem_array(FOV_MEM_DATA, count + 1, sizeof *drop);
    if (order == NULL || drop == NULL) {
        fov_mem_free(order);
        fov_mem_free(drop);
        return fov_forward_at(__FILE__, __LINE__, FOV_E_NOMEM);
    }
    for (size_t i = 0; i < count; i++) {
        order[i] = (uint32_t)i;
    }
    qsort_r(order, count, sizeof *order, compare_order, scan);
    for (size_t i = 1; i < count; i++) {
        drop[order[i]] = compare_identity(scan, &scan->entry[order[i - 1]], &scan->entry[order[i]]) == 0;
    }
    size_t kept = 0;
    for (size_t i = 0; i < count; i++) {
        if (drop[i]) {
            fov_mem_free(scan->entry[i].message);
            scan->duplicates++;
        } else {
            scan->entry[kept++] = scan->entry[i];
        }
    }
    scan->entry_count = kept;
    fov_mem_free(order);
    fov_mem_free(drop);
    return FOV_OK;
}

fov_status fov_scan_walk(fov_scan *scan, const char *const *roots, size_t root_count) {
    fov_text shown;
    fov_text_init(&shown);
    fov_status status = FOV_OK;
    for (size_t r = 0; r < root_count && status == FOV_OK; r++) {
        char *root = normalise(roots[r]);
        status = root == NULL ? FOV_E_NOMEM : walk_root(scan, root, fov_picture_name(&shown, roots[r]));
        fov_mem_free(root);
    }
    fov_text_clear(&shown);
    if (status != FOV_OK) {
        return fov_forward_at(__FILE__, __LINE__, status);
    }
    FOV_TRY(follow_links(scan));
    if (scan->entry_count > 0) {
        qsort(scan->entry, scan->entry_count, sizeof *scan->entry, compare_paths);
    }
    return scan->identify ? remove_duplicates(scan) : FOV_OK;
}
