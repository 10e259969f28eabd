/* Looking things up in a registry: a file-level table of pointers to descriptors that have a `name`. The table itself comes from the
 * family's .def list (cmake/registry.cmake); these macros define the functions that the family's header declares. */
#ifndef FOV_BASE_REGISTRY_H
#define FOV_BASE_REGISTRY_H

#include <stddef.h>
#include <string.h>

#include "base/text.h"

/* const fov_NOUN *fov_NOUN_at(size_t index), NULL past the end, and const fov_NOUN *fov_NOUN_named(const char *name), NULL if unknown. */
#define FOV_REGISTRY_LOOKUP(noun, table)                                                                                                     \
    const fov_##noun *fov_##noun##_at(size_t index) { return index < sizeof(table) / sizeof(table)[0] ? (table)[index] : NULL; }             \
    const fov_##noun *fov_##noun##_named(const char *name) {                                                                                 \
        for (size_t i = 0; i < sizeof(table) / sizeof(table)[0]; i++) {                                                                      \
            if (strcmp((table)[i]->name, name) == 0) {                                                                                       \
                return (table)[i];                                                                                                           \
            }                                                                                                                                \
        }                                                                                                                                    \
        return NULL;                                                                                                                         \
    }

/* fov_status fov_NOUN_find(const char *name, const fov_NOUN **found): FOV_E_INVALID with the nearest name, or where all names are listed.
 * kind is what a user calls such a thing ("method"), list what to type to see them ("fovea list"). */
#define FOV_REGISTRY_FIND(noun, kind, list, table)                                                                                           \
    fov_status fov_##noun##_find(const char *name, const fov_##noun **found) {                                                               \
        const char *names[sizeof(table) / sizeof(table)[0]];                                                                                 \
        for (size_t i = 0; i < sizeof(table) / sizeof(table)[0]; i++) {                                                                      \
            names[i] = (table)[i]->name;                                                                                                     \
        }                                                                                                                                    \
        *found = fov_##noun##_named(name);                                                                                                   \
        return *found != NULL ? FOV_OK : fov_fail_unknown(kind, name, names, sizeof(table) / sizeof(table)[0], list);                        \
    }

#endif
