/* Names and folders of an index: strings packed end to end, and folders that know their parent.
 *
 * Millions of names are kept, so nothing is aligned and no pointer is stored: a name is a number of 32 bits, of which the upper bits are
 * its block. A piece longer than a block takes the numbers of several. Paths are never stored: they would be most of the memory. */
#include <string.h>

#include "base/checked.h"
#include "data/index_internal.h"

enum { BLOCK_BITS = 20 };
#define BLOCK_BYTES ((size_t)1 << BLOCK_BITS)
#define BLOCKS ((size_t)1 << (32 - BLOCK_BITS))
#define FIRST_BYTES ((size_t)4096)
#define OWN_BLOCK_BYTES (BLOCK_BYTES / 8) /* a piece from here on gets a block of its own, so that little is left over in others */

struct fov_names_block {
    char *text;
    size_t used, capacity;
    bool rest; /* of the piece that begins in the block before */
};

fov_status fov_table_grow(void **table, size_t count, size_t more, size_t *capacity, size_t size) {
    size_t wanted = 0, bytes = 0;
    if (!fov_add_size(count, more, &wanted) || wanted > UINT32_MAX / 2) {
        return FOV_FAIL(FOV_E_LIMIT, "more than %zu files or folders: scan fewer at a time", count);
    }
    if (wanted <= *capacity) {
        return FOV_OK;
    }
    size_t room = *capacity == 0 ? 64 : *capacity * 2;
    room = room < wanted ? wanted : room;
    if (!fov_mul_size(room, size, &bytes)) {
        return FOV_FAIL(FOV_E_LIMIT, "%zu files are too many for the memory of this machine", wanted);
    }
    void *bigger = fov_mem_realloc(FOV_MEM_DATA, *table, bytes);
    FOV_TRY_ALLOC(bigger);
    *table = bigger;
    *capacity = room;
    return FOV_OK;
}

/* ---- names ---- */

/* Adds a block of `capacity` bytes and makes *number it. */
static fov_status add_block(fov_names *names, size_t capacity, size_t *number) {
    const size_t places = (capacity + BLOCK_BYTES - 1) >> BLOCK_BITS;
    if (places > BLOCKS - names->block_count) {
        return FOV_FAIL(FOV_E_LIMIT, "names of more than 4 GiB in all: scan fewer files at a time");
    }
    void *table = names->block;
    FOV_TRY(fov_table_grow(&table, names->block_count, places, &names->block_capacity, sizeof *names->block));
    names->block = table;
    char *text = fov_mem_alloc(FOV_MEM_DATA, capacity);
    FOV_TRY_ALLOC(text);
    *number = names->block_count;
    for (size_t p = 0; p < places; p++) {
        names->block[names->block_count++] =
            (fov_names_block){.text = text + (p << BLOCK_BITS), .capacity = p == 0 ? capacity : 0, .rest = p > 0};
    }
    return FOV_OK;
}

fov_status fov_names_reserve(fov_names *names, size_t bytes, char **text, uint32_t *offset) {
    size_t number = names->current;
    if (bytes >= OWN_BLOCK_BYTES) {
        FOV_TRY(add_block(names, bytes, &number));
    } else if (names->block_count == 0 || names->block[number].capacity - names->block[number].used < bytes) {
        size_t capacity = names->next_bytes == 0 ? FIRST_BYTES : names->next_bytes;
        capacity = capacity < bytes ? bytes : capacity;
        FOV_TRY(add_block(names, capacity, &number));
        names->next_bytes = capacity < BLOCK_BYTES / 2 ? capacity * 2 : BLOCK_BYTES;
        names->current = number;
    }
    fov_names_block *block = &names->block[number];
    *text = block->text + block->used;
    *offset = (uint32_t)(number << BLOCK_BITS) + (uint32_t)block->used;
    block->used += bytes;
    return FOV_OK;
}

fov_status fov_names_add(fov_names *names, const char *text, uint32_t *offset) {
    const size_t bytes = strlen(text) + 1;
    char *copy = NULL;
    FOV_TRY(fov_names_reserve(names, bytes, &copy, offset));
    memcpy(copy, text, bytes);
    return FOV_OK;
}

const char *fov_names_at(const fov_names *names, uint32_t offset) {
    return names->block[offset >> BLOCK_BITS].text + (offset & (BLOCK_BYTES - 1));
}

static void clear_names(fov_names *names) {
    for (size_t b = 0; b < names->block_count; b++) {
        if (!names->block[b].rest) {
            fov_mem_free(names->block[b].text);
        }
    }
    fov_mem_free(names->block);
    *names = (fov_names){0};
}

/* ---- paths ---- */

/* Adds room for `count` bytes, to be written by the caller; false when out of memory. */
static bool extend(fov_text *text, size_t count) {
    static const char filler[256];
    while (count > 0 && text->status == FOV_OK) {
        const size_t piece = count < sizeof filler ? count : sizeof filler;
        fov_text_add_bytes(text, filler, piece);
        count -= piece;
    }
    return text->status == FOV_OK;
}

/* From the end to the front, since a folder knows what is above it, not what is below; depth then costs no stack. */
void fov_tree_path(const fov_tree *tree, uint32_t folder, bool relative, fov_text *text) {
    size_t length = 0;
    uint32_t up = folder;
    for (; tree->folder[up].parent != FOV_NO_FOLDER; up = tree->folder[up].parent) {
        length += strlen(fov_names_at(&tree->names, tree->folder[up].name)) + 1;
    }
    if (!relative) {
        fov_text_add(text, fov_names_at(&tree->names, tree->folder[up].name));
    }
    if (length == 0 || !extend(text, length)) {
        return;
    }
    char *end = text->data + text->length;
    for (up = folder; tree->folder[up].parent != FOV_NO_FOLDER; up = tree->folder[up].parent) {
        const char *name = fov_names_at(&tree->names, tree->folder[up].name);
        const size_t bytes = strlen(name);
        *--end = '/';
        end -= bytes;
        memcpy(end, name, bytes);
    }
}

void fov_tree_clear(fov_tree *tree) {
    for (size_t p = 0; p < tree->pack_count; p++) {
        fov_pack_close(tree->pack[p].pack);
    }
    fov_mem_free(tree->pack);
    clear_names(&tree->names);
    fov_mem_free(tree->folder);
    *tree = (fov_tree){0};
}

/* The root above a folder, or itself. */
static uint32_t root_of(const fov_tree *tree, uint32_t folder) {
    while (tree->folder[folder].parent != FOV_NO_FOLDER) {
        folder = tree->folder[folder].parent;
    }
    return folder;
}

const fov_pack *fov_entry_pack(const fov_tree *tree, const fov_entry *entry) {
    const fov_tree_pack *found = fov_tree_pack_at(tree, root_of(tree, entry->folder));
    FOV_ASSERT(entry->place == FOV_PLACE_PACK && found != NULL);
    return found->pack;
}

void fov_entry_relative(const fov_tree *tree, const fov_entry *entry, fov_text *text) {
    if (entry->place == FOV_PLACE_PACK) {
        fov_text_add(text, fov_pack_at(fov_entry_pack(tree, entry), entry->name).name);
        return;
    }
    fov_tree_path(tree, entry->folder, true, text);
    fov_text_add(text, fov_names_at(&tree->names, entry->name));
}

void fov_entry_path(const fov_tree *tree, const fov_entry *entry, fov_text *text) {
    fov_text_add(text, fov_names_at(&tree->names, tree->folder[root_of(tree, entry->folder)].name));
    fov_entry_relative(tree, entry, text);
}
