/*
 * The dead-letter topic as a person looks at it: what `assay dlq` shows and sends back. server/main.c puts in what does it.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "config/settings.h"
#include "model/base/status.h"

struct letter_header {
    const char *name;
    const char *value; /* NULL: none */
    size_t len;
};

/* A dead letter; everything borrowed until the callback returns. Texts are "" where the header is not there. */
struct letter {
    int32_t partition;
    int64_t offset, time_ms;  /* its own place and time */
    const char *key, *value;  /* NULL: none */
    size_t key_len, value_len;
    const char *reason, *error, *source; /* assay-…; source: topic/partition/offset of the record */
    bool cut, masked;         /* not the whole record, or not its own bytes any more: can't be sent back */
    const struct letter_header *headers; /* [header_count], ours too */
    size_t header_count;
};

struct letters_range {
    int32_t partition; /* -1: all */
    int64_t offset;    /* of that partition, where to begin; -1: at its beginning */
};

/* False: enough. */
typedef bool letters_visit(void *owner, const struct letter *letter);

struct dead_letters {
    /* Every dead letter that stream.dead_letter has now. STATUS_INVALID, STATUS_NOT_FOUND, STATUS_UNAVAILABLE, STATUS_TIMEOUT. */
    enum status (*each)(const struct settings *settings, const struct letters_range *range, letters_visit *visit, void *owner, struct error *err);
    /* Sends the records of the letters that `wanted` says true to into a topic: key, headers without ours, value. They are sent
     * when it returns; where that fails, *sent says how many were acknowledged. */
    enum status (*replay)(const struct settings *settings, const struct letters_range *range, const char *topic, letters_visit *wanted,
                          void *owner, uint64_t *sent, struct error *err);
};
