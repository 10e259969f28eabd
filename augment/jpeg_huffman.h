/* Huffman decoding of baseline JPEG blocks, in the header so that the loop over blocks inlines it. Private to jpeg_baseline.c;
 * jpeg_huffman.c makes the tables.
 *
 * Bits stand left-aligned in a 64-bit word, filled up to eight bytes at a time where no 0xFF is among them. A table of 2^LOOK entries
 * resolves a code together with the bits of its coefficient when both fit, and what follows it when that is in sight as well. Past the end
 * of the data zeros are read and counted. */
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

/* Shifts that leave the flags alone. Every processor with AVX2 has them, and others do without this decoder. */
#ifdef __x86_64__
#define FOV_JPEG_TARGET __attribute__((target("bmi2")))
#else
#define FOV_JPEG_TARGET
#endif

#define LOOK 11
#define MAX_CODE 16

/* An entry of a fast table: a symbol, or two that are in sight together, and perhaps the end of the block after them. From the lowest byte
 * on: bits to take, and whether the coefficient's own bits are still to be read; the value at the place where the entry begins, 0 where
 * zeros come first; the value of its last coefficient, or the number of its bits when they are still to be read; and how far the entry
 * moves on: beyond the block where its end was read. Of two symbols the first has no zeros before it. The end of a block by itself has
 * values of 0. No bits to take, and still something to read: a code of more than LOOK bits.
 *
 * Two symbols in 32 bits: with tables of 64 bits, which fill the first cache, decoding took longer. */
typedef uint32_t fov_huffman_entry;
#define ENTRY_BITS(e) ((int)((e)&63))
#define ENTRY_PENDING 128U
#define ENTRY_FAR(e) ((int8_t)(uint8_t)((e) >> 16))
#define MAKE_ENTRY(bits, flags, near, far, move)                                                                                           \
    ((uint32_t)(bits) | (flags) | ((uint32_t)(near)&0xFF) << 8 | ((uint32_t)(far)&0xFF) << 16 | (uint32_t)(move) << 24)
/* A move out of the block from any place but the first, to where no coefficient leads, not even one too many. What is left of a move is
 * that to the coefficient, and one more. */
#define MOVE_TO_END 96
/* Of an entry that does not say all: to where nothing leads, from any place. How far it really moves then stands where the first value
 * would. */
#define MOVE_NOWHERE 160
/* Bytes of an entry as it lies in a table. */
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define ENTRY_BYTE(i) (i)
#else
#define ENTRY_BYTE(i) (3 - (i))
#endif

typedef struct fov_huffman_table {
    fov_huffman_entry fast[1 << LOOK];
    int32_t last[MAX_CODE + 2];   /* largest code of each length, left-aligned to 16 bits and plus one; the end is above all */
    int32_t offset[MAX_CODE + 1]; /* symbol index - code */
    uint8_t symbol[256];
    unsigned end_code; /* of a block */
    int end_length;
    bool ac, made;
    uint8_t made_from[MAX_CODE + 1 + 256]; /* counts and symbols, as they came */
} fov_huffman_table;

/* Those of a component. All zero is a state without tables. */
typedef struct fov_huffman_tables {
    fov_huffman_table dc, ac;
    bool paired; /* entries have second symbols */
} fov_huffman_tables;

/* Makes them, or finds them made, from what a DHT segment has (see fov_jpeg_component), for `size` bytes of data. False when libjpeg would
 * refuse them, or when a symbol is none of baseline's. */
bool fov_huffman_make(fov_huffman_tables *tables, const uint8_t *dc_counts, const uint8_t *dc_symbols, const uint8_t *ac_counts,
                      const uint8_t *ac_symbols, size_t size);

#define FILLED 56 /* bits that are there after filling, at least; 63 at most */

typedef struct fov_bits {
    uint64_t word;
    int count;    /* valid bits, at the top of word; read_blocks keeps them modulo 64 */
    int invented; /* zeros among them */
    const uint8_t *at, *end;
} fov_bits;

static inline uint64_t load_big(const uint8_t *at) {
    uint64_t word;
    memcpy(&word, at, sizeof word);
    return __builtin_bswap64(word);
}

/* Where a byte of 0xFF is near, or the end of the data. */
fov_bits fov_bits_fill_slowly(fov_bits b);

static inline void fill_bits(fov_bits *b) {
    if (__builtin_expect(b->end - b->at >= 8, 1)) {
        const uint64_t word = load_big(b->at);
        const uint64_t marked = (~word - 0x0101010101010101U) & word & 0x8080808080808080U; /* a byte of 0xFF, and perhaps one before it */
        if (__builtin_expect(marked == 0, 1)) {
            b->word |= word >> (b->count & 63); /* bits of a byte that is not yet counted come once more, the same */
            b->at += (size_t)(~b->count >> 3 & 7);
            b->count |= 56;
            return;
        }
    }
    *b = fov_bits_fill_slowly(*b);
}

static inline uint32_t peek(const fov_bits *b, int n) {
    return (uint32_t)(b->word >> (64 - n));
}

/* T.81 F.2.2.1, EXTEND: n > 0 bits to a signed number. */
static inline int32_t extend(uint32_t bits, int n) {
    return (int32_t)bits - (bits >> (n - 1) != 0 ? 0 : (1 << n) - 1);
}

/* A symbol that has no entry, or one that must stand alone: `word` holds at least FILLED bits, of which it takes no more than 27. */
typedef struct fov_slow_code {
    uint8_t bits;
    uint8_t move; /* 0: there is no such code */
    int16_t value;
} fov_slow_code;
fov_slow_code fov_huffman_read_slowly(uint64_t word, const fov_huffman_table *table, fov_huffman_entry entry);

/* `entry` is table[index], and `to` its move from `place`, added in 8 bits. `place` becomes that, but where its sign is set `place`, `a`
 * and `b` become the others, without a branch that could be guessed wrong. On the way from symbol to symbol every instruction counts: the
 * addition itself gives the sign, and comes from memory at the same time as the entry. */
#ifdef __x86_64__
#define FOV_MOVE_ON(entry, table, index, to, place, other_place, a, other_a, b, other_b)                                                   \
    __asm__("movl (%[T],%[I],4), %[E]\n\tmovq %[P], %[To]\n\taddb 3(%[T],%[I],4), %b[To]\n\t"                                              \
            "cmovs %[OA], %[A]\n\tcmovs %[OB], %[B]\n\tmovq %[To], %[P]\n\tcmovs %[OP], %[P]"                                              \
            : [E] "=&r"(entry), [To] "=&r"(to), [P] "+&r"(place), [A] "+&r"(a), [B] "+&r"(b)                                               \
            : [T] "r"(table), [I] "r"(index), [OP] "m"(other_place), [OA] "m"(other_a), [OB] "r"(other_b), "m"((table)[index])             \
            : "cc")
#else
#define FOV_MOVE_ON(entry, table, index, to, place, other_place, a, other_a, b, other_b)                                                   \
    do {                                                                                                                                   \
        (entry) = (table)[index];                                                                                                          \
        (to) = ((place) + ((entry) >> 24)) & 255;                                                                                          \
        const bool other = (to) > 127;                                                                                                     \
        (a) = other ? (other_a) : (a);                                                                                                     \
        (b) = other ? (other_b) : (b);                                                                                                     \
        (place) = other ? (other_place) : (to);                                                                                            \
    } while (0)
#endif

#endif
