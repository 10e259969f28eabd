/* Cuts images into square patches and lays each out as one token (Dosovitskiy et al. 2020, section 3.1).
 *
 * Inside a patch the order is (row, column, channel), that of MAE's patchify, so one row of a patch is one contiguous run of the
 * image and both directions are copies of p * c numbers. One chunk is one row of patches of one image. */
#include "ops/token_shared.h"

typedef struct patchify_attr {
    size_t patch;
} patchify_attr;

static fov_status infer(fov_node *node) {
    const size_t p = ((const patchify_attr *)node->attr)->patch;
    FOV_TRY(fov_token_check(node, 0, "images [n, h, w, c]", 4, FOV_DTYPE_REAL));
    const size_t *x = node->input[0]->shape.dim;
    if (p == 0 || x[1] % p != 0 || x[2] % p != 0) {
        return FOV_FAIL(FOV_E_INVALID, "needs an image height and width that are multiples of the patch size %zu, got %zu x %zu", p,
                        x[1], x[2]);
    }
    return fov_token_output(node, FOV_SHAPE(x[0], (x[1] / p) * (x[2] / p), p * p * x[3]));
}

/* Moves one row of patches between image and tokens. */
static void move_rows(const fov_step *step, size_t chunk, bool backward) {
    const size_t *x = step->node->input[0]->shape.dim;
    const size_t p = ((const patchify_attr *)step->node->attr)->patch;
    const size_t across = x[2] / p;
    const size_t run = p * x[3];
    const size_t base = chunk * p * x[2] * x[3]; /* the same band of memory on both sides */
    for (size_t r = 0; r < p; r++) {
        for (size_t q = 0; q < across; q++) {
            const size_t in_image = base + (r * across + q) * run;
            const size_t in_token = base + (q * p + r) * run;
            if (backward) {
                fov_token_put(step->k, step->grad_in[0] + in_image, step->grad_out + in_token, run, step->accumulate[0]);
            } else {
                memcpy((fov_real *)step->out + in_token, (const fov_real *)step->in[0] + in_image, run * sizeof(fov_real));
            }
        }
    }
}

static void forward_chunk(void *context, size_t chunk, unsigned worker) {
    (void)worker;
    move_rows(context, chunk, false);
}

static void backward_chunk(void *context, size_t chunk, unsigned worker) {
    (void)worker;
    move_rows(context, chunk, true);
}

static size_t bands(const fov_step *step) {
    const size_t *x = step->node->input[0]->shape.dim;
    return x[0] * (x[1] / ((const patchify_attr *)step->node->attr)->patch);
}

static void forward(const fov_step *step) {
    fov_pool_for(step->pool, bands(step), forward_chunk, (void *)step);
}

static void backward(const fov_step *step) {
    if (step->grad_in[0] != NULL) {
        fov_pool_for(step->pool, bands(step), backward_chunk, (void *)step);
    }
}

static fov_cost cost(const fov_node *node) {
    return fov_token_move_cost(node, 0.0, 0.0);
}

const fov_op fov_op_patchify = {
    .name = "patchify", .infer = infer, .forward = forward, .backward = backward, .cost = cost, .reads = 0, .inplace = -1};

fov_node *fov_patchify(fov_graph *g, fov_node *x, size_t patch) {
    const patchify_attr attr = {.patch = patch};
    return fov_graph_add(g, &fov_op_patchify, &attr, sizeof attr, (fov_node *const[]){x}, 1, 1);
}
