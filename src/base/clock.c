/* Clocks: monotonic for durations, because wall time jumps; UTC for people and files. */
#include "base/clock.h"

#include <math.h>
#include <stdio.h>
#include <time.h>

#include "base/number.h"

static double seconds_of(clockid_t clock) {
    struct timespec t = {0};
    (void)clock_gettime(clock, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

double fov_clock_seconds(void) { return seconds_of(CLOCK_MONOTONIC); }

double fov_clock_cpu_seconds(void) { return seconds_of(CLOCK_PROCESS_CPUTIME_ID); }

void fov_clock_utc(char *text, size_t size) {
    const time_t now = time(NULL);
    struct tm parts = {0};
    if (gmtime_r(&now, &parts) == NULL || strftime(text, size, "%Y-%m-%dT%H:%M:%SZ", &parts) == 0) {
        (void)snprintf(text, size, "unknown time");
    }
}

void fov_clock_format(double seconds, char *text, size_t size) {
    if (!isfinite(seconds) || fabs(seconds) > 1e15) {
        (void)snprintf(text, size, "unknown");
        return;
    }
    const char *sign = seconds < 0.0 ? "-" : "";
    const double length = fabs(seconds);
    /* Rounded before it is split, so that 59.7 s is a minute and not "60 s". */
    const long long whole = llround(length);
    const long long minutes = llround(length / 60.0);
    if (length < 9.95) {
        (void)fov_number_print(text, size, "%s%.1f s", sign, length);
    } else if (whole < 60) {
        (void)snprintf(text, size, "%s%lld s", sign, whole);
    } else if (whole < 3600) {
        (void)snprintf(text, size, "%s%lld min %02lld s", sign, whole / 60, whole % 60);
    } else {
        (void)snprintf(text, size, "%s%lld h %02lld min", sign, minutes / 60, minutes % 60);
    }
}
