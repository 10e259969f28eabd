/* Pre-training: what `fovea pretrain` does, as one call. */
#ifndef FOVEA_PRETRAIN_H
#define FOVEA_PRETRAIN_H

#include <stddef.h>
#include <stdint.h>

#include <fovea/status.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Where a run stands, after each step. */
typedef struct fov_progress {
    uint64_t step, steps;     /* done, and in total */
    uint64_t epoch, epochs;   /* from 1 */
    double loss, lr;          /* of this step */
    double images_per_second; /* views that went through the network */
    double data_wait;         /* share of the time since the last call spent waiting for pictures, 0 to 1 */
    double seconds_left;      /* estimate */
} fov_progress;

/* Called after each step, on the thread that called fov_train_folder. Return 0 to go on; anything else saves the run and ends it with
 * FOV_E_INTERRUPTED. The struct is valid during the call. */
typedef int (*fov_progress_fn)(void *context, const fov_progress *progress);

/* Trains a backbone on pictures without labels, and returns when it is done. Everything below `out` is as `fovea pretrain` leaves it:
 * backbone.safetensors (the weights, for fovea/encoder.h, timm or torchvision), config.ini, metrics.jsonl, log.txt, bad.tsv, checkpoints.
 *
 *   data, data_count   folders (searched recursively), picture files, and packs that `fovea pack` made
 *   out                the run directory: made, and never overwritten
 *   settings           "name=value" as on the command line of `fovea pretrain`, without the dashes: "epochs=20", "image-size=32",
 *                      "temperature=0.1", "resume=true"; ended by NULL. NULL for the whole: everything is chosen from the pictures
 *   progress, context  may be NULL
 *
 * All pointers are borrowed for the call. The weights depend on pictures, settings and seed alone, not on threads. What the library says
 * meanwhile goes to the sink of fovea/log.h.
 *
 * Fails with FOV_E_INVALID (settings; the message has a line for each unknown name, with the nearest valid one, and for each value of a
 * wrong kind or out of range; what does not go together is told once these are right), FOV_E_NOTFOUND, FOV_E_EXISTS (`out` holds a run; give
 * "resume=true" to go on with it), FOV_E_LOCKED, FOV_E_DATA (too many bad files), FOV_E_MISMATCH (resumed with
 * other settings or pictures), FOV_E_NUMERIC, FOV_E_IO, FOV_E_NOMEM, FOV_E_STALLED. After FOV_E_INTERRUPTED the run is saved and the same
 * call with "resume=true" continues it, to the same bits as if it had not stopped. To stop is to raise a flag of the process: where several
 * runs train at once, all stop. */
FOV_API FOV_MUST_USE fov_status fov_train_folder(const char *const *data, size_t data_count, const char *out, const char *const *settings,
                                                 fov_progress_fn progress, void *context);

#ifdef __cplusplus
}
#endif
#endif
