/* The checks of a scan: all pending entries are looked at, a wave after the other.
 *
 * The entries of a wave are judged in parallel, each finding into a place of its own; findings then join the entries in their order, which
 * is when reasons are kept and the hash goes on. So nothing depends on threads, and what is known of a file beyond its 16 bytes lives for a
 * wave. */
#include <string.h>

#include "base/hash.h"
#include "base/log.h"
#include "data/index_group.h"
#include "data/index_look.h"
#include "data/picture.h"

#define FILES_PER_WAVE ((size_t)1024) /* between two reports of progress */
#define HEADERS_PER_CHUNK ((size_t)32)
#define PICTURES_PER_CHUNK ((size_t)4)
#define READERS 16u                /* threads that look at headers */
#define MANY_FILES ((size_t)10000) /* from which on they are worth starting */

typedef struct check_job {
    const fov_scan *scan;
    fov_pool *pool;
    fov_looker *looker;     /* one per worker */
    fov_finding *found;     /* one per entry of the wave */
    uint64_t *member_bytes; /* the sizes of its files, scan->group->count per entry of the wave; NULL without groups */
    size_t first, count, per_chunk;
} check_job;

/* Entries of the chunk from number `i` on that lie in the same folder as that one. */
static size_t neighbours(const fov_entry *entry, size_t i, size_t end) {
    size_t n = i + 1;
    while (n < end && entry[n].folder == entry[i].folder) {
        n++;
    }
    return n - i;
}

static void check_chunk(void *context, size_t chunk, unsigned worker) {
    const check_job *job = context;
    const fov_entry *entry = job->scan->entry + job->first;
    fov_looker *looker = &job->looker[worker];
    const size_t begin = chunk * job->per_chunk;
    const size_t end = begin + job->per_chunk < job->count ? begin + job->per_chunk : job->count;
    size_t left = 0;
    for (size_t i = begin; i < end; i++, left--) {
        if (left == 0) {
            left = neighbours(entry, i, end);
            fov_look_in(looker, job->scan, entry[i].folder, entry[i].place == FOV_PLACE_PACK ? 0 : left);
        }
        job->found[i] = (fov_finding){.outcome = (fov_scan_outcome)entry[i].outcome};
        if (entry[i].outcome == FOV_SCAN_PENDING) {
            fov_look(looker, job->scan, &entry[i], &job->found[i],
                     job->member_bytes == NULL ? NULL : job->member_bytes + i * job->scan->group->count);
        }
    }
    fov_look_in(looker, job->scan, FOV_NO_FOLDER, 0);
}

/* ---- what was found joins the entries, in their order ---- */

typedef struct summary {
    size_t packs;          /* files inside of folders that are packs */
    const fov_entry *pack; /* the first of them */
    uint32_t folder; /* whose relative path is in `path` */
    size_t length;
    fov_text path;
    fov_text member; /* scratch */
} summary;

/* The hash goes through the files of good pictures in order: the relative path with its NUL, then the size in 8 bytes. A pack of the files as
 * they are thus has the hash of their folder, and a run on one may go on with the other; other packs have other sizes. */
static fov_status hash_file(fov_scan *scan, summary *s, const char *name, uint64_t size) {
    s->path.length = s->length;
    fov_text_add(&s->path, name);
    FOV_TRY(s->path.status);
    unsigned char bytes[8];
    for (unsigned i = 0; i < 8; i++) {
        bytes[i] = (unsigned char)(size >> (8 * i));
    }
    scan->hash = fov_hash64(bytes, sizeof bytes, fov_hash64(s->path.data, s->path.length + 1, scan->hash));
    return FOV_OK;
}

static fov_status hash_entry(fov_scan *scan, summary *s, const fov_entry *entry, uint64_t bytes, const uint64_t *member_bytes) {
    if (scan->labelled && scan->tree.folder[entry->folder].label < 0) {
        return FOV_OK;
    }
    if (entry->place == FOV_PLACE_PACK) {
        s->folder = FOV_NO_FOLDER;
        s->length = 0;
        return hash_file(scan, s, fov_pack_at(fov_entry_pack(&scan->tree, entry), entry->name).name, bytes);
    }
    const char *name = fov_names_at(&scan->tree.names, entry->name);
    if (s->folder != entry->folder) {
        s->path.length = 0;
        fov_tree_path(&scan->tree, entry->folder, true, &s->path);
        s->length = s->path.length;
        s->folder = entry->folder;
    }
    if (entry->place == FOV_PLACE_FILE) {
        return hash_file(scan, s, name, bytes);
    }
    for (size_t k = 0; k < scan->group->count; k++) {
        s->member.length = 0;
        fov_group_member(scan->group, name, k, &s->member);
        FOV_TRY(s->member.status);
        FOV_TRY(hash_file(scan, s, s->member.data, member_bytes[k]));
    }
    return FOV_OK;
}

static fov_status settle_entry(fov_scan *scan, summary *s, fov_entry *entry, const fov_finding *found, const uint64_t *member_bytes) {
    if (found->fatal != FOV_OK) {
        return FOV_FAIL(found->fatal, "%s", found->message == NULL ? "out of memory while checking pictures" : found->message);
    }
    if (entry->outcome != FOV_SCAN_PENDING) {
        return FOV_OK;
    }
    entry->outcome = (uint8_t)found->outcome;
    if (found->pack) {
        s->pack = s->packs++ == 0 ? entry : s->pack;
    }
    if (found->outcome == FOV_SCAN_BAD) {
        FOV_TRY(fov_scan_add_bad(scan, entry->folder, entry->name, found->reason, found->bytes, found->message, &entry->bad));
    } else if (found->outcome == FOV_SCAN_GOOD) {
        FOV_ASSERT(found->width <= UINT16_MAX && found->height <= UINT16_MAX); /* the most that a decoder takes */
        entry->width = (uint16_t)found->width;
        entry->height = (uint16_t)found->height;
        FOV_TRY(hash_entry(scan, s, entry, found->bytes, member_bytes));
    }
    return FOV_OK;
}

static fov_status settle_wave(fov_scan *scan, summary *s, check_job *job) {
    fov_status status = FOV_OK;
    for (size_t i = 0; i < job->count; i++) {
        const uint64_t *members = job->member_bytes == NULL ? NULL : job->member_bytes + i * scan->group->count;
        status = status == FOV_OK ? settle_entry(scan, s, &scan->entry[job->first + i], &job->found[i], members) : status;
        fov_mem_free(job->found[i].message);
    }
    return status == FOV_OK ? FOV_OK : fov_forward_at(__FILE__, __LINE__, status);
}

/* A pack is read only where it is given by itself: pictures of both kinds under one folder would be counted twice where it was made of them. */
static void tell_packs(const fov_scan *scan, const summary *s) {
    if (s->packs == 0) {
        return;
    }
    fov_text path, shown;
    fov_text_init(&path);
    fov_text_init(&shown);
    fov_entry_path(&scan->tree, s->pack, &path);
    const char *name = path.status == FOV_OK ? fov_picture_name(&shown, path.data) : "(a file)";
    fov_log(FOV_LOG_WARNING, "%zu pack%s inside of folders %s passed over, such as '%s'; to use a pack, give its path", s->packs,
            s->packs == 1 ? "" : "s", s->packs == 1 ? "is" : "are", name);
    fov_text_clear(&path);
    fov_text_clear(&shown);
}

static fov_status check_waves(fov_scan *scan, check_job *job) {
    summary s = {.folder = FOV_NO_FOLDER};
    fov_status status = FOV_OK;
    for (size_t first = 0; first < scan->entry_count && status == FOV_OK; first += FILES_PER_WAVE) {
        const size_t left = scan->entry_count - first;
        job->first = first;
        job->count = left < FILES_PER_WAVE ? left : FILES_PER_WAVE;
        fov_pool_for(job->pool, (job->count + job->per_chunk - 1) / job->per_chunk, check_chunk, job);
        status = settle_wave(scan, &s, job);
        if (status == FOV_OK && scan->options->progress != NULL) {
            scan->options->progress(scan->options->context, first + job->count, scan->entry_count);
        }
    }
    tell_packs(scan, &s);
    fov_text_clear(&s.path);
    fov_text_clear(&s.member);
    return status == FOV_OK ? FOV_OK : fov_forward_at(__FILE__, __LINE__, status);
}

static fov_status make_job(check_job *job) {
    const unsigned threads = fov_pool_threads(job->pool);
    job->looker = fov_mem_array(FOV_MEM_DATA, threads, sizeof *job->looker);
    FOV_TRY_ALLOC(job->looker);
    for (unsigned t = 0; t < threads; t++) {
        FOV_TRY(fov_looker_init(&job->looker[t]));
    }
    job->found = fov_mem_array(FOV_MEM_DATA, FILES_PER_WAVE, sizeof *job->found);
    FOV_TRY_ALLOC(job->found);
    if (job->scan->group != NULL) {
        job->member_bytes = fov_mem_array(FOV_MEM_DATA, FILES_PER_WAVE * job->scan->group->count, sizeof *job->member_bytes);
        FOV_TRY_ALLOC(job->member_bytes);
    }
    return FOV_OK;
}

/* To look at headers is to wait for the disk, if the system does not hold the files in memory: more threads than processors then have more
 * requests under way. Those who ask for one thread get one; where the system gives no more threads, those of the pool will do. */
static fov_pool *make_readers(const fov_scan *scan) {
    const unsigned threads = fov_pool_threads(scan->pool);
    fov_pool *readers = NULL;
    if (scan->options->verify || threads == 1 || threads >= READERS || scan->entry_count < MANY_FILES) {
        return NULL;
    }
    return fov_pool_new(&readers, READERS) == FOV_OK ? readers : NULL;
}

fov_status fov_scan_check(fov_scan *scan) {
    fov_pool *readers = make_readers(scan);
    check_job job = {.scan = scan,
                     .pool = readers != NULL ? readers : scan->pool,
                     .per_chunk = scan->options->verify ? PICTURES_PER_CHUNK : HEADERS_PER_CHUNK};
    fov_status status = make_job(&job);
    if (status == FOV_OK) {
        status = check_waves(scan, &job);
    }
    for (unsigned t = 0; t < fov_pool_threads(job.pool) && job.looker != NULL; t++) {
        fov_looker_clear(&job.looker[t]);
    }
    fov_pool_free(readers);
    fov_mem_free(job.looker);
    fov_mem_free(job.found);
    fov_mem_free(job.member_bytes);
    return status == FOV_OK ? FOV_OK : fov_forward_at(__FILE__, __LINE__, status);
}
