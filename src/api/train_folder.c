/* Pre-training as one call. Settings become arguments, "epochs=20" to "--epochs=20", and take the command line's way: the method's own options
 * are known only once the method is, and all mistakes are told together. */
#include <fovea/pretrain.h>

#include <ctype.h>
#include <signal.h>
#include <string.h>

#include "base/checked.h"
#include "base/cpu.h"
#include "base/interrupt.h"
#include "train/setup.h"
#include "train/trainer.h"

typedef struct caller {
    fov_progress_fn progress;
    void *context;
    bool stopped;
} caller;

static void forward_progress(void *context, const fov_train_progress *p) {
    caller *c = context;
    const fov_progress shown = {.step = p->step,
                                .steps = p->steps,
                                .epoch = p->epoch,
                                .epochs = p->epochs,
                                .loss = p->loss,
                                .lr = p->lr,
                                .images_per_second = p->images_per_second,
                                .data_wait = p->data_wait,
                                .seconds_left = p->seconds_left};
    if (c->progress(c->context, &shown) != 0 && !c->stopped) {
        c->stopped = true;
        fov_interrupt_raise(SIGINT);
    }
}

static fov_status check(const char *const *data, size_t data_count, const char *out, const char *const *settings) {
    if (data == NULL || data_count == 0) {
        return FOV_FAIL(FOV_E_INVALID, "no pictures are named: give at least one folder or file");
    }
    for (size_t i = 0; i < data_count; i++) {
        if (data[i] == NULL || data[i][0] == '\0') {
            return FOV_FAIL(FOV_E_INVALID, "the name of folder %zu of %zu is empty", i + 1, data_count);
        }
    }
    if (out == NULL || out[0] == '\0') {
        return FOV_FAIL(FOV_E_INVALID, "no run directory is named: say where the run goes");
    }
    for (size_t i = 0; settings != NULL && settings[i] != NULL; i++) {
        const bool named = isalpha((unsigned char)settings[i][0]) != 0 && strchr(settings[i], '=') != NULL;
        if (!named) {
            return FOV_FAIL(FOV_E_INVALID, "setting '%s' is not of the form name=value, such as epochs=20", settings[i]);
        }
        if (strncmp(settings[i], "out=", 4) == 0) {
            return FOV_FAIL(FOV_E_INVALID, "setting '%s': the run directory is an argument of its own", settings[i]);
        }
    }
    return FOV_OK;
}

/* "--out=OUT" and a "--NAME=VALUE" for each setting. */
static fov_status make_arguments(const char *out, const char *const *settings, char ***arguments, size_t *count) {
    size_t most = 1;
    while (settings != NULL && settings[most - 1] != NULL) {
        most++;
    }
    *arguments = fov_mem_array(FOV_MEM_TRAIN, most, sizeof **arguments);
    FOV_TRY_ALLOC(*arguments);
    for (*count = 0; *count < most; ++*count) {
        char *text = *count == 0 ? fov_mem_printf(FOV_MEM_TRAIN, "--out=%s", out)
                                 : fov_mem_printf(FOV_MEM_TRAIN, "--%s", settings[*count - 1]);
        FOV_TRY_ALLOC(text);
        (*arguments)[*count] = text;
    }
    return FOV_OK;
}

static fov_status parse(fov_option_set *set, fov_pretrain_settings *fields, char *const *arguments, size_t count) {
    size_t words = 0;
    const char **word = fov_mem_array(FOV_MEM_TRAIN, count, sizeof *word);
    FOV_TRY_ALLOC(word);
    fov_status status = FOV_OK;
    FOV_TRY_GOTO(status, done, fov_options_add(set, "Pre-training", fov_pretrain_options, fields));
    status = fov_options_parse(set, (int)count, arguments, word, &words, true);
    if (status == FOV_E_INVALID) {
        status = fov_setup_refuse(set, fields, fov_last_error());
    }
    FOV_TRY_GOTO(status, done, status);
    FOV_ASSERT(words == 0);
done:
    fov_mem_free(word);
    return status;
}

fov_status fov_train_folder(const char *const *data, size_t data_count, const char *out, const char *const *settings, fov_progress_fn progress,
                            void *context) {
    fov_option_set *set = NULL;
    fov_pretrain_settings fields = {0};
    char **arguments = NULL;
    size_t count = 0;
    caller c = {.progress = progress, .context = context};
    const fov_train_observer observer = {.context = &c, .progress = progress == NULL ? NULL : forward_progress};
    fov_status status = FOV_OK;
    FOV_TRY(fov_cpu_check());
    FOV_TRY(fov_pool_check_stack());
    FOV_TRY(check(data, data_count, out, settings));
    FOV_TRY_GOTO(status, done, make_arguments(out, settings, &arguments, &count));
    FOV_TRY_GOTO(status, done, fov_options_new(&set));
    FOV_TRY_GOTO(status, done, parse(set, &fields, arguments, count));
    FOV_TRY_GOTO(status, done, fov_pretrain(set, &fields, data, data_count, &observer));
done:
    if (c.stopped) {
        fov_interrupt_clear();
        status = status != FOV_E_INTERRUPTED ? status : FOV_FAIL(status, "stopped as asked; %s is saved and goes on with resume=true", out);
    }
    fov_options_free(set);
    for (size_t i = 0; i < count; i++) {
        fov_mem_free(arguments[i]);
    }
    fov_mem_free(arguments);
    return status;
}
