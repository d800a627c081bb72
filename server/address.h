/* Sockets' addresses from text: "127.0.0.1:8080", "[::1]:8080", "localhost:0", "unix:/run/assay.sock". */
#pragma once

#include <stddef.h>
#include <sys/socket.h>

#include "model/base/status.h"

/* Is it written as one of these? Resolves and opens nothing. */
MUST_USE enum status address_check(const char *address, struct error *err);

/* Binds and listens; *fd is the caller's to close. The real address (the port that 0 became) goes to text. For a Unix
 * socket a stale file of the same name is replaced. STATUS_INVALID (not an address), STATUS_IO (can't be bound). */
MUST_USE enum status address_listen(const char *address, int *fd, char *text, size_t text_size, struct error *err);

/* Where to connect to: host:port, [ipv6]:port or unix:/path, as a socket address. STATUS_INVALID, STATUS_NOT_FOUND (no such host). */
MUST_USE enum status address_resolve(const char *address, struct sockaddr_storage *out, socklen_t *len, struct error *err);
