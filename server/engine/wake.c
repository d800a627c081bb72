#include "server/engine/wake.h"

#include <linux/futex.h>
#include <stdatomic.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

void wake_prepare(struct wake *wake)
{
    /* seq_cst here and in wake_now: either the sleeper sees the work that was made visible before, or the waker sees this. */
    atomic_store_explicit(&wake->asleep, 1, memory_order_seq_cst);
    atomic_thread_fence(memory_order_seq_cst);
}

void wake_sleep(struct wake *wake, int64_t until_ns)
{
    struct timespec until = {.tv_sec = until_ns / 1000000000, .tv_nsec = until_ns % 1000000000};
    /* A word that is 0 by now, a signal and the end of the time all mean the same: look again. */
    (void)syscall(SYS_futex, &wake->asleep, FUTEX_WAIT_BITSET_PRIVATE, 1, until_ns == INT64_MAX ? NULL : &until, NULL,
                  FUTEX_BITSET_MATCH_ANY);
    atomic_store_explicit(&wake->asleep, 0, memory_order_relaxed);
}

void wake_cancel(struct wake *wake)
{
    atomic_store_explicit(&wake->asleep, 0, memory_order_relaxed);
}

void wake_now(struct wake *wake)
{
    atomic_thread_fence(memory_order_seq_cst);
    if (atomic_load_explicit(&wake->asleep, memory_order_seq_cst) == 1 && atomic_exchange_explicit(&wake->asleep, 0, memory_order_seq_cst) == 1)
        (void)syscall(SYS_futex, &wake->asleep, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
}
