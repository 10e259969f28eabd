/* A lock on a folder, held by one process at a time. */
#ifndef FOV_BASE_LOCK_H
#define FOV_BASE_LOCK_H

#include "base/memory.h"

typedef struct fov_lock fov_lock;

/* Takes DIR/lock: an open-file-description lock of the kernel, which ends with its process however that dies, on a file that says who holds
 * it. FOV_E_LOCKED names the holder (host, process, since when). Never waits, never forces. */
FOV_MUST_USE fov_status fov_lock_take(fov_lock **lock, const char *dir);
void fov_lock_release(fov_lock *lock); /* takes NULL; removes the file */

#endif
