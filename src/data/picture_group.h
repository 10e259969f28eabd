/* Reading a picture whose planes lie in several files. Private to picture.c. */
#ifndef FOV_DATA_PICTURE_GROUP_H
#define FOV_DATA_PICTURE_GROUP_H

#include "data/index_internal.h"
#include "data/picture.h"

/* Copies the paths of all files of picture i, so that the index is not needed any more. */
FOV_MUST_USE fov_status fov_picture_find_group(fov_picture_reader *reader, const fov_index *index, size_t i);
/* The two steps of fov_picture_open and fov_picture_decode for what was found. All files are read in the first, since only then the size
 * and the number of planes are known to agree. */
FOV_MUST_USE fov_status fov_picture_open_group(fov_picture_reader *reader, const fov_decode_options *options, size_t *width,
                                               size_t *height);
FOV_MUST_USE fov_status fov_picture_decode_group(fov_picture_reader *reader, const fov_decode_part *part, const fov_image **image);
void fov_picture_group_free(fov_picture_group *group); /* takes NULL */

#endif
