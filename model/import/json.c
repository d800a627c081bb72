/*
 * JSON for the pull reader: RFC 8259, plus the bare words NaN, Infinity and -Infinity that XGBoost writes. Numbers are read
 * by our own correctly rounding reader; no locale, no copy of the text.
 */
#include <math.h>
#include <string.h>

#include "model/import/document_format.h"
#include "model/input/number.h"

static const char *skip_blanks(const char *p, const char *end)
{
    while (p < end && (*p == ' ' || *p == '\n' || *p == '\r' || *p == '\t'))
        p++;
    return p;
}

static bool cut_short(struct document *d)
{
    return document_fail(d, STATUS_INVALID, "the file ends too early");
}

/* The next byte that is no blank, left in place; '\0' with a failure at the end. */
static char look(struct document *d)
{
    d->at = skip_blanks(d->at, d->end);
    if (d->at < d->end)
        return *d->at;
    (void)cut_short(d);
    return '\0';
}

static enum document_kind json_peek(struct document *d)
{
    char c = look(d);
    if (d->status != STATUS_OK)
        return DOCUMENT_FAILED;
    switch (c) {
    case '{':
        return DOCUMENT_OBJECT;
    case '[':
        return DOCUMENT_ARRAY;
    case '"':
        return DOCUMENT_TEXT;
    case 't':
    case 'f':
    case 'n':
    case 'N':
    case 'I':
        return DOCUMENT_WORD;
    default:
        if (c == '-' || (c >= '0' && c <= '9'))
            return DOCUMENT_NUMBER;
        (void)document_fail(d, STATUS_INVALID, "a value is expected");
        return DOCUMENT_FAILED;
    }
}

static bool json_open(struct document *d, bool is_array)
{
    d->at++;
    return document_push(d, is_array);
}

/* Past the comma before an item, or past the closing bracket: then false. */
static bool more(struct document *d, char closing)
{
    bool started = document_top(d)->started;
    char c = look(d);
    if (c == closing) {
        d->at++;
        document_pop(d);
        return false;
    }
    if (!started)
        return d->status == STATUS_OK;
    if (c != ',')
        return document_fail(d, STATUS_INVALID, "',' or '%c' is expected", closing);
    d->at++;
    if (look(d) == closing)
        return document_fail(d, STATUS_INVALID, "a value is expected after ','");
    return d->status == STATUS_OK;
}

static bool json_item(struct document *d)
{
    return more(d, ']');
}

/* The text between the quotes at d->at, undecoded; moves past it. */
static bool raw_text(struct document *d, struct span *out, bool *escaped)
{
    const char *p = d->at + 1;
    *escaped = false;
    for (; p < d->end && *p != '"'; p++) {
        if ((unsigned char)*p < 0x20)
            return document_fail(d, STATUS_INVALID, "a control character in a text");
        if (*p == '\\') {
            *escaped = true;
            p++;
        }
    }
    if (p >= d->end)
        return cut_short(d);
    size_t len = (size_t)(p - d->at - 1);
    if (len > UINT32_MAX)
        return document_fail(d, STATUS_INVALID, "a text of more than 4 GB");
    *out = (struct span){.data = d->at + 1, .len = (uint32_t)len};
    d->at = p + 1;
    return true;
}

/* Four hex digits at p, or -1. */
static int32_t hex4(const char *p, const char *end)
{
    int32_t value = 0;
    if (end - p < 4)
        return -1;
    for (int i = 0; i < 4; i++) {
        char c = p[i];
        int digit = c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
        if (digit < 0)
            return -1;
        value = value * 16 + digit;
    }
    return value;
}

static void append_utf8(struct buf *b, uint32_t c)
{
    if (c < 0x80) {
        buf_char(b, (char)c);
        return;
    }
    if (c < 0x800) {
        buf_char(b, (char)(0xc0 | c >> 6));
    } else {
        if (c < 0x10000) {
            buf_char(b, (char)(0xe0 | c >> 12));
        } else {
            buf_char(b, (char)(0xf0 | c >> 18));
            buf_char(b, (char)(0x80 | (c >> 12 & 0x3f)));
        }
        buf_char(b, (char)(0x80 | (c >> 6 & 0x3f)));
    }
    buf_char(b, (char)(0x80 | (c & 0x3f)));
}

/* The escape after the backslash at *p; moves *p past it. False: not one. */
static bool append_escape(struct buf *b, const char **p, const char *end)
{
    static const char letters[] = "\"\\/bfnrt", meanings[] = "\"\\/\b\f\n\r\t";
    const char *found = **p ? strchr(letters, **p) : NULL;
    if (found) {
        buf_char(b, meanings[found - letters]);
        ++*p;
        return true;
    }
    int32_t high = **p == 'u' ? hex4(*p + 1, end) : -1;
    if (high < 0 || (high >= 0xdc00 && high <= 0xdfff))
        return false;
    *p += 5;
    uint32_t c = (uint32_t)high;
    if (high >= 0xd800 && high <= 0xdbff) {
        int32_t low = end - *p >= 6 && (*p)[0] == '\\' && (*p)[1] == 'u' ? hex4(*p + 2, end) : -1;
        if (low < 0xdc00 || low > 0xdfff)
            return false;
        c = 0x10000 + (((uint32_t)high - 0xd800) << 10) + ((uint32_t)low - 0xdc00);
        *p += 6;
    }
    append_utf8(b, c);
    return true;
}

static bool decode_text(struct document *d, struct span *text)
{
    buf_clear(&d->text);
    const char *end = text->data + text->len;
    for (const char *p = text->data; p < end;) {
        if (*p != '\\') {
            buf_char(&d->text, *p++);
            continue;
        }
        p++;
        if (!append_escape(&d->text, &p, end))
            return document_fail(d, STATUS_INVALID, "an escape in a text is wrong");
    }
    if (d->text.failed)
        return document_out_of_memory(d);
    *text = (struct span){.data = d->text.data ? d->text.data : "", .len = (uint32_t)d->text.len};
    return true;
}

static bool json_text(struct document *d, struct span *out)
{
    bool escaped;
    return raw_text(d, out, &escaped) && (!escaped || decode_text(d, out));
}

static bool json_key(struct document *d, struct span *key, struct span *raw)
{
    bool escaped;
    if (!more(d, '}'))
        return false;
    if (*d->at != '"')
        return document_fail(d, STATUS_INVALID, "a key in quotes is expected");
    if (!raw_text(d, raw, &escaped))
        return false;
    *key = *raw;
    if (escaped && !decode_text(d, key))
        return false;
    if (look(d) != ':')
        return document_fail(d, STATUS_INVALID, "':' is expected after a key");
    d->at++;
    return true;
}

/* Takes a word if it stands at d->at with no letter after it. */
static bool take_word(struct document *d, const char *word)
{
    size_t len = strlen(word);
    if (document_left(d) < len || memcmp(d->at, word, len) != 0)
        return false;
    if (document_left(d) > len) {
        char after = d->at[len];
        if ((after >= 'a' && after <= 'z') || (after >= 'A' && after <= 'Z') || (after >= '0' && after <= '9'))
            return false;
    }
    d->at += len;
    return true;
}

/* Does a number end at p? "12x" is none. */
static bool ends_at(const struct document *d, const char *p)
{
    return p == d->end || (*p != '\0' && strchr(",]} \n\r\t", *p));
}

static const char *skip_digits(const char *p, const char *end)
{
    while (p < end && *p >= '0' && *p <= '9')
        p++;
    return p;
}

static bool json_whole(struct document *d, int64_t *out)
{
    if (*d->at == 't' || *d->at == 'f') {
        *out = *d->at == 't';
        return take_word(d, *out ? "true" : "false") || document_fail(d, STATUS_INVALID, "a whole number is expected");
    }
    bool negative = *d->at == '-';
    const char *digits = d->at + negative, *end = skip_digits(digits, d->end);
    uint64_t value = 0;
    if (end == digits || end - digits > 18 || !ends_at(d, end))
        return document_fail(d, STATUS_INVALID, "a whole number is expected");
    for (const char *p = digits; p < end; p++)
        value = value * 10 + (uint64_t)(*p - '0');
    d->at = end;
    *out = negative ? -(int64_t)value : (int64_t)value;
    return true;
}

static bool word_number(struct document *d, double *out)
{
    if (take_word(d, "NaN"))
        *out = (double)NAN;
    else if (take_word(d, "Infinity"))
        *out = (double)INFINITY;
    else if (take_word(d, "-Infinity"))
        *out = (double)-INFINITY;
    else
        return false;
    return true;
}

static bool json_number(struct document *d, enum number_kind kind, void *out, bool allow_nan)
{
    char c = look(d);
    if (d->status != STATUS_OK)
        return false;
    if (kind == NUMBER_KIND_I64)
        return json_whole(d, out);
    double wide = 0;
    float narrow = 0;
    bool is_word = c == 'N' || c == 'I' || (c == '-' && document_left(d) > 1 && d->at[1] == 'I');
    if (is_word) {
        if (!allow_nan || !word_number(d, &wide))
            return document_fail(d, STATUS_INVALID, "a finite number is expected");
        narrow = (float)wide;
    } else {
        size_t used = kind == NUMBER_KIND_F32 ? number_read_float(d->at, document_left(d), &narrow)
                                              : number_read_double(d->at, document_left(d), &wide);
        if (used == 0)
            return document_fail(d, STATUS_INVALID, "a number is expected, within the range of its type");
        d->at += used;
    }
    if (!ends_at(d, d->at))
        return document_fail(d, STATUS_INVALID, "a number is expected");
    if (kind == NUMBER_KIND_F32)
        *(float *)out = narrow;
    else
        *(double *)out = wide;
    return true;
}

/* Past a number of JSON's grammar, however large. */
static bool skip_number(struct document *d)
{
    const char *p = d->at + (*d->at == '-'), *digits = p;
    p = skip_digits(p, d->end);
    bool ok = p > digits;
    if (p < d->end && *p == '.') {
        digits = ++p;
        p = skip_digits(p, d->end);
        ok = ok && p > digits;
    }
    if (p < d->end && (*p == 'e' || *p == 'E')) {
        p++;
        p += p < d->end && (*p == '+' || *p == '-');
        digits = p;
        p = skip_digits(p, d->end);
        ok = ok && p > digits;
    }
    if (!ok || !ends_at(d, p))
        return document_fail(d, STATUS_INVALID, "a number is expected");
    d->at = p;
    return true;
}

static bool json_skip_scalar(struct document *d)
{
    struct span text;
    bool escaped;
    double ignored;
    switch (*d->at) {
    case '"':
        return raw_text(d, &text, &escaped);
    case 't':
    case 'f':
    case 'n':
        return take_word(d, "true") || take_word(d, "false") || take_word(d, "null") ||
               document_fail(d, STATUS_INVALID, "a value is expected");
    default:
        return word_number(d, &ignored) || skip_number(d);
    }
}

static bool json_ended(struct document *d)
{
    d->at = skip_blanks(d->at, d->end);
    return d->at == d->end;
}

struct span json_first_key(const char *data, size_t len)
{
    const char *end = data + len;
    const char *p = skip_blanks(data, end);
    if (p == end || *p != '{')
        return (struct span){0};
    p = skip_blanks(p + 1, end);
    if (p == end || *p != '"')
        return (struct span){0};
    const char *close = memchr(p + 1, '"', (size_t)(end - p - 1));
    return close && close - p < 4096 ? (struct span){.data = p + 1, .len = (uint32_t)(close - p - 1)} : (struct span){0};
}

const struct document_format document_json = {
    .peek = json_peek,
    .open = json_open,
    .key = json_key,
    .item = json_item,
    .text = json_text,
    .number = json_number,
    .skip_scalar = json_skip_scalar,
    .ended = json_ended,
};
