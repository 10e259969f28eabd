/* Inner loops of the colour steps: grey, saturation and hue with Pillow's roundings.
 *
 * Pillow mixes float and double; each conversion below stands where it has one. Hue works on tiles split into planes, without
 * branches, because HSV by cases costs more than computing all of it in vectors. */
#include "augment/isa/pixel_loops.h"

#define TILE 64

uint64_t FOV_PIXEL_FN(pixel_luma)(const uint8_t *restrict rgb, size_t pixels, uint8_t *restrict luma) {
    uint64_t total = 0;
    for (size_t i = 0; i < pixels; i++) {
        const uint32_t grey = (19595U * rgb[3 * i] + 38470U * rgb[3 * i + 1] + 7471U * rgb[3 * i + 2] + 0x8000U) >> 16;
        luma[i] = (uint8_t)grey;
        total += grey;
    }
    return total;
}

void FOV_PIXEL_FN(pixel_saturate)(const uint8_t *rgb, const uint8_t *luma, size_t pixels, const float *product, uint8_t *out) {
    for (size_t i = 0; i < pixels; i++) {
        const int32_t grey = luma[i];
        for (size_t k = 0; k < 3; k++) {
            const float value = (float)grey + product[255 + rgb[3 * i + k] - grey];
            out[3 * i + k] = (uint8_t)fov_clip8((int32_t)value);
        }
    }
}

typedef struct planes {
    int32_t r[TILE], g[TILE], b[TILE];
} planes;

static inline int32_t largest(int32_t a, int32_t b) { return a > b ? a : b; }
static inline int32_t smallest(int32_t a, int32_t b) { return a < b ? a : b; }

/* Hue and saturation of 8 bits. The branch of the largest channel chooses base + (first - second) / range. */
static inline void to_hsv(const planes *p, int32_t *restrict hue, int32_t *restrict saturation, int32_t *restrict value) {
    for (size_t i = 0; i < TILE; i++) {
        const int32_t r = p->r[i], g = p->g[i], b = p->b[i];
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
        hue[i] = high == low ? 0 : (int32_t)((double)fraction * 255.0);
        saturation[i] = (int32_t)((double)share * 255.0);
        value[i] = high;
    }
}

static inline int32_t round_positive(double x) { return (int32_t)(x + 0.5); }

/* Masks instead of ?: keep the compiler from making branches, which end vectorisation. */
static inline int32_t is(int32_t a, int32_t b) { return -(int32_t)(a == b); }
static inline int32_t choose(int32_t mask, int32_t yes, int32_t no) { return no ^ ((yes ^ no) & mask); }

static inline void from_hsv(const int32_t *restrict hue, const int32_t *restrict saturation, const int32_t *restrict value,
                            planes *restrict out) {
    for (size_t i = 0; i < TILE; i++) {
        const double sixth = (double)hue[i] * 6.0 / 255.0;
        const int32_t sector = (int32_t)sixth;
        const float part = (float)(sixth - (double)sector);
        const float share = (float)((double)saturation[i] / 255.0);
        const double v = (double)value[i];
        const int32_t full = value[i];
        const int32_t p = round_positive(v * (1.0 - (double)share));
        const float falling = share * part;
        const int32_t q = round_positive(v * (1.0 - (double)falling));
        const int32_t t = round_positive(v * (1.0 - (double)share * (1.0 - (double)part)));
        /* sectors 0 to 5 (6 is 0): r = v q p p t v, g = t v v q p p, b = p p t v v q */
        const int32_t s = sector % 6;
        out->r[i] = choose(is(s, 0) | is(s, 5), full, choose(is(s, 1), q, choose(is(s, 4), t, p)));
        out->g[i] = choose(is(s, 1) | is(s, 2), full, choose(is(s, 0), t, choose(is(s, 3), q, p)));
        out->b[i] = choose(is(s, 3) | is(s, 4), full, choose(is(s, 2), t, choose(is(s, 5), q, p)));
    }
}

static inline void hue_tile(const uint8_t *rgb, size_t pixels, unsigned shift, uint8_t *out) {
    planes p = {{0}, {0}, {0}};
    int32_t hue[TILE], saturation[TILE], value[TILE];
    for (size_t i = 0; i < pixels; i++) {
        p.r[i] = rgb[3 * i];
        p.g[i] = rgb[3 * i + 1];
        p.b[i] = rgb[3 * i + 2];
    }
    to_hsv(&p, hue, saturation, value);
    for (size_t i = 0; i < TILE; i++) {
        hue[i] = (int32_t)(((unsigned)hue[i] + shift) & 255U);
    }
    from_hsv(hue, saturation, value, &p);
    for (size_t i = 0; i < pixels; i++) {
        out[3 * i] = (uint8_t)p.r[i];
        out[3 * i + 1] = (uint8_t)p.g[i];
        out[3 * i + 2] = (uint8_t)p.b[i];
    }
}

void FOV_PIXEL_FN(pixel_hue)(const uint8_t *rgb, size_t pixels, unsigned shift, uint8_t *out) {
    for (size_t at = 0; at < pixels; at += TILE) {
        hue_tile(rgb + 3 * at, pixels - at < TILE ? pixels - at : TILE, shift, out + 3 * at);
    }
}
