/*
 * Status codes and error messages.
 *
 * A function that can fail returns an `enum status` and, where a person will read it, fills a `struct error` that the
 * caller owns. The message says what is wrong, where, and what to do. Breaking our own contract is no status: see check.h.
 */
#pragma once

#include <stddef.h>

enum status {
#define STATUS(name, text) STATUS_##name,
#include "model/base/status.def"
#undef STATUS
    STATUS_COUNT
};

#define MUST_USE __attribute__((warn_unused_result))

struct error {
    char message[512]; /* NUL-terminated; empty when nothing was reported */
};

/* Formats the message into err (NULL allowed: then nothing is written) and returns code, so that a caller can
 * `return error_set(err, STATUS_INVALID, "…")`. Longer messages are cut. Any thread. */
enum status error_set(struct error *err, enum status code, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* Puts "context: " before the message that is already there, for callers that know the file or the field. Returns code. */
enum status error_prefix(struct error *err, enum status code, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* "INVALID" and "the input is malformed…"; both static. */
const char *status_name(enum status code);
const char *status_text(enum status code);
