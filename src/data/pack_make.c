/* Making a pack: pictures are read, decoded, shrunk and encoded in parallel, wave by wave, and written in order between the waves.
 *
 * A wave is cut by what its pictures are expected to take, never by the number of threads, so memory stays bounded and the bytes of the
 * pack follow from the pictures alone. Every picture is decoded, also where its bytes are kept: a pack holds no picture that will fail
 * later. */
#include "data/pack_make.h"

#include <stdlib.h>
#include <string.h>

#include "augment/recipe.h"
#include "base/checked.h"
#include "base/hash.h"
#include "base/interrupt.h"
#include "data/index_internal.h"
#include "data/picture.h"

#define WAVE_PICTURES ((size_t)256)
#define WAVE_BYTES ((size_t)64 << 20)  /* expected, of payloads; a wave has at least one picture */
#define KEPT_BYTES ((size_t)256 << 10) /* a larger buffer is not kept from wave to wave */

/* One picture of a wave. */
typedef struct slot {
    fov_blob payload;
    size_t capacity;
    fov_pack_record record; /* but name and offset */
    uint64_t bytes_before;
    bool kept;
    fov_status status;
    char *path, *message; /* of a failure */
} slot;

typedef struct worker {
    fov_picture_reader reader;
    fov_augmenter *augmenter;
    uint8_t *pixels; /* of a picture on its way to JPEG */
    size_t capacity;
} worker;

typedef struct maker {
    const fov_index *index;
    const fov_pack_options *options;
    fov_pool *pool;
    fov_pack_summary *summary;
    fov_pack_writer *writer;
    uint32_t *order; /* pictures in order of their names; NULL where that is the order of the index */
    slot *slot;      /* [WAVE_PICTURES] */
    worker *worker;
    size_t first, count; /* of the wave */
} maker;

void fov_pack_summary_clear(fov_pack_summary *summary) {
    fov_lost_clear(&summary->lost);
    *summary = (fov_pack_summary){0};
}

static size_t picture_at(const maker *m, size_t place) {
    return m->order == NULL ? place : m->order[place];
}

/* ---- one picture, on any thread ---- */

/* Sides after shrinking, as torchvision's Resize has them: the longer one is truncated. */
static void target_size(const fov_pack_options *o, size_t width, size_t height, size_t *to_width, size_t *to_height) {
    const size_t shorter = width < height ? width : height;
    const bool shrinks = o->side > 0 && shorter > o->side;
    *to_width = !shrinks ? width : width > height ? o->side * width / height : o->side;
    *to_height = !shrinks ? height : width > height ? o->side : o->side * height / width;
}

static fov_status reserve(uint8_t **block, size_t *capacity, size_t bytes) {
    if (bytes > *capacity) {
        fov_mem_free(*block);
        *capacity = 0;
        *block = fov_mem_alloc(FOV_MEM_DATA, bytes);
        FOV_TRY_ALLOC(*block);
        *capacity = bytes;
    }
    return FOV_OK;
}

/* The image at its target size: into `to`. */
static fov_status shrink(worker *w, const fov_image *image, size_t width, size_t height, uint8_t *to) {
    if (width == image->width && height == image->height) {
        memcpy(to, image->pixels, width * height * fov_pixel_bytes(fov_image_format(image)));
        return FOV_OK;
    }
    return fov_image_resize(w->augmenter, image, width, height, FOV_BICUBIC, to);
}

/* The bytes as they were read: they change owner, the reader goes on with the slot's old buffer. */
static void keep_bytes(worker *w, slot *s) {
    const fov_blob blob = s->payload;
    const size_t capacity = s->capacity;
    s->payload = w->reader.blob;
    s->capacity = w->reader.capacity;
    w->reader.blob = blob;
    w->reader.capacity = capacity;
    s->record = w->reader.what;
    s->kept = true;
}

static fov_status store_raw(worker *w, const fov_image *image, size_t width, size_t height, slot *s) {
    const size_t bytes = width * height * fov_pixel_bytes(fov_image_format(image));
    FOV_TRY(reserve(&s->payload.data, &s->capacity, bytes));
    s->payload.size = bytes;
    s->record = (fov_pack_record){.kind = FOV_PACK_RAW, .channels = (unsigned)image->channels, .deep = image->deep};
    return shrink(w, image, width, height, s->payload.data);
}

static fov_status store_jpeg(worker *w, const fov_pack_options *o, const fov_image *image, size_t width, size_t height, slot *s) {
    FOV_TRY(reserve(&w->pixels, &w->capacity, width * height * image->channels));
    FOV_TRY(shrink(w, image, width, height, w->pixels));
    fov_blob_clear(&s->payload);
    s->capacity = 0;
    FOV_TRY(fov_image_encode_jpeg(w->pixels, width, height, image->channels, o->quality, &s->payload));
    s->capacity = s->payload.size;
    s->record = (fov_pack_record){.kind = FOV_PACK_JPEG, .channels = (unsigned)image->channels};
    return FOV_OK;
}

static fov_status make_payload(worker *w, const maker *m, size_t picture, slot *s) {
    const fov_pack_options *o = m->options;
    const fov_image *image;
    size_t width, height, to_width, to_height;
    FOV_TRY(fov_picture_open(&w->reader, m->index, picture, &o->decode, &width, &height));
    FOV_TRY(fov_picture_decode(&w->reader, NULL, &image));
    s->bytes_before = w->reader.what.length;
    s->kept = false;
    target_size(o, image->width, image->height, &to_width, &to_height);
    if (w->reader.grouped && o->side == 0) {
        return FOV_FAIL(FOV_E_UNSUPPORTED,
                        "its planes lie in several files, which cannot be kept as they are; give a side, for pixels or JPEG");
    }
    if (!o->raw && to_width == image->width && to_height == image->height && !w->reader.grouped) {
        keep_bytes(w, s);
    } else {
        FOV_TRY(o->raw ? store_raw(w, image, to_width, to_height, s) : store_jpeg(w, o, image, to_width, to_height, s));
        s->record.upright = true;
        s->record.width = (uint32_t)to_width;
        s->record.height = (uint32_t)to_height;
    }
    s->record.length = s->payload.size;
    s->record.checksum = fov_hash64(s->payload.data, s->payload.size, 0);
    return FOV_OK;
}

static void make_slot(void *context, size_t chunk, unsigned thread) {
    const maker *m = context;
    worker *w = &m->worker[thread];
    slot *s = &m->slot[chunk];
    s->bytes_before = 0;
    s->status = make_payload(w, m, picture_at(m, m->first + chunk), s);
    if (s->status != FOV_OK) {
        const char *path = w->reader.path.data == NULL ? "" : w->reader.path.data;
        s->message = fov_mem_strdup(FOV_MEM_DATA, fov_picture_reason(path));
        s->path = fov_mem_strdup(FOV_MEM_DATA, path);
        s->bytes_before = fov_picture_file_bytes(&w->reader);
        s->status = s->message == NULL || s->path == NULL ? FOV_E_NOMEM : s->status;
    }
}

/* ---- order of names ---- */

typedef struct name_pair {
    const fov_index *index;
    fov_text a, b;
} name_pair;

static int compare_names(const void *a, const void *b, void *context) {
    name_pair *p = context;
    p->a.length = p->b.length = 0;
    fov_index_relative(p->index, *(const uint32_t *)a, &p->a);
    fov_index_relative(p->index, *(const uint32_t *)b, &p->b);
    return p->a.status != FOV_OK || p->b.status != FOV_OK ? 0 : strcmp(p->a.data, p->b.data);
}

/* An index of several roots is sorted by paths, a pack by the names below them. */
static fov_status sort_names(maker *m) {
    name_pair pair = {.index = m->index};
    const size_t count = fov_index_count(m->index);
    bool sorted = true;
    fov_status status = FOV_OK;
    for (uint32_t i = 0; i + 1 < count && sorted; i++) {
        const uint32_t next = i + 1;
        sorted = compare_names(&i, &next, &pair) < 0;
    }
    if (!sorted) {
        m->order = fov_mem_array(FOV_MEM_DATA, count, sizeof *m->order);
        for (size_t i = 0; m->order != NULL && i < count; i++) {
            m->order[i] = (uint32_t)i;
        }
        if (m->order != NULL) {
            qsort_r(m->order, count, sizeof *m->order, compare_names, &pair);
        }
        status = m->order == NULL ? FOV_E_NOMEM : FOV_OK;
    }
    if (pair.a.status != FOV_OK || pair.b.status != FOV_OK) {
        status = FOV_E_NOMEM;
    }
    fov_text_clear(&pair.a);
    fov_text_clear(&pair.b);
    return status == FOV_OK ? FOV_OK : fov_forward_at(__FILE__, __LINE__, status);
}

/* ---- waves ---- */

/* How many pictures the next wave takes. */
static size_t cut_wave(const maker *m) {
    const size_t left = fov_index_count(m->index) - m->first;
    const size_t pixel = fov_pixel_bytes(m->options->decode.format);
    size_t bytes = 0, count = 0;
    while (count < left && count < WAVE_PICTURES) {
        size_t width, height, to_width, to_height;
        fov_index_size(m->index, picture_at(m, m->first + count), &width, &height);
        target_size(m->options, width, height, &to_width, &to_height);
        bytes += to_width * to_height * pixel;
        if (count > 0 && bytes > WAVE_BYTES) {
            break;
        }
        count++;
    }
    return count;
}

static fov_status add_bad(maker *m, slot *s, size_t picture) {
    const fov_bad_file file = {.path = s->path, .message = s->message, .reason = fov_bad_reason_of(s->status), .bytes = s->bytes_before};
    s->path = s->message = NULL;
    return fov_lost_add(&m->summary->lost, m->index, picture, &file);
}

static fov_status write_slot(maker *m, slot *s, size_t place, fov_text *name) {
    name->length = 0;
    fov_index_relative(m->index, picture_at(m, place), name);
    FOV_TRY(name->status);
    s->record.name = name->data;
    FOV_TRY(fov_pack_writer_add(m->writer, &s->record, s->payload.data));
    m->summary->pictures++;
    m->summary->kept += s->kept;
    m->summary->bytes_before += s->bytes_before;
    m->summary->bytes_after += s->record.length;
    return FOV_OK;
}

static fov_status write_wave(maker *m, fov_text *name) {
    for (size_t i = 0; i < m->count; i++) {
        slot *s = &m->slot[i];
        if (s->status == FOV_E_NOMEM) { /* ours, not the picture's */
            return fov_fail_copy(s->status, s->message == NULL ? "out of memory while packing pictures" : s->message, "");
        }
        if (s->status != FOV_OK) {
            FOV_TRY(add_bad(m, s, picture_at(m, m->first + i)));
        } else {
            FOV_TRY(write_slot(m, s, m->first + i, name));
        }
        if (s->capacity > KEPT_BYTES) {
            fov_blob_clear(&s->payload);
            s->capacity = 0;
        }
    }
    return FOV_OK;
}

static fov_status run_waves(maker *m) {
    fov_text name;
    fov_text_init(&name);
    fov_status status = FOV_OK;
    const size_t total = fov_index_count(m->index);
    for (m->first = 0; m->first < total; m->first += m->count) {
        m->count = cut_wave(m);
        fov_pool_for(m->pool, m->count, make_slot, m);
        FOV_TRY_GOTO(status, done, write_wave(m, &name));
        if (m->options->progress != NULL) {
            m->options->progress(m->options->context, m->first + m->count, total);
        }
        if (fov_interrupt_pending() != 0) {
            status = FOV_FAIL(FOV_E_INTERRUPTED, "stopped by a signal after %zu of %zu pictures; no pack was written", m->first + m->count,
                              total);
            goto done;
        }
    }
done:
    fov_text_clear(&name);
    return status;
}

fov_status fov_pack_check_options(const fov_pack_options *o) {
    const size_t channels = o->decode.format.channels == 0 ? 3 : o->decode.format.channels;
    if (o->raw && o->side == 0) {
        return FOV_FAIL(FOV_E_INVALID, "raw pixels need --side N, the shorter side they are stored at");
    }
    if (o->side > 0 && !o->raw && ((channels != 1 && channels != 3) || o->decode.format.deep)) {
        return FOV_FAIL(FOV_E_INVALID, "JPEG holds 1 or 3 channels of 8 bits, not %zu of %d; add --raw", channels,
                        o->decode.format.deep ? 16 : 8);
    }
    if (o->side > 0 && !o->raw && (o->quality < 1 || o->quality > 100)) {
        return FOV_FAIL(FOV_E_INVALID, "JPEG quality goes from 1 to 100, not %d", o->quality);
    }
    return FOV_OK;
}

static fov_status make_workers(maker *m) {
    m->worker = fov_mem_array(FOV_MEM_DATA, fov_pool_threads(m->pool), sizeof *m->worker);
    FOV_TRY_ALLOC(m->worker);
    m->slot = fov_mem_array(FOV_MEM_DATA, WAVE_PICTURES, sizeof *m->slot);
    FOV_TRY_ALLOC(m->slot);
    for (unsigned t = 0; t < fov_pool_threads(m->pool); t++) {
        FOV_TRY(fov_picture_reader_init(&m->worker[t].reader));
        FOV_TRY(fov_augmenter_new(&m->worker[t].augmenter));
    }
    return FOV_OK;
}

static void clear(maker *m) {
    for (unsigned t = 0; m->worker != NULL && t < fov_pool_threads(m->pool); t++) {
        fov_picture_reader_clear(&m->worker[t].reader);
        fov_augmenter_free(m->worker[t].augmenter);
        fov_mem_free(m->worker[t].pixels);
    }
    for (size_t i = 0; m->slot != NULL && i < WAVE_PICTURES; i++) {
        fov_blob_clear(&m->slot[i].payload);
        fov_mem_free(m->slot[i].path);
        fov_mem_free(m->slot[i].message);
    }
    fov_mem_free(m->worker);
    fov_mem_free(m->slot);
    fov_mem_free(m->order);
    fov_pack_writer_abort(m->writer);
}

fov_status fov_pack_make(const fov_index *index, const char *path, const fov_pack_options *options, fov_pool *pool,
                         fov_pack_summary *summary) {
    maker m = {.index = index, .options = options, .pool = pool, .summary = summary};
    fov_pack_writer *writer;
    fov_status status = FOV_OK;
    *summary = (fov_pack_summary){.lost = {.max_bad = options->max_bad}};
    FOV_TRY(fov_pack_check_options(options));
    FOV_TRY_GOTO(status, done, sort_names(&m));
    FOV_TRY_GOTO(status, done, make_workers(&m));
    FOV_TRY_GOTO(status, done, fov_pack_writer_open(&m.writer, path));
    FOV_TRY_GOTO(status, done, run_waves(&m));
    writer = m.writer;
    m.writer = NULL; /* the commit frees it in every case */
    FOV_TRY_GOTO(status, done, fov_pack_writer_commit(writer));
done:
    clear(&m);
    return status;
}
