/* NT-Xent, the loss of SimCLR (Chen et al. 2020, eq. 1), as the mean over all 2 n rows: with s_ij = z_i . z_j / T,
 *     loss = 1 / (2 n) sum_i [ log sum_{j != i} exp s_ij - s_i,pos(i) ],   pos(i) = i + n mod 2 n.
 *
 * The [2 n, 2 n] logits are made in blocks of 64 rows in a worker's scratch and only log-sum-exp of each row is kept. As s is
 * symmetric, the gradient through z_i as row and as column needs the same block:
 *     dloss/dz_i = 1 / (2 n T) sum_j a_ij z_j,   a_ij = exp(s_ij - lse_i) + exp(s_ij - lse_j) - 2 [j = pos(i)],   a_ii = 0,
 * so each chunk writes its own rows and nothing is added across chunks. */
#include <math.h>

#include "kernels/gemm.h"
#include "ops/token_shared.h"

#define BLOCK_ROWS 64

typedef struct nt_xent_attr {
    double temperature;
} nt_xent_attr;

static size_t chunks_of(size_t rows) {
    return (rows + BLOCK_ROWS - 1) / BLOCK_ROWS;
}

static fov_status infer(fov_node *node) {
    const double temperature = ((const nt_xent_attr *)node->attr)->temperature;
    FOV_TRY(fov_token_check(node, 0, "features [2 n, d]", 2, FOV_DTYPE_REAL));
    const size_t *z = node->input[0]->shape.dim;
    if (z[0] % 2 != 0) {
        return FOV_FAIL(FOV_E_INVALID, "needs an even number of rows, first views then second, got [%zu, %zu]", z[0], z[1]);
    }
    if (!(temperature > 0.0) || !isfinite(temperature)) {
        return FOV_FAIL(FOV_E_INVALID, "needs a temperature above 0, got %g", temperature);
    }
    const size_t block = z[0] < BLOCK_ROWS ? z[0] : BLOCK_ROWS;
    FOV_TRY(fov_token_bytes(&node->stash_bytes, (const size_t[]){z[0], sizeof(fov_real)}, 2));
    FOV_TRY(fov_token_bytes(&node->worker_work, (const size_t[]){block, z[0], sizeof(fov_real)}, 3));
    FOV_TRY(fov_token_bytes(&node->forward_work, (const size_t[]){z[0], sizeof(fov_real) + sizeof(double)}, 2));
    return fov_token_output(node, (fov_shape){.rank = 0});
}

/* s[rows, all] = z[first..] z^T / T, with the self logits at minus infinity. */
static void block_logits(const fov_step *step, fov_real *s, size_t first, size_t rows) {
    const size_t *shape = step->node->input[0]->shape.dim;
    const fov_real *z = step->in[0];
    const double temperature = ((const nt_xent_attr *)step->node->attr)->temperature;
    const fov_matrix a = {.data = z + first * shape[1], .stride = shape[1], .transposed = false};
    const fov_matrix b = {.data = z, .stride = shape[1], .transposed = true};
    fov_gemm_serial(s, shape[0], a, b, rows, shape[0], shape[1], (fov_real)(1.0 / temperature), 0);
    for (size_t i = 0; i < rows; i++) {
        s[i * shape[0] + first + i] = -(fov_real)INFINITY;
    }
}

static size_t partner(size_t row, size_t all) {
    return row < all / 2 ? row + all / 2 : row - all / 2;
}

static size_t block_rows(size_t first, size_t all) {
    return all - first < BLOCK_ROWS ? all - first : BLOCK_ROWS;
}

static void forward_chunk(void *context, size_t chunk, unsigned worker) {
    const fov_step *step = context;
    const size_t all = step->node->input[0]->shape.dim[0];
    const size_t first = chunk * BLOCK_ROWS;
    const size_t rows = block_rows(first, all);
    double *sums = step->work;
    fov_real *lse = (step->stash != NULL ? (fov_real *)step->stash : (fov_real *)(void *)(sums + all)) + first;
    fov_real *s = fov_step_worker(step, worker);
    block_logits(step, s, first, rows);
    step->k->lse_rows(lse, s, rows, all);
    double sum = 0.0;
    for (size_t i = 0; i < rows; i++) {
        sum += (double)lse[i] - (double)s[i * all + partner(first + i, all)];
    }
    sums[chunk] = sum;
}

static void backward_chunk(void *context, size_t chunk, unsigned worker) {
    const fov_step *step = context;
    const size_t *shape = step->node->input[0]->shape.dim;
    const size_t all = shape[0];
    const double temperature = ((const nt_xent_attr *)step->node->attr)->temperature;
    const size_t first = chunk * BLOCK_ROWS;
    const size_t rows = block_rows(first, all);
    const fov_real *lse = step->stash;
    fov_real *a = fov_step_worker(step, worker);
    block_logits(step, a, first, rows);
    for (size_t i = 0; i < rows; i++) {
        step->k->softmax_both_ways(a + i * all, lse[first + i], lse, all);
        a[i * all + partner(first + i, all)] -= 2;
    }
    const double factor = (double)step->grad_out[0] / (temperature * (double)all);
    const fov_matrix left = {.data = a, .stride = all, .transposed = false};
    const fov_matrix right = {.data = step->in[0], .stride = shape[1], .transposed = false};
    fov_gemm_serial(step->grad_in[0] + first * shape[1], shape[1], left, right, rows, shape[1], all, (fov_real)factor,
                    step->accumulate[0] ? 1 : 0);
}

static void forward(const fov_step *step) {
    const size_t all = step->node->input[0]->shape.dim[0];
    fov_pool_for(step->pool, chunks_of(all), forward_chunk, (void *)step);
    const double *sums = step->work;
    double sum = 0.0;
    for (size_t i = 0; i < chunks_of(all); i++) {
        sum += sums[i];
    }
    *(fov_real *)step->out = (fov_real)(sum / (double)all);
}

static void backward(const fov_step *step) {
    if (step->grad_in[0] != NULL) {
        fov_pool_for(step->pool, chunks_of(step->node->input[0]->shape.dim[0]), backward_chunk, (void *)step);
    }
}

static fov_cost cost(const fov_node *node) {
    const double rows = (double)node->input[0]->shape.dim[0];
    const double width = (double)node->input[0]->shape.dim[1];
    const double product = 2.0 * rows * rows * width;
    const double bytes = rows * width * (double)sizeof(fov_real);
    return (fov_cost){.forward_flops = product + 8.0 * rows * rows,
                      .backward_flops = 2.0 * product + 16.0 * rows * rows,
                      .forward_bytes = bytes,
                      .backward_bytes = 2.0 * bytes};
}

const fov_op fov_op_nt_xent = {.name = "nt_xent",
                               .infer = infer,
                               .forward = forward,
                               .backward = backward,
                               .cost = cost,
                               .reads = FOV_READS_IN(0),
                               .inplace = -1};

fov_node *fov_nt_xent(fov_graph *g, fov_node *z, double temperature) {
    const nt_xent_attr attr = {.temperature = temperature};
    return fov_graph_add(g, &fov_op_nt_xent, &attr, sizeof attr, (fov_node *const[]){z}, 1, 1);
}
