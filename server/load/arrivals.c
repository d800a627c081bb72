#include "server/load/arrivals.h"

#include <ctype.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "model/base/buf.h"
#include "model/base/check.h"

enum { HOURS = 24 };
static const size_t FILE_MAX = (size_t)1 << 32;

const char *const arrivals_names[] = {"constant", "poisson", "bursty", "ramp", "day", "replay", NULL};

/* How busy a card network is at each full hour, against the mean of the day: quiet at night, peaks at noon and in the evening. */
static const double day[HOURS] = {0.36, 0.24, 0.18, 0.15, 0.16, 0.24, 0.45, 0.76, 1.05, 1.20, 1.34, 1.56,
                                  1.74, 1.60, 1.38, 1.34, 1.42, 1.62, 1.80, 1.68, 1.30, 0.98, 0.76, 0.69};

double arrivals_day_rate(double mean, double hour)
{
    double part = hour - floor(hour);
    int h = (int)fmod(hour, HOURS);
    return mean * (day[h] * (1 - part) + day[(h + 1) % HOURS] * part);
}

/* Goes on to the next piece of the rate. */
static void next_piece(struct arrivals *a)
{
    const struct arrivals_options *o = &a->options;
    uint64_t n = a->pieces++;
    a->piece_begin_s += a->piece_s;
    a->at_s = 0;
    a->piece_s = INFINITY;
    a->from = a->to = o->rate;
    if (o->kind == ARRIVALS_RAMP) {
        a->piece_s = n == 0 ? o->ramp_s : INFINITY;
        a->from = n == 0 ? o->rate : o->rate_to;
        a->to = o->rate_to;
    } else if (o->kind == ARRIVALS_DAY) {
        a->piece_s = o->day_s / HOURS;
        a->from = o->rate * day[n % HOURS];
        a->to = o->rate * day[(n + 1) % HOURS];
    } else if (o->kind == ARRIVALS_BURSTY) {
        bool on = n % 2 == 0;
        a->piece_s = random_exponential(&a->lengths) * o->burst_s * (on ? 1 : o->burst - 1);
        a->from = a->to = on ? o->rate * o->burst : 0;
    }
}

/* How far into the rest of the piece the area under the rate has grown by `area`: from r at the cursor, slope s,
 * r x + s x²/2 = area, in the form that does not cancel. */
static double solve(double rate, double slope, double area)
{
    return 2 * area / (rate + sqrt(rate * rate + 2 * slope * area));
}

static void advance(struct arrivals *a, double tick)
{
    for (;;) {
        bool endless = isinf(a->piece_s);
        double slope = endless ? 0 : (a->to - a->from) / a->piece_s;
        double rate = a->from + slope * a->at_s, left = a->piece_s - a->at_s;
        double area = endless ? INFINITY : (rate + a->to) / 2 * left;
        if (tick < area) {
            a->at_s += solve(rate, slope, tick);
            a->next_ns = (int64_t)((a->piece_begin_s + a->at_s) * 1e9);
            return;
        }
        tick -= area;
        next_piece(a);
    }
}

static void replay_next(struct arrivals *a)
{
    const struct arrivals_options *o = &a->options;
    if (a->replayed == o->count) {
        a->next_ns = INT64_MAX;
        return;
    }
    a->next_ns = (int64_t)((o->times[a->replayed] - o->times[0]) / o->speed * 1e9);
    a->replayed++;
}

void arrivals_begin(struct arrivals *a, const struct arrivals_options *options)
{
    *a = (struct arrivals){.options = *options};
    random_seed(&a->ticks, options->seed);
    random_seed(&a->lengths, ~options->seed);
    if (options->kind == ARRIVALS_REPLAY) {
        replay_next(a);
        return;
    }
    CHECK(options->rate > 0);
    next_piece(a);
    /* A regular process begins half a gap in, so that n requests fit into n gaps, whatever comes before. */
    advance(a, options->kind == ARRIVALS_CONSTANT ? 0.5 : random_exponential(&a->ticks));
}

void arrivals_next(struct arrivals *a)
{
    if (a->options.kind == ARRIVALS_REPLAY)
        replay_next(a);
    else if (a->options.kind == ARRIVALS_CONSTANT)
        advance(a, 1);
    else
        advance(a, random_exponential(&a->ticks));
}

/* The number that a line begins with. False: there is none. */
static bool line_number(const char *line, double *out)
{
    char *end = NULL;
    *out = strtod(line, &end);
    return end != line && isfinite(*out) && (*end == '\0' || *end == ',' || *end == ';' || isspace((unsigned char)*end));
}

static enum status read_lines(char *text, const char *path, double *times, size_t *count, struct error *err)
{
    size_t number = 0;
    for (char *line = text, *next; line; line = next) {
        next = strchr(line, '\n');
        if (next)
            *next++ = '\0';
        number++;
        if (line[strspn(line, " \t\r")] == '\0')
            continue;
        double value;
        if (!line_number(line, &value)) {
            if (number == 1) /* a header */
                continue;
            return error_set(err, STATUS_INVALID, "%s, line %zu: a number of seconds is needed", path, number);
        }
        if (*count > 0 && value < times[*count - 1])
            return error_set(err, STATUS_INVALID, "%s, line %zu: the time is before the one above it", path, number);
        times[(*count)++] = value;
    }
    return *count > 0 ? STATUS_OK : error_set(err, STATUS_INVALID, "%s holds no times", path);
}

enum status arrivals_read(const char *path, double **times, size_t *count, struct error *err)
{
    struct buf text = {0};
    *times = NULL;
    *count = 0;
    enum status status = buf_read_file(&text, path, FILE_MAX, err);
    if (status == STATUS_OK) {
        size_t lines = 1;
        for (size_t i = 0; i < text.len; i++)
            lines += text.data[i] == '\n';
        *times = malloc(lines * sizeof **times);
        (void)buf_text(&text);
        status = *times && !text.failed ? read_lines(text.data, path, *times, count, err) : error_set(err, STATUS_NO_MEMORY, "%s: out of memory", path);
    }
    if (status != STATUS_OK) {
        free(*times);
        *times = NULL;
    }
    buf_free(&text);
    return status;
}
