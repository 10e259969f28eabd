/* The registry of objectives. */
#include <string.h>

#include "objectives/objective.h"

#define FOV_ENTRY(name) extern const fov_objective fov_objective_##name;
#include "objectives.inc"
#undef FOV_ENTRY

static const fov_objective *const objectives[] = {
#define FOV_ENTRY(name) &fov_objective_##name,
#include "objectives.inc"
#undef FOV_ENTRY
};

#define OBJECTIVE_COUNT (sizeof objectives / sizeof objectives[0])

const fov_objective *fov_objective_at(size_t index) { return index < OBJECTIVE_COUNT ? objectives[index] : NULL; }

const fov_objective *fov_objective_named(const char *name) {
    for (size_t i = 0; i < OBJECTIVE_COUNT; i++) {
        if (strcmp(objectives[i]->name, name) == 0) {
            return objectives[i];
        }
    }
    return NULL;
}

size_t fov_default_batch(const fov_train_facts *facts, size_t largest) {
    const size_t side = facts->spec->image_size;
    size_t batch = side <= 64 ? 256 : side <= 128 ? 128 : 64;
    batch = batch < largest ? batch : largest;
    while (batch > 16 && batch * 4 > facts->images) {
        batch /= 2; /* at least four different batches an epoch */
    }
    return batch;
}

size_t fov_default_epochs(const fov_train_facts *facts, size_t samples) {
    const size_t epochs = facts->images == 0 ? 1 : samples / facts->images;
    return epochs < 20 ? 20 : epochs > 800 ? 800 : epochs;
}
