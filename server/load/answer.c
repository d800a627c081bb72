#include "server/load/answer.h"

#include <string.h>
#include <strings.h>

void answer_begin(struct answer *a)
{
    struct buf body = a->body;
    buf_clear(&body);
    a->status = 0;
    a->close = a->chunked = a->sized = false;
    a->at = AT_STATUS;
    a->left = 0;
    a->head_bytes = a->line_len = 0;
    a->body = body;
}

void answer_free(struct answer *a)
{
    buf_free(&a->body);
}

/* Gathers a line up to its newline. 1: it is whole (without CR LF, NUL-terminated), 0: not yet. */
static int gather_line(struct answer *a, const char *data, size_t len, size_t *used)
{
    const char *newline = memchr(data, '\n', len);
    size_t n = newline ? (size_t)(newline - data) : len, room = sizeof a->line - 1 - a->line_len;
    size_t kept = n < room ? n : room;
    memcpy(a->line + a->line_len, data, kept);
    a->line_len += kept;
    *used = newline ? n + 1 : n;
    if (!newline)
        return 0;
    if (a->line_len > 0 && a->line[a->line_len - 1] == '\r')
        a->line_len--;
    a->line[a->line_len] = '\0';
    a->line_len = 0;
    return 1;
}

/* "HTTP/1.1 200 OK" */
static bool take_status(struct answer *a)
{
    const char *l = a->line;
    if (strncmp(l, "HTTP/1.", 7) != 0 || (l[7] != '0' && l[7] != '1') || l[8] != ' ')
        return false;
    int status = 0;
    for (int i = 9; i < 12; i++) {
        if (l[i] < '0' || l[i] > '9')
            return false;
        status = status * 10 + l[i] - '0';
    }
    if (status < 100 || status > 599 || (l[12] != ' ' && l[12] != '\0'))
        return false;
    a->status = status;
    a->close = l[7] == '0'; /* HTTP/1.0 closes unless it says otherwise */
    return true;
}

/* The value of a header where the line is that header. */
static const char *header_value(const char *line, const char *name)
{
    size_t len = strlen(name);
    if (strncasecmp(line, name, len) != 0 || line[len] != ':')
        return NULL;
    line += len + 1;
    return line + strspn(line, " \t");
}

/* Digits in a base up to the end or a ';'. */
static bool take_number(const char *text, unsigned base, uint64_t *out)
{
    const char *at = text;
    uint64_t value = 0;
    for (; *at && *at != ';' && *at != ' ' && *at != '\t'; at++) {
        unsigned digit = *at >= '0' && *at <= '9' ? (unsigned)(*at - '0') : (*at | 32) >= 'a' && (*at | 32) <= 'f' ? (unsigned)((*at | 32) - 'a') + 10 : 16;
        if (digit >= base || value > (UINT64_MAX >> 5))
            return false;
        value = value * base + digit;
    }
    *out = value;
    return at != text;
}

static bool take_header(struct answer *a)
{
    const char *value = header_value(a->line, "Content-Length");
    if (value) {
        uint64_t length;
        if (!take_number(value, 10, &length) || (a->sized && length != a->left))
            return false;
        a->left = length;
        a->sized = true;
        return true;
    }
    value = header_value(a->line, "Transfer-Encoding");
    if (value) {
        a->chunked = strcasecmp(value, "chunked") == 0;
        return a->chunked; /* nothing else was asked for */
    }
    value = header_value(a->line, "Connection");
    if (value)
        a->close = strncasecmp(value, "close", 5) == 0 || (a->close && strncasecmp(value, "keep-alive", 10) != 0);
    return strchr(a->line, ':') != NULL;
}

/* The blank line after the headers: where the body goes on. */
static enum answer_state end_head(struct answer *a)
{
    if (a->status < 200) {
        answer_begin(a);
        return ANSWER_MORE;
    }
    if (a->status == 204 || a->status == 304)
        return ANSWER_DONE;
    a->at = a->chunked ? AT_CHUNK : a->sized ? AT_LENGTH : AT_CLOSE;
    if (a->at == AT_CLOSE)
        a->close = true;
    return a->at == AT_LENGTH && a->left == 0 ? ANSWER_DONE : ANSWER_MORE;
}

/* A line outside of a body is whole. */
static enum answer_state take_line(struct answer *a)
{
    bool blank = a->line[0] == '\0';
    switch (a->at) {
    case AT_STATUS:
        a->at = AT_HEADERS;
        return take_status(a) ? ANSWER_MORE : ANSWER_BROKEN;
    case AT_HEADERS:
        if (blank)
            return end_head(a);
        return take_header(a) ? ANSWER_MORE : ANSWER_BROKEN;
    case AT_CHUNK:
        if (!take_number(a->line, 16, &a->left))
            return ANSWER_BROKEN;
        a->at = a->left ? AT_CHUNK_DATA : AT_TRAILERS;
        return ANSWER_MORE;
    case AT_CHUNK_END:
        a->at = AT_CHUNK;
        return blank ? ANSWER_MORE : ANSWER_BROKEN;
    default: /* AT_TRAILERS */
        return blank ? ANSWER_DONE : ANSWER_MORE;
    }
}

static size_t take_body(struct answer *a, const char *data, size_t len)
{
    size_t n = a->at == AT_CLOSE || len < a->left ? len : (size_t)a->left;
    size_t room = a->body.len < ANSWER_BODY_MAX ? ANSWER_BODY_MAX - a->body.len : 0;
    buf_append(&a->body, data, n < room ? n : room);
    if (a->at != AT_CLOSE)
        a->left -= n;
    return n;
}

enum answer_state answer_feed(struct answer *a, const char *data, size_t len, size_t *used)
{
    *used = 0;
    while (*used < len) {
        const char *at = data + *used;
        size_t left = len - *used, n;
        if (a->at == AT_LENGTH || a->at == AT_CHUNK_DATA || a->at == AT_CLOSE) {
            *used += take_body(a, at, left);
            if (a->at == AT_LENGTH && a->left == 0)
                return ANSWER_DONE;
            if (a->at == AT_CHUNK_DATA && a->left == 0)
                a->at = AT_CHUNK_END;
            continue;
        }
        int whole = gather_line(a, at, left, &n);
        *used += n;
        a->head_bytes = a->at == AT_CHUNK ? 0 : a->head_bytes + n;
        if (a->head_bytes > ANSWER_HEAD_MAX)
            return ANSWER_BROKEN;
        if (!whole)
            continue;
        enum answer_state state = take_line(a);
        if (state != ANSWER_MORE)
            return state;
    }
    return ANSWER_MORE;
}

enum answer_state answer_end(const struct answer *a)
{
    return a->at == AT_CLOSE ? ANSWER_DONE : ANSWER_BROKEN;
}
