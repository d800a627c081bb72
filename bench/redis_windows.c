#include "bench/redis_windows.h"

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "model/base/buf.h"

#define DAY_S INT64_C(86400)

struct redis_windows {
    char dir[64], version[64];
    pid_t server;
    int socket;
    struct buf request, reply;
    size_t at; /* in reply */
};

static pid_t start_server(const struct redis_windows *redis)
{
    char path[96];
    (void)snprintf(path, sizeof path, "%s/socket", redis->dir);
    pid_t pid = fork();
    if (pid != 0)
        return pid;
    if (!freopen("/dev/null", "w", stdout))
        _exit(127);
    (void)execlp("redis-server", "redis-server", "--port", "0", "--unixsocket", path, "--save", "", "--appendonly", "no", "--dir", redis->dir,
                 (char *)NULL);
    _exit(127);
}

/* Waits for the server to listen, 5 s at most. */
static bool connect_to(struct redis_windows *redis)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    (void)snprintf(address.sun_path, sizeof address.sun_path, "%s/socket", redis->dir);
    for (int tries = 0; tries < 500 && waitpid(redis->server, NULL, WNOHANG) == 0; tries++) {
        redis->socket = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (redis->socket >= 0 && connect(redis->socket, (struct sockaddr *)&address, sizeof address) == 0)
            return true;
        if (redis->socket >= 0)
            (void)close(redis->socket);
        redis->socket = -1;
        (void)nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
    }
    redis->server = waitpid(redis->server, NULL, WNOHANG) == 0 ? redis->server : 0;
    return false;
}

static enum status send_all(struct redis_windows *redis, struct error *err)
{
    for (size_t sent = 0; sent < redis->request.len;) {
        ssize_t n = write(redis->socket, redis->request.data + sent, redis->request.len - sent);
        if (n <= 0)
            return error_set(err, STATUS_IO, "redis-server went away");
        sent += (size_t)n;
    }
    buf_clear(&redis->request);
    return STATUS_OK;
}

/* Makes at least n bytes of the reply available from `at` on. */
static bool want(struct redis_windows *redis, size_t n)
{
    if (redis->at == redis->reply.len)
        redis->at = redis->reply.len = 0;
    while (redis->reply.len - redis->at < n) {
        char *to = buf_reserve(&redis->reply, 1 << 16);
        ssize_t got = to ? read(redis->socket, to, 1 << 16) : -1;
        if (got <= 0)
            return false;
        redis->reply.len += (size_t)got;
    }
    return true;
}

/* A line of the reply ("$12", "*3", ":1"): its first byte, and the number behind it. '-': broken. */
static char read_line(struct redis_windows *redis, int64_t *number)
{
    size_t length = 0;
    do {
        if (!want(redis, length + 2))
            return '-';
        length++;
    } while (redis->reply.data[redis->at + length] != '\n');
    const char *line = redis->reply.data + redis->at;
    *number = strtoll(line + 1, NULL, 10);
    redis->at += length + 1;
    return line[0];
}

/* A bulk string, borrowed until the next read; NULL: broken. */
static const char *read_text(struct redis_windows *redis)
{
    int64_t length;
    if (read_line(redis, &length) != '$' || !want(redis, (size_t)length + 2))
        return NULL;
    const char *text = redis->reply.data + redis->at;
    redis->at += (size_t)length + 2;
    return text;
}

static void command(struct buf *out, char kind, uint32_t key, int64_t time_s, uint64_t id, double value)
{
    char name[24], member[48], now[24], oldest[24], latest[24];
    int64_t delay = kind == 't' ? 7 * DAY_S : 0;
    int name_len = snprintf(name, sizeof name, "%c:%u", kind, key), member_len = snprintf(member, sizeof member, "%" PRIu64 ":%.2f", id, value);
    int now_len = snprintf(now, sizeof now, "%" PRId64, time_s), latest_len = snprintf(latest, sizeof latest, "%" PRId64, time_s - delay);
    int oldest_len = snprintf(oldest, sizeof oldest, "%" PRId64, time_s - delay - 30 * DAY_S);
    buf_format(out, "*4\r\n$4\r\nZADD\r\n$%d\r\n%s\r\n$%d\r\n%s\r\n$%d\r\n%s\r\n", name_len, name, now_len, now, member_len, member);
    buf_format(out, "*4\r\n$16\r\nZREMRANGEBYSCORE\r\n$%d\r\n%s\r\n$4\r\n-inf\r\n$%d\r\n%s\r\n", name_len, name, oldest_len, oldest);
    buf_format(out, "*5\r\n$13\r\nZRANGEBYSCORE\r\n$%d\r\n%s\r\n$%d\r\n%s\r\n$%d\r\n%s\r\n$10\r\nWITHSCORES\r\n", name_len, name, oldest_len, oldest,
               latest_len, latest);
}

/* The three answers of a key: counts and sums over 1, 7 and 30 days, whose ratio is the mean, or the risk. */
static bool read_windows(struct redis_windows *redis, int64_t time_s, double *out)
{
    static const int64_t days[] = {1, 7, 30};
    double counts[3] = {0}, sums[3] = {0};
    int64_t number, items;
    if (read_line(redis, &number) != ':' || read_line(redis, &number) != ':' || read_line(redis, &items) != '*')
        return false;
    for (int64_t i = 0; i < items; i += 2) {
        const char *member = read_text(redis), *colon = member ? strchr(member, ':') : NULL;
        double value = colon ? strtod(colon + 1, NULL) : 0;
        const char *score = read_text(redis);
        if (!member || !score)
            return false;
        int64_t since = time_s - strtoll(score, NULL, 10);
        for (int w = 0; w < 3; w++) {
            if (since < days[w] * DAY_S) {
                counts[w]++;
                sums[w] += value;
            }
        }
    }
    for (int w = 0; w < 3; w++) {
        out[2 * w] = counts[w];
        out[2 * w + 1] = counts[w] > 0 ? sums[w] / counts[w] : 0;
    }
    return true;
}

enum status redis_windows_apply(struct redis_windows *redis, const struct traffic_event *events, size_t n, uint64_t first_id, size_t pipeline,
                                double *out, struct error *err)
{
    for (size_t first = 0; first < n; first += pipeline) {
        size_t chunk = n - first < pipeline ? n - first : pipeline;
        for (size_t i = first; i < first + chunk; i++) {
            command(&redis->request, 'c', events[i].card, events[i].time_us / 1000000, first_id + i, events[i].amount);
            command(&redis->request, 't', events[i].terminal, events[i].time_us / 1000000, first_id + i, 0);
        }
        enum status status = send_all(redis, err);
        for (size_t i = first; i < first + chunk && status == STATUS_OK; i++) {
            int64_t time_s = events[i].time_us / 1000000;
            double *row = out + i * TRAFFIC_WINDOWS;
            if (!read_windows(redis, time_s, row) || !read_windows(redis, time_s - 7 * DAY_S, row + 6))
                status = error_set(err, STATUS_IO, "redis-server answered something else than it was asked");
        }
        if (status != STATUS_OK)
            return status;
    }
    return STATUS_OK;
}

static void read_version(struct redis_windows *redis)
{
    char line[256] = "";
    FILE *pipe = popen("redis-server --version", "r");
    const char *found = pipe && fgets(line, sizeof line, pipe) ? strstr(line, "v=") : NULL;
    (void)snprintf(redis->version, sizeof redis->version, "%.*s", found ? (int)strcspn(found + 2, " ") : 7, found ? found + 2 : "unknown");
    if (pipe)
        (void)pclose(pipe);
}

enum status redis_windows_open(struct redis_windows **out, struct error *err)
{
    struct redis_windows *redis = calloc(1, sizeof *redis);
    if (!redis)
        return error_set(err, STATUS_NO_MEMORY, "out of memory");
    redis->socket = -1;
    (void)snprintf(redis->dir, sizeof redis->dir, "/tmp/assay-redis-XXXXXX");
    if (!mkdtemp(redis->dir)) {
        free(redis);
        return error_set(err, STATUS_IO, "no directory can be made in /tmp");
    }
    redis->server = start_server(redis);
    if (redis->server <= 0 || !connect_to(redis)) {
        redis_windows_close(redis);
        return error_set(err, STATUS_UNAVAILABLE, "redis-server can't be run; install the package redis-server");
    }
    read_version(redis);
    *out = redis;
    return STATUS_OK;
}

void redis_windows_close(struct redis_windows *redis)
{
    char path[96];
    if (!redis)
        return;
    if (redis->socket >= 0)
        (void)close(redis->socket);
    if (redis->server > 0) {
        (void)kill(redis->server, SIGTERM);
        (void)waitpid(redis->server, NULL, 0);
    }
    (void)snprintf(path, sizeof path, "%s/socket", redis->dir);
    (void)unlink(path);
    (void)rmdir(redis->dir);
    buf_free(&redis->request);
    buf_free(&redis->reply);
    free(redis);
}

const char *redis_windows_version(const struct redis_windows *redis)
{
    return redis->version;
}
