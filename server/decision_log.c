#include "server/decision_log.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "model/base/clock.h"
#include "server/log.h"
#include "server/record.h"

enum { BUFFER_BYTES = 4 << 20, WRITERS_MAX = 2 };

struct decision_log {
    const struct bundle *bundle;
    struct metrics_shard *metrics; /* written under the lock only */
    struct decision_writer writers[WRITERS_MAX];
    size_t writer_count;
    pthread_mutex_t lock;
    pthread_cond_t filled, emptied;
    struct buf filling, writing; /* the thread swaps them */
    bool closing;
    pthread_t thread;
};

static enum status file_write(void *context, const char *lines, size_t len, struct error *err)
{
    int fd = *(int *)context;
    while (len > 0) {
        ssize_t n = write(fd, lines, len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return error_set(err, STATUS_IO, "decision log: %s", strerror(errno));
        lines += n;
        len -= (size_t)n;
    }
    return STATUS_OK;
}

static void file_close(void *context)
{
    (void)close(*(int *)context);
    free(context);
}

enum status decision_file_open(const char *path, struct decision_writer *out, struct error *err)
{
    int *fd = malloc(sizeof *fd);
    if (!fd)
        return error_set(err, STATUS_NO_MEMORY, "out of memory for the decision log");
    *fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
    if (*fd < 0) {
        free(fd);
        return error_set(err, STATUS_IO, "decision log %s: %s", path, strerror(errno));
    }
    *out = (struct decision_writer){file_write, file_close, fd};
    return STATUS_OK;
}

/* Hands what was filled to the writers, again and again until closed and empty. */
static void *run_writer(void *argument)
{
    struct decision_log *log = argument;
    (void)pthread_mutex_lock(&log->lock);
    for (;;) {
        while (log->filling.len == 0 && !log->closing)
            (void)pthread_cond_wait(&log->filled, &log->lock);
        if (log->filling.len == 0)
            break;
        struct buf full = log->filling;
        log->filling = log->writing;
        log->writing = full;
        (void)pthread_cond_broadcast(&log->emptied);
        (void)pthread_mutex_unlock(&log->lock);
        size_t failures = 0;
        for (size_t i = 0; i < log->writer_count; i++) {
            struct error err;
            if (log->writers[i].write(log->writers[i].context, full.data, full.len, &err) != STATUS_OK) {
                log_error("decision_log.lost", LOG_TEXT("reason", err.message), LOG_INT("bytes", full.len));
                failures++;
            }
        }
        (void)pthread_mutex_lock(&log->lock);
        metrics_add(log->metrics, METRIC_DECISION_LOG_BYTES, 0, full.len);
        metrics_add(log->metrics, METRIC_DECISION_LOG_FAILURES, 0, failures);
        buf_clear(&log->writing);
    }
    (void)pthread_mutex_unlock(&log->lock);
    return NULL;
}

enum status decision_log_create(const struct decision_writer *writers, size_t n, const struct bundle *bundle, struct metrics *metrics,
                                struct decision_log **out, struct error *err)
{
    struct decision_log *log = calloc(1, sizeof *log);
    if (log) {
        log->bundle = bundle;
        log->metrics = metrics_shard_create(metrics);
        (void)pthread_mutex_init(&log->lock, NULL);
        (void)pthread_cond_init(&log->filled, NULL);
        (void)pthread_cond_init(&log->emptied, NULL);
        for (; log->writer_count < n && log->writer_count < WRITERS_MAX; log->writer_count++)
            log->writers[log->writer_count] = writers[log->writer_count];
    }
    if (!log || !log->metrics || !buf_reserve(&log->filling, BUFFER_BYTES) || !buf_reserve(&log->writing, BUFFER_BYTES) ||
        pthread_create(&log->thread, NULL, run_writer, log) != 0) {
        for (size_t i = 0; i < n; i++)
            writers[i].close(writers[i].context);
        if (log) {
            buf_free(&log->filling);
            buf_free(&log->writing);
        }
        free(log);
        return error_set(err, STATUS_NO_MEMORY, "out of memory for the decision log");
    }
    *out = log;
    return STATUS_OK;
}

void decision_log_free(struct decision_log *log)
{
    if (!log)
        return;
    (void)pthread_mutex_lock(&log->lock);
    log->closing = true;
    (void)pthread_cond_signal(&log->filled);
    (void)pthread_mutex_unlock(&log->lock);
    (void)pthread_join(log->thread, NULL);
    for (size_t i = 0; i < log->writer_count; i++)
        log->writers[i].close(log->writers[i].context);
    buf_free(&log->filling);
    buf_free(&log->writing);
    (void)pthread_mutex_destroy(&log->lock);
    (void)pthread_cond_destroy(&log->filled);
    (void)pthread_cond_destroy(&log->emptied);
    free(log);
}

static void write_time(struct buf *out)
{
    int64_t us = clock_wall_us();
    time_t seconds = (time_t)(us / 1000000);
    struct tm tm;
    (void)gmtime_r(&seconds, &tm);
    buf_format(out, "{\"time\":\"%04d-%02d-%02dT%02d:%02d:%02d.%06dZ\"", tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday, tm.tm_hour,
               tm.tm_min, tm.tm_sec, (int)(us % 1000000));
}

static void write_digest(struct buf *out, struct span document)
{
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned len = 0;
    (void)EVP_Digest(document.data, document.len, digest, &len, EVP_sha256(), NULL);
    for (unsigned i = 0; i < len; i++)
        buf_format(out, "%02x", digest[i]);
}

static void write_line(struct buf *out, const struct txn *txn, const struct rows *rows)
{
    static const char *const sources[SOURCE_COUNT] = {"http", "kafka", "file"};
    const struct bundle *bundle = txn->bundle;
    struct span id = txn->input.values[schema_id(bundle->schema)].text;
    write_time(out);
    buf_format(out, ",\"source\":\"%s\",\"transaction_id\":", sources[txn->source]);
    buf_json_string(out, id.data, id.len);
    buf_string(out, ",\"input_sha256\":\"");
    write_digest(out, txn->document);
    buf_string(out, "\",\"model\":");
    buf_json_string(out, bundle->name, strlen(bundle->name));
    buf_string(out, ",\"version\":");
    buf_json_string(out, bundle->version, strlen(bundle->version));
    buf_format(out, ",\"model_sha256\":\"%s\"", bundle->model_digest);
    record_write_features(out, txn, rows);
    buf_string(out, ",\"margin\":");
    record_write_number(out, txn->verdict.margin, model_info(bundle->model)->output_type);
    buf_string(out, ",\"score\":");
    record_write_score(out, txn);
    buf_format(out, ",\"decision\":\"%s\"}\n", decision_name(txn->verdict.decision));
}

void decision_log_write(struct decision_log *log, struct txn *const *txns, uint32_t n, const struct rows *rows)
{
    if (!log)
        return;
    (void)pthread_mutex_lock(&log->lock);
    for (uint32_t i = 0; i < n; i++) {
        if (txns[i]->outcome != OUTCOME_SCORED || txns[i]->trial)
            continue;
        while (log->filling.len >= BUFFER_BYTES)
            (void)pthread_cond_wait(&log->emptied, &log->lock);
        write_line(&log->filling, txns[i], rows);
    }
    (void)pthread_cond_signal(&log->filled);
    (void)pthread_mutex_unlock(&log->lock);
}
