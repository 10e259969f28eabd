/* Judging one entry: is it a picture, how large, and is it whole? Private to the checks. */
#ifndef FOV_DATA_INDEX_LOOK_H
#define FOV_DATA_INDEX_LOOK_H

#include "data/index_internal.h"
#include "data/picture.h"

/* What was found about an entry. */
typedef struct fov_finding {
    fov_scan_outcome outcome; /* never PENDING */
    fov_status fatal;         /* a failure of ours, not of the file */
    fov_bad_reason reason;
    char *message;  /* of a bad or fatal one; the caller frees */
    uint64_t bytes; /* of the file, or of all files of a group */
    size_t width, height;
    unsigned channels; /* in the file, or in all files of a group */
    bool missing;      /* bad since it is not there */
    bool pack;         /* ignored, and a pack */
} fov_finding;

/* What one thread needs to look at files. */
typedef struct fov_looker {
    fov_picture_reader reader;
    unsigned char *head;
    fov_text path;        /* of the folder looked at last, with a slash at its end; a name may follow */
    size_t folder_length; /* of it */
    uint32_t folder;
    int descriptor; /* of the folder; -1: none */
} fov_looker;

FOV_MUST_USE fov_status fov_looker_init(fov_looker *looker);
void fov_looker_clear(fov_looker *looker); /* takes one that is all zero */

/* Looks at a pending entry. `member_bytes` takes the sizes of the files of a group. Never fails: see `fatal`. */
void fov_look(fov_looker *looker, const fov_scan *scan, const fov_entry *entry, fov_finding *found, uint64_t *member_bytes);
/* Opens the folder of entries, for when `count` of them come next that lie in it: to be called before, and with 0 after them. */
void fov_look_in(fov_looker *looker, const fov_scan *scan, uint32_t folder, size_t count);

#endif
