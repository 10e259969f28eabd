/* One folder: its names as readdir gives them, told apart and sorted.
 *
 * The order wanted is that of whole paths, byte by byte. Below one folder it is the order of the names, with a slash after those of
 * folders: "a.png" comes before what lies in folder "a", since '.' is less than '/', and "a0.png" after it. What such a folder holds then
 * follows in one piece, so that going through the tree depth first gives all paths in order. */
#include "data/index_listing.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/io.h"

#define KEPT_BYTES ((size_t)1 << 20) /* of memory that waits for the next folder */

const char *fov_special_name(mode_t mode) {
    return S_ISFIFO(mode) ? "a FIFO, not a file" : S_ISSOCK(mode) ? "a socket, not a file" : "a device, not a file";
}

/* ---- what is in it ---- */

static fov_status add_item(fov_listing *listing, const char *name, char kind, size_t count) {
    const uint32_t number = (uint32_t)count;
    if (listing->names.length > UINT32_MAX / 2) {
        return FOV_FAIL(FOV_E_LIMIT, "more than %zu files in one folder: spread them over several", listing->count);
    }
    void *table = listing->item;
    FOV_TRY(fov_table_grow(&table, listing->count, 1, &listing->capacity, sizeof *listing->item));
    listing->item = table;
    const fov_listed item = {.text = (uint32_t)listing->names.length, .number = number, .kind = kind};
    fov_text_add_bytes(&listing->names, name, strlen(name) + 1);
    FOV_TRY(listing->names.status);
    listing->item[listing->count++] = item;
    return FOV_OK;
}

fov_status fov_listing_add(fov_listing *listing, const char *name) {
    return add_item(listing, name, 'f', 0);
}

static fov_status add_bad(fov_listing *listing, const char *name, fov_bad_reason reason, const char *message) {
    void *table = listing->bad;
    FOV_TRY(fov_table_grow(&table, listing->bad_count, 1, &listing->bad_capacity, sizeof *listing->bad));
    listing->bad = table;
    FOV_TRY(add_item(listing, name, FOV_RECORD_BAD, listing->bad_count));
    char *copy = fov_mem_strdup(FOV_MEM_DATA, message);
    FOV_TRY_ALLOC(copy);
    listing->bad[listing->bad_count++] = (fov_listed_bad){.message = copy, .reason = reason};
    return FOV_OK;
}

static fov_status add_folder(fov_listing *listing, const char *name) {
    void *table = listing->folder;
    FOV_TRY(fov_table_grow(&table, listing->folder_count, 1, &listing->folder_capacity, sizeof *listing->folder));
    listing->folder = table;
    FOV_TRY(add_item(listing, name, FOV_RECORD_FOLDER, listing->folder_count));
    FOV_TRY(add_item(listing, name, FOV_RECORD_IN_FOLDER, listing->folder_count));
    listing->folder[listing->folder_count++] = (fov_listed_folder){0};
    return FOV_OK;
}

static fov_status add_link(fov_listing *listing, const char *name, const struct stat *info) {
    void *table = listing->link;
    FOV_TRY(fov_table_grow(&table, listing->link_count, 1, &listing->link_capacity, sizeof *listing->link));
    listing->link = table;
    FOV_TRY(add_item(listing, name, FOV_RECORD_LINK, listing->link_count));
    FOV_TRY(add_item(listing, name, FOV_RECORD_IN_LINK, listing->link_count));
    listing->link[listing->link_count++] = (fov_listed_link){.device = info->st_dev, .inode = info->st_ino};
    return FOV_OK;
}

/* What a symbolic link leads to. */
static fov_status visit_link(fov_listing *listing, const char *path, const char *name) {
    struct stat info;
    if (stat(path, &info) != 0) {
        const int error = errno;
        if (error == ELOOP) {
            return add_bad(listing, name, FOV_BAD_LINK, "a symbolic link that leads back to itself");
        }
        if (error == ENOENT || error == ENOTDIR) {
            return add_bad(listing, name, FOV_BAD_LINK, "a symbolic link to nothing");
        }
        return add_bad(listing, name, FOV_BAD_UNREADABLE, strerror(error));
    }
    if (S_ISREG(info.st_mode)) {
        return fov_listing_add(listing, name);
    }
    if (!S_ISDIR(info.st_mode)) {
        return add_bad(listing, name, FOV_BAD_SPECIAL, fov_special_name(info.st_mode));
    }
    if (!listing->follow_links) {
        listing->unfollowed++;
        listing->ignored++;
        return FOV_OK;
    }
    return add_link(listing, name, &info);
}

/* For what readdir did not say, and for special files, whose kind the message names. */
static fov_status visit_unknown(fov_listing *listing, const char *path, const char *name) {
    struct stat info;
    if (lstat(path, &info) != 0) {
        return add_bad(listing, name, FOV_BAD_UNREADABLE, strerror(errno));
    }
    if (S_ISDIR(info.st_mode)) {
        listing->seen--;
        return add_folder(listing, name);
    }
    if (S_ISLNK(info.st_mode)) {
        return visit_link(listing, path, name);
    }
    if (S_ISREG(info.st_mode)) {
        return fov_listing_add(listing, name);
    }
    return add_bad(listing, name, FOV_BAD_SPECIAL, fov_special_name(info.st_mode));
}

static fov_status visit_named(fov_listing *listing, const char *name, int kind) {
    if (kind != 'd') {
        listing->seen++;
    }
    if (name[0] == '.') {
        listing->ignored++;
        return FOV_OK;
    }
    if (kind == 'f') {
        return fov_listing_add(listing, name);
    }
    if (kind == 'd') {
        return add_folder(listing, name);
    }
    listing->path.length = listing->path_length;
    fov_text_add(&listing->path, name);
    FOV_TRY(listing->path.status);
    return kind == 'l' ? visit_link(listing, listing->path.data, name) : visit_unknown(listing, listing->path.data, name);
}

static fov_status visit(void *context, const char *name, int kind) {
    fov_listing *listing = context;
    const fov_status status = visit_named(listing, name, kind);
    listing->ours = status != FOV_OK;
    return status;
}

/* ---- order ---- */

static bool holds_others(const fov_listed *item) {
    return item->kind == FOV_RECORD_IN_FOLDER || item->kind == FOV_RECORD_IN_LINK;
}

static int compare_items(const void *a, const void *b, void *context) {
    const fov_listed *p = a, *q = b;
    const unsigned char *names = context, *x = names + p->text, *y = names + q->text;
    while (*x == *y && *x != '\0') {
        x++;
        y++;
    }
    const int last = *x != '\0' ? *x : holds_others(p) ? '/' : 0;
    return last - (*y != '\0' ? *y : holds_others(q) ? '/' : 0);
}

/* ---- reading ---- */

/* The folder's path goes to `where` as the system takes it, and with a slash at its end to `path`, for the names in it. */
static fov_status find_path(fov_listing *listing, const fov_scan *scan, uint32_t folder) {
    fov_text *path = &listing->path, *where = &listing->where;
    path->length = where->length = 0;
    fov_tree_path(&scan->tree, folder, false, path);
    listing->path_length = path->length;
    if (path->length == 0) {
        fov_text_add(where, ".");
    } else {
        fov_text_add_bytes(where, path->data, path->length > 1 ? path->length - 1 : 1);
    }
    FOV_TRY(path->status);
    return where->status;
}

static void identify(fov_listing *listing) {
    struct stat info;
    if (stat(listing->where.data, &info) == 0) {
        listing->device = info.st_dev;
        listing->inode = info.st_ino;
    }
}

static fov_status read_folder(fov_listing *listing, const fov_scan *scan, uint32_t folder) {
    listing->follow_links = scan->options->follow_links;
    listing->ours = true;
    FOV_TRY(find_path(listing, scan, folder));
    if (scan->identify) {
        identify(listing);
    }
    listing->ours = false;
    if (!scan->walked[folder].listed) {
        return FOV_OK;
    }
    FOV_TRY(fov_io_list(listing->where.data, visit, listing));
    return FOV_OK;
}

void fov_listing_read(fov_listing *listing, const fov_scan *scan, uint32_t folder) {
    listing->status = read_folder(listing, scan, folder);
    if (listing->status != FOV_OK) {
        listing->message = fov_mem_strdup(FOV_MEM_DATA, fov_last_error());
        listing->status = listing->message == NULL ? FOV_E_NOMEM : listing->status;
    }
    if (listing->count > 1) {
        qsort_r(listing->item, listing->count, sizeof *listing->item, compare_items, listing->names.data);
    }
}

/* ---- packing ---- */

size_t fov_listing_bytes(const fov_listing *listing) {
    size_t special = 0;
    for (size_t i = 0; i < listing->count; i++) {
        special += listing->item[i].kind != 'f';
    }
    return listing->names.length + special * FOV_RECORD_HEAD;
}

static void tell_name(const fov_listing *listing, const fov_listed *item, uint32_t name) {
    if (item->kind == FOV_RECORD_FOLDER || item->kind == FOV_RECORD_IN_FOLDER) {
        listing->folder[item->number].name = name;
    } else if (item->kind == FOV_RECORD_LINK || item->kind == FOV_RECORD_IN_LINK) {
        listing->link[item->number].name = name;
    } else {
        listing->bad[item->number].name = name;
    }
}

void fov_listing_pack(const fov_listing *listing, char *to, uint32_t offset) {
    const char *start = to;
    for (size_t i = 0; i < listing->count; i++) {
        const fov_listed *item = &listing->item[i];
        if (item->kind != 'f') {
            to[0] = '/';
            to[1] = item->kind;
            memcpy(to + 2, &item->number, sizeof item->number);
            to += FOV_RECORD_HEAD;
            tell_name(listing, item, offset + (uint32_t)(to - start));
        }
        const char *name = listing->names.data + item->text;
        const size_t bytes = strlen(name) + 1;
        memcpy(to, name, bytes);
        to += bytes;
    }
}

void fov_listing_reset(fov_listing *listing) {
    for (size_t i = 0; i < listing->bad_count; i++) {
        fov_mem_free(listing->bad[i].message);
    }
    fov_mem_free(listing->message);
    fov_listing kept = {.names = listing->names,
                        .item = listing->item,
                        .capacity = listing->capacity,
                        .folder = listing->folder,
                        .folder_capacity = listing->folder_capacity,
                        .link = listing->link,
                        .link_capacity = listing->link_capacity,
                        .bad = listing->bad,
                        .bad_capacity = listing->bad_capacity,
                        .path = listing->path,
                        .where = listing->where};
    kept.names.length = 0;
    *listing = kept;
    if (listing->names.capacity > KEPT_BYTES) {
        fov_listing_clear(listing);
    }
}

void fov_listing_clear(fov_listing *listing) {
    for (size_t i = 0; i < listing->bad_count; i++) {
        fov_mem_free(listing->bad[i].message);
    }
    fov_mem_free(listing->message);
    fov_text_clear(&listing->names);
    fov_text_clear(&listing->path);
    fov_text_clear(&listing->where);
    fov_mem_free(listing->item);
    fov_mem_free(listing->folder);
    fov_mem_free(listing->link);
    fov_mem_free(listing->bad);
    *listing = (fov_listing){0};
}
