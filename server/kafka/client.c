#include "server/kafka/client.h"

#include <pthread.h>
#include <string.h>
#include <time.h>

#include "model/base/clock.h"
#include "server/log.h"

/* What librdkafka says of properties that are set on purpose: one for the other kind of client, which is handed to both and
 * ignored by one, and one that it calls experimental in every version. */
static bool is_no_news(const char *facility, const char *text)
{
    return strcmp(facility, "CONFWARN") == 0 && (strstr(text, "will be ignored") || strstr(text, "enable.gapless.guarantee is experimental"));
}

/* Any thread of librdkafka. */
static void on_log(const rd_kafka_t *client, int level, const char *facility, const char *text)
{
    if (is_no_news(facility, text))
        return;
    /* syslog's numbers: 2 critical, 4 warning, 6 informational. Errors (3) are lost connections, which are tried again. */
    enum log_level ours = level <= 2 ? LOG_ERROR : level <= 4 ? LOG_WARN : level <= 6 ? LOG_INFO : LOG_DEBUG;
    const struct log_field fields[] = {
        LOG_TEXT("client", rd_kafka_name(client)), LOG_TEXT("facility", facility), LOG_TEXT("text", text), {.key = NULL}};
    log_event(ours, "kafka.client", fields);
}

enum status client_create(rd_kafka_type_t type, rd_kafka_conf_t *conf, rd_kafka_t **out, struct error *err)
{
    char why[256] = "";
    rd_kafka_conf_set_log_cb(conf, on_log);
    *out = rd_kafka_new(type, conf, why, sizeof why);
    if (*out)
        return STATUS_OK;
    rd_kafka_conf_destroy(conf);
    return error_set(err, STATUS_INVALID, "kafka: %s", why);
}

static void *destroy(void *client)
{
    rd_kafka_destroy_flags(client, RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE);
    return NULL;
}

bool client_destroy(rd_kafka_t *client, int64_t deadline_ns)
{
    pthread_t thread;
    if (pthread_create(&thread, NULL, destroy, client) != 0) {
        (void)destroy(client);
        return true;
    }
    struct timespec end; /* the wait goes by the wall clock; a jump of it makes it shorter or longer, no more */
    (void)clock_gettime(CLOCK_REALTIME, &end);
    int64_t left_ns = deadline_ns - clock_monotonic_ns();
    int64_t end_ns = end.tv_nsec + (left_ns > 0 ? left_ns : 0);
    end.tv_sec += end_ns / 1000000000;
    end.tv_nsec = end_ns % 1000000000;
    if (pthread_timedjoin_np(thread, NULL, &end) == 0)
        return true;
    (void)pthread_detach(thread);
    return false;
}
