/* Saving and loading checkpoints. See checkpoint.h for the format.
 *
 * The checksum covers name, type, shape and bytes of every tensor and every other metadata entry, in file order; the safetensors reader
 * refuses anything that is not accounted for, so a flipped bit anywhere is found before a weight is touched. */
#include "train/checkpoint.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/io.h"
#include "base/log.h"
#include "weights/metadata.h"
#include "weights/store_file.h"

#define CHECKSUM_KEY "fovea.checksum"
#define FORMAT_KEY "fovea.checkpoint"
#define FORMAT_VERSION "1"
#define SETTINGS_KEY "fovea.settings"

static uint64_t hash_tensor(uint64_t hash, const fov_tensor *tensor) {
    hash = fov_hash64(tensor->name, strlen(tensor->name) + 1, hash);
    hash = fov_hash64(&tensor->dtype, sizeof tensor->dtype, hash);
    hash = fov_hash64(tensor->dim, tensor->rank * sizeof tensor->dim[0], hash);
    return fov_hash64(tensor->data, tensor->bytes, hash);
}

static uint64_t hash_text_pair(uint64_t hash, const char *key, const char *value) {
    hash = fov_hash64(key, strlen(key) + 1, hash);
    return fov_hash64(value, strlen(value) + 1, hash);
}

static int by_name(const void *a, const void *b) {
    const fov_tensor *const *x = a, *const *y = b;
    return strcmp((*x)->name, (*y)->name);
}

static int by_key(const void *a, const void *b) {
    const fov_metadata *x = a, *y = b;
    return strcmp(x->key, y->key);
}

/* Order in the file is the writer's business: the checksum takes tensors and entries by name. */
static uint64_t checksum(const fov_tensor **tensors, size_t tensor_count, fov_metadata *metadata, size_t metadata_count) {
    qsort(tensors, tensor_count, sizeof *tensors, by_name);
    qsort(metadata, metadata_count, sizeof *metadata, by_key);
    uint64_t hash = 0;
    for (size_t i = 0; i < tensor_count; i++) {
        hash = hash_tensor(hash, tensors[i]);
    }
    for (size_t i = 0; i < metadata_count; i++) {
        if (strcmp(metadata[i].key, CHECKSUM_KEY) != 0) {
            hash = hash_text_pair(hash, metadata[i].key, metadata[i].value);
        }
    }
    return hash;
}

/* ---- saving ---- */

typedef struct tensor_list {
    fov_tensor *tensor;
    const fov_tensor **sorted;
    size_t count;
    float *values; /* weights in file layout */
    fov_metadata_list metadata;
} tensor_list;

static void add_flat(tensor_list *list, const char *name, const fov_real *data, size_t count) {
    fov_tensor *t = &list->tensor[list->count++];
    *t = (fov_tensor){.name = name, .dtype = FOV_FILE_F32, .rank = 1, .data = (const unsigned char *)data, .bytes = count * sizeof(float)};
    t->dim[0] = count;
}

/* In file order of axes: [o, kh, kw, i] is stored as [o, i, kh, kw]. */
static void add_param(tensor_list *list, const fov_store *store, const fov_param *param, float *out) {
    fov_param_to_file(store, param, out);
    fov_tensor *t = &list->tensor[list->count++];
    *t = (fov_tensor){.name = param->name,
                      .dtype = FOV_FILE_F32,
                      .rank = param->shape.rank,
                      .data = (const unsigned char *)out,
                      .bytes = param->count * sizeof(float)};
    const size_t *d = param->shape.dim;
    for (unsigned i = 0; i < param->shape.rank; i++) {
        t->dim[i] = d[i];
    }
    if (param->spec.layout == FOV_LAYOUT_CONV) {
        t->dim[1] = d[3];
        t->dim[2] = d[1];
        t->dim[3] = d[2];
    }
}

static uint64_t metadata_number(const fov_safetensors *file, const char *key, int base) {
    const char *text = fov_safetensors_metadata(file, key);
    return text == NULL ? 0 : strtoull(text, NULL, base);
}

/* What the weights were trained to be given: mean and std of each channel, and its bits. */
typedef struct input_text {
    fov_text mean, std;
    const char *depth;
} input_text;

static fov_status describe_input(const fov_session *s, input_text *input) {
    const size_t channels = s->options.spec.channels;
    fov_text_init(&input->mean);
    fov_text_init(&input->std);
    fov_channel_numbers_text(s->options.mean, channels, &input->mean);
    fov_channel_numbers_text(s->options.std, channels, &input->std);
    input->depth = s->options.deep ? "16" : "8";
    return input->mean.status != FOV_OK ? input->mean.status : input->std.status;
}

static void input_clear(input_text *input) {
    fov_text_clear(&input->mean);
    fov_text_clear(&input->std);
}

static fov_status add_input(fov_metadata_list *list, const fov_session *s) {
    input_text input;
    fov_status status = describe_input(s, &input);
    if (status == FOV_OK) {
        status = fov_metadata_add(list, "fovea.depth", "%s", input.depth);
    }
    if (status == FOV_OK) {
        status = fov_metadata_add(list, "fovea.mean", "%s", input.mean.data);
    }
    if (status == FOV_OK) {
        status = fov_metadata_add(list, "fovea.std", "%s", input.std.data);
    }
    input_clear(&input);
    return status;
}

/* Other numbers would train the weights on without a word. Checkpoints of earlier versions have none. */
static fov_status check_input(const fov_safetensors *file, const fov_session *s, const char *path) {
    input_text input;
    fov_status status = describe_input(s, &input);
    const struct {
        const char *key, *now;
    } pairs[] = {{"fovea.depth", input.depth}, {"fovea.mean", input.mean.data}, {"fovea.std", input.std.data}};
    for (size_t i = 0; i < sizeof pairs / sizeof pairs[0] && status == FOV_OK; i++) {
        const char *then = fov_safetensors_metadata(file, pairs[i].key);
        if (then != NULL && strcmp(then, pairs[i].now) != 0) {
            status = FOV_FAIL(FOV_E_MISMATCH, "%s was trained with another %s than the settings have, %s; was config.ini changed?", path,
                              pairs[i].key + strlen("fovea."), pairs[i].now);
        }
    }
    input_clear(&input);
    return status;
}

/* Of RUN/checkpoints/step-N.ckpt, how many bytes "RUN/" has. */
static int run_bytes(const char *path) {
    const char *end = fov_path_base(path);
    end -= end > path ? 1 : 0;
    while (end > path && end[-1] != '/') {
        end--;
    }
    return (int)(end - path);
}

/* The same of all settings, those that no tensor shows too. */
static fov_status check_settings(const fov_safetensors *file, const fov_session *s, const char *path) {
    const uint64_t now = s->options.settings_hash, then = metadata_number(file, SETTINGS_KEY, 16);
    if (now == 0 || then == 0 || now == then) {
        return FOV_OK;
    }
    const int run = run_bytes(path);
    return FOV_FAIL(FOV_E_MISMATCH, "%s was saved with other settings than %.*sconfig.ini has now: put back what was changed there, or begin a new run, "
                                    "perhaps with the weights that this one saved, by --init %.*sbackbone.safetensors; if the checkpoint is of "
                                    "another run, take it away",
                    path, run, path, run, path);
}

/* Of what is trainable, which names lie where: the optimizer's state and the average have no names, only this order. */
static uint64_t layout_hash(const fov_store *store) {
    uint64_t hash = 0;
    for (size_t i = 0; i < fov_store_size(store); i++) {
        const fov_param *param = fov_store_at(store, i);
        if (param->spec.role == FOV_PARAM_TRAINABLE) {
            hash = fov_hash64(param->name, strlen(param->name), hash ^ param->offset);
        }
    }
    return hash;
}

static fov_status check_layout(const fov_safetensors *file, const fov_session *s, const char *path) {
    if (metadata_number(file, "fovea.layout", 16) != layout_hash(s->store)) {
        return FOV_FAIL(FOV_E_MISMATCH, "%s: its version laid parameters out otherwise, so that the optimizer's state would go to others; finish "
                                        "the run with that version, or begin a new one with its weights by --init", path);
    }
    return FOV_OK;
}

static const char *const slot_name[FOV_MAX_SLOTS] = {"optimizer.0", "optimizer.1"};

static fov_status collect(tensor_list *list, const fov_session *s, const fov_checkpoint_state *state) {
    const size_t params = fov_store_size(s->store), most = params + FOV_MAX_SLOTS + 1, trainable = fov_store_trainable(s->store);
    fov_metadata_init(&list->metadata);
    list->tensor = fov_mem_array(FOV_MEM_FILE, most, sizeof *list->tensor);
    FOV_TRY_ALLOC(list->tensor);
    list->sorted = fov_mem_array(FOV_MEM_FILE, most, sizeof *list->sorted);
    FOV_TRY_ALLOC(list->sorted);
    list->values = fov_mem_array(FOV_MEM_FILE, fov_store_total(s->store) + 1, sizeof *list->values);
    FOV_TRY_ALLOC(list->values);
    for (size_t i = 0; i < params; i++) {
        const fov_param *param = fov_store_at(s->store, i);
        add_param(list, s->store, param, list->values + param->offset);
    }
    for (unsigned slot = 0; slot < s->options.optimizer->slots; slot++) {
        add_flat(list, slot_name[slot], s->optimizer.slot[slot], trainable);
    }
    if (s->average != NULL) {
        add_flat(list, "average", s->average, trainable);
    }
    FOV_TRY(fov_metadata_add(&list->metadata, FORMAT_KEY, FORMAT_VERSION));
    FOV_TRY(fov_metadata_add(&list->metadata, "fovea.version", "%s", FOVEA_VERSION));
    FOV_TRY(fov_metadata_add(&list->metadata, "fovea.step", "%" PRIu64, state->step));
    FOV_TRY(fov_metadata_add(&list->metadata, "fovea.skipped", "%" PRIu64, state->skipped));
    FOV_TRY(fov_metadata_add(&list->metadata, "fovea.updates", "%" PRIu64, s->updates));
    FOV_TRY(fov_metadata_add(&list->metadata, "fovea.data", "%016" PRIx64, state->data_hash));
    FOV_TRY(fov_metadata_add(&list->metadata, "fovea.layout", "%016" PRIx64, layout_hash(s->store)));
    FOV_TRY(fov_metadata_add(&list->metadata, "fovea.optimizer", "%s", s->options.optimizer->name));
    FOV_TRY(add_input(&list->metadata, s));
    if (s->options.settings_hash != 0) {
        FOV_TRY(fov_metadata_add(&list->metadata, SETTINGS_KEY, "%016" PRIx64, s->options.settings_hash));
    }
    for (size_t i = 0; i < list->count; i++) {
        list->sorted[i] = &list->tensor[i];
    }
    const uint64_t hash = checksum(list->sorted, list->count, list->metadata.item, list->metadata.count);
    return fov_metadata_add(&list->metadata, CHECKSUM_KEY, "%016" PRIx64, hash);
}

uint64_t fov_checkpoint_bytes(const fov_session *session) {
    const size_t flat = session->options.optimizer->slots + (session->average != NULL ? 1 : 0);
    return sizeof(float) * ((uint64_t)fov_store_total(session->store) + (uint64_t)flat * fov_store_trainable(session->store));
}

static void list_clear(tensor_list *list) {
    fov_metadata_clear(&list->metadata);
    fov_mem_free(list->values);
    fov_mem_free(list->sorted);
    fov_mem_free(list->tensor);
}

/* ---- the folder ---- */

typedef struct step_list {
    uint64_t *step;
    size_t count, capacity;
} step_list;

static fov_status see_name(void *context, const char *name, int kind) {
    (void)kind;
    step_list *steps = context;
    uint64_t step = 0;
    int end = 0;
    if (sscanf(name, "step-%8" SCNu64 ".ckpt%n", &step, &end) != 1 || end == 0 || name[end] != '\0') {
        return FOV_OK;
    }
    if (steps->count == steps->capacity) {
        const size_t capacity = steps->capacity * 2 + 16;
        uint64_t *grown = fov_mem_realloc(FOV_MEM_TRAIN, steps->step, capacity * sizeof *grown);
        FOV_TRY_ALLOC(grown);
        steps->step = grown;
        steps->capacity = capacity;
    }
    steps->step[steps->count++] = step;
    return FOV_OK;
}

static int newest_first(const void *a, const void *b) {
    const uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? 1 : x > y ? -1 : 0;
}

static fov_status list_steps(const char *dir, step_list *steps) {
    *steps = (step_list){0};
    if (fov_io_kind(dir) != FOV_PATH_DIR) {
        return FOV_OK;
    }
    FOV_TRY(fov_io_list(dir, see_name, steps));
    if (steps->count > 1) {
        qsort(steps->step, steps->count, sizeof *steps->step, newest_first);
    }
    return FOV_OK;
}

static char *step_path(const char *dir, uint64_t step) { return fov_mem_printf(FOV_MEM_TRAIN, "%s/step-%08" PRIu64 ".ckpt", dir, step); }

static fov_status prune(const char *dir, size_t keep) {
    step_list steps;
    fov_status status = list_steps(dir, &steps);
    for (size_t i = keep < 2 ? 2 : keep; i < steps.count && status == FOV_OK; i++) {
        char *path = step_path(dir, steps.step[i]);
        status = path == NULL ? FOV_E_NOMEM : fov_io_remove(path);
        fov_mem_free(path);
    }
    fov_mem_free(steps.step);
    return status;
}

fov_status fov_checkpoint_save(const char *dir, const fov_session *session, const fov_checkpoint_state *state, size_t keep) {
    tensor_list list = {0};
    char *path = step_path(dir, state->step), *latest = fov_path_join(dir, "latest"), name[40];
    fov_status status = path == NULL || latest == NULL ? FOV_E_NOMEM : FOV_OK;
    if (status == FOV_OK) {
        status = collect(&list, session, state);
    }
    if (status == FOV_OK) {
        status = fov_safetensors_write(path, list.tensor, list.count, list.metadata.item, list.metadata.count);
    }
    if (status == FOV_OK) {
        const int length = snprintf(name, sizeof name, "step-%08" PRIu64 ".ckpt\n", state->step);
        status = fov_io_write_atomic(latest, name, (size_t)length);
    }
    if (status == FOV_OK) {
        status = prune(dir, keep);
    }
    list_clear(&list);
    fov_mem_free(latest);
    fov_mem_free(path);
    return status;
}

/* ---- loading ---- */

static fov_status verify(const fov_safetensors *file, const char *path) {
    const char *version = fov_safetensors_metadata(file, FORMAT_KEY), *stored = fov_safetensors_metadata(file, CHECKSUM_KEY);
    if (version == NULL || stored == NULL || strcmp(version, FORMAT_VERSION) != 0) {
        return FOV_FAIL(FOV_E_FORMAT, "%s: not a checkpoint that this version reads", path);
    }
    const size_t tensors = fov_safetensors_count(file), entries = fov_safetensors_metadata_count(file);
    const fov_tensor **sorted = fov_mem_array(FOV_MEM_FILE, tensors + 1, sizeof *sorted);
    fov_metadata *metadata = fov_mem_array(FOV_MEM_FILE, entries + 1, sizeof *metadata);
    fov_status status = sorted == NULL || metadata == NULL ? FOV_E_NOMEM : FOV_OK;
    if (status == FOV_OK) {
        for (size_t i = 0; i < tensors; i++) {
            sorted[i] = fov_safetensors_at(file, i);
        }
        for (size_t i = 0; i < entries; i++) {
            metadata[i].key = fov_safetensors_metadata_at(file, i, &metadata[i].value);
        }
        char text[20];
        (void)snprintf(text, sizeof text, "%016" PRIx64, checksum(sorted, tensors, metadata, entries));
        if (strcmp(text, stored) != 0) {
            status = FOV_FAIL(FOV_E_FORMAT, "%s: its checksum is %s, its contents give %s: the file was changed or damaged", path, stored, text);
        }
    }
    fov_mem_free(metadata);
    fov_mem_free(sorted);
    return status;
}

static fov_status read_flat(const fov_safetensors *file, const char *name, fov_real *out, size_t count, const char *path) {
    const fov_tensor *t = fov_safetensors_find(file, name);
    if (t == NULL || t->dtype != FOV_FILE_F32 || t->bytes != count * sizeof(float)) {
        return FOV_FAIL(FOV_E_MISMATCH, "%s: tensor '%s' is %s; the run's settings differ from the checkpoint's", path, name,
                        t == NULL ? "missing" : "of another size");
    }
    for (size_t i = 0; i < count; i++) {
        float value;
        memcpy(&value, t->data + i * sizeof value, sizeof value);
        out[i] = (fov_real)value;
    }
    return FOV_OK;
}

static fov_status load_file(const char *path, fov_session *s, fov_checkpoint_state *state) {
    static const char *const ours[] = {"optimizer.", "average", NULL};
    fov_safetensors *file = NULL;
    const size_t trainable = fov_store_trainable(s->store);
    fov_status status = fov_safetensors_open(&file, path);
    /* a header too long or of a kind unknown was not written by us: damage, as any other */
    FOV_TRY(status == FOV_E_LIMIT || status == FOV_E_UNSUPPORTED ? FOV_E_FORMAT : status);
    status = verify(file, path);
    if (status == FOV_OK) {
        status = check_input(file, s, path);
    }
    if (status == FOV_OK) {
        status = check_settings(file, s, path);
    }
    if (status == FOV_OK) {
        status = fov_store_read(s->store, file, "", ours);
        status = status == FOV_OK ? FOV_OK : fov_fail_prefix(status, "%s", path);
    }
    if (status == FOV_OK) {
        status = check_layout(file, s, path);
    }
    for (unsigned slot = 0; slot < s->options.optimizer->slots && status == FOV_OK; slot++) {
        status = read_flat(file, slot_name[slot], s->optimizer.slot[slot], trainable, path);
    }
    if (status == FOV_OK && s->average != NULL) {
        status = read_flat(file, "average", s->average, trainable, path);
    }
    if (status == FOV_OK) {
        s->updates = metadata_number(file, "fovea.updates", 10);
        *state = (fov_checkpoint_state){.step = metadata_number(file, "fovea.step", 10),
                                        .skipped = metadata_number(file, "fovea.skipped", 10),
                                        .data_hash = metadata_number(file, "fovea.data", 16)};
    }
    fov_safetensors_close(file);
    return status;
}

fov_status fov_checkpoint_load(const char *dir, fov_session *session, fov_checkpoint_state *state, bool strict) {
    step_list steps;
    fov_status status = list_steps(dir, &steps);
    if (status == FOV_OK && steps.count == 0) {
        status = FOV_FAIL(FOV_E_NOTFOUND, "%s holds no checkpoint; start the run without --resume", dir);
    }
    bool loaded = false;
    for (size_t i = 0; i < steps.count && !loaded && (status == FOV_OK || (status == FOV_E_FORMAT && !strict)); i++) {
        if (status != FOV_OK) {
            fov_log(FOV_LOG_WARNING, "%s; going back to the one before", fov_last_error());
        }
        char *path = step_path(dir, steps.step[i]);
        status = path == NULL ? FOV_E_NOMEM : load_file(path, session, state);
        loaded = status == FOV_OK;
        fov_mem_free(path);
    }
    if (status == FOV_E_FORMAT) {
        const bool others = strict && steps.count > 1;
        status = fov_fail_prefix(status, others ? "without --strict-resume an older checkpoint is used"
                                                : "no checkpoint can be read; if this run left weights, a new one can begin with them by --init");
    }
    fov_mem_free(steps.step);
    return status;
}
