/* Splitting 64 interleaved RGB pixels into three planes, and joining them again. */
#ifndef FOV_AUGMENT_ISA_PIXEL_PLANES_H
#define FOV_AUGMENT_ISA_PIXEL_PLANES_H

#include "augment/isa/pixel_simd.h"

#define FOV_PLANE 64

typedef struct fov_planes {
    _Alignas(64) uint8_t plane[3][FOV_PLANE];
} fov_planes;

#if FOV_ISA_LEVEL == 0

static inline void fov_planes_split(const uint8_t *rgb, fov_planes *p) {
    for (size_t i = 0; i < FOV_PLANE; i++) {
        p->plane[0][i] = rgb[3 * i];
        p->plane[1][i] = rgb[3 * i + 1];
        p->plane[2][i] = rgb[3 * i + 2];
    }
}

static inline void fov_planes_join(const fov_planes *p, uint8_t *rgb) {
    for (size_t i = 0; i < FOV_PLANE; i++) {
        rgb[3 * i] = p->plane[0][i];
        rgb[3 * i + 1] = p->plane[1][i];
        rgb[3 * i + 2] = p->plane[2][i];
    }
}

#else

#define FOV_LIST4(m, i) m(i), m((i) + 1), m((i) + 2), m((i) + 3)
#define FOV_LIST16(m, i) FOV_LIST4(m, i), FOV_LIST4(m, (i) + 4), FOV_LIST4(m, (i) + 8), FOV_LIST4(m, (i) + 12)
#define FOV_LIST64(m) FOV_LIST16(m, 0), FOV_LIST16(m, 16), FOV_LIST16(m, 32), FOV_LIST16(m, 48)

#if FOV_ISA_LEVEL == 3

#define FOV_LIST128(m) FOV_LIST64(m), FOV_LIST16(m, 64), FOV_LIST16(m, 80), FOV_LIST16(m, 96), FOV_LIST16(m, 112)
#define FOV_LIST192(m) FOV_LIST128(m), FOV_LIST16(m, 128), FOV_LIST16(m, 144), FOV_LIST16(m, 160), FOV_LIST16(m, 176)
#define FOV_LIST256(m) FOV_LIST192(m), FOV_LIST16(m, 192), FOV_LIST16(m, 208), FOV_LIST16(m, 224), FOV_LIST16(m, 240)

/* Of the 128 bytes of `low` and `high` those at `index`. The instruction overwrites the index; compilers rather take the one that
 * overwrites `low`, and load it again each time. */
FOV_INLINE __m512i fov_bytes_at(__m512i index, __m512i low, __m512i high) {
    __asm__("vpermi2b %2, %1, %0" : "+v"(index) : "v"(low), "vm"(high));
    return index;
}

/* Of a table of 256 bytes those at `index`; `upper` are the indices from 128. */
FOV_INLINE __m512i fov_byte_of(const uint8_t *table, __m512i index, __mmask64 upper) {
    const __m512i low = fov_bytes_at(index, fov_vec_load(table), fov_vec_load(table + 64));
    const __m512i high = fov_bytes_at(index, fov_vec_load(table + 128), fov_vec_load(table + 192));
    return _mm512_mask_blend_epi8(upper, low, high);
}

/* A byte shuffle chooses among 128 bytes, and 192 are there: one shuffle of the first two thirds, one of its result and the last. */

#define FOV_FIRST_R(i) ((3 * (i)) & 127)
#define FOV_FIRST_G(i) ((3 * (i) + 1) & 127)
#define FOV_FIRST_B(i) ((3 * (i) + 2) & 127)
#define FOV_LAST(i, at) (uint8_t)((at) < 128 ? (i) : (at)-64)
#define FOV_LAST_R(i) FOV_LAST(i, 3 * (i))
#define FOV_LAST_G(i) FOV_LAST(i, 3 * (i) + 1)
#define FOV_LAST_B(i) FOV_LAST(i, 3 * (i) + 2)

/* 192 bytes, the red, green and blue ones apart. */
FOV_INLINE void fov_colours_load(const uint8_t *rgb, __m512i colour[3]) {
    static const uint8_t first[3][64] = {{FOV_LIST64(FOV_FIRST_R)}, {FOV_LIST64(FOV_FIRST_G)}, {FOV_LIST64(FOV_FIRST_B)}};
    static const uint8_t last[3][64] = {{FOV_LIST64(FOV_LAST_R)}, {FOV_LIST64(FOV_LAST_G)}, {FOV_LIST64(FOV_LAST_B)}};
    const __m512i a = fov_vec_load(rgb), b = fov_vec_load(rgb + 64), c = fov_vec_load(rgb + 128);
    FOV_UNROLL
    for (size_t k = 0; k < 3; k++) {
        colour[k] = _mm512_permutex2var_epi8(_mm512_permutex2var_epi8(a, fov_vec_load(first[k]), b), fov_vec_load(last[k]), c);
    }
}

static inline void fov_planes_split(const uint8_t *rgb, fov_planes *p) {
    __m512i colour[3];
    fov_colours_load(rgb, colour);
    for (size_t k = 0; k < 3; k++) {
        fov_vec_store(p->plane[k], colour[k]);
    }
}

#define FOV_RED_GREEN(i) (i), 64 + (i), 0
#define FOV_AND_BLUE(i) (3 * (i)) & 63, (3 * (i) + 1) & 63, 64 + (i)

FOV_INLINE void fov_colours_store(uint8_t *rgb, const __m512i colour[3]) {
    static const uint8_t red_green[192] = {FOV_LIST64(FOV_RED_GREEN)}, and_blue[192] = {FOV_LIST64(FOV_AND_BLUE)};
    FOV_UNROLL
    for (size_t k = 0; k < 192; k += 64) {
        const __m512i two = _mm512_permutex2var_epi8(colour[0], fov_vec_load(red_green + k), colour[1]);
        fov_vec_store(rgb + k, _mm512_permutex2var_epi8(two, fov_vec_load(and_blue + k), colour[2]));
    }
}

static inline void fov_planes_join(const fov_planes *p, uint8_t *rgb) {
    const __m512i colour[3] = {fov_vec_load(p->plane[0]), fov_vec_load(p->plane[1]), fov_vec_load(p->plane[2])};
    fov_colours_store(rgb, colour);
}

#else

/* Sixteen pixels at a time: each third of their bytes shuffled to its places, with 0 elsewhere, then put together. */

#define FOV_INSIDE(at) ((at) >= 0 && (at) < 16 ? (at) : -1)
#define FOV_SPLIT(i, plane, third) FOV_INSIDE(3 * (i) + (plane)-16 * (third))
#define FOV_SPLIT00(i) FOV_SPLIT(i, 0, 0)
#define FOV_SPLIT01(i) FOV_SPLIT(i, 0, 1)
#define FOV_SPLIT02(i) FOV_SPLIT(i, 0, 2)
#define FOV_SPLIT10(i) FOV_SPLIT(i, 1, 0)
#define FOV_SPLIT11(i) FOV_SPLIT(i, 1, 1)
#define FOV_SPLIT12(i) FOV_SPLIT(i, 1, 2)
#define FOV_SPLIT20(i) FOV_SPLIT(i, 2, 0)
#define FOV_SPLIT21(i) FOV_SPLIT(i, 2, 1)
#define FOV_SPLIT22(i) FOV_SPLIT(i, 2, 2)
#define FOV_JOIN(i, third, plane) ((16 * (third) + (i)) % 3 == (plane) ? (16 * (third) + (i)) / 3 : -1)
#define FOV_JOIN00(i) FOV_JOIN(i, 0, 0)
#define FOV_JOIN01(i) FOV_JOIN(i, 0, 1)
#define FOV_JOIN02(i) FOV_JOIN(i, 0, 2)
#define FOV_JOIN10(i) FOV_JOIN(i, 1, 0)
#define FOV_JOIN11(i) FOV_JOIN(i, 1, 1)
#define FOV_JOIN12(i) FOV_JOIN(i, 1, 2)
#define FOV_JOIN20(i) FOV_JOIN(i, 2, 0)
#define FOV_JOIN21(i) FOV_JOIN(i, 2, 1)
#define FOV_JOIN22(i) FOV_JOIN(i, 2, 2)

static inline __m128i fov_load16(const void *from) {
    return _mm_loadu_si128((const __m128i *)from);
}

static inline __m128i fov_pick3(const __m128i from[3], const int8_t order[3][16]) {
    const __m128i two = _mm_or_si128(_mm_shuffle_epi8(from[0], fov_load16(order[0])), _mm_shuffle_epi8(from[1], fov_load16(order[1])));
    return _mm_or_si128(two, _mm_shuffle_epi8(from[2], fov_load16(order[2])));
}

static inline void fov_planes_split(const uint8_t *rgb, fov_planes *p) {
    static const int8_t order[3][3][16] = {
        {{FOV_LIST16(FOV_SPLIT00, 0)}, {FOV_LIST16(FOV_SPLIT01, 0)}, {FOV_LIST16(FOV_SPLIT02, 0)}},
        {{FOV_LIST16(FOV_SPLIT10, 0)}, {FOV_LIST16(FOV_SPLIT11, 0)}, {FOV_LIST16(FOV_SPLIT12, 0)}},
        {{FOV_LIST16(FOV_SPLIT20, 0)}, {FOV_LIST16(FOV_SPLIT21, 0)}, {FOV_LIST16(FOV_SPLIT22, 0)}},
    };
    for (size_t at = 0; at < FOV_PLANE; at += 16) {
        const __m128i from[3] = {fov_load16(rgb + 3 * at), fov_load16(rgb + 3 * at + 16), fov_load16(rgb + 3 * at + 32)};
        for (size_t k = 0; k < 3; k++) {
            _mm_storeu_si128((__m128i *)(void *)(p->plane[k] + at), fov_pick3(from, order[k]));
        }
    }
}

static inline void fov_planes_join(const fov_planes *p, uint8_t *rgb) {
    static const int8_t order[3][3][16] = {
        {{FOV_LIST16(FOV_JOIN00, 0)}, {FOV_LIST16(FOV_JOIN01, 0)}, {FOV_LIST16(FOV_JOIN02, 0)}},
        {{FOV_LIST16(FOV_JOIN10, 0)}, {FOV_LIST16(FOV_JOIN11, 0)}, {FOV_LIST16(FOV_JOIN12, 0)}},
        {{FOV_LIST16(FOV_JOIN20, 0)}, {FOV_LIST16(FOV_JOIN21, 0)}, {FOV_LIST16(FOV_JOIN22, 0)}},
    };
    for (size_t at = 0; at < FOV_PLANE; at += 16) {
        const __m128i from[3] = {fov_load16(p->plane[0] + at), fov_load16(p->plane[1] + at), fov_load16(p->plane[2] + at)};
        for (size_t k = 0; k < 3; k++) {
            _mm_storeu_si128((__m128i *)(void *)(rgb + 3 * at + 16 * k), fov_pick3(from, order[k]));
        }
    }
}

#endif
#endif

/* Splits a tile of `count` pixels; those past the end are black. */
static inline void fov_planes_split_some(const uint8_t *rgb, size_t count, fov_planes *p) {
    if (count == FOV_PLANE) {
        fov_planes_split(rgb, p);
        return;
    }
    uint8_t whole[3 * FOV_PLANE] = {0};
    memcpy(whole, rgb, 3 * count);
    fov_planes_split(whole, p);
}

static inline void fov_planes_join_some(const fov_planes *p, size_t count, uint8_t *rgb) {
    if (count == FOV_PLANE) {
        fov_planes_join(p, rgb);
        return;
    }
    uint8_t whole[3 * FOV_PLANE];
    fov_planes_join(p, whole);
    memcpy(rgb, whole, 3 * count);
}

/* Pixels of the tile at `at`. */
static inline size_t fov_planes_at(size_t at, size_t pixels) {
    return pixels - at < FOV_PLANE ? pixels - at : FOV_PLANE;
}

/* Every tile, changed: `out` may be `rgb`. */
FOV_INLINE void fov_planes_each(const uint8_t *rgb, size_t pixels, void (*change)(fov_planes *, const void *), const void *context,
                                uint8_t *out) {
    for (size_t at = 0; at < pixels; at += FOV_PLANE) {
        const size_t count = fov_planes_at(at, pixels);
        fov_planes p;
        fov_planes_split_some(rgb + 3 * at, count, &p);
        change(&p, context);
        fov_planes_join_some(&p, count, out + 3 * at);
    }
}

#endif
