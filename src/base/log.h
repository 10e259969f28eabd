/* Log lines. The library never prints: it hands lines to the sink, which the program installs (none: dropped). */
#ifndef FOV_BASE_LOG_H
#define FOV_BASE_LOG_H

#include <fovea/log.h>

/* One line without a newline. Cheap when the level is off. */
void fov_log(fov_log_level level, const char *format, ...) FOV_PRINTF(2, 3);

#endif
