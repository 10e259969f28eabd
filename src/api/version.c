/* The version that the build was configured with. */
#include <fovea/fovea.h>

const char *fov_version(void) { return FOVEA_VERSION; }
