#include "server/load/http_head.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "server/address.h"
#include "server/load/target.h"

/* Takes "http://host[:port][/path]" and "unix:/socket" apart: an address for address_resolve, and the path. */
static enum status split_url(const char *url, char *address, size_t size, const char **path, struct error *err)
{
    static const char scheme[] = "http://";
    *path = "/v1/score";
    if (strncmp(url, "unix:", 5) == 0) {
        (void)snprintf(address, size, "%s", url);
        return STATUS_OK;
    }
    if (strncmp(url, "https://", 8) == 0)
        return error_set(err, STATUS_INVALID, "%s: TLS is not spoken; send to the plain port behind the proxy", url);
    const char *host = strncmp(url, scheme, sizeof scheme - 1) == 0 ? url + sizeof scheme - 1 : strstr(url, "://") ? NULL : url;
    size_t len = host ? strcspn(host, "/?#") : 0;
    if (len == 0 || len > 200)
        return error_set(err, STATUS_INVALID, "%s: http://host:port/path or unix:/socket is needed", url);
    if (host[len] == '/' && host[len + 1] != '\0')
        *path = host + len;
    const char *colon = memrchr(host, ':', len), *bracket = memrchr(host, ']', len);
    bool has_port = colon && (!bracket || colon > bracket);
    (void)snprintf(address, size, "%.*s%s", (int)len, host, has_port ? "" : ":80");
    return STATUS_OK;
}

static enum status put_headers(const struct http_target_options *o, struct buf *head, struct error *err)
{
    if (o->deadline_ms > 0)
        buf_format(head, "X-Deadline-Ms: %.15g\r\n", o->deadline_ms);
    for (size_t i = 0; i < o->header_count; i++) {
        const char *colon = strchr(o->headers[i], ':');
        if (!colon || colon == o->headers[i] || strpbrk(o->headers[i], "\r\n"))
            return error_set(err, STATUS_INVALID, "--header '%s': 'Name: value' is needed", o->headers[i]);
        buf_format(head, "%s\r\n", o->headers[i]);
    }
    return STATUS_OK;
}

enum status http_head_make(const struct http_target_options *options, struct sockaddr_storage *to, socklen_t *to_len, struct buf *head,
                           struct error *err)
{
    char address[256];
    const char *path;
    enum status status = split_url(options->url, address, sizeof address, &path, err);
    if (status == STATUS_OK && strpbrk(path, " \r\n"))
        status = error_set(err, STATUS_INVALID, "%s: spaces in a path are written as %%20", options->url);
    if (status == STATUS_OK)
        status = address_resolve(address, to, to_len, err);
    if (status != STATUS_OK)
        return status;
    bool local = strncmp(address, "unix:", 5) == 0;
    buf_format(head, "POST %s HTTP/1.1\r\nHost: %s\r\nContent-Type: application/json\r\n", path, local ? "localhost" : address);
    status = put_headers(options, head, err);
    buf_string(head, "Content-Length: ");
    if (status == STATUS_OK && head->failed)
        status = error_set(err, STATUS_NO_MEMORY, "out of memory for the headers");
    return status;
}
