/*
 * A bare HTTP handler for benchmarks of clients: one thread, epoll, the same answer to every request, nothing looked at but
 * where a request ends. As little as a server can do.
 */
#pragma once

#include <stdint.h>

#include "model/base/status.h"

struct bare_http;

/* Listens on a free port of loopback. *out is owned: bare_http_stop. */
MUST_USE enum status bare_http_start(struct bare_http **out, uint16_t *port, struct error *err);

/* Ends its thread and frees it; returns the requests it answered. */
uint64_t bare_http_stop(struct bare_http *server);

/* What the real server answers to a transaction, for bare handlers to send. */
extern const char bare_http_body[];
