/* The order of samples: a keyed permutation per epoch with O(1) position, so that a run resumes anywhere at once. */
#ifndef FOV_DATA_SAMPLER_H
#define FOV_DATA_SAMPLER_H

#include <stddef.h>
#include <stdint.h>

typedef struct fov_sampler {
    uint64_t seed;
    size_t count;      /* samples */
    size_t batch_size;
    size_t steps_per_epoch; /* whole batches: count / batch_size; 1 when batch_size > count (samples then repeat within a batch) */
} fov_sampler;

void fov_sampler_init(fov_sampler *sampler, uint64_t seed, size_t count, size_t batch_size);
/* Sample at `position` of epoch's permutation: a Feistel bijection on [0, count), cycle-walking. position < count. */
size_t fov_sampler_at(const fov_sampler *sampler, uint64_t epoch, size_t position);
/* Samples of one step: fills sample[batch_size] and the epoch it belongs to. */
void fov_sampler_batch(const fov_sampler *sampler, uint64_t step, uint32_t *sample, uint64_t *epoch);

#endif
