/* Huffman codes of baseline JPEG: the tables, and what the loop over symbols meets seldom. Most files of a folder come from one encoder, so
 * tables are kept from file to file. */
#include "augment/jpeg_huffman.h"

#include <string.h>

#define MOST_BITS 7             /* of a coefficient whose value fits an entry */
#define LARGE ((size_t)8 << 10) /* bytes of data that pay for entries of two symbols */

static fov_huffman_entry entry_of(unsigned code, int length, uint8_t symbol, bool ac) {
    const int size = ac ? symbol & 15 : symbol, rest = LOOK - length - size;
    const bool ends = ac && symbol == 0;
    const unsigned move = (ac ? symbol >> 4U : 0) + 1U + (ends ? MOVE_TO_END : 0);
    if (rest < 0 || size > MOST_BITS) {
        return MAKE_ENTRY(length, ENTRY_PENDING, move, size, MOVE_NOWHERE);
    }
    const int32_t value = size == 0 ? 0 : extend(code >> rest & ((1U << size) - 1), size);
    return MAKE_ENTRY(length + size, 0, move == 1 ? value : 0, value, move);
}

/* Entries of one symbol each. */
static void fill_fast(fov_huffman_table *table) {
    const uint8_t *counts = table->made_from;
    unsigned code = 0, index = 0;
    for (unsigned i = 0; i < 1U << LOOK; i++) {
        table->fast[i] = MAKE_ENTRY(0, ENTRY_PENDING, 0, 0, MOVE_NOWHERE);
    }
    for (int length = 1; length <= LOOK; length++) {
        for (unsigned i = 0; i < counts[length]; i++, index++, code++) {
            const unsigned first = code << (LOOK - length);
            for (unsigned k = 0; k < 1U << (LOOK - length); k++) {
                table->fast[first + k] = entry_of(first + k, length, table->symbol[index], table->ac);
            }
        }
        code <<= 1;
    }
}

/* The same, but symbols that leave bits over take the end of the block along where its code comes next. */
static void join_ends(const fov_huffman_table *table, fov_huffman_entry *joined) {
    const int end_length = table->end_length > 0 ? table->end_length : LOOK + 1;
    for (unsigned i = 0; i < 1U << LOOK; i++) {
        const fov_huffman_entry e = table->fast[i];
        const int rest = LOOK - ENTRY_BITS(e) - end_length;
        const bool plain = (e & ENTRY_PENDING) == 0 && ENTRY_FAR(e) != 0;
        const bool ends = plain && rest >= 0 && (i >> rest & ((1U << end_length) - 1)) == table->end_code;
        joined[i] = ends ? e + (uint32_t)end_length + ((uint32_t)MOVE_TO_END << 24) : e;
    }
}

/* What an entry without zeros before its coefficient leaves over takes along what `joined` has there, as far as it can be seen. */
static void join_next(fov_huffman_table *table, const fov_huffman_entry *joined) {
    for (unsigned i = 0; i < 1U << LOOK; i++) {
        const fov_huffman_entry e = table->fast[i], next = joined[i << ENTRY_BITS(e) & ((1U << LOOK) - 1)];
        const bool open = e >> 24 == 1 && ((e | next) & ENTRY_PENDING) == 0 && ENTRY_BITS(next) <= LOOK - ENTRY_BITS(e);
        const fov_huffman_entry alone = table->ac ? joined[i] : e, both = (next & 0xFFFF00FF) + (e & 0xFF00FF3F);
        table->fast[i] = open ? both : alone;
    }
}

static void fill_both(fov_huffman_tables *tables) {
    fov_huffman_entry joined[1 << LOOK];
    fill_fast(&tables->dc);
    fill_fast(&tables->ac);
    join_ends(&tables->ac, joined);
    if (tables->paired) {
        join_next(&tables->dc, joined);
        join_next(&tables->ac, joined);
    } else {
        memcpy(tables->ac.fast, joined, sizeof joined);
    }
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
    const bool pair = !fresh || size >= LARGE;
    if (fresh || pair != tables->paired) {
        tables->paired = pair;
        fill_both(tables);
    }
    return true;
}

/* ---- bits ---- */

fov_bits fov_bits_fill_slowly(fov_bits b) {
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

fov_slow_code fov_huffman_read_slowly(uint64_t word, const fov_huffman_table *table, fov_huffman_entry entry) {
    int length = ENTRY_BITS(entry), size = ENTRY_FAR(entry);
    unsigned move = entry >> 8 & 0xFF;
    if ((entry & ENTRY_PENDING) == 0 || length == 0) {
        const int32_t code = (int32_t)(word >> (64 - MAX_CODE));
        length = (entry & ENTRY_PENDING) != 0 ? LOOK + 1 : 1;
        while (code >= table->last[length]) {
            length++;
        }
        const int32_t index = length > MAX_CODE ? -1 : (code >> (MAX_CODE - length)) + table->offset[length];
        if (index < 0 || index > 255) {
            return (fov_slow_code){.move = 0};
        }
        size = table->symbol[index] & 15;
        move = (table->symbol[index] >> 4U) + 1U + (table->ac && table->symbol[index] == 0 ? MOVE_TO_END : 0);
    }
    const uint64_t rest = word << length;
    return (fov_slow_code){.bits = (uint8_t)(length + size),
                           .move = (uint8_t)move,
                           .value = (int16_t)(size == 0 ? 0 : extend((uint32_t)(rest >> (64 - size)), size))};
}
