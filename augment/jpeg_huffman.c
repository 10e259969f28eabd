/* Tables for the Huffman codes of baseline JPEG. Most files of a folder come from one encoder, and its tables are kept from file to file. */
#include "augment/jpeg_huffman.h"

#include <string.h>

#define LARGE ((size_t)8 << 10) /* bytes of data that pay for entries of two symbols */

static fov_huffman_symbol symbol_of(unsigned code, int length, uint8_t symbol, bool ac) {
    const int size = ac ? symbol & 15 : symbol, rest = LOOK - length - size;
    const bool ends = ac && symbol == 0;
    const unsigned flags = ends ? SYMBOL_END : 0, move = (ac ? symbol >> 4U : 0) + 1U + (ends ? MOVE_TO_END : 0);
    if (rest < 0) {
        return MAKE_SYMBOL(length, flags | SYMBOL_PENDING, move, size);
    }
    return MAKE_SYMBOL(length + size, flags, move, size == 0 ? 0 : extend(code >> rest & ((1U << size) - 1), size));
}

/* Of each entry the first symbol alone, and the end of the block where its code comes next. */
static void join_ends(fov_huffman_table *table) {
    const int end_length = table->ac && table->end_length > 0 ? table->end_length : LOOK + 1;
    for (unsigned i = 0; i < 1U << LOOK; i++) {
        const fov_huffman_symbol first = ENTRY_FIRST(table->fast[i]);
        const int rest = LOOK - SYMBOL_BITS(first) - end_length;
        const bool plain = (first & SYMBOL_PENDING) == 0 && SYMBOL_VALUE(first) != 0;
        fov_huffman_symbol all = first;
        if (plain && rest >= 0 && (i >> rest & ((1U << end_length) - 1)) == table->end_code) {
            all = (first | SYMBOL_END) + (uint32_t)end_length + ((uint32_t)MOVE_TO_END << 24);
        }
        table->fast[i] = MAKE_ENTRY(all, first);
    }
}

/* Lets symbols that leave bits over take along what follows them in `after`, as far as it can be seen. */
static void join_next(fov_huffman_table *table, const fov_huffman_symbol *after) {
    for (unsigned i = 0; i < 1U << LOOK; i++) {
        const fov_huffman_symbol first = ENTRY_FIRST(table->fast[i]);
        const int bits = SYMBOL_BITS(first);
        const fov_huffman_symbol next = after[i << bits & ((1U << LOOK) - 1)];
        const bool open = (first & (SYMBOL_PENDING | SYMBOL_END)) == 0 && (next & SYMBOL_PENDING) == 0;
        if (open && SYMBOL_BITS(next) <= LOOK - bits) {
            table->fast[i] = MAKE_ENTRY(next + (first & 0xFF00003F), first);
        }
    }
}

static void join_pairs(fov_huffman_table *dc, fov_huffman_table *ac) {
    fov_huffman_symbol after[1 << LOOK];
    for (unsigned i = 0; i < 1U << LOOK; i++) {
        after[i] = ENTRY_ALL(ac->fast[i]);
    }
    join_next(dc, after);
    join_next(ac, after);
}

/* T.81 annex C, with all that libjpeg demands of a table; false when it would refuse, or when a symbol is none of baseline's.
 * `*fresh` becomes true unless the table is there already. */
static bool make_table(const uint8_t *counts, const uint8_t *symbols, bool ac, fov_huffman_table *table, bool *fresh) {
    if (table->made && memcmp(table->made_from, counts, MAX_CODE + 1) == 0 && memcmp(table->made_from + MAX_CODE + 1, symbols, 256) == 0) {
        return true; /* most files of a folder come from one encoder */
    }
    unsigned code = 0, index = 0;
    *fresh = true;
    memset(table, 0, sizeof *table);
    table->ac = ac;
    for (unsigned i = 0; i < 1U << LOOK; i++) {
        table->fast[i] = MAKE_ENTRY(SYMBOL_PENDING, SYMBOL_PENDING);
    }
    for (int length = 1; length <= MAX_CODE; length++) {
        table->offset[length] = (int32_t)index - (int32_t)code;
        for (unsigned i = 0; i < counts[length]; i++, index++, code++) {
            if (index > 255 || code >= 1U << length) {
                return false;
            }
            const uint8_t symbol = symbols[index];
            if (ac ? (symbol & 15) > 10 || ((symbol & 15) == 0 && symbol != 0 && symbol != 0xF0) : symbol > 11) {
                return false;
            }
            table->symbol[index] = symbol;
            if (symbol == 0) {
                table->end_code = code;
                table->end_length = length;
            }
            if (length <= LOOK) {
                const unsigned first = code << (LOOK - length);
                for (unsigned k = 0; k < 1U << (LOOK - length); k++) {
                    const fov_huffman_symbol all = symbol_of(first + k, length, symbol, ac);
                    table->fast[first + k] = MAKE_ENTRY(all, all);
                }
            }
        }
        table->last[length] = (int32_t)(code << (MAX_CODE - length));
        code <<= 1;
    }
    table->last[MAX_CODE + 1] = INT32_MAX;
    memcpy(table->made_from, counts, MAX_CODE + 1);
    memcpy(table->made_from + MAX_CODE + 1, symbols, 256);
    table->made = true;
    return true;
}

/* Entries of two symbols take longer to make than they save in a small picture: there the second one with the same tables gets them. */
bool fov_huffman_make(fov_huffman_tables *tables, const uint8_t *dc_counts, const uint8_t *dc_symbols, const uint8_t *ac_counts,
                      const uint8_t *ac_symbols, size_t size) {
    bool fresh = false;
    if (!make_table(dc_counts, dc_symbols, false, &tables->dc, &fresh) || !make_table(ac_counts, ac_symbols, true, &tables->ac, &fresh)) {
        return false;
    }
    if (fresh) {
        join_ends(&tables->dc);
        join_ends(&tables->ac);
        tables->paired = false;
    }
    if (!tables->paired && (!fresh || size >= LARGE)) {
        join_pairs(&tables->dc, &tables->ac);
        tables->paired = true;
    }
    return true;
}
