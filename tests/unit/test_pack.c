/* ctest: label=short timeout=120 */
/* The file format of packs: what is written is read back, what is damaged is found, what is hostile is refused, and no failure of memory or
 * disk leaves half a pack. */
#include "pack_case.h"

#include "base/hash.h"
#include "data/pack_make.h"
#include "data/pack_table.h"
#include "data/picture.h"

#define RECORDS 3
#define RAW_SIDE 9

/* ---- making ---- */

/* One record of each sort: PNG, JPEG and raw pixels, whose names hold bytes that sort and print badly. */
static const char *const names[RECORDS] = {"a/one.png", "a/two\n.jpg", "a\xff/three"};

static void make_blobs(fov_blob blob[RECORDS]) {
    make_picture("one.png", 12, 10);
    make_picture("two.jpg", 20, 30);
    blob[0] = read_file(at("one.png"));
    blob[1] = read_file(at("two.jpg"));
    blob[2] = (fov_blob){.data = noise(RAW_SIDE * RAW_SIDE * 3, 7), .size = RAW_SIDE * RAW_SIDE * 3};
}

static void free_blobs(fov_blob blob[RECORDS]) {
    fov_blob_clear(&blob[0]);
    fov_blob_clear(&blob[1]);
    free(blob[2].data);
}

static fov_pack_record record_of(size_t i, const fov_blob *blob) {
    const fov_pack_record record[RECORDS] = {
        {.kind = FOV_PACK_PNG, .width = 12, .height = 10, .channels = 3},
        {.kind = FOV_PACK_JPEG, .width = 20, .height = 30, .channels = 3},
        {.kind = FOV_PACK_RAW, .width = RAW_SIDE, .height = RAW_SIDE, .channels = 3, .upright = true},
    };
    fov_pack_record r = record[i];
    r.name = names[i];
    r.length = blob->size;
    r.checksum = fov_hash64(blob->data, blob->size, 0);
    return r;
}

static fov_status write_pack(const char *path, const fov_blob blob[RECORDS]) {
    fov_pack_writer *writer;
    FOV_TRY(fov_pack_writer_open(&writer, path));
    for (size_t i = 0; i < RECORDS; i++) {
        const fov_pack_record record = record_of(i, &blob[i]);
        const fov_status status = fov_pack_writer_add(writer, &record, blob[i].data);
        if (status != FOV_OK) {
            fov_pack_writer_abort(writer);
            return status;
        }
    }
    return fov_pack_writer_commit(writer);
}

static void make_pack(const char *path) {
    fov_blob blob[RECORDS];
    make_blobs(blob);
    assert_int_equal(write_pack(path, blob), FOV_OK);
    free_blobs(blob);
}

static void test_round_trip(void **state) {
    (void)state;
    fov_blob blob[RECORDS], got = {0};
    size_t capacity = 0;
    fov_pack *pack;
    make_blobs(blob);
    assert_int_equal(write_pack(at("p.fvp"), blob), FOV_OK);
    assert_int_equal(fov_pack_open(&pack, at("p.fvp")), FOV_OK);
    assert_int_equal(fov_pack_count(pack), RECORDS);
    const fov_blob file = read_file(at("p.fvp"));
    assert_true(fov_pack_sniff(file.data, 8));
    uint64_t offset = 64;
    for (size_t i = 0; i < RECORDS; i++) {
        const fov_pack_record want = record_of(i, &blob[i]), have = fov_pack_at(pack, i);
        assert_string_equal(have.name, want.name);
        assert_int_equal(have.offset, offset);
        assert_int_equal(have.length, want.length);
        assert_true(have.checksum == want.checksum);
        assert_int_equal(have.width, want.width);
        assert_int_equal(have.height, want.height);
        assert_int_equal(have.kind, want.kind);
        assert_int_equal(have.channels, want.channels);
        assert_int_equal(have.deep, want.deep);
        assert_int_equal(have.upright, want.upright);
        assert_memory_equal(file.data + offset, blob[i].data, blob[i].size);
        assert_int_equal(fov_pack_read(pack, &have, "x", FOV_DECODE_PADDING, &got, &capacity), FOV_OK);
        assert_int_equal(got.size, blob[i].size);
        assert_int_equal(got.padding, FOV_DECODE_PADDING);
        assert_memory_equal(got.data, blob[i].data, blob[i].size);
        for (size_t k = 0; k < FOV_DECODE_PADDING; k++) {
            assert_int_equal(got.data[got.size + k], 0);
        }
        offset = (offset + blob[i].size + 63) / 64 * 64;
    }
    fov_pack_check check = {0};
    assert_int_equal(fov_pack_verify(at("p.fvp"), NULL, &check), FOV_OK);
    assert_int_equal(check.pictures, RECORDS);
    assert_int_equal(check.bytes, blob[0].size + blob[1].size + blob[2].size);
    fov_blob_clear(&got);
    fov_blob file_copy = file;
    fov_blob_clear(&file_copy);
    fov_pack_close(pack);
    free_blobs(blob);
}

/* ---- what a writer refuses ---- */

static void refuse_record(fov_pack_writer *writer, fov_pack_record record, const char *part) {
    static const uint8_t payload[64];
    assert_int_equal(fov_pack_writer_add(writer, &record, payload), FOV_E_INVALID);
    assert_message(part);
}

static void test_writer_refuses(void **state) {
    (void)state;
    static const uint8_t payload[12];
    fov_pack_writer *writer;
    fov_pack_record good = {.name = "m/x.jpg", .length = 12, .kind = FOV_PACK_RAW, .width = 2, .height = 2, .channels = 3, .upright = true};
    assert_int_equal(fov_pack_writer_open(&writer, at("p.fvp")), FOV_OK);
    assert_int_equal(fov_pack_writer_add(writer, &good, payload), FOV_OK);
    fov_pack_record r = good;
    refuse_record(writer, r, "two pictures have this name");
    r.name = "a";
    refuse_record(writer, r, "whose name is greater");
    static const char *const hostile[] = {"", "/n", "n//o", "n/", "n/../o", "..", "n/.", "./n"};
    for (size_t i = 0; i < sizeof hostile / sizeof *hostile; i++) {
        r.name = hostile[i];
        refuse_record(writer, r, "cannot be packed: its name");
    }
    char long_name[FOV_PACK_MAX_NAME + 2];
    memset(long_name, 'n', sizeof long_name - 1);
    long_name[sizeof long_name - 1] = '\0';
    r.name = long_name;
    refuse_record(writer, r, "too long");
    r.name = "n";
    r.length = 11;
    refuse_record(writer, r, "not that of its pixels");
    r = good;
    r.name = "n";
    r.width = 0;
    refuse_record(writer, r, "width and height");
    r.width = 65501;
    refuse_record(writer, r, "width and height");
    r = good;
    r.name = "n";
    r.channels = 33;
    refuse_record(writer, r, "channels");
    r = good;
    r.name = ".n/..x/...";
    assert_int_equal(fov_pack_writer_add(writer, &good, payload), FOV_E_INVALID);
    r.name = "n/..x/...";
    assert_int_equal(fov_pack_writer_add(writer, &r, payload), FOV_OK);
    assert_int_equal(fov_pack_writer_commit(writer), FOV_OK);
    fov_pack *pack;
    assert_int_equal(fov_pack_open(&pack, at("p.fvp")), FOV_OK);
    assert_int_equal(fov_pack_count(pack), 2);
    fov_pack_close(pack);
    assert_int_equal(fov_pack_writer_open(&writer, at("empty.fvp")), FOV_OK);
    assert_int_equal(fov_pack_writer_commit(writer), FOV_E_INVALID);
    assert_message("without pictures");
    assert_int_equal(fov_io_kind(at("empty.fvp")), FOV_PATH_NONE);
}

/* ---- damage ---- */

static void note_damage(void *context, size_t record, const char *name, uint64_t offset, const char *message) {
    (void)name, (void)offset;
    assert_non_null(message);
    *(size_t *)context = record;
}

/* The file at `path` was changed: opening or reading through says so, and no record gives other bytes than it was packed with. */
static bool found_out(const char *path, const fov_blob blob[RECORDS], const char *what, uint64_t where) {
    fov_pack *pack;
    fov_blob got = {0};
    size_t capacity = 0;
    if (fov_pack_open(&pack, path) != FOV_OK) {
        return true;
    }
    for (size_t i = 0; i < fov_pack_count(pack); i++) {
        const fov_pack_record record = fov_pack_at(pack, i);
        if (fov_pack_read(pack, &record, "x", 0, &got, &capacity) == FOV_OK &&
            (got.size != blob[i].size || memcmp(got.data, blob[i].data, got.size) != 0)) {
            fail_msg("%s at %llu: record %zu gives other bytes", what, (unsigned long long)where, i);
        }
    }
    fov_blob_clear(&got);
    fov_pack_close(pack);
    fov_pack_check check = {0};
    return fov_pack_verify(path, NULL, &check) != FOV_OK;
}

static void demand_found_out(const char *path, const fov_blob blob[RECORDS], const char *what, uint64_t where) {
    if (!found_out(path, blob, what, where)) {
        fail_msg("%s at %llu goes unnoticed", what, (unsigned long long)where);
    }
}

static void test_silent_damage(void **state) {
    (void)state;
    fov_blob blob[RECORDS];
    fov_rng rng;
    char path[PATH_BYTES];
    fov_rng_init(&rng, 1, 2, 3, 4, FOV_RNG_TEST);
    (void)snprintf(path, sizeof path, "%s", at("p.fvp"));
    make_blobs(blob);
    assert_int_equal(write_pack(path, blob), FOV_OK);
    fov_blob file = read_file(path);
    assert_false(found_out(path, blob, "nothing", 0));
    for (size_t i = 0; i < 10000; i++) {
        const uint64_t offset = fov_rng_below(&rng, file.size);
        const uint8_t flipped = (uint8_t)(file.data[offset] ^ 1u << fov_rng_below(&rng, 8));
        write_at(path, &flipped, 1, offset);
        demand_found_out(path, blob, "a flipped bit", offset);
        write_at(path, &file.data[offset], 1, offset);
    }
    static const uint8_t zeros[4096];
    for (size_t i = 0; i < 100; i++) {
        const uint64_t offset = fov_rng_below(&rng, file.size);
        const size_t count = file.size - offset < sizeof zeros ? (size_t)(file.size - offset) : sizeof zeros;
        if (memcmp(file.data + offset, zeros, count) != 0) {
            write_at(path, zeros, count, offset);
            demand_found_out(path, blob, "a zeroed page", offset);
            write_at(path, file.data + offset, count, offset);
        }
    }
    assert_false(found_out(path, blob, "nothing", 0));
    for (size_t i = 0; i < 1000; i++) {
        const uint64_t length = i < 200 ? i : fov_rng_below(&rng, file.size);
        fov_pack *pack;
        assert_int_equal(truncate(path, (off_t)length), 0);
        assert_int_equal(fov_pack_open(&pack, path), FOV_E_FORMAT);
        write_at(path, file.data + length, file.size - length, length);
    }
    fov_blob_clear(&file);
    free_blobs(blob);
}

static void test_damage_is_named(void **state) {
    (void)state;
    fov_pack *pack;
    size_t record = 99;
    make_pack(at("p.fvp"));
    assert_int_equal(fov_pack_open(&pack, at("p.fvp")), FOV_OK);
    const fov_pack_record second = fov_pack_at(pack, 1);
    const uint64_t offset = second.offset;
    write_at(at("p.fvp"), "x", 1, offset + second.length / 2);
    fov_blob got = {0};
    size_t capacity = 0;
    assert_int_equal(fov_pack_read(pack, &second, "p.fvp:tw\no", 0, &got, &capacity), FOV_E_FORMAT);
    assert_message("p.fvp:tw\\no: damaged");
    assert_int_equal(got.size, 0);
    fov_pack_check check = {.report = note_damage, .context = &record};
    assert_int_equal(fov_pack_verify(at("p.fvp"), NULL, &check), FOV_E_FORMAT);
    assert_int_equal(record, 1);
    assert_int_equal(check.damaged, 1);
    assert_message("1 of 3 pictures");
    /* The file is cut while it is open: an error, never a signal. */
    assert_int_equal(truncate(at("p.fvp"), (off_t)offset + 2), 0);
    assert_int_equal(fov_pack_read(pack, &second, "p.fvp:two", 0, &got, &capacity), FOV_E_IO);
    assert_message("p.fvp:two");
    assert_message("became shorter");
    fov_blob_clear(&got);
    fov_pack_close(pack);
}

static void test_other_files(void **state) {
    (void)state;
    fov_pack *pack;
    make_picture("x.png", 5, 5);
    assert_int_equal(fov_pack_open(&pack, at("x.png")), FOV_E_FORMAT);
    assert_message("x.png: not a pack");
    assert_int_equal(fov_pack_open(&pack, at("nothing")), FOV_E_NOTFOUND);
    assert_int_equal(fov_pack_open(&pack, top), FOV_E_INVALID);
    assert_message("is a folder");
    make_file(at("empty"), "", 0);
    assert_int_equal(fov_pack_open(&pack, at("empty")), FOV_E_FORMAT);
    make_pack(at("p.fvp"));
    write_at(at("p.fvp"), "\2", 1, 8);
    assert_int_equal(fov_pack_open(&pack, at("p.fvp")), FOV_E_UNSUPPORTED);
    assert_message("version 2");
    make_pack(at("long.fvp"));
    const int file = open(at("long.fvp"), O_WRONLY | O_APPEND);
    assert_int_equal(write(file, "x", 1), 1);
    (void)close(file);
    assert_int_equal(fov_pack_open(&pack, at("long.fvp")), FOV_E_FORMAT);
    assert_null(pack);
}

/* ---- hostile tables, whose checksums are right ---- */

static void put(uint8_t *to, unsigned bytes, uint64_t value) {
    for (unsigned i = 0; i < bytes; i++) {
        to[i] = (uint8_t)(value >> (8 * i));
    }
}

typedef enum part { RECORD, NAME, FOOTER } part;
typedef struct hostile {
    part part;
    size_t record, offset;
    unsigned bytes;
    uint64_t value;
    const char *message;
} hostile;

static const hostile hostile_tables[] = {
    {FOOTER, 0, 0, 8, 1, "in a file of"},
    {FOOTER, 0, 8, 8, 0, "contradicts itself"},
    {FOOTER, 0, 8, 8, 1u << 30, "contradicts itself"},
    {FOOTER, 0, 8, 8, UINT64_MAX, "contradicts itself"},
    {FOOTER, 0, 8, 8, UINT64_MAX / 48 + 2, "contradicts itself"},
    {FOOTER, 0, 16, 8, UINT64_MAX - 63, "contradicts itself"},
    {FOOTER, 0, 16, 8, 0, "contradicts itself"},
    {FOOTER, 0, 24, 8, UINT64_MAX, "contradicts itself"},
    {FOOTER, 0, 32, 8, UINT64_MAX, "contradicts itself"},
    {FOOTER, 0, 32, 8, 1, "contradicts itself"},
    {RECORD, 0, 0, 8, 0, "payload lies elsewhere"},
    {RECORD, 1, 0, 8, 64, "payload lies elsewhere"}, /* overlaps the first */
    {RECORD, 2, 0, 8, UINT64_MAX - 63, "payload lies elsewhere"},
    {RECORD, 1, 8, 8, 0, "length is impossible"},
    {RECORD, 1, 8, 8, UINT64_MAX, "length is impossible"},
    {RECORD, 1, 8, 8, 1u << 30, "payload lies elsewhere"},
    {RECORD, 1, 8, 8, 5, "record 2 of this pack is damaged: its payload lies elsewhere"},
    {RECORD, 2, 8, 8, 5, "not that of its pixels"},
    {RECORD, 0, 24, 8, 1, "name lies elsewhere"},
    {RECORD, 1, 24, 8, UINT64_MAX, "name lies elsewhere"},
    {RECORD, 0, 32, 4, 0, "width and height"},
    {RECORD, 0, 32, 4, UINT32_MAX, "width and height"},
    {RECORD, 0, 36, 4, 65501, "width and height"},
    {RECORD, 2, 32, 4, 65500, "not that of its pixels"},
    {RECORD, 0, 40, 4, UINT32_MAX, "name lies elsewhere"},
    {RECORD, 0, 40, 4, 0, "name is empty"},
    {RECORD, 0, 40, 4, 8, "name has no end"},
    {RECORD, 0, 40, 4, 12, "zero byte"},
    {RECORD, 0, 44, 1, 0, "known kind"},
    {RECORD, 0, 44, 1, 6, "known kind"},
    {RECORD, 0, 45, 1, 0, "channels"},
    {RECORD, 0, 45, 1, 255, "channels"},
    {RECORD, 0, 46, 1, 7, "bits or flags"},
    {RECORD, 0, 47, 1, 2, "bits or flags"},
    {RECORD, 2, 47, 1, 0, "not that of its pixels"}, /* raw pixels are upright */
    {NAME, 0, 0, 1, '/', "slash"},
    {NAME, 0, 1, 1, 0, "zero byte"},
    {NAME, 0, 0, 1, 'z', "record 1 of this pack is damaged: its name is out of order"},
    {NAME, 0, 0, 3, 0x2f2e2e, "leads out"}, /* "../" */
    {NAME, 0, 0, 2, 0x2f2e, "leads out"},
    {NAME, 0, 8, 1, '/', "slash"},
};

static void test_hostile_tables(void **state) {
    (void)state;
    char path[PATH_BYTES];
    (void)snprintf(path, sizeof path, "%s", at("p.fvp"));
    make_pack(path);
    fov_blob file = read_file(path);
    for (size_t i = 0; i < sizeof hostile_tables / sizeof *hostile_tables; i++) {
        const hostile *h = &hostile_tables[i];
        uint8_t *bytes = malloc(file.size), *footer = bytes + file.size - FOV_PACK_FOOTER_BYTES;
        fov_pack_layout layout;
        memcpy(bytes, file.data, file.size);
        assert_int_equal(fov_pack_parse_footer(footer, file.size, &layout), FOV_OK);
        uint8_t *table = bytes + layout.records_offset;
        uint8_t *target = h->part == FOOTER   ? footer + h->offset
                          : h->part == RECORD ? table + 48 * h->record + h->offset
                                              : bytes + layout.names_offset + h->offset;
        put(target, h->bytes, h->value);
        put(footer + 40, 8, fov_hash64(table, (size_t)fov_pack_table_bytes(&layout), 0));
        put(footer + 48, 8, fov_hash64(footer, 48, 0));
        make_file(path, bytes, file.size);
        free(bytes);
        const size_t peak = fov_mem_stats_all().peak_bytes, live = fov_mem_stats_all().live_bytes;
        fov_pack *pack;
        assert_int_equal(fov_pack_open(&pack, path), FOV_E_FORMAT);
        assert_message(h->message);
        assert_message("p.fvp: ");
        const size_t now = fov_mem_stats_all().peak_bytes;
        assert_true(now <= peak || now - live <= 2 * file.size + 4096);
    }
    fov_blob_clear(&file);
}

/* Neither the bytes between the last payload and the table nor those behind the last name can hide anything. */
static void hide_bytes(const fov_blob *file, size_t before_records, size_t behind_names) {
    fov_pack_layout layout;
    fov_pack *pack;
    assert_int_equal(fov_pack_parse_footer(file->data + file->size - 64, file->size, &layout), FOV_OK);
    const size_t table_bytes = (size_t)fov_pack_table_bytes(&layout), size = file->size + before_records + behind_names;
    uint8_t *bytes = calloc(1, size), *table = bytes + layout.records_offset + before_records;
    memcpy(bytes, file->data, layout.records_offset);
    memcpy(table, file->data + layout.records_offset, table_bytes);
    layout.records_offset += before_records;
    layout.names_offset += before_records;
    layout.names_bytes += behind_names;
    layout.file_bytes = size;
    layout.checksum = fov_hash64(table, table_bytes + behind_names, 0);
    fov_pack_put_footer(&layout, bytes + size - 64);
    make_file(at("p.fvp"), bytes, size);
    const fov_status status = fov_pack_open(&pack, at("p.fvp"));
    if (before_records + behind_names == 0) {
        assert_int_equal(status, FOV_OK);
        fov_pack_close(pack);
    } else {
        assert_int_equal(status, FOV_E_FORMAT);
        assert_message("bytes are left over");
    }
    free(bytes);
}

static void test_nothing_is_hidden(void **state) {
    (void)state;
    make_pack(at("p.fvp"));
    fov_blob file = read_file(at("p.fvp"));
    hide_bytes(&file, 0, 0);
    hide_bytes(&file, 64, 0);
    hide_bytes(&file, 0, 1);
    fov_blob_clear(&file);
}

/* A record that says something else than its picture: found when it is read, whatever the checksums say. */
static void test_record_and_picture(void **state) {
    (void)state;
    fov_blob blob[RECORDS];
    make_blobs(blob);
    for (unsigned k = 0; k < 3; k++) {
        static const char *const said[3] = {"the pack says PNG of 13 x 10, but this is PNG of 12 x 10",
                                            "the pack says JPEG of 12 x 10, but this is PNG", "starts with"};
        fov_pack_record record = record_of(k < 2 ? 0 : 2, &blob[k < 2 ? 0 : 2]);
        record.width += k == 0;
        record.kind = k == 0 ? record.kind : FOV_PACK_JPEG;
        fov_pack_writer *writer;
        fov_pack *pack;
        fov_picture_reader reader;
        size_t width, height;
        assert_int_equal(fov_pack_writer_open(&writer, at("p.fvp")), FOV_OK);
        assert_int_equal(fov_pack_writer_add(writer, &record, blob[k < 2 ? 0 : 2].data), FOV_OK);
        assert_int_equal(fov_pack_writer_commit(writer), FOV_OK);
        assert_int_equal(fov_pack_open(&pack, at("p.fvp")), FOV_OK);
        record = fov_pack_at(pack, 0);
        assert_int_equal(fov_picture_reader_init(&reader), FOV_OK);
        fov_text_add(&reader.path, "here");
        assert_true(fov_picture_open_record(&reader, pack, &record, NULL, &width, &height) != FOV_OK);
        assert_message(said[k]);
        assert_message("here: ");
        fov_picture_reader_clear(&reader);
        fov_pack_close(pack);
        fov_pack_check check = {0};
        assert_int_equal(fov_pack_verify(at("p.fvp"), NULL, &check), FOV_E_FORMAT);
    }
    free_blobs(blob);
}

/* ---- the first pack that was ever made ---- */

static void test_golden(void **state) {
    (void)state;
    static const char path[] = FOV_TEST_DATA "/golden/pack/version1.fvp";
    static const uint64_t pixels[RECORDS] = {0xa01a25618053268cu, 0x30163e9870fdb8cbu, 0x9821be8dd3828e08u};
    fov_pack *pack;
    fov_picture_reader reader;
    fov_blob blob[RECORDS];
    assert_int_equal(fov_pack_open(&pack, path), FOV_OK);
    assert_int_equal(fov_pack_count(pack), RECORDS);
    assert_int_equal(fov_picture_reader_init(&reader), FOV_OK);
    make_blobs(blob);
    for (size_t i = 0; i < RECORDS; i++) {
        const fov_pack_record record = fov_pack_at(pack, i), want = record_of(i, &blob[i]);
        const fov_image *image;
        size_t width, height;
        assert_string_equal(record.name, names[i]);
        fov_text_add(&reader.path, "golden");
        assert_int_equal(fov_picture_open_record(&reader, pack, &record, NULL, &width, &height), FOV_OK);
        assert_int_equal(fov_picture_decode(&reader, NULL, &image), FOV_OK);
        assert_int_equal(image->width, want.width);
        assert_int_equal(image->height, want.height);
        const uint64_t hash = fov_hash64(image->pixels, image->width * image->height * 3, 0);
        if (hash != pixels[i]) {
            fail_msg("record %zu has other pixels: 0x%llx", i, (unsigned long long)hash);
        }
    }
    fov_picture_reader_clear(&reader);
    fov_pack_close(pack);
    free_blobs(blob);
}

/* ---- faults ---- */

static size_t entries_of_top(void) {
    size_t count = 0;
    char command[PATH_BYTES + 32];
    (void)snprintf(command, sizeof command, "ls -A '%s/w' | wc -l", top);
    FILE *pipe = popen(command, "r");
    assert_non_null(pipe);
    assert_int_equal(fscanf(pipe, "%zu", &count), 1);
    (void)pclose(pipe);
    return count;
}

/* Every allocation and every system call of writing fails once: no pack, nothing left beside its place, and then a whole one. */
static void test_faults_of_writing(void **state) {
    (void)state;
    fov_blob blob[RECORDS];
    make_blobs(blob);
    make_dir("w");
    size_t failed = 0;
    fov_status status = FOV_E_NOMEM;
    for (uint64_t n = 1; status != FOV_OK; n++) {
        fov_mem_fail_at(n, 0);
        status = write_pack(at("w/p.fvp"), blob);
        fov_mem_fail_at(0, 0);
        if (status != FOV_OK) {
            assert_int_equal(status, FOV_E_NOMEM);
            assert_int_equal(entries_of_top(), 0);
            failed++;
        }
    }
    assert_true(failed >= 6);
    assert_int_equal(fov_io_remove(at("w/p.fvp")), FOV_OK);
    static const char *const operations[] = {"open", "write", "fsync", "close", "rename"};
    for (size_t k = 0; k < sizeof operations / sizeof *operations; k++) {
        status = FOV_E_IO;
        failed = 0;
        for (uint64_t n = 1; status != FOV_OK && n < 20; n++) {
            fov_io_fail_at(operations[k], n, true, k == 1 ? ENOSPC : EIO);
            status = write_pack(at("w/p.fvp"), blob);
            fov_io_fail_at("any", 0, false, 0);
            /* Syncing the folder fails after the rename: the pack stands whole, and the failure is told. */
            const bool late = k == 2 && n == 2;
            if (status != FOV_OK) {
                assert_int_equal(status, FOV_E_IO);
                assert_int_equal(entries_of_top(), late ? 1 : 0);
                failed++;
            }
        }
        assert_int_equal(status, FOV_OK);
        assert_true(failed >= 1);
        fov_pack *pack;
        assert_int_equal(fov_pack_open(&pack, at("w/p.fvp")), FOV_OK);
        fov_pack_close(pack);
        assert_int_equal(fov_io_remove(at("w/p.fvp")), FOV_OK);
    }
    free_blobs(blob);
}

static void test_faults_of_reading(void **state) {
    (void)state;
    make_pack(at("p.fvp"));
    size_t failed = 0;
    fov_status status = FOV_E_NOMEM;
    for (uint64_t n = 1; status != FOV_OK; n++) {
        fov_pack_check check = {0};
        fov_mem_fail_at(n, 0);
        status = fov_pack_verify(at("p.fvp"), NULL, &check);
        fov_mem_fail_at(0, 0);
        assert_true(status == FOV_OK || status == FOV_E_NOMEM);
        failed += status != FOV_OK;
    }
    assert_true(failed >= 8);
    failed = 0;
    status = FOV_E_IO;
    for (uint64_t n = 1; status != FOV_OK && n < 50; n++) {
        fov_pack_check check = {0};
        fov_io_fail_at("read", n, false, EIO);
        status = fov_pack_verify(at("p.fvp"), NULL, &check);
        fov_io_fail_at("any", 0, false, 0);
        assert_true(status == FOV_OK || status == FOV_E_IO || (status == FOV_E_FORMAT && check.damaged == 1));
        failed += status != FOV_OK;
    }
    assert_int_equal(status, FOV_OK);
    assert_true(failed >= 3 + 2 * RECORDS); /* header, footer, table; payloads and gaps */
    fov_io_fail_at("read", 1, true, 0);     /* every read gives half of what was asked for */
    fov_pack_check check = {0};
    assert_int_equal(fov_pack_verify(at("p.fvp"), NULL, &check), FOV_OK);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(test_round_trip),         TEST(test_writer_refuses),    TEST(test_silent_damage),     TEST(test_damage_is_named),
        TEST(test_other_files),        TEST(test_hostile_tables),    TEST(test_nothing_is_hidden), TEST(test_golden),
        TEST(test_record_and_picture), TEST(test_faults_of_writing), TEST(test_faults_of_reading),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
