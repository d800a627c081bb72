/*
 * When requests are due: a stream of moments that depends on the options alone, so that a run can be repeated.
 *
 * All processes but a recorded one are the same thing: a unit clock (one tick a request: regular, or exponential for Poisson)
 * stretched by a rate that varies in time as a chain of straight pieces. The n-th request is due when the area under the rate
 * has grown to the n-th tick (time change of a Poisson process; D. Daley, D. Vere-Jones, "Point Processes", 7.4).
 *
 *     rate   constant, poisson      bursty                ramp            day (24 pieces, repeated)
 *      │   ───────────────────     ┌──┐   ┌─────┐          ╱             ╱╲__╱╲
 *      │                           │  │   │     │        ╱             ╱       ╲
 *      └──────────────────────   ──┘  └───┘     └──    ╱            __╱         ╲__
 *
 * bursty is on-off: on at rate × burst, off at nothing, each for exponentially distributed times whose means give `rate` in
 * the long run. One thread at a time; a struct may be copied, the copy goes on from there on its own.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "model/base/status.h"
#include "server/gen/random.h"

enum arrivals_kind { ARRIVALS_CONSTANT, ARRIVALS_POISSON, ARRIVALS_BURSTY, ARRIVALS_RAMP, ARRIVALS_DAY, ARRIVALS_REPLAY, ARRIVALS_KINDS };

/* "constant", …; ends with NULL. */
extern const char *const arrivals_names[];

struct arrivals_options {
    enum arrivals_kind kind;
    uint64_t seed;
    double rate;       /* mean, requests a second, > 0; ramp: at the start */
    double rate_to;    /* ramp: at the end, > 0 */
    double ramp_s;     /* ramp: how long it takes; then rate_to stays */
    double burst;      /* bursty: rate while on, as a multiple of `rate`; > 1 */
    double burst_s;    /* bursty: mean time on */
    double day_s;      /* day: seconds that the 24 hours take */
    const double *times; /* replay: [count] seconds, not falling; borrowed; the first is the start */
    size_t count;
    double speed;      /* replay: 2 plays twice as fast */
};

struct arrivals {
    struct arrivals_options options;
    struct random ticks, lengths; /* apart, so that the pieces do not depend on the ticks */
    int64_t next_ns;              /* since the start: when the next request is due; INT64_MAX: no more */
    double piece_begin_s, piece_s, from, to; /* the piece that next lies in: its rate goes from → to */
    double at_s;                  /* of next, within the piece */
    uint64_t pieces;              /* begun */
    size_t replayed;
};

/* The first request is due at a->next_ns. */
void arrivals_begin(struct arrivals *a, const struct arrivals_options *options);
void arrivals_next(struct arrivals *a);

/* Requests a second at a moment, as the curve has it (bursty, replay: the mean). For plots and help. */
double arrivals_day_rate(double mean, double hour);

/* Recorded times, a number of seconds a line (what follows a comma or space is passed over; so are blank lines and a first
 * line of words). *times is owned: free. STATUS_INVALID with the line where one is no number or goes back in time. */
MUST_USE enum status arrivals_read(const char *path, double **times, size_t *count, struct error *err);
