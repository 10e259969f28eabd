/* The contents of one folder while it is being listed. Private to the walk. */
#ifndef FOV_DATA_INDEX_LISTING_H
#define FOV_DATA_INDEX_LISTING_H

#include <sys/stat.h>

#include "data/index_internal.h"

typedef struct fov_listed_bad {
    char *message;
    uint32_t name;
    fov_bad_reason reason;
} fov_listed_bad;

typedef struct fov_listed_link {
    dev_t device;
    ino_t inode;
    uint32_t name;
} fov_listed_link;

typedef struct fov_listed_folder {
    uint32_t name;
} fov_listed_folder;

typedef struct fov_listed {
    uint32_t text;   /* where its name starts in the listing's names */
    uint32_t number; /* in folder, link or bad of the listing */
    char kind;       /* 'f', or one of FOV_RECORD_ */
} fov_listed;

typedef struct fov_listing {
    fov_text names;
    fov_listed *item;
    size_t count, capacity;
    fov_listed_folder *folder;
    size_t folder_count, folder_capacity;
    fov_listed_link *link;
    size_t link_count, link_capacity;
    fov_listed_bad *bad;
    size_t bad_count, bad_capacity;
    fov_text where; /* path of the folder */
    fov_text path;  /* the same with a slash, and a name behind it; the folder's part is path_length bytes */
    size_t path_length;
    bool follow_links;
    size_t seen, ignored, unfollowed;
    dev_t device;
    ino_t inode;
    fov_status status; /* of the listing */
    char *message;     /* of a failure */
    bool ours;         /* the failure is not the folder's */
} fov_listing;

/* Lists a folder of the tree and sorts what it holds so that paths come in the order of their bytes; of a folder that is not to be listed,
 * asks only for its identity. Never fails: see `status`. */
void fov_listing_read(fov_listing *listing, const fov_scan *scan, uint32_t folder);
FOV_MUST_USE fov_status fov_listing_add(fov_listing *listing, const char *name); /* a file */
/* Bytes of all records, and the records written to `to`, which is number `offset` of the names: folders, links and bad things of the
 * listing are told the number of their name. */
size_t fov_listing_bytes(const fov_listing *listing);
void fov_listing_pack(const fov_listing *listing, char *to, uint32_t offset);
void fov_listing_reset(fov_listing *listing); /* empties it for the next folder */
void fov_listing_clear(fov_listing *listing);

const char *fov_special_name(mode_t mode); /* "a FIFO, not a file" */

#endif
