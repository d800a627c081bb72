/*
 * The locks of the state, and which share of things that are kept per thread is whose. Private to model/state.
 *
 * A lock is held for a microsecond: who finds it taken tries again for a while before it sleeps, since a sleep and the call that ends it
 * take as long as a hundred events.
 */
#pragma once

#include <pthread.h>

void lock_wait(pthread_mutex_t *lock);

static inline void lock_take(pthread_mutex_t *lock)
{
    if (pthread_mutex_trylock(lock) != 0)
        lock_wait(lock);
}

static inline void lock_give(pthread_mutex_t *lock)
{
    (void)pthread_mutex_unlock(lock);
}

/* Threads are numbered in turn; beyond THREAD_SHARES two have the same. */
enum { THREAD_SHARES = 16 };
unsigned thread_share(void);
