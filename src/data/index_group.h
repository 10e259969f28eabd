/* Pictures whose planes lie in several files: the rule that names them. Private to the data layer. */
#ifndef FOV_DATA_INDEX_GROUP_H
#define FOV_DATA_INDEX_GROUP_H

#include "augment/image.h"
#include "base/text.h"
#include "data/index_internal.h"

/* A rule lists what the names of the files of one picture end in, before the extension: "_B02,_B03,_B08" makes one picture of
 * scene_B02.tif, scene_B03.tif and scene_B08.tif. */
struct fov_group {
    size_t count;
    const char *suffix[FOV_MAX_CHANNELS]; /* in order of the planes */
    char *text;                           /* the rule, which the suffixes are pieces of */
};

/* FOV_E_INVALID, with what is wrong, when the rule is not a list of 1 to FOV_MAX_CHANNELS different suffixes of which none ends in another.
 */
FOV_MUST_USE fov_status fov_group_new(fov_group **group, const char *rule);
void fov_group_free(fov_group *group); /* takes NULL */

/* Adds the name of file `k` of the picture that the file `name` belongs to. */
void fov_group_member(const fov_group *group, const char *name, size_t k, fov_text *text);
/* Whether the rule names this file. */
bool fov_group_knows(const fov_group *group, const char *name);
/* Adds which names the scan's rule wants, and how to change that, for a message. */
void fov_group_describe(const fov_scan *scan, fov_text *text);

#endif
