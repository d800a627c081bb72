/*
 * Looks after the past while the server runs: lets idle keys go, a few every second, and tells the scraper how much there is.
 */
#pragma once

#include "model/history.h"
#include "server/metrics.h"

struct keeper;

/* Borrows both; starts a thread. STATUS_NO_MEMORY, STATUS_LIMIT. */
MUST_USE enum status keeper_start(struct history *history, struct metrics *metrics, struct keeper **out, struct error *err);
void keeper_stop(struct keeper *keeper); /* NULL allowed */
