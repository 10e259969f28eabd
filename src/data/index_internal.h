/* What the parts of the index share: the walk fills entries, the checks judge them, index.c keeps the good ones. */
#ifndef FOV_DATA_INDEX_INTERNAL_H
#define FOV_DATA_INDEX_INTERNAL_H

#include <sys/types.h>

#include "data/index.h"
#include "data/pack.h"

/* ---- packed strings with one owner; unlike an arena's blocks they are not aligned, since there may be millions of them ---- */

typedef struct fov_names_block fov_names_block;
typedef struct fov_names {
    fov_names_block *head;
    size_t next_bytes; /* of the next block */
} fov_names;

/* "folder/name", or `name` alone when folder is NULL. NULL when out of memory. */
const char *fov_names_join(fov_names *names, const char *folder, const char *name);
void fov_names_clear(fov_names *names);

/* ---- scanning ---- */

typedef enum fov_scan_outcome { FOV_SCAN_PENDING, FOV_SCAN_GOOD, FOV_SCAN_BAD, FOV_SCAN_IGNORED, FOV_SCAN_FATAL } fov_scan_outcome;

/* One thing found: a file, or something that is bad already. */
typedef struct fov_scan_entry {
    const char *path; /* in names */
    char *message;    /* why it is bad; owned by the entry until the index takes it */
    uint64_t bytes;
    uint32_t folder;   /* in scan->folder */
    uint32_t relative; /* where the part relative to the root starts in path */
    uint32_t width, height;
    uint8_t outcome; /* fov_scan_outcome */
    uint8_t code;    /* fov_bad_reason when bad, fov_status when fatal */
} fov_scan_entry;

#define FOV_SCAN_NO_PARENT UINT32_MAX

typedef struct fov_scan_folder {
    const char *path; /* in names */
    dev_t device;     /* identity; zero unless scan->identify */
    ino_t inode;
    uint32_t parent; /* FOV_SCAN_NO_PARENT for a root */
    uint32_t relative;
    uint32_t links; /* symbolic links on the way from the root */
    bool listed;    /* false for the folder of a root that is a file */
} fov_scan_folder;

typedef struct fov_scan_link {
    const char *path;
    uint32_t parent;
    dev_t device;
    ino_t inode;
} fov_scan_link;

typedef struct fov_scan {
    const fov_scan_options *options;
    fov_names names;
    fov_scan_entry *entry;
    size_t entry_count, entry_capacity;
    fov_scan_folder *folder;
    size_t folder_count, folder_capacity;
    fov_scan_link *link; /* symbolic links to folders that are still to be followed */
    size_t link_count, link_capacity;
    size_t seen;       /* everything met but folders */
    size_t ignored;    /* hidden, or not pictures */
    size_t unfollowed; /* symbolic links to folders passed over */
    size_t duplicates;
    bool identify; /* folders are told apart by device and inode: several roots, or links followed */
} fov_scan;

void fov_scan_init(fov_scan *scan, const fov_scan_options *options, size_t root_count);
void fov_scan_clear(fov_scan *scan);
/* Walks all roots, then sorts the entries by path and removes duplicates. */
FOV_MUST_USE fov_status fov_scan_walk(fov_scan *scan, const char *const *roots, size_t root_count);
/* Opens every pending entry and settles what it is. */
FOV_MUST_USE fov_status fov_scan_check(fov_scan *scan, fov_pool *pool);

/* Marks an entry as bad. Out of memory makes it fatal instead. */
void fov_scan_mark_bad(fov_scan_entry *entry, fov_bad_reason reason, const char *format, ...) FOV_PRINTF(3, 4);

/* FOV_E_DATA with the share and the first three reasons if more than the allowed share of entries is bad. */
FOV_MUST_USE fov_status fov_scan_check_share(const fov_scan *scan, const char *root);

/* The pack that picture i lies in, and its record there; NULL for a picture file. */
const fov_pack *fov_index_pack(const fov_index *index, size_t i, size_t *record);

#endif
