/* Looking through a pack: what opening does not look at, which is the payloads and the zeros between them.
 *
 * Records are judged in parallel and told in order. The gaps are part of the check because every byte of a pack has one right value: a
 * changed byte anywhere is found. */

#include "data/pack_make.h"
#include "data/pack_table.h"
#include "data/picture.h"

#define WAVE_RECORDS ((size_t)256) /* between two reports of progress */

typedef struct verifier {
    const fov_pack *pack;
    const char *path;
    fov_picture_reader *reader; /* one per thread */
    size_t first;
    char *message[WAVE_RECORDS]; /* what is wrong with a record of the wave */
    bool out_of_memory[WAVE_RECORDS];
} verifier;

/* The bytes from the payload's end to the next record's, or to the table, are zero. */
static fov_status check_gap(fov_picture_reader *reader, const verifier *v, size_t i) {
    const fov_pack_record record = fov_pack_at(v->pack, i);
    const uint64_t end = record.offset + record.length;
    const bool last = i + 1 == fov_pack_count(v->pack);
    const uint64_t next = last ? fov_pack_records_offset(end) : fov_pack_next_offset(record.offset, record.length);
    FOV_TRY(fov_file_read(fov_pack_file(v->pack), reader->path.data, end, (size_t)(next - end), 0, &reader->blob, &reader->capacity));
    for (size_t k = 0; k < reader->blob.size; k++) {
        if (reader->blob.data[k] != 0) {
            return FOV_FAIL(FOV_E_FORMAT, "the bytes behind it are not zero (at byte %llu)", (unsigned long long)(end + k));
        }
    }
    return FOV_OK;
}

static fov_status check_record(fov_picture_reader *reader, const verifier *v, size_t i) {
    const fov_pack_record record = fov_pack_at(v->pack, i);
    fov_decode_options options = {
        .format = {.channels = record.kind == FOV_PACK_RAW ? record.channels : 0, .deep = record.kind == FOV_PACK_RAW && record.deep}};
    size_t width, height;
    reader->path.length = 0;
    fov_text_printf(&reader->path, "record %zu", i);
    FOV_TRY(reader->path.status);
    fov_status status = fov_picture_open_record(reader, v->pack, &record, &options, &width, &height);
    if (status == FOV_E_UNSUPPORTED && record.kind != FOV_PACK_RAW) { /* planes without colours do not make three channels */
        options.format.channels = record.channels;
        status = fov_picture_open_record(reader, v->pack, &record, &options, &width, &height);
    }
    FOV_TRY(status);
    FOV_TRY(fov_picture_check(reader));
    FOV_TRY(check_gap(reader, v, i));
    return FOV_OK;
}

static void check_chunk(void *context, size_t chunk, unsigned thread) {
    verifier *v = context;
    const fov_status status = check_record(&v->reader[thread], v, v->first + chunk);
    const char *name = v->reader[thread].path.data, *message = fov_picture_reason(name == NULL ? "" : name);
    v->message[chunk] = status == FOV_OK ? NULL : fov_mem_strdup(FOV_MEM_DATA, message);
    v->out_of_memory[chunk] = status == FOV_E_NOMEM || (status != FOV_OK && v->message[chunk] == NULL);
}

static fov_status tell_wave(verifier *v, size_t count, fov_pack_check *check) {
    fov_status status = FOV_OK;
    for (size_t k = 0; k < count; k++) {
        const fov_pack_record record = fov_pack_at(v->pack, v->first + k);
        if (v->out_of_memory[k] && status == FOV_OK) {
            status = fov_fail_copy(FOV_E_NOMEM, v->message[k] == NULL ? "out of memory while looking through a pack" : v->message[k], "");
        } else if (v->message[k] != NULL && status == FOV_OK) {
            check->damaged++;
            if (check->report != NULL) {
                check->report(check->context, v->first + k, record.name, record.offset, v->message[k]);
            }
        }
        fov_mem_free(v->message[k]);
        v->message[k] = NULL;
        check->bytes += record.length;
    }
    return status;
}

static fov_status run_waves(verifier *v, fov_pool *pool, fov_pack_check *check) {
    check->pictures = fov_pack_count(v->pack);
    for (v->first = 0; v->first < check->pictures; v->first += WAVE_RECORDS) {
        const size_t left = check->pictures - v->first, count = left < WAVE_RECORDS ? left : WAVE_RECORDS;
        fov_pool_for(pool, count, check_chunk, v);
        FOV_TRY(tell_wave(v, count, check));
        if (check->progress != NULL) {
            check->progress(check->context, v->first + count, check->pictures);
        }
    }
    if (check->damaged > 0) {
        fov_text name;
        fov_text_init(&name);
        const fov_status status = FOV_FAIL(FOV_E_FORMAT, "%s: %zu of %zu pictures in this pack are damaged; pack them again",
                                           fov_picture_name(&name, v->path), check->damaged, check->pictures);
        fov_text_clear(&name);
        return status;
    }
    return FOV_OK;
}

fov_status fov_pack_verify(const char *path, fov_pool *pool, fov_pack_check *check) {
    fov_pack *pack = NULL;
    verifier *v = NULL;
    fov_status status = FOV_OK;
    const unsigned threads = fov_pool_threads(pool);
    check->pictures = check->damaged = 0;
    check->bytes = 0;
    FOV_TRY(fov_pack_open(&pack, path));
    v = fov_mem_zalloc(FOV_MEM_DATA, sizeof *v);
    if (v == NULL) {
        status = fov_forward_at(__FILE__, __LINE__, FOV_E_NOMEM);
        goto done;
    }
    *v = (verifier){.pack = pack, .path = path, .reader = fov_mem_array(FOV_MEM_DATA, threads, sizeof *v->reader)};
    if (v->reader == NULL) {
        status = fov_forward_at(__FILE__, __LINE__, FOV_E_NOMEM);
        goto done;
    }
    for (unsigned t = 0; t < threads; t++) {
        FOV_TRY_GOTO(status, done, fov_picture_reader_init(&v->reader[t]));
    }
    FOV_TRY_GOTO(status, done, run_waves(v, pool, check));
done:
    for (unsigned t = 0; v != NULL && v->reader != NULL && t < threads; t++) {
        fov_picture_reader_clear(&v->reader[t]);
    }
    if (v != NULL) {
        fov_mem_free(v->reader);
    }
    fov_mem_free(v);
    fov_pack_close(pack);
    return status;
}
