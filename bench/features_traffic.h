/* Traffic for `assay bench features`, and the windows it is measured with: those of the Fraud Detection Handbook. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "model/state/state.h"

enum { TRAFFIC_WINDOWS = 12 };

/* Count and mean amount of a card over 1, 7 and 30 days; count and risk of a terminal, 7 days late. Keys: card, terminal. */
extern const struct state_layout traffic_layout;

struct traffic_event {
    int64_t time_us;
    uint32_t card, terminal; /* numbers */
    double amount;
};

/*
 * Like the Handbook's: each of 5,000 cards makes between 0 and 4 transactions a day, at terminals of its own neighbourhood among
 * 10,000; times in whole seconds. Makes `days` days in order of time: *out is owned (free), returns how many.
 */
size_t traffic_handbook(uint64_t seed, unsigned days, struct traffic_event **out);

/* n transactions of cards and terminals drawn uniformly, evenly over span_us from start_us on. */
void traffic_uniform(uint64_t seed, uint32_t cards, uint32_t terminals, int64_t start_us, int64_t span_us, struct traffic_event *out, size_t n);

/* Texts as a decoder gives them: short decimal numbers. */
struct traffic_text {
    char id[24], card[12], terminal[12];
    struct span keys[2];
};

/* *text and traffic's amount are borrowed by the event. */
void traffic_as_event(const struct traffic_event *traffic, uint64_t id, struct traffic_text *text, struct state_event *out);
