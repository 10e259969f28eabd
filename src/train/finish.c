/* The end of a run, and each save before it. */
#include "train/finish.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "weights/backbone_file.h"

/* Exchanges the trainable weights and their average: in place, so that writing an average needs no second copy. */
static void exchange(fov_session *session) {
    fov_real *values = fov_store_values(session->store);
    for (size_t i = 0; session->average != NULL && i < fov_store_trainable(session->store); i++) {
        const fov_real value = values[i];
        values[i] = session->average[i];
        session->average[i] = value;
    }
}

/* The recipe in full, also where it was asked for by name. */
static fov_status add_views(const fov_recipe *recipe, fov_metadata_list *list) {
    fov_text text;
    fov_text_init(&text);
    fov_recipe_text(recipe, &text);
    const fov_status status = text.status != FOV_OK ? text.status : fov_metadata_add(list, "fovea.views", "%s", text.data);
    fov_text_clear(&text);
    return status;
}

static fov_status provenance(const fov_setup *setup, const fov_checkpoint_state *state, fov_metadata_list *list) {
    const fov_pretrain_settings *s = setup->settings;
    FOV_TRY(fov_metadata_add(list, "fovea.method", "%s", s->method));
    FOV_TRY(fov_metadata_add(list, "fovea.step", "%" PRIu64, state->step));
    FOV_TRY(fov_metadata_add(list, "fovea.steps", "%" PRIu64, setup->steps));
    FOV_TRY(fov_metadata_add(list, "fovea.batch_size", "%" PRId64, s->batch_size));
    FOV_TRY(fov_metadata_add(list, "fovea.images", "%zu", setup->facts.images));
    FOV_TRY(fov_metadata_add(list, "fovea.data", "%016" PRIx64, state->data_hash));
    FOV_TRY(fov_metadata_add(list, "fovea.seed", "%" PRId64, s->seed));
    FOV_TRY(add_views(&setup->recipe, list));
    return FOV_OK;
}

fov_status fov_finish_weights(const fov_setup *setup, fov_session *session, const fov_checkpoint_state *state, const char *path) {
    fov_metadata_list extra;
    fov_metadata_init(&extra);
    fov_status status = provenance(setup, state, &extra);
    if (status == FOV_OK) {
        exchange(session);
        status = fov_backbone_save(session->store, &setup->spec, &setup->preprocess, extra.item, extra.count, path);
        exchange(session);
    }
    fov_metadata_clear(&extra);
    return status;
}

void fov_finish_failure(fov_run_dir *run, fov_status status) {
    char line[1200], message[1000], when[32];
    fov_clock_utc(when, sizeof when);
    (void)snprintf(message, sizeof message, "%s", fov_last_error());
    (void)snprintf(line, sizeof line, "%s %s: %s\n", when, fov_status_name(status), message);
    if (fov_appender_write(run->log_file, line, strlen(line)) != FOV_OK) {
        (void)FOV_FAIL(status, "%s", message); /* the run's failure, not the log's, is what the caller hears */
    }
}
