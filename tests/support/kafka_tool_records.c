/*
 * Records in and out of a topic.
 *
 *     send   a line is a value; --key FIELD takes the key from its JSON. With --records a line is a whole record:
 *            {"key":"c1","headers":[["traceparent","00-…"]],"value":"…"}; value null is a tombstone, "hex" in place of
 *            value gives bytes that are no text
 *     read   {"partition":0,"offset":7,"timestamp":1735689600000,"key":"c1","headers":[["a","b"]],"value":"…"}; bytes that are no UTF-8 as "hex"
 */
#include <jansson.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "model/base/clock.h"
#include "server/cmd/args.h"
#include "server/cmd/command.h"
#include "tests/support/kafka_tool.h"

enum { TIMEOUT_MS = 60000 };

struct sender {
    const char *broker, *topic_name;
    struct args_list properties;
    rd_kafka_t *client;
    rd_kafka_topic_t *topic;
    const char *key_field;
    bool whole_records, loop;
    int64_t times;            /* that the file is sent */
    int64_t keys;             /* > 0: line i has key "k<i mod keys>" */
    struct args_list headers; /* name=value, on every record */
    uint64_t sent, refused, line;
};

static volatile sig_atomic_t stop;

static void on_signal(int number)
{
    stop = number;
}

static void on_report(rd_kafka_t *client, const rd_kafka_message_t *message, void *opaque)
{
    (void)client;
    struct sender *s = opaque;
    if (message->err != RD_KAFKA_RESP_ERR_NO_ERROR) {
        if (s->refused++ == 0)
            (void)fprintf(stderr, "kafka_tool: %s\n", rd_kafka_err2str(message->err));
    }
}

static void open_client(struct sender *s)
{
    const char *all[3 + sizeof s->properties.items / sizeof s->properties.items[0]] = {"enable.idempotence=true", "partitioner=murmur2_random",
                                                                                       "message.timeout.ms=0"};
    memcpy(all + 3, s->properties.items, s->properties.size * sizeof *all);
    rd_kafka_conf_t *conf = kafka_tool_conf(s->broker, all, 3 + s->properties.size);
    rd_kafka_conf_set_dr_msg_cb(conf, on_report);
    rd_kafka_conf_set_opaque(conf, s);
    s->client = kafka_tool_new(RD_KAFKA_PRODUCER, conf);
    s->topic = rd_kafka_topic_new(s->client, s->topic_name, NULL);
}

static void close_client(struct sender *s)
{
    rd_kafka_topic_destroy(s->topic);
    rd_kafka_destroy(s->client);
}

static void produce(struct sender *s, const void *key, size_t key_len, const void *value, size_t len, rd_kafka_headers_t *headers)
{
    for (;;) {
        rd_kafka_resp_err_t code =
            __extension__ rd_kafka_producev(s->client, RD_KAFKA_V_RKT(s->topic), RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY),
                              RD_KAFKA_V_KEY((void *)(uintptr_t)key, key_len), RD_KAFKA_V_VALUE((void *)(uintptr_t)value, len),
                              RD_KAFKA_V_HEADERS(headers), RD_KAFKA_V_END);
        if (code == RD_KAFKA_RESP_ERR_NO_ERROR)
            break;
        if (code == RD_KAFKA_RESP_ERR__FATAL && s->loop) {
            /* librdkafka before 2.3 can lose count of its sequence numbers when leaders move. What it had is dropped: endless
             * traffic goes on with what comes next, and what the topic has counts. */
            close_client(s);
            open_client(s);
            continue;
        }
        if (code != RD_KAFKA_RESP_ERR__QUEUE_FULL)
            kafka_tool_fail("record %llu: %s", (unsigned long long)s->sent + 1, rd_kafka_err2str(code));
        (void)rd_kafka_poll(s->client, 10);
    }
    s->sent++;
    if (s->sent % 64 == 0)
        (void)rd_kafka_poll(s->client, 0);
}

static rd_kafka_headers_t *fixed_headers(const struct sender *s)
{
    rd_kafka_headers_t *headers = rd_kafka_headers_new(4);
    for (size_t i = 0; i < s->headers.size; i++) {
        const char *equals = strchr(s->headers.items[i], '=');
        if (!equals)
            kafka_tool_fail("--header %s: name=value is needed", s->headers.items[i]);
        (void)rd_kafka_header_add(headers, s->headers.items[i], equals - s->headers.items[i], equals + 1, -1);
    }
    return headers;
}

static void send_value(struct sender *s, const char *line, size_t len)
{
    json_t *document = s->key_field ? json_loadb(line, len, 0, NULL) : NULL;
    const json_t *field = document ? json_object_get(document, s->key_field) : NULL;
    char number[32];
    const char *key = NULL;
    if (s->keys > 0) {
        (void)snprintf(number, sizeof number, "k%llu", (unsigned long long)s->line % (unsigned long long)s->keys);
        key = number;
    } else if (json_is_string(field)) {
        key = json_string_value(field);
    } else if (json_is_integer(field)) {
        (void)snprintf(number, sizeof number, "%" JSON_INTEGER_FORMAT, json_integer_value(field));
        key = number;
    }
    produce(s, key, key ? strlen(key) : 0, line, len, fixed_headers(s));
    json_decref(document);
}

static size_t from_hex(char *out, const char *hex)
{
    size_t n = strlen(hex) / 2;
    for (size_t i = 0; i < n; i++) {
        char pair[3] = {hex[2 * i], hex[2 * i + 1], '\0'};
        out[i] = (char)strtol(pair, NULL, 16);
    }
    return n;
}

static void send_record(struct sender *s, const char *line, size_t len)
{
    json_error_t error;
    json_t *record = json_loadb(line, len, JSON_ALLOW_NUL, &error);
    if (!record)
        kafka_tool_fail("record %llu: %s", (unsigned long long)s->sent + 1, error.text);
    const json_t *key = json_object_get(record, "key"), *value = json_object_get(record, "value"), *hex = json_object_get(record, "hex");
    rd_kafka_headers_t *headers = fixed_headers(s);
    const json_t *list = json_object_get(record, "headers");
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *pair = json_array_get(list, i);
        (void)rd_kafka_header_add(headers, json_string_value(json_array_get(pair, 0)), -1, json_string_value(json_array_get(pair, 1)), -1);
    }
    char *bytes = hex ? malloc(strlen(json_string_value(hex)) / 2 + 1) : NULL;
    size_t n = bytes ? from_hex(bytes, json_string_value(hex)) : json_string_length(value);
    produce(s, json_string_value(key), json_string_length(key), bytes ? bytes : json_string_value(value), n, headers);
    free(bytes);
    json_decref(record);
}

/* Open loop: record i is due at start + i / rate, whatever became of the others. */
static void pace(struct sender *s, double rate, int64_t start_ns)
{
    int64_t due_ns = start_ns + (int64_t)((double)s->sent * 1e9 / rate);
    for (;;) {
        int64_t early_ns = due_ns - clock_monotonic_ns();
        if (early_ns <= 0 || stop)
            return;
        (void)rd_kafka_poll(s->client, 0);
        const struct timespec step = {.tv_nsec = early_ns < 1000000 ? (long)early_ns : 1000000};
        (void)nanosleep(&step, NULL);
    }
}

static void send_lines(struct sender *s, FILE *in, double rate)
{
    char *line = NULL;
    size_t cap = 0;
    int64_t start_ns = clock_monotonic_ns();
    ssize_t got = getline(&line, &cap, in);
    while (got >= 0 && !stop) {
        size_t len = (size_t)got;
        if (len > 0 && line[len - 1] == '\n')
            len--;
        if (rate > 0)
            pace(s, rate, start_ns);
        if (s->whole_records)
            send_record(s, line, len);
        else
            send_value(s, line, len);
        s->line++;
        got = getline(&line, &cap, in);
        if (got < 0 && (s->loop || --s->times > 0)) {
            rewind(in);
            s->line = 0;
            got = getline(&line, &cap, in);
        }
    }
    free(line);
}

int kafka_tool_send(int argc, char **argv)
{
    const char *file = "-";
    double rate = 0;
    struct sender s = {.broker = "", .topic_name = "", .times = 1};
    const struct args_option options[] = {
        {.name = "broker", .kind = ARGS_TEXT, .out = &s.broker, .value = "HOST:PORT", .help = "where"},
        {.name = "topic", .kind = ARGS_TEXT, .out = &s.topic_name, .value = "NAME", .help = "the topic"},
        {.name = "file", .kind = ARGS_TEXT, .out = &file, .value = "FILE", .help = "JSONL; - is stdin"},
        {.name = "records", .kind = ARGS_FLAG, .out = &s.whole_records, .help = "lines are whole records: key, headers, value"},
        {.name = "key", .kind = ARGS_TEXT, .out = &s.key_field, .value = "FIELD", .help = "of the document, to be the key"},
        {.name = "keys", .kind = ARGS_INT, .out = &s.keys, .value = "N", .help = "the key is k and the line's number (from 0) modulo N", .min = 0, .max = 1e9},
        {.name = "loop", .kind = ARGS_FLAG, .out = &s.loop, .help = "begin again at the end, until SIGTERM"},
        {.name = "times", .kind = ARGS_INT, .out = &s.times, .value = "N", .help = "the whole file so many times", .min = 1, .max = 1e9},
        {.name = "header", .kind = ARGS_LIST, .out = &s.headers, .value = "NAME=VALUE", .help = "on every record"},
        {.name = "rate", .kind = ARGS_REAL, .out = &rate, .value = "N", .help = "records a second; 0: as fast as it goes"},
        {.name = "property", .kind = ARGS_LIST, .out = &s.properties, .value = "NAME=VALUE", .help = "of librdkafka"},
        {.name = NULL},
    };
    const struct args_spec spec = {.usage = "kafka_tool send --broker B --topic T [--file F]", .summary = "Sends the lines of a file.",
                                   .options = options};
    enum args_result parsed = args_parse(&spec, argc, argv, NULL, NULL);
    if (parsed != ARGS_RUN)
        return parsed == ARGS_EXIT_DONE ? EXIT_DONE : EXIT_USAGE;
    FILE *in = strcmp(file, "-") == 0 ? stdin : fopen(file, "r");
    if (!in)
        kafka_tool_fail("%s cannot be opened", file);
    open_client(&s);
    (void)signal(SIGTERM, on_signal);
    send_lines(&s, in, rate);
    rd_kafka_resp_err_t code = rd_kafka_flush(s.client, TIMEOUT_MS);
    if (code != RD_KAFKA_RESP_ERR_NO_ERROR || (s.refused > 0 && !s.loop))
        kafka_tool_fail("%d records were not taken: %s", (int)s.refused + rd_kafka_outq_len(s.client), rd_kafka_err2str(code));
    (void)printf("%llu\n", (unsigned long long)s.sent);
    close_client(&s);
    if (in != stdin)
        (void)fclose(in);
    return EXIT_DONE;
}

static void set_bytes(json_t *record, const char *name, const void *data, size_t len)
{
    json_t *text = data ? json_stringn(data, len) : json_null();
    if (text) {
        (void)json_object_set_new(record, name, text);
        return;
    }
    char *hex = malloc(2 * len + 1);
    for (size_t i = 0; hex && i < len; i++)
        (void)snprintf(hex + 2 * i, 3, "%02x", ((const unsigned char *)data)[i]);
    (void)json_object_set_new(record, strcmp(name, "value") == 0 ? "hex" : "key_hex", json_string(hex));
    free(hex);
}

static void print_record(rd_kafka_message_t *message, FILE *out)
{
    json_t *record = json_object(), *pairs = json_array();
    (void)json_object_set_new(record, "partition", json_integer(message->partition));
    (void)json_object_set_new(record, "offset", json_integer(message->offset));
    rd_kafka_timestamp_type_t type;
    (void)json_object_set_new(record, "timestamp", json_integer(rd_kafka_message_timestamp(message, &type)));
    set_bytes(record, "key", message->key, message->key_len);
    rd_kafka_headers_t *headers = NULL;
    const char *name;
    const void *value;
    size_t len;
    if (rd_kafka_message_headers(message, &headers) == RD_KAFKA_RESP_ERR_NO_ERROR) {
        for (size_t i = 0; rd_kafka_header_get_all(headers, i, &name, &value, &len) == RD_KAFKA_RESP_ERR_NO_ERROR; i++)
            (void)json_array_append_new(pairs, json_pack("[s, s%]", name, value ? value : "", value ? len : (size_t)0));
    }
    (void)json_object_set_new(record, "headers", pairs);
    set_bytes(record, "value", message->payload, message->len);
    (void)json_dumpf(record, out, JSON_COMPACT);
    (void)fputc('\n', out);
    json_decref(record);
}

struct printer {
    FILE *out;
    bool values;
};

static void print(void *owner, rd_kafka_message_t *message)
{
    const struct printer *printer = owner;
    if (printer->values)
        (void)fprintf(printer->out, "%.*s\n", (int)message->len, (const char *)message->payload);
    else
        print_record(message, printer->out);
}

int kafka_tool_read(int argc, char **argv)
{
    const char *broker = "", *topic = "", *file = "-";
    bool values = false;
    const struct args_option options[] = {
        {.name = "broker", .kind = ARGS_TEXT, .out = &broker, .value = "HOST:PORT", .help = "where"},
        {.name = "topic", .kind = ARGS_TEXT, .out = &topic, .value = "NAME", .help = "the topic"},
        {.name = "out", .kind = ARGS_TEXT, .out = &file, .value = "FILE", .help = "JSONL; - is stdout"},
        {.name = "values", .kind = ARGS_FLAG, .out = &values, .help = "print the values alone, a line each"},
        {.name = NULL},
    };
    const struct args_spec spec = {.usage = "kafka_tool read --broker B --topic T", .options = options,
                                   .summary = "Prints every record that the topic has now, those of a partition in order."};
    enum args_result parsed = args_parse(&spec, argc, argv, NULL, NULL);
    if (parsed != ARGS_RUN)
        return parsed == ARGS_EXIT_DONE ? EXIT_DONE : EXIT_USAGE;
    FILE *out = strcmp(file, "-") == 0 ? stdout : fopen(file, "w");
    if (!out)
        kafka_tool_fail("%s cannot be written", file);
    struct printer printer = {.out = out, .values = values};
    kafka_tool_walk(broker, topic, print, &printer);
    return fclose(out) == 0 ? EXIT_DONE : EXIT_FAILED;
}
