/* The registry of steps, and the scratch memory they share. */
#include <string.h>

#include "augment/augment.h"
#include "base/checked.h"
#include "base/registry.h"

#define FOV_ENTRY(name) extern const fov_augment fov_augment_##name;
#include "augments.inc"
#undef FOV_ENTRY

static const fov_augment *const augments[] = {
#define FOV_ENTRY(name) &fov_augment_##name,
#include "augments.inc"
#undef FOV_ENTRY
};

#define AUGMENT_COUNT (sizeof augments / sizeof augments[0])

const char *const fov_interpolation_names[] = {"bilinear", "bicubic", NULL};

FOV_REGISTRY_LOOKUP(augment, augments)

const char *fov_augment_nearest(const char *name, bool first) {
    const char *names[AUGMENT_COUNT];
    size_t count = 0;
    for (size_t i = 0; i < AUGMENT_COUNT; i++) {
        if (augments[i]->first == first) {
            names[count++] = augments[i]->name;
        }
    }
    return fov_nearest_name(name, names, count);
}

void fov_draw_chance(const double *param, fov_rng *rng, size_t width, size_t height, size_t image_size, fov_augment_plan *plan) {
    (void)width, (void)height, (void)image_size;
    plan->applies = fov_rng_uniform(rng) < param[0];
}

fov_status fov_augmenter_new(fov_augmenter **augmenter) {
    fov_augmenter *made = fov_mem_zalloc(FOV_MEM_IMAGE, sizeof *made);
    FOV_TRY_ALLOC(made);
    made->loops = fov_pixel_loops_get();
    *augmenter = made;
    return FOV_OK;
}

void fov_augmenter_free(fov_augmenter *augmenter) {
    if (augmenter == NULL) {
        return;
    }
    for (size_t i = 0; i < FOV_SCRATCH_COUNT; i++) {
        fov_mem_free(augmenter->scratch[i].bytes);
    }
    fov_mem_free(augmenter);
}

void *fov_augmenter_scratch(fov_augmenter *augmenter, fov_scratch slot, size_t count, size_t size) {
    size_t bytes = SIZE_MAX;
    const bool fits = fov_mul_size(count, size, &bytes);
    if (fits && bytes <= augmenter->scratch[slot].capacity) {
        return augmenter->scratch[slot].bytes;
    }
    /* the old contents are not wanted, so freeing first keeps the peak low; the spare eighth ends slow growth by crops of any size */
    fov_mem_free(augmenter->scratch[slot].bytes);
    augmenter->scratch[slot].capacity = 0;
    size_t roomy = bytes;
    if (!fits || !fov_add_size(bytes, bytes / 8, &roomy)) {
        roomy = bytes;
    }
    augmenter->scratch[slot].bytes = fov_mem_alloc(FOV_MEM_IMAGE, roomy);
    if (augmenter->scratch[slot].bytes != NULL) {
        augmenter->scratch[slot].capacity = roomy;
    }
    return augmenter->scratch[slot].bytes;
}

size_t fov_reflect(ptrdiff_t index, size_t size) {
    if (size == 1) {
        return 0;
    }
    const ptrdiff_t period = 2 * ((ptrdiff_t)size - 1);
    ptrdiff_t at = index % period;
    if (at < 0) {
        at += period;
    }
    return (size_t)(at < (ptrdiff_t)size ? at : period - at);
}
