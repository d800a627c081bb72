/*
 * The rival of `assay bench features`: the same twelve windows from Redis sorted sets, one a card and one a terminal, over a Unix
 * socket on this machine, pipelined. For each transaction and key: add it, drop what is older than the longest window, read
 * what is left; counts, means and risks are worked out by the caller, as feature services do.
 */
#pragma once

#include <stdbool.h>

#include "bench/features_traffic.h"
#include "model/base/status.h"

struct redis_windows;

/* Starts redis-server in a directory of its own, without persistence. STATUS_UNAVAILABLE: there is none on this machine. */
MUST_USE enum status redis_windows_open(struct redis_windows **out, struct error *err);
void redis_windows_close(struct redis_windows *redis);
const char *redis_windows_version(const struct redis_windows *redis);

/* Applies n transactions, ids from first_id on; out[n][TRAFFIC_WINDOWS]. `pipeline` transactions are under way at a time. */
MUST_USE enum status redis_windows_apply(struct redis_windows *redis, const struct traffic_event *events, size_t n, uint64_t first_id,
                                         size_t pipeline, double *out, struct error *err);
