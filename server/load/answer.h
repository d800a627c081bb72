/*
 * One HTTP/1.1 answer, taken from bytes as they arrive, in any pieces: status, whether the connection may be kept, the body
 * (Content-Length, chunked, or up to the end of the connection). Interim answers (1xx) are passed over. After RFC 9112.
 */
#pragma once

#include <stdbool.h>

#include "model/base/buf.h"

enum answer_state { ANSWER_MORE, ANSWER_DONE, ANSWER_BROKEN };

enum { ANSWER_LINE_MAX = 1024, ANSWER_HEAD_MAX = 65536, ANSWER_BODY_MAX = 1 << 24 };

/* All zero is a fresh one; answer_begin makes it so again and keeps the body's memory. */
struct answer {
    int status;      /* 100 .. 599 once DONE */
    bool close;      /* the connection ends with this answer */
    struct buf body; /* owned: answer_free; what is beyond ANSWER_BODY_MAX is passed over */
    /* private */
    enum { AT_STATUS, AT_HEADERS, AT_LENGTH, AT_CHUNK, AT_CHUNK_DATA, AT_CHUNK_END, AT_TRAILERS, AT_CLOSE } at;
    bool chunked, sized;
    uint64_t left; /* of the body or the chunk */
    size_t head_bytes, line_len;
    char line[ANSWER_LINE_MAX]; /* the line so far; what is longer is cut */
};

void answer_begin(struct answer *a);
void answer_free(struct answer *a);

/* Takes up to len bytes and sets *used to how many; after DONE the rest belongs to the next answer. BROKEN: this is no HTTP. */
enum answer_state answer_feed(struct answer *a, const char *data, size_t len, size_t *used);

/* The connection has ended: DONE where that ends the body, BROKEN where the answer is cut short. */
enum answer_state answer_end(const struct answer *a);
