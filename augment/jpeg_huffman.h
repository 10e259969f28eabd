/* Huffman decoding of baseline JPEG blocks, in the header so that the loop over blocks inlines it. Private to jpeg_baseline.c; jpeg_huffman.c makes
 * the tables.
 *
 * Bits stand left-aligned in a 64-bit word, filled up to eight bytes at a time where no 0xFF is among them. A table of 2^LOOK entries resolves a code
 * together with the bits of its coefficient when both fit. Past the end of the data zeros are read and counted. */
#ifndef FOV_AUGMENT_JPEG_HUFFMAN_H
#define FOV_AUGMENT_JPEG_HUFFMAN_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#if defined(__clang__)
#define FOV_JPEG_UNROLL _Pragma("unroll")
#else
#define FOV_JPEG_UNROLL _Pragma("GCC unroll 8")
#endif

#define LOOK 11
#define MAX_CODE 16

/* A symbol with its coefficient, packed so that the loop over symbols masks little. Bits to take; whether the end of the block is among them; whether
 * the coefficient's own bits are still to be read; its value, or the number of its bits when they are still to be read; and, on top, how far the
 * symbol moves on from the place before it, zeros before the coefficient included: beyond the block where its end was read. The end of a block by
 * itself has value 0. No bits to take, and still something to read: a code of more than LOOK bits.
 *
 * An entry of a fast table has in its upper half the first symbol of what is looked at, and in its lower half all that is taken: that symbol alone, or
 * with the end of its block, or with a second one, which may have the end with it too. The value is then that of the second; bits and moves are
 * sums. */
typedef uint32_t fov_huffman_symbol;
typedef uint64_t fov_huffman_entry;
#define MAKE_ENTRY(all, first) ((uint64_t)(all) | (uint64_t)(first) << 32)
#define ENTRY_ALL(e) ((fov_huffman_symbol)(e))
#define ENTRY_FIRST(e) ((fov_huffman_symbol)((e) >> 32))
#define SYMBOL_BITS(e) ((int)((e) & 63))
#define SYMBOL_END 64U
#define SYMBOL_PENDING 128U
#define SYMBOL_VALUE(e) ((int16_t)(uint16_t)((e) >> 8))
#define MAKE_SYMBOL(bits, flags, move, value) ((uint32_t)(bits) | (flags) | ((uint32_t)(value) & 0xFFFF) << 8 | (uint32_t)(move) << 24)
#define MOVE_TO_END 64 /* from any place but the first, out of the block; what is left of a move is that to the coefficient, and one more */

typedef struct fov_huffman_table {
    fov_huffman_entry fast[1 << LOOK];
    int32_t last[MAX_CODE + 2];  /* largest code of each length, left-aligned to 16 bits and plus one; the end is above all */
    int32_t offset[MAX_CODE + 1]; /* symbol index - code */
    uint8_t symbol[256];
    unsigned end_code;
    int end_length;  /* of the code for the end of a block */
    bool ac, made;
    uint8_t made_from[MAX_CODE + 1 + 256]; /* counts and symbols, as they came */
} fov_huffman_table;

/* Those of a component. All zero is a state without tables. */
typedef struct fov_huffman_tables {
    fov_huffman_table dc, ac;
    bool paired; /* entries have second symbols */
} fov_huffman_tables;

/* Makes them, or finds them made, from what a DHT segment has (see fov_jpeg_component), for `size` bytes of data. False when libjpeg would refuse them,
 * or when a symbol is none of baseline's. */
bool fov_huffman_make(fov_huffman_tables *tables, const uint8_t *dc_counts, const uint8_t *dc_symbols, const uint8_t *ac_counts,
                      const uint8_t *ac_symbols, size_t size);

#define FILLED 56 /* bits that are there after filling, at least; 63 at most */

typedef struct fov_bits {
    uint64_t word;
    int count;          /* valid bits, at the top of word; read_blocks keeps them modulo 64 */
    int invented;       /* zeros among them */
    const uint8_t *at, *end;
} fov_bits;

static inline uint64_t load_big(const uint8_t *at) {
    uint64_t word;
    memcpy(&word, at, sizeof word);
    return __builtin_bswap64(word);
}

static __attribute__((noinline)) fov_bits fill_slowly(fov_bits b) {
    b.count &= 63;
    while (b.count < FILLED) {
        uint64_t byte = 0;
        if (b.at < b.end && b.at[0] != 0xFF) {
            byte = *b.at++;
        } else if (b.end - b.at >= 2 && b.at[1] == 0) {
            byte = 0xFF;
            b.at += 2;
        } else { /* a marker, or the end of the file */
            b.invented += 8;
        }
        b.word |= byte << (56 - b.count);
        b.count += 8;
    }
    return b;
}

static inline void fill_bits(fov_bits *b) {
    if (__builtin_expect(b->end - b->at >= 8, 1)) {
        const uint64_t word = load_big(b->at);
        if (__builtin_expect(((~word - 0x0101010101010101U) & word & 0x8080808080808080U) == 0, 1)) {
            b->word |= word >> b->count; /* bits of a byte that is not yet counted come once more, the same */
            b->at += (size_t)(~b->count >> 3 & 7);
            b->count |= 56;
            return;
        }
    }
    *b = fill_slowly(*b);
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

typedef struct long_code {
    fov_bits bits; /* after it, filled */
    fov_huffman_symbol symbol; /* pending, with no bits to take; 0: there is no such code */
} long_code;

/* A code of more than LOOK bits, with its coefficient's bits still to be read. */
static __attribute__((noinline)) long_code read_long(fov_bits bits, const fov_huffman_table *table) {
    long_code code = {.bits = bits};
    const int symbol = long_symbol(&code.bits, table);
    if (symbol >= 0) {
        const bool ends = symbol == 0 && table->ac;
        code.symbol = MAKE_SYMBOL(0, SYMBOL_PENDING | (ends ? SYMBOL_END : 0), (symbol >> 4) + 1 + (ends ? MOVE_TO_END : 0), symbol & 15);
    }
    fill_bits(&code.bits);
    return code;
}

/* The rest of a code that its entry does not resolve: a symbol with its value that has nothing to take; 0 when there is no such code. */
static inline fov_huffman_symbol read_pending(fov_bits *b, const fov_huffman_table *table, fov_huffman_symbol symbol) {
    fill_bits(b);
    if (__builtin_expect(SYMBOL_BITS(symbol) == 0, 0)) {
        const long_code code = read_long(*b, table);
        if (code.symbol == 0) {
            return 0;
        }
        *b = code.bits;
        symbol = code.symbol;
    }
    const int length = SYMBOL_BITS(symbol), size = SYMBOL_VALUE(symbol);
    take(b, length);
    const int32_t value = size == 0 ? 0 : extend(peek(b, size), size);
    take(b, size);
    fill_bits(b);
    return (symbol & (0xFF000000U | SYMBOL_END)) | ((uint32_t)value & 0xFFFF) << 8;
}

/* `*a`, `*b` and `*c` become the others where the sign of `word` is set, without a branch that could be guessed wrong. */
#ifdef __x86_64__
#define FOV_CHOOSE3(word, a, other_a, b, other_b, c, other_c)                                                                              \
    __asm__("testl %3, %3\n\tcmovs %4, %0\n\tcmovs %5, %1\n\tcmovs %6, %2"                                                               \
            : "+&r"(a), "+&r"(b), "+r"(c)                                                                                                  \
            : "r"(word), "rm"(other_a), "rm"(other_b), "r"(other_c)                                                                         \
            : "cc")
#else
#define FOV_CHOOSE3(word, a, other_a, b, other_b, c, other_c)                                                                              \
    do {                                                                                                                                   \
        const bool other = (word) >> 31 != 0;                                                                                              \
        (a) = other ? (other_a) : (a);                                                                                                     \
        (b) = other ? (other_b) : (b);                                                                                                     \
        (c) = other ? (other_c) : (c);                                                                                                     \
    } while (0)
#endif

#endif
