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

static inline int32_t grey_of(int32_t r, int32_t g, int32_t b) {
    return (int32_t)((19595U * (uint32_t)r + 38470U * (uint32_t)g + 7471U * (uint32_t)b + 0x8000U) >> 16);
}

/* The grey of a tile, and its sum. */
static inline uint32_t tile_luma(const fov_planes *p, uint8_t *restrict luma) {
    uint32_t total = 0;
#pragma omp simd reduction(+ : total)
    for (size_t i = 0; i < TILE; i++) {
        const int32_t grey = grey_of(p->plane[0][i], p->plane[1][i], p->plane[2][i]);
        luma[i] = (uint8_t)grey;
        total += (uint32_t)grey;
    }
    return total;
}

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

static inline size_t tile_at(size_t at, size_t pixels) { return pixels - at < TILE ? pixels - at : TILE; }

uint64_t FOV_PIXEL_FN(pixel_luma)(const uint8_t *rgb, size_t pixels, uint8_t *luma) {
    uint64_t total = 0;
    for (size_t at = 0; at < pixels; at += TILE) {
        const size_t count = tile_at(at, pixels);
        fov_planes p;
        uint8_t grey[TILE];
        split_some(rgb + 3 * at, count, &p);
        total += tile_luma(&p, grey);
        memcpy(luma + at, grey, count);
    }
    return total;
}

uint64_t FOV_PIXEL_FN(pixel_luma_sum)(const uint8_t *rgb, size_t pixels) {
    uint64_t total = 0;
    for (size_t at = 0; at < pixels; at += TILE) {
        fov_planes p;
        uint8_t grey[TILE];
        split_some(rgb + 3 * at, tile_at(at, pixels), &p);
        total += tile_luma(&p, grey);
    }
    return total;
}

void FOV_PIXEL_FN(pixel_gray)(const uint8_t *rgb, size_t pixels, uint8_t *out) {
    for (size_t at = 0; at < pixels; at += TILE) {
        const size_t count = tile_at(at, pixels);
        fov_planes p;
        split_some(rgb + 3 * at, count, &p);
        (void)tile_luma(&p, p.plane[0]);
        memcpy(p.plane[1], p.plane[0], TILE);
        memcpy(p.plane[2], p.plane[0], TILE);
        join_some(&p, count, out + 3 * at);
    }
}

static inline void saturate_tile(fov_planes *p, float factor) {
#pragma omp simd
    for (size_t i = 0; i < TILE; i++) {
        const int32_t r = p->plane[0][i], g = p->plane[1][i], b = p->plane[2][i], grey = grey_of(r, g, b);
        const float base = (float)grey;
        const float dr = factor * (float)(r - grey), dg = factor * (float)(g - grey), db = factor * (float)(b - grey);
        p->plane[0][i] = (uint8_t)fov_clip8((int32_t)(base + dr));
        p->plane[1][i] = (uint8_t)fov_clip8((int32_t)(base + dg));
        p->plane[2][i] = (uint8_t)fov_clip8((int32_t)(base + db));
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

static inline int32_t largest(int32_t a, int32_t b) { return a > b ? a : b; }
static inline int32_t smallest(int32_t a, int32_t b) { return a < b ? a : b; }

#if FOV_ISA_LEVEL == 0

typedef struct hsv {
    int32_t hue, saturation, value;
} hsv;

/* Hue and saturation of 8 bits. The branch of the largest channel chooses base + (first - second) / range. */
static inline hsv to_hsv(int32_t r, int32_t g, int32_t b) {
    const int32_t high = largest(r, largest(g, b)), low = smallest(r, smallest(g, b));
    if (high == low) {
        return (hsv){0, 0, high};
    }
    const float range = (float)(high - low);
    const bool red = r == high, green = g == high;
    const double base = red ? 0.0 : green ? 2.0 : 4.0;
    const int32_t first = red ? b : green ? r : g;
    const int32_t second = red ? g : green ? b : r;
    const float turn = (float)(base + (double)((float)(high - first) / range) - (double)((float)(high - second) / range));
    const double sixth = (double)turn / 6.0 + 1.0;
    const float fraction = (float)(sixth >= 1.0 ? sixth - 1.0 : sixth);
    const float share = range / (float)high;
    return (hsv){(int32_t)((double)fraction * 255.0), (int32_t)((double)share * 255.0), high};
}

static inline uint8_t round_positive(double x) { return (uint8_t)(int32_t)(x + 0.5); }

static inline void from_hsv(hsv c, uint8_t *r, uint8_t *g, uint8_t *b) {
    const double sixth = (double)c.hue * 6.0 / 255.0;
    const int32_t sector = (int32_t)sixth;
    const float part = (float)(sixth - (double)sector);
    const float share = (float)((double)c.saturation / 255.0);
    const float falling = share * part;
    const double value = (double)c.value;
    const uint8_t v = (uint8_t)c.value;
    const uint8_t p = round_positive(value * (1.0 - (double)share));
    const uint8_t q = round_positive(value * (1.0 - (double)falling));
    const uint8_t t = round_positive(value * (1.0 - (double)share * (1.0 - (double)part)));
    const uint8_t red[6] = {v, q, p, p, t, v}, green[6] = {t, v, v, q, p, p}, blue[6] = {p, p, t, v, v, q};
    *r = red[sector % 6];
    *g = green[sector % 6];
    *b = blue[sector % 6];
}

static inline void hue_tile(fov_planes *p, unsigned shift) {
    for (size_t i = 0; i < TILE; i++) {
        hsv c = to_hsv(p->plane[0][i], p->plane[1][i], p->plane[2][i]);
        c.hue = (int32_t)(((unsigned)c.hue + shift) & 255U);
        from_hsv(c, &p->plane[0][i], &p->plane[1][i], &p->plane[2][i]);
    }
}

#else

/* Masks instead of ?: keep the compiler from making branches, which end vectorisation. */
static inline int32_t is(int32_t a, int32_t b) { return -(int32_t)(a == b); }
static inline int32_t choose(int32_t mask, int32_t yes, int32_t no) { return no ^ ((yes ^ no) & mask); }

static inline void hue_tile(fov_planes *p, unsigned shift) {
#pragma omp simd
    for (size_t i = 0; i < TILE; i++) {
        const int32_t r = p->plane[0][i], g = p->plane[1][i], b = p->plane[2][i];
        const int32_t high = largest(r, largest(g, b)), low = smallest(r, smallest(g, b)), middle = r + g + b - high - low;
        const int32_t red = is(r, high), green = is(g, high);
        const int32_t base = choose(red, 0, choose(green, 2, 4)), first = choose(red, b, choose(green, r, g));
        const float sign = (float)(2 * is(first, low) + 1); /* -1 where `first` is the lowest channel */
        const float part = (float)(high - middle) / (float)largest(high - low, 1);
        const float turn = ((float)base - sign) + sign * part;
        const float sixth = turn / 6.0F;
        const float fraction = sixth < 0.0F ? sixth + 1.0F : sixth;
        /* grey pixels get some hue, which does not matter: their saturation is 0 */
        const int32_t hue = (int32_t)(((uint32_t)(int32_t)(fraction * 255.0F) + shift) & 255U);
        const int32_t saturation = (int32_t)((float)(high - low) / (float)largest(high, 1) * 255.0F);
        const int32_t sector = (2 * hue * 193) >> 14; /* 2 hue / 85 */
        const int32_t rest = 2 * hue - 85 * sector;
        const int32_t lower = high * (255 - saturation) + 128, lowest = (lower + (lower >> 8)) >> 8; /* / 255, rounded */
        const int32_t scaled = high * (21675 - saturation * choose(-(sector & 1), rest, 85 - rest));
        const int32_t between = (int32_t)(((float)scaled + 10837.5F) * (1.0F / 21675.0F));
        /* sectors 0 to 6: r = v x p p x v v, g = x v v x p p x, b = p p x v v x p */
        const int32_t s = sector - (6 & is(sector, 6));
        p->plane[0][i] = (uint8_t)choose(is(s, 0) | is(s, 5), high, choose(is(s, 1) | is(s, 4), between, lowest));
        p->plane[1][i] = (uint8_t)choose(is(s, 1) | is(s, 2), high, choose(is(s, 0) | is(s, 3), between, lowest));
        p->plane[2][i] = (uint8_t)choose(is(s, 3) | is(s, 4), high, choose(is(s, 2) | is(s, 5), between, lowest));
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
