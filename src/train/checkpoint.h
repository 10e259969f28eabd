/* Checkpoints: all that a run needs to go on with the same bits.
 *
 * A checkpoint is a safetensors file, so anyone can look into it: the weights under their own names, the optimizer's state as "optimizer.N",
 * the average as "average", and what is not a tensor in the metadata, with a checksum over everything. Written to a temporary file, synced
 * and renamed; `checkpoints/latest` names the newest. Loading goes back to the newest one that verifies. */
#ifndef FOV_TRAIN_CHECKPOINT_H
#define FOV_TRAIN_CHECKPOINT_H

#include "train/session.h"

typedef struct fov_checkpoint_state {
    uint64_t step;       /* steps done */
    uint64_t skipped;    /* of those, not finite and left out */
    uint64_t data_hash;  /* fov_index_hash */
} fov_checkpoint_state;

/* Saves DIR/step-XXXXXXXX.ckpt, then DIR/latest, then removes all but the `keep` newest (at least 2). */
FOV_MUST_USE fov_status fov_checkpoint_save(const char *dir, const fov_session *session, const fov_checkpoint_state *state, size_t keep);

/* Of the tensors that a checkpoint of this session holds; its file has a few kB more. */
uint64_t fov_checkpoint_bytes(const fov_session *session);

/* Loads the newest that verifies into the session. Each one that does not is named in a warning; with `strict` it is an error instead.
 * FOV_E_NOTFOUND when there is none at all, FOV_E_FORMAT when none verifies. */
FOV_MUST_USE fov_status fov_checkpoint_load(const char *dir, fov_session *session, fov_checkpoint_state *state, bool strict);

#endif
