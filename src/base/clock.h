/* Time: a monotonic clock for durations and deadlines, wall time only for people. */
#ifndef FOV_BASE_CLOCK_H
#define FOV_BASE_CLOCK_H

#include <stddef.h>

double fov_clock_seconds(void);     /* CLOCK_MONOTONIC */
double fov_clock_cpu_seconds(void); /* CPU time of the whole process */
/* UTC, "2026-11-24T02:30:00Z"; text holds at least 21 bytes. */
void fov_clock_utc(char *text, size_t size);
/* A duration for people: "41 s", "3 min 05 s", "2 h 10 min". */
void fov_clock_format(double seconds, char *text, size_t size);

#endif
