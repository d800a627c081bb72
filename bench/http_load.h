/*
 * A closed-loop HTTP client for benchmarks: n connections to loopback, each sends its next request when its answer is in.
 * One thread, epoll. (A load with a rate of its own, latency counted from the intended moment, is another tool's job.)
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "model/base/status.h"

struct http_load_options {
    uint16_t port;
    unsigned connections;
    double seconds;
    /* Writes the next body of at most `size` bytes and returns its length. */
    size_t (*body)(void *context, char *out, size_t size);
    void *context;
};

struct http_load_result {
    uint64_t answers, errors; /* errors: answers other than 200 */
    double seconds;           /* really run */
    double client_cpu_s;      /* of the calling thread */
    double p50_us, p99_us;
};

MUST_USE enum status http_load(const struct http_load_options *options, struct http_load_result *out, struct error *err);
