/* The progress line and the log sink. State is one file-level struct: a terminal is one per process. */
#include "cli/terminal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/text.h"

#define PLAIN_INTERVAL 10.0 /* seconds between progress lines when standard error is not a terminal */
#define DRAW_INTERVAL 0.1

static struct {
    bool tty, quiet, shown;
    double last;
} terminal;

static unsigned columns(int file) {
    struct winsize size;
    return ioctl(file, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : 80;
}

static void clear_line(void) {
    if (terminal.shown) {
        (void)fputs("\r\033[K", stderr);
        terminal.shown = false;
    }
}

static void sink(void *context, fov_log_level level, const char *line) {
    (void)context;
    clear_line();
    const char *prefix = level == FOV_LOG_ERROR ? "fovea: " : level == FOV_LOG_WARNING ? "warning: " : "";
    (void)fprintf(stderr, "%s%s\n", prefix, line);
}

void fov_terminal_init(bool quiet, bool verbose) {
    const char *term = getenv("TERM");
    terminal.tty = isatty(STDERR_FILENO) && (term == NULL || strcmp(term, "dumb") != 0);
    terminal.quiet = quiet;
    terminal.last = -PLAIN_INTERVAL;
    fov_log_set_sink(sink, NULL, quiet ? FOV_LOG_WARNING : verbose ? FOV_LOG_DEBUG : FOV_LOG_INFO);
}

void fov_terminal_progress(const char *line, bool final) {
    if (terminal.quiet) {
        return;
    }
    const double now = fov_clock_seconds();
    if (!terminal.tty) {
        if (final || now - terminal.last >= PLAIN_INTERVAL) {
            (void)fprintf(stderr, "%s\n", line);
            terminal.last = now;
        }
        return;
    }
    if (!final && now - terminal.last < DRAW_INTERVAL) {
        return;
    }
    terminal.last = now;
    /* A line that wraps could not be drawn over: it is cut to the terminal's width. */
    (void)fprintf(stderr, "\r%.*s\033[K", (int)columns(STDERR_FILENO) - 1, line);
    terminal.shown = !final;
    if (final) {
        (void)fputc('\n', stderr);
    }
    (void)fflush(stderr);
}

void fov_terminal_count(void *context, size_t done, size_t total) {
    char line[160], count[32], all[32];
    fov_format_count(done, count, sizeof count);
    fov_format_count(total, all, sizeof all);
    (void)snprintf(line, sizeof line, "%s %s of %s", (const char *)context, count, all);
    if (terminal.tty) {
        fov_terminal_progress(line, false);
        if (done >= total) {
            clear_line();
        }
    } else if (done < total) {
        fov_terminal_progress(line, false);
    }
}

static bool colour(void) {
    const char *no_color = getenv("NO_COLOR");
    return isatty(STDOUT_FILENO) && (no_color == NULL || no_color[0] == '\0');
}

const char *fov_terminal_bold(void) { return colour() ? "\033[1m" : ""; }
const char *fov_terminal_plain(void) { return colour() ? "\033[0m" : ""; }

/* As in $'...', which bash, ksh, zsh and POSIX 2024 read. */
static void print_escaped(const char *word) {
    (void)fputs("$'", stdout);
    for (; *word != '\0'; word++) {
        const unsigned char c = (unsigned char)*word;
        if (c < 32 || c == 127) {
            (void)printf("\\%03o", c);
        } else {
            (void)printf(c == '\'' || c == '\\' ? "\\%c" : "%c", c);
        }
    }
    (void)putchar('\'');
}

void fov_terminal_word(const char *word, bool path) {
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_./,:=+@%-";
    bool control = false;
    for (const char *c = word; *c != '\0'; c++) {
        control = control || (unsigned char)*c < 32 || *c == 127;
    }
    (void)printf(" %s", path && word[0] == '-' ? "./" : "");
    if (control) {
        print_escaped(word);
    } else if (word[0] != '\0' && word[strspn(word, plain)] == '\0') {
        (void)fputs(word, stdout);
    } else {
        (void)putchar('\'');
        for (; *word != '\0'; word++) {
            (void)(*word == '\'' ? fputs("'\\''", stdout) : putchar(*word));
        }
        (void)putchar('\'');
    }
}

unsigned fov_terminal_width(void) {
    const unsigned width = columns(STDOUT_FILENO);
    return width < 40 ? 40 : width < 100 ? width : 100;
}
