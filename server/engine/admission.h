/*
 * When would a row that came now be answered? Asked by the threads that receive rows, of figures that the batcher publishes:
 * a guess on the safe side, in a few additions. No answer later than its deadline is worth a batch's place, and a "no" is of
 * use only at once.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct admission {
    int64_t free_ns;  /* when the next engine is surely free; in the past: one is */
    int64_t row_ns;   /* between rows while all engines work at the size that suits them */
    int64_t one_ns;   /* tail of a batch of one … */
    int64_t full_ns;  /* … and of the largest that is made */
    int64_t next_ns;  /* for how long the next rows keep those behind them waiting */
    int64_t reply_ns; /* tail from an engine's answer to the caller's */
    uint32_t full;    /* rows of the largest batch that is made */
    uint32_t next;    /* rows that have places before: of the next batch, or of the small ones that those passed over need */
    bool usable;      /* some engine works */
};

/* ahead: rows that wait already. */
int64_t admission_finish_ns(const struct admission *admission, int64_t now_ns, uint32_t ahead);
