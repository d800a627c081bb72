#include "model/state/lock.h"

#include <stdatomic.h>

enum { TRIES = 100, PAUSES = 8 };

static void pause_a_moment(void)
{
    for (int i = 0; i < PAUSES; i++) {
#if defined(__x86_64__)
        __builtin_ia32_pause();
#else
        atomic_signal_fence(memory_order_seq_cst); /* only keeps the loop */
#endif
    }
}

void lock_wait(pthread_mutex_t *lock)
{
    for (int i = 0; i < TRIES; i++) {
        pause_a_moment();
        if (pthread_mutex_trylock(lock) == 0)
            return;
    }
    (void)pthread_mutex_lock(lock);
}

unsigned thread_share(void)
{
    static _Atomic unsigned threads;
    static _Thread_local unsigned share; /* + 1 */
    if (share == 0)
        share = atomic_fetch_add_explicit(&threads, 1, memory_order_relaxed) % THREAD_SHARES + 1; /* any distribution will do */
    return share - 1;
}
