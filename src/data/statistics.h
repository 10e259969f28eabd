/* Mean and standard deviation of the pictures of an index, channel by channel: what normalisation needs where nobody has published them. */
#ifndef FOV_DATA_STATISTICS_H
#define FOV_DATA_STATISTICS_H

#include "augment/recipe.h"
#include "data/index.h"

#define FOV_STATISTICS_PICTURES 4096 /* at most so many are looked at */

typedef struct fov_statistics {
    size_t pictures;                                      /* measured; those that could not be read are passed over */
    double mean[FOV_MAX_CHANNELS], std[FOV_MAX_CHANNELS]; /* of x / 255, or x / 65535 */
    bool flat[FOV_MAX_CHANNELS];                          /* the channel is the same everywhere, or as good as: its std is set to 1 / 255 */
} fov_statistics;

/* Reads pictures that the keyed permutation of `seed` chooses, prepares them as evaluation does (preprocess: sizes and format are used),
 * and adds up pixels in integers: the result depends on pictures and seed alone. progress may be NULL. FOV_E_DATA when no picture can be
 * read, FOV_E_INTERRUPTED after a signal. */
FOV_MUST_USE fov_status fov_statistics_measure(fov_statistics *statistics, const fov_index *index, const fov_preprocess *preprocess,
                                               uint64_t seed, fov_pool *pool, void (*progress)(void *context, size_t done, size_t total),
                                               void *context);

#endif
