/* Strips put together again: the part that they make must be the one that is read as a whole, and they must come as image.h says. */
#ifndef FOV_TESTS_STRIP_CASE_H
#define FOV_TESTS_STRIP_CASE_H

#include <stdlib.h>
#include <string.h>

#include "augment/image.h"

typedef struct strip_case {
    const fov_image *part; /* what was read as a whole */
    uint8_t *rows;         /* as many, from the strips; grows, the owner frees */
    size_t capacity;
    size_t strips, begun; /* how many came, and how often from the start */
    size_t low, high;     /* rows that are there: [low, high) */
    bool wrong;           /* not as promised */
    bool sideways;        /* so they came, and so they are in `rows` */
    fov_status answer;    /* what the taker says to strip number `answer_at`; FOV_OK: nothing */
    size_t answer_at;
    size_t spare;   /* > 0: the file comes in pieces of up to that many bytes more than are asked for */
    size_t fail_at; /* of the pieces, the one that fails; 0: none */
    size_t calls;   /* for pieces */
} strip_case;

/* The image's place and sizes mirrored at the diagonal, as those of strips that come sideways; without pixels. */
static inline fov_image strip_sideways(const fov_image *image) {
    fov_image lying = *image;
    lying.left = image->top;
    lying.top = image->left;
    lying.width = image->height;
    lying.height = image->width;
    lying.full_width = image->full_height;
    lying.full_height = image->full_width;
    lying.pixels = NULL;
    return lying;
}

/* The part as the strips lie. */
static inline fov_image strip_part(const strip_case *c, const fov_strip *strip) {
    return strip->sideways ? strip_sideways(c->part) : *c->part;
}

static inline bool strip_place(strip_case *c, const fov_strip *strip) {
    const fov_image *i = &strip->image, lying = strip_part(c, strip), *p = &lying;
    const bool same = i->left == p->left && i->width == p->width && i->channels == p->channels && i->deep == p->deep &&
                      i->shrink == p->shrink && i->full_width == p->full_width && i->full_height == p->full_height;
    if (!same || i->height == 0 || i->top < p->top || i->top + i->height > p->top + p->height) {
        return false;
    }
    const size_t top = i->top - p->top, end = top + i->height;
    if (strip->first) {
        c->low = strip->upward ? end : top;
        c->high = c->low;
        c->begun++;
        return strip->upward ? end == p->height : top == 0;
    }
    return strip->upward ? end == c->low + FOV_STRIP_OVERLAP && top < c->low : top + FOV_STRIP_OVERLAP == c->high && end > c->high;
}

static inline fov_status strip_take(void *context, const fov_strip *strip) {
    strip_case *c = context;
    if (c->answer != FOV_OK && c->strips == c->answer_at) {
        c->strips++;
        return FOV_FAIL(c->answer, "enough strips");
    }
    c->strips++;
    if (!strip_place(c, strip)) {
        c->wrong = true;
        return FOV_OK;
    }
    const fov_image *i = &strip->image, part = strip_part(c, strip);
    const size_t bytes = i->width * fov_pixel_bytes(fov_image_format(i)), top = i->top - part.top;
    c->sideways = strip->sideways;
    for (size_t y = 0; y < i->height; y++) {
        uint8_t *row = c->rows + (top + y) * bytes;
        const uint8_t *from = i->pixels + y * bytes;
        if (top + y >= c->low && top + y < c->high && memcmp(row, from, bytes) != 0) {
            c->wrong = true; /* a row that came before comes as it was */
        }
        memcpy(row, from, bytes);
    }
    c->low = top < c->low ? top : c->low;
    c->high = top + i->height > c->high ? top + i->height : c->high;
    return FOV_OK;
}

/* A file in pieces of few bytes more than are asked for, each in memory of its own, so that a byte of the one before or behind is found. */
typedef struct strip_pieces {
    const uint8_t *bytes;
    size_t size, padding, spare;
    uint8_t *piece;
    size_t calls, fail_at; /* 0: never */
} strip_pieces;

static inline fov_status strip_get(void *context, size_t at, size_t count, const uint8_t **bytes, size_t *got) {
    strip_pieces *p = context;
    free(p->piece);
    p->piece = NULL;
    if (++p->calls == p->fail_at) {
        return FOV_FAIL(FOV_E_IO, "a piece that does not come");
    }
    const size_t left = p->size - at;
    *got = (count < left ? count : left) + (p->calls * 7919 + at) % p->spare;
    *got = *got < left ? *got : left;
    const size_t behind = *got == left ? p->padding : 0;
    p->piece = calloc(1, *got + behind);
    if (p->piece == NULL) {
        return FOV_E_NOMEM;
    }
    memcpy(p->piece, p->bytes + at, *got);
    *bytes = p->piece;
    return FOV_OK;
}

/* Whether the strips make the part. */
static inline bool strip_whole(const strip_case *c) {
    const fov_image *p = c->part;
    const size_t pixel = fov_pixel_bytes(fov_image_format(p));
    if (c->low != 0 || c->high != (c->sideways ? p->width : p->height)) {
        return false;
    }
    for (size_t y = 0; y < p->height; y++) {
        for (size_t x = 0; x < p->width; x++) {
            const size_t at = c->sideways ? x * p->height + y : y * p->width + x;
            if (memcmp(c->rows + at * pixel, p->pixels + (y * p->width + x) * pixel, pixel) != 0) {
                return false;
            }
        }
    }
    return true;
}

/* Reads the file in strips that must make `part`, which was read as a whole. */
static inline fov_status strip_read(strip_case *c, fov_decoder *decoder, const uint8_t *bytes, size_t size,
                                    const fov_decode_options *options, const fov_decode_part *wanted, const fov_image *part) {
    fov_image_info info;
    const size_t all = part->width * part->height * fov_pixel_bytes(fov_image_format(part));
    if (all >= c->capacity) {
        free(c->rows);
        c->rows = malloc(all + 1);
        c->capacity = all + 1;
    }
    c->part = part;
    c->strips = c->begun = c->low = c->high = 0;
    c->wrong = c->rows == NULL;
    strip_pieces pieces = {.bytes = bytes, .size = size, .padding = options == NULL ? 0 : options->padding, .spare = c->spare};
    pieces.fail_at = c->fail_at;
    const fov_byte_source source = {.size = size, .get = strip_get, .context = &pieces};
    fov_status status =
        c->spare > 0 ? fov_decoder_open_source(decoder, &source, options, &info) : fov_decoder_open(decoder, bytes, size, options, &info);
    if (status != FOV_OK || c->wrong) {
        free(pieces.piece);
        return status;
    }
    const bool turned = info.orientation > 1 && (options == NULL || !options->keep_orientation);
    c->wrong = fov_decoder_part_bytes(decoder, wanted) != (turned ? 2 : 1) * all;
    status = fov_decoder_read_strips(decoder, wanted, strip_take, c);
    free(pieces.piece);
    c->calls = pieces.calls;
    c->wrong |= status == FOV_OK && !strip_whole(c);
    return status;
}

#endif
