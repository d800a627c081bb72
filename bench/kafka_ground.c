/* clang-format off: the order matters */
#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>
/* clang-format on */
#include "bench/kafka_ground.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "bench/work.h"
#include "model/base/check.h"
#include "model/base/clock.h"
#include "server/gen/gen.h"

enum { TIMEOUT_MS = 30000, NAME_MAX_LEN = 96 };

struct kafka_ground {
    char brokers[256];
    char run[40], input[NAME_MAX_LEN], output[NAME_MAX_LEN], dead_letter[NAME_MAX_LEN];
    rd_kafka_t *client; /* fills and makes topics */
    uint64_t refused;   /* records of the filling that were not taken */
    unsigned outputs;
    bool answered;      /* the broker made a topic */
    pid_t mock;         /* 0: a real broker */
    int mock_life;      /* the mock ends when this is closed */
};

static void silent(const rd_kafka_t *rk, int level, const char *facility, const char *message)
{
    (void)rk, (void)level, (void)facility, (void)message;
}

/* The mock's process: tells its address, then lives until `life` ends. */
static _Noreturn void mock_main(const struct kafka_ground *ground, int tell, int life)
{
    const char *const topics[] = {ground->input, ground->output, ground->dead_letter};
    char why[256] = "";
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    rd_kafka_conf_set_log_cb(conf, silent);
    rd_kafka_t *owner = rd_kafka_new(RD_KAFKA_PRODUCER, conf, why, sizeof why);
    rd_kafka_mock_cluster_t *cluster = owner ? rd_kafka_mock_cluster_new(owner, 1) : NULL;
    bool made = cluster != NULL;
    for (size_t i = 0; i < 3 && made; i++)
        made = rd_kafka_mock_topic_create(cluster, topics[i], KAFKA_GROUND_PARTITIONS, 1) == RD_KAFKA_RESP_ERR_NO_ERROR;
    if (made) {
        const char *address = rd_kafka_mock_cluster_bootstraps(cluster);
        char byte;
        if (write(tell, address, strlen(address)) > 0 && close(tell) == 0)
            (void)!read(life, &byte, 1);
    }
    _exit(made ? 0 : 1);
}

static enum status mock_start(struct kafka_ground *ground, struct error *err)
{
    int tell[2], life[2];
    if (pipe(tell) != 0 || pipe(life) != 0)
        return error_set(err, STATUS_IO, "no pipe for the mock broker");
    ground->mock = fork();
    if (ground->mock == 0) {
        (void)close(tell[0]);
        (void)close(life[1]);
        mock_main(ground, tell[1], life[0]);
    }
    (void)close(tell[1]);
    (void)close(life[0]);
    ground->mock_life = life[1];
    size_t len = 0;
    ssize_t got = 0;
    do {
        len += (size_t)got;
        got = read(tell[0], ground->brokers + len, sizeof ground->brokers - 1 - len);
    } while (got > 0);
    (void)close(tell[0]);
    return len > 0 ? STATUS_OK : error_set(err, STATUS_UNAVAILABLE, "the mock broker did not start");
}

static void on_report(rd_kafka_t *client, const rd_kafka_message_t *message, void *opaque)
{
    (void)client;
    struct kafka_ground *ground = opaque;
    ground->refused += message->err != RD_KAFKA_RESP_ERR_NO_ERROR;
}

static enum status make_client(struct kafka_ground *ground, struct error *err)
{
    static const char *const properties[][2] = {{"linger.ms", "20"}, {"enable.idempotence", "true"}, {"socket.nagle.disable", "true"},
                                                {"reconnect.backoff.max.ms", "500"}};
    char why[256] = "";
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    rd_kafka_conf_res_t result = rd_kafka_conf_set(conf, "bootstrap.servers", ground->brokers, why, sizeof why);
    for (size_t i = 0; i < sizeof properties / sizeof properties[0] && result == RD_KAFKA_CONF_OK; i++)
        result = rd_kafka_conf_set(conf, properties[i][0], properties[i][1], why, sizeof why);
    rd_kafka_conf_set_dr_msg_cb(conf, on_report);
    rd_kafka_conf_set_log_cb(conf, silent);
    rd_kafka_conf_set_opaque(conf, ground);
    if (result == RD_KAFKA_CONF_OK)
        ground->client = rd_kafka_new(RD_KAFKA_PRODUCER, conf, why, sizeof why);
    return ground->client ? STATUS_OK : error_set(err, STATUS_INVALID, "--broker %s: %s", ground->brokers, why);
}

/* Waits for the answer to a CreateTopics of one topic. */
static enum status created(rd_kafka_queue_t *queue, const char *topic, struct error *err)
{
    rd_kafka_event_t *event = rd_kafka_queue_poll(queue, TIMEOUT_MS);
    if (!event)
        return error_set(err, STATUS_UNAVAILABLE, "topic %s could not be made: no broker answers in %d s", topic, TIMEOUT_MS / 1000);
    enum status status = STATUS_OK;
    size_t count = 0;
    if (rd_kafka_event_error(event) != RD_KAFKA_RESP_ERR_NO_ERROR) {
        status = error_set(err, STATUS_UNAVAILABLE, "topic %s could not be made: %s", topic, rd_kafka_event_error_string(event));
    } else {
        const rd_kafka_topic_result_t **results =
            rd_kafka_CreateTopics_result_topics(rd_kafka_event_CreateTopics_result(event), &count);
        if (count == 1 && rd_kafka_topic_result_error(results[0]) != RD_KAFKA_RESP_ERR_NO_ERROR)
            status = error_set(err, STATUS_IO, "topic %s could not be made: %s", topic, rd_kafka_topic_result_error_string(results[0]));
    }
    rd_kafka_event_destroy(event);
    return status;
}

/* A topic is made when the controller knows it; the broker does a moment later, and clients would wait for it. */
static enum status await_topic(struct kafka_ground *ground, const char *topic, struct error *err)
{
    const struct timespec pause = {.tv_nsec = 20000000};
    rd_kafka_resp_err_t code = RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART;
    rd_kafka_topic_t *handle = rd_kafka_topic_new(ground->client, topic, NULL);
    CHECK(handle);
    for (int64_t end_ns = clock_monotonic_ns() + TIMEOUT_MS * (int64_t)1000000; code != RD_KAFKA_RESP_ERR_NO_ERROR;) {
        const struct rd_kafka_metadata *metadata = NULL;
        code = rd_kafka_metadata(ground->client, 0, handle, &metadata, TIMEOUT_MS);
        if (code == RD_KAFKA_RESP_ERR_NO_ERROR) {
            code = metadata->topics[0].err;
            rd_kafka_metadata_destroy(metadata);
        }
        if (clock_monotonic_ns() > end_ns)
            break;
        (void)nanosleep(&pause, NULL);
    }
    rd_kafka_topic_destroy(handle);
    return code == RD_KAFKA_RESP_ERR_NO_ERROR ? STATUS_OK : error_set(err, STATUS_UNAVAILABLE, "topic %s: %s", topic, rd_kafka_err2str(code));
}

static enum status make_topic(struct kafka_ground *ground, const char *topic, struct error *err)
{
    char why[256] = "";
    rd_kafka_NewTopic_t *wanted = rd_kafka_NewTopic_new(topic, KAFKA_GROUND_PARTITIONS, 1, why, sizeof why);
    if (!wanted)
        return error_set(err, STATUS_INVALID, "topic %s: %s", topic, why);
    rd_kafka_queue_t *queue = rd_kafka_queue_new(ground->client);
    rd_kafka_CreateTopics(ground->client, &wanted, 1, NULL, queue);
    enum status status = created(queue, topic, err);
    rd_kafka_NewTopic_destroy(wanted);
    rd_kafka_queue_destroy(queue);
    ground->answered |= status == STATUS_OK;
    return status == STATUS_OK ? await_topic(ground, topic, err) : status;
}

/* Whether it worked is not asked: there is nothing to be done where it did not. */
static void drop_topic(struct kafka_ground *ground, const char *topic)
{
    rd_kafka_DeleteTopic_t *doomed = rd_kafka_DeleteTopic_new(topic);
    rd_kafka_queue_t *queue = rd_kafka_queue_new(ground->client);
    rd_kafka_DeleteTopics(ground->client, &doomed, 1, NULL, queue);
    rd_kafka_event_t *event = rd_kafka_queue_poll(queue, TIMEOUT_MS);
    if (event)
        rd_kafka_event_destroy(event);
    rd_kafka_DeleteTopic_destroy(doomed);
    rd_kafka_queue_destroy(queue);
}

/* The same number of records in each partition, whatever their keys: the mock keeps only so much of each. */
static enum status fill(struct kafka_ground *ground, uint64_t seed, uint64_t records, struct error *err)
{
    struct gen *gen = NULL;
    enum status status = work_transactions(seed, &gen, err);
    if (status != STATUS_OK)
        return status;
    rd_kafka_topic_t *topic = rd_kafka_topic_new(ground->client, ground->input, NULL);
    CHECK(topic);
    rd_kafka_resp_err_t code = RD_KAFKA_RESP_ERR_NO_ERROR;
    for (uint64_t i = 0; i < records && code == RD_KAFKA_RESP_ERR_NO_ERROR; i++) {
        char text[GEN_TEXT_MAX], key[GEN_TEXT_MAX];
        struct gen_transaction tx;
        gen_next(gen, &tx);
        size_t len = gen_write_transaction(gen, &tx, text) - 1, key_len = gen_write_customer(&tx, key);
        do {
            int result = rd_kafka_produce(topic, (int32_t)(i % KAFKA_GROUND_PARTITIONS), RD_KAFKA_MSG_F_COPY, text, len, key, key_len, NULL);
            code = result == 0 ? RD_KAFKA_RESP_ERR_NO_ERROR : rd_kafka_last_error();
            (void)rd_kafka_poll(ground->client, code == RD_KAFKA_RESP_ERR__QUEUE_FULL ? 10 : 0);
        } while (code == RD_KAFKA_RESP_ERR__QUEUE_FULL);
    }
    gen_free(gen);
    if (code == RD_KAFKA_RESP_ERR_NO_ERROR)
        code = rd_kafka_flush(ground->client, TIMEOUT_MS);
    rd_kafka_topic_destroy(topic);
    if (code != RD_KAFKA_RESP_ERR_NO_ERROR || ground->refused > 0)
        return error_set(err, STATUS_IO, "topic %s could not be filled: %s, %llu records refused", ground->input, rd_kafka_err2str(code),
                         (unsigned long long)ground->refused);
    return STATUS_OK;
}

static enum status prepare(struct kafka_ground *ground, const char *address, uint64_t seed, uint64_t records, struct error *err)
{
    if (!address && records > KAFKA_GROUND_MOCK_MAX)
        return error_set(err, STATUS_INVALID, "the mock broker keeps only %d records of these; use --records, or --broker", KAFKA_GROUND_MOCK_MAX);
    (void)snprintf(ground->run, sizeof ground->run, "assay-bench-%ld-%ld", (long)time(NULL), (long)getpid());
    (void)snprintf(ground->input, sizeof ground->input, "%s-in", ground->run);
    (void)snprintf(ground->output, sizeof ground->output, "%s-out-0", ground->run);
    (void)snprintf(ground->dead_letter, sizeof ground->dead_letter, "%s-dead", ground->run);
    (void)snprintf(ground->brokers, sizeof ground->brokers, "%s", address ? address : "");
    enum status status = address ? STATUS_OK : mock_start(ground, err);
    if (status == STATUS_OK)
        status = make_client(ground, err);
    const char *const topics[] = {ground->input, ground->output, ground->dead_letter};
    for (size_t i = 0; i < 3 && status == STATUS_OK && address; i++)
        status = make_topic(ground, topics[i], err);
    if (status == STATUS_OK)
        status = fill(ground, seed, records, err);
    return status;
}

enum status kafka_ground_open(const char *address, uint64_t seed, uint64_t records, struct kafka_ground **out, struct error *err)
{
    struct kafka_ground *ground = calloc(1, sizeof *ground);
    if (!ground)
        return error_set(err, STATUS_NO_MEMORY, "no memory for the benchmark");
    ground->mock_life = -1;
    enum status status = prepare(ground, address, seed, records, err);
    if (status != STATUS_OK) {
        kafka_ground_close(ground);
        return status;
    }
    *out = ground;
    return STATUS_OK;
}

void kafka_ground_close(struct kafka_ground *ground)
{
    if (!ground)
        return;
    if (ground->answered) {
        drop_topic(ground, ground->input);
        drop_topic(ground, ground->output);
        drop_topic(ground, ground->dead_letter);
    }
    if (ground->client)
        rd_kafka_destroy(ground->client);
    if (ground->mock_life >= 0)
        (void)close(ground->mock_life);
    if (ground->mock > 0)
        (void)waitpid(ground->mock, NULL, 0);
    free(ground);
}

enum status kafka_ground_next(struct kafka_ground *ground, struct error *err)
{
    if (ground->mock > 0)
        return STATUS_OK;
    drop_topic(ground, ground->output);
    (void)snprintf(ground->output, sizeof ground->output, "%s-out-%u", ground->run, ++ground->outputs);
    return make_topic(ground, ground->output, err);
}

const char *kafka_ground_brokers(const struct kafka_ground *ground)
{
    return ground->brokers;
}

const char *kafka_ground_input(const struct kafka_ground *ground)
{
    return ground->input;
}

const char *kafka_ground_output(const struct kafka_ground *ground)
{
    return ground->output;
}

const char *kafka_ground_dead_letter(const struct kafka_ground *ground)
{
    return ground->dead_letter;
}
