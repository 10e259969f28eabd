/* What the parts of the index share.
 *
 * A scan goes in three steps, all of them on the same compact tables: the walk (index_walk.c) lists folders, the order (index_order.c)
 * makes one sorted table of entries of what they hold, the checks (index_check.c) judge each entry; index.c keeps the good ones.
 *
 * An entry takes 16 bytes and its name; a path is put together from the tree when somebody asks for it.
 *
 * Where a picture lies is its entry's `place`: a file, a group of files, or a record of a pack, whose `name` is its number there. Another
 * kind of place is one more value of fov_place, with its own meaning of `folder` and `name`, and one more case in what looks at it:
 * fov_entry_path and fov_entry_relative (what it is called), fov_look (how it is judged; entries that come settled are left as they are),
 * hash_entry in index_check.c (what of it counts in the hash) and fov_picture_open (how it is read). */
#ifndef FOV_DATA_INDEX_INTERNAL_H
#define FOV_DATA_INDEX_INTERNAL_H

#include <sys/stat.h>

#include "data/index.h"
#include "data/pack.h"

#define FOV_NO_FOLDER UINT32_MAX

/* ---- names: packed NUL-terminated strings, found again by a number of 32 bits ---- */

typedef struct fov_names_block fov_names_block;
typedef struct fov_names {
    fov_names_block *block;
    size_t block_count, block_capacity;
    size_t current;    /* block that is being filled */
    size_t next_bytes; /* of the next block */
} fov_names;

/* Room for `bytes` bytes in one piece, whose number is *offset; number + k leads to byte k. */
FOV_MUST_USE fov_status fov_names_reserve(fov_names *names, size_t bytes, char **text, uint32_t *offset);
FOV_MUST_USE fov_status fov_names_add(fov_names *names, const char *text, uint32_t *offset);
const char *fov_names_at(const fov_names *names, uint32_t offset); /* stays where it is */

/* ---- the tree of folders ---- */

typedef struct fov_folder {
    uint32_t parent; /* FOV_NO_FOLDER for a root */
    uint32_t name;   /* of a root: all that stands before the relative path, "DIR/" or "" */
    int32_t label;   /* class of the pictures below, -1 without */
} fov_folder;

/* A root that is a pack. Its name ends in a colon; the folders below it are the first parts of its records' names. */
typedef struct fov_tree_pack {
    fov_pack *pack; /* owned */
    uint32_t root;
    uint32_t count; /* of records */
} fov_tree_pack;

typedef struct fov_tree {
    fov_names names;
    fov_folder *folder;
    size_t count, capacity;
    fov_tree_pack *pack; /* in order of their roots */
    size_t pack_count, pack_capacity;
} fov_tree;

/* Adds the path of a folder with a slash at its end; "" for the present folder. With `relative`, the part below its root. */
void fov_tree_path(const fov_tree *tree, uint32_t folder, bool relative, fov_text *text);
void fov_tree_clear(fov_tree *tree);
/* Makes room for `more` items of `size` bytes in a table that doubles. */
FOV_MUST_USE fov_status fov_table_grow(void **table, size_t count, size_t more, size_t *capacity, size_t size);

/* ---- entries ---- */

typedef enum fov_scan_outcome { FOV_SCAN_PENDING, FOV_SCAN_GOOD, FOV_SCAN_BAD, FOV_SCAN_IGNORED, FOV_SCAN_DROPPED } fov_scan_outcome;
typedef enum fov_place {
    FOV_PLACE_FILE,
    FOV_PLACE_GROUP, /* named by one of its files; the others follow from the rule */
    FOV_PLACE_PACK,  /* a record of the pack that is the root above it */
} fov_place;

/* One thing found: a file, or something that is bad already. */
typedef struct fov_entry {
    uint32_t folder; /* in the tree */
    uint32_t name;   /* in the tree's names; number of the record in a pack */
    union {
        struct {
            uint16_t width, height;
        };
        uint32_t bad; /* in scan->bad, of bad ones */
    };
    uint8_t outcome; /* fov_scan_outcome */
    uint8_t place;   /* fov_place */
} fov_entry;
_Static_assert(sizeof(fov_entry) == 16, "millions of entries are kept");

/* Adds the path of an entry, and that part of it which is below its root. */
void fov_entry_path(const fov_tree *tree, const fov_entry *entry, fov_text *text);
void fov_entry_relative(const fov_tree *tree, const fov_entry *entry, fov_text *text);
/* The pack of an entry that lies in one. */
const fov_pack *fov_entry_pack(const fov_tree *tree, const fov_entry *entry);

/* ---- scanning ---- */

/* Why an entry is bad; text in the tree's names. */
typedef struct fov_scan_bad {
    uint64_t bytes;
    uint32_t folder, name, message;
    uint8_t reason; /* fov_bad_reason */
} fov_scan_bad;

/* What the walk knows of a folder besides its place in the tree. Its records are its sorted contents, packed in the tree's names from
 * `records` on: the name of a file, or what index_order.c says of other things. */
typedef struct fov_walked {
    dev_t device; /* identity; inode 0 when unknown */
    ino_t inode;
    uint32_t records, record_count;
    uint32_t first_folder, first_link, first_bad; /* what the numbers in its records count from */
    uint32_t bad;                                 /* 1 + number in scan->bad of why it could not be listed, 0: it could */
    uint32_t links;                               /* symbolic links on the way from the root */
    bool listed;                                  /* false for the folder of a root that is a file */
} fov_walked;

/* A record that begins with a slash is '/', kind, a number of 32 bits, and the name. What may hold others has two: one stands where it
 * would stand itself, for the case that it is bad, the other where that stands which is in it. */
enum { FOV_RECORD_HEAD = 6 };
#define FOV_RECORD_BAD 'b'
#define FOV_RECORD_FOLDER 'd'
#define FOV_RECORD_IN_FOLDER 'D'
#define FOV_RECORD_LINK 'l'
#define FOV_RECORD_IN_LINK 'L'

/* A symbolic link to a folder. */
typedef struct fov_scan_link {
    char *path; /* owned */
    dev_t device;
    ino_t inode;
    uint32_t folder, name;
    uint32_t child; /* the folder it became, FOV_NO_FOLDER: none */
    uint32_t bad;   /* 1 + number in scan->bad, 0: not bad */
} fov_scan_link;

typedef struct fov_group fov_group;

typedef struct fov_scan {
    const fov_scan_options *options;
    fov_group *group; /* the rule by which files form pictures; NULL: each is one */
    fov_pool *pool;
    fov_tree tree;
    fov_walked *walked; /* one per folder of the tree */
    size_t walked_capacity;
    fov_scan_link *link;
    size_t link_count, link_capacity;
    fov_scan_bad *bad;
    size_t bad_count, bad_capacity;
    fov_entry *entry; /* in order of paths, once the walk is over */
    size_t entry_count;
    size_t records;    /* in all folders */
    size_t seen;       /* everything met but folders */
    size_t ignored;    /* hidden, or not pictures */
    size_t unfollowed; /* symbolic links to folders passed over */
    size_t duplicates;
    uint64_t hash; /* of the good entries */
    bool identify; /* folders are told apart by device and inode: several roots, or links followed */
    bool labelled; /* folders without a label do not count in the hash */
} fov_scan;

/* FOV_E_INVALID if the options' rule for groups makes no sense; there is then nothing to clear. */
FOV_MUST_USE fov_status fov_scan_init(fov_scan *scan, const fov_scan_options *options, size_t root_count, fov_pool *pool);
void fov_scan_clear(fov_scan *scan);
/* Walks all roots; what they hold is then in the folders' records. */
FOV_MUST_USE fov_status fov_scan_walk(fov_scan *scan, const char *const *roots, size_t root_count);
/* For the walk: a root under which all paths begin with the first `length` bytes of `path`, and a folder below another. */
FOV_MUST_USE fov_status fov_scan_add_root(fov_scan *scan, const char *path, size_t length, bool listed);
FOV_MUST_USE fov_status fov_scan_add_child(fov_scan *scan, uint32_t name, uint32_t parent, unsigned links);
/* Walks the root `path` if it is a pack, by its content; *walked says so. `info` is of the file. */
FOV_MUST_USE fov_status fov_scan_walk_pack(fov_scan *scan, const char *path, const struct stat *info, bool *walked);
/* The pack whose root this folder is, NULL for other folders; adds the entries of all its records, in order. */
const fov_tree_pack *fov_tree_pack_at(const fov_tree *tree, uint32_t root);
void fov_scan_order_pack(fov_scan *scan, const fov_tree_pack *pack);
/* Makes the entries from the records, in order of paths, without duplicates. */
FOV_MUST_USE fov_status fov_scan_order(fov_scan *scan);
void fov_scan_drop(fov_scan *scan); /* takes away the entries marked DROPPED */
/* Makes one entry of the files of a group, named by the first of them that is there. */
FOV_MUST_USE fov_status fov_scan_group(fov_scan *scan);
/* For the walk: FOV_E_INVALID if the file `path`, a root that is no pack, is one that scans pass over. Of many files in a folder that is what
 * is wanted; a file that somebody named was meant to be used. */
FOV_MUST_USE fov_status fov_look_named(const fov_scan *scan, const char *path, const char *shown);
/* Opens every pending entry and settles what it is. */
FOV_MUST_USE fov_status fov_scan_check(fov_scan *scan);

/* Notes why something is bad; *number is its place in scan->bad. */
FOV_MUST_USE fov_status fov_scan_add_bad(fov_scan *scan, uint32_t folder, uint32_t name, fov_bad_reason reason, uint64_t bytes,
                                         const char *message, uint32_t *number);
/* The bad entries in order of paths, as the index keeps them: paths and messages go to the tree's names. The caller frees the array. */
FOV_MUST_USE fov_status fov_scan_list_bad(fov_scan *scan, fov_bad_file **bad, size_t *count);
/* FOV_E_DATA with the share and the first three reasons if more than the allowed share is bad. */
FOV_MUST_USE fov_status fov_scan_check_share(const fov_scan *scan, const fov_bad_file *bad, size_t bad_count, const char *root);

/* ---- the index ---- */

struct fov_index {
    fov_tree tree;
    fov_group *group; /* of entries whose place is a group */
    fov_entry *entry;
    size_t count;
    fov_bad_file *bad; /* text in the tree's names */
    size_t bad_count;
    size_t ignored, duplicates;
    const char **class_name; /* in the tree's names */
    size_t class_count;
    uint64_t hash;
};

/* The pack that picture i lies in, and its record there; NULL for a picture file. */
const fov_pack *fov_index_pack(const fov_index *index, size_t i, size_t *record);

#endif
