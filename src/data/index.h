/* The index: which pictures there are. Made by scanning folders and files; the same set of files gives the same index on any
 * machine, whatever order the file system lists them in. */
#ifndef FOV_DATA_INDEX_H
#define FOV_DATA_INDEX_H

#include "augment/image.h"
#include "base/pool.h"
#include "base/text.h"

typedef enum fov_bad_reason {
    FOV_BAD_EMPTY,       /* zero bytes */
    FOV_BAD_UNREADABLE,  /* permission, I/O error */
    FOV_BAD_NOT_IMAGE,   /* not of a kind that is decoded, though the name says picture */
    FOV_BAD_CORRUPT,     /* malformed or truncated */
    FOV_BAD_UNSUPPORTED, /* 12-bit, lossless ... */
    FOV_BAD_TOO_LARGE,   /* over the caps */
    FOV_BAD_SPECIAL,     /* FIFO, socket, device */
    FOV_BAD_LINK,        /* dangling or looping symbolic link */
    FOV_BAD_REASON_COUNT
} fov_bad_reason;
const char *fov_bad_reason_name(fov_bad_reason reason); /* "empty", ... */
fov_bad_reason fov_bad_reason_of(fov_status status);    /* why reading or decoding a picture failed */

typedef struct fov_scan_options {
    fov_decode_options decode;
    const char *group;     /* of pictures whose planes lie in several files: what the names of these files end in, in order of the planes,
                              such as "_B02,_B03,_B08" for x_B02.tif, x_B03.tif and x_B08.tif; NULL: each file is a picture */
    bool group_of_weights; /* it is theirs, not the user's: told in messages */
    bool channels_of_weights; /* so are the channels of `decode` */
    bool verify;           /* decode every picture to find broken ones now; false: headers only */
    bool follow_links;     /* symbolic links to folders, each folder once; links to files always count */
    double max_bad;        /* share of bad files above which the scan fails with FOV_E_DATA; 0 means 0.2 */
    void (*progress)(void *context, size_t done, size_t total); /* on the caller's thread, every thousand files or so; may be NULL */
    void *context;
} fov_scan_options;

/* max_bad of what a user said, where 0 is none at all. */
double fov_max_bad(double share);

/* How many files a rule of groups names: pieces between commas. Whether they make sense is for the scan to say. */
size_t fov_group_ends(const char *rule);
/* Channels of a picture: those given, or for 0 one for each file that the rule names, and 3 where the rule is NULL. */
size_t fov_group_channels(int64_t given, const char *rule);

typedef struct fov_index fov_index;

/* Scans folders (recursively), files and packs (told by their content, and only as roots). Paths are sorted byte-wise, duplicates removed.
 * Hidden files and files whose content and name are both not of a picture (README, labels.csv) are passed over and only counted. Fails,
 * each with its own message, when a root does not exist, when a folder is empty, when a root that is a file is one that would be passed over,
 * when there is no picture, and when too many are bad.
 *
 * With a rule for groups, files that it does not name are passed over too. The files of a picture lie in one folder and differ in nothing
 * but the end before the extension; each gives as many planes as it holds, which together must be decode.format.channels, and all have one
 * size. Where one is missing or bad the picture is bad, and its message says which. A picture goes by the name of its first file. */
FOV_MUST_USE fov_status fov_index_scan(fov_index **index, const char *const *roots, size_t root_count, const fov_scan_options *options,
                                       fov_pool *pool);
/* A labelled folder, or a pack of one: ROOT/class/.../picture. Class ids are the sorted names of ROOT's folders. Fails if there are fewer
 * than two classes or a class has fewer than `min_per_class` pictures (the message names it). */
FOV_MUST_USE fov_status fov_index_scan_labelled(fov_index **index, const char *root, size_t min_per_class, const fov_scan_options *options,
                                                fov_pool *pool);
void fov_index_free(fov_index *index); /* takes NULL */

size_t fov_index_count(const fov_index *index);
/* Adds the path of picture i, as the system takes it, of a group that of its first file; of a picture in a pack, the pack's path, a colon
 * and the picture's name in it. */
void fov_index_path(const fov_index *index, size_t i, fov_text *text);
/* Adds its name below the root it was found in; of a picture in a pack, its name in the pack. */
void fov_index_relative(const fov_index *index, size_t i, fov_text *text);
/* The path, fit for a message of one line, in place of what `text` held (initialised by the caller, who clears it in the end). */
const char *fov_index_name(const fov_index *index, size_t i, fov_text *text);
void fov_index_size(const fov_index *index, size_t i, size_t *width, size_t *height); /* pixels, after orientation */
int fov_index_label(const fov_index *index, size_t i);                                /* -1 without labels */
size_t fov_index_classes(const fov_index *index);
const char *fov_index_class_name(const fov_index *index, size_t c);
uint64_t fov_index_hash(const fov_index *index); /* of all files' paths relative to their roots, and sizes in bytes */

typedef struct fov_bad_file {
    const char *path, *message;
    fov_bad_reason reason;
    uint64_t bytes;
} fov_bad_file;
size_t fov_index_bad_count(const fov_index *index);
const fov_bad_file *fov_index_bad(const fov_index *index, size_t i);
size_t fov_index_ignored(const fov_index *index);    /* not pictures by name and content */
size_t fov_index_duplicates(const fov_index *index); /* the same file met again, or the same folder through a link */

/* Pictures of an index that went bad since the scan, in the order in which they were met. All zero to begin with but for max_bad. */
typedef struct fov_lost_picture {
    fov_bad_file file; /* text owned by the list */
    size_t picture;    /* number in the index */
} fov_lost_picture;
typedef struct fov_lost {
    double max_bad; /* share of bad ones, those of the scan included, that is borne; 0 means 0.2 */
    fov_lost_picture *item;
    size_t count, capacity;
} fov_lost;
void fov_lost_clear(fov_lost *lost);
/* Takes path and message of `file` over, in every case. FOV_E_DATA, naming it, when with it more than the share are bad, or all. */
FOV_MUST_USE fov_status fov_lost_add(fov_lost *lost, const fov_index *index, size_t picture, const fov_bad_file *file);

/* Writes bad.tsv: path (escaped), reason, bytes, message; first those of the scan, then those lost since (NULL: none). */
FOV_MUST_USE fov_status fov_index_write_bad(const fov_index *index, const fov_lost *lost, const char *path);

#endif
