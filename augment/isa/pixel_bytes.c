/* Inner loops that move or replace bytes: tables of 256 entries, rows turned round, bytes to floats. */
#include <string.h>

#include "augment/isa/pixel_simd.h"

/* ---- table ---- */

#if FOV_ISA_LEVEL == 3
#define STEP 64

typedef struct lookup {
    __m512i quarter[4];
} lookup;

static inline lookup lookup_load(const uint8_t *table) {
    return (lookup){{fov_vec_load(table), fov_vec_load(table + 64), fov_vec_load(table + 128), fov_vec_load(table + 192)}};
}

static inline __m512i lookup_bytes(const lookup *l, __m512i bytes) {
    const __m512i low = _mm512_permutex2var_epi8(l->quarter[0], bytes, l->quarter[1]);
    const __m512i high = _mm512_permutex2var_epi8(l->quarter[2], bytes, l->quarter[3]);
    return _mm512_mask_blend_epi8(_mm512_movepi8_mask(bytes), low, high);
}

#elif FOV_ISA_LEVEL > 0
#define STEP (4 * FOV_LANES)

typedef struct lookup {
    fov_vec row[16];
} lookup;

static inline lookup lookup_load(const uint8_t *table) {
    lookup l;
    for (size_t i = 0; i < 16; i++) {
        const __m128i row = _mm_loadu_si128((const __m128i *)(const void *)(table + 16 * i));
#if FOV_ISA_LEVEL == 1
        l.row[i] = _mm256_broadcastsi128_si256(row);
#else
        l.row[i] = _mm512_broadcast_i32x4(row);
#endif
    }
    return l;
}

/* A shuffle gives 0 for indices from 128: adding 112 with saturation leaves only those below 16 under it, so each of the sixteen
 * shuffles answers for its own sixteen bytes and all others get 0 from it. */
static inline fov_vec lookup_bytes(const lookup *l, fov_vec bytes) {
    fov_vec found = FOV_VEC(set1_epi8)(0);
    for (int i = 0; i < 16; i++) {
        const fov_vec near = FOV_VEC_XOR(bytes, FOV_VEC(set1_epi8)((char)(16 * i)));
        const fov_vec index = FOV_VEC(adds_epu8)(near, FOV_VEC(set1_epi8)(112));
        found = FOV_VEC_OR(found, FOV_VEC(shuffle_epi8)(l->row[i], index));
    }
    return found;
}
#endif

void FOV_PIXEL_FN(pixel_table)(const uint8_t *in, size_t count, const uint8_t *table, uint8_t *out) {
    size_t i = 0;
#if FOV_ISA_LEVEL > 0
    const lookup l = lookup_load(table);
    for (; i + STEP <= count; i += STEP) {
        fov_vec_store(out + i, lookup_bytes(&l, fov_vec_load(in + i)));
    }
#endif
    for (; i < count; i++) {
        out[i] = table[in[i]];
    }
}

/* ---- mirror ---- */

#if FOV_ISA_LEVEL > 0
/* Five pixels of three bytes a step, sixteen bytes moved; the byte too many is overwritten by the next step. Gives the pixels done. */
static size_t mirror_rgb(const uint8_t *row, size_t width, uint8_t *out) {
    const __m128i order = _mm_setr_epi8(13, 14, 15, 10, 11, 12, 7, 8, 9, 4, 5, 6, 1, 2, 3, 0);
    size_t x = 0;
    for (; x + 6 <= width; x += 5) {
        const __m128i pixels = _mm_loadu_si128((const __m128i *)(const void *)(row + 3 * (width - x) - 16));
        _mm_storeu_si128((__m128i *)(void *)(out + 3 * x), _mm_shuffle_epi8(pixels, order));
    }
    return x;
}
#endif

void FOV_PIXEL_FN(pixel_mirror)(const uint8_t *row, size_t width, size_t bytes, uint8_t *out) {
    size_t x = 0;
#if FOV_ISA_LEVEL > 0
    if (bytes == 3) {
        x = mirror_rgb(row, width, out);
    }
#endif
    for (; x < width; x++) {
        fov_copy_pixel(out + bytes * x, row + bytes * (width - 1 - x), bytes);
    }
}
