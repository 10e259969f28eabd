/* Convolution with a 1 x 1 window: one product over pixels in each pass.
 *
 * With stride 1 pixels are multiplied as they lie. With a larger stride the pixels that take part are gathered side by side, just before a
 * part of the product reads them; going back, a part of the product is scattered while it is in cache, with zeros for the pixels between.
 *
 * Parts run passes of neighbouring steps (fov_op.joins) on their rows. */
#include <string.h>

#include "base/checked.h"
#include "kernels/gemm.h"
#include "ops/conv.h"
#include "ops/row_shared.h"

/* Whole vectors and cache lines, so that what follows in `work` is aligned. */
enum { ALIGN_REALS = 16 };

typedef struct point {
    const fov_step *step;
    const fov_conv *c;
    const fov_product *product;
    const fov_real *in;
    fov_real *pixels; /* [n oh ow, ci]: those that take part */
    fov_real *din;
    bool add;
} point;

bool fov_point_suits(const fov_conv *c) {
    return c->kh == 1 && c->kw == 1 && c->pad == 0;
}

static size_t rows_of(const fov_conv *c) {
    return c->n * c->oh * c->ow;
}

static size_t pixel_bytes(const fov_conv *c) {
    return c->stride == 1 ? 0 : (rows_of(c) * c->ci + ALIGN_REALS - 1) / ALIGN_REALS * ALIGN_REALS * sizeof(fov_real);
}

/* The input's pixel of row `row` of the product. */
static size_t pixel_at(const fov_conv *c, size_t row) {
    const size_t x = row % c->ow, y = row / c->ow % c->oh, image = row / (c->ow * c->oh);
    return (image * c->h + y * c->stride) * c->w + x * c->stride;
}

static void gather(const point *p, size_t first, size_t rows) {
    const size_t ci = p->c->ci;
    for (size_t row = first; row < first + rows; row++) {
        memcpy(p->pixels + row * ci, p->in + pixel_at(p->c, row) * ci, ci * sizeof *p->pixels);
    }
}

static void gather_part(void *context, size_t part) {
    const point *p = context;
    size_t first, rows;
    fov_product_part(p->product, part, &first, &rows);
    gather(p, first, rows);
}

static void gather_line(void *context, size_t line, unsigned worker) {
    (void)worker;
    const point *p = context;
    gather(p, line * p->c->ow, p->c->ow);
}

/* One row of the product to its pixel, zeros to those before the next. */
static void scatter_row(const point *p, size_t row) {
    const fov_conv *c = p->c;
    const size_t ci = c->ci, y = row / c->ow % c->oh * c->stride, x = row % c->ow * c->stride;
    const size_t high = c->h - y < c->stride ? c->h - y : c->stride, wide = c->w - x < c->stride ? c->w - x : c->stride;
    fov_real *to = p->din + pixel_at(c, row) * ci;
    const fov_real *from = p->pixels + row * ci;
    if (p->add) {
        fov_kernels_get()->accumulate(to, from, ci);
        return;
    }
    memcpy(to, from, ci * sizeof *to);
    memset(to + ci, 0, (wide - 1) * ci * sizeof *to);
    for (size_t i = 1; i < high; i++) {
        memset(to + i * c->w * ci, 0, wide * ci * sizeof *to);
    }
}

static void scatter_part(void *context, size_t part) {
    const point *p = context;
    size_t first, rows;
    fov_product_part(p->product, part, &first, &rows);
    for (size_t row = first; row < first + rows; row++) {
        scatter_row(p, row);
    }
}

static void last_rows(void *context, size_t row, size_t rows, fov_real *to) {
    const fov_step *before = ((const point *)context)->step->before;
    before->node->op->row_passes->last(before, row, rows, to);
}

static void rebuilt_rows(void *context, size_t row, size_t rows, fov_real *to) {
    const fov_step *rebuilt = ((const point *)context)->step->rebuilt;
    rebuilt->node->op->row_passes->last(rebuilt, row, rows, to);
}

static void first_part(void *context, size_t part) {
    const point *p = context;
    p->step->after->node->op->row_passes->first(p->step->after, part);
}

/* Makes the product's parts run what the step runs of its neighbours. Whether rows of A are made, and may live in the product alone. */
static bool join(const fov_step *step, fov_product *product) {
    bool only_written = false;
    if (step->before != NULL) {
        product->make = last_rows;
        only_written = step->before->node->op->row_passes->start(step->before, true, product->make_reads);
    }
    if (step->after != NULL) {
        const fov_row_passes *passes = step->after->node->op->row_passes;
        product->after = first_part;
        FOV_ASSERT(product->part_rows == 0 || product->part_rows == passes->chunk(step->after->node));
        product->part_rows = passes->chunk(step->after->node);
        (void)passes->start(step->after, false, product->after_reads);
    }
    return only_written;
}

static fov_product forward_product(const fov_conv *c, const fov_real *in, const fov_real *weight) {
    return (fov_product){.a = {in, c->ci, false}, .b = {weight, c->ci, true}, .c_stride = c->co, .m = rows_of(c), .n = c->co, .k = c->ci};
}

static fov_product input_product(const fov_conv *c, const fov_real *dout, const fov_real *weight) {
    return (fov_product){
        .a = {dout, c->co, false}, .b = {weight, c->ci, false}, .c_stride = c->ci, .m = rows_of(c), .n = c->ci, .k = c->co};
}

static fov_product weight_product(const fov_conv *c, const fov_real *dout, const fov_real *in) {
    return (fov_product){.a = {dout, c->co, true}, .b = {in, c->ci, false}, .c_stride = c->ci, .m = c->co, .n = c->ci, .k = rows_of(c)};
}

/* Both gradients at once, in parts that do not depend on whether a batch-norm's pass runs beside. */
static fov_product gradients_product(const fov_conv *c, const fov_real *dout, const fov_real *in, const fov_real *weight) {
    fov_product product = input_product(c, dout, weight);
    product.part_rows = fov_pass_rows(c->ci);
    product.e = in;
    product.e_columns = c->ci;
    return product;
}

static bool pairs(const fov_conv *c) {
    const fov_product product = gradients_product(c, NULL, NULL, NULL);
    return c->stride == 1 && fov_product_pairs(&product);
}

unsigned fov_point_joins(const fov_conv *c, bool backward) {
    if (!fov_product_bits_free()) {
        return 0U;
    }
    if (c->stride > 1) {
        return backward ? 0U : FOV_JOINS_FIRST;
    }
    return FOV_JOINS_LAST | FOV_JOINS_FIRST | (backward && pairs(c) ? FOV_JOINS_REBUILT : 0U);
}

fov_conv_bytes fov_point_forward_bytes(const fov_conv *c) {
    const fov_product p = forward_product(c, NULL, NULL);
    return (fov_conv_bytes){.work = pixel_bytes(c) + fov_product_work(&p)};
}

fov_conv_bytes fov_point_input_gradient_bytes(const fov_conv *c) {
    const fov_product p = input_product(c, NULL, NULL);
    return (fov_conv_bytes){.work = pixel_bytes(c) + fov_product_work(&p)};
}

fov_conv_bytes fov_point_weight_gradient_bytes(const fov_conv *c) {
    const fov_product p = weight_product(c, NULL, NULL), both = gradients_product(c, NULL, NULL, NULL);
    const size_t work = pairs(c) ? fov_product_work(&both) : 0;
    return (fov_conv_bytes){.work = fov_most_size(pixel_bytes(c) + fov_product_work(&p), work)};
}

static void *rest_of_work(const fov_step *step, const fov_conv *c) {
    return (unsigned char *)step->work + pixel_bytes(c);
}

void fov_point_forward(const fov_step *step, const fov_conv *c, fov_real *out, const fov_real *in, const fov_real *weight) {
    fov_product product = forward_product(c, c->stride == 1 ? in : step->work, weight);
    point p = {.step = step, .c = c, .product = &product, .in = in, .pixels = step->work};
    product.c = out;
    product.context = &p;
    product.before = c->stride == 1 ? NULL : gather_part;
    (void)join(step, &product);
    fov_product_run(step->pool, &product, rest_of_work(step, c));
}

void fov_point_input_gradient(const fov_step *step, const fov_conv *c, fov_real *din, const fov_real *dout, const fov_real *weight,
                              bool add) {
    fov_product product = input_product(c, dout, weight);
    point p = {.step = step, .c = c, .product = &product, .pixels = step->work, .din = din, .add = add};
    product.c = c->stride == 1 ? din : step->work;
    product.beta = c->stride == 1 && add ? 1 : 0;
    product.context = &p;
    product.after = c->stride == 1 ? NULL : scatter_part;
    (void)join(step, &product);
    fov_product_run(step->pool, &product, rest_of_work(step, c));
}

void fov_point_weight_gradient(const fov_step *step, const fov_conv *c, fov_real *dweight, const fov_real *dout, const fov_real *in,
                               bool add) {
    fov_product product = weight_product(c, dout, c->stride == 1 ? in : step->work);
    point p = {.c = c, .product = &product, .in = in, .pixels = step->work};
    product.c = dweight;
    product.beta = add ? 1 : 0;
    if (c->stride > 1) {
        fov_pool_for(step->pool, c->n * c->oh, gather_line, &p);
    }
    fov_product_run(step->pool, &product, rest_of_work(step, c));
}

bool fov_point_gradients(const fov_step *step, const fov_conv *c, const fov_conv_gradients *g) {
    if (!pairs(c)) {
        return false;
    }
    fov_product product = gradients_product(c, g->dout, g->in, g->weight);
    point p = {.step = step, .c = c, .product = &product};
    product.c = g->din;
    product.beta = g->add_in ? 1 : 0;
    product.d = g->dweight;
    product.d_beta = g->add_weight ? 1 : 0;
    product.context = &p;
    if (join(step, &product) && !g->dout_later) {
        product.a.data = NULL;
    }
    if (step->rebuilt != NULL) {
        product.e = NULL;
        product.make_e = rebuilt_rows;
        (void)step->rebuilt->node->op->row_passes->start(step->rebuilt, true, product.e_reads);
    }
    fov_product_run(step->pool, &product, step->work);
    return true;
}
