/* From figures to a sentence. The rule: the 95 % interval of the paired difference between the linear probes on pre-trained and on random weights
 * decides; only when it lies wholly on one side of zero is there a finding. Random weights are the yardstick because the same network without
 * training already classifies far above chance: an accuracy alone says nothing about pre-training. */
#include <stdio.h>

#include "eval/probe_internal.h"

#define SMALL_TEST 100 /* below this the bootstrap is rough: an interval is built from few distinct pictures */

static double percent(double share) { return 100.0 * share; }

static void add_pixels(fov_probe_report *r) {
    const fov_difference *d = &r->linear_over_pixels;
    const double pixels = percent(r->result[FOV_PROBE_PIXELS].linear.accuracy);
    if (d->interval.high < 0.0) {
        (void)snprintf(r->note, sizeof r->note, "Raw pixels do better: %.1f %% (%+.1f points, 95 %% interval %.1f to %.1f).", pixels,
                       percent(-d->mean), percent(-d->interval.high), percent(-d->interval.low));
    } else if (d->interval.low <= 0.0) {
        (void)snprintf(r->note, sizeof r->note, "Raw pixels do about as well: %.1f %%.", pixels);
    }
}

void fov_probe_judge(fov_probe_report *r) {
    const fov_difference *d = &r->linear_gain;
    r->finding = d->interval.low > 0.0 ? FOV_PROBE_HELPED : d->interval.high < 0.0 ? FOV_PROBE_HURT : FOV_PROBE_NO_EVIDENCE;
    static const char *const opening[] = {
        [FOV_PROBE_HELPED] = "Pre-training helped",
        [FOV_PROBE_NO_EVIDENCE] = "No evidence that pre-training helped",
        [FOV_PROBE_HURT] = "Pre-training hurt",
    };
    (void)snprintf(r->verdict, sizeof r->verdict,
                   "%s: linear probe %.1f %% against %.1f %% with random weights (%+.1f points, 95 %% interval %.1f to %.1f).", opening[r->finding],
                   percent(r->result[FOV_PROBE_PRETRAINED].linear.accuracy), percent(r->result[FOV_PROBE_RANDOM].linear.accuracy),
                   percent(d->mean), percent(d->interval.low), percent(d->interval.high));
    r->note[0] = '\0';
    if (r->result[FOV_PROBE_PRETRAINED].linear.accuracy >= 1.0 && r->result[FOV_PROBE_RANDOM].linear.accuracy >= 1.0) {
        (void)snprintf(r->note, sizeof r->note, "Both are right about every test picture: this test is too easy to tell them apart.");
        return;
    }
    add_pixels(r);
    if (r->note[0] == '\0' && r->test_count < SMALL_TEST) {
        (void)snprintf(r->note, sizeof r->note, "There are only %zu test pictures: the interval is rough.", r->test_count);
    }
}
