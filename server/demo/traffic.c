#include <stdio.h>
#include <string.h>
#include <time.h>

#include "model/base/clock.h"
#include "server/demo/demo.h"
#include "server/log.h"

enum { TICK_NS = 2000000 }; /* traffic comes in portions, one a tick */

static void on_delivery(rd_kafka_t *rk, const rd_kafka_message_t *message, void *opaque)
{
    (void)rk;
    struct demo *demo = opaque;
    if (!message->err)
        (void)atomic_fetch_add_explicit(&demo->delivered, 1, memory_order_relaxed);
}

static rd_kafka_t *make_producer(struct demo *demo)
{
    char reason[256] = "";
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    const char *const pairs[][2] = {{"bootstrap.servers", demo->brokers}, {"linger.ms", "1"}, {"enable.idempotence", "true"},
                                    {"socket.nagle.disable", "true"}};
    for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++)
        (void)rd_kafka_conf_set(conf, pairs[i][0], pairs[i][1], reason, sizeof reason);
    rd_kafka_conf_set_dr_msg_cb(conf, on_delivery);
    rd_kafka_conf_set_opaque(conf, demo);
    rd_kafka_t *rk = rd_kafka_new(RD_KAFKA_PRODUCER, conf, reason, sizeof reason);
    if (!rk)
        log_error("demo.producer", LOG_TEXT("reason", reason));
    return rk;
}

/* Produces one transaction, keyed by its customer, and remembers what it is. */
static void produce(struct demo *demo, rd_kafka_t *rk)
{
    char text[GEN_TEXT_MAX], key[GEN_TEXT_MAX];
    struct gen_transaction tx;
    gen_next(demo->gen, &tx);
    size_t len = gen_write_transaction(demo->gen, &tx, text) - 1; /* without the newline */
    size_t key_len = gen_write_customer(&tx, key);
    atomic_store_explicit(&demo->known[tx.number % DEMO_KNOWN], (uint8_t)tx.scenario, memory_order_relaxed);
    for (;;) {
        rd_kafka_resp_err_t failed = __extension__ rd_kafka_producev(rk, RD_KAFKA_V_TOPIC(DEMO_INPUT), RD_KAFKA_V_KEY(key, key_len),
                                                       RD_KAFKA_V_VALUE(text, len), RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY), RD_KAFKA_V_END);
        if (failed != RD_KAFKA_RESP_ERR__QUEUE_FULL)
            break;
        (void)rd_kafka_poll(rk, 10);
    }
    (void)atomic_fetch_add_explicit(&demo->produced, 1, memory_order_relaxed);
}

void *demo_traffic(void *argument)
{
    struct demo *demo = argument;
    rd_kafka_t *rk = make_producer(demo);
    if (!rk)
        return NULL;
    int64_t start = clock_monotonic_ns();
    uint64_t done = 0;
    while (!atomic_load_explicit(&demo->stopping, memory_order_relaxed)) {
        uint64_t due = (uint64_t)((double)(clock_monotonic_ns() - start) / 1e9 * (double)demo->rate);
        for (; done < due; done++)
            produce(demo, rk);
        (void)rd_kafka_poll(rk, 0);
        const struct timespec tick = {.tv_nsec = TICK_NS};
        (void)nanosleep(&tick, NULL);
    }
    (void)rd_kafka_flush(rk, 5000);
    rd_kafka_destroy(rk);
    return NULL;
}
