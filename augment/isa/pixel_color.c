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

#define I8(x) FOV_VEC(set1_epi8)(x)
#define ADD8 FOV_VEC(add_epi8)
#define SUB8 FOV_VEC(sub_epi8)

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

#define WIDTH (4 * FOV_LANES) /* pixels whose bytes fill a vector */

/* What the arithmetic of some pixels needs, in bytes. */
typedef struct hue_bytes {
    _Alignas(64) uint8_t part[WIDTH], range[WIDTH], high[WIDTH]; /* high - middle; range and high at least 1 */
    uint8_t base[WIDTH], down[WIDTH];                            /* turn: base - part / range; the opposite where the bits of down are set */
    uint8_t away[WIDTH];                                         /* from the pure colour of the sector, in 85ths */
} hue_bytes;

typedef struct hue_ends {
    fov_vec high, low;
} hue_ends;

/* Grey pixels get some hue, which does not matter, since their saturation is 0. */
FOV_INLINE hue_ends hue_split(const fov_planes *p, size_t at, hue_bytes *w) {
    const fov_vec r = fov_vec_load(p->plane[0] + at), g = fov_vec_load(p->plane[1] + at), b = fov_vec_load(p->plane[2] + at);
    const fov_vec high = FOV_VEC(max_epu8)(r, FOV_VEC(max_epu8)(g, b)), low = FOV_VEC(min_epu8)(r, FOV_VEC(min_epu8)(g, b));
    const fov_vec middle = SUB8(SUB8(ADD8(ADD8(r, g), b), high), low);
    const fov_byte_mask red = fov_bytes_equal(r, high), green = fov_bytes_equal(g, high);
    const fov_vec first = fov_bytes_select(red, b, fov_bytes_select(green, r, g));
    const fov_byte_mask up = fov_bytes_equal(first, low);
    /* base + 1 upwards; downwards 1 - base, whose sign is turned afterwards */
    const fov_vec base_up = fov_bytes_select(red, I8(1), fov_bytes_select(green, I8(3), I8(5)));
    const fov_vec base_down = fov_bytes_select(red, I8(1), fov_bytes_select(green, I8(-1), I8(-3)));
    fov_vec_store(w->part, SUB8(high, middle));
    fov_vec_store(w->range, FOV_VEC(max_epu8)(SUB8(high, low), I8(1)));
    fov_vec_store(w->high, FOV_VEC(max_epu8)(high, I8(1)));
    fov_vec_store(w->base, fov_bytes_select(up, base_up, base_down));
    fov_vec_store(w->down, fov_bytes_select(up, I8(0), I8(-1)));
    return (hue_ends){high, low};
}

/* The place on the colour circle in sixths, then in 255ths. The product by 1/6 is corrected once, which makes it the quotient. */
FOV_INLINE fov_vec hue_turn(const hue_bytes *w, size_t at, fov_floats range) {
    const fov_floats part = FOV_VEC(div_ps)(FLOAT(fov_vec_load_bytes(w->part + at)), range);
    const fov_floats turned = FOV_VEC(sub_ps)(FLOAT(fov_vec_load_signed_bytes(w->base + at)), part);
    const fov_vec sign = FOV_VEC(slli_epi32)(fov_vec_load_bytes(w->down + at), 31);
    const fov_floats turn = fov_floats_flip(turned, sign);
    const fov_floats near = FOV_VEC(mul_ps)(turn, F32(1.0F / 6.0F)), error = FOV_VEC(fnmadd_ps)(near, F32(6.0F), turn);
    const fov_floats sixth = FOV_VEC(fmadd_ps)(error, F32(1.0F / 6.0F), near);
    const fov_floats fraction = fov_select_floats(fov_negative(turn), FOV_VEC(add_ps)(sixth, F32(1.0F)), sixth);
    return WHOLE(FOV_VEC(mul_ps)(fraction, F32(255.0F)));
}

/* high (255 - saturation) / 255, rounded, of the words in one half of the pixels. */
FOV_INLINE fov_vec hue_lowest(const uint8_t *high, const uint8_t *rest) {
    const fov_vec product = FOV_VEC(add_epi16)(FOV_VEC(mullo_epi16)(fov_words_load(high), fov_words_load(rest)), FOV_VEC(set1_epi16)(128));
    return FOV_VEC(srli_epi16)(FOV_VEC(add_epi16)(product, FOV_VEC(srli_epi16)(product, 8)), 8);
}

/* `yes` where the sector, given as a bit, is in the set. */
#define IN(set, yes, no) fov_bytes_select(fov_bytes_any(bit, I8(set)), yes, no)

/* Sectors of 42.5 hues, as bits, and w->away. */
FOV_INLINE fov_vec hue_sector(fov_vec hue, hue_bytes *w) {
    static const uint8_t begin[] = {43, 85, 128, 170, 213, 255};
    fov_vec sector = I8(0);
    FOV_UNROLL
    for (size_t i = 0; i < sizeof begin; i++) {
        sector = fov_bytes_count(sector, hue, I8((char)begin[i]));
    }
    const fov_vec bit = FOV_VEC(shuffle_epi8)(fov_repeat16(_mm_setr_epi8(1, 2, 4, 8, 16, 32, 64, 0, 0, 0, 0, 0, 0, 0, 0, 0)), sector);
    /* modulo 256: 85 for each sector */
    const __m128i steps = _mm_setr_epi8(0, 85, -86, -1, 84, -87, -2, 0, 0, 0, 0, 0, 0, 0, 0, 0);
    const fov_vec rest = SUB8(ADD8(hue, hue), FOV_VEC(shuffle_epi8)(fov_repeat16(steps), sector));
    fov_vec_store(w->away, IN(1 << 1 | 1 << 3 | 1 << 5, rest, SUB8(I8(85), rest)));
    return bit;
}

/* Each stage is done for all pixels before the next: one pixel's way is long, and most of it waits. What bytes can do is done in bytes. */
FOV_INLINE void hue_some(fov_planes *p, size_t from, unsigned shift) {
    hue_bytes w;
    const hue_ends ends = hue_split(p, from, &w);
    fov_floats saturation[4], high[4];
    fov_vec turns[4], wholes[4];
    FOV_UNROLL
    for (size_t v = 0; v < 4; v++) {
        const fov_floats range = FLOAT(fov_vec_load_bytes(w.range + v * FOV_LANES));
        high[v] = FLOAT(fov_vec_load_bytes(w.high + v * FOV_LANES));
        turns[v] = hue_turn(&w, v * FOV_LANES, range);
        wholes[v] = WHOLE(FOV_VEC(mul_ps)(FOV_VEC(div_ps)(range, high[v]), F32(255.0F)));
        saturation[v] = FLOAT(wholes[v]);
    }
    const fov_byte_mask grey = fov_bytes_equal(ends.high, ends.low);
    _Alignas(64) uint8_t rest[WIDTH], lowest[WIDTH], hues[WIDTH], between[WIDTH];
    fov_vec_store_bytes4(hues, turns);
    fov_vec_store_bytes4(rest, wholes);
    const fov_vec bit = hue_sector(ADD8(fov_vec_load(hues), I8((char)shift)), &w);
    fov_vec_store(rest, FOV_VEC_XOR(fov_vec_load(rest), I8(-1)));
    fov_words_store2(lowest, hue_lowest(w.high, rest), hue_lowest(w.high + WIDTH / 2, rest + WIDTH / 2));
    FOV_UNROLL
    for (size_t v = 0; v < 4; v++) {
        const fov_floats away = FLOAT(fov_vec_load_bytes(w.away + v * FOV_LANES));
        const fov_floats scaled = FOV_VEC(mul_ps)(high[v], FOV_VEC(fnmadd_ps)(saturation[v], away, F32(21675.0F)));
        turns[v] = WHOLE(FOV_VEC(mul_ps)(FOV_VEC(add_ps)(scaled, F32(10837.5F)), F32(1.0F / 21675.0F)));
    }
    fov_vec_store_bytes4(between, turns);
    /* grey pixels, of whose range 1 was made, stay what they are */
    const fov_vec full = ends.high, x = fov_bytes_select(grey, full, fov_vec_load(between)), low = fov_bytes_select(grey, full, fov_vec_load(lowest));
    /* sectors 0 to 5, and 6 for 0: red is v x p p x v, green x v v x p p, blue p p x v v x */
    fov_vec_store(p->plane[0] + from, IN(1 << 0 | 1 << 5 | 1 << 6, full, IN(1 << 1 | 1 << 4, x, low)));
    fov_vec_store(p->plane[1] + from, IN(1 << 1 | 1 << 2, full, IN(1 << 0 | 1 << 3 | 1 << 6, x, low)));
    fov_vec_store(p->plane[2] + from, IN(1 << 3 | 1 << 4, full, IN(1 << 2 | 1 << 5, x, low)));
}

static inline void hue_tile(fov_planes *p, unsigned shift) {
    for (size_t at = 0; at < TILE; at += WIDTH) {
        hue_some(p, at, shift);
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
