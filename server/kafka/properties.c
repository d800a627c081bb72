#include "server/kafka/properties.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/settings_table.h"
#include "model/base/nearest.h"
#include "server/log.h"

enum { PROPERTY_MAX = 256, VALUE_MAX = 1024, PROPERTIES_MAX = 512, ROLE_BOTH = -1 };
enum { PROFILE_BALANCED, PROFILE_LOW_LATENCY, PROFILE_THROUGHPUT };

/* Our defaults where librdkafka's are wrong for this work; settings may change them. */
static const struct {
    int role;
    const char *name, *value;
} defaults[] = {
    {ROLE_BOTH, "client.id", "assay"},
    /* Nagle's algorithm holds small requests back for an acknowledgement: 24 ms instead of 0.4 over TLS. */
    {ROLE_BOTH, "socket.nagle.disable", "true"},
    {ROLE_BOTH, "socket.keepalive.enable", "true"},
    /* The default of 10 s is added to every restart of a broker. */
    {ROLE_BOTH, "reconnect.backoff.max.ms", "500"},
    {ROLE_BOTH, "log.connection.close", "false"}, /* brokers close idle connections; that is no news */
    /* A topic that is made later, or gets more partitions, is noticed within this time. */
    {ROLE_BOTH, "topic.metadata.refresh.interval.ms", "10000"},
    {CLIENT_CONSUMER, "group.id", "assay"},
    /* Without a committed offset begin at the beginning: nothing is left out. */
    {CLIENT_CONSUMER, "auto.offset.reset", "earliest"},
    /* A record damaged on its way is an error, not a transaction. */
    {CLIENT_CONSUMER, "check.crcs", "true"},
    {CLIENT_CONSUMER, "fetch.error.backoff.ms", "50"},
    /* No result is given up: during an outage it waits, and with stream.slots of them waiting nothing more is read. */
    {CLIENT_PRODUCER, "message.timeout.ms", "0"},
    /* Java's default partitioner: results lie in the same partition as transactions with the same key and partition count. */
    {CLIENT_PRODUCER, "partitioner", "murmur2_random"},
    {CLIENT_PRODUCER, "queue.buffering.max.kbytes", "131072"},
};

/* What stream.profile sets, in the order of its choices in options.def. */
static const struct {
    int profile, role;
    const char *name, *value;
} profiles[] = {
    /* 1 ms of company a request: lower latency than none from about 5,000 records a second on, and a third of the CPU. */
    {PROFILE_BALANCED, CLIENT_PRODUCER, "linger.ms", "1"},
    {PROFILE_LOW_LATENCY, CLIENT_PRODUCER, "linger.ms", "0"},
    /* Large requests both ways and compressed results, for a network or a disk that is the limit. */
    {PROFILE_THROUGHPUT, CLIENT_PRODUCER, "linger.ms", "20"},
    {PROFILE_THROUGHPUT, CLIENT_PRODUCER, "compression.type", "lz4"},
    {PROFILE_THROUGHPUT, CLIENT_CONSUMER, "fetch.min.bytes", "65536"},
    {PROFILE_THROUGHPUT, CLIENT_CONSUMER, "fetch.wait.max.ms", "50"},
};

/* What delivery rests on. `allowed`: the values that say the same in other words. */
static const struct {
    int role;
    const char *name, *value, *allowed;
} fixed[] = {
    {CLIENT_CONSUMER, "enable.auto.commit", "false", "false"},
    {CLIENT_CONSUMER, "enable.auto.offset.store", "false", "false"},
    {CLIENT_CONSUMER, "enable.partition.eof", "false", "false"},
    {CLIENT_PRODUCER, "enable.idempotence", "true", "true"},
    /* A batch that fails stops those behind it: a result must not overtake one that will be sent again. */
    {CLIENT_PRODUCER, "enable.gapless.guarantee", "true", "true"},
    {CLIENT_PRODUCER, "acks", "all", "all -1"},
    {CLIENT_PRODUCER, "request.required.acks", NULL, "all -1"},
    {CLIENT_PRODUCER, "transactional.id", NULL, ""},
    {CLIENT_PRODUCER, "delivery.report.only.error", "false", "false"},
};

/* Second names of properties, which librdkafka does not list. */
static const char *const aliases[] = {
    "acks", "bootstrap.servers", "compression.type", "delivery.timeout.ms", "linger.ms",
    "max.in.flight", "retries", "sasl.mechanism",
};

/* Is `word` one of the words of `list`? */
static bool among(const char *list, const char *word)
{
    size_t len = strlen(word);
    for (const char *at = strstr(list, word); at && len > 0; at = strstr(at + 1, word)) {
        bool begins = at == list || at[-1] == ' ', ends = at[len] == ' ' || at[len] == '\0';
        if (begins && ends)
            return true;
    }
    return false;
}

/* The value of a property, "" where it has none. */
static const char *value_of(const rd_kafka_conf_t *conf, const char *name, char out[VALUE_MAX])
{
    size_t len = VALUE_MAX;
    if (rd_kafka_conf_get(conf, name, out, &len) != RD_KAFKA_CONF_OK)
        out[0] = '\0';
    return out;
}

static enum status unknown(const rd_kafka_conf_t *conf, const char *key, const char *name, struct error *err)
{
    size_t count = 0, topic_count = 0, n = 0;
    const char **dump = rd_kafka_conf_dump((rd_kafka_conf_t *)(uintptr_t)conf, &count);
    rd_kafka_topic_conf_t *topic_conf = rd_kafka_topic_conf_new();
    const char **topic_dump = rd_kafka_topic_conf_dump(topic_conf, &topic_count);
    const char *names[PROPERTIES_MAX];
    for (size_t i = 0; i < count && n < PROPERTIES_MAX; i += 2)
        names[n++] = dump[i];
    for (size_t i = 0; i < topic_count && n < PROPERTIES_MAX; i += 2)
        names[n++] = topic_dump[i];
    for (size_t i = 0; i < sizeof aliases / sizeof aliases[0] && n < PROPERTIES_MAX; i++)
        names[n++] = aliases[i];
    const char *near = nearest_word(name, names, n);
    enum status status = error_set(err, STATUS_INVALID, "kafka.%s: librdkafka %s has no such property%s%s%s", key, rd_kafka_version_str(),
                                   near ? ", did you mean kafka." : "", near ? near : "", near ? "?" : "");
    rd_kafka_conf_dump_free(dump, count);
    rd_kafka_conf_dump_free(topic_dump, topic_count);
    rd_kafka_topic_conf_destroy(topic_conf);
    return status;
}

static enum status set(rd_kafka_conf_t *conf, const char *key, const char *name, const char *value, struct error *err)
{
    char why[VALUE_MAX] = "";
    rd_kafka_conf_res_t result = rd_kafka_conf_set(conf, name, value, why, sizeof why);
    if (result == RD_KAFKA_CONF_OK)
        return STATUS_OK;
    if (result == RD_KAFKA_CONF_UNKNOWN)
        return unknown(conf, key, name, err);
    /* librdkafka's message quotes the value. */
    return error_set(err, STATUS_INVALID, "kafka.%s: %s", key, settings_kafka_secret(name) ? "librdkafka refuses the value" : why);
}

/* "consumer.fetch.min.bytes" is "fetch.min.bytes" for the consumer; NULL where the key is for the other client. */
static const char *name_for(const char *key, enum client_role role)
{
    static const char consumer[] = "consumer.", producer[] = "producer.";
    if (strncmp(key, consumer, sizeof consumer - 1) == 0)
        return role == CLIENT_CONSUMER ? key + sizeof consumer - 1 : NULL;
    if (strncmp(key, producer, sizeof producer - 1) == 0)
        return role == CLIENT_PRODUCER ? key + sizeof producer - 1 : NULL;
    return key;
}

static enum status check_fixed(const char *key, const char *name, const char *value, struct error *err)
{
    for (size_t i = 0; i < sizeof fixed / sizeof fixed[0]; i++) {
        if (strcmp(name, fixed[i].name) == 0 && !among(fixed[i].allowed, value))
            return error_set(err, STATUS_INVALID, "kafka.%s: at-least-once delivery rests on this property, so it cannot be set%s%s", key,
                             fixed[i].value ? "; it is always " : "", fixed[i].value ? fixed[i].value : "");
    }
    return STATUS_OK;
}

/* Two threads with one instance id would throw each other out of the group. */
static enum status name_member(rd_kafka_conf_t *conf, uint32_t number, uint32_t count, struct error *err)
{
    char instance[VALUE_MAX], numbered[VALUE_MAX + 16];
    if (count < 2 || !value_of(conf, "group.instance.id", instance)[0])
        return STATUS_OK;
    (void)snprintf(numbered, sizeof numbered, "%s-%u", instance, number);
    return set(conf, "group.instance.id", "group.instance.id", numbered, err);
}

static enum status check_assignor(const rd_kafka_conf_t *conf, struct error *err)
{
    char strategy[VALUE_MAX];
    (void)value_of(conf, "partition.assignment.strategy", strategy);
    if (!properties_cooperative(conf))
        return STATUS_OK;
    if (strcmp(strategy, "cooperative-sticky") != 0)
        return error_set(err, STATUS_INVALID, "kafka.partition.assignment.strategy: %s mixes cooperative and eager assignment", strategy);
    /* Before: a crash when closed ahead of the first assignment, lost stickiness, an endless loop of the assignor. */
    if (rd_kafka_version() < 0x020300ff)
        return error_set(err, STATUS_INVALID,
                         "kafka.partition.assignment.strategy: cooperative-sticky needs librdkafka 2.3.0 or newer, this is %s",
                         rd_kafka_version_str());
    return STATUS_OK;
}

static enum status apply(const struct settings *settings, enum client_role role, rd_kafka_conf_t *conf, struct error *err)
{
    enum status status = STATUS_OK;
    for (size_t i = 0; i < sizeof defaults / sizeof defaults[0] && status == STATUS_OK; i++) {
        if (defaults[i].role == ROLE_BOTH || defaults[i].role == (int)role)
            status = set(conf, defaults[i].name, defaults[i].name, defaults[i].value, err);
    }
    for (size_t i = 0; i < sizeof profiles / sizeof profiles[0] && status == STATUS_OK; i++) {
        if (profiles[i].profile == settings->stream_profile && profiles[i].role == (int)role)
            status = set(conf, profiles[i].name, profiles[i].name, profiles[i].value, err);
    }
    for (int prefixed = 0; prefixed < 2; prefixed++) { /* consumer.… and producer.… win over what is for both */
        for (size_t i = 0; i < settings->kafka_count && status == STATUS_OK; i++) {
            const struct setting_pair *pair = &settings->kafka[i];
            const char *name = name_for(pair->key, role);
            if (!name || (name != pair->key) != prefixed)
                continue;
            status = check_fixed(pair->key, name, pair->value, err);
            if (status == STATUS_OK)
                status = set(conf, pair->key, name, pair->value, err);
        }
    }
    for (size_t i = 0; i < sizeof fixed / sizeof fixed[0] && status == STATUS_OK; i++) {
        if (fixed[i].role == (int)role && fixed[i].value)
            status = set(conf, fixed[i].name, fixed[i].name, fixed[i].value, err);
    }
    return status;
}

enum status properties_conf(const struct settings *settings, enum client_role role, uint32_t number, uint32_t count,
                            rd_kafka_conf_t **out, struct error *err)
{
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    if (!conf)
        return error_set(err, STATUS_NO_MEMORY, "no memory for a Kafka client");
    enum status status = apply(settings, role, conf, err);
    if (status == STATUS_OK && role == CLIENT_CONSUMER)
        status = name_member(conf, number, count, err);
    if (status == STATUS_OK && role == CLIENT_CONSUMER)
        status = check_assignor(conf, err);
    if (status != STATUS_OK) {
        rd_kafka_conf_destroy(conf);
        return status;
    }
    *out = conf;
    return STATUS_OK;
}

bool properties_cooperative(const rd_kafka_conf_t *conf)
{
    char strategy[VALUE_MAX];
    return strstr(value_of(conf, "partition.assignment.strategy", strategy), "cooperative");
}

int64_t properties_number(const rd_kafka_conf_t *conf, const char *name)
{
    char text[VALUE_MAX];
    char *end = NULL;
    long long number = strtoll(value_of(conf, name, text), &end, 10);
    return end != text && *end == '\0' ? number : -1;
}

void properties_warn(const struct settings *settings)
{
    const char *version = rd_kafka_version_str();
    bool scram = false;
    for (int role = CLIENT_CONSUMER; role <= CLIENT_PRODUCER; role++) {
        rd_kafka_conf_t *conf = NULL;
        char mechanism[VALUE_MAX];
        if (properties_conf(settings, (enum client_role)role, 0, 1, &conf, NULL) != STATUS_OK)
            continue;
        scram = scram || strstr(value_of(conf, "sasl.mechanisms", mechanism), "SCRAM");
        rd_kafka_conf_destroy(conf);
    }
    if (scram && rd_kafka_version() < 0x020601ff)
        log_warn("kafka.scram", LOG_TEXT("librdkafka", version),
                 LOG_TEXT("why", "SCRAM logins to Apache Kafka 4 fail with librdkafka before 2.6.1; upgrade it, or use PLAIN over TLS"));
    if (rd_kafka_version() < 0x020300ff)
        log_info("kafka.old_client", LOG_TEXT("librdkafka", version),
                 LOG_TEXT("why", "before 2.3.0 its producer can lose count of what it sent while leaders move; clients are then made anew, "
                                 "and what was in flight comes twice. Cooperative rebalances are not offered"));
}
