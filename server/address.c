#include "server/address.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "model/base/check.h"

enum { BACKLOG = 1024 };

static enum status bind_and_listen(int fd, const struct sockaddr *to, socklen_t len, const char *address, struct error *err)
{
    if (bind(fd, to, len) == 0 && listen(fd, BACKLOG) == 0)
        return STATUS_OK;
    return error_set(err, STATUS_IO, "http.listen %s: %s", address, strerror(errno));
}

static enum status listen_unix(const char *path, int *fd, char *text, size_t text_size, struct error *err)
{
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    if (path[0] == '\0' || strlen(path) >= sizeof to.sun_path)
        return error_set(err, STATUS_INVALID, "http.listen unix:%s: a path of 1 to %zu bytes is needed", path, sizeof to.sun_path - 1);
    memcpy(to.sun_path, path, strlen(path) + 1);
    *fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (*fd < 0)
        return error_set(err, STATUS_IO, "http.listen unix:%s: %s", path, strerror(errno));
    /* A file that nobody answers on was left behind by a process that is gone. */
    struct stat st;
    if (lstat(path, &st) == 0 && S_ISSOCK(st.st_mode) && connect(*fd, (struct sockaddr *)&to, sizeof to) != 0 && errno == ECONNREFUSED)
        (void)unlink(path);
    (void)snprintf(text, text_size, "unix:%s", path);
    return bind_and_listen(*fd, (struct sockaddr *)&to, sizeof to, text, err);
}

/* Splits "host:port" and "[v6]:port". */
static bool split(const char *address, char *host, size_t host_size, const char **port)
{
    const char *colon = strrchr(address, ':');
    if (!colon || colon == address || colon[1] == '\0')
        return false;
    size_t len = (size_t)(colon - address);
    bool bracketed = address[0] == '[' && address[len - 1] == ']';
    if (bracketed) {
        address++;
        len -= 2;
    } else if (memchr(address, ':', len)) {
        return false; /* IPv6 needs brackets */
    }
    if (len == 0 || len >= host_size)
        return false;
    memcpy(host, address, len);
    host[len] = '\0';
    *port = colon + 1;
    return true;
}

/* getaddrinfo takes 99999 and listens on what is left of it in 16 bits. */
static bool is_port(const char *text)
{
    unsigned value = 0;
    for (; *text >= '0' && *text <= '9' && value <= UINT16_MAX; text++)
        value = value * 10 + (unsigned)(*text - '0');
    return *text == '\0' && value <= UINT16_MAX;
}

enum status address_check(const char *address, struct error *err)
{
    char host[256];
    const char *port;
    if (strncmp(address, "unix:", 5) == 0)
        return STATUS_OK;
    if (!split(address, host, sizeof host, &port))
        return error_set(err, STATUS_INVALID, "http.listen '%s': host:port, [ipv6]:port or unix:/path is needed", address);
    if (!is_port(port))
        return error_set(err, STATUS_INVALID, "http.listen '%s': the port must be a number from 0 to %d", address, UINT16_MAX);
    return STATUS_OK;
}

static void describe(int fd, char *text, size_t text_size)
{
    struct sockaddr_storage own;
    socklen_t len = sizeof own;
    char host[INET6_ADDRSTRLEN] = "";
    (void)getsockname(fd, (struct sockaddr *)&own, &len);
    if (own.ss_family == AF_INET6) {
        const struct sockaddr_in6 *six = (const struct sockaddr_in6 *)(const void *)&own;
        (void)inet_ntop(AF_INET6, &six->sin6_addr, host, sizeof host);
        (void)snprintf(text, text_size, "[%s]:%u", host, ntohs(six->sin6_port));
    } else {
        const struct sockaddr_in *four = (const struct sockaddr_in *)(const void *)&own;
        (void)inet_ntop(AF_INET, &four->sin_addr, host, sizeof host);
        (void)snprintf(text, text_size, "%s:%u", host, ntohs(four->sin_port));
    }
}

enum status address_listen(const char *address, int *fd, char *text, size_t text_size, struct error *err)
{
    *fd = -1;
    enum status status;
    if (strncmp(address, "unix:", 5) == 0) {
        status = listen_unix(address + 5, fd, text, text_size, err);
    } else {
        char host[256];
        const char *port;
        struct addrinfo *found = NULL;
        const struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE | AI_NUMERICSERV};
        status = address_check(address, err);
        if (status != STATUS_OK)
            return status;
        CHECK(split(address, host, sizeof host, &port));
        int failed = getaddrinfo(host, port, &hints, &found);
        if (failed)
            return error_set(err, STATUS_INVALID, "http.listen '%s': %s", address, gai_strerror(failed));
        *fd = socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        const int on = 1;
        if (*fd < 0) {
            status = error_set(err, STATUS_IO, "http.listen %s: %s", address, strerror(errno));
        } else {
            (void)setsockopt(*fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
            const int both = 0; /* [::] takes IPv4 too, whatever the system's default is */
            if (found->ai_family == AF_INET6)
                (void)setsockopt(*fd, IPPROTO_IPV6, IPV6_V6ONLY, &both, sizeof both);
            status = bind_and_listen(*fd, found->ai_addr, found->ai_addrlen, address, err);
        }
        freeaddrinfo(found);
        if (status == STATUS_OK)
            describe(*fd, text, text_size);
    }
    if (status != STATUS_OK && *fd >= 0) {
        (void)close(*fd);
        *fd = -1;
    }
    return status;
}

enum status address_resolve(const char *address, struct sockaddr_storage *out, socklen_t *len, struct error *err)
{
    char host[256];
    const char *port;
    *out = (struct sockaddr_storage){0};
    if (strncmp(address, "unix:", 5) == 0) {
        struct sockaddr_un *to = (struct sockaddr_un *)(void *)out;
        if (address[5] == '\0' || strlen(address + 5) >= sizeof to->sun_path)
            return error_set(err, STATUS_INVALID, "%s: a path of 1 to %zu bytes is needed", address, sizeof to->sun_path - 1);
        to->sun_family = AF_UNIX;
        memcpy(to->sun_path, address + 5, strlen(address + 5) + 1);
        *len = sizeof *to;
        return STATUS_OK;
    }
    if (!split(address, host, sizeof host, &port) || !is_port(port))
        return error_set(err, STATUS_INVALID, "%s: host:port, [ipv6]:port or unix:/path is needed", address);
    struct addrinfo *found = NULL;
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV};
    int failed = getaddrinfo(host, port, &hints, &found);
    if (failed)
        return error_set(err, STATUS_NOT_FOUND, "%s: %s", address, gai_strerror(failed));
    memcpy(out, found->ai_addr, found->ai_addrlen);
    *len = found->ai_addrlen;
    freeaddrinfo(found);
    return STATUS_OK;
}
