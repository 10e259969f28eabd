/* Making a pack from the pictures of an index, and looking through one that was made. */
#ifndef FOV_DATA_PACK_MAKE_H
#define FOV_DATA_PACK_MAKE_H

#include "data/index.h"
#include "data/pack.h"

typedef struct fov_pack_options {
    size_t side; /* pictures whose shorter side is longer are brought to it (Pillow's antialiased bicubic); 0: none is */
    bool raw;    /* store pixels, of any picture; needs `side`. Otherwise what is shrunk is stored as JPEG, the rest as it is */
    int quality; /* of that JPEG, 1..100 */
    fov_decode_options decode; /* of what is decoded; its format is that of raw pixels */
    double max_bad; /* share of bad pictures, those of the index included, above which making fails with FOV_E_DATA; 0 means 0.2 */
    void (*progress)(void *context, size_t done, size_t total); /* on the caller's thread; may be NULL */
    void *context;
} fov_pack_options;

/* FOV_E_INVALID when the options contradict each other; fov_pack_make asks too. */
FOV_MUST_USE fov_status fov_pack_check_options(const fov_pack_options *options);

typedef struct fov_pack_summary {
    size_t pictures, kept;              /* kept: stored as they were */
    uint64_t bytes_before, bytes_after; /* of what the pack was made from, and of the payloads */
    fov_lost lost;                      /* went bad since the scan */
} fov_pack_summary;
void fov_pack_summary_clear(fov_pack_summary *summary);

/* Writes a pack of all pictures of an index. Every picture is decoded, so that what is in the pack is whole. The same pictures and options
 * make the same bytes at any number of threads. Fails with FOV_E_INVALID when two pictures have the same name, FOV_E_DATA when too many are
 * bad, FOV_E_INTERRUPTED after a signal; nothing stands at `path` then that was not there before. The caller clears the summary in every
 * case; it also holds the bad pictures after FOV_E_DATA. */
FOV_MUST_USE fov_status fov_pack_make(const fov_index *index, const char *path, const fov_pack_options *options, fov_pool *pool,
                                      fov_pack_summary *summary);

typedef struct fov_pack_check {
    size_t pictures, damaged;
    uint64_t bytes; /* of payloads */
    /* told of each damaged record, in order; may be NULL, as `progress` */
    void (*report)(void *context, size_t record, const char *name, uint64_t offset, const char *message);
    void (*progress)(void *context, size_t done, size_t total);
    void *context;
} fov_pack_check;
/* Reads a whole pack: the table, every checksum, every gap, and every picture decoded. FOV_E_FORMAT when something is wrong with it, after
 * all of it was reported. */
FOV_MUST_USE fov_status fov_pack_verify(const char *path, fov_pool *pool, fov_pack_check *check);

#endif
