/* One file at a time: what is it by content, how large is the picture, and is it whole?
 *
 * The first 4 KiB tell what a file is and mostly hold the header; only pictures are read further, and only as far as their header needs, so
 * a scan passes by archives and films at no cost. Large files are read in pieces, as for training: then the verdict is the loader's too. Of
 * many files in one folder, names are given to the system relative to that folder: it then need not find the way anew for each. */
#include "data/index_look.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#include "base/io_fault.h"
#include "data/index_group.h"
#include "data/picture_feed.h"

#define LOOK_BYTES ((size_t)4096)  /* read of every file */
#define HEAD_BYTES ((size_t)65536) /* read at most without the whole file */
#define FEW_FILES ((size_t)8)      /* to open their folder does not pay */
#define OTHER_CONTENT "something else"

/* The file that is being looked at. */
typedef struct look {
    fov_looker *looker;
    const fov_scan_options *options;
    fov_finding *found;
    const char *name;
    int file;
    size_t got; /* bytes of it in looker->head */
} look;

fov_status fov_looker_init(fov_looker *looker) {
    *looker = (fov_looker){.folder = FOV_NO_FOLDER, .descriptor = -1};
    FOV_TRY(fov_picture_reader_init(&looker->reader));
    looker->head = fov_mem_alloc(FOV_MEM_DATA, HEAD_BYTES + FOV_DECODE_PADDING);
    FOV_TRY_ALLOC(looker->head);
    return FOV_OK;
}

void fov_looker_clear(fov_looker *looker) {
    fov_picture_reader_clear(&looker->reader);
    fov_text_clear(&looker->path);
    fov_mem_free(looker->head);
    *looker = (fov_looker){.descriptor = -1};
}

/* ---- findings ---- */

static void mark_bad(fov_finding *found, fov_bad_reason reason, const char *format, ...) FOV_PRINTF(3, 4);
static void mark_bad(fov_finding *found, fov_bad_reason reason, const char *format, ...) {
    char text[512];
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    found->message = fov_mem_strdup(FOV_MEM_DATA, text);
    found->outcome = FOV_SCAN_BAD;
    found->reason = reason;
    found->fatal = found->message == NULL ? FOV_E_NOMEM : FOV_OK;
}

static void mark_fatal(fov_finding *found, fov_status status) {
    found->message = fov_mem_strdup(FOV_MEM_DATA, fov_last_error());
    found->outcome = FOV_SCAN_BAD;
    found->fatal = status;
}

static void settle(fov_finding *found, fov_status status) {
    switch (status) {
    case FOV_OK:
        found->outcome = FOV_SCAN_GOOD;
        break;
    case FOV_E_NOMEM:
        mark_fatal(found, status);
        break;
    case FOV_E_LIMIT:
        mark_bad(found, FOV_BAD_TOO_LARGE, "%s", fov_last_error());
        break;
    case FOV_E_UNSUPPORTED:
        mark_bad(found, FOV_BAD_UNSUPPORTED, "%s", fov_last_error());
        break;
    default:
        mark_bad(found, FOV_BAD_CORRUPT, "%s", fov_last_error());
        break;
    }
}

/* ---- names and kinds ---- */

static bool named_as_picture(const char *name) {
    static const char *const extensions[] = {"jpg", "jpeg", "png", "webp", "gif", "bmp", "tif", "tiff"};
    const char *dot = strrchr(name, '.');
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

/* What a file that we cannot decode holds, for the message. WebP and TIFF come here only where the build is without them, or cannot do
 * theirs. */
static const char *content_name(const unsigned char *head, size_t size) {
    static const struct {
        size_t offset, length;
        const char *magic, *name;
    } known[] = {{0, 4, "GIF8", "GIF"},      {8, 4, "WEBP", "WebP"},      {0, 2, "BM", "BMP"},        {0, 4, "II*\0", "TIFF"},
                 {0, 4, "MM\0*", "TIFF"},    {0, 4, "II+\0", "BigTIFF"},  {0, 4, "MM\0+", "BigTIFF"}, {4, 8, "ftypavif", "AVIF"},
                 {4, 8, "ftypheic", "HEIC"}, {0, 9, "<!DOCTYPE", "HTML"}, {0, 5, "<html", "HTML"},    {0, 4, "%PDF", "PDF"},
                 {0, 4, "<svg", "SVG"}};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        if (known[i].offset + known[i].length <= size && memcmp(head + known[i].offset, known[i].magic, known[i].length) == 0) {
            return known[i].name;
        }
    }
    return OTHER_CONTENT;
}

/* ---- bytes ---- */

void fov_look_in(fov_looker *looker, const fov_scan *scan, uint32_t folder, size_t count) {
    if (looker->descriptor >= 0) {
        (void)fov_sys_close(looker->descriptor);
        looker->descriptor = -1;
    }
    if (count == 0) {
        return;
    }
    if (looker->folder != folder) {
        looker->path.length = 0;
        fov_tree_path(&scan->tree, folder, false, &looker->path);
        looker->folder_length = looker->path.length;
        looker->folder = looker->path.status == FOV_OK ? folder : FOV_NO_FOLDER;
    }
    looker->path.length = looker->folder_length;
    if (count >= FEW_FILES && looker->folder_length > 0 && looker->path.status == FOV_OK) {
        looker->path.data[looker->folder_length] = '\0'; /* a name may have followed */
        looker->descriptor = fov_sys_open(looker->path.data, O_PATH | O_DIRECTORY, 0);
    }
}

/* The path of a name in the looker's folder. NULL when out of memory. */
static const char *path_of(fov_looker *looker, const char *name) {
    looker->path.length = looker->folder_length;
    fov_text_add(&looker->path, name);
    return looker->path.status == FOV_OK ? looker->path.data : NULL;
}

/* O_NONBLOCK, and the check of the kind that follows, keep a file that became a FIFO since it was listed from blocking us. What is not to
 * be reached by its path when it is trained on shall not be reached now either. */
static int open_file(fov_looker *looker, const char *name) {
    const int flags = O_RDONLY | O_NONBLOCK | O_NOCTTY;
    if (looker->descriptor >= 0 && looker->folder_length + strlen(name) < PATH_MAX) {
        return fov_sys_openat(looker->descriptor, name, flags);
    }
    const char *path = path_of(looker, name);
    if (path == NULL) {
        errno = ENOMEM;
        return -1;
    }
    return fov_sys_open(path, flags, 0);
}

/* Reads on until `wanted` bytes or the end of the file are in the head. False when the finding is settled. */
static bool read_on(look *l, size_t wanted) {
    unsigned char *head = l->looker->head;
    ssize_t n = 1;
    while (n > 0 && l->got < wanted && (l->got < l->found->bytes || l->found->bytes == 0)) {
        n = fov_sys_read(l->file, head + l->got, wanted - l->got);
        l->got += n > 0 ? (size_t)n : 0;
    }
    if (n < 0) {
        mark_bad(l->found, FOV_BAD_UNREADABLE, "cannot be read: %s", strerror(errno));
        return false;
    }
    memset(head + l->got, 0, FOV_DECODE_PADDING);
    return true;
}

/* Opens the file and reads its start. False when the finding is settled. */
static bool begin(look *l) {
    fov_finding *found = l->found;
    l->file = open_file(l->looker, l->name);
    if (l->file < 0 && l->looker->path.status != FOV_OK) {
        mark_fatal(found, l->looker->path.status);
        return false;
    }
    if (l->file < 0) {
        found->missing = errno == ENOENT;
        mark_bad(found, FOV_BAD_UNREADABLE, "cannot be opened: %s", strerror(errno));
        return false;
    }
    struct stat info;
    if (fstat(l->file, &info) != 0) {
        mark_bad(found, FOV_BAD_UNREADABLE, "cannot be looked at: %s", strerror(errno));
        return false;
    }
    if (!S_ISREG(info.st_mode)) {
        mark_bad(found, FOV_BAD_SPECIAL, "not a regular file any more");
        return false;
    }
    found->bytes = (uint64_t)info.st_size;
    return read_on(l, LOOK_BYTES);
}

/* The bytes to judge: the head when it can hold the whole file, else all of it. False when the finding is settled. */
static bool read_whole(look *l, const unsigned char **bytes, size_t *size) {
    fov_picture_reader *reader = &l->looker->reader;
    if (l->found->bytes <= HEAD_BYTES) {
        const bool open = read_on(l, HEAD_BYTES);
        *bytes = l->looker->head;
        *size = l->got;
        return open;
    }
    const char *path = path_of(l->looker, l->name);
    const fov_status status = path == NULL
                                  ? l->looker->path.status
                                  : fov_io_read_into(path, FOV_PICTURE_MAX_BYTES, FOV_DECODE_PADDING, &reader->blob, &reader->capacity);
    if (status == FOV_E_NOMEM) {
        mark_fatal(l->found, status);
    } else if (status != FOV_OK) {
        mark_bad(l->found, FOV_BAD_UNREADABLE, "%s", fov_picture_reason(path == NULL ? "" : path));
    }
    *bytes = reader->blob.data;
    *size = reader->blob.size;
    return status == FOV_OK;
}

/* ---- judging ---- */

/* Opens the picture in `bytes` and notes what its header says. */
static fov_status probe(look *l, const unsigned char *bytes, size_t size, const fov_decode_options *decode) {
    fov_decoder *decoder = l->looker->reader.decoder;
    const fov_blob file = {.data = (unsigned char *)(uintptr_t)bytes, .size = size, .padding = FOV_DECODE_PADDING};
    fov_image_info info = {0};
    const fov_status status = l->options->group != NULL ? fov_picture_open_planes(decoder, &file, decode, &info)
                                                        : fov_image_probe(decoder, bytes, size, decode, &info);
    l->found->width = info.width;
    l->found->height = info.height;
    l->found->channels = info.channels_in_file;
    return status;
}

/* Opens the picture by pieces of its file, which stays open. False when the finding is settled. */
static bool probe_pieces(look *l, const fov_decode_options *decode, fov_status *status) {
    fov_picture_reader *const reader = &l->looker->reader;
    const char *const path = path_of(l->looker, l->name);
    fov_file *file;
    fov_image_info info = {0};
    const fov_status opened = path == NULL ? l->looker->path.status : fov_file_open(&file, path);
    if (opened == FOV_E_NOMEM) {
        mark_fatal(l->found, opened);
        return false;
    }
    if (opened != FOV_OK) {
        mark_bad(l->found, FOV_BAD_UNREADABLE, "%s", fov_picture_reason(path == NULL ? "" : path));
        return false;
    }
    fov_picture_feed_begin(&reader->feed, file, 0, (size_t)l->found->bytes, path);
    *status = fov_decoder_open_source(reader->decoder, &reader->feed.source, decode, &info);
    l->found->width = info.width;
    l->found->height = info.height;
    l->found->channels = info.channels_in_file;
    return true;
}

/* Opens the picture with all of its file at hand. False when the finding is settled. */
static bool probe_file(look *l, const fov_decode_options *decode, fov_status *status) {
    const unsigned char *bytes;
    size_t size;
    const bool large = l->found->bytes > FOV_PICTURE_WHOLE_BYTES && l->options->group == NULL;
    if (large && fov_image_by_pieces(fov_image_sniff(l->looker->head, l->got))) {
        return probe_pieces(l, decode, status);
    }
    if (!read_whole(l, &bytes, &size)) {
        return false;
    }
    *status = probe(l, bytes, size, decode);
    return true;
}

/* A file that fails while it is read is no damaged picture. */
static void settle_file(look *l, fov_status status) {
    if (status == FOV_E_IO) {
        mark_bad(l->found, FOV_BAD_UNREADABLE, "%s", fov_picture_reason(l->looker->path.data));
    } else {
        settle(l->found, status);
    }
}

/* By the header alone, of which the head mostly is enough. All that counts in a JPEG file comes before its scan, so there a start that
 * reaches that far will do; other files say later how they are turned, and the head is read in any case; WebP files say it at their end. */
static void judge_header(look *l, const fov_decode_options *decode) {
    fov_status status = FOV_E_FORMAT;
    const fov_image_kind kind = fov_image_sniff(l->looker->head, l->got);
    if (kind == FOV_IMAGE_JPEG || l->found->bytes <= l->got) {
        status = probe(l, l->looker->head, l->got, decode);
    }
    if (status == FOV_E_FORMAT && kind != FOV_IMAGE_WEBP && l->got < HEAD_BYTES && l->found->bytes > l->got) {
        if (!read_on(l, HEAD_BYTES)) {
            return;
        }
        status = probe(l, l->looker->head, l->got, decode);
    }
    if (status == FOV_E_FORMAT && l->found->bytes > l->got && !probe_file(l, decode, &status)) {
        return;
    }
    settle_file(l, status);
}

static void judge_pixels(look *l, const fov_decode_options *decode) {
    fov_status status;
    if (probe_file(l, decode, &status)) {
        settle_file(l, status == FOV_OK ? fov_decoder_check(l->looker->reader.decoder) : status);
    }
}

static void judge(look *l) {
    fov_finding *found = l->found;
    if (!begin(l)) {
        return;
    }
    if (fov_image_sniff(l->looker->head, l->got) == FOV_IMAGE_UNKNOWN) {
        if (!named_as_picture(l->name)) {
            found->outcome = FOV_SCAN_IGNORED;
            found->pack = fov_pack_sniff(l->looker->head, l->got);
        } else if (l->got == 0) {
            mark_bad(found, FOV_BAD_EMPTY, "the file is empty (0 bytes)");
        } else {
            mark_bad(found, FOV_BAD_NOT_IMAGE, "holds %s, not %s; convert it to PNG", content_name(l->looker->head, l->got),
                     fov_image_kinds());
        }
        return;
    }
    if (found->bytes > FOV_PICTURE_MAX_BYTES) {
        mark_bad(found, FOV_BAD_TOO_LARGE, "%llu bytes, over the limit of 1 GiB", (unsigned long long)found->bytes);
        return;
    }
    const fov_decode_options decode = fov_picture_padded(&l->options->decode);
    if (l->options->verify) {
        judge_pixels(l, &decode);
    } else {
        judge_header(l, &decode);
    }
}

static void look_at_file(fov_looker *looker, const fov_scan_options *options, const char *name, fov_finding *found) {
    *found = (fov_finding){.outcome = FOV_SCAN_BAD};
    look l = {.looker = looker, .options = options, .found = found, .name = name, .file = -1};
    judge(&l);
    fov_picture_feed_end(&looker->reader.feed);
    if (l.file >= 0) {
        (void)fov_sys_close(l.file);
    }
}

/* ---- groups ---- */

/* A file of a group is bad, and the group with it. */
static void blame(fov_finding *group, const char *name, const fov_finding *file) {
    fov_text shown;
    fov_text_init(&shown);
    (void)fov_picture_name(&shown, name);
    if (file->missing) {
        mark_bad(group, FOV_BAD_UNREADABLE, "there is no %s, which belongs to it", shown.data == NULL ? name : shown.data);
    } else if (file->outcome == FOV_SCAN_IGNORED) {
        mark_bad(group, FOV_BAD_NOT_IMAGE, "%s, which belongs to it, is no picture", shown.data == NULL ? name : shown.data);
    } else {
        mark_bad(group, file->reason, "%s: %s", shown.data == NULL ? name : shown.data, file->message);
    }
    fov_text_clear(&shown);
}

/* Adds file number `k` of a group to what is known of those before it. False when that settles the group. */
static bool add_file(fov_finding *group, size_t k, const char *name, const fov_finding *file) {
    group->bytes += file->bytes;
    if (file->outcome != FOV_SCAN_GOOD) {
        blame(group, name, file);
        return false;
    }
    if (k == 0) {
        group->width = file->width;
        group->height = file->height;
    } else if (group->width != file->width || group->height != file->height) {
        mark_bad(group, FOV_BAD_UNSUPPORTED, "%s is of %zu x %zu pixels, the files before it are of %zu x %zu; make them one size", name,
                 file->width, file->height, group->width, group->height);
        return false;
    }
    group->channels += file->channels;
    return true;
}

/* False when the first file of a group that is there, not named as a picture, settles the group: it is none, or bad. */
static bool look_at_first(fov_looker *looker, const fov_scan *scan, const char *name, fov_finding *found) {
    fov_finding file;
    look_at_file(looker, scan->options, name, &file);
    if (file.fatal != FOV_OK || file.outcome == FOV_SCAN_IGNORED) {
        *found = file; /* with its message */
        return false;
    }
    *found = (fov_finding){.outcome = FOV_SCAN_GOOD};
    const bool open = add_file(found, 0, name, &file);
    fov_mem_free(file.message);
    return open;
}

static void refuse_channels(fov_finding *found, const fov_group *group, const fov_scan_options *options, size_t wanted) {
    char advice[160] = "give --group the ends of all files of a picture";
    if (!options->channels_of_weights) {
        (void)snprintf(advice, sizeof advice, "%sgive --channels %u%s", found->channels == group->count ? "leave out --channels, or " : "",
                       found->channels, found->channels < wanted ? ", or --group the ends of all files of a picture" : "");
    }
    mark_bad(found, FOV_BAD_UNSUPPORTED, "its %zu file%s %u channel%s together, %zu are wanted; %s", group->count,
             group->count == 1 ? " has" : "s have", found->channels, found->channels == 1 ? "" : "s", wanted, advice);
}

static void look_at_group(fov_looker *looker, const fov_scan *scan, const char *name, fov_finding *found, uint64_t *member_bytes) {
    const fov_group *group = scan->group;
    const size_t wanted = scan->options->decode.format.channels == 0 ? 3 : scan->options->decode.format.channels;
    if (!named_as_picture(name) && !look_at_first(looker, scan, name, found)) {
        return;
    }
    fov_text member;
    fov_text_init(&member);
    *found = (fov_finding){.outcome = FOV_SCAN_GOOD};
    bool open = true;
    for (size_t k = 0; k < group->count && open; k++) {
        fov_finding file;
        member.length = 0;
        fov_group_member(group, name, k, &member);
        if (member.status != FOV_OK) {
            mark_fatal(found, member.status);
            break;
        }
        look_at_file(looker, scan->options, member.data, &file);
        member_bytes[k] = file.bytes;
        if (file.fatal != FOV_OK) {
            *found = file; /* with its message */
            break;
        }
        open = add_file(found, k, member.data, &file);
        fov_mem_free(file.message);
    }
    fov_text_clear(&member);
    if (found->outcome == FOV_SCAN_GOOD && found->channels != wanted) {
        refuse_channels(found, group, scan->options, wanted);
    }
}

/* ---- packs ---- */

/* Opening a pack has checked what its records say of themselves, so that without `verify` only what cannot be told from that is read. */
static void look_at_record(fov_looker *looker, const fov_scan_options *options, const fov_pack *pack, size_t number, fov_finding *found) {
    const fov_pack_record record = fov_pack_at(pack, number);
    fov_picture_reader *reader = &looker->reader;
    fov_status status = FOV_OK;
    *found = (fov_finding){.bytes = record.length, .width = record.width, .height = record.height, .channels = record.channels};
    if (options->verify || !fov_picture_record_fits(&record, &options->decode)) {
        reader->path.length = 0;
        fov_text_printf(&reader->path, "record %zu", number);
        status = reader->path.status;
        status =
            status == FOV_OK ? fov_picture_open_record(reader, pack, &record, &options->decode, &found->width, &found->height) : status;
        status = status == FOV_OK && options->verify ? fov_picture_check(reader) : status;
    }
    if (status == FOV_E_IO) {
        mark_bad(found, FOV_BAD_UNREADABLE, "%s", fov_last_error());
    } else {
        settle(found, status);
    }
}

void fov_look(fov_looker *looker, const fov_scan *scan, const fov_entry *entry, fov_finding *found, uint64_t *member_bytes) {
    if (entry->place == FOV_PLACE_PACK) {
        look_at_record(looker, scan->options, fov_entry_pack(&scan->tree, entry), entry->name, found);
        return;
    }
    const char *name = fov_names_at(&scan->tree.names, entry->name);
    if (looker->folder != entry->folder) {
        *found = (fov_finding){0};
        mark_fatal(found, FOV_E_NOMEM); /* of its path */
    } else if (entry->place == FOV_PLACE_GROUP) {
        look_at_group(looker, scan, name, found, member_bytes);
    } else {
        look_at_file(looker, scan->options, name, found);
    }
}

/* ---- files that were named ---- */

/* What a file that was taken for a picture or a pack holds instead. */
static const char *other_content(const unsigned char *head, size_t size) {
    const char *known = content_name(head, size);
    size_t zeros = 0, controls = 0;
    for (size_t i = 0; i < size; i++) {
        zeros += head[i] == 0;
        controls += iscntrl(head[i]) != 0 && isspace(head[i]) == 0;
    }
    if (size == 0) {
        return "nothing (0 bytes)";
    }
    if (strcmp(known, OTHER_CONTENT) != 0) {
        return known;
    }
    return zeros == size ? "zeros" : controls == 0 ? "text" : "bytes of no known kind";
}

/* The start of a file; empty when it cannot be read, which is told where pictures are judged. */
static fov_status read_start(const char *path, fov_blob *start, bool *readable) {
    fov_file *file;
    size_t capacity = 0;
    fov_status status = fov_file_open(&file, path);
    if (status == FOV_OK) {
        const size_t bytes = (size_t)fov_file_size(file);
        status = bytes == 0 ? FOV_OK : fov_file_read(file, path, 0, bytes < LOOK_BYTES ? bytes : LOOK_BYTES, FOV_DECODE_PADDING, start, &capacity);
        fov_file_close(file);
    }
    *readable = status == FOV_OK;
    return status == FOV_E_NOMEM ? status : FOV_OK;
}

static fov_status refuse_by_rule(const fov_scan *scan, const char *shown) {
    fov_text rule;
    fov_text_init(&rule);
    fov_group_describe(scan, &rule);
    const fov_status status = FOV_FAIL(FOV_E_INVALID, "'%s' is no file of a picture: %s; leave it out, or name it so", shown,
                                       rule.data == NULL ? "--group wants other names" : rule.data);
    fov_text_clear(&rule);
    return status;
}

fov_status fov_look_named(const fov_scan *scan, const char *path, const char *shown) {
    const char *name = fov_path_base(path), *dot = strrchr(name, '.');
    if (scan->group != NULL && !fov_group_knows(scan->group, name)) {
        return refuse_by_rule(scan, shown);
    }
    if (named_as_picture(name)) {
        return FOV_OK;
    }
    fov_blob start = {0};
    bool readable;
    FOV_TRY(read_start(path, &start, &readable));
    fov_status status = FOV_OK;
    if (readable && fov_image_sniff(start.data, start.size) == FOV_IMAGE_UNKNOWN) {
        const char *content = other_content(start.data, start.size);
        status = dot != NULL && strcasecmp(dot, ".fvp") == 0
                     ? FOV_FAIL(FOV_E_INVALID, "'%s' is no pack, or a damaged one: it begins with %s; copy it anew, or pack the pictures again",
                                shown, content)
                     : FOV_FAIL(FOV_E_INVALID, "'%s' is neither a picture nor a pack: it begins with %s; leave it out, or give pictures (%s files)",
                                shown, content, fov_image_kinds());
    }
    fov_blob_clear(&start);
    return status;
}
