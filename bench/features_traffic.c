#include "bench/features_traffic.h"

#include <math.h>
#include <stdlib.h>

#include "model/base/check.h"

#define DAY_US (INT64_C(86400) * 1000000)
#define CARD(what, days) {.key = 0, .function = what, .span_us = (days) * DAY_US, .filter = STATE_NO_FILTER}
#define TERMINAL(what, days) {.key = 1, .function = what, .span_us = (days) * DAY_US, .delay_us = 7 * DAY_US, .filter = STATE_NO_FILTER}

enum { CARDS = 5000, TERMINALS = 10000, NEIGHBOURHOOD = 40 };

static const struct state_window windows[TRAFFIC_WINDOWS] = {
    CARD(STATE_COUNT, 1),     CARD(STATE_MEAN, 1),     CARD(STATE_COUNT, 7),     CARD(STATE_MEAN, 7),
    CARD(STATE_COUNT, 30),    CARD(STATE_MEAN, 30),    TERMINAL(STATE_COUNT, 1), TERMINAL(STATE_RISK, 1),
    TERMINAL(STATE_COUNT, 7), TERMINAL(STATE_RISK, 7), TERMINAL(STATE_COUNT, 30), TERMINAL(STATE_RISK, 30),
};

const struct state_layout traffic_layout = {.keys = 2, .numbers = 1, .windows_count = TRAFFIC_WINDOWS, .windows = windows};

static uint64_t next_random(uint64_t *state) /* splitmix64 */
{
    uint64_t z = *state += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

static uint32_t below(uint64_t *state, uint32_t n)
{
    return (uint32_t)((next_random(state) >> 32) * n >> 32);
}

static double amount(uint64_t *state)
{
    return 1 + floor((double)below(state, 10000) * (double)below(state, 10000) / 1e4) / 100;
}

static int by_time(const void *left, const void *right)
{
    const struct traffic_event *a = left, *b = right;
    return (a->time_us > b->time_us) - (a->time_us < b->time_us);
}

/* How many transactions a card of this mean makes in a day: the counts of a Poisson process. */
static unsigned poisson(uint64_t *state, double mean)
{
    double limit = exp(-mean), product = 1;
    unsigned n = 0;
    for (;; n++) {
        product *= ldexp((double)(next_random(state) >> 11), -53);
        if (product <= limit)
            return n;
    }
}

size_t traffic_handbook(uint64_t seed, unsigned days, struct traffic_event **out)
{
    size_t cap = (size_t)CARDS * days * 3 + 1000, n = 0;
    struct traffic_event *events = malloc(cap * sizeof *events);
    CHECK(events);
    for (uint32_t card = 0; card < CARDS; card++) {
        double mean = 4.0 * (double)below(&seed, 1000) / 1000;
        uint32_t home = below(&seed, TERMINALS);
        for (unsigned day = 0; day < days; day++) {
            for (unsigned k = poisson(&seed, mean); k > 0 && n < cap; k--) {
                events[n++] = (struct traffic_event){
                    .time_us = (int64_t)day * DAY_US + (int64_t)(below(&seed, 43200) + below(&seed, 43200)) * 1000000,
                    .card = card,
                    .terminal = (home + below(&seed, NEIGHBOURHOOD)) % TERMINALS,
                    .amount = amount(&seed),
                };
            }
        }
    }
    qsort(events, n, sizeof *events, by_time);
    *out = events;
    return n;
}

void traffic_uniform(uint64_t seed, uint32_t cards, uint32_t terminals, int64_t start_us, int64_t span_us, struct traffic_event *out, size_t n)
{
    for (size_t i = 0; i < n; i++)
        out[i] = (struct traffic_event){.time_us = start_us + (int64_t)((double)span_us * (double)i / (double)n),
                                        .card = below(&seed, cards),
                                        .terminal = below(&seed, terminals),
                                        .amount = amount(&seed)};
}

/* Decimal digits; returns how many. */
static uint32_t write_number(char *out, uint64_t x)
{
    char digits[20];
    uint32_t n = 0, length;
    do {
        digits[n++] = (char)('0' + x % 10);
        x /= 10;
    } while (x);
    length = n;
    while (n > 0)
        *out++ = digits[--n];
    return length;
}

void traffic_as_event(const struct traffic_event *traffic, uint64_t id, struct traffic_text *text, struct state_event *out)
{
    text->keys[0] = (struct span){.data = text->card, .len = write_number(text->card, traffic->card)};
    text->keys[1] = (struct span){.data = text->terminal, .len = write_number(text->terminal, traffic->terminal)};
    *out = (struct state_event){.time_us = traffic->time_us, .id = {.data = text->id, .len = write_number(text->id, id)}, .keys = text->keys,
                                .numbers = &traffic->amount, .source = -1};
}
