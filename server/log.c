/*
 * Log lines.
 *
 * A line is put together in a buffer of the calling thread and leaves with one write(2), so lines of several threads never
 * mix. Logging is rare (never per transaction), so an allocation and a short lock for the repeat counters are fine here.
 *
 * Repeats: a small table holds, for each event, how many lines it had in its current second. From the 11th on they are only
 * counted; the count comes out as `log.repeated event=… lines=…` with the first line of any event after that second, and at
 * exit. The table is bounded: when it is full, events that are not in it are logged unlimited.
 *
 * Text never shows a card number: a run of 13 to 19 digits that passes the Luhn check (ISO/IEC 7812-1) is masked but for
 * its last four digits. No caller hands one in; this is the second line of defence, for messages of other libraries.
 */
#include "server/log.h"

#include <inttypes.h>
#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "model/base/buf.h"
#include "model/base/clock.h"

enum { LINES_PER_SECOND = 10, EVENTS_MAX = 64, TEXT_MAX = 2048, CARD_DIGITS_MIN = 13, CARD_DIGITS_MAX = 19 };

static atomic_int least_level = LOG_INFO; /* relaxed: a line more or less around a change does no harm */
static atomic_int line_format = LOG_LOGFMT;

static struct repeat {
    const char *event;
    int64_t second;
    uint64_t lines;
    enum log_level level;
} repeats[EVENTS_MAX];
static size_t repeat_count;
static pthread_mutex_t repeat_lock = PTHREAD_MUTEX_INITIALIZER;

static const char *const level_names[] = {"error", "warn", "info", "debug"};

/* Bytes of the UTF-8 sequence at s (RFC 3629: no surrogates, no overlong forms), 0 where it is none. */
static size_t utf8_length(const unsigned char *s, size_t left)
{
    if (s[0] < 0x80)
        return 1;
    size_t n = s[0] >= 0xF0 ? 4 : s[0] >= 0xE0 ? 3 : 2;
    if (s[0] < 0xC2 || s[0] > 0xF4 || n > left)
        return 0;
    for (size_t i = 1; i < n; i++) {
        if ((s[i] & 0xC0) != 0x80)
            return 0;
    }
    bool overlong = (s[0] == 0xE0 && s[1] < 0xA0) || (s[0] == 0xF0 && s[1] < 0x90);
    bool outside = (s[0] == 0xED && s[1] > 0x9F) || (s[0] == 0xF4 && s[1] > 0x8F);
    return overlong || outside ? 0 : n;
}

static bool passes_luhn(const char *digits, size_t n)
{
    unsigned sum = 0;
    for (size_t i = 0; i < n; i++) {
        unsigned digit = (unsigned)(digits[n - 1 - i] - '0');
        if (i % 2 == 1)
            digit = digit * 2 > 9 ? digit * 2 - 9 : digit * 2;
        sum += digit;
    }
    return sum % 10 == 0;
}

static void mask_cards(char *text, size_t len)
{
    for (size_t i = 0; i < len;) {
        size_t n = 0;
        while (i + n < len && text[i + n] >= '0' && text[i + n] <= '9')
            n++;
        if (n >= CARD_DIGITS_MIN && n <= CARD_DIGITS_MAX && passes_luhn(text + i, n))
            memset(text + i, '*', n - 4);
        i += n ? n : 1;
    }
}

/* Copies text to out[TEXT_MAX], cut where it is longer, with bytes that are no UTF-8 as '?', and cards masked. */
static size_t clean_text(char *out, const char *text)
{
    size_t left = strlen(text), len = 0;
    while (left > 0) {
        size_t n = utf8_length((const unsigned char *)text, left);
        size_t used = n ? n : 1;
        if (len + used > TEXT_MAX)
            break;
        if (n)
            memcpy(out + len, text, n);
        else
            out[len] = '?';
        len += used;
        text += used;
        left -= used;
    }
    mask_cards(out, len);
    return len;
}

static bool needs_quotes(const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if ((unsigned char)text[i] <= ' ' || text[i] == '"' || text[i] == '=' || text[i] == '\\' || text[i] == 0x7F)
            return true;
    }
    return len == 0;
}

static void put_key(struct buf *line, const char *key)
{
    if (atomic_load_explicit(&line_format, memory_order_relaxed) == LOG_JSON) {
        buf_char(line, line->len == 0 ? '{' : ',');
        buf_json_string(line, key, strlen(key));
        buf_char(line, ':');
    } else {
        if (line->len > 0)
            buf_char(line, ' ');
        buf_string(line, key);
        buf_char(line, '=');
    }
}

static void put_text(struct buf *line, const char *key, const char *text)
{
    char clean[TEXT_MAX];
    size_t len = clean_text(clean, text ? text : "");
    put_key(line, key);
    if (atomic_load_explicit(&line_format, memory_order_relaxed) == LOG_JSON || needs_quotes(clean, len))
        buf_json_string(line, clean, len);
    else
        buf_append(line, clean, len);
}

static void put_real(struct buf *line, const char *key, double real)
{
    put_key(line, key);
    if (!isfinite(real) && atomic_load_explicit(&line_format, memory_order_relaxed) == LOG_JSON)
        buf_string(line, "null"); /* JSON has no NaN or infinity */
    else
        buf_format(line, "%.6g", real);
}

static void put_head(struct buf *line, enum log_level level, const char *event)
{
    int64_t now_us = clock_wall_us();
    time_t seconds = (time_t)(now_us / 1000000);
    struct tm tm;
    char date[32], stamp[48];
    if (!gmtime_r(&seconds, &tm) || strftime(date, sizeof date, "%Y-%m-%dT%H:%M:%S", &tm) == 0)
        date[0] = '\0';
    (void)snprintf(stamp, sizeof stamp, "%s.%06dZ", date, (int)(now_us % 1000000));
    put_text(line, "time", stamp);
    put_text(line, "level", level_names[level]);
    put_text(line, "event", event);
}

static void write_line(enum log_level level, const char *event, const struct log_field *fields)
{
    struct buf line = {0};
    put_head(&line, level, event);
    for (const struct log_field *f = fields; f && f->key; f++) {
        if (f->kind == LOG_FIELD_TEXT) {
            put_text(&line, f->key, f->text);
        } else if (f->kind == LOG_FIELD_REAL) {
            put_real(&line, f->key, f->real);
        } else {
            put_key(&line, f->key);
            buf_format(&line, "%" PRId64, f->integer);
        }
    }
    buf_string(&line, atomic_load_explicit(&line_format, memory_order_relaxed) == LOG_JSON ? "}\n" : "\n");
    ssize_t written = line.failed ? 0 : write(STDERR_FILENO, line.data, line.len);
    (void)written; /* a line that can't be written is lost: there is nowhere to tell it */
    buf_free(&line);
}

/* Takes out of the table what was held back in seconds before `second` (or at all) and reports it. */
static void report_repeats(int64_t second, bool all)
{
    struct repeat over[EVENTS_MAX];
    size_t n = 0;
    (void)pthread_mutex_lock(&repeat_lock);
    for (size_t i = 0; i < repeat_count;) {
        if (!all && repeats[i].second >= second) {
            i++;
            continue;
        }
        if (repeats[i].lines > LINES_PER_SECOND)
            over[n++] = repeats[i];
        repeats[i] = repeats[--repeat_count];
    }
    (void)pthread_mutex_unlock(&repeat_lock);
    for (size_t i = 0; i < n; i++) {
        const struct log_field fields[] = {LOG_TEXT("repeated", over[i].event), LOG_INT("lines", over[i].lines - LINES_PER_SECOND),
                                           {.key = NULL}};
        write_line(over[i].level, "log.repeated", fields);
    }
}

/* Counts a line of this event; false: it is one too many in this second. */
static bool admit(enum log_level level, const char *event, int64_t second)
{
    bool admitted = true;
    (void)pthread_mutex_lock(&repeat_lock);
    size_t i = 0;
    while (i < repeat_count && strcmp(repeats[i].event, event) != 0)
        i++;
    if (i < repeat_count)
        admitted = ++repeats[i].lines <= LINES_PER_SECOND;
    else if (i < EVENTS_MAX)
        repeats[repeat_count++] = (struct repeat){.event = event, .second = second, .lines = 1, .level = level};
    (void)pthread_mutex_unlock(&repeat_lock);
    return admitted;
}

static void report_rest(void)
{
    report_repeats(0, true);
}

void log_setup(enum log_level level, enum log_format format)
{
    static atomic_flag registered = ATOMIC_FLAG_INIT;
    atomic_store_explicit(&least_level, (int)level, memory_order_relaxed);
    atomic_store_explicit(&line_format, (int)format, memory_order_relaxed);
    if (!atomic_flag_test_and_set(&registered))
        (void)atexit(report_rest);
}

void log_event(enum log_level level, const char *event, const struct log_field *fields)
{
    if ((int)level > atomic_load_explicit(&least_level, memory_order_relaxed))
        return;
    int64_t second = clock_monotonic_ns() / 1000000000;
    report_repeats(second, false);
    if (admit(level, event, second))
        write_line(level, event, fields);
}
