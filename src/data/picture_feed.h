/* A large picture file, or record of a pack, read in pieces as the decoder asks for them. Private to picture*.c and the scan. */
#ifndef FOV_DATA_PICTURE_FEED_H
#define FOV_DATA_PICTURE_FEED_H

#include "data/picture.h"

/* All zero is one that holds nothing. Takes the file, whose bytes [offset, offset + size) are those of the picture. `shown` is what
 * messages call it, kept until `end`. What feed->source.get fails with is named so already, and feed->failed is then set. */
void fov_picture_feed_begin(fov_picture_feed *feed, fov_file *file, uint64_t offset, size_t size, const char *shown);
void fov_picture_feed_end(fov_picture_feed *feed);   /* closes the file; fine when there is none */
void fov_picture_feed_clear(fov_picture_feed *feed); /* and frees */
/* All bytes, once through, as fov_hash64 with seed 0. */
FOV_MUST_USE fov_status fov_picture_feed_hash(fov_picture_feed *feed, uint64_t *hash);

#endif
