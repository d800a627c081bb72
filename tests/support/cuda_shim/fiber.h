/*
 * Fibers: functions that run on stacks of their own and hand over to each other. As far as ThreadSanitizer knows each is a
 * thread, and handing over orders nothing.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

struct fiber;

/* A fiber that is not running anything yet; NULL on no memory. */
struct fiber *fiber_make(void);
void fiber_free(struct fiber *fiber);

/* Runs main(arg) on the fiber until it yields or returns; true: it returned. Then, or where it will not be gone on with, it
 * may be started again. */
void fiber_start(struct fiber *fiber, void (*main)(void *arg), void *arg);
bool fiber_run(struct fiber *fiber);
/* Back to whoever runs the fiber that calls this. */
void fiber_yield(struct fiber *fiber);
