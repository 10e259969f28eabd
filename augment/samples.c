/* Samples to pixels: depth, ink to colour, transparency, grey.
 *
 * One pixel loop, inlined once for each pair of depths, so that no codec has conversions of its own. All divisions are exact roundings: 255
 * and 65535 are odd, so there are no ties, and products of two samples and their sums fit in 32 bits. */
#include "augment/samples.h"

#include <stdio.h>
#include <string.h>

fov_status fov_samples_check(const char *kind, const fov_samples *have, fov_pixel_format want) {
    static const char *const meanings[] = {"no colours", "grey", "colour", "CMYK"};
    const bool color = have->meaning != FOV_MEANS_NOTHING;
    if (have->planes == want.channels || (color && (want.channels == 1 || want.channels == 3))) {
        return FOV_OK;
    }
    char hint[80];
    if (have->planes > FOV_MAX_CHANNELS) {
        (void)snprintf(hint, sizeof hint, "at most %zu can be", FOV_MAX_CHANNELS);
    } else {
        const char *const others = !color ? "" : have->planes == 1 ? "3, a file for each plane (--group) or " : have->planes == 3 ? "1 or " : "1, 3 or ";
        (void)snprintf(hint, sizeof hint, "or ask for %s%zu", others, have->planes);
    }
    return FOV_FAIL(FOV_E_UNSUPPORTED, "%s: the file has %zu channel%s (%s%s), but %zu are asked for; convert it, %s", kind, have->planes,
                    have->planes == 1 ? "" : "s", meanings[have->meaning], have->cover != FOV_COVER_NONE ? " and alpha" : "", want.channels,
                    hint);
}

bool fov_samples_fit(const fov_samples *have, fov_pixel_format want) {
    return have->planes == want.channels && have->deep == want.deep;
}

static inline uint32_t get(const void *from, size_t at, bool from_deep, bool to_deep) {
    const uint32_t v = from_deep ? ((const uint16_t *)from)[at] : ((const uint8_t *)from)[at];
    return from_deep && !to_deep ? (v * 255 + 32767) / 65535 : v;
}

static inline void put(void *to, size_t at, uint32_t v, bool from_deep, bool to_deep) {
    if (to_deep) {
        ((uint16_t *)to)[at] = (uint16_t)(from_deep ? v : v * 257);
    } else {
        ((uint8_t *)to)[at] = (uint8_t)v;
    }
}

/* Pillow's "L", which is ITU-R 601 in 16 bits of fraction. */
static inline uint32_t luma(const uint32_t *rgb) {
    return (rgb[0] * 19595 + rgb[1] * 38470 + rgb[2] * 7471 + 32768) >> 16;
}

/* What alpha leaves of the colour, and of a background (0 or top) what it lets through. Premultiplied colours are the former already. */
static inline uint32_t cover(uint32_t color, uint32_t alpha, uint32_t back, uint32_t top, bool straight) {
    if (straight) {
        return (color * alpha + back * (top - alpha) + top / 2) / top;
    }
    const uint32_t sum = color + (back == 0 ? 0 : top - alpha);
    return sum < top ? sum : top;
}

typedef struct colors {
    size_t planes, channels, own; /* samples of a pixel in and out; planes that make the colour */
    bool ink, covered, straight;
    uint32_t back;
} colors;

static inline void convert_colors(const colors *c, const void *from, size_t count, void *to, bool from_deep, bool to_deep) {
    const uint32_t top = from_deep && to_deep ? 65535 : 255;
    for (size_t i = 0; i < count; i++) {
        const size_t at = i * c->planes;
        uint32_t rgb[3];
        for (size_t k = 0; k < 3; k++) {
            uint32_t v = get(from, at + (c->own == 1 ? 0 : k), from_deep, to_deep);
            v = c->ink ? (v * get(from, at + 3, from_deep, to_deep) + top / 2) / top : v;
            rgb[k] = c->covered ? cover(v, get(from, at + c->own, from_deep, to_deep), c->back * (top / 255), top, c->straight) : v;
        }
        if (c->channels == 1) {
            put(to, i, c->own == 1 ? rgb[0] : luma(rgb), from_deep, to_deep);
            continue;
        }
        for (size_t k = 0; k < 3; k++) {
            put(to, 3 * i + k, rgb[k], from_deep, to_deep);
        }
    }
}

/* The usual ones are inlined once more with all that is known of them: transparency over a background, and luma. */
static void convert_bytes(const colors *c, const uint8_t *from, size_t count, uint8_t *to) {
    if (c->planes == 4 && c->own == 3 && c->channels == 3 && c->covered && c->straight) {
        const colors rgba = {.planes = 4, .channels = 3, .own = 3, .covered = true, .straight = true, .back = c->back};
        convert_colors(&rgba, from, count, to, false, false);
    } else if (c->planes == 3 && c->own == 3 && c->channels == 1) {
        const colors rgb = {.planes = 3, .channels = 1, .own = 3};
        convert_colors(&rgb, from, count, to, false, false);
    } else {
        convert_colors(c, from, count, to, false, false);
    }
}

static inline void convert_depth(const void *from, size_t count, void *to, bool from_deep, bool to_deep) {
    for (size_t i = 0; i < count; i++) {
        put(to, i, get(from, i, from_deep, to_deep), from_deep, to_deep);
    }
}

static inline void convert(const colors *c, const void *from, size_t count, void *to, bool from_deep, bool to_deep) {
    if (c->planes == c->channels) {
        convert_depth(from, count * c->planes, to, from_deep, to_deep);
    } else if (!from_deep && !to_deep) {
        convert_bytes(c, from, count, to);
    } else {
        convert_colors(c, from, count, to, from_deep, to_deep);
    }
}

void fov_samples_convert(const fov_samples *have, const fov_decode_options *options, const void *from, size_t count, void *to) {
    const fov_pixel_format want = options->format;
    const colors c = {.planes = have->planes,
                      .channels = want.channels,
                      .own = have->meaning == FOV_MEANS_GRAY  ? 1
                             : have->meaning == FOV_MEANS_RGB ? 3
                                                              : 4,
                      .ink = have->meaning == FOV_MEANS_CMYK,
                      .covered = have->cover != FOV_COVER_NONE && options->alpha != FOV_ALPHA_DROP,
                      .straight = have->cover == FOV_COVER_STRAIGHT,
                      .back = options->alpha == FOV_ALPHA_BLACK ? 0 : 255};
    if (fov_samples_fit(have, want)) {
        memcpy(to, from, count * fov_pixel_bytes(want));
    } else if (have->deep) {
        want.deep ? convert(&c, from, count, to, true, true) : convert(&c, from, count, to, true, false);
    } else {
        want.deep ? convert(&c, from, count, to, false, true) : convert(&c, from, count, to, false, false);
    }
}
