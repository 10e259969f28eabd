/* A checker for JSON text (RFC 8259) by recursive descent, bounded in depth and in the number of values.
 *
 * cJSON is lenient where a file from a stranger needs a strict reader: it takes 01 and 1. for numbers, line breaks inside strings, any
 * control character for white space, and \u0000, which ends its C strings early. It also builds a node of 64 bytes for every value, 30
 * times the text of "0,": the cap on values is what keeps a small hostile file small in memory. */
#include "base/json_check.h"

#include <string.h>

typedef struct checker {
    const unsigned char *at, *begin, *end;
    const char *what;
    unsigned depth, max_depth;
    size_t values;
} checker;

static fov_status fault(const checker *c, const char *reason) {
    return FOV_FAIL(FOV_E_FORMAT, "%s: not valid JSON at byte %zu: %s", c->what, (size_t)(c->at - c->begin), reason);
}

static int peek(const checker *c) {
    return c->at < c->end ? *c->at : -1;
}

static void skip_space(checker *c) {
    while (c->at < c->end && (*c->at == ' ' || *c->at == '\t' || *c->at == '\n' || *c->at == '\r')) {
        c->at++;
    }
}

static bool is_digit(int byte) {
    return byte >= '0' && byte <= '9';
}

static bool digits(checker *c) {
    if (!is_digit(peek(c))) {
        return false;
    }
    while (is_digit(peek(c))) {
        c->at++;
    }
    return true;
}

static fov_status number(checker *c) {
    const unsigned char *start = c->at;
    c->at += peek(c) == '-' ? 1 : 0;
    if (peek(c) == '0') {
        c->at++;
    } else if (!digits(c)) {
        return fault(c, "expected a digit");
    }
    if (peek(c) == '.') {
        c->at++;
        if (!digits(c)) {
            return fault(c, "expected a digit after the decimal point");
        }
    }
    if (peek(c) == 'e' || peek(c) == 'E') {
        c->at++;
        c->at += peek(c) == '+' || peek(c) == '-' ? 1 : 0;
        if (!digits(c)) {
            return fault(c, "expected a digit in the exponent");
        }
    }
    /* cJSON copies numbers into 64 bytes. */
    return c->at - start > 62 ? fault(c, "a number has more than 62 characters") : FOV_OK;
}

/* Four hexadecimal digits; -1 if they are not there. */
static int hex4(checker *c) {
    int value = 0;
    for (int i = 0; i < 4; i++, c->at++) {
        const int byte = peek(c);
        const int low = byte | 0x20;
        if (is_digit(byte)) {
            value = value * 16 + (byte - '0');
        } else if (byte >= 0 && low >= 'a' && low <= 'f') {
            value = value * 16 + (low - 'a' + 10);
        } else {
            return -1;
        }
    }
    return value;
}

/* After \u. */
static fov_status unicode_escape(checker *c) {
    const int first = hex4(c);
    if (first < 0) {
        return fault(c, "\\u needs four hexadecimal digits");
    }
    if (first == 0) {
        return fault(c, "\\u0000 is not allowed in names and texts");
    }
    if (first >= 0xDC00 && first <= 0xDFFF) {
        return fault(c, "a low surrogate without its high one");
    }
    if (first < 0xD800 || first > 0xDBFF) {
        return FOV_OK;
    }
    if (c->end - c->at < 6 || c->at[0] != '\\' || c->at[1] != 'u') {
        return fault(c, "a high surrogate without its low one");
    }
    c->at += 2;
    const int second = hex4(c);
    return second >= 0xDC00 && second <= 0xDFFF ? FOV_OK : fault(c, "a high surrogate without its low one");
}

static fov_status string(checker *c) {
    for (c->at++; peek(c) != '"'; c->at++) {
        if (peek(c) < 0) {
            return fault(c, "a string does not end");
        }
        if (*c->at < 0x20) {
            return fault(c, "a control character in a string");
        }
        if (*c->at != '\\') {
            continue;
        }
        c->at++;
        if (peek(c) == 'u') {
            c->at++;
            FOV_TRY(unicode_escape(c));
            c->at--;
        } else if (peek(c) <= 0 || strchr("\"\\/bfnrt", peek(c)) == NULL) {
            return fault(c, "an unknown escape in a string");
        }
    }
    c->at++;
    return FOV_OK;
}

static fov_status word(checker *c, const char *text) {
    const size_t length = strlen(text);
    if ((size_t)(c->end - c->at) < length || memcmp(c->at, text, length) != 0) {
        return fault(c, "expected a value");
    }
    c->at += length;
    return FOV_OK;
}

static fov_status value(checker *c);

static fov_status member(checker *c) {
    skip_space(c);
    if (peek(c) != '"') {
        return fault(c, "expected a name in quotes");
    }
    FOV_TRY(string(c));
    skip_space(c);
    if (peek(c) != ':') {
        return fault(c, "expected a colon");
    }
    c->at++;
    return value(c);
}

static fov_status container(checker *c, char close) {
    if (c->depth == c->max_depth) {
        return FOV_FAIL(FOV_E_LIMIT, "%s: JSON is nested deeper than %u levels at byte %zu", c->what, c->max_depth,
                        (size_t)(c->at - c->begin));
    }
    c->depth++;
    c->at++;
    skip_space(c);
    bool more = peek(c) != close;
    while (more) {
        FOV_TRY(close == '}' ? member(c) : value(c));
        skip_space(c);
        more = peek(c) == ',';
        if (!more && peek(c) != close) {
            return fault(c, close == '}' ? "expected , or }" : "expected , or ]");
        }
        c->at += more ? 1 : 0;
    }
    c->at++;
    c->depth--;
    return FOV_OK;
}

static fov_status value(checker *c) {
    if (++c->values > FOV_JSON_MAX_VALUES) {
        return FOV_FAIL(FOV_E_LIMIT, "%s: JSON has more than %d values", c->what, FOV_JSON_MAX_VALUES);
    }
    skip_space(c);
    switch (peek(c)) {
    case '{':
        return container(c, '}');
    case '[':
        return container(c, ']');
    case '"':
        return string(c);
    case 't':
        return word(c, "true");
    case 'f':
        return word(c, "false");
    case 'n':
        return word(c, "null");
    default:
        return peek(c) == '-' || is_digit(peek(c)) ? number(c) : fault(c, "expected a value");
    }
}

fov_status fov_json_check(const unsigned char *bytes, size_t size, unsigned max_depth, const char *what) {
    if (!fov_utf8_valid(bytes, size)) {
        return FOV_FAIL(FOV_E_FORMAT, "%s: not valid UTF-8", what);
    }
    checker c = {.at = bytes, .begin = bytes, .end = bytes + size, .what = what, .max_depth = max_depth};
    FOV_TRY(value(&c));
    skip_space(&c);
    return c.at == c.end ? FOV_OK : fault(&c, "something follows the value");
}
