/* The registry of objectives. */
#include <string.h>

#include "base/registry.h"
#include "objectives/objective.h"

#define FOV_ENTRY(name) extern const fov_objective fov_objective_##name;
#include "objectives.inc"
#undef FOV_ENTRY

static const fov_objective *const objectives[] = {
#define FOV_ENTRY(name) &fov_objective_##name,
#include "objectives.inc"
#undef FOV_ENTRY
};

FOV_REGISTRY_LOOKUP(objective, objectives)
FOV_REGISTRY_FIND(objective, "method", "fovea list", objectives)

static bool lists(const fov_option *table, const char *name) {
    while (table->name != NULL && strcmp(table->name, name) != 0) {
        table++;
    }
    return table->name != NULL;
}

fov_status fov_objective_option_names(fov_option **table) {
    size_t most = 1, count = 0;
    for (size_t i = 0; fov_objective_at(i) != NULL; i++) {
        for (const fov_option *option = fov_objective_at(i)->options; option->name != NULL; option++) {
            most++;
        }
    }
    *table = fov_mem_array(FOV_MEM_TRAIN, most, sizeof **table);
    FOV_TRY_ALLOC(*table);
    for (size_t i = 0; fov_objective_at(i) != NULL; i++) {
        for (const fov_option *option = fov_objective_at(i)->options; option->name != NULL; option++) {
            if (!lists(*table, option->name)) {
                (*table)[count++] = (fov_option){.name = option->name, .type = option->type == FOV_OPT_FLAG ? FOV_OPT_FLAG : FOV_OPT_STRING};
            }
        }
    }
    return FOV_OK;
}

_Static_assert(FOV_INPUT_CHANNELS == FOV_MAX_CHANNELS, "graphs take the pictures that decoders give");

fov_node *fov_objective_view(fov_graph *g, const fov_objective_context *context, size_t views) {
    const size_t s = context->spec->image_size;
    fov_node *x = fov_input(g, "view", context->deep ? FOV_DTYPE_U16 : FOV_DTYPE_U8,
                            FOV_SHAPE(views * context->batch_size, s, s, context->spec->channels));
    return fov_normalize(g, x, context->mean, context->std);
}

static bool trains(const fov_objective *objective, const fov_backbone *backbone) {
    return (backbone->gives & objective->needs) == objective->needs;
}

const fov_backbone *fov_objective_backbone(const fov_objective *objective) {
    size_t i = 0;
    while (fov_backbone_at(i) != NULL && !trains(objective, fov_backbone_at(i))) {
        i++;
    }
    FOV_ASSERT(fov_backbone_at(i) != NULL); /* an objective that nothing can be trained by is a mistake in the registries */
    return fov_backbone_at(i);
}

fov_status fov_objective_check_backbone(const fov_objective *objective, const fov_backbone *backbone) {
    if (trains(objective, backbone)) {
        return FOV_OK;
    }
    fov_text names;
    fov_text_init(&names);
    for (size_t i = 0; fov_backbone_at(i) != NULL; i++) {
        if (trains(objective, fov_backbone_at(i))) {
            fov_text_printf(&names, "%s%s", names.length > 0 ? ", " : "", fov_backbone_at(i)->name);
        }
    }
    const fov_status status = names.status != FOV_OK ? names.status
                                                     : FOV_FAIL(FOV_E_INVALID, "method %s cannot train %s; choose --backbone from %s",
                                                                objective->name, backbone->name, names.data);
    fov_text_clear(&names);
    return status;
}

static bool has_option(const fov_objective *objective, const char *name) {
    const char *plain = strncmp(name, "no-", 3) == 0 ? name + 3 : NULL;
    for (const fov_option *o = objective->options; o->name != NULL; o++) {
        if (strcmp(o->name, name) == 0 || (plain != NULL && o->type == FOV_OPT_FLAG && strcmp(o->name, plain) == 0)) {
            return true;
        }
    }
    return false;
}

static void tell_methods(const void *context, const char *name, fov_text *text) {
    const fov_objective *here = context;
    for (size_t i = 0; i < sizeof objectives / sizeof objectives[0]; i++) {
        if (has_option(objectives[i], name)) {
            fov_text_printf(text, "%s--method %s", text->length > 0 ? " and " : "", objectives[i]->name);
        }
    }
    if (text->length > 0) {
        fov_text_printf(text, ", not of %s", here->name);
    }
}

fov_status fov_objective_add_options(const fov_objective *objective, fov_option_set *set, const char *heading, void *options) {
    fov_options_know_elsewhere(set, tell_methods, objective);
    FOV_TRY(fov_options_add(set, heading, objective->options, options));
    return FOV_OK;
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
