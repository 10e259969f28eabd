/* Cosine with warm-up (Loshchilov and Hutter 2016), per step. */
#include "train/schedule.h"

#include <math.h>

double fov_schedule_cosine(uint64_t step, uint64_t warmup, uint64_t total, double peak, double end) {
    if (step < warmup) {
        return peak * (double)step / (double)warmup;
    }
    const double pi = 3.14159265358979323846;
    const double done = total <= warmup ? 1.0 : (double)(step - warmup) / (double)(total - warmup);
    return end + (peak - end) * 0.5 * (1.0 + cos(pi * fmin(done, 1.0)));
}
