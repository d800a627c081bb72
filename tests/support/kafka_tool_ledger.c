/*
 * The ledger: every record that went into the input topic against everything that came out.
 *
 *     lines      the documents that were sent, a line each; the input's values are among them, as often as you like
 *     expected   what `assay score` says of each line: a result, or {"error":{...,"reason":"..."}}
 *
 * A result or dead letter tells by its header assay-source which record it answers. So records are numbered by the broker
 * itself, and a line may be sent again and again: its every sending needs an answer of its own.
 *
 *     missing     records without an answer            wrong      other bytes, key, topic or reason than expected
 *     repeated    answers beyond the first             reordered  the first answer of a record came after the first answer
 *     foreign     answers to no record that was sent              of a later record of its key
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "server/cmd/args.h"
#include "server/cmd/command.h"
#include "server/kafka/walk.h"
#include "tests/support/kafka_tool.h"

enum { SHOWN = 20 };

struct text {
    const char *data;
    size_t len;
};

/* The lines of a file, mapped. */
struct lines {
    struct text *at; /* [count] */
    uint32_t count;
};

struct record {
    uint64_t key;  /* digest of its key */
    uint32_t line;
    uint32_t answers;
};

struct partition {
    struct record *records; /* [count], by offset; what a topic lost at its beginning counts as foreign */
    int64_t count, cap;
};

/* digest -> number; open addressing, never more than half full. */
struct map {
    struct {
        uint64_t digest;
        int64_t value; /* -1: free */
    } *slots;
    size_t size, used;
};

enum { RESULTS, DEAD_LETTERS, TOPICS };

struct ledger {
    struct lines lines, expected;
    struct map line_of;          /* digest of a line -> its number */
    struct map last[TOPICS];     /* digest of partition and key -> offset of its latest first answer */
    struct partition partitions[WALK_PARTITIONS_MAX];
    const char *input, *topic;   /* topic: that is being read */
    int reading;
    uint64_t records, answers[TOPICS], missing, repeated, wrong, reordered, foreign;
};

static uint64_t digest(const void *data, size_t len, uint64_t seed)
{
    uint64_t h = seed ^ 1469598103934665603u; /* FNV-1a, finished by a multiplication so that all bits count */
    for (size_t i = 0; i < len; i++)
        h = (h ^ ((const unsigned char *)data)[i]) * 1099511628211u;
    h = (h ^ h >> 31) * 0x9e3779b97f4a7c15u;
    return h ^ h >> 29;
}

static int64_t *map_at(struct map *map, uint64_t key);

static void map_grow(struct map *map)
{
    struct map old = *map;
    map->size = old.size ? old.size * 2 : 1024;
    map->used = 0;
    map->slots = malloc(map->size * sizeof *map->slots);
    if (!map->slots)
        kafka_tool_fail("out of memory");
    for (size_t i = 0; i < map->size; i++)
        map->slots[i].value = -1;
    for (size_t i = 0; i < old.size; i++) {
        if (old.slots[i].value >= 0)
            *map_at(map, old.slots[i].digest) = old.slots[i].value;
    }
    free(old.slots);
}

/* The value of a digest, -1 in a new one; to be written before the next call. */
static int64_t *map_at(struct map *map, uint64_t key)
{
    if (map->used * 2 >= map->size)
        map_grow(map);
    size_t i = key & (map->size - 1);
    while (map->slots[i].value >= 0 && map->slots[i].digest != key)
        i = (i + 1) & (map->size - 1);
    map->used += map->slots[i].value < 0;
    map->slots[i].digest = key;
    return &map->slots[i].value;
}

static void read_lines(struct lines *lines, const char *path)
{
    struct stat st;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &st) != 0)
        kafka_tool_fail("%s cannot be read", path);
    const char *data = st.st_size ? mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0) : "";
    if (data == MAP_FAILED)
        kafka_tool_fail("%s cannot be mapped", path);
    (void)close(fd); /* the mapping stays until the end */
    size_t cap = 0;
    for (const char *at = data, *end = data + st.st_size; at < end;) {
        const char *newline = memchr(at, '\n', (size_t)(end - at));
        const char *stop = newline ? newline : end;
        if (lines->count == cap) {
            cap = cap ? cap * 2 : 1024;
            lines->at = realloc(lines->at, cap * sizeof *lines->at);
            if (!lines->at)
                kafka_tool_fail("out of memory");
        }
        lines->at[lines->count++] = (struct text){at, (size_t)(stop - at)};
        at = stop + 1;
    }
}

static void tell(const struct ledger *l, uint64_t *count, const char *what, const rd_kafka_message_t *message)
{
    if ((*count)++ < SHOWN)
        (void)printf("%s: %s/%d/%lld\n", what, l->topic, message->partition, (long long)message->offset);
}

/* --- what went in ------------------------------------------------------------------------------------------------------- */

static void take_input(void *owner, rd_kafka_message_t *message)
{
    struct ledger *l = owner;
    struct partition *p = &l->partitions[message->partition];
    if (message->offset >= p->cap) {
        p->cap = message->offset < 1024 ? 2048 : message->offset * 2;
        p->records = realloc(p->records, (size_t)p->cap * sizeof *p->records);
        if (!p->records)
            kafka_tool_fail("out of memory");
    }
    for (; p->count < message->offset; p->count++)
        p->records[p->count] = (struct record){.line = UINT32_MAX}; /* a marker, or gone by retention */
    int64_t line = *map_at(&l->line_of, digest(message->payload, message->len, 0));
    if (line < 0 || l->lines.at[line].len != message->len || memcmp(l->lines.at[line].data, message->payload, message->len) != 0)
        kafka_tool_fail("%s/%d/%lld is none of the lines", l->input, message->partition, (long long)message->offset);
    p->records[p->count++] = (struct record){.key = digest(message->key, message->key_len, 0), .line = (uint32_t)line};
    l->records++;
}

/* --- what came out ------------------------------------------------------------------------------------------------------ */

static bool has_header(const rd_kafka_message_t *message, const char *name, struct text *out)
{
    rd_kafka_headers_t *headers = NULL;
    const void *value = NULL;
    bool found = rd_kafka_message_headers(message, &headers) == RD_KAFKA_RESP_ERR_NO_ERROR &&
                 rd_kafka_header_get_last(headers, name, &value, &out->len) == RD_KAFKA_RESP_ERR_NO_ERROR;
    out->data = value;
    return found;
}

/* The record that a message answers; NULL: none that was sent. */
static struct record *source_of(struct ledger *l, const rd_kafka_message_t *message, int *partition, long long *offset)
{
    struct text source;
    char copy[400];
    size_t topic_len = strlen(l->input);
    if (!has_header(message, "assay-source", &source) || source.len >= sizeof copy || source.len <= topic_len ||
        memcmp(source.data, l->input, topic_len) != 0)
        return NULL;
    (void)snprintf(copy, sizeof copy, "%.*s", (int)(source.len - topic_len), source.data + topic_len);
    if (sscanf(copy, "/%d/%lld", partition, offset) != 2 || *partition < 0 || *partition >= WALK_PARTITIONS_MAX)
        return NULL;
    struct partition *p = &l->partitions[*partition];
    bool sent = *offset >= 0 && *offset < p->count && p->records[*offset].line != UINT32_MAX;
    return sent ? &p->records[*offset] : NULL;
}

static bool is_right(const struct ledger *l, const struct record *record, const rd_kafka_message_t *message)
{
    static const char error[] = "{\"error\":";
    struct text expected = l->expected.at[record->line], line = l->lines.at[record->line], reason;
    bool is_error = expected.len >= sizeof error - 1 && memcmp(expected.data, error, sizeof error - 1) == 0;
    if (record->key != digest(message->key, message->key_len, 0) || is_error != (l->reading == DEAD_LETTERS))
        return false;
    if (!is_error)
        return message->len == expected.len && memcmp(message->payload, expected.data, expected.len) == 0;
    char wanted[100];
    if (message->len != line.len || memcmp(message->payload, line.data, line.len) != 0 || !has_header(message, "assay-reason", &reason))
        return false;
    int len = snprintf(wanted, sizeof wanted, "\"reason\":\"%.*s\"", (int)reason.len, reason.data);
    return memmem(expected.data, expected.len, wanted, (size_t)len) != NULL;
}

static void take_answer(void *owner, rd_kafka_message_t *message)
{
    struct ledger *l = owner;
    int partition = 0;
    long long offset = 0;
    struct record *record = source_of(l, message, &partition, &offset);
    l->answers[l->reading]++;
    if (!record) {
        tell(l, &l->foreign, "foreign", message);
        return;
    }
    if (!is_right(l, record, message))
        tell(l, &l->wrong, "wrong", message);
    if (record->answers++ > 0) {
        l->repeated++;
        return;
    }
    int64_t *last = map_at(&l->last[l->reading], digest(&partition, sizeof partition, record->key));
    if (offset < *last)
        tell(l, &l->reordered, "reordered", message);
    *last = offset;
}

static void count_missing(struct ledger *l)
{
    for (int p = 0; p < WALK_PARTITIONS_MAX; p++) {
        for (int64_t i = 0; i < l->partitions[p].count; i++) {
            const struct record *record = &l->partitions[p].records[i];
            if (record->line == UINT32_MAX || record->answers > 0)
                continue;
            if (l->missing++ < SHOWN)
                (void)printf("missing: %s/%d/%lld\n", l->input, p, (long long)i);
        }
    }
}

static void read_files(struct ledger *l, const char *lines, const char *expected)
{
    read_lines(&l->lines, lines);
    read_lines(&l->expected, expected);
    if (l->lines.count != l->expected.count)
        kafka_tool_fail("%s has %u lines, %s has %u", lines, l->lines.count, expected, l->expected.count);
    for (uint32_t i = 0; i < l->lines.count; i++)
        *map_at(&l->line_of, digest(l->lines.at[i].data, l->lines.at[i].len, 0)) = i;
}

int kafka_tool_ledger(int argc, char **argv)
{
    static struct ledger l;
    const char *broker = "", *lines = "", *expected = "";
    const char *topics[TOPICS] = {"", ""};
    l.input = "";
    const struct args_option options[] = {
        {.name = "broker", .kind = ARGS_TEXT, .out = &broker, .value = "HOST:PORT", .help = "where"},
        {.name = "input", .kind = ARGS_TEXT, .out = &l.input, .value = "TOPIC", .help = "what went in"},
        {.name = "output", .kind = ARGS_TEXT, .out = &topics[RESULTS], .value = "TOPIC", .help = "the results"},
        {.name = "dead-letter", .kind = ARGS_TEXT, .out = &topics[DEAD_LETTERS], .value = "TOPIC", .help = "the dead letters; none: there must be none"},
        {.name = "lines", .kind = ARGS_TEXT, .out = &lines, .value = "FILE", .help = "the documents that were sent"},
        {.name = "expected", .kind = ARGS_TEXT, .out = &expected, .value = "FILE", .help = "what assay score says of them"},
        {.name = NULL},
    };
    const struct args_spec spec = {.usage = "kafka_tool ledger --broker B --input T --output T [--dead-letter T] --lines F --expected F",
                                   .summary = "Holds what came out against what went in. Names the first of each fault with their places; the last line\n"
                                              "is a JSON object of counts. Exit code 1 where anything is missing, wrong, reordered or foreign.",
                                   .options = options};
    enum args_result parsed = args_parse(&spec, argc, argv, NULL, NULL);
    if (parsed != ARGS_RUN)
        return parsed == ARGS_EXIT_DONE ? EXIT_DONE : EXIT_USAGE;
    read_files(&l, lines, expected);
    kafka_tool_walk(broker, l.input, take_input, &l);
    for (l.reading = RESULTS; l.reading < TOPICS; l.reading++) {
        l.topic = topics[l.reading];
        if (l.topic[0])
            kafka_tool_walk(broker, l.topic, take_answer, &l);
    }
    count_missing(&l);
    (void)printf("{\"records\":%llu,\"results\":%llu,\"dead_letters\":%llu,\"missing\":%llu,\"repeated\":%llu,\"wrong\":%llu,"
                 "\"reordered\":%llu,\"foreign\":%llu}\n", (unsigned long long)l.records, (unsigned long long)l.answers[RESULTS],
                 (unsigned long long)l.answers[DEAD_LETTERS], (unsigned long long)l.missing, (unsigned long long)l.repeated,
                 (unsigned long long)l.wrong, (unsigned long long)l.reordered, (unsigned long long)l.foreign);
    return l.missing + l.wrong + l.reordered + l.foreign > 0 ? EXIT_FAILED : EXIT_DONE;
}
