/* A state with two windows over each of two keys, and an event for it in a line. */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "model/state/state.h"

#define SECOND INT64_C(1000000)
#define DAY (86400 * SECOND)
#define START (INT64_C(1532476800) * SECOND)

static const struct state_window windows[] = {
    {.key = 0, .function = STATE_COUNT, .span_us = DAY, .filter = STATE_NO_FILTER},
    {.key = 0, .function = STATE_SUM, .span_us = DAY, .filter = STATE_NO_FILTER},
    {.key = 1, .function = STATE_COUNT, .span_us = 2 * DAY, .filter = STATE_NO_FILTER},
    {.key = 1, .function = STATE_RISK, .span_us = 2 * DAY, .delay_us = 0, .filter = STATE_NO_FILTER, .prior = 0.5},
};
enum { CARD_COUNT, CARD_SUM, TERMINAL_COUNT, TERMINAL_RISK, WINDOWS };

static const struct state_layout layout = {.keys = 2, .numbers = 1, .windows_count = WINDOWS, .windows = windows};
static const struct state_options options = {.disorder_us = 60 * SECOND, .dedupe_us = 3600 * SECOND, .future_us = 10 * SECOND, .secret = {1, 2}};

static inline struct state *create(const struct state_layout *l, const struct state_options *o)
{
    struct state *state;
    struct error err;
    if (state_create(l, o, &state, &err) != STATUS_OK)
        fail_msg("%s", err.message);
    return state;
}

static inline struct span text(const char *s)
{
    return s ? (struct span){.data = s, .len = (uint32_t)strlen(s)} : (struct span){.data = NULL};
}

/* Applies one event; NULL: that text is absent. */
static inline uint32_t apply(struct state *state, const char *id, const char *card, const char *terminal, int64_t time_us, double amount, double *out)
{
    struct span keys[2] = {text(card), text(terminal)};
    struct state_event event = {.time_us = time_us, .id = text(id), .keys = keys, .numbers = &amount, .source = -1};
    return state_apply(state, &event, out);
}

static inline struct state_statistics statistics(const struct state *state)
{
    struct state_statistics s;
    state_statistics(state, &s);
    return s;
}
