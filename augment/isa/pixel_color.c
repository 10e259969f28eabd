/* Inner loops of the colour steps: grey, saturation and hue with Pillow's roundings. They work on 64 pixels at a time, split into planes,
 * without branches; the last pixels of a row go through a tile of their own.
 *
 * Hue: Pillow goes to HSV and back in a mixture of float and double, which the portable build follows. The other builds use integers and
 * single floats that give the same bytes, found by analysis and proved over all 2^24 colours and all 256 shifts of hue apart
 * (tests/unit/test_pixels_hue.c):
 *   - one of (high - first) / range and (high - second) / range is 1, so their difference to the base is one sum of floats;
 *   - the quotient by 6 and the product by 255 may be rounded to float without ever crossing a whole number;
 *   - with hue h, 6 h / 255 = sector + g / 85, so that the middle channel is v (255 85 - s g') / (255 85) rounded, g' being g or
 *     85 - g: an integer below 2^23 times a reciprocal. It is never halfway between two bytes, since 255 85 is odd. */
#include <string.h>

#include "augment/isa/pixel_planes.h"

#define TILE FOV_PLANE

#if FOV_ISA_LEVEL == 0

static inline int32_t grey_of(int32_t r, int32_t g, int32_t b) {
    return (int32_t)((19595U * (uint32_t)r + 38470U * (uint32_t)g + 7471U * (uint32_t)b + 0x8000U) >> 16);
}

static inline void tile_luma(const fov_planes *p, uint8_t *luma) {
    for (size_t i = 0; i < TILE; i++) {
        luma[i] = (uint8_t)grey_of(p->plane[0][i], p->plane[1][i], p->plane[2][i]);
    }
}

/* A sum of bytes, a tile at a time. */
typedef uint64_t byte_sum;
static inline byte_sum byte_sum_start(void) {
    return 0;
}
static inline byte_sum byte_sum_add(byte_sum sum, const uint8_t *tile) {
    for (size_t i = 0; i < TILE; i++) {
        sum += tile[i];
    }
    return sum;
}
static inline uint64_t byte_sum_total(byte_sum sum) {
    return sum;
}

static inline void saturate_tile(fov_planes *p, float factor) {
    for (size_t i = 0; i < TILE; i++) {
        const int32_t grey = grey_of(p->plane[0][i], p->plane[1][i], p->plane[2][i]);
        const float base = (float)grey;
        const float r = factor * (float)(p->plane[0][i] - grey), g = factor * (float)(p->plane[1][i] - grey);
        const float b = factor * (float)(p->plane[2][i] - grey);
        p->plane[0][i] = (uint8_t)fov_clip8((int32_t)(base + r));
        p->plane[1][i] = (uint8_t)fov_clip8((int32_t)(base + g));
        p->plane[2][i] = (uint8_t)fov_clip8((int32_t)(base + b));
    }
}

#else

#define I32(x) FOV_VEC(set1_epi32)(x)
#define F32(x) FOV_VEC(set1_ps)(x)
#define ADD FOV_VEC(add_epi32)
#define SUB FOV_VEC(sub_epi32)
#define MUL FOV_VEC(mullo_epi32)
#define FLOAT FOV_VEC(cvtepi32_ps)
#define WHOLE FOV_VEC(cvttps_epi32)

#define VECTORS 4 /* stored together */

/* Channel k of the tile's pixels from `at`. */
FOV_INLINE fov_vec channel(const fov_planes *p, size_t k, size_t at) {
    return fov_vec_load_bytes(p->plane[k] + at);
}

FOV_INLINE fov_vec grey_of(const fov_planes *p, size_t at) {
    const fov_vec red_blue = ADD(MUL(channel(p, 0, at), I32(19595)), MUL(channel(p, 2, at), I32(7471)));
    return FOV_VEC(srli_epi32)(ADD(ADD(MUL(channel(p, 1, at), I32(38470)), red_blue), I32(0x8000)), 16);
}

static inline void tile_luma(const fov_planes *p, uint8_t *luma) {
    for (size_t at = 0; at < TILE; at += VECTORS * FOV_LANES) {
        fov_vec grey[VECTORS];
        FOV_UNROLL
        for (size_t v = 0; v < VECTORS; v++) {
            grey[v] = grey_of(p, at + v * FOV_LANES);
        }
        fov_vec_store_bytes4(luma + at, grey);
    }
}

/* A sum of bytes, a tile at a time, in lanes of 64 bits. */
typedef fov_vec byte_sum;
static inline byte_sum byte_sum_start(void) {
    return I32(0);
}
static inline byte_sum byte_sum_add(byte_sum sum, const uint8_t *tile) {
    for (size_t i = 0; i < TILE; i += 4 * FOV_LANES) {
        sum = FOV_VEC(add_epi64)(sum, FOV_VEC(sad_epu8)(fov_vec_load(tile + i), I32(0)));
    }
    return sum;
}
static inline uint64_t byte_sum_total(byte_sum sum) {
    uint64_t lane[FOV_LANES / 2], total = 0;
    fov_vec_store(lane, sum);
    for (size_t i = 0; i < FOV_LANES / 2; i++) {
        total += lane[i];
    }
    return total;
}

static inline void saturate_tile(fov_planes *p, float factor) {
    for (size_t at = 0; at < TILE; at += VECTORS * FOV_LANES) {
        fov_vec colour[3][VECTORS];
        FOV_UNROLL
        for (size_t v = 0; v < VECTORS; v++) {
            const fov_vec grey = grey_of(p, at + v * FOV_LANES);
            FOV_UNROLL
            for (size_t k = 0; k < 3; k++) {
                const fov_floats difference = FOV_VEC(mul_ps)(F32(factor), FLOAT(SUB(channel(p, k, at + v * FOV_LANES), grey)));
                colour[k][v] = WHOLE(FOV_VEC(add_ps)(FLOAT(grey), difference));
            }
        }
        FOV_UNROLL
        for (size_t k = 0; k < 3; k++) {
            fov_vec_store_bytes4(p->plane[k] + at, colour[k]);
        }
    }
}

#endif

/* Splits a tile of `count` pixels; those past the end are black. */
static inline void split_some(const uint8_t *rgb, size_t count, fov_planes *p) {
    if (count == TILE) {
        fov_planes_split(rgb, p);
        return;
    }
    uint8_t whole[3 * TILE] = {0};
    memcpy(whole, rgb, 3 * count);
    fov_planes_split(whole, p);
}

static inline void join_some(const fov_planes *p, size_t count, uint8_t *rgb) {
    if (count == TILE) {
        fov_planes_join(p, rgb);
        return;
    }
    uint8_t whole[3 * TILE];
    fov_planes_join(p, whole);
    memcpy(rgb, whole, 3 * count);
}

static inline size_t tile_at(size_t at, size_t pixels) {
    return pixels - at < TILE ? pixels - at : TILE;
}

uint64_t FOV_PIXEL_FN(pixel_luma_sum)(const uint8_t *rgb, size_t pixels) {
    byte_sum total = byte_sum_start();
    for (size_t at = 0; at < pixels; at += TILE) {
        fov_planes p;
        split_some(rgb + 3 * at, tile_at(at, pixels), &p);
        tile_luma(&p, p.plane[0]);
        total = byte_sum_add(total, p.plane[0]); /* black pixels past the end add nothing */
    }
    return byte_sum_total(total);
}

void FOV_PIXEL_FN(pixel_gray)(const uint8_t *rgb, size_t pixels, uint8_t *out) {
    for (size_t at = 0; at < pixels; at += TILE) {
        const size_t count = tile_at(at, pixels);
        fov_planes p;
        split_some(rgb + 3 * at, count, &p);
        tile_luma(&p, p.plane[0]);
        memcpy(p.plane[1], p.plane[0], TILE);
        memcpy(p.plane[2], p.plane[0], TILE);
        join_some(&p, count, out + 3 * at);
    }
}

void FOV_PIXEL_FN(pixel_saturate)(const uint8_t *rgb, size_t pixels, float factor, uint8_t *out) {
    for (size_t at = 0; at < pixels; at += TILE) {
        const size_t count = tile_at(at, pixels);
        fov_planes p;
        split_some(rgb + 3 * at, count, &p);
        saturate_tile(&p, factor);
        join_some(&p, count, out + 3 * at);
    }
}

#if FOV_ISA_LEVEL == 0

static inline int32_t largest(int32_t a, int32_t b) {
    return a > b ? a : b;
}
static inline int32_t smallest(int32_t a, int32_t b) {
    return a < b ? a : b;
}

typedef struct hsv {
    int32_t hue[TILE], saturation[TILE], value[TILE];
} hsv;

/* Hue and saturation of 8 bits. The branch of the largest channel chooses base + (first - second) / range. */
static inline void to_hsv(const fov_planes *p, hsv *restrict c) {
    for (size_t i = 0; i < TILE; i++) {
        const int32_t r = p->plane[0][i], g = p->plane[1][i], b = p->plane[2][i];
        const int32_t high = largest(r, largest(g, b)), low = smallest(r, smallest(g, b));
        const float range = (float)largest(high - low, 1);
        const bool red = r == high, green = g == high;
        const float base = red ? 0.0F : green ? 2.0F : 4.0F;
        const int32_t first = red ? b : green ? r : g;
        const int32_t second = red ? g : green ? b : r;
        const float turn = (float)((double)base + (double)((float)(high - first) / range) - (double)((float)(high - second) / range));
        const double sixth = (double)turn / 6.0 + 1.0;
        const float fraction = (float)(sixth >= 1.0 ? sixth - 1.0 : sixth);
        const float share = (float)(high - low) / (float)largest(high, 1);
        c->hue[i] = high == low ? 0 : (int32_t)((double)fraction * 255.0);
        c->saturation[i] = (int32_t)((double)share * 255.0);
        c->value[i] = high;
    }
}

static inline int32_t round_positive(double x) {
    return (int32_t)(x + 0.5);
}

/* Masks instead of ?: keep the compiler from making branches, which end vectorisation. */
static inline int32_t is(int32_t a, int32_t b) {
    return -(int32_t)(a == b);
}
static inline int32_t choose(int32_t mask, int32_t yes, int32_t no) {
    return no ^ ((yes ^ no) & mask);
}

static inline void from_hsv(const hsv *restrict c, fov_planes *restrict out) {
    for (size_t i = 0; i < TILE; i++) {
        const double sixth = (double)c->hue[i] * 6.0 / 255.0;
        const int32_t sector = (int32_t)sixth;
        const float part = (float)(sixth - (double)sector);
        const float share = (float)((double)c->saturation[i] / 255.0);
        const double v = (double)c->value[i];
        const int32_t full = c->value[i];
        const int32_t p = round_positive(v * (1.0 - (double)share));
        const float falling = share * part;
        const int32_t q = round_positive(v * (1.0 - (double)falling));
        const int32_t t = round_positive(v * (1.0 - (double)share * (1.0 - (double)part)));
        /* sectors 0 to 5 (6 is 0): r = v q p p t v, g = t v v q p p, b = p p t v v q */
        const int32_t s = sector % 6;
        out->plane[0][i] = (uint8_t)choose(is(s, 0) | is(s, 5), full, choose(is(s, 1), q, choose(is(s, 4), t, p)));
        out->plane[1][i] = (uint8_t)choose(is(s, 1) | is(s, 2), full, choose(is(s, 0), t, choose(is(s, 3), q, p)));
        out->plane[2][i] = (uint8_t)choose(is(s, 3) | is(s, 4), full, choose(is(s, 2), t, choose(is(s, 5), q, p)));
    }
}

static inline void hue_tile(fov_planes *p, unsigned shift) {
    hsv c;
    to_hsv(p, &c);
    for (size_t i = 0; i < TILE; i++) {
        c.hue[i] = (int32_t)(((unsigned)c.hue[i] + shift) & 255U);
    }
    from_hsv(&c, p);
}

#else

typedef struct hue_work {
    fov_vec high, saturation, hue;
    fov_floats turn;
} hue_work;

/* The place on the colour circle, in sixths. Grey pixels get some, which does not matter, since their saturation is 0. */
FOV_INLINE void hue_turn(const fov_planes *p, size_t at, hue_work *w) {
    const fov_vec r = fov_vec_load_bytes(p->plane[0] + at), g = fov_vec_load_bytes(p->plane[1] + at),
                  b = fov_vec_load_bytes(p->plane[2] + at);
    const fov_vec high = FOV_VEC(max_epi32)(r, FOV_VEC(max_epi32)(g, b)), low = FOV_VEC(min_epi32)(r, FOV_VEC(min_epi32)(g, b));
    const fov_vec middle = SUB(SUB(ADD(ADD(r, g), b), high), low), range = SUB(high, low);
    const fov_floats part = FOV_VEC(div_ps)(FLOAT(SUB(high, middle)), FLOAT(FOV_VEC(max_epi32)(range, I32(1))));
    const fov_floats share = FOV_VEC(div_ps)(FLOAT(range), FLOAT(FOV_VEC(max_epi32)(high, I32(1))));
    const fov_mask red = fov_equal(r, high), green = fov_equal(g, high);
    const fov_vec first = fov_select(red, b, fov_select(green, r, g));
    const fov_floats base = FLOAT(fov_select(red, I32(0), fov_select(green, I32(2), I32(4))));
    const fov_floats up = FOV_VEC(sub_ps)(FOV_VEC(add_ps)(base, F32(1.0F)), part);
    const fov_floats down = FOV_VEC(add_ps)(FOV_VEC(sub_ps)(base, F32(1.0F)), part);
    w->turn = fov_select_floats(fov_equal(first, low), up, down);
    w->saturation = WHOLE(FOV_VEC(mul_ps)(share, F32(255.0F)));
    w->high = high;
}

FOV_INLINE void hue_shift(unsigned shift, hue_work *w) {
    const fov_floats sixth = FOV_VEC(div_ps)(w->turn, F32(6.0F));
    const fov_floats fraction = fov_select_floats(fov_negative(w->turn), FOV_VEC(add_ps)(sixth, F32(1.0F)), sixth);
    w->hue = FOV_VEC_AND(ADD(WHOLE(FOV_VEC(mul_ps)(fraction, F32(255.0F))), I32((int)shift)), I32(255));
}

/* `yes` where the sector, given as a bit, is in the set. */
#define IN(set, yes, no) fov_select(fov_any(bit, I32(set)), yes, no)

FOV_INLINE void hue_colour(const hue_work *w, fov_vec *red, fov_vec *green, fov_vec *blue) {
    const fov_vec sector = FOV_VEC(srli_epi32)(MUL(w->hue, I32(2 * 193)), 14); /* 2 hue / 85 */
    const fov_vec rest = SUB(ADD(w->hue, w->hue), MUL(sector, I32(85))), bit = FOV_VEC(sllv_epi32)(I32(1), sector);
    const fov_vec lower = ADD(MUL(w->high, SUB(I32(255), w->saturation)), I32(128));
    const fov_vec lowest = FOV_VEC(srli_epi32)(ADD(lower, FOV_VEC(srli_epi32)(lower, 8)), 8); /* high (255 - saturation) / 255, rounded */
    const fov_vec away = IN(1 << 1 | 1 << 3 | 1 << 5, rest, SUB(I32(85), rest));
    const fov_floats scaled = FLOAT(MUL(w->high, SUB(I32(21675), MUL(w->saturation, away))));
    const fov_vec between = WHOLE(FOV_VEC(mul_ps)(FOV_VEC(add_ps)(scaled, F32(10837.5F)), F32(1.0F / 21675.0F)));
    /* sectors 0 to 5, and 6 for 0: red is v x p p x v, green x v v x p p, blue p p x v v x */
    *red = IN(1 << 0 | 1 << 5 | 1 << 6, w->high, IN(1 << 1 | 1 << 4, between, lowest));
    *green = IN(1 << 1 | 1 << 2, w->high, IN(1 << 0 | 1 << 3 | 1 << 6, between, lowest));
    *blue = IN(1 << 3 | 1 << 4, w->high, IN(1 << 2 | 1 << 5, between, lowest));
}

/* Each stage is done for some vectors before the next: one pixel's way is long, and most of it waits. */
static inline void hue_tile(fov_planes *p, unsigned shift) {
    for (size_t at = 0; at < TILE; at += VECTORS * FOV_LANES) {
        hue_work work[VECTORS];
        fov_vec red[VECTORS], green[VECTORS], blue[VECTORS];
        FOV_UNROLL
        for (size_t v = 0; v < VECTORS; v++) {
            hue_turn(p, at + v * FOV_LANES, &work[v]);
        }
        FOV_UNROLL
        for (size_t v = 0; v < VECTORS; v++) {
            hue_shift(shift, &work[v]);
        }
        FOV_UNROLL
        for (size_t v = 0; v < VECTORS; v++) {
            hue_colour(&work[v], &red[v], &green[v], &blue[v]);
        }
        fov_vec_store_bytes4(p->plane[0] + at, red);
        fov_vec_store_bytes4(p->plane[1] + at, green);
        fov_vec_store_bytes4(p->plane[2] + at, blue);
    }
}

#endif

void FOV_PIXEL_FN(pixel_hue)(const uint8_t *rgb, size_t pixels, unsigned shift, uint8_t *out) {
    for (size_t at = 0; at < pixels; at += TILE) {
        const size_t count = tile_at(at, pixels);
        fov_planes p;
        split_some(rgb + 3 * at, count, &p);
        hue_tile(&p, shift);
        join_some(&p, count, out + 3 * at);
    }
}
