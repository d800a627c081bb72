#include <string.h>

#include "server/http/http.h"

const char *http_title(unsigned status)
{
    switch (status) {
    case 400:
        return "Bad Request";
    case 404:
        return "Not Found";
    case 405:
        return "Method Not Allowed";
    case 411:
        return "Length Required";
    case 413:
        return "Content Too Large";
    case 415:
        return "Unsupported Media Type";
    case 500:
        return "Internal Server Error";
    case 503:
        return "Service Unavailable";
    default:
        return "Error";
    }
}

static void begin(struct buf *out, unsigned status)
{
    buf_format(out, "{\"title\":\"%s\",\"status\":%u", http_title(status), status);
}

static void write_member(struct buf *out, const char *name, const char *text, size_t len)
{
    buf_format(out, ",\"%s\":", name);
    buf_json_string(out, text, len);
}

struct answer http_problem(struct request *r, unsigned status, const char *detail)
{
    buf_clear(&r->answer);
    begin(&r->answer, status);
    write_member(&r->answer, "detail", detail, strlen(detail));
    write_member(&r->answer, "request_id", r->id, strlen(r->id));
    buf_char(&r->answer, '}');
    return (struct answer){status, CONTENT_PROBLEM};
}

void http_problem_transaction(struct buf *out, const struct request *r, const struct txn *txn, int64_t item)
{
    bool failed = txn->outcome == OUTCOME_FAILED;
    begin(out, failed ? 500 : 400);
    if (failed) {
        buf_string(out, ",\"detail\":\"the model could not be computed\"");
    } else {
        buf_char(out, ',');
        record_write_fault(out, r->http->server->bundle->schema, &txn->fault);
    }
    if (item >= 0)
        buf_format(out, ",\"item\":%lld", (long long)item);
    else
        write_member(out, "request_id", r->id, strlen(r->id));
    buf_char(out, '}');
}
