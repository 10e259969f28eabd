/* Bad files, as commands tell of them. */
#ifndef FOV_CLI_BAD_FILES_H
#define FOV_CLI_BAD_FILES_H

#include "data/index.h"

/* Warns of what is left out, the first few by name, and lists all in `path`; a list that an earlier call left there goes when nothing is
 * bad. lost NULL: none; path NULL: no list. */
FOV_MUST_USE fov_status fov_tell_bad_files(const fov_index *index, const fov_lost *lost, const char *path);

#endif
