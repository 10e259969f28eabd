/* Stratified folds: the samples of each class, shuffled by a stream of the class's own, are dealt out one by one, and the next class goes on
 * where the last one stopped. Dealing without a break keeps both the folds and each class within the folds level, which starting every class
 * at fold 0 does not: with many small classes the first folds would get all the odd samples. */
#include "eval/folds.h"

#include "base/memory.h"
#include "base/rng.h"

fov_status fov_folds_assign(uint32_t *fold, const uint32_t *label, size_t count, size_t classes, uint32_t folds, uint64_t seed) {
    FOV_ASSERT(folds >= 2 && count >= folds && count <= UINT32_MAX);
    uint32_t *members = fov_mem_array(FOV_MEM_EVAL, count, sizeof *members);
    FOV_TRY_ALLOC(members);
    size_t dealt = 0;
    for (size_t c = 0; c < classes; c++) {
        size_t n = 0;
        for (size_t i = 0; i < count; i++) {
            if (label[i] == c) {
                members[n++] = (uint32_t)i;
            }
        }
        fov_rng rng;
        fov_rng_init(&rng, seed, 0, c, 0, FOV_RNG_FOLDS);
        fov_rng_shuffle(&rng, members, n);
        for (size_t i = 0; i < n; i++) {
            fold[members[i]] = (uint32_t)(dealt++ % folds);
        }
    }
    fov_mem_free(members);
    return FOV_OK;
}
