/* Learning rate as a pure function of the step: nothing to save, nothing to lose on resume. */
#ifndef FOV_TRAIN_SCHEDULE_H
#define FOV_TRAIN_SCHEDULE_H

#include <stdint.h>

/* Linear warm-up over `warmup` steps, then half a cosine from peak to end: step t in [0, total). t < warmup: peak t / warmup, else
 * end + (peak - end) (1 + cos(pi (t - warmup) / (total - warmup))) / 2. */
double fov_schedule_cosine(uint64_t step, uint64_t warmup, uint64_t total, double peak, double end);

#endif
