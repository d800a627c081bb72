/*
 * The thread sleeps at most IDLE_MS and is woken when a ring is half full, so that a quiet server hardly wakes and a busy one
 * never waits for the clock. Each producer's lines keep their order; between producers there is none.
 */
#include "server/decision_log.h"

#include <pthread.h>
#include <semaphore.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "model/base/check.h"
#include "model/base/clock.h"
#include "model/base/digest.h"
#include "server/decision_ring.h"
#include "server/log.h"
#include "server/record.h"

enum { RING_ENTRIES = 4096, WRITERS_MAX = 2, IDLE_MS = 20, RETRY_MS = 50, WRITE_BYTES = 65536 };
static const int64_t COMPLAIN_NS = 10 * (int64_t)1000000000; /* a full disk is told once in so long, and not with every try */

struct entry {
    int64_t time_us;
    const struct bundle *bundle;
    struct verdict verdict;
    uint64_t reasons;
    uint8_t input_sha256[DIGEST_BYTES];
    uint8_t source;
    bool fallback; /* no score was there in time: the decision is http.on_late's */
    uint16_t id_len;
    char id[TEXT_BYTES_MAX];
    _Alignas(8) char row[]; /* one feature row */
};

struct decision_producer {
    struct ring ring;
    struct decision_log *log;
    struct metrics_shard *metrics;
    struct digest *digest;
    struct decision_producer *next;
    atomic_bool closed; /* its worker is gone: drop it once it is empty */
};

struct decision_log {
    struct decision_writer writers[WRITERS_MAX];
    size_t writer_count;
    size_t row_bytes; /* of the model's inputs: a row without its reasons */
    enum number_type row_type;
    bool may_drop;
    struct metrics_shard *metrics; /* the thread's */
    pthread_t thread;
    bool started;
    sem_t wake;
    atomic_bool stopping;
    _Atomic int64_t deadline_ns; /* once ending: lines that can't be written by then are dropped */
    pthread_mutex_t lock;        /* producers: taken when one comes or goes, and by the thread once a round */
    struct decision_producer *producers;
    struct buf lines; /* the thread's: made but not written yet */
    uint64_t line_count;
    int64_t complained_ns[WRITERS_MAX]; /* when a failed write was last logged; 0: the last one went well */
};

static void sleep_ms(long ms)
{
    const struct timespec t = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};
    (void)nanosleep(&t, NULL);
}

/* --- the producers' side ----------------------------------------------------------------------------------------------- */

enum status decision_producer_create(struct decision_log *log, struct metrics_shard *metrics, struct decision_producer **out,
                                     struct error *err)
{
    struct decision_producer *p = aligned_alloc(64, sizeof *p);
    if (!p)
        return error_set(err, STATUS_NO_MEMORY, "out of memory for the decision log");
    memset(p, 0, sizeof *p);
    p->log = log;
    p->metrics = metrics;
    p->ring.entry_bytes = (sizeof(struct entry) + log->row_bytes + 7) / 8 * 8;
    p->ring.size = RING_ENTRIES;
    p->ring.entries = malloc(p->ring.entry_bytes * RING_ENTRIES);
    enum status status = p->ring.entries ? digest_create(&p->digest, err)
                                         : error_set(err, STATUS_NO_MEMORY, "out of memory for the decision log");
    if (status != STATUS_OK) {
        free(p->ring.entries);
        free(p);
        return status;
    }
    (void)pthread_mutex_lock(&log->lock);
    p->next = log->producers;
    log->producers = p;
    (void)pthread_mutex_unlock(&log->lock);
    *out = p;
    return STATUS_OK;
}

void decision_producer_free(struct decision_producer *producer)
{
    if (!producer)
        return;
    atomic_store_explicit(&producer->closed, true, memory_order_release); /* after its last ring_push */
}

/* Room for an entry; NULL: full, and the setting says drop. */
static struct entry *claim(struct decision_producer *p)
{
    struct entry *entry = ring_claim(&p->ring);
    if (entry)
        return entry;
    if (p->log->may_drop) {
        metrics_add(p->metrics, METRIC_DECISION_LOG, 1, 1);
        return NULL;
    }
    metrics_add(p->metrics, METRIC_DECISION_WAITS, 0, 1);
    while (!entry) {
        sleep_ms(1);
        entry = ring_claim(&p->ring);
    }
    return entry;
}

void decision_log_append(struct decision_producer *producer, const struct txn *txn, const struct rows *rows)
{
    struct entry *entry = claim(producer);
    if (!entry)
        return;
    struct span id = txn->input.values[schema_id(txn->bundle->schema)].text;
    CHECK(id.len <= sizeof entry->id);
    entry->time_us = clock_wall_us();
    entry->bundle = txn->bundle;
    entry->verdict = txn->verdict;
    entry->reasons = txn->reasons;
    entry->source = txn->source;
    entry->fallback = txn->outcome == OUTCOME_REFUSED;
    entry->id_len = (uint16_t)id.len;
    memcpy(entry->id, id.data, id.len);
    memcpy(entry->row, (const char *)rows->base + (size_t)txn->number * rows->stride, producer->log->row_bytes);
    digest_sha256(producer->digest, txn->document.data, txn->document.len, entry->input_sha256);
    /* Once a half ring is enough: the thread then takes all there is. */
    if (ring_push(&producer->ring) % (RING_ENTRIES / 2) == 0)
        (void)sem_post(&producer->log->wake);
}

/* --- the thread's side -------------------------------------------------------------------------------------------------- */

static void write_hex(struct buf *out, const char *name, const uint8_t *digest)
{
    buf_format(out, ",\"%s\":\"", name);
    char *to = buf_reserve(out, DIGEST_HEX);
    if (to) {
        digest_hex(digest, to);
        out->len += DIGEST_HEX;
    }
    buf_char(out, '"');
}

static void write_time(struct buf *out, int64_t time_us)
{
    time_t seconds = (time_t)(time_us / 1000000);
    struct tm tm;
    char text[32];
    (void)gmtime_r(&seconds, &tm);
    (void)strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &tm);
    buf_format(out, "{\"time\":\"%s.%06dZ\"", text, (int)(time_us % 1000000));
}

static void write_text(struct buf *out, const char *name, const char *text, size_t len)
{
    buf_format(out, ",\"%s\":", name);
    buf_json_string(out, text, len);
}

static void write_line(struct decision_log *log, const struct entry *e)
{
    static const char *const sources[SOURCE_COUNT] = {[SOURCE_HTTP] = "http", [SOURCE_KAFKA] = "kafka", [SOURCE_FILE] = "file"};
    const struct bundle *bundle = e->bundle;
    struct buf *out = &log->lines;
    write_time(out, e->time_us);
    buf_format(out, ",\"source\":\"%s\"", sources[e->source]);
    write_text(out, "transaction_id", e->id, e->id_len);
    write_hex(out, "input_sha256", e->input_sha256);
    write_text(out, "model", bundle->name, strlen(bundle->name));
    write_text(out, "version", bundle->version, strlen(bundle->version));
    write_text(out, "model_sha256", bundle->model_digest, strlen(bundle->model_digest));
    buf_char(out, ',');
    if (!e->fallback) { /* there may be no features of it */
        record_write_features(out, bundle, e->row, log->row_type);
        buf_string(out, ",\"margin\":");
        record_write_number(out, e->verdict.margin, model_info(bundle->model)->output_type);
        buf_char(out, ',');
    }
    record_write_verdict(out, bundle, &e->verdict, e->reasons);
    buf_string(out, e->fallback ? ",\"state\":\"fallback\"}\n" : "}\n");
    log->line_count++;
}

static bool out_of_time(struct decision_log *log)
{
    return clock_monotonic_ns() >= atomic_load_explicit(&log->deadline_ns, memory_order_relaxed);
}

/* Logs the first failure of a row of them, and then one now and then; the metric has them all. */
static void complain(struct decision_log *log, size_t writer, const struct error *err)
{
    int64_t now_ns = clock_monotonic_ns(), *last_ns = &log->complained_ns[writer];
    metrics_add(log->metrics, METRIC_DECISION_FAILURES, 0, 1);
    if (*last_ns != 0 && now_ns - *last_ns < COMPLAIN_NS)
        return;
    *last_ns = now_ns;
    log_error("decision_log.failed", LOG_TEXT("reason", err->message));
}

/* Offers the lines until they are taken, for as long as they may not be dropped. */
static bool offer(struct decision_log *log, size_t i)
{
    const struct decision_writer *writer = &log->writers[i];
    for (;;) {
        struct error err = {.message = ""};
        enum status status = writer->write(writer->context, log->lines.data, log->lines.len, &err);
        if (status == STATUS_OK) {
            log->complained_ns[i] = 0;
            return true;
        }
        complain(log, i, &err);
        if (status != STATUS_BUSY)
            return false;
        if (log->may_drop || out_of_time(log)) {
            if (writer->drop)
                writer->drop(writer->context);
            return false;
        }
        sleep_ms(RETRY_MS);
    }
}

static void write_out(struct decision_log *log)
{
    if (log->line_count == 0)
        return;
    bool written = !log->lines.failed;
    for (size_t i = 0; i < log->writer_count && !log->lines.failed; i++)
        written = offer(log, i) && written;
    metrics_add(log->metrics, METRIC_DECISION_LOG, written ? 0 : 1, log->line_count);
    buf_clear(&log->lines);
    log->line_count = 0;
}

static void unlink_producer(struct decision_log *log, struct decision_producer *producer)
{
    (void)pthread_mutex_lock(&log->lock);
    struct decision_producer **at = &log->producers;
    while (*at != producer)
        at = &(*at)->next;
    *at = producer->next;
    (void)pthread_mutex_unlock(&log->lock);
    digest_free(producer->digest);
    free(producer->ring.entries);
    free(producer);
}

/* Writes what is there now; true: there was something. */
static bool write_round(struct decision_log *log)
{
    bool any = false;
    (void)pthread_mutex_lock(&log->lock);
    struct decision_producer *p = log->producers;
    (void)pthread_mutex_unlock(&log->lock);
    while (p) {
        struct decision_producer *next = p->next; /* only this thread unlinks, and new ones come in front */
        bool closed = atomic_load_explicit(&p->closed, memory_order_acquire); /* read before the ring: then empty is final */
        for (const struct entry *e = ring_front(&p->ring); e; e = ring_front(&p->ring)) {
            write_line(log, e);
            ring_pop(&p->ring);
            any = true;
            if (log->lines.len >= WRITE_BYTES)
                write_out(log);
        }
        if (closed)
            unlink_producer(log, p);
        p = next;
    }
    return any;
}

static void wait_for_work(struct decision_log *log)
{
    struct timespec until;
    (void)clock_gettime(CLOCK_REALTIME, &until);
    until.tv_nsec += IDLE_MS * 1000000;
    until.tv_sec += until.tv_nsec / 1000000000;
    until.tv_nsec %= 1000000000;
    (void)sem_timedwait(&log->wake, &until);
}

static void *run(void *context)
{
    struct decision_log *log = context;
    (void)pthread_setname_np(pthread_self(), "decision-log");
    for (;;) {
        bool stopping = atomic_load_explicit(&log->stopping, memory_order_acquire);
        bool any = write_round(log);
        write_out(log);
        if (any)
            continue;
        if (stopping)
            break;
        wait_for_work(log);
    }
    return NULL;
}

/* --- making and ending ------------------------------------------------------------------------------------------------- */

enum status decision_log_create(const struct decision_log_options *options, struct decision_log **out, struct error *err)
{
    CHECK(options->count > 0 && options->count <= WRITERS_MAX);
    struct decision_log *log = calloc(1, sizeof *log);
    if (!log) {
        for (size_t i = 0; i < options->count; i++)
            options->writers[i].close(options->writers[i].context);
        return error_set(err, STATUS_NO_MEMORY, "out of memory for the decision log");
    }
    memcpy(log->writers, options->writers, options->count * sizeof *options->writers);
    log->writer_count = options->count;
    log->row_type = model_info(options->bundle->model)->input_type;
    log->row_bytes = options->bundle->features * number_type_bytes(log->row_type);
    log->may_drop = options->may_drop;
    atomic_init(&log->deadline_ns, INT64_MAX);
    log->metrics = metrics_shard_create(options->metrics);
    (void)pthread_mutex_init(&log->lock, NULL);
    (void)sem_init(&log->wake, 0, 0);
    log->started = log->metrics && pthread_create(&log->thread, NULL, run, log) == 0;
    if (!log->started) {
        decision_log_free(log, 0);
        return error_set(err, STATUS_NO_MEMORY, "the decision log's thread cannot be started");
    }
    *out = log;
    return STATUS_OK;
}

void decision_log_end(struct decision_log *log, int64_t deadline_ns)
{
    if (log)
        atomic_store_explicit(&log->deadline_ns, deadline_ns, memory_order_relaxed); /* a figure, orders nothing */
}

void decision_log_free(struct decision_log *log, int64_t deadline_ns)
{
    if (!log)
        return;
    if (log->started) {
        decision_log_end(log, deadline_ns);
        atomic_store_explicit(&log->stopping, true, memory_order_release);
        (void)sem_post(&log->wake);
        (void)pthread_join(log->thread, NULL);
    }
    CHECK(!log->producers); /* all were closed, so the thread dropped them */
    for (size_t i = 0; i < log->writer_count; i++)
        log->writers[i].close(log->writers[i].context);
    (void)sem_destroy(&log->wake);
    (void)pthread_mutex_destroy(&log->lock);
    buf_free(&log->lines);
    free(log);
}
