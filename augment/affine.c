/* Affine maps with Pillow's arithmetic, so that bytes are the same: nearest pixels by 16.16 fixed point, the others in double, truncated.
 *
 * Pillow's cubic here is not that of its resize: through values a b c d at -1 0 1 2 it is b + t (c - a + t (2 (a - b) + c - d +
 * t (b - a + d - c))), the cubic convolution of parameter -1. Taps past an edge repeat it; a point outside the picture is filled. */
#include "augment/affine.h"

#include <math.h>
#include <string.h>

#define PI 3.14159265358979323846
#define MAX_TAPS 4

/* ---- quarter turns ---- */

static void turn_pixels(const fov_image *image, size_t bytes, unsigned turns, uint8_t *output) {
    const size_t width = image->width, height = image->height;
    for (size_t y = 0; y < height; y++) {
        for (size_t x = 0; x < width; x++) {
            const size_t to = turns == 1   ? (width - 1 - x) * height + y
                              : turns == 2 ? (height - 1 - y) * width + width - 1 - x
                                           : x * height + height - 1 - y;
            memcpy(output + to * bytes, image->pixels + (y * width + x) * bytes, bytes);
        }
    }
}

void fov_quarter_turn(const fov_image *image, unsigned turns, uint8_t *output) {
    const size_t bytes = fov_pixel_bytes(fov_image_format(image));
    if (turns == 0) {
        memcpy(output, image->pixels, image->width * image->height * bytes);
    } else if (bytes == 3) {
        turn_pixels(image, 3, turns, output); /* a copy of known size */
    } else {
        turn_pixels(image, bytes, turns, output);
    }
}

/* ---- nearest ---- */

static int64_t fixed(double value) {
    return (int64_t)floor(value * 65536.0 + 0.5);
}

static void sample_nearest(const fov_image *image, const double m[6], uint8_t *output) {
    const size_t bytes = fov_pixel_bytes(fov_image_format(image));
    const int64_t width = (int64_t)image->width, height = (int64_t)image->height;
    int64_t row_x = fixed(m[2] + m[0] * 0.5 + m[1] * 0.5), row_y = fixed(m[5] + m[3] * 0.5 + m[4] * 0.5);
    for (int64_t y = 0; y < height; y++, row_x += fixed(m[1]), row_y += fixed(m[4])) {
        int64_t at_x = row_x, at_y = row_y;
        for (int64_t x = 0; x < width; x++, at_x += fixed(m[0]), at_y += fixed(m[3])) {
            const int64_t from_x = at_x >> 16, from_y = at_y >> 16;
            if (from_x >= 0 && from_x < width && from_y >= 0 && from_y < height) {
                memcpy(output + (size_t)(y * width + x) * bytes, image->pixels + (size_t)(from_y * width + from_x) * bytes, bytes);
            }
        }
    }
}

/* ---- bilinear and bicubic ---- */

static inline double read_sample(const uint8_t *samples, size_t at, bool deep) {
    uint16_t wide = samples[at];
    if (deep) {
        memcpy(&wide, samples + 2 * at, sizeof wide);
    }
    return (double)wide;
}

static inline void write_sample(uint8_t *samples, size_t at, bool deep, double value) {
    const double largest = deep ? 65535.0 : 255.0;
    const uint16_t wide = (uint16_t)(value <= 0.0 ? 0.0 : value >= largest ? largest : value);
    if (deep) {
        memcpy(samples + 2 * at, &wide, sizeof wide);
    } else {
        samples[at] = (uint8_t)wide;
    }
}

static inline double blend(const double *v, size_t taps, double t) {
    if (taps == 2) {
        return v[0] + (v[1] - v[0]) * t;
    }
    const double slope = -v[0] + v[2], bend = 2.0 * (v[0] - v[1]) + v[2] - v[3], twist = -v[0] + v[1] - v[2] + v[3];
    return v[1] + t * (slope + t * (bend + t * twist));
}

/* The offsets of `taps` neighbours from `first` on, those past the edge repeating it. */
static inline void neighbours(ptrdiff_t first, size_t taps, size_t size, size_t step, size_t *offset) {
    for (size_t t = 0; t < taps; t++) {
        const ptrdiff_t at = first + (ptrdiff_t)t;
        offset[t] = (at < 0 ? 0 : at < (ptrdiff_t)size ? (size_t)at : size - 1) * step;
    }
}

/* Axes along which points lie between samples. Along another one, as in shears and shifts, each point lies on a sample and the blend is
 * that sample, exactly: 0 times the rest is added to it. */
typedef enum axes { ALONG_X = 1, ALONG_Y = 2, ALONG_BOTH = 3 } axes;

/* What is known to the compiler, where it is a constant, about a pass over a picture. */
typedef struct pass {
    size_t taps, channels;
    bool deep;
    axes between;
} pass;

static inline void sample_point(const fov_image *image, const pass p, double x, double y, uint8_t *output, size_t to) {
    const double at_x = x - 0.5, at_y = y - 0.5; /* at least -0.5, so this is floor: */
    const ptrdiff_t left = at_x < 0.0 ? -1 : (ptrdiff_t)at_x, top = at_y < 0.0 ? -1 : (ptrdiff_t)at_y;
    const double dx = at_x - (double)left, dy = at_y - (double)top;
    const size_t before = p.taps == 4 ? 1 : 0;
    const size_t first_row = p.between == ALONG_X ? before : 0, last_row = p.between == ALONG_X ? before + 1 : p.taps;
    size_t across[MAX_TAPS], down[MAX_TAPS];
    neighbours(left - (ptrdiff_t)before, p.taps, image->width, p.channels, across);
    neighbours(top - (ptrdiff_t)before, p.taps, image->height, image->width * p.channels, down);
    for (size_t c = 0; c < p.channels; c++) {
        double column[MAX_TAPS] = {0.0};
        for (size_t r = first_row; r < last_row; r++) {
            double row[MAX_TAPS] = {0.0};
            for (size_t t = 0; t < p.taps && p.between != ALONG_Y; t++) {
                row[t] = read_sample(image->pixels, down[r] + across[t] + c, p.deep);
            }
            column[r] = p.between == ALONG_Y ? read_sample(image->pixels, down[r] + across[before] + c, p.deep) : blend(row, p.taps, dx);
        }
        write_sample(output, to + c, p.deep, p.between == ALONG_X ? column[before] : blend(column, p.taps, dy));
    }
}

static inline void sample_smooth(const fov_image *image, const double m[6], const pass p, uint8_t *output) {
    const double width = (double)image->width, height = (double)image->height;
    size_t to = 0;
    for (size_t y = 0; y < image->height; y++) {
        for (size_t x = 0; x < image->width; x++, to += p.channels) {
            const double middle_x = (double)x + 0.5, middle_y = (double)y + 0.5;
            const double from_x = m[0] * middle_x + m[1] * middle_y + m[2], from_y = m[3] * middle_x + m[4] * middle_y + m[5];
            if (from_x >= 0.0 && from_x < width && from_y >= 0.0 && from_y < height) {
                sample_point(image, p, from_x, from_y, output, to);
            }
        }
    }
}

/* ---- all ---- */

static void fill_with(const fov_image *image, const uint8_t *fill, uint8_t *output) {
    const size_t samples = image->deep ? 2 : 1, bytes = image->channels * samples, total = image->width * image->height * bytes;
    if (fill == NULL) {
        memset(output, 0, total);
        return;
    }
    for (size_t i = 0; i < bytes; i++) {
        output[i] = fill[i / samples]; /* both bytes of a sample of 16 bits: times 257 */
    }
    for (size_t done = bytes; done < total; done *= 2) {
        memcpy(output + done, output, total - done < done ? total - done : done);
    }
}

void fov_affine_apply(const fov_image *image, const double m[6], fov_sampling sampling, const uint8_t *fill, uint8_t *output) {
    fill_with(image, fill, output);
    if (sampling == FOV_SAMPLE_NEAREST) {
        sample_nearest(image, m, output);
        return;
    }
    const bool cubic = sampling == FOV_SAMPLE_BICUBIC, on_rows = m[3] == 0.0 && m[4] == 1.0 && m[5] == 0.0,
               on_columns = m[0] == 1.0 && m[1] == 0.0 && m[2] == 0.0;
    if (image->deep || image->channels != 3) {
        sample_smooth(image, m, (pass){.taps = cubic ? 4 : 2, .channels = image->channels, .deep = image->deep, .between = ALONG_BOTH},
                      output);
    } else if (!cubic) { /* from here on the usual kinds, as constants */
        sample_smooth(image, m, (pass){.taps = 2, .channels = 3, .deep = false, .between = ALONG_BOTH}, output);
    } else if (on_rows) {
        sample_smooth(image, m, (pass){.taps = 4, .channels = 3, .deep = false, .between = ALONG_X}, output);
    } else if (on_columns) {
        sample_smooth(image, m, (pass){.taps = 4, .channels = 3, .deep = false, .between = ALONG_Y}, output);
    } else {
        sample_smooth(image, m, (pass){.taps = 4, .channels = 3, .deep = false, .between = ALONG_BOTH}, output);
    }
}

/* To 15 decimals, as Pillow rounds sine and cosine. x 1e15 is split into a double and what it lacks, so that ties are seen. */
static double round_15(double x) {
    const double scaled = x * 1e15, lacking = fma(x, 1e15, -scaled), whole = floor(scaled), excess = scaled - whole - 0.5;
    const bool odd = fmod(whole, 2.0) != 0.0;
    const bool up = excess > 0.0 || (excess == 0.0 && (lacking > 0.0 || (lacking == 0.0 && odd)));
    return (up ? whole + 1.0 : whole) / 1e15;
}

void fov_affine_rotate(const fov_image *image, double degrees, fov_sampling sampling, const uint8_t *fill, uint8_t *output) {
    double turned = fmod(degrees, 360.0);
    turned = turned < 0.0 ? turned + 360.0 : turned;
    const double quarters = turned / 90.0;
    if (quarters == floor(quarters) && (fmod(quarters, 2.0) == 0.0 || image->width == image->height)) {
        fov_quarter_turn(image, (unsigned)quarters % 4U, output);
        return;
    }
    const double angle = -(turned * (PI / 180.0)), middle_x = (double)image->width / 2.0, middle_y = (double)image->height / 2.0;
    const double c = round_15(cos(angle)), s = round_15(sin(angle)), minus_s = round_15(-sin(angle));
    const double m[6] = {c,       s, c * -middle_x + s * -middle_y + middle_x, /* the middle stays where it is */
                         minus_s, c, minus_s * -middle_x + c * -middle_y + middle_y};
    fov_affine_apply(image, m, sampling, fill, output);
}
