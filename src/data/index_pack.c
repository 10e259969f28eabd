/* Packs among the roots of a scan.
 *
 * A pack's records are entries like files: their names stay in the pack's table, and the first parts of those names become folders of the
 * tree, so that classes need no second way. A pack is told by its content and only as a root: inside of folders it is one of the files that
 * are no pictures. */
#include <string.h>

#include "data/index_internal.h"
#include "data/picture.h"

#define SNIFF_BYTES ((size_t)8)

static fov_status sniff(const char *path, bool *is_pack) {
    fov_file *file;
    fov_blob blob = {0};
    size_t capacity = 0;
    *is_pack = false;
    const fov_status opened = fov_file_open(&file, path);
    if (opened != FOV_OK) {
        return opened == FOV_E_NOMEM ? opened : FOV_OK; /* what is wrong with a picture file is found where others are checked */
    }
    const fov_status status = fov_file_size(file) < SNIFF_BYTES ? FOV_E_IO : fov_file_read(file, path, 0, SNIFF_BYTES, 0, &blob, &capacity);
    *is_pack = status == FOV_OK && fov_pack_sniff(blob.data, blob.size);
    fov_blob_clear(&blob);
    fov_file_close(file);
    return status == FOV_E_NOMEM ? status : FOV_OK;
}

/* Length of a name's first part when something follows it, 0 for a name without folders. */
static size_t first_part(const char *name) {
    const char *slash = strchr(name, '/');
    return slash == NULL ? 0 : (size_t)(slash - name);
}

/* The folders right below a pack's root; they follow it in the tree, in order. */
static fov_status add_classes(fov_scan *scan, const fov_tree_pack *p) {
    const char *before = NULL;
    size_t before_length = 0;
    for (size_t i = 0; i < p->count; i++) {
        const char *name = fov_pack_at(p->pack, i).name;
        const size_t length = first_part(name);
        if (length == 0 || (length == before_length && memcmp(name, before, length) == 0)) {
            continue;
        }
        char *text;
        uint32_t offset;
        FOV_TRY(fov_names_reserve(&scan->tree.names, length + 1, &text, &offset));
        memcpy(text, name, length);
        text[length] = '\0';
        FOV_TRY(fov_scan_add_child(scan, offset, p->root, 0));
        scan->walked[scan->tree.count - 1].listed = false;
        before = name;
        before_length = length;
    }
    return FOV_OK;
}

/* A pack that was given before, under whatever name, counts once. */
static bool met_before(const fov_scan *scan, const struct stat *info) {
    for (size_t p = 0; p < scan->tree.pack_count; p++) {
        const fov_walked *walked = &scan->walked[scan->tree.pack[p].root];
        if (walked->device == info->st_dev && walked->inode == info->st_ino) {
            return true;
        }
    }
    return false;
}

static fov_status add_pack(fov_scan *scan, const char *path, const struct stat *info) {
    fov_tree *tree = &scan->tree;
    void *table = tree->pack;
    FOV_TRY(fov_table_grow(&table, tree->pack_count, 1, &tree->pack_capacity, sizeof *tree->pack));
    tree->pack = table;
    fov_tree_pack *p = &tree->pack[tree->pack_count];
    *p = (fov_tree_pack){.root = (uint32_t)tree->count};
    FOV_TRY(fov_pack_open(&p->pack, path));
    p->count = (uint32_t)fov_pack_count(p->pack);
    tree->pack_count++;
    fov_text prefix;
    fov_text_init(&prefix);
    fov_text_printf(&prefix, "%s:", path);
    fov_status status = prefix.status;
    if (status == FOV_OK) {
        status = fov_scan_add_root(scan, prefix.data, prefix.length, false);
    }
    fov_text_clear(&prefix);
    FOV_TRY(status);
    scan->walked[p->root].device = info->st_dev;
    scan->walked[p->root].inode = info->st_ino;
    FOV_TRY(add_classes(scan, p));
    scan->seen += p->count;
    scan->records += p->count;
    return FOV_OK;
}

fov_status fov_scan_walk_pack(fov_scan *scan, const char *path, const struct stat *info, bool *walked) {
    FOV_TRY(sniff(path, walked));
    if (!*walked) {
        return FOV_OK;
    }
    if (met_before(scan, info)) {
        scan->duplicates++;
        return FOV_OK;
    }
    FOV_TRY(add_pack(scan, path, info));
    return FOV_OK;
}

const fov_tree_pack *fov_tree_pack_at(const fov_tree *tree, uint32_t root) {
    size_t low = 0, high = tree->pack_count;
    while (low < high) {
        const size_t middle = low + (high - low) / 2;
        if (tree->pack[middle].root == root) {
            return &tree->pack[middle];
        }
        if (tree->pack[middle].root < root) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return NULL;
}

void fov_scan_order_pack(fov_scan *scan, const fov_tree_pack *pack) {
    uint32_t class = pack->root; /* its folder among those that follow the root */
    for (uint32_t i = 0; i < pack->count; i++) {
        const char *name = fov_pack_at(pack->pack, i).name;
        const size_t length = first_part(name);
        if (length > 0) {
            const char *present = class == pack->root ? "" : fov_names_at(&scan->tree.names, scan->tree.folder[class].name);
            class += strncmp(present, name, length) != 0 || present[length] != '\0';
        }
        scan->entry[scan->entry_count++] =
            (fov_entry){.folder = length > 0 ? class : pack->root, .name = i, .outcome = FOV_SCAN_PENDING, .place = FOV_PLACE_PACK};
    }
}
