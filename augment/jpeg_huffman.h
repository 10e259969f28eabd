/* Huffman decoding of baseline JPEG blocks, in the header so that the loops over blocks inline it. Private to jpeg_baseline.c.
 *
 * Bits stand left-aligned in a 64-bit word, filled eight bytes at a time where no 0xFF is among them. A table of 2^LOOK entries resolves a code
 * together with the bits of its coefficient when both fit. Past the end of the data zeros are read and counted. */
#ifndef FOV_AUGMENT_JPEG_HUFFMAN_H
#define FOV_AUGMENT_JPEG_HUFFMAN_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#define LOOK 10
#define MAX_CODE 16

/* An entry of a fast table, packed: bits to take (5 bits of it), whether the coefficient's own bits are still to be read, zeros before the
 * coefficient (END_OF_BLOCK: there is none), places from it to the next (more than 64: the end of the block was read along with it), and its
 * value, or the number of its bits when they are still to be read. No bits to take, and still something to read: a code of more than LOOK bits. */
typedef uint32_t fov_huffman_entry;
#define ENTRY_BITS(e) ((int)((e) & 31))
#define ENTRY_PENDING 32U
#define ENTRY_RUN(e) ((e) >> 6 & 255)
#define ENTRY_STEP(e) ((e) >> 14 & 127)
#define ENTRY_VALUE(e) ((int32_t)(e) >> 21)
#define MAKE_ENTRY(bits, pending, run, step, value) \
    ((uint32_t)(bits) | ((pending) ? ENTRY_PENDING : 0) | (uint32_t)(run) << 6 | (uint32_t)(step) << 14 | (uint32_t)(value) << 21)
#define END_OF_BLOCK 128
#define STEP_TO_END 65

typedef struct fov_huffman_table {
    fov_huffman_entry fast[1 << LOOK];
    int32_t last[MAX_CODE + 2];  /* largest code of each length, left-aligned to 16 bits and plus one; the end is above all */
    int32_t offset[MAX_CODE + 1]; /* symbol index - code */
    uint8_t symbol[256];
    int end_length;  /* of the code for the end of a block */
    bool made;
    uint8_t made_from[MAX_CODE + 1 + 256]; /* counts and symbols, as they came */
} fov_huffman_table;

typedef struct fov_bits {
    uint64_t word;
    int count;          /* valid bits, at the top of word */
    int invented;       /* zeros among them */
    const uint8_t *at, *end;
} fov_bits;

static inline uint64_t load_big(const uint8_t *at) {
    uint64_t word;
    memcpy(&word, at, sizeof word);
    return __builtin_bswap64(word);
}

static inline void fill_slowly(fov_bits *b) {
    while (b->count <= 56) {
        uint64_t byte = 0;
        if (b->at < b->end && b->at[0] != 0xFF) {
            byte = *b->at++;
        } else if (b->end - b->at >= 2 && b->at[1] == 0) {
            byte = 0xFF;
            b->at += 2;
        } else { /* a marker, or the end of the file */
            b->invented += 8;
        }
        b->word |= byte << (56 - b->count);
        b->count += 8;
    }
}

/* At least 57 bits afterwards. */
static inline void fill_bits(fov_bits *b) {
    if (__builtin_expect(b->end - b->at >= 8, 1)) {
        const uint64_t word = load_big(b->at);
        if (__builtin_expect(((~word - 0x0101010101010101U) & word & 0x8080808080808080U) == 0, 1)) {
            const int bytes = (64 - b->count) >> 3;
            b->word |= b->count == 64 ? 0 : word >> b->count; /* bits of a byte that is not yet counted come once more, the same */
            b->at += bytes;
            b->count += 8 * bytes;
            return;
        }
    }
    fill_slowly(b);
}

static inline uint32_t peek(const fov_bits *b, int n) { return (uint32_t)(b->word >> (64 - n)); }
static inline void take(fov_bits *b, int n) {
    b->word <<= n;
    b->count -= n;
}

/* T.81 F.2.2.1, EXTEND: n > 0 bits to a signed number. */
static inline int32_t extend(uint32_t bits, int n) { return (int32_t)bits - (bits >> (n - 1) != 0 ? 0 : (1 << n) - 1); }

/* A code of more than LOOK bits; its symbol, or -1 when there is none. */
static inline int long_symbol(fov_bits *b, const fov_huffman_table *table) {
    const int32_t code = (int32_t)peek(b, MAX_CODE);
    int length = LOOK + 1;
    while (code >= table->last[length]) {
        length++;
    }
    if (length > MAX_CODE) {
        return -1;
    }
    const int32_t index = (code >> (MAX_CODE - length)) + table->offset[length];
    take(b, length);
    return index < 0 || index > 255 ? -1 : table->symbol[index];
}

/* Difference of a DC coefficient; false when the data make no sense. */
static inline bool read_dc(fov_bits *b, const fov_huffman_table *table, int32_t *difference) {
    fill_bits(b);
    const fov_huffman_entry entry = table->fast[peek(b, LOOK)];
    int size;
    if (__builtin_expect(ENTRY_BITS(entry) > 0, 1)) {
        take(b, ENTRY_BITS(entry));
        if ((entry & ENTRY_PENDING) == 0) {
            *difference = ENTRY_VALUE(entry);
            return true;
        }
        size = ENTRY_VALUE(entry);
    } else {
        size = long_symbol(b, table);
        if (size < 0 || size > 11) {
            return false;
        }
    }
    *difference = size == 0 ? 0 : extend(peek(b, size), size);
    take(b, size);
    return true;
}

/* The rest of a code that its entry does not resolve: the value, with the entry's place moved on; false when there is no such code. */
static inline bool read_pending(fov_bits *b, const fov_huffman_table *table, fov_huffman_entry entry, size_t *place, int32_t *value) {
    int size = ENTRY_VALUE(entry);
    fill_bits(b);
    if (ENTRY_BITS(entry) > 0) {
        take(b, ENTRY_BITS(entry));
    } else {
        const int symbol = long_symbol(b, table);
        if (symbol < 0) {
            return false;
        }
        size = symbol & 15;
        *place += symbol == 0 ? END_OF_BLOCK : (size_t)symbol >> 4;
    }
    *value = size == 0 ? 0 : extend(peek(b, size), size);
    take(b, size);
    return true;
}

/* The 63 other coefficients, each to to[where[k]]; *last is the k of the last that was coded, 0 when there is none. A function of its own, with a
 * copy of the bits: all that the loop needs then fits in registers. */
static __attribute__((noinline)) bool read_ac(fov_bits *bits, const fov_huffman_table *table, const uint8_t *where, int16_t *to, size_t *last) {
    fov_bits b = *bits;
    size_t k = 1;
    *last = 0;
    while (k < 64) {
        if (__builtin_expect(b.count < LOOK, 0)) {
            fill_bits(&b);
        }
        const fov_huffman_entry entry = table->fast[peek(&b, LOOK)];
        size_t place = k + ENTRY_RUN(entry), step = ENTRY_STEP(entry);
        int32_t value = ENTRY_VALUE(entry);
        int length = ENTRY_BITS(entry);
        if (__builtin_expect((entry & ENTRY_PENDING) != 0, 0)) {
            if (!read_pending(&b, table, entry, &place, &value)) {
                return false;
            }
            length = 0;
            step = 1;
        }
        if (__builtin_expect(place >= 63, 0)) {
            if (place > 63) {
                take(&b, length);
                *bits = b;
                return place >= END_OF_BLOCK;
            }
            /* the end of a block that is full is not coded: what looks like it belongs to the next block */
            length -= step == STEP_TO_END ? table->end_length : 0;
        }
        take(&b, length);
        to[where[place]] = (int16_t)value;
        *last = place;
        k = place + step;
    }
    *bits = b;
    return true;
}

#endif
