/* Fovea: self-supervised pre-training of vision backbones. This header includes all public ones.
 *
 *   fovea/pretrain.h   from a folder of pictures to a run directory with weights
 *   fovea/encoder.h    from weights and pictures to feature vectors
 *   fovea/status.h     status codes and messages of failures
 *   fovea/log.h        what the library says while it works
 *
 * A thread that calls needs 1 MiB of stack, which threads of Linux have unless they were made with less: then calls that compute fail with
 * FOV_E_LIMIT.
 * Names begin with fov_ or FOV_. Link with `pkg-config --cflags --libs fovea`, or find_package(fovea) and the target fovea::fovea. */
#ifndef FOVEA_FOVEA_H
#define FOVEA_FOVEA_H

#include <fovea/encoder.h>
#include <fovea/log.h>
#include <fovea/pretrain.h>
#include <fovea/status.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Of these headers. Below 1.0 a new minor version may change the interface. */
#define FOV_VERSION_MAJOR 0
#define FOV_VERSION_MINOR 1
#define FOV_VERSION_PATCH 0

/* Version of the library at run time, "MAJOR.MINOR.PATCH"; never NULL. */
FOV_API const char *fov_version(void);

#ifdef __cplusplus
}
#endif
#endif
