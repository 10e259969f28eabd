/* What the library has to say while it works: the caller decides where it goes. */
#ifndef FOVEA_LOG_H
#define FOVEA_LOG_H

#include <fovea/status.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef enum fov_log_level { FOV_LOG_ERROR, FOV_LOG_WARNING, FOV_LOG_INFO, FOV_LOG_DEBUG } fov_log_level;

/* Called with one line, no newline at its end, from any thread, never from two at once. */
typedef void (*fov_log_sink)(void *context, fov_log_level level, const char *line);

/* Installs the sink (NULL: silence, the default) and the most detailed level it wants. Call before other threads run. */
FOV_API void fov_log_set_sink(fov_log_sink sink, void *context, fov_log_level level);

#ifdef __cplusplus
}
#endif
#endif
