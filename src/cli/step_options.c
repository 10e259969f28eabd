/* Names that options of a training step take. */
#include "cli/step_options.h"

const char *const fov_stem_names[] = {"imagenet", "cifar", NULL};
const char *const fov_depth_names[] = {"8", "16", NULL};
