/* The walk: all folders are listed and their contents packed away, sorted.
 *
 * Breadth first over a growing table of folders, so that depth costs no stack. Folders are listed in parallel, a batch at a time, each into
 * a listing of its own; the listings then join the tables in the order of the folders, so threads change nothing. d_type of readdir spares
 * a stat per file. Symbolic links to folders are followed in rounds after all real folders, in order of their paths, and only into folders
 * not met before: what is found then depends on the tree alone, not on the order of readdir, and links that cross or loop cannot multiply
 * the work. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/io.h"
#include "data/index_group.h"
#include "data/index_listing.h"
#include "data/picture.h"

#define MAX_LINKS 64u /* on one path */
#define LISTINGS ((size_t)64)

fov_status fov_scan_init(fov_scan *scan, const fov_scan_options *options, size_t root_count, fov_pool *pool) {
    *scan = (fov_scan){.options = options, .pool = pool, .identify = root_count > 1 || options->follow_links};
    if (options->group != NULL) {
        FOV_TRY(fov_group_new(&scan->group, options->group));
    }
    return FOV_OK;
}

void fov_scan_clear(fov_scan *scan) {
    for (size_t i = 0; i < scan->link_count; i++) {
        fov_mem_free(scan->link[i].path);
    }
    fov_mem_free(scan->link);
    fov_mem_free(scan->walked);
    fov_mem_free(scan->bad);
    fov_mem_free(scan->entry);
    fov_tree_clear(&scan->tree);
    fov_group_free(scan->group);
    *scan = (fov_scan){0};
}

/* ---- tables ---- */

static fov_status add_folder(fov_scan *scan, fov_folder folder, fov_walked walked) {
    void *table = scan->tree.folder;
    FOV_TRY(fov_table_grow(&table, scan->tree.count, 1, &scan->tree.capacity, sizeof *scan->tree.folder));
    scan->tree.folder = table;
    table = scan->walked;
    FOV_TRY(fov_table_grow(&table, scan->tree.count, 1, &scan->walked_capacity, sizeof *scan->walked));
    scan->walked = table;
    scan->walked[scan->tree.count] = walked;
    scan->tree.folder[scan->tree.count++] = folder;
    return FOV_OK;
}

fov_status fov_scan_add_child(fov_scan *scan, uint32_t name, uint32_t parent, unsigned links) {
    return add_folder(scan, (fov_folder){.parent = parent, .name = name, .label = -1},
                      (fov_walked){.links = scan->walked[parent].links + links, .listed = true});
}

fov_status fov_scan_add_bad(fov_scan *scan, uint32_t folder, uint32_t name, fov_bad_reason reason, uint64_t bytes, const char *message,
                            uint32_t *number) {
    void *table = scan->bad;
    FOV_TRY(fov_table_grow(&table, scan->bad_count, 1, &scan->bad_capacity, sizeof *scan->bad));
    scan->bad = table;
    fov_scan_bad bad = {.bytes = bytes, .folder = folder, .name = name, .reason = (uint8_t)reason};
    FOV_TRY(fov_names_add(&scan->tree.names, message, &bad.message));
    *number = (uint32_t)scan->bad_count;
    scan->bad[scan->bad_count++] = bad;
    return FOV_OK;
}

static fov_status add_link(fov_scan *scan, const fov_listed_link *from, uint32_t folder, uint32_t name) {
    void *table = scan->link;
    FOV_TRY(fov_table_grow(&table, scan->link_count, 1, &scan->link_capacity, sizeof *scan->link));
    scan->link = table;
    fov_text path;
    fov_text_init(&path);
    fov_tree_path(&scan->tree, folder, false, &path);
    fov_text_add(&path, fov_names_at(&scan->tree.names, name));
    char *kept = path.status == FOV_OK ? fov_mem_strdup(FOV_MEM_DATA, path.data) : NULL;
    fov_text_clear(&path);
    FOV_TRY_ALLOC(kept);
    scan->link[scan->link_count++] =
        (fov_scan_link){.path = kept, .device = from->device, .inode = from->inode, .folder = folder, .name = name, .child = FOV_NO_FOLDER};
    return FOV_OK;
}

/* ---- listings join the tables ---- */

/* Writes the listing's records in their order, and gives what they stand for its name. */
static fov_status pack_records(fov_scan *scan, uint32_t folder, const fov_listing *listing) {
    const size_t bytes = fov_listing_bytes(listing);
    char *to;
    uint32_t offset;
    FOV_TRY(fov_names_reserve(&scan->tree.names, bytes, &to, &offset));
    fov_walked *walked = &scan->walked[folder];
    walked->records = offset;
    walked->record_count = (uint32_t)listing->count;
    walked->first_folder = (uint32_t)scan->tree.count;
    walked->first_link = (uint32_t)scan->link_count;
    walked->first_bad = (uint32_t)scan->bad_count;
    scan->records += listing->count;
    fov_listing_pack(listing, to, offset);
    return FOV_OK;
}

static fov_status join(fov_scan *scan, uint32_t folder, const fov_listing *listing) {
    FOV_TRY(pack_records(scan, folder, listing));
    scan->seen += listing->seen;
    scan->ignored += listing->ignored;
    scan->unfollowed += listing->unfollowed;
    scan->walked[folder].device = listing->device;
    scan->walked[folder].inode = listing->inode;
    for (size_t i = 0; i < listing->folder_count; i++) {
        FOV_TRY(fov_scan_add_child(scan, listing->folder[i].name, folder, 0));
    }
    for (size_t i = 0; i < listing->link_count; i++) {
        FOV_TRY(add_link(scan, &listing->link[i], folder, listing->link[i].name));
    }
    for (size_t i = 0; i < listing->bad_count; i++) {
        const fov_listed_bad *bad = &listing->bad[i];
        uint32_t number;
        FOV_TRY(fov_scan_add_bad(scan, folder, bad->name, bad->reason, 0, bad->message, &number));
    }
    return FOV_OK;
}

/* What became of a folder that was listed: a failure of its own makes it bad, one of ours ends the scan. */
static fov_status join_listed(fov_scan *scan, uint32_t folder, fov_listing *listing) {
    const char *message = listing->message == NULL ? "out of memory while listing folders" : listing->message;
    const uint32_t parent = scan->tree.folder[folder].parent;
    if (listing->status != FOV_OK && (listing->ours || listing->status == FOV_E_NOMEM || parent == FOV_NO_FOLDER)) {
        return FOV_FAIL(listing->status, "%s", message);
    }
    FOV_TRY(join(scan, folder, listing));
    if (listing->status != FOV_OK) {
        uint32_t number;
        FOV_TRY(fov_scan_add_bad(scan, parent, scan->tree.folder[folder].name, FOV_BAD_UNREADABLE, 0, message, &number));
        scan->walked[folder].bad = number + 1;
    }
    return FOV_OK;
}

typedef struct list_job {
    const fov_scan *scan;
    fov_listing *listing;
    size_t first;
} list_job;

static void list_one(void *context, size_t chunk, unsigned worker) {
    (void)worker;
    const list_job *job = context;
    fov_listing_read(&job->listing[chunk], job->scan, (uint32_t)(job->first + chunk));
}

/* Lists all folders of the table from `first` on, and those they add. */
static fov_status list_from(fov_scan *scan, size_t first) {
    list_job job = {.scan = scan, .listing = fov_mem_array(FOV_MEM_DATA, LISTINGS, sizeof(fov_listing))};
    FOV_TRY_ALLOC(job.listing);
    fov_status status = FOV_OK;
    while (status == FOV_OK && first < scan->tree.count) {
        const size_t left = scan->tree.count - first, count = left < LISTINGS ? left : LISTINGS;
        job.first = first;
        fov_pool_for(scan->pool, count, list_one, &job);
        for (size_t i = 0; i < count; i++) {
            status = status == FOV_OK ? join_listed(scan, (uint32_t)(first + i), &job.listing[i]) : status;
            fov_listing_reset(&job.listing[i]);
        }
        first += count;
    }
    for (size_t i = 0; i < LISTINGS; i++) {
        fov_listing_clear(&job.listing[i]);
    }
    fov_mem_free(job.listing);
    return status == FOV_OK ? FOV_OK : fov_forward_at(__FILE__, __LINE__, status);
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

fov_status fov_scan_add_root(fov_scan *scan, const char *path, size_t length, bool listed) {
    fov_folder folder = {.parent = FOV_NO_FOLDER, .label = -1};
    const bool slash = listed && path[length - 1] != '/';
    char *prefix;
    FOV_TRY(fov_names_reserve(&scan->tree.names, length + (slash ? 2 : 1), &prefix, &folder.name));
    memcpy(prefix, path, length);
    memcpy(prefix + length, slash ? "/" : "", slash ? 2 : 1);
    return add_folder(scan, folder, (fov_walked){.listed = listed});
}

/* The one record of a folder that is not listed is the file. */
static fov_status walk_file_root(fov_scan *scan, const char *path) {
    const char *base = fov_path_base(path);
    FOV_TRY(fov_scan_add_root(scan, path, (size_t)(base - path), false));
    fov_listing listing = {0};
    fov_status status = fov_listing_add(&listing, base);
    listing.seen = 1;
    if (status == FOV_OK) {
        fov_listing_read(&listing, scan, (uint32_t)(scan->tree.count - 1));
        status = join_listed(scan, (uint32_t)(scan->tree.count - 1), &listing);
    }
    fov_listing_clear(&listing);
    return status == FOV_OK ? FOV_OK : fov_forward_at(__FILE__, __LINE__, status);
}

static fov_status walk_root(fov_scan *scan, const char *path, const char *shown) {
    struct stat info;
    if (path[0] == '\0' || stat(path, &info) != 0) {
        const int error = path[0] == '\0' ? ENOENT : errno;
        if (error == ENOENT || error == ENOTDIR) {
            return FOV_FAIL(FOV_E_NOTFOUND, "'%s': no such file or folder; check the path to the pictures", shown);
        }
        return FOV_FAIL(FOV_E_IO, "'%s' cannot be looked at: %s", shown, strerror(error));
    }
    if (S_ISREG(info.st_mode)) {
        bool walked;
        FOV_TRY(fov_scan_walk_pack(scan, path, &info, &walked));
        FOV_TRY(walked ? FOV_OK : fov_look_named(scan, path, shown));
        return walked ? FOV_OK : walk_file_root(scan, path);
    }
    if (!S_ISDIR(info.st_mode)) {
        return FOV_FAIL(FOV_E_INVALID, "'%s' is %s or folder; give a folder of pictures", shown, fov_special_name(info.st_mode));
    }
    const size_t first = scan->tree.count, seen = scan->seen;
    FOV_TRY(fov_scan_add_root(scan, path, strlen(path), true));
    FOV_TRY(list_from(scan, first));
    if (scan->seen == seen && scan->tree.count == first + 1) {
        return FOV_FAIL(FOV_E_INVALID, "folder '%s' is empty; give a folder that holds pictures", shown);
    }
    if (scan->seen == seen) {
        return FOV_FAIL(FOV_E_INVALID, "folder '%s' is empty: there are %zu folders in it, but no file; give a folder that holds pictures",
                        shown, scan->tree.count - first - 1);
    }
    return FOV_OK;
}

/* ---- links to folders ---- */

static int compare_links(const void *a, const void *b) {
    const fov_scan_link *const *p = a, *const *q = b;
    return strcmp((*p)->path, (*q)->path);
}

static bool same_folder(const fov_walked *folder, const fov_scan_link *link) {
    return folder->device == link->device && folder->inode == link->inode;
}

static fov_status refuse_link(fov_scan *scan, fov_scan_link *link, const char *message) {
    uint32_t number;
    FOV_TRY(fov_scan_add_bad(scan, link->folder, link->name, FOV_BAD_LINK, 0, message, &number));
    link->bad = number + 1;
    return FOV_OK;
}

static fov_status follow_link(fov_scan *scan, fov_scan_link *link) {
    for (uint32_t up = link->folder; up != FOV_NO_FOLDER; up = scan->tree.folder[up].parent) {
        if (same_folder(&scan->walked[up], link)) {
            return refuse_link(scan, link, "a symbolic link that leads back to a folder above it");
        }
    }
    for (size_t i = 0; i < scan->tree.count; i++) {
        if (scan->walked[i].listed && same_folder(&scan->walked[i], link)) {
            scan->duplicates++;
            return FOV_OK;
        }
    }
    if (scan->walked[link->folder].links >= MAX_LINKS) {
        return refuse_link(scan, link, "more than 64 symbolic links one below the other");
    }
    link->child = (uint32_t)scan->tree.count;
    return fov_scan_add_child(scan, link->name, link->folder, 1);
}

/* Follows the links from number `begin` to `end`. */
static fov_status follow_round(fov_scan *scan, size_t begin, size_t end) {
    uint32_t *order = fov_mem_array(FOV_MEM_DATA, end - begin, sizeof *order);
    const fov_scan_link **sorted = fov_mem_array(FOV_MEM_DATA, end - begin, sizeof *sorted);
    fov_status status = order == NULL || sorted == NULL ? FOV_E_NOMEM : FOV_OK;
    if (status == FOV_OK) {
        for (size_t i = begin; i < end; i++) {
            sorted[i - begin] = &scan->link[i];
        }
        qsort(sorted, end - begin, sizeof *sorted, compare_links);
        for (size_t i = 0; i < end - begin; i++) {
            order[i] = (uint32_t)(sorted[i] - scan->link);
        }
    }
    for (size_t i = 0; i < end - begin && status == FOV_OK; i++) {
        const size_t first = scan->tree.count;
        status = follow_link(scan, &scan->link[order[i]]);
        if (status == FOV_OK) {
            status = list_from(scan, first); /* may move the table of links */
        }
    }
    fov_mem_free(order);
    fov_mem_free(sorted);
    return status == FOV_OK ? FOV_OK : fov_forward_at(__FILE__, __LINE__, status);
}

static fov_status follow_links(fov_scan *scan) {
    for (size_t begin = 0; begin < scan->link_count;) {
        const size_t end = scan->link_count;
        FOV_TRY(follow_round(scan, begin, end));
        begin = end;
    }
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
    return follow_links(scan);
}
