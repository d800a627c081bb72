/* Problem documents (RFC 9457): what went wrong, in words, and with the field, reason and offset for programs. */
#include "server/http/http.h"

#include <inttypes.h>
#include <string.h>

const char *problem_title(unsigned status)
{
    switch (status) {
    case 400: return "Bad Request";
    case 404: return "Not Found";
    case 405: return "Method Not Allowed";
    case 411: return "Length Required";
    case 413: return "Content Too Large";
    case 415: return "Unsupported Media Type";
    case 429: return "Too Many Requests";
    case 503: return "Service Unavailable";
    default: return "Internal Server Error";
    }
}

void problem_write(struct buf *out, const struct problem *problem, const struct schema *schema, int64_t item, const char *request_id)
{
    buf_format(out, "{\"type\":\"about:blank\",\"title\":\"%s\",\"status\":%u,", problem_title(problem->status), problem->status);
    if (problem->fault) {
        record_write_fault(out, schema, problem->fault);
    } else {
        buf_string(out, "\"detail\":");
        buf_json_string(out, problem->detail, strlen(problem->detail));
    }
    if (item >= 0)
        buf_format(out, ",\"item\":%" PRId64, item);
    if (request_id) {
        buf_string(out, ",\"request_id\":");
        buf_json_string(out, request_id, strlen(request_id));
    }
    buf_char(out, '}');
}
