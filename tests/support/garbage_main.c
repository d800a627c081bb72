/*
 * Sends damaged transactions with whole ones between them, and checks every answer.
 *
 *     garbage --http 127.0.0.1:8080 --documents 1000000 --seed 11     over four kept connections; a report as JSON
 *     garbage --documents 1000 --seed 11                              one a line to stdout, for other ways in
 *
 * Exit code 1: a document was not answered, a whole one not scored, or an answer was none of the two that there are.
 */
#include <netdb.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "model/base/check.h"
#include "model/input/decode.h"
#include "server/cmd/args.h"
#include "tests/support/mutate.h"

enum { CONNECTIONS = 4, ANSWER_MAX = 65536 };

struct totals {
    uint64_t sent, answered, good, good_scored, rejected, wrong;
    uint64_t reasons[DECODE_REASON_COUNT];
};

struct client {
    pthread_t thread;
    const char *host, *port;
    uint64_t seed;
    unsigned first, documents;
    int fd;
    struct totals totals;
    char answer[ANSWER_MAX + 1];
};

static int dial(const struct client *c)
{
    struct addrinfo *found = NULL;
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
    if (getaddrinfo(c->host, c->port, &hints, &found) != 0)
        return -1;
    int fd = socket(found->ai_family, SOCK_STREAM, 0);
    if (fd >= 0 && connect(fd, found->ai_addr, found->ai_addrlen) != 0) {
        (void)close(fd);
        fd = -1;
    }
    freeaddrinfo(found);
    return fd;
}

/* Reads one answer; returns its body or NULL. */
static const char *receive(struct client *c)
{
    size_t got = 0;
    for (;;) {
        ssize_t n = recv(c->fd, c->answer + got, ANSWER_MAX - got, 0);
        if (n <= 0)
            return NULL;
        got += (size_t)n;
        c->answer[got] = '\0';
        char *body = strstr(c->answer, "\r\n\r\n");
        const char *length = strstr(c->answer, "Content-Length: ");
        if (body && length && (size_t)(body + 4 - c->answer) + strtoul(length + 16, NULL, 10) == got)
            return body + 4;
    }
}

static void count_reasons(struct client *c, const char *body)
{
    for (const char *at = strstr(body, "\"reason\":\""); at; at = strstr(at, "\"reason\":\"")) {
        at += strlen("\"reason\":\"");
        size_t len = strcspn(at, "\"");
        c->totals.rejected++;
        for (int r = 0; r < DECODE_REASON_COUNT; r++) {
            const char *label = decode_reason_label((enum decode_reason)r);
            c->totals.reasons[r] += strlen(label) == len && memcmp(label, at, len) == 0;
        }
    }
}

static bool check(struct client *c, unsigned n, bool whole, const char *body)
{
    bool ok = strncmp(c->answer, "HTTP/1.1 200", 12) == 0, refused = strncmp(c->answer, "HTTP/1.1 400", 12) == 0;
    char id[64];
    c->totals.answered++;
    count_reasons(c, body);
    if (!whole)
        return ok || (refused && strstr(body, "\"reason\":\""));
    (void)snprintf(id, sizeof id, "{\"transaction_id\":\"E-%u\",\"score\":", n);
    c->totals.good_scored += ok && strncmp(body, id, strlen(id)) == 0;
    return ok;
}

static void send_one(struct client *c, unsigned n)
{
    char document[MUTATE_MAX], request[MUTATE_MAX + 256];
    bool whole;
    size_t len = mutate_document(document, c->seed, n, &whole);
    int head = snprintf(request, sizeof request, "POST /v1/score HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n\r\n", len);
    memcpy(request + head, document, len);
    size_t bytes = (size_t)head + len;
    c->totals.sent++;
    c->totals.good += whole;
    const char *body = NULL;
    if (c->fd < 0)
        c->fd = dial(c);
    if (c->fd >= 0 && send(c->fd, request, bytes, MSG_NOSIGNAL) == (ssize_t)bytes)
        body = receive(c);
    if (body && check(c, n, whole, body))
        return;
    c->totals.wrong++;
    (void)fprintf(stderr, "garbage: document %u: %.200s\n", n, body ? c->answer : "no answer");
    if (c->fd >= 0 && !body) {
        (void)close(c->fd);
        c->fd = -1;
    }
}

static void *run(void *context)
{
    struct client *c = context;
    c->fd = dial(c);
    for (unsigned i = 0; i < c->documents; i++)
        send_one(c, c->first + i);
    if (c->fd >= 0)
        (void)close(c->fd);
    return NULL;
}

static void print_report(const struct totals *t)
{
    const char *comma = "";
    (void)printf("{\"sent\":%llu,\"answered\":%llu,\"good\":%llu,\"good_scored\":%llu,\"rejected\":%llu,\"wrong\":%llu,\"reasons\":{",
                 (unsigned long long)t->sent, (unsigned long long)t->answered, (unsigned long long)t->good,
                 (unsigned long long)t->good_scored, (unsigned long long)t->rejected, (unsigned long long)t->wrong);
    for (int r = 0; r < DECODE_REASON_COUNT; r++) {
        if (t->reasons[r] > 0) {
            (void)printf("%s\"%s\":%llu", comma, decode_reason_label((enum decode_reason)r), (unsigned long long)t->reasons[r]);
            comma = ",";
        }
    }
    (void)printf("}}\n");
}

static int over_http(char *address, unsigned documents, uint64_t seed)
{
    static struct client clients[CONNECTIONS];
    struct totals sum = {0};
    char *colon = strrchr(address, ':');
    if (!colon)
        return 2;
    *colon = '\0';
    for (unsigned i = 0; i < CONNECTIONS; i++) {
        unsigned from = (unsigned)((uint64_t)documents * i / CONNECTIONS), to = (unsigned)((uint64_t)documents * (i + 1) / CONNECTIONS);
        clients[i] = (struct client){.host = address, .port = colon + 1, .seed = seed, .first = from, .documents = to - from};
        CHECK(pthread_create(&clients[i].thread, NULL, run, &clients[i]) == 0);
    }
    for (unsigned i = 0; i < CONNECTIONS; i++) {
        (void)pthread_join(clients[i].thread, NULL);
        const struct totals *t = &clients[i].totals;
        sum.sent += t->sent, sum.answered += t->answered, sum.good += t->good, sum.good_scored += t->good_scored;
        sum.rejected += t->rejected, sum.wrong += t->wrong;
        for (int r = 0; r < DECODE_REASON_COUNT; r++)
            sum.reasons[r] += t->reasons[r];
    }
    print_report(&sum);
    return sum.wrong > 0 || sum.answered != sum.sent || sum.good_scored != sum.good;
}

static int to_stdout(unsigned documents, uint64_t seed)
{
    for (unsigned n = 0; n < documents; n++) {
        char document[MUTATE_MAX + 1];
        bool whole;
        size_t len = mutate_document(document, seed, n, &whole);
        for (size_t i = 0; i < len; i++)
            document[i] = document[i] == '\n' ? ' ' : document[i];
        document[len] = '\n';
        (void)fwrite(document, 1, len + 1, stdout);
    }
    return ferror(stdout) != 0;
}

int main(int argc, char **argv)
{
    const char *http = NULL;
    int64_t documents = 1000, seed = 1;
    const struct args_option options[] = {
        {.name = "http", .kind = ARGS_TEXT, .out = &http, .value = "HOST:PORT", .help = "send to a server"},
        {.name = "documents", .kind = ARGS_INT, .out = &documents, .value = "N", .help = "how many", .min = 1, .max = 1e9},
        {.name = "seed", .kind = ARGS_INT, .out = &seed, .value = "S", .help = "of the damage"},
        {.name = NULL},
    };
    const struct args_spec spec = {.usage = "garbage [--http HOST:PORT] [--documents N] [--seed S]",
                                   .summary = "Damaged transactions with whole ones between them.", .options = options};
    enum args_result parsed = args_parse(&spec, argc, argv, NULL, NULL);
    if (parsed != ARGS_RUN)
        return parsed == ARGS_EXIT_DONE ? 0 : 2;
    if (!http)
        return to_stdout((unsigned)documents, (uint64_t)seed);
    char address[256];
    (void)snprintf(address, sizeof address, "%s", http);
    return over_http(address, (unsigned)documents, (uint64_t)seed);
}
