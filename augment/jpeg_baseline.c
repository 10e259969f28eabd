/* Baseline JPEG, fast: entropy decoding by table, and only the blocks that the box needs are transformed, upsampled and coloured.
 *
 * Data of one row of MCUs at a time: coefficients, then planes of the box, then the rows of pixels that are complete, so that the work set
 * stays in cache. Blocks left, right and above of the box are read past, since a code's place is known only from the codes before it; what
 * lies below the box is not read at all. libjpeg-turbo's rules that pixels depend on: ITU T.81, islow transform and triangle upsampling
 * (pixel_jpeg.c), edges repeated at the component's true width and height. */
#include "augment/jpeg_baseline.h"

#include <string.h>

#include "augment/jpeg_huffman.h"
#include "augment/pixels.h"
#include "base/checked.h"

#define GROUP FOV_JPEG_GROUP
#define GROUP_VALUES (64 * GROUP)
#define MARGIN 64       /* bytes before and after each row of a plane; the upsampling reads one */
#define MIN_SIDE 16     /* libjpeg has rules of its own for tiny frames */
#define MCUS_AT_ONCE 64 /* of files that come in pieces */
#define DC_BITS 11      /* and a sign; beyond them sums of differences are not an encoder's */

struct fov_baseline {
    const fov_pixel_loops *loops;
    fov_huffman_tables tables[FOV_JPEG_COMPONENTS];
    void *scratch;
    size_t scratch_bytes;
};

/* One component's part of the box: blocks [first_column, +columns) of each row of blocks. */
typedef struct plane {
    const fov_huffman_table *dc, *ac;
    const uint16_t *quant;
    unsigned h, v;
    size_t columns, groups;  /* blocks across the box, and groups of them */
    size_t width, height;    /* true size of the component */
    size_t first_x, first_y; /* of the component, where pixels[0] lies */
    size_t stride;
    uint8_t *pixels;
    int16_t *coefficients; /* [v][groups][GROUP_VALUES] */
    int32_t dc_value;
} plane;

/* One block of a row of MCUs, in the order of the data. */
typedef struct coded_block {
    int16_t *to;                      /* its place in a group, or one that nobody looks at but for the difference of its DC */
    const fov_huffman_entry *ac;      /* fast table for what follows its DC */
    const fov_huffman_entry *next_dc; /* of the block after it */
} coded_block;

typedef struct decoding {
    fov_baseline *baseline;
    const fov_jpeg_frame *frame;
    const fov_jpeg_box *box;
    unsigned h, v;                /* blocks across and down an MCU */
    size_t mcu_columns, mcu_rows; /* of the frame */
    size_t mcu_blocks;
    size_t first_column, last_column, first_row, last_row; /* MCUs that the box needs */
    plane plane[FOV_JPEG_COMPONENTS];
    uint8_t *chroma[2]; /* one upsampled row each, or sums of two rows */
    uint8_t *color;     /* a row of each colour, before they are joined */
    int16_t *passed;    /* for blocks nobody looks at: the first coefficient of each, and one block more */
    coded_block *block; /* [mcu_columns][mcu_blocks] */
    fov_bits bits;
    size_t until_restart;
    unsigned next_restart;
    fov_jpeg_rows_fn rows;
    void *context;
    uint8_t *rgb;  /* place of the next row, */
    size_t places; /* and how many there are */
    size_t next_y; /* next row of pixels to make, in the frame */
} decoding;

fov_status fov_baseline_new(fov_baseline **baseline) {
    *baseline = fov_mem_zalloc(FOV_MEM_IMAGE, sizeof **baseline);
    FOV_TRY_ALLOC(*baseline);
    (*baseline)->loops = fov_pixel_loops_get();
    return FOV_OK;
}

void fov_baseline_free(fov_baseline *baseline) {
    if (baseline != NULL) {
        fov_mem_free(baseline->scratch);
        fov_mem_free(baseline);
    }
}

bool fov_baseline_takes(const fov_baseline *baseline, const fov_jpeg_frame *frame) {
    const fov_jpeg_component *c = frame->component;
    if (!baseline->loops->jpeg || frame->width < MIN_SIDE || frame->height < MIN_SIDE) {
        return false;
    }
    for (unsigned i = 0; i < frame->component_count; i++) {
        for (unsigned k = 0; k < 64; k++) {
            if (c[i].quant[k] > 255) {
                return false; /* a product with it could wrap where libjpeg looks before it multiplies */
            }
        }
    }
    if (frame->component_count == 1) {
        return c[0].h == 1 && c[0].v == 1;
    }
    const bool plain = c[1].h == 1 && c[1].v == 1 && c[2].h == 1 && c[2].v == 1;
    return frame->component_count == 3 && plain && (c[0].h == 1 || c[0].h == 2) && (c[0].v == 1 || (c[0].v == 2 && c[0].h == 2));
}

/* ---- tables ---- */

/* Which of our tables serve a component: both chroma components nearly always name the same. */
static unsigned table_of(const fov_jpeg_frame *frame, unsigned c) {
    const fov_jpeg_component *a = &frame->component[1], *b = &frame->component[2];
    return c == 2 && a->dc_counts == b->dc_counts && a->ac_counts == b->ac_counts ? 1 : c;
}

static bool make_tables(fov_baseline *baseline, const fov_jpeg_frame *frame) {
    for (unsigned c = 0; c < frame->component_count; c++) {
        const fov_jpeg_component *component = &frame->component[c];
        const unsigned t = table_of(frame, c);
        if (t == c && !fov_huffman_make(&baseline->tables[t], component->dc_counts, component->dc_symbols, component->ac_counts,
                                        component->ac_symbols, frame->size)) {
            return false;
        }
    }
    return true;
}

/* ---- geometry ---- */

static size_t up(size_t a, size_t b) {
    return (a + b - 1) / b;
}

/* MCUs that hold the pixels [from, from + count) and, where chroma is subsampled, its neighbours. */
static void mcu_range(size_t from, size_t count, unsigned factor, size_t mcus, size_t *first, size_t *last) {
    const size_t side = (size_t)8 * factor, context = factor == 2 ? 2 : 0;
    *first = (from < context ? 0 : from - context) / side;
    *last = (from + count - 1 + context) / side;
    *last = *last < mcus ? *last : mcus - 1;
}

static void lay_out(decoding *d) {
    const fov_jpeg_frame *frame = d->frame;
    d->h = frame->component[0].h;
    d->v = frame->component[0].v;
    d->mcu_columns = up(frame->width, (size_t)8 * d->h);
    d->mcu_rows = up(frame->height, (size_t)8 * d->v);
    if (d->box != NULL) {
        mcu_range(d->box->left, d->box->width, d->h, d->mcu_columns, &d->first_column, &d->last_column);
        mcu_range(d->box->top, d->box->height, d->v, d->mcu_rows, &d->first_row, &d->last_row);
    } else {
        d->first_row = d->mcu_rows;
        d->last_row = d->mcu_rows - 1;
    }
    for (unsigned c = 0; c < frame->component_count; c++) {
        plane *p = &d->plane[c];
        const fov_huffman_tables *tables = &d->baseline->tables[table_of(frame, c)];
        p->dc = &tables->dc;
        p->ac = &tables->ac;
        p->quant = frame->component[c].quant;
        p->h = frame->component[c].h;
        p->v = frame->component[c].v;
        p->columns = (d->last_column - d->first_column + 1) * p->h;
        p->groups = up(p->columns, GROUP);
        p->width = up(frame->width * p->h, d->h);
        p->height = up(frame->height * p->v, d->v);
        p->first_x = d->first_column * p->h * 8;
        p->first_y = d->first_row * p->v * 8;
        p->stride = p->groups * GROUP * 8 + (size_t)2 * MARGIN;
        d->mcu_blocks += (size_t)p->h * p->v;
    }
}

/* Rows of a plane that are kept, 16 or 32: of two MCUs, since the pixels of one look at the chroma above it. */
static size_t ring_rows(const plane *p) {
    return (size_t)2 * 8 * p->v;
}

static uint8_t *row_at(const plane *p, size_t y) {
    return p->pixels + ((y - p->first_y) & (ring_rows(p) - 1)) * p->stride; /* a division would show */
}

/* Takes `count` x `size` bytes of the block that is being laid out, from *used on. */
static bool reserve(size_t *used, size_t *at, size_t count, size_t size) {
    size_t bytes;
    *at = *used;
    return fov_mul_size(count, size, &bytes) && fov_add_size(*used, bytes, used) && fov_round_up(*used, FOV_ALIGN, used);
}

static fov_status make_room(decoding *d) {
    fov_baseline *b = d->baseline;
    const size_t chroma_bytes = d->plane[0].stride + MARGIN;
    size_t used = 0, pixels[FOV_JPEG_COMPONENTS], coefficients[FOV_JPEG_COMPONENTS];
    size_t chroma = 0, color = 0, passed = 0, block = 0;
    const size_t blocks = d->mcu_columns * d->mcu_blocks;
    bool fits = true;
    for (unsigned c = 0; c < d->frame->component_count; c++) {
        const plane *p = &d->plane[c];
        fits = fits && reserve(&used, &pixels[c], ring_rows(p), p->stride) &&
               reserve(&used, &coefficients[c], p->v * p->groups, GROUP_VALUES * sizeof(int16_t));
    }
    fits = fits && reserve(&used, &chroma, 2, chroma_bytes) && reserve(&used, &color, 3, d->plane[0].stride) &&
           reserve(&used, &passed, blocks + GROUP_VALUES, sizeof(int16_t)) && reserve(&used, &block, blocks, sizeof *d->block);
    if (!fits || used > b->scratch_bytes) {
        fov_mem_free(b->scratch);
        b->scratch_bytes = 0;
        b->scratch = fov_mem_alloc(FOV_MEM_IMAGE, fits ? used : SIZE_MAX);
        FOV_TRY_ALLOC(b->scratch);
        b->scratch_bytes = used;
    }
    uint8_t *base = b->scratch;
    for (unsigned c = 0; c < d->frame->component_count; c++) {
        plane *p = &d->plane[c];
        p->pixels = base + pixels[c] + MARGIN;
        p->coefficients = (int16_t *)(void *)(base + coefficients[c]);
        memset(p->coefficients, 0, p->v * p->groups * GROUP_VALUES * sizeof *p->coefficients);
    }
    d->chroma[0] = base + chroma;
    d->chroma[1] = base + chroma + chroma_bytes;
    d->color = base + color;
    d->passed = (int16_t *)(void *)(base + passed);
    d->block = (coded_block *)(void *)(base + block);
    return FOV_OK;
}

/* ---- entropy-coded data ---- */

/* The place in a block of what is read next, plus 64. Moves are added to it in 8 bits: the sign then says that the block is over. */
#define FIRST_PLACE 64

/* Where coefficient k of the zigzag lies in a group, [row][block][column], counted from 1. */
#define AT(row, column) (1 + (row)*8 * GROUP + (column))
#define ZIGZAG_BUT_LAST                                                                                                                    \
    AT(0, 0), AT(0, 1), AT(1, 0), AT(2, 0), AT(1, 1), AT(0, 2), AT(0, 3), AT(1, 2), AT(2, 1), AT(3, 0), AT(4, 0), AT(3, 1), AT(2, 2),      \
        AT(1, 3), AT(0, 4), AT(0, 5), AT(1, 4), AT(2, 3), AT(3, 2), AT(4, 1), AT(5, 0), AT(6, 0), AT(5, 1), AT(4, 2), AT(3, 3), AT(2, 4),  \
        AT(1, 5), AT(0, 6), AT(0, 7), AT(1, 6), AT(2, 5), AT(3, 4), AT(4, 3), AT(5, 2), AT(6, 1), AT(7, 0), AT(7, 1), AT(6, 2), AT(5, 3),  \
        AT(4, 4), AT(3, 5), AT(2, 6), AT(1, 7), AT(2, 7), AT(3, 6), AT(4, 5), AT(5, 4), AT(6, 3), AT(7, 2), AT(7, 3), AT(6, 4), AT(5, 5),  \
        AT(4, 6), AT(3, 7), AT(4, 7), AT(5, 6), AT(6, 5), AT(7, 4), AT(7, 5), AT(6, 6), AT(5, 7), AT(6, 7), AT(7, 6)
#define ZIGZAG ZIGZAG_BUT_LAST, AT(7, 7)
#define LAST (FIRST_PLACE + 1 + 63) /* where the last coefficient leads to */
#define OF_END (FIRST_PLACE + 1 + MOVE_TO_END)
/* By where a symbol led to: the place before, whether a block goes on there or not. 0: a block was overrun, or it was full, where its end
 * is not coded: what looks like that, or like a second symbol, belongs to the next block. */
static const uint8_t places[256] = {[FIRST_PLACE + 1] = ZIGZAG, [OF_END] = ZIGZAG_BUT_LAST};

/* A restart: the bits left over are padding, and the marker that is due stands right behind them. */
static bool restart(decoding *d) {
    fov_bits *b = &d->bits;
    if (b->count < b->invented) {
        return false;
    }
    /* Bytes that were read ahead are given back: none, since reading stops at a marker; what is left are bits of the last byte. */
    if (b->count - b->invented >= 8 || b->end - b->at < 2 || b->at[0] != 0xFF || b->at[1] != 0xD0 + d->next_restart) {
        return false;
    }
    *b = (fov_bits){.at = b->at + 2, .end = b->end};
    d->next_restart = (d->next_restart + 1) % 8;
    d->until_restart = d->frame->restart_interval;
    for (unsigned c = 0; c < d->frame->component_count; c++) {
        d->plane[c].dc_value = 0;
    }
    return true;
}

#define STEPS (FILLED / LOOK) /* that need no filling */

/* Takes a code that no entry can give as a whole; false when there is no such code, or the block is overrun. */
static inline __attribute__((always_inline)) bool take_slowly(fov_bits *b, fov_huffman_entry entry, const fov_huffman_entry **table,
                                                              size_t *place, coded_block **k) {
    coded_block *const here = *k;
    fill_bits(b); /* the same entry, with all bits that it may ask for */
    const fov_slow_code code = fov_huffman_read_slowly(b->word, (const fov_huffman_table *)(const void *)*table, entry);
    const size_t to = *place + code.move;
    if (code.move == 0 || (to > LAST && to < OF_END)) {
        return false;
    }
    b->word <<= code.bits;
    b->count = (int)((uint32_t)b->count - code.bits);
    here->to[(size_t)(places + 1)[*place] - 1] = code.move == 1 ? code.value : 0;
    here->to[places[to < LAST ? to : LAST] - 1] = code.value;
    *table = to < LAST ? here->ac : here->next_dc;
    *place = to < LAST ? to : FIRST_PLACE;
    *k += to >= LAST;
    return true;
}

/* Blocks from `k` to `end` of the row's, which begin an MCU; false when the data make no sense.
 *
 * What costs is not work but guesses of the processor that fail, so that the ends of blocks are no branches: one loop runs over the symbols
 * of all blocks and takes the next block's things where one is over. Where a block is over by its own symbol, that symbol writes 0 where
 * the next coefficient would lie. A function of its own, with a copy of the bits: all that the loop needs then fits in registers. */
static __attribute__((noinline)) FOV_JPEG_TARGET bool read_blocks(fov_bits *bits, const fov_huffman_entry *table, coded_block *k,
                                                                  const coded_block *end) {
    static const size_t start = FIRST_PLACE;
    fov_bits b = *bits;
    size_t place = start;
    while (k < end) {
        fov_huffman_entry entry = 0;
        size_t last = FIRST_PLACE;
        fill_bits(&b);
        FOV_JPEG_UNROLL
        for (int step = 0; step < STEPS && k != end; step++) {
            const size_t index = peek(&b, LOOK);
            const int8_t *const bytes = (const int8_t *)(const void *)(table + index); /* to be had without shifts */
            coded_block *const here = k, *next = k;
            const fov_huffman_entry *next_table = here->ac;
            size_t to, next_place = place;
            FOV_MOVE_ON(entry, table, index, to, next_place, start, next_table, here->next_dc, next, here + 1);
            last = places[to];
            if (__builtin_expect(last == 0, 0)) {
                break;
            }
            b.word <<= entry & 63;
            b.count = (int)((uint32_t)b.count - entry); /* right modulo 64 */
            here->to[(size_t)(places + 1)[place] - 1] = bytes[ENTRY_BYTE(1)];
            here->to[last - 1] = bytes[ENTRY_BYTE(2)];
            table = next_table;
            place = next_place;
            k = next;
        }
        if (last == 0 && !take_slowly(&b, entry, &table, &place, &k)) {
            return false;
        }
    }
    b.count &= 63;
    *bits = b;
    return true;
}

/* DC of the blocks of whole MCUs from their differences; false when it is none an encoder writes. */
static bool finish_blocks(decoding *d, const coded_block *first, const coded_block *end) {
    uint32_t sizes = 0; /* bits that any DC has, or its complement */
    for (unsigned c = 0; c < d->frame->component_count; c++) {
        plane *p = &d->plane[c];
        const size_t count = (size_t)p->h * p->v, blocks = d->mcu_blocks;
        int32_t dc = p->dc_value;
        for (const coded_block *mcu = first; mcu < end; mcu += blocks) {
            for (const coded_block *k = mcu; k < mcu + count; k++) {
                dc += k->to[0];
                k->to[0] = (int16_t)dc;
                sizes |= (uint32_t)(dc ^ dc >> 31);
            }
        }
        p->dc_value = dc;
        first += count;
        end += count;
    }
    return sizes >> DC_BITS == 0;
}

/* Where the blocks of a row of MCUs go; `wanted` says whether any of them is looked at. */
static void lay_blocks(decoding *d, bool wanted) {
    coded_block *k = d->block;
    for (size_t column = 0; column < d->mcu_columns; column++) {
        const bool keep = wanted && column >= d->first_column && column <= d->last_column;
        for (unsigned c = 0; c < d->frame->component_count; c++) {
            plane *p = &d->plane[c];
            const plane *after = &d->plane[c + 1 < d->frame->component_count ? c + 1 : 0];
            for (size_t i = 0; i < (size_t)p->v * p->h; i++, k++) {
                const size_t across = (column - d->first_column) * p->h + i % p->h, group = i / p->h * p->groups + across / GROUP;
                k->to = keep ? p->coefficients + group * GROUP_VALUES + across % GROUP * 8 : d->passed + (k - d->block);
                k->ac = p->ac->fast;
                k->next_dc = (i + 1 < (size_t)p->v * p->h ? p : after)->dc->fast;
            }
        }
    }
}

/* Sees to it that the bytes of the next *count MCUs are there, or of fewer, which it says. Of a block no more than a DC and 63 ACs is read,
 * each of 16 + 11 bits at most, and each byte may be stuffed; the rest is for restarts and for bits that are filled ahead. */
static bool more_bytes(decoding *d, size_t *count) {
    const size_t most = (size_t)(64 * 27 / 8) * 2 * d->mcu_blocks;
    *count = *count < MCUS_AT_ONCE ? *count : MCUS_AT_ONCE;
    return d->frame->more(d->context, &d->bits.at, &d->bits.end, *count * most + 64);
}

static bool read_mcu_row(decoding *d, size_t row) {
    const bool wanted = row >= d->first_row;
    if (row == 0 || row == d->first_row) {
        lay_blocks(d, wanted);
    }
    const bool ends = row == d->last_row && row + 1 < d->mcu_rows; /* nothing after the box is needed */
    const size_t columns = ends ? d->last_column + 1 : d->mcu_columns, blocks = d->mcu_blocks;
    for (size_t column = 0, count; column < columns; column += count) {
        count = columns - column;
        if (d->frame->more != NULL && !more_bytes(d, &count)) {
            return false;
        }
        if (d->frame->restart_interval > 0) {
            if (d->until_restart == 0 && !restart(d)) {
                return false;
            }
            count = count < d->until_restart ? count : d->until_restart;
            d->until_restart -= count;
        }
        coded_block *from = d->block + column * blocks, *end = from + count * blocks;
        if (!read_blocks(&d->bits, d->plane[0].dc->fast, from, end) || !finish_blocks(d, from, end)) {
            return false;
        }
    }
    return d->bits.count >= d->bits.invented;
}

/* After the last MCU: bits of padding, then the end of the image. */
static bool ends_well(const decoding *d) {
    const fov_bits *b = &d->bits;
    return b->count - b->invented < 8 && b->end - b->at >= 2 && b->at[0] == 0xFF && b->at[1] == 0xD9;
}

/* ---- pixels ---- */

/* Repeats the first and last samples of a row where the component itself ends. */
static void extend_row(const plane *p, uint8_t *row) {
    row[-1] = row[0]; /* right only at the left edge of the frame; elsewhere nobody reads it */
    if (p->first_x + p->columns * 8 >= p->width) {
        row[p->width - p->first_x] = row[p->width - p->first_x - 1];
    }
}

static void transform_row(decoding *d, size_t row) {
    for (unsigned c = 0; c < d->frame->component_count; c++) {
        plane *p = &d->plane[c];
        for (size_t y = 0; y < p->v; y++) {
            uint8_t *out = row_at(p, (row * p->v + y) * 8);
            for (size_t g = 0; g < p->groups; g++) {
                d->baseline->loops->pixel_idct(p->coefficients + (y * p->groups + g) * GROUP_VALUES, p->quant, out + g * GROUP * 8,
                                               p->stride);
            }
            for (size_t r = 0; r < 8; r++) {
                extend_row(p, out + r * p->stride);
            }
        }
    }
}

static const uint8_t *row_of(const plane *p, size_t y) {
    return row_at(p, y < p->height ? y : p->height - 1);
}

/* One chroma component at the resolution of row y; the sample of the box's first pixel. */
static const uint8_t *chroma_row(const decoding *d, unsigned c, size_t y) {
    const plane *p = &d->plane[c];
    const size_t left = d->box->left;
    if (d->h == 1) {
        return row_of(p, y) + (left - p->first_x);
    }
    const size_t first = left / 2, count = (left + d->box->width - 1) / 2 - first + 1;
    uint8_t *out = d->chroma[c - 1];
    d->baseline->loops->pixel_chroma_h2v1(row_of(p, y) + (first - p->first_x) - 1, count, out);
    return out + left % 2;
}

/* Row y, whose chroma lies between two rows. */
static void color_between(const decoding *d, const uint8_t *luma, size_t y, uint8_t *const *rgb) {
    const size_t near = y / 2, far = y % 2 == 1 ? near + 1 : near > 0 ? near - 1 : 0, left = d->box->left;
    const uint8_t *rows[4];
    int16_t *const sums[2] = {(int16_t *)(void *)d->chroma[0], (int16_t *)(void *)d->chroma[1]};
    for (size_t c = 0; c < 2; c++) {
        const plane *p = &d->plane[c + 1];
        rows[2 * c] = row_of(p, near) + (left / 2 - p->first_x) - 1;
        rows[2 * c + 1] = row_of(p, far) + (left / 2 - p->first_x) - 1;
    }
    d->baseline->loops->pixel_ycc_h2v2(luma, rows, left % 2, d->box->width, sums, rgb);
}

/* Row y, to d->rgb. */
static void make_row(const decoding *d, size_t y) {
    const fov_pixel_loops *const loops = d->baseline->loops;
    const uint8_t *luma = row_of(&d->plane[0], y) + (d->box->left - d->plane[0].first_x);
    const size_t width = d->box->width, apart = d->box->planar ? width : d->plane[0].stride;
    uint8_t *const first = d->box->planar ? d->rgb : d->color;
    uint8_t *const rgb[3] = {first, first + apart, first + 2 * apart};
    if (d->frame->component_count == 1) {
        for (size_t c = 0; c < 3; c++) {
            memcpy(rgb[c], luma, width);
        }
    } else if (d->v == 2) {
        color_between(d, luma, y, rgb);
    } else {
        loops->pixel_ycc(luma, chroma_row(d, 1, y), chroma_row(d, 2, y), width, rgb);
    }
    if (!d->box->planar) {
        loops->pixel_join((const uint8_t *const *)rgb, width, d->rgb);
    }
}

static bool make_pixels(decoding *d, size_t end) {
    const size_t bottom = d->box->top + d->box->height, stop = end < bottom ? end : bottom;
    for (; d->next_y < stop; d->next_y++) {
        const size_t y = d->next_y;
        if (d->places == 0) {
            d->places = bottom - y;
            d->rgb = d->rows(d->context, y - d->box->top, &d->places);
            if (d->rgb == NULL) {
                return false;
            }
        }
        make_row(d, y);
        d->rgb += d->box->width * 3;
        d->places--;
    }
    return true;
}

static bool decode(decoding *d) {
    for (size_t row = 0; row <= d->last_row; row++) {
        if (!read_mcu_row(d, row)) {
            return false;
        }
        if (row >= d->first_row) {
            transform_row(d, row);
            /* the last row of an MCU looks at chroma of the next one */
            if (!make_pixels(d, row == d->last_row ? SIZE_MAX : (row + 1) * 8 * d->v - (d->v == 2 ? 1 : 0))) {
                return false;
            }
        }
    }
    return d->last_row + 1 < d->mcu_rows || ends_well(d);
}

fov_status fov_baseline_decode(fov_baseline *baseline, const fov_jpeg_frame *frame, const fov_jpeg_box *box, fov_jpeg_rows_fn rows,
                               void *context, bool *done) {
    decoding d = {.baseline = baseline,
                  .frame = frame,
                  .box = box,
                  .bits = {.at = frame->bytes, .end = frame->bytes + frame->size},
                  .until_restart = frame->restart_interval,
                  .rows = rows,
                  .context = context,
                  .next_y = box == NULL ? 0 : box->top};
    *done = false;
    if (!make_tables(baseline, frame)) {
        return FOV_OK;
    }
    lay_out(&d);
    FOV_TRY(make_room(&d));
    *done = decode(&d);
    return FOV_OK;
}
