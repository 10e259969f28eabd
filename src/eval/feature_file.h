/* Features on disk: a NumPy array, and a list of the pictures it is about. */
#ifndef FOV_EVAL_FEATURE_FILE_H
#define FOV_EVAL_FEATURE_FILE_H

#include "data/index.h"

/* features [count, width] -> NumPy .npy, version 1.0, float32, C order. Atomic. */
FOV_MUST_USE fov_status fov_features_write(const char *path, const float *features, size_t count, size_t width);
/* One line for each picture of the index but the lost, which come in its order: its path, escaped (base/text.h). Atomic. */
FOV_MUST_USE fov_status fov_features_write_paths(const char *path, const fov_index *index, const fov_lost *lost);

#endif
