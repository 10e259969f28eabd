/* The program `fovea`: finds the command and hands over. */
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/cpu.h"
#include "base/pool.h"
#include "cli/command.h"
#include "cli/terminal.h"

static void overview(FILE *out) {
    (void)fprintf(out, "fovea " FOVEA_VERSION ": self-supervised pre-training of vision backbones, on a CPU\n\n"
                       "usage: fovea COMMAND ...\n\n");
    for (size_t i = 0; fov_command_at(i) != NULL; i++) {
        (void)fprintf(out, "  %-10s %s\n", fov_command_at(i)->name, fov_command_at(i)->summary);
    }
    (void)fprintf(out, "\nThe usual way:\n"
                       "  fovea pretrain photos/ --out run          learn from pictures without labels\n"
                       "  fovea probe --weights run --train DIR --test DIR    say whether it helped\n"
                       "  fovea export --weights run --out backbone.safetensors\n\n"
                       "'fovea help COMMAND' tells more.\n");
}

static int help(int argc, char **argv) {
    if (argc < 1) {
        overview(stdout);
        return 0;
    }
    const fov_command *command = NULL;
    const fov_status status = fov_command_find(argv[0], &command);
    return status != FOV_OK ? fov_exit_status(status) : fov_command_help(command, argc - 1, argv + 1);
}

static int run(int argc, char **argv) {
    const char *word = argv[1];
    if (strcmp(word, "--version") == 0) {
        (void)puts("fovea " FOVEA_VERSION);
        return 0;
    }
    if (strcmp(word, "help") == 0 || strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0) {
        return help(argc - 2, argv + 2);
    }
    const fov_command *command = NULL;
    fov_status status = fov_command_find(word, &command);
    if (status == FOV_OK) {
        status = fov_cpu_check();
    }
    return status != FOV_OK ? fov_exit_status(status) : fov_command_run(command, argc - 2, argv + 2);
}

/* A file that is opened while a standard stream is closed gets its number, and what is printed would go into the file. */
static void hold_standard_streams(void) {
    int file = 0;
    do {
        file = open("/dev/null", O_RDWR);
    } while (file >= 0 && file <= STDERR_FILENO);
    if (file >= 0) {
        (void)close(file);
    }
}

/* `fovea help | head` reads what it wants and goes: not a failure. */
static bool reader_left(void) {
    struct pollfd out = {.fd = STDOUT_FILENO, .events = POLLOUT};
    return poll(&out, 1, 0) == 1 && (out.revents & POLLERR) != 0;
}

typedef struct arguments {
    int argc;
    char **argv;
    int code;
} arguments;

static void *run_thread(void *context) {
    arguments *a = context;
    a->code = run(a->argc, a->argv);
    return NULL;
}

/* run, where `ulimit -s` leaves less stack than chunks of work take: on a thread that has enough, as have then all that it starts. */
static int run_with_stack(int argc, char **argv) {
    const size_t enough = 2 * FOV_POOL_STACK;
    struct rlimit limit;
    if (getrlimit(RLIMIT_STACK, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY || limit.rlim_cur >= enough) {
        return run(argc, argv);
    }
    arguments a = {.argc = argc, .argv = argv};
    pthread_attr_t attributes;
    pthread_t thread;
    int error = pthread_attr_init(&attributes);
    if (error == 0) {
        error = pthread_attr_setstacksize(&attributes, enough);
    }
    if (error == 0) {
        error = pthread_setattr_default_np(&attributes);
    }
    if (error == 0) {
        error = pthread_create(&thread, NULL, run_thread, &a);
    }
    if (error != 0) {
        return fov_exit_status(FOV_FAIL(FOV_E_LIMIT, "cannot start a thread with %zu bytes of stack: %s; raise the limit (ulimit -s)",
                                        enough, strerror(error)));
    }
    (void)pthread_join(thread, NULL);
    (void)pthread_attr_destroy(&attributes);
    return a.code;
}

int main(int argc, char **argv) {
    (void)signal(SIGPIPE, SIG_IGN); /* a closed pipe is a failed write with a message, not a silent death in the middle of a run */
    (void)signal(SIGXFSZ, SIG_IGN); /* so is a file that `ulimit -f` does not let grow */
    hold_standard_streams();
    if (argc < 2) {
        overview(stderr);
        return 2;
    }
    const int code = run_with_stack(argc, argv);
    const bool failed = fflush(stdout) != 0;
    if ((failed || ferror(stdout) != 0) && code == 0 && !reader_left()) {
        return fov_exit_status(FOV_FAIL(FOV_E_IO, "standard output: what was printed could not be written"));
    }
    return code;
}
