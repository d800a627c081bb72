/*
 * Messages about an expression:
 *
 *     bundle.yaml:12:18: night: unknown name 'tme'; did you mean 'time'?
 *         hour(tme) <= 6
 *              ^
 *
 * Columns and the caret count characters, not bytes. Of a long expression only the part around the spot is shown.
 */
#include <stdarg.h>
#include <stdio.h>

#include "model/features/compile.h"

enum { SHOWN_BEFORE = 60, SHOWN_AFTER = 40, WHAT_BYTES = 240 };

/* Is this the first byte of a UTF-8 character? */
static bool starts(char byte)
{
    return ((unsigned char)byte & 0xc0) != 0x80;
}

static int characters(const char *from, const char *to)
{
    int n = 0;
    for (; from < to; from++)
        n += starts(*from);
    return n;
}

/* Steps back from `at` over at most n characters, not beyond `first`. */
static const char *back(const char *first, const char *at, int n)
{
    for (; at > first && n > 0; n--) {
        at--;
        while (at > first && !starts(*at))
            at--;
    }
    return at;
}

/* The part of the expression around `spot`, and the caret under it. */
static void show(const char *text, const char *spot, struct buf *out)
{
    const char *from = back(text, spot, SHOWN_BEFORE), *to = spot;
    for (int n = 0; *to && (n < SHOWN_AFTER || !starts(*to)); to++)
        n += starts(*to);
    buf_format(out, "\n    %s", from > text ? "..." : "");
    for (const char *p = from; p < to; p++)
        buf_char(out, (unsigned char)*p < 0x20 ? ' ' : *p);
    buf_format(out, "%s\n    %*s^", *to ? "..." : "", characters(from, spot) + (from > text ? 3 : 0), "");
}

bool complain(struct compiler *c, uint32_t at, const char *format, ...)
{
    char what[WHAT_BYTES];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(what, sizeof what, format, args);
    va_end(args);

    const struct feature_source *s = c->source;
    const char *spot = s->expression + at, *line_start = s->expression;
    int line = s->line;
    for (const char *p = s->expression; p < spot; p++) {
        if (*p != '\n')
            continue;
        line++;
        line_start = p + 1;
    }
    int column = characters(line_start, spot) + (line_start == s->expression ? s->column : 1);
    struct buf message = {0};
    if (s->file)
        buf_format(&message, "%s:", s->file);
    buf_format(&message, "%d:%d: %.64s: %s", line, column, s->name, what);
    show(s->expression, spot, &message);
    c->status = error_set(c->err, STATUS_INVALID, "%s", buf_text(&message));
    buf_free(&message);
    return false;
}

bool complain_memory(struct compiler *c)
{
    c->status = error_set(c->err, STATUS_NO_MEMORY, "out of memory while compiling features");
    return false;
}
