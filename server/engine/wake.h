/*
 * One thread sleeps, others wake it: a futex that costs the wakers one read while the sleeper is awake.
 *
 *     sleeper: wake_prepare ─► look for work once more ─► wake_sleep (or, with work found, wake_cancel)
 *     waker:   make the work visible ─► wake_now
 */
#pragma once

#include <stdint.h>

struct wake {
    _Alignas(64) _Atomic uint32_t asleep; /* 1: it sleeps or is about to */
};

void wake_prepare(struct wake *wake);
/* Until somebody calls wake_now, or until_ns (monotonic; INT64_MAX: for ever). May return early. */
void wake_sleep(struct wake *wake, int64_t until_ns);
void wake_cancel(struct wake *wake);
void wake_now(struct wake *wake); /* any thread */
