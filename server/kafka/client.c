#include "server/kafka/client.h"

#include <string.h>

#include "server/log.h"

/* Any thread of librdkafka. Properties of the other kind of client are handed to both and ignored by one: no news. */
static void on_log(const rd_kafka_t *client, int level, const char *facility, const char *text)
{
    if (strcmp(facility, "CONFWARN") == 0 && strstr(text, "will be ignored"))
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
