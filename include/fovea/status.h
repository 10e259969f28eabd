/* Status codes and the message that goes with a failure.
 *
 * Every fallible function of the library returns a fov_status; FOV_OK is 0. The library never prints, exits or aborts on bad
 * input: it returns a code and leaves a message, with the trail of places it passed through, for the calling thread. */
#ifndef FOVEA_STATUS_H
#define FOVEA_STATUS_H

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define FOV_API __attribute__((visibility("default")))
#define FOV_PRINTF(fmt, first) __attribute__((format(printf, fmt, first)))
#define FOV_MUST_USE __attribute__((warn_unused_result))
#else
#define FOV_API
#define FOV_PRINTF(fmt, first)
#define FOV_MUST_USE
#endif

typedef enum fov_status {
    FOV_OK = 0,
    FOV_E_INVALID,     /* an argument or option makes no sense; the caller can mend it */
    FOV_E_IO,          /* the operating system refused: open, read, write, fsync, rename ... */
    FOV_E_FORMAT,      /* a file is malformed, truncated or fails its checksum */
    FOV_E_UNSUPPORTED, /* well-formed, but of a kind we do not handle */
    FOV_E_LIMIT,       /* a cap on size, depth or count is exceeded */
    FOV_E_NOMEM,       /* out of memory */
    FOV_E_NOTFOUND,    /* the named file, folder, tensor or registry entry does not exist */
    FOV_E_EXISTS,      /* the output is there already and is not overwritten */
    FOV_E_LOCKED,      /* another process holds the run directory */
    FOV_E_DATA,        /* too much of the data is bad */
    FOV_E_NUMERIC,     /* a loss or gradient is not finite and cannot be recovered */
    FOV_E_STALLED,     /* a wait ran past its deadline */
    FOV_E_INTERRUPTED, /* a signal asked to stop; the state was saved */
    FOV_E_MISMATCH     /* a configuration, shape or checkpoint differs from what is expected */
} fov_status;

/* Name of a code, such as "FOV_E_FORMAT"; never NULL. */
FOV_API const char *fov_status_name(fov_status status);

/* Message of the calling thread's latest failure; "" if there was none. One line, without a newline at its end; where several settings are
 * wrong, a line for each, with newlines between them. Valid until the next failure on the same thread. */
FOV_API const char *fov_last_error(void);

/* Where that failure was raised and forwarded, innermost first, such as "decode.c:88 < index.c:240"; "" if there was none. */
FOV_API const char *fov_last_trail(void);

#ifdef __cplusplus
}
#endif
#endif
