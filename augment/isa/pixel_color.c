/* Inner loops of the colour steps: grey and saturation with Pillow's roundings. They work on 64 pixels at a time, their channels apart, and
 * with no branch for a pixel; the last pixels of a row go through a tile of their own. */
#include <math.h>
#include <string.h>

#include "augment/isa/pixel_lanes.h"
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

static inline void saturate_tile(fov_planes *p, const void *context) {
    const float factor = *(const float *)context;
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

/* Channel k of the tile's pixels from `at`. */
FOV_INLINE fov_vec channel(const fov_planes *p, size_t k, size_t at) {
    return fov_vec_load_bytes(p->plane[k] + at);
}

FOV_INLINE fov_vec grey_of(const fov_planes *p, size_t at) {
    const fov_vec red_blue = ADD(MUL(channel(p, 0, at), I32(19595)), MUL(channel(p, 2, at), I32(7471)));
    return FOV_VEC(srli_epi32)(ADD(ADD(MUL(channel(p, 1, at), I32(38470)), red_blue), I32(0x8000)), 16);
}

#if FOV_ISA_LEVEL < 3

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

#endif

static inline void saturate_tile(fov_planes *p, const void *context) {
    const float factor = *(const float *)context;
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
#if FOV_ISA_LEVEL < 3

uint64_t FOV_PIXEL_FN(pixel_luma_sum)(const uint8_t *rgb, size_t pixels) {
    byte_sum total = byte_sum_start();
    for (size_t at = 0; at < pixels; at += TILE) {
        fov_planes p;
        fov_planes_split_some(rgb + 3 * at, fov_planes_at(at, pixels), &p);
        tile_luma(&p, p.plane[0]);
        total = byte_sum_add(total, p.plane[0]); /* black pixels past the end add nothing */
    }
    return byte_sum_total(total);
}

static inline void gray_tile(fov_planes *p, const void *context) {
    (void)context;
    tile_luma(p, p->plane[0]);
    memcpy(p->plane[1], p->plane[0], TILE);
    memcpy(p->plane[2], p->plane[0], TILE);
}

void FOV_PIXEL_FN(pixel_gray)(const uint8_t *rgb, size_t pixels, uint8_t *out) { fov_planes_each(rgb, pixels, gray_tile, NULL, out); }

void FOV_PIXEL_FN(pixel_saturate)(const uint8_t *rgb, size_t pixels, float factor, uint8_t *out) {
    fov_planes_each(rgb, pixels, saturate_tile, &factor, out);
}

#else

/* Grey in vectors of 16 pixels: red, green, green and blue side by side, since half of green's weight fits two digits of seven and eight
 * bits. Saturation is in tables, of what a channel above and below the grey gains or loses. */

#define QUAD(i) (uint8_t)(3 * ((i) / 4) + ((i) % 4 + 1) / 2)
#define LAST_QUAD(i) (uint8_t)(QUAD(i) + 16)
#define QUAD_OF(red, green, blue) _mm512_set1_epi32(((red)&255) | (green) << 8 | (green) << 16 | (blue) << 24)
#define THIRD(i) (uint8_t)((i) % 32 * 4 + 2)

/* Sixteen pixels' greys in the third bytes. */
FOV_INLINE __m512i grey_sums(__m512i quads) {
    const __m512i upper = QUAD_OF(77, 75, 29), lower = QUAD_OF(19595 - 77 * 256, 19235 - 75 * 256, 7471 - 29 * 256);
    const __m512i sum = _mm512_slli_epi32(_mm512_dpbusd_epi32(_mm512_set1_epi32(128), quads, upper), 8);
    return _mm512_dpbusd_epi32(sum, quads, lower);
}

/* Of 64 pixels. */
FOV_INLINE void greys_load(const uint8_t *rgb, __m512i sums[4]) {
    static const uint8_t quad[64] = {FOV_LIST64(QUAD)}, last_quad[64] = {FOV_LIST64(LAST_QUAD)};
    FOV_UNROLL
    for (size_t k = 0; k < 3; k++) {
        sums[k] = grey_sums(_mm512_permutexvar_epi8(fov_vec_load(quad), fov_vec_load(rgb + 48 * k)));
    }
    sums[3] = grey_sums(_mm512_permutexvar_epi8(fov_vec_load(last_quad), fov_vec_load(rgb + 128)));
}

FOV_INLINE __m512i greys_of(const uint8_t *rgb) {
    static const uint8_t third[64] = {FOV_LIST64(THIRD)};
    __m512i sums[4];
    greys_load(rgb, sums);
    const __m512i low = _mm512_permutex2var_epi8(sums[0], fov_vec_load(third), sums[1]);
    const __m512i high = _mm512_permutex2var_epi8(sums[2], fov_vec_load(third), sums[3]);
    return _mm512_mask_blend_epi64(0xF0, low, high);
}

/* The last pixels, and black ones. */
static void last_pixels(const uint8_t *rgb, size_t pixels, size_t at, uint8_t *tile) {
    memset(tile, 0, 3 * TILE);
    memcpy(tile, rgb + 3 * at, 3 * (pixels - at));
}

#define SUM_PIXELS ((size_t)1 << 20) /* whose greys sum up in 32 bits */

uint64_t FOV_PIXEL_FN(pixel_luma_sum)(const uint8_t *rgb, size_t pixels) {
    uint64_t total = 0;
    size_t at = 0;
    do {
        __m512i sum = _mm512_setzero_si512(), sums[4];
        for (const size_t end = pixels - at < SUM_PIXELS ? pixels : at + SUM_PIXELS; at < end; at += TILE) {
            uint8_t tile[3 * TILE];
            const uint8_t *from = rgb + 3 * at;
            if (at + TILE > pixels) {
                last_pixels(rgb, pixels, at, tile);
                from = tile;
            }
            greys_load(from, sums);
            FOV_UNROLL
            for (size_t k = 0; k < 4; k++) {
                sum = _mm512_dpbusd_epi32(sum, sums[k], _mm512_set1_epi32(1 << 16));
            }
        }
        total += (uint64_t)_mm512_reduce_add_epi32(sum);
    } while (at < pixels);
    return total;
}

#define THRICE(i) (uint8_t)((i) / 3)

void FOV_PIXEL_FN(pixel_gray)(const uint8_t *rgb, size_t pixels, uint8_t *out) {
    static const uint8_t thrice[192] = {FOV_LIST192(THRICE)};
    for (size_t at = 0; at < pixels; at += TILE) {
        uint8_t tile[3 * TILE];
        const bool last = at + TILE > pixels;
        if (last) {
            last_pixels(rgb, pixels, at, tile);
        }
        const __m512i grey = greys_of(last ? tile : rgb + 3 * at);
        uint8_t *to = last ? tile : out + 3 * at;
        for (size_t k = 0; k < 192; k += 64) {
            fov_vec_store(to + k, _mm512_permutexvar_epi8(fov_vec_load(thrice + k), grey));
        }
        if (last) {
            memcpy(out + 3 * at, tile, 3 * (pixels - at));
        }
    }
}

/* What saturation adds to a channel, or takes from it where the factor is below 1, by its distance above and below the grey. */
typedef struct saturation {
    bool more;
    uint8_t above[256], below[256];
} saturation;

/* False where it cannot be told apart from the grey: where a product is so little below a whole number that its sum with some grey rounds
 * to the next, or where what is added is no byte. */
static bool saturation_make(float factor, saturation *restrict s) {
    const float limit = 1.0F - 0x1p-17F; /* halfway from the last float below 256 to it */
    const int sign = factor < 1.0F ? -1 : 1;
    if (!(factor >= 0.0F && factor <= 2.0F)) {
        return false;
    }
    int bad = 0;
    for (int d = 0; d < 256; d++) {
        const float product = factor * (float)d, down = floorf(product), up = ceilf(product);
        bad |= (product - down >= limit) | (up - product >= limit);
        s->above[d] = (uint8_t)(sign * ((int)down - d));
        s->below[d] = (uint8_t)(sign * ((int)up - d));
    }
    s->more = sign > 0;
    return bad == 0;
}

/* `near`: all distances are below 128. */
FOV_INLINE __m512i saturate(const saturation *s, bool more, bool near, __m512i colour, __m512i above, __m512i below) {
    __m512i outward, inward;
    if (near) {
        outward = fov_bytes_at(above, fov_vec_load(s->above), fov_vec_load(s->above + 64));
        inward = fov_bytes_at(below, fov_vec_load(s->below), fov_vec_load(s->below + 64));
    } else {
        outward = fov_byte_of(s->above, above, _mm512_movepi8_mask(above));
        inward = fov_byte_of(s->below, below, _mm512_movepi8_mask(below));
    }
    return more ? _mm512_subs_epu8(_mm512_adds_epu8(colour, outward), inward) : _mm512_adds_epu8(_mm512_subs_epu8(colour, outward), inward);
}

/* The colours' distances above and below the grey; true if all are below 128, as they are but where colours are vivid. */
FOV_INLINE bool distances(const __m512i colour[3], __m512i grey, __m512i above[3], __m512i below[3]) {
    __m512i any = _mm512_setzero_si512();
    FOV_UNROLL
    for (size_t k = 0; k < 3; k++) {
        above[k] = _mm512_subs_epu8(colour[k], grey);
        below[k] = _mm512_subs_epu8(grey, colour[k]);
        any = _mm512_ternarylogic_epi32(any, above[k], below[k], 0xFE);
    }
    return _mm512_movepi8_mask(any) == 0;
}

/* Whole tiles; gives how many pixels they hold. */
FOV_INLINE size_t saturate_bytes(const uint8_t *rgb, size_t pixels, const saturation *s, bool more, uint8_t *out) {
    size_t at = 0;
    for (; at + TILE <= pixels; at += TILE) {
        __m512i colour[3], above[3], below[3];
        const __m512i grey = greys_of(rgb + 3 * at);
        fov_colours_load(rgb + 3 * at, colour);
        if (distances(colour, grey, above, below)) {
            FOV_UNROLL
            for (size_t k = 0; k < 3; k++) {
                colour[k] = saturate(s, more, true, colour[k], above[k], below[k]);
            }
        } else {
            FOV_UNROLL
            for (size_t k = 0; k < 3; k++) {
                colour[k] = saturate(s, more, false, colour[k], above[k], below[k]);
            }
        }
        fov_colours_store(out + 3 * at, colour);
    }
    return at;
}

static size_t saturate_tiles(const uint8_t *rgb, size_t pixels, const saturation *s, uint8_t *out) {
    return s->more ? saturate_bytes(rgb, pixels, s, true, out) : saturate_bytes(rgb, pixels, s, false, out);
}

void FOV_PIXEL_FN(pixel_saturate)(const uint8_t *rgb, size_t pixels, float factor, uint8_t *out) {
    saturation s;
    if (!saturation_make(factor, &s)) {
        fov_planes_each(rgb, pixels, saturate_tile, &factor, out);
        return;
    }
    const size_t at = saturate_tiles(rgb, pixels, &s, out);
    if (at < pixels) {
        uint8_t tile[3 * TILE];
        last_pixels(rgb, pixels, at, tile);
        (void)saturate_tiles(tile, TILE, &s, tile);
        memcpy(out + 3 * at, tile, 3 * (pixels - at));
    }
}

#endif
