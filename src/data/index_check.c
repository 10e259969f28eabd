/* The checks: is a file a picture, how large, and is it whole?
 *
 * The first 64 KiB tell what a file is by content and nearly always hold the header; only pictures are read further, so a scan passes
 * by archives and films at no cost. Files are judged in parallel, each into its own entry, so the result does not depend on threads. */
#include "data/index_internal.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#include "base/hash.h"
#include "base/io_fault.h"
#include "data/picture.h"

#define HEAD_BYTES ((size_t)65536)
#define FILES_PER_CHUNK ((size_t)4)
#define FILES_PER_WAVE ((size_t)1024) /* between two reports of progress */

/* What was found about one entry of a wave. */
typedef struct finding {
    fov_scan_outcome outcome;
    fov_status fatal; /* a failure of ours, not of the file */
    fov_bad_reason reason;
    char *message; /* of a bad or fatal one; owned until the wave is settled */
    uint64_t bytes;
    size_t width, height;
    const char *path; /* borrowed, while it is checked */
} finding;

typedef struct checker {
    fov_picture_reader reader;
    unsigned char *head; /* HEAD_BYTES + FOV_DECODE_PADDING */
    fov_text path;
} checker;

typedef struct check_job {
    const fov_scan *scan;
    checker *checkers; /* one per worker */
    finding *found;    /* one per entry of the wave */
    size_t first, count;
} check_job;

static void mark_bad(finding *entry, fov_bad_reason reason, const char *format, ...) FOV_PRINTF(3, 4);
static void mark_bad(finding *entry, fov_bad_reason reason, const char *format, ...) {
    char text[512];
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    entry->message = fov_mem_strdup(FOV_MEM_DATA, text);
    entry->outcome = FOV_SCAN_BAD;
    entry->reason = reason;
    entry->fatal = entry->message == NULL ? FOV_E_NOMEM : FOV_OK;
}

static void mark_fatal(finding *entry, fov_status status) {
    entry->message = fov_mem_strdup(FOV_MEM_DATA, fov_last_error());
    entry->fatal = status;
}

static bool named_as_picture(const char *path) {
    static const char *const extensions[] = {"jpg", "jpeg", "png", "webp", "gif", "bmp", "tif", "tiff"};
    const char *dot = strrchr(fov_path_base(path), '.');
    if (dot == NULL) {
        return false;
    }
    for (size_t i = 0; i < sizeof extensions / sizeof *extensions; i++) {
        if (strcasecmp(dot + 1, extensions[i]) == 0) {
            return true;
        }
    }
    return false;
}

/* What a file that is neither JPEG nor PNG holds, for the message. */
static const char *content_name(const unsigned char *head, size_t size) {
    static const struct {
        size_t offset;
        const char *magic, *name;
    } known[] = {{0, "GIF8", "GIF"},   {8, "WEBP", "WebP"},     {0, "BM", "BMP"},        {0, "II*", "TIFF"},
                 {0, "MM", "TIFF"},    {4, "ftypavif", "AVIF"}, {4, "ftypheic", "HEIC"}, {0, "<!DOCTYPE", "HTML"},
                 {0, "<html", "HTML"}, {0, "%PDF", "PDF"},      {0, "<svg", "SVG"}};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        const size_t length = strlen(known[i].magic);
        if (known[i].offset + length <= size && memcmp(head + known[i].offset, known[i].magic, length) == 0) {
            return known[i].name;
        }
    }
    return "something else";
}

/* Reads the start of a file, for which fov_io_read has no form. O_NONBLOCK and the check of the kind keep a file that became a FIFO
 * since it was listed from blocking us. False when the entry is settled. */
static bool read_head(checker *c, finding *entry, size_t *got) {
    const int file = fov_sys_open(entry->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY, 0);
    if (file < 0) {
        mark_bad(entry, FOV_BAD_UNREADABLE, "cannot be opened: %s", strerror(errno));
        return false;
    }
    struct stat info;
    ssize_t n = -1;
    *got = 0;
    bool settled = true;
    if (fstat(file, &info) != 0) {
        mark_bad(entry, FOV_BAD_UNREADABLE, "cannot be looked at: %s", strerror(errno));
    } else if (!S_ISREG(info.st_mode)) {
        mark_bad(entry, FOV_BAD_SPECIAL, "not a regular file any more");
    } else {
        entry->bytes = (uint64_t)info.st_size;
        do {
            n = fov_sys_read(file, c->head + *got, HEAD_BYTES - *got);
            *got += n > 0 ? (size_t)n : 0;
        } while (n > 0 && *got < HEAD_BYTES);
        settled = n < 0;
        if (settled) {
            mark_bad(entry, FOV_BAD_UNREADABLE, "cannot be read: %s", strerror(errno));
        }
    }
    (void)fov_sys_close(file);
    memset(c->head + *got, 0, FOV_DECODE_PADDING);
    return !settled;
}

static void settle(finding *entry, fov_status status, size_t width, size_t height) {
    switch (status) {
    case FOV_OK:
        entry->outcome = FOV_SCAN_GOOD;
        entry->width = width;
        entry->height = height;
        break;
    case FOV_E_NOMEM:
        mark_fatal(entry, status);
        break;
    case FOV_E_LIMIT:
        mark_bad(entry, FOV_BAD_TOO_LARGE, "%s", fov_last_error());
        break;
    case FOV_E_UNSUPPORTED:
        mark_bad(entry, FOV_BAD_UNSUPPORTED, "%s", fov_last_error());
        break;
    default:
        mark_bad(entry, FOV_BAD_CORRUPT, "%s", fov_last_error());
        break;
    }
}

/* The bytes to judge: the head when it is the whole file, else all of it. False when the entry is settled. */
static bool read_whole(checker *c, finding *entry, size_t got, const unsigned char **bytes, size_t *size) {
    *bytes = c->head;
    *size = got;
    if (entry->bytes <= got) {
        return true;
    }
    const fov_status status =
        fov_io_read_into(entry->path, FOV_PICTURE_MAX_BYTES, FOV_DECODE_PADDING, &c->reader.blob, &c->reader.capacity);
    if (status == FOV_E_NOMEM) {
        mark_fatal(entry, status);
    } else if (status != FOV_OK) {
        mark_bad(entry, FOV_BAD_UNREADABLE, "%s", fov_last_error());
    }
    *bytes = c->reader.blob.data;
    *size = c->reader.blob.size;
    return status == FOV_OK;
}

static void check_picture(checker *c, const fov_scan_options *options, finding *entry, size_t got) {
    const unsigned char *bytes;
    size_t size;
    fov_image_info info = {0};
    const fov_decode_options decode = fov_picture_padded(&options->decode);
    if (!options->verify) {
        fov_status status = fov_image_probe(c->reader.decoder, c->head, got, &decode, &info);
        if (status == FOV_E_FORMAT && entry->bytes > got) {
            if (!read_whole(c, entry, got, &bytes, &size)) {
                return;
            }
            status = fov_image_probe(c->reader.decoder, bytes, size, &decode, &info);
        }
        settle(entry, status, info.width, info.height);
        return;
    }
    if (!read_whole(c, entry, got, &bytes, &size)) {
        return;
    }
    const fov_status status = fov_image_decode(c->reader.decoder, bytes, size, &decode, &c->reader.image);
    settle(entry, status, c->reader.image.width, c->reader.image.height);
}

static void check_file(checker *c, const fov_scan_options *options, finding *entry) {
    size_t got;
    if (!read_head(c, entry, &got)) {
        return;
    }
    const bool named = named_as_picture(entry->path);
    if (fov_image_sniff(c->head, got) == FOV_IMAGE_UNKNOWN) {
        if (!named) {
            entry->outcome = FOV_SCAN_IGNORED;
        } else if (got == 0) {
            mark_bad(entry, FOV_BAD_EMPTY, "the file is empty (0 bytes)");
        } else {
            mark_bad(entry, FOV_BAD_NOT_IMAGE, "holds %s, not JPEG or PNG; convert it to PNG", content_name(c->head, got));
        }
        return;
    }
    if (entry->bytes > FOV_PICTURE_MAX_BYTES) {
        mark_bad(entry, FOV_BAD_TOO_LARGE, "%llu bytes, over the limit of 1 GiB", (unsigned long long)entry->bytes);
        return;
    }
    check_picture(c, options, entry, got);
}

/* Opening a pack has checked what its records say of themselves, so that without `verify` only what cannot be told from that is read. */
static void check_record(checker *c, const fov_scan_options *options, const fov_pack *pack, size_t number, finding *entry) {
    const fov_pack_record record = fov_pack_at(pack, number);
    const fov_image *image;
    size_t width = record.width, height = record.height;
    fov_status status = FOV_OK;
    entry->bytes = record.length;
    if (options->verify || !fov_picture_record_fits(&record, &options->decode)) {
        c->reader.path.length = 0;
        fov_text_printf(&c->reader.path, "record %zu", number);
        status = c->reader.path.status;
        status = status == FOV_OK ? fov_picture_open_record(&c->reader, pack, &record, &options->decode, &width, &height) : status;
        status = status == FOV_OK && options->verify ? fov_picture_decode(&c->reader, NULL, &image) : status;
    }
    if (status == FOV_E_IO) {
        mark_bad(entry, FOV_BAD_UNREADABLE, "%s", fov_last_error());
    } else {
        settle(entry, status, width, height);
    }
}

static void check_entry(checker *c, const fov_scan *scan, const fov_entry *entry, finding *found) {
    *found = (finding){.outcome = (fov_scan_outcome)entry->outcome};
    if (entry->outcome != FOV_SCAN_PENDING) {
        return;
    }
    c->path.length = 0;
    fov_entry_path(&scan->tree, entry, &c->path);
    if (c->path.status != FOV_OK) {
        mark_fatal(found, c->path.status);
        return;
    }
    found->path = c->path.data;
    if (entry->place == FOV_PLACE_PACK) {
        check_record(c, scan->options, fov_entry_pack(&scan->tree, entry), entry->name, found);
    } else {
        check_file(c, scan->options, found);
    }
}

static void check_chunk(void *context, size_t chunk, unsigned worker) {
    const check_job *job = context;
    const size_t begin = chunk * FILES_PER_CHUNK;
    const size_t end = begin + FILES_PER_CHUNK < job->count ? begin + FILES_PER_CHUNK : job->count;
    for (size_t i = begin; i < end; i++) {
        check_entry(&job->checkers[worker], job->scan, &job->scan->entry[job->first + i], &job->found[i]);
    }
}

/* ---- what was found joins the entries, in their order ---- */

typedef struct summary {
    uint32_t folder; /* of files, whose relative path is in `path` */
    size_t length;
    fov_text path;
} summary;

/* Puts the relative path of a picture into s->path. */
static void relative_path(const fov_scan *scan, summary *s, const fov_entry *entry) {
    if (entry->place == FOV_PLACE_PACK) {
        s->path.length = 0;
        s->folder = FOV_NO_FOLDER;
        fov_entry_relative(&scan->tree, entry, &s->path);
        return;
    }
    if (s->folder != entry->folder) {
        s->path.length = 0;
        fov_tree_path(&scan->tree, entry->folder, true, &s->path);
        s->length = s->path.length;
        s->folder = entry->folder;
    }
    s->path.length = s->length;
    fov_text_add(&s->path, fov_names_at(&scan->tree.names, entry->name));
}

/* The hash goes through the good pictures in order: the relative path with its NUL, then the size of the file in 8 bytes. A pack of the
 * files as they are thus has the hash of their folder, and a run on one may go on with the other; other packs have other sizes. */
static fov_status hash_picture(fov_scan *scan, summary *s, const fov_entry *entry, uint64_t size) {
    if (scan->labelled && scan->tree.folder[entry->folder].label < 0) {
        return FOV_OK;
    }
    relative_path(scan, s, entry);
    FOV_TRY(s->path.status);
    unsigned char bytes[8];
    for (unsigned i = 0; i < 8; i++) {
        bytes[i] = (unsigned char)(size >> (8 * i));
    }
    scan->hash = fov_hash64(bytes, sizeof bytes, fov_hash64(s->path.data, s->path.length + 1, scan->hash));
    return FOV_OK;
}

static fov_status settle_entry(fov_scan *scan, summary *s, fov_entry *entry, const finding *found) {
    if (found->fatal != FOV_OK) {
        return FOV_FAIL(found->fatal, "%s", found->message == NULL ? "out of memory while checking pictures" : found->message);
    }
    if (entry->outcome != FOV_SCAN_PENDING) {
        return FOV_OK;
    }
    entry->outcome = (uint8_t)found->outcome;
    if (found->outcome == FOV_SCAN_BAD) {
        FOV_TRY(fov_scan_add_bad(scan, entry->folder, entry->name, found->reason, found->bytes, found->message, &entry->bad));
    } else if (found->outcome == FOV_SCAN_GOOD) {
        FOV_ASSERT(found->width <= UINT16_MAX && found->height <= UINT16_MAX); /* the most that a decoder takes */
        entry->width = (uint16_t)found->width;
        entry->height = (uint16_t)found->height;
        FOV_TRY(hash_picture(scan, s, entry, found->bytes));
    }
    return FOV_OK;
}

static fov_status settle_wave(fov_scan *scan, summary *s, check_job *job) {
    fov_status status = FOV_OK;
    for (size_t i = 0; i < job->count; i++) {
        status = status == FOV_OK ? settle_entry(scan, s, &scan->entry[job->first + i], &job->found[i]) : status;
        fov_mem_free(job->found[i].message);
    }
    return status == FOV_OK ? FOV_OK : fov_forward_at(__FILE__, __LINE__, status);
}

static fov_status check_waves(fov_scan *scan, check_job *job) {
    summary s = {.folder = FOV_NO_FOLDER};
    fov_status status = FOV_OK;
    for (size_t first = 0; first < scan->entry_count && status == FOV_OK; first += FILES_PER_WAVE) {
        const size_t left = scan->entry_count - first;
        job->first = first;
        job->count = left < FILES_PER_WAVE ? left : FILES_PER_WAVE;
        fov_pool_for(scan->pool, (job->count + FILES_PER_CHUNK - 1) / FILES_PER_CHUNK, check_chunk, job);
        status = settle_wave(scan, &s, job);
        if (status == FOV_OK && scan->options->progress != NULL) {
            scan->options->progress(scan->options->context, first + job->count, scan->entry_count);
        }
    }
    fov_text_clear(&s.path);
    return status == FOV_OK ? FOV_OK : fov_forward_at(__FILE__, __LINE__, status);
}

fov_status fov_scan_check(fov_scan *scan) {
    const unsigned threads = fov_pool_threads(scan->pool);
    finding *found = fov_mem_array(FOV_MEM_DATA, FILES_PER_WAVE, sizeof *found);
    FOV_TRY_ALLOC(found);
    checker *checkers = fov_mem_array(FOV_MEM_DATA, threads, sizeof *checkers);
    fov_status status = checkers == NULL ? FOV_E_NOMEM : FOV_OK;
    for (unsigned t = 0; t < threads && status == FOV_OK; t++) {
        status = fov_picture_reader_init(&checkers[t].reader);
        if (status == FOV_OK) {
            checkers[t].head = fov_mem_alloc(FOV_MEM_DATA, HEAD_BYTES + FOV_DECODE_PADDING);
            status = checkers[t].head == NULL ? FOV_E_NOMEM : FOV_OK;
        }
    }
    if (status == FOV_OK) {
        check_job job = {.scan = scan, .checkers = checkers, .found = found};
        status = check_waves(scan, &job);
    }
    for (unsigned t = 0; t < threads && checkers != NULL; t++) {
        fov_picture_reader_clear(&checkers[t].reader);
        fov_text_clear(&checkers[t].path);
        fov_mem_free(checkers[t].head);
    }
    fov_mem_free(checkers);
    fov_mem_free(found);
    return status == FOV_OK ? FOV_OK : fov_forward_at(__FILE__, __LINE__, status);
}
