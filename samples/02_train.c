/* Pre-trains on a folder of pictures without labels, for one epoch of small views, showing the loss as it goes.
 *
 *   02_train FOLDER RUN [name=value ...] */
#include <inttypes.h>
#include <stdio.h>

#include <fovea/fovea.h>

#define MOST_SETTINGS 32

/* What the library has to say: warnings about pictures, where it saves. */
static void say(void *context, fov_log_level level, const char *line) {
    (void)context;
    (void)fprintf(stderr, "%s%s\n", level <= FOV_LOG_WARNING ? "warning: " : "", line);
}

static int show(void *context, const fov_progress *p) {
    double *last = context;
    *last = p->loss;
    (void)fprintf(stderr, "step %" PRIu64 " of %" PRIu64 ": loss %.4f\n", p->step, p->steps, p->loss);
    return 0; /* anything else stops the run; "resume=true" then goes on with it */
}

int main(int argc, char **argv) {
    if (argc < 3 || argc - 3 > MOST_SETTINGS - 4) {
        (void)fprintf(stderr, "usage: %s FOLDER RUN [name=value ...], settings as 'fovea help pretrain' lists them\n", argv[0]);
        return 2;
    }
    fov_log_set_sink(say, NULL, FOV_LOG_INFO);

    /* Small enough to see it work in seconds; leave these out and Fovea chooses from the pictures. */
    const char *settings[MOST_SETTINGS] = {"epochs=1", "image-size=32", "batch-size=32"};
    for (int i = 3; i < argc; i++) {
        settings[i] = argv[i]; /* a setting that comes again replaces the earlier one */
    }
    const char *const folders[] = {argv[1]};
    double loss = 0.0;
    const fov_status status = fov_train_folder(folders, 1, argv[2], settings, show, &loss);
    if (status != FOV_OK) {
        (void)fprintf(stderr, "%s: %s\n", fov_status_name(status), fov_last_error());
        return 1;
    }
    (void)printf("loss %.4f at the end; weights in %s/backbone.safetensors\n", loss, argv[2]);
    return 0;
}
