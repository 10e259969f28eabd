/* Inner loops of the colour steps: grey and saturation with Pillow's roundings. They work on 64 pixels at a time, split into planes,
 * without branches; the last pixels of a row go through a tile of their own. */
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

void FOV_PIXEL_FN(pixel_gray)(const uint8_t *rgb, size_t pixels, uint8_t *out) {
    for (size_t at = 0; at < pixels; at += TILE) {
        const size_t count = fov_planes_at(at, pixels);
        fov_planes p;
        fov_planes_split_some(rgb + 3 * at, count, &p);
        tile_luma(&p, p.plane[0]);
        memcpy(p.plane[1], p.plane[0], TILE);
        memcpy(p.plane[2], p.plane[0], TILE);
        fov_planes_join_some(&p, count, out + 3 * at);
    }
}

void FOV_PIXEL_FN(pixel_saturate)(const uint8_t *rgb, size_t pixels, float factor, uint8_t *out) {
    for (size_t at = 0; at < pixels; at += TILE) {
        const size_t count = fov_planes_at(at, pixels);
        fov_planes p;
        fov_planes_split_some(rgb + 3 * at, count, &p);
        saturate_tile(&p, factor);
        fov_planes_join_some(&p, count, out + 3 * at);
    }
}
