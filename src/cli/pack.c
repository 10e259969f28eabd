/* fovea pack: all pictures of a folder in one file, and a look through such a file. */
#include <stdio.h>
#include <string.h>

#include "base/interrupt.h"
#include "base/log.h"
#include "cli/bad_files.h"
#include "cli/command.h"
#include "cli/terminal.h"
#include "data/pack_make.h"

typedef struct settings {
    const char *out, *alpha, *depth, *group;
    int64_t side, quality, channels, threads;
    double max_bad;
    bool raw, verify, overwrite, follow_links;
} settings;

#define FIELD(name) offsetof(settings, name)
#define DEFAULT_QUALITY 90

static const char *const alphas[] = {"white", "black", "drop", NULL};
static const char *const depths[] = {"8", "16", NULL};

static const fov_option table[] = {
    {.name = "out", .type = FOV_OPT_STRING, .offset = FIELD(out), .value_name = "FILE.fvp", .help = "the pack to write", .letter = 'o'},
    {.name = "side", .type = FOV_OPT_INT, .offset = FIELD(side), .value_name = "PX", .help = "shrink pictures to this shorter side and store them as JPEG; smaller ones keep their bytes; 0: all keep them", .fallback = "0", .min = 0, .max = 65500},
    {.name = "quality", .type = FOV_OPT_INT, .offset = FIELD(quality), .value_name = "N", .help = "of the JPEG that --side makes; 0: 90", .fallback = "0", .min = 0, .max = 100},
    {.name = "raw", .type = FOV_OPT_FLAG, .offset = FIELD(raw), .help = "store pixels instead of files, at most --side large: nothing to decode, many more bytes", .fallback = "false"},
    {.name = "channels", .type = FOV_OPT_INT, .offset = FIELD(channels), .value_name = "N", .help = "channels of the pixels: 3 colour, 1 grey, others as they lie in the files; 0: 3, or as many as --group names", .fallback = "0", .min = 0, .max = FOV_MAX_CHANNELS},
    {.name = "depth", .type = FOV_OPT_CHOICE, .offset = FIELD(depth), .value_name = "BITS", .help = "bits of a channel", .fallback = "8", .choices = depths},
    {.name = "group", .type = FOV_OPT_STRING, .offset = FIELD(group), .value_name = "RULE", .help = "endings of the files whose planes form one picture, such as _B02,_B03,_B08; needs --side"},
    {.name = "alpha", .type = FOV_OPT_CHOICE, .offset = FIELD(alpha), .value_name = "HOW", .help = "colour behind transparent pixels of what is shrunk, or drop", .fallback = "white", .choices = alphas},
    {.name = "verify", .type = FOV_OPT_FLAG, .offset = FIELD(verify), .help = "read a pack through instead: every checksum, every picture", .fallback = "false"},
    {.name = "threads", .type = FOV_OPT_INT, .offset = FIELD(threads), .value_name = "N", .help = "threads; 0: all processors", .fallback = "0", .min = 0, .max = 1024},
    {.name = "max-bad", .type = FOV_OPT_REAL, .offset = FIELD(max_bad), .value_name = "SHARE", .help = "share of bad files above which to give up", .fallback = "0.2", .min = 0.0, .max = 1.0},
    {.name = "follow-links", .type = FOV_OPT_FLAG, .offset = FIELD(follow_links), .help = "go into folders that are symbolic links", .fallback = "false"},
    {.name = "overwrite", .type = FOV_OPT_FLAG, .offset = FIELD(overwrite), .help = "replace the pack if it exists", .fallback = "false"},
    {.name = NULL},
};

static fov_status pack(const void *fields, const fov_common_options *common, const char *const *words, size_t word_count);

const fov_command fov_command_pack = {
    .name = "pack",
    .usage = "DATA... --out FILE.fvp [options], or --verify FILE.fvp",
    .summary = "put pictures into one file that reads faster",
    .details = "DATA is one or more folders (searched recursively), picture files or packs.\n"
               "Every command that takes a folder takes FILE.fvp in its place. Without --side\n"
               "the pictures keep their bytes, and training on the pack gives the same bits as\n"
               "on the folder. --side 256 suits views of 224 px, --side 128 --raw views of 96 px\n"
               "and less. Pictures that cannot be read are left out and listed\n"
               "in FILE.fvp.bad.tsv.\n\n",
    .heading = "Packing",
    .table = table,
    .fields_size = sizeof(settings),
    .most_words = SIZE_MAX,
    .body = pack,
};

/* ---- verify ---- */

static void report_damaged(void *context, size_t record, const char *name, uint64_t offset, const char *message) {
    (void)context;
    fov_text shown;
    fov_text_init(&shown);
    fov_text_add_escaped(&shown, name);
    (void)printf("damaged: record %zu at byte %llu, %s: %s\n", record, (unsigned long long)offset, shown.data == NULL ? "" : shown.data, message);
    fov_text_clear(&shown);
}

static fov_status verify(const settings *s, const char *const *words, size_t word_count) {
    if (word_count != 1 || s->out != NULL) {
        return FOV_FAIL(FOV_E_INVALID, "--verify takes one pack and nothing else: fovea pack --verify FILE.fvp");
    }
    static char verb[] = "checking record";
    fov_pack_check check = {.report = report_damaged, .progress = fov_terminal_count, .context = verb};
    fov_pool *pool = NULL;
    FOV_TRY(fov_pool_new(&pool, (unsigned)s->threads));
    const fov_status status = fov_pack_verify(words[0], pool, &check);
    fov_pool_free(pool);
    FOV_TRY(status);
    char count[32], bytes[32];
    fov_format_count(check.pictures, count, sizeof count);
    fov_format_bytes((double)check.bytes, bytes, sizeof bytes);
    (void)printf("whole: %s  %s pictures, %s, every checksum is right and every picture decodes\n", words[0], count, bytes);
    return FOV_OK;
}

/* ---- making ---- */

static char *bad_path(const char *out) { return fov_mem_printf(FOV_MEM_BASE, "%s.bad.tsv", out); }

static fov_status check_output(const settings *s, const char *const *words, size_t word_count) {
    for (size_t i = 0; i < word_count; i++) {
        if (fov_io_same(s->out, words[i])) {
            return FOV_FAIL(FOV_E_INVALID, "%s is what would be packed; write the pack to another place", s->out);
        }
    }
    FOV_TRY(fov_io_check_output(s->out, NULL, s->overwrite));
    char *bad = bad_path(s->out);
    FOV_TRY_ALLOC(bad);
    const fov_status status = fov_io_check_output(bad, NULL, s->overwrite);
    fov_mem_free(bad);
    return status;
}

static fov_status report_bad(const char *out, const fov_index *index, const fov_pack_summary *summary) {
    char *path = bad_path(out);
    FOV_TRY_ALLOC(path);
    const fov_status status = fov_tell_bad_files(index, &summary->lost, path);
    fov_mem_free(path);
    return status;
}

static size_t channels_of(const settings *s) {
    return fov_group_channels(s->channels, s->group);
}

static void tell(const settings *s, const fov_pack_summary *summary) {
    char count[32], kept[32], before[32], after[32];
    fov_format_count(summary->pictures, count, sizeof count);
    fov_format_count(summary->kept, kept, sizeof kept);
    fov_format_bytes((double)summary->bytes_before, before, sizeof before);
    fov_format_bytes((double)summary->bytes_after, after, sizeof after);
    (void)printf("pack: %s  %s pictures, %s", s->out, count, after);
    if (s->side > 0) {
        (void)printf(" from %s, shorter side at most %d, %s", before, (int)s->side, s->raw ? "raw pixels" : "JPEG");
    }
    if (s->side > 0 && !s->raw) {
        (void)printf(" of quality %d (%s kept as they were)", s->quality > 0 ? (int)s->quality : DEFAULT_QUALITY, kept);
    }
    (void)printf("\nnext: fovea pretrain");
    fov_terminal_word(s->out, true);
    (void)printf(" --out run");
    if (channels_of(s) != 3) {
        (void)printf(" --channels %zu", channels_of(s));
    }
    (void)printf("%s\n", strcmp(s->depth, "16") == 0 ? " --depth 16" : "");
}

static fov_decode_options decoding(const settings *s) {
    return (fov_decode_options){
        .alpha = strcmp(s->alpha, "black") == 0 ? FOV_ALPHA_BLACK : strcmp(s->alpha, "drop") == 0 ? FOV_ALPHA_DROP : FOV_ALPHA_WHITE,
        .format = {.channels = channels_of(s), .deep = strcmp(s->depth, "16") == 0},
    };
}

static fov_status make(const settings *s, const char *const *words, size_t word_count, fov_pool *pool, fov_index **index,
                       fov_pack_summary *summary) {
    static char looking[] = "looking at pictures", packing[] = "packing picture";
    const fov_scan_options scan = {.decode = decoding(s),
                                   .group = s->group,
                                   .follow_links = s->follow_links,
                                   .max_bad = fov_max_bad(s->max_bad),
                                   .progress = fov_terminal_count,
                                   .context = looking};
    const fov_pack_options options = {.side = (size_t)s->side,
                                      .raw = s->raw,
                                      .quality = s->quality > 0 ? (int)s->quality : DEFAULT_QUALITY,
                                      .decode = scan.decode,
                                      .max_bad = scan.max_bad,
                                      .progress = fov_terminal_count,
                                      .context = packing};
    FOV_TRY(fov_pack_check_options(&options));
    if (s->quality > 0 && (s->side == 0 || s->raw)) {
        return FOV_FAIL(FOV_E_INVALID, "--quality %d is for the JPEG that --side makes without --raw; give --side N, or leave it out", (int)s->quality);
    }
    if (s->group != NULL && s->side == 0) {
        return FOV_FAIL(FOV_E_INVALID, "pictures whose planes lie in several files are stored shrunk or as pixels: give --side N, and --raw for pixels");
    }
    FOV_TRY(fov_index_scan(index, words, word_count, &scan, pool));
    FOV_TRY(fov_pack_make(*index, s->out, &options, pool, summary));
    FOV_TRY(report_bad(s->out, *index, summary));
    return FOV_OK;
}

static fov_status pack(const void *fields, const fov_common_options *common, const char *const *words, size_t word_count) {
    (void)common;
    const settings *s = fields;
    if (s->verify) {
        return verify(s, words, word_count);
    }
    if (s->out == NULL || word_count == 0) {
        return FOV_FAIL(FOV_E_INVALID, "pack needs %s", s->out == NULL ? "--out FILE.fvp, or --verify and a pack" : "a folder, picture files or a pack");
    }
    fov_pool *pool = NULL;
    fov_index *index = NULL;
    fov_pack_summary summary = {0};
    fov_status status = FOV_OK;
    FOV_TRY(check_output(s, words, word_count));
    FOV_TRY(fov_interrupt_install());
    FOV_TRY(fov_pool_new(&pool, (unsigned)s->threads));
    FOV_TRY_GOTO(status, done, make(s, words, word_count, pool, &index, &summary));
    tell(s, &summary);
done:
    fov_pack_summary_clear(&summary);
    fov_index_free(index);
    fov_pool_free(pool);
    return status;
}
