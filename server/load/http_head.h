/* From a URL and headers to where to connect and what every request begins with. Private to server/load. */
#pragma once

#include <sys/socket.h>

#include "model/base/buf.h"

struct http_target_options;

/* Resolves the host and writes the head of a request up to the value of Content-Length, which comes last. STATUS_INVALID: the
 * URL or a header; STATUS_NOT_FOUND: no such host. */
MUST_USE enum status http_head_make(const struct http_target_options *options, struct sockaddr_storage *to, socklen_t *to_len, struct buf *head,
                                    struct error *err);
