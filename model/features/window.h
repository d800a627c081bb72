/*
 * What a plan asks of the past: the windows that its expressions name, and what of each transaction they need kept.
 *
 *     mean(amount, card, 7d, where=country != home_country)
 *
 * names the window {mean, key card, input "amount", where input "country != home_country", width 7 d}. Inputs are computed
 * from a transaction alone (plan_inputs); whoever keeps the past stores them beside its time, under each key that a window
 * is over, and gives the value of every window (transaction.windows) before the plan runs.
 *
 * A window is (t - delay - width, t - delay]: it slides with every transaction, and without a delay holds the one at hand.
 * A transaction without the key is in none of its windows and finds them all missing (NaN).
 *
 *     function     gives                                                        of an empty window
 *     COUNT        transactions                                                 0
 *     SUM          the sum of the input                                         0
 *     MEAN         sum / how many have one                                      NaN
 *     MIN, MAX     the least, the greatest input                                NaN
 *     STD          the sample's standard deviation (n - 1)                      NaN, also of one value
 *     DISTINCT     how many different inputs                                    0
 *     LAST         the input of the newest before the one at hand that has one  NaN
 *     SINCE        seconds since the newest before the one at hand              NaN
 *     FIRST_SEEN   seconds since the oldest                                     NaN
 *     RISK         known frauds / transactions, see `prior`                     prior
 *
 * A missing input (NaN, no text) is passed over by all but COUNT, SINCE, FIRST_SEEN and RISK. Only transactions whose `where`
 * is true (not 0, not NaN) count.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

enum window_function {
#define WINDOW(id, name, inputs, signature, help) WINDOW_##id,
#include "model/features/windows.def"
#undef WINDOW
    WINDOW_FUNCTIONS
};

#define WINDOW_ALL INT64_MAX /* a width without an end */

/* What one plan may ask for: inputs in all, and of some kinds. DISTINCT and RISK have no WINDOW_ALL. */
enum { WINDOWS_MAX = 256, WINDOW_INPUTS_MAX = 64, WINDOW_KEYS_MAX = 16, WINDOW_DISTINCTS_MAX = 16, WINDOW_FLAGS_MAX = 30, WINDOW_NONE = -1 };
#define WINDOW_US_MAX (INT64_C(3 * 366) * 86400 * 1000000) /* three years: the longest width but WINDOW_ALL, the longest delay */

/* What is kept of a transaction for windows. */
enum window_input_kind {
    WINDOW_NUMBER, /* a double to reckon with */
    WINDOW_VALUE,  /* a double to be told from others: DISTINCT */
    WINDOW_TEXT,   /* the text of a field, likewise */
    WINDOW_FLAG,   /* does a `where` hold? 0 or 1 */
};

struct window_input {
    enum window_input_kind kind;
    int16_t field; /* TEXT: of the schema; else WINDOW_NONE */
};

struct window {
    enum window_function function;
    uint16_t key;     /* field of the schema, of type key */
    int16_t input;    /* number of the input that it is about; WINDOW_NONE: COUNT, SINCE, FIRST_SEEN, RISK */
    int16_t where;    /* number of the FLAG input; WINDOW_NONE: all transactions */
    int64_t width_us; /* above 0; WINDOW_ALL */
    int64_t delay_us; /* 0 and up */
    /* RISK: frauds / n, prior where n is 0. n is of all transactions, or of those with a label. A label counts from its own
     * time on. */
    double prior;
    bool labelled;
};
