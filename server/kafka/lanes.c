#include "server/kafka/lanes.h"

#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "model/base/clock.h"
#include "model/input/decode.h"

/* A partition that says neither record nor end for so long is in trouble of its own, and holds nobody up any more. */
static const int64_t SILENT_NS = 2 * INT64_C(1000000000);
/* Held back by another thread's partition, whose progress wakes nobody here. */
enum { HELD_WAIT_MS = 2 };

struct lane {
    int32_t partition;
    rd_kafka_queue_t *queue;
    rd_kafka_message_t *head; /* read, not taken; NULL: none is there */
    int64_t head_us;          /* its time; where that can't be told or will be refused, as late as what came before it */
    int64_t taken_us;         /* the latest time taken from it; ALIGN_UNKNOWN: none yet */
    bool at_end;              /* nothing more is there, said the broker */
    int64_t silent_since_ns;
};

struct lanes {
    struct align *align;
    struct schema *schema; /* id and time */
    struct transaction tx;
    int64_t future_us; /* times further ahead of the clock are refused */
    rd_kafka_t *consumer;
    rd_kafka_queue_t *events;
    const char *topic;
    struct lane *list; /* [count] */
    size_t count, room;
    int wake; /* an eventfd that librdkafka writes to when a queue is no longer empty */
    bool held;
    bool assigned; /* the group has said what is ours */
};

static const uint64_t one = 1;

enum status lanes_create(struct align *align, const struct schema *transactions, int64_t future_us, struct lanes **out, struct error *err)
{
    struct lanes *l = calloc(1, sizeof *l);
    *out = l;
    if (!l)
        return error_set(err, STATUS_NO_MEMORY, "out of memory for a consumer thread");
    *l = (struct lanes){.align = align, .future_us = future_us, .wake = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)};
    const struct field fields[] = {*schema_field(transactions, schema_id(transactions)), *schema_field(transactions, schema_time(transactions))};
    enum status status = l->wake >= 0 ? schema_create(fields, 2, &l->schema, err) : error_set(err, STATUS_LIMIT, "eventfd: %s", strerror(errno));
    if (status == STATUS_OK)
        status = transaction_init(&l->tx, l->schema, 0, err);
    if (status != STATUS_OK) {
        lanes_free(l);
        *out = NULL;
    }
    return status;
}

void lanes_free(struct lanes *lanes)
{
    if (!lanes)
        return;
    transaction_free(&lanes->tx);
    schema_free(lanes->schema);
    if (lanes->wake >= 0)
        (void)close(lanes->wake);
    free(lanes->list);
    free(lanes);
}

void lanes_open(struct lanes *lanes, rd_kafka_t *consumer, const char *topic)
{
    lanes->consumer = consumer;
    lanes->topic = topic;
    lanes->events = rd_kafka_queue_get_consumer(consumer);
    if (lanes->events)
        rd_kafka_queue_io_event_enable(lanes->events, lanes->wake, &one, sizeof one);
}

static void drop(struct lanes *lanes, struct lane *lane)
{
    if (lane->head)
        rd_kafka_message_destroy(lane->head);
    rd_kafka_queue_io_event_enable(lane->queue, -1, NULL, 0);
    rd_kafka_queue_destroy(lane->queue);
    align_leave(lanes->align, lane->partition);
}

void lanes_assigned(struct lanes *lanes)
{
    if (!lanes->assigned)
        align_assigned(lanes->align, clock_monotonic_ns());
    lanes->assigned = true;
}

static void leave_if_empty(struct lanes *lanes)
{
    if (lanes->assigned && lanes->count == 0) {
        align_revoked(lanes->align, clock_monotonic_ns());
        lanes->assigned = false;
    }
}

void lanes_close(struct lanes *lanes)
{
    while (lanes->count > 0)
        drop(lanes, &lanes->list[--lanes->count]);
    leave_if_empty(lanes);
    if (lanes->events) {
        rd_kafka_queue_io_event_enable(lanes->events, -1, NULL, 0);
        rd_kafka_queue_destroy(lanes->events);
    }
    lanes->events = NULL;
    lanes->consumer = NULL;
}

enum status lanes_add(struct lanes *lanes, int32_t partition)
{
    if (lanes->count == lanes->room) {
        size_t room = lanes->room ? lanes->room * 2 : 16;
        struct lane *grown = realloc(lanes->list, room * sizeof *grown);
        if (!grown)
            return STATUS_NO_MEMORY;
        lanes->list = grown;
        lanes->room = room;
    }
    struct lane lane = {.partition = partition, .taken_us = ALIGN_UNKNOWN, .head_us = ALIGN_UNKNOWN};
    lane.silent_since_ns = clock_monotonic_ns();
    lane.queue = rd_kafka_queue_get_partition(lanes->consumer, lanes->topic, partition);
    if (!lane.queue || align_join(lanes->align, partition) != STATUS_OK)
        return STATUS_NO_MEMORY;
    /* Out of the common queue. Said before the partition is assigned, librdkafka leaves it so. */
    rd_kafka_queue_forward(lane.queue, NULL);
    rd_kafka_queue_io_event_enable(lane.queue, lanes->wake, &one, sizeof one);
    lanes->list[lanes->count++] = lane;
    return STATUS_OK;
}

void lanes_remove(struct lanes *lanes, int32_t partition)
{
    for (size_t i = 0; i < lanes->count; i++) {
        if (lanes->list[i].partition != partition)
            continue;
        drop(lanes, &lanes->list[i]);
        lanes->list[i] = lanes->list[--lanes->count];
        leave_if_empty(lanes);
        return;
    }
}

static int64_t time_of(struct lanes *lanes, const struct lane *lane, const rd_kafka_message_t *message)
{
    struct decode_fault fault;
    size_t consumed;
    bool read = message->err == RD_KAFKA_RESP_ERR_NO_ERROR && message->payload &&
                decode_transaction(lanes->schema, message->payload, message->len, &lanes->tx, &consumed, &fault) == STATUS_OK;
    /* What is about to be refused for its time says nothing: its partition would wait until the others have got there. */
    bool refused = read && lanes->tx.time_us - clock_wall_us() > lanes->future_us;
    return read && !refused ? lanes->tx.time_us : lane->taken_us;
}

/* Looks for the next record of a lane that has none. */
static void look(struct lanes *lanes, struct lane *lane)
{
    rd_kafka_message_t *message = rd_kafka_consume_queue(lane->queue, 0);
    if (!message)
        return;
    lane->silent_since_ns = clock_monotonic_ns();
    lane->at_end = message->err == RD_KAFKA_RESP_ERR__PARTITION_EOF;
    if (lane->at_end) {
        rd_kafka_message_destroy(message);
        return;
    }
    lane->head = message;
    lane->head_us = time_of(lanes, lane, message);
}

/* What the lane may still bring, now that all that was taken from it is applied. */
static int64_t earliest(const struct lane *lane, int64_t now_ns)
{
    if (lane->head)
        return lane->head_us;
    return lane->at_end || now_ns - lane->silent_since_ns > SILENT_NS ? ALIGN_NOTHING : lane->taken_us;
}

/* The lane whose head comes first in time; NULL: none has one. */
static struct lane *first(struct lanes *lanes)
{
    struct lane *best = NULL;
    for (size_t i = 0; i < lanes->count; i++) {
        struct lane *lane = &lanes->list[i];
        if (lane->head && (!best || lane->head_us < best->head_us))
            best = lane;
    }
    return best;
}

uint32_t lanes_gather(struct lanes *lanes, rd_kafka_message_t **out, uint32_t most)
{
    int64_t now_ns = clock_monotonic_ns();
    uint32_t n = 0;
    for (size_t i = 0; i < lanes->count; i++) {
        struct lane *lane = &lanes->list[i];
        if (!lane->head)
            look(lanes, lane);
        align_set(lanes->align, lane->partition, earliest(lane, now_ns));
    }
    int64_t limit_us = align_limit(lanes->align, now_ns);
    struct lane *lane = first(lanes);
    for (; lane && n < most && lane->head_us <= limit_us; lane = first(lanes)) {
        out[n++] = lane->head;
        lane->taken_us = lane->head_us > lane->taken_us ? lane->head_us : lane->taken_us;
        lane->head = NULL;
        lane->silent_since_ns = now_ns; /* while its head was held back it was not silent */
        look(lanes, lane);
    }
    lanes->held = lane != NULL;
    return n;
}

void lanes_wait(struct lanes *lanes, int wait_ms)
{
    struct pollfd wake = {.fd = lanes->wake, .events = POLLIN};
    if (poll(&wake, 1, lanes->held && wait_ms > HELD_WAIT_MS ? HELD_WAIT_MS : wait_ms) <= 0)
        return;
    uint64_t count;
    (void)!read(lanes->wake, &count, sizeof count);
}
