/* What a run leaves: the backbone's weights with their provenance, and the last words of a run that failed. */
#ifndef FOV_TRAIN_FINISH_H
#define FOV_TRAIN_FINISH_H

#include "train/checkpoint.h"
#include "train/run_dir.h"
#include "train/setup.h"

/* Writes the backbone (its average, where one is kept) under timm's or torchvision's names. The same run gives the same bytes. */
FOV_MUST_USE fov_status fov_finish_weights(const fov_setup *setup, fov_session *session, const fov_checkpoint_state *state, const char *path);
/* Notes the present failure in log.txt. The message stays the thread's latest. */
void fov_finish_failure(fov_run_dir *run, fov_status status);

#endif
