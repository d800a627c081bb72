/* The text of LightGBM's files: lines, "key=value", numbers and lists of them. */
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "model/import/lightgbm.h"
#include "model/input/number.h"

bool lightgbm_fail(struct lightgbm *l, enum status status, const char *format, ...)
{
    if (l->status != STATUS_OK)
        return false;
    l->status = status;
    char text[320], tree[32] = "";
    va_list args;
    va_start(args, format);
    (void)vsnprintf(text, sizeof text, format, args);
    va_end(args);
    if (l->tree_number >= 0)
        (void)snprintf(tree, sizeof tree, ", tree %lld", (long long)l->tree_number);
    (void)error_set(l->err, status, "line %zu%s: %s", l->line, tree, text);
    return false;
}

bool lightgbm_out_of_memory(struct lightgbm *l)
{
    return lightgbm_fail(l, STATUS_LIMIT, "needs more memory than 4 x the file + 64 MB, or than there is");
}

bool lightgbm_line(struct lightgbm *l, struct span *line)
{
    if (l->status != STATUS_OK || l->at == l->end)
        return false;
    const char *start = l->at, *stop = memchr(start, '\n', (size_t)(l->end - start));
    l->at = stop ? stop + 1 : l->end;
    size_t len = (size_t)((stop ? stop : l->end) - start);
    l->line++;
    if (len > UINT32_MAX)
        return lightgbm_fail(l, STATUS_LIMIT, "a line longer than 4 GB");
    if (len > 0 && start[len - 1] == '\r')
        len--;
    *line = (struct span){.data = start, .len = (uint32_t)len};
    return true;
}

bool lightgbm_split(struct span line, struct span *key, struct span *value)
{
    const char *equals = line.len ? memchr(line.data, '=', line.len) : NULL;
    *key = line;
    *value = (struct span){0};
    if (!equals)
        return false;
    key->len = (uint32_t)(equals - line.data);
    *value = (struct span){.data = equals + 1, .len = line.len - key->len - 1};
    return true;
}

bool lightgbm_word(struct span *list, struct span *word)
{
    const char *at = list->data, *end = at + list->len;
    while (at < end && *at == ' ')
        at++;
    const char *start = at;
    while (at < end && *at != ' ')
        at++;
    *word = (struct span){.data = start, .len = (uint32_t)(at - start)};
    *list = (struct span){.data = at, .len = (uint32_t)(end - at)};
    return word->len > 0;
}

static bool refuse_number(struct lightgbm *l, const char *key, size_t index, const char *what, struct span word)
{
    return lightgbm_fail(l, STATUS_INVALID, "%s, entry %zu: %s is expected, not '%.*s'", key, index, what,
                         word.len > 40 ? 40 : (int)word.len, word.data);
}

/* A whole number of at most 18 digits. */
static bool parse_whole(struct span word, int64_t *out)
{
    bool negative = word.len > 0 && word.data[0] == '-';
    uint32_t i = negative;
    if (i == word.len || word.len - i > 18)
        return false;
    int64_t value = 0;
    for (; i < word.len; i++) {
        if (word.data[i] < '0' || word.data[i] > '9')
            return false;
        value = value * 10 + (word.data[i] - '0');
    }
    *out = negative ? -value : value;
    return true;
}

/* A number as C++ streams print it: JSON's grammar, and the words for what JSON lacks. */
static bool parse_real(struct span word, double *out)
{
    if (number_read_double(word.data, word.len, out) == word.len)
        return true;
    if (span_equal(word, "inf", 3) || span_equal(word, "-inf", 4)) {
        *out = word.data[0] == '-' ? -HUGE_VAL : HUGE_VAL;
        return true;
    }
    if (span_equal(word, "nan", 3) || span_equal(word, "-nan", 4)) {
        *out = (double)NAN;
        return true;
    }
    return false;
}

bool lightgbm_whole(struct lightgbm *l, const char *key, struct span text, int64_t min, int64_t max, int64_t *out)
{
    struct span word, rest = text;
    if (!lightgbm_word(&rest, &word) || !parse_whole(word, out) || lightgbm_word(&rest, &word))
        return refuse_number(l, key, 0, "a whole number", text);
    if (*out < min || *out > max)
        return lightgbm_fail(l, STATUS_INVALID, "%s=%lld is out of range", key, (long long)*out);
    return true;
}

bool lightgbm_real(struct lightgbm *l, const char *key, struct span text, double *out)
{
    struct span word, rest = text;
    return (lightgbm_word(&rest, &word) && parse_real(word, out)) || refuse_number(l, key, 0, "a number", text);
}

static bool room_for_whole(struct lightgbm *l, struct i32s *out)
{
    if (out->size < out->capacity)
        return true;
    int32_t *grown = import_grow(&l->memory, out->items, &out->capacity, out->size + 1, sizeof *grown);
    if (!grown)
        return lightgbm_out_of_memory(l);
    out->items = grown;
    return true;
}

static bool read_wholes(struct lightgbm *l, const char *key, struct span text, int64_t min, int64_t max,
                        struct i32s *out)
{
    struct span word;
    out->size = 0;
    while (lightgbm_word(&text, &word)) {
        int64_t value;
        if (!parse_whole(word, &value) || value < min || value > max)
            return refuse_number(l, key, out->size, "a whole number in range", word);
        if (!room_for_whole(l, out))
            return false;
        out->items[out->size++] = (int32_t)(uint32_t)value;
    }
    return true;
}

bool lightgbm_wholes(struct lightgbm *l, const char *key, struct span text, struct i32s *out)
{
    return read_wholes(l, key, text, INT32_MIN, INT32_MAX, out);
}

bool lightgbm_words(struct lightgbm *l, const char *key, struct span text, struct i32s *out)
{
    return read_wholes(l, key, text, 0, UINT32_MAX, out);
}

bool lightgbm_reals(struct lightgbm *l, const char *key, struct span text, struct f64s *out)
{
    struct span word;
    out->size = 0;
    while (lightgbm_word(&text, &word)) {
        if (out->size == out->capacity) {
            double *grown = import_grow(&l->memory, out->items, &out->capacity, out->size + 1, sizeof *grown);
            if (!grown)
                return lightgbm_out_of_memory(l);
            out->items = grown;
        }
        if (!parse_real(word, &out->items[out->size]))
            return refuse_number(l, key, out->size, "a number", word);
        out->size++;
    }
    return true;
}
