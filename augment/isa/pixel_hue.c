/* Inner loops of hue: RGB to HSV of 8 bits and back with Pillow's roundings, 64 pixels at a time, split into planes.
 *
 * Pillow works in a mixture of float and double, which the portable build follows. The other builds give the same bytes by other means,
 * found by analysis and proved over all 2^24 colours and all 256 shifts of hue apart (tests/unit/test_pixels_hue.c). Those of AVX2 and
 * AVX-512 use integers and single floats:
 *   - one of (high - first) / range and (high - second) / range is 1, so their difference to the base is one sum of floats;
 *   - the quotient by 6 and the product by 255 may be rounded to float without ever crossing a whole number;
 *   - with hue h, 6 h / 255 = sector + g / 85, so that the middle channel is v (255 85 - s g') / (255 85) rounded, g' being g or
 *     85 - g: an integer below 2^23 times a reciprocal. It is never halfway between two bytes, since 255 85 is odd.
 * That of VBMI has tables of 256 bytes in registers and uses bytes and words of 16 bits:
 *   - a quotient of bytes is a product by a reciprocal: n / d = (n 2^z) / (d 2^z) with d 2^z from 128 to 255;
 *   - saturation is 255 range / high without its fraction. Where range = high the reciprocal alone would give 254 for some;
 *   - hue is 85 base + 42.5 n / range without its fraction, n being the distance of the middle channel from that end where hue is least.
 *     Nine bits of fraction tell whether it was whole. Then Pillow's floats may fall short of it, for those hues in `falls_short`;
 *   - both channels below the largest are it less v s g' / (255 85), with g' = 85 for the lowest. */
#include <string.h>

#include "augment/isa/pixel_lanes.h"
#include "augment/isa/pixel_planes.h"

#define TILE FOV_PLANE

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

static inline void hue_tile(fov_planes *p, const void *context) {
    const unsigned shift = *(const unsigned *)context;
    hsv c;
    to_hsv(p, &c);
    for (size_t i = 0; i < TILE; i++) {
        c.hue[i] = (int32_t)(((unsigned)c.hue[i] + shift) & 255U);
    }
    from_hsv(&c, p);
}

#elif FOV_ISA_LEVEL < 3

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
static inline void hue_tile(fov_planes *p, const void *context) {
    const unsigned shift = *(const unsigned *)context;
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

#else

/* For a divisor d: 2^z, and reciprocals of d 2^z, rounded up. */
#define SCALE(d) ((d) < 2 ? 128 : (d) < 4 ? 64 : (d) < 8 ? 32 : (d) < 16 ? 16 : (d) < 32 ? 8 : (d) < 64 ? 4 : (d) < 128 ? 2 : 1)
#define SCALED(d) ((d) == 0 ? 128 : (d)*SCALE(d))
#define RECIPROCAL(one, d) ((256 * (one) + SCALED(d) - 1) / SCALED(d))
#define TOO_MUCH(d) ((d) == 211 || (d) == 223 || (d) == 247 || (d) == 251 || (d) == 254)
#define PART(d) RECIPROCAL(512 * 85 / 2, d)               /* of 42.5, for nine bits of fraction */
#define SHARE(d) (RECIPROCAL(128 * 255, d) - TOO_MUCH(d)) /* of 255, for seven */
#define PART_LOW(d) (PART(d) & 255)
#define PART_HIGH(d) (PART(d) >> 8)
#define SHARE_LOW(d) (SHARE(d) & 255)
#define SHARE_HIGH(d) (SHARE(d) >> 8)

/* For a hue h: its sector, and how far the middle channel is from the largest, of 85. */
#define SECTOR(h) (2 * (h) / 85 % 6)
#define REST(h) (2 * (h) % 85)
#define AWAY(h) (2 * (h) / 85 % 2 == 1 ? REST(h) : 85 - REST(h))

/* Which channels are in the middle and which are lowest: red is v x p p x v, green x v v x p p, blue p p x v v x. */
enum { RED_MIDDLE = 1, RED_LOWEST = 2, GREEN_MIDDLE = 4, GREEN_LOWEST = 8, BLUE_MIDDLE = 16, BLUE_LOWEST = 32 };
#define IS(h, a, b) (SECTOR(h) == (a) || SECTOR(h) == (b))
#define PLACE(h, a, b, place) (IS(h, a, b) ? (place) : 0)
#define RED(h) (PLACE(h, 1, 4, RED_MIDDLE) | PLACE(h, 2, 3, RED_LOWEST))
#define GREEN(h) (PLACE(h, 0, 3, GREEN_MIDDLE) | PLACE(h, 4, 5, GREEN_LOWEST))
#define BLUE(h) (PLACE(h, 2, 5, BLUE_MIDDLE) | PLACE(h, 0, 1, BLUE_LOWEST))
#define PLACES(h) (RED(h) | GREEN(h) | BLUE(h))

/* 1 for hues that Pillow's floats fall short of where the quotient is whole. */
#define SHORT_BITS(h) ((h) < 64 ? 0xFFFFFFFE : (h) < 128 ? 0x0000011111000000 : (h) < 192 ? 0x23232222222AAAAA : 0x0000000000022222)
#define SHORT(h) (SHORT_BITS(h) >> ((h)&63) & 1)

static const uint8_t scale[128] = {FOV_LIST128(SCALE)}, part_low[256] = {FOV_LIST256(PART_LOW)}, part_high[256] = {FOV_LIST256(PART_HIGH)},
                     share_low[256] = {FOV_LIST256(SHARE_LOW)}, share_high[256] = {FOV_LIST256(SHARE_HIGH)},
                     away[256] = {FOV_LIST256(AWAY)}, places[256] = {FOV_LIST256(PLACES)}, falls_short[256] = {FOV_LIST256(SHORT)};

#define B8(x) _mm512_set1_epi8((char)(x))
#define I16(x) _mm512_set1_epi16((short)(x))
#define MUL16 _mm512_mullo_epi16
#define MUL16_HIGH _mm512_mulhi_epu16

/* 64 bytes as words, in the order in which `packus` puts them together again. */
typedef struct words {
    __m512i low, high;
} words;

/* first + 256 second */
FOV_INLINE words words_of(__m512i first, __m512i second) {
    return (words){_mm512_unpacklo_epi8(first, second), _mm512_unpackhi_epi8(first, second)};
}

FOV_INLINE __m512i words_pack(words w) {
    return _mm512_packus_epi16(w.low, w.high);
}

/* Without their fraction, which has `bits` bits: a macro, since compilers differ in the type of that argument. */
#define WORDS_WHOLE(w, bits) ((words){_mm512_srli_epi16((w).low, bits), _mm512_srli_epi16((w).high, bits)})

/* n, in the low bytes, times the reciprocal of d in the tables; `more` is added to the scale in 256ths. High bytes do not count while that
 * is 0. */
FOV_INLINE words quotient(words n, __m512i d, __m512i more, const uint8_t *low, const uint8_t *high) {
    const __mmask64 upper = _mm512_movepi8_mask(d);
    const __m512i scaled = fov_bytes_at(d, fov_vec_load(scale), fov_vec_load(scale + 64));
    const words scales = words_of(more, _mm512_mask_mov_epi8(scaled, upper, B8(1)));
    const words reciprocal = words_of(fov_byte_of(low, d, upper), fov_byte_of(high, d, upper));
    return (words){MUL16_HIGH(MUL16(n.low, scales.low), reciprocal.low), MUL16_HIGH(MUL16(n.high, scales.high), reciprocal.high)};
}

/* Hue of the colours, of which `range` is the difference of `high` and `low`. */
FOV_INLINE __m512i hue_of(const __m512i colour[3], __m512i high, __m512i low, __m512i range) {
    const __m512i all = _mm512_ternarylogic_epi32(colour[0], colour[1], colour[2], 0x96); /* exclusive or */
    const __m512i middle = _mm512_ternarylogic_epi32(all, high, low, 0x96);
    const __mmask64 red = _mm512_cmpeq_epi8_mask(colour[0], high), green = _mm512_cmpeq_epi8_mask(colour[1], high);
    const __m512i first = _mm512_mask_blend_epi8(red, _mm512_mask_blend_epi8(green, colour[1], colour[0]), colour[2]);
    const __mmask64 up = _mm512_cmpeq_epi8_mask(first, low), down = _knot_mask64(up);
    const __m512i n = _mm512_mask_sub_epi8(_mm512_sub_epi8(high, middle), up, middle, low);
    /* going down, hue is 43 less and the half more; red's circle begins at 0 and ends at 255 */
    const __m512i half = _mm512_maskz_mov_epi8(down, B8(1));
    const words halves = words_of(n, half);
    words turn = quotient(halves, range, B8(0), part_low, part_high);
    turn.low = _mm512_add_epi16(turn.low, _mm512_and_si512(halves.low, I16(0x100)));
    turn.high = _mm512_add_epi16(turn.high, _mm512_and_si512(halves.high, I16(0x100)));
    const words fraction = {_mm512_and_si512(turn.low, I16(511)), _mm512_and_si512(turn.high, I16(511))};
    const __m512i some = words_pack(fraction);
    const __m512i base = _mm512_mask_mov_epi8(_mm512_mask_blend_epi8(green, B8(170), B8(85)), red, B8(255));
    __m512i hue = _mm512_mask_sub_epi8(base, down, base, B8(43));
    hue = _mm512_maskz_mov_epi8(_knot_mask64(_kand_mask64(red, up)), hue);
    hue = _mm512_add_epi8(hue, words_pack(WORDS_WHOLE(turn, 9)));
    return _mm512_mask_sub_epi8(hue, _mm512_testn_epi8_mask(some, some), hue, fov_byte_of(falls_short, hue, _mm512_movepi8_mask(hue)));
}

/* value saturation away / (255 85), rounded: a quotient that is right or one too large, and 16 bits of what it leaves tell. */
FOV_INLINE __m512i middle_below(__m512i value, __m512i value_high, __m512i saturation, __m512i distance) {
    const __m512i share = MUL16(saturation, distance);
    const __m512i about = MUL16_HIGH(_mm512_add_epi16(MUL16_HIGH(value_high, share), I16(44)), I16(775));
    const __m512i left = _mm512_sub_epi16(MUL16(value, share), MUL16(about, I16(21675)));
    return _mm512_mask_sub_epi16(about, _mm512_cmplt_epi16_mask(left, I16(-10837)), about, I16(1));
}

/* value saturation / 255, rounded */
FOV_INLINE __m512i lowest_below(__m512i value, __m512i saturation) {
    return MUL16_HIGH(_mm512_add_epi16(MUL16(value, saturation), I16(128)), I16(257));
}

typedef struct tile {
    __m512i colour[3], high, low, range, hue;
    words saturation;
} tile;

FOV_INLINE void tile_hue(tile *t, unsigned shift) {
    t->high = _mm512_max_epu8(t->colour[0], _mm512_max_epu8(t->colour[1], t->colour[2]));
    t->low = _mm512_min_epu8(t->colour[0], _mm512_min_epu8(t->colour[1], t->colour[2]));
    t->range = _mm512_sub_epi8(t->high, t->low);
    t->hue = _mm512_add_epi8(hue_of(t->colour, t->high, t->low, t->range), B8(shift));
}

FOV_INLINE void tile_saturation(tile *t) {
    const words share = quotient(words_of(t->range, B8(0)), t->high, _mm512_subs_epu8(B8(1), t->low), share_low, share_high);
    t->saturation = WORDS_WHOLE(share, 7);
    t->saturation.low = _mm512_min_epu16(t->saturation.low, I16(255));
    t->saturation.high = _mm512_min_epu16(t->saturation.high, I16(255));
}

FOV_INLINE void tile_colour(tile *t) {
    const __m512i high = t->high;
    const __mmask64 upper = _mm512_movepi8_mask(t->hue);
    const words distance = words_of(fov_byte_of(away, t->hue, upper), B8(0));
    const words value = words_of(high, B8(0)), value_high = words_of(B8(0), high), saturation = t->saturation;
    const words middle = {middle_below(value.low, value_high.low, saturation.low, distance.low),
                          middle_below(value.high, value_high.high, saturation.high, distance.high)};
    const words lowest = {lowest_below(value.low, saturation.low), lowest_below(value.high, saturation.high)};
    const __m512i below[2] = {words_pack(middle), words_pack(lowest)}, place = fov_byte_of(places, t->hue, upper);
    FOV_UNROLL
    for (size_t k = 0; k < 3; k++) {
        const __mmask64 in_middle = _mm512_test_epi8_mask(place, B8(RED_MIDDLE << 2 * k));
        const __m512i two = _mm512_mask_sub_epi8(high, in_middle, high, below[0]);
        t->colour[k] = _mm512_mask_sub_epi8(two, _mm512_test_epi8_mask(place, B8(RED_LOWEST << 2 * k)), high, below[1]);
    }
}

/* Each stage is done for two tiles before the next: one pixel's way is long, and most of it waits. */
FOV_INLINE void tiles(const uint8_t *rgb, size_t count, unsigned shift, uint8_t *out) {
    tile t[2];
    FOV_UNROLL
    for (size_t i = 0; i < count; i++) {
        fov_colours_load(rgb + 3 * TILE * i, t[i].colour);
        tile_hue(&t[i], shift);
    }
    FOV_UNROLL
    for (size_t i = 0; i < count; i++) {
        tile_saturation(&t[i]);
    }
    FOV_UNROLL
    for (size_t i = 0; i < count; i++) {
        tile_colour(&t[i]);
        fov_colours_store(out + 3 * TILE * i, t[i].colour);
    }
}

#endif

#if FOV_ISA_LEVEL == 3
void FOV_PIXEL_FN(pixel_hue)(const uint8_t *rgb, size_t pixels, unsigned shift, uint8_t *out) {
    size_t at = 0;
    for (; at + 2 * TILE <= pixels; at += 2 * TILE) {
        tiles(rgb + 3 * at, 2, shift, out + 3 * at);
    }
    for (; at < pixels; at += TILE) {
        const size_t bytes = 3 * fov_planes_at(at, pixels);
        uint8_t whole[3 * TILE] = {0};
        memcpy(whole, rgb + 3 * at, bytes);
        tiles(whole, 1, shift, whole);
        memcpy(out + 3 * at, whole, bytes);
    }
}
#else
void FOV_PIXEL_FN(pixel_hue)(const uint8_t *rgb, size_t pixels, unsigned shift, uint8_t *out) {
    fov_planes_each(rgb, pixels, hue_tile, &shift, out);
}
#endif
